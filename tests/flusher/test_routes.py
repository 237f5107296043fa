"""Which records reach which sink, while sinks and levels change: every file holds exactly what a plain model says.

What was logged before a change goes by the rules before it, however late the flusher comes to it.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from logly import Level, Logger, LoggerConfig, SinkConfig
from logly._core import LEVEL_UNSAID, OFF, LevelRules, emit_from
from tests.support.loggers import assert_books

if TYPE_CHECKING:
    from logly.record import Record

NAMES = ["", "a", "a.b", "a.b.c", "ab", "b", "ü.x", "a..b", ".", "b.", "\ud800"]
LOGGERS = [None, None, "a", "a.b", "ü.x", "b", "a." + 300 * "x"]  # the last name is too long to get a number
LEVELS = [0, 5, 10, 20, 25, 30, 40, 50]
SOURCE = """
def one(logger, level, text):
    logger.log(level, text)

def two(logger, level, text):
    logger.log(level, text)
"""


def functions_of(module: str) -> dict[str, Any]:
    """Functions that log, as if they stood in a module of this name."""
    names: dict[str, Any] = {"__name__": module}
    exec(SOURCE, names)
    return names


MODULES = {name: functions_of(name) for name in NAMES}


@dataclass(frozen=True)
class Rules:
    """What a logger or a sink asks for, and the model of it."""

    level: int
    names: tuple[tuple[str, int], ...] = ()

    def made(self) -> LevelRules:
        return LevelRules(self.level, dict(self.names))

    def said(self, name: str) -> int:
        best, level = -1, self.level
        for wanted, number in self.names:
            if (name == wanted or name.startswith(wanted + ".")) and len(wanted) > best:
                best, level = len(wanted), number
        return level


def below(name: str, wanted: list[str]) -> bool:
    return not wanted or any(name == one or name.startswith(one + ".") for one in wanted)


@dataclass
class ModelSink:
    """A sink of the logger, and what the model says that its file holds."""

    id: int
    fd: int
    config: SinkConfig
    rules: Rules
    enabled: bool = True
    removed: bool = False
    lines: list[str] = field(default_factory=list)
    refused: int = 0

    def takes(self, logger: Rules, level: int, name: str, module: str, function: str, text: str) -> bool:
        config = self.config
        asked, floor = self.rules.said(name), logger.said(name)
        if asked == LEVEL_UNSAID:
            asked = Level.INFO if floor == LEVEL_UNSAID else floor
        # These tests keep the gate open, as a capture does: then the flusher itself compares with the logger's level.
        asked = max(asked, floor)
        return (
            asked <= level <= (OFF if config.filter_max_level is None else int(config.filter_max_level))
            and below(module, list(config.filter_module or ()))
            and (not config.filter_function or function in config.filter_function)
            and (config.filter is None or is_even(text))
        )


def is_even(text: str) -> bool:
    return int(text) % 2 == 0


def keeps(record: Record) -> bool:
    return is_even(record.message)


rules = st.builds(
    Rules,
    st.sampled_from([LEVEL_UNSAID, LEVEL_UNSAID, *LEVELS, OFF]),
    st.lists(st.tuples(st.sampled_from(NAMES[1:]), st.sampled_from([*LEVELS, LEVEL_UNSAID, OFF])), max_size=3)
    # A name has one level.
    .map(lambda pairs: tuple(dict(pairs).items())),
)
sink_configs = st.fixed_dictionaries(
    {},
    optional={
        "filter_max_level": st.sampled_from([25, 40]),
        "filter_module": st.lists(st.sampled_from(NAMES[1:4]), min_size=1, max_size=2),
        "filter_function": st.sampled_from([["one"], ["two"]]),
        "filter": st.just(keeps),
    },
)
record = st.tuples(
    st.sampled_from(LEVELS),
    st.sampled_from(LOGGERS),
    st.sampled_from(NAMES),
    st.sampled_from(["one", "two"]),
    st.booleans(),
)
sink_number = st.integers(0, 5)
step = st.one_of(
    st.tuples(st.just("log"), st.lists(record, min_size=1, max_size=8)),
    st.tuples(st.just("log"), st.lists(record, min_size=1, max_size=8)),
    st.tuples(st.just("sink levels"), sink_number, rules),
    st.tuples(st.just("logger levels"), rules),
    st.tuples(st.just("add"), sink_configs, rules),
    st.tuples(st.just("remove"), sink_number),
    st.tuples(st.just("enable"), sink_number, st.booleans()),
    st.tuples(st.just("flush")),
)


class Program:
    """Runs steps on a logger, and on the model."""

    def __init__(self) -> None:
        # The flusher comes by itself only when a ring is half full: changes meet records that wait.
        self.logger = Logger(LoggerConfig(level=0, auto_sink=False, async_flush_interval=10_000))
        self.loggers = {name: self.logger if name is None else self.logger.named(name) for name in LOGGERS}
        self.rules = Rules(0)
        self.sinks: list[ModelSink] = []
        self.number = 0
        self.refused = 0

    def add(self, options: dict[str, Any], rules: Rules) -> None:
        fd = os.memfd_create("sink")
        # With the module, so that records carry their call site.
        config = SinkConfig(fd=fd, format="{message} {module}", **options)
        sink = ModelSink(self.logger.add_sink(config), fd, config, rules)
        self.sinks.append(sink)
        self.handle(sink).set_rules(rules.made())

    def handle(self, sink: ModelSink) -> Any:
        return self.logger._controller.sinks[sink.id].handle

    def sink(self, number: int) -> ModelSink | None:
        there = [sink for sink in self.sinks if not sink.removed]
        return there[number % len(there)] if there else None

    def log(self, records: list[tuple[int, str | None, str, str, bool]]) -> None:
        for level, name, module, function, carries_site in records:
            text = str(self.number)
            self.number += 1
            if not any(sink.enabled and not sink.removed for sink in self.sinks):
                continue  # the gate is closed
            if carries_site:
                # As records of `logging`, which go by their module.
                emit_from(self.loggers[name], level, text, {}, None, (module, function, "path", 3))
            else:
                MODULES[module][function](self.loggers[name], level, text)
            self.expect(level, module if carries_site or name is None else name, module, function, text)

    def expect(self, level: int, name: str, module: str, function: str, text: str) -> None:
        wanted = 0
        for sink in self.sinks:
            if not sink.enabled or sink.removed:
                continue
            if sink.takes(self.rules, level, name, module, function, text):
                sink.lines.append(text)
                wanted += 1
            else:
                sink.refused += 1
        self.refused += not wanted

    def run(self, step: tuple[Any, ...]) -> None:
        kind, *arguments = step
        if kind == "log":
            self.log(arguments[0])
        elif kind == "logger levels":
            self.rules = arguments[0]
            self.logger._controller.core.set_rules(self.rules.made())
        elif kind == "add" and len(self.sinks) < 8:
            self.add(*arguments)
        elif kind == "flush":
            assert self.logger.flush(30)
            self.check()
        elif kind in ("sink levels", "remove", "enable") and (sink := self.sink(arguments[0])) is not None:
            if kind == "sink levels":
                sink.rules = arguments[1]
                self.handle(sink).set_rules(sink.rules.made())
            elif kind == "remove":
                self.logger.remove_sink(sink.id)
                sink.removed = True
            else:
                sink.enabled = arguments[1]
                (self.logger.enable_sink if sink.enabled else self.logger.disable_sink)(sink.id)

    def check(self) -> None:
        """Called when everything is written."""
        assert_books(self.logger)
        stats = self.logger.stats()
        assert (stats.pending, stats.failed, stats.dropped) == (0, 0, 0)
        assert stats.refused == self.refused
        for sink in self.sinks:
            held = os.pread(sink.fd, 1 << 20, 0).decode().split("\n")[:-1]
            assert [line.split(" ")[0] for line in held] == sink.lines
            if not sink.removed:
                counts = self.logger.sink_stats(sink.id)
                assert (counts.written, counts.failed, counts.pending) == (len(sink.lines), 0, 0)
                assert counts.refused == sink.refused

    def close(self) -> None:
        self.logger.close(30)
        for sink in self.sinks:
            os.close(sink.fd)


@contextmanager
def program() -> Iterator[Program]:
    made = Program()
    try:
        yield made
    finally:
        made.close()


@given(st.lists(st.tuples(sink_configs, rules), min_size=1, max_size=4), st.lists(step, min_size=2, max_size=30))
@settings(max_examples=150, deadline=None)
def test_each_sink_gets_what_the_model_says(
    sinks: list[tuple[dict[str, Any], Rules]], steps: list[tuple[Any, ...]]
) -> None:
    with program() as made:
        for options, levels in sinks:
            made.add(options, levels)
        for one in steps:
            made.run(one)
        made.run(("flush",))


def test_many_kinds_of_records_for_many_sinks() -> None:
    """More answers and more lists of sinks than the cache keeps, twice."""
    choose = random.Random(7)
    modules = {f"m{i}": functions_of(f"m{i}") for i in range(400)}
    logger = Logger(LoggerConfig(level=0, auto_sink=False))
    fds = [os.memfd_create(str(i)) for i in range(60)]
    lows = [choose.randrange(50) for _ in fds]
    chosen = [set(choose.sample(sorted(modules), 200)) for _ in fds]
    sinks = [
        logger.add_sink(SinkConfig(fd=fd, format="{message}", filter_module=names, filter_min_level=low))
        for fd, low, names in zip(fds, lows, chosen, strict=True)
    ]
    logged = [(level, name) for _ in range(2) for level in range(50) for name in modules]
    for level, name in logged:
        modules[name]["one"](logger, level, f"{name} {level}")
    assert logger.flush(60)
    # The lowest levels are off for all sinks.
    offered = sum(level >= min(lows) for level, _ in logged)
    for fd, low, names, sink in zip(fds, lows, chosen, sinks, strict=True):
        lines = os.pread(fd, 1 << 24, 0).decode().split("\n")[:-1]
        assert lines == [f"{name} {level}" for level, name in logged if level >= low and name in names]
        assert logger.sink_stats(sink).refused == offered - len(lines)
    assert_books(logger)
    logger.close(30)
    for fd in fds:
        os.close(fd)


def test_filters_that_all_say_no_make_a_record_refused() -> None:
    said: dict[str, list[bool]] = {}

    def asks(number: int) -> Any:
        return lambda record: said[record.message][number]

    with program() as made:
        logger = made.logger
        fds = [os.memfd_create(str(i)) for i in range(3)]
        sinks = [logger.add_sink(SinkConfig(fd=fd, format="{message}", filter=asks(i))) for i, fd in enumerate(fds)]
        for number in range(64):
            text = str(number)
            said[text] = [bool(number & 1), bool(number & 2), bool(number & 4)]
            logger.info(text)
        assert logger.flush(30)
        assert logger.stats().refused == 8
        assert [logger.sink_stats(sink).refused for sink in sinks] == [32, 32, 32]
        assert [logger.sink_stats(sink).written for sink in sinks] == [32, 32, 32]
        for fd in fds:
            os.close(fd)


def test_a_filter_that_fails_refuses_nothing() -> None:
    def fails(record: Record) -> bool:
        raise ValueError(record.message)

    told: list[Exception] = []
    logger = Logger(LoggerConfig(auto_sink=False, on_error=told.append))
    one = logger.add_sink(SinkConfig(function=lambda record: None, filter=fails))
    two = logger.add_sink(SinkConfig(function=lambda record: None, filter=lambda record: False))
    for _ in range(10):
        logger.info("x")
    assert logger.flush(30)
    stats = logger.stats()
    assert (stats.failed, stats.refused, stats.written) == (10, 0, 0)
    assert (logger.sink_stats(one).failed, logger.sink_stats(one).refused) == (10, 0)
    assert (logger.sink_stats(two).failed, logger.sink_stats(two).refused) == (0, 10)
    logger.close(30)
