"""A log file that does not end with a newline (its writer was killed): the next line begins on a line of its own."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from logly import Logger, LoggerConfig, SinkConfig
from logly.files.opening import torn_size
from tests.support.forks import children_end_well
from tests.support.hooks import hook, inject_outcomes
from tests.support.programs import run_program
from tests.support.waiting import wait_until

TORN = b"whole line\nthe beginning of a li"


def log(path: Path, *messages: str, **sink: object) -> None:
    with Logger(LoggerConfig(auto_sink=False)) as logger:
        logger.add_sink(SinkConfig(path=path, format="{message}", **sink))  # type: ignore[arg-type]
        for message in messages:
            logger.info(message)
        assert logger.flush(30)


@pytest.mark.parametrize("sink", [{}, {"size_limit": 10_000}, {"async_write": False}, {"watch": True}], ids=str)
def test_a_torn_line_is_ended_before_the_first_line(tmp_path: Path, sink: dict[str, object]) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(TORN)
    log(path, "first", "second", **sink)
    assert path.read_bytes() == TORN + b"\nfirst\nsecond\n"
    log(path, "third", **sink)
    assert path.read_bytes() == TORN + b"\nfirst\nsecond\nthird\n"


@pytest.mark.parametrize("content", [b"", b"\n", b"a line\n", b"a line\n\n"])
def test_a_file_that_ends_at_a_lines_end_is_only_appended_to(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(content)
    log(path, "first")
    assert path.read_bytes() == content + b"first\n"


def test_nothing_is_written_while_nothing_is_logged(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(TORN)
    log(path)
    assert path.read_bytes() == TORN


def test_the_newline_is_in_no_book(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(TORN)
    with Logger(LoggerConfig(auto_sink=False)) as logger:
        logger.add_sink(SinkConfig(path=path, format="{message}"))
        logger.info("first")
        assert logger.flush(30)
        stats = logger.stats()
    assert (stats.emitted, stats.written, stats.bytes_written, stats.writes) == (1, 1, 6, 1)


def test_a_size_limit_counts_it(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(TORN)
    log(path, "first", size_limit=len(TORN) + len("first\n"))
    assert path.read_bytes() == b"first\n"
    (rotated,) = tmp_path.glob("app_*.log")
    assert rotated.read_bytes() == TORN + b"\n"


def test_only_one_of_two_writers_ends_it(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(TORN)
    with Logger(LoggerConfig(auto_sink=False)) as one, Logger(LoggerConfig(auto_sink=False)) as two:
        for logger in (one, two):
            logger.add_sink(SinkConfig(path=path, format="{message}"))
        for number, logger in enumerate((one, two)):
            logger.info("logger {}", number)
            assert logger.flush(30)
    assert path.read_bytes() == TORN + b"\nlogger 0\nlogger 1\n"


def test_a_writer_that_lives_ends_its_line_itself(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(TORN)
    with Logger(LoggerConfig(auto_sink=False)) as logger:
        logger.add_sink(SinkConfig(path=path, format="{message}"))
        with path.open("ab") as other:
            other.write(b"ne\n")
        logger.info("first")
    assert path.read_bytes() == TORN + b"ne\nfirst\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_processes_that_share_a_rotating_file_end_it_once(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(TORN)
    ready, go = os.pipe(), os.pipe()
    pids = []
    for number in range(8):
        pid = os.fork()
        if pid == 0:
            logger = Logger(LoggerConfig(auto_sink=False))
            logger.add_sink(SinkConfig(path=path, format="{message}", size_limit="1 GB"))
            os.write(ready[1], b"x")
            os.read(go[0], 1)
            logger.info("process {}", number)
            os._exit(0 if logger.flush(30) else 1)
        pids.append(pid)
    for _ in pids:
        os.read(ready[0], 1)
    os.write(go[1], b"x" * len(pids))
    children_end_well(pids)
    for fd in (*ready, *go):
        os.close(fd)
    whole, torn, *lines = path.read_text().splitlines()
    assert (whole, torn) == ("whole line", "the beginning of a li")
    assert sorted(lines) == [f"process {number}" for number in range(8)]


def test_a_file_that_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    with Logger(LoggerConfig(auto_sink=False)) as logger:
        logger.add_sink(SinkConfig(path=path, format="{message}"))
        logger.info("before")
        assert logger.flush(30)
        path.rename(tmp_path / "old.log")
        path.write_bytes(TORN)
        logger.reopen()
        logger.info("after")
    assert (tmp_path / "old.log").read_bytes() == b"before\n"
    assert path.read_bytes() == TORN + b"\nafter\n"


def test_our_own_half_line_goes_on_when_the_file_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    with Logger(LoggerConfig(auto_sink=False, on_error=lambda error: None)) as logger:
        sink = logger.add_sink(SinkConfig(path=path, format="{message}"))
        inject_outcomes(logger, sink, [3, *[-errno.ENOSPC] * 1000])
        logger.info("one line")
        wait_until(lambda: path.stat().st_size == 3, "a piece of the line")
        logger._controller.sinks[sink].reopen()
        inject_outcomes(logger, sink, [])
        assert logger.flush(30)
    assert path.read_bytes() == b"one line\n"


def test_a_disk_that_has_no_room_for_the_newline(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(TORN)
    with Logger(LoggerConfig(auto_sink=False, on_error=lambda error: None)) as logger:
        sink = logger.add_sink(SinkConfig(path=path, format="{message}"))
        inject_outcomes(logger, sink, [-errno.ENOSPC, -errno.EINTR, -errno.ENOSPC, 1, -errno.ENOSPC])
        logger.info("first")
        assert logger.flush(30)
    assert path.read_bytes() == TORN + b"\nfirst\n"


def test_what_is_no_regular_file_is_not_looked_at(tmp_path: Path) -> None:
    fd = os.open(os.devnull, os.O_WRONLY)
    assert torn_size(fd, os.devnull) == -1
    os.close(fd)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(fifo, os.O_WRONLY)
    assert torn_size(writer, str(fifo)) == -1  # and does not wait
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("before", [b"", TORN])
@pytest.mark.parametrize("written", [1, 20, 64, 90, 300])
def test_the_spools_recovery_still_completes_the_line_of_its_own_process(
    tmp_path: Path, written: int, before: bytes
) -> None:
    hook("inject_outcomes")
    (tmp_path / "app.log").write_bytes(before)
    program = f"""
import errno, os, sys, time
from pathlib import Path
from logly import Logger, LoggerConfig, SinkConfig
from logly._core import inject_outcomes
path = Path({str(tmp_path / "app.log")!r})
logger = Logger(LoggerConfig(spool={str(tmp_path / "app.spool")!r}, on_error=lambda error: None))
sink = logger.add_sink(SinkConfig(path=path, format="{{message}}", buffer_size=1 << 20))
newline = [1] if {bool(before)} else []
inject_outcomes(logger._controller.sinks[sink].handle, [*newline, {written}, *[-errno.ENOSPC] * 10_000])
for i in range(50):
    logger.info("number {{}} of 50", i)
logger.flush(0.2)
wanted = {len(before) + bool(before) + written}
while path.stat().st_size < wanted:
    time.sleep(0.001)
os._exit(1)
"""
    run_program(program, returncode=1)
    with Logger(LoggerConfig(spool=tmp_path / "app.spool")) as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{message}"))
        logger.info("new")
    expected = "".join(f"number {i} of 50\n" for i in range(50)) + "new\n"
    assert (tmp_path / "app.log").read_bytes() == before + (b"\n" if before else b"") + expected.encode()
