"""Light loggers: that each call that is held back is told, with threads, with keys, in a fork and at the end."""

import collections
import gc
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logly import LightLogger, Logger, Record, SinkConfig
from logly._core import LimitCounter
from tests.support.forks import children_end_well, fork
from tests.support.hooks import recent_clock
from tests.support.loggers import assert_books, file_logger, passed
from tests.support.threads import run_threads

SECOND, MINUTE, HOUR = 1.0, 60.0, 3600.0


class Watched:
    """Tells when anything of it is asked for."""

    def __init__(self) -> None:
        self.asked = 0

    def __str__(self) -> str:
        self.asked += 1
        return "shown"

    __repr__ = __str__


# ---- at the end


def test_close_tells_what_no_record_has_told(tmp_path: Path) -> None:
    logger = file_logger(tmp_path / "a.log", sink={"json": True})
    for i in range(10):
        logger.once().info("row {}", i)
        logger.every(4).info("each {}", i)
    logger.close()
    lines = [json.loads(line) for line in (tmp_path / "a.log").read_text().splitlines()]
    ours = [line for line in lines if not line["message"].startswith("logly: ")]
    notices = sorted((line["message"], line["suppressed"]) for line in lines if line not in ours)
    assert lines[-2:] == [line for line in lines if line not in ours]
    assert [line["message"] for line in ours] == ["row 0", "each 0", "each 4", "each 8"]
    assert [(text.partition(" at ")[0], text.rpartition(": ")[2], count) for text, count in notices] == [
        ("logly: 1 call held back by every(4)", "each {}", 1),
        ("logly: 9 calls held back by once()", "row {}", 9),
    ]
    assert f" at {__name__}:test_close_tells_what_no_record_has_told:" in notices[0][0]
    stats = logger.stats()
    assert (stats.emitted, stats.written, stats.suppressed) == (4, 4, 16)
    assert len(ours) + sum(line.get("suppressed", 0) for line in lines) == 20


def test_close_tells_it_once(tmp_path: Path) -> None:
    logger = file_logger(tmp_path / "a.log")
    once = logger.once()
    once.info("first")
    once.info("second")
    logger.close()
    logger.close()
    assert len((tmp_path / "a.log").read_text().splitlines()) == 2
    once.info("third")
    assert logger.stats().suppressed == 2


def test_what_close_tells_is_bounded(tmp_path: Path) -> None:
    logger = file_logger(tmp_path / "a.log", sink={"json": True})
    kept = [logger.first(1) for _ in range(500)]
    for light in kept:
        light.info("text")
        light.info("text")
    del kept[300:], light  # the call site remembers the last one
    logger.close()
    lines = [json.loads(line) for line in (tmp_path / "a.log").read_text().splitlines()]
    assert sum(line.get("suppressed", 0) for line in lines) == 500
    notices = [line["message"] for line in lines if "suppressed" in line]
    assert len(notices) == 102
    assert sorted(notices)[-2:] == [
        "logly: 199 calls held back by light loggers that are gone",
        "logly: 201 calls held back by other light loggers",
    ]


def test_a_long_or_strange_message_is_told_short(tmp_path: Path) -> None:
    logger = file_logger(tmp_path / "a.log")
    kept = []
    for message in ("x" * 1000, "ü" * 200, "\ud800 lone", Watched()):
        light = logger.once()
        kept.append(light)
        light.info("passes")
        light.info(message)
    logger.close()
    lines = (tmp_path / "a.log").read_text().splitlines()
    assert sum(line.startswith("logly: 1 call held back by once() at ") for line in lines) == 4
    assert max(map(len, lines)) < 500


# ---- many


def test_a_counter_that_the_garbage_collector_finds_is_told(tmp_path: Path) -> None:
    logger = file_logger(tmp_path / "a.log")

    def make() -> None:
        for _ in range(20):
            held = [logger.once()]
            held.append(held)  # type: ignore[arg-type]  # a cycle
            held[0].info("passes")
            held[0].info("held back")

    make()
    gc.collect()
    make()
    logger.close()
    lines = (tmp_path / "a.log").read_text().splitlines()
    told = [int(line.split()[1]) for line in lines if line.startswith("logly: ")]
    assert sum(told) == logger.stats().suppressed >= 40


def test_threads_on_one_counter_add_up(logger: Logger, records: list[Record]) -> None:
    calls, threads = 3000, 6
    every, first = logger.every(7), logger.first(10)

    def work() -> None:
        for _ in range(calls):
            every.info("every")
            first.info("first")
            logger.every(5).info("in place")
            logger.limit("100/h").info("limit")

    run_threads(*[work] * threads)
    found = collections.Counter(passed(logger, records))
    total = calls * threads
    assert found == {"every": -(-total // 7), "first": 10, "in place": -(-total // 5), "limit": 100}
    assert logger.stats().suppressed == 4 * total - sum(found.values())
    by_message: dict[str, int] = collections.defaultdict(int)
    for record in records:
        by_message[record.message] += record.fields.get("suppressed", 0)
    # Threads that pass at the same time may tell in another order; what is untold is less than one round.
    assert by_message["every"] + found["every"] <= total < by_message["every"] + found["every"] + 7 * threads


def test_keys_count_apart(logger: Logger, records: list[Record]) -> None:
    for i in range(20):
        logger.first(2, key=("host", i % 4)).info("{} {}", i % 4, i)
    assert passed(logger, records) == [f"{i % 4} {i}" for i in range(8)]
    assert logger.stats().suppressed == 12


def living_counters() -> int:
    return sum(type(one) is LimitCounter for one in gc.get_objects())


def test_a_million_keys_take_bounded_memory(logger: Logger) -> None:
    before = living_counters()
    for i in range(1_000_000):
        logger.once(key=i)
    assert living_counters() <= before + 1025  # the latest of all is kept until the next one is made


def test_the_key_used_least_recently_goes_first_and_what_it_held_is_told(tmp_path: Path) -> None:
    logger = file_logger(tmp_path / "a.log", sink={"json": True})

    def call(key: int) -> None:
        logger.once(key=key).info("{}", key)

    for key in range(1024):
        call(key)
        call(key)
    call(0)  # so that 1 is the oldest
    call(1024)
    call(0)
    call(1)  # begins anew, and 2 goes
    logger.close()
    lines = [json.loads(line) for line in (tmp_path / "a.log").read_text().splitlines()]
    ours = [line["message"] for line in lines if "suppressed" not in line]
    assert ours == [*map(str, range(1025)), "1"]
    assert "logly: 2 calls held back by light loggers that are gone" in [line["message"] for line in lines]
    calls = 2 * 1024 + 4
    assert logger.stats().suppressed == calls - len(ours)
    assert sum(line.get("suppressed", 0) for line in lines) == calls - len(ours)


class Changing:
    """A key whose hash changes."""

    def __init__(self) -> None:
        self.hash = 1

    def __hash__(self) -> int:
        return self.hash


def test_keys_whose_hash_changes_are_bounded_too(logger: Logger, records: list[Record]) -> None:
    before = living_counters()
    for _ in range(3000):
        key = Changing()
        logger.once(key=key).info("text")
        key.hash = 2
    assert len(passed(logger, records)) == 3000
    assert living_counters() <= before + 1025


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_of_a_fork_starts_at_zero(tmp_path: Path) -> None:
    logger = file_logger(tmp_path / "a.log", layout="{message} {fields}")
    kept = logger.every(3)

    def calls(who: str) -> None:
        for _ in range(2):
            kept.info("{} kept", who)
            logger.limit("1/h").info("{} limit", who)

    calls("parent")
    assert logger.flush(30)

    def in_child() -> None:
        assert logger.stats().suppressed == 0
        calls("child")
        assert logger.stats().suppressed == 2
        logger.close()

    children_end_well([fork(in_child)])
    assert logger.stats().suppressed == 2
    logger.close()
    lines = (tmp_path / "a.log").read_text().splitlines()
    assert [line for line in lines if not line.startswith("logly: ")] == [
        "parent kept ", "parent limit ", "child kept ", "child limit ",
    ]  # fmt: skip
    assert sum(line.endswith("suppressed=1") for line in lines) == 4


# ---- against a model


class Model:
    """What passes, and what each record that passes tells."""

    def __init__(self, kind: str, most: int, window: float) -> None:
        self.kind, self.most, self.window = kind, most, window
        self.calls = self.held = self.in_window = 0
        self.begun: float | None = None

    def call(self, now: float) -> int | None:
        """None: held back. Else how many were, before."""
        if self.kind == "first":
            passes = self.calls < self.most
        elif self.kind == "every":
            passes = self.calls % self.most == 0
        else:
            if self.begun is None or not 0 <= now - self.begun < self.window:
                self.begun, self.in_window = now, 0
            passes = self.in_window < self.most
            self.in_window += passes
        self.calls += 1
        if not passes:
            self.held += 1
            return None
        told, self.held = self.held, 0
        return told


RULES = st.one_of(
    st.tuples(st.just("first"), st.integers(1, 6), st.just(0.0)),
    st.tuples(st.just("every"), st.integers(1, 6), st.just(0.0)),
    st.tuples(st.just("limit"), st.integers(1, 6), st.sampled_from([SECOND, MINUTE, HOUR])),
)
STEPS = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0, 30.0, 60.0, 1800.0, 3600.0, -0.25, -90.0]), max_size=60)


def light_of(logger: Logger, kind: str, most: int, window: float) -> LightLogger:
    if kind == "limit":
        return logger.limit(f"{most}/{ {SECOND: 's', MINUTE: 'm', HOUR: 'h'}[window] }")
    make: Callable[[int], LightLogger] = getattr(logger, kind)
    return make(most)


@given(rule=RULES, steps=STEPS)
def test_what_passes_and_what_is_told_are_the_models(rule: tuple[str, int, float], steps: list[float]) -> None:
    logger = Logger()
    logger.configure(auto_sink=False)
    records: list[Record] = []
    logger.add_sink(SinkConfig(function=records.append))
    light, model = light_of(logger, *rule), Model(*rule)
    expected = []
    now = 10_000.0
    with recent_clock() as set_clock:
        for i, step in enumerate(steps):
            now += step
            set_clock(now)
            light.info("{}", i)
            told_now = model.call(now)
            if told_now is not None:
                expected.append((str(i), told_now))
    assert logger.flush(30)
    assert [(record.message, record.fields.get("suppressed", 0)) for record in records] == expected
    assert logger.stats().suppressed == len(steps) - len(expected)
    assert_books(logger, len(expected))
    logger.close()
