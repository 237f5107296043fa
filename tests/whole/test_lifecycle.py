"""From the first record to the last: close, exit, the collector, settings that change under load, odd uses."""

import copy
import gc
import os
import signal
import sys
import threading
import weakref
from pathlib import Path

import pytest

import logly
from logly import Logger, LoggerConfig, SinkConfig
from tests.support.loggers import assert_books, file_logger
from tests.support.programs import run_program
from tests.support.threads import flusher_threads, run_threads
from tests.support.waiting import wait_until

# ---- close


def test_close_may_be_called_again(tmp_path: Path) -> None:
    with file_logger(tmp_path / "a.log") as logger:
        logger.info("one")
        assert logger.close()
        assert logger.close()
        assert logger.close(0)
    assert (tmp_path / "a.log").read_text() == "one\n"


def test_an_unused_logger_closes_and_never_had_a_thread() -> None:
    with Logger(name="unused") as logger:
        assert logger.flush()
    assert flusher_threads("unused") == []


def test_leaving_the_with_closes_and_ends_the_thread(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with Logger(name="leaving") as logger:
        logger.add_sink(SinkConfig(path=path, format="{message}"))
        for i in range(1000):
            logger.info("{}", i)
        wait_until(lambda: len(flusher_threads("leaving")) == 1, "the start of the flusher")
    wait_until(lambda: not flusher_threads("leaving"), "the end of the flusher")
    assert path.read_text() == "".join(f"{i}\n" for i in range(1000))


def test_a_record_after_close_is_in_the_file_when_the_call_returns(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with file_logger(path, layout="{level} {message}") as logger:
        logger.info("before")
    for i in range(20):
        logger.info("after {}", i)
        assert path.read_text().endswith(f"INFO after {i}\n")
    logger.error("at last", exc_info=ValueError())
    assert "ERROR at last" in path.read_text()
    assert_books(logger)
    assert logger.stats().pending == 0


def test_threads_may_log_while_it_closes(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    for _ in range(10):
        path.unlink(missing_ok=True)
        barrier = threading.Barrier(5)
        with file_logger(path, async_buffer_size=4096) as logger:

            def write(thread: int, logger: Logger = logger, barrier: threading.Barrier = barrier) -> None:
                barrier.wait(30)
                for i in range(300):
                    logger.info("{} {}", thread, i)

            def close(logger: Logger = logger, barrier: threading.Barrier = barrier) -> None:
                barrier.wait(30)
                logger.close()

            run_threads(close, *(lambda t=t: write(t) for t in range(4)))
        stats = logger.stats()
        assert (stats.emitted, stats.written, stats.pending) == (1200, 1200, 0)
        lines = [line.split() for line in path.read_text().splitlines()]
        for thread in "0123":
            assert [int(i) for t, i in lines if t == thread] == list(range(300))


# ---- the collector


def test_a_collected_logger_drains_and_its_thread_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    logger = Logger(LoggerConfig(async_flush_interval=60_000), name="collected")
    logger.add_sink(SinkConfig(path=path, format="{message}"))
    child = logger.bind(user="ann")
    logger.info("one")
    del logger
    gc.collect()
    child.info("two")
    wait_until(lambda: len(flusher_threads("collected")) == 1, "the start of the flusher")
    gone = weakref.ref(child)
    del child
    gc.collect()
    assert gone() is None
    wait_until(lambda: not flusher_threads("collected"), "the end of the flusher")
    assert path.read_text() == "one\ntwo\n"


def test_a_thousand_loggers_leave_nothing_behind(tmp_path: Path) -> None:
    before = threading.active_count()
    for i in range(100):
        logger = Logger(LoggerConfig(async_buffer_size=4096))
        logger.add_sink(SinkConfig(path=tmp_path / "a.log", format="{message}"))
        logger.info("{}", i)
        del logger
    gc.collect()
    wait_until(lambda: threading.active_count() <= before, "the end of the flushers")
    assert (tmp_path / "a.log").read_text().split() == [str(i) for i in range(100)]


# ---- exit

PRELUDE = """
import atexit, os, sys, threading, time
from logly import Logger, LoggerConfig, SinkConfig
def make(**config):
    logger = Logger(LoggerConfig(async_flush_interval=60_000, **config))
    logger.add_sink(SinkConfig(path=sys.argv[1], format="{message}"))
    return logger
"""


def lines_of_program(folder: Path, text: str) -> list[str]:
    path = folder / "exit.log"
    run_program(PRELUDE + text, path)
    return path.read_text().splitlines()


def test_the_end_of_the_program_drains(tmp_path: Path) -> None:
    assert lines_of_program(tmp_path, "logger = make()\nfor i in range(5000): logger.info('{}', i)\n") == [
        str(i) for i in range(5000)
    ]


def test_an_exception_or_sys_exit_drains_too(tmp_path: Path) -> None:
    program = "logger = make()\nlogger.info('one')\ntry:\n    sys.exit(0)\nfinally:\n    logger.info('two')\n"
    assert lines_of_program(tmp_path, program) == ["one", "two"]


def test_exit_callbacks_may_log_before_and_after_the_drain(tmp_path: Path) -> None:
    program = (
        "atexit.unregister(len)\nlogger = None\n"
        # Registered last, called first: logly's own stands between the two.
        "def late(): logger.info('late {}', 1); logger.info('late object {}', [1])\n"
        "import logly.control.process as process\n"
        "atexit.unregister(process._finish_all); atexit.register(late); atexit.register(process._finish_all)\n"
        "logger = make()\n"
        "atexit.register(lambda: logger.info('early {}', 2))\n"
        "logger.info('running')\n"
    )
    assert lines_of_program(tmp_path, program) == ["running", "early 2", "late 1", "late object [1]"]


def test_a_del_during_shutdown_logs(tmp_path: Path) -> None:
    program = (
        "class Last:\n"
        "    def __init__(self, logger): self.logger = logger\n"
        "    def __del__(self): self.logger.info('gone {} {}', 1, [2])\n"
        "logger = make()\n"
        "logger.info('running')\n"
        "keep = Last(logger)\n"
        "sys.keep = Last(logger)\n"  # goes when sys is torn down
    )
    assert lines_of_program(tmp_path, program) == ["running", "gone 1 [2]", "gone 1 [2]"]


def test_a_first_record_during_shutdown_is_written(tmp_path: Path) -> None:
    program = (
        "class Last:\n"
        "    def __del__(self):\n"
        "        try: raise ValueError('seen')\n"
        "        except ValueError: self.logger.exception('first', n=[1])\n"
        "keep = Last(); keep.logger = make()\n"
    )
    assert lines_of_program(tmp_path, program)[0].startswith("first")


def test_daemon_threads_that_log_do_not_disturb_the_end(tmp_path: Path) -> None:
    program = (
        "logger = make(async_buffer_size=4096)\n"
        "begun = threading.Barrier(4)\n"
        "def work(name):\n"
        "    begun.wait(); i = 0\n"
        "    while True:\n"
        "        logger.info('{} {}', name, i); i += 1\n"
        "for name in range(3): threading.Thread(target=work, args=(name,), daemon=True).start()\n"
        "begun.wait()\n"
        "for i in range(2000): logger.info('main {}', i)\n"
    )
    lines = lines_of_program(tmp_path, program)
    assert [line for line in lines if line.startswith("main")] == [f"main {i}" for i in range(2000)]
    for name in "012":
        numbers = [int(line.split()[1]) for line in lines if line.startswith(f"{name} ")]
        assert numbers == list(range(len(numbers)))


def test_a_logger_in_a_cycle_is_drained_at_the_end(tmp_path: Path) -> None:
    program = "class C: pass\nc = C(); c.me = c; c.logger = make()\nc.logger.info('in a cycle')\ndel c\n"
    assert lines_of_program(tmp_path, program) == ["in a cycle"]


# ---- configure at run time


def test_settings_change_under_load_and_nothing_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    stop = threading.Event()

    def write(logger: Logger, thread: int) -> int:
        count = 0
        while not stop.is_set() or count < 1000:
            logger.error("{} {} {}", thread, count, "x" * (count % 50))
            count += 1
        return count

    def change(logger: Logger) -> None:
        try:
            for i in range(120):
                logger.configure(
                    LoggerConfig(
                        async_buffer_size=[4096, 1 << 20, 65536, 8192][i % 4],
                        async_flush_interval=[100, 0, 10_000][i % 3],
                        level=["TRACE", "ERROR"][i % 2],
                        overflow="block",
                        flush_level=[None, "ERROR", "CRITICAL"][i % 3],
                        on_error=lambda error: None,
                    )
                )
                logger.info("9 info")
        finally:
            stop.set()

    with file_logger(path) as logger:
        counts = run_threads(*(lambda t=t: write(logger, t) for t in range(4)), lambda: change(logger))[:4]
        assert logger.flush(60)
        stats = logger.stats()
        assert (stats.dropped, stats.failed, stats.pending) == (0, 0, 0)
        # Level TRACE in every other turn, from the second configure on.
        assert stats.emitted == stats.written == sum(counts) + 60
    lines = [line.split(" ") for line in path.read_text().splitlines()]
    for thread, count in enumerate(counts):
        assert [int(i) for t, i, *_ in lines if t == str(thread)] == list(range(count))


def test_stats_balance_at_every_moment(tmp_path: Path) -> None:
    stop = threading.Event()

    def write(logger: Logger) -> None:
        try:
            for i in range(30_000):
                logger.info("{}", i)
                if i % 1000 == 0:
                    logger.configure(
                        LoggerConfig(async_buffer_size=4096 << (i // 1000 % 3), overflow=["block", "drop"][i % 2])
                    )
        finally:
            stop.set()

    def watch(logger: Logger) -> int:
        looks, last = 0, 0
        while not stop.is_set():
            stats = logger.stats()
            assert stats.emitted == stats.written + stats.dropped + stats.failed + stats.pending
            assert min(stats.written, stats.dropped, stats.failed, stats.pending) >= 0
            assert stats.emitted >= last
            last, looks = stats.emitted, looks + 1
        return looks

    with file_logger(tmp_path / "a.log", async_buffer_size=4096) as logger:
        assert run_threads(lambda: write(logger), lambda: watch(logger))[1] > 0
        assert logger.flush(30)
        stats = logger.stats()
        assert stats.emitted == 30_000
        assert stats.pending == 0


# ---- several, and odd uses


def test_loggers_are_independent(tmp_path: Path) -> None:
    with file_logger(tmp_path / "a.log", level="WARNING") as one, file_logger(tmp_path / "b.log") as other:
        one.info("not taken")
        one.error("one")
        other.info("other")
        one.disable()
        one.error("off")
        other.info("still on")
        one.close()
        other.info("still open")
    assert (tmp_path / "a.log").read_text() == "one\n"
    assert (tmp_path / "b.log").read_text() == "other\nstill on\nstill open\n"
    assert one.stats().emitted == 1


def test_the_ready_made_logger() -> None:
    assert isinstance(logly.logger, Logger)
    assert logly.logger is logly.logger
    done = run_program("import sys, logly\nlogly.logger.info('to the console {}', 1)\n", may_complain=True)
    assert "to the console 1" in done.stderr


def test_a_subclass_is_a_logger(tmp_path: Path) -> None:
    class Own(Logger):
        def __init__(self, path: Path) -> None:
            super().__init__(LoggerConfig(level="TRACE"))
            self.add_sink(SinkConfig(path=path, format="{level} {function} {message}"))
            self.count = 0

        def info(self, *args, **fields):  # type: ignore[no-untyped-def]
            self.count += 1
            super().info(*args, **fields)

    with Own(tmp_path / "a.log") as logger:
        logger.info("x {}", 1)
        logger.trace("y")
        logger.bind(a=1).error("z")
        assert logger.count == 1
        assert logger.flush(30)
    assert (tmp_path / "a.log").read_text().splitlines() == [
        "INFO info x 1",
        "TRACE test_a_subclass_is_a_logger y",
        "ERROR test_a_subclass_is_a_logger z",
    ]


def test_a_copy_of_what_holds_a_logger_has_the_same_one() -> None:
    with Logger() as logger:
        bound = logger.bind(a=1)
        assert copy.copy(logger) is logger
        assert copy.deepcopy({"log": bound, "more": [1]})["log"] is bound


def test_methods_can_be_passed_around(tmp_path: Path) -> None:
    with file_logger(tmp_path / "a.log") as logger:
        info = logger.info
        list(map(info, ["a", "b"]))
        Logger.info(logger, "c {}", 1)
        with pytest.raises(TypeError):
            Logger.info("no logger", "x")  # type: ignore[arg-type]
        assert logger.flush(30)
    assert (tmp_path / "a.log").read_text() == "a\nb\nc 1\n"


def test_the_log_methods_have_signatures() -> None:
    import inspect

    for name in ("trace", "debug", "info", "success", "warning", "error", "fail", "critical", "exception", "log"):
        parameters = list(inspect.signature(getattr(Logger, name)).parameters)
        assert parameters[-2:] == ["args", "fields"]
        assert "message" in parameters


def test_logging_from_the_function_of_a_sink_does_not_hang(tmp_path: Path) -> None:
    with Logger() as logger:
        logger.add_sink(SinkConfig(function=lambda record: logger.debug("inside {}", record.message)))
        logger.add_sink(SinkConfig(path=tmp_path / "a.log", format="{message}"))
        logger.info("outside")
        assert logger.flush(30)
    assert (tmp_path / "a.log").read_text() == "outside\n"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_signal_handler_may_log(tmp_path: Path) -> None:
    import signal

    path = tmp_path / "a.log"
    with file_logger(path, async_buffer_size=4096) as logger:
        taken = []
        before = signal.signal(signal.SIGALRM, lambda *_: taken.append(logger.info("handler {} {}", len(taken), [1])))
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        count = 0
        try:
            while len(taken) < 200:
                logger.info("main {} {}", count, [count])
                count += 1
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        assert logger.flush(30)
    lines = path.read_text().splitlines()
    assert [line for line in lines if line.startswith("main")] == [f"main {i} [{i}]" for i in range(count)]
    assert len(lines) == count + len(taken)


def test_another_process_sees_what_was_flushed(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with file_logger(path) as logger:
        logger.info("one")
        assert logger.flush(30)
        fd = os.open(path, os.O_RDONLY)
        try:
            assert os.read(fd, 100) == b"one\n"
        finally:
            os.close(fd)


@pytest.mark.skipif(not hasattr(os, "eventfd"), reason="eventfd is how a write is made to block here")
def test_flush_can_be_interrupted_while_the_flusher_hangs() -> None:
    """Where the file system does not answer, the flusher hangs in a system call with its lock."""
    # A write of eight bytes is added to the counter, and one that would overflow it blocks.
    stuck = os.eventfd(0, os.EFD_CLOEXEC)
    os.eventfd_write(stuck, 2**64 - 2)

    def interrupt(*_: object) -> None:
        raise TimeoutError

    def flush_with_alarm() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        logger.flush()

    logger = Logger(LoggerConfig(auto_sink=False, async_flush_interval=0))
    logger.add_sink(SinkConfig(fd=stuck, format="{message}"))
    logger.info("x" * 7)
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with pytest.raises(TimeoutError):
            flush_with_alarm()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        os.eventfd_read(stuck)
    assert logger.flush(60)
    assert logger.stats().bytes_written == 8
    assert logger.close(60)
    os.close(stuck)


def test_what_bind_returns_has_a_subclasss_own_attributes(tmp_path: Path) -> None:
    class Tagged(Logger):
        tag = "none"

    logger = Tagged(LoggerConfig(auto_sink=False))
    logger.tag = "mine"
    assert logger.bind(user=1).unbind("user").tag == "mine"
    logger.close()
