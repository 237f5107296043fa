"""What the processes of tests/frameworks/test_workers.py run: they import it, so pytest does not rewrite it."""

from __future__ import annotations

import signal
import sys
import threading
import time
from pathlib import Path

from logly import Logger, LoggerConfig, SinkConfig

loggers: list[Logger] = []


def begin(path: Path, *, exits: bool, hangs: bool = False) -> None:
    """A worker's initializer. Without a logger that it has inherited it makes one."""
    if exits:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if not loggers:
        loggers.append(made(path))
    if hangs:
        loggers[0].add_sink(SinkConfig(function=lambda _: threading.Event().wait(600)))


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
