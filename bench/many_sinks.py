"""Do sinks that do not want a record cost anything? Lines a second with many sinks by module, of which one wants them.

    python bench/many_sinks.py
    python bench/many_sinks.py --old ../old

Three loggers take turns, run by run: one with the one sink alone, one with all of the sinks, and one with a plain sink
that selects nothing. Lines are counted in the files after timing. With `--old`, the same of another source tree takes
turns with them, and tables compare the two: routing must not cost a plain logger anything. The flusher's processor time
is the steadier figure on a busy machine.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from harness import BENCH, REPOSITORY, TREE_VARIABLE, lines, turns
from harness.loops import compile_loop
from harness.scenarios import BRACE
from harness.workers import Worker, serve


def measure(kind: str, options: argparse.Namespace) -> dict[str, Any]:
    from logly import Logger, LoggerConfig, SinkConfig

    with tempfile.TemporaryDirectory(dir=options.dir) as folder:
        with Logger(LoggerConfig(auto_sink=False)) as logger:
            loop = compile_loop(BRACE["args"], logger)
            module = loop.__globals__["__name__"]
            count = options.sinks if kind == "many" else 1
            for i in range(count):
                # The one that wants the records is in the middle.
                name = module if i == count // 2 else f"service.part{i}"
                logger.add_sink(SinkConfig(path=f"{folder}/{i}.log", filter_module=None if kind == "plain" else name))
            loop(0, 1000)
            logger.flush()
            begun, others = time.perf_counter(), time.process_time_ns() - time.thread_time_ns()
            loop(0, options.lines)
            logger.flush()
            elapsed = time.perf_counter() - begun
            others = time.process_time_ns() - time.thread_time_ns() - others
        for i in range(count):
            lines.check(f"{kind}, sink {i}", f"{folder}/{i}.log", options.lines + 1000 if i == count // 2 else 0)
    return {"lines_per_s": options.lines / elapsed, "flusher_ns": others / options.lines}


KINDS = {
    "alone": "one sink by module",
    "many": "{} sinks by module, one of which wants them",
    "plain": "one plain sink",
}


def compare(options: argparse.Namespace) -> dict[str, list[dict[str, float]]]:
    """What each run measured, by kind, and by kind of the other tree."""
    trees = {"": str(REPOSITORY)} | ({"old: ": str(Path(options.old).resolve())} if options.old else {})
    command = [
        sys.executable,
        str(BENCH / "many_sinks.py"),
        "--lines",
        str(options.lines),
        "--sinks",
        str(options.sinks),
    ]
    command += ["--dir", options.dir] if options.dir else []
    with ExitStack() as stack:
        asked = {}
        for side, tree in trees.items():
            for kind in KINDS:
                worker = stack.enter_context(Worker([*command, "--worker", kind], {TREE_VARIABLE: tree}))
                asked[f"{side}{kind}"] = lambda worker=worker: worker.ask(1)
        return turns.take_turns(asked, options.rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sinks", type=int, default=200)
    parser.add_argument("--lines", type=int, default=400_000, help="of one run (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--old", help="another source tree with logly built in place")
    parser.add_argument("--dir", help="where the log files go; default: the temporary directory")
    parser.add_argument("--worker", choices=KINDS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        serve(lambda _: measure(options.worker, options))
        return
    found = compare(options)
    for figure, title in (("lines_per_s", "lines a second"), ("flusher_ns", "the flusher's processor time, ns a line")):
        values = {name: [result[figure] for result in results] for name, results in found.items()}
        turns.print_table(f"{title}, {options.sinks} sinks", {kind: values[kind] for kind in KINDS}, base="alone")
        for kind in KINDS if options.old else ():
            turns.print_table(f"{title}, {kind}", {"old": values[f"old: {kind}"], "new": values[kind]}, base="old")


if __name__ == "__main__":
    main()
