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
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness import lines, turns
from harness.busy import beside_a_busy_process

BYTES_OF_A_RECORD = 64
BURSTS = 50
LOGGING_THREADS = 3
"""Of one thread in a round: alone, beside a busy process, with a plain text. Twice all threads log, too."""

TEXT = sys.intern("a text of 24 characters.")


def log_calls(logger: Any, calls: int) -> None:
    info, price = logger.info, float("1.5")
    for i in range(calls):
        info("order {} filled at {}", i, price)


def text_calls(logger: Any, calls: int) -> None:
    info, text = logger.info, TEXT
    for _ in range(calls):
        info(text)


def len_calls(logger: Any, calls: int) -> None:
    info, text = len, TEXT
    for _ in range(calls):
        info(text)


def calls_per_second(run: Callable[[Any, int], None], logger: Any, threads: int, calls: int) -> float:
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


def measured(threads: int, calls: int, rounds: int) -> dict[str, list[float]]:
    """Calls a second of each, one value a round."""
    from logly import Logger, LoggerConfig, SinkConfig

    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "out.log")
        ring = 2 * calls * BYTES_OF_A_RECORD
        logger = Logger(LoggerConfig(auto_sink=False, async_buffer_size=ring, async_flush_interval=60_000))
        logger.add_sink(SinkConfig(path=path, format="{message}"))

        def rate(run: Callable[[Any, int], None], threads: int) -> Callable[[], float]:
            return lambda: calls_per_second(run, logger, threads, calls)

        alone = rate(log_calls, 1)
        found = turns.take_turns(
            {
                "alone": alone,
                "several": rate(log_calls, threads),
                "busy": lambda: beside_a_busy_process(alone),
                "text alone": rate(text_calls, 1),
                "text": rate(text_calls, threads),
                "ceiling alone": rate(len_calls, 1),
                "ceiling": rate(len_calls, threads),
            },
            rounds,
        )
        logger.close()
        lines.check("logly", path, rounds * (BURSTS + 1) * calls * (LOGGING_THREADS + 2 * threads))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--calls", type=int, default=5_000, help="of each thread in a burst")
    parser.add_argument("--rounds", type=int, default=11)
    options = parser.parse_args()
    found = measured(options.threads, options.calls, options.rounds)
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    print(f"Python {sys.version.split()[0]}, GIL {'on' if gil else 'off'}, {options.rounds} rounds")
    print(f"1 thread: {1e9 / statistics.median(found['alone']):.1f} ns a call; {options.threads} threads, against")
    for title, many, one in (
        ("one with the machine to itself:", "several", "alone"),
        ("one beside a busy process:", "several", "busy"),
        ("a plain text, as the first:", "text", "text alone"),
        ("the machine's ceiling (len):", "ceiling", "ceiling alone"),
    ):
        print(f"  {title:33}{turns.ratio(found[many], found[one]):.2f} times the calls a second")


if __name__ == "__main__":
    main()
