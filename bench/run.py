"""Runs every benchmark with every peer and writes `bench/results/results.json` and `docs/benchmarks.md`.

    python bench/run.py            # to quote from; for a machine that does nothing else
    python bench/run.py --fast     # does everything work? figures not to be quoted

Each peer runs in a process of its own with a time limit. One that hangs, raises, or writes fewer or more
lines than were logged is reported as such. The peers take turns: a script runs once per round for each of
them, and medians over the rounds are reported (`rounds.py` says why). After the first round of everything,
further rounds are run while there is time.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import report
import rounds
from harness import BENCH, EXIT_MISSING, PEERS, REPOSITORY, machine

PER_CALL = [f"cost_{name}" for name in ["disabled", "text", "args", "fstring", "fields", "site", "exception", "sizes"]]
# Rounds of each (fewer where the time is used up), and what leads to the figure whose spread is kept.
LOOPS: dict[str, tuple[int, list[str]]] = {
    "throughput": (5, ["lines_per_s"]),
    "latency": (5, ["ns", "p99.9"]),
    "threads": (3, ["threads", "1", "lines_per_s"]),
    "burst": (3, ["call_ns"]),
    "sustained": (3, ["calls_per_s"]),
    "interference": (3, ["backlog_ratio"]),
    "memory": (1, ["sink_mib"]),
    "import_time": (1, ["import_ms"]),
}
ROUNDS_PER_CALL = 5
PYPERF_FAST = ["--processes=1", "--values=2", "--warmups=1", "--seconds=0.002", "--burst=100"]
PYPERF_FULL = ["--processes=1", "--values=2", "--warmups=1"]
# Beyond what a process can return.
STUCK, SLOW = 1001, 1002
PROBE = """
import importlib.metadata, json, sys
from harness import load
peer = load(sys.argv[1])
try:
    version = importlib.metadata.version(peer.DISTRIBUTION) if peer.DISTRIBUTION else ""
except importlib.metadata.PackageNotFoundError:
    version = "(from this tree)"
facts = {"label": peer.LABEL, "distribution": peer.DISTRIBUTION, "version": version}
print(json.dumps(facts | {"note": getattr(peer, "NOTE", "")}))
"""


def activity(group: int) -> tuple[int, int]:
    """Processor time that the processes of a group have used, and what they have written (0 without /proc)."""
    ticks = written = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name, in parentheses, may hold blanks.
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[2]) == group:
                ticks += int(fields[11]) + int(fields[12])
                written += int((stat.parent / "io").read_text().split()[3])
    return ticks, written


def is_idle(group: int) -> bool:
    """True when no process of the group does anything: it waits for what will not come."""
    # Threads that wait for the interpreter's lock look after it every five milliseconds: some ticks are no work.
    before = activity(group)
    time.sleep(1)
    after = activity(group)
    return after[0] - before[0] <= 5 and after[1] == before[1]


def run_process(command: list[str], timeout_s: float) -> tuple[int, str, str]:
    """Exit code (or `STUCK`, `SLOW`), stdout, stderr. Children of the child end with it."""
    # Files instead of pipes: a peer that prints every record cannot fill them up and stall.
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, cwd=BENCH, start_new_session=True)
        try:
            code = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            code = STUCK if is_idle(process.pid) else SLOW
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        out.seek(0)
        err.seek(0)
        return code, out.read(), err.read()


def verdict(code: int, errors: str, timeout_s: float) -> dict[str, Any]:
    """What to say of a process that brought no result."""
    if code == STUCK:
        return {"status": "hung", "why": f"waits for ever; ended after {timeout_s:.0f} s"}
    if code == SLOW:
        return {"status": "too slow", "why": f"still at work after {timeout_s:.0f} s"}
    if code == EXIT_MISSING or f"exit code {EXIT_MISSING}" in errors:
        return {"status": "missing"}
    lines = [line for line in errors.splitlines() if line and not line.startswith(" ")]
    for line in lines:
        if "Unsupported: " in line:
            return {"status": "unsupported", "why": line.split("Unsupported: ", 1)[1]}
    # The exception of the worker, not what pyperf says about it.
    raised = [line for line in lines if re.match(r"[\w.]*(Error|Exception|Unsupported)\b", line)]
    raised = [line for line in raised if "exit code" not in line]
    why = raised[-1] if raised else f"exit code {code}"
    return {"status": "raised", "why": why.replace(str(REPOSITORY), ".")[:200]}


def per_call(script: str, peer: str, options: argparse.Namespace) -> dict[str, Any]:
    """One round of a pyperf script: one worker process."""
    import pyperf

    with tempfile.TemporaryDirectory() as folder:
        output, ledger = Path(folder, "out.json"), Path(folder, "ledger")
        command = [sys.executable, f"{script}.py", "--peer", peer, "-o", str(output), "--ledger", str(ledger)]
        command += ["--quiet", *(PYPERF_FAST if options.fast else PYPERF_FULL)]
        command += ["--dir", options.dir] if options.dir else []
        code, _, errors = run_process(command, options.timeout)
        if code != 0 or not output.exists():
            return verdict(code, errors, options.timeout)
        books = [json.loads(line) for line in ledger.read_text().splitlines()] if ledger.exists() else []
        costs = {}
        for benchmark in pyperf.BenchmarkSuite.load(str(output)):
            name = benchmark.get_name().split("/")[2:]
            costs[name[0] if name else ""] = benchmark.median() * 1e9
    figures = {"sizes": costs} if script == "cost_sizes" else {"ns": costs[""]}
    return {"status": "ok", **figures} | {
        "expected": sum(b["expected"] for b in books),
        "written": sum(b["written"] for b in books),
    }


def plain_loop(script: str, peer: str, options: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, f"{script}.py", "--peer", peer, "--one"]
    command += ["--fast"] if options.fast else []
    command += ["--dir", options.dir] if options.dir else []
    code, output, errors = run_process(command, options.timeout)
    # A peer that prints records to the console mixes them in: the result is the last line that is one.
    for line in reversed(output.splitlines()):
        if line.startswith('{"peer"'):
            return json.loads(line)
    return verdict(code, errors, options.timeout)


class Passes:
    """Runs every script once per pass, for each peer in turn, until each has its rounds or the time is used up."""

    def __init__(self, peers: list[str], scripts: list[str], options: argparse.Namespace) -> None:
        self.peers, self.scripts, self.options = peers, scripts, options
        self.rows: dict[str, dict[str, list[dict[str, Any]]]] = {s: {p: [] for p in peers} for s in scripts}
        self.seconds = dict.fromkeys(scripts, 0.0)
        self.started = time.perf_counter()

    def elapsed(self) -> float:
        return time.perf_counter() - self.started

    def run(self, save: Callable[[], None]) -> None:
        wanted = {script: self.rounds_of(script) for script in self.scripts}
        for number in range(max(wanted.values())):
            for script in self.scripts:
                last = self.seconds[script] / max(number, 1)
                if number < wanted[script] and (number == 0 or self.elapsed() + last < self.options.minutes * 60):
                    self.run_script(script, number)
                    # An interrupted run keeps what it has.
                    save()

    def rounds_of(self, script: str) -> int:
        if self.options.fast:
            return 1
        return self.options.rounds or (LOOPS[script][0] if script in LOOPS else ROUNDS_PER_CALL)

    def run_script(self, script: str, number: int) -> None:
        measure = plain_loop if script in LOOPS else per_call
        begun = time.perf_counter()
        for peer in self.peers if number % 2 == 0 else reversed(self.peers):
            rows = self.rows[script][peer]
            # One that fails is not tried again.
            if all(row["status"] == "ok" for row in rows):
                rows.append(rounds.balance(measure(script, peer, self.options)))
                if rows[-1]["status"] not in ("ok", "unsupported"):
                    print(f"{'':7} {script:14} {peer:18} {rows[-1]['status']}: {rows[-1].get('why', '')}", flush=True)
        took = time.perf_counter() - begun
        self.seconds[script] += took
        print(f"{self.elapsed():5.0f} s {script:14} round {number + 1}, {took:.0f} s", flush=True)

    def combined(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for script, peers in self.rows.items():
            headline = LOOPS[script][1] if script in LOOPS else [] if script == "cost_sizes" else ["ns"]
            found[script] = {peer: rounds.combine(rows, headline) for peer, rows in peers.items() if rows}
        return found


def pyperf_facts() -> dict[str, str]:
    """What pyperf knows of the machine; nothing with a path or a host name."""
    import pyperf

    known = pyperf.Run([1.0]).get_metadata()
    names = {"perf_version": "pyperf", "aslr": "address randomization", "cpu_config": "processor settings"}
    names |= {"cpu_freq": "processor frequency", "load_avg_1min": "load before the run"}
    return {title: str(known[name]) for name, title in names.items() if name in known}


def find_peers(names: list[str]) -> dict[str, dict[str, str]]:
    peers = {}
    for name in names:
        code, output, errors = run_process([sys.executable, "-c", PROBE, name], 60)
        facts = json.loads(output.splitlines()[-1]) if code == 0 else {"label": name, "version": "", "note": ""}
        facts["status"] = "ok" if code == 0 else verdict(code, errors, 60)["status"]
        peers[name] = facts
        if code != 0:
            print(f"{'':14} {name:18} {facts['status']}", flush=True)
    return peers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fast", action="store_true", help="a smoke run; its figures are not to be quoted")
    parser.add_argument("--peer", action="append", choices=PEERS, help="only this one; may be repeated")
    parser.add_argument("--only", action="append", choices=[*PER_CALL, *LOOPS], help="only this script")
    parser.add_argument("--timeout", type=float, help="seconds for one peer in one round (10 fast, 30)")
    parser.add_argument("--rounds", type=int, help="of every script, instead of its own number")
    parser.add_argument("--minutes", type=float, default=22.0, help="begin no further round beyond that (22)")
    parser.add_argument("--dir", help="where the log files go; default: the temporary directory")
    parser.add_argument("--results", type=Path, default=BENCH / "results" / "results.json")
    parser.add_argument("--report", type=Path, default=REPOSITORY / "docs" / "benchmarks.md")
    parser.add_argument("--report-only", action="store_true", help="write the report from existing results")
    options = parser.parse_args()
    options.timeout = options.timeout or (10.0 if options.fast else 30.0)
    if options.report_only:
        report.write(json.loads(options.results.read_text()), options.report)
        return

    peers = find_peers(options.peer or PEERS)
    results: dict[str, Any] = {"machine": machine() | pyperf_facts(), "fast": options.fast, "peers": peers}
    usable = [peer for peer, facts in peers.items() if facts["status"] == "ok"]
    passes = Passes(usable, options.only or [*PER_CALL, *LOOPS], options)

    def save() -> None:
        results["scripts"] = passes.combined()
        results["seconds"] = round(passes.elapsed())
        results["seconds_of"] = {script: round(seconds) for script, seconds in passes.seconds.items()}
        options.results.parent.mkdir(parents=True, exist_ok=True)
        options.results.write_text(json.dumps(results, indent=1) + "\n")

    passes.run(save)
    report.write(results, options.report)
    print(f"{results['seconds']} s; report in {options.report.name}, results in {options.results.name}")


if __name__ == "__main__":
    main()
