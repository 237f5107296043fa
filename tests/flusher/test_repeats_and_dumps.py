"""`SinkConfig.dedup` and the flight recorder in one sink."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from logly import _core
from tests.support.hooks import inject_outcomes
from tests.support.recorders import recording_logger
from tests.support.repeats import told
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from logly import Record

pytestmark = pytest.mark.skipif(not hasattr(_core, "inject_outcomes"), reason="built with LOGLY_BUILD=probe only")

AGAIN = -11
"""EAGAIN: the sink takes no byte now."""


def test_a_count_before_a_dump_is_behind_the_lines_before_it(tmp_path: Path) -> None:
    """What is written stays so, also while the line that counts is the oldest one that the sink holds."""
    is_open, is_inside = threading.Event(), threading.Event()

    def passes(record: Record) -> bool:
        is_inside.set()
        assert is_open.wait(60)
        return record.message != "gate"

    path = tmp_path / "app.log"
    with recording_logger(path, sink={"dedup": 1000, "filter": passes}) as logger:
        logger.info("gate")
        assert is_inside.wait(60)
        for number in range(10):
            logger.info("line {}", number)
        for _ in range(3):
            logger.info("storm")
        logger.debug("one")
        logger.debug("two")
        logger.error("failed")
        first = len("".join(f"line {number}\n" for number in range(10)) + "storm\n")
        inject_outcomes(logger, logger.list_sinks()[0], [first, *[AGAIN] * 20])
        is_open.set()
        wait_until(lambda: path.read_text().endswith("storm\n"))
        assert logger.stats().written >= 14
        assert logger.flush(60)
    assert told(path)[10:] == ["storm", "x2 storm", "[recorder] one", "[recorder] two", "failed"]
