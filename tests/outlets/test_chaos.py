"""Chaos: other sides that fail at random, forks, flushes and removals. In the end each record has been counted once."""

from __future__ import annotations

import random
import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest

from logly import BatchRefused, Logger, RetryBatch, SinkConfig
from tests.support.forks import children_end_well, fork
from tests.support.loggers import assert_books, make_logger
from tests.support.threads import run_threads

if TYPE_CHECKING:
    from collections.abc import Iterator

THREADS = 3
STEPS = 60
SEEDS = [*range(4), *(pytest.param(seed, marks=pytest.mark.nightly) for seed in range(4, 60))]


class Fickle:
    """The other side of one sink: takes, refuses, or fails for now, by chance.

    Attributes:
        taken: the records that it has taken.
        refused: those that it has refused for good.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.taken: set[str] = set()
        self.refused: set[str] = set()
        self.is_calm = False

    def __call__(self, lines: bytes, count: int) -> None:
        found = lines.decode().splitlines()
        assert len(found) == count
        fate = 1.0 if self.is_calm else self.random.random()
        if fate < 0.2:
            raise OSError("down")
        if fate < 0.25:
            raise RetryBatch("busy", after=0.001)
        if fate < 0.3:
            self.refused.update(map(record_of, found))
            raise BatchRefused("never")
        if fate < 0.5:
            self._take_a_part(found)
        self.taken.update(map(record_of, found))

    def _take_a_part(self, found: list[str]) -> None:
        fates = [self.random.choice(("taken", "taken", "again", "refused")) for _ in found]
        again = [number for number, fate in enumerate(fates) if fate == "again"]
        refused = [number for number, fate in enumerate(fates) if fate == "refused"]
        self.taken.update(record_of(found[number]) for number, fate in enumerate(fates) if fate == "taken")
        self.refused.update(record_of(found[number]) for number in refused)
        if again:
            raise RetryBatch("a part", after=0.0, again=again, refused=refused)
        if refused:
            raise BatchRefused("a part", refused=refused)


def record_of(line: str) -> str:
    """What tells a record; a line of logly's own, about lost records, is none."""
    return "" if line.startswith("logly: ") else line


@pytest.fixture(autouse=True)
def no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    from logly.outlets import outlet

    monkeypatch.setattr(outlet, "FIRST_PAUSE_S", 0.002)
    monkeypatch.setattr(outlet, "LONGEST_PAUSE_S", 0.01)


@pytest.mark.parametrize("seed", SEEDS)
def test_each_record_is_counted_once(seed: int) -> None:
    chance = random.Random(seed)
    logger = make_logger(on_error=lambda _: None, stall_timeout=0.05, async_buffer_size=chance.choice((4096, 65536)))
    kept = Fickle(seed)
    backlog = chance.choice((2_000, 20_000, 1 << 20))
    sink = add(logger, kept, batch_bytes=chance.choice((100, 1000)), batch_backlog=backlog, dedup=None)
    turns = [threading.Semaphore(2) for _ in range(THREADS)]
    logged: list[set[str]] = [set() for _ in range(THREADS)]

    def log(thread: int) -> None:
        for turn in range(STEPS):
            turns[thread].acquire()
            for number in range(turn * 100, turn * 100 + 100):
                (logger.error if number % 250 == 0 else logger.info)("{} {}", thread, number)
                logged[thread].add(f"{thread} {number}")

    def disturb() -> None:
        disturbances = disturbed(logger, chance)
        try:
            for _ in range(STEPS):
                next(disturbances)
                for turn in turns:
                    turn.release()
            disturbances.close()
        finally:
            for turn in turns:
                turn.release(STEPS)  # where it has failed, nobody waits for it

    run_threads(*[partial(log, thread) for thread in range(THREADS)], disturb)
    kept.is_calm = True
    assert logger.flush(60)
    while logger.sink_stats(sink).pending:
        logger.flush(1)
    expected = set().union(*logged)
    stats = logger.sink_stats(sink)
    taken, refused = kept.taken - {""}, kept.refused - {""}
    dropped = logger.stats().dropped  # by calls that found no room for the stall time, on a busy machine
    assert taken <= expected
    assert not taken & refused
    assert stats.written == len(taken)
    assert stats.failed == len(expected) - dropped - len(taken)
    assert stats.failed >= len(refused)
    if backlog == 1 << 20:
        assert len(taken | refused) == len(expected) - dropped
    assert_books(logger)
    assert logger.stats().pending == 0
    assert logger.stats().failed >= stats.failed
    logger.close()
    assert_books(logger)


def disturbed(logger: Logger, chance: random.Random) -> Iterator[None]:
    """Does something to the logger at each step."""
    others: list[int] = []
    try:
        while True:
            what = chance.random()
            if what < 0.2:
                others.append(add(logger, Fickle(chance.randrange(1 << 30)), batch_bytes=500, batch_backlog=5000))
            elif what < 0.35 and others:
                assert logger.remove_sink(others.pop(chance.randrange(len(others))))
            elif what < 0.5:
                logger.flush(chance.choice((0, 0.001, 0.02)))
            elif what < 0.6:
                children_end_well([fork(lambda: in_child(logger))])
            elif what < 0.7 and others:
                one = chance.choice(others)
                logger.disable_sink(one)
                logger.enable_sink(one)
            elif what < 0.75:
                logger.configure(stall_timeout=chance.choice((0.01, 0.05)))
            else:
                assert_books(logger)
            yield
    finally:
        for one in others:
            logger.remove_sink(one)


def in_child(logger: Logger) -> None:
    """A child has nothing of its parent's, and its own records are counted, too."""
    emitted = logger.stats().emitted
    for number in range(5):
        logger.info("child {}", number)
    logger.flush(2)
    assert_books(logger)
    assert logger.stats().emitted == emitted + 5


def add(logger: Logger, batch: Fickle, **settings: object) -> int:
    return logger.add_sink(SinkConfig(**{"batch": batch, "format": "{message}", "flush_interval": 2, **settings}))  # type: ignore[arg-type]
