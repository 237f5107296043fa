"""Ctrl-C at every instant of every public call: the logger is whole afterwards, and nothing stays open.

`interrupts.py` has the calls, and what must hold after each cut. Half a change is visible as a sink that the core feeds
and Python does not know (its flusher never rests, `flush` never returns), as settings of which one half holds, or as a
descriptor that nobody closes any more.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from logly import Logger, LoggerConfig, SinkConfig
from logly.control import plan
from tests.support.programs import run_module, run_program

pytest.importorskip("tests.probe.interrupts", reason="the probes are not built: LOGLY_BUILD=probe")
if sys.platform != "linux":
    pytest.skip("looks into /proc", allow_module_level=True)

from tests.support import interrupts

CALLS = sorted(interrupts.CALLS)
SLOW = {"make_and_recover": 11, "from_dict": 3}
"""Many instants, or long calls: every so-manieth is enough here; all of them are cut in the nightly test."""


def run(*arguments: object) -> int:
    """Runs the program, which must succeed; returns the number that it says."""
    return int(run_module("tests.support.interrupts", *arguments, timeout=None, may_complain=True).stdout)


@pytest.mark.parametrize("call", CALLS)
def test_a_call_that_is_interrupted_at_any_instant_leaves_a_whole_logger(tmp_path: Path, call: str) -> None:
    assert run(call, "once", tmp_path / "cut", 1, SLOW.get(call, 1)) > 0


@pytest.mark.parametrize("call", CALLS)
def test_so_does_one_whose_cleanup_is_interrupted_as_well(tmp_path: Path, call: str) -> None:
    """Ctrl-C again and again: no cleanup that is written in Python comes far. At every seventh instant."""
    first = 1 + CALLS.index(call) % 7
    run(call, "hammered", tmp_path / "cut", first, 7 * SLOW.get(call, 1))


@pytest.mark.nightly
@pytest.mark.timeout(0)
@pytest.mark.parametrize("how", ["once", "hammered"])
@pytest.mark.parametrize("call", CALLS)
def test_so_does_each_at_each_instant(tmp_path: Path, call: str, how: str) -> None:
    assert run(call, how, tmp_path / "cut") > 0


def test_a_storm_of_interrupts_leaves_nothing_open(tmp_path: Path) -> None:
    assert run("storm", tmp_path / "cut", 300, 1) > 20


@pytest.mark.nightly
@pytest.mark.timeout(0)
@pytest.mark.parametrize("seed", range(4))
def test_a_long_storm_of_interrupts_leaves_nothing_open(tmp_path: Path, seed: int) -> None:
    assert run("storm", tmp_path / "cut", 10_000, seed) > 1000


def test_a_step_of_a_change_is_never_a_function_of_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[object] = []

    def commit(core: object, seen: int, first: list[Any], undo: list[Any], last: list[Any]) -> bool:
        steps.extend(getattr(step, "func", step) for step, _ in [*first, *undo, *last])
        return real(core, seen, first, undo, last)

    real = plan.commit
    monkeypatch.setattr(plan, "commit", commit)
    logger = Logger(LoggerConfig(auto_sink=False))
    sink = logger.add_sink(SinkConfig(path=tmp_path / "app.log"))
    logger.disable_sink(sink)
    logger.enable_sink(sink)
    logger.add_level("AUDIT", 35, "red")
    logger.configure(LoggerConfig(level="WARNING"))
    logger.remove_sink(sink)
    logger.disable()
    logger.close()
    assert len(steps) > 50
    assert {type(step) for step in steps} == {type(setattr)}


sweeps = pytest.mark.skipif(
    sys.version_info >= (3, 12),
    reason="CPython itself crashes where some allocations fail: of functions (3.12.1), of thread-local data (3.13.0)",
)
MEMORY = [call for call in CALLS if call != "contextualize"]  # to leave a context takes memory


@sweeps
@pytest.mark.parametrize("call", MEMORY)
def test_a_call_that_finds_no_memory_at_any_point_leaves_a_whole_logger(tmp_path: Path, call: str) -> None:
    run(call, "memory", tmp_path / "cut", 1, 3)


@sweeps
@pytest.mark.nightly
@pytest.mark.timeout(0)
@pytest.mark.parametrize("call", MEMORY)
def test_so_does_each_at_each_allocation(tmp_path: Path, call: str) -> None:
    assert run(call, "memory", tmp_path / "cut") > 0


def test_threads_may_start_and_end_while_allocations_are_made_to_fail() -> None:
    """A thread frees memory without the GIL, so the hooks of the allocators may come and go meanwhile."""
    program = """
import _thread
from tests.probe.interrupts import remove_mem_hooks, run_out_of_memory, set_nomemory
for _ in range(600):
    _thread.start_new_thread(int, ())
    for _ in range(500):
        run_out_of_memory(int, 10**9, 1)
        set_nomemory(10**9, 10**9)
        remove_mem_hooks()
"""
    run_program(program)
