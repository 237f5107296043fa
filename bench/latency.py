"""How long does one call in a thousand take, at a paced 100,000 records a second?

Each call has its due time on a fixed grid; the caller spins until then. A peer that cannot keep the pace is
measured as fast as it goes, and `rate` says so. What two clock readings cost is taken off nowhere: it is the
row of the empty loop.
"""

import argparse
import gc
import time
from array import array
from typing import Any

from harness import main, opened, percentiles

PACE_PER_S = 100_000


def measure(peer: str, options: argparse.Namespace) -> dict[str, Any]:
    calls = 4_000 if options.fast else 500_000
    limit_s = 2.0 if options.fast else 20.0
    with opened(peer, "args" if peer != "floor_loop" else "text", options) as run:
        loop, clock = run.loop, time.perf_counter_ns
        taken = array("q", bytes(8 * calls))
        gap = 1_000_000_000 // PACE_PER_S
        gc.collect()
        first = due = clock()
        done = 0
        for i in range(calls):
            while (start := clock()) < due:
                pass
            loop(i, i + 1)
            taken[i] = clock() - start
            due += gap
            done += 1
            if start - first > limit_s * 1e9:
                break
        rate = done / (clock() - first) * 1e9
        run.expect(done)
        return {"rate": rate, "ns": percentiles(taken[:done])} | run.close()


if __name__ == "__main__":
    main(__doc__, measure)
