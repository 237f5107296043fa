"""Names of loggers in a spool: a dead process's lines show them, and a damaged one is told."""

from __future__ import annotations

import json
import struct
import sys
from binascii import crc32
from pathlib import Path

import pytest

from logly import SpoolError
from tests.support.spooling import RING, dies, poke, revive, run_recover, spools

if sys.platform == "win32":
    pytest.skip("no spools on Windows", allow_module_level=True)

FLAGS, ORIGIN, NAME = RING + 6, RING + 30, RING + 32
HAS_NAME, BY_MODULE = 4096, 8192
OVERLONG = "n" * 300


def dies_with(folder: Path, *names: str) -> Path:
    dies(folder, "".join(f"logger.named({name!r}).info('x {{}}', {name[:9]!r})\n" for name in names))
    return folder / spools(folder)[0]


def test_the_lines_of_a_dead_process_show_its_names(tmp_path: Path) -> None:
    program = f"""
logger.info("own")
logger.named("shop").info("first {{}}", 1)
shop = logger.named("shop").named("db")
shop.bind(a=1).info("second", b=2)
logger.named({OVERLONG!r}).info("third")
logger.named("é").info("x" * {1 << 19})
logger.named("one\\ntwo").exception("text")
"""
    dies(tmp_path, program)
    path = tmp_path / spools(tmp_path)[0]
    shown = [json.loads(line)["logger"] for line in run_recover(path, "--json").stdout.splitlines()]
    assert shown == ["dead", "dead.shop", "dead.shop.db", f"dead.{OVERLONG}", "dead.é", "dead.one\ntwo"]
    assert revive(tmp_path, layout="{name} {message:.9}") == []
    lines = (tmp_path / "app.log").read_text().splitlines()
    assert lines == [
        "dead own", "dead.shop first 1", "dead.shop.db second", f"dead.{OVERLONG} third", "dead.é xxxxxxxxx",
        "dead.one\\ntwo text",
    ]  # fmt: skip


def test_a_name_from_before_the_spool_and_one_from_after(tmp_path: Path) -> None:
    program = """
early = Logger(LoggerConfig(auto_sink=False, async_flush_interval=3_600_000, flush_level=None))
for i in range(1000):
    early.named(f"early.{i}")
config = early.config
config.spool = folder / "other.spool"
early.configure(config)
early.add_sink(SinkConfig(path=folder / "other.log", buffer_size=1 << 26))
for i in range(1000):
    early.named(f"late.{i}").info("x")
early.named("early.999").info("x")
early.info("x")
"""
    dies(tmp_path, program)
    [path] = tmp_path.glob("other.spool*")
    shown = [json.loads(line).get("logger") for line in run_recover(path, "--json").stdout.splitlines()]
    assert shown == [*(f"late.{i}" for i in range(1000)), "early.999", None]


def test_more_names_than_there_are_numbers(tmp_path: Path) -> None:
    count = 65_534
    program = f"""
logger.info("before")
for i in range({count}):
    logger.named(str(i))
logger.named("{count - 1}").info("x")
logger.named("later").info("x")
"""
    dies(tmp_path, program)
    assert revive(tmp_path, layout="{name}") == []
    assert (tmp_path / "app.log").read_text().splitlines() == ["dead", f"dead.{count - 1}", "dead.later"]


def test_a_name_that_the_spool_cannot_store_is_in_its_records(tmp_path: Path) -> None:
    program = """
from logly._core import spool_filenos
logger.named("stored").info("x")
[number] = spool_filenos(logger._controller.core)
os.close(number)
logger.named("unstored").info("x")
logger.named("unstored").info("y {}", 1)
logger.named("stored").info("x")
"""
    dies(tmp_path, program)
    assert revive(tmp_path, layout="{name} {message}") == []
    lines = (tmp_path / "app.log").read_text().splitlines()
    assert lines == ["dead.stored x", "dead.unstored x", "dead.unstored y 1", "dead.stored x"]


@pytest.mark.parametrize(
    ("offset", "data"),
    [
        pytest.param(ORIGIN, struct.pack("<H", 3), id="a-number-that-is-not-there"),
        pytest.param(ORIGIN, struct.pack("<H", 300), id="a-number-in-a-block-that-is-not-there"),
        pytest.param(ORIGIN, struct.pack("<H", 0xFFFF), id="no-name-inside"),
        pytest.param(FLAGS, struct.pack("<H", HAS_NAME), id="a-name-inside-and-a-number"),
        pytest.param(FLAGS, struct.pack("<HHHII", HAS_NAME, 0, 0, 0, 0), id="a-name-inside-and-no-number"),
    ],
)
def test_a_damaged_number_of_a_name_is_told(tmp_path: Path, offset: int, data: bytes) -> None:
    poke(dies_with(tmp_path, "one", "two"), offset, data)
    (told,) = revive(tmp_path)
    assert isinstance(told, SpoolError)
    assert "record 0 is not one" in str(told)


@pytest.mark.parametrize("size", [0, 5, 400, 1 << 30, (1 << 32) - 1])
def test_a_damaged_size_of_a_name_is_told(tmp_path: Path, size: int) -> None:
    path = dies_with(tmp_path, OVERLONG)
    assert struct.unpack("<I", path.read_bytes()[NAME : NAME + 4]) == (len(f"dead.{OVERLONG}"),)
    poke(path, NAME, struct.pack("<I", size))
    (told,) = revive(tmp_path)
    assert "record 0 is not one" in str(told)


def test_a_name_that_is_no_utf8_is_told(tmp_path: Path) -> None:
    path = dies_with(tmp_path, OVERLONG)
    poke(path, NAME + 6, b"\xff")
    (told,) = revive(tmp_path)
    assert "record 0 is not one" in str(told)


def test_a_record_that_ends_within_its_name_is_told(tmp_path: Path) -> None:
    path = dies_with(tmp_path, OVERLONG)
    poke(path, RING, struct.pack("<I", 32))
    (told,) = revive(tmp_path)
    assert "record 0 is not one" in str(told)


def append_name(path: Path, number: int, name: bytes) -> None:
    """Behind the others, with a right checksum."""
    end = struct.unpack_from("<Q", path.read_bytes(), 424)[0]
    parts = struct.pack("<I", len(name)) + name
    front = struct.pack("<III", len(parts), 6, number)
    entry = front + struct.pack("<I", crc32(front + parts)) + parts
    poke(path, end, entry)
    poke(path, 424, struct.pack("<Q", end + len(entry)))


@pytest.mark.parametrize("number", [0, 0xFFFF, 1 << 16 | 1])
def test_an_entry_whose_number_no_record_can_have(tmp_path: Path, number: int) -> None:
    append_name(dies_with(tmp_path, "x"), number, b"shop")
    assert revive(tmp_path, layout="{name}") == []
    assert (tmp_path / "app.log").read_text() == "dead.x\n"


def test_an_entry_that_is_no_utf8_is_told(tmp_path: Path) -> None:
    append_name(dies_with(tmp_path, "x"), 7, b"\xff")
    (told,) = revive(tmp_path)
    assert "damaged: name 7 of kind 6" in str(told)


def test_a_number_that_was_given_twice_is_the_later_names(tmp_path: Path) -> None:
    """The process had stored a name and could not use its number, for want of memory."""
    append_name(dies_with(tmp_path, "second"), 1, b"later")
    assert revive(tmp_path, layout="{name}") == []
    assert (tmp_path / "app.log").read_text() == "later\n"


def test_a_record_of_logging_keeps_its_flag(tmp_path: Path) -> None:
    program = """
import logging
from logly import StdlibHandler
source = logging.Logger("lib")
source.addHandler(StdlibHandler(logger.named("own")))
source.error("x")
"""
    dies(tmp_path, program)
    path = tmp_path / spools(tmp_path)[0]
    assert struct.unpack_from("<H", path.read_bytes(), FLAGS)[0] & BY_MODULE
    assert revive(tmp_path, layout="{name} {module} {message}") == []
    assert (tmp_path / "app.log").read_text() == "dead.own lib x\n"
