"""When a record is in the file: at once, after the interval, or when the call returns; and an idle flusher sleeps."""

import re
import sys
import threading
from pathlib import Path

import pytest

from logly import Logger, LoggerConfig, SinkConfig
from tests.support.loggers import file_logger
from tests.support.threads import flusher_threads, run_threads
from tests.support.waiting import wait_until


def test_a_record_of_flush_level_is_written_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with file_logger(path, async_flush_interval=600_000) as logger:
        logger.info("first, which starts the flusher")
        assert logger.flush(30)
        logger.info("waits")
        logger.error("does not wait")
        wait_until(lambda: path.read_text().endswith("waits\ndoes not wait\n"), "the write")


def test_interval_0_writes_as_soon_as_possible(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with file_logger(path, async_flush_interval=0) as logger:
        for i in range(50):
            logger.info("{}", i)
            wait_until(lambda: path.exists() and path.read_text().endswith(f"{i}\n"), "the write")  # noqa: B023


def test_an_interval_is_enough_to_be_written(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with file_logger(path, async_flush_interval=20) as logger:
        logger.info("one")
        wait_until(lambda: path.read_text() == "one\n", "the write")


@pytest.mark.parametrize("layout", ["{message}", "{module} {thread_name} {message}", "{time} {message}"])
def test_a_synchronous_record_is_in_the_file_when_the_call_returns(tmp_path: Path, layout: str) -> None:
    path = tmp_path / "a.log"
    with file_logger(path, layout=layout, sink={"async_write": False}) as logger:
        for i in range(100):
            logger.info("sync {}", i) if i % 2 else logger.info("sync {}", i, extra=[i])
            assert path.read_text().endswith(f"sync {i}\n")
        logger.info("x" * 3_000_000)
        assert path.stat().st_size > 3_000_000
        assert logger.stats().pending == 0


def test_synchronous_records_of_several_threads(tmp_path: Path) -> None:
    path = tmp_path / "a.log"

    def write(logger: Logger, thread: int) -> None:
        with path.open() as file:
            for i in range(300):
                logger.info("{} {}", thread, i)
                assert f"{thread} {i}\n" in file.read()

    path.touch()
    with file_logger(path, sink={"async_write": False}) as logger:
        run_threads(*(lambda t=t: write(logger, t) for t in range(4)))
        assert logger.stats().written == 1200


def test_synchronous_and_asynchronous_sinks_together(tmp_path: Path) -> None:
    at_once, later = tmp_path / "at_once.log", tmp_path / "later.log"
    with file_logger(at_once, sink={"async_write": False}, async_flush_interval=600_000) as logger:
        logger.add_sink(SinkConfig(path=later, format="{level} {message}"))
        for i in range(500):
            logger.info("{}", i)
            assert at_once.read_text().endswith(f"{i}\n")
        assert logger.flush(30)
        assert later.read_text() == "".join(f"INFO {i}\n" for i in range(500))


def switches_of(thread: threading.Thread) -> int:
    text = Path(f"/proc/self/task/{thread.native_id}/status").read_text()
    return sum(map(int, re.findall(r"voluntary_ctxt_switches:\s*(\d+)", text)))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_an_idle_logger_hardly_wakes(tmp_path: Path) -> None:
    with Logger(LoggerConfig(async_flush_interval=600_000), name="idle") as idle:
        idle.add_sink(SinkConfig(path=tmp_path / "idle.log"))
        idle.info("one")
        assert idle.flush(30)
        (thread,) = wait_until(lambda: flusher_threads("idle"), "the start of the flusher")
        before = switches_of(thread)
        # The window is as long as another logger takes for this.
        with file_logger(tmp_path / "busy.log", async_flush_interval=1) as busy:
            for i in range(50):
                busy.info("{}", i)
                assert busy.flush(30)
            wait_until(lambda: busy.stats().pending == 0)
        assert switches_of(thread) - before <= 20
