"""An object that logs itself while it is shown: the RecursionError goes up at once, as with `logging`.

Were it dealt with at any level, that level would show its next value, and so would each level above: time exponential
in the recursion limit. So the number of calls is what is tested.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from logly import Logger, LoggerConfig, Record, SinkConfig
from tests.support.log_files import lines_of
from tests.support.loggers import assert_books
from tests.support.programs import run_program
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TOO_MANY = 20_000
"""Calls; the recursion limit is a twentieth of it."""


class TooOften(BaseException):
    """No Exception: it must end the test, whatever catches what."""


class Chatty:
    """Logs itself whenever it is shown, by `speak`."""

    def __init__(self, speak: Callable[[Any], object]) -> None:
        self.speak = speak
        self.calls = 0

    def __str__(self) -> str:
        self.calls += 1
        if self.calls > TOO_MANY:
            raise TooOften
        self.speak(self)
        return "chatty"

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return str(self)


class ChattyError(Exception):
    """An exception that logs itself whenever it is shown."""

    def __init__(self, chatty: Chatty) -> None:
        self.chatty = chatty

    def __str__(self) -> str:
        return str(self.chatty)


@pytest.fixture
def logger(tmp_path: Path) -> Iterator[Logger]:
    logger = Logger(LoggerConfig(auto_sink=False, on_error=lambda error: None))
    logger.add_sink(SinkConfig(path=tmp_path / "log", format="{message} {fields} {exception}"))
    logger.info("before")
    yield logger
    assert logger.flush(30)
    assert_books(logger)
    logger.info("after")
    logger.close()
    lines = lines_of(tmp_path / "log")
    # Nothing of what it was about is there: each of these records was left before it was complete.
    assert [line.strip() for line in lines] == ["before", "after"]
    stats = logger.stats()
    assert (stats.emitted, stats.written) == (2, 2)


def goes_up(chatty: Chatty) -> None:
    with pytest.raises(RecursionError):
        chatty.speak(chatty)
    assert 0 < chatty.calls <= sys.getrecursionlimit()


WAYS = {
    "two placeholders": lambda logger, me: logger.info("{} {}", me, me),
    "two reprs": lambda logger, me: logger.info("{!r} {!r}", me, me),
    "a placeholder that does not fit": lambda logger, me: logger.info("{} {:d}", me, "x"),
    "fields": lambda logger, me: logger.info("x", a=me, b=me),
    "named placeholders": lambda logger, me: logger.info("{a} {b}", a=me, b=me),
    "in a list": lambda logger, me: logger.info("x", a=[me, me]),
    "in a dict": lambda logger, me: logger.info("x", a={"k": me, "l": {"m": me}}),
    "as a key": lambda logger, me: logger.info("x", a={me: 1, (me,): 2}),
    "the message": lambda logger, me: logger.info(me),
    "the message, with arguments": lambda logger, me: logger.info(me, me),
    "bind": lambda logger, me: logger.bind(a=me, b=me).info("x"),
    "contextualize": lambda logger, me: logger.contextualize(a=me, b=me).__enter__(),
    "set_context": lambda logger, me: logger.set_context(a=me, b=me),
    "log": lambda logger, me: logger.log("Info", "{} {}", me, me),
}


@pytest.mark.parametrize("way", WAYS)
def test_an_object_that_logs_itself(logger: Logger, way: str) -> None:
    goes_up(Chatty(lambda me: WAYS[way](logger, me)))


def test_a_fallback_that_logs_itself(logger: Logger) -> None:
    """The message cannot be formatted: what is written instead shows every argument."""

    class Unformatted(Chatty):
        def __format__(self, spec: str) -> str:
            raise ValueError("not to be formatted")

    goes_up(Unformatted(lambda me: logger.info("{} {}", me, me)))
    assert logger.stats().failed_formats <= sys.getrecursionlimit()


def test_a_number_that_logs_itself(logger: Logger) -> None:
    class Index(Chatty):
        def __index__(self) -> int:
            str(self)
            return 1

    class Scalar(Chatty):
        ndim = 0

        def item(self) -> int:
            str(self)
            return 1

    goes_up(Index(lambda me: logger.info("x", a=me, b=me)))
    goes_up(Scalar(lambda me: logger.info("x", a=me, b=[me])))


@pytest.mark.parametrize("way", ["exc_info", "exception", "catch", "emit_from"])
@pytest.mark.parametrize("kind", ["alone", "cause", "causes", "context", "group", "note"])
def test_an_exception_that_logs_itself(logger: Logger, way: str, kind: str) -> None:
    from logly._core import emit_from

    def speak(chatty: Chatty) -> None:
        error = shown(chatty)
        try:
            raise error
        except Exception:
            if way == "exc_info":
                logger.error("x", exc_info=error)
            elif way == "exception":
                logger.exception("x")
            elif way == "emit_from":
                emit_from(logger, "ERROR", "x", {}, error, None)
            else:
                with logger.catch():
                    raise

    def shown(chatty: Chatty) -> Exception:
        mine = ChattyError(chatty)
        if kind == "alone":
            return mine
        outer: Exception = ValueError("outer")
        if kind == "cause":
            outer.__cause__ = mine
        elif kind == "causes":
            outer.__cause__ = mine
            mine.__cause__ = ChattyError(chatty)
            mine.__cause__.__context__ = ChattyError(chatty)
        elif kind == "context":
            outer.__context__ = mine
        elif kind == "group":
            outer = ExceptionGroup("outer", [mine, ChattyError(chatty), ValueError()])
        else:
            outer.__notes__ = [chatty, chatty]  # type: ignore[list-item]
        return outer

    goes_up(Chatty(speak))


def test_what_ends_the_program_comes_out_of_an_exception_that_is_shown(logger: Logger) -> None:
    """The traceback module shows an exception in a bare `except:`."""

    class Stopping(Exception):
        def __str__(self) -> str:
            raise KeyboardInterrupt

    outer = ValueError("outer")
    outer.__cause__ = Stopping()
    for error in (Stopping(), outer):
        with pytest.raises(KeyboardInterrupt):
            logger.error("x", exc_info=error)


class Endless:
    """A proxy that looks for its own attributes in itself."""

    def __getattr__(self, name: str) -> object:
        return getattr(self, name)

    def __repr__(self) -> str:
        return repr(self)

    def __call__(self, record: Record) -> None:
        pass


@pytest.mark.parametrize("setting", [{"function": Endless()}, {"format": Endless()}], ids=list)
def test_a_setting_that_recurs_is_no_setting_that_is_wrong(setting: dict[str, Any]) -> None:
    with pytest.raises(RecursionError):
        SinkConfig(**setting).resolved()


def test_a_handler_of_logging_does_as_loggings_own(logger: Logger) -> None:
    import logging

    from logly import StdlibHandler

    source = logging.Logger("source")
    if hasattr(source, "_tls"):
        pytest.skip("this version of logging drops what is logged in a handler")
    source.addHandler(StdlibHandler(logger))
    goes_up(Chatty(lambda me: source.error("%s %s", me, me)))
    goes_up(Chatty(lambda me: source.error("x", extra={"a": me, "b": me})))


def test_a_function_that_recurs_is_the_sinks_trouble(tmp_path: Path) -> None:
    """On the flusher's thread: it is told of, the record has failed there, and the flusher goes on."""
    told: list[BaseException] = []
    seen: list[str] = []

    def speak(record: Record) -> None:
        if record.message == "bad":
            speak(record)
        seen.append(record.message)

    with Logger(LoggerConfig(auto_sink=False, on_error=told.append)) as logger:
        logger.add_sink(SinkConfig(function=speak))
        for text in ("first", "bad", "last"):
            logger.info(text)
        assert logger.flush(30)
        assert seen == ["first", "last"]
        wait_until(lambda: told, "on_error")
        assert [type(error) for error in told] == [RecursionError]
        stats = logger.stats()
        assert (stats.emitted, stats.written, stats.failed, stats.pending) == (3, 2, 1, 0)


def test_an_audit_hook_that_logs(tmp_path: Path) -> None:
    """It is called again by what a log call itself does: by asking for the calling frame, for one."""
    program = """
import sys
from logly import Logger, LoggerConfig, SinkConfig

calls, is_on, events = 0, False, set()

def hook(event, args):
    global calls
    if is_on:
        calls += 1
        events.add(event)
        if calls > 20_000:
            print("too often", flush=True)
            os._exit(1)
        logger.info("{} {}", [event], [event], own=[event])

import os
logger = Logger(LoggerConfig(auto_sink=False))
logger.add_sink(SinkConfig(path=sys.argv[1], format="{function} {message} {fields}"))
logger.info("before {}", [1])
logger.flush()
sys.addaudithook(hook)

def log(i):
    global is_on
    scope = {"logger": logger}
    code = compile(f"logger.info('text {i} {{}}', [1], stacklevel=1)", f"file{i}", "exec")
    is_on = True
    try:
        exec(code, scope)
    except RecursionError:
        return True
    finally:
        is_on = False

went_up = [log(i) for i in range(3)]
assert any(went_up), went_up
assert calls < 3 * 3 * sys.getrecursionlimit(), (calls, events)
logger.info("after")
assert logger.flush(30)
stats = logger.stats()
assert stats.emitted == stats.written + stats.dropped + stats.failed + stats.pending and stats.pending == 0, stats
logger.close()
assert open(sys.argv[1]).read().splitlines()[-1].endswith("after ")
print("ok", calls)
"""
    assert run_program(program, tmp_path / "log").stdout.startswith("ok")
