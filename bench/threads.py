"""What does a call cost with 1, 2 and 4 threads on one logger, and how many lines a second arrive?"""

import argparse
import threading
import time
from typing import Any

from harness import main, opened

THREADS = [1, 2, 4]


def measure(peer: str, options: argparse.Namespace) -> dict[str, Any]:
    result: dict[str, Any] = {}
    with opened(peer, "args", options) as run:
        calls = run.calls_in(0.02, 10_000) if options.fast else run.calls_in(1.0, 1_000_000)
        for threads in THREADS:
            per_thread = calls // threads
            barrier = threading.Barrier(threads + 1)

            def work(count: int = per_thread, barrier: threading.Barrier = barrier) -> None:
                barrier.wait()
                run.loop(0, count)

            workers = [threading.Thread(target=work) for _ in range(threads)]
            for worker in workers:
                worker.start()
            barrier.wait()
            start = time.perf_counter()
            for worker in workers:
                worker.join()
            enqueued = time.perf_counter()
            run.flush()
            done = time.perf_counter()
            total = per_thread * threads
            run.expect(total)
            run.settle()
            result[str(threads)] = {
                "call_ns": (enqueued - start) / total * 1e9,
                "lines_per_s": total / (done - start),
            }
        return {"threads": result} | run.close()


if __name__ == "__main__":
    main(__doc__, measure, ["threads", "4", "lines_per_s"])
