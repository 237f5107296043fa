"""How much slower is a CPU-bound thread beside a busy logger?

"backlog": the same thread logs a burst, then computes while the burst is still being drained.
"beside": another Python thread logs 20,000 records a second, in batches of 20, while this one computes.
Both are ratios to the same computation with the logger idle, formed within a round; medians.
"""

import argparse
import statistics
import threading
import time
from typing import Any

from harness import main, opened

BACKLOG = 10_000
BATCH, PAUSE_S = 20, 0.001
LIMIT_S = 5.0
"""No new round after that, but for the third: some peers need seconds to write a backlog."""


def compute(units: int) -> float:
    start = time.perf_counter()
    total = 0
    for i in range(units):
        total += i & 7
    return time.perf_counter() - start


def measure(peer: str, options: argparse.Namespace) -> dict[str, Any]:
    rounds, units, records = (2, 300_000, 500) if options.fast else (7, 1_500_000, BACKLOG)
    alone, backlog, beside = [], [], []
    with opened(peer, "args", options) as run:
        logged = 0
        begun = time.perf_counter()
        for _ in range(rounds):
            if len(alone) >= 3 and time.perf_counter() - begun > LIMIT_S:
                break
            alone.append(compute(units))
            run.loop(0, records)
            backlog.append(compute(units))
            run.flush()
            logged += records

            stop = threading.Event()
            batches = 0

            def service(stop: threading.Event = stop) -> None:
                nonlocal batches
                while not stop.is_set():
                    run.loop(0, BATCH)
                    batches += 1
                    time.sleep(PAUSE_S)

            thread = threading.Thread(target=service)
            thread.start()
            beside.append(compute(units))
            stop.set()
            thread.join()
            run.flush()
            logged += batches * BATCH
        run.expect(logged)
        return {
            "backlog_ratio": statistics.median(b / a for a, b in zip(alone, backlog, strict=True)),
            "beside_ratio": statistics.median(b / a for a, b in zip(alone, beside, strict=True)),
        } | run.close()


if __name__ == "__main__":
    main(__doc__, measure, ["backlog_ratio"])
