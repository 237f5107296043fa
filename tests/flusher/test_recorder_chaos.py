"""The flight recorder when memory fails, when its blocks are many, and when everything happens at once."""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from logly import Logger, LoggerConfig, SinkConfig
from tests.support import ROOT
from tests.support.loggers import assert_books
from tests.support.preloads import compiled
from tests.support.programs import environment, run_program
from tests.support.recorders import recording_logger


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "app.log"


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_blocks_of_large_records_are_freed(path: Path) -> None:
    """Those that are overwritten, dumped, refused, moved, and dropped: 12 GB of them."""
    with recording_logger(path, recorder_size="4 MiB", sink={"filter_module": "nothing"}) as logger:
        text = "x" * 1_000_000
        sizes = []
        for i in range(1500):
            for _ in range(4):
                logger.debug("{}", text)
            logger.flush()
            if i % 10 == 0:
                logger.debug("too large {}", text * 6)
                logger.error("failed")
            if i % 70 == 0:
                logger.configure(recorder_size="8 MiB" if i % 140 else "2 MiB")
            if i % 200 == 0:
                logger.configure(recorder=None)
                logger.configure(recorder="debug")
            if i > 300:
                sizes.append(resident_bytes())
        assert_books(logger)
        assert max(sizes) - min(sizes) < 100_000_000
        assert logger.stats().overwritten > 1000


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="CPython itself crashes where some allocations fail")
@pytest.mark.parametrize("how", ["python", "malloc"])
def test_whichever_allocation_fails(tmp_path: Path, how: str) -> None:
    """At a call, a dump, or a change of settings: the books balance, and the next dump works."""
    pytest.importorskip("tests.probe.interrupts", reason="built with LOGLY_BUILD=probe only")
    program = """
import ctypes, sys
from logly import Logger, LoggerConfig, SinkConfig
from tests.probe.interrupts import remove_mem_hooks, set_nomemory
path, how = sys.argv[1:]
if how == "malloc":
    library = ctypes.CDLL(None)
    set_nomemory, remove_mem_hooks = library.fail_allocations, library.fail_no_allocation
told = []
logger = Logger(LoggerConfig(auto_sink=False, level="info", recorder="debug", on_error=told.append,
                             recorder_field="id"))
logger.add_sink(SinkConfig(path=path, format="{message} {fields}"))
logger.add_sink(SinkConfig(path=path + "2", json=True, filter=lambda record: True))
logger.add_sink(SinkConfig(function=lambda record: record.message))

def books(where):
    s = logger.stats()
    assert s.emitted == s.written + s.dropped + s.failed + s.pending + s.kept + s.overwritten, (where, s)
    assert min(s) >= 0, (where, s)

class Shown:
    def __repr__(self): return "shown"

def large():
    logger.debug("large {}", "x" * 400_000)
def small():
    logger.debug("small {}", [Shown()], a={"b": 1})
def dump():
    logger.debug("for the dump", id=[1])
    logger.dump_recorder("a reason")
def trigger():
    logger.debug("one", id=3)
    logger.error("failed", id=3)
def settings():
    logger.configure(recorder_size=8192 if n % 2 else "1 MiB", recorder_field="id" if n % 3 else None, recorder="debug")
def off():
    logger.configure(recorder=None)

# It is small: where an exception is caught far into a function, CPython 3.11 needs memory, and tries for ever.
def attempt():
    set_nomemory(n, n + width)
    try:
        act()
    except MemoryError:
        remove_mem_hooks()
        return True
    remove_mem_hooks()
    return False

raised = 0
for act in (small, large, trigger, dump, settings, off):
    for n in range(60):
        for width in (1, 12):
            logger.configure(recorder="debug")
            logger.debug("before")
            assert logger.flush(30)
            raised += attempt()
            books((act.__name__, n))
            assert logger.flush(30)
            books((act.__name__, n))
            assert logger.is_enabled_for("debug") == (logger.explain("debug").startswith("DEBUG: kept"))
            logger.configure(recorder="debug", recorder_field=None)
            logger.debug("after {}", n)
            kept = logger.flush(30) and logger.stats().kept
            assert kept >= 1
            assert logger.dump_recorder() == kept, (act.__name__, n, logger.stats())
            books((act.__name__, n))
assert raised
logger.close()
assert logger.stats().pending == 0
"""
    env = environment()
    if how == "malloc":
        env["LD_PRELOAD"] = str(compiled(ROOT / "tests" / "support" / "nomemory.c", tmp_path))
    run_program(
        program, tmp_path / "app.log", how, may_complain=True, env={**env, "PYTHONMALLOC": "debug"}, timeout=200
    )


# ---- everything at once


class Chaos:
    """Random work with a logger by several threads, whose books must balance all the time."""

    def __init__(self, folder: Path, seed: int, **config: Any) -> None:
        self.folder = folder
        self.chance = random.Random(seed)
        self.is_over = threading.Event()
        self.readers: list[int] = []
        self.writers: list[int] = []
        self.logger = Logger(
            LoggerConfig(
                auto_sink=False, level="info", recorder="debug", recorder_size=1 << self.chance.randrange(12, 20),
                async_buffer_size=1 << self.chance.randrange(12, 18), stall_timeout=0.05, on_error=lambda error: None,
                overflow=self.chance.choice(["block", "drop"]), **config,
            )
        )  # fmt: skip
        self.logger.add_sink(SinkConfig(path=folder / "app.log", format="{message} {fields}"))

    def log(self, chance: random.Random) -> None:
        for _ in range(chance.randrange(1, 200)):
            level = chance.choices(["debug", "info", "warning", "error"], [200, 20, 5, 1])[0]
            self.logger.log(
                level,
                "{} {}",
                level,
                "x" * int(10 ** chance.uniform(0, chance.choice([2, 2, 2, 5]))),
                id=chance.randrange(3),
            )

    def act(self, chance: random.Random) -> None:
        logger = self.logger
        sinks = logger.list_sinks()
        number = chance.randrange(12)
        if number == 0:
            logger.dump_recorder(chance.choice([None, "chaos"]))
        elif number == 1:
            logger.configure(recorder_size=1 << chance.randrange(12, 21))
        elif number == 2:
            logger.configure(recorder=chance.choice([None, "debug", "trace", "warning"]))
        elif number == 3:
            logger.configure(recorder_field=chance.choice([None, "id", "other"]))
        elif number == 4:
            logger.configure(recorder_trigger=chance.choice([None, "error", "warning", "debug"]))
        elif number == 5:
            logger.set_level(chance.choice(["info", "debug", "error", "info,tests=off"]))
        elif number == 6:
            with logger.at_level(chance.choice(["debug", "off"])):
                self.log(chance)
        elif number == 7 and len(sinks) < 5:
            self.add_sink(chance)
        elif number == 8 and len(sinks) > 1:
            logger.remove_sink(chance.choice(sinks[1:]))
        elif number == 9 and sinks:
            sink = chance.choice(sinks)
            logger.disable_sink(sink)
            self.log(chance)
            logger.enable_sink(sink)
        elif number == 10:
            logger.configure(async_buffer_size=1 << chance.randrange(12, 18))
        else:
            logger.flush(chance.random() / 10)

    def add_sink(self, chance: random.Random) -> None:
        kind = chance.randrange(5)
        config: dict[str, Any] = {"buffer_size": 1 << chance.randrange(12, 17), "recorder": chance.random() < 0.8}
        if kind == 0:
            config["function"] = lambda record: time.sleep(0.0001)
        elif kind == 1:
            reader, config["fd"] = os.pipe()
            self.readers.append(reader)
            self.writers.append(config["fd"])
        elif kind == 2:
            config.update(
                path=self.folder / f"filtered{chance.random()}", filter=lambda record: record.level_number != 20
            )
        elif kind == 3:
            config.update(path=self.folder / f"sync{chance.random()}", async_write=False, json=True)
        else:
            config.update(path=self.folder / f"sized{chance.random()}", size_limit=20_000, retention=2, level="warning")
        self.logger.add_sink(SinkConfig(**config))

    def watch(self) -> None:
        late = written = overwritten = 0
        while not self.is_over.is_set():
            assert_books(self.logger)
            stats = self.logger.stats()
            assert stats.written >= written, (written, stats)
            assert stats.written_late >= late, (late, stats)
            assert stats.overwritten >= overwritten, (overwritten, stats)
            late, written, overwritten = stats.written_late, stats.written, stats.overwritten
            for sink in self.logger.list_sinks():
                try:
                    counts = self.logger.sink_stats(sink)
                except Exception:  # noqa: BLE001  # it has just been removed
                    continue
                assert min(counts.written, counts.failed, counts.pending, counts.refused) >= 0, counts

    def run(self, seconds: float) -> None:
        errors: list[BaseException] = []
        seeds = [self.chance.random() for _ in range(4)]
        deadline = time.monotonic() + seconds

        def guarded(work: Any) -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001  # raised again below
                errors.append(error)

        def work(seed: float, *, acts: bool) -> None:
            chance = random.Random(seed)
            while time.monotonic() < deadline and not errors:
                self.log(chance)
                if acts and chance.random() < 0.3:
                    self.act(chance)

        workers = [
            threading.Thread(target=guarded, args=(lambda i=i, seed=seed: work(seed, acts=i < 2),))
            for i, seed in enumerate(seeds)
        ]
        watcher = threading.Thread(target=guarded, args=(self.watch,))
        for thread in (watcher, *workers):
            thread.start()
        for thread in workers:
            thread.join(seconds + 60)
            assert not thread.is_alive(), "a thread hangs"
        self.is_over.set()
        watcher.join(60)
        if errors:
            raise errors[0]

    def end(self) -> None:
        for sink in self.logger.list_sinks():
            self.logger.remove_sink(sink)
        self.logger.flush(60)
        assert_books(self.logger)
        assert self.logger.stats().pending == 0, self.logger.stats()
        self.logger.close(30)
        for descriptor in (*self.readers, *self.writers):
            os.close(descriptor)


@pytest.mark.parametrize("seed", range(6))
def test_the_books_balance_in_chaos(tmp_path: Path, seed: int) -> None:
    chaos = Chaos(tmp_path, seed)
    chaos.run(1.5)
    chaos.end()


@pytest.mark.skipif(sys.platform == "win32", reason="no spools on Windows")
@pytest.mark.parametrize("seed", range(100, 104))
def test_the_books_balance_in_chaos_with_a_spool(tmp_path: Path, seed: int) -> None:
    chaos = Chaos(tmp_path, seed, spool=tmp_path / "app.spool")
    chaos.run(1.5)
    chaos.end()
    assert not list(tmp_path.glob("app.spool*"))
