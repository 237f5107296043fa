"""Kept records and the room of the ring: they never wait for it, and never take it from records that are written."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from logly import Record, SinkConfig
from tests.support.loggers import assert_books
from tests.support.programs import run_program
from tests.support.recorders import MARK, kept_texts, lines_after_flush, recording_logger


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "app.log"


class Stalled:
    """A logger whose ring nobody empties until `go_on`: a sink's function holds the flusher up."""

    def __init__(self, path: Path, **config: Any) -> None:
        self.is_inside = threading.Event()
        self.is_open = threading.Event()
        self.got: list[str] = []
        self.logger = recording_logger(path, stall_timeout=600, **{"async_buffer_size": 1 << 16, **config})
        self.logger.add_sink(SinkConfig(function=self.work))
        self.logger.info("first")
        assert self.is_inside.wait(60)

    def work(self, record: Record) -> None:
        self.is_inside.set()
        assert self.is_open.wait(60)
        self.got.append(record.message)

    def go_on(self) -> None:
        self.is_open.set()


@pytest.mark.parametrize("message", ["text", "{} is not copied as bits"])
def test_a_kept_record_waits_for_nothing_and_leaves_room(path: Path, message: str) -> None:
    stalled = Stalled(path)
    logger = stalled.logger
    before = logger.stats()
    for i in range(5000):
        logger.debug(message, {"i": i})
    stats = logger.stats()
    assert stats.dropped > 3000
    assert stats.blocked_ns == before.blocked_ns
    for i in range(50):  # in the last quarter
        logger.info("written {}", i)
    assert logger.stats().blocked_ns == before.blocked_ns
    assert_books(logger)
    stalled.go_on()
    assert logger.flush(60)
    assert stalled.got[-50:] == [f"written {i}" for i in range(50)]
    kept = logger.stats().kept
    assert kept + logger.stats().dropped == 5000
    assert not [line for line in lines_after_flush(logger, path) if "dropped" in line]
    logger.error("failed")
    lines = lines_after_flush(logger, path)
    [told] = [line for line in lines if "dropped" in line]
    assert told == f"logly: {5000 - kept} records dropped: they were for the flight recorder, and the ring was full"
    assert lines.index(told) == lines.index("written 49") + 1
    assert len(kept_texts(lines)) == kept
    logger.debug("after")
    logger.error("failed")
    assert lines_after_flush(logger, path)[-2:] == [f"{MARK}after", "failed"]
    logger.close()


def test_large_kept_records_leave_room_for_large_written_ones(path: Path) -> None:
    stalled = Stalled(path, max_message_bytes=4_000_000)
    logger = stalled.logger
    before = logger.stats()
    for i in range(20):
        logger.debug("{} {}", i, "x" * 300_000)
    stats = logger.stats()
    assert 5 < stats.dropped < 15
    logger.info("{}", "y" * 900_000)
    assert logger.stats().blocked_ns == before.blocked_ns
    assert logger.stats().dropped == stats.dropped
    stalled.go_on()
    assert logger.flush(60)
    assert_books(logger)
    logger.close()


def test_written_records_are_dropped_only_where_they_find_no_room_themselves(path: Path) -> None:
    stalled = Stalled(path, overflow="drop")
    logger = stalled.logger
    before = logger.stats().dropped
    for _ in range(5000):
        logger.debug("kept")
    dropped = logger.stats().dropped
    assert dropped > before
    for i in range(50):
        logger.info("written {}", i)
    assert logger.stats().dropped == dropped
    stalled.go_on()
    assert logger.flush(60)
    assert_books(logger)
    logger.close()


def test_what_is_kept_when_a_program_ends(path: Path) -> None:
    """It is not written, and nothing is said of it."""
    program = """
import sys
from logly import Logger, LoggerConfig, SinkConfig
logger = Logger(LoggerConfig(auto_sink=False, level="info", recorder="debug"))
logger.add_sink(SinkConfig(path=sys.argv[1], format="{message}"))
logger.info("one")
logger.debug("two {}", "x" * 1_000_000)
"""
    run_program(program, path)
    assert path.read_text() == "one\n"


def test_a_trigger_at_the_end_of_a_program(path: Path) -> None:
    program = """
import sys
from logly import Logger, LoggerConfig, SinkConfig
logger = Logger(LoggerConfig(auto_sink=False, level="off", recorder="debug", async_flush_interval=3_600_000))
logger.add_sink(SinkConfig(path=sys.argv[1], format="{message}"))
logger.debug("two")
logger.error("three")
"""
    run_program(program, path)
    assert path.read_text().splitlines() == [f"{MARK}two", f"{MARK}three"]


def test_calls_of_logging_that_handlers_get_are_not_kept(path: Path) -> None:
    """Served handlers write the bytes of `logging`; only what comes to the logger itself is kept."""
    program = """
import logging, sys
import logly
from logly import Logger, LoggerConfig, SinkConfig
path = sys.argv[1]
logger = Logger(LoggerConfig(auto_sink=False, level="info", recorder="debug"))
logger.add_sink(SinkConfig(path=path, format="{name} {message}"))
handler = logging.FileHandler(path + ".shop")
handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
shop = logging.getLogger("shop")
shop.propagate = False
shop.addHandler(handler)
shop.setLevel(logging.DEBUG)
logging.getLogger().addHandler(logly.StdlibHandler(logger))
logging.getLogger().setLevel(logging.DEBUG)
logly.install(logger)
def work():
    for i in range(4):
        shop.debug("served %s", i)
        logging.getLogger("other").debug("kept %s", i)
    shop.error("served failed")
work()
logger.flush()
handler.flush()
open(path + ".before", "w").write(open(path).read())
logging.getLogger("other").error("failed")
logly.uninstall()
logger.close()
stats = logger.stats()
assert stats.emitted == stats.written, stats
"""
    run_program(program, path)
    expected = [*(f"DEBUG served {i}" for i in range(4)), "ERROR served failed"]
    assert Path(f"{path}.shop").read_text().splitlines() == expected
    assert Path(f"{path}.before").read_text() == ""
    texts = [line.split(" ", 1)[1] for line in path.read_text().splitlines()]
    assert texts == [*(f"{MARK}kept {i}" for i in range(4)), "failed"]


def test_levels_of_ones_own(path: Path) -> None:
    with recording_logger(
        path, custom_levels={"NOTICE": 25, "AUDIT": 45}, level="warning", recorder="NOTICE", recorder_trigger="AUDIT"
    ) as logger:
        logger.info("not kept")
        logger.log("NOTICE", "kept")
        logger.error("no trigger")
        logger.log("AUDIT", "failed")
        assert lines_after_flush(logger, path) == ["no trigger", f"{MARK}kept", "failed"]


def test_the_environments_levels(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGLY_LEVEL", "warning")
    with recording_logger(path, level=None) as logger:
        logger.info("kept")
        logger.error("failed")
        assert lines_after_flush(logger, path) == [f"{MARK}kept", "failed"]


def test_sinks_alone_ask_for_levels(path: Path) -> None:
    """The logger asks for none: what no sink wants is kept."""
    with recording_logger(path, level=None, sink={"level": "warning"}) as logger:
        assert logger.is_enabled_for("debug")
        logger.info("kept")
        second = logger.add_sink(SinkConfig(path=path.parent / "second", format="{message}", level="info"))
        logger.info("written")
        logger.remove_sink(second)
        logger.info("kept, too")
        logger.error("failed")
        assert lines_after_flush(logger, path) == [f"{MARK}kept", f"{MARK}kept, too", "failed"]
        assert (path.parent / "second").read_text() == "written\n"
