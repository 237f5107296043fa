"""A traceback's entries are in a spool before a record names them, and only those that records name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from logly import Logger, LoggerConfig, SinkConfig, _core
from tests.support.disks import size_for_spool, small_disk
from tests.support.hooks import place_counts
from tests.support.spooling import dies, revive, spools
from tests.whole.test_exception_storm import logged, records

BEGIN = "\x02"
LAYOUT = BEGIN + "{message}"

PRELUDE = f"""
from tests.whole.test_exception_storm import KINDS, logged, made
import traceback

def fail(logger, kind, name, **fields):
    try:
        KINDS[kind](name)
    except Exception as error:
        logger.exception("{{}}", name, **fields)
        return "".join(traceback.format_exception(error))

expected = []

def known(logger, name):
    expected.extend(fail(logger, kind, name) for kind in range(4))

def sink():
    return SinkConfig(path=folder / "app.log", format={LAYOUT!r}, newlines="keep", buffer_size=1 << 26)

logger.remove_all_sinks()
logger.add_sink(sink())
"""
END = f"""
(folder / "expected").write_text({BEGIN!r}.join(expected))
os.kill(os.getpid(), signal.SIGKILL)
"""


def found_after(tmp_path: Path, program: str) -> None:
    dies(tmp_path, PRELUDE + program + END, "os.kill(os.getpid(), signal.SIGKILL)")
    assert revive(tmp_path, layout=LAYOUT, newlines="keep") == []
    found = [trace for _, trace in records((tmp_path / "app.log").read_text())]
    assert found == (tmp_path / "expected").read_text().split(BEGIN)


def test_what_was_known_before_the_spool_began(tmp_path: Path) -> None:
    program = """
config = logger.config
logger.configure(spool=None)
known(logger, "before")
logger.flush()
logger.configure(config)
known(logger, "after")
known(logger, "again")
"""
    found_after(tmp_path, program)


def test_a_second_spool_that_begins_later(tmp_path: Path) -> None:
    program = """
known(logger, "one")
(folder / "other").mkdir()
config = LoggerConfig(spool=folder / "other" / "app.spool", async_flush_interval=3_600_000, flush_level=None)
other = Logger(config)
other.add_sink(SinkConfig(path=folder / "other" / "app.log", buffer_size=1 << 26))
texts = [fail(other, kind, "other") for kind in range(4)]
(folder / "other" / "expected").write_text("\x02".join(texts))
known(logger, "two")
"""
    found_after(tmp_path, program)
    other = tmp_path / "other"
    assert revive(other, layout=LAYOUT, newlines="keep") == []
    found = [trace for _, trace in records((other / "app.log").read_text())]
    assert found == (other / "expected").read_text().split(BEGIN)


@pytest.mark.skipif(_core.IS_FREE_THREADED, reason="a spool cannot begin while another thread logs")
@pytest.mark.parametrize("where", ["the record's field", "the exception's text"])
def test_a_spool_that_begins_in_the_middle_of_the_call(where: str, tmp_path: Path) -> None:
    program = f"""
config = logger.config
logger.configure(spool=None)
known(logger, "before")
logger.flush()

class Begins:
    def __str__(self):
        logger.configure(config)
        return "begun"

class Failed(ValueError):
    def __str__(self):
        logger.configure(config)
        return "begun"

if {where!r} == "the record's field":
    expected.append(fail(logger, 1, "beside", field=Begins()))
else:
    try:
        try:
            KINDS[1]("cause")
        except ValueError as error:
            raise Failed from error
    except ValueError as error:
        logger.exception("failed")
        expected.append("".join(traceback.format_exception(error)))
assert logger.config.spool is not None
"""
    found_after(tmp_path, program)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("first", ["an exception", "a line"])
def test_a_forked_child(first: str, tmp_path: Path) -> None:
    program = f"""
known(logger, "parent")
logger.flush()
if os.fork():
    os.wait()
    os._exit(0)
expected.clear()
if {first!r} == "a line":
    logger.info("line")
    expected.append("")
known(logger, "child")
"""
    dies(tmp_path, PRELUDE + program + END)
    before = (tmp_path / "app.log").read_text()
    assert revive(tmp_path, layout=LAYOUT, newlines="keep") == []
    found = [trace for _, trace in records((tmp_path / "app.log").read_text().removeprefix(before))]
    assert found == (tmp_path / "expected").read_text().split(BEGIN)


# ---- how much it has


def failing(number: int) -> Any:
    """A function whose place has a text of some 4 KB."""
    scope: dict[str, Any] = {}
    exec(compile("def fail(i):\n    raise ValueError(i)\n", f"<{'long' * 1000}>{number}", "exec"), scope)
    return scope["fail"]


@pytest.fixture
def many_places(tmp_path: Path) -> Any:
    """Functions with 1.9 MiB of places, which a logger without a spool has named."""
    with Logger(LoggerConfig(auto_sink=False)) as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "other.log"))
        functions = [failing(number) for number in range(500)]
        for _ in range(2):
            for number, fail in enumerate(functions):
                logged(logger, fail, number, 1)
    assert place_counts()[1] > 3 << 19
    return functions


def used_bytes(folder: Path) -> int:
    [name] = spools(folder)
    return (folder / name).stat().st_blocks * 512


@pytest.mark.skipif(_core.IS_FREE_THREADED, reason="there a new spool gets all places")
def test_a_new_spool_has_the_places_that_its_records_name(many_places: Any, tmp_path: Path) -> None:
    with Logger(LoggerConfig(auto_sink=False, spool=tmp_path / "app.spool")) as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "app.log", format=LAYOUT, newlines="keep"))
        empty = used_bytes(tmp_path)
        assert empty < 4 << 20
        expected = [logged(logger, fail, number, 2) for _ in range(3) for number, fail in enumerate(many_places[:10])]
        assert 30_000 < used_bytes(tmp_path) - empty < 100_000
        assert logger.flush(30)
    assert records((tmp_path / "app.log").read_text()) == expected


@pytest.mark.skipif(_core.IS_FREE_THREADED, reason="there a new spool gets all places")
def test_a_full_disk_takes_no_places_and_the_tracebacks_are_whole(many_places: Any, tmp_path: Path) -> None:
    told: list[Exception] = []
    with (
        small_disk(tmp_path, size_for_spool(tmp_path)) as disk,
        Logger(LoggerConfig(auto_sink=False, spool=disk / "app.spool", on_error=told.append)) as logger,
    ):
        logger.add_sink(SinkConfig(path=tmp_path / "app.log", format=LAYOUT, newlines="keep"))
        expected = [logged(logger, fail, number, 3) for _ in range(2) for number, fail in enumerate(many_places)]
        assert logger.flush(30)
    assert records((tmp_path / "app.log").read_text()) == expected
    assert told == []
