"""Files that are no spool, or a damaged one: told and left. Writes that were cut short: finished."""

from __future__ import annotations

import fcntl
import os
import random
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

import logly
from logly import SpoolError
from tests.support.programs import run_program
from tests.support.records import WITH_ITS_LEVEL
from tests.support.spooling import dies, poke, revive, run_recover, spools


def leave_spool(folder: Path) -> Path:
    dies(folder, WITH_ITS_LEVEL + "for i in range(50): logger.info('line {} {:.2f}', i, i / 3, k=i)")
    (name,) = spools(folder)
    return folder / name


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.write_bytes(b""), "not a spool"),
        (lambda path: path.write_bytes(b"something else entirely" * 1000), "not a spool"),
        (lambda path: os.truncate(path, 100_000), "too short"),
        (lambda path: poke(path, 8, struct.pack("<I", 99)), "format 99"),
        (
            lambda path: poke(path, 8, struct.pack("<I", 3)),
            "format 3, this logly reads 7: recover it with the one that wrote",
        ),
        (lambda path: poke(path, 24, b"\xff" * 8), "checksum"),
        (lambda path: poke(path, 12, b"\xff"), "byte order"),
        (lambda path: poke(path, 65536 + 16 * 131072, bytes(8)), "impossible size"),
        (lambda path: poke(path, 65536 + 16 * 131072 + 7, b"\x80"), "record 0 is not one"),  # a flag of the future
        (lambda path: poke(path, 65536 + 16 * 131072 + 28, b"\xff\xff"), "record 0 is not one"),  # level -1
        (lambda path: poke(path, 65536 + 16 * 131072 + 30, b"\x01"), "record 0 is not one"),  # an unknown origin
        (lambda path: poke(path, 128, b"\x01"), "positions"),
    ],
)
def test_a_file_that_is_not_understood_is_told_and_left(
    tmp_path: Path, damage: Callable[[Path], object], words: str
) -> None:
    path = leave_spool(tmp_path)
    damage(path)
    before = path.read_bytes()[:65536]
    told = revive(tmp_path)
    assert [type(error) for error in told] == [SpoolError]
    assert words in str(told[0])
    assert str(path) in str(told[0])
    result = run_recover(path, returncode=1)
    assert words in result.stderr
    assert result.stdout == ""
    assert path.read_bytes()[:65536] == before
    assert (tmp_path / "app.log").read_text() == ""


def test_flipped_bytes_never_crash_the_reader(tmp_path: Path) -> None:
    """A clean error, or lines: never a crash. (What is inside a text is not checked, so a line may differ.)"""
    path = leave_spool(tmp_path)
    whole = path.read_bytes()
    ring = 65536 + 16 * 131072
    head = struct.unpack_from("<Q", whole, 128)[0]
    names = ring + (1 << 20)
    chance = random.Random(7)
    program = f"""
import random, sys
from pathlib import Path
import logly.control.recovery, logly.spool.spools
from logly import LoggerConfig, SinkConfig, SpoolError
whole = Path({str(tmp_path / "whole")!r}).read_bytes()
path = Path({str(path)!r})
chance = random.Random({chance.randrange(1 << 30)})
outcomes = [0, 0]
def nothing(record): str(record)
for _ in range(400):
    damaged = bytearray(whole)
    for _ in range(chance.choice((1, 1, 3, 20))):
        start, size = chance.choice(((72, 1200), ({ring}, {head}), ({ring}, {head}), ({names}, 4000)))
        damaged[min(start + chance.randrange(size), len(whole) - 1)] = chance.randrange(256)
    path.write_bytes(damaged)
    sinks = [SinkConfig(path={str(tmp_path / "fuzz.log")!r}).resolved(),
             SinkConfig(path={str(tmp_path / "fuzz.json")!r}, json=True).resolved(),
             SinkConfig(function=nothing).resolved()]
    try:
        file = logly.spool.spools.open_dead(str(path))
        assert file is not None
        logly.control.recovery.deliver(file, LoggerConfig(), sinks, 30.0, lambda error: None)
        outcomes[0] += 1
    except SpoolError:
        outcomes[1] += 1
    path.unlink(missing_ok=True)
print(*outcomes)
"""
    # The blob of the large record is far out: without it, the file is small enough to be copied often.
    (tmp_path / "whole").write_bytes(whole[: names + 65536])
    delivered, refused = map(int, run_program(program, timeout=110).stdout.split())
    assert delivered + refused == 400
    assert refused > 0


def test_an_unfinished_spool_is_swept_away(tmp_path: Path) -> None:
    (tmp_path / "app.spool.123.new").write_bytes(bytes(1000))
    assert revive(tmp_path) == []
    assert spools(tmp_path) == []


def test_a_spool_that_somebody_else_recovers_is_left_to_him(tmp_path: Path) -> None:
    path = leave_spool(tmp_path)
    with path.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert revive(tmp_path) == []
        assert path.exists()
    assert revive(tmp_path) == []
    assert not path.exists()


# ---- a write that was cut short


STAGED = b"".join(b"line %d of the batch\n" % i for i in range(200))


@pytest.mark.parametrize("written", [0, 1, 7, 100, 2048, len(STAGED) - 1, len(STAGED)])
def test_a_write_that_was_cut_short_is_finished(tmp_path: Path, written: int) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(b"before\n" + STAGED[:written])
    about = path.stat()
    done = logly.spool.unfinished_write.finish_write(str(path), about.st_dev, about.st_ino, 7, STAGED)
    assert done == (written > 0)
    assert path.read_bytes() == b"before\n" + (STAGED if written else b"")


def test_a_write_is_recognised_among_the_lines_of_other_processes(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(b"before\n" + b"line 0 of theirs\n" + STAGED + b"line 1 of theirs\n")
    about = path.stat()
    assert logly.spool.unfinished_write.finish_write(str(path), about.st_dev, about.st_ino, 7, STAGED)
    assert path.read_bytes().count(b"batch") == 200
    path.write_bytes(b"before\n" + b"line 0 of theirs\nline 1 of theirs\n")
    assert not logly.spool.unfinished_write.finish_write(str(path), about.st_dev, about.st_ino, 7, STAGED)


def test_a_write_is_recognised_in_a_file_that_was_rotated_since(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(STAGED[:100])
    about = path.stat()
    path.rename(tmp_path / "app.log.1")
    path.write_bytes(b"")
    assert logly.spool.unfinished_write.finish_write(str(path), about.st_dev, about.st_ino, 0, STAGED)
    assert (tmp_path / "app.log.1").read_bytes() == STAGED
    (tmp_path / "app.log.1").unlink()
    assert not logly.spool.unfinished_write.finish_write(str(path), about.st_dev, about.st_ino + 1_000_000, 0, STAGED)
