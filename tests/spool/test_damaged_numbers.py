"""Damaged numbers in a record that are possible in themselves: told, because something else contradicts them."""

from __future__ import annotations

import struct
from binascii import crc32
from pathlib import Path

import pytest

from logly import SpoolError
from tests.support.spooling import RING, dies, poke, revive, run_recover, spools

LINES = """
logger.add_level("NOTICE", 35)
logger.info("three {} {:.2f} {}", 1, 2.5, "x", k=3)
logger.info("two {} and {who}", 1, who="me")
logger.log("NOTICE", "text")
"""
FIRST = RING
"""The first record, whose template, site and level have the numbers 1, 1 and that of INFO."""


def number_at(path: Path, offset: int, kind: str) -> int:
    with path.open("rb") as file:
        file.seek(offset)
        return struct.unpack(f"<{kind}", file.read(struct.calcsize(kind)))[0]


@pytest.mark.parametrize(
    ("offset", "kind", "change"),
    [
        pytest.param(20, "I", lambda _: 0, id="no-site"),
        pytest.param(20, "I", lambda site: site + 40_000, id="a-site-that-is-not-there"),
        pytest.param(6, "H", lambda flags: flags | 4, id="a-site-in-the-record"),
        pytest.param(16, "I", lambda _: 0, id="no-template"),
        pytest.param(16, "I", lambda _: 2, id="a-template-of-fewer-arguments"),
        pytest.param(5, "B", lambda level: level + 1, id="the-next-level"),
        pytest.param(5, "B", lambda level: level ^ 64, id="a-level-that-is-not-there"),
        pytest.param(28, "H", lambda number: number + 10, id="the-number-of-another-level"),
        pytest.param(30, "H", lambda _: 1, id="an-origin-that-is-not-there"),
        pytest.param(24, "H", lambda args: args + 1, id="an-argument-more"),
        pytest.param(24, "H", lambda args: args - 1, id="an-argument-less"),
        pytest.param(26, "H", lambda _: 0, id="no-field"),
        pytest.param(6, "H", lambda flags: flags | 32, id="a-notice-of-loglys-own"),
    ],
)
def test_a_number_that_was_damaged_is_told_and_no_other_line_is_written(
    tmp_path: Path, offset: int, kind: str, change
) -> None:
    dies(tmp_path, LINES)
    path = tmp_path / spools(tmp_path)[0]
    poke(path, FIRST + offset, struct.pack(f"<{kind}", change(number_at(path, FIRST + offset, kind))))
    (told,) = revive(tmp_path, layout="{level} {function} {thread} {message} {fields}")
    assert isinstance(told, SpoolError)
    assert "damaged: record 0 is not one" in str(told)
    assert (tmp_path / "app.log").read_text() == ""
    assert run_recover(path, returncode=1).stdout == ""


def test_a_template_of_other_fields_is_told(tmp_path: Path) -> None:
    dies(tmp_path, 'logger.info("of {a}", a=1); logger.info("of {b}", b=1)')
    path = tmp_path / spools(tmp_path)[0]
    poke(path, FIRST + 16, struct.pack("<I", number_at(path, FIRST + 16, "I") + 1))
    (told,) = revive(tmp_path)
    assert "record 0 is not one" in str(told)


def test_a_name_that_was_damaged_is_told_whatever_follows_it(tmp_path: Path) -> None:
    """Templates, call sites, levels, the logger's name: each one is needed by some line."""
    dies(tmp_path, LINES)
    path = tmp_path / spools(tmp_path)[0]
    right = run_recover(path, "--json").stdout
    names = RING + (1 << 20)
    end = number_at(path, 424, "Q")
    assert names < end < names + 5000
    for offset in range(names, end, 23):
        byte = number_at(path, offset, "B")
        poke(path, offset, bytes([byte ^ 1 << offset % 8]))
        (told,) = revive(tmp_path)
        assert "damaged: a name of a template, call site or level" in str(told)
        poke(path, offset, bytes([byte]))
    assert run_recover(path, "--json").stdout == right
    assert (tmp_path / "app.log").read_text() == ""


@pytest.mark.parametrize("end", [1 << 31, 1 << 63, 1 << 64])
@pytest.mark.parametrize("offset", [pytest.param(16, id="size"), pytest.param(24, id="place")])
def test_the_place_of_a_large_record_may_be_any_number(tmp_path: Path, offset: int, end: int) -> None:
    """Around each number that a file's offset may not exceed."""
    dies(tmp_path, f"logger.info('x' * {1 << 19})")
    path = tmp_path / spools(tmp_path)[0]
    large = path.stat().st_size - number_at(path, FIRST + 24, "Q")
    assert 1 << 19 < number_at(path, FIRST + 16, "Q") <= large
    for number in (end - (1 << 19), end - 8, end - 1, end):
        poke(path, FIRST + offset, struct.pack("<Q", number % (1 << 64)))
        (told,) = revive(tmp_path)
        assert isinstance(told, SpoolError)
        assert "damaged: record 0 is not one" in str(told)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        pytest.param(1 << 31, [b"logly"], id="kind"),
        pytest.param(2, [b"file.py", b"module", b"function", str(1 << 31).encode()], id="line"),
        pytest.param(3, [b"LOUD", str(1 << 63).encode(), b""], id="level"),
    ],
)
def test_a_name_with_a_number_that_is_too_large_is_told(tmp_path: Path, kind: int, body: list[bytes]) -> None:
    """Its checksum fits, so no write was cut short here."""
    dies(tmp_path, "logger.info('text')")
    path = tmp_path / spools(tmp_path)[0]
    parts = b"".join(struct.pack("<I", len(part)) + part for part in body)
    front = struct.pack("<III", len(parts), kind, 1)
    poke(path, RING + (1 << 20), front + struct.pack("<I", crc32(front + parts)) + parts)
    (told,) = revive(tmp_path)
    assert isinstance(told, SpoolError)
    assert "damaged: name 1 of kind" in str(told)


def test_numbers_of_levels_may_change(tmp_path: Path) -> None:
    """A record has the number that its level had when it was logged."""
    program = """
logger.add_level("NOTICE", 35)
logger.log("NOTICE", "first")
logger.add_level("NOTICE", 36)
logger.log("NOTICE", "second")
for number in range(1000, 1300):
    logger.log(number, "a number")
"""
    dies(tmp_path, program)
    assert revive(tmp_path, layout="{level} {message}") == []
    lines = (tmp_path / "app.log").read_text().splitlines()
    assert lines[:2] == ["NOTICE first", "NOTICE second"]
    assert len(lines) == 302
