"""What the processes of tests/frameworks/test_workers.py run: they import it, so pytest does not rewrite it."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from logly import Logger, LoggerConfig, SinkConfig
from logly.control import process
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from logly import Record

loggers: list[Logger] = []


def begin(path: Path) -> None:
    """A worker's initializer. Without a logger that it has inherited it makes one."""
    if not loggers:
        loggers.append(made(path))


def begin_with_a_function_that_hangs(path: Path) -> None:
    begin(path)
    loggers[0].add_sink(SinkConfig(function=lambda _: threading.Event().wait(600)))


def work_and_end(path: Path, told: Path) -> None:
    """Logs, tells so, and ends, with a handler that exits."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    begin(path)
    for number in range(20):
        work(number)
    told.touch()


def is_interrupted_at_the_end(path: Path) -> None:
    """Logs to a function that sends SIGTERM when the exit waits for it, and that needs long for what is left."""
    handled = threading.Event()

    def stop(*_: object) -> None:
        handled.set()
        sys.exit(3)

    def write(record: Record) -> None:
        if not handled.is_set():
            wait_until(lambda: process.is_exiting, "the exit")
            os.kill(os.getpid(), signal.SIGTERM)
            assert handled.wait(30)
        with path.open("a") as file:
            file.write(record.message + "\n")

    signal.signal(signal.SIGTERM, stop)
    loggers.append(Logger(LoggerConfig(auto_sink=False)))
    loggers[0].add_sink(SinkConfig(function=write))
    for number in range(200):
        work(number)


def made(path: Path) -> Logger:
    """A logger that nothing but the calls themselves causes to write."""
    logger = Logger(LoggerConfig(auto_sink=False, async_flush_interval=60_000, flush_level=None))
    logger.add_sink(SinkConfig(path=path, format="{message}"))
    return logger


def work(number: int) -> int:
    loggers[0].info("line {}", number)
    return number


def compute(path: Path) -> None:
    """Logs, tells so, and computes in C code without an end, which keeps the GIL."""
    loggers[0].info("before")
    path.touch()
    sum(iter(int, 1))


def work_on_a_full_disk(numbers: int) -> float:
    """How many seconds the calls took."""
    logger = Logger(LoggerConfig(auto_sink=False, on_error=ignore, overflow="drop"))
    logger.add_sink(SinkConfig(path="/dev/full", format="{message}"))
    begun = time.monotonic()
    for number in range(numbers):
        logger.info("line {}", number)
    return time.monotonic() - begun


def ignore(error: Exception) -> None:
    """An `on_error`."""
