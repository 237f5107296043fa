"""Does the flusher take the interpreter from the service? A CPU-bound loop beside a backlog that is being drained.

A ring is filled with records while the flusher sleeps; then the same computation runs while it drains and while it is
idle, in turns. The ratio of the two speeds is the goal's figure (at least 0.98); where the two cores are not this
process's alone, it tells about the neighbours too, hence medians of many rounds.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(1, str(Path(__file__).resolve().parent.parent))

from logly import Logger, LoggerConfig, SinkConfig

RING = 1 << 28


def compute(units: int) -> float:
    begun = time.perf_counter()
    total = 0
    for i in range(units):
        total += i & 7
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--records", type=int, default=400_000)
    parser.add_argument("--units", type=int, default=700_000, help="iterations of the computation (about 20 ms)")
    options = parser.parse_args()
    # Below half of the ring nothing wakes the flusher; a single ERROR record does, when the computation begins.
    config = LoggerConfig(auto_sink=False, async_buffer_size=RING, async_flush_interval=60_000)
    ratios, backlogs = [], []
    with tempfile.TemporaryDirectory() as folder, Logger(config) as logger:
        logger.add_sink(SinkConfig(path=f"{folder}/bench.log"))
        for _ in range(options.rounds):
            before = compute(options.units)
            for i in range(options.records):
                logger.info("order {} filled at {:.2f}", i, 3.25)
            backlogs.append(logger.stats().pending)
            logger.error("go")
            beside = compute(options.units)
            logger.flush()
            after = compute(options.units)
            ratios.append((before + after) / 2 / beside)
        written = logger.stats().written
    # How much of it was drained during the computation cannot be asked without waiting for the flusher's pass.
    print(f"records waiting when the computation began: {statistics.median(backlogs):,.0f}, written in all {written:,}")
    print(
        f"speed beside the flusher / alone: median {statistics.median(ratios):.3f}, "
        f"{min(ratios):.3f} to {max(ratios):.3f}"
    )


if __name__ == "__main__":
    main()
