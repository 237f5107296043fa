"""How much resident memory: the library imported, one file sink with a record, and a burst of 50,000?"""

import argparse
from typing import Any

from harness.machine import resident_bytes
from harness.questions import Question, main
from harness.runs import opened


def measure(peer: str, options: argparse.Namespace) -> dict[str, Any]:
    burst = 4_000 if options.fast else 50_000
    bare = resident_bytes()
    with opened(peer, "args", options) as run:
        ready = resident_bytes()
        run.loop(0, burst)
        loaded = resident_bytes()
        run.flush()
        run.expect(burst)
        return {
            "sink_mib": (ready - bare) / 2**20,
            "burst_mib": (max(loaded, resident_bytes()) - ready) / 2**20,
        } | run.close()


QUESTION = Question(measure, ("sink_mib",))

if __name__ == "__main__":
    main(__doc__, QUESTION)
