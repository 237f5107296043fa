"""A fork beside what other threads of the parent are in the middle of, and from within a sink's own code."""

from __future__ import annotations

import os
import threading
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from logly import Logger, LoggerConfig, SinkConfig
from logly._core import SinkHandle
from logly.control.sinks import Sink
from tests.support.forks import children_end_well, fork
from tests.support.log_files import lines_of
from tests.support.loggers import file_logger
from tests.support.programs import run_program

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


def test_a_rotation_needs_no_lock_that_a_forked_child_may_find_taken(tmp_path: Path) -> None:
    """`datetime.strptime` has one."""
    import _strptime

    logger = Logger(LoggerConfig(auto_sink=False))
    logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{message}", size_limit=20, retention=3))
    with _strptime._cache_lock:  # type: ignore[attr-defined]
        for i in range(20):
            logger.info("message {:03}", i)
        assert logger.flush(30)
    assert logger.stats().rotations == 19
    assert logger.close(30)


def test_a_fork_waits_for_the_flushers_work_in_python(tmp_path: Path) -> None:
    """Half of an import, or a lock of what it uses, would be the child's for ever."""
    logger = file_logger(tmp_path / "app.log")
    logger.info("the flusher runs")
    assert logger.flush(30)
    core = logger._controller.core
    begun, go, ended = threading.Event(), threading.Event(), []

    def slow() -> None:
        begun.set()
        go.wait(0.3)  # longer than a fork takes that does not wait
        ended.append(1)

    core.on_work = slow
    core.want_python()
    assert begun.wait(30)
    pid = os.fork()
    if pid == 0:
        os._exit(0 if ended else 1)
    core.on_work = logger._controller.do_work
    children_end_well([pid])
    assert logger.close(30)


def test_a_function_that_takes_long_does_not_keep_a_fork_waiting(tmp_path: Path) -> None:
    begun, go = threading.Event(), threading.Event()
    logger = file_logger(tmp_path / "app.log")
    logger.add_sink(SinkConfig(function=lambda _: (begun.set(), go.wait(60))))
    logger.info("one")
    assert begun.wait(30)

    def child() -> None:
        assert not go.is_set()
        logger.remove_all_sinks()

    children_end_well([fork(child)])
    go.set()
    assert logger.close(30)


@pytest.mark.parametrize("what", ["register", "write_out", "remove"])
def test_a_fork_while_another_thread_adds_or_removes_a_sink(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """The child does not have that sink, and all of its loggers work."""
    others = [file_logger(tmp_path / f"{i}.log") for i in range(3)]
    logger = others[1]
    config = SinkConfig(path=tmp_path / "late.log", format="{message}", rotation=timedelta(days=1))
    late = logger.add_sink(config) if what != "register" else 0
    reached, go = threading.Event(), threading.Event()
    parent = os.getpid()
    real = getattr(Sink if what == "register" else SinkHandle, what)

    def held(self: object, *args: object, **settings: object) -> object:
        if os.getpid() == parent:
            reached.set()
            assert go.wait(60)
        return real(self, *args, **settings)

    if what == "register":
        monkeypatch.setattr(Sink, what, held)
        thread = threading.Thread(target=logger.add_sink, args=(config,))
    else:
        sink = logger._controller.sinks[late]

        class Handle(SinkHandle):
            pass

        setattr(Handle, what, held)
        handle = Handle(sink.core, sink.handle.id)
        monkeypatch.setattr(sink, "handle", handle)
        thread = threading.Thread(target=logger.remove_sink, args=(late,))
    thread.start()
    assert reached.wait(60)

    def child() -> None:
        assert len(logger.list_sinks()) == 1
        for other in others:
            other.info("child")
            assert other.flush(30)
            assert other.stats().written == 1

    children_end_well([fork(child)])
    go.set()
    thread.join(60)
    for other in others:
        other.info("parent")
        assert other.close(30)
    for i in range(3):
        assert lines_of(tmp_path / f"{i}.log") == ["child", "parent"]


def test_a_child_counts_from_zero_also_after_a_sink_was_removed(tmp_path: Path) -> None:
    logger = file_logger(tmp_path / "app.log")
    logger.info("x")
    assert logger.flush(30)
    logger.remove_sink(logger.list_sinks()[0])
    assert logger.stats().bytes_written == 2

    def child() -> None:
        assert not any(logger.stats()._replace(ring_size=0))

    children_end_well([fork(child)])
    logger.close()


def test_a_child_that_a_function_sink_forks_and_that_returns_from_it_has_no_record_of_the_parents() -> None:
    program = """
import os
from logly import Logger, LoggerConfig, SinkConfig
parent, forked = os.getpid(), []
def function(record):
    os.write(1, f"{'parent' if os.getpid() == parent else 'child'} {record.message}\\n".encode())
    if not forked:
        forked.append(os.fork())
logger = Logger(LoggerConfig(auto_sink=False, async_flush_interval=60_000))
logger.add_sink(SinkConfig(function=function))
for i in range(5):
    logger.info("{}", i)
assert logger.flush(30)
os.waitpid(forked[0], 0)
"""
    assert run_program(program).stdout.splitlines() == [f"parent {i}" for i in range(5)]


def test_a_child_that_a_streams_write_forks_goes_on_with_that_stream() -> None:
    program = """
import os
from logly import Logger, LoggerConfig, SinkConfig
parent, forked = os.getpid(), []
class Stream:
    def write(self, text):
        os.write(1, f"{'parent' if os.getpid() == parent else 'child'} {text}".encode())
        if not forked:
            forked.append(os.fork())
logger = Logger(LoggerConfig(auto_sink=False))
logger.add_sink(SinkConfig(stream=Stream(), format="{message}"))
logger.close()
logger.info("first")  # written on this thread
if forked[0]:
    os.waitpid(forked[0], 0)
else:
    for i in range(5):
        logger.info("{}", i)
    stats = logger.stats()
    assert (stats.written, stats.failed, stats.bytes_written) == (5, 0, 10), stats
"""
    assert run_program(program).stdout.splitlines() == ["parent first", *(f"child {i}" for i in range(5))]


@pytest.mark.parametrize("spool", ["", "app.spool"])
def test_two_threads_that_fork_while_a_hook_waits_long(tmp_path: Path, spool: str) -> None:
    """Each child has what it logs in a hook before logly's own."""
    program = """
import os, sys, threading, time
lock, logger = threading.Lock(), None
def early():
    if logger is not None:
        logger.info("early")
os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)
os.register_at_fork(after_in_child=early)
from logly import Logger, LoggerConfig, SinkConfig
folder, spool = sys.argv[1:]
made = Logger(LoggerConfig(auto_sink=False, async_flush_interval=60_000, flush_level=None, spool=spool or None))
made.add_sink(SinkConfig(path=folder + "/app.log", format="{message}"))
made.info("start")
made.flush()
logger = made
pids = []
def fork():
    pid = os.fork()
    if pid == 0:
        made.info("late")
        os._exit(0 if made.close(30) and made.stats().written == 2 else 1)
    pids.append(pid)
lock.acquire()
threads = [threading.Thread(target=fork) for _ in range(2)]
for thread in threads:
    thread.start()
time.sleep(2.5)  # longer than any fork may be kept waiting for another one
made.info("parent")
lock.release()
for thread in threads:
    thread.join()
assert [os.waitpid(pid, 0)[1] for pid in pids] == [0, 0]
logger = None
assert made.close(30)
"""
    run_program(program, tmp_path, spool and tmp_path / spool)
    assert Counter(lines_of(tmp_path / "app.log")) == {"start": 1, "parent": 1, "early": 2, "late": 2}


@pytest.mark.parametrize("spool", ["", "app.spool"])
def test_a_child_that_a_hook_forks_goes_on_with_the_fork_that_it_was_made_in(tmp_path: Path, spool: str) -> None:
    program = """
import os, sys
logger, has_forked = None, False
def nest():  # runs after logly's own hook
    global has_forked
    if logger is not None and not has_forked:
        has_forked = True
        pid = os.fork()
        if pid:
            assert os.waitpid(pid, 0)[1] == 0
def early():
    if logger is not None:
        for i in range(20):
            logger.info("early {}", i)
os.register_at_fork(before=nest)
os.register_at_fork(after_in_child=early)
from logly import Logger, LoggerConfig, SinkConfig
folder, spool = sys.argv[1:]
made = Logger(LoggerConfig(auto_sink=False, async_flush_interval=60_000, flush_level=None, spool=spool or None))
made.add_sink(SinkConfig(path=folder + "/app.log", format="{message}"))
made.info("start")
made.flush()
logger = made
first = os.getpid()
pid = os.fork()
if pid:
    assert os.waitpid(pid, 0)[1] == 0
made.info("late")
logger = None
assert made.close(30)
if os.getpid() != first:
    os._exit(0)
"""
    run_program(program, tmp_path, spool and tmp_path / spool)
    # The parent, the child of the hook, that one's child, and the parent's child: three of them begin as children.
    expected = {"start": 1, "late": 4, **{f"early {i}": 3 for i in range(20)}}
    assert Counter(lines_of(tmp_path / "app.log")) == expected


def test_a_child_has_no_half_of_a_module_that_another_thread_imports(tmp_path: Path) -> None:
    program = """
import os, sys, threading
from importlib.machinery import PathFinder
from logly import Logger, LoggerConfig
begun, go = threading.Event(), threading.Event()
class Slow:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != "logly.stats":
            return None
        spec = PathFinder.find_spec(name, path)
        real = spec.loader.exec_module
        def exec_module(module):
            begun.set()
            assert go.wait(30)
            real(module)
        spec.loader.exec_module = exec_module
        return spec
assert "logly.stats" not in sys.modules
sys.meta_path.insert(0, Slow)
def count():
    return Logger(LoggerConfig(auto_sink=False)).stats().emitted
thread = threading.Thread(target=count)
thread.start()
assert begun.wait(30)
threading.Timer(0.3, go.set).start()
pid = os.fork()
if pid == 0:
    os._exit(0 if count() == 0 else 1)
assert os.waitpid(pid, 0)[1] == 0
thread.join()
"""
    run_program(program)
