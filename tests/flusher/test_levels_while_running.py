"""Levels that change under load: from several threads, while a sink stalls, around a fork."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from typing import Any

import pytest

from logly import Logger, LoggerConfig, SinkConfig
from logly._core import LEVEL_UNSAID, OFF, LevelRules
from tests.support.forks import PipeReader, children_end_well, fork
from tests.support.loggers import assert_books
from tests.support.many_threads import FREE_THREADED

MODULE = __name__


def open_logger(**config: Any) -> Logger:
    return Logger(LoggerConfig(level=0, auto_sink=False, **config))


def set_levels(logger: Logger, sink: int, level: int, **names: int) -> None:
    logger._controller.sinks[sink].handle.set_rules(LevelRules(level, names))


def held_of(rules: list[LevelRules]) -> list[int]:
    """Which of them something refers to beside the list."""
    unused = [LevelRules(0, {})]
    return [i for i in range(len(rules)) if sys.getrefcount(rules[i]) != sys.getrefcount(unused[0])]


def lines_in(fd: int) -> list[str]:
    return os.pread(fd, 1 << 26, 0).decode().split("\n")[:-1]


def test_levels_change_while_threads_log() -> None:
    """A record that was logged while the levels stood still goes by them; of the others each goes one of two ways."""
    logger = open_logger(async_buffer_size=65536)
    fds = [os.memfd_create("alternates"), os.memfd_create("all")]
    sinks = [logger.add_sink(SinkConfig(fd=fd, format="{message}")) for fd in fds]
    version = 0  # even: the levels stand still
    is_over = threading.Event()
    surely: list[set[str]] = [set(), set()]  # what is in the first file, and what is not
    counts = [0] * 3
    lock = threading.Lock()

    def log(number: int) -> None:
        kept: list[tuple[str, int]] = []
        while not is_over.is_set() and counts[number] < 200_000:
            text = f"{number} {counts[number]}"
            before = version
            logger.debug(text)
            if version == before and before % 2 == 0:
                kept.append((text, before // 2 % 2))
            counts[number] += 1
        with lock:
            for text, which in kept:
                surely[which].add(text)

    threads = [threading.Thread(target=log, args=(number,)) for number in range(len(counts))]
    for thread in threads:
        thread.start()
    for change in range(400):
        version += 1
        set_levels(logger, sinks[0], OFF if change % 2 == 0 else 0, other=30)
        if change % 3 == 0:
            logger._controller.core.set_rules(LevelRules(0, {MODULE: 0} if change % 2 else {}))
        version += 1
        if change % 50 == 0:
            assert_books(logger)
        is_over.wait(0.001)
    is_over.set()
    for thread in threads:
        thread.join()
    assert logger.flush(60)
    stats = logger.stats()
    assert (stats.emitted, stats.pending, stats.failed, stats.dropped, stats.refused) == (sum(counts), 0, 0, 0, 0)
    some, every = map(lines_in, fds)
    assert len(every) == sum(counts)
    # In the order in which they were logged.
    is_in = set(some)
    assert some == [line for line in every if line in is_in]
    first = logger.sink_stats(sinks[0])
    assert (first.written, first.written + first.refused) == (len(some), sum(counts))
    if not FREE_THREADED:  # else records are in the order of their stamps, and a mark counts those of all threads
        assert surely[0] <= set(some)
        assert not surely[1] & set(some)
        assert len(surely[0]) > 0
        assert len(surely[1]) > 0
    logger.close(30)
    for fd in fds:
        os.close(fd)


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="counts references")
def test_levels_that_change_while_a_sink_stalls_take_no_more_memory_than_the_records_between() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while os.write(writer, bytes(4096)):
            pass
    # The backlog is full, so records stay in the ring.
    logger = open_logger(stall_timeout=60, async_buffer_size=1 << 20)
    sink = logger.add_sink(SinkConfig(fd=writer, format="{message}", buffer_size=4096))
    for _ in range(1500):
        logger.info("x" * 1000)
    assert not logger.flush(0.2)
    assert logger.sink_stats(sink).pending < 1500
    changes = [LevelRules(change % 50, {"a": 10, "b": 20}) for change in range(10_000)]
    handle = logger._controller.sinks[sink].handle
    for number in range(len(changes)):
        if number % 100 == 0:
            logger.info("y")
        handle.set_rules(changes[number])
        logger._controller.core.set_rules(LevelRules(0, {}))
    held = held_of(changes)
    # The last one before each record, and those that wait for the next change to free them.
    assert len(held) <= 102
    assert held[-1] == 9999
    changes.clear()
    read = PipeReader(reader)
    assert logger.flush(60)
    handle.set_rules(LevelRules(0, {}))
    logger.close(30)
    os.close(writer)
    lines = read.close().lstrip(b"\0").decode().splitlines()
    # Before the n-th "y", the levels of change 100 * n - 1 held, the first "y" came before all of them.
    expected = 1 + sum((100 * n - 1) % 50 <= 20 for n in range(1, 100))
    assert lines.count("y") == expected
    assert lines.count("x" * 1000) == 1500


def test_rules_are_freed_when_they_hold_no_more() -> None:
    logger = open_logger()
    sink = logger.add_sink(SinkConfig(fd=os.memfd_create("x"), format="{message}"))
    rules = [LevelRules(0, {"a": 10}) for _ in range(4)]
    handle, core = logger._controller.sinks[sink].handle, logger._controller.core
    for i in range(3):
        handle.set_rules(rules[i])
        logger.info("x")
    core.set_rules(rules[3])
    core.set_rules(rules[3])  # the same object again
    handle.set_rules(rules[3])
    assert logger.flush(30)
    handle.set_rules(LevelRules(0, {}))
    core.set_rules(LevelRules(0, {}))
    assert held_of(rules) == []
    handle.set_rules(rules[0])
    assert held_of(rules) == [0]
    logger.remove_sink(sink)
    assert held_of(rules) == []
    logger.close(30)
    with pytest.raises(KeyError):
        handle.set_rules(rules[0])
    assert held_of(rules) == []


def test_a_child_goes_by_the_latest_levels() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    fd = os.memfd_create("lines", 0)
    os.lseek(fd, 0, os.SEEK_END)
    logger = open_logger(async_flush_interval=10_000)
    sink = logger.add_sink(SinkConfig(fd=fd, format="{process} {message}"))
    low = logger.add_sink(SinkConfig(fd=fd, format="{process} low {message}"))
    parent = os.getpid()
    for number in range(6):  # changes that the flusher has not come to
        set_levels(logger, sink, 30 if number % 2 else 0)
        set_levels(logger, low, LEVEL_UNSAID, other=50)
        logger.info(str(number))
    logger._controller.core.set_rules(LevelRules(LEVEL_UNSAID, {}))

    def in_child() -> None:
        logger.info("hidden")
        logger.debug("unsaid")
        logger.warning("shown")
        assert logger.flush(30)
        stats = logger.stats()
        assert (stats.emitted, stats.written, stats.refused) == (3, 3, 1)
        assert (logger.sink_stats(sink).written, logger.sink_stats(sink).refused) == (1, 2)
        assert (logger.sink_stats(low).written, logger.sink_stats(low).refused) == (2, 1)
        set_levels(logger, sink, 0)
        logger.debug("later")
        assert logger.flush(30)

    child = fork(in_child)
    children_end_well([child])
    assert logger.flush(30)
    text = [line.split(" ", 1) for line in lines_in(fd)]
    own = [line for process, line in text if int(process) == parent]
    assert sorted(own) == sorted(["0", "2", "4", *(f"low {number}" for number in range(6))])
    theirs = [line for process, line in text if int(process) == child]
    assert sorted(theirs) == ["later", "low hidden", "low shown", "shown"]
    logger.close(30)
    for one in (fd, reader, writer):
        os.close(one)
