"""What is told on stderr where nobody set `on_error`: few lines, but every loss."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from logly.control import reports
from logly.control.reports import StderrReports
from tests.support.programs import run_program, run_python

PRELUDE = """
import errno, os, sys
from logly import Logger, LoggerConfig, SinkConfig
"""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_what_was_lost_is_told_also_right_after_another_error(tmp_path: Path) -> None:
    program = """
logger = Logger(LoggerConfig(auto_sink=False, stall_timeout=0.2))
logger.add_sink(SinkConfig(path="/dev/full"))
for i in range(1000):
    logger.info("payment {} booked", i)
"""
    done = run_program(PRELUDE + program, tmp_path, may_complain=True)
    assert done.stderr.count("No space left on device") == 1
    assert "1000 records could not be written before the logger was closed" in done.stderr


def test_errors_between_two_lines_are_counted(tmp_path: Path) -> None:
    program = """
logger = Logger(LoggerConfig(auto_sink=False, async_flush_interval=0))
logger.add_sink(SinkConfig(path=sys.argv[1]))
for i in range(3):
    logger.info("{:d}", "x")
    assert logger.flush(30)
"""
    done = run_program(PRELUDE + program, tmp_path / "log", may_complain=True)
    first, last = done.stderr.splitlines()
    assert first.startswith("logly (root): ValueError: Unknown format code 'd'")
    assert first.endswith("; in the message '{:d}', logged at <string>:8")
    assert last == "logly (root): 2 more errors"


def test_nothing_is_written_into_what_has_the_number_of_a_closed_stderr(tmp_path: Path) -> None:
    program = """
victim = open(sys.argv[1], "wb", buffering=0)
assert victim.fileno() == 2 and sys.stderr is None
logger = Logger(LoggerConfig(stall_timeout=0.1))
logger.info("to the console that is not there")
logger.add_sink(SinkConfig(path="/dev/full"))
logger.info("x")
logger.close(10)
victim.write(b"its own")
"""
    closed = tmp_path / "closed.py"
    closed.write_text("import os, sys\nos.close(2)\nos.execv(sys.executable, [sys.executable, *sys.argv[1:]])\n")
    victim = tmp_path / "victim"
    run_python(closed, "-c", PRELUDE + program, victim)
    assert victim.read_bytes() == b"its own"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_child_does_not_tell_what_its_parent_has_to(tmp_path: Path) -> None:
    program = """
logger = Logger(LoggerConfig(auto_sink=False, async_flush_interval=0))
logger.add_sink(SinkConfig(path=sys.argv[1]))
for i in range(3):
    logger.info("{:d}", "x")
    assert logger.flush(30)
pid = os.fork()
if pid == 0:
    logger.close()
    os._exit(0)
os.waitpid(pid, 0)
"""
    done = run_program(PRELUDE + program, tmp_path / "log", may_complain=True)
    assert done.stderr.count("2 more errors") == 1


def test_the_place_is_the_callers_where_the_record_has_that_one(tmp_path: Path) -> None:
    program = """
logger = Logger(LoggerConfig(auto_sink=False))
logger.add_sink(SinkConfig(path=sys.argv[1]))
def helper():
    logger.info("{:d}", "x", stacklevel=2)
helper()
"""
    done = run_program(PRELUDE + program, tmp_path / "log", may_complain=True)
    assert "logged at <string>:9\n" in done.stderr


def test_the_next_line_says_how_many_errors_were_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    lines: list[str] = []
    monkeypatch.setattr(reports, "monotonic", lambda: now)
    told = StderrReports("app")
    monkeypatch.setattr(told, "_write", lines.append)
    for _ in range(3):
        told.report(ValueError("a"))
    told.report(ValueError("lost"), at_once=True)
    told.report(ValueError("lost"))
    told.report(ValueError("b"))
    now = 2.0
    told.report(ValueError("a"))
    told.report(ValueError("a"))
    told.report_rest()
    assert lines == [
        "ValueError: a",
        "ValueError: lost; and 2 more errors before this one",
        "ValueError: b; and 1 more error before this one",
        "ValueError: a",
        "1 more error",
    ]


def test_a_storm_of_different_errors_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    lines: list[str] = []
    monkeypatch.setattr(reports, "monotonic", lambda: now)
    told = StderrReports("app")
    monkeypatch.setattr(told, "_write", lines.append)
    for number in range(10_000):
        told.report(ValueError(str(number)))
        assert len(told._told) <= reports.MOST_TEXTS
    told.report(ValueError("lost"), at_once=True)
    told.report(ValueError("more"))
    now = 1.0
    told.report(ValueError("more"))
    assert lines == [
        *[f"ValueError: {number}" for number in range(10)],
        "ValueError: lost; and 9990 more errors before this one",
        "ValueError: more; and 1 more error before this one",
    ]


def test_five_mistakes_are_five_texts(tmp_path: Path) -> None:
    program = """
logger = Logger(auto_sink=False)
logger.add_sink(sys.argv[1])
logger.info("a %s", 1)
logger.info("b", exc_info="boom")
logger.exception("c")
logger.info("d", stacklevel="2")
logger.info("e", extra={"name": 1})
"""
    done = run_program(PRELUDE + program, tmp_path / "log", may_complain=True)
    lines = done.stderr.splitlines()
    assert [line.rpartition(":")[2] for line in lines] == ["7", "8", "9", "10", "11"]
    assert all(line.startswith("logly (root): Advice: ") for line in lines)
