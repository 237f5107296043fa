"""Fork: the parent's records are written by the parent, once; the child starts with nothing and writes its own."""

from __future__ import annotations

import os
import threading
from collections import Counter
from pathlib import Path

import pytest

from logly import Logger, LoggerConfig, SinkConfig
from tests.support.forks import PipeReader, children_end_well, fork
from tests.support.log_files import lines_of
from tests.support.loggers import assert_books, file_logger
from tests.support.programs import run_program
from tests.support.waiting import wait_until

core = pytest.importorskip("logly._core")

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


def forks_under_load(path: Path, forks: int, **sink: object) -> None:
    """Two threads fork `forks` times in all, while two more log; every process's every line is there once."""
    logger = file_logger(path, sink=sink, async_buffer_size=1 << 16)
    done = threading.Event()
    counts = [0, 0]
    pids: list[int] = []
    is_next = threading.Event()

    def log(who: int) -> None:
        while not done.is_set():
            # So many per fork, or a machine where forks are slow writes gigabytes.
            if counts[who] < 5000 * (len(pids) + 1):
                logger.info("parent {} {}", who, counts[who])
                counts[who] += 1
            else:
                is_next.wait(0.01)

    def fork_often(who: int) -> None:
        def child() -> None:
            for i in range(20):
                logger.info("child {} {}", os.getpid(), i)
            assert logger.flush(30)
            stats = logger.stats()
            assert (stats.emitted, stats.written) == (20, 20)

        for _ in range(forks // 2):
            pid = fork(child)
            pids.append(pid)
            is_next.set()
            is_next.clear()
            children_end_well([pid])

    loggers = [threading.Thread(target=log, args=(who,)) for who in range(2)]
    forkers = [threading.Thread(target=fork_often, args=(who,)) for who in range(2)]
    for thread in loggers + forkers:
        thread.start()
    for thread in forkers:
        thread.join()
    done.set()
    for thread in loggers:
        thread.join()
    assert logger.flush(60)
    assert_books(logger)
    logger.close()
    assert len(pids) == forks
    expected = Counter(f"parent {who} {i}" for who in range(2) for i in range(counts[who]))
    expected.update(f"child {pid} {i}" for pid in pids for i in range(20))
    assert Counter(lines_of(path)) == expected


@pytest.mark.parametrize(
    "sink", [{}, {"async_write": False}, {"size_limit": "1 GiB"}], ids=["async", "sync", "rotating"]
)
def test_every_line_once_under_forks(tmp_path: Path, sink: dict[str, object]) -> None:
    forks_under_load(tmp_path / "fork.log", 20, **sink)


@pytest.mark.nightly
@pytest.mark.timeout(1200)
def test_every_line_once_under_200_forks(tmp_path: Path) -> None:
    forks_under_load(tmp_path / "fork.log", 200)


def test_what_is_pending_at_the_fork_is_the_parents(tmp_path: Path) -> None:
    path = tmp_path / "pending.log"
    logger = Logger(LoggerConfig(auto_sink=False, async_flush_interval=60_000, flush_level=None))
    logger.add_sink(SinkConfig(path=path, format="{message}"))
    for i in range(100):
        logger.info("before {}", i)

    def child() -> None:
        assert logger.stats().emitted == 0
        logger.info("from the child")
        assert logger.flush(30)

    children_end_well([fork(child)])
    assert lines_of(path) == ["from the child"]
    logger.close()
    assert lines_of(path) == ["from the child", *(f"before {i}" for i in range(100))]


def test_a_child_that_ends_by_os_exit_keeps_what_it_flushed(tmp_path: Path) -> None:
    path = tmp_path / "exit.log"
    logger = file_logger(path, async_buffer_size=1 << 16)

    def child() -> None:
        logger.info("flushed")
        assert logger.flush(30)

    children_end_well([fork(child)])
    logger.close()
    assert lines_of(path) == ["flushed"]


def test_a_child_that_ends_by_sys_exit_loses_nothing(tmp_path: Path) -> None:
    program = """
import os, sys
from logly import Logger, SinkConfig
logger = Logger()
logger.add_sink(SinkConfig(path=sys.argv[1], format="{message}"))
logger.info("parent")
pid = os.fork()
if pid == 0:
    for i in range(1000):
        logger.info("child {}", i)
    sys.exit(0)
assert os.waitpid(pid, 0)[1] == 0
"""
    run_program(program, tmp_path / "child.log")
    assert sorted(lines_of(tmp_path / "child.log")) == sorted(["parent", *(f"child {i}" for i in range(1000))])


def test_a_fork_while_another_thread_waits_for_room(tmp_path: Path) -> None:
    read, write = os.pipe()
    logger = Logger(LoggerConfig(auto_sink=False, async_buffer_size=4096, stall_timeout=300))
    logger.add_sink(SinkConfig(fd=write, format="{message}", buffer_size=4096))
    count = 3000

    def log() -> None:
        for i in range(count):
            logger.info("{:06} {}", i, "x" * 500)

    thread = threading.Thread(target=log)
    thread.start()
    # The pipe, the sink's backlog (1 MiB) and the ring are full when the writer stops making progress.
    wait_until(lambda: logger.stats().emitted > 2000, "the backlog to fill")

    def child() -> None:
        os.close(read)
        logger.remove_all_sinks()
        logger.add_sink(SinkConfig(path=tmp_path / "child.log", format="{message}"))
        logger.info("the child is alive")
        assert logger.flush(30)

    pid = fork(child)
    children_end_well([pid])
    assert lines_of(tmp_path / "child.log") == ["the child is alive"]

    reader = PipeReader(read)
    thread.join()
    logger.close()
    os.close(write)
    assert [int(line.split()[0]) for line in reader.close().decode().splitlines()] == list(range(count))


def test_a_fork_inside_contextualize(tmp_path: Path) -> None:
    path = tmp_path / "context.log"
    logger = Logger(LoggerConfig(auto_sink=False))
    logger.add_sink(SinkConfig(path=path, format="{message} {request}"))
    with logger.contextualize(request=7):
        logger.info("parent")

        def child() -> None:
            logger.info("child")
            assert logger.flush(30)

        children_end_well([fork(child)])
    logger.close()
    assert sorted(lines_of(path)) == ["child 7", "parent 7"]


def test_a_fork_from_a_function_sink(tmp_path: Path) -> None:
    path = tmp_path / "inside.log"
    logger = file_logger(path, async_buffer_size=1 << 16)
    pids: list[int] = []
    parent = os.getpid()

    def sink(record: object) -> None:
        def child() -> None:
            logger.info("child {}", len(pids))
            assert logger.flush(30)

        # The child's record comes here too, in the child.
        if os.getpid() == parent and len(pids) < 5:
            pids.append(fork(child))

    logger.add_sink(SinkConfig(function=sink))
    for i in range(10):
        logger.info("parent {}", i)
        assert logger.flush(30)
    children_end_well(pids)
    logger.close()
    assert sorted(lines_of(path)) == sorted([f"parent {i}" for i in range(10)] + [f"child {i}" for i in range(5)])


def test_a_signal_handler_that_logs_between_the_hooks_of_a_fork(tmp_path: Path) -> None:
    # Hooks before a fork run last first: this one, registered before logly's, runs while every engine is held.
    program = """
import os, signal, sys
inside = []
os.register_at_fork(before=lambda: inside and os.kill(os.getpid(), signal.SIGUSR1))
from logly import Logger, SinkConfig
logger = Logger()
logger.add_sink(SinkConfig(path=sys.argv[1], format="{message}", async_write=sys.argv[2] == "async"))

def handle(number, frame):
    logger.info("handler {}", len(inside))
    logger.flush(30)
    logger.stats()
    inside.append(1)

signal.signal(signal.SIGUSR1, handle)
logger.info("start")
inside.append(1)
for _ in range(20):
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
print(len(inside))
"""
    for mode in ("async", "sync"):
        path = tmp_path / mode
        assert run_program(program, path, mode).stdout == "21\n"
        assert lines_of(path) == ["start", *(f"handler {i}" for i in range(1, 21))]


@pytest.mark.skipif(not hasattr(os, "eventfd"), reason="eventfd is how a write is made to block here")
def test_a_fork_does_not_wait_for_a_flusher_that_is_stuck_in_a_write(tmp_path: Path) -> None:
    # A write of eight bytes is added to the counter, and one that would overflow it blocks: a stuck disk in small.
    stuck = os.eventfd(0, os.EFD_CLOEXEC)
    os.eventfd_write(stuck, 2**64 - 2)
    logger = Logger(LoggerConfig(auto_sink=False, async_flush_interval=0))
    logger.add_sink(SinkConfig(fd=stuck, format="{message}"))
    other = file_logger(tmp_path / "other.log", async_buffer_size=1 << 16)
    logger.info("x" * 7)
    assert not logger.flush(0.3)

    def child() -> None:
        assert logger.stats().emitted == 0
        other.info("from the child")
        assert other.flush(30)

    children_end_well([fork(child)])
    other.close()
    assert lines_of(tmp_path / "other.log") == ["from the child"]
    os.eventfd_read(stuck)
    assert logger.flush(30)
    assert logger.stats().bytes_written == 8
    logger.close()
    os.close(stuck)


@pytest.mark.skipif(not hasattr(os, "eventfd"), reason="eventfd is how a write is made to block here")
@pytest.mark.skipif(not hasattr(core, "redaction_room"), reason="needs a build with probes")
def test_a_child_does_not_use_the_copies_of_records_of_a_flusher_that_was_at_work() -> None:
    # It may have been in the middle of a realloc when the process forked.
    stuck = os.eventfd(0, os.EFD_CLOEXEC)
    os.eventfd_write(stuck, 2**64 - 2)
    logger = Logger(LoggerConfig(auto_sink=False, async_flush_interval=0, redact=["password"], redact_text=True))
    logger.add_sink(SinkConfig(fd=stuck, format="{message}"))
    logger.info("x" * 7, password="hunter2")
    assert not logger.flush(0.3)
    assert core.redaction_room(logger._controller.core) > 0

    def child() -> None:
        assert core.redaction_room(logger._controller.core) == 0

    children_end_well([fork(child)])
    os.eventfd_read(stuck)
    logger.close()
    os.close(stuck)


def test_a_child_of_a_process_that_changed_its_folder_writes_to_the_same_file(tmp_path):
    program = """
import os, sys
from logly import Logger, LoggerConfig, SinkConfig
os.makedirs("elsewhere/logs")
logger = Logger(LoggerConfig(auto_sink=False))
logger.add_sink(SinkConfig(path="logs/app.log", format="{message}", rotation="daily"))
logger.info("parent")
logger.flush()
os.chdir("elsewhere")
pid = os.fork()
if pid == 0:
    logger.info("child")
    logger.flush()
    os._exit(0)
os.waitpid(pid, 0)
"""
    run_program(program, cwd=tmp_path)
    assert (tmp_path / "logs" / "app.log").read_text() == "parent\nchild\n"


@pytest.mark.parametrize("end", ["return", "sys.exit(0)"])
def test_a_child_that_a_thread_forked_ends_with_that_thread(tmp_path, end):
    program = f"""
import os, sys, threading
from logly import Logger, LoggerConfig, SinkConfig
logger = Logger(LoggerConfig(auto_sink=False))
logger.add_sink(SinkConfig(path="app.log", format="{{message}}"))
logger.info("parent")
logger.flush()
def work():
    pid = os.fork()
    if pid == 0:
        logger.info("child {{}}", 1)
        {end}
    os.waitpid(pid, 0)
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""
    run_program(program, cwd=tmp_path)
    assert (tmp_path / "app.log").read_text() == "parent\nchild 1\n"
