"""Hours of logging in minutes: memory, threads and descriptors stay as they are, and nothing is lost.

LOGLY_SOAK_RECORDS is how many records; default 10**8: two minutes or so.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from logly import Logger, LoggerConfig, SinkConfig
from tests.support.log_files import lines_of
from tests.support.loggers import assert_books
from tests.support.waiting import wait_until

RECORDS = int(os.environ.get("LOGLY_SOAK_RECORDS", "100_000_000"))
THREADS = 2
TENTHS = 10
MIB = 1 << 20
KEPT_FILES = 2
SLACK_BYTES = 8 * MIB
"""An eighth of a byte per record would be more than this, at 10**8 records."""

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.timeout(4 * 3600),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]


class Usage(NamedTuple):
    """What this process holds."""

    rss_bytes: int
    threads: int
    descriptors: int


def usage() -> Usage:
    resident_pages = int(Path("/proc/self/statm").read_text().split()[1])
    return Usage(
        resident_pages * os.sysconf("SC_PAGE_SIZE"),
        len(os.listdir("/proc/self/task")),
        len(os.listdir("/proc/self/fd")),
    )


def log_all(logger: Logger, first: int, count: int) -> None:
    """`count` records from several threads; most are short, some have fields, some are long or have a traceback."""

    def log(who: int) -> None:
        bound = logger.bind(who=who)
        for i in range(first + who, first + count, THREADS):
            if i % 16:
                logger.info("{} {} of {:.3f}", i, "record", i / 7)
            elif i % 4096:
                bound.info("{} with fields", i, ratio=i / 3, name="soak")
            else:
                bound.error("{} {}", i, "x" * 100_000, exc_info=ValueError(i))

    threads = [threading.Thread(target=log, args=(who,)) for who in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def rotated_files(folder: Path) -> list[Path]:
    return [file for file in folder.iterdir() if file.name != "soak.log" and not file.name.startswith(".")]


def test_memory_threads_and_descriptors_stay_flat(tmp_path: Path) -> None:
    errors: list[Exception] = []
    logger = Logger(LoggerConfig(auto_sink=False, on_error=errors.append))
    # So that also a short soak rotates some dozen times.
    limit = min(64 * MIB, max(MIB, RECORDS))
    logger.add_sink(SinkConfig(path=tmp_path / "soak.log", size_limit=limit, retention=KEPT_FILES))
    begun = time.monotonic()
    seen: list[Usage] = []
    for tenth in range(TENTHS):
        log_all(logger, tenth * (RECORDS // TENTHS), RECORDS // TENTHS)
        assert logger.flush(60)
        assert_books(logger)
        # Old files are removed by a thread of their own, which ends when it has nothing to do.
        wait_until(lambda: len(rotated_files(tmp_path)) <= KEPT_FILES, "old files to go")
        seen.append(usage())
    print(f"{RECORDS} records in {time.monotonic() - begun:.0f} s:", *seen, logger.stats(), sep="\n")
    stats = logger.stats()
    count = RECORDS // TENTHS * TENTHS
    assert (stats.emitted, stats.written, stats.dropped, stats.failed, stats.pending) == (count, count, 0, 0, 0)
    assert stats.rotations > TENTHS
    assert errors == []
    assert max(now.rss_bytes for now in seen) <= seen[0].rss_bytes + SLACK_BYTES
    assert seen[-1].threads <= seen[0].threads + 1
    assert seen[-1].descriptors <= seen[0].descriptors + 2
    logger.close()
    assert lines_of(tmp_path / "soak.log")
