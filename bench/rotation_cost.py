"""What do rotation and compression cost the caller and the flusher? Each with and without, in turns, in one run.

Rotation: percentiles of a call at a paced 100,000 a second, with a file that is rotated at 1 MB (ten times a second)
and with one that is not. Compression: the caller's cost in bursts and the drain rate while a file of 100 MB is being
compressed by the housekeeper's thread, and while it is not. On two cores three threads want to run then.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import tempfile
import time
from array import array
from pathlib import Path

from harness import percentiles

sys.path.insert(1, str(Path(__file__).resolve().parent.parent))

from logly import Logger, LoggerConfig, SinkConfig
from logly.housekeeper import Housekeeper

PACE_NS = 10_000
BURST = 5_000


def paced(size_limit: str | None, calls: int) -> array[int]:
    taken = array("q", bytes(8 * calls))
    with tempfile.TemporaryDirectory() as folder, Logger(LoggerConfig(auto_sink=False)) as logger:
        logger.add_sink(SinkConfig(path=f"{folder}/app.log", size_limit=size_limit, retention=size_limit and 3))
        info, clock = logger.info, time.perf_counter_ns
        gc.collect()
        due = clock()
        for i in range(calls):
            while clock() < due:
                pass
            begun = clock()
            info("order {} filled at {:.2f}", i, 3.25)
            taken[i] = clock() - begun
            due += PACE_NS
        logger.flush()
        assert logger.stats().written == calls
    return taken


def rotation(rounds: int, calls: int) -> None:
    columns = ("p50", "p99", "p99.9")
    seen: dict[str | None, list[dict[str, float]]] = {None: [], "1 MB": []}
    for _ in range(rounds):
        for limit, results in seen.items():
            results.append(percentiles(paced(limit, calls)))
    print(f"\n| a call, ns (median of {rounds}) | {' | '.join(columns)} |\n| --- | ---: | ---: | ---: |")
    for limit, results in seen.items():
        row = [f"{statistics.median(result[column] for result in results):,.0f}" for column in columns]
        print(f"| {'rotated at ' + limit if limit else 'not rotated'} | {' | '.join(row)} |")


def burst(logger: Logger) -> tuple[float, float]:
    """Nanoseconds of a call, and of a line from the first call until it is written."""
    info = logger.info
    begun = time.perf_counter_ns()
    for i in range(BURST):
        info("order {} filled at {:.2f}", i, 3.25)
    called = time.perf_counter_ns()
    logger.flush()
    return (called - begun) / BURST, (time.perf_counter_ns() - begun) / BURST


def compression(rounds: int, megabytes: int) -> None:
    line = b"2026-01-01 12:00:00.000 | INFO     | app:main:10 | order 123456 filled at 3.25 for customer 987\n"
    keeper = Housekeeper("bench-housekeeper")
    alone: list[tuple[float, float]] = []
    beside: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder, Logger(LoggerConfig(auto_sink=False)) as logger:
        from logly import compression as compressor

        logger.add_sink(SinkConfig(path=f"{folder}/app.log"))
        burst(logger)
        for number in range(rounds):
            plain = Path(folder, f"old_{number}.log")
            plain.write_bytes(line * (megabytes * 1_000_000 // len(line)))
            alone += [burst(logger) for _ in range(200)]
            keeper.submit(lambda plain=plain: compressor.compress(str(plain), "gzip"))
            while not keeper.is_idle:
                beside.append(burst(logger))
    print(
        f"\n| {len(beside)} bursts beside compression | caller, ns a call | drained, ns a line |\n| --- | ---: | ---: |"
    )
    for name, results in (("without", alone), ("with", beside)):
        call, total = (statistics.median(column) for column in zip(*results, strict=True))
        print(f"| {name} | {call:.1f} | {total:.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=200_000)
    parser.add_argument("--megabytes", type=int, default=100)
    options = parser.parse_args()
    rotation(options.rounds, options.calls)
    compression(max(options.rounds // 2, 1), options.megabytes)


if __name__ == "__main__":
    main()
