"""Formatters of other packages: served to the byte, or left to `logging` with a reason. What is missing is skipped."""

from __future__ import annotations

import importlib
import json
import logging
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from logly.bridge.formatters import NotServed, layout_of
from logly.bridge.shown_extra import combined
from logly.bridge.validation import differs, fields_of, native_line, use_access
from tests.bridge.oracle import SEES_CHANGES, Stage, compare
from tests.support.known_formats import (
    access_args,
    any_extra,
    django_formatter,
    json_formatter,
    scalar,
    uvicorn_formatter,
)
from tests.support.logging_formats import FIRST_NS, LAST_NS, PATHS, made_at, raised

if TYPE_CHECKING:
    from collections.abc import Callable

MODULES = {
    json_formatter: "pythonjsonlogger.json",
    uvicorn_formatter: "uvicorn.logging",
    django_formatter: "django.utils.log",
}
ACCESS = '%s - "%s %s HTTP/%s" %d'


def import_for(make: Callable[..., Any]) -> None:
    pytest.importorskip(MODULES[make])
    if make is django_formatter:
        from django.conf import settings

        if not settings.configured:
            settings.configure()


def a_record(dice: random.Random) -> tuple[logging.LogRecord, int]:
    ns = dice.choice([dice.randint(FIRST_NS, LAST_NS), 1_700_000_000_000_000_000 + dice.randrange(2_000_000) * 500])
    record = made_at(
        ns,
        name=dice.choice(["root", "app.é"]),
        level=dice.choice([10, 20, 30, 13, 5, 4711]),
        path=dice.choice(PATHS),
        line=dice.randrange(100),
        message=dice.choice(["", "text", 'é\n"\\\x7f\u2028\U0001f600', "{} %s", "x" * 300]),
        function="<module>",
    )
    if dice.random() < 0.3:
        record.exc_info = raised(dice.choice(["e", 'é\n"x"', "ends\n"]))
    if dice.random() < 0.2:
        record.stack_info = 'Stack:\n  File "é"'
    return record, ns


SCALARS = (str, int, float, bool, type(None))


@pytest.mark.parametrize("make", MODULES, ids=MODULES.values())
@pytest.mark.parametrize("seed", range(6))
def test_random_formatters_and_records(make: Callable[..., Any], seed: int) -> None:
    import_for(make)
    dice = random.Random(seed)
    served = 0
    for _ in range(60):
        try:
            formatter = make(dice, has_times=True)
        except ValueError:
            continue
        try:
            layout = layout_of(formatter)
        except NotServed:
            continue
        reason = differs(formatter, layout)
        assert reason is None or "raises" in reason, reason
        served += reason is None
        for _ in range(4 if reason is None else 0):
            record, ns = a_record(dice)
            extra = {name: scalar(dice) for name in any_extra(dice)}
            if layout.kind == "access":
                use_access(record, access_args(dice))  # type: ignore[arg-type]
            vars(record).update(extra)
            fields = fields_of(layout, record)
            shown = layout.extra
            if shown is not None and any(name in shown.refused for name in extra):
                continue
            if shown is not None and not (shown.kinds.keys() - shown.optional) <= extra.keys():
                continue
            if any(shown is not None and not shown.kinds.get(name, 31) & kind(extra.get(name)) for name in extra):
                continue
            expected = (formatter.format(record) + "\n").encode()
            assert native_line(record, layout, ns, fields=fields) == (expected, expected)
    assert served > 20


def kind(value: object) -> int:
    return {str: 16, int: 4, float: 8, bool: 2, type(None): 1}[type(value)]


@pytest.mark.parametrize("make", MODULES, ids=MODULES.values())
@pytest.mark.parametrize("seed", range(4))
def test_random_plays(make: Callable[..., Any], seed: int, tmp_path: Path) -> None:
    import_for(make)
    counts = [0, 0]

    def play(stage: Stage) -> None:
        dice = random.Random(seed)
        second = logging.FileHandler(stage.path.with_name(f"second{stage.is_installed}.log"), encoding="utf-8")
        for _ in range(40):
            try:
                stage.handler.setFormatter(make(dice, has_times=False))
            except ValueError:
                continue
            has_second = dice.random() < 0.3
            if has_second:
                second.setFormatter(dice.choice([logging.Formatter("%(message)s"), make(dice, has_times=False)]))
                stage.top.addHandler(second)
            for _ in range(6):
                extra = any_extra(dice)
                if make is django_formatter and dice.random() < 0.7:
                    extra["status_code"] = dice.choice([200, 404, 500, 304, None, "", 0, 99.5, "x"])
                if make is uvicorn_formatter and dice.random() < 0.7:
                    args = access_args(dice)
                    for _ in range(2):
                        stage.log.info(ACCESS, *args, extra=extra)
                else:
                    error = dice.choice([None, None, ValueError("é")])
                    message, args = dice.choice(
                        [("text", ()), ("é %s", (5,)), ("%s", ([],)), ("%d", ("x",)), ("日本", ())]
                    )
                    for _ in range(2):
                        stage.log.warning(message, *args, extra=extra or None, exc_info=error)
            stage.top.removeHandler(second)
        second.close()
        stage.say(Path(second.baseFilename).read_bytes().splitlines())
        fast, rendered, original = stage.counts()
        counts[:] = [fast + rendered, original]

    compare(play, "file", tmp_path)
    assert counts[0] > 30 or not SEES_CHANGES


# ---- python-json-logger


def test_json_calls_are_fast(tmp_path: Path) -> None:
    jsonlogger = pytest.importorskip("pythonjsonlogger.json")

    def play(stage: Stage) -> None:
        log = stage.log
        stage.handler.setFormatter(jsonlogger.JsonFormatter("%(levelname)s %(name)s %(message)s %(request_id)s"))
        stage.fast(lambda: log.info("text"))
        stage.fast(lambda: log.info("é %s", 5, extra={"request_id": "r", "n": 1.5, "none": None, "_hidden": object()}))
        stage.rendered(lambda: log.info("text", extra={"tags": ["é", {"a": 1}], "at": [1 << 70], "user": Path("x")}))
        stage.rendered(lambda: log.error("failed", exc_info=ValueError("é\n")))
        stage.original(lambda: log.info("text", extra={"user": "\ud800"}))

    lines = compare(play, "file", tmp_path).lines.decode().splitlines()
    assert json.loads(lines[4]) == {
        "levelname": "INFO", "name": "enemy.shop.cart", "message": "é 5", "request_id": "r", "n": 1.5, "none": None
    }  # fmt: skip


def test_a_json_formatter_that_changes_later(tmp_path: Path) -> None:
    jsonlogger = pytest.importorskip("pythonjsonlogger.json")
    core = importlib.import_module("pythonjsonlogger.core")

    def play(stage: Stage) -> None:
        log = stage.log
        formatter: Any = jsonlogger.JsonFormatter(static_fields={"a": 1}, rename_fields={"b": "c"})
        stage.handler.setFormatter(formatter)
        stage.fast(lambda: log.info("text", extra={"b": 1}))
        formatter.static_fields["a"] = True
        stage.rendered(lambda: log.info("text", extra={"b": 1}))
        formatter.rename_fields["b"] = "d"
        stage.rendered(lambda: log.info("text", extra={"b": 1}))
        formatter._required_fields.append("lineno")
        stage.rendered(lambda: log.info("text", extra={"b": 1}))
        formatter._skip_fields.add("b")
        stage.rendered(lambda: log.info("text", extra={"b": 1}))
        formatter.json_ensure_ascii = False
        stage.rendered(lambda: log.info("é", extra={"b": 1}))
        formatter.timestamp = True
        log.info("timed")
        formatter.timestamp = False
        formatter.prefix = "p"
        stage.rendered(lambda: log.info("text", extra={"b": 1}))
        formatter.json_indent = 1
        stage.original(lambda: log.info("text", extra={"b": 1}))
        formatter.json_indent = None
        formatter.process_log_record = lambda data: {**data, "own": 1}
        stage.original(lambda: log.info("text", extra={"b": 1}))
        del formatter.process_log_record
        stage.fast(lambda: log.info("text", extra={"b": 1}))

        def add_fields(self: Any, log_data: dict[str, Any], *_: Any) -> None:
            log_data["patched"] = True

        own = core.BaseJsonFormatter.add_fields
        core.BaseJsonFormatter.add_fields = add_fields
        try:
            stage.original(lambda: log.info("text"))
        finally:
            core.BaseJsonFormatter.add_fields = own
        stage.fast(lambda: log.info("text"))

    # The line with a time stamp differs from run to run.
    lines = []
    for is_installed in (False, True):
        stage = Stage("file", tmp_path, is_installed=is_installed)
        try:
            play(stage)
        finally:
            stage.close()
        lines.append([line for line in stage.lines.splitlines() if b"timed" not in line])
    assert lines[0] == lines[1]


PATCHES = [
    ("pythonjsonlogger.core", "BaseJsonFormatter.process_log_record"),
    ("pythonjsonlogger.core", "merge_record_extra"),
    ("pythonjsonlogger.json", "JsonFormatter.jsonify_log_record"),
    ("pythonjsonlogger.json", "JsonEncoder.format_datetime_obj"),
    ("logging", "Formatter.formatException"),
]


@pytest.mark.parametrize(("module", "name"), PATCHES)
@pytest.mark.parametrize("by_object", [False, True])
def test_what_is_patched_later_is_seen(module: str, name: str, by_object: bool, tmp_path: Path) -> None:
    pytest.importorskip("pythonjsonlogger.json")
    owner: Any = importlib.import_module(module)
    for part in name.split(".")[:-1]:
        owner = getattr(owner, part)
    last = name.rpartition(".")[2]
    own = getattr(owner, last)

    class Patch:
        def __call__(self, *args: Any, **options: Any) -> Any:
            made = own(None, *args, **options) if "." in name else own(*args, **options)
            return {**made, "patched": 1} if type(made) is dict else f"{made}!"

    def patched(*args: Any, **options: Any) -> Any:
        made = own(*args, **options)
        if last == "merge_record_extra":
            args[1]["patched"] = 1
        return {**made, "patched": 1} if type(made) is dict else f"{made}!"

    lines = []
    for is_installed in (False, True):
        stage = Stage("file", tmp_path, is_installed=is_installed)
        try:
            stage.handler.setFormatter(json_of(timestamp=True)())
            for _ in range(3):
                stage.log.info("first", extra={"a": 1})
            setattr(owner, last, Patch() if by_object and last == "process_log_record" else patched)
            try:
                for _ in range(3):
                    stage.log.info("patched", extra={"a": 1}, exc_info=ValueError("x"))
            finally:
                setattr(owner, last, own)
            for _ in range(3):
                stage.log.info("first", extra={"a": 1})
        finally:
            stage.close()
        digits = str.maketrans("123456789", "0" * 9)
        lines.append(stage.lines.decode().translate(digits).splitlines())
    assert lines[0] == lines[1]


class Own(logging.Formatter):
    pass


def json_of(*args: Any, **options: Any) -> Callable[[], Any]:
    return lambda: pytest.importorskip("pythonjsonlogger.json").JsonFormatter(*args, **options)


class Sorting(json.JSONEncoder):
    def encode(self, o: Any) -> str:
        return "{}"


NOT_SERVED = [
    (json_of(json_indent=2), "the formatter indents"),
    (json_of(json_serializer=str), "the formatter's json_serializer is not json.dumps"),
    (json_of(exc_info_as_array=True), "the formatter shows tracebacks as arrays"),
    (json_of(reserved_attrs=[]), "the formatter shows args beside its own fields"),
    (json_of(json_encoder=Sorting), "the formatter's json_encoder has its own encode"),
    (json_of(["exc_info"]), "the format names exc_info"),
    (json_of(static_fields={"tags": []}), "the formatter's tags is a list"),
    (
        json_of(timestamp=True, json_default=str),
        "the formatter shows the time by an encoder that is not its package's own",
    ),
    (json_of(rename_fields={"a": "message"}, rename_fields_keep_missing=True), None),
    (json_of(rename_fields={"a": "b"}, rename_fields_keep_missing=True), "the formatter shows b where it is missing"),
    (json_of([]), "the formatter shows no field of its own"),
    (json_of(["message", "\ud800"]), "the format has a lone surrogate"),
]


@pytest.mark.parametrize(("make", "reason"), NOT_SERVED)
def test_what_is_not_served_says_why(make: Callable[[], Any], reason: str | None) -> None:
    formatter = make()
    if reason is None:
        assert differs(formatter, layout_of(formatter)) is None
        return
    with pytest.raises(NotServed) as refused:
        layout_of(formatter)
    assert str(refused.value) == reason


def test_a_subclass_is_not_served() -> None:
    base = pytest.importorskip("pythonjsonlogger.json").JsonFormatter
    kind = type("JsonFormatter", (base,), {"__module__": base.__module__})
    with pytest.raises(NotServed, match=r"the formatter is a pythonjsonlogger\.json\.JsonFormatter"):
        layout_of(kind())


def test_the_old_import_path() -> None:
    pytest.importorskip("pythonjsonlogger.json")
    sys.modules.pop("pythonjsonlogger.jsonlogger", None)
    with pytest.warns(DeprecationWarning, match="has been moved"):
        old = importlib.import_module("pythonjsonlogger.jsonlogger")
    formatter = old.JsonFormatter("%(message)s")
    assert differs(formatter, layout_of(formatter)) is None


def test_ascii_json_into_a_stream_that_is_not_utf_8(tmp_path: Path) -> None:
    jsonlogger = pytest.importorskip("pythonjsonlogger.json")

    def play(stage: Stage) -> None:
        handler = logging.FileHandler(stage.path.with_name(f"{stage.is_installed}.log"), encoding="ascii")
        handler.setFormatter(jsonlogger.JsonFormatter())
        stage.top.removeHandler(stage.handler)
        stage.top.addHandler(handler)
        stage.rendered(lambda: stage.log.info("é 日本", extra={"é": "\U0001f600"}))
        handler.setFormatter(jsonlogger.JsonFormatter(json_ensure_ascii=False))
        stage.original(lambda: stage.log.info("é 日本", extra={"a": 1}))
        stage.top.removeHandler(handler)
        handler.close()
        stage.say(Path(handler.baseFilename).read_bytes())

    compare(play, "file", tmp_path)


# ---- uvicorn, django


def test_uvicorns_own_configuration(tmp_path: Path) -> None:
    config = pytest.importorskip("uvicorn.config").LOGGING_CONFIG["formatters"]
    kinds = pytest.importorskip("uvicorn.logging")

    def play(stage: Stage) -> None:
        log = stage.log
        stage.handler.setFormatter(kinds.DefaultFormatter(config["default"]["fmt"], use_colors=False))
        stage.fast(lambda: log.info("text"))
        stage.fast(lambda: log.info("Started %d", 7, extra={"color_message": "\x1b[32mStarted %d"}))
        stage.fast(lambda: log.warning("text"))
        stage.handler.setFormatter(kinds.AccessFormatter(config["access"]["fmt"], use_colors=False))
        for status in (200, 404, 599):
            stage.fast(lambda status=status: log.info(ACCESS, "127.0.0.1:5", "GET", "/a?b", "1.1", status))
        stage.rendered(lambda: log.info(ACCESS, "127.0.0.1:5", "GET", "/日本", "1.1", 200))
        stage.original(lambda: log.info("no request"))
        stage.original(lambda: log.info(ACCESS, "127.0.0.1:5", "GET", "/", 1.1, 200))
        stage.original(lambda: log.info(ACCESS, None, "GET", "/", "1.1", 200))

    compare(play, "file", tmp_path)


def test_djangos_own_configuration(tmp_path: Path) -> None:
    import_for(django_formatter)
    config = importlib.import_module("django.utils.log").DEFAULT_LOGGING["formatters"]["django.server"]
    kind = importlib.import_module("django.utils.log").ServerFormatter

    def play(stage: Stage) -> None:
        log = stage.log
        stage.handler.setFormatter(kind(config["format"], style=config["style"]))
        extra = {"request": object(), "server_time": "10/Oct/2026 10:00:00", "status_code": 200}
        stage.fast(lambda: log.info("text", extra={"server_time": "now"}))
        stage.fast(lambda: log.info('"%s" %s %s', "GET / HTTP/1.1", "200", "5", extra=extra))
        stage.fast(lambda: log.info("text", extra={"server_time": 5}))
        stage.original(lambda: log.info("text", extra={"server_time": "x", "status_code": "200"}))

    compare(play, "file", tmp_path)


def test_a_formatter_that_leaves_a_field_for_another_one() -> None:
    import_for(django_formatter)
    pytest.importorskip("pythonjsonlogger.json")
    server = importlib.import_module("django.utils.log").ServerFormatter("{server_time} {message}", style="{")
    one = layout_of(server).extra
    others = [json_of()(), logging.Formatter("%(server_time)s")]
    for other in others:
        shown = [extra for extra in (one, layout_of(other).extra) if extra is not None]
        assert combined(shown) == "a formatter leaves server_time in the record for another one"


@pytest.mark.skipif(not SEES_CHANGES, reason="all calls go the way of logging")
def test_routes_say_what_formatter_is_not_served(tmp_path: Path) -> None:
    stage = Stage("file", tmp_path, is_installed=True)
    try:
        stage.handler.setFormatter(Own())
        stage.original(lambda: stage.log.info("text"))
        assert stage.why_not()["enemy.shop.cart"] == f"handler FileHandler: the formatter is a {__name__}.Own"
    finally:
        stage.close()


def test_timestamps() -> None:
    formatter = json_of(["message"], timestamp=True)()
    layout = layout_of(formatter)
    dice = random.Random(5)
    for _ in range(3000):
        ns = dice.choice([dice.randint(FIRST_NS, LAST_NS), dice.randrange(2**61), dice.randrange(2**44) * 500, 0])
        record = made_at(ns, name="a", level=20, path="p", line=1, message="", function="f")
        expected = (formatter.format(record) + "\n").encode()
        assert native_line(record, layout, ns, fields={}) == (expected, expected), ns
