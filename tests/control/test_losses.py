"""Every loss is told with its number, advice can be told from it, and what `on_error` itself logs starts no loop."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest

import logly
from logly import Advice, ConfigError, LoglyError, SinkConfig
from tests.support.log_files import lines_of
from tests.support.loggers import assert_books, make_logger
from tests.support.programs import run_program
from tests.support.waiting import wait_until

PRELUDE = """
import sys, threading
from logly import Logger, LoggerConfig, SinkConfig
logger = Logger(LoggerConfig(auto_sink=False, stall_timeout=0.1))
"""

full_disk = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")


def lost_in(told: list[Exception]) -> int:
    """The sum of the records of which the errors say that they are lost."""
    texts = map(str, told)
    return sum(int(text.split()[0]) for text in texts if re.match(r"\d+ records? (given up|could not be)", text))


# ---- at exit


@pytest.mark.parametrize(("count", "records"), [(10, "10 records"), (1, "1 record")])
def test_an_exit_tells_what_a_hung_function_has_not_taken(tmp_path: Path, count: int, records: str) -> None:
    code = f"""
logger.add_sink(lambda record: threading.Event().wait())
for number in range({count}):
    logger.info("{{}}", number)
"""
    done = run_program(PRELUDE + code, tmp_path, may_complain=True)
    assert done.stderr == f"logly (root): LoglyError: {records} could not be written before the logger was closed\n"


def test_it_is_told_on_stderr_where_on_error_hangs(tmp_path: Path) -> None:
    code = """
begun = threading.Event()
def on_error(error):
    begun.set()
    threading.Event().wait()
logger.configure(on_error=on_error)
logger.add_sink(lambda record: 1 / 0)
logger.info("one")
begun.wait()
logger.info("two")
"""
    done = run_program(PRELUDE + code, tmp_path, may_complain=True)
    assert done.stderr == "logly (root): LoglyError: 1 record could not be written before the logger was closed\n"


# ---- a full disk


@full_disk
def test_a_full_backlog_is_told_with_its_number_while_the_disk_is_full() -> None:
    told: list[Exception] = []
    logger = make_logger(on_error=told.append, stall_timeout=0.1)
    sink = logger.add_sink(SinkConfig(path="/dev/full", format="{message}"))
    for number in range(30_000):
        logger.info("{:080d}", number)
    wait_until(lambda: 0 < lost_in(told) == logger.sink_stats(sink).failed, "the report")
    begun = time.monotonic()
    before = len(told)
    for number in range(60_000):
        logger.info("{:080d}", number)
    wait_until(lambda: lost_in(told) == logger.sink_stats(sink).failed, "the reports")
    reports = [error for error in told[before:] if "given up" in str(error)]
    assert len(reports) <= time.monotonic() - begun + 2
    logger.close(30)
    assert_books(logger)
    assert lost_in(told) == logger.stats().failed == 90_000


@full_disk
def test_a_removal_tells_what_was_given_up_before_it() -> None:
    told: list[Exception] = []
    logger = make_logger(on_error=told.append, stall_timeout=0.1)
    sink = logger.add_sink(SinkConfig(path="/dev/full", format="{message}"))
    for number in range(30_000):
        logger.info("{:080d}", number)
    logger.remove_sink(sink)
    logger.close(30)
    assert lost_in(told) == logger.stats().failed == 30_000


# ---- advice


def test_advice_can_be_told_from_a_loss(tmp_path: Path) -> None:
    told: list[Exception] = []
    logger = make_logger(on_error=told.append, level="info")
    logger.add_sink(str(tmp_path / "log"))
    logger.add_sink(str(tmp_path / "log"))
    logger.add_sink(SinkConfig(path=str(tmp_path / "more"), level="debug"))
    logger.info("a", 1, 2)
    logger.exception("b")
    logger.info("c", stacklevel="2")
    logger.add_sink(SinkConfig(path=str(tmp_path / "names"), format="{usr} {message}"))
    logger.info("d")
    logger.close(30)
    assert [type(error).__mro__.index(Advice) >= 0 for error in told] == [True] * 6
    assert [isinstance(error, ConfigError) for error in told] == [True, True, False, False, False, True]
    assert isinstance(told[0], ConfigError)
    assert told[0].field == "path"


def test_failures_are_no_advice() -> None:
    told: list[Exception] = []
    logger = make_logger(on_error=told.append)
    logger.add_sink(lambda record: 1 / 0)
    logger.info("{:d}", "x")
    logger.close(30)
    assert [type(error) for error in told] == [ValueError, ZeroDivisionError]


def test_advice_is_public() -> None:
    assert "Advice" in logly.__all__
    assert issubclass(Advice, LoglyError)
    assert not issubclass(Advice, ConfigError)


# ---- what on_error logs


@pytest.mark.parametrize("call", ["failure", "mistake"])
def test_what_on_error_logs_wrongly_starts_no_loop(
    tmp_path: Path, call: str, capfd: pytest.CaptureFixture[str]
) -> None:
    told: list[Exception] = []
    logger = make_logger()

    def on_error(error: Exception) -> None:
        told.append(error)
        if call == "failure":
            logger.info("{:d}", "x")
        else:
            place = compile('logger.info("%s", 1)', f"call{len(told)}", "exec")  # another one each time
            exec(place, {"logger": logger})

    logger.configure(on_error=on_error)
    logger.add_sink(SinkConfig(path=str(tmp_path / "log"), format="{message}"))
    logger.info("{:d}", "first")
    logger.close(30)
    assert [str(error) for error in told] == ["Unknown format code 'd' for object of type 'str'"]
    assert logger.stats().failed_formats == (2 if call == "failure" else 1)
    assert len(lines_of(tmp_path / "log")) == 2
    assert capfd.readouterr().err.count("\n") == 1, "it is told on stderr, as what on_error raises"


# ---- a call


def test_a_stack_info_whose_truth_fails_costs_no_record(tmp_path: Path) -> None:
    class Undecided:
        def __bool__(self) -> bool:
            raise ValueError("neither")

        def __repr__(self) -> str:
            return "<undecided>"

    told: list[Exception] = []
    logger = make_logger(on_error=told.append)
    logger.add_sink(SinkConfig(path=str(tmp_path / "log"), format="{message}"))
    logger.info("one", stack_info=Undecided())
    logger.close(30)
    lines = lines_of(tmp_path / "log")
    assert lines[0] == "one"
    assert "Stack (most recent call last):" in lines[1]
    (error,) = told
    assert isinstance(error, Advice)
    assert str(error).startswith("stack_info = <undecided> is neither True nor False: taken as True, logged at ")
