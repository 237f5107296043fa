"""Sinks that are removed under load: a line that was logged before the removal is in the file."""

from __future__ import annotations

import threading
from collections import defaultdict
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from logly import Logger, SinkConfig
from tests.support.loggers import make_logger
from tests.support.threads import run_threads

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOGGING_THREADS = 3
REMOVING_THREADS = 3
SINKS = 8
RING_BYTES = 1 << 20
LINES = 2000
"""How many lines each logging thread logs at least while a sink is there."""


class Load:
    """Threads that log numbered lines at full speed.

    Attributes:
        begun, done: for each thread, the number of its last call that has begun, and of the last that has returned.
    """

    def __init__(self, logger: Logger) -> None:
        self.begun = [0] * LOGGING_THREADS
        self.done = [0] * LOGGING_THREADS
        self._logger = logger
        self._is_over = threading.Event()
        self._moved = threading.Condition()
        self._threads = [threading.Thread(target=self._log, args=(thread,)) for thread in range(LOGGING_THREADS)]

    def _log(self, thread: int) -> None:
        number = 0
        while not self._is_over.is_set():
            number += 1
            self.begun[thread] = number
            self._logger.info("{} {}", thread, number)
            self.done[thread] = number
            if number % LINES == 0:
                with self._moved:
                    self._moved.notify_all()

    def await_lines(self) -> None:
        """Waits until each thread has logged `LINES` more."""
        wanted = [number + LINES for number in self.begun]
        with self._moved:
            assert self._moved.wait_for(lambda: all(map(int.__ge__, self.done, wanted)), timeout=60)

    @contextmanager
    def running(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            for thread in self._threads:
                thread.join()


def numbers_in(path: Path) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for line in path.read_text().splitlines():
        thread, number = map(int, line.split())
        found[thread].append(number)
    return found


def test_a_removed_sink_has_what_was_logged_before(tmp_path: Path) -> None:
    """A thread that flushes looks for sinks that may be closed, also while another thread is removing one."""
    logger = make_logger(async_buffer_size=RING_BYTES)
    load = Load(logger)
    lost: list[str] = []
    removers = set(range(REMOVING_THREADS))

    def use_a_sink(path: Path) -> None:
        sink = logger.add_sink(SinkConfig(path=path, format="{message}"))
        first = [number + 1 for number in load.begun]
        load.await_lines()
        last = list(load.done)
        assert logger.remove_sink(sink)
        found = numbers_in(path)
        for thread in range(LOGGING_THREADS):
            wanted = range(first[thread], last[thread] + 1)
            there = [number for number in found[thread] if number in wanted]
            if there != list(wanted):
                lost.append(f"{path.name}: {len(there)} of {len(wanted)} lines of thread {thread}")

    def add_and_remove(remover: int) -> None:
        try:
            for index in range(SINKS):
                use_a_sink(tmp_path / f"{remover}.{index}")
        finally:
            removers.discard(remover)

    def flush() -> None:
        while removers:
            logger.flush(0.001)

    with load.running():
        run_threads(flush, *(partial(add_and_remove, remover) for remover in removers))
    logger.close()
    assert lost == []
    assert logger.stats().failed == 0
