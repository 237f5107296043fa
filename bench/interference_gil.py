"""Does the flusher take the interpreter from the service? A CPU-bound loop beside a backlog that is being drained.

A ring is filled with records while the flusher sleeps; then the same computation runs while it drains, and before and
after that alone, in turns. The ratio of the two speeds is the goal's figure (at least 0.98); where the two cores are
not this process's alone, it tells about the neighbours too, hence medians of many rounds.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile

from harness import turns
from harness.busy import compute
from harness.loops import compile_loop

RING = 1 << 28
STATEMENT = "logger.info('order {} filled at {:.2f}', i, x)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--records", type=int, default=400_000)
    parser.add_argument("--units", type=int, default=700_000, help="iterations of the computation (about 20 ms)")
    options = parser.parse_args()

    from logly import Logger, LoggerConfig, SinkConfig

    # Below half of the ring nothing wakes the flusher; a single ERROR record does, when the computation begins.
    config = LoggerConfig(auto_sink=False, async_buffer_size=RING, async_flush_interval=60_000)
    backlogs = []
    with tempfile.TemporaryDirectory() as folder, Logger(config) as logger:
        logger.add_sink(SinkConfig(path=f"{folder}/bench.log"))
        fill = compile_loop(STATEMENT, logger)

        def beside() -> float:
            fill(0, options.records)
            backlogs.append(logger.stats().pending)
            logger.error("go")
            took = compute(options.units)
            logger.flush()
            return took

        computations = {
            "before": lambda: compute(options.units),
            "beside": beside,
            "after": lambda: compute(options.units),
        }
        found = turns.take_turns(computations, options.rounds)
        written = logger.stats().written
    alone = [(before + after) / 2 for before, after in zip(found["before"], found["after"], strict=True)]
    ratios = [one / other for one, other in zip(alone, found["beside"], strict=True)]
    # How much of it was drained during the computation cannot be asked without waiting for the flusher's pass.
    print(f"records waiting when the computation began: {statistics.median(backlogs):,.0f}, written in all {written:,}")
    print(
        f"speed beside the flusher / alone: median {statistics.median(ratios):.3f}, "
        f"{min(ratios):.3f} to {max(ratios):.3f}"
    )


if __name__ == "__main__":
    main()
