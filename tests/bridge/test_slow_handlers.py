"""Handlers that are slow, dropped, or closed by another thread: no line is lost, nothing is kept."""

from __future__ import annotations

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
from tests.bridge.oracle import SEES_CHANGES
from tests.support.programs import run_program

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def log(request: pytest.FixtureRequest) -> Iterator[logging.Logger]:
    engine = logly.Logger(logly.LoggerConfig(auto_sink=False, level=0, stall_timeout=0.1, async_buffer_size=1 << 16))
    logly.install(engine)
    made = logging.getLogger(f"slow.{request.node.name}")
    made.propagate = False
    made.setLevel(logging.INFO)
    yield made
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
    is_over = threading.Event()

    def work() -> None:
        while not is_over.is_set():
            log.info("another line")

    thread = threading.Thread(target=work)
    thread.start()
    try:
        time.sleep(0.2)
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
