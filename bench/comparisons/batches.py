"""What does a call cost with a batch sink, beside one with a file, and beside a batch function that hangs?"""

import os
import threading
import time
from typing import Any

from comparisons.core import TEXT, TWO
from harness.comparison import Bench, Target, ratio

FIGURES = [
    ratio("text: batch / file", "text, batch", "text, file", "1.1"),
    ratio("two arguments: batch / file", "two arguments, batch", "two arguments, file", "1.1"),
    ratio("text: file and a hung batch / file and a batch", "text, hung", "text, both", "1.05"),
]


class Hung:
    """A batch function that does not return before the end."""

    def __init__(self) -> None:
        self.is_over = threading.Event()

    def __call__(self, lines: bytes, count: int) -> None:
        self.is_over.wait()


def subjects(bench: Bench) -> None:
    file = bench.logger({})
    bench.add("text, file", file, TEXT)
    bench.add("two arguments, file", file, TWO)
    batch = batches(bench)
    bench.add("text, batch", batch, TEXT)
    bench.add("two arguments, batch", batch, TWO)
    bench.add("text, both", with_batch(bench, lambda lines, count: None, lambda: None), TEXT)
    hung = Hung()
    bench.add("text, hung", with_batch(bench, hung, hung.is_over.set), TEXT)


def batches(bench: Bench) -> Target:
    """A logger whose one sink writes its batches to a file."""
    from logly import Logger, LoggerConfig, SinkConfig

    path = bench.path("batches.log")
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    logger = Logger(LoggerConfig(auto_sink=False, async_flush_interval=60_000.0))
    logger.add_sink(SinkConfig(batch=lambda lines, count: os.write(fd, lines), flush_interval=60_000.0))

    def close() -> None:
        logger.close()
        os.close(fd)

    return bench.target(Target("batch", logger, [path], logger.flush, close))


def with_batch(bench: Bench, function: Any, end: Any) -> Target:
    """A logger with a file and a batch sink. Only the file is waited for."""
    from logly import Logger, LoggerConfig, SinkConfig

    path = bench.path(f"beside {len(bench.targets)}.log")
    logger = Logger(LoggerConfig(auto_sink=False, async_flush_interval=60_000.0, on_error=lambda error: None))
    file = logger.add_sink(SinkConfig(path=path))
    logger.add_sink(SinkConfig(batch=function, batch_bytes=4096, batch_backlog="64 KiB", flush_interval=60_000.0))

    def flush() -> None:
        logger.flush(0.001)
        while logger.sink_stats(file).pending or logger.stats().emitted != logger.sink_stats(file).written:
            time.sleep(0.0002)

    def close() -> None:
        end()
        logger.close()

    return bench.target(Target("beside", logger, [path], flush, close))
