"""Mutation testing of the Python part: which small faults in the package do its own rooms' tests not notice?

    python tools/mutants.py                            # six mutants of each room
    python tools/mutants.py config layout --count 20   # of some rooms only
    python tools/mutants.py --only config:3 --diff     # one mutant again, by the number that the report gave
    python tools/mutants.py bridge --likely 5          # faster: only the five likeliest test files for each mutant
    python tools/mutants.py --list --diff              # makes the mutants and tests nothing

A mutant is the package with one small fault: `<` where `<=` was, `or` where `and` was, a number one larger, a decorator
gone. cosmic-ray makes the mutants. This script draws some of them with a seed, runs the tests of the room that the
mutated file belongs to (ROOMS), and reports the survivors, the mutants with which every test passed. A survivor is a
test that is missing, code that does nothing, or a fault that cannot be noticed.

Everything happens on a copy of the tree, which is deleted in the end. The copy takes the compiled modules from the
checkout as they are, so they must be built; the Cython part has no mutants. PYTHONPATH names the copy, so that programs
which tests start import it as well.

Places are drawn first, each with the same chance, and then a fault at that place: a `+` has eleven of them, and an
`and` has one. Mutants that differ only in annotations, or under TYPE_CHECKING, are left out: only type
checkers read these.

Without `--likely` the tests of a room first run once without a mutant. With it they do not, and what survives has to
run once more against the whole room: `--only`.

The script needs cosmic-ray. The tests run by the interpreter that `--python` names, which needs the tests' packages.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import difflib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names
from sanitize import copy_sources

REPOSITORY = Path(__file__).resolve().parent.parent


class Room(NamedTuple):
    """Files of the package, and the tests that have to notice faults in them."""

    sources: tuple[str, ...]
    tests: tuple[str, ...]


ROOMS = {
    "config": Room(("logly/config/*.py", "logly/units.py", "logly/levels.py"), ("tests/config",)),
    "control": Room(("logly/control/*.py", "logly/_controls.py"), ("tests/control",)),
    "bridge": Room(("logly/bridge/*.py",), ("tests/bridge",)),
    "stdlib": Room(("logly/stdlib.py",), ("tests/stdlib",)),
    "layout": Room(("logly/layout/*.py",), ("tests/layout", "tests/stdlib")),  # stdlib: templates with %
    "outlets": Room(("logly/outlets/*.py", "logly/http.py"), ("tests/outlets",)),
    "commands": Room(("logly/commands/*.py", "logly/__main__.py"), ("tests/commands",)),
    "logger": Room(("logly/_logger.py", "logly/_fields.py"), ("tests/caller", "tests/config")),
    "pytest": Room(("logly_pytest.py", "logly/_caplog.py"), ("tests/frameworks/test_pytest_plugin.py",)),
}

LEFT_OUT = {
    "tests/control/test_interrupts.py": "sweeps over instants and allocations: many processes for each mutant",
}
"""Test files that are too slow to run for each mutant, and why."""

# `is` and `==` are the same for what is compared here. The last two want names of variables as arguments.
UNWANTED = re.compile(r"_(Eq|NotEq|Lt|LtE|Gt|GtE)_Is|_Is(Not)?_(Eq|NotEq|Lt|Gt)|/VariableReplacer|/VariableInserter")
LIKELY_LIMIT_S = 180.0
FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+?\.py)(\S*)", re.MULTILINE)


@dataclass
class Mutant:
    """The package with one fault, and what became of it."""

    number: str
    path: str
    line: int
    operator: str
    before: str
    after: str
    outcome: str = ""
    test: str = ""
    seconds: float = 0.0

    @property
    def diff(self) -> str:
        before, after = self.before.splitlines(keepends=True), self.after.splitlines(keepends=True)
        return "".join(difflib.unified_diff(before, after, f"a/{self.path}", f"b/{self.path}", n=2))

    def __str__(self) -> str:
        return f"{self.number:11} {self.path}:{self.line} {self.operator.removeprefix('core/')}"


class WithoutAnnotations(ast.NodeTransformer):
    """Removes what only type checkers read."""

    # ast's own names.
    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        is_for_checkers = any(isinstance(part, ast.Name) and part.id == "TYPE_CHECKING" for part in ast.walk(node.test))
        return node.orelse if is_for_checkers else node

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        return None if ast.unparse(node.targets[0]) == "TYPE_CHECKING" else node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(value=None)
        return self.generic_visit(node)


def meaning(code: str) -> str | None:
    """Equal for two texts that are the same program; None for a text that is no program."""
    try:
        return ast.dump(WithoutAnnotations().visit(ast.parse(code)))
    except SyntaxError:
        return None


@dataclass
class Faults:
    """The faults that can be made in one file, by place."""

    code: str
    places: dict[tuple[int, int], list[tuple[str, int]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        operators = {name: get_operator(name)() for name in operator_names() if not UNWANTED.search(name)}
        occurrences: Counter[str] = Counter()
        for node in ast_nodes(get_ast(self.code)):
            for name, operator in operators.items():
                for begin, _ in operator.mutation_positions(node):
                    self.places.setdefault(begin, []).append((name, occurrences[name]))
                    occurrences[name] += 1


def draw(name: str, room: Room, count: int, seed: int) -> list[Mutant]:
    """Some mutants of a room; the same ones for the same sources, count and seed. A larger count only adds to them."""
    dice = random.Random(f"{name} {seed}")
    faults = {}
    for pattern in room.sources:
        for path in sorted(REPOSITORY.glob(pattern)):
            found = Faults(path.read_text())
            if found.places:
                faults[path.relative_to(REPOSITORY).as_posix()] = found
    places = [(path, place) for path, found in faults.items() for place in sorted(found.places)]
    dice.shuffle(places)
    mutants: list[Mutant] = []
    for path, place in places:
        if len(mutants) == count:
            break
        found = faults[path]
        operator, occurrence = dice.choice(found.places[place])
        code = mutate_code(found.code, get_operator(operator)(), occurrence)
        if code is None or meaning(code) in (None, meaning(found.code)):
            continue
        mutants.append(Mutant(f"{name}:{len(mutants) + 1}", path, place[0], operator, found.code, code))
    return mutants


def function_at(code: str, line: int) -> str:
    """The name of the function or class around a line, or nothing."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    around = [
        node
        for node in ast.walk(ast.parse(code))
        if isinstance(node, kinds) and node.lineno <= line <= (node.end_lineno or 0)
    ]
    return max(around, key=lambda node: node.lineno).name if around else ""


class Tests:
    """Runs a room's tests on the copy of the tree; files that may notice a fault come first."""

    def __init__(self, tree: Path, python: str, room: Room) -> None:
        self.tree = tree
        self.python = python
        self.killed_by: Counter[str] = Counter()
        self.texts: dict[str, str] = {}
        for name in room.tests:
            place = tree / name
            for path in sorted(place.glob("test_*.py")) if place.is_dir() else [place]:
                if path.relative_to(tree).as_posix() not in LEFT_OUT:
                    self.texts[path.relative_to(tree).as_posix()] = path.read_text()

    def sorted_for(self, mutant: Mutant) -> list[str]:
        """The files, those that mention the function or the module first, then those that have killed most mutants."""
        words = {function_at(mutant.before, mutant.line).strip("_"), Path(mutant.path).stem.strip("_")} - {"", "init"}

        def key(name: str) -> tuple[int, int, int]:
            mentions = sum(word in self.texts[name] or word in name for word in words)
            return -mentions, -self.killed_by[name], len(self.texts[name])

        return sorted(self.texts, key=key)

    def run(self, files: list[str], limit_s: float | None) -> tuple[str, str]:
        """What became of the tests ("passed", "failed" or "late"), and the end of what they said."""
        command = [self.python, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--timeout=120", *files]
        env = {"HYPOTHESIS_PROFILE": "few", **os.environ, "PYTHONPATH": str(self.tree)}
        with tempfile.TemporaryFile("w+", errors="replace") as said:
            running = subprocess.Popen(
                command, cwd=self.tree, env=env, stdout=said, stderr=subprocess.STDOUT, start_new_session=True
            )
            try:
                code: int | None = running.wait(limit_s)
            except subprocess.TimeoutExpired:
                code = None
            finally:
                end_group(running)
            said.seek(0)
            text = said.read()
        return "late" if code is None else "failed" if code else "passed", text

    def check(self, mutant: Mutant, limit_s: float, likely: int | None) -> None:
        begun = time.monotonic()
        path = self.tree / mutant.path
        write(path, mutant.after)
        try:
            result, text = self.run(self.sorted_for(mutant)[:likely], limit_s)
        finally:
            write(path, mutant.before)
        mutant.seconds = time.monotonic() - begun
        mutant.outcome = {"passed": "SURVIVED", "failed": "killed", "late": "late"}[result]
        found = FAILED.findall(text)  # the last one, for a test may show what a pytest of its own has said
        if result == "failed":
            mutant.test = "".join(found[-1]) if found else text.strip().split("\n")[-1]
        if found:
            self.killed_by[found[-1][0]] += 1


def end_group(running: subprocess.Popen[bytes]) -> None:
    """Ends a process of ours with all that it started and that is still there."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(running.pid, signal.SIGKILL)
    running.wait()


_times = iter(range(1_000_000_000, 2_000_000_000))


def write(path: Path, code: str) -> None:
    """Each text gets a time of its own: a cached compiled file is told by whole seconds and its size only."""
    path.write_text(code)
    moment = next(_times)
    os.utime(path, (moment, moment))


def copy_tree(tree: Path) -> None:
    copy_sources(tree)
    built = [path for folder in ("logly", "tests") for path in (REPOSITORY / folder).rglob("*.so")]
    if not built:
        sys.exit("the compiled modules are not in the checkout: python3 dev.py setup")
    for path in built:
        shutil.copy2(path, tree / path.relative_to(REPOSITORY))


def report(mutants: list[Mutant]) -> None:
    print("\n| room | mutants | killed | over the time limit | survived |\n| --- | --- | --- | --- | --- |")
    rooms = dict.fromkeys(mutant.number.split(":")[0] for mutant in mutants)
    for name in [*rooms, "all"]:
        outcomes = Counter(each.outcome for each in mutants if name in ("all", each.number.split(":")[0]))
        print(f"| {name} | {outcomes.total()} | {outcomes['killed']} | {outcomes['late']} | {outcomes['SURVIVED']} |")


def limit_for(tests: Tests, name: str) -> float:
    """Seconds that a mutant's tests may take. The tests must pass without a mutant."""
    begun = time.monotonic()
    result, text = tests.run(list(tests.texts), None)
    taken = time.monotonic() - begun
    if result != "passed":
        sys.exit(f"{name}: the tests fail without a mutant\n{text}")
    print(f"{name}: the tests take {taken:.0f} s", flush=True)
    return 3 * taken + 30


def test_room(
    tree: Path, python: str, name: str, mutants: list[Mutant], *, likely: int | None, shows_diff: bool
) -> None:
    tests = Tests(tree, python, ROOMS[name])
    limit_s = limit_for(tests, name) if likely is None else LIKELY_LIMIT_S
    for mutant in mutants:
        tests.check(mutant, limit_s, likely)
        print(f"{mutant.outcome:8} {mutant} {mutant.seconds:.0f} s {mutant.test}", flush=True)
        if shows_diff or mutant.outcome != "killed":
            print(mutant.diff, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rooms", nargs="*", choices=[*ROOMS, []], help="all of them without this")
    parser.add_argument("--count", type=int, default=6, help="mutants of each room (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="(%(default)s)")
    parser.add_argument(
        "--only", action="append", default=[], metavar="ROOM:NUMBER", help="one mutant (again for more)"
    )
    parser.add_argument("--likely", type=int, help="only so many files for each mutant: those most likely to notice it")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that runs the tests")
    parser.add_argument("--diff", action="store_true", help="shows the diffs of all mutants, not of survivors only")
    parser.add_argument("--list", action="store_true", help="tests nothing")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what runs is ended and the copy is deleted
    names = options.rooms or list(dict.fromkeys(number.split(":")[0] for number in options.only)) or list(ROOMS)
    count = max([options.count, *(int(number.split(":")[1]) for number in options.only)])
    drawn = {name: draw(name, ROOMS[name], count, options.seed) for name in names}
    for name in names if options.only else ():
        drawn[name] = [mutant for mutant in drawn[name] if mutant.number in options.only]
    mutants = [mutant for name in names for mutant in drawn[name]]
    if options.list:
        for mutant in mutants:
            print(mutant, mutant.diff if options.diff else "", sep="\n" if options.diff else "")
        return
    with tempfile.TemporaryDirectory(prefix="logly-mutants-") as folder:
        tree = Path(folder).resolve() / "tree"
        copy_tree(tree)
        for name in names:
            test_room(tree, options.python, name, drawn[name], likely=options.likely, shows_diff=options.diff)
    report(mutants)
    sys.exit(1 if any(mutant.outcome == "SURVIVED" for mutant in mutants) else 0)


if __name__ == "__main__":
    main()
