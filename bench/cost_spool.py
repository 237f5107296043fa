"""What does a spool cost the caller? The same calls without, with one, and with one that is synced, in turn.

Three loggers in one process, bursts in alternation, flushed between the bursts and not timed; the median of the pairs'
ratios. The goal for the spool is at most 1.15. `--folder /dev/shm` puts it on a tmpfs; `--fsync` is the synced one's
`spool_fsync` in milliseconds. The longest single call of each is told, too.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from logly import Logger, LoggerConfig, SinkConfig

CALLS = 2_000
"""Of one burst: they fit the default ring."""


def text(logger: Logger) -> None:
    info = logger.info
    for _ in range(CALLS):
        info("a text of 24 characters.")


def arguments(logger: Logger) -> None:
    info = logger.info
    for i in range(CALLS):
        info("order {} filled at {:.2f}", i, 1234.5678)


def burst_ns(logger: Logger, work: object) -> float:
    begun = time.perf_counter_ns()
    work(logger)  # type: ignore[operator]
    taken = time.perf_counter_ns() - begun
    logger.flush()
    return taken / CALLS


def longest_us(logger: Logger, calls: int) -> float:
    """One call after another, each timed; the ring never fills."""
    info, clock = logger.info, time.perf_counter_ns
    longest = 0
    for i in range(calls):
        begun = clock()
        info("order {} filled at {:.2f}", i, 1234.5678)
        longest = max(longest, clock() - begun)
        if i % CALLS == 0:
            logger.flush()
    return longest / 1000


def rate(logger: Logger, seconds: float) -> float:
    """Calls a second of a caller that does nothing else."""
    count = 0
    begun = time.perf_counter()
    while time.perf_counter() - begun < seconds:
        arguments(logger)
        count += CALLS
    logger.flush()
    return count / (time.perf_counter() - begun)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", default=None, help="where the spool and the logs are (default: a temporary folder)")
    parser.add_argument("--bursts", type=int, default=600, help="of each kind (default: %(default)s)")
    parser.add_argument("--fsync", type=float, default=100, help="milliseconds (default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        loggers = {
            "without": Logger(LoggerConfig()),
            "spool": Logger(LoggerConfig(spool=folder / "bench.spool")),
            "synced": Logger(LoggerConfig(spool=folder / "synced.spool", spool_fsync=options.fsync)),
        }
        for kind, logger in loggers.items():
            logger.add_sink(SinkConfig(path=folder / f"{kind}.log"))
        for work in (text, arguments):
            times: dict[str, list[float]] = {kind: [] for kind in loggers}
            for _ in range(options.bursts):
                for kind, logger in loggers.items():
                    times[kind].append(burst_ns(logger, work))
            cost = {kind: statistics.median(taken) for kind, taken in times.items()}
            ratios = {
                kind: statistics.median(one / other for one, other in zip(times[kind], times["without"], strict=True))
                for kind in ("spool", "synced")
            }
            print(f"{work.__name__:<10}", *(f"{kind} {ns:6.1f} ns " for kind, ns in cost.items()), end="")
            print(" ratio", *(f"{kind} {ratio:.3f}" for kind, ratio in ratios.items()))
        print("longest   ", *(f"{kind} {longest_us(logger, 200_000):6.0f} us " for kind, logger in loggers.items()))
        print("no pause  ", *(f"{kind} {rate(logger, 3.0) / 1e6:6.2f} M/s" for kind, logger in loggers.items()))
        for kind, logger in loggers.items():
            logger.close()
            with (folder / f"{kind}.log").open() as lines:
                count = sum(1 for _ in lines)
            assert count == logger.stats().emitted, (kind, count)


if __name__ == "__main__":
    main()
