"""How long does a burst of 100,000 records hold the caller, and when are they in the file?"""

import argparse
import time
from typing import Any

from harness import main, opened


def measure(peer: str, options: argparse.Namespace) -> dict[str, Any]:
    calls = 5_000 if options.fast else 100_000
    with opened(peer, "args", options) as run:
        time.sleep(0.2)
        start = time.perf_counter()
        run.loop(0, calls)
        enqueued = time.perf_counter()
        run.flush()
        done = time.perf_counter()
        run.expect(calls)
        return {"calls": calls, "call_ns": (enqueued - start) / calls * 1e9, "in_file_s": done - start} | run.close()


if __name__ == "__main__":
    main(__doc__, measure, ["call_ns"])
