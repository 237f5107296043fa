"""What a sink that is slow, blocked or in trouble does to the others: nothing."""

import errno
import os
import pty
import socket
import sys
import termios
from pathlib import Path

import pytest

from logly import SinkConfig
from tests.support.hooks import inject_outcomes
from tests.support.loggers import make_logger
from tests.support.waiting import wait_until


def test_a_full_pipe_does_not_stop_the_file_and_its_records_are_counted(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    count = 60_000
    logger = make_logger(stall_timeout=0.5)
    pipe = logger.add_sink(SinkConfig(fd=writer, format="{message} " + "x" * 100))
    file = logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{message}"))
    for i in range(count):
        logger.info("{}", i)
    wait_until(lambda: logger.sink_stats(file).written + logger.stats().dropped == count)
    lines = [line for line in (tmp_path / "app.log").read_text().splitlines() if not line.startswith("logly: ")]
    numbers = [int(line) for line in lines]
    assert numbers == sorted(set(numbers))
    assert len(numbers) == count - logger.stats().dropped
    counts = logger.sink_stats(pipe)
    assert counts.failed > 0
    assert counts.written + counts.failed + counts.pending == len(numbers)
    logger.remove_sink(pipe)
    logger.close()
    os.close(reader)
    os.close(writer)


def test_a_paused_terminal_does_not_stop_the_file(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    logger = make_logger(stall_timeout=0.2)
    terminal = logger.add_sink(SinkConfig(fd=slave, format="{message} " + "x" * 100))
    path = tmp_path / "app.log"
    logger.add_sink(SinkConfig(path=path, format="{message}"))
    termios.tcflow(slave, termios.TCOOFF)
    for i in range(30_000):
        logger.info("{}", i)
    wait_until(lambda: path.exists() and len(path.read_bytes().splitlines()) == 30_000)
    assert os.get_blocking(slave)
    termios.tcflow(slave, termios.TCOON)
    text = b""
    while b"\n" not in text:
        text += os.read(master, 4096)
    assert b"xxx" in text
    assert logger.sink_stats(terminal).failed > 0
    logger.close(10)
    os.close(master)
    os.close(slave)


def test_a_terminal_that_nobody_reads_does_not_stop_the_file(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    path = tmp_path / "app.log"
    logger = make_logger(stall_timeout=0.2)
    logger.add_sink(SinkConfig(fd=slave, format="{message} " + "x" * 100))
    logger.add_sink(SinkConfig(path=path, format="{message}"))
    for i in range(30_000):
        logger.info("{}", i)
    wait_until(lambda: path.exists() and len(path.read_bytes().splitlines()) == 30_000)
    logger.remove_all_sinks()
    logger.close()
    os.close(master)
    os.close(slave)


def test_a_sink_in_trouble_is_removed_in_bounded_time_and_the_rest_has_failed() -> None:
    reader, writer = os.pipe()
    logger = make_logger(stall_timeout=0.2)
    pipe = logger.add_sink(SinkConfig(fd=writer, format="{message}"))
    for i in range(20_000):
        logger.info("{:09}", i)
    assert logger.remove_sink(pipe)
    stats = logger.stats()
    assert stats.failed > 0
    assert stats.emitted == stats.written + stats.failed
    assert stats.pending == 0
    logger.close(10)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe_file:
        lines = pipe_file.read().split(b"\n")
    assert [int(line) for line in lines[:-1]] == list(range(stats.written))


def test_a_reader_that_went_away_is_told_and_the_program_lives(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    told: list[Exception] = []
    logger = make_logger(stall_timeout=0.1, on_error=told.append)
    logger.add_sink(SinkConfig(fd=writer, format="{message}"))
    logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{message}"))
    os.close(reader)
    logger.info("lost here, kept there")
    wait_until(lambda: told)
    assert isinstance(told[0], BrokenPipeError)
    logger.remove_all_sinks()
    logger.close()
    assert (tmp_path / "app.log").read_text() == "lost here, kept there\n"
    os.close(writer)


def test_a_full_disk_is_told_and_tried_again(tmp_path: Path) -> None:
    told: list[Exception] = []
    logger = make_logger(stall_timeout=20, on_error=told.append)
    sink = logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{message}"))
    inject_outcomes(logger, sink, [-28, -28, 3])
    logger.info("first")
    assert logger.flush(20)
    wait_until(lambda: told)
    assert isinstance(told[0], OSError)
    assert told[0].errno == 28
    assert (tmp_path / "app.log").read_text() == "first\n"
    assert logger.sink_stats(sink).write_errors == 2
    logger.close()


def test_late_lines_are_in_the_file_and_nothing_stays_open(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    logger = make_logger()
    logger.add_sink(SinkConfig(path=path, format="{message}", size_limit="1 MB"))
    logger.info("early")
    assert logger.close()
    assert logger.close()
    logger.info("late {}", 1)
    assert path.read_text() == "early\nlate 1\n"
    logger.reopen()
    logger.info("late {}", 2)
    assert path.read_text() == "early\nlate 1\nlate 2\n"


@pytest.mark.skipif(sys.platform != "linux", reason="packets whose size the kernel limits by the socket's buffer")
def test_a_socket_of_packets_gets_one_record_in_each(tmp_path: Path) -> None:
    """As /dev/log, and UDP. A record that no packet can hold is shortened, and on_error told."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    theirs.settimeout(60)
    told: list[Exception] = []
    with make_logger(on_error=told.append) as logger:
        logger.add_sink(SinkConfig(fd=ours.fileno(), format="{message}"))
        packets = []
        for i in range(300):
            logger.info("record {}", i)
            if i % 5 == 0:
                packets.append(theirs.recv(1 << 20))
        while len(packets) < 300:
            packets.append(theirs.recv(1 << 20))
        assert packets == [f"record {i}\n".encode() for i in range(300)]
        assert told == []
        logger.info("x" * 3_000_000)
        logger.info("after")
        cut = theirs.recv(1 << 22)
        assert theirs.recv(1 << 20) == b"after\n"
        assert 10_000 < len(cut) < 3_000_000
        assert set(cut) == {ord("x")}
        assert logger.flush(60)
        assert [getattr(error, "errno", None) for error in told] == [errno.EMSGSIZE]
    ours.close()
    theirs.close()
