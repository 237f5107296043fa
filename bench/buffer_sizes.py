"""Which ring and which sink buffer should be the defaults? End-to-end lines a second for each size, one run.

Each point is the median of several runs of the same loop, in turns, so that a noisy neighbour hits all sizes alike.
Lines are counted in the file after timing. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time

from harness import lines, turns
from harness.loops import compile_loop
from harness.scenarios import BRACE

KIB = 1024
RINGS = [64 * KIB, 256 * KIB, 1024 * KIB, 4096 * KIB, 16384 * KIB]
BUFFERS = [4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, 1024 * KIB]
DEFAULT_RING, DEFAULT_BUFFER = 1024 * KIB, 64 * KIB
LAYOUT = "{time:YYYY-MM-DD HH:mm:ss.SSSSSSSSS} {thread} {filename}:{lineno} {level:<8} {message}"


def million_lines_per_s(ring: int, buffer: int, calls: int) -> float:
    from logly import Logger, LoggerConfig, SinkConfig

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "bench.log")
        with Logger(LoggerConfig(auto_sink=False, async_buffer_size=ring)) as logger:
            logger.add_sink(SinkConfig(path=path, buffer_size=buffer, format=LAYOUT))
            loop = compile_loop(BRACE["full"], logger)
            begun = time.perf_counter()
            loop(0, calls)
            logger.flush()
            elapsed = time.perf_counter() - begun
        lines.check(f"ring {ring}, buffer {buffer}", path, calls)
    return calls / elapsed / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    points = {("ring", size): (size, DEFAULT_BUFFER) for size in RINGS}
    points |= {("buffer", size): (DEFAULT_RING, size) for size in BUFFERS}
    runs = {
        f"{kind} {size // KIB} KiB": (lambda sizes=sizes: million_lines_per_s(*sizes, options.lines))
        for (kind, size), sizes in points.items()
    }
    found = turns.take_turns(runs, options.rounds)
    for kind, title in (("ring", "ring (buffer 64 KiB)"), ("buffer", "sink buffer (ring 1 MiB)")):
        rows = {name.removeprefix(f"{kind} "): rates for name, rates in found.items() if name.startswith(kind)}
        turns.print_table(f"{title}, million lines a second", rows)


if __name__ == "__main__":
    main()
