"""Kinds of sinks, their management at run time, and what a sink in trouble does to the others."""

import errno
import io
import os
import pty
import resource
import socket
import stat
import sys
import termios
import threading
from pathlib import Path

import pytest

from logly import ConfigError, Logger, LoggerConfig, SinkConfig, SinkError
from tests.support.hooks import inject_outcomes
from tests.support.sink_tools import check_threads, make_logger, run_threads
from tests.support.waiting import wait_until


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


# ---- kinds


def test_one_logger_feeds_five_kinds_each_with_its_own_rules(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = make_logger()
    seen: list[str] = []
    logger.add_sink(SinkConfig(format="console {message}", color=False))
    logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{level} {message}", size_limit="1 MB"))
    logger.add_sink(SinkConfig(path=tmp_path / "app.json", json=True))
    logger.add_sink(SinkConfig(path=tmp_path / "errors.log", format="{message}", filter_min_level="error"))
    logger.add_sink(SinkConfig(function=lambda record: seen.append(record.message), filter_module="nobody"))
    logger.info("fine {}", 1)
    logger.error("bad {}", 2)
    assert logger.flush()
    assert capsys.readouterr().err == "console fine 1\nconsole bad 2\n"
    assert (tmp_path / "app.log").read_text() == "INFO fine 1\nERROR bad 2\n"
    assert [line[0] + line[-1] for line in (tmp_path / "app.json").read_text().splitlines()] == ["{}", "{}"]
    assert (tmp_path / "errors.log").read_text() == "bad 2\n"
    assert seen == []
    logger.close()


def test_a_descriptor_that_is_open_for_reading_only_is_refused() -> None:
    reader, writer = os.pipe()
    logger = make_logger()
    with pytest.raises(SinkError, match=f"fd = {reader} is open for reading only") as caught:
        logger.add_sink(SinkConfig(fd=reader))
    assert caught.value.errno == errno.EBADF
    assert logger.list_sinks() == []
    logger.close()
    os.close(reader)
    os.close(writer)


def test_a_pipe_a_socket_and_a_memfd_get_the_lines_and_stay_open() -> None:
    reader, writer = os.pipe()
    ours, theirs = socket.socketpair()
    memory = os.memfd_create("log")
    logger = make_logger()
    for fd in (writer, ours.fileno(), memory):
        logger.add_sink(SinkConfig(fd=fd, format="{message}"))
    logger.info("to all {}", "three")
    assert logger.flush()
    assert os.read(reader, 100) == b"to all three\n"
    assert theirs.recv(100) == b"to all three\n"
    assert os.pread(memory, 100, 0) == b"to all three\n"
    logger.close()
    for fd in (writer, ours.fileno(), memory):
        os.fstat(fd)
    for fd in (reader, writer, memory):
        os.close(fd)
    ours.close()
    theirs.close()


def test_a_synchronous_record_is_in_the_kernel_when_the_call_returns(tmp_path: Path) -> None:
    path = tmp_path / "now.log"
    with make_logger(async_flush_interval=60_000) as logger:
        logger.add_sink(SinkConfig(path=path, format="{message}", async_write=False))
        for i in range(50):
            logger.info("{}", i)
            assert path.read_text().splitlines()[-1] == str(i)


def test_a_synchronous_sink_rotates_too(tmp_path: Path) -> None:
    path = tmp_path / "now.log"
    with make_logger() as logger:
        logger.add_sink(SinkConfig(path=path, format="{message}", async_write=False, size_limit=20))
        for i in range(10):
            logger.info("line {:04}", i)
    assert path.read_text() == "line 0008\nline 0009\n"


@pytest.mark.parametrize("interval_ms", [0, 20])
def test_each_sink_has_its_own_flush_interval(tmp_path: Path, interval_ms: int) -> None:
    slow, quick = tmp_path / "slow.log", tmp_path / "quick.log"
    with make_logger(async_flush_interval=3_600_000) as logger:
        logger.add_sink(SinkConfig(path=slow, format="{message}"))
        logger.add_sink(SinkConfig(path=quick, format="{message}", flush_interval=interval_ms))
        logger.info("soon")
        wait_until(lambda: quick.read_text() == "soon\n")
        assert slow.read_text() == ""
    assert slow.read_text() == "soon\n"


# ---- permissions and names


def test_a_file_is_made_with_its_mode_before_umask(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        with make_logger() as logger:
            logger.add_sink(SinkConfig(path=tmp_path / "deep" / "down" / "private.log", mode=0o620))
            logger.add_sink(SinkConfig(path=tmp_path / "shared.log", mode=0o666))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "deep" / "down" / "private.log").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "shared.log").stat().st_mode) == 0o644


def test_a_path_that_cannot_be_written_is_told_at_once_and_nothing_is_added(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    before = open_descriptors()
    with make_logger() as logger:
        for bad in (tmp_path, tmp_path / "file" / "below", tmp_path / "dangling"):
            for rotation in (None, "daily"):
                with pytest.raises(SinkError) as caught:
                    logger.add_sink(SinkConfig(path=bad, rotation=rotation))
                assert caught.value.errno
                assert str(bad) in str(caught.value) or str(bad.parent) in str(caught.value)
        with pytest.raises(SinkError):
            logger.add_sink(SinkConfig(fd=4000))
        assert logger.list_sinks() == []
    assert not (tmp_path / "nowhere").exists()
    assert open_descriptors() == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with make_logger() as logger, pytest.raises(SinkError, match="permission"):
        logger.add_sink(SinkConfig(path=tmp_path / "app.log"))


def test_a_layout_that_is_wrong_leaves_no_file_open(tmp_path: Path) -> None:
    before = open_descriptors()
    with make_logger() as logger, pytest.raises(ConfigError, match="format"):
        logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{time:YYYY"))
    assert open_descriptors() == before


def test_rotation_follows_a_link_and_renames_the_file(tmp_path: Path) -> None:
    real, link = tmp_path / "disk" / "app.log", tmp_path / "app.log"
    real.parent.mkdir()
    real.write_text("before\n")
    link.symlink_to(real)
    with make_logger() as logger:
        logger.add_sink(SinkConfig(path=link, format="{message}", size_limit=8))
        logger.info("after")
    assert link.is_symlink()
    assert real.read_text() == "after\n"
    assert [file.read_text() for file in real.parent.glob("app_*.log")] == ["before\n"]


# ---- management


def test_sinks_are_listed_without_the_automatic_console(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logger = Logger(LoggerConfig(async_flush_interval=5))
    logger.info("to the console")
    first = logger.add_sink(SinkConfig(path=tmp_path / "a.log", format="{message}"))
    second = logger.add_sink(SinkConfig(path=tmp_path / "b.log", format="{message}"))
    assert logger.list_sinks() == [first, second]
    logger.info("to the files")
    assert logger.remove_sink(first)
    assert not logger.remove_sink(first)
    assert logger.list_sinks() == [second]
    assert logger.remove_all_sinks() == 1
    logger.info("to nobody")
    logger.close()
    console = capsys.readouterr().err
    assert "to the console" in console
    assert "to the files" not in console
    assert "to nobody" not in console
    assert (tmp_path / "a.log").read_text() == "to the files\n"
    assert logger.stats().emitted == 2


def test_what_was_logged_before_a_sink_was_added_is_not_for_it(tmp_path: Path) -> None:
    with make_logger(async_flush_interval=60_000) as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "first.log", format="{message}"))
        logger.info("early")
        logger.add_sink(SinkConfig(path=tmp_path / "second.log", format="{message}"))
        logger.info("late")
    assert (tmp_path / "first.log").read_text() == "early\nlate\n"
    assert (tmp_path / "second.log").read_text() == "late\n"


def test_a_disabled_sink_gets_what_was_before_and_what_comes_after(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    with make_logger(async_flush_interval=60_000) as logger:
        sink = logger.add_sink(SinkConfig(path=path, format="{message}"))
        logger.add_sink(SinkConfig(path=tmp_path / "all.log", format="{message}"))
        for phase in range(3):
            logger.info("on {}", phase)
            assert logger.disable_sink(sink)
            logger.info("off {}", phase)
            assert logger.enable_sink(sink)
        assert not logger.disable_sink(999)
        assert not logger.enable_sink(999)
    assert path.read_text() == "on 0\non 1\non 2\n"
    assert len((tmp_path / "all.log").read_text().splitlines()) == 6


def test_counts_of_a_sink_and_of_one_that_is_gone(tmp_path: Path) -> None:
    with make_logger() as logger:
        sink = logger.add_sink(SinkConfig(path=tmp_path / "a.log", format="{message}", filter_max_level="info"))
        logger.add_sink(SinkConfig(path=tmp_path / "b.log", format="{message}"))
        logger.info("one")
        logger.error("two")
        assert logger.flush()
        counts = logger.sink_stats(sink)
        assert (counts.written, counts.failed, counts.pending, counts.bytes_written) == (1, 0, 0, 4)
        before = logger.stats()
        logger.remove_sink(sink)
        after = logger.stats()
        assert (after.bytes_written, after.writes) == (before.bytes_written, before.writes) == (12, before.writes)
        with pytest.raises(KeyError):
            logger.sink_stats(sink)


def test_the_master_switches_act_on_sinks_that_are_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "app.log"
    logger = make_logger()
    logger.add_sink(SinkConfig(format="{message}", color=True))
    logger.add_sink(SinkConfig(path=path, format="{message}"))
    for console, file in ((True, True), (False, True), (True, False), (False, False), (True, True)):
        settings = LoggerConfig(global_console_display=console, global_file_storage=file, auto_sink=False)
        logger.configure(settings)
        logger.info("console {} file {}", console, file)
    assert logger.flush()
    shown = ["console True file True", "console True file False", "console True file True"]
    assert capsys.readouterr().err.splitlines() == shown
    stored = ["console True file True", "console False file True", "console True file True"]
    assert path.read_text().splitlines() == stored
    logger.close()


def test_the_colour_switch_acts_on_sinks_that_are_there() -> None:
    stream = io.StringIO()
    logger = make_logger()
    logger.add_sink(SinkConfig(stream=stream, format="{level}", color=True))
    logger.error("x")
    assert logger.flush()
    logger.configure(LoggerConfig(global_color_display=False, auto_sink=False))
    logger.error("x")
    logger.close()
    coloured, plain = stream.getvalue().splitlines()
    assert "\x1b[" in coloured
    assert plain == "ERROR"


def test_nothing_is_lost_while_sinks_come_and_go(tmp_path: Path) -> None:
    threads, count = 4, 10_000
    logger = make_logger()
    logger.add_sink(SinkConfig(path=tmp_path / "all.log", format="{message}"))
    done = threading.Event()
    kept: list[Path] = []

    def come_and_go() -> None:
        while not done.is_set():
            path = tmp_path / f"{len(kept)}.log"
            kept.append(path)
            sink = logger.add_sink(SinkConfig(path=path, format="{message}"))
            logger.disable_sink(sink)
            logger.enable_sink(sink)
            logger.list_sinks()
            logger.sink_stats(sink)
            logger.remove_sink(sink)

    manager = threading.Thread(target=come_and_go)
    manager.start()

    def work(thread: int) -> None:
        for i in range(count):
            logger.info("{} {}", thread, i)

    run_threads(work, threads)
    done.set()
    manager.join()
    logger.close()
    check_threads((tmp_path / "all.log").read_text().splitlines(), threads, count)
    for path in kept:
        # A sink that was there for a while has an unbroken piece of each thread, but for the time it was off.
        for thread in range(threads):
            lines = [line.split() for line in path.read_text().splitlines()]
            numbers = [int(number) for who, number in lines if int(who) == thread]
            assert numbers == sorted(set(numbers))
    stats = logger.stats()
    assert (stats.emitted, stats.written, stats.failed, stats.pending) == (threads * count, threads * count, 0, 0)


@pytest.mark.parametrize("rounds", [1_000, pytest.param(10_000, marks=pytest.mark.nightly)])
def test_adding_and_removing_leaks_nothing(tmp_path: Path, rounds: int) -> None:
    logger = make_logger()
    logger.add_sink(SinkConfig(path=tmp_path / "all.log", format="{message}"))
    stop = threading.Event()

    def load() -> None:
        while not stop.is_set():
            logger.info("load")

    def come_and_go(times: int) -> None:
        for _ in range(times):
            sink = logger.add_sink(SinkConfig(path=tmp_path / "some.log", size_limit="1 GB"))
            logger.info("now")
            logger.remove_sink(sink)

    worker = threading.Thread(target=load)
    worker.start()
    come_and_go(100)
    threads, descriptors = threading.active_count(), open_descriptors()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    come_and_go(rounds)
    stop.set()
    worker.join()
    assert threading.active_count() == threads - 1
    assert open_descriptors() == descriptors
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 30_000
    logger.close()


def test_many_loggers_leave_no_descriptor_and_no_thread(tmp_path: Path) -> None:
    before = open_descriptors(), threading.active_count()
    for _ in range(50):
        with make_logger() as logger:
            logger.add_sink(SinkConfig(path=tmp_path / "a.log", rotation="daily", size_limit="1 MB"))
            logger.info("x")
    # Threads of tests before this one may have ended meanwhile.
    wait_until(lambda: open_descriptors() <= before[0] and threading.active_count() <= before[1])


# ---- slow and blocked sinks


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
