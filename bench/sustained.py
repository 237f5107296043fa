"""What can one caller push for seconds on end, and how much memory does it take meanwhile?"""

import argparse
import time
from typing import Any

from harness.machine import resident_bytes
from harness.questions import Question, main
from harness.runs import BURST, opened


def measure(peer: str, options: argparse.Namespace) -> dict[str, Any]:
    seconds = 0.2 if options.fast else 2.0
    with opened(peer, "args", options) as run:
        before = resident_bytes()
        peak, calls, slowest = before, 0, 0.0
        start = now = time.perf_counter()
        while now - start < seconds:
            run.loop(calls, calls + BURST)
            calls += BURST
            previous, now = now, time.perf_counter()
            slowest = max(slowest, now - previous)
            if calls % (16 * BURST) == 0:
                peak = max(peak, resident_bytes())
        pushed = time.perf_counter() - start
        peak = max(peak, resident_bytes())
        run.flush()
        done = time.perf_counter() - start
        run.expect(calls)
        return {
            "calls_per_s": calls / pushed,
            "lines_per_s": calls / done,
            "drain_s": done - pushed,
            "slowest_call_ns": slowest / BURST * 1e9,
            "grown_mib": (peak - before) / 2**20,
        } | run.close()


QUESTION = Question(measure, ("calls_per_s",), rounds=3)

if __name__ == "__main__":
    main(__doc__, QUESTION)
