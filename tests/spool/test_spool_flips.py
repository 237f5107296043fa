"""Flipped bits in what a synced spool has on the disk: the right lines, or told damage, and never another line."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

import logly.spool.spools
from logly import LoggerConfig, SinkConfig, SpoolError
from logly.control.recovery import deliver
from logly.spool.spools import open_dead
from tests.support.records import WITH_ITS_LEVEL
from tests.support.spooling import RING, dies, poke, spools

pytestmark = pytest.mark.skipif(not logly.spool.spools.boot_id(), reason="spool_fsync is not available here")

SYNCED_OFFSET, SYNCED_APART = 57344, 4096
NAMES = RING + (1 << 20)
FLIPS = 1000

LEAVE_SYNCED = f"""
import time
logger.close()
logger = make(spool_fsync=1)
logger.add_sink(SinkConfig(path=folder / "app.log", buffer_size=1 << 26))
{WITH_ITS_LEVEL}
spool = next(folder.glob("app.spool.*"))
def is_synced():
    with spool.open("rb") as file:
        header = file.read(65536)
    return header[128:136] in (header[57352:57360], header[61448:61456])
while not is_synced():
    time.sleep(0.001)
"""


def lines_of(path: Path) -> list[str] | None:
    """What a recovery would write; None: it says that the file is damaged. The file stays as it is."""
    lines: list[str] = []
    sink = SinkConfig(function=lambda record: lines.append(repr((record, record.time, record.fields))))
    try:
        file = open_dead(str(path), is_copy=True)
        assert file is not None
        with file:
            assert deliver(file, LoggerConfig(), [sink.resolved()], 30.0, print, keeps=True).is_complete
    except SpoolError:
        return None
    return lines


def word_at(path: Path, offset: int) -> int:
    with path.open("rb") as file:
        file.seek(offset)
        return struct.unpack("<Q", file.read(8))[0]


def newest_copy(path: Path) -> int:
    copies = [SYNCED_OFFSET, SYNCED_OFFSET + SYNCED_APART]
    return max(copies, key=lambda copy: word_at(path, copy))


def synced_parts(path: Path) -> list[tuple[int, int]]:
    """Where the parts of the file are that a sync has made durable: the ring, the names, the copy of a large record."""
    head, names_end = word_at(path, newest_copy(path) + 8), word_at(path, newest_copy(path) + 32)
    blob = NAMES + (1 << 28)
    assert path.stat().st_size > blob + 700_000
    return [(RING, RING + head), (NAMES, names_end), (blob, blob + 700_000), (0, 72)]


@pytest.fixture(params=[False, True], ids=["killed", "power-lost"])
def left(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, list[str]]:
    """A synced spool whose process was killed, or lost its power, and the lines that are in it."""
    dies(tmp_path, LEAVE_SYNCED)
    path = tmp_path / spools(tmp_path)[0]
    if request.param:
        monkeypatch.setattr(logly.spool.spools, "boot_id", lambda: 77)
    right = lines_of(path)
    assert right is not None
    return path, right


def test_no_flip_in_what_was_synced_makes_another_line(left: tuple[Path, list[str]]) -> None:
    path, right = left
    assert len(right) > 10
    chance = random.Random(11)
    told = 0
    for _ in range(FLIPS):
        # The ring more often, because it is what no name's checksum covers.
        start, end = chance.choice([*synced_parts(path), synced_parts(path)[0]])
        offset, bit = chance.randrange(start, end), chance.randrange(8)
        byte = word_at(path, offset) & 255
        poke(path, offset, bytes([byte ^ 1 << bit]))
        lines = lines_of(path)
        assert lines in (None, right), (offset, bit)
        told += lines is None
        poke(path, offset, bytes([byte]))
    assert told == FLIPS  # all of it counts
    assert lines_of(path) == right


def test_a_flip_in_what_says_what_was_synced_makes_no_other_line(
    left: tuple[Path, list[str]], request: pytest.FixtureRequest
) -> None:
    path, right = left
    newest = newest_copy(path)
    for offset in range(newest, newest + 256):
        byte = word_at(path, offset) & 255
        poke(path, offset, bytes([byte ^ 1 << offset % 8]))
        lines = lines_of(path)
        # As if power had been lost in this sync: then what counts is the sync before.
        assert lines is None or lines == right[: len(lines)]
        assert "power-lost" in request.node.name or lines == right
        poke(path, offset, bytes([byte]))


def test_what_was_logged_after_the_last_sync_is_recovered_without_a_checksum(tmp_path: Path) -> None:
    program = LEAVE_SYNCED.replace("spool_fsync=1)", "spool_fsync=3_600_000)").partition("spool = next")[0]
    dies(tmp_path, program)
    path = tmp_path / spools(tmp_path)[0]
    assert word_at(path, newest_copy(path) + 8) < word_at(path, 128)
    lines = lines_of(path)
    assert lines is not None
    assert len(lines) > 10


def test_sums_go_round_with_the_ring(tmp_path: Path) -> None:
    """A small ring is synced again and again while it is written; at each instant what was synced fits its sum."""
    program = """
import time
logger.close()
logger = Logger(LoggerConfig(spool=folder / "app.spool", spool_fsync=1, async_buffer_size=8192, async_flush_interval=1))
logger.add_sink(SinkConfig(path=folder / "app.log", format="{message}"))
for i in range(20_000):
    logger.info("line {} {}", i, "x" * (4000 if i % 100 == 0 else i % 50))
"""
    dies(tmp_path, program, "os.kill(os.getpid(), signal.SIGKILL)")
    for name in spools(tmp_path):
        path = tmp_path / name
        assert word_at(path, newest_copy(path) + 8) > 8192
        assert lines_of(path) is not None
