"""What limits the flusher? Its processor time per text line, and how much of that is write(2) into the page cache.

    python bench/flusher_limit.py

In turns: the flusher's thread drains a backlog of 4,000 records with two arguments into a file, into a file on tmpfs
and into /dev/null (all is rendered, nothing is kept), and it puts as many into the flight recorder (read from the
ring, not rendered). With them `os.write` alone writes the same bytes in pieces as large as a sink's buffer. The ring
has its default size, so that records and lines are in the caches as in a program. At last the flusher works at full
speed beside a caller, and `perf`, where it is installed, samples where the thread is. Lines in files are counted.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from harness import lines, profile, tables, turns
from harness.loops import compile_loop
from harness.scenarios import BRACE
from recorder import flusher_ns

BACKLOG = 4_000
PIECE = 1 << 16
"""The default `buffer_size` of a sink."""
TMPFS = Path("/dev/shm")
EMPTIED_EVERY = 50
FILE, ON_TMPFS, NULL, KEPT, ALONE = "a file", "a file on tmpfs", "/dev/null", "kept, not rendered", "write(2) alone"


class Drain:
    """A logger whose backlog is drained; and the books of its file."""

    def __init__(self, path: str, level: str = "info", **config: Any) -> None:
        from logly import Logger, LoggerConfig, SinkConfig

        self.path, self.is_counted = path, level == "info" and path != os.devnull
        self.logger = Logger(LoggerConfig(auto_sink=False, async_flush_interval=60_000.0, **config))
        self.logger.add_sink(SinkConfig(path=path, buffer_size=PIECE))
        self.loop = compile_loop(BRACE["args"].replace("info", level), self.logger)
        self.rounds = 0

    def __call__(self) -> float:
        """Nanoseconds of the flusher's thread per record."""
        if self.is_counted and self.rounds % EMPTIED_EVERY == 0:
            self.empty()
        self.rounds += 1
        self.loop(0, BACKLOG)
        before = flusher_ns()
        self.logger.flush()
        return (flusher_ns() - before) / BACKLOG

    def empty(self) -> None:
        """The pages of a file that does not grow without end; each is new when it is written."""
        lines.check(self.path, self.path, (self.rounds and EMPTIED_EVERY) * BACKLOG)
        os.truncate(self.path, 0)

    def close(self) -> None:
        self.logger.close()
        if self.is_counted:
            lines.check(self.path, self.path, ((self.rounds - 1) % EMPTIED_EVERY + 1) * BACKLOG)


def write_alone(path: str, line_bytes: float, stack: ExitStack) -> Callable[[], float]:
    """As many bytes as the lines have, by write(2) alone, in nanoseconds per line."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    stack.callback(os.close, fd)
    piece, rounds = os.urandom(PIECE), 0
    whole, rest = divmod(round(line_bytes * BACKLOG), PIECE)

    def measure() -> float:
        nonlocal rounds
        if rounds % EMPTIED_EVERY == 0:
            os.ftruncate(fd, 0)
        rounds += 1
        begun = time.thread_time_ns()
        for _ in range(whole):
            os.write(fd, piece)
        os.write(fd, piece[:rest])
        return (time.thread_time_ns() - begun) / BACKLOG

    return measure


def measure(options: argparse.Namespace) -> tuple[dict[str, list[float]], float]:
    """What each took, one value a round; and how many bytes a line has."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(dir=options.dir))
        drains = {
            FILE: Drain(f"{folder}/file.log"),
            NULL: Drain(os.devnull),
            KEPT: Drain(f"{folder}/kept.log", "debug", recorder="debug"),
        }
        if TMPFS.is_dir():
            memory = stack.enter_context(tempfile.TemporaryDirectory(dir=TMPFS))
            drains[ON_TMPFS] = Drain(f"{memory}/file.log")
        drains[FILE]()
        line_bytes = os.path.getsize(drains[FILE].path) / BACKLOG
        alone = write_alone(f"{folder}/alone.log", line_bytes, stack)
        found = turns.take_turns({**drains, ALONE: alone}, options.rounds)
        for drain in drains.values():
            drain.close()
    return found, line_bytes


def at_full_speed(options: argparse.Namespace) -> dict[str, float]:
    """The shares of the flusher's samples while one caller logs as fast as it can."""
    from logly import Logger, LoggerConfig, SinkConfig

    calls = 0
    with tempfile.TemporaryDirectory(dir=options.dir) as folder, Logger(LoggerConfig(auto_sink=False)) as logger:
        path = f"{folder}/speed.log"
        logger.add_sink(SinkConfig(path=path))
        loop = compile_loop(BRACE["args"], logger)
        loop(0, 1)
        logger.flush()
        [flusher] = profile.other_threads()

        def work() -> None:
            nonlocal calls
            begun = time.perf_counter()
            while time.perf_counter() - begun < options.seconds:
                loop(0, 10 * BACKLOG)
                calls += 10 * BACKLOG
            logger.flush()

        found = profile.shares(flusher, work, folder)
        lines.check(path, path, calls + 1)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=5.0, help="at full speed, for perf (%(default)s)")
    parser.add_argument("--dir", help="where the log files go; default: the temporary directory")
    tables.add_option(parser)
    options = parser.parse_args()
    found, line_bytes = measure(options)
    turns.print_table("the flusher, ns a line", found, base=FILE)
    unwritten = 100 * turns.ratio(found[NULL], found[FILE])
    kept = 100 * turns.ratio(found[KEPT], found[FILE])
    alone = 100 * turns.ratio(found[ALONE], found[FILE])
    shares = {
        "write(2) into the page cache: what /dev/null saves": [100 - unwritten],
        "write(2) into the page cache: the same bytes written alone": [alone],
        "rendering the line, at most": [unwritten - kept],
        "reading the ring, merging, counting, at most (a record kept)": [kept],
    }
    tables.show(tables.Table("of the flusher's time for a line, %", ["median"], shares))
    if profiled := at_full_speed(options):
        rows = {kind: [share] for kind, share in profiled.items()}
        tables.show(tables.Table("at full speed, by perf: % of the flusher's samples", ["this run"], rows))
    tables.show(tables.Table("size", ["bytes"], {"a line": [line_bytes]}))
    tables.write(options.json)


if __name__ == "__main__":
    main()
