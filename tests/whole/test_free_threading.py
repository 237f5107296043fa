"""Many threads at one logger: with a GIL they share a ring, without one each has its own, merged by time stamp.

Everything here holds for both kinds of CPython; what concerns rings of threads is skipped where there is a GIL.
"""

import collections
import itertools
import os
import subprocess
import sys
import sysconfig
import threading
from pathlib import Path

import pytest

from logly import ConfigError, Logger, LoggerConfig, SinkConfig
from tests.support.hooks import ring_count

FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
needs_free_threading = pytest.mark.skipif(not FREE_THREADED, reason="one ring: this CPython has a GIL")
THREADS = 6
RECORDS = 2_000


def in_threads(*functions):
    """Runs them at the same time; raises what one of them raised."""
    start = threading.Barrier(len(functions))
    errors = []

    def run(function):
        try:
            start.wait(60)
            function()
        except BaseException as error:  # noqa: BLE001  # raised again on the test's thread
            errors.append(error)

    threads = [threading.Thread(target=run, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
        assert not thread.is_alive(), "a thread hangs"
    if errors:
        raise errors[0]


def writer(logger, name, records=RECORDS):
    def write():
        for i in range(records):
            logger.info("{} {}", name, i)

    return write


def writers(logger, records=RECORDS):
    return [writer(logger, name, records) for name in range(THREADS)]


def file_logger(path: Path, *, layout="{message}", ring=65536, **settings) -> Logger:
    logger = Logger(LoggerConfig(auto_sink=False, async_buffer_size=ring, **settings))
    logger.add_sink(SinkConfig(path=path, format=layout))
    return logger


def of_threads(lines):
    """The numbers that each thread has written, in the order of the lines."""
    numbers = collections.defaultdict(list)
    for line in lines:
        name, number = line.split()[-2:]
        numbers[int(name)].append(int(number))
    return numbers


def assert_complete(lines, threads=THREADS, records=RECORDS):
    """Every record once, each thread's in the order in which it was logged."""
    numbers = of_threads(lines)
    assert sorted(numbers) == list(range(threads))
    for written in numbers.values():
        assert written == list(range(records))


def assert_balanced(logger, emitted=None):
    stats = logger.stats()
    assert stats.emitted == stats.written + stats.dropped + stats.failed + stats.pending
    if emitted is not None:
        assert (stats.emitted, stats.written, stats.pending) == (emitted, emitted, 0)


def test_importing_leaves_the_gil_off():
    if not FREE_THREADED:
        pytest.skip("this CPython has a GIL")
    code = "import sys, logly; logly.Logger; print(sys._is_gil_enabled())"
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert result.stdout.strip() == "False"


def test_each_record_once_and_each_thread_in_order(tmp_path):
    logger = file_logger(tmp_path / "a.log")
    in_threads(*writers(logger))
    assert logger.flush(60)
    assert_complete((tmp_path / "a.log").read_text().splitlines())
    assert_balanced(logger, THREADS * RECORDS)
    logger.close()


def test_lines_of_several_threads_are_ordered_by_time_stamp(tmp_path):
    logger = file_logger(tmp_path / "a.log", layout="{time:YYYY-MM-DD HH:mm:ss.SSSSSSSSS} {message}")
    in_threads(*writers(logger))
    assert logger.flush(60)
    stamps = [line[:29] for line in (tmp_path / "a.log").read_text().splitlines()]
    assert len(stamps) == THREADS * RECORDS
    assert stamps == sorted(stamps)
    logger.close()


def test_records_that_take_turns_come_out_in_turn(tmp_path):
    logger = file_logger(tmp_path / "a.log")
    turns = [threading.Semaphore(1), threading.Semaphore(0)]

    def take_turns(me):
        for i in range(me, 600, 2):
            turns[me].acquire()
            logger.info("0 {}", i)
            turns[1 - me].release()

    in_threads(lambda: take_turns(0), lambda: take_turns(1))
    assert logger.flush(60)
    assert (tmp_path / "a.log").read_text().splitlines() == [f"0 {i}" for i in range(600)]
    logger.close()


def test_a_small_ring_blocks_and_loses_nothing(tmp_path):
    logger = file_logger(tmp_path / "a.log", ring=4096)
    in_threads(*writers(logger))
    assert logger.flush(60)
    assert_complete((tmp_path / "a.log").read_text().splitlines())
    logger.close()


def test_drops_are_counted_exactly(tmp_path):
    logger = file_logger(tmp_path / "a.log", ring=4096, overflow="drop")
    in_threads(*writers(logger))
    assert logger.flush(60)
    stats = logger.stats()
    lines = [line for line in (tmp_path / "a.log").read_text().splitlines() if "dropped" not in line]
    assert stats.emitted == THREADS * RECORDS == stats.written + stats.dropped
    assert len(lines) == stats.written
    for written in of_threads(lines).values():
        assert written == sorted(set(written))
    logger.close()


def test_large_messages_of_several_threads(tmp_path):
    logger = file_logger(tmp_path / "a.log", ring=8192)

    def write(name):
        for i in range(50):
            logger.info("{} {} {}", "x" * 10_000, name, i)

    in_threads(*[lambda name=name: write(name) for name in range(4)])
    assert logger.flush(60)
    assert_complete((tmp_path / "a.log").read_text().splitlines(), 4, 50)
    logger.close()


def test_every_call_site_and_template_is_registered_by_many_threads_at_once(tmp_path):
    logger = file_logger(tmp_path / "a.log", layout="{function}:{lineno} {message}")
    names = [f"site_{tmp_path.name}_{i}".replace("-", "_") for i in range(60)]
    functions = []
    for name in names:
        scope = {"logger": logger}
        exec(f"def {name}(i):\n    logger.info('{name} {{}}', i)", scope)
        functions.append(scope[name])

    def call_all():
        for function in functions:
            function(1)

    in_threads(*[call_all] * THREADS)
    assert logger.flush(60)
    lines = collections.Counter((tmp_path / "a.log").read_text().splitlines())
    assert lines == {f"{name}:2 {name} 1": THREADS for name in names}
    logger.close()


def test_sinks_come_and_go_under_load(tmp_path):
    logger = file_logger(tmp_path / "a.log")
    done = threading.Event()

    def change():
        for i in range(30):
            sink = logger.add_sink(SinkConfig(path=tmp_path / f"other-{i}.log", format="{message}"))
            logger.sink_stats(sink)
            logger.disable_sink(sink)
            logger.enable_sink(sink)
            assert logger.remove_sink(sink)
            assert_balanced(logger)
        done.set()

    def look():
        while not done.is_set():
            for sink in logger.list_sinks():
                try:
                    logger.sink_stats(sink)
                except KeyError:
                    continue  # it went in between

    in_threads(*writers(logger), change, look)
    assert logger.flush(60)
    assert_complete((tmp_path / "a.log").read_text().splitlines())
    for i in range(30):
        for written in of_threads((tmp_path / f"other-{i}.log").read_text().splitlines()).values():
            assert written == sorted(set(written))
    logger.close()


def test_settings_change_under_load(tmp_path):
    logger = file_logger(tmp_path / "a.log")

    def change():
        for i in range(40):
            size, interval = 4096 << i % 4, 1 + i % 5
            logger.configure(LoggerConfig(auto_sink=False, async_buffer_size=size, async_flush_interval=interval))
            logger.add_level(f"LEVEL{i % 10}", 60 + i % 10)
            assert logger.is_enabled_for(60 + i % 10)
            assert_balanced(logger)

    in_threads(*writers(logger), change, change)
    assert logger.flush(60)
    assert_complete((tmp_path / "a.log").read_text().splitlines())
    assert_balanced(logger, THREADS * RECORDS)
    logger.close()


def test_new_levels_by_number_from_many_threads(tmp_path):
    logger = file_logger(tmp_path / "a.log", layout="{level} {message}")

    def log_levels():
        for number in range(100, 130):
            logger.log(number, "here")

    in_threads(*[log_levels] * THREADS)
    assert logger.flush(60)
    lines = collections.Counter((tmp_path / "a.log").read_text().splitlines())
    assert lines == {f"LEVEL {number} here": THREADS for number in range(100, 130)}
    logger.close()


def test_bound_and_contextual_fields_stay_with_their_thread(tmp_path):
    logger = file_logger(tmp_path / "a.log", layout="{bound} {context} {message}")

    def write(name):
        child = logger.bind(bound=name)
        for i in range(300):
            with logger.contextualize(context=name * 1000 + i):
                child.info("{}", i)

    in_threads(*[lambda name=name: write(name) for name in range(THREADS)])
    assert logger.flush(60)
    lines = (tmp_path / "a.log").read_text().splitlines()
    assert sorted(lines) == sorted(f"{n} {n * 1000 + i} {i}" for n in range(THREADS) for i in range(300))
    logger.close()


def test_a_flush_covers_what_its_thread_had_logged(tmp_path):
    logger = file_logger(tmp_path / "a.log", async_flush_interval=10_000)

    def write_and_flush(name):
        for i in range(40):
            logger.info("{} {}", name, i)
            assert logger.flush(60)
            written = of_threads((tmp_path / "a.log").read_text().splitlines()[-10_000:])
            assert written[name][-1] == i

    in_threads(*[lambda name=name: write_and_flush(name) for name in range(3)])
    logger.close()


def test_a_synchronous_sink_has_the_line_when_the_call_returns(tmp_path):
    logger = Logger(LoggerConfig(auto_sink=False))
    logger.add_sink(SinkConfig(path=tmp_path / "a.log", format="{message}", async_write=False))

    def write(name):
        for i in range(100):
            logger.info("{} {}", name, i)
            assert of_threads((tmp_path / "a.log").read_text().splitlines())[name][-1] == i

    in_threads(*[lambda name=name: write(name) for name in range(3)])
    assert_complete((tmp_path / "a.log").read_text().splitlines(), 3, 100)
    logger.close()


def test_function_sinks_and_filters_under_load(tmp_path):
    seen = []
    logger = file_logger(tmp_path / "a.log")
    logger.add_sink(SinkConfig(function=lambda record: seen.append(record.message)))
    logger.add_sink(
        SinkConfig(path=tmp_path / "b.log", format="{message}", filter=lambda record: record.message.endswith("7"))
    )
    in_threads(*writers(logger, 300))
    assert logger.flush(60)
    assert_complete(seen, records=300)
    expected = sorted(f"{name} {i}" for name in range(THREADS) for i in range(300) if i % 10 == 7)
    assert sorted((tmp_path / "b.log").read_text().splitlines()) == expected
    logger.close()


def test_close_in_the_middle_loses_nothing(tmp_path):
    logger = file_logger(tmp_path / "a.log")
    half_way = threading.Barrier(THREADS + 1)

    def write(name):
        for i in range(RECORDS):
            if i == RECORDS // 2:
                half_way.wait(60)
            logger.info("{} {}", name, i)

    def close():
        half_way.wait(60)
        logger.close()

    in_threads(*[lambda name=name: write(name) for name in range(THREADS)], close)
    assert logger.flush(60)
    assert_complete((tmp_path / "a.log").read_text().splitlines())
    assert_balanced(logger, THREADS * RECORDS)


def test_many_loggers_in_one_thread_and_threads_that_outlive_them(tmp_path):
    release, logged = threading.Event(), threading.Semaphore(0)
    loggers = [file_logger(tmp_path / f"{i}.log", ring=4096) for i in range(8)]

    def write():
        for turn in range(20):
            for logger in loggers:
                logger.info("0 {}", turn)
        logged.release()
        assert release.wait(60)
        # Rings of loggers that are gone are given up here.
        own.info("after")

    own = file_logger(tmp_path / "own.log")
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
def test_rings_of_ended_threads_are_reclaimed(tmp_path):
    logger = file_logger(tmp_path / "a.log", ring=65536)
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
    logger = file_logger(tmp_path / "a.log")
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


# ---- a spool: one ring for all threads


def spool_logger(folder, **settings):
    logger = Logger(LoggerConfig(auto_sink=False, spool=folder / "app.spool", **settings))
    logger.add_sink(SinkConfig(path=folder / "a.log", format="{message}"))
    return logger


@pytest.mark.parametrize("ring", [4096, 1 << 20])
def test_threads_share_the_ring_of_a_spool(tmp_path, ring):
    logger = spool_logger(tmp_path, async_buffer_size=ring)
    in_threads(*writers(logger))
    assert logger.flush(60)
    assert ring_count(logger) == 1
    assert_complete((tmp_path / "a.log").read_text().splitlines())
    assert_balanced(logger, THREADS * RECORDS)
    logger.close()
    assert list(tmp_path.glob("app.spool*")) == []


def test_lines_are_ordered_by_time_stamp_in_the_ring_of_a_spool(tmp_path):
    logger = Logger(LoggerConfig(auto_sink=False, spool=tmp_path / "app.spool"))
    logger.add_sink(SinkConfig(path=tmp_path / "a.log", format="{time:YYYY-MM-DD HH:mm:ss.SSSSSSSSS}"))
    in_threads(*writers(logger))
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

    in_threads(flush, lambda: work(0), lambda: work(1))
    logger.close()


def test_a_spool_comes_and_goes_while_threads_log(tmp_path):
    """From a spool to rings of the threads' own, under load: nothing is lost, each thread's records stay in order."""
    logger = spool_logger(tmp_path, async_buffer_size=8192)

    def leave():
        logger.configure(LoggerConfig(auto_sink=False, async_buffer_size=8192))
        assert logger.flush(60)

    in_threads(leave, *writers(logger))
    assert logger.flush(60)
    assert_complete((tmp_path / "a.log").read_text().splitlines())
    assert_balanced(logger, THREADS * RECORDS)
    assert list(tmp_path.glob("app.spool*")) == []
    # The threads have ended, and this one's ring is given up for it.
    logger.info("0 -1")
    logger.configure(LoggerConfig(auto_sink=False, spool=tmp_path / "other.spool"))
    assert [path.name for path in tmp_path.glob("other.spool*")] == [f"other.spool.{os.getpid()}"]
    logger.close()


@needs_free_threading
def test_a_spool_is_refused_where_other_threads_have_rings_and_the_reason_is_told(tmp_path):
    logger = file_logger(tmp_path / "a.log")
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

    in_threads(work, configure)
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
    subprocess.run([sys.executable, "-c", source], timeout=60, check=False)
    logger = spool_logger(tmp_path)
    with logger:
        assert logger.flush(60)
    lines = (tmp_path / "a.log").read_text().splitlines()
    assert sorted(lines) == sorted(f"{number} template {i} {i}" for number in range(4) for i in range(200))


@pytest.mark.skipif(FREE_THREADED, reason="each thread has a ring: this CPython has no GIL")
def test_with_a_gil_there_is_one_ring_for_all(tmp_path):
    logger = file_logger(tmp_path / "a.log")
    in_threads(*writers(logger, 100))
    assert ring_count(logger) == 1
    logger.close()


def resident_kib():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


@pytest.mark.nightly
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_memory_is_flat_over_ten_thousand_short_threads(tmp_path):
    logger = file_logger(tmp_path / "a.log", ring=1 << 20)

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


@needs_free_threading
def test_a_template_is_immortal_after_its_first_use() -> None:
    """Threads that log the same one do not wait for each other's change of its count of references."""
    template = "".join(["a template with {}", " that nobody has interned"])
    assert sys.getrefcount(template) < 1000
    with Logger(LoggerConfig(auto_sink=False)) as logger:
        logger.add_sink(SinkConfig(path=os.devnull))
        logger.info(template, 1)
    assert sys.getrefcount(template) > 1 << 30
