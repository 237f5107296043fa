"""Which ring and which sink buffer should be the defaults? End-to-end lines a second for each size, one run.

Each point is the median of several runs of the same loop, in turns, so that a noisy neighbour hits all sizes alike.
Lines are counted in the file after timing. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(1, str(Path(__file__).resolve().parent.parent))

from logly import Logger, LoggerConfig, SinkConfig

KIB = 1024
RINGS = [64 * KIB, 256 * KIB, 1024 * KIB, 4096 * KIB, 16384 * KIB]
BUFFERS = [4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, 1024 * KIB]
LAYOUT = "{time:YYYY-MM-DD HH:mm:ss.SSSSSSSSS} {thread} {filename}:{lineno} {level:<8} {message}"


def lines_per_s(ring: int, buffer: int, lines: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "bench.log")
        with Logger(LoggerConfig(auto_sink=False, async_buffer_size=ring)) as logger:
            logger.add_sink(SinkConfig(path=path, buffer_size=buffer, format=LAYOUT))
            info = logger.info
            begun = time.perf_counter()
            for i in range(lines):
                info("Iteration: {} int: {} double: {}", i, i * 2, i / 2)
            logger.flush()
            elapsed = time.perf_counter() - begun
        with open(path, "rb") as file:
            counted = sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))
        if counted != lines:
            raise SystemExit(f"{counted} lines in the file, {lines} were logged")
    return lines / elapsed


def table(title: str, sizes: list[int], points: dict[int, list[float]]) -> None:
    print(f"\n| {title} | million lines a second (median) | least | most |\n| ---: | ---: | ---: | ---: |")
    for size in sizes:
        rates = [rate / 1e6 for rate in points[size]]
        print(f"| {size // KIB} KiB | {statistics.median(rates):.2f} | {min(rates):.2f} | {max(rates):.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    rings: dict[int, list[float]] = {size: [] for size in RINGS}
    buffers: dict[int, list[float]] = {size: [] for size in BUFFERS}
    for _ in range(options.rounds):
        for size in RINGS:
            rings[size].append(lines_per_s(size, 64 * KIB, options.lines))
        for size in BUFFERS:
            buffers[size].append(lines_per_s(1024 * KIB, size, options.lines))
    table("ring (buffer 64 KiB)", RINGS, rings)
    table("sink buffer (ring 1 MiB)", BUFFERS, buffers)


if __name__ == "__main__":
    main()
