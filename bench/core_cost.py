"""What does a log call cost the caller, as a ratio to an empty compiled method with the same signature?

The goals of the core: disabled at most 1.15x the floor; 24 characters of text at most 3x; two arguments at most half of
what evaluating the f-string costs; call site at most 30 ns more; three fields at most 3.5x.

All statements take turns in one process, in bursts that fit the ring; the flush after each is not timed. The cost of
the empty loop is taken off in each round, ratios are formed within a round, and the median over all rounds of several
processes is printed. Lines are counted in the files after timing. `python bench/core_cost.py --fast` for a quick look.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import turns
from floor import load_floor

BENCH = Path(__file__).resolve().parent
sys.path.insert(1, str(BENCH.parent))
BURST = 2_000
"""Calls between two flushes, which are not timed: they fit the default ring twice over."""

ASLEEP_MS = 60_000.0
"""Flush interval: no flusher wakes up by itself and meets the burst of somebody else."""

SHORT = "{time} {level} {message}"
TEXT = "logger.info('a text of 24 characters.')"
TWO = "logger.info('order {} filled at {:.2f}', i, x)"
THREE = "logger.info('order', order=i, price=x, symbol='ABCD')"
# Name: (what is called `logger`, statement).
STATEMENTS = {
    "loop": ("floor", "pass"),
    "floor: one argument": ("floor", TEXT.replace("info", "one")),
    "floor: same signature": ("floor", TEXT),
    "floor: same signature, two arguments": ("floor", TWO),
    "floor: same signature, three fields": ("floor", THREE),
    "f-string alone": ("floor", "f'order {i} filled at {x:.2f}'"),
    "disabled": ("short", TEXT.replace("info", "debug")),
    "text": ("short", TEXT),
    "two arguments": ("short", TWO),
    "three fields": ("short", THREE),
    "text, default layout": ("default", TEXT),
    "two arguments, default layout": ("default", TWO),
}


def compile_loop(statement: str, logger: Any) -> Any:
    source = f"def loop(start, stop, x=1234.5678):\n    for i in range(start, stop):\n        {statement}\n"
    namespace: dict[str, Any] = {"logger": logger, "__name__": "bench_loop"}
    exec(compile(source.replace("loop(start, stop,", "loop(start, stop, logger=logger,"), "<bench>", "exec"), namespace)
    return namespace["loop"]


def lines_in(path: str) -> int:
    with open(path, "rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))


class Subjects:
    """The floor, and a logger for each layout, each with a file of its own."""

    def __init__(self, folder: str) -> None:
        from logly import Logger, LoggerConfig, SinkConfig

        self.objects: dict[str, Any] = {"floor": load_floor()}
        self.paths: dict[str, str] = {}
        self.expected = {"short": 0, "default": 0, "floor": 0}
        for name, layout in (("short", SHORT), ("default", None)):
            logger = Logger(LoggerConfig(auto_sink=False, async_flush_interval=ASLEEP_MS))
            self.paths[name] = os.path.join(folder, f"{name}.log")
            logger.add_sink(SinkConfig(path=self.paths[name], format=layout))
            self.objects[name] = logger

    def flush(self) -> None:
        self.objects["short"].flush()
        self.objects["default"].flush()

    def burst(self, kind: str, statement: str) -> Callable[[], float]:
        loop, clock = compile_loop(statement, self.objects[kind]), time.perf_counter_ns
        lines = 0 if "debug" in statement else BURST

        def timed() -> float:
            begun = clock()
            loop(0, BURST)
            taken = clock() - begun
            # Of both, after every burst: what follows finds the same state whoever ran before.
            self.flush()
            self.expected[kind] += lines
            return taken / BURST

        return timed

    def finish(self) -> None:
        for name, path in self.paths.items():
            self.objects[name].close()
            if lines_in(path) != self.expected[name]:
                raise SystemExit(f"{name}: {lines_in(path)} lines in the file, {self.expected[name]} were logged")


def measure(rounds: int) -> turns.Rounds:
    with tempfile.TemporaryDirectory() as folder:
        subjects = Subjects(folder)
        bursts = {name: subjects.burst(kind, statement) for name, (kind, statement) in STATEMENTS.items()}
        turns.take_turns(bursts, 5)
        found = turns.take_turns(bursts, rounds)
        subjects.finish()
    return found


def main() -> None:
    chosen = turns.options(__doc__ or "", rounds=400, processes=5)
    report(turns.Net(turns.joined(turns.run(chosen, measure)), "loop"))


def report(net: turns.Net) -> None:
    print(f"\n{'median of all rounds':44}{'ns':>8}")
    for name in net.values:
        print(f"{name:44}{net.ns(name):8.1f}")
    same = "floor: same signature"
    print("\nmedian of the rounds' ratios (goal)")
    print(f"disabled / floor                  {net.ratio('disabled', same):6.2f}   (1.15)")
    print(f"text / floor                      {net.ratio('text', same):6.2f}   (3)")
    print(f"text / floor of one argument      {net.ratio('text', 'floor: one argument'):6.2f}")
    print(f"two arguments / f-string          {net.ratio('two arguments', 'f-string alone'):6.2f}   (0.5)")
    print(f"two arguments / floor             {net.ratio('two arguments', same + ', two arguments'):6.2f}")
    print(f"three fields / floor              {net.ratio('three fields', same + ', three fields'):6.2f}   (3.5)")
    print(f"call site, text: more ns          {net.more('text, default layout', 'text'):6.1f}   (30)")
    more = net.more("two arguments, default layout", "two arguments")
    print(f"call site, two arguments: more ns {more:6.1f}   (30)")


if __name__ == "__main__":
    main()
