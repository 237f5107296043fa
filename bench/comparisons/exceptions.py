"""What does an exception cost the caller, beside loguru and `logging`; and the flusher?

All log to a file with the short layout, in their usual way: `logger.exception(text)` in an `except`. All but the last
kind log one exception again and again. The exceptions are those of `harness/failures.py`.
"""

import time

from harness.comparison import Bench, Target, more, ratio
from harness.loops import compile_loop
from harness.scenarios import SCENARIOS, Scenario

ROUNDS = 60
PROCESSES = 3
KINDS = {name: scenario for name, scenario in SCENARIOS.items() if scenario.fail is not None}
PEERS = {"logly": "logly_async", "loguru": "loguru_plain", "logging": "stdlib_file"}
DEEP, DEEPER = "exception", "exception_deep"
WAITING = 1000
"""Records of 30 frames that fit into half of the default ring, which is where a caller wakes the flusher."""

FIGURES = [
    *(
        ratio(f"{name}: {peer} / logly", f"{name}, {peer}", f"{name}, logly", "1")
        for name in KINDS
        for peer in ("loguru", "logging")
    ),
    ratio("exception: diagnose=True / off", "exception, diagnose", f"{DEEP}, logly", "none"),
    more("30 further frames: more ns", f"{DEEPER}, logly", f"{DEEP}, logly", "450"),
    more("the flusher, 30 frames: more ns than a line", "a traceback written", "a line written", "4000"),
]


def subjects(bench: Bench) -> None:
    for label, peer in PEERS.items():
        target = bench.library(peer, DEEP)
        if target is not None:
            target.marker = SCENARIOS[DEEP].marker
            add_kinds(bench, label, target)
    target = bench.logger({"format": "{time} | {level:<8} | {message}"}, diagnose=True)
    target.marker = SCENARIOS[DEEP].marker
    deep = SCENARIOS[DEEP]
    bench.add("exception, diagnose", target, deep.brace, calls=deep.burst // 50, scenario=deep)
    for name, scenario in (("a traceback written", SCENARIOS[DEEP]), ("a line written", None)):
        target = bench.logger({"format": "{time} | {level:<8} | {message}"})
        target.marker = SCENARIOS[DEEP].marker
        add_flusher(bench, name, target, scenario)


def add_kinds(bench: Bench, label: str, target: Target) -> None:
    for name, scenario in KINDS.items():
        # A fraction of the calls where each takes so much longer.
        calls = scenario.burst if label == "logly" or scenario.each_fails else scenario.burst // 50
        bench.add(f"{name}, {label}", target, scenario.brace, calls=calls, scenario=scenario)


def add_flusher(bench: Bench, name: str, target: Target, scenario: Scenario | None) -> None:
    """What the flusher needs for records that wait for it; none of them wakes it."""
    statement = f"logger.info('order failed', exc_info={scenario is not None})"
    loop, clock = compile_loop(statement, target.logger, fail=scenario and scenario.fail), time.perf_counter_ns

    def measure() -> float:
        target.settle()
        loop(0, WAITING)
        begun = clock()
        target.flush()
        took = clock() - begun
        target.expected += WAITING
        target.settle()
        return took / WAITING

    bench.add_slow(name, measure, every=1)
