"""What does a spool cost the caller? The same calls with LoggerConfig(spool=...) and without, in turn, in one run.

Two loggers in one process, bursts in alternation, flushed between the bursts and not timed; the median of the pairs'
ratios. The goal is at most 1.15. `python bench/cost_spool.py --folder /dev/shm` puts the spool on a tmpfs.
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", default=None, help="where the spool and the logs are (default: a temporary folder)")
    parser.add_argument("--bursts", type=int, default=600, help="of each kind (default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        plain = Logger(LoggerConfig())
        spooled = Logger(LoggerConfig(spool=folder / "bench.spool"))
        plain.add_sink(SinkConfig(path=folder / "plain.log"))
        spooled.add_sink(SinkConfig(path=folder / "spooled.log"))
        for work in (text, arguments):
            times: dict[str, list[float]] = {"without": [], "with": []}
            for _ in range(options.bursts):
                times["without"].append(burst_ns(plain, work))
                times["with"].append(burst_ns(spooled, work))
            without, with_spool = (statistics.median(times[key]) for key in ("without", "with"))
            pairs = zip(times["with"], times["without"], strict=True)
            ratio = statistics.median(one / other for one, other in pairs)
            print(f"{work.__name__:<10} without {without:6.1f} ns  with {with_spool:6.1f} ns  ratio {ratio:.3f}")
        plain.close()
        spooled.close()
        expected = 2 * options.bursts * CALLS
        for file in ("plain.log", "spooled.log"):
            with (folder / file).open() as lines:
                count = sum(1 for _ in lines)
            assert count == expected, (file, count, expected)


if __name__ == "__main__":
    main()
