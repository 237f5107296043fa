"""What does a log call cost the caller, as a ratio to an empty compiled method with the same signature?

The goals of the core: disabled at most 1.15x the floor; 24 characters of text at most 3x; two arguments at most half of
what evaluating the f-string costs; call site at most 30 ns more. One run measures all of it (pyperf, a process per
value, loop overhead taken off), then prints the ratios. `python bench/core_cost.py --fast` for a quick look.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyperf

from floor import load_floor

BENCH = Path(__file__).resolve().parent
sys.path.insert(1, str(BENCH.parent))
BURST = 2_000
"""Calls between two flushes, which are not timed: they fit the default ring twice over."""

SHORT = "{time} {level} {message}"
STATEMENTS = {
    "loop": ("floor", None, "pass"),
    "floor: one argument": ("floor", None, "logger.one('a text of 24 characters.')"),
    "floor: same signature": ("floor", None, "logger.info('a text of 24 characters.')"),
    "floor: same signature, two arguments": ("floor", None, "logger.info('order {} filled at {:.2f}', i, x)"),
    "floor: same signature, three fields": ("floor", None, "logger.info('order', order=i, price=x, symbol='ABCD')"),
    "f-string alone": ("floor", None, "f'order {i} filled at {x:.2f}'"),
    "disabled": ("logly", SHORT, "logger.debug('a text of 24 characters.')"),
    "text": ("logly", SHORT, "logger.info('a text of 24 characters.')"),
    "two arguments": ("logly", SHORT, "logger.info('order {} filled at {:.2f}', i, x)"),
    "three fields": ("logly", SHORT, "logger.info('order', order=i, price=x, symbol='ABCD')"),
    "text, default layout": ("logly", None, "logger.info('a text of 24 characters.')"),
    "two arguments, default layout": ("logly", None, "logger.info('order {} filled at {:.2f}', i, x)"),
}


def compile_loop(statement: str, logger: Any) -> Any:
    source = f"def loop(start, stop, x=1234.5678):\n    for i in range(start, stop):\n        {statement}\n"
    namespace: dict[str, Any] = {"logger": logger, "__name__": "bench_loop"}
    exec(compile(source.replace("loop(start, stop,", "loop(start, stop, logger=logger,"), "<bench>", "exec"), namespace)
    return namespace["loop"]


def timed(loops: int, kind: str, layout: str | None, statement: str) -> float:
    if kind == "floor":
        loop = compile_loop(statement, load_floor())
        begun = time.perf_counter()
        loop(0, loops)
        return time.perf_counter() - begun
    return timed_logly(loops, layout, statement)


def timed_logly(loops: int, layout: str | None, statement: str) -> float:
    from logly import Logger, LoggerConfig, SinkConfig

    with tempfile.TemporaryDirectory() as folder, Logger(LoggerConfig(auto_sink=False)) as logger:
        path = os.path.join(folder, "bench.log")
        logger.add_sink(SinkConfig(path=path, format=layout))
        loop = compile_loop(statement, logger)
        loop(0, 100)
        logger.flush()
        total = 0.0
        for start in range(0, loops, BURST):
            begun = time.perf_counter()
            loop(start, min(start + BURST, loops))
            total += time.perf_counter() - begun
            logger.flush()
        expected = 0 if "debug" in statement else loops + 100
        with open(path, "rb") as file:
            lines = sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))
        if lines != expected:
            raise SystemExit(f"{statement}: {lines} lines in the file, {expected} were logged")
        return total


def main() -> None:
    runner = pyperf.Runner()
    runner.metadata["description"] = "cost of a call against the floor"
    medians: dict[str, float] = {}
    for name, (kind, layout, statement) in STATEMENTS.items():
        bench = runner.bench_time_func(name, timed, kind, layout, statement)
        if bench is not None and not runner.args.worker:
            medians[name] = bench.median() * 1e9
    if not runner.args.worker and len(medians) == len(STATEMENTS):
        report(medians)


def report(ns: dict[str, float]) -> None:
    net = {name: value - ns["loop"] for name, value in ns.items()}
    same, args = net["floor: same signature"], net["floor: same signature, two arguments"]
    print(f"\n{'':44}{'ns':>8}")
    for name, value in net.items():
        print(f"{name:44}{value:8.1f}")
    print("\nratios (goal)")
    print(f"disabled / floor                  {net['disabled'] / same:6.2f}   (1.15)")
    print(f"text / floor                      {net['text'] / same:6.2f}   (3)")
    print(f"text / floor of one argument      {net['text'] / net['floor: one argument']:6.2f}")
    print(f"two arguments / f-string          {net['two arguments'] / net['f-string alone']:6.2f}   (0.5)")
    print(f"two arguments / floor             {net['two arguments'] / args:6.2f}")
    fields = net["three fields"] / net["floor: same signature, three fields"]
    print(f"three fields / floor              {fields:6.2f}   (3.5)")
    print(f"call site, text: more ns          {net['text, default layout'] - net['text']:6.1f}   (30)")
    more = net["two arguments, default layout"] - net["two arguments"]
    print(f"call site, two arguments: more ns {more:6.1f}   (30)")


if __name__ == "__main__":
    main()
