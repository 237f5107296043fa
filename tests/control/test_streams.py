"""Console and stream sinks: they follow what `sys.stderr` is now, and live with streams that misbehave."""

import contextlib
import io
import os
import sys
from pathlib import Path

import pytest

from logly import Logger, LoggerConfig, Record, SinkConfig
from tests.support.loggers import make_logger
from tests.support.programs import run_program
from tests.support.waiting import wait_until


class Broken(io.StringIO):
    """A stream whose writes fail as long as `trouble` is set."""

    trouble: Exception | None = None

    def write(self, text: str, /) -> int:
        if self.trouble is not None:
            raise self.trouble
        return super().write(text)


def console_logger(**settings: object) -> Logger:
    logger = make_logger(**settings)
    logger.add_sink(SinkConfig(format="{message}", color=False))
    return logger


def test_pytest_sees_the_console_as_python_writes_it(capsys: pytest.CaptureFixture[str]) -> None:
    with console_logger() as logger:
        logger.info("captured {}", 1)
        assert logger.flush()
        assert capsys.readouterr().err == "captured 1\n"


def test_pytest_sees_the_console_as_descriptor(capfd: pytest.CaptureFixture[str]) -> None:
    with console_logger() as logger:
        logger.info("captured {}", 2)
        assert logger.flush()
        assert capfd.readouterr().err == "captured 2\n"


def test_the_automatic_console_is_followed_when_it_is_replaced() -> None:
    logger = Logger(LoggerConfig(async_flush_interval=60_000))
    texts = []
    for i in range(3):
        with contextlib.redirect_stderr(io.StringIO()) as stream:
            logger.info("round {}", i)
            assert logger.flush()
            texts.append(stream.getvalue())
    assert [text.rpartition(" | ")[2] for text in texts] == ["round 0\n", "round 1\n", "round 2\n"]
    logger.close()


def test_stdout_and_a_stream_of_ones_own(capsys: pytest.CaptureFixture[str]) -> None:
    own = io.StringIO()
    with make_logger() as logger:
        logger.add_sink(SinkConfig(stream="stdout", format="{message}"))
        logger.add_sink(SinkConfig(stream=own, format="{message}"))
        logger.info("ä \U0001f600 {}", "ø")
    assert own.getvalue() == "ä \U0001f600 ø\n"
    assert capsys.readouterr().out == own.getvalue()


def test_no_console_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    with console_logger() as logger:
        logger.info("to nobody")
        assert logger.flush(20)
        assert logger.stats().written == 1


def test_what_was_printed_before_comes_first() -> None:
    program = (
        "import sys; from logly import Logger, SinkConfig\n"
        "logger = Logger(); logger.add_sink(SinkConfig(stream='stdout', format='{message}'))\n"
        "for i in range(3):\n"
        "    print('print', i); logger.info('log {}', i); logger.flush()\n"
    )
    done = run_program(program)
    assert done.stdout.split("\n") == ["print 0", "log 0", "print 1", "log 1", "print 2", "log 2", ""]


def test_a_stream_that_fails_for_a_while_loses_nothing() -> None:
    stream, told = Broken(), []
    stream.trouble = OSError(5, "the terminal is gone")
    logger = make_logger(stall_timeout=30, on_error=told.append)
    sink = logger.add_sink(SinkConfig(stream=stream, format="{message}"))
    other = io.StringIO()
    logger.add_sink(SinkConfig(stream=other, format="{message}"))
    logger.info("kept")
    wait_until(lambda: told and other.getvalue() == "kept\n")
    assert told[0] is stream.trouble
    stream.trouble = None
    assert logger.flush(20)
    assert stream.getvalue() == "kept\n"
    assert logger.sink_stats(sink).write_errors >= 1
    logger.close()


def test_a_stream_that_fails_for_ever_is_given_up_and_counted() -> None:
    stream = Broken()
    stream.trouble = RuntimeError("never")
    logger = make_logger(stall_timeout=0.1, on_error=lambda error: None)
    sink = logger.add_sink(SinkConfig(stream=stream, format="{message}"))
    logger.info("lost")
    assert logger.remove_sink(sink)
    assert logger.stats().failed == 1
    logger.close()


def test_a_closed_stream_is_told_and_holds_nobody_up() -> None:
    stream, told = io.StringIO(), []
    logger = make_logger(stall_timeout=60, on_error=told.append)
    logger.add_sink(SinkConfig(stream=stream, format="{message}"))
    stream.close()
    logger.info("lost")
    assert logger.flush(20)
    assert logger.stats().failed == 1
    wait_until(lambda: told)
    assert isinstance(told[0], ValueError)
    logger.close()


def test_a_stream_that_cannot_encode_gets_escapes(tmp_path: Path) -> None:
    path = tmp_path / "ascii.txt"
    with path.open("w", encoding="ascii") as stream, make_logger() as logger:
        logger.add_sink(SinkConfig(stream=stream, format="{message}"))
        logger.info("smile \U0001f600")
    assert path.read_text() == "smile \\U0001f600\n"


def test_a_stream_that_logs_what_it_is_given_does_not_loop(tmp_path: Path) -> None:
    """The usual trap: `sys.stderr` replaced by an object that logs, and the console on `sys.stderr`."""

    class ToLog(io.StringIO):
        def write(self, text: str, /) -> int:
            logger.warning("stderr: {}", text.rstrip())
            return super().write(text)

    path = tmp_path / "app.log"
    logger = console_logger()
    logger.add_sink(SinkConfig(path=path, format="{level} {message}"))
    with contextlib.redirect_stderr(ToLog()) as stream:
        for i in range(3):
            logger.info("line {}", i)
            assert logger.flush(20)
        assert logger.flush(20)
        assert stream.getvalue() == "line 0\nline 1\nline 2\n"
    logger.close()
    lines = path.read_text().splitlines()
    assert [line for line in lines if line.startswith("INFO")] == ["INFO line 0", "INFO line 1", "INFO line 2"]
    assert [line for line in lines if line.startswith("WARNING")] == [f"WARNING stderr: line {i}" for i in range(3)]


def test_a_slow_stream_is_not_cut_short_when_the_backlog_is_given_up() -> None:
    """The text that a stream is just writing stays in place, whatever is discarded behind it."""
    entered, may_go = os.pipe(), os.pipe()
    parts: list[str] = []

    class Slow(io.StringIO):
        def write(self, text: str, /) -> int:
            parts.append(text)
            if len(parts) == 1:
                os.write(entered[1], b"x")
                os.read(may_go[0], 1)
            return len(text)

    count = 30_000
    logger = make_logger(stall_timeout=0.05, overflow="drop")
    sink = logger.add_sink(SinkConfig(stream=Slow(), format="{message} " + "x" * 60))
    logger.info("{:06}", 0)
    os.read(entered[0], 1)
    for i in range(1, count):
        logger.info("{:06}", i)
    os.write(may_go[1], b"x")
    assert logger.flush(30)
    lines = [line for line in "".join(parts).splitlines() if not line.startswith("logly:")]
    numbers = [int(line.split()[0]) for line in lines]
    assert numbers == sorted(set(numbers))
    stats = logger.stats()
    assert stats.emitted == stats.written + stats.dropped + stats.failed
    assert logger.sink_stats(sink).written == len(numbers)
    logger.close()
    for fd in (*entered, *may_go):
        os.close(fd)


def test_what_the_filter_of_a_stream_logs_is_not_given_to_it(tmp_path: Path) -> None:
    stream, seen = io.StringIO(), []

    def keep(record: Record) -> bool:
        seen.append(record.message)
        logger.info("seen by the filter")
        return record.message != "unwanted"

    with make_logger() as logger:
        logger.add_sink(SinkConfig(stream=stream, format="{message}", filter=keep))
        logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{message}"))
        for text in ("first", "unwanted", "last"):
            logger.info(text)
            assert logger.flush(20)
    assert seen == ["first", "unwanted", "last"]
    assert stream.getvalue() == "first\nlast\n"
    assert (tmp_path / "app.log").read_text().count("seen by the filter\n") == 3


@pytest.mark.parametrize("kind", ["function", "stream"])
def test_a_synchronous_sink_of_python_s_after_close(kind: str) -> None:
    stream, seen = io.StringIO(), []
    logger = make_logger()
    if kind == "stream":
        logger.add_sink(SinkConfig(stream=stream, format="{message}", async_write=False))
    else:
        logger.add_sink(SinkConfig(function=lambda record: seen.append(record.message), async_write=False))
    logger.close()
    logger.info("late")
    assert (seen, stream.getvalue()) in [(["late"], ""), ([], "late\n")]


def test_a_call_inside_a_sink_s_function_does_not_wait_for_a_synchronous_sink(tmp_path: Path) -> None:
    with make_logger() as logger:
        logger.add_sink(SinkConfig(function=lambda record: logger.info("inside")))
        logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{message}", async_write=False))
        logger.info("outside")
        assert logger.flush(20)
    assert sorted((tmp_path / "app.log").read_text().splitlines()) == ["inside", "outside"]
