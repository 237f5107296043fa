"""How many more calls a second two threads make than one, on a free-threaded CPython.

    ../venv-3.13t/bin/python bench/free_threading.py

Each thread's ring holds all that it logs in a burst, and the flusher sleeps meanwhile: what is measured is whether
threads get in each other's way. Two processors may be one core's hyper-threads, which slow each other down whatever
they do. So every round also measures one thread beside an unrelated busy process, and several threads that call `len`
only: the machine's own ceiling. Medians of the rounds' ratios. Lines are counted afterwards.

The second measurement is of a plain text. CPython 3.13 counts the references to a constant of the program that is not
interned, and two threads that use the same one wait for its cache line, whatever they do with it (`len`, too, where its
argument is such a text). So each thread has its own float, and the plain text is interned. Templates logly interns.
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
BURSTS = 50
SPIN = "print(flush=True)\nwhile True: pass"


TEXT = sys.intern("a text of 24 characters.")


def log_calls(logger: Logger, calls: int) -> None:
    info, price = logger.info, float("1.5")
    for i in range(calls):
        info("order {} filled at {}", i, price)


def text_calls(logger: Logger, calls: int) -> None:
    info, text = logger.info, TEXT
    for _ in range(calls):
        info(text)


def len_calls(logger: Logger, calls: int) -> None:
    info, text = len, TEXT
    for _ in range(calls):
        info(text)


def calls_per_second(run: Callable[[Logger, int], None], logger: Logger, threads: int, calls: int) -> float:
    """The median of bursts: all calls of one, from the first call of the first thread to the last of the last.

    The threads wait for each other in a loop, not asleep: a burst is shorter than it may take to wake one.
    """
    arrived = [0] * threads
    released = [0]
    spans: list[list[tuple[int, int]]] = [[] for _ in range(threads)]

    def work(me: int) -> None:
        run(logger, calls)  # makes the thread's ring
        for burst in range(1, BURSTS + 1):
            arrived[me] = burst
            if me == 0:
                while min(arrived) < burst:
                    pass
                logger.flush()
                released[0] = burst
            else:
                while released[0] < burst:
                    pass
            begun = time.perf_counter_ns()
            run(logger, calls)
            spans[me].append((begun, time.perf_counter_ns()))

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    logger.flush()
    ns = [max(end for _, end in burst) - min(begun for begun, _ in burst) for burst in zip(*spans, strict=True)]
    return threads * calls * 1e9 / statistics.median(ns)


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
    parser.add_argument("--calls", type=int, default=5_000, help="of each thread in a burst")
    parser.add_argument("--rounds", type=int, default=11)
    options = parser.parse_args()
    threads, calls = options.threads, options.calls
    alone, busy, several, text_alone, text, ceiling_alone, ceiling = [], [], [], [], [], [], []
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "out.log")
        ring = 2 * calls * BYTES_OF_A_RECORD
        logger = Logger(LoggerConfig(auto_sink=False, async_buffer_size=ring, async_flush_interval=60_000))
        logger.add_sink(SinkConfig(path=path, format="{message}"))
        for _ in range(options.rounds):
            alone.append(calls_per_second(log_calls, logger, 1, calls))
            several.append(calls_per_second(log_calls, logger, threads, calls))
            busy.append(beside_a_busy_process(lambda: calls_per_second(log_calls, logger, 1, calls)))
            text_alone.append(calls_per_second(text_calls, logger, 1, calls))
            text.append(calls_per_second(text_calls, logger, threads, calls))
            ceiling_alone.append(calls_per_second(len_calls, logger, 1, calls))
            ceiling.append(calls_per_second(len_calls, logger, threads, calls))
        logger.close()
        with path.open("rb") as lines:
            written = sum(1 for _ in lines)
    expected = options.rounds * (BURSTS + 1) * calls * (3 + 2 * threads)
    if written != expected:
        sys.exit(f"{written} lines of {expected}")

    def ratio(many: list[float], one: list[float]) -> float:
        return statistics.median(a / b for a, b in zip(many, one, strict=True))

    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    print(f"Python {sys.version.split()[0]}, GIL {'on' if gil else 'off'}, {options.rounds} rounds")
    print(f"1 thread: {1e9 / statistics.median(alone):.1f} ns a call; {threads} threads, against")
    print(f"  one with the machine to itself:  {ratio(several, alone):.2f} times the calls a second")
    print(f"  one beside a busy process:       {ratio(several, busy):.2f}")
    print(f"  a plain text, as the first:      {ratio(text, text_alone):.2f}")
    print(f"  the machine's ceiling (len):     {ratio(ceiling, ceiling_alone):.2f}")


if __name__ == "__main__":
    main()
