"""Threads that share the ring of a spool, as they do with a GIL and without one."""

import itertools
import os
import threading

import pytest

from logly import ConfigError, Logger, LoggerConfig, SinkConfig
from tests.support.hooks import ring_count
from tests.support.loggers import assert_books, file_logger
from tests.support.many_threads import (
    RECORDS,
    RING,
    THREADS,
    assert_complete,
    needs_free_threading,
    writers,
)
from tests.support.programs import run_program
from tests.support.threads import run_threads


def spool_logger(folder, **settings):
    logger = Logger(LoggerConfig(auto_sink=False, spool=folder / "app.spool", **settings))
    logger.add_sink(SinkConfig(path=folder / "a.log", format="{message}"))
    return logger


@pytest.mark.parametrize("ring", [4096, 1 << 20])
def test_threads_share_the_ring_of_a_spool(tmp_path, ring):
    logger = spool_logger(tmp_path, async_buffer_size=ring)
    run_threads(*writers(logger))
    assert logger.flush(60)
    assert ring_count(logger) == 1
    assert_complete((tmp_path / "a.log").read_text().splitlines())
    assert_books(logger, THREADS * RECORDS)
    logger.close()
    assert list(tmp_path.glob("app.spool*")) == []


def test_lines_are_ordered_by_time_stamp_in_the_ring_of_a_spool(tmp_path):
    logger = Logger(LoggerConfig(auto_sink=False, spool=tmp_path / "app.spool"))
    logger.add_sink(SinkConfig(path=tmp_path / "a.log", format="{time:YYYY-MM-DD HH:mm:ss.SSSSSSSSS}"))
    run_threads(*writers(logger))
    assert logger.flush(60)
    stamps = (tmp_path / "a.log").read_text().splitlines()
    assert len(stamps) == THREADS * RECORDS
    assert stamps == sorted(stamps)
    logger.close()


def test_a_flush_ends_while_threads_fill_the_ring_of_a_spool(tmp_path):
    logger = spool_logger(tmp_path, async_buffer_size=8192)
    stop = threading.Event()

    def work(number):
        for i in itertools.count():
            logger.info("{} {}", number, i)
            if stop.is_set():
                return

    def written():
        # As much as there is now: the file grows while it is read, and may do so faster.
        return os.stat(tmp_path / "a.log").st_size

    def flush():
        try:
            for i in range(50):
                before = written()
                logger.info("mark {}", i)
                assert logger.flush(60)
                with open(tmp_path / "a.log", "rb") as file:
                    file.seek(before)
                    assert f"mark {i}\n".encode() in file.read(written() - before)
        finally:
            stop.set()

    run_threads(flush, lambda: work(0), lambda: work(1))
    logger.close()


def test_a_spool_comes_and_goes_while_threads_log(tmp_path):
    """From a spool to rings of the threads' own, under load: nothing is lost, each thread's records stay in order."""
    logger = spool_logger(tmp_path, async_buffer_size=8192)

    def leave():
        logger.configure(LoggerConfig(auto_sink=False, async_buffer_size=8192))
        assert logger.flush(60)

    run_threads(leave, *writers(logger))
    assert logger.flush(60)
    assert_complete((tmp_path / "a.log").read_text().splitlines())
    assert_books(logger, THREADS * RECORDS)
    assert list(tmp_path.glob("app.spool*")) == []
    # The threads have ended, and this one's ring is given up for it.
    logger.info("0 -1")
    logger.configure(LoggerConfig(auto_sink=False, spool=tmp_path / "other.spool"))
    assert [path.name for path in tmp_path.glob("other.spool*")] == [f"other.spool.{os.getpid()}"]
    logger.close()


@needs_free_threading
def test_a_spool_is_refused_where_other_threads_have_rings_and_the_reason_is_told(tmp_path):
    logger = file_logger(tmp_path / "a.log", async_buffer_size=RING)
    logged, refused = threading.Event(), threading.Event()

    def work():
        logger.info("has a ring")
        logged.set()
        refused.wait(60)
        logger.info("still has it")

    def configure():
        logged.wait(60)
        try:
            with pytest.raises(ConfigError, match="name it before other threads log") as caught:
                logger.configure(LoggerConfig(spool=tmp_path / "app.spool"))
            assert caught.value.field == "spool"
            assert list(tmp_path.glob("app.spool*")) == []
        finally:
            refused.set()

    run_threads(work, configure)
    logger.close()
    assert (tmp_path / "a.log").read_text() == "has a ring\nstill has it\n"


def test_new_levels_and_templates_while_a_spool_is_begun_are_in_it(tmp_path):
    """What is named while others log is in the spool before a record says its number."""
    source = f"""
import os, threading
from logly import ConfigError, Logger, LoggerConfig, SinkConfig
logger = Logger(LoggerConfig(spool={str(tmp_path / "app.spool")!r}, async_flush_interval=3_600_000, flush_level=None))
logger.add_sink(SinkConfig(path={str(tmp_path / "a.log")!r}, format="{{level}} {{message}}"))
def work(number):
    for i in range(200):
        logger.add_level(f"T{{number}}", 30 + number)
        logger.log(f"T{{number}}", f"{{number}} template {{i}} {{{{}}}}", i)
threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
os._exit(1)
"""
    run_program(source, returncode=1)
    logger = spool_logger(tmp_path)
    with logger:
        assert logger.flush(60)
    lines = (tmp_path / "a.log").read_text().splitlines()
    assert sorted(lines) == sorted(f"{number} template {i} {i}" for number in range(4) for i in range(200))
