"""Templates of `logging` as names of records: when they get a number and lose it, in spools, and in children."""

from __future__ import annotations

import logging
import os
import struct
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from logly import Logger, LoggerConfig, SinkConfig, StdlibHandler, _core
from tests.support.forks import children_end_well, fork
from tests.support.hooks import alias_counts, await_names, collect_names, has_template, limit_registry, registry_counts
from tests.support.percent import Made, made
from tests.support.spooling import RING, dies, poke, revive, run_recover, spools
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["made"]

with_gil = pytest.mark.skipif(_core.IS_FREE_THREADED, reason="without a GIL no name is given up while its code lives")
with_spools = pytest.mark.skipif(sys.platform == "win32", reason="no spools on Windows")


class Bridge:
    def __init__(self, folder: Path, **config: Any) -> None:
        self.path = folder / "bridge.log"
        self.logger = Logger(LoggerConfig(auto_sink=False, **config))
        self.logger.add_sink(SinkConfig(path=self.path, format="{message}"))
        self.handler = StdlibHandler(self.logger)

    def log(self, template: str, *values: object) -> None:
        self.handler.handle(logging.LogRecord("n", logging.INFO, "/f.py", 1, template, values, None))

    def lines(self) -> list[str]:
        assert self.logger.flush(PATIENCE_S)
        return self.path.read_text().splitlines()


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[Bridge]:
    one = Bridge(tmp_path)
    yield one
    one.logger.close()


def fresh(text: str) -> str:
    """A str of its own."""
    return "".join([text[:1], text[1:]])


# ---- what gets a number


def test_a_template_gets_a_number_when_the_same_str_comes_again(bridge: Bridge, made: Made) -> None:
    template = fresh("a template of this test %s")
    bridge.log(template, 1)
    assert not has_template(template, percent=True)
    bridge.log(template, 2)
    assert has_template(template, percent=True)
    assert not has_template(template)
    bridge.log(fresh(template), 3)
    assert made.take() == [False, True, True]
    assert bridge.lines() == [f"a template of this test {i}" for i in (1, 2, 3)]


def test_texts_that_the_program_makes_take_no_number(bridge: Bridge) -> None:
    for i in range(5):
        bridge.log("warmed up %s", i)
    before = registry_counts()[0], alias_counts()[0]
    for i in range(9000):
        bridge.log(f"user {i} did %s", i)
    assert (registry_counts()[0], alias_counts()[0]) == before
    assert bridge.lines()[5:] == [f"user {i} did {i}" for i in range(9000)]


@pytest.mark.parametrize("count", [2, 64, 500])
def test_many_templates_in_turn_all_get_a_number(bridge: Bridge, made: Made, count: int) -> None:
    templates = [fresh(f"{count} in turn, number {i} %d") for i in range(count)]
    for round_ in range(4):
        for template in templates:
            bridge.log(template, round_)
    assert made.take()[-count:].count(True) >= 0.95 * count
    assert bridge.lines() == [text % i for i in range(4) for text in templates]


def test_one_str_as_a_template_of_both_styles(bridge: Bridge, made: Made) -> None:
    template = fresh("both %s and {}")
    for i in range(4):
        bridge.log(template, i)
        bridge.logger.info(template, i)
    assert has_template(template)
    assert has_template(template, percent=True)
    assert made.take()[-2:] == [True, True]
    expected = [text for i in range(4) for text in (f"both {i} and {{}}", f"both %s and {i}")]
    assert bridge.lines() == expected


# ---- what goes


@with_gil
@pytest.mark.parametrize("styles", ["percent", "both"])
def test_a_template_that_the_program_lets_go_is_let_go(bridge: Bridge, styles: str) -> None:
    def log_made(i: int) -> None:
        template = fresh(f"{styles} let go {i} %s {{}}")
        for j in (1, 2):
            bridge.log(template, j)
            if styles == "both":
                bridge.logger.info(template, j)

    log_made(0)
    before, aliases = registry_counts()[0], alias_counts()[0]
    for i in range(1, 1900):  # fewer than half the table takes, from where on all that is not used goes
        log_made(i)
    count = 2 if styles == "both" else 1
    assert alias_counts()[0] < aliases + 1000
    assert registry_counts()[0] < before + 1425 * count
    lines = bridge.lines()
    assert len(lines) == 3800 * count
    assert lines[-1] == ("both let go 1899 %s 2" if styles == "both" else "percent let go 1899 2 {}")


@with_gil
def test_numbers_are_used_again_and_no_line_shows_another_template(bridge: Bridge) -> None:
    await_names()
    limit_registry(templates=registry_counts()[0] + 50)
    try:
        templates = [fresh(f"turnover {i} %s") for i in range(400)]
        for round_ in range(40):
            for i in range(10):
                for template in templates[(10 * round_ + i) % 400 :: 97]:
                    bridge.log(template, round_)
                    bridge.log(template, -round_)
                    bridge.logger.info("{} of logly's", round_)
    finally:
        limit_registry()
    expected = []
    for round_ in range(40):
        for i in range(10):
            for template in templates[(10 * round_ + i) % 400 :: 97]:
                expected += [template % round_, template % -round_, f"{round_} of logly's"]
    assert bridge.lines() == expected


@with_gil
def test_a_template_is_pinned_while_its_record_is_made(bridge: Bridge) -> None:
    """An exception's `__str__` fills the table, and so gives up every template that is not in use."""
    await_names()
    template = fresh("pinned %s")
    bridge.log(template, 0)
    bridge.log(template, 0)
    others: list[str] = []

    class Greedy(Exception):
        def __str__(self) -> str:
            end = time.monotonic() + 1
            while time.monotonic() < end and has_template(template, percent=True):
                others.extend(fresh(f"greedy {len(others) + i} %s") for i in range(40))
                for other in others[-40:]:
                    bridge.log(other, 1)
                    bridge.log(other, 1)
                assert bridge.logger.flush(PATIENCE_S)
                collect_names()
            return "greedy"

    limit_registry(templates=registry_counts()[0] + 20)
    try:
        bridge.handler.handle(logging.LogRecord("n", 20, "/f.py", 1, template, (1,), (Greedy, Greedy(), None)))
        assert has_template(template, percent=True)
    finally:
        limit_registry()
    lines = bridge.lines()
    assert [line for line in lines if line.startswith("pinned")] == ["pinned 0", "pinned 0", "pinned 1"]
    assert [line for line in lines if line.startswith("greedy")][: 2 * len(others) : 2] == [text % 1 for text in others]


# ---- children and threads


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_child_goes_on_with_the_templates_of_its_parent(bridge: Bridge) -> None:
    template, late = fresh("in parent and child %s %.1f"), fresh("in the child alone %d")
    bridge.log(template, "p", 1)
    bridge.log(template, "p", 2)

    def child() -> None:
        for i in range(3):
            bridge.log(template, "c", i)
            bridge.log(late, i)
        assert bridge.logger.flush(PATIENCE_S)

    children_end_well([fork(child)])
    bridge.log(template, "p", 3)
    expected = [*(f"in parent and child c {i}.0" for i in range(3)), *(f"in the child alone {i}" for i in range(3))]
    expected += [f"in parent and child p {i}.0" for i in (1, 2, 3)]
    assert sorted(bridge.lines()) == sorted(expected)


def test_threads_that_log_the_same_templates(bridge: Bridge) -> None:
    templates = [fresh(f"of threads {i} %s %d") for i in range(40)]

    def work(name: str) -> None:
        for i in range(1000):
            bridge.log(templates[i % 40], name, i)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    lines = bridge.lines()
    for name in "abcd":
        own = [line for line in lines if line.split()[3] == name]
        assert own == [templates[i % 40] % (name, i) for i in range(1000)]


# ---- spools

TEMPLATE, ARGS = 5, 7  # in the header of a record

BOTH = """
import logging
from logly import StdlibHandler
handler = StdlibHandler(logger)
def log(template, *values):
    handler.handle(logging.LogRecord("n", 20, "/f.py", 1, template, values, None))
"""
SOME = """
for i in range(4):
    log("order %s filled at %.2f", i, i / 3)
    log("same text %s {}", i)
    logger.info("same text %s {}", i)
    log("\\ud800 %5.1s|%-4d|%%", "\\ud801é", i)
"""


def some_lines() -> list[str]:
    lines = []
    for i in range(4):
        lines += [f"order {i} filled at {i / 3:.2f}", f"same text {i} {{}}", f"same text %s {i}"]
        lines += [f"\\ud800 {'':4}\\ud801|{i:<4}|%"]
    return lines


@with_spools
@pytest.mark.parametrize("end", ["os._exit(1)", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_a_dead_process_leaves_its_templates(tmp_path: Path, end: str) -> None:
    dies(tmp_path, BOTH + SOME, end)
    assert revive(tmp_path, layout="{message}") == []
    assert (tmp_path / "app.log").read_text().splitlines() == some_lines()


@with_spools
def test_recover_shows_them(tmp_path: Path) -> None:
    dies(tmp_path, BOTH + SOME)
    done = run_recover(tmp_path / spools(tmp_path)[0], "--format", "{message}")
    assert done.stdout.splitlines() == some_lines()


@with_spools
def test_templates_from_before_the_spool(tmp_path: Path) -> None:
    program = """
import logging
from logly import StdlibHandler
early = Logger(LoggerConfig(auto_sink=False, async_flush_interval=3_600_000, flush_level=None))
handler = StdlibHandler(early)
template = "early %s"
def log(value):
    handler.handle(logging.LogRecord("n", 20, "/f.py", 1, template, (value,), None))
for i in range(3):
    log(i)
config = early.config
config.spool = folder / "app.spool2"
early.configure(config)
early.add_sink(SinkConfig(path=folder / "early.log", format="{message}", buffer_size=1 << 26))
log(3)
"""
    dies(tmp_path, program)
    (path,) = tmp_path.glob("app.spool2.*")
    done = run_recover(path, "--format", "{message}")
    assert done.stdout.splitlines()[-1] == "early 3"


@with_spools
def test_a_record_that_names_a_template_of_fewer_arguments_is_damaged(tmp_path: Path) -> None:
    program = """
for i in range(2):
    log("one %s", i)
    log("two %s %s", i, i)
"""
    dies(tmp_path, BOTH + program)
    path = tmp_path / spools(tmp_path)[0]
    ring = path.read_bytes()[RING : RING + 4096]
    found: dict[int, int] = {}
    at = 0
    while (header := struct.unpack_from("<IBBHQIIHHhH", ring, at))[0]:
        if header[TEMPLATE]:
            found[header[ARGS]] = at
        at += header[0]
    sound = run_recover(path, "--format", "{message}")
    assert sound.stdout.splitlines() == ["one 0", "two 0 0", "one 1", "two 1 1"]
    poke(path, RING + found[2] + 16, ring[found[1] + 16 : found[1] + 20])
    damaged = run_recover(path, "--format", "{message}", returncode=None)
    assert damaged.returncode != 0
    assert "damaged" in damaged.stderr
