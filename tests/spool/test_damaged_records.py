"""A record of a spool whose bytes are not what a log call writes: told and left, never shown as something else."""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from logly import SpoolError
from tests.support.spooling import dies, poke, revive, spools

if TYPE_CHECKING:
    from collections.abc import Callable

if sys.platform == "win32":
    pytest.skip("no spools on Windows", allow_module_level=True)

RECORD = 65536 + 16 * 131072  # where the first one is: behind the header and the stages
SIZE, FLAGS, TEMPLATE, SITE, ARGS = RECORD, RECORD + 6, RECORD + 16, RECORD + 20, RECORD + 24
HEADER_BYTES = 32
HAS_THREAD, HAS_THREAD_NAME, HAS_SITE, HAS_EXCEPTION, HAS_PROCESS, HAS_TIME = 1, 2, 4, 8, 256, 512
STATEMENT = r"logger.info('{:>8} {:.2f}', '\U0001f600', 2.5, plain='plain', nested={'a': [1]}, big=10**30)"
SMILE, REAL = "\U0001f600".encode("utf-32-le"), struct.pack("<d", 2.5)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("dead")
    dies(folder, STATEMENT)
    [name] = spools(folder)
    return (folder / name).read_bytes()


def put(place: int, pattern: str, value: int) -> Callable[[Path, bytes], None]:
    """A number at a place."""
    return lambda path, whole: poke(path, place, struct.pack(pattern, value))


def at(text: bytes, offset: int, data: bytes) -> Callable[[Path, bytes], None]:
    """Bytes at an offset from where a text is in the record."""
    return lambda path, whole: poke(path, whole.index(text, RECORD) + offset, data)


def cut_within(number: bytes) -> Callable[[Path, bytes], None]:
    """The record, whose size is a multiple of 8, ends within a number."""

    def damage(path: Path, whole: bytes) -> None:
        poke(path, SIZE, struct.pack("<I", (whole.index(number, RECORD) + len(number) - 1) // 8 * 8 - RECORD))

    return damage


def only_header(flags: int) -> Callable[[Path, bytes], None]:
    """The record is nothing but its header, whose flags announce more."""

    def damage(path: Path, whole: bytes) -> None:
        poke(path, SIZE, struct.pack("<I", HEADER_BYTES))
        poke(path, FLAGS, struct.pack("<H", flags))

    return damage


DAMAGES = {
    "smaller than a header": put(SIZE, "<I", 8),
    "no site": put(SITE, "<I", 60_000),
    "no template": put(TEMPLATE, "<I", 60_000),
    "more arguments than any template has": put(ARGS, "<H", 0xFFFF),
    "fewer arguments than the template needs": put(ARGS, "<H", 1),
    "an argument of another kind than the template takes": at(SMILE, -5, b"\x0a"),
    "a value of no kind": at(SMILE, -5, b"\xc8"),
    "a text that is longer than the record": at(SMILE, -4, struct.pack("<I", 0x7FFFFFFF)),
    "a character beyond Unicode": at(SMILE, 0, struct.pack("<I", 0x110000)),
    "a byte that is not ASCII": at(b"plain", 0, b"\x80"),
    "a name that is no text": at(b"plain", -5, b"\x00"),
    "a name that is bytes": at(b"plain", -5, b"\x0a"),
    "JSON that is not UTF-8": at(b'{"a"', 0, b"\xff"),
    "a number of letters": at(b"1000000", 1, b"x"),
    "a number that ends early": cut_within(REAL),
    "no thread": only_header(HAS_THREAD),
    "no process": only_header(HAS_PROCESS),
    "no time": only_header(HAS_TIME),
    "no name of the thread": only_header(HAS_THREAD_NAME),
    "no place": only_header(HAS_SITE),
    "no exception": put(FLAGS, "<H", HAS_EXCEPTION),
}


def test_the_record_is_sound_as_it_was_written(tmp_path: Path, whole: bytes) -> None:
    (tmp_path / "app.spool.1").write_bytes(whole)
    assert revive(tmp_path, layout="{message} {plain} {nested} {big}") == []
    assert (tmp_path / "app.log").read_text() == f'       \U0001f600 2.50 plain {{"a":[1]}} {10**30}\n'


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_record_that_no_log_call_writes_is_told_and_left(
    tmp_path: Path, whole: bytes, damage: Callable[[Path, bytes], None]
) -> None:
    path = tmp_path / "app.spool.1"
    path.write_bytes(whole)
    damage(path, whole)
    damaged = path.read_bytes()[RECORD:]
    [error] = revive(tmp_path, layout="{message} {fields}")
    assert isinstance(error, SpoolError)
    assert "record 0 is not one" in str(error)
    assert error.filename == str(path)
    assert (tmp_path / "app.log").read_text() == ""
    assert path.read_bytes()[RECORD:] == damaged
