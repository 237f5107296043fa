"""Calls of `logging`: what they write, print, return and raise is the same with `install`, whichever way they go."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.bridge.oracle import compare

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.bridge.oracle import Stage

    Played = Callable[..., Stage]


class Text(str):
    __slots__ = ()

    def __mod__(self, values: object) -> str:
        return f"own {values}"


class Shown:
    def __str__(self) -> str:
        return "shown"


class Failing:
    def __str__(self) -> str:
        raise ValueError("no text")


def test_each_method_is_fast(played: Played) -> None:
    def play(stage: Stage) -> None:
        log = stage.log
        stage.fast(lambda: log.debug("text"))
        stage.fast(lambda: log.info("%s", "x"))
        stage.fast(lambda: log.warning("%d of %d", 1, 2))
        stage.fast(lambda: log.error("%.2f", 1.5))
        stage.fast(lambda: log.critical("%5s|%-5s|%r", "a", "b", True))
        stage.fast(lambda: log.log(logging.INFO, "log %s", 1))
        stage.rendered(lambda: log.log(25, "own level %s", 1))
        stage.fast(lambda: stage.top.info("of the logger with the handler"))
        stage.say(log.info("returns"))

    played(play)


def test_methods_that_call_the_replaced_ones(played: Played) -> None:
    def play(stage: Stage) -> None:
        log = stage.log
        try:
            raise ValueError("bad")
        except ValueError:
            stage.rendered(lambda: log.exception("failed %s", 1))
        log.fatal("fatal")
        log._log(logging.INFO, "by _log %s", (1,))
        logging.LoggerAdapter(log, {"a": 1}).info("adapter %s", 1)
        logging.LoggerAdapter(log, {"a": 1}).error("adapter %s", 1, stacklevel=2)

    played(play)


@pytest.mark.parametrize(
    ("message", "args"),
    [
        ("100%", ()),
        ("100%% %s", ()),
        ("%(k)s", ({"k": 5},)),
        ("%s", ({"k": 5},)),
        ("%s", ({},)),
        ("%s %s", ({"k": 5}, {})),
        ("%s", ([1, 2],)),
        ("%s", ((1, 2),)),
        ("%s", ((),)),
        ("%s", (None,)),
        ("%s", (True,)),
        ("%d", (True,)),
        ("%d", (2.7,)),
        ("%d", (10**30,)),
        ("%x %o %X %#x", (255, 8, 255, 16)),
        ("%c", (65,)),
        ("%*d", (5, 3)),
        ("%.3d", (5,)),
        ("%s", (b"bytes",)),
        ("%s", (Shown(),)),
        ("%r", ("it's",)),
        ("%a", ("é",)),
        ("%s", ("é",)),
        ("%s", ("日本\U0001f600",)),
        ("é %s", ("日",)),
        ("nl\n%s", ("a\nb\r\n",)),
        ("%s", (float("nan"),)),
        ("%05.1f", (float("-inf"),)),
        ("%%", (1,)),
        ("bad %", (1,)),
        ("%s %s", (1,)),
        ("%s", (1, 2)),
        ("no", (1,)),
        ("%q", (1,)),
        ("%s", (Failing(),)),
        (Text("m %s"), (1,)),
        (Text("m %s"), ()),
        (Shown(), ()),
        (Failing(), ()),
        (5, ()),
        (5, (2,)),
        (None, ()),
        (b"%s", (1,)),
        (["%s"], (1,)),
    ],
)
def test_messages(played: Played, message: Any, args: tuple[Any, ...]) -> None:
    def play(stage: Stage) -> None:
        for _ in range(3):
            stage.attempt(lambda: stage.log.info(message, *args))
            stage.attempt(lambda: stage.log.log(35, message, *args))

    played(play)


@pytest.mark.parametrize("text", ["\udc80", "a\udcffb", "\ud800"])  # noqa: PT014  # ruff takes surrogates for one
def test_lone_surrogates(played: Played, text: str) -> None:
    def play(stage: Stage) -> None:
        for _ in range(3):
            stage.log.info(text)
            stage.log.info("%s", text)
            stage.log.info(f"{text} %s", 1)

    played(play)


def test_a_failing_percent_is_told_once_for_each_handler(played: Played) -> None:
    def play(stage: Stage) -> None:
        second = stage.make_handler()
        stage.top.addHandler(second)
        stage.original(lambda: stage.log.info("%s %s", 1))  # noqa: PLE1206  # that is the point
        stage.original(lambda: stage.log.info("%s", Failing()))
        second.close()

    stage = played(play)
    assert stage.stderr.count("--- Logging error ---") == 12


def test_what_callers_may_do_wrong(played: Played) -> None:
    def play(stage: Stage) -> None:
        log: Any = stage.log
        for level in (logging.DEBUG, logging.ERROR):
            stage.top.setLevel(level)
            for _ in range(2):
                stage.attempt(lambda: log.debug())
                stage.attempt(lambda: log.info())
                stage.attempt(lambda: log.info(*()))
                stage.attempt(lambda: log.log())
                stage.attempt(lambda: log.log(20))
                stage.attempt(lambda: log.debug("a", msg="b"))
                stage.attempt(lambda: log.info("a", self="b"))
                stage.attempt(lambda: log.log(20, "a", level="b"))
                stage.attempt(lambda: log.log(20, "a", msg="b"))
                stage.attempt(lambda: log.log(msg="a", level=20))
                stage.attempt(lambda: log.info(msg="named"))
                stage.attempt(lambda: log.info(msg="named %s"))
                stage.attempt(lambda: log.info("a", unknown=1))
                stage.attempt(lambda: log.log(20, "a", unknown=1))
                stage.attempt(lambda: log.info("a", extra={"name": 1}))
                stage.attempt(lambda: log.info("a", extra={"message": 1}))
                stage.attempt(lambda: log.info("a", extra={"asctime": 1}))
                stage.attempt(lambda: log.info("a", extra={"args": 1}))
                stage.attempt(lambda: log.info("a", extra=5))
                stage.attempt(lambda: log.info("a", extra=[("a", 1)]))
                stage.attempt(lambda: log.info("a", extra={1: 2}))
                stage.attempt(lambda: log.info("a", stacklevel="x"))
                stage.attempt(lambda: log.isEnabledFor())
                stage.attempt(lambda: log.isEnabledFor("INFO"))
                stage.attempt(lambda: log.isEnabledFor(level=20))
                stage.attempt(lambda: log.isEnabledFor(20, 30))
                stage.attempt(lambda: log.isEnabledFor([]))
                stage.attempt(lambda: logging.Logger.info(log, "unbound"))

    played(play)


def test_own_levels(played: Played) -> None:
    def play(stage: Stage) -> None:
        log: Any = stage.log
        stage.top.setLevel(1)
        for level in (
            0,
            1,
            5,
            15,
            20,
            25,
            35,
            99,
            1000,
            32767,
            32768,
            -5,
            2**40,
            True,
            False,
            "20",
            None,
            20.0,
            "INFO",
        ):
            for _ in range(3):
                stage.attempt(lambda level=level: log.log(level, "level %s", level))
                stage.attempt(lambda level=level: log.isEnabledFor(level))
        logging.raiseExceptions = False
        stage.attempt(lambda: log.log("20", "not raised"))

    played(play)


def test_level_names_of_ones_own(played: Played) -> None:
    before = dict(logging._levelToName), dict(logging._nameToLevel)  # type: ignore[attr-defined]

    def play(stage: Stage) -> None:
        try:
            for _ in range(3):
                stage.log.log(25, "before")
            logging.addLevelName(25, "NOTICE")
            logging.addLevelName(20, "Information")
            for _ in range(3):
                stage.log.log(25, "after")
                stage.log.info("after")
            logging.addLevelName(25, "OTHER")
            for _ in range(3):
                stage.log.log(25, "again")
        finally:
            for mine, kept in zip((logging._levelToName, logging._nameToLevel), before, strict=True):  # type: ignore[attr-defined]
                mine.clear()
                mine.update(kept)

    played(play)


def test_exceptions_in_all_forms(played: Played) -> None:
    def play(stage: Stage) -> None:
        log = stage.log

        def every() -> None:
            error = ValueError("given")
            for form in (True, False, None, 1, 0, "yes", error, (ValueError, error, None), (None, None, None), (), [1]):
                for _ in range(2):
                    stage.attempt(lambda form=form: log.error("form %s", "x", exc_info=form))

        every()
        try:
            raise KeyError("handled")
        except KeyError as error:
            every()
            stage.rendered(lambda: log.error("true %s", 1, exc_info=True))
            given = error
            stage.rendered(lambda: log.error("object", exc_info=given))
        stage.original(lambda: log.info("stack", stack_info=True))
        stage.original(lambda: log.info("level", stacklevel=1))
        stage.original(lambda: log.info("level", stacklevel=2))
        stage.original(lambda: log.info("level", stacklevel=50))

    played(play)


def test_extra(played: Played) -> None:
    def play(stage: Stage) -> None:
        log = stage.log
        stage.rendered(lambda: log.info("extra %s", 1, extra={"user": "u", "n": 5, "o": Shown()}))
        stage.attempt(lambda: log.info("none", extra=None))
        stage.attempt(lambda: log.info("empty", extra={}))
        stage.attempt(lambda: log.info("both", extra={"a": 1}, exc_info=ValueError("x")))
        stage.attempt(lambda: log.info("text %s", Failing(), extra={"a": 1}))
        stage.attempt(lambda: log.info("field", extra={"a": Failing()}))
        stage.attempt(lambda: log.info("taken by nobody", extra={"taskName": 1}))
        stage.attempt(lambda: log.info("inner", extra={"thread": 1}))

    played(play)


def test_a_text_that_logs(played: Played) -> None:
    def play(stage: Stage) -> None:
        class Logs:
            def __str__(self) -> str:
                stage.log.info("inner %s", 1)
                return "outer"

        for _ in range(4):
            stage.log.warning("says %s", Logs())

    played(play)


@pytest.mark.parametrize("kind", ["stdlib", "record"])
def test_a_text_that_reconfigures(kind: str, tmp_path: Path) -> None:
    """A call to served handlers is begun again, in the new configuration: the handler may have been closed."""

    def play(stage: Stage) -> None:
        class Closes:
            def __str__(self) -> str:
                stage.log.disabled = True
                stage.top.handlers.clear()
                return "closed"

        class Filters:
            def __str__(self) -> str:
                stage.log.addFilter(lambda record: False)
                return "filtered"

        for thing in (Closes, Filters):
            stage.log.disabled = False
            stage.log.filters.clear()
            stage.log.setLevel(logging.DEBUG)
            stage.top.handlers[:] = [stage.handler]
            for _ in range(3):
                stage.log.info("before")
            stage.log.info("%s", thing())
            for _ in range(3):
                stage.log.info("after")
            stage.log.error("after")

    compare(play, kind, tmp_path)


def test_the_level_is_looked_at_first(played: Played) -> None:
    def play(stage: Stage) -> None:
        stage.log.setLevel(logging.WARNING)

        class Never:
            def __str__(self) -> str:
                stage.say("rendered")
                return ""

        for _ in range(4):
            stage.log.info("%s", Never())
            stage.log.debug(Never())
            stage.say(stage.log.isEnabledFor(logging.INFO))
            stage.say(stage.log.isEnabledFor(logging.ERROR))
        stage.original(lambda: stage.log.info("off"))

    played(play)


def test_callers_that_logging_skips(played: Played) -> None:
    def play(stage: Stage) -> None:
        logging.root.handlers[:] = [stage.handler]
        logging.root.setLevel(logging.DEBUG)
        for _ in range(3):
            logging.info("by the module %s", 1)
            logging.log(25, "by the module")
            logging.getLogger().info("root %s", 1)
            stage.log.handle(
                logging.makeLogRecord({"name": "made", "levelno": 30, "levelname": "WARNING", "msg": "made"})
            )
            logging.LoggerAdapter(stage.log, {}).info("adapter")
        stage.fast(lambda: logging.root.info("root's own %s", 1))

    played(play)


def test_no_source(played: Played) -> None:
    def play(stage: Stage) -> None:
        stage.fast(lambda: stage.log.info("with"))
        logging._srcfile = None  # type: ignore[attr-defined]
        stage.original(lambda: stage.log.info("without"))
        logging._srcfile = logging.addLevelName.__code__.co_filename  # type: ignore[attr-defined]
        stage.fast(lambda: stage.log.info("with again"))

    played(play)


def test_threads_have_their_names(tmp_path: Path) -> None:
    def play(stage: Stage) -> None:
        def work() -> None:
            for _ in range(4):
                stage.log.info("from a thread %s", 1)
            threading.current_thread().name = "renamed"
            for _ in range(4):
                stage.log.info("from a thread %s", 2)

        thread = threading.Thread(target=work, name="worker")
        thread.start()
        thread.join()

    stage = compare(play, "record", tmp_path)
    assert [one[11] for one in stage.shown] == ["worker"] * 4 + ["renamed"] * 4


def test_a_site_that_many_loggers_share(played: Played) -> None:
    def play(stage: Stage) -> None:
        loggers = [logging.getLogger(f"enemy.many.m{i}") for i in range(100)]
        for _ in range(4):
            for number, log in enumerate(loggers):
                log.info("many %d", number)

    played(play)


def test_many_arguments(played: Played) -> None:
    def play(stage: Stage) -> None:
        for count in (1, 14, 15, 16, 17, 40, 300):
            values = list(range(count))
            template = " ".join(["%d"] * count)
            for _ in range(3):
                stage.log.info(template, *values)
                stage.log.info(template, *values, extra={"a": 1})
                stage.log.info(template, *values, stacklevel=1)

    played(play)


def test_large_messages(played: Played) -> None:
    def play(stage: Stage) -> None:
        for size in (1_000, 70_000, 300_000, 3_000_000):
            for _ in range(2):
                stage.log.info("x" * size)
                stage.log.info("%s", "y" * size)
                stage.log.info("é%s", "日" * (size // 10))

    played(play)
