"""How long does one call in a thousand take, at a paced 100,000 records a second?

Each call has its due time on a fixed grid; the caller spins until then. A peer that cannot keep the pace is
measured as fast as it goes, and `rate` says so. The call alone stands between two readings of the clock; what
those cost is taken off nowhere: it is the row of the empty loop.

`python bench/latency.py --peer logly_async --peer floor_loop --rounds 9` lets the two take turns, and prints the median
of the runs' p99.9 of both.
"""

import argparse
import gc
import time
from array import array
from typing import Any

from harness.loops import compile_paced
from harness.machine import percentiles
from harness.questions import Question, main
from harness.runs import opened
from harness.scenarios import TEXT

PACE_PER_S = 100_000


def measure(peer: str, options: argparse.Namespace) -> dict[str, Any]:
    calls = 4_000 if options.fast else 200_000
    limit_s = 1.0 if options.fast else 4.0
    with opened(peer, "args" if peer != "floor_loop" else "text", options) as run:
        paced, clock = compile_paced(run.statement, run.session.logger, TEXT), time.perf_counter_ns
        taken = array("q", bytes(8 * calls))
        run.loop(0, 100)
        run.flush()
        gc.collect()
        first = clock()
        done = paced(clock, first, 1_000_000_000 // PACE_PER_S, calls, taken, limit_s * 1e9)
        rate = done / (clock() - first) * 1e9
        run.expect(done + 100)
        return {"rate": rate, "ns": percentiles(taken[:done])} | run.close()


QUESTION = Question(measure, ("ns", "p99.9"), rounds=5)

if __name__ == "__main__":
    main(__doc__, QUESTION)
