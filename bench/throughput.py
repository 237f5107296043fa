"""Lines a second from the first call to the last line in the file, every line counted after timing.

`python bench/throughput.py --peer logly_async --peer stdlib_file --rounds 9` lets the two take turns, and prints the
median of the rounds' ratios.
"""

import argparse
from typing import Any

from harness.questions import Question, main
from harness.runs import opened

LINES = 4_000_000
SECONDS = 2.0
"""For peers that would need longer for the lines: the rates differ by three orders of magnitude."""


def measure(peer: str, options: argparse.Namespace) -> dict[str, Any]:
    with opened(peer, "full", options) as run:
        lines = run.calls_in(0.05, LINES // 40) if options.fast else run.calls_in(SECONDS, LINES)
        called_s, written_s = run.timed(lines)
        return {"lines": lines, "lines_per_s": lines / written_s, "call_ns": called_s / lines * 1e9} | run.close()


QUESTION = Question(measure, ("lines_per_s",), rounds=5)

if __name__ == "__main__":
    main(__doc__, QUESTION)
