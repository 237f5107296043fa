"""Allocations of the core fail: no record goes to a sink that does not want it, and each missing one has failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support import ROOT
from tests.support.preloads import compiled
from tests.support.programs import environment, run_program

if TYPE_CHECKING:
    from pathlib import Path

WITHOUT_MEMORY = """
import ctypes, os, random, sys
from logly import Logger, LoggerConfig, SinkConfig
from logly._core import LevelRules, emit_from

library = ctypes.CDLL(None)
NAMES = [f"m{i}" for i in range(300)]
source = "def log(logger, level, text):\\n    logger.log(level, text)\\n"

def emitter(name):
    scope = {"__name__": name}
    exec(source, scope)
    return scope["log"]

emitters = {name: emitter(name) for name in NAMES}
choose = random.Random(5)
failures = 0
for start in range(0, 40, 2):
    for width in (1, 1000):
        config = LoggerConfig(level=0, auto_sink=False, async_flush_interval=10_000, on_error=lambda error: None)
        logger = Logger(config)
        fds = [os.memfd_create("x") for _ in range(20)]
        wanted = [{name: choose.choice([0, 10, 30, 2**31 - 1]) for name in choose.sample(NAMES, 100)} for _ in fds]
        sinks = [logger.add_sink(SinkConfig(fd=fd, format="{message} {module}")) for fd in fds]
        handles = [logger._controller.sinks[sink].handle for sink in sinks]
        for handle, levels in zip(handles, wanted):
            handle.set_rules(LevelRules(20, levels))
        expected = [[] for _ in fds]
        logger.log(50, "warm")
        assert logger.flush(30)
        for i in range(3):
            for name, emit in emitters.items():
                level = choose.choice([5, 20, 40])
                if i == 2:
                    emit_from(logger, level, f"{level} {name}", {}, None, (name, "f", "p", 3))
                else:
                    emit(logger, level, f"{level} {name}")
                for lines, levels in zip(expected, wanted):
                    if level >= levels.get(name, 20):
                        lines.append(f"{level} {name} {name}")
        library.fail_allocations(start, start + width)
        logger.flush(0.2)
        library.fail_no_allocation()
        assert logger.flush(30)
        stats = logger.stats()
        assert stats.emitted == stats.written + stats.failed and stats.pending == 0, stats
        failures += stats.failed
        for fd, lines, sink in zip(fds, expected, sinks):
            held = os.pread(fd, 1 << 24, 0).decode().split("\\n")[:-1]
            held = [line for line in held if not line.startswith(("50 ", "warm", "logly:", "?")) and "lost" not in line]
            counts = logger.sink_stats(sink)
            # Nothing is in a file that does not belong there, and what is missing has failed.
            at = iter(lines)
            assert all(line in at for line in held), (start, width)
            assert len(held) + counts.failed == len(lines), (start, width, counts, len(held), len(lines))
            assert counts.refused == 900 - len(lines), counts
        # A change that finds no memory is not made.
        again = LevelRules(0, {})
        handles[0].set_rules(again)
        logger.log(50, "x")
        assert logger.flush(30)  # so that the flusher, which may need memory too, sleeps
        library.fail_allocations(0, 100)
        try:
            handles[0].set_rules(again)
        except MemoryError:
            pass
        else:
            raise AssertionError("it needs memory")
        finally:
            library.fail_no_allocation()
        logger.close(30)
        for fd in fds:
            os.close(fd)
print(failures)
"""


def test_without_memory_no_record_goes_the_wrong_way(tmp_path: Path) -> None:
    library = compiled(ROOT / "tests" / "support" / "nomemory.c", tmp_path)
    run_program(WITHOUT_MEMORY, env=environment(LD_PRELOAD=str(library)), timeout=240)


def test_a_change_that_is_prepared_needs_no_memory(tmp_path: Path) -> None:
    program = """
import ctypes, os
from logly import Logger, LoggerConfig, SinkConfig
from logly._core import LevelRules
library = ctypes.CDLL(None)
logger = Logger(LoggerConfig(level=0, auto_sink=False, async_flush_interval=10_000))
fd = os.memfd_create("x")
sink = logger.add_sink(SinkConfig(fd=fd, format="{message}"))
handle, core = logger._controller.sinks[sink].handle, logger._controller.core
logger.info("-5")
assert logger.flush(30)  # from here on the flusher sleeps
for level in range(0, 50, 5):
    one, two = LevelRules(level, {"a": 1}), LevelRules(0, {})
    logger.info(str(level))
    library.fail_allocations(0, 1000)
    handle.set_rules(one)
    core.set_rules(two)
    library.fail_no_allocation()
logger.info("last")
assert logger.flush(30)
assert os.pread(fd, 1000, 0).decode().split() == ["-5", "0", "5", "10", "15", "20", "25"], os.pread(fd, 1000, 0)
"""
    library = compiled(ROOT / "tests" / "support" / "nomemory.c", tmp_path)
    run_program(program, env=environment(LD_PRELOAD=str(library)), timeout=60)


def test_without_memory_no_sink_is_added_and_the_next_one_is(tmp_path: Path) -> None:
    program = """
import ctypes, os
from logly import Logger, LoggerConfig, SinkConfig
library = ctypes.CDLL(None)
logger = Logger(LoggerConfig(level=0, auto_sink=False, on_error=lambda error: None))
expected = {}
for i in range(90):
    fd = os.memfd_create("x")
    assert logger.flush(30)  # the flusher has nothing to do while allocations fail
    library.fail_allocations(i % 30, i % 30 + 1)
    try:
        logger.add_sink(SinkConfig(fd=fd, format="{message}"))
        expected[fd] = []
    except MemoryError:
        pass
    library.fail_no_allocation()
    logger.info(f"{i}")
    for lines in expected.values():
        lines.append(f"{i}")
    assert len(logger.list_sinks()) == len(expected)
assert logger.flush(30)
assert 0 < len(expected) < 90, len(expected)
for fd, lines in expected.items():
    assert os.pread(fd, 10000, 0).decode().split() == lines
"""
    library = compiled(ROOT / "tests" / "support" / "nomemory.c", tmp_path)
    run_program(program, env=environment(LD_PRELOAD=str(library)), timeout=60)
