"""Recovery beside everything else that goes on: other spools, other threads, forks."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import logly.control.recovery
import logly.spool.spools
from logly import Logger, LoggerConfig, Record, SinkConfig
from tests.support.programs import start_program
from tests.support.spooling import dies, revive, run_recover, spools
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no spools on Windows")

WORKER = """
import os, signal, sys
from logly import Logger, LoggerConfig, SinkConfig
folder, name = sys.argv[1:]
config = LoggerConfig(auto_sink=False, spool=folder + "/app.spool", async_flush_interval=60000, flush_level=None)
logger = Logger(config)
logger.add_sink(SinkConfig(path=folder + "/app.log", format="{message}", buffer_size=1 << 17))
logger.flush()
print("ready", flush=True)
sys.stdin.readline()
for i in range(100):
    logger.info("worker {} {:03} {}", name, i, "x" * 80)
if name == "2":
    logger.flush()
os.kill(os.getpid(), signal.SIGKILL)
"""
SLOT_WRITING = 1
STATE_BEFORE_NAME = 72  # bytes, in a slot of the spool's header


def dead_workers(folder: Path, count: int) -> list[int]:
    """Processes that lived at the same time and left their spools; the second one has written its lines."""
    workers = []
    for number in range(1, count + 1):
        workers.append(start_program(WORKER, folder, number, says="ready", stdin=subprocess.PIPE))
    for worker in workers:
        worker.communicate("\n", timeout=60)
    return [worker.pid for worker in workers]


def lines_of_workers(count: int) -> list[str]:
    return [f"worker {number} {i:03} {'x' * 80}" for number in range(1, count + 1) for i in range(100)]


@pytest.mark.parametrize("by_command", [False, True], ids=["next start", "command"])
def test_a_write_that_was_cut_short_is_finished_before_another_spool_is_delivered(
    tmp_path: Path, by_command: bool
) -> None:
    """Two processes wrote one file; the younger spool's process died in the middle of a line of it."""
    log, spool = tmp_path / "app.log", tmp_path / f"app.spool.{dead_workers(tmp_path, 2)[1]}"
    with spool.open("r+b") as file:
        file.seek(file.read(1 << 16).index(os.fsencode(log)) - STATE_BEFORE_NAME)
        file.write(struct.pack("<I", SLOT_WRITING))
    os.truncate(log, 4096)
    if by_command:
        run_recover(tmp_path / "app.spool", "--append", str(log), "--format", "{message}")
    else:
        with Logger(LoggerConfig(auto_sink=False, spool=tmp_path / "app.spool")) as logger:
            logger.add_sink(SinkConfig(path=log, format="{message}"))
            assert logger.flush(60)
    assert sorted(log.read_text().splitlines()) == lines_of_workers(2)
    assert spools(tmp_path) == []


class Held:
    """A recovery that stands still before its first delivery until `go`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path, **config: object) -> None:
        self.reached, self.go = threading.Event(), threading.Event()
        real = logly.control.recovery.deliver

        def deliver(*args: object, **named: object) -> object:
            self.reached.set()
            assert self.go.wait(60)
            return real(*args, **named)  # type: ignore[arg-type]

        monkeypatch.setattr(logly.control.recovery, "deliver", deliver)
        settings = {"auto_sink": False, "spool": folder / "app.spool", **config}
        self.logger = Logger(LoggerConfig(**settings))  # type: ignore[arg-type]
        self.log = folder / "new.log"
        self.logger.add_sink(SinkConfig(path=self.log, format="{message}"))
        self.thread = threading.Thread(target=self.logger.info, args=("new 0",))
        self.thread.start()
        assert self.reached.wait(60)

    def end(self) -> list[str]:
        self.go.set()
        self.thread.join(60)
        assert self.logger.close(60)
        return self.log.read_text().splitlines()


def test_nothing_is_lost_by_a_short_stall_time_during_a_recovery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dies(tmp_path, "logger.info('left')")
    held = Held(monkeypatch, tmp_path, stall_timeout=0.01, async_buffer_size=4096)
    for i in range(1, 1000):
        held.logger.info("new {}", i)
    assert held.logger.stats().dropped == 0
    held.end()


@pytest.mark.parametrize("what", ["another sink", "flush", "reopen", "a synchronous sink"])
def test_nothing_new_is_written_while_another_thread_recovers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    dies(tmp_path, "for i in range(3): logger.info('left {}', i)")
    held = Held(monkeypatch, tmp_path, stall_timeout=5)
    if what == "another sink":
        other = held.logger.add_sink(SinkConfig(path=tmp_path / "other.log", format="{message}"))
        remover = threading.Thread(target=held.logger.remove_sink, args=(other,))
    elif what == "flush":
        remover = threading.Thread(target=held.logger.flush)
    elif what == "reopen":
        remover = threading.Thread(target=held.logger.reopen)
    else:
        held.logger.add_sink(SinkConfig(path=tmp_path / "other.log", format="{message}", async_write=False))
        remover = threading.Thread(target=held.logger.info, args=("new 1",))
    remover.start()
    assert not held.logger.flush(0.1)
    assert held.log.read_text() == ""
    lines = held.end()
    remover.join(60)
    assert lines[:4] == ["left 0", "left 1", "left 2", "new 0"]


def test_a_ring_that_gets_full_during_a_recovery_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then new lines are written before those of the dead, after the stall time."""
    dies(tmp_path, "logger.info('left')")
    held = Held(monkeypatch, tmp_path, stall_timeout=0.2, async_buffer_size=4096)
    for i in range(1, 1000):
        held.logger.info("new {}", i)
    lines = held.end()
    assert sorted(lines) == sorted(["left", *(f"new {i}" for i in range(1000))])
    assert held.logger.stats().dropped == 0


def test_a_recovery_that_is_interrupted_lets_go_of_the_spools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dies(tmp_path, "logger.info('left')")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with Logger(LoggerConfig(auto_sink=False, spool=tmp_path / "app.spool")) as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "new.log", format="{message}"))
        with monkeypatch.context() as patch:
            patch.setattr(logly.control.recovery, "finish_writes_of", interrupted)
            with pytest.raises(KeyboardInterrupt):
                logger.info("new 0")
        logger.info("new 1")
        assert logger.flush(60)
    assert (tmp_path / "new.log").read_text() == "left\nnew 0\nnew 1\n"


def test_a_spool_that_cannot_be_looked_at_now_is_told_and_stays_for_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dies(tmp_path, "logger.info('left')")
    told: list[Exception] = []

    def no_memory(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(logly.control.recovery, "finish_writes_of", no_memory)
        with Logger(LoggerConfig(auto_sink=False, spool=tmp_path / "app.spool", on_error=told.append)) as logger:
            logger.add_sink(SinkConfig(path=tmp_path / "new.log", format="{message}"))
            logger.info("new")
            assert logger.flush(60)
    assert [type(error) for error in told] == [MemoryError]
    done = run_recover(tmp_path / "app.spool", "--format", "{message}")
    assert done.stdout == "left\n"


def test_a_function_that_logs_during_a_recovery_does_not_keep_it_waiting(tmp_path: Path) -> None:
    """Beside a synchronous sink its call returns when its own record is written: the recovery cannot be waited for."""
    dies(tmp_path, "for i in range(20): logger.info('left {}', i)")
    seen: list[str] = []
    config = LoggerConfig(auto_sink=False, spool=tmp_path / "app.spool", stall_timeout=30)
    with Logger(config) as logger:

        def function(record: Record) -> None:
            seen.append(record.message)
            if record.message.startswith("left"):
                logger.info("seen {}", record.message)
                assert logger.flush(60) in (True, False)

        logger.add_sink(SinkConfig(function=function))
        logger.add_sink(SinkConfig(path=tmp_path / "new.log", format="{message}", async_write=False))
        logger.info("new")
        assert logger.flush(60)
    assert [message for message in seen if message.startswith("left")] == [f"left {i}" for i in range(20)]
    lines = (tmp_path / "new.log").read_text().splitlines()
    assert sorted(lines) == sorted(["new", *(f"{word}left {i}" for word in ("", "seen ") for i in range(20))])
    assert spools(tmp_path) == []


FORKED = """
import os, signal, sys, threading
import logly.control.recovery
import logly.spool.spools
from logly import Logger, LoggerConfig, SinkConfig
folder, name = sys.argv[1:]
reached, go = threading.Event(), threading.Event()
module = logly.control.recovery if name == "deliver" else logly.spool.spools
real = getattr(module, name)
def slow(*args, **named):
    reached.set()
    assert go.wait(60)
    return real(*args, **named)
setattr(module, name, slow)
def work():
    global logger
    config = LoggerConfig(auto_sink=False, spool=folder + "/app.spool", async_flush_interval=60000, flush_level=None)
    logger = Logger(config)
    logger.add_sink(SinkConfig(path=folder + "/app.log", format="{message}"))
    for i in range(10):
        logger.info("record {}", i)
thread = threading.Thread(target=work, daemon=True)
thread.start()
assert reached.wait(60)
if os.fork() == 0:
    print("worker", flush=True)
    sys.stdin.readline()  # it lives as long as the test wants
    os._exit(0)
if name == "_allocate":
    go.set()
    thread.join(60)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(("held", "left"), [("_allocate", 0), ("deliver", 3)])
def test_a_child_that_lives_on_keeps_no_spool_of_a_killed_parent(tmp_path: Path, held: str, left: int) -> None:
    """It was forked while another thread made a spool, or recovered some."""
    dead_workers(tmp_path, left)
    with start_program(FORKED, tmp_path, held, says="worker", stdin=subprocess.PIPE) as parent:
        assert parent.stdin is not None
        assert parent.wait(60) == -signal.SIGKILL
        wait_until(lambda: all("new" not in name for name in spools(tmp_path)), "the spool's name")
        run_recover(tmp_path / "app.spool", "--append", tmp_path / "app.log", "--format", "{message}")
        parent.stdin.write("\n")
    lines = (tmp_path / "app.log").read_text().splitlines()
    assert sorted(line for line in lines if "worker" in line) == lines_of_workers(left)
    # The parent's first record waits for the recovery that does not come to its end.
    assert len(lines) - 100 * left == (10 if held == "_allocate" else 1)
    assert spools(tmp_path) == []


FOREIGN = """
import logging
from logly import StdlibHandler
handler = StdlibHandler(logger)
for size in (0, 500_000):
    record = logging.LogRecord("far", 30, "/far.py", 3, "{s}" + size * "x", (), None, func="f")
    record.process, record.processName, record.thread, record.threadName, record.s = 4242, "Spawned-1", 77, "far", 1
    handler.handle(record)
"""


def test_a_record_of_another_process_keeps_its_process(tmp_path: Path) -> None:
    layout = "{process} {thread} {thread_name} {process_name} {module} {message} {s}"
    program = f"""
logger.add_sink(SinkConfig(path=folder / "far.log", format={layout!r}, buffer_size=1 << 26))
{FOREIGN}
logger.info("own")
"""
    dies(tmp_path, program)
    assert revive(tmp_path, "far.log", layout=layout) == []
    first, large, own = (tmp_path / "far.log").read_text().splitlines()
    assert first == "4242 77 far Spawned-1 far {s} 1"
    assert large == f"4242 77 far Spawned-1 far {{s}}{'x' * 500_000} 1"
    assert not own.startswith("4242 ")
