"""What one call costs its caller, measured by pyperf: a worker process for each library and scenario.

Bursts of 1,000 calls are timed; the flush after each is not. So an asynchronous library is asked what its call costs,
not how fast its consumer is; `sustained.py` and `throughput.py` ask that. How many bursts make a value is decided
here, by time. pyperf's own calibration would wait for 0.1 s of calls, and a library that takes a second to write what
it accepted in a millisecond would take for ever.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from harness import BENCH, TREE_VARIABLE
from harness.libraries import PEERS
from harness.processes import run_process, verdict
from harness.rows import balance
from harness.runs import BURST, Run
from harness.scenarios import SCENARIOS, TEXT

FLUSHING = 4
"""A value takes at most so many times the time of its calls; the rest is flushing."""
MOST_BYTES = 1 << 26
"""Of text in one value: more would measure the disk."""
FULL = ["--processes=1", "--values=2", "--warmups=1"]
FAST = [*FULL, "--seconds=0.002", "--burst=100"]


def main(script: str, scenario_name: str, arguments: list[str]) -> None:
    """A pyperf script; pyperf starts it again for its workers."""
    import pyperf

    scenario = SCENARIOS[scenario_name]

    def pass_on(command: list[str], options: argparse.Namespace) -> None:
        for peer in options.peer or []:
            command += ["--peer", peer]
        command += ["--burst", str(options.burst), "--seconds", str(options.seconds)]
        for name in ("ledger", "dir"):
            if getattr(options, name):
                command += [f"--{name}", getattr(options, name)]

    runner = pyperf.Runner(program_args=(script, scenario_name), add_cmdline_args=pass_on)
    parser = runner.argparser
    parser.description = f"{scenario.question} (pyperf's options apply)"
    parser.add_argument("--peer", action="append", choices=PEERS, metavar="PEER", help="only this one; may be repeated")
    parser.add_argument("--burst", type=int, default=BURST, help="calls timed at a stretch")
    parser.add_argument("--seconds", type=float, default=0.05, help="timed calls of one value")
    parser.add_argument("--ledger", help="file that collects lines expected and written")
    parser.add_argument("--dir", help="where the log files go")
    parser.set_defaults(loops=1, inherit_environ=[TREE_VARIABLE])
    options = runner.parse_args(arguments)
    for peer in options.peer or PEERS:
        for label, text in (scenario.texts or {"": TEXT}).items():
            burst = max(4, min(options.burst, scenario.burst, (1 << 19) // (len(text) + 64)))
            runner.bench_time_func(
                f"{scenario_name}/{peer}{label and '/' + label}",
                TimedBursts(peer, scenario_name, options, text, burst),
                inner_loops=burst,
            )
    # Workers of a library whose background thread never ends must still end.
    if options.worker:
        sys.stdout.flush()
        os._exit(0)


class TimedBursts:
    """pyperf's time function. The library is set up at the first call, in the worker that measures it."""

    def __init__(self, peer: str, scenario: str, options: argparse.Namespace, text: str, burst: int) -> None:
        self.peer, self.scenario, self.options, self.text, self.burst = peer, scenario, options, text, burst
        self.run: Run | None = None

    def __call__(self, loops: int) -> float:
        """The median burst, times `loops`, of as many bursts as fit into the time of a value.

        The mean would be that of the few bursts in which a neighbour had the processor.
        """
        if self.run is None:
            self.run = Run(self.peer, self.scenario, self.options.dir, self.text)
        run, burst, timed_s = self.run, self.burst, self.options.seconds
        loop, flush, clock = run.loop, run.flush, time.perf_counter
        most = max(loops, MOST_BYTES // (burst * (len(self.text) + 64)))
        took: list[float] = []
        total, begun = 0.0, clock()
        while len(took) < loops or (len(took) < most and total < timed_s and clock() - begun < FLUSHING * timed_s):
            first = len(took) * burst
            run.scenario.prepare(burst)
            start = clock()
            loop(first, first + burst)
            took.append(clock() - start)
            total += took[-1]
            flush()
        self.count(len(took) * burst)
        return statistics.median(took) * loops

    def count(self, calls: int) -> None:
        """Whether all lines are there; told to the ledger."""
        assert self.run is not None
        run = self.run
        expected, written = run.expected, run.written
        run.expect(calls)
        run.settle()
        if self.options.ledger and not run.is_floor:
            entry = {"expected": run.expected - expected, "written": run.written - written}
            with open(self.options.ledger, "a") as file:
                file.write(json.dumps(entry) + "\n")


def ask(
    scenario: str, peer: str, *, fast: bool, directory: str | None, timeout_s: float, python: str = sys.executable
) -> dict[str, Any]:
    """One library's row of one scenario, measured by one worker process of pyperf."""
    import pyperf

    with tempfile.TemporaryDirectory() as folder:
        output, ledger = Path(folder, "out.json"), Path(folder, "ledger")
        command = [python, str(BENCH / "cost.py"), scenario, "--peer", peer, "-o", str(output)]
        command += ["--ledger", str(ledger), "--quiet", *(FAST if fast else FULL)]
        command += ["--dir", directory] if directory else []
        code, _, errors = run_process(command, timeout_s)
        if code != 0 or not output.exists():
            return verdict(code, errors, timeout_s)
        books = [json.loads(line) for line in ledger.read_text().splitlines()] if ledger.exists() else []
        costs = {}
        for benchmark in pyperf.BenchmarkSuite.load(str(output)):
            name = benchmark.get_name().split("/")[2:]
            costs[name[0] if name else ""] = benchmark.median() * 1e9
    figures = {scenario: costs} if SCENARIOS[scenario].texts else {"ns": costs[""]}
    totals = {key: sum(entry[key] for entry in books) for key in ("expected", "written")}
    return balance({"status": "ok", **figures, **totals})
