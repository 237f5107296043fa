"""A process with many loggers: all are found at its exit and at a fork, and it is told of many threads, once."""

import os
import sys
import threading
from pathlib import Path

import pytest

from logly.control import process
from tests.support.loggers import make_logger
from tests.support.programs import run_program


def test_the_loggers_can_be_listed_while_threads_make_others() -> None:
    kept = [make_logger() for _ in range(100)]
    is_over = threading.Event()

    def make() -> None:
        while not is_over.is_set():
            make_logger()

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    threads = [threading.Thread(target=make) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(300):
            found = set(map(id, process.controllers()))
            assert found.issuperset(id(logger._controller) for logger in kept)
    finally:
        is_over.set()
        sys.setswitchinterval(before)
        for thread in threads:
            thread.join()
    for logger in kept:
        logger.close()


# ---- more threads than a program should have

PRELUDE = """
import os, sys
from pathlib import Path
from logly import Logger, LoggerConfig, SinkConfig
from tests.support.waiting import wait_until

told = []

def at_work(name, **config):
    logger = Logger(LoggerConfig(auto_sink=False, async_flush_interval=1, **config), name=name)
    logger.add_sink(SinkConfig(path=Path(sys.argv[1]) / f"{name}.log", format="{message}"))
    logger.info("line")
    assert logger.flush(30)
    return logger

def telling(name, **config):
    return at_work(name, on_error=lambda error: told.append((name, str(error))), **config)
"""
TEXT = (
    "9 loggers are at work in this process, each with a thread and a ring of its own: for a logger in each module use "
    "logly.get_logger(name) or logger.named(name), which share one thread (told once)"
)


def test_the_ninth_logger_at_work_is_told_and_no_other(tmp_path: Path) -> None:
    code = f"""
loggers = [telling(str(number)) for number in range(8)]
assert told == []
for number in range(8, 20):
    loggers.append(telling(str(number)))
for logger in loggers:
    logger.close()
assert told == [("8", {TEXT!r})], told
"""
    run_program(PRELUDE + code, tmp_path)


def test_without_on_error_it_is_a_line_on_stderr(tmp_path: Path) -> None:
    done = run_program(
        PRELUDE + "loggers = [at_work(f'app{number}') for number in range(20)]", tmp_path, may_complain=True
    )
    assert done.stderr == f"logly (app8): Advice: {TEXT}\n"


def test_only_loggers_with_a_thread_count(tmp_path: Path) -> None:
    code = """
first = telling("first")
children = [first.bind(number=number) for number in range(20)]
for child in children:
    child.info("line")
for number in range(20):
    telling("closed").close()
quiet = [Logger(LoggerConfig(auto_sink=False), name="quiet") for _ in range(20)]
dropped = [telling("dropped") for _ in range(7)]
assert told == [], told
del dropped
rest = [telling("rest") for _ in range(7)]
rest.append(telling("ninth"))
for logger in rest:
    logger.close()
assert [name for name, _ in told] == ["ninth"], told
"""
    run_program(PRELUDE + code, tmp_path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("count", [8, 9])
def test_a_forked_child_is_not_told_again(count: int, tmp_path: Path) -> None:
    code = f"""
loggers = [telling(str(number)) for number in range({count})]
wait_until(lambda: len(told) == {count} - 8, "the telling")
pid = os.fork()
for number, logger in enumerate(loggers):
    logger.info("line")
    assert logger.flush(30)
loggers.append(telling("last"))
loggers.append(telling("one more"))
for logger in loggers:
    logger.close()
assert len(told) == 1, told
if pid:
    assert os.waitpid(pid, 0)[1] == 0
else:
    os._exit(0)
"""
    run_program(PRELUDE + code, tmp_path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_what_writes_a_dead_processs_records_does_not_count(tmp_path: Path) -> None:
    """It is at work while the eighth logger starts its thread."""
    code = """
spool = Path(sys.argv[1]) / "app.spool"
if os.fork() == 0:
    logger = Logger(LoggerConfig(auto_sink=False, spool=spool, async_flush_interval=60_000))
    logger.add_sink(SinkConfig(path=Path(sys.argv[1]) / "spooled.log", format="{message}"))
    logger.info("left")
    os._exit(0)
os.wait()
from logly.control import process, recovery

loggers = [telling(str(number)) for number in range(7)]
spool_adopt = recovery.spool_adopt
seen = []

def adopt(core, *arguments):
    [found] = [one for one in process.controllers() if one.is_recovery]
    assert found.core is core
    count = spool_adopt(core, *arguments)
    found.flusher.start()
    assert found.flusher.is_running
    loggers.append(telling("another"))
    loggers.pop(0).close()  # the logger that recovers has not started its thread
    seen.append(found.name)
    return count

recovery.spool_adopt = adopt
logger = Logger(LoggerConfig(auto_sink=False, spool=spool, on_error=told.append), name="recovers")
logger.add_sink(SinkConfig(path=Path(sys.argv[1]) / "spooled.log", format="{message}"))
logger.info("new")
assert logger.flush(30)
logger.close()
assert seen == ["recovery"], seen
for one in loggers:
    one.close()
assert told == [], told
"""
    run_program(PRELUDE + code, tmp_path)
    assert (tmp_path / "spooled.log").read_text() == "left\nnew\n"
