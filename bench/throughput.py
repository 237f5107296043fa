"""Lines a second from the first call to the last line in the file, every line counted after timing.

`python bench/throughput.py --peer logly_async --peer stdlib_file --rounds 9` lets the two take turns, and prints the
median of the rounds' ratios.
"""

import argparse
import time
from typing import Any

from harness import main, opened

LINES = 4_000_000
SECONDS = 2.0
"""For peers that would need longer for the lines: the rates differ by three orders of magnitude."""


def measure(peer: str, options: argparse.Namespace) -> dict[str, Any]:
    with opened(peer, "full", options) as run:
        lines = run.calls_in(0.05, LINES // 40) if options.fast else run.calls_in(SECONDS, LINES)
        start = time.perf_counter()
        run.loop(0, lines)
        enqueued = time.perf_counter()
        run.flush()
        done = time.perf_counter()
        run.expect(lines)
        return {
            "lines": lines,
            "lines_per_s": lines / (done - start),
            "call_ns": (enqueued - start) / lines * 1e9,
        } | run.close()


if __name__ == "__main__":
    main(__doc__, measure, ["lines_per_s"])
