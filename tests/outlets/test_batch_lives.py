"""Batch sinks at the end of a process, across a fork, and where threads are greenlets."""

import os
import signal
import sys
import threading
from pathlib import Path

import pytest

import logly.control.process
from logly import SinkConfig
from logly.control.batch_sink import BatchSink
from logly.control.process import flush_at_exit
from tests.support.batches import Endpoint, batch_sink, log_numbers
from tests.support.forks import children_end_well, fork
from tests.support.loggers import assert_books, make_logger
from tests.support.programs import run_program, start_program
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="for systems with fork")

PROGRAM = """
import sys, threading, time
from pathlib import Path
from logly import Logger, LoggerConfig, SinkConfig
out = Path(sys.argv[1])
told = []
logger = Logger(LoggerConfig(auto_sink=False, on_error=told.append))
def send(lines, count):
    with out.open("ab") as file:
        file.write(lines)
"""


def test_an_exit_sends_what_waits(tmp_path: Path) -> None:
    code = """
logger.add_sink(SinkConfig(batch=send, format="{message}", flush_interval=3_600_000, batch_bytes=1000))
for number in range(5000):
    logger.info("{}", number)
"""
    run_program(PROGRAM + code, tmp_path / "out")
    assert (tmp_path / "out").read_text().split() == [str(number) for number in range(5000)]


def test_an_exit_does_not_wait_for_ever_for_a_function_that_hangs(tmp_path: Path) -> None:
    code = """
from logly.control.batch_sink import BatchSink
BatchSink.exit_patience_s = 0.3
logger.configure(on_error=None)
begun = threading.Event()
def hangs(lines, count):
    begun.set()
    threading.Event().wait()
logger.add_sink(SinkConfig(batch=hangs, format="{message}", flush_interval=0))
logger.info("one")
begun.wait()
"""
    done = run_program(PROGRAM + code, tmp_path / "out", may_complain=True)
    assert "1 record could not be written before the logger was closed" in done.stderr


class Stuck:
    """A logger, and its core, whose batch sink takes so much in each of its flushes, and then nothing more."""

    patience_s = 1.5

    def __init__(self, *takes: int) -> None:
        self.core = self
        self.takes = list(takes)
        self.taken = 0
        self.waits: list[float] = []
        self.patience: list[float] = []
        self.sinks = {1: BatchSink}

    def progress(self) -> int:
        return self.taken

    def await_batches(self, seconds: float) -> None:
        self.patience.append(seconds)

    def flush(self, timeout: float) -> bool:
        self.waits.append(timeout)
        self.taken += self.takes.pop(0) if self.takes else 0
        return False


def test_an_exit_has_five_seconds_for_all_functions_that_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not ten for each logger. What `close` waits afterwards, 1.5 seconds, is a part of the five."""
    clock = [0.0]
    monkeypatch.setattr(logly.control.process, "monotonic", lambda: clock[0])

    def spends(controller: Stuck, spent_s: float) -> float:
        real = controller.flush

        def flush(timeout: float) -> bool:
            clock[0] += timeout
            return real(timeout)

        controller.flush = flush  # type: ignore[method-assign]
        return flush_at_exit(controller, spent_s)  # type: ignore[arg-type]

    first, second, third = Stuck(), Stuck(), Stuck(5, 5)
    spent_s = spends(first, 0.0)
    assert (first.waits, spent_s) == ([3.5], 3.5)
    assert first.patience == [5.0]
    spent_s = spends(second, spent_s)
    assert (second.waits, spent_s) == ([1.5], 5.0)
    spent_s = spends(third, spent_s)
    assert (third.waits, spent_s) == ([1.5, 1.5, 1.5], 6.5), "as long as it takes something, nothing is in vain"


def test_an_exit_tries_once_more_where_the_other_side_was_down(tmp_path: Path) -> None:
    code = """
failures = []
def down_at_first(lines, count):
    if not failures:
        failures.append(1)
        raise OSError("down")
    send(lines, count)
logger.add_sink(SinkConfig(batch=down_at_first, format="{message}", flush_interval=0))
logger.info("one")
while not failures:
    time.sleep(0.001)
"""
    run_program(PROGRAM + code, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "one\n"


def test_what_a_late_del_logs_is_sent_by_its_thread(tmp_path: Path) -> None:
    code = """
logger.add_sink(SinkConfig(batch=send, format="{message}"))
class Late:
    def __del__(self, logger=logger):
        logger.info("late")
late = Late()
logger.info("early")
"""
    run_program(PROGRAM + code, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "early\nlate\n"


def test_ctrl_c_ends_the_program_and_what_was_logged_is_sent(tmp_path: Path) -> None:
    code = """
logger.add_sink(SinkConfig(batch=send, format="{message}", flush_interval=3_600_000))
for number in range(1000):
    logger.info("{}", number)
try:
    print("ready", flush=True)
    while True:
        logger.flush(0.001)
        time.sleep(0.001)
except KeyboardInterrupt:
    pass
"""
    with start_program(PROGRAM + code, tmp_path / "out") as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        program.send_signal(signal.SIGINT)
        assert program.wait(60) == 0
    assert (tmp_path / "out").read_text().split() == [str(number) for number in range(1000)]


def test_a_child_has_no_batch_of_its_parents_and_both_go_on(tmp_path: Path) -> None:
    def send(lines: bytes, _count: int) -> None:
        endpoint(lines, _count)
        with (tmp_path / f"{os.getpid()}").open("ab") as file:
            file.write(lines)

    endpoint = Endpoint(OSError("down"))
    logger = make_logger(on_error=lambda _: None, stall_timeout=60)
    batch_sink(logger, send)
    endpoint.hang()
    logger.info("parent, under way")
    endpoint.await_calls(1)
    logger.info("parent, waits")

    def in_child() -> None:
        endpoint.go_on()
        endpoint.fails.clear()
        assert logger.stats().emitted == 0
        logger.info("child")
        assert logger.flush(60)
        assert_books(logger, 1)
        assert (tmp_path / f"{os.getpid()}").read_text() == "child\n"

    children = [fork(in_child) for _ in range(3)]
    children_end_well(children)
    endpoint.go_on()
    assert logger.flush(60)
    assert (tmp_path / f"{os.getpid()}").read_text() == "parent, under way\nparent, waits\n"
    assert_books(logger, 2)
    logger.close()


def test_a_child_of_a_batch_that_waits_for_another_try_begins_anew() -> None:
    endpoint = Endpoint(OSError("down"))
    logger = make_logger(on_error=lambda _: None, stall_timeout=60)
    sink = batch_sink(logger, endpoint)
    logger.info("parent")
    wait_until(lambda: logger.sink_stats(sink).write_errors)

    def in_child() -> None:
        endpoint.taken.clear()
        logger.info("child")
        assert logger.flush(60)
        assert endpoint.lines == ["child"]

    children_end_well([fork(in_child)])
    assert logger.flush(60)
    assert endpoint.lines == ["parent"]
    logger.close()


def test_a_fork_in_the_function_leaves_the_batch_to_the_parent(tmp_path: Path) -> None:
    code = """
import os
def forks(lines, count):
    child = os.fork()
    if child == 0:
        with out.open("ab") as file:
            file.write(b"child\\n")
        os._exit(0)
    os.waitpid(child, 0)
    send(lines, count)
logger.add_sink(SinkConfig(batch=forks, format="{message}"))
logger.info("one")
assert logger.flush(30)
stats = logger.stats()
assert (stats.written, stats.pending) == (1, 0), stats
"""
    run_program(PROGRAM + code, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "child\none\n"


def test_a_child_that_returns_from_the_function_ends_without_settling_its_parents_batch(tmp_path: Path) -> None:
    code = """
import os
children = []
def forks(lines, count):
    child = os.fork()
    if child == 0:
        return
    children.append(child)
    send(lines, count)
logger.add_sink(SinkConfig(batch=forks, format="{message}"))
logger.info("one")
assert logger.flush(30)
assert os.waitpid(children[0], 0)[1] == 0
"""
    run_program(PROGRAM + code, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "one\n"


def test_the_child_of_a_side_thread_ends_with_that_thread(tmp_path: Path) -> None:
    code = """
import os
logger.add_sink(SinkConfig(batch=send, format="{message}"))
def work():
    child = os.fork()
    if child == 0:
        logger.info("child")
        return
    assert os.waitpid(child, 0)[1] == 0
thread = threading.Thread(target=work)
thread.start()
thread.join(30)
assert not thread.is_alive()
"""
    run_program(PROGRAM + code, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "child\n"


def test_a_logger_that_is_dropped_sends_what_it_has_and_its_thread_ends() -> None:
    endpoint = Endpoint()
    logger = make_logger()
    sink = batch_sink(logger, endpoint, flush_interval=3_600_000)
    expected = log_numbers(logger, range(100))
    del logger
    wait_until(lambda: endpoint.lines == expected)
    wait_until(lambda: not any(thread.name == f"logly-batch-{sink}" for thread in threading.enumerate()))


def test_a_spool_of_a_killed_process_is_sent_and_stays_until_it_is(tmp_path: Path) -> None:
    code = """
import os, signal
logger.configure(spool=sys.argv[2])
def hangs(lines, count):
    threading.Event().wait()
logger.add_sink(SinkConfig(path=sys.argv[3], format="{message}", flush_interval=3_600_000, buffer_size=1 << 20))
logger.add_sink(SinkConfig(batch=hangs, format="{message}", flush_interval=3_600_000))
for number in range(100):
    logger.info("{}", number)
os.kill(os.getpid(), signal.SIGKILL)
"""
    run_program(
        PROGRAM + code, tmp_path / "out", tmp_path / "app.spool", tmp_path / "app.log", returncode=-signal.SIGKILL
    )
    expected = [str(number) for number in range(100)]
    down = Endpoint()
    down.always = OSError("down")
    with make_logger(spool=tmp_path / "app.spool", on_error=lambda _: None, stall_timeout=0.05) as logger:
        batch_sink(logger, down)
        logger.flush(1)
        log_numbers(logger, range(1000, 1001))
        logger.flush(1)
    assert down.calls
    endpoint = Endpoint()
    with make_logger(spool=tmp_path / "app.spool", stall_timeout=20) as logger:
        batch_sink(logger, endpoint)
        assert logger.flush(60)
        assert [line for line in endpoint.lines if line in expected] == expected


@pytest.mark.skipif(sys.platform == "win32", reason="no gevent there")
def test_a_gevent_program_sends_batches(tmp_path: Path) -> None:
    pytest.importorskip("gevent")
    code = """
logger.add_sink(SinkConfig(batch=send, format="{message}", flush_interval=0))
for number in range(100):
    logger.info("{}", number)
    gevent.sleep(0)
assert logger.flush(30)
logger.close()
"""
    run_program("from gevent import monkey; monkey.patch_all(); import gevent\n" + PROGRAM + code, tmp_path / "out")
    assert (tmp_path / "out").read_text().split() == [str(number) for number in range(100)]


def test_an_idle_sink_has_no_thread_before_its_first_line() -> None:
    endpoint = Endpoint()
    with make_logger() as logger:
        sink = logger.add_sink(SinkConfig(batch=endpoint, level="error"))
        logger.info("not for it")
        assert logger.flush(60)
        assert not any(thread.name == f"logly-batch-{sink}" for thread in threading.enumerate())
