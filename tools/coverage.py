"""Measures which lines of the package's Python and Cython the tests run, on a copy of the sources.

    python tools/coverage.py                     # the whole suite
    python tools/coverage.py -- tests/ring       # what follows -- goes to pytest
    python tools/coverage.py --python python3.13 --python python3.14t  # each in turn; their lines are added

The table goes to stdout and to build/coverage/table.txt. The lines that nothing ran go to build/coverage/uncovered.txt.
The script fails when a test fails, or when a total is below its floor (FLOORS). A run of some tests only has no floor.
Property tests try some examples only unless HYPOTHESIS_PROFILE says otherwise.

Python is measured by coverage.py, in every process that the tests start. Cython is measured by gcov: the C++ is built
without optimization, and each of its lines names the line of Cython that it was made from. The functions of the headers
are compiled into the core and into the tests' own extensions; the counts are added. Cython's own line tracing is not
used, because it takes the GIL in functions that run without the GIL, also while they hold the engine's lock.

Programs that tests cut at every instant, or whose allocations they make fail, run without coverage.py: it would take
hours, or fail itself. Of them only the lines of Cython count (UNTRACED in coverage_hooks.py).

Not counted are the last lines of a process that another process kills, blocks for other systems (ELSEWHERE), and
functions that nothing calls: the compiler leaves those out (tests/house/test_source.py looks for them).

The interpreter is the one that runs this script, or `--python`. It needs cython, setuptools, the dependency group
`coverage` and the packages of the tests. gcc and gcov must be of one version.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from sanitize import copy_sources

REPOSITORY = Path(__file__).resolve().parent.parent
REPORTS = REPOSITORY / "build" / "coverage"
PACKAGE = "logly"
FLOORS = {"Python": 97.0, "Cython": 95.0}
"""Least percentage of lines that the whole suite has to run."""
CYTHON = (".pyx", ".pxd", ".pxi")
DESELECTED = {
    "tests/layout/test_forged_lines.py::test_a_record_begins_one_line_of_text[escape-path]": "as below",
    "tests/layout/test_forged_lines.py::test_a_record_begins_one_line_of_text[indent-path]": "as below",
    "tests/layout/test_forged_lines.py::test_every_layout[path]": "a lone surrogate in a file's name stops coverage.py",
    "tests/caller/test_backpressure.py::test_a_ring_that_is_emptied_while_a_caller_finds_it_full": "limits seconds",
    "tests/whole/test_exit.py::test_a_sub_interpreter_works_or_says_clearly_that_it_does_not": "coverage.py complains",
    "tests/registry/test_frames.py::test_a_signal_s_handler_while_a_function_leaves": "os.kill is in Python here",
    "tests/house/test_public_api.py::test_the_version_is_the_distributions": "a copy of the tree is not installed",
    "tests/control/test_reports.py::test_nothing_is_written_into_what_has_the_number_of_a_closed_stderr": "as below",
    "tests/commands/test_recover.py::test_recover_with_stdout_closed_says_so": "coverage.py's file has that number",
}
"""Tests that cannot pass here, and why."""

ELSEWHERE = re.compile(r"""sys\.platform == "win32"|sys\.platform != "linux"|except ImportError:  # Windows""")
"""Blocks that begin with such a line cannot run on Linux, where this script runs; they do not count."""

COVERAGE_SETTINGS = """
[run]
source = {package}
data_file = {data}
parallel = true
core = {core}
patch =
    _exit
    execv
    fork
    subprocess
[report]
exclude_also =
    if TYPE_CHECKING:
    {elsewhere}
"""
# Threads that `threading` did not start are seen by sys.monitoring, CPython 3.12 or later; else see coverage_hooks.py.
CORE = "import sys; print('sysmon' if sys.version_info >= (3, 12) else 'ctrace')"
# Each extension has its own copy of gcov's functions, which are hidden.
DUMP = """
#line 1 "coverage"
extern "C" void __gcov_dump(void);
extern "C" void __gcov_reset(void);
extern "C" __attribute__((visibility("default"))) void logly_coverage_dump(void) { __gcov_dump(); __gcov_reset(); }
"""
LINE_DIRECTIVE = re.compile(r'#line \d+ "(.*)"')
VERBATIM = re.compile(r'^cdef extern from [^\n]*:\n\s*"""\n(.*?)\n *"""', re.MULTILINE | re.DOTALL)


@dataclass
class Lines:
    """The lines of one file that hold code, and how often each was run."""

    counts: Counter[int] = field(default_factory=Counter)

    def add(self, number: int, count: int) -> None:
        self.counts[number] += count

    @property
    def total(self) -> int:
        return len(self.counts)

    @property
    def uncovered(self) -> list[int]:
        return sorted(number for number, count in self.counts.items() if not count)

    @property
    def covered(self) -> int:
        return self.total - len(self.uncovered)


Files = dict[str, Lines]


def language_of(name: str) -> str:
    return "Cython" if name.endswith(CYTHON) else "Python"


def repeat_directives(code: str) -> str:
    """Have each line of C++ name the line of Cython that it was made from.

    Cython writes one #line for what it puts at once, which may be several lines of C++. The compiler would count the
    second of them as the next line of Cython.
    """
    lines: list[str] = []
    directive = ""
    is_first = False
    for line in code.split("\n"):
        found = LINE_DIRECTIVE.match(line)
        if found:
            directive = line if found[1].endswith(CYTHON) else ""
            is_first = True
        elif directive and not is_first and line.strip() and not lines[-1].endswith("\\"):
            lines.append(directive)
        else:
            is_first = is_first and not line.strip()
        lines.append(line)
    return "\n".join(lines)


def mark_verbatim(code: str, tree: Path) -> str:
    """Have the C++ that stands in a Cython file counted as lines of that file."""
    for path in sorted(path for path in (tree / PACKAGE).rglob("*") if path.suffix in CYTHON):
        text = path.read_text()
        for block in VERBATIM.finditer(text):
            line = text.count("\n", 0, block.start(1)) + 1
            marked = f'\n#line {line} "{path.relative_to(tree).as_posix()}"\n{block[1]}\n#line 1 "verbatim"\n'
            code = code.replace(block[1], marked, 1)
    return code


def build(tree: Path, python: str) -> None:
    env = os.environ | {"LOGLY_BUILD": "probe,coverage"}
    # What is changed in Cython's C++ is newer than its sources, and so kept.
    subprocess.run([python, "setup.py", "-q", "translate"], cwd=tree, env=env, check=True, stdout=subprocess.DEVNULL)
    for path in sorted((tree / "build" / "cython").rglob("*.cpp")):
        path.write_text(mark_verbatim(repeat_directives(path.read_text()), tree) + DUMP)
    subprocess.run([python, "setup.py", "-q", "build_ext", "--inplace"], cwd=tree, env=env, check=True)


def answer(python: str, code: str) -> str:
    """What a line of Python prints."""
    return subprocess.run([python, "-I", "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def make_environment(folder: Path, tree: Path, python: str) -> Path:
    """A virtual environment whose interpreters measure themselves; returns its interpreter."""
    place = folder / "venv"
    subprocess.run([python, "-m", "venv", "--without-pip", place], check=True)
    own = place / "bin" / "python"
    code = "import os, sysconfig; print(os.pathsep.join({sysconfig.get_path(n): 0 for n in ('purelib', 'platlib')}))"
    packages, own_packages, core = answer(python, code), answer(str(own), code), answer(python, CORE)
    settings = folder / "coveragerc"
    data = folder / "data" / "python"
    data.parent.mkdir()
    settings.write_text(
        COVERAGE_SETTINGS.format(package=tree / PACKAGE, data=data, core=core, elsewhere=ELSEWHERE.pattern)
    )
    hooks = (REPOSITORY / "tools" / "coverage_hooks.py").read_text()
    for word, text in (("@TREE@", tree), ("@PACKAGES@", packages), ("@SETTINGS@", settings)):
        hooks = hooks.replace(word, str(text))
    site_packages = Path(own_packages.split(os.pathsep)[0])
    (site_packages / "logly_coverage_hooks.py").write_text(hooks)
    # The copy comes first: the interpreter may have a logly that is installed.
    (site_packages / "logly_coverage.pth").write_text(f"{tree}\nimport logly_coverage_hooks\n")
    return own


def run_tests(tree: Path, python: Path, pytest: list[str]) -> bool:
    deselected = [f"--deselect={test}" for test in DESELECTED]
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout=600", *deselected, *pytest]
    env = {"HYPOTHESIS_PROFILE": "some", **os.environ, "PYTHONPATH": str(tree)}
    return subprocess.run(command, cwd=tree, env=env, check=False).returncode == 0


def read_python(folder: Path, tree: Path, python: Path, files: Files) -> None:
    settings = f"--rcfile={folder / 'coveragerc'}"
    env = os.environ | {"PYTHONPATH": ""}
    report = folder / "python.json"
    for command in (["combine", "-q", settings], ["json", "-q", "-i", settings, "-o", str(report)]):
        subprocess.run([python, "-m", "coverage", *command], cwd=tree, env=env, check=True)
    for name, found in json.loads(report.read_text())["files"].items():
        lines = files.setdefault(Path(tree, name).relative_to(tree).as_posix(), Lines())
        for number in found["executed_lines"]:
            lines.add(number, 1)
        for number in found["missing_lines"]:
            lines.add(number, 0)


def source_of(name: str, tree: Path) -> Path:
    """The file that a name in the C++ means. Cython leaves a folder out where a header is cimported as a module."""
    path = Path(os.path.normpath(tree / name))
    if path.exists():
        return path
    found = [path for path in (tree / PACKAGE).rglob(Path(name).name) if path.as_posix().endswith(f"/{name}")]
    if len(found) != 1:
        sys.exit(f"{name}: the C++ names it as a source, and {len(found)} files of the package may be meant")
    return found[0]


def lines_for_elsewhere(path: Path) -> set[int]:
    """The lines of a Cython file that cannot run here. coverage.py leaves out such lines of Python itself."""
    found: set[int] = set()
    margin: int | None = None
    for number, line in enumerate(path.read_text().split("\n"), 1):
        indent = len(line) - len(line.lstrip())
        if margin is not None and line.strip() and indent <= margin:
            margin = None
        if margin is None and ELSEWHERE.search(line) and line.endswith(":"):
            margin = indent
        if margin is not None:
            found.add(number)
    return found


def read_cython(tree: Path, files: Files) -> None:
    elsewhere: dict[Path, set[int]] = {}
    # The notes that the compiler left also name what a run never counted.
    for notes in sorted((tree / "build").rglob("*.gcno")):
        command = ["gcov", "--stdout", "--json-format", str(notes)]
        printed = subprocess.run(command, cwd=tree, check=True, capture_output=True, text=True).stdout
        for found in json.loads(printed)["files"]:
            if not found["file"].endswith(CYTHON):
                continue
            path = source_of(found["file"], tree)
            if not path.is_relative_to(tree / PACKAGE):
                continue
            if path not in elsewhere:
                elsewhere[path] = lines_for_elsewhere(path)
            lines = files.setdefault(path.relative_to(tree).as_posix(), Lines())
            for line in found["lines"]:
                if line["line_number"] not in elsewhere[path]:
                    lines.add(line["line_number"], line["count"])


def measure(python: str, pytest: list[str], files: Files) -> bool:
    """Adds what the tests run under one interpreter; True when they passed."""
    with tempfile.TemporaryDirectory(prefix="logly-coverage-") as name:
        folder = Path(name).resolve()
        tree = folder / "tree"
        copy_sources(tree)
        build(tree, python)
        own = make_environment(folder, tree, python)
        passed = run_tests(tree, own, pytest)
        read_python(folder, tree, own, files)
        read_cython(tree, files)
    return passed


def percent(covered: int, total: int) -> float:
    return 100.0 * covered / total if total else 100.0


def table(files: Files) -> tuple[str, dict[str, float]]:
    rows = []
    totals = {}
    for language in FLOORS:
        of_language = {name: lines for name, lines in sorted(files.items()) if language_of(name) == language}
        rows += [(name, lines.covered, lines.total) for name, lines in of_language.items()]
        covered = sum(lines.covered for lines in of_language.values())
        total = sum(lines.total for lines in of_language.values())
        rows.append((f"{language}, all", covered, total))
        totals[language] = percent(covered, total)
    width = max(len(name) for name, *_ in rows)
    return "".join(
        f"{name:{width}} {covered:6}/{total:<6}{percent(covered, total):6.1f} %\n" for name, covered, total in rows
    ), totals


def uncovered(files: Files) -> str:
    """Each line that nothing ran, with its text, as `file:line: text`."""
    found = []
    for name, lines in sorted(files.items()):
        texts = (REPOSITORY / name).read_text().split("\n")
        found += [f"{name}:{number}: {texts[number - 1]}\n" for number in lines.uncovered]
    return "".join(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", action="append", help="interpreter to build for and run (again for more of them)")
    parser.add_argument("pytest", nargs="*", help="arguments for pytest, after --")
    options = parser.parse_args()
    files: Files = {}
    passed = []
    REPORTS.mkdir(parents=True, exist_ok=True)
    for python in options.python or [sys.executable]:
        passed.append(measure(python, options.pytest, files))
        text, totals = table(files)
        (REPORTS / "table.txt").write_text(text)
        (REPORTS / "uncovered.txt").write_text(uncovered(files))
        print(text, end="", flush=True)
    print(f"The lines that nothing ran: {(REPORTS / 'uncovered.txt').relative_to(REPOSITORY)}")
    too_low = [] if options.pytest else [name for name, floor in FLOORS.items() if totals[name] < floor]
    for name in too_low:
        print(f"{name}: {totals[name]:.1f} %, the floor is {FLOORS[name]} %")
    sys.exit(0 if all(passed) and not too_low else 1)


if __name__ == "__main__":
    main()
