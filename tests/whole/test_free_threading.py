"""Many threads at one logger: with a GIL they share a ring, without one each has its own, merged by time stamp.

Everything here holds for both kinds of CPython; what concerns rings of threads is skipped where there is a GIL.
"""

import collections
import os
import sys
import threading

import pytest

from logly import Logger, LoggerConfig, SinkConfig
from tests.support.loggers import assert_books, file_logger
from tests.support.many_threads import (
    FREE_THREADED,
    RECORDS,
    RING,
    THREADS,
    assert_complete,
    needs_free_threading,
    of_threads,
    writers,
)
from tests.support.programs import run_python
from tests.support.threads import run_threads


def test_importing_leaves_the_gil_off():
    if not FREE_THREADED:
        pytest.skip("this CPython has a GIL")
    code = "import sys, logly; logly.Logger; print(sys._is_gil_enabled())"
    assert run_python("-W", "error", "-c", code).stdout.strip() == "False"


def test_each_record_once_and_each_thread_in_order(tmp_path):
    logger = file_logger(tmp_path / "a.log", async_buffer_size=RING)
    run_threads(*writers(logger))
    assert logger.flush(60)
    assert_complete((tmp_path / "a.log").read_text().splitlines())
    assert_books(logger, THREADS * RECORDS)
    logger.close()


def test_lines_of_several_threads_are_ordered_by_time_stamp(tmp_path):
    logger = file_logger(
        tmp_path / "a.log", layout="{time:YYYY-MM-DD HH:mm:ss.SSSSSSSSS} {message}", async_buffer_size=RING
    )
    run_threads(*writers(logger))
    assert logger.flush(60)
    stamps = [line[:29] for line in (tmp_path / "a.log").read_text().splitlines()]
    assert len(stamps) == THREADS * RECORDS
    assert stamps == sorted(stamps)
    logger.close()


def test_records_that_take_turns_come_out_in_turn(tmp_path):
    logger = file_logger(tmp_path / "a.log", async_buffer_size=RING)
    turns = [threading.Semaphore(1), threading.Semaphore(0)]

    def take_turns(me):
        for i in range(me, 600, 2):
            turns[me].acquire()
            logger.info("0 {}", i)
            turns[1 - me].release()

    run_threads(lambda: take_turns(0), lambda: take_turns(1))
    assert logger.flush(60)
    assert (tmp_path / "a.log").read_text().splitlines() == [f"0 {i}" for i in range(600)]
    logger.close()


def test_a_small_ring_blocks_and_loses_nothing(tmp_path):
    logger = file_logger(tmp_path / "a.log", async_buffer_size=4096)
    run_threads(*writers(logger))
    assert logger.flush(60)
    assert_complete((tmp_path / "a.log").read_text().splitlines())
    logger.close()


def test_drops_are_counted_exactly(tmp_path):
    logger = file_logger(tmp_path / "a.log", async_buffer_size=4096, overflow="drop")
    run_threads(*writers(logger))
    assert logger.flush(60)
    stats = logger.stats()
    lines = [line for line in (tmp_path / "a.log").read_text().splitlines() if "dropped" not in line]
    assert stats.emitted == THREADS * RECORDS == stats.written + stats.dropped
    assert len(lines) == stats.written
    for written in of_threads(lines).values():
        assert written == sorted(set(written))
    logger.close()


def test_large_messages_of_several_threads(tmp_path):
    logger = file_logger(tmp_path / "a.log", async_buffer_size=8192)

    def write(name):
        for i in range(50):
            logger.info("{} {} {}", "x" * 10_000, name, i)

    run_threads(*[lambda name=name: write(name) for name in range(4)])
    assert logger.flush(60)
    assert_complete((tmp_path / "a.log").read_text().splitlines(), 4, 50)
    logger.close()


def test_every_call_site_and_template_is_registered_by_many_threads_at_once(tmp_path):
    logger = file_logger(tmp_path / "a.log", layout="{function}:{lineno} {message}", async_buffer_size=RING)
    names = [f"site_{tmp_path.name}_{i}".replace("-", "_") for i in range(60)]
    functions = []
    for name in names:
        scope = {"logger": logger}
        exec(f"def {name}(i):\n    logger.info('{name} {{}}', i)", scope)
        functions.append(scope[name])

    def call_all():
        for function in functions:
            function(1)

    run_threads(*[call_all] * THREADS)
    assert logger.flush(60)
    lines = collections.Counter((tmp_path / "a.log").read_text().splitlines())
    assert lines == {f"{name}:2 {name} 1": THREADS for name in names}
    logger.close()


def test_sinks_come_and_go_under_load(tmp_path):
    logger = file_logger(tmp_path / "a.log", async_buffer_size=RING)
    done = threading.Event()

    def change():
        for i in range(30):
            sink = logger.add_sink(SinkConfig(path=tmp_path / f"other-{i}.log", format="{message}"))
            logger.sink_stats(sink)
            logger.disable_sink(sink)
            logger.enable_sink(sink)
            assert logger.remove_sink(sink)
            assert_books(logger)
        done.set()

    def look():
        while not done.is_set():
            for sink in logger.list_sinks():
                try:
                    logger.sink_stats(sink)
                except KeyError:
                    continue  # it went in between

    run_threads(*writers(logger), change, look)
    assert logger.flush(60)
    assert_complete((tmp_path / "a.log").read_text().splitlines())
    for i in range(30):
        for written in of_threads((tmp_path / f"other-{i}.log").read_text().splitlines()).values():
            assert written == sorted(set(written))
    logger.close()


def test_settings_change_under_load(tmp_path):
    logger = file_logger(tmp_path / "a.log", async_buffer_size=RING)

    def change():
        for i in range(40):
            size, interval = 4096 << i % 4, 1 + i % 5
            logger.configure(LoggerConfig(auto_sink=False, async_buffer_size=size, async_flush_interval=interval))
            logger.add_level(f"LEVEL{i % 10}", 60 + i % 10)
            assert logger.is_enabled_for(60 + i % 10)
            assert_books(logger)

    run_threads(*writers(logger), change, change)
    assert logger.flush(60)
    assert_complete((tmp_path / "a.log").read_text().splitlines())
    assert_books(logger, THREADS * RECORDS)
    logger.close()


def test_new_levels_by_number_from_many_threads(tmp_path):
    logger = file_logger(tmp_path / "a.log", layout="{level} {message}", async_buffer_size=RING)

    def log_levels():
        for number in range(100, 130):
            logger.log(number, "here")

    run_threads(*[log_levels] * THREADS)
    assert logger.flush(60)
    lines = collections.Counter((tmp_path / "a.log").read_text().splitlines())
    assert lines == {f"LEVEL {number} here": THREADS for number in range(100, 130)}
    logger.close()


def test_bound_and_contextual_fields_stay_with_their_thread(tmp_path):
    logger = file_logger(tmp_path / "a.log", layout="{bound} {context} {message}", async_buffer_size=RING)

    def write(name):
        child = logger.bind(bound=name)
        for i in range(300):
            with logger.contextualize(context=name * 1000 + i):
                child.info("{}", i)

    run_threads(*[lambda name=name: write(name) for name in range(THREADS)])
    assert logger.flush(60)
    lines = (tmp_path / "a.log").read_text().splitlines()
    assert sorted(lines) == sorted(f"{n} {n * 1000 + i} {i}" for n in range(THREADS) for i in range(300))
    logger.close()


def test_a_flush_covers_what_its_thread_had_logged(tmp_path):
    logger = file_logger(tmp_path / "a.log", async_flush_interval=10_000, async_buffer_size=RING)

    def write_and_flush(name):
        for i in range(40):
            logger.info("{} {}", name, i)
            assert logger.flush(60)
            written = of_threads((tmp_path / "a.log").read_text().splitlines()[-10_000:])
            assert written[name][-1] == i

    run_threads(*[lambda name=name: write_and_flush(name) for name in range(3)])
    logger.close()


def test_a_synchronous_sink_has_the_line_when_the_call_returns(tmp_path):
    logger = Logger(LoggerConfig(auto_sink=False))
    logger.add_sink(SinkConfig(path=tmp_path / "a.log", format="{message}", async_write=False))

    def write(name):
        for i in range(100):
            logger.info("{} {}", name, i)
            assert of_threads((tmp_path / "a.log").read_text().splitlines())[name][-1] == i

    run_threads(*[lambda name=name: write(name) for name in range(3)])
    assert_complete((tmp_path / "a.log").read_text().splitlines(), 3, 100)
    logger.close()


def test_function_sinks_and_filters_under_load(tmp_path):
    seen = []
    logger = file_logger(tmp_path / "a.log", async_buffer_size=RING)
    logger.add_sink(SinkConfig(function=lambda record: seen.append(record.message)))
    logger.add_sink(
        SinkConfig(path=tmp_path / "b.log", format="{message}", filter=lambda record: record.message.endswith("7"))
    )
    run_threads(*writers(logger, 300))
    assert logger.flush(60)
    assert_complete(seen, records=300)
    expected = sorted(f"{name} {i}" for name in range(THREADS) for i in range(300) if i % 10 == 7)
    assert sorted((tmp_path / "b.log").read_text().splitlines()) == expected
    logger.close()


def test_close_in_the_middle_loses_nothing(tmp_path):
    logger = file_logger(tmp_path / "a.log", async_buffer_size=RING)
    half_way = threading.Barrier(THREADS + 1)

    def write(name):
        for i in range(RECORDS):
            if i == RECORDS // 2:
                half_way.wait(60)
            logger.info("{} {}", name, i)

    def close():
        half_way.wait(60)
        logger.close()

    run_threads(*[lambda name=name: write(name) for name in range(THREADS)], close)
    assert logger.flush(60)
    assert_complete((tmp_path / "a.log").read_text().splitlines())
    assert_books(logger, THREADS * RECORDS)


def test_many_loggers_in_one_thread_and_threads_that_outlive_them(tmp_path):
    release, logged = threading.Event(), threading.Semaphore(0)
    loggers = [file_logger(tmp_path / f"{i}.log", async_buffer_size=4096) for i in range(8)]

    def write():
        for turn in range(20):
            for logger in loggers:
                logger.info("0 {}", turn)
        logged.release()
        assert release.wait(60)
        # Rings of loggers that are gone are given up here.
        own.info("after")

    own = file_logger(tmp_path / "own.log", async_buffer_size=RING)
    threads = [threading.Thread(target=write) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert logged.acquire(timeout=60)
    for logger in loggers:
        assert logger.flush(60)
        logger.close()
    loggers.clear()
    del logger
    release.set()
    for thread in threads:
        thread.join(60)
    own.close()
    assert (tmp_path / "own.log").read_text().splitlines() == ["after"] * 3
    for i in range(8):
        assert len((tmp_path / f"{i}.log").read_text().splitlines()) == 60


@needs_free_threading
def test_a_template_is_immortal_once_it_has_a_place() -> None:
    """Threads that log the same one do not wait for each other's change of its count of references."""
    template = "".join(["a template with {}", " that nobody has interned"])
    assert sys.getrefcount(template) < 1000
    with Logger(LoggerConfig(auto_sink=False)) as logger:
        logger.add_sink(SinkConfig(path=os.devnull))
        logger.info(template, 1)
        logger.info(template, 1)  # a text that the program has made gets its place when it comes again
    assert sys.getrefcount(template) > 1 << 30
