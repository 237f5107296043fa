"""Comparison by turns: burst after burst of each subject in one process, so that all meet the same machine.

A virtual machine changes its speed for seconds at a time. Subjects that are measured one after the other, each in a
process of its own, then differ by that factor; the ratio of two bursts of one round does not. So every ratio is
formed within a round, and the median over the rounds is reported. Several worker processes in sequence even out what
one process keeps for its life (where its code and its memory lie).

The bursts are recorded as pyperf runs with pyperf's facts about the machine: `--output FILE` writes them for
`pyperf stats`, `hist`, `check` and `compare_to`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping

Rounds = dict[str, list[float]]
"""Nanoseconds per call of each subject, one value a round."""


def take_turns(bursts: Mapping[str, Callable[[], float]], rounds: int) -> Rounds:
    """Run every burst once per round; each tells its nanoseconds per call. Every other round runs backwards."""
    found: Rounds = {name: [] for name in bursts}
    order = list(bursts.items())
    for _ in range(rounds):
        for name, burst in order:
            found[name].append(burst())
        order.reverse()
    return found


def joined(workers: list[Rounds]) -> Rounds:
    """The rounds of all worker processes, one after the other."""
    return {name: [value for worker in workers for value in worker[name]] for name in workers[0]}


class Net:
    """Figures with the cost of the empty loop taken off, round by round."""

    def __init__(self, rounds: Rounds, loop: str) -> None:
        empty = rounds[loop]
        self.values = {
            name: [value - bare for value, bare in zip(values, empty, strict=True)]
            for name, values in rounds.items()
            if name != loop
        }

    def ns(self, name: str) -> float:
        return statistics.median(self.values[name])

    def ratio(self, name: str, base: str) -> float:
        pairs = zip(self.values[name], self.values[base], strict=True)
        return statistics.median(value / other for value, other in pairs if other > 0)

    def more(self, name: str, base: str) -> float:
        pairs = zip(self.values[name], self.values[base], strict=True)
        return statistics.median(value - other for value, other in pairs)


def options(description: str, rounds: int, processes: int) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, help=f"in each process ({rounds})")
    parser.add_argument("--processes", type=int, help=f"worker processes, one after the other ({processes})")
    parser.add_argument("--fast", action="store_true", help="a quick look: one process, a quarter of the rounds")
    parser.add_argument("--output", "-o", help="write the bursts to this file, in pyperf's format")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    chosen.rounds = chosen.rounds or (rounds // 4 if chosen.fast else rounds)
    chosen.processes = chosen.processes or (1 if chosen.fast else processes)
    return chosen


def run(chosen: argparse.Namespace, measure: Callable[[int], Rounds]) -> list[Rounds]:
    """`measure(rounds)` in several processes, which run this script again; a worker prints its own and ends here."""
    if chosen.worker:
        print(json.dumps(measure(chosen.rounds)))
        sys.exit()
    command = [sys.executable, sys.argv[0], "--worker", "--rounds", str(chosen.rounds)]
    workers: list[Rounds] = []
    for _ in range(chosen.processes):
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        workers.append(json.loads(done.stdout.splitlines()[-1]))
    if chosen.output:
        record(workers, chosen.output)
    return workers


def record(workers: list[Rounds], path: str) -> None:
    import pyperf

    benchmarks = []
    for name in workers[0]:
        runs = [
            pyperf.Run([max(value, 1e-3) / 1e9 for value in worker[name]], metadata={"name": name})
            for worker in workers
        ]
        benchmarks.append(pyperf.Benchmark(runs))
    pyperf.BenchmarkSuite(benchmarks).dump(path, replace=True)
