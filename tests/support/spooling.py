"""Processes that die and leave a spool, and the next one that finds it."""

from __future__ import annotations

import os
import signal
import struct
import time
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from logly import Logger, LoggerConfig, SinkConfig
from tests.support.programs import run_module, run_program, start_python
from tests.support.spool_child import COUNTERS

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path


class Child:
    """A process that logs at full speed (see spool_child.py)."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        progress = folder / "progress"
        if not progress.exists():
            progress.write_bytes(bytes(8 * COUNTERS))
        self.process = start_python("-m", "tests.support.spool_child", folder, *options, says="running")

    def committed(self) -> tuple[int, ...]:
        """Calls that have returned, by thread."""
        return struct.unpack(f"<{COUNTERS}Q", (self.folder / "progress").read_bytes())

    def kill_after(self, records: int) -> tuple[int, ...]:
        """SIGKILL once so many records more have been logged; how many there are in the end."""
        target = sum(self.committed()) + records
        spin_until(lambda: sum(self.committed()) >= target)
        self.kill()
        return self.committed()

    def kill(self, number: int = signal.SIGKILL) -> None:
        self.process.send_signal(number)
        self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()


def spin_until(condition: Callable[[], bool]) -> None:
    """`wait_until` without sleep: in a millisecond a process logs a thousand records."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited for a minute"
        os.sched_yield()


def dies(folder: Path, program: str, end: str = "os._exit(1)") -> None:
    """Run a program that logs and ends without a chance to write anything; `logger` and `folder` are given."""
    source = f"""
import os, signal
from pathlib import Path
from logly import Level, Logger, LoggerConfig, SinkConfig
folder = Path({str(folder)!r})
def make(**settings):
    settings = dict(async_flush_interval=3_600_000, flush_level=None, **settings)
    return Logger(LoggerConfig(spool=folder / "app.spool", **settings), name="dead")
logger = make()
logger.add_sink(SinkConfig(path=folder / "app.log", buffer_size=1 << 26))
{program}
{end}
"""
    run_program(source, returncode=-signal.SIGKILL if "SIGKILL" in end else None)


def revive(folder: Path, *names: str, layout: str | None = None, **settings: object) -> list[Exception]:
    """Start and end a logger that names the spool; what on_error was told."""
    told: list[Exception] = []
    config = LoggerConfig(spool=folder / "app.spool", on_error=told.append)
    with Logger(config) as logger:
        for name in names or ("app.log",):
            logger.add_sink(SinkConfig(path=folder / name, format=layout, **settings))
        assert logger.flush()
    return told


def run_recover(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """`python -m logly recover ARGUMENTS`; the options are those of `run_python`."""
    return run_module("logly", "recover", *arguments, may_complain=True, **options)


def spools(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("app.spool*"))


def poke(path: Path, offset: int, data: bytes) -> None:
    """Writes into the middle of a file."""
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


RING = 65536 + 16 * 131072
"""Where the ring begins in a spool's file, and with it the first record."""

SLOT, STAGE = 616, 65536
"""Where the first sink's progress is, and the bytes of its write: see logly/spool/format.pxd."""


def begin_write(spool: Path, log: Path, staged: bytes, records: int, *, written: int) -> None:
    """Makes a spool and a log file look as if their process had been killed in its first write of so many records."""
    log.write_bytes(staged[:written])
    about = log.stat()
    name = os.fsencode(log)
    with spool.open("rb") as file:
        sink = struct.unpack_from("<I", file.read(SLOT + 8), SLOT + 4)[0]
    fields = (1, sink, 0, records, about.st_dev, about.st_ino, 0, len(staged), 0, 0, len(name))
    poke(spool, SLOT, struct.pack("<II7QII", *fields) + name)
    poke(spool, STAGE, staged)


def assert_each_once(folder: Path, pattern: str, committed: tuple[int, ...], threads: int = 4) -> None:
    """The files have every record of a `Child`'s threads that was committed, once."""
    seen: dict[int, list[int]] = defaultdict(list)
    for path in folder.glob(pattern):
        for line in path.read_text().splitlines():
            word, number, count, *_ = line.split(" ")
            assert word == "r"
            seen[int(number)].append(int(count))
    for number in range(threads):
        counts = Counter(seen[number])
        assert [count for count, times in counts.items() if times > 1] == []
        assert sorted(counts) == list(range(len(counts)))
        # A call that had not returned may have committed its record.
        assert committed[number] <= len(counts) <= committed[number] + 1
