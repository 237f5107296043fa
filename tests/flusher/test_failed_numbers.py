"""The numbers of records that sinks have given up: each counts once, and those that follow each other are one run."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logly import SinkConfig
from tests.support.loggers import assert_books, make_logger
from tests.support.waiting import wait_until

probe = pytest.importorskip("tests.probe.failed")

numbers = st.integers(0, 60)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), numbers),
        st.tuples(st.just("merge"), st.lists(numbers, unique=True).map(sorted)),
        st.tuples(st.just("prune"), numbers),
    ),
    max_size=40,
)


@given(steps)
@settings(max_examples=max(50, settings().max_examples))
def test_they_are_as_a_set_of_numbers_would_be(todo: list[tuple[str, object]]) -> None:
    failed, seen, gone = probe.Failed(), set(), 0
    for name, value in todo:
        if name == "prune":
            gone = max(gone, value)
            failed.prune(gone)
        else:
            fresh = [number for number in ([value] if name == "add" else value) if number >= gone]
            failed.add(fresh[0]) if name == "add" and fresh else failed.merge(fresh) if name == "merge" else None
            seen.update(fresh)
        assert failed.total == len(seen)
        kept = [number for first, after in failed.runs for number in range(first, after)]
        assert kept == sorted(number for number in seen if number >= gone)
        assert failed.kept == len(kept)
        assert all(after < first for (_, after), (first, _) in zip(failed.runs, failed.runs[1:], strict=False))
    assert failed.spared(61) == 61 - len(seen)


def test_those_that_follow_each_other_are_one() -> None:
    """They took 8 bytes each, for as long as another sink, or a function that hangs, held an older record."""
    failed = probe.Failed()
    for number in range(5, 200_000):
        failed.add(number)
    assert failed.runs == [(5, 200_000)]
    assert (failed.spared(5), failed.spared(200_001)) == (5, 6)


def test_there_is_a_limit_behind_which_they_are_only_counted() -> None:
    failed = probe.Failed()
    assert failed.merge(list(range(0, 2 << 20, 2)))
    assert len(failed.runs) == 1 << 20
    assert not failed.merge([(2 << 20) + 2])
    failed.add((2 << 20) + 2)
    assert len(failed.runs) == 1 << 20
    assert failed.total == (1 << 20) + 1
    assert failed.spared(1) == 0
    assert failed.spared((2 << 20) + 4) == (1 << 20) + 3


def test_the_books_are_right_while_a_function_hangs_and_another_sink_has_every_second_record() -> None:
    may_go = threading.Event()
    begun = threading.Event()

    def hang(_lines: bytes, _count: int) -> None:
        begun.set()
        may_go.wait(120)

    with make_logger(on_error=lambda _: None, stall_timeout=3600) as logger:
        lines: list[str] = []
        logger.add_sink(SinkConfig(function=lines.append, level="WARNING"))
        sink = logger.add_sink(
            SinkConfig(batch=hang, format="{message}", flush_interval=0, batch_bytes="1 KiB", batch_backlog="2 KiB")
        )
        logger.info("first")
        assert begun.wait(60)
        for _ in range(20_000):
            logger.warning("x")
            logger.info("x")
        wait_until(lambda: len(lines) == 20_000, "the other sink")
        assert_books(logger)

        def has_all() -> bool:
            stats = logger.sink_stats(sink)
            return stats.failed + stats.pending == 40_001

        wait_until(has_all, "the sink's books")
        stats = logger.sink_stats(sink)
        assert logger.stats().failed == stats.failed
        may_go.set()
        assert logger.flush(60)
        assert_books(logger)
        stats = logger.stats()
        assert (stats.emitted, stats.pending, stats.dropped) == (40_001, 0, 0)
