"""Log files whose names leave no room for what a rotated file's name adds to them."""

from __future__ import annotations

import gzip
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logly import SinkConfig
from logly._core import ZONE_UTC
from logly.files.housekeeper import housekeeper
from logly.files.rotated import RotatedName
from logly.files.rotation import lock_path
from tests.support.instants import SECOND, ns
from tests.support.loggers import make_logger

if TYPE_CHECKING:
    from pathlib import Path

NAMES = {
    "240 bytes": "a" * 236 + ".log",
    "255 bytes": "a" * 251 + ".log",
    "two bytes a letter": "ä" * 120 + ".log",
    "four bytes a letter": "\U0001f600" * 61 + "ab.log",
    "not UTF-8": os.fsdecode(b"\xff\xc3" * 120) + ".log",
    "a long extension": "a." + "b" * 240,
}


def log_into(path: Path, lines: int, **options: object) -> None:
    logger = make_logger()
    logger.add_sink(SinkConfig(path=path, format="{message}", size_limit=100, **options))  # type: ignore[arg-type]
    for i in range(lines):
        logger.info("{:04}", i)
    assert logger.close(20)
    housekeeper.drain(20)


def others(path: Path) -> list[Path]:
    return sorted(one for one in path.parent.iterdir() if one != path and not one.name.startswith("."))


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_it_rotates_and_the_rotated_files_are_known(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    log_into(path, 200)  # 20 lines a file
    rotated = others(path)
    assert len(rotated) == 9
    assert [line for one in [*rotated, path] for line in one.read_text().split()] == [f"{i:04}" for i in range(200)]
    assert [one.path for one in RotatedName(str(path)).files()] == list(map(str, rotated))
    log_into(path, 21, compression="gzip", retention=2)
    left = others(path)
    assert [one.suffix for one in left] == [".gz", ".gz"]
    assert gzip.decompress(left[-1].read_bytes()).split()[-1] == b"0019"


def test_two_names_with_the_same_beginning_keep_their_own(tmp_path: Path) -> None:
    one, other = (tmp_path / ("a" * 235 + last + ".log") for last in "bc")
    log_into(one, 100)
    log_into(other, 100)
    log_into(one, 1, retention=0)
    assert [file.path for file in RotatedName(str(one)).files()] == []
    assert len(RotatedName(str(other)).files()) == 4
    assert len(os.fsencode(os.path.basename(lock_path(str(tmp_path / ("a" * 255)))))) <= 255


def test_rotated_files_of_before_are_still_known(tmp_path: Path) -> None:
    # Names that had just enough room for the time were rotated before their stem was cut.
    stem = "a" * 230
    old = tmp_path / f"{stem}_20240101_120000.log"
    old.write_text("old\n")
    name = RotatedName(str(tmp_path / f"{stem}.log"), zone=ZONE_UTC)
    assert [file.path for file in name.files()] == [str(old)]
    assert name.choose(ns("2024-01-01T11:00")) > str(old)


@given(st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=300), st.integers(1, 4))
def test_any_name_is_found_again(text: str, count: int) -> None:
    try:
        encoded = os.fsencode(text)
    except UnicodeEncodeError:  # a lone surrogate that stands for no byte
        return
    if len(encoded) > 255 or text in (".", ".."):
        return
    name = RotatedName(f"/nowhere/{text}", zone=ZONE_UTC)
    chosen = name.name_for("20240101_120000", count)
    assert len(os.fsencode(chosen)) + len(".zst.part") <= 255
    if not any("\ud800" <= character <= "\udfff" for character in text):
        chosen.encode()  # no character was cut in half
    found = name.match(chosen)
    assert found is not None
    assert (found.stamp, found.number) == ("20240101_120000", count)
    assert name.match_part(f"{chosen}.gz.part")


def test_the_time_of_a_rotated_file_with_a_long_name(tmp_path: Path) -> None:
    name = RotatedName(str(tmp_path / NAMES["240 bytes"]), zone=ZONE_UTC)
    at = ns("2024-01-01T12:00")
    found = name.match(os.path.basename(name.choose(at)))
    assert found is not None
    assert name.end_ns(found) == at // SECOND * SECOND
