"""Runs every benchmark with every peer and writes `bench/results/results.json` and `docs/benchmarks.md`.

    python bench/run.py            # to quote from; for a machine that does nothing else
    python bench/run.py --fast     # does everything work? figures not to be quoted
    python bench/run.py --beside ../other/bin/python --quill ../quill    # with what needs another Python, and quill

Each peer runs in a process of its own with a time limit. One that hangs, raises, or writes fewer or more
lines than were logged is reported as such. The peers take turns: a script runs once per round for each of
them, and medians over the rounds are reported (`harness/turns.py` says why). The scripts of `harness/further.py`, which
compare logly with itself, run first. After the first round of everything, further rounds are run while there is time.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import burst
import import_time
import interference
import latency
import memory
import sustained
import threads
import throughput
from harness import BENCH, REPOSITORY, further, libraries, pages, report, tree_to_measure
from harness.libraries import PEERS
from harness.machine import machine, pyperf_facts
from harness.passes import PER_CALL, Passes
from harness.processes import run_process, verdict

QUESTIONS = {
    module.__name__: module.QUESTION
    for module in (throughput, latency, threads, burst, sustained, interference, memory, import_time)
}
FINDING_S = 60


def version_of(python: str) -> str:
    """Of another interpreter: "3.13.0"."""
    code, output, errors = run_process([python, "-c", "import platform; print(platform.python_version())"], FINDING_S)
    if code:
        sys.exit(f"--beside {python}: {errors}")
    return output.strip()


def find_peers(names: list[str], beside: str) -> dict[str, dict[str, str]]:
    """What the report says of each library, and whether it can be imported. Each is imported in a new process."""
    peers = {}
    for name in names:
        python, module = beside if libraries.is_beside(name) else sys.executable, libraries.module_of(name)
        code, output, errors = run_process([python, str(BENCH / "run.py"), "--describe", module], FINDING_S)
        facts = json.loads(output.splitlines()[-1]) if code == 0 else {"label": name, "version": "", "note": ""}
        facts["status"] = "ok" if code == 0 else verdict(code, errors, FINDING_S)["status"]
        if libraries.is_beside(name):
            facts["label"] += f", CPython {name.partition('@')[2]}"
        peers[name] = facts
        if code != 0:
            print(f"{'':14} {name:18} {facts['status']}", flush=True)
    return peers


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fast", action="store_true", help="a smoke run; its figures are not to be quoted")
    parser.add_argument("--peer", action="append", choices=PEERS, help="only this one; may be repeated")
    parser.add_argument("--only", action="append", choices=[*further.PARTS, *PER_CALL, *QUESTIONS])
    parser.add_argument("--timeout", type=float, help="seconds for one peer in one round (10 fast, 30)")
    parser.add_argument("--rounds", type=int, help="of every script, instead of its own number")
    parser.add_argument("--minutes", type=float, default=40.0, help="begin no further round beyond that (40)")
    parser.add_argument("--beside", default="", metavar="PYTHON", help=f"measures {', '.join(libraries.BESIDE)}, too")
    parser.add_argument("--quill", type=Path, metavar="CHECKOUT", help="of quill, for beside_quill.py")
    parser.add_argument("--dir", help="where the log files go; default: the temporary directory")
    parser.add_argument("--results", type=Path, default=BENCH / "results" / "results.json")
    parser.add_argument("--report", type=Path, default=REPOSITORY / "docs" / "benchmarks.md")
    parser.add_argument("--report-only", action="store_true", help="write the report from existing results")
    parser.add_argument("--describe", choices=PEERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.timeout = options.timeout or (10.0 if options.fast else 30.0)
    return options


def write(results: dict[str, Any], options: argparse.Namespace) -> None:
    """The report; and the tables of other pages, where the report is the repository's own."""
    report.write(results, options.report)
    if options.report == REPOSITORY / "docs" / "benchmarks.md" and not results["fast"]:
        pages.write(results)


def main() -> None:
    options = parsed()
    if options.describe:
        print(json.dumps(libraries.facts(options.describe)))
        return
    if options.report_only:
        write(json.loads(options.results.read_text()), options)
        return

    names = options.peer or PEERS
    if options.beside:
        names = libraries.with_beside(names, version_of(options.beside))
    peers = find_peers(names, options.beside)
    facts = {"logly": "that of the source tree" if tree_to_measure() else "the installed one"}
    if options.beside:
        facts["second interpreter"] = f"CPython {version_of(options.beside)}"
    results: dict[str, Any] = {"machine": machine() | pyperf_facts() | facts, "fast": options.fast, "peers": peers}
    usable = [peer for peer, facts in peers.items() if facts["status"] == "ok"]
    wanted = options.only or [*further.PARTS, *PER_CALL, *QUESTIONS]
    passes = Passes(usable, [name for name in wanted if name not in further.PARTS], QUESTIONS, options)
    results["further"] = {}

    def save() -> None:
        results["scripts"] = passes.combined()
        results["seconds"] = round(passes.elapsed())
        results["seconds_of"] = {script: round(seconds) for script, seconds in passes.seconds.items()}
        options.results.parent.mkdir(parents=True, exist_ok=True)
        options.results.write_text(json.dumps(results, indent=1) + "\n")

    further.run_all([name for name in wanted if name in further.PARTS], results["further"], save, options)
    passes.run(save)
    save()
    write(results, options)
    print(f"{results['seconds']} s; report in {options.report.name}, results in {options.results.name}")


if __name__ == "__main__":
    main()
