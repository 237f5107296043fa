"""How long it takes to log 10,000 records and to have them as objects: `logly.capture`.

    python bench/capture.py [--rounds N]

Beside it: the same records into a sink's function, and into a file.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from logly import Logger, LoggerConfig, Record, SinkConfig, capture

RECORDS = 10_000


def log(logger: Logger) -> None:
    for i in range(RECORDS):
        logger.info("order {} filled at {:.2f}", i, 3.14159)


def captured() -> float:
    with Logger(LoggerConfig(auto_sink=False)) as logger:
        begin = time.perf_counter()
        with capture(logger) as records:
            log(logger)
            assert len(records) == RECORDS
        return time.perf_counter() - begin


def into_function() -> float:
    found: list[Record] = []
    with Logger(LoggerConfig(auto_sink=False)) as logger:
        logger.add_sink(SinkConfig(function=found.append))
        begin = time.perf_counter()
        log(logger)
        logger.flush()
        took = time.perf_counter() - begin
    assert len(found) == RECORDS
    return took


def into_file() -> float:
    with tempfile.TemporaryDirectory() as folder, Logger(LoggerConfig(auto_sink=False)) as logger:
        logger.add_sink(SinkConfig(path=Path(folder) / "log"))
        begin = time.perf_counter()
        log(logger)
        logger.flush()
        return time.perf_counter() - begin


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    ways: dict[str, Callable[[], float]] = {"capture": captured, "a function": into_function, "a file": into_file}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name in ways:
            times[name].append(ways[name]() * 1000)
    print(f"| {RECORDS:,} records into | ms (median) | best |\n| --- | ---: | ---: |")
    for name in times:
        print(f"| {name} | {statistics.median(times[name]):.1f} | {min(times[name]):.1f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
