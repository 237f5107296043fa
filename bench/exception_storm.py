"""Does a storm of exceptions slow the ordinary lines of other threads down?

    python bench/exception_storm.py
    python bench/exception_storm.py --entries 30 --threads 8 --ring "16 MiB"

Threads raise and log exceptions as fast as they can; the main thread logs an ordinary line at due times, and each of
its calls is timed, as in `latency.py`. A call that loses the GIL waits for the other threads, whatever these do: some
milliseconds for each. So the storm is compared with the same threads that raise the same exceptions and, instead of
logging each, do pure Python work that takes as long. Both take turns, with the line alone; ratios are formed within
a round. All lines are counted in the file.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import tempfile
import threading
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness import lines, tables, turns
from harness.failures import deep
from harness.loops import compile_loop, compile_paced
from harness.machine import percentiles

LINE = "logger.info('order {} filled at {:.2f}', i, x)"
EXCEPTION = "logger.exception('order failed')"
AT_A_TIME = 20
"""Exceptions between two looks at whether the round is over."""
CALIBRATIONS = 30
SHARES = ("p50", "p99", "p99.9", "max")

Loop = Callable[[int, int], None]


def spin(units: int) -> None:
    total = 0
    for i in range(units):
        total += i & 7


def ns_per_call(loop: Loop, calls: int = 200) -> float:
    begun = time.perf_counter_ns()
    loop(0, calls)
    return (time.perf_counter_ns() - begun) / calls


class Others:
    """Threads that run a loop until they are told to stop, and how often it ran."""

    def __init__(self, loop: Loop, threads: int) -> None:
        self.loop = loop
        self.threads = threads
        self.is_over = False

    def run(self, count: list[int]) -> None:
        while not self.is_over:
            self.loop(0, AT_A_TIME)
            count[0] += AT_A_TIME

    def beside(self, measure: Callable[[], dict[str, float]]) -> tuple[dict[str, float], float]:
        """What `measure` returns, and how often a second the loops ran meanwhile; `self.total`: how often in all."""
        counts = [[0] for _ in range(self.threads)]
        workers = [threading.Thread(target=self.run, args=(count,)) for count in counts]
        self.is_over = False
        begun = time.perf_counter()
        for worker in workers:
            worker.start()
        found = measure()
        took = time.perf_counter() - begun
        per_second = sum(count[0] for count in counts) / took
        self.is_over = True
        for worker in workers:
            worker.join()
        self.total = sum(count[0] for count in counts)
        return found, per_second


def units_like(storm: Loop, idle: Callable[[int], Loop]) -> int:
    """How many units of `spin` take as long as one logged exception takes longer than one that is only raised."""
    loops = {"logged": storm, "raised": idle(0), "raised, 100 units": idle(100)}
    for loop in loops.values():
        loop(0, 200)
    timed = {name: (lambda loop=loop: ns_per_call(loop)) for name, loop in loops.items()}
    found = turns.take_turns(timed, CALIBRATIONS)
    per_unit = turns.difference(found["raised, 100 units"], found["raised"]) / 100
    return max(0, round(turns.difference(found["logged"], found["raised"]) / per_unit))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=2.0, help="of one measurement")
    parser.add_argument("--pace", type=int, default=20_000, help="ordinary lines a second")
    parser.add_argument("--threads", type=int, default=4, help="that raise exceptions")
    parser.add_argument("--entries", type=int, default=10, help="of each traceback")
    parser.add_argument("--ring", default="1 MiB", help="size of the ring; a full one holds every caller up")
    parser.add_argument("--dir", help="where the log file goes; default: the temporary directory")
    tables.add_option(parser)
    return parser.parse_args()


def main() -> None:
    options = parsed()
    from logly import Logger, LoggerConfig, SinkConfig

    with tempfile.TemporaryDirectory(dir=options.dir) as folder:
        path = Path(folder) / "bench.log"
        logger = Logger(LoggerConfig(auto_sink=False, flush_level=None, async_buffer_size=options.ring))
        logger.add_sink(SinkConfig(path=path, format="\x02{level} {message}"))
        expected = run(logger, options)
        logger.close()
        lines.check("the storm", path, expected, b"\x02")
    print(f"\n{expected:,} lines in the file")
    tables.write(options.json)


def run(logger: Any, options: argparse.Namespace) -> int:
    """Measures and prints; returns how many lines there must be."""
    fail = deep(options.entries)
    storming = compile_loop(EXCEPTION, logger, fail=fail, each_fails=True)
    units = units_like(storming, lambda units: compile_loop(f"logger({units})", spin, fail=fail, each_fails=True))
    logger.flush()
    logged = 200 + 200 * CALIBRATIONS
    working = compile_loop(f"logger({units})", spin, fail=fail, each_fails=True)
    calls = round(options.pace * options.seconds)
    taken = array("q", bytes(8 * calls))
    paced, clock = compile_paced(LINE, logger), time.perf_counter_ns
    others = {
        "alone": Others(working, 0),
        "work": Others(working, options.threads),
        "storm": Others(storming, options.threads),
    }
    rates: dict[str, list[float]] = {name: [] for name in others}
    waited_ms: dict[str, list[float]] = {name: [] for name in others}

    def one_round(name: str) -> dict[str, float]:
        nonlocal logged

        def measure() -> dict[str, float]:
            nonlocal logged
            done = paced(clock, clock(), 1_000_000_000 // options.pace, calls, taken, 2e9 * options.seconds)
            logged += done
            return percentiles(taken[:done])

        gc.collect()
        waited = logger.stats().blocked_ns
        found, rate = others[name].beside(measure)
        waited_ms[name].append((logger.stats().blocked_ns - waited) / 1e6)
        rates[name].append(rate)
        logged += others[name].total if name == "storm" else 0
        logger.flush()
        return found

    found = turns.take_turns({name: (lambda name=name: one_round(name)) for name in others}, options.rounds)
    print(
        f"{options.threads} threads, {options.entries} entries, {units} units of work for each exception, "
        f"switch interval {sys.getswitchinterval() * 1e3:.0f} ms"
    )
    waited = {"waiting for room, ms of all calls in a round of the storm": [statistics.median(waited_ms["storm"])]}
    seen = {f"exceptions a second, {name}": [statistics.median(rates[name])] for name in ("work", "storm")}
    tables.show(tables.Table(f"{options.threads} threads, {options.entries} entries", ["median"], seen | waited))
    for share in SHARES:
        title = f"one call beside them, {share}, ns"
        turns.print_table(title, {name: [one[share] for one in found[name]] for name in others}, base="work")
    return logged


if __name__ == "__main__":
    main()
