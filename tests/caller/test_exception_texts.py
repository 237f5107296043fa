"""Exceptions as they are written, against `traceback.format_exception` of the running version, byte for byte."""

from __future__ import annotations

import json
import linecache
import sys
import traceback
import types
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logly import Logger, LoggerConfig, SinkConfig
from logly.caller.tracebacks import exception_text


class Names(Exception):
    class Inner(Exception):
        pass


class Falsy(Exception):
    def __len__(self) -> int:
        return 0


class Talks(Exception):
    def __str__(self) -> str:
        raise OSError("no text")


class Subtle(Exception):
    @property
    def __cause__(self) -> Any:
        return None

    @__cause__.setter
    def __cause__(self, value: object) -> None:
        pass


class Text(str):
    __slots__ = ()

    def __format__(self, spec: str) -> str:
        return "formatted"


class OddText(Exception):
    def __str__(self) -> str:
        return Text("odd")


class Reads(Exception):
    def __getattribute__(self, name: str) -> Any:
        if name == "__notes__":
            return ["always there"]
        return super().__getattribute__(name)


class Noted(Exception):
    __notes__ = ("of the class",)


Meta = types.new_class("Meta", (type,), {}, lambda space: space.update(__qualname__="Meta"))
Made = Meta("Made", (Exception,), {})
Forged = type("2026-01-01 00:00:00 | INFO | forged\nline", (Exception,), {})
NoModule = type("NoModule", (Exception,), {"__module__": 7})

MADE: list[type[BaseException]] = [Names.Inner, Falsy, Talks, Subtle, OddText, Reads, Noted, Made, Forged, NoModule]
KINDS: list[type[BaseException]] = [
    *MADE,
    ValueError,
    KeyError,
    OSError,
    StopIteration,
    KeyboardInterrupt,
    NameError,
    AttributeError,
    ImportError,
    RecursionError,
    MemoryError,
    SyntaxError,
    UnicodeError,
]

TEXTS = [
    "",
    "one",
    "two\nlines",
    "\n",
    "ends\n\n",
    "\x0cform\x1cfeed\u2028",
    "\u00e9t\u00e9",
    "\u4e2d\u6587",
    "\U0001f600",
]
NOTES: list[object] = [None, 5, "text", [1, "x"], ("a", "b\nc"), [Text("n")]]
texts = st.one_of(st.sampled_from(TEXTS), st.text(max_size=20))
leaves = st.tuples(st.just("raise"), st.sampled_from(KINDS), texts, st.integers(0, 8), st.booleans())


def larger(plans: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.tuples(st.just("from"), plans, plans),
        st.tuples(st.just("while"), plans, plans),
        st.tuples(st.just("from_none"), plans, plans),
        st.tuples(st.just("again"), plans, st.integers(0, 5)),
        st.tuples(st.just("note"), plans, st.lists(texts, max_size=3)),
        st.tuples(st.just("odd_notes"), plans, st.sampled_from(NOTES)),
        st.tuples(st.just("group"), st.lists(plans, min_size=1, max_size=4), texts),
        st.tuples(st.just("wide"), plans, st.integers(14, 18)),
        st.tuples(st.just("nested"), plans, st.integers(1, 13)),
        st.tuples(st.just("cycle"), plans, plans),
        st.tuples(st.just("bare"), plans),
    )


plans = st.recursive(leaves, larger, max_leaves=8)


def recurse(times: int, then: Any) -> None:
    if times:
        recurse(times - 1, then)
    else:
        play(then)


def there_and_back(times: int, then: Any) -> None:
    (play if times == 0 else there_and_back)(*([then] if times == 0 else [times - 1, then]))


def caught(plan: Any) -> BaseException:
    try:
        play(plan)
    except BaseException as error:  # noqa: BLE001
        return error
    raise AssertionError("nothing was raised")


def play(plan: Any) -> None:
    PLAYS[plan[0]](*plan[1:])


def play_raise(kind: type[BaseException], text: str, depth: int, same_line: bool) -> None:
    if depth:
        (recurse if same_line else there_and_back)(depth, ("raise", kind, text, 0, same_line))
    raise kind(text) if text else kind()


def play_from(plan: Any, cause: Any) -> None:
    raise caught(plan) from caught(cause)


def play_while(first: Any, second: Any) -> None:
    try:
        play(first)
    except BaseException:  # noqa: BLE001
        play(second)


def play_from_none(first: Any, second: Any) -> None:
    try:
        play(first)
    except BaseException:  # noqa: BLE001
        raise caught(second) from None


def play_again(plan: Any, times: int) -> None:
    error = caught(plan)
    for _ in range(times):
        try:
            raise error
        except BaseException as same:  # noqa: BLE001
            error = same
    raise error


def play_note(plan: Any, notes: list[str]) -> None:
    error = caught(plan)
    for note in notes:
        error.add_note(note)
    raise error


def play_odd_notes(plan: Any, notes: Any) -> None:
    error = caught(plan)
    error.__notes__ = notes
    raise error


def play_group(plans: list[Any], text: str) -> None:
    raise BaseExceptionGroup(text, [caught(one) for one in plans])


def play_wide(plan: Any, count: int) -> None:
    raise BaseExceptionGroup("wide", [caught(plan)] * count)


def play_nested(plan: Any, depth: int) -> None:
    error = caught(plan)
    for i in range(depth):
        error = BaseExceptionGroup(f"level {i}", [error, ValueError(i)])
    raise error


def play_cycle(plan: Any, other: Any) -> None:
    first, second = caught(plan), caught(other)
    first.__context__, second.__cause__ = second, first
    raise second


def play_bare(plan: Any) -> None:
    error = caught(plan)
    error.__traceback__ = None
    raise error


PLAYS: dict[str, Any] = {name.removeprefix("play_"): play for name, play in list(globals().items()) if "play_" in name}


class Written:
    """What three sinks get of an exception."""

    def __init__(self, folder: Path) -> None:
        self.records: list[Any] = []
        self.told: list[Exception] = []
        self.folder = folder
        self.logger = Logger(LoggerConfig(on_error=self.told.append))
        self.logger.add_sink(SinkConfig(function=self.records.append))
        self.logger.add_sink(
            SinkConfig(path=folder / "kept.log", format="{exception}", newlines="keep", buffer_size=1 << 22)
        )
        self.logger.add_sink(SinkConfig(path=folder / "safe.log", format="{exception}", buffer_size=1 << 22))
        self.logger.add_sink(SinkConfig(path=folder / "lines.json", json=True, buffer_size=1 << 22))

    def write(self, error: BaseException) -> None:
        self.logger.error("x", exc_info=error)
        assert self.logger.flush(30)

    def take_all(self) -> None:
        for name in ("kept.log", "safe.log", "lines.json"):
            (self.folder / name).write_bytes(b"")
        self.logger.reopen()

    def take(self) -> tuple[str, str, dict[str, str]]:
        kept, safe, lines = [self.folder / name for name in ("kept.log", "safe.log", "lines.json")]
        found = kept.read_bytes(), safe.read_bytes(), lines.read_bytes()
        for path in (kept, safe, lines):
            path.write_bytes(b"")
        self.logger.reopen()
        return found[0].decode(), found[1].decode(), json.loads(found[2])["exception"]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory):
    written = Written(tmp_path_factory.mktemp("exceptions"))
    yield written
    written.logger.close()
    assert written.told == []


def check(written: Written, error: BaseException) -> None:
    expected = "".join(traceback.format_exception(error))
    _, message, _, safe = exception_text(error, error.__traceback__)
    written.write(error)
    kept, made_safe, in_json = written.take()
    record = written.records.pop()
    assert record.exception.type == in_json["type"] == type(error).__name__
    has_surrogates = any(0xD800 <= ord(c) <= 0xDFFF for c in expected)
    if not has_surrogates:
        assert record.exception.stack == expected
        assert record.exception.message == in_json["message"] == message
        assert in_json["stack"] == expected
        assert kept == expected.rstrip("\n") + "\n"
    if (safe or expected).isprintable() or all(c.isprintable() or c == "\n" for c in safe or expected):
        assert made_safe == (safe or expected).rstrip("\n") + "\n"


@given(plan=plans)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_random_exceptions(written: Written, plan: Any) -> None:
    error = caught(plan)
    check(written, error)
    check(written, error)  # its places are known now


def test_no_more_than_traceback_shows_of_long_recursions(written: Written) -> None:
    def deep(n: int) -> None:
        if n == 0:
            raise ValueError("deep")
        deep(n - 1)

    for depth in (2, 3, 4, 5, 500):
        with pytest.raises(ValueError, match="deep") as caught_error:
            deep(depth)
        check(written, caught_error.value)


def test_a_recursion_error(written: Written) -> None:
    def endless(n: int) -> int:
        return endless(n + 1) + 1

    with pytest.raises(RecursionError) as caught_error:
        endless(0)
    check(written, caught_error.value)


def test_a_traceback_of_100_000_entries(written: Written) -> None:
    error = caught(("raise", ValueError, "long", 0, True))
    other = caught(("raise", ValueError, "long", 3, True))
    first, second = error.__traceback__, other.__traceback__
    assert first is not None
    assert second is not None
    chain = None
    for i in range(100_000):
        entry = first if i % 7 else second
        chain = types.TracebackType(chain, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    check(written, error.with_traceback(chain))


def test_lines_that_jinja2_and_tblib_set(written: Written) -> None:
    error = caught(("raise", ValueError, "moved", 2, True))
    entry = error.__traceback__
    assert entry is not None
    for line in (1, 2, 10**6, 3):
        moved = types.TracebackType(entry.tb_next, entry.tb_frame, entry.tb_lasti, line)
        check(written, error.with_traceback(moved))


def test_code_of_templates_that_ends(written: Written) -> None:
    for i in range(50):
        code = compile("\n" * i + f"raise ValueError({i})", f"template{i}.html", "exec")
        try:
            exec(code.replace(co_name=f"template {i}"), {})
        except ValueError as error:
            check(written, error)
        del code


@pytest.mark.parametrize("limit", [0, 1, 2, -1, 1000])
def test_sys_tracebacklimit(written: Written, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    error = caught(("raise", ValueError, "limited", 5, False))
    monkeypatch.setattr(sys, "tracebacklimit", limit, raising=False)
    check(written, error)


def test_a_text_is_as_it_was_first_seen(written: Written, tmp_path: Path) -> None:
    source = tmp_path / "changing.py"
    source.write_text("def fail():\n    raise ValueError('as it was')\n")
    scope: dict[str, Any] = {}
    exec(compile(source.read_text(), str(source), "exec"), scope)
    with pytest.raises(ValueError, match="as it was") as first:
        scope["fail"]()
    check(written, first.value)
    check(written, first.value)  # where much code has ended, an entry gets a place at the second sight
    source.write_text("def fail():\n    raise ValueError('as it is')\n")
    linecache.clearcache()
    written.write(first.value)
    kept, _, _ = written.take()
    written.records.clear()
    assert "as it was" in kept
    assert "as it is" not in kept


def test_a_class_that_is_renamed(written: Written) -> None:
    class Renamed(Exception):
        pass

    error = caught(("raise", Renamed, "x", 0, True))
    check(written, error)
    Renamed.__qualname__ = "Other"
    check(written, error)
    Renamed.__module__ = "elsewhere"
    check(written, error)
    Renamed.__str__ = lambda self: "another text"  # type: ignore[method-assign, assignment]
    check(written, error)
    Renamed.__cause__ = property(lambda self: ValueError("made up"))  # type: ignore[assignment]
    check(written, error)


def test_suggestions(written: Written) -> None:
    collections_of = 1

    def misspelt() -> None:
        collection_of  # type: ignore[name-defined] # noqa: B018, F821

    for call in (misspelt, lambda: "".joim([]), lambda: exec("from json import lods")):  # type: ignore[attr-defined]
        with pytest.raises((NameError, AttributeError, ImportError)) as caught_error:
            call()
        check(written, caught_error.value)
    assert collections_of


def test_a_traceback_that_is_none(written: Written) -> None:
    """billiard, and so celery, hands over tracebacks of its own making."""

    class Frame:
        def __init__(self, code: types.CodeType) -> None:
            self.f_code = code
            self.f_globals = self.f_locals = {"__name__": "elsewhere"}

    class Traceback:
        __class__ = types.TracebackType  # type: ignore[assignment]

        def __init__(self, entry: types.TracebackType) -> None:
            self.tb_frame = Frame(entry.tb_frame.f_code)
            self.tb_lasti, self.tb_lineno, self.tb_next = entry.tb_lasti, entry.tb_lineno, None

    error = caught(("raise", ValueError, "from a worker", 0, True))
    made = Traceback(error.__traceback__)  # type: ignore[arg-type]
    for trace in (made, "a text", 5):
        written.logger.error("x", exc_info=(ValueError, error, trace))  # type: ignore[arg-type]
    assert written.logger.flush(30)
    stacks = [record.exception.stack for record in written.records]
    assert stacks[0] == "".join(traceback.format_exception(ValueError, error, made))  # type: ignore[arg-type]
    assert all("from a worker" in stack for stack in stacks)
    written.logger.error("x", exc_info=Mock(spec=ValueError, __traceback__=None))
    written.logger.error("x", exc_info=(ValueError, Mock(spec=ValueError), made))  # type: ignore[arg-type]
    assert written.logger.flush(30)
    assert "is neither True nor an exception" in str(written.told.pop(0))
    assert "no exception is being handled" in str(written.told.pop(0))
    written.records.clear()
    written.take_all()
