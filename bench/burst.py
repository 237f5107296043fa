"""How long does a burst of 100,000 records hold the caller, and when are they in the file?"""

import argparse
import time
from typing import Any

from harness import main, opened


def measure(peer: str, options: argparse.Namespace) -> dict[str, Any]:
    calls, rounds = (5_000, 1) if options.fast else (100_000, 3)
    call_ns, total_s = [], []
    with opened(peer, "args", options) as run:
        for _ in range(rounds):
            time.sleep(0.2)
            start = time.perf_counter()
            run.loop(0, calls)
            enqueued = time.perf_counter()
            run.flush()
            done = time.perf_counter()
            run.expect(calls)
            run.settle()
            call_ns.append((enqueued - start) / calls * 1e9)
            total_s.append(done - start)
        return {"calls": calls, "call_ns": min(call_ns), "in_file_s": min(total_s)} | run.close()


if __name__ == "__main__":
    main(__doc__, measure)
