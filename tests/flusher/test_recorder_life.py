"""The flight recorder beside forks, clocks, threads, names that are given up, and failures of memory."""

from __future__ import annotations

import gc
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from logly import Logger, SinkConfig, _core
from tests.support import ROOT
from tests.support.forks import children_end_well, fork
from tests.support.hooks import await_names, collect_names, has_site, limit_registry, registry_counts
from tests.support.log_files import lines_of, rotated_files
from tests.support.loggers import assert_books
from tests.support.preloads import compiled
from tests.support.programs import environment, run_program
from tests.support.recorders import MARK, await_kept, kept_texts, lines_after_flush, recording_logger
from tests.support.waiting import wait_until


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "app.log"


# ---- forks


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("is_drained", [True, False])
def test_a_child_starts_with_an_empty_recorder(path: Path, is_drained: bool) -> None:
    with recording_logger(path, async_flush_interval=3_600_000) as logger:
        for i in range(10):
            logger.debug("parent {} {}", i, "x" * (300_000 if i == 5 else 1))
        if is_drained:
            await_kept(logger, 10)

        def child() -> None:
            assert_books(logger)
            stats = logger.stats()
            assert (stats.emitted, stats.kept, stats.overwritten) == (0, 0, 0)
            logger.debug("child {}", "y" * 300_000)
            logger.error("child failed")
            assert logger.flush(30)
            assert_books(logger)
            assert logger.stats().written_late == 1
            logger.debug("child, kept")
            assert logger.close(30)

        children_end_well([fork(child)])
        assert path.read_text() == f"{MARK}child {'y' * 300_000}\nchild failed\n"
        await_kept(logger, 10)
        logger.error("parent failed")
        texts = kept_texts(lines_after_flush(logger, path))[1:]
        assert [text.split()[1] for text in texts] == [str(i) for i in range(10)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_in_the_middle_of_a_dump(path: Path) -> None:
    """The parent goes on with it; the child knows nothing of it."""
    reader, writer = os.pipe()
    got: list[str] = []
    with recording_logger(path, stall_timeout=60, recorder_size="8 MiB") as logger:
        logger.add_sink(SinkConfig(fd=writer, format="{message}", buffer_size=4096, level="error"))
        for i in range(8000):
            logger.debug("{} {}", i, "x" * 300)
            if i % 500 == 0:
                logger.flush()
        await_kept(logger, 8000)
        logger.error("failed")
        wait_until(lambda: logger.stats().kept == 0)

        def child() -> None:
            assert logger.stats().emitted == 0
            logger.debug("child")
            assert logger.stats().pending == 1
            os._exit(0)

        children_end_well([fork(child)])

        def read() -> None:
            with os.fdopen(reader) as pipe:
                got.extend(pipe.read().splitlines())

        reading = threading.Thread(target=read)
        reading.start()
        assert logger.flush(60)
        assert_books(logger)
    os.close(writer)
    reading.join(60)
    assert got == [*(f"{MARK}{i} {'x' * 300}" for i in range(8000)), "failed"]


# ---- clocks

CLOCK = """
import ctypes, sys, time
from logly import Logger, LoggerConfig, SinkConfig
path = sys.argv[1]
step_clock = ctypes.CDLL(None).step_clock
step_clock.argtypes = [ctypes.c_longlong]
HOUR = 3600 * 10**9

def step_to(second):
    # Until the flusher has seen it: it looks at the clock twice a second.
    step_clock(int(second * 1e9) - time.time_ns())
    seen = []
    probe = logger.add_sink(SinkConfig(function=lambda record: seen.append(record.time_ns), recorder=False))
    while not seen or abs(seen[-1] - time.time_ns()) > 10**9:
        others.info("tick")
        others.flush()
        logger.info("tick")
        logger.flush()
        time.sleep(0.01)
    logger.remove_sink(probe)

def books():
    s = logger.stats()
    assert s.emitted == s.written + s.dropped + s.failed + s.pending + s.kept + s.overwritten, s

others = Logger(LoggerConfig(auto_sink=False))
others.add_sink(SinkConfig(function=str))
logger = Logger(LoggerConfig(auto_sink=False, level="info", recorder="debug", timezone="utc"))
"""


def run_with_clock(code: str, path: Path) -> None:
    library = compiled(ROOT / "tests" / "support" / "clock.c", path.parent)
    run_program(CLOCK + code, path, env=environment(LD_PRELOAD=str(library)))


def test_a_clock_that_is_stepped_back(path: Path) -> None:
    """Records keep their order and the time of their call; a dump on demand is not waiting for the clock."""
    program = """
logger.add_sink(SinkConfig(path=path, format="{time:HH} {message}"))
day = 1_800_000_000 // 86400 * 86400
step_to(day + 12 * 3600 + 60)
logger.debug("one")
logger.flush()
step_to(day + 9 * 3600 + 60)
logger.debug("two")
assert logger.dump_recorder() == 2
logger.debug("three")
step_to(day + 7 * 3600 + 60)
logger.error("failed")
logger.flush()
books()
logger.close()
"""
    run_with_clock(program, path)
    lines = [line for line in lines_of(path) if "tick" not in line]
    assert lines == [f"12 {MARK}one", f"09 {MARK}two", f"09 {MARK}three", "07 failed"]


@pytest.mark.parametrize("sink", ["", ", filter=lambda record: True", ", async_write=False"])
def test_midnight_between_keeping_and_dumping(path: Path, sink: str) -> None:
    """One rotation, and the dump is in the file of the record that failed."""
    program = f"""
day = 1_800_000_000 // 86400 * 86400
step_to(day + 86340)
logger.add_sink(SinkConfig(path=path, format="{{time:DD HH}} {{message}}", rotation="daily"{sink}))
logger.info("before")
for i in range(3):
    logger.debug("kept {{}}", i)
logger.flush()
step_to(day + 86400 + 3600)
logger.error("failed")
logger.flush()
for i in range(3):
    logger.debug("kept {{}}", i)
    assert logger.dump_recorder() == 1
books()
assert logger.stats().rotations == 1, logger.stats()
logger.close()
"""
    os.environ["TZ"] = "UTC"
    try:
        run_with_clock(program, path)
    finally:
        del os.environ["TZ"]
    [old] = rotated_files(path)
    before = [line for line in lines_of(old) if "tick" not in line]
    after = [line for line in lines_of(path) if "tick" not in line]
    assert [line.split(" ", 2)[2] for line in before] == ["before"]
    kept = [f"{MARK}kept {i}" for i in range(3)]
    assert [line.split(" ", 2)[2] for line in after] == [*kept, "failed", *kept]
    assert {line.split(" ")[1] for line in after[:3]} == {"23"}
    assert {line.split(" ")[1] for line in after[3:]} == {"01"}


@pytest.mark.parametrize("sink", ["", ", filter=lambda record: True"])
def test_midnight_and_a_dump_before_anything_of_the_new_day(path: Path, sink: str) -> None:
    program = f"""
day = 1_800_000_000 // 86400 * 86400
step_to(day + 86340)
logger.add_sink(SinkConfig(path=path, format="{{message}}", rotation="daily", filter_min_level="error"{sink}))
logger.error("before")
logger.debug("kept")
logger.flush()
step_to(day + 86400 + 3600)
logger.error("failed")
logger.flush()
assert logger.stats().rotations == 1, logger.stats()
books()
logger.close()
"""
    os.environ["TZ"] = "UTC"
    try:
        run_with_clock(program, path)
    finally:
        del os.environ["TZ"]
    [old] = rotated_files(path)
    assert lines_of(old) == ["before"]
    assert lines_of(path) == [f"{MARK}kept", "failed"]


# ---- names that only the recorder refers to


def rule(logger: Logger, number: int) -> Any:
    scope = {"logger": logger, "__name__": f"rules{number}"}
    exec(f"def rule{number}(i):\n    logger.debug('rule {number} says {{}}', i, n={number})", scope)
    return scope[f"rule{number}"]


@pytest.mark.skipif(_core.IS_FREE_THREADED, reason="without a GIL no name is given up while its code lives")
def test_names_that_only_kept_records_use(path: Path) -> None:
    """Their numbers are not given to others before the records are gone."""
    layout = "{module}|{function}|{lineno}|{message}|{fields}"
    await_names()
    templates, sites = registry_counts()
    limit_registry(templates + 40, sites + 40)
    try:
        with recording_logger(path, layout=layout) as logger:
            expected = []
            for number in range(300):
                one = rule(logger, number)
                for i in range(2):
                    one(i)
                    expected.append(f"rules{number}|rule{number}|2|{MARK}rule {number} says {i}|n={number}")
                del one
                gc.collect()
                collect_names()
            await_kept(logger, 600)
            for i in range(3):
                logger.info("another {}", i)
                gc.collect()
                collect_names()
            logger.error("failed")
            lines = [line for line in lines_after_flush(logger, path) if MARK in line]
            assert lines == expected
            wait_until(collect_names, "the names are given back when the recorder is empty")
            assert registry_counts()[1] <= sites + 45
    finally:
        limit_registry()


@pytest.mark.skipif(_core.IS_FREE_THREADED, reason="without a GIL no name is given up while its code lives")
def test_names_are_given_back_when_the_records_are_overwritten(path: Path) -> None:
    await_names()
    with recording_logger(path, recorder_size=4096, layout="{module} {message}") as logger:
        one = rule(logger, 1)
        for i in range(3):  # because much code may have ended in this process
            one(i)
        assert has_site(one.__code__)
        del one
        gc.collect()
        await_kept(logger, 3)
        assert not collect_names()
        for i in range(1000):
            logger.debug("others {}", i)
        assert logger.flush(60)
        wait_until(collect_names, "the names")
        logger.error("failed")
        assert_books(logger)
