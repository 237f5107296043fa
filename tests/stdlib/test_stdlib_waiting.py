"""`StdlibHandler` holds no lock of `logging` while it waits: sinks that log, and other threads, do not wait for it."""

from __future__ import annotations

import logging
import logging.config
import logging.handlers
import queue
import threading
from typing import TYPE_CHECKING

import pytest

from logly import Logger, LoggerConfig, Record, SinkConfig, StdlibHandler, StdlibSink
from tests.support.log_files import lines_of
from tests.support.loggers import assert_books
from tests.support.programs import run_program
from tests.support.waiting import PATIENCE_S, wait_until

if TYPE_CHECKING:
    from pathlib import Path

SMALL = 4096


def test_a_shipper_whose_library_logs_holds_nobody_up(tmp_path: Path) -> None:
    """The ring is full all the time, and the sink logs through the handler that everybody waits at."""
    path = tmp_path / "log"
    std = logging.Logger("app", logging.DEBUG)
    http = logging.Logger("http", logging.DEBUG)
    shipped: list[str] = []

    def ship(record: Record) -> None:
        http.debug("POST %s", record.message)
        shipped.append(record.message)

    with Logger(LoggerConfig(level="TRACE", auto_sink=False, async_buffer_size=SMALL, stall_timeout=1)) as logger:
        logger.add_sink(SinkConfig(function=ship))
        logger.add_sink(SinkConfig(path=path, format="{module} {message}"))
        handler = StdlibHandler(logger)
        std.addHandler(handler)
        http.addHandler(handler)

        def work(number: int) -> None:
            for i in range(300):
                std.info("%d %d", number, i)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        assert logger.flush(PATIENCE_S)
        assert_books(logger)
        stats = logger.stats()
        assert (stats.failed, stats.dropped) == (0, 0)
    lines = lines_of(path)
    # What a sink logs is for no sink that would log again: there is no loop.
    assert len(shipped) == 1200
    for module in ("app", "http POST"):
        for number in range(4):
            front = f"{module} {number} "
            assert [line for line in lines if line.startswith(front)] == [f"{front}{i}" for i in range(300)]
    assert len(lines) == 2400


def test_a_thread_that_waits_for_room_keeps_no_other_from_the_handler() -> None:
    go, entered = threading.Event(), threading.Event()

    def slow(_: Record) -> None:
        entered.set()
        go.wait(PATIENCE_S)

    with Logger(LoggerConfig(auto_sink=False, async_buffer_size=SMALL)) as logger:
        logger.add_sink(SinkConfig(function=slow))
        handler = StdlibHandler(logger)
        full = threading.Thread(target=lambda: [handler.handle(record(i)) for i in range(500)])
        full.start()
        try:
            assert entered.wait(PATIENCE_S)
            # It is filling the ring, or waits for room already.
            locker = threading.Thread(target=handler.acquire)
            locker.start()
            locker.join(PATIENCE_S)
            assert not locker.is_alive()
        finally:
            go.set()
            full.join(PATIENCE_S)
        assert logger.flush(PATIENCE_S)
        assert logger.stats().written == 500


def record(number: int) -> logging.LogRecord:
    return logging.LogRecord("n", logging.INFO, "/f.py", 1, "%d", (number,), None)


def test_a_lock_that_somebody_gives_the_handler_is_not_used(tmp_path: Path) -> None:
    """gevent's `patch_all` puts one of its own into every handler that there is."""
    with Logger(LoggerConfig(auto_sink=False)) as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "log", format="{message}"))
        handler = StdlibHandler(logger)
        lock = threading.RLock()
        handler.lock = lock  # type: ignore[assignment]
        held, done = threading.Event(), threading.Event()

        def hold() -> None:
            with lock:
                handler.acquire()
                held.set()
                done.wait(PATIENCE_S)
                handler.release()

        holder = threading.Thread(target=hold)
        holder.start()
        assert held.wait(PATIENCE_S)
        try:
            caller = threading.Thread(target=handler.handle, args=(record(1),))
            caller.start()
            caller.join(PATIENCE_S)
            assert not caller.is_alive()
        finally:
            done.set()
            holder.join(PATIENCE_S)
        with handler.lock:  # as Handler.handle does it from 3.13 on
            handler._at_fork_reinit()  # type: ignore[attr-defined]
    assert lines_of(tmp_path / "log") == ["1"]


class FlushSpy(StdlibHandler):
    """Notes whether the flushes of its logger are waited for with the lock of the `logging` module held."""

    def __init__(self, logger: Logger, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(logger)
        self.held: list[bool] = []

        def flush(_: Logger, timeout: float | None = None) -> bool:
            self.held.append(logging._lock._is_owned())  # type: ignore[attr-defined]
            return True

        monkeypatch.setattr(Logger, "flush", flush)


def test_dict_config_waits_for_no_sink(monkeypatch: pytest.MonkeyPatch) -> None:
    """It closes the old handlers with the lock of the module held, which a sink that uses `logging` wants."""
    with monkeypatch.context() as patch:
        logger = Logger(LoggerConfig(auto_sink=False))
        handler = FlushSpy(logger, patch)
        logging._acquireLock() if hasattr(logging, "_acquireLock") else logging._lock.acquire()  # type: ignore[attr-defined]
        try:
            logging.shutdown([lambda: handler])  # type: ignore[list-item]
        finally:
            logging._lock.release()  # type: ignore[attr-defined]
        assert handler.held == []
        logging.shutdown([lambda: handler])  # type: ignore[list-item]
        assert handler.held == [False]
    logger.close()


DICT_CONFIG = """
import logging, logging.config, sys, threading
from logly import Logger, LoggerConfig, SinkConfig, StdlibHandler
entered, go = threading.Event(), threading.Event()
def ship(record):
    entered.set()
    go.wait(60)
    logging.getLogger("http." + record.message).debug("POST")  # wants the lock of the module: it is a new logger
logger = Logger(LoggerConfig(level="TRACE", auto_sink=False))
logger.add_sink(SinkConfig(function=ship))
logger.add_sink(SinkConfig(path=sys.argv[1], format="{message}"))
logging.basicConfig(handlers=[StdlibHandler(logger)], level=logging.DEBUG)
for i in range(10):
    logging.info("%d", i)
entered.wait(60)
logging.config.dictConfig({
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"logly": {"class": "logly.StdlibHandler", "logger": logger}},
    "root": {"handlers": ["logly"], "level": "INFO"},
})
assert not go.is_set()
logging.info("10")
go.set()
"""


def test_dict_config_and_exit_with_a_sink_that_uses_logging(tmp_path: Path) -> None:
    assert run_program(DICT_CONFIG, tmp_path / "log").stdout == ""
    assert lines_of(tmp_path / "log") == [str(i) for i in range(11)]


AT_EXIT = """
import logging, sys
from logly import Logger, LoggerConfig, SinkConfig, StdlibHandler
def ship(record):
    logging.getLogger("http").debug("POST %s", record.message)
ring = int(sys.argv[2])
logger = Logger(LoggerConfig(level="TRACE", auto_sink=False, async_flush_interval=3_600_000, async_buffer_size=ring))
logger.add_sink(SinkConfig(function=ship))
logger.add_sink(SinkConfig(path=sys.argv[1], format="{message}"))
logging.basicConfig(handlers=[StdlibHandler(logger)], level=logging.DEBUG)
for i in range(500):
    logging.info("%d", i)
"""


@pytest.mark.parametrize("ring", [SMALL, 1 << 20], ids=["full", "empty"])
def test_exit_writes_what_a_sink_logs_through_logging(tmp_path: Path, ring: int) -> None:
    assert run_program(AT_EXIT, tmp_path / "log", ring).stdout == ""
    lines = lines_of(tmp_path / "log")
    assert [line for line in lines if not line.startswith("POST")] == [str(i) for i in range(500)]
    assert [line for line in lines if line.startswith("POST")] == [f"POST {i}" for i in range(500)]


def test_a_circle_through_a_queue_listener_and_both_bridges_ends(tmp_path: Path) -> None:
    """The listener's thread waits for room while the sink that makes room gives its records to `logging`."""
    path = tmp_path / "log"
    waiting: queue.Queue[logging.LogRecord] = queue.Queue()
    std = logging.Logger("app", logging.DEBUG)
    std.addHandler(logging.handlers.QueueHandler(waiting))
    other = logging.Logger("other", logging.DEBUG)
    back: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            back.append(record.getMessage())

    with Logger(LoggerConfig(auto_sink=False, async_buffer_size=SMALL)) as logger:
        handler = StdlibHandler(logger)
        other.handlers[:] = [handler, Collect()]
        logger.add_sink(SinkConfig(function=StdlibSink(other)))
        logger.add_sink(SinkConfig(path=path, format="{message}"))
        listener = logging.handlers.QueueListener(waiting, handler)
        listener.start()
        for i in range(1000):
            std.info("%d", i)
        listener.stop()
        assert logger.flush(PATIENCE_S)
        wait_until(lambda: logger.stats().pending == 0)
        stats = logger.stats()
        assert (stats.failed, stats.dropped) == (0, 0)
    assert back == [str(i) for i in range(1000)]
    lines = lines_of(path)
    assert sorted(lines, key=int) == [str(i) for i in range(1000) for _ in range(2)]
