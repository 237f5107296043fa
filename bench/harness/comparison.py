"""Statements that are compared in turns: what logly's calls cost beside a floor, or with and without a feature.

A comparison is a module of `bench/comparisons/`; `bench/README.md` shows one. Its `subjects(bench)` makes what is
called and names the statements. Its `FIGURES` say what is printed of them.

All statements take turns in one process, in bursts that fit the ring. All loggers are flushed after each burst, which
is not timed, so that each burst finds the same state whoever ran before. The cost of the empty loop is taken off in
each round, ratios are formed within a round, and the median over all rounds is printed. Several worker processes in
sequence even out what one process keeps for its life (where its code and its memory lie). Lines are counted in the
files after timing.
"""

from __future__ import annotations

import argparse
import importlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from typing import Any

from harness import BENCH, lines, tables, turns
from harness.floor import load_floor
from harness.loops import compile_loop
from harness.scenarios import SCENARIOS, Scenario
from harness.workers import Worker, serve

BURST = 2_000
"""Calls between two flushes: they fit the default ring twice over."""
ASLEEP_MS = 60_000.0
"""Flush interval: no flusher wakes up by itself and meets the burst of somebody else."""
FLUSH_MS = 100.0
"""The default flush interval, for what is measured with a flusher that is awake."""
WARMUPS = 5
LOOP = "loop"

Rounds = dict[str, list[float]]
"""Nanoseconds of each subject, one value a round."""


@dataclass
class Target:
    """What a statement calls `logger`, and the files that its lines must be in."""

    name: str
    logger: Any
    paths: list[str] = field(default_factory=list)
    flush: Callable[[], Any] = lambda: None
    close: Callable[[], Any] = lambda: None
    expected: int = 0
    marker: bytes = b"\n"
    """Occurs once in each line that is logged."""

    def settle(self) -> None:
        """Flush, check that all lines are there, and empty the files."""
        self.flush()
        for path in self.paths:
            lines.check(self.name, path, self.expected, self.marker)
            os.truncate(path, 0)
        self.expected = 0

    def finish(self) -> None:
        self.flush()
        self.close()
        for path in self.paths:
            lines.check(self.name, path, self.expected, self.marker)


class Bench:
    """What one worker process compares."""

    def __init__(self, folder: str, options: argparse.Namespace) -> None:
        self.folder = folder
        self.options = options
        self.targets: list[Target] = []
        self.bursts: dict[str, Callable[[], float]] = {}
        self.slow: dict[str, Callable[[], float]] = {}
        self.slow_every = 1
        self.floor = Target("floor", load_floor())
        self.add(LOOP, self.floor, "pass", lines_per_call=0)

    def path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def logger(self, *sinks: dict[str, Any], **config: Any) -> Target:
        """A logger whose sinks write to files of its own; each dictionary holds the settings of one sink."""
        from logly import Logger, LoggerConfig, SinkConfig

        logger = Logger(LoggerConfig(**{"auto_sink": False, "async_flush_interval": ASLEEP_MS} | config))
        paths = [self.path(f"{len(self.targets)}-{number}.log") for number in range(len(sinks))]
        for path, sink in zip(paths, sinks, strict=True):
            logger.add_sink(SinkConfig(path=path, **sink))
        return self.target(Target(f"logger {len(self.targets)}", logger, paths, logger.flush, logger.close))

    def target(self, target: Target) -> Target:
        """Something else to call: it is flushed after each burst, and closed and its lines counted at the end."""
        self.targets.append(target)
        return target

    def library(self, peer: str, scenario: str) -> Target | None:
        """Another library, set up for a scenario; None where it cannot be imported."""
        try:
            module = importlib.import_module(f"peers.{peer}")
        except ImportError as error:
            print(f"left out: {error}", file=sys.stderr)
            return None
        path = self.path(f"{peer}.log")
        session = module.setup(path, SCENARIOS[scenario])
        return self.target(Target(peer, session.logger, [path], session.flush, session.close))

    def add(
        self,
        name: str,
        target: Target,
        statement: str,
        *,
        logger: Any = None,
        around: Callable[[], AbstractContextManager[Any]] = nullcontext,
        calls: int = BURST,
        lines_per_call: int = 1,
        scenario: Scenario | None = None,
    ) -> None:
        """A statement to be called in bursts. `logger` stands for the target's own (a bound one, for example).

        `around` is entered before each burst and left after it, not timed. `scenario` says what is handled meanwhile.
        """
        clock = time.perf_counter_ns
        fail, each_fails = (scenario.fail, scenario.each_fails) if scenario else (None, False)
        loop = compile_loop(statement, logger or target.logger, fail=fail, each_fails=each_fails)
        targets = self.targets

        def burst() -> float:
            if scenario:
                scenario.prepare(calls)
            with around():
                begun = clock()
                loop(0, calls)
                taken = clock() - begun
            for other in targets:
                other.flush()
            target.expected += calls * lines_per_call
            return taken / calls

        self.bursts[name] = burst

    def add_slow(self, name: str, measure: Callable[[], float], every: int) -> None:
        """Something that tells its own nanoseconds: once in so many rounds, in turns of its own after the bursts.

        The lines that it logs must be added to its target's `expected`.
        """
        self.slow[name] = measure
        self.slow_every = every

    def measure(self, rounds: int) -> dict[str, Rounds]:
        """The loop is taken off the bursts, not off what is slow."""
        bursts = turns.take_turns(self.bursts, rounds)
        slow = turns.take_turns(self.slow, max(min(3, rounds), rounds // self.slow_every)) if self.slow else {}
        return {"bursts": bursts, "slow": slow}

    def finish(self) -> None:
        for target in self.targets:
            target.finish()


class Values:
    """What all workers found, without the empty loop."""

    def __init__(self, answers: Sequence[dict[str, Rounds]]) -> None:
        bursts = joined([answer["bursts"] for answer in answers])
        empty = bursts.pop(LOOP)
        self.bursts = {
            name: [value - bare for value, bare in zip(values, empty, strict=True)] for name, values in bursts.items()
        }
        self.all = self.bursts | joined([answer["slow"] for answer in answers])


def joined(workers: Sequence[Rounds]) -> Rounds:
    """The rounds of all worker processes, one after the other."""
    return {name: [value for worker in workers for value in worker[name]] for name in workers[0]}


@dataclass(frozen=True)
class Figure:
    """One line of what is printed."""

    title: str
    subjects: tuple[str, ...]
    value: Callable[..., float]
    """Of the values of each subject."""
    goal: str = ""


def ratio(title: str, name: str, base: str, goal: str = "") -> Figure:
    return Figure(title, (name, base), turns.ratio, goal)


def more(title: str, name: str, base: str, goal: str = "") -> Figure:
    """How many nanoseconds more than the base."""
    return Figure(title, (name, base), turns.difference, goal)


def median(title: str, name: str, goal: str = "") -> Figure:
    return Figure(title, (name,), statistics.median, goal)


def most(title: str, name: str, goal: str = "") -> Figure:
    return Figure(title, (name,), max, goal)


def per_second(title: str, name: str, goal: str = "") -> Figure:
    return Figure(title, (name,), lambda values: 1e9 / statistics.median(values), goal)


def names() -> list[str]:
    return sorted(path.stem for path in (BENCH / "comparisons").glob("[!_]*.py"))


def load(name: str) -> Any:
    return importlib.import_module(f"comparisons.{name}")


def parsed(module: Any, arguments: Sequence[str]) -> argparse.Namespace:
    rounds, processes = getattr(module, "ROUNDS", 400), getattr(module, "PROCESSES", 5)
    parser = argparse.ArgumentParser(
        prog=f"cost.py {module.__name__.rpartition('.')[2]}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, help=f"in each process ({rounds})")
    parser.add_argument("--processes", type=int, help=f"worker processes, one after the other ({processes})")
    parser.add_argument("--fast", action="store_true", help="a quick look: one process, a quarter of the rounds")
    parser.add_argument("--output", "-o", help="write the values to this file, in pyperf's format")
    parser.add_argument("--dir", help="where the log files go; default: the temporary directory")
    tables.add_option(parser)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    if hasattr(module, "options"):
        module.options(parser)
    chosen = parser.parse_args(arguments)
    chosen.rounds = chosen.rounds or (rounds // 4 if chosen.fast else rounds)
    chosen.processes = chosen.processes or (1 if chosen.fast else processes)
    return chosen


def main(name: str, arguments: Sequence[str]) -> None:
    module = load(name)
    chosen = parsed(module, arguments)
    if chosen.worker:
        work(module, chosen)
        return
    answers = []
    for _ in range(chosen.processes):
        with Worker(command(name, arguments)) as worker:
            answers.append(worker.ask(chosen.rounds))
    if chosen.output:
        record(answers, chosen.output)
    report(module.FIGURES, Values(answers))
    tables.write(chosen.json)


def command(name: str, arguments: Sequence[str] = (), python: str = sys.executable) -> list[str]:
    """What a worker process runs."""
    return [python, str(BENCH / "cost.py"), name, *arguments, "--worker"]


def work(module: Any, chosen: argparse.Namespace) -> None:
    with ExitStack() as stack:
        bench = Bench(stack.enter_context(tempfile.TemporaryDirectory(dir=chosen.dir)), chosen)
        module.subjects(bench)
        turns.take_turns(bench.bursts, WARMUPS)
        serve(bench.measure)
        bench.finish()


def report(figures: Sequence[Figure], values: Values) -> None:
    width = max(len(title) for title in [*values.bursts, *(figure.title for figure in figures)]) + 2
    print(f"\n{'one call, median of all rounds':{width}}{'ns':>10}")
    for name, found in values.bursts.items():
        print(f"{name:{width}}{statistics.median(found):10.1f}")
    calls = {name: [statistics.median(found)] for name, found in values.bursts.items()}
    found_figures: dict[str, list[float]] = {}
    print(f"\n{'medians of the rounds':{width}}{'':10}   (goal)")
    for figure in figures:
        if missing := [name for name in figure.subjects if name not in values.all]:
            print(f"{figure.title:{width}}{'':10}   not measured: {', '.join(missing)}")
            continue
        value = figure.value(*(values.all[name] for name in figure.subjects))
        found_figures[figure.title] = [value]
        text = f"{value:10,.0f}" if value >= 1000 else f"{value:10.3f}"
        print(f"{figure.title:{width}}{text}" + (f"   ({figure.goal})" if figure.goal else ""))
    goals = {figure.title: figure.goal for figure in figures if figure.goal}
    tables.kept.append(tables.Table("medians of the rounds", ["this run"], found_figures, goals))
    tables.kept.append(tables.Table("one call, ns", ["median"], calls))


def record(answers: Sequence[dict[str, Rounds]], path: str) -> None:
    """In pyperf's format, with its facts about the machine, for its `stats`, `hist`, `check` and `compare_to`."""
    import pyperf

    benchmarks = []
    for group in ("bursts", "slow"):
        for name in answers[0][group]:
            runs = [
                pyperf.Run([max(value, 1e-3) / 1e9 for value in answer[group][name]], metadata={"name": name})
                for answer in answers
            ]
            benchmarks.append(pyperf.Benchmark(runs))
    pyperf.BenchmarkSuite(benchmarks).dump(path, replace=True)
