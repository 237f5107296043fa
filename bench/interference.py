"""How much slower is a CPU-bound thread beside a busy logger?

"backlog": the same thread logs a burst, then computes while the burst is still being drained.
"beside": another Python thread logs 20,000 records a second, in batches of 20, while this one computes.
Both are ratios to the same computation with the logger idle, formed within a round; medians.
"""

import argparse
import threading
import time
from typing import Any

from harness import turns
from harness.busy import compute
from harness.questions import Question, main
from harness.runs import Run, opened

BACKLOG = 10_000
BATCH, PAUSE_S = 20, 0.001
LIMIT_S = 5.0
"""No new round after that, but for the third: some peers need seconds to write a backlog."""


def over_a_backlog(run: Run, units: int, records: int) -> float:
    run.loop(0, records)
    took = compute(units)
    run.flush()
    run.expect(records)
    return took


def beside_a_service(run: Run, units: int) -> float:
    stop = threading.Event()
    batches = 0

    def service() -> None:
        nonlocal batches
        while not stop.is_set():
            run.loop(0, BATCH)
            batches += 1
            time.sleep(PAUSE_S)

    thread = threading.Thread(target=service)
    thread.start()
    took = compute(units)
    stop.set()
    thread.join()
    run.flush()
    run.expect(batches * BATCH)
    return took


def measure(peer: str, options: argparse.Namespace) -> dict[str, Any]:
    rounds, units, records = (2, 300_000, 500) if options.fast else (7, 1_500_000, BACKLOG)
    with opened(peer, "args", options) as run:
        computations = {
            "alone": lambda: compute(units),
            "backlog": lambda: over_a_backlog(run, units, records),
            "beside": lambda: beside_a_service(run, units),
        }
        found: dict[str, list[float]] = {name: [] for name in computations}
        begun = time.perf_counter()
        for number in range(rounds):
            if number >= 3 and time.perf_counter() - begun > LIMIT_S:
                break
            for name, values in turns.take_turns(computations, 1, first=number).items():
                found[name] += values
        return {
            f"{name}_ratio": turns.ratio(found[name], found["alone"]) for name in ("backlog", "beside")
        } | run.close()


QUESTION = Question(measure, ("backlog_ratio",), rounds=3)

if __name__ == "__main__":
    main(__doc__, QUESTION)
