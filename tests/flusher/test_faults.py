"""Sinks that fail: the service goes on, memory stays bounded, the books balance, and the log says what is missing."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import resource
import shutil
import socket
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logly import Logger, LoggerConfig, SinkConfig, SinkError
from tests.support.disks import enlarge, remount, small_disk
from tests.support.forks import PipeReader
from tests.support.hooks import hook, inject_outcomes
from tests.support.log_files import lines_of
from tests.support.loggers import assert_books
from tests.support.programs import run_program
from tests.support.waiting import wait_until

LOST = re.compile(r"logly: (\d+) records? lost: ")


def open_logger(path: Path | None = None, errors: list[Exception] | None = None, **config: object) -> Logger:
    settings = {"auto_sink": False, "on_error": (errors if errors is not None else []).append, **config}
    logger = Logger(LoggerConfig(**settings))  # type: ignore[arg-type]
    if path is not None:
        logger.add_sink(SinkConfig(path=path, format="{message}"))
    return logger


def inject(logger: Logger, outcomes: list[int]) -> None:
    """What the next writes of the first sink do: minus an errno, or the most bytes that they take."""
    inject_outcomes(logger, logger.list_sinks()[0], outcomes)


def assert_accounts_for(lines: list[str], count: int, logger: Logger) -> None:
    """The lines are a subsequence of 0..count-1, whole, in order; the notices tell exactly how many are missing."""
    numbers = [int(line.split()[0]) for line in lines if not LOST.match(line)]
    assert numbers == sorted(set(numbers))
    told = sum(int(found[1]) for line in lines if (found := LOST.match(line)))
    stats = logger.stats()
    assert len(numbers) == stats.written
    assert (stats.emitted, stats.pending, told) == (count, 0, stats.failed)
    # Each notice stands where its records are missing.
    at, missing = 0, 0
    for line in lines:
        if found := LOST.match(line):
            missing = int(found[1])
        else:
            assert int(line.split()[0]) == at + missing
            at, missing = int(line.split()[0]) + 1, 0


ERRORS = [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT, errno.EPIPE, errno.EFBIG, errno.EAGAIN, errno.EINTR]


@pytest.mark.parametrize("number", ERRORS, ids=errno.errorcode.get)
def test_an_error_that_passes_loses_nothing(tmp_path: Path, number: int) -> None:
    errors: list[Exception] = []
    logger = open_logger(tmp_path / "log", errors)
    inject(logger, [-number] * 3)
    for i in range(100):
        logger.info("{}", i)
    assert logger.flush(30)
    assert_books(logger)
    logger.close()
    assert lines_of(tmp_path / "log") == [str(i) for i in range(100)]
    if number not in (errno.EAGAIN, errno.EINTR):
        assert [type(error) for error in errors] == [OSError] * len(errors) or errors
        assert {error.errno for error in errors if isinstance(error, OSError)} == {number}


def test_short_writes_at_every_byte(tmp_path: Path) -> None:
    logger = open_logger(tmp_path / "log")
    text = "".join(f"{i} some text\n" for i in range(20))
    inject(logger, [n for _ in range(len(text)) for n in (1, -errno.EINTR)])
    for i in range(20):
        logger.info("{} some text", i)
    assert logger.flush(30)
    logger.close()
    assert (tmp_path / "log").read_text() == text


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.integers(1, 300), st.sampled_from([-number for number in ERRORS if number != errno.EAGAIN]), st.just(0)
        ),
        max_size=30,
    ),
    st.integers(1, 200),
)
def test_any_sequence_of_outcomes_keeps_the_books(
    tmp_path_factory: pytest.TempPathFactory, outcomes: list[int], count: int
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "log"
    logger = open_logger(path, stall_timeout=300)
    inject(logger, outcomes)
    for i in range(count):
        logger.info("{} {}", i, "x" * (i % 37))
        if i % 10 == 0:
            assert_books(logger)
    assert logger.flush(60)
    logger.close()
    assert_accounts_for(lines_of(path), count, logger)
    assert logger.stats().failed == 0


def test_a_sink_that_fails_for_long_loses_counted_records_and_resumes(tmp_path: Path) -> None:
    logger = open_logger(tmp_path / "log", stall_timeout=0.05)
    inject(logger, [37, *[-errno.ENOSPC] * 40])
    count = 0
    while logger.stats().failed == 0 or count < 50_000:
        logger.info("{} {}", count, "x" * 100)
        count += 1
        if count % 1000 == 0:
            assert_books(logger)
    wait_until(lambda: logger.flush(1), "the disk to have room again")
    logger.info("{} after", count)
    logger.close()
    lines = lines_of(tmp_path / "log")
    assert lines[-1] == f"{count} after"
    assert_accounts_for(lines, count + 1, logger)
    assert any("No space left on device" in line for line in lines)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_flush_and_a_close_end_with_a_full_device() -> None:
    errors: list[Exception] = []
    logger = open_logger(errors=errors, stall_timeout=0.1)
    fd = os.open("/dev/full", os.O_WRONLY)
    logger.add_sink(SinkConfig(fd=fd, format="{message}"))
    logger.info("nowhere to go")
    assert not logger.flush()
    assert logger.stats().pending == 1
    logger.close()
    os.close(fd)
    stats = logger.stats()
    assert (stats.emitted, stats.failed, stats.pending) == (1, 1, 0)
    assert {error.errno for error in errors if isinstance(error, OSError)} == {errno.ENOSPC}


def test_a_full_disk_and_then_space_again(tmp_path: Path) -> None:
    with small_disk(tmp_path, "256k") as disk:
        logger = open_logger(disk / "log", stall_timeout=0.1)
        (disk / "ballast").write_bytes(bytes(128 * 1024))
        count = 0
        while logger.stats().failed == 0:
            logger.info("{} {}", count, "x" * 1000)
            count += 1
        assert_books(logger)
        (disk / "ballast").unlink()
        enlarge(disk, "64m")
        wait_until(lambda: logger.flush(1), "writing to resume")
        logger.info("{} after", count)
        logger.close()
        lines = lines_of(disk / "log")
        assert_accounts_for(lines, count + 1, logger)
        assert any("No space left on device" in line for line in lines)


def test_a_disk_that_is_full_for_five_seconds_holds_a_service_up_for_the_stall_timeout(tmp_path: Path) -> None:
    stall_timeout = 1.0  # the default
    with small_disk(tmp_path, "256k") as disk:
        errors: list[Exception] = []
        logger = open_logger(disk / "log", errors, stall_timeout=stall_timeout)
        filling = "x" * 1000
        clock = time.monotonic
        count, waits = 0, []
        while not errors:
            logger.info("{} {}", count, filling)
            count += 1
        until = clock() + 5
        begun = clock()
        while begun < until:
            logger.info("{} {}", count, filling)
            count += 1
            ended = clock()
            if ended - begun > 0.1:
                waits.append(ended - begun)
            begun = ended
        assert_books(logger)
        # Held up once, when the ring and the backlog were full; what came after has failed at once. The other waits, if
        # any, are for the processor of a busy machine.
        long = [wait for wait in waits if wait >= stall_timeout / 2]
        assert long, "no call was held up"
        assert sum(long) < 3 * stall_timeout, "calls were held up again and again"
        failed = logger.stats().failed
        assert failed > 0
        full = (disk / "log").stat().st_size
        enlarge(disk, "1g")
        wait_until(lambda: logger.flush(1) and (disk / "log").stat().st_size > full, "writing to resume")
        logger.info("{} after", count)
        logger.close()
        lines = lines_of(disk / "log")
        assert lines[-1] == f"{count} after"
        assert_accounts_for(lines, count + 1, logger)
        assert any("No space left on device" in line for line in lines)
        assert {error.errno for error in errors if isinstance(error, OSError)} == {errno.ENOSPC}
        # Told once a second, and not at every attempt.
        assert len(errors) <= 10


def test_a_disk_that_becomes_read_only_and_writable_again(tmp_path: Path) -> None:
    with small_disk(tmp_path, "64m") as disk:
        errors: list[Exception] = []
        logger = open_logger(disk / "log", errors, stall_timeout=60)
        logger.info("0 before")
        assert logger.flush(30)
        # With a file open for writing a file system does not become read-only: it is closed as a rotation would.
        logger._controller.sinks[logger.list_sinks()[0]].release_file()
        remount(disk, "ro")
        logger.info("1 meanwhile")
        wait_until(lambda: errors, "on_error to be told")
        assert isinstance(errors[0], SinkError)
        assert errors[0].errno == errno.EROFS
        assert "read-only" in str(errors[0])
        assert_books(logger)
        assert logger.stats().pending == 1
        remount(disk, "rw")
        assert logger.flush(30)
        logger.close()
        assert lines_of(disk / "log") == ["0 before", "1 meanwhile"]


def test_a_disk_that_stays_read_only_loses_counted_records(tmp_path: Path) -> None:
    with small_disk(tmp_path, "64m") as disk:
        logger = open_logger(disk / "log", stall_timeout=0.2)
        logger._controller.sinks[logger.list_sinks()[0]].release_file()
        remount(disk, "ro")
        count = 0
        longest = 0.0
        while logger.stats().failed == 0 or count < 20_000:
            begun = time.monotonic()
            logger.info("{} {}", count, "x" * 1000)
            longest = max(longest, time.monotonic() - begun)
            count += 1
        assert longest <= 0.2 + 0.5
        assert_books(logger)
        remount(disk, "rw")
        # A sink that was given up lets a flush pass: that it writes again is seen in the file.
        wait_until(lambda: logger.flush(1) and (disk / "log").stat().st_size, "writing to resume")
        logger.info("{} after", count)
        logger.close()
        lines = lines_of(disk / "log")
        assert lines[-1] == f"{count} after"
        assert_accounts_for(lines, count + 1, logger)


def test_a_full_pipe_loses_nothing_when_it_is_read_in_time(tmp_path: Path) -> None:
    read, write = os.pipe()
    logger = open_logger(stall_timeout=300, async_buffer_size=4096)
    logger.add_sink(SinkConfig(fd=write, format="{message}"))
    thread = threading.Thread(target=lambda: [logger.info("{} {}", i, "x" * 500) for i in range(4000)])
    thread.start()
    wait_until(lambda: logger.stats().emitted > 2000, "the backlog to fill")

    reader = PipeReader(read)
    thread.join()
    logger.close()
    os.close(write)
    assert [int(line.split()[0]) for line in reader.close().decode().splitlines()] == list(range(4000))


def test_a_pipe_that_nobody_reads_does_not_hold_other_sinks_up(tmp_path: Path) -> None:
    read, write = os.pipe()
    logger = open_logger(tmp_path / "log")
    logger.add_sink(SinkConfig(fd=write, format="{message}"))
    for i in range(30_000):
        logger.info("{} {}", i, "x" * 100)
    logger.flush()
    assert_books(logger)
    assert [int(line.split()[0]) for line in lines_of(tmp_path / "log")] == list(range(30_000))
    logger.close()
    os.close(read)
    os.close(write)


def test_a_socket_whose_peer_is_gone(tmp_path: Path) -> None:
    errors: list[Exception] = []
    logger = open_logger(tmp_path / "log", errors, stall_timeout=0.1)
    ours, theirs = socket.socketpair()
    logger.add_sink(SinkConfig(fd=ours.fileno(), format="{message}"))
    theirs.close()
    logger.info("hello")
    wait_until(lambda: errors, "on_error to be told")
    assert isinstance(errors[0], OSError)
    assert errors[0].errno == errno.EPIPE
    logger.close()
    ours.close()
    assert lines_of(tmp_path / "log") == ["hello"]


def test_a_descriptor_that_somebody_closed_is_opened_again_by_name(tmp_path: Path) -> None:
    logger = open_logger(tmp_path / "log")
    logger.info("before")
    assert logger.flush(30)
    file = logger._controller.sinks[logger.list_sinks()[0]].file
    assert file is not None
    os.close(file.fd)
    logger.info("after")
    assert logger.flush(30)
    logger.close()
    assert lines_of(tmp_path / "log") == ["before", "after"]


def test_a_line_half_written_is_completed_in_the_same_file(tmp_path: Path) -> None:
    logger = open_logger(tmp_path / "log")
    inject(logger, [3, -errno.EBADF])
    logger.info("one line")
    logger.info("another")
    assert logger.flush(30)
    logger.close()
    assert lines_of(tmp_path / "log") == ["one line", "another"]


def test_a_line_half_written_is_closed_off_when_the_file_is_another_one(tmp_path: Path) -> None:
    logger = open_logger(tmp_path / "log", stall_timeout=0.1)
    inject(logger, [3, *[-errno.ENOSPC] * 1000])
    logger.info("one line")
    wait_until(lambda: (tmp_path / "log").stat().st_size == 3, "a piece of the line")
    (tmp_path / "log").rename(tmp_path / "old")
    logger.reopen()
    inject(logger, [])
    wait_until(lambda: logger.flush(1), "writing to resume")
    logger.close()
    assert (tmp_path / "old").read_text() == "one\n"
    assert lines_of(tmp_path / "log") == ["one line"]


def test_a_deleted_folder_is_made_again(tmp_path: Path) -> None:
    logger = open_logger()
    path = tmp_path / "folder" / "log"
    logger.add_sink(SinkConfig(path=path, format="{message}", watch=True))
    logger.info("before")
    assert logger.flush(30)
    shutil.rmtree(path.parent)
    logger.info("after")
    assert logger.flush(30)
    logger.close()
    assert lines_of(path) == ["after"]


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no RLIMIT_FSIZE")
def test_a_limit_on_the_size_of_files(tmp_path: Path) -> None:
    program = """
import resource, sys
from logly import Logger, LoggerConfig, SinkConfig, SinkError
resource.setrlimit(resource.RLIMIT_FSIZE, (5003, resource.RLIM_INFINITY))
errors = []
logger = Logger(LoggerConfig(auto_sink=False, stall_timeout=0.1, on_error=errors.append))
logger.add_sink(SinkConfig(path=sys.argv[1], format="{message}"))
for i in range(1000):
    logger.info("{:09}", i)
assert not logger.flush()
assert "File too large" in str(errors[0]), errors
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
while not logger.flush(1):
    pass
logger.close()
"""
    run_program(program, tmp_path / "log")
    assert lines_of(tmp_path / "log") == [f"{i:09}" for i in range(1000)]


def test_trouble_is_told_on_stderr_but_not_at_every_attempt(tmp_path: Path) -> None:
    hook("inject_outcomes")
    program = """
import errno, os, sys
from logly import Logger, LoggerConfig, SinkConfig, SinkError
from logly._core import inject_outcomes
logger = Logger(LoggerConfig(auto_sink=False))
sink = logger.add_sink(SinkConfig(path=sys.argv[1], format="{message}"))
inject_outcomes(logger._controller.sinks[sink].handle, [-errno.ENOSPC] * 8)
logger.info("line")
assert logger.flush(30)
assert logger.stats().write_errors == 8
"""
    done = run_program(program, tmp_path / "log", may_complain=True)
    assert done.stderr.count("No space left on device") == 1
    assert lines_of(tmp_path / "log") == ["line"]


def test_a_watched_file_whose_descriptor_somebody_closed_is_written_again(tmp_path):
    logger = Logger(LoggerConfig(auto_sink=False, on_error=lambda error: None))
    logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{message}", watch=True))
    logger.info("one")
    assert logger.flush(30)
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if os.path.realpath(f"/proc/self/fd/{name}") == os.path.realpath(tmp_path / "app.log"):
                os.close(int(name))
    logger.info("two")
    assert logger.flush(30)
    assert (tmp_path / "app.log").read_text() == "one\ntwo\n"
    logger.close(5)


def test_a_sink_in_trouble_holds_no_other_up_when_its_spool_is_left(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b"x" * 4096)
    config = LoggerConfig(spool=tmp_path / "app.spool", stall_timeout=0.1, on_error=lambda error: None)
    logger = Logger(config)
    logger.add_sink(SinkConfig(fd=writer))
    logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{message}"))
    logger.info("before")
    logger.configure(LoggerConfig(stall_timeout=0.1, on_error=lambda error: None))
    logger.info("after")
    wait_until(lambda: (tmp_path / "app.log").read_text() == "before\nafter\n", "the other sink's lines")
    wait_until(lambda: not list(tmp_path.glob("app.spool*")), "the end of the spool")
    logger.close(5)
    os.close(reader)
    os.close(writer)


class Blocked:
    """Sinks of a logger whose pipes nobody reads: what they are given fails when the logger is closed."""

    def __init__(self, *ranges: tuple[int, int]) -> None:
        self.logger = open_logger(level=0, stall_timeout=0.02, async_buffer_size=1 << 20)
        self.pipes = [os.pipe() for _ in ranges]
        for (_, end), (low, high) in zip(self.pipes, ranges, strict=True):
            os.set_blocking(end, False)
            with contextlib.suppress(BlockingIOError):
                while os.write(end, bytes(4096)):
                    pass
            self.logger.add_sink(SinkConfig(fd=end, format="{message}", filter_min_level=low, filter_max_level=high))

    def close(self) -> float:
        """Returns how many seconds of the processor that took."""
        self.logger.flush(0.02)
        begin = time.process_time()
        self.logger.close(5)
        took_s = time.process_time() - begin
        for pipe in self.pipes:
            for end in pipe:
                os.close(end)
        return took_s


@given(
    st.lists(st.integers(0, 60), max_size=60),
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)).map(sorted), min_size=1, max_size=4),
)
@settings(max_examples=40, deadline=None)
def test_a_record_that_several_sinks_lose_has_failed_once(levels: list[int], ranges: list[tuple[int, int]]) -> None:
    blocked = Blocked(*ranges)
    for level in levels:
        blocked.logger.log(level, "x")
    blocked.close()
    lost = sum(any(low <= level <= high for low, high in ranges) for level in levels)
    assert blocked.logger.stats().failed == lost
    assert_books(blocked.logger)


def test_many_records_that_several_sinks_lose_are_counted_in_linear_time() -> None:
    """One by one, with the engine locked, they took two sinks 3 s: what failed was searched for each record."""
    alone, both = Blocked((10, 30)), Blocked((20, 20), (10, 30))
    for blocked in (alone, both):
        for _ in range(60_000):
            blocked.logger.debug("x")
            blocked.logger.info("x")
    assert both.close() < 30 * (alone.close() + 0.01)
    stats = both.logger.stats()
    assert (stats.emitted, stats.failed + stats.dropped) == (120_000, 120_000)
