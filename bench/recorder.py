"""What does the flight recorder cost the flusher, and how many records a second does it keep?

    python bench/recorder.py [--records 2000000] [--rounds 7]

Each round logs as many records with two arguments, once kept and once written with the default layout, in turns. The
flusher's share is the processor time of its thread. `kept a second` is from the first call until all are in the
recorder, which one Python loop cannot fill as fast as the flusher keeps. The counts are checked after timing.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness import lines, tables
from logly import Logger, LoggerConfig, SinkConfig


def flusher_ns() -> int:
    """Processor time of all threads but the main one."""
    total = 0
    for task in Path("/proc/self/task").iterdir():
        if int(task.name) != os.getpid():
            total += int((task / "schedstat").read_text().split()[0])
    return total


def log(call: Callable[..., Any], count: int) -> None:
    for i in range(count):
        call("order {} filled at {:.2f}", i, 3.14159)


def measure(logger: Logger, call: Callable[..., Any], count: int) -> tuple[float, float]:
    """Nanoseconds per record: of the flusher's processor time, and from the first call to the end."""
    before, begun = flusher_ns(), time.perf_counter_ns()
    log(call, count)
    logger.flush()
    return (flusher_ns() - before) / count, (time.perf_counter_ns() - begun) / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    tables.add_option(parser)
    options = parser.parse_args()
    kept, written, pace = [], [], []
    with tempfile.TemporaryDirectory(prefix="logly-bench-") as folder:
        path = os.path.join(folder, "written.log")
        logger = Logger(LoggerConfig(recorder="debug"))
        logger.add_sink(SinkConfig(path=path))
        measure(logger, logger.debug, 10_000)
        measure(logger, logger.info, 10_000)
        for _ in range(options.rounds):
            of_kept = measure(logger, logger.debug, options.records)
            of_written = measure(logger, logger.info, options.records)
            kept.append(of_kept[0])
            written.append(of_written[0])
            pace.append(1e9 / of_kept[1])
        stats = logger.stats()
        logger.close()
        lines.check("written", path, options.rounds * options.records + 10_000, b"\n")
    taken = stats.kept + stats.overwritten
    assert taken + stats.dropped == options.rounds * options.records + 10_000
    ratios = [one / other for one, other in zip(kept, written, strict=True)]
    rows = {
        "flusher, ns a kept record": [statistics.median(kept)],
        "flusher, ns a written record": [statistics.median(written)],
        "kept / written": [statistics.median(ratios)],
        "kept a second by one thread, millions": [statistics.median(pace) / 1e6],
    }
    goals = {"kept / written": "0.2", "kept a second by one thread, millions": "20"}
    tables.show(tables.Table("the flight recorder", ["median"], rows, goals))
    print(f"not taken, because the ring was full: {stats.dropped} of {taken + stats.dropped}")
    tables.write(options.json)


if __name__ == "__main__":
    main()
