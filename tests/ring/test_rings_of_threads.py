"""Which threads have a ring: all have the same one, or without a GIL each its own, and it is used again."""

import threading
from pathlib import Path

import pytest

from tests.support.hooks import ring_count
from tests.support.loggers import file_logger
from tests.support.many_threads import (
    FREE_THREADED,
    RING,
    THREADS,
    needs_free_threading,
    of_threads,
    writers,
)
from tests.support.threads import run_threads


@needs_free_threading
def test_rings_of_ended_threads_are_reclaimed(tmp_path):
    logger = file_logger(tmp_path / "a.log", async_buffer_size=RING)
    most = 0
    for batch in range(100):
        threads = [threading.Thread(target=logger.info, args=("{} {}", 0, 10 * batch + i)) for i in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        most = max(most, ring_count(logger))
    assert logger.flush(60)
    assert sorted(of_threads((tmp_path / "a.log").read_text().splitlines())[0]) == list(range(1000))
    assert most <= 20  # not a ring for each of 1000 threads
    logger.info("{} {}", 0, 1000)
    assert logger.flush(60)
    assert ring_count(logger) <= 1 + 1  # this thread's, and the flusher's if it has logged
    logger.close()


@needs_free_threading
def test_each_thread_has_a_ring_of_its_own(tmp_path):
    logger = file_logger(tmp_path / "a.log", async_buffer_size=RING)
    all_logged = threading.Barrier(THREADS + 1)
    counted = threading.Event()

    def write():
        logger.info("{} {}", 0, 0)
        all_logged.wait(60)
        assert counted.wait(60)

    threads = [threading.Thread(target=write) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    all_logged.wait(60)
    count = ring_count(logger)
    counted.set()
    for thread in threads:
        thread.join(60)
    assert count == THREADS
    logger.close()


@pytest.mark.skipif(FREE_THREADED, reason="each thread has a ring: this CPython has no GIL")
def test_with_a_gil_there_is_one_ring_for_all(tmp_path):
    logger = file_logger(tmp_path / "a.log", async_buffer_size=RING)
    run_threads(*writers(logger, 100))
    assert ring_count(logger) == 1
    logger.close()


def resident_kib():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


@pytest.mark.nightly
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_memory_is_flat_over_ten_thousand_short_threads(tmp_path):
    logger = file_logger(tmp_path / "a.log", async_buffer_size=1 << 20)

    def run(threads):
        for i in range(threads):
            thread = threading.Thread(target=logger.info, args=("{} {}", 0, i))
            thread.start()
            thread.join(60)
        assert logger.flush(60)

    run(500)
    before = resident_kib()
    run(10_000)
    assert resident_kib() - before < 8 * 1024  # eight rings, not ten thousand
    assert len((tmp_path / "a.log").read_text().splitlines()) == 10_500
    logger.close()
