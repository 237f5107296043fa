"""What does a logger cost that has nothing to do? Processor time while the process sleeps, in percent of a core.

`python bench/idle.py --peer logly_async --peer floor_loop --rounds 3`
"""

import argparse
import time
from typing import Any

from harness.questions import Question, main
from harness.runs import opened


def measure(peer: str, options: argparse.Namespace) -> dict[str, Any]:
    seconds = 0.5 if options.fast else 10.0
    with opened(peer, "text", options) as run:
        used, begun = time.process_time(), time.perf_counter()
        time.sleep(seconds)
        percent = (time.process_time() - used) / (time.perf_counter() - begun) * 100
        return {"percent_of_a_core": percent} | run.close()


QUESTION = Question(measure, ("percent_of_a_core",))

if __name__ == "__main__":
    main(__doc__, QUESTION)
