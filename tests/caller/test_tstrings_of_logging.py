"""Template strings of CPython 3.14 as messages of `logging`, after `logly.install()` and through `StdlibHandler`."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from types import CodeType, MappingProxyType

import pytest

import logly
from logly import capture
from tests.support.loggers import make_logger

if sys.version_info < (3, 14):
    pytest.skip("CPython 3.14 has template strings", allow_module_level=True)

TIMES = 4


def code_of(body: str) -> CodeType:
    return compile(f't"{body}"', "<template>", "eval")


@pytest.mark.parametrize("served", [True, False])
def test_calls_of_logging_log_the_text(tmp_path: Path, served: bool) -> None:
    class Own(logging.FileHandler):
        pass

    path = tmp_path / "log"
    log = logging.getLogger("tests.tstrings")
    handler = (logging.FileHandler if served else Own)(path)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s %(x)s"))
    log.addHandler(handler)
    log.propagate = False
    log.setLevel("INFO")
    code = code_of("{x} is {x + 1:>3} 100% {name} {args}")
    logly.install()
    try:
        for x in range(TIMES):
            template = eval(code, {"x": x, "name": "n", "args": "a"})
            log.info(template)
            log.debug(template)
            log.log(logging.WARNING, template)
            log.log(35, template)
            log.warning(template, extra={"y": 1})
            log.error(template, extra={"x": "own"})
    finally:
        logly.uninstall()
        log.removeHandler(handler)
        handler.close()
    text = [(x, f"{x} is {x + 1:>3} 100% n a") for x in range(TIMES)]
    wanted = [
        f"{level} {line} {own}"
        for x, line in text
        for level, own in [("INFO", x), ("WARNING", x), ("Level 35", x), ("WARNING", x), ("ERROR", "own")]
    ]
    assert path.read_text().splitlines() == wanted


def test_calls_of_logging_give_fields(tmp_path: Path) -> None:
    with make_logger() as logger:
        logly.install(logger)
        try:
            with capture(logger) as records:
                for x in range(TIMES):
                    logging.getLogger("tests.fields").warning(eval(code_of("{x} of {name}"), {"x": x, "name": "n"}))
        finally:
            logly.uninstall()
    assert records == [("WARNING", f"{x} of n", {"x": x}) for x in range(TIMES)]
    assert records[0].function == "test_calls_of_logging_give_fields"


def test_calls_of_logging_keep_every_extra(tmp_path: Path) -> None:
    log = logging.getLogger("tests.extra")
    with make_logger() as logger:
        logly.install(logger)
        try:
            with capture(logger) as records:
                for _ in range(TIMES):
                    template = eval(code_of("{x}"), {"x": 1})
                    log.warning(template, extra=MappingProxyType({"k": 1}))
                    log.warning(template, extra=MappingProxyType({"x": "own"}))
                    log.warning(template, extra=None)
                    log.warning(template, extra={})
        finally:
            logly.uninstall()
    own = [{"x": 1, "k": 1}, {"x": "own"}, {"x": 1}, {"x": 1}]
    assert records == [("WARNING", "1", fields) for _ in range(TIMES) for fields in own]


@pytest.mark.parametrize("installed", [True, False])
def test_a_handler_that_gives_to_logly_logs_the_text(installed: bool) -> None:
    log = logging.getLogger("tests.handler")
    log.propagate = False
    log.setLevel("INFO")
    with make_logger() as logger, capture(logger) as records:
        handler = logly.StdlibHandler(logger)
        log.addHandler(handler)
        if installed:
            logly.install(handlers="keep")
        try:
            for x in range(TIMES):
                template = eval(code_of("{x} of {name!r} 100% {{}}"), {"x": x, "name": "n"})
                log.info(template)
                log.warning(template, extra={"x": "own"})
            handler.setFormatter(logging.Formatter("%(levelname)s %(message)s %(x)s"))
            log.error(eval(code_of("{x:>3}"), {"x": 5}))
        finally:
            logly.uninstall()
            log.removeHandler(handler)
        wanted: list[tuple[str, str, dict[str, object]]] = []
        for x in range(TIMES):
            text = f"{x} of 'n' 100% {{}}"
            wanted += [("INFO", text, {"x": x}), ("WARNING", text, {"x": "own"})]
        assert records == [*wanted, ("ERROR", "ERROR   5 5", {"x": 5})]


@pytest.mark.parametrize("way", ["handler", "handler, installed", "installed for the logger"])
def test_calls_of_logging_hide_secrets(way: str) -> None:
    log = logging.getLogger("tests.secrets")
    log.setLevel("INFO")
    text = "{password} {x} {deep!r} {nested}"
    with make_logger(redact=["pass*"]) as logger, capture(logger) as records:
        handler = logly.StdlibHandler(logger)
        log.propagate = "handler" not in way
        if "handler" in way:
            log.addHandler(handler)
        if "installed" in way:
            logly.install(logger if "for" in way else None)
        try:
            for x in range(TIMES):
                values = {"password": "geheim", "x": x, "deep": {"passcode": "geheim"}}
                values["nested"] = eval(code_of("<{password:>12}>"), values)
                log.info(eval(code_of(text), values))
                log.info(eval(code_of(text), values), extra={"y": 1})
        finally:
            logly.uninstall()
            log.removeHandler(handler)
            log.propagate = True
        assert len(records) == 2 * TIMES
        for number, record in enumerate(records):
            assert record.message == f"[redacted] {number // 2} {{'passcode': '[redacted]'}} <  [redacted]>"
            assert "geheim" not in str(record.fields)
            assert record.fields["x"] == number // 2
