"""What does a batch sink take, beside a file? Lines a second, processor time, and what a service beside it gets.

    python bench/batches.py

Four loggers take turns, run by run: one writes a file, one hands its lines in batches to a function that writes them to
a file (and so takes the GIL once for each batch), one has both, and one has the file and a batch function that hangs.
The last one shows what a dead endpoint costs: the file must get its lines as fast as beside a batch that works. Lines
are counted in the files after timing. A file sink does not need the GIL. Of the batch sink's thread the processor time
is read at each call, without that of the writes. It has held the GIL for less than that, because it copies the lines
without it. `python bench/cost.py batches` says what a call costs its caller.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import threading
import time
from typing import Any

from harness import lines, sink_speed, tables
from harness.loops import compile_loop
from harness.scenarios import BRACE
from harness.workers import serve

KINDS = ("file", "batch", "file and batch", "file and hung batch")
RING = 1 << 28


class Writer:
    """A batch function that writes to a file.

    Attributes:
        busy_ns: processor time of its thread so far, without the writes.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.busy_ns = self._writes_ns = 0

    def __call__(self, text: bytes, _count: int) -> None:
        begun = time.thread_time_ns()
        os.write(self.fd, text)
        ended = time.thread_time_ns()
        self._writes_ns += ended - begun
        self.busy_ns = ended - self._writes_ns


def make_logger(kind: str, folder: str, is_over: threading.Event, writers: list[Writer]) -> tuple[Any, int, str]:
    """The logger, the sink whose lines are waited for, and the path where they are."""
    from logly import Logger, LoggerConfig, SinkConfig

    path = f"{folder}/bench.log"
    config = LoggerConfig(
        auto_sink=False, async_buffer_size=RING, async_flush_interval=60_000, on_error=lambda error: None
    )
    logger = Logger(config)
    if kind == "batch":
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        writers.append(Writer(fd))
        sink = logger.add_sink(SinkConfig(batch=writers[0], batch_backlog="2 GiB"))
        return logger, sink, path
    sink = logger.add_sink(SinkConfig(path=path))
    if kind == "file and batch":
        logger.add_sink(SinkConfig(batch=lambda text, _: len(text), batch_backlog="2 GiB"))
    elif kind != "file":
        logger.add_sink(SinkConfig(batch=lambda text, _: is_over.wait()))
    return logger, sink, path


def measure(kind: str, options: argparse.Namespace) -> dict[str, float]:
    is_over = threading.Event()
    with tempfile.TemporaryDirectory(dir=options.dir) as folder:
        writers: list[Writer] = []
        logger, sink, path = make_logger(kind, folder, is_over, writers)
        loop = compile_loop(BRACE["args"], logger)
        # Warmed with as many lines: they fill the backlog of the function that hangs.
        measured = sink_speed.measure(logger, sink, loop, options.lines, options.lines)
        is_over.set()
        logger.close(10)
        lines.check(kind, path, 3 * options.lines + 4)
    gil_ns = sum(writer.busy_ns for writer in writers) / (3 * options.lines)
    return measured | {"gil_ns": gil_ns}


def main() -> None:
    options = sink_speed.parser(__doc__, KINDS, lines=400_000, rounds=11).parse_args()
    if options.worker:
        serve(lambda _: measure(options.worker, options))
        return
    found = sink_speed.compare("batches.py", KINDS, options)
    gil_ns = statistics.median(one["gil_ns"] for one in found["batch"])
    title = "processor time of the batch sink's thread without the writes, ns a line"
    tables.show(tables.Table(title, ["median"], {"batch": [gil_ns]}))
    tables.write(options.json)


if __name__ == "__main__":
    main()
