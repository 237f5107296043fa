"""`close(timeout)` and the exit go on trying a batch sink for as long as they have time."""

from __future__ import annotations

from pathlib import Path

import pytest

from logly import RetryBatch
from tests.support.batches import batch_sink
from tests.support.loggers import assert_books, make_logger
from tests.support.programs import run_program


class Failing:
    """Fails so many times, and then takes what it gets."""

    def __init__(self, times: int, trouble: Exception) -> None:
        self.times = times
        self.trouble = trouble
        self.taken = b""

    def __call__(self, lines: bytes, count: int) -> None:
        self.times -= 1
        if self.times >= 0:
            raise self.trouble
        self.taken += lines


@pytest.mark.parametrize("trouble", [RetryBatch("later", after=0.3), OSError("down")])
def test_close_goes_on_trying_within_its_time(trouble: Exception) -> None:
    told: list[Exception] = []
    logger = make_logger(on_error=told.append, stall_timeout=0.1)
    sink = Failing(4, trouble)
    batch_sink(logger, sink, flush_interval=10_000)
    logger.info("one")
    assert logger.close(60)
    assert_books(logger)
    assert sink.taken == b"one\n"
    assert set(told) == {trouble}
    assert logger.stats().written == 1


def test_close_does_not_wait_for_a_try_that_comes_after_its_time() -> None:
    told: list[Exception] = []
    logger = make_logger(on_error=told.append, stall_timeout=0.1)
    batch_sink(logger, Failing(9, RetryBatch("later", after=3600)), flush_interval=10_000)
    logger.info("one")
    logger.close(600)  # the test's own time limit is shorter
    assert_books(logger)
    assert "1 record could not be written before the logger was closed" in map(str, told)


def test_a_flush_still_ends_after_the_stall_time() -> None:
    logger = make_logger(on_error=lambda error: None, stall_timeout=0.1)
    batch_sink(logger, Failing(1000, RetryBatch("later", after=0.3)), flush_interval=10_000)
    logger.info("one")
    assert not logger.flush(600)
    assert logger.stats().pending == 1
    logger.close(0.1)


def test_an_exit_goes_on_trying(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from logly import Logger, LoggerConfig, RetryBatch, SinkConfig
calls = []
def send(lines, count):
    calls.append(count)
    if len(calls) < 4:
        raise RetryBatch("later", after=0.4)
    Path(sys.argv[1]).write_bytes(lines)
logger = Logger(LoggerConfig(auto_sink=False, stall_timeout=0.1, on_error=lambda error: None))
logger.add_sink(SinkConfig(batch=send, format="{message}", flush_interval=10_000))
logger.info("one")
"""
    run_program(program, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "one\n"
