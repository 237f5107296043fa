"""Fields of `extra` that a served format names: the record carries them, or the call goes the way of `logging`."""

from __future__ import annotations

import logging
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logly import Logger, LoggerConfig
from logly.bridge.formatters import NotServed, layout_of
from logly.bridge.validation import differs
from tests.bridge.oracle import Stage, compare
from tests.support.logging_formats import FIELD_VALUES, accepted, assert_same, extra_formatters, made_at

if TYPE_CHECKING:
    from collections.abc import Callable

Played = Any


class Colour(IntEnum):
    RED = 1


class Text(str):
    def __str__(self) -> str:
        return "its own"


@pytest.fixture
def played(tmp_path: Path) -> Callable[[Callable[[Stage], Any]], Stage]:
    return lambda play: compare(play, "file", tmp_path)


def with_format(stage: Stage, *args: Any, **options: Any) -> logging.Logger:
    stage.handler.setFormatter(logging.Formatter(*args, **options))
    return stage.log


@given(extra_formatters(), st.dictionaries(st.sampled_from(["user", "n", "é"]), FIELD_VALUES))
def test_the_bytes_are_those_of_a_stream_handler(formatter: logging.Formatter, extra: dict[str, Any]) -> None:
    try:
        layout = layout_of(formatter)
    except NotServed:
        return
    assert differs(formatter, layout) is None
    record = made_at(10**18, name="a", level=20, path="p.py", line=1, message="m", function="f")
    vars(record).update(extra)
    if accepted(layout, record):
        assert_same(formatter, layout, record, 10**18)


@pytest.mark.parametrize(
    ("style", "fmt"),
    [
        ("%", "%(message)s user=%(user)s n=%(n)5d"),
        ("{", "{message} user={user!r:>8} n={n:05d} {user}"),
        ("$", "$message user=$user n=${n}"),
    ],
)
def test_named_fields_are_fast(played: Played, style: Any, fmt: str) -> None:
    def play(stage: Stage) -> None:
        log = with_format(stage, fmt, style=style)
        stage.fast(lambda: log.info("text", extra={"user": "alice", "n": 7}))
        stage.fast(lambda: log.info("é %s", 5, extra={"n": -1, "user": "é", "other": object()}))
        stage.rendered(lambda: log.info("wide", extra={"n": True, "user": "日本"}))
        stage.rendered(lambda: log.info("%s", [1], extra={"user": "x", "n": 5}))
        stage.rendered(lambda: log.error("failed", extra={"user": "x", "n": 5}, exc_info=ValueError("e")))

    played(play)


def test_a_record_without_a_field_goes_the_way_of_logging(played: Played) -> None:
    def play(stage: Stage) -> None:
        log = with_format(stage, "%(message)s %(user)s")
        stage.original(lambda: log.info("no extra"))
        stage.original(lambda: log.info("other", extra={"n": 1}))
        stage.original(lambda: log.info("empty", extra={}))
        stage.fast(lambda: log.info("there", extra={"user": 1}))

    assert "KeyError: 'user'" in played(play).stderr


@pytest.mark.parametrize("value", ["7", 1 << 70, None, 2.5, Colour.RED, Text("x"), b"x", [1], object])
def test_values_that_the_layout_does_not_show_exactly(played: Played, value: object) -> None:
    def play(stage: Stage) -> None:
        log = with_format(stage, "%(message)s %(n)d")
        stage.original(lambda: log.info("text", extra={"n": value}))
        stage.original(lambda: log.info("text %s", [], extra={"n": value}))
        stage.fast(lambda: log.info("text", extra={"n": 7}))

    played(play)


@pytest.mark.parametrize("value", [1 << 70, Colour.RED, Text("x"), b"x", [1], "\udc80"])
def test_texts_of_values_that_are_not_copied(played: Played, value: object) -> None:
    def play(stage: Stage) -> None:
        log = with_format(stage, "%(message)s %(user)s")
        stage.original(lambda: log.info("text", extra={"user": value}))
        stage.rendered(lambda: log.info("text", extra={"user": "x" * 3000}))

    played(play)


def test_a_text_beyond_the_limit_is_not_cut(played: Played) -> None:
    def play(stage: Stage) -> None:
        log = with_format(stage, "%(message)s %(user)s")
        for size in (10_000, 200_000, 2_000_000, 20_000_000):
            log.info("text", extra={"user": "x" * size})

    played(play)


def test_defaults(played: Played) -> None:
    def play(stage: Stage) -> None:
        log = with_format(stage, "%(message)s %(user)s %(n)5d|", defaults={"user": None, "n": 3, "message": "no"})
        stage.fast(lambda: log.info("text"))
        stage.fast(lambda: log.info("text", extra={"n": 4}))
        stage.fast(lambda: log.info("text", extra={"user": "u"}))
        stage.rendered(lambda: log.info("%s", {}, extra={"user": 2.5}))
        stage.original(lambda: log.info("text", extra={"n": "x"}))
        stage.handler.formatter._style._defaults["n"] = 4  # type: ignore[union-attr]
        stage.rendered(lambda: log.info("text"))
        stage.handler.formatter._style._defaults["n"] = True  # type: ignore[union-attr]
        stage.rendered(lambda: log.info("text"))
        del stage.handler.formatter._style._defaults["n"]  # type: ignore[union-attr]
        stage.original(lambda: log.info("text"))

    played(play)


def test_several_handlers_show_different_fields(played: Played) -> None:
    def play(stage: Stage) -> None:
        log = with_format(stage, "1 %(message)s %(user)s")
        handlers: list[logging.FileHandler] = []
        for number, fmt in enumerate(["2 %(n)d %(message)s", "3 {user:.3s} {message}", "4 %(message)s"]):
            path = stage.path.with_name(f"{stage.is_installed}{number}.log")
            handler = logging.FileHandler(path, encoding="ascii" if number == 1 else "utf-8")
            handler.setFormatter(logging.Formatter(fmt, style="{" if "{" in fmt else "%"))
            stage.top.addHandler(handler)
            handlers.append(handler)
        stage.fast(lambda: log.info("all", extra={"user": "alice", "n": 7}))
        stage.original(lambda: log.info("no name", extra={"n": 7}))
        stage.original(lambda: log.info("a number is no text of three", extra={"user": 5, "n": 7}))
        stage.original(lambda: log.info("not ASCII", extra={"user": "é", "n": 7}))
        for handler in handlers:
            stage.top.removeHandler(handler)
            handler.close()
            stage.say(Path(handler.baseFilename).read_bytes())

    played(play)


def test_kinds_that_two_handlers_do_not_share(played: Played) -> None:
    def play(stage: Stage) -> None:
        log = with_format(stage, "1 %(message)s %(user)d")
        handler = logging.FileHandler(stage.path.with_name(f"{stage.is_installed}.log"))
        handler.setFormatter(logging.Formatter("{message} {user:.3s}", style="{", defaults={"user": "nobody"}))
        stage.top.addHandler(handler)
        stage.original(lambda: log.info("a", extra={"user": 5}))
        stage.original(lambda: log.info("a"))
        stage.top.removeHandler(handler)
        handler.close()
        stage.say(Path(handler.baseFilename).read_bytes())

    played(play)


def test_extra_that_changes_while_the_text_is_made(played: Played) -> None:
    class Changing:
        def __init__(self, extra: dict[str, Any]) -> None:
            self.extra = extra

        def __str__(self) -> str:
            self.extra.clear()
            self.extra["more"] = 1
            return "changing"

    def play(stage: Stage) -> None:
        log = with_format(stage, "%(message)s %(user)s")
        for _ in range(4):
            extra: dict[str, Any] = {"user": "u"}
            log.info("%s", Changing(extra), extra=extra)

    played(play)


def test_fields_of_a_context_are_not_of_the_record(tmp_path: Path) -> None:
    logger = Logger(LoggerConfig(auto_sink=False, level=0))

    def play(stage: Stage) -> None:
        log = with_format(stage, "%(message)s %(user)s", defaults={"user": "nobody"})
        with logger.contextualize(user="of the context"):
            stage.fast(lambda: log.info("text"))
            stage.rendered(lambda: log.info("%s", []))

    compare(play, "file", tmp_path, logger=logger)
    logger.close()


def test_a_field_whose_value_the_format_cannot_show(played: Played) -> None:
    def play(stage: Stage) -> None:
        log = with_format(stage, "{message} {user:d}", style="{")
        stage.original(lambda: log.info("text", extra={"user": "x"}))
        stage.original(lambda: log.info("text", extra={"user": 2.5}))
        stage.fast(lambda: log.info("text", extra={"user": 2}))

    assert "ValueError" in played(play).stderr
