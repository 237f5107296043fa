"""Code that logs while logly runs it: with an empty ring and with a full one, nothing hangs, is lost or is torn."""

from __future__ import annotations

import gc
import threading
from pathlib import Path

import pytest

from logly import Logger, Record, SinkConfig
from tests.support.log_files import lines_of
from tests.support.loggers import assert_books, file_logger
from tests.support.waiting import wait_until

RINGS = pytest.mark.parametrize("ring", [4096, 1 << 20], ids=["full", "empty"])
COUNT = 3000


def assert_all_there(logger: Logger, path: Path, names: list[str], count: int = COUNT) -> None:
    assert logger.flush(60)
    assert_books(logger)
    logger.close()
    lines = lines_of(path)
    for name in names:
        assert [line for line in lines if line.startswith(f"{name} ")] == [f"{name} {i}" for i in range(count)]
    assert len(lines) == count * len(names)


@RINGS
@pytest.mark.parametrize("how", ["__str__", "__format__", "__repr__"])
def test_an_argument_that_logs(tmp_path: Path, ring: int, how: str) -> None:
    logger = file_logger(tmp_path / "log", async_buffer_size=ring)

    class Chatty:
        def __init__(self, number: int) -> None:
            self.number = number

        def text(self, *_: object) -> str:
            logger.info("inner {}", self.number)
            return str(self.number)

    setattr(Chatty, how, Chatty.text)
    for i in range(COUNT):
        logger.info("outer {!r}" if how == "__repr__" else "outer {}", Chatty(i))
    assert_all_there(logger, tmp_path / "log", ["outer", "inner"])


@RINGS
def test_a_del_that_logs_during_collection(tmp_path: Path, ring: int) -> None:
    logger = file_logger(tmp_path / "log", async_buffer_size=ring)
    count = 0

    class Cycle:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            nonlocal count
            logger.info("del {}", count)
            count += 1

    before = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for i in range(COUNT):
            Cycle()
            logger.info("outer {}", i)
            if i % 100 == 0:
                logger.stats()
    finally:
        gc.set_threshold(*before)
    gc.collect()
    assert count == COUNT
    assert_all_there(logger, tmp_path / "log", ["outer", "del"])


@RINGS
def test_a_function_sink_that_logs(tmp_path: Path, ring: int) -> None:
    logger = file_logger(tmp_path / "log", async_buffer_size=ring)
    logger.add_sink(SinkConfig(function=lambda record: logger.info("inner {}", record.message.split()[1])))
    for i in range(COUNT):
        logger.info("outer {}", i)
    assert logger.flush(60)
    assert_all_there(logger, tmp_path / "log", ["outer", "inner"])


def test_what_a_function_logs_beside_a_full_ring_is_there_and_in_order(tmp_path: Path) -> None:
    """The flusher is in the function while another thread fills the ring and all that may wait for the function."""
    full, stop = threading.Event(), threading.Event()
    count = 0

    def speak(record: Record) -> None:
        if record.message.startswith("outer 0 "):
            assert full.wait(60)
            for i in range(1000):
                logger.info("inner {} {}", i, "x" * (i % 300))

    def write() -> None:
        nonlocal count
        while not stop.is_set():
            logger.info("outer {} {}", count, "y" * 900)
            count += 1

    logger = file_logger(tmp_path / "log", async_buffer_size=4096, stall_timeout=600)
    logger.add_sink(SinkConfig(function=speak))
    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    seen = -1

    def is_held_up() -> bool:
        nonlocal seen
        same, seen = seen == count > 1000, count
        return same

    wait_until(is_held_up, "the writer to wait for room")
    full.set()
    wait_until(lambda: count > seen + 1000, "the writer to go on")
    stop.set()
    writer.join(60)
    assert logger.flush(60)
    stats = logger.stats()
    assert_books(logger)
    assert (stats.dropped, stats.failed) == (0, 0)
    logger.close()
    lines = lines_of(tmp_path / "log")
    assert [line for line in lines if line.startswith("inner ")] == [
        f"inner {i} {'x' * (i % 300)}" for i in range(1000)
    ]
    outer = [int(line.split()[1]) for line in lines if line.startswith("outer ")]
    assert outer == list(range(count))
    assert stats.written == stats.emitted == len(lines) == count + 1000


@RINGS
def test_a_filter_that_logs(tmp_path: Path, ring: int) -> None:
    logger = file_logger(tmp_path / "log", async_buffer_size=ring)

    def keep(record: object) -> bool:
        logger.info("inner {}", record.message.split()[1])  # type: ignore[attr-defined]
        return True

    logger.add_sink(SinkConfig(path=tmp_path / "filtered", format="{message}", filter=keep))
    for i in range(COUNT):
        logger.info("outer {}", i)
    assert logger.flush(60)
    assert_all_there(logger, tmp_path / "log", ["outer", "inner"])


@RINGS
def test_an_on_error_that_logs(tmp_path: Path, ring: int) -> None:
    told = 0

    def on_error(error: Exception) -> None:
        nonlocal told
        logger.info("told {}", told)
        told += 1

    logger = file_logger(tmp_path / "log", async_buffer_size=ring, on_error=on_error)
    for i in range(50):
        logger.info("outer {:d}", "no number") if i % 10 == 0 else logger.info("outer {}", i)
    assert logger.flush(60)
    logger.close()
    lines = lines_of(tmp_path / "log")
    assert [line for line in lines if line.startswith("told ")] == [f"told {i}" for i in range(5)]
    assert len(lines) == 55
