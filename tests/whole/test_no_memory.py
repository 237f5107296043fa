"""One allocation fails while somebody begins work that all others count on: what is logged arrives all the same."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.log_files import lines_of
from tests.support.programs import run_program

PRELUDE = """
import os, sys, threading
from logly import Logger, LoggerConfig, SinkConfig
import logly.system.unpatched

path = sys.argv[1]

told = []

def logger_to(path, **settings):
    logger = Logger(LoggerConfig(auto_sink=False, async_flush_interval=5, on_error=told.append, **settings))
    logger.add_sink(SinkConfig(path=path, format="{message}"))
    return logger

def await_line(text, path=path):
    # Nobody flushes, and the main thread writes nothing itself.
    deadline = logly.system.unpatched.monotonic() + 50
    while text not in open(path).read().splitlines():
        assert logly.system.unpatched.monotonic() < deadline, (text, open(path).read())
        logly.system.unpatched.pause(0.001)
"""

# Makes every allocation fail from the n-th on, `count` of them, on whatever thread.
NO_MEMORY = """
from tests.probe.interrupts import remove_mem_hooks, set_nomemory

def without_memory(n, count, function, *args):
    # Loaded before: this is about what a thread's start takes, not about imports.
    try:
        set_nomemory(n, n + count)
        function(*args)
        pause(0.02)
    except MemoryError:
        pass
    finally:
        remove_mem_hooks()

pause = logly.system.unpatched.pause
"""


NO_PROBES = "the probes are not built: LOGLY_BUILD=probe"
sweeps = pytest.mark.skipif(
    sys.version_info >= (3, 12),
    reason="CPython itself crashes where some allocations fail: of functions (3.12.1), of thread-local data (3.13.0)",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "app.log"


def test_a_flusher_whose_thread_cannot_be_named_does_its_work(path: Path) -> None:
    program = """
def no_memory():
    raise MemoryError
threading.current_thread = no_memory
logger = logger_to(path)
logger.info("one")
await_line("one")
assert logger._controller.flusher.is_running
logger.info("two")
await_line("two")
"""
    run_program(PRELUDE + program, path)
    assert lines_of(path) == ["one", "two"]


def test_a_flusher_that_fails_at_its_beginning_or_end_does_its_work(path: Path) -> None:
    program = """
from logly.control.flusher_thread import Flusher
def no_memory(self):
    raise MemoryError
Flusher.begin = Flusher.end = no_memory
logger = logger_to(path)
logger.info("one")
await_line("one")
assert logger.close(30)
logger.info("two")
assert logger.stats().written == 2
"""
    run_program(PRELUDE + program, path)
    assert lines_of(path) == ["one", "two"]


def test_without_memory_for_the_question_whether_a_flusher_is_needed_the_next_record_asks(path: Path) -> None:
    program = """
logger = logger_to(path)
start = logger._controller.core.start_flusher
failures = []
def no_memory():
    if not failures:
        failures.append(1)
        raise MemoryError
    start()
logger._controller.core.start_flusher = no_memory
logger.info("one")  # and this does not raise
logger.info("two")
await_line("two")
assert failures
"""
    run_program(PRELUDE + program, path)
    assert lines_of(path) == ["one", "two"]


def test_python_work_that_fails_for_a_while_is_done_afterwards(path: Path) -> None:
    program = """
logger = logger_to(path)
got = []
logger.add_sink(SinkConfig(function=lambda record: got.append(record.message)))
work = logger._controller.core.on_work
attempts = []
def sometimes():
    attempts.append(1)
    if len(attempts) < 12:
        raise MemoryError
    work()
logger._controller.core.on_work = sometimes
logger.info("one")
await_line("one")  # files do not wait for it
while not got:
    logly.system.unpatched.pause(0.001)
assert got == ["one"]
"""
    run_program(PRELUDE + program, path)


def test_housekeeping_goes_on_after_a_worker_that_failed(path: Path) -> None:
    program = """
from logly.files import housekeeper as module
keeper = module.Housekeeper("keeper")
failures, done = [], []
sys.unraisablehook = lambda what: failures.append(what.exc_type)
lower = module._lower_priority
def no_memory():
    raise MemoryError
module._lower_priority = no_memory
keeper.submit(lambda: done.append("a"))
while not failures:
    logly.system.unpatched.pause(0.001)
module._lower_priority = lower
keeper.submit(lambda: done.append("b"))
assert keeper.drain(30)
assert done == ["a", "b"]

def broken(*_):
    raise ValueError
sys.excepthook = broken
keeper.submit(lambda: 1 / 0)
keeper.submit(lambda: done.append("c"))
assert keeper.drain(30)
assert (done[-1], failures) == ("c", [MemoryError])
"""
    run_program(PRELUDE + program, "unused")


@sweeps
def test_whichever_allocation_of_a_flushers_start_fails(tmp_path: Path) -> None:
    pytest.importorskip("tests.probe.interrupts", reason=NO_PROBES)
    program = """
import warnings
for n in range(120):
    path = f"{sys.argv[1]}/{n}.log"
    logger = logger_to(path)
    # What it says of a failed allocation, if there is one, is no part of this.
    without_memory(n, 1 + n % 3, logger.info, "one")
    logger.info("two")
    await_line("two", path)
    assert logger.flush(30)
    stats = logger.stats()
    assert stats.emitted == stats.written + stats.dropped + stats.failed, stats
    assert logger.close(30)
"""
    run_program(PRELUDE + NO_MEMORY + program, tmp_path, may_complain=True)


@sweeps
def test_whichever_allocation_of_the_flushers_python_work_fails(tmp_path: Path) -> None:
    """Also those that were made under the engine's lock, which then stayed taken."""
    pytest.importorskip("tests.probe.interrupts", reason=NO_PROBES)
    program = """
class Stream:
    text = ""
    def write(self, text):
        Stream.text += text
for n in range(150):
    config = LoggerConfig(auto_sink=False, async_flush_interval=5, stall_timeout=0.05, on_error=told.append)
    logger = Logger(config)
    got = []
    logger.add_sink(SinkConfig(function=lambda record: got.append(record.message)))
    logger.add_sink(SinkConfig(stream=Stream(), format="{message}"))
    logger.info("zero")
    assert logger.flush(30)
    without_memory(n, 1 + n % 2, logger.info, "one")
    logger.info("two")
    deadline = logly.system.unpatched.monotonic() + 50
    while "two" not in got or "two" not in Stream.text:
        assert logly.system.unpatched.monotonic() < deadline, (n, got, Stream.text, logger.stats())
        logly.system.unpatched.pause(0.001)
    for sink in logger.list_sinks():
        logger.sink_stats(sink)
    assert logger.close(30), n
    Stream.text = ""
"""
    run_program(PRELUDE + NO_MEMORY + program, tmp_path, may_complain=True)


@sweeps
def test_a_call_of_a_light_logger_raises_nothing_whichever_allocation_fails(path: Path) -> None:
    pytest.importorskip("tests.probe.interrupts", reason=NO_PROBES)
    program = """
logger = logger_to(path, sampling=(5, 3))
source = '''
def call(n):
    logger.once().info("{}", n)
    logger.every(2).info("{}", n)
    logger.first(3, key=n).info("{}", n)
    kept = logger.limit("5/s").bind(a=1) if n < 0 else logger.limit("5/s")
    kept.info("{}", n)
    logger.info("{}", n)
    logger.every(2).error("text")
'''
for count in (1, 1000):
    for n in range(200):
        names = {"logger": logger}
        exec(source, names)  # a new code object: new call sites
        for _ in range(2):
            try:
                set_nomemory(n, n + count)
                names["call"](n)
            finally:
                remove_mem_hooks()
logger.close()
stats = logger.stats()
assert stats.emitted == stats.written + stats.dropped
"""
    run_program(PRELUDE + NO_MEMORY + program, path)
