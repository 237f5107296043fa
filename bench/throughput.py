"""Lines a second from the first call to the last line in the file, every line counted after timing."""

import argparse
import time
from typing import Any

from harness import main, opened

#: Enough for some seconds each; the rates differ by three orders of magnitude.
FAST_PEERS = ("logly_async", "logly_sync", "floor_write", "floor_buffered", "floor_fstring")


def measure(peer: str, options: argparse.Namespace) -> dict[str, Any]:
    lines = 4_000_000 if peer in FAST_PEERS else 200_000
    if options.fast:
        lines //= 40
    with opened(peer, "full", options) as run:
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
    main(__doc__, measure)
