"""The garbage collector runs in the middle of a registration, and with it a `__del__` that logs."""

from __future__ import annotations

import gc
import sys
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

import pytest

from logly import _core
from tests.support.hooks import alias_counts, collect_names, place_counts, registry_counts
from tests.support.output import Output
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    _core.IS_FREE_THREADED or sys.version_info >= (3, 12),
    reason="from CPython 3.12 on, the collector runs between bytecodes only",
)

ALLOCATIONS = 40  # objects that the collector knows and that one registration makes, and some more


@pytest.fixture(params=["memory", "spool"])
def shown(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Output]:
    output = Output(tmp_path, "{lineno}|{message}", spool=tmp_path / "app.spool" if request.param == "spool" else None)
    gc.collect()
    gc.freeze()
    yield output
    gc.unfreeze()
    output.logger.close()


GARBAGE = """
def say(who):
  LOG
class Garbage:
  def __init__(self, left):
    self.left, self.me = left, self
  def __del__(self, say=say):
    if self.left > 1: type(self)(self.left - 1)
    elif self.left: say('nested')
"""


def calls_in_new_code(shown: Output, text: str) -> tuple[Callable[[str], None], Callable[[int], object]]:
    """A function that logs, and one that makes garbage which calls it when it is collected for the n-th time."""
    scope = {"log": shown.logger.info}
    exec(GARBAGE.replace("LOG", f"log({text!r}, who)"), scope)
    return scope["say"], scope["Garbage"]  # type: ignore[return-value]


def collect_at(allocation: int, call: Callable[[], None], garbage: Callable[[int], object], step: int = 1) -> None:
    """Makes the call. The garbage logs at the n-th object or so that the call makes and the collector knows."""
    before = gc.get_threshold()
    gc.collect()
    gc.disable()
    try:
        garbage(allocation)
        gc.set_threshold(step, 1000, 1000)
        gc.enable()
        call()
    finally:
        gc.disable()
        gc.set_threshold(*before)
        for _ in range(allocation):  # what was not collected meanwhile logs now
            gc.collect()
        gc.enable()


def test_the_same_call_site_is_registered_meanwhile(shown: Output) -> None:
    shown.logger.info("first {}", 1)
    wait_until(collect_names, "the engine")
    before = registry_counts()[1], alias_counts()[1]
    for step, allocation in product((1, 2, 3), range(1, ALLOCATIONS)):
        say, garbage = calls_in_new_code(shown, "site {}")
        collect_at(allocation, partial(say, f"outer {allocation}"), garbage, step)
        say("again")
        del say, garbage
        gc.collect()
        wait_until(collect_names, "the engine")
        assert (registry_counts()[1], alias_counts()[1]) == before
        said = shown.text().splitlines()[-3:]
        assert sorted(said) == ["3|site again", "3|site nested", f"3|site outer {allocation}"]


def test_the_same_template_is_registered_meanwhile(shown: Output) -> None:
    shown.logger.info("first {}", 1)
    kept = []  # so that no other template is given up meanwhile
    for step, allocation in product((1, 2, 3), range(1, ALLOCATIONS)):
        wait_until(collect_names, "the engine")
        before = registry_counts()[0]
        say, garbage = calls_in_new_code(shown, f"template {step}.{allocation} {{}}")
        collect_at(allocation, partial(say, "outer"), garbage, step)
        kept.append(say)
        assert registry_counts()[0] <= before + 1
        say("again")
        said = shown.text().splitlines()[-3:]
        assert sorted(said) == [f"3|template {step}.{allocation} {who}" for who in ("again", "nested", "outer")]


def test_names_are_given_back_meanwhile(shown: Output) -> None:
    def gone() -> None:
        say, garbage = calls_in_new_code(shown, "gone {}")
        say("once")
        del garbage

    gone()
    gc.collect()
    wait_until(collect_names, "the engine")
    before = registry_counts()[1]
    for step, allocation in product((1, 2, 3), range(1, ALLOCATIONS)):
        gone()
        gc.collect()
        say, garbage = calls_in_new_code(shown, "new {}")
        collect_at(allocation, partial(say, "outer"), garbage, step)
        del say, garbage
        gc.collect()
        wait_until(collect_names, "the engine")
        assert registry_counts()[1] == before


def test_the_same_entry_of_a_traceback_is_registered_meanwhile(shown: Output) -> None:
    def failing() -> tuple[Callable[[str], None], Callable[[int], object]]:
        scope = {"log": shown.logger.exception}
        exec(GARBAGE.replace("LOG", "try: 1 / 0\n  except Exception: log('failed {}', who)"), scope)
        return scope["say"], scope["Garbage"]  # type: ignore[return-value]

    say, _ = failing()
    for _ in range(3):
        say("first")
    del say, _
    gc.collect()
    wait_until(collect_names, "the engine")
    before = place_counts(), alias_counts()[1]
    for step, allocation in product((1, 2, 3), range(1, ALLOCATIONS)):
        say, garbage = failing()
        collect_at(allocation, partial(say, "outer"), garbage, step)
        say("again")
        del say, garbage
        gc.collect()
        wait_until(collect_names, "the engine")
        assert (place_counts(), alias_counts()[1]) == before
