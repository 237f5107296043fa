"""Who waits for whom, where the flusher runs a handler's own code under the handler's lock."""

from __future__ import annotations

import logging
import logging.handlers
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import logly
from tests.bridge.test_handler_sink import serve

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def logger() -> Iterator[logly.Logger]:
    made = logly.Logger(logly.LoggerConfig(auto_sink=False, level=0, stall_timeout=0.2, async_buffer_size=1 << 16))
    yield made
    made.close()


def lines_below(folder: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in folder.iterdir())


def test_no_record_is_lost_while_a_rotator_takes_longer_than_the_stall_timeout(
    tmp_path: Path, logger: logly.Logger
) -> None:
    def rotate(source: str, target: str) -> None:
        time.sleep(0.7)  # it compresses, for example
        Path(source).rename(target)

    handler = logging.handlers.RotatingFileHandler(tmp_path / "a.log", maxBytes=1_500_000, backupCount=9)
    handler.rotator = rotate
    sink = serve(logger, handler)
    for _ in range(3_000):
        logger.info("x" * 999)
    assert sink.drain(10)
    assert (lines_below(tmp_path), logger.stats().dropped, sink.handle.stats().failed) == (3_000, 0, 0)
    handler.close()


@pytest.mark.parametrize("write", [False, True])
def test_a_thread_that_holds_the_handlers_lock_may_wait_for_its_lines(
    tmp_path: Path, logger: logly.Logger, write: bool
) -> None:
    logger.configure(stall_timeout=30.0)  # were the flusher waited for, this would take as long
    handler = logging.handlers.RotatingFileHandler(tmp_path / "a.log", maxBytes=30, backupCount=9)
    serve(logger, handler, write=write)
    handler.acquire()
    try:
        for _ in range(5):
            logger.info("x" * 20)
        assert logger.flush(20)
        assert lines_below(tmp_path) == 5
    finally:
        handler.release()
        handler.close()
