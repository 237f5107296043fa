"""How long does a burst of 100,000 records hold the caller, and when are they in the file?"""

import argparse
import time
from typing import Any

from harness.questions import Question, main
from harness.runs import opened


def measure(peer: str, options: argparse.Namespace) -> dict[str, Any]:
    calls = 5_000 if options.fast else 100_000
    with opened(peer, "args", options) as run:
        time.sleep(0.2)
        called_s, written_s = run.timed(calls)
        return {"calls": calls, "call_ns": called_s / calls * 1e9, "in_file_s": written_s} | run.close()


QUESTION = Question(measure, ("call_ns",), rounds=3)

if __name__ == "__main__":
    main(__doc__, QUESTION)
