"""Lines of logly's own, about records that are missing: they say why, and have the keys of every line."""

import errno
import json
import threading
from pathlib import Path

import pytest

from logly import SinkConfig
from tests.layout.test_json import FRONT
from tests.support.hooks import inject_outcomes
from tests.support.loggers import assert_books, make_logger
from tests.support.programs import run_program
from tests.support.waiting import wait_until

DROPS = """
import os, sys
from logly import Logger, LoggerConfig, SinkConfig
from tests.probe.interrupts import remove_mem_hooks, set_nomemory
options = {"json": True} if sys.argv[1] == "json" else {"format": sys.argv[1]}
logger = Logger(LoggerConfig(async_buffer_size=4096, overflow="drop", on_error=lambda error: None))
logger.add_sink(SinkConfig(fd=1, **options))
logger.info("first {}", [1])
assert logger.flush(30)
if sys.argv[2] == "memory":
    for _ in range(3):
        set_nomemory(0, 1_000_000)
        logger.info("no memory", x=logger)
        remove_mem_hooks()
else:
    while logger.stats().dropped == 0:
        for _ in range(200):
            logger.info("x" * 500)
assert logger.flush(30)
sys.stderr.write(str(logger.stats().dropped))
"""


def notices(layout: str, how: str) -> tuple[int, list[str]]:
    pytest.importorskip("tests.probe.interrupts", reason="built with LOGLY_BUILD=probe only")
    done = run_program(DROPS, layout, how, may_complain=True)
    return int(done.stderr), [line for line in done.stdout.splitlines() if "dropped" in line]


@pytest.mark.parametrize(("how", "why"), [("memory", "there was no memory"), ("ring", "the ring was full")])
def test_a_notice_says_why_and_has_all_keys(how: str, why: str) -> None:
    dropped, lines = notices("json", how)
    assert dropped
    told = 0
    for found in map(json.loads, lines):
        assert list(found) == FRONT
        assert found["message"].startswith("logly: ")
        assert found["message"].endswith(f"dropped: {why}")
        assert (found["level"], found["module"], found["function"], found["lineno"]) == ("WARNING", "?", "?", 0)
        told += int(found["message"].split()[1])
    assert told == dropped


def test_in_logfmt_too() -> None:
    _, lines = notices("logfmt", "ring")
    for line in lines:
        assert line.endswith('dropped: the ring was full" module=? function=? lineno=0')


def test_a_notice_before_records_that_a_filter_has_not_seen_hides_none_of_them(tmp_path: Path) -> None:
    """The notice waits to be written, and so do these records: none of them has been written yet."""
    logger = make_logger(async_buffer_size=4096, overflow="drop", stall_timeout=60)
    going = threading.Event()
    path = tmp_path / "app.log"
    sink = logger.add_sink(SinkConfig(path=path, format="{message}", filter=lambda _record: going.wait(60)))
    inject_outcomes(logger, sink, [-errno.EAGAIN] * 100_000)
    logger.info("first")
    wait_until(lambda: logger.sink_stats(sink).pending)
    for number in range(200):
        logger.info("{} {}", number, "x" * 100)
    assert logger.stats().dropped
    assert not logger.flush(0.3)
    assert logger.stats().written == 0
    inject_outcomes(logger, sink, [])
    going.set()
    assert logger.flush(60)
    assert_books(logger)
    lines = path.read_text().splitlines()
    assert [line for line in lines if line.startswith("logly: ")]
    assert len(lines) > logger.stats().written
    logger.close()
