"""How much resident memory: the library imported, one file sink with a record, 500 named loggers, a burst of 50,000?"""

import argparse
import os
from typing import Any

from harness.machine import resident_bytes
from harness.questions import Question, main
from harness.runs import Run, opened

NAMED = 500


def measure(peer: str, options: argparse.Namespace) -> dict[str, Any]:
    burst = 4_000 if options.fast else 50_000
    bare = resident_bytes()
    with opened(peer, "args", options) as run:
        ready = resident_bytes()
        names = named_loggers(run) if hasattr(run.session.logger, "named") else {}
        named = resident_bytes()
        run.loop(0, burst)
        loaded = resident_bytes()
        run.flush()
        run.expect(burst)
        return (
            {
                "sink_mib": (ready - bare) / 2**20,
                "burst_mib": (max(loaded, resident_bytes()) - named) / 2**20,
            }
            | names
            | run.close()
        )


def named_loggers(run: Run) -> dict[str, float]:
    """Each logs once. `named_threads`: how many threads more there are afterwards."""
    bare, threads = resident_bytes(), thread_count()
    loggers = [run.session.logger.named(f"package.module_{number}") for number in range(NAMED)]
    for logger in loggers:
        logger.info(run.scenario.marker.decode())
    run.flush()
    run.expected += NAMED
    return {"named_kib": (resident_bytes() - bare) / 2**10, "named_threads": thread_count() - threads}


def thread_count() -> int:
    return len(os.listdir("/proc/self/task"))


QUESTION = Question(measure, ("sink_mib",))

if __name__ == "__main__":
    main(__doc__, QUESTION)
