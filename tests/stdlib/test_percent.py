"""Templates of `logging` that the flusher renders: each text is that of CPython's ``%``, to the byte."""

from __future__ import annotations

import io
import json
import logging
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logly import Logger, LoggerConfig, SinkConfig, StdlibHandler
from tests.support.percent import CALLS, Made, made, text_of, visible
from tests.support.programs import run_python
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from logly import Record

__all__ = ["made"]


class Bridge:
    def __init__(self, **config: Any) -> None:
        self.seen: list[Record] = []
        self.failures: list[logging.LogRecord] = []
        self.logger = Logger(LoggerConfig(auto_sink=False, level="TRACE", **config))
        self.logger.add_sink(SinkConfig(function=self.seen.append))
        self.handler = StdlibHandler(self.logger)
        self.handler.handleError = self.failures.append  # type: ignore[method-assign]
        self.std = logging.Logger("shop", logging.DEBUG)
        self.std.addHandler(self.handler)

    def messages(self) -> list[str]:
        assert self.logger.flush(PATIENCE_S)
        taken = [one.message for one in self.seen]
        self.seen.clear()
        return taken


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    one = Bridge()
    yield one
    one.logger.close()


MANY = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@MANY
@given(st.lists(CALLS, min_size=1, max_size=20))
def test_any_template_says_what_percent_says(
    bridge: Bridge, made: Made, calls: list[tuple[str, tuple[Any, ...]]]
) -> None:
    texts = [text_of(*call) for call in calls]
    for _ in range(3):
        for template, values in calls:
            bridge.std.info(template, *values)
        assert bridge.messages() == [text for text in texts if text is not None]
    assert len(bridge.failures) == 3 * texts.count(None)
    bridge.failures.clear()


NATIVE: list[tuple[str, tuple[Any, ...]]] = [
    ("order %s filled at %.2f", (7, 3.14159)),
    ("%s %s %s %s", (None, True, 1.5, "é")),
    ("%r %a %5s|%-5s|%.2s", ("é'", "é", "日", 1.25, None)),
    ("%d %i %u %5d|%-5d|%05d|%+d|% d|%-05d", (1, True, -3, 4, 5, 6, 7, 8, -9)),
    ("%x %X %o %08x", (255, 255, 8, -255)),
    ("%d %s", (2**64 - 1, -(2**63))),
    ("%e %E %f %F %g %G %.0f", (1, True, 2.5, float("nan"), float("inf"), 1e300, 2.5)),
    ("%ld %hd %Lf", (1, 2, 3.0)),
    ("100%% of %s", ("it",)),
    ("%4096s", ("x",)),
    ("{} {0} {x} %s", ("{}",)),
]
NOT_NATIVE: list[tuple[str, tuple[Any, ...]]] = [
    ("%*d", (5, 3)),
    ("%c", ("x",)),
    ("%.3d", (5,)),
    ("%#x", (5,)),
    ("%d", (1.5,)),
    ("%d", (2**64,)),
    ("%s", (10**30,)),
    ("%s", (b"x",)),
    ("%r", (b"x",)),
    ("%s", ([1],)),
    ("%4097s", ("x",)),
    ("%s", (type("Text", (str,), {"__str__": lambda _: "mine"})("x"),)),
    ("%d", (type("Number", (int,), {"__repr__": lambda _: "mine"})(3),)),
]
FAILING: list[tuple[str, tuple[Any, ...]]] = [
    ("%s", (1, 2)),
    ("%s %s", (1,)),
    ("no placeholder", (1,)),
    ("100%%", (1,)),
    ("%d", ("x",)),
    ("%x", (1.5,)),
    ("%d", (None,)),
    ("%f", ("1.5",)),
    ("%", (1,)),
    ("%s %", (1,)),
    ("%s%", (1,)),
    ("%5", (1,)),
    ("%z", (1,)),
    ("%(a)s", (1, 2)),
    ("%lld", (1,)),
    ("%d", (float("inf"),)),
]


@pytest.mark.parametrize(("template", "values"), NATIVE)
def test_what_the_flusher_renders(bridge: Bridge, made: Made, template: str, values: tuple[Any, ...]) -> None:
    for _ in range(3):
        bridge.std.info(template, *values)
    assert bridge.messages() == [template % values] * 3
    assert made.take()[1:] == [True, True], "the second time a template comes, the flusher renders it"


@pytest.mark.parametrize(("template", "values"), NOT_NATIVE)
def test_what_is_rendered_at_the_call(bridge: Bridge, made: Made, template: str, values: tuple[Any, ...]) -> None:
    for _ in range(3):
        bridge.std.info(template, *values)
    assert bridge.messages() == [template % values] * 3
    assert made.take() == [False] * 3


@pytest.mark.parametrize("percent", ["%5%", "%-%", "%l%", "%.%", "%.3%", "%0%", "% %", "%+%"])
def test_something_before_the_second_percent(bridge: Bridge, made: Made, percent: str) -> None:
    with_argument = percent + "%s"
    for _ in range(3):
        bridge.std.info(with_argument, "x")
        bridge.std.info(percent, "x")
    texts = [text_of(with_argument, ("x",)), text_of(percent, ("x",))] * 3
    assert bridge.messages() == [text for text in texts if text is not None]
    assert True not in made.take()


@pytest.mark.parametrize(("template", "values"), FAILING)
def test_what_fails_is_told_as_by_logging(
    bridge: Bridge, made: Made, capsys: pytest.CaptureFixture[str], template: str, values: tuple[Any, ...]
) -> None:
    del bridge.handler.handleError
    told: dict[str, list[str]] = {}
    for way in ("at the call", "by the flusher"):
        made.is_off = way == "at the call"
        told[way] = []
        for _ in range(3):
            bridge.std.info(template, *values)
            told[way].append(capsys.readouterr().err)
    assert bridge.messages() == []
    assert len(set(told["at the call"] + told["by the flusher"])) == 1
    assert f"Message: {template!r}\nArguments: {values!r}\n" in told["by the flusher"][0]
    assert "in getMessage\n    msg = msg % self.args" in told["by the flusher"][0]


def test_one_mapping_is_the_argument(bridge: Bridge, made: Made) -> None:
    for _ in range(3):
        bridge.std.info("%(a)s and %(b)d", {"a": 1, "b": 2})
        bridge.std.info("%s", {"a": 1})
        bridge.std.info("%s", {})
    assert bridge.messages() == ["1 and 2", "{'a': 1}", "{}"] * 3
    assert True not in made.take()


def test_without_arguments_nothing_is_a_template(bridge: Bridge, made: Made) -> None:
    for _ in range(3):
        bridge.std.info("100% %s %d")
    assert bridge.messages() == ["100% %s %d"] * 3
    assert made.take() == []


def test_a_message_that_is_no_plain_str_makes_its_own_text(bridge: Bridge, made: Made) -> None:
    class Text(str):
        def __str__(self) -> str:
            return "mine %s"

    class Shown:
        def __str__(self) -> str:
            return "shown %d"

    for _ in range(3):
        bridge.std.info(Text("%s"), 1)
        bridge.std.info(Shown(), 2)
        bridge.std.info(5)
    assert bridge.messages() == ["mine 1", "shown 2", "5"] * 3
    assert made.take() == []


BYTES_PROGRAM = """
import logging
from logly import Logger, LoggerConfig, SinkConfig, StdlibHandler
seen, failures = [], []
logger = Logger(LoggerConfig(auto_sink=False))
logger.add_sink(SinkConfig(function=lambda record: seen.append(record.message)))
handler = StdlibHandler(logger)
handler.handleError = failures.append
for i in range(4):
    handler.handle(logging.LogRecord("n", 20, "f", 1, "%s", (b"x" if i % 2 else "y",), None))
    handler.handle(logging.LogRecord("n", 20, "f", 1, "%r", (b"x",), None))
assert logger.flush(30)
assert seen == ["y", "b'x'", "b'x'"] * 2, seen
assert len(failures) == 2, failures
"""


def test_bytes_fail_where_python_has_them_fail() -> None:
    run_python("-bb", "-c", BYTES_PROGRAM)


# ---- which records are `logging`'s own


def record_of(kind: Callable[..., logging.LogRecord]) -> logging.LogRecord:
    return kind("n", logging.INFO, "/f.py", 1, "%s and %d", ("a", 3), None)


class Own(logging.LogRecord):
    def getMessage(self) -> str:
        return "mine"


class Access(logging.LogRecord):
    def __getattribute__(self, name: str) -> Any:
        return (lambda: "mine") if name == "getMessage" else super().__getattribute__(name)


class Property(logging.LogRecord):
    @property
    def args(self) -> Any:
        return ("mine", 0)

    @args.setter
    def args(self, _: object) -> None:
        pass


class Plain(logging.LogRecord):
    pass


@pytest.mark.parametrize(
    ("kind", "text", "is_native"),
    [(Own, "mine", False), (Access, "mine", False), (Property, "mine and 0", False), (Plain, "a and 3", True)],
)
def test_a_class_of_records(
    bridge: Bridge, made: Made, kind: type[logging.LogRecord], text: str, is_native: bool
) -> None:
    for _ in range(3):
        bridge.handler.handle(record_of(kind))
    assert bridge.messages() == [text] * 3
    assert (True in made.take()) is is_native


def test_a_message_that_is_made_may_change_the_record(bridge: Bridge) -> None:
    class Quiet(logging.LogRecord):
        def getMessage(self) -> str:
            self.exc_info, self.lineno, self.threadName = None, 77, "other"
            return "quiet"

    bridge.handler.handle(Quiet("n", 20, "/f.py", 1, "%s", ("x",), failure()))
    assert bridge.logger.flush(PATIENCE_S)
    (record,) = bridge.seen
    assert (record.message, record.exception, record.lineno, record.thread_name) == ("quiet", None, 77, "other")


def test_a_record_or_class_that_is_patched(bridge: Bridge, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    bridge.handler.handle(record_of(logging.LogRecord))
    record = record_of(logging.LogRecord)
    record.getMessage = lambda: "its own"  # type: ignore[method-assign]
    bridge.handler.handle(record)
    with monkeypatch.context() as patch:
        patch.setattr(logging.LogRecord, "getMessage", lambda _: "patched")
        bridge.handler.handle(record_of(logging.LogRecord))
        bridge.handler.handle(record_of(Plain))
    bridge.handler.handle(record_of(logging.LogRecord))
    messages = bridge.messages()
    assert [text for text in messages if text != "a and 3"] == ["its own", "patched", "patched"]
    assert messages[-1] == "a and 3"
    assert made.take()[-1:] == [True]


PATCHED_BEFORE = """
import logging
real = logging.LogRecord.getMessage
logging.LogRecord.getMessage = lambda self: "before: " + real(self)
from logly import Logger, LoggerConfig, SinkConfig, StdlibHandler
seen = []
logger = Logger(LoggerConfig(auto_sink=False))
logger.add_sink(SinkConfig(function=lambda record: seen.append(record.message)))
handler = StdlibHandler(logger)
for i in range(3):
    handler.handle(logging.LogRecord("n", 20, "f", 1, "%s", (i,), None))
assert logger.flush(30)
assert seen == ["before: 0", "before: 1", "before: 2"], seen
"""


def test_a_class_that_was_patched_before_logly_is_imported() -> None:
    run_python("-c", PATCHED_BEFORE)


def test_a_formatter_or_a_format_of_the_handler_makes_the_text(bridge: Bridge, made: Made) -> None:
    class Shouting(StdlibHandler):
        def format(self, record: logging.LogRecord) -> str:
            return record.getMessage().upper()

    bridge.handler.setFormatter(logging.Formatter("<%(message)s>"))
    bridge.std.addHandler(Shouting(bridge.logger))
    for _ in range(3):
        bridge.std.info("%s", "x")
    assert bridge.messages() == ["<x>", "X"] * 3
    assert made.take() == []


# ---- with and without: the bytes of every layout


@st.composite
def whole_records(draw: st.DrawFn) -> dict[str, Any]:
    template, values = draw(CALLS)
    if text_of(template, values) is None:
        # Most drawn templates fail. They are arguments here, so that none is drawn in vain.
        template, values = "%s|%r", (template, template)
    return {
        "msg": template,
        "args": values,
        "levelno": draw(st.sampled_from([5, 10, 20, 30, 40, 50, 33])),
        "exc_info": draw(st.sampled_from([None, None, failure(), (None, None, None)])),
        "exc_text": draw(st.sampled_from([None, None, "Traceback of before"])),
        "stack_info": draw(st.sampled_from([None, None, "Stack (most recent call last):\n  a stack"])),
        "created": draw(st.sampled_from([1_000_000_000.25, 1.5])),
        "process": draw(st.sampled_from([1, 2**33])),
        "thread": draw(st.integers(0, 2**64 - 1)),
        "threadName": draw(st.sampled_from(["main", "é"])),
        **draw(
            st.dictionaries(st.sampled_from(["user", "x"]), st.text(max_size=5) | st.integers() | st.none(), max_size=2)
        ),
    }


def failure() -> Any:
    try:
        raise KeyError("lost")
    except KeyError:
        return sys.exc_info()


LAYOUT = (
    "{time} {level} {name} {module} {function} {lineno} {thread} {thread_name} {process} {message}{fields} {exception}"
)


@MANY
@given(st.lists(whole_records(), min_size=1, max_size=10), st.booleans())
def test_the_bytes_are_those_of_a_text_made_at_the_call(
    tmp_path_factory: pytest.TempPathFactory, made: Made, records: list[dict[str, Any]], is_bound: bool
) -> None:
    written = {}
    for made.is_off in (True, False):
        folder: Path = tmp_path_factory.mktemp("bytes")
        with Logger(LoggerConfig(auto_sink=False, level=0)) as logger:
            logger.add_sink(SinkConfig(path=folder / "text", format=LAYOUT))
            logger.add_sink(SinkConfig(path=folder / "keep", format=LAYOUT, newlines="keep"))
            logger.add_sink(SinkConfig(path=folder / "json", json=True))
            logger.add_sink(SinkConfig(path=folder / "logfmt", format="logfmt"))
            handler = StdlibHandler(logger.bind(bound=1) if is_bound else logger)
            for _ in range(2):
                for attributes in records:
                    record = logging.LogRecord("n", 20, "f", 1, attributes["msg"], attributes["args"], None)
                    args = record.args
                    vars(record).update(attributes, args=args)
                    handler.handle(record)
        written[made.is_off] = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert written[True] == written[False]
    assert len(written[True]["json"].splitlines()) == 2 * len(records)


@pytest.mark.parametrize("limit", [64, 100, 400, 5000])
@pytest.mark.parametrize(
    ("template", "value"),
    [("%s", "x" * 70), ("%a", "\U0001f600" * 8), ("%300s", ""), ("%-99d", 1), ("%.90f", 1.5), ("y" * 90 + "%s", 1),
     ("%s", "é" * 3000), ("%f", 1e300), ("%s", 1)],
)  # fmt: skip
def test_a_long_message_is_cut_as_before(made: Made, limit: int, template: str, value: object) -> None:
    bridge = Bridge(max_message_bytes=limit)
    for made.is_off in (True, False):
        for _ in range(3):
            bridge.std.info(template, value)
    messages = bridge.messages()
    assert len(messages) == 6
    assert len(set(messages)) == 1
    text = visible(template % (value,))
    assert messages[0] == text if len(text.encode()) <= limit else " [logly: cut, " in messages[0]
    bridge.logger.close()


def test_a_finished_text_of_a_queue_is_none(bridge: Bridge, made: Made) -> None:
    record = logging.LogRecord("n", 20, "f", 1, "%s", ("x",), None)
    record.exc_text = "Traceback of before"
    for _ in range(3):
        bridge.handler.handle(record)
    assert bridge.messages() == ["x\nTraceback of before"] * 3
    assert made.take() == []


def test_json_and_streams_have_it_too(made: Made) -> None:
    stream = io.StringIO()
    template = "%s \u20ac %05.1f \ud800"
    with Logger(LoggerConfig(auto_sink=False)) as logger:
        logger.add_sink(SinkConfig(stream=stream, json=True))
        handler = StdlibHandler(logger)
        for i in range(3):
            handler.handle(logging.LogRecord("n", 20, "f", 1, template, (i, i / 3), None))
    shown = [json.loads(line)["message"] for line in stream.getvalue().splitlines()]
    assert shown == [visible(template % (i, i / 3)) for i in range(3)]
    assert True in made.take()
