"""What do rotation and compression cost the caller and the flusher? Each with and without, in turns, in one run.

Rotation: percentiles of a call at a paced 100,000 a second, with a file that is rotated at 1 MB (ten times a second)
and with one that is not. Compression: the caller's cost in bursts and the drain rate while a file of 100 MB is being
compressed by the housekeeper's thread, and while it is not. On two cores three threads want to run then.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import tempfile
import time
from array import array
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

from harness import turns
from harness.loops import compile_loop, compile_paced
from harness.machine import percentiles
from harness.scenarios import BRACE

PACE_NS = 10_000
BURST = 5_000
ALONE = 200
"""Bursts beside nothing, in one round."""
LIMIT_NS = 1e12
LINE = b"2026-01-01 12:00:00.000 | INFO     | app:main:10 | order 123456 filled at 3.25 for customer 987\n"

Costs = tuple[float, float]
"""Nanoseconds of a call, and of a line from the first call until it is written."""


def paced(size_limit: str | None, calls: int) -> dict[str, float]:
    from logly import Logger, LoggerConfig, SinkConfig

    taken = array("q", bytes(8 * calls))
    with tempfile.TemporaryDirectory() as folder, Logger(LoggerConfig(auto_sink=False)) as logger:
        logger.add_sink(SinkConfig(path=f"{folder}/app.log", size_limit=size_limit, retention=size_limit and 3))
        call, clock = compile_paced(BRACE["args"], logger), time.perf_counter_ns
        gc.collect()
        call(clock, clock(), PACE_NS, calls, taken, LIMIT_NS)
        logger.flush()
        assert logger.stats().written == calls
    return percentiles(taken)


def rotation(rounds: int, calls: int) -> None:
    columns = ("p50", "p99", "p99.9")
    kinds = {"not rotated": None, "rotated at 1 MB": "1 MB"}
    seen = turns.take_turns({name: (lambda limit=limit: paced(limit, calls)) for name, limit in kinds.items()}, rounds)
    print(f"\n| a call, ns (median of {rounds}) | {' | '.join(columns)} |\n| --- | ---: | ---: | ---: |")
    for name, results in seen.items():
        row = [f"{statistics.median(result[column] for result in results):,.0f}" for column in columns]
        print(f"| {name} | {' | '.join(row)} |")


def burst(loop: Callable[[int, int], None], logger: Any) -> Costs:
    begun = time.perf_counter_ns()
    loop(0, BURST)
    called = time.perf_counter_ns()
    logger.flush()
    return (called - begun) / BURST, (time.perf_counter_ns() - begun) / BURST


def compression(rounds: int, megabytes: int) -> None:
    from logly import Logger, LoggerConfig, SinkConfig, compression
    from logly.files.housekeeper import Housekeeper

    keeper = Housekeeper("bench-housekeeper")
    with tempfile.TemporaryDirectory() as folder, Logger(LoggerConfig(auto_sink=False)) as logger:
        logger.add_sink(SinkConfig(path=f"{folder}/app.log"))
        loop = compile_loop(BRACE["args"], logger)
        burst(loop, logger)
        plain = Path(folder, "old.log")

        def beside() -> list[Costs]:
            plain.write_bytes(LINE * (megabytes * 1_000_000 // len(LINE)))
            keeper.submit(lambda: compression.compress(str(plain), "gzip"))
            found = []
            while not keeper.is_idle:
                found.append(burst(loop, logger))
            Path(f"{plain}.gz").unlink(missing_ok=True)
            return found

        ways = {"without": lambda: [burst(loop, logger) for _ in range(ALONE)], "with": beside}
        found = {name: list(chain(*lists)) for name, lists in turns.take_turns(ways, rounds).items()}
    title = f"{len(found['with'])} bursts beside compression"
    print(f"\n| {title} | caller, ns a call | drained, ns a line |\n| --- | ---: | ---: |")
    for name, results in found.items():
        call, total = (statistics.median(column) for column in zip(*results, strict=True))
        print(f"| {name} | {call:.1f} | {total:.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=200_000)
    parser.add_argument("--megabytes", type=int, default=100)
    options = parser.parse_args()
    rotation(options.rounds, options.calls)
    compression(max(options.rounds // 2, 1), options.megabytes)


if __name__ == "__main__":
    main()
