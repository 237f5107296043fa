"""Is one build of logly slower than another? The old and the new one in turns: calls, throughput, import, size.

    python bench/compare_builds.py OLD NEW

Each is a source tree with logly built in place for this Python (a `git worktree` of the old commit, for example), or
the Python of a virtual environment in which logly is installed. Both are measured by this tree's `bench/`. What is
measured: the statements of `cost.py core`, the line of `throughput.py`, `import logly`, and the size of the package as
a wheel compresses it.

A worker process of each build is alive at a time, and the two take turns every few milliseconds. After that another
pair is started, because a process keeps for its life where its code and its memory lie. The ratio is that of the
medians. The statements of the floor run the same code on both sides: how far their ratio is from 1 is the noise of
this run. `--within 0.03` ends with exit code 1 where a ratio of logly's own is worse than that.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import BENCH, INSTALLED, TREE_VARIABLE, comparison, turns
from harness.runs import Run
from harness.workers import Worker, serve
from import_time import start_ms

LINES = 200_000
"""Of one run: short enough that the two take turns several times a second."""
SHIPPED = ("*.py", "*.pyi", "*.pxd", "py.typed")
WHERE = """
import json, logly, sys, sysconfig
print(json.dumps([logly.__file__, sysconfig.get_config_var("EXT_SUFFIX"), sys.version.split()[0]]))
"""


@dataclass(frozen=True)
class Build:
    """One side: which Python runs it, and which tree logly comes from ("" for the installed one)."""

    python: str
    tree: str
    package: Path
    suffix: str
    version: str

    def worker(self, command: Sequence[str]) -> Worker:
        return Worker([self.python, *command[1:]], {TREE_VARIABLE: self.tree or INSTALLED})

    def wheel_bytes(self) -> int:
        """What the files of the package take in a wheel."""
        files = [path for pattern in (*SHIPPED, f"*{self.suffix}") for path in self.package.rglob(pattern)]
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as wheel:
            for path in sorted(files):
                wheel.write(path, path.relative_to(self.package.parent))
        return len(packed.getvalue())


def find(place: str) -> Build:
    # Not resolved: the Python of a virtual environment is a link.
    path = Path(place).absolute()
    if not path.exists():
        sys.exit(f"{place}: neither a source tree nor a Python")
    python, tree = (sys.executable, str(path)) if path.is_dir() else (str(path), "")
    program = f"import sys; sys.path[:0] = {[tree] if tree else []!r}\n{WHERE}"
    # -P: not the current folder, which may hold a logly.
    done = subprocess.run([python, "-P", "-c", program], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"{place}: no logly that this Python can import")
    file, suffix, version = json.loads(done.stdout)
    if tree and Path(file).parent.parent != path:
        sys.exit(f"{place}: `import logly` gives {file}")
    return Build(python, tree, Path(file).parent, suffix, version)


class Rates:
    """Lines a second of the line of throughput.py, as what a worker serves."""

    def __init__(self, directory: str | None) -> None:
        self.run = Run("logly_async", "full", directory)

    def measure(self, rounds: int) -> dict[str, Any]:
        found = []
        for _ in range(rounds):
            found.append(LINES / self.run.timed(LINES)[1])
            self.run.settle()
        if self.run.written != self.run.expected:
            raise SystemExit(f"{self.run.written} of {self.run.expected} lines written")
        return {"lines_per_s": found}


def paired(
    builds: Mapping[str, Build], command: Sequence[str], warmup: int, turn: int, options: argparse.Namespace
) -> dict[str, list[list[Any]]]:
    """What each build answered, for each pair of worker processes. One turn has so many rounds."""
    answers: dict[str, list[list[Any]]] = {name: [] for name in builds}
    for number in range(options.processes):
        with ExitStack() as stack:
            workers = {}
            # The first to start has another place in memory: this one and that one in turn.
            for name in turns.in_turns(list(builds), 1, first=number):
                workers[name] = stack.enter_context(builds[name].worker(command))
                workers[name].ask(warmup)
            asked = {name: (lambda worker=workers[name]: worker.ask(turn)) for name in builds}
            for name, found in turns.take_turns(asked, options.turns).items():
                answers[name].append(found)
    return answers


def core(builds: Mapping[str, Build], options: argparse.Namespace) -> dict[str, dict[str, list[float]]]:
    """Nanoseconds of each statement of `cost.py core`, by build."""
    arguments = ["--dir", options.dir] if options.dir else []
    answers = paired(builds, comparison.command("core", arguments), 20, 5, options)
    values = {
        name: comparison.Values([answer for process in processes for answer in process]).bursts
        for name, processes in answers.items()
    }
    return {statement: {name: found[statement] for name, found in values.items()} for statement in values["old"]}


def throughput(builds: Mapping[str, Build], options: argparse.Namespace) -> dict[str, list[float]]:
    command = [sys.executable, str(BENCH / "compare_builds.py"), "--worker", "old", "new"]
    command += ["--dir", options.dir] if options.dir else []
    answers = paired(builds, command, 2, 1, options)
    return {
        name: [rate for process in processes for answer in process for rate in answer["lines_per_s"]]
        for name, processes in answers.items()
    }


def imports(builds: Mapping[str, Build], options: argparse.Namespace) -> dict[str, list[float]]:
    """Milliseconds that the import adds to a start."""
    starts = {
        (name, statement): (lambda build=build, statement=statement: start_ms(statement, build.tree, build.python))
        for name, build in builds.items()
        for statement in ("pass", "import logly")
    }
    found = turns.take_turns(starts, options.imports)
    return {
        name: [a - b for a, b in zip(found[name, "import logly"], found[name, "pass"], strict=True)] for name in builds
    }


class Table:
    """Prints one line per figure, and remembers which are outside the limit."""

    def __init__(self, within: float | None) -> None:
        self.within = within
        self.outside: list[str] = []
        print(f"\n{'median':38}{'old':>12}{'new':>12}{'new/old':>9}{'in turns':>10}")

    def line(self, title: str, values: Mapping[str, list[float]], *, more_is_better: bool = False) -> None:
        old, new = statistics.median(values["old"]), statistics.median(values["new"])
        by_turns = turns.ratio(values["new"], values["old"])
        ratio = new / old
        worse = 1 / ratio if more_is_better else ratio
        is_floor = title.startswith(("floor", "f-string"))
        mark = ""
        if self.within is not None and worse > 1 + self.within and not is_floor:
            self.outside.append(title)
            mark = "  worse"
        print(f"{title:38}{self.number(old)}{self.number(new)}{ratio:9.3f}{by_turns:10.3f}{mark}", flush=True)

    @staticmethod
    def number(value: float) -> str:
        return f"{value:12,.0f}" if value >= 1000 else f"{value:12.2f}"


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", help="a source tree with logly built in place, or a Python that has logly")
    parser.add_argument("new", help="the same")
    parser.add_argument("--processes", type=int, default=7, help="pairs of worker processes (default: %(default)s)")
    parser.add_argument("--turns", type=int, default=40, help="of each build in each pair (default: %(default)s)")
    parser.add_argument("--imports", type=int, default=41, help="starts of Python for each (default: %(default)s)")
    parser.add_argument("--fast", action="store_true", help="a quick look: one pair, 10 turns, 5 imports")
    parser.add_argument("--within", type=float, metavar="SHARE", help="exit code 1 where a ratio is worse by more")
    parser.add_argument("--dir", help="where the log files go; default: the temporary directory")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fast:
        options.processes, options.turns, options.imports = 1, 10, 5
    return options


def main() -> None:
    options = parsed()
    if options.worker:
        serve(Rates(options.dir).measure)
        return
    builds = {"old": find(options.old), "new": find(options.new)}
    for name, build in builds.items():
        print(f"{name}: {build.package} (Python {build.version})")
    table = Table(options.within)
    for statement, values in core(builds, options).items():
        table.line(f"{statement}, ns", values)
    table.line("throughput, lines a second", throughput(builds, options), more_is_better=True)
    table.line("import, ms", imports(builds, options))
    table.line("size in a wheel, KiB", {name: [build.wheel_bytes() / 1024] for name, build in builds.items()})
    if table.outside:
        sys.exit(f"worse by more than {options.within:.0%}: {', '.join(table.outside)}")


if __name__ == "__main__":
    main()
