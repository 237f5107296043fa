"""What does a call cost with 1, 2 and 4 threads on one logger, and how many lines a second arrive?"""

import argparse
import threading
import time
from typing import Any

from harness.questions import Question, main
from harness.runs import Run, opened

THREADS = [1, 2, 4]


def shared_out(run: Run, calls: int, threads: int) -> dict[str, float]:
    """The calls are made by so many threads, which begin together."""
    per_thread = calls // threads
    barrier = threading.Barrier(threads + 1)

    def work() -> None:
        barrier.wait()
        run.loop(0, per_thread)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    barrier.wait()
    start = time.perf_counter()
    for worker in workers:
        worker.join()
    called = time.perf_counter()
    run.flush()
    done = time.perf_counter()
    total = per_thread * threads
    run.expect(total)
    run.settle()
    return {"call_ns": (called - start) / total * 1e9, "lines_per_s": total / (done - start)}


def measure(peer: str, options: argparse.Namespace) -> dict[str, Any]:
    with opened(peer, "args", options) as run:
        calls = run.calls_in(0.02, 10_000) if options.fast else run.calls_in(1.0, 1_000_000)
        found = {str(threads): shared_out(run, calls, threads) for threads in THREADS}
        return {"threads": found} | run.close()


QUESTION = Question(measure, ("threads", "4", "lines_per_s"), rounds=3)

if __name__ == "__main__":
    main(__doc__, QUESTION)
