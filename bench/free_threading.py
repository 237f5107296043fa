"""How many more calls a second two threads make than one, on a free-threaded CPython.

    ../venv-3.13t/bin/python bench/free_threading.py

Each thread's ring holds all that it logs in a round, and the flusher sleeps meanwhile: what is measured is whether
threads get in each other's way. Two processors may be one core's hyper-threads, which slow each other down whatever
they do. So every round also measures one thread beside an unrelated busy process, and several threads that call `len`
only: the machine's own ceiling. Medians of rounds that take turns. Lines are counted afterwards.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from logly import Logger, LoggerConfig, SinkConfig

BYTES_OF_A_RECORD = 64
SPIN = "print(flush=True)\nwhile True: pass"


def log_calls(logger: Logger, calls: int) -> None:
    info = logger.info
    for i in range(calls):
        info("order {} filled at {}", i, 1.5)


def len_calls(logger: Logger, calls: int) -> None:
    info = len
    for _ in range(calls):
        info("order {} filled at {}")


def calls_per_second(run: Callable[[Logger, int], None], logger: Logger, threads: int, calls: int) -> float:
    """All calls, from the first call of the first thread to the last of the last."""
    start = threading.Barrier(threads)
    spans: list[tuple[float, float]] = []

    def work() -> None:
        run(logger, 1)  # makes the thread's ring
        start.wait()
        begun = time.perf_counter()
        run(logger, calls)
        spans.append((begun, time.perf_counter()))

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    logger.flush()
    return threads * calls / (max(end for _, end in spans) - min(begun for begun, _ in spans))


def beside_a_busy_process(measure: Callable[[], float]) -> float:
    with subprocess.Popen([sys.executable, "-c", SPIN], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            return measure()
        finally:
            process.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--calls", type=int, default=50_000, help="of each thread in a round")
    parser.add_argument("--rounds", type=int, default=31)
    options = parser.parse_args()
    threads, calls = options.threads, options.calls
    alone, busy, several, ceiling_alone, ceiling = [], [], [], [], []
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "out.log")
        ring = 2 * calls * BYTES_OF_A_RECORD
        logger = Logger(LoggerConfig(auto_sink=False, async_buffer_size=ring, async_flush_interval=60_000))
        logger.add_sink(SinkConfig(path=path, format="{message}"))
        for _ in range(options.rounds):
            alone.append(calls_per_second(log_calls, logger, 1, calls))
            several.append(calls_per_second(log_calls, logger, threads, calls))
            busy.append(beside_a_busy_process(lambda: calls_per_second(log_calls, logger, 1, calls)))
            ceiling_alone.append(calls_per_second(len_calls, logger, 1, calls))
            ceiling.append(calls_per_second(len_calls, logger, threads, calls))
        logger.close()
        with path.open("rb") as lines:
            written = sum(1 for _ in lines)
    expected = options.rounds * (calls + 1) * (2 + threads)
    if written != expected:
        sys.exit(f"{written} lines of {expected}")

    def ratio(many: list[float], one: list[float]) -> float:
        return statistics.median(many) / statistics.median(one)

    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    print(f"Python {sys.version.split()[0]}, GIL {'on' if gil else 'off'}, {options.rounds} rounds")
    print(f"1 thread: {1e9 / statistics.median(alone):.1f} ns a call; {threads} threads, against")
    print(f"  one with the machine to itself:  {ratio(several, alone):.2f} times the calls a second")
    print(f"  one beside a busy process:       {ratio(several, busy):.2f}")
    print(f"  the machine's ceiling (len):     {ratio(ceiling, ceiling_alone):.2f}")


if __name__ == "__main__":
    main()
