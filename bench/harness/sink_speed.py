"""What a sink takes: lines a second, processor time of its threads, and how much of a core a service beside it gets."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from . import BENCH, tables, turns
from .busy import compute
from .workers import Worker

FIGURES = {
    "lines_per_s": "lines a second, from the ring",
    "others_ns": "processor time of all threads but the caller's, ns a line",
    "speed": "speed of a pure-Python loop beside it / alone",
}
UNITS = 700_000


def measure(logger: Any, sink: int, loop: Callable[[int, int], object], lines: int, warm: int) -> dict[str, float]:
    """The `FIGURES` of a sink. It has written `warm` + 2 * `lines` + 4 lines after that.

    Args:
        logger: its ring has room for all lines, and nothing but an `error` wakes its flusher.
        sink: whose lines are waited for.
        loop: logs so many lines: ``loop(0, lines)``.
        warm: lines that are logged before anything is measured.
    """

    def drain(begun: int) -> None:
        """Waits until the sink has written so many lines."""
        logger.error("go")
        while logger.sink_stats(sink).written < begun:
            time.sleep(0.0005)

    loop(0, warm)
    drain(warm + 1)
    loop(0, lines)
    started, others = time.perf_counter(), time.process_time_ns() - time.thread_time_ns()
    drain(warm + lines + 2)
    elapsed = time.perf_counter() - started
    others = time.process_time_ns() - time.thread_time_ns() - others
    alone = compute(UNITS)
    loop(0, lines)
    logger.error("go")
    beside = compute(UNITS)
    drain(warm + 2 * lines + 4)
    alone = (alone + compute(UNITS)) / 2
    return {"lines_per_s": lines / elapsed, "others_ns": others / lines, "speed": alone / beside}


def parser(doc: str | None, kinds: Sequence[str], *, lines: int, rounds: int) -> argparse.ArgumentParser:
    """The options of a program that compares kinds of sinks, each in a process of its own (`--worker`)."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--lines", type=int, default=lines, help="of one run (default: %(default)s)")
    made.add_argument("--rounds", type=int, default=rounds)
    made.add_argument("--dir", help="where files and sockets go; default: the temporary directory")
    tables.add_option(made)
    made.add_argument("--worker", choices=kinds, help=argparse.SUPPRESS)
    return made


def compare(script: str, kinds: Sequence[str], options: argparse.Namespace) -> dict[str, list[Any]]:
    """What the workers of bench/`script` measured, in turns. Prints the `FIGURES` as tables, beside those of "file"."""
    command = [sys.executable, str(BENCH / script), "--lines", str(options.lines)]
    command += ["--dir", options.dir] if options.dir else []
    with ExitStack() as stack:
        asked = {}
        for kind in kinds:
            worker = stack.enter_context(Worker([*command, "--worker", kind]))
            asked[kind] = lambda worker=worker: worker.ask(1)
        found = turns.take_turns(asked, options.rounds)
    for figure, title in FIGURES.items():
        turns.print_table(title, {kind: [one[figure] for one in found[kind]] for kind in kinds}, base="file")
    return found
