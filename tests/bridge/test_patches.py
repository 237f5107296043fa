"""What other libraries and tests do to `logging` is obeyed while `install` is in force, and undone by `uninstall`."""

from __future__ import annotations

import inspect
import logging
import logging.handlers
import queue
import sys
import unittest
from functools import partial
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

import logly.bridge.install as bridge
from logly import StdlibHandler
from tests.bridge.oracle import SEES_CHANGES, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Played = Callable[..., Stage]

METHODS = ("debug", "info", "warning", "error", "critical", "log", "isEnabledFor")


def wrapper(stage: Stage, name: str, before: Any) -> Any:
    def call(*args: Any, **options: Any) -> Any:
        stage.say(name)
        return before(*args, **options)

    return call


PATCHED: list[tuple[type, str]] = [
    (logging.Logger, "callHandlers"),
    (logging.Logger, "makeRecord"),
    (logging.Logger, "handle"),
    (logging.Logger, "_log"),
    (logging.Logger, "findCaller"),
    (logging.Logger, "getEffectiveLevel"),
    (logging.Logger, "filter"),
    (logging.Filterer, "filter"),
    (logging.LogRecord, "getMessage"),
    (logging.LogRecord, "__init__"),
    (logging.Handler, "handle"),
    (logging.Handler, "acquire"),
    (logging.Handler, "handleError"),
    (logging.Handler, "filter"),
    (logging.Handler, "format"),
    (logging.StreamHandler, "emit"),
    (logging.FileHandler, "emit"),
    (logging.FileHandler, "format"),
    (logging.FileHandler, "handle"),
    (logging.StreamHandler, "acquire"),
    (logging.FileHandler, "acquire"),
    (logging.FileHandler, "release"),
    (logging.StreamHandler, "flush"),
    (StdlibHandler, "emit"),
    (StdlibHandler, "handle"),
    (StdlibHandler, "format"),
]


@pytest.mark.parametrize(("kind", "name"), PATCHED, ids=lambda one: getattr(one, "__name__", one))
def test_a_function_is_patched_and_unpatched_between_two_calls(played: Played, kind: type, name: str) -> None:
    def play(stage: Stage) -> None:
        def calls() -> None:
            stage.log.info("call %d", 1)

        own = name in vars(kind)
        before: Any = getattr(kind, name)
        for _ in range(3):
            stage.fast(calls)
            stage.say("patched")
            setattr(kind, name, wrapper(stage, name, before))
            if isinstance(stage.handler, kind) or not issubclass(kind, logging.Handler):
                stage.original(calls)
            else:
                calls()
            if own:
                setattr(kind, name, before)
            else:
                delattr(kind, name)
            stage.say("unpatched")
        stage.fast(calls)

    played(play)


@pytest.mark.parametrize(
    "name", ["callHandlers", "makeRecord", "handle", "_log", "findCaller", "filter", "isEnabledFor", "info"]
)
def test_a_method_of_the_root_logger_is_patched(played: Played, name: str) -> None:
    def play(stage: Stage) -> None:
        logging.root.handlers[:] = [stage.handler]
        logging.root.setLevel(10)
        before = getattr(logging.Logger, name)
        kept = vars(logging.RootLogger).get(name)
        for _ in range(2):
            stage.fast(lambda: logging.root.info("call %d", 1))
            setattr(logging.RootLogger, name, wrapper(stage, name, before))
            stage.original(lambda: logging.root.info("call %d", 1))
            if kept is None:
                delattr(logging.RootLogger, name)
            else:
                setattr(logging.RootLogger, name, kept)
        stage.fast(lambda: logging.root.info("call %d", 1))

    played(play)


@pytest.mark.parametrize("name", ["formatMessage", "formatTime", "formatException", "usesTime", "format"])
def test_a_method_of_the_formatter_is_patched(played: Played, name: str) -> None:
    def play(stage: Stage) -> None:
        before = getattr(logging.Formatter, name)
        for _ in range(2):
            for _ in range(3):
                stage.log.error("call %d", 1, exc_info=ValueError("x"))
            setattr(logging.Formatter, name, wrapper(stage, name, before))
            try:
                for _ in range(3):
                    stage.log.error("call %d", 1, exc_info=ValueError("x"))
            finally:
                setattr(logging.Formatter, name, before)

    played(play)


def test_the_style_is_patched(played: Played) -> None:
    style: Any = logging.PercentStyle

    def play(stage: Stage) -> None:
        before = style._format
        stage.handler.setFormatter(logging.Formatter("%(message)s"))
        for _ in range(2):
            stage.fast(lambda: stage.log.info("call %d", 1))
            style._format = wrapper(stage, "_format", before)
            try:
                for _ in range(3):
                    stage.log.info("call %d", 1)
            finally:
                style._format = before

    played(play)


@pytest.mark.parametrize("name", METHODS)
def test_a_method_that_install_replaced_is_wrapped(played: Played, name: str) -> None:
    def play(stage: Stage) -> None:
        before: Any = getattr(logging.Logger, name)

        def calls() -> None:
            stage.log.debug("debug")
            stage.log.info("info %d", 1)
            stage.log.warning("warning")
            stage.log.error("error")
            stage.log.critical("critical")
            stage.log.log(20, "log")
            stage.say(stage.log.isEnabledFor(20))
            logging.LoggerAdapter(stage.log, {}).info("adapter")

        for _ in range(2):
            calls()
            calls()
            with mock.patch.object(logging.Logger, name, wrapper(stage, name, before)):
                calls()
                calls()
        stage.fast(lambda: stage.log.info("call"))

    played(play)


def test_the_1101st_patch_is_obeyed(played: Played) -> None:
    def play(stage: Stage) -> None:
        before = logging.Logger.callHandlers
        stage.fast(lambda: stage.log.info("call %d", 1))
        for number in range(1100):
            logging.Logger.callHandlers = partial(before) if number % 2 else before  # type: ignore[method-assign,assignment]
            if number % 10 == 0:
                logging.Logger.callHandlers = before  # type: ignore[method-assign]
                stage.log.info("in between")
        logging.Logger.callHandlers = wrapper(stage, "last", before)  # type: ignore[method-assign]
        stage.original(lambda: stage.log.info("last %d", 1))
        logging.Logger.callHandlers = before  # type: ignore[method-assign]
        for _ in range(3):
            stage.log.info("undone")

    played(play)


def test_attributes_that_change_1100_times(played: Played) -> None:
    def play(stage: Stage) -> None:
        for number in range(1100):
            stage.log.disabled = bool(number % 2)
            stage.log.info("call %d", number)

    played(play)


def test_a_factory_is_set_by_a_handler(played: Played) -> None:
    def play(stage: Stage) -> None:
        def make(*args: Any, **options: Any) -> logging.LogRecord:
            record = logging.LogRecord(*args, **options)
            record.msg = f"made: {record.msg}"
            return record

        class Sets(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                logging.setLogRecordFactory(make)

        stage.fast(lambda: stage.log.info("call %d", 1))
        setter = Sets()
        stage.log.addHandler(setter)
        stage.log.info("sets it")
        stage.log.removeHandler(setter)
        stage.original(lambda: stage.log.info("call %d", 1))
        logging.setLogRecordFactory(logging.LogRecord)
        stage.fast(lambda: stage.log.info("call %d", 1))

    played(play)


def test_mock_patches(played: Played) -> None:
    def play(stage: Stage) -> None:
        log = stage.log
        for _ in range(2):
            stage.fast(lambda: log.info("not patched"))
            with mock.patch.object(log, "info") as on_instance:
                log.info("seen %d", 1)
                stage.say(on_instance.mock_calls)
            with mock.patch.object(logging.Logger, "warning") as on_class:
                log.warning("seen %d", 2)
                stage.say(on_class.mock_calls)
            with mock.patch.object(logging.Logger, "warning", autospec=True) as with_spec:
                log.warning("seen %d", 2)
                stage.say(len(with_spec.mock_calls))
            with mock.patch.object(log, "_log") as inner:
                log.info("seen %d", 3)
                stage.say(inner.mock_calls)
            with mock.patch("logging.Logger._log") as inner:
                log.info("seen %d", 3)
                stage.say(inner.mock_calls)
            with mock.patch.object(logging.Logger, "isEnabledFor", return_value=False):
                log.error("off")
            with mock.patch.object(log, "handlers", []), mock.patch.object(log, "propagate", False):
                log.error("to nobody")
            stage.fast(lambda: log.info("not patched any more"))
        spec = mock.create_autospec(logging.Logger)
        spec.info("by a mock %d", 1)
        stage.say(spec.info.mock_calls)
        made = mock.create_autospec(log)
        made.info("by a mock %d", 1)
        made.info.assert_called_once_with("by a mock %d", 1)
        stage.say(isinstance(mock.Mock(spec=logging.Logger), logging.Logger))

    played(play)


def test_assert_logs(played: Played) -> None:
    class Case(unittest.TestCase):
        def runTest(self) -> None:
            pass

    def nothing(case: unittest.TestCase, log: logging.Logger) -> None:
        with case.assertLogs(log):
            pass

    def play(stage: Stage) -> None:
        for _ in range(2):
            stage.fast(lambda: stage.log.info("not captured %d", 1))
            with Case().assertLogs(stage.log, level="INFO") as captured:
                stage.log.debug("debug")
                stage.log.info("captured %d", 1)
                stage.log.error("captured")
            stage.say(captured.output)
            with Case().assertLogs("enemy", level="WARNING") as captured:
                stage.log.info("info")
                stage.log.warning("captured %d", 2)
            stage.say(captured.output)
            stage.attempt(lambda: nothing(Case(), stage.log))
            stage.fast(lambda: stage.log.info("not captured %d", 1))

    played(play)


# ---- the methods as objects


@pytest.fixture
def installed() -> Iterator[None]:
    bridge.install()
    yield
    bridge.uninstall()


BEFORE = {name: (inspect.signature(vars(logging.Logger)[name]), vars(logging.Logger)[name].__doc__) for name in METHODS}


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("kind", [logging.Logger, logging.RootLogger])
def test_a_method_looks_like_that_of_logging(kind: type, name: str) -> None:
    method = getattr(kind, name)
    assert inspect.isroutine(method)
    signature, doc = BEFORE[name]
    names = list(signature.parameters)
    assert list(inspect.signature(method).parameters) == names
    assert [one.kind for one in list(inspect.signature(method).parameters.values())[1:]] == [
        one.kind for one in list(signature.parameters.values())[1:]
    ]
    assert inspect.getdoc(method) == inspect.cleandoc(doc or "")
    assert method.__name__ == name
    assert list(inspect.signature(getattr(logging.getLogger("enemy"), name)).parameters) == names[1:]


# ---- install and uninstall


def methods() -> dict[Any, Any]:
    kinds = (logging.Logger, logging.RootLogger, logging.Handler, logging.StreamHandler, logging.FileHandler)
    return {kind: dict(vars(kind)) for kind in kinds}


def test_uninstall_puts_everything_back() -> None:
    before = methods()
    for _ in range(3):
        bridge.install()
        bridge.install()
        assert methods() != before
        bridge.uninstall()
        bridge.uninstall()
        assert methods() == before


def test_install_again_and_again(tmp_path: Path) -> None:
    stage = Stage("stdlib", tmp_path, is_installed=True)
    try:
        for number in range(5):
            stage.fast(lambda number=number: stage.log.info("round %d", number))
            bridge.uninstall()
            stage.log.info("between")
            bridge.install()
        stage.fast(lambda: stage.log.info("last"))
    finally:
        stage.close()
    texts = [line.split(b"|")[1] for line in stage.lines.splitlines() if line.count(b"|") > 1]
    expected = [text for n in range(5) for text in [f"round {n}"] * 3 + ["between"]] + ["last"] * 3
    assert texts == [text.encode() for text in expected]


def test_a_wrapper_around_a_method_while_installed(tmp_path: Path) -> None:
    """It goes on working after `uninstall`; `install` leaves it in its place. After it is gone, all is fast again."""
    stage = Stage("stdlib", tmp_path, is_installed=True)
    before = vars(logging.Logger)["info"]
    try:
        logging.Logger.info = wrapper(stage, "wrapped", before)  # type: ignore[method-assign]
        for _ in range(3):
            stage.log.info("one")
        bridge.uninstall()
        for _ in range(3):
            stage.log.info("two")
        bridge.install()
        for _ in range(3):
            stage.log.info("three")
        assert stage.heard == ["wrapped"] * 9
        logging.Logger.info = before  # type: ignore[method-assign]
        for _ in range(3):
            stage.log.info("four")
        bridge.uninstall()
        for _ in range(3):
            stage.log.info("five")
    finally:
        stage.close()
    texts = [line.split(b"|")[1] for line in stage.lines.splitlines() if line.count(b"|") > 1]
    assert texts == [text for text in (b"one", b"two", b"three", b"four", b"five") for _ in range(3)]
    assert type(vars(logging.Logger)["info"]) is type(wrapper)


def test_a_wrapper_from_before_install(tmp_path: Path) -> None:
    heard = []
    before: Any = logging.Logger.info

    def wrapped(self: Any, *args: Any, **options: Any) -> None:
        heard.append(args)
        before(self, *args, **options)

    logging.Logger.info = wrapped  # type: ignore[method-assign]
    try:
        stage = Stage("stdlib", tmp_path, is_installed=True)
        try:
            for _ in range(3):
                stage.log.info("wrapped %d", 1)
                stage.log.warning("not wrapped")
            logging.Logger.info = before
            for _ in range(3):
                stage.log.info("unwrapped %d", 1)
        finally:
            stage.close()
    finally:
        logging.Logger.info = before  # type: ignore[method-assign]
    assert heard == [("wrapped %d", 1)] * 3
    assert stage.lines.count(b"|wrapped 1|") == 3
    assert stage.lines.count(b"|unwrapped 1|") == 3


@pytest.mark.parametrize("name", ["logger", "handlers", "write"])
def test_arguments_are_checked(name: str) -> None:
    from logly import ConfigError

    given: Any = {name: 5}
    with pytest.raises(ConfigError, match=name):
        bridge.install(**given)
    assert not isinstance(vars(logging.RootLogger).get("info"), type(str.join))


@pytest.mark.skipif(not SEES_CHANGES, reason="calls go the way of logging")
@pytest.mark.usefixtures("installed")
def test_routes_say_what_to_do_without_handlers_and_with_a_queue() -> None:
    log = logging.getLogger("enemy.what")
    log.propagate = False
    log.setLevel(10)

    def found() -> bridge.Route:
        log.info("x")
        log.info("x")
        return next(one for one in bridge.routes() if one.name == log.name)

    empty = found()
    assert empty.is_fast or empty.why_not == "no handler"
    log.addHandler(logging.handlers.QueueHandler(queue.SimpleQueue()))
    try:
        assert found().why_not == "handler QueueHandler: it is not served: take it out, logly is the queue already"
    finally:
        log.handlers.clear()


@pytest.mark.skipif(not SEES_CHANGES, reason="calls go the way of logging")
@pytest.mark.usefixtures("installed")
def test_routes_say_why_not() -> None:
    log = logging.getLogger("enemy.why")
    log.propagate = False
    log.addHandler(logging.NullHandler())
    log.setLevel(10)
    before = logging.Logger.callHandlers

    def reason() -> str | None:
        log.info("x")
        log.info("x")
        return next(one.why_not for one in bridge.routes() if one.name == log.name)

    assert reason() is None
    with mock.patch.object(logging.Logger, "callHandlers", lambda self, record: before(self, record)):
        assert "callHandlers is patched" in str(reason())
    log.addFilter(lambda record: True)
    assert "1 filter" in str(reason())
    log.filters.clear()
    log._log = print  # type: ignore[method-assign,assignment]
    assert "_log" in str(reason())
    del log._log
    assert reason() is None


def test_old_recipe_of_loguru(played: Played) -> None:
    """A handler that walks the frames finds the caller where it was."""

    class Walks(logging.Handler):
        def __init__(self, stage: Stage) -> None:
            super().__init__()
            self.stage = stage

        def emit(self, record: logging.LogRecord) -> None:
            frame: Any = sys._getframe(6)
            self.stage.say((frame.f_code.co_name, frame.f_lineno, record.lineno))
            frame = sys._getframe(0)
            names = []
            while frame is not None and frame.f_code.co_name != "play":
                names.append((frame.f_code.co_name, frame.f_lineno))
                frame = frame.f_back
            self.stage.say(names)

    def play(stage: Stage) -> None:
        stage.log.addHandler(Walks(stage))
        for _ in range(3):
            stage.log.info("walk %d", 1)
            stage.log.log(25, "walk %d", 1)
            stage.log.exception("walk")

    played(play)
