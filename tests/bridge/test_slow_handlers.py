"""Handlers that are slow, dropped, or closed by another thread: no line is lost, nothing is kept."""

from __future__ import annotations

import itertools
import logging
import logging.handlers
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import logly
from logly.bridge import served_handlers
from logly.bridge.handler_sink import HandlerSink
from logly.control.controller import Controller
from tests.bridge.oracle import SEES_CHANGES
from tests.support.programs import run_program
from tests.support.threads import run_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


@pytest.fixture
def log(request: pytest.FixtureRequest) -> Iterator[logging.Logger]:
    stall_timeout = getattr(request, "param", 0.1)
    config = logly.LoggerConfig(
        auto_sink=False, level=0, stall_timeout=stall_timeout, async_buffer_size=1 << 16, async_flush_interval=1000
    )
    engine = logly.Logger(config)
    logly.install(engine)
    made = logging.getLogger(f"slow.{request.node.name}")
    made.parent = None  # pytest gives handlers of its own to loggers that do not propagate
    made.setLevel(logging.INFO)
    yield made
    made.parent = logging.root
    for handler in list(made.handlers):
        made.removeHandler(handler)
        handler.close()
    logly.uninstall()
    engine.close()


def slow_handler(folder: Path, seconds: float, limit: int) -> logging.handlers.RotatingFileHandler:
    handler = logging.handlers.RotatingFileHandler(folder / "log", maxBytes=limit, backupCount=1)

    def rotate(source: str, _target: str) -> None:
        time.sleep(seconds)
        Path(source).rename(folder / f"{time.monotonic_ns()}")

    handler.rotator = rotate
    return handler


def lines_below(folder: Path) -> list[str]:
    return [line for path in sorted(folder.iterdir()) for line in path.read_text().splitlines()]


def test_a_formatter_is_set_while_rollovers_take_long(log: logging.Logger, tmp_path: Path) -> None:
    """The sink of before has more to write than fits into the time that a sink in trouble gets (0.6 s)."""
    handler = slow_handler(tmp_path, 0.05, 400)
    log.addHandler(handler)
    for number in range(1000):
        log.info("line %4d", number)
    handler.setFormatter(logging.Formatter("%(message)s"))
    log.info("line %4d", 1000)
    handler.flush()
    assert lines_below(tmp_path) == [f"line {number:4}" for number in range(1001)]


@pytest.mark.parametrize("has_lock", [False, True])
def test_a_flush_does_not_wait_for_what_is_logged_meanwhile(
    has_lock: bool, log: logging.Logger, tmp_path: Path
) -> None:
    handler = slow_handler(tmp_path, 0.001, 5000)
    log.addHandler(handler)
    is_over, is_busy = threading.Event(), threading.Event()

    def work() -> None:
        for number in itertools.count():
            if is_over.is_set():
                return
            log.info("another line")
            if number == 10_000:
                is_busy.set()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert is_busy.wait(60)
        if has_lock:
            handler.acquire()
        begin = time.monotonic()
        log.info("the last line")
        handler.flush()
        lasted = time.monotonic() - begin
        if has_lock:
            handler.release()
    finally:
        is_over.set()
        thread.join()
    handler.flush()
    assert "the last line" in lines_below(tmp_path)
    assert lasted < 3


DROPPED = """
import gc, logging, os, sys
import logly
logly.install()
log = logging.getLogger("dropped")
log.setLevel(logging.INFO)

def use(count):
    for number in range(count):
        handler = logging.FileHandler(f"{sys.argv[1]}/{number}")
        log.addHandler(handler)
        log.info("line")
        log.removeHandler(handler)
    del handler
    gc.collect()
    return len(os.listdir("/proc/self/fd"))

before = use(10)
print(use(30) - before)
"""


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="it counts descriptors")
def test_handlers_that_are_dropped_leave_no_descriptor(tmp_path: Path) -> None:
    said = run_program(DROPPED, tmp_path).stdout
    assert int(said) <= 1  # the last one is forgotten when another one is served
    assert len(lines_below(tmp_path)) == 40


CROWDED = """
import logging.handlers, os, resource, sys
import logly
if sys.argv[1] == "install":
    logly.install(write="call")
log = logging.getLogger("crowded")
handler = logging.handlers.RotatingFileHandler(sys.argv[2], maxBytes=300, backupCount=50)
log.addHandler(handler)
log.setLevel(logging.INFO)
log.info("first")
log.info("second")
resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")), 4096))
held = []
try:
    while True:
        held.append(open("/dev/null"))
except OSError:
    pass
for number in range(200):
    log.info("line %d", number)
for file in held:
    file.close()
"""


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="it counts descriptors")
def test_a_rollover_when_no_descriptor_is_free(tmp_path: Path) -> None:
    found = []
    for way in ("plain", "install"):
        folder = tmp_path / way
        folder.mkdir()
        run_program(CROWDED, way, folder / "log")
        found.append({path.name: path.read_text() for path in folder.iterdir()})
    assert found[1] == found[0]


@pytest.mark.skipif(not SEES_CHANGES, reason="no handler is served")
@pytest.mark.parametrize("is_closed", [False, True])
def test_a_stream_that_another_thread_takes_away_is_no_error(
    is_closed: bool,
    log: logging.Logger,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """As `doRollover` and `close` do it, between two looks at the stream."""
    handler: Any = logging.FileHandler(tmp_path / "log")
    log.addHandler(handler)
    layout_of = served_handlers.layout_of
    times: list[int] = []

    def close_meanwhile(*args: Any, **options: Any) -> Any:
        if not times:
            times.append(1)
            stream = handler.stream
            stream.close()
            handler.stream = None if is_closed else open(tmp_path / "log", "a", encoding="utf-8")  # noqa: SIM115
        return layout_of(*args, **options)

    monkeypatch.setattr(served_handlers, "layout_of", close_meanwhile)
    for number in range(3):
        log.info("line %d", number)
    handler.flush()
    assert times
    assert lines_below(tmp_path) == [f"line {number}" for number in range(3)]
    assert "logly" not in capfd.readouterr().err


class Rush:
    """Threads that log numbered lines faster than the flusher writes them, so that they wait at the full ring.

    Attributes:
        done: for each thread, the number of its last line.
    """

    THREADS = 4
    LINES = 3000

    def __init__(self, log: logging.Logger) -> None:
        self.done = [0] * self.THREADS
        self._log = log
        self._is_over = threading.Event()
        self._has_moved = threading.Condition()

    def work(self, thread: int) -> None:
        number = 0
        while not self._is_over.is_set():
            number += 1
            self._log.info("%d %d %s", thread, number, "a text that takes some room in the ring")
            self.done[thread] = number
            if number % self.LINES == 0:
                with self._has_moved:
                    self._has_moved.notify_all()

    def await_lines(self) -> None:
        """Waits until each thread has logged some lines more."""
        wanted = [number + self.LINES for number in self.done]
        with self._has_moved:
            assert self._has_moved.wait_for(lambda: all(map(int.__ge__, self.done, wanted)), timeout=60)

    def during(self, work: Callable[[], None]) -> None:
        """Does some work on this thread while the others log."""
        threads = [threading.Thread(target=self.work, args=(thread,)) for thread in range(self.THREADS)]
        for thread in threads:
            thread.start()
        try:
            work()
        finally:
            self._is_over.set()
            for thread in threads:
                thread.join()

    def check(self, paths: Iterable[Path]) -> None:
        """Every line is in one of the files, and in each file every thread's lines are in order."""
        found: list[set[int]] = [set() for _ in self.done]
        for path in paths:
            last = [0] * self.THREADS
            for line in path.read_text().splitlines():
                thread, number = map(int, line.lstrip("- ").split()[:2])
                assert number > last[thread], f"{path.name}: {line!r} comes after {last[thread]}"
                last[thread] = number
                found[thread].add(number)
        for thread, done in enumerate(self.done):
            missing = set(range(1, done + 1)) - found[thread]
            assert not missing, f"{len(missing)} of {done} lines of thread {thread}, the first is {min(missing)}"


@pytest.mark.skipif(not SEES_CHANGES, reason="no handler is served")
@pytest.mark.parametrize("log", [60.0], indirect=True)
@pytest.mark.parametrize("change", ["set a formatter", "use another handler", "close it"])
def test_a_record_that_waits_for_room_asks_again_which_sinks_get_it(
    change: str, log: logging.Logger, tmp_path: Path
) -> None:
    """A handler that was closed opens its file again for the next record, as in `logging`."""
    handlers = [logging.FileHandler(tmp_path / "0")]
    log.addHandler(handlers[0])
    rush = Rush(log)

    def work() -> None:
        for number in range(1, 16):
            rush.await_lines()
            if change == "set a formatter":
                handlers[0].setFormatter(logging.Formatter("- %(message)s" if number % 2 else "%(message)s"))
            elif change == "close it":
                handlers[0].close()
            else:
                handlers.append(logging.FileHandler(tmp_path / f"{number}"))
                log.addHandler(handlers[-1])
                log.removeHandler(handlers[-2])
                handlers[-2].close()

    rush.during(work)
    for handler in handlers:
        handler.close()
    rush.check(tmp_path.iterdir())


@pytest.mark.skipif(not SEES_CHANGES, reason="no handler is served")
@pytest.mark.parametrize("log", [60.0], indirect=True)
def test_a_handler_gets_no_new_sink_before_the_old_one_has_written(
    log: logging.Logger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the two halves of a `close`, the file is opened again, and a line waits for it in a new sink."""
    handler = logging.FileHandler(tmp_path / "log")
    log.addHandler(handler)
    log.info("line 0")
    tell_rest, remove = HandlerSink.tell_rest, Controller.remove
    steps: list[str] = []

    def log_in_between(sink: HandlerSink) -> None:
        if not steps:
            steps.append("the first line")
            log.info("line 1")
            steps.append("the second line")
            log.info("line 2")
            steps.append("both lines")
        tell_rest(sink)

    def log_meanwhile() -> None:
        handler.setLevel(logging.DEBUG)  # so that it is found out again what serves the handler
        log.info("line 3")
        handler.flush()
        steps.append((tmp_path / "log").read_text())

    def remove_slowly(controller: Controller, sink_id: int) -> bool:
        if steps[-1] == "both lines":
            run_threads(log_meanwhile)
        return remove(controller, sink_id)

    monkeypatch.setattr(HandlerSink, "tell_rest", log_in_between)
    monkeypatch.setattr(Controller, "remove", remove_slowly)
    handler.close()
    handler.close()
    assert steps[3:] == ["".join(f"line {number}\n" for number in range(4))]


FULL = """
import io, logging, sys, time
import logly
engine = logly.Logger(logly.LoggerConfig(auto_sink=False, level=0, stall_timeout=60))
logly.install(engine)
log = logging.getLogger("full")
log.propagate = False
log.setLevel(logging.INFO)
handler = logging.FileHandler("/dev/full")
log.addHandler(handler)
# From before the first line to the end: the flusher may tell at any time that they wait.
sys.stderr = said = io.StringIO()
for number in range(1000):
    log.info("line %d", number)
begin = time.monotonic()
handler.flush()
handler.close()
lasted = time.monotonic() - begin
lines = said.getvalue().splitlines()
at = lines.index("Message: 'logly: %d records for this handler were lost'")
print(lasted < 4, engine.stats().failed, engine.stats().pending, lines[at + 1])
log.removeHandler(handler)
logly.uninstall()
"""


@pytest.mark.skipif(not SEES_CHANGES, reason="no handler is served")
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_is_not_waited_for() -> None:
    """In a process of its own, because the stream of a handler on a full disk may stay open."""
    assert run_program(FULL).stdout == "True 1000 0 Arguments: (1000,)\n"
