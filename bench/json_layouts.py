"""What do JSON layouts cost the flusher? Its processor time per byte, for plain JSON, other keys and the presets.

    python bench/json_layouts.py [--old ../old]

One process for each layout; the processes take turns. Each has the same records: two arguments in the message and
three fields or none. Lines are counted in the file after timing. With `--old`, plain JSON of another tree does, too.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from harness import BENCH, INSTALLED, TREE_VARIABLE, lines, tables, tree_to_measure, turns
from harness.loops import compile_loop
from harness.workers import Worker, serve

LAYOUTS: dict[str, dict[str, Any]] = {
    "plain": {"json": True},
    "keys": {
        "json": True,
        "json_keys": {"level": "severity", "message": "msg", "timestamp": "time"},
        "json_static": {"service": "shop", "env": "prod"},
    },
    "ecs": {"format": "ecs"},
    "gcp": {"format": "gcp"},
    "datadog": {"format": "datadog"},
}
STATEMENTS = {
    "fields": "logger.info('order {} filled at {:.2f}', i, x, symbol='ABCD', live=True, desk='north')",
    "bare": "logger.info('order {} filled at {:.2f}', i, x)",
}


def measure(kind: str, options: argparse.Namespace) -> dict[str, Any]:
    from logly import Logger, LoggerConfig, SinkConfig

    layout, what = kind.split(",")
    with tempfile.TemporaryDirectory(dir=options.dir) as folder:
        path = f"{folder}/log.json"
        with Logger(LoggerConfig(auto_sink=False)) as logger:
            loop = compile_loop(STATEMENTS[what], logger)
            logger.add_sink(SinkConfig(path=path, **LAYOUTS[layout]))
            loop(0, 1000)
            logger.flush()
            size = os.path.getsize(path)
            others = time.process_time_ns() - time.thread_time_ns()
            loop(0, options.lines)
            logger.flush()
            others = time.process_time_ns() - time.thread_time_ns() - others
            size = os.path.getsize(path) - size
        lines.check(kind, path, options.lines + 1000)
    return {"ns_a_line": others / options.lines, "ns_a_byte": others / size, "bytes": size / options.lines}


def compare(options: argparse.Namespace) -> dict[str, list[dict[str, float]]]:
    command = [sys.executable, str(BENCH / "json_layouts.py"), "--lines", str(options.lines)]
    command += ["--dir", options.dir] if options.dir else []
    trees = {"": tree_to_measure() or INSTALLED} | ({"old: ": str(Path(options.old).resolve())} if options.old else {})
    with ExitStack() as stack:
        asked = {}
        for what in STATEMENTS:
            for side, tree in trees.items():
                for layout in LAYOUTS if not side else ("plain",):
                    kind = f"{layout},{what}"
                    worker = stack.enter_context(Worker([*command, "--worker", kind], {TREE_VARIABLE: tree}))
                    asked[f"{side}{kind}"] = lambda worker=worker: worker.ask(1)
        return turns.take_turns(asked, options.rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=300_000, help="of one run (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--old", help="another source tree with logly built in place")
    parser.add_argument("--dir", help="where the log files go; default: the temporary directory")
    tables.add_option(parser)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        serve(lambda _: measure(options.worker, options))
        return
    found = compare(options)
    for what in STATEMENTS:
        for figure in ("ns_a_byte", "ns_a_line", "bytes"):
            values = {
                name.split(",")[0]: [one[figure] for one in results]
                for name, results in found.items()
                if name.endswith(f",{what}")
            }
            turns.print_table(f"the flusher, {what}: {figure}", values, base="plain")
    tables.write(options.json)


if __name__ == "__main__":
    main()
