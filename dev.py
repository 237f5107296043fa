"""Sets everything up and runs it: `python3 dev.py demo` or `python3 dev.py test`.

Needs CPython with its headers and a C++ compiler only.

    demo        the main job: two million lines from four threads into logs/async.log, with figures
    test        lint, types, the documentation's site, tests (also of the header-only internals and of the recipes for
                other packages), and sdist -> wheel -> install -> tests
    setup       only the virtual environment, with logly built in place
    lint        only lint and types
    check       only format, lint and spelling, in a second: what the hook of pre-commit runs
    wheel       only sdist -> wheel -> install -> tests; LOGLY_DIST=FOLDER keeps the two files
    docs        the documentation as a site in build/site, warnings being errors
    coverage    which lines of Python and of Cython the tests run: a table, and the other lines in build/coverage
    debug       the tests with assertions on: logly's own, CPython's, the C++ library's, and Cython's reference nanny
    sanitizers  the tests under the address, undefined-behaviour and thread sanitizers, and a check for leaks
    fuzz        the format renderer, the layout parser and the spool reader, a minute each (more: python -m tests.fuzz)
    bench       every benchmark against every peer that is installed

Everything goes into .venv (or $LOGLY_VENV); nothing else on the machine is touched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from typing import NamedTuple, Self

ROOT = Path(__file__).resolve().parent
VENV = Path(os.environ.get("LOGLY_VENV", ROOT / ".venv")).resolve()
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")

INSTALL = (PYTHON, "-m", "pip", "install", "--quiet")
NEW_ENVIRONMENT = (sys.executable, "-m", "venv", VENV)
BUILD_TOOLS = (*INSTALL, "--upgrade", "pip>=25.1", "setuptools>=77", "cython>=3.3,<3.4")
BUILD = (*INSTALL, "--no-build-isolation", "--no-deps", "--editable", ".")


def run(*command: str | Path, **environment: str) -> None:
    words = [str(word) for word in command]
    print("+", " ".join(words), flush=True)
    subprocess.run(words, cwd=ROOT, check=True, env={**os.environ, **environment})


def run_quietly(what: str, expected_s: float, *command: str | Path, **environment: str) -> None:
    """Runs a command whose output nobody wants to see unless it fails. A terminal shows a bar meanwhile."""
    is_terminal = sys.stdout.isatty()
    begun = time.monotonic()
    print(what, end=" ", flush=True)
    with tempfile.TemporaryFile() as said:
        words = [str(word) for word in command]
        running = subprocess.Popen(
            words, cwd=ROOT, env={**os.environ, **environment}, stdout=said, stderr=subprocess.STDOUT
        )
        code = None
        while code is None:
            try:
                code = running.wait(0.5 if is_terminal else None)
            except subprocess.TimeoutExpired:
                print(f"\r{what} {bar(time.monotonic() - begun, expected_s)}", end="", flush=True)
        taken = f"{time.monotonic() - begun:.0f} s"
        print(f"\r{what} {taken:{BAR + 10}}" if is_terminal else taken, flush=True)
        if code:
            said.seek(0)
            sys.stdout.buffer.write(said.read())
            raise subprocess.CalledProcessError(code, words)


BAR = 30  # characters


def bar(elapsed_s: float, expected_s: float) -> str:
    """How far a step is, if it takes as long as expected. One that takes longer comes ever nearer to the end."""
    done = 0.9 * elapsed_s / expected_s if elapsed_s < expected_s else 1 - 0.1 * expected_s / elapsed_s
    return f"[{'#' * int(BAR * done):<{BAR}}] {elapsed_s:.0f} s"


def setup(*groups: str, probe: bool = False, builds: bool = True) -> None:
    """A virtual environment with what pyproject.toml names, and logly built in place."""
    if not PYTHON.exists():
        run(*NEW_ENVIRONMENT)
    run(*BUILD_TOOLS)
    if groups:
        run(*INSTALL, *[word for group in groups for word in ("--group", group)])
    if builds:
        build(*["probe"] * probe)


def build(*switches: str) -> None:
    run(*BUILD, LOGLY_BUILD=",".join(filter(None, [os.environ.get("LOGLY_BUILD", ""), *switches])))


def style() -> None:
    run(PYTHON, "-m", "ruff", "check", ".")
    run(PYTHON, "-m", "ruff", "format", "--check", ".")
    run(BIN / "codespell")


def lint() -> None:
    style()
    # It looks for pycodestyle on the path.
    run(BIN / "cython-lint", "logly", "tests", PATH=f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}")
    run(PYTHON, "-m", "mypy")
    # What the stub says must be so; it need not name what only the compiled module itself uses.
    allowed = ("--ignore-missing-stub", "--allowlist", "tests/typing/stubtest-allowlist.txt")
    run(PYTHON, "-m", "mypy.stubtest", "logly._core", *allowed)
    run(PYTHON, "-m", "basedpyright", "--pythonpath", PYTHON)
    run(BIN / "zizmor", "--offline", "--quiet", ".github/workflows")


def make_sdist(place: Path) -> Path:
    # An environment of its own, as any user's `pip install` has; the newest tools that pyproject.toml allows.
    run(PYTHON, "-m", "build", "--sdist", "--outdir", place, ".", LOGLY_BUILD="")
    (sdist,) = place.glob("*.tar.gz")
    return sdist


def make_wheel(sdist: Path, python: str | Path = PYTHON) -> Path:
    """The wheel that is built of the sdist, beside it, for that Python."""
    place = sdist.parent
    builds = (PYTHON, "-m", "pip", "--python", python, "wheel", "--quiet", "--no-deps")
    run(*builds, "--wheel-dir", place, sdist, LOGLY_BUILD="")
    (wheel,) = place.glob("*.whl")
    run(PYTHON, "tools/check_dist.py", sdist, wheel)
    if "LOGLY_DIST" in os.environ:
        keep = Path(os.environ["LOGLY_DIST"])
        keep.mkdir(parents=True, exist_ok=True)
        for file in (sdist, wheel):
            shutil.copy(file, keep)
    return wheel


def install_wheel(wheel: Path, place: Path, of: str | Path = sys.executable) -> Path:
    """Installs a wheel into an empty environment of that Python, and puts the tests beside it. Returns its Python."""
    clean = place / "venv"
    run(of, "-m", "venv", "--without-pip", clean)
    python = clean / BIN.name / PYTHON.name
    run(PYTHON, "-m", "pip", "--python", python, "install", "--quiet", "pip", "--group", "test", wheel)
    copy_tests(place)
    return python


def copy_tests(place: Path) -> None:
    """What the tests on an installed wheel need: a folder without the package."""
    shutil.copytree(ROOT / "tests", place / "tests", ignore=shutil.ignore_patterns("*.so", "*.pyd", "__pycache__"))
    shutil.copytree(ROOT / "docs", place / "docs")
    for name in ("pyproject.toml", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"):
        shutil.copy(ROOT / name, place)


class Tests(NamedTuple):
    """One process of pytest."""

    words: list[str | Path]
    place: Path
    environment: dict[str, str]


def wheel_tests(python: Path, place: Path) -> Tests:
    """The tests on the installed wheel, in a folder without the package."""
    # On the path is this environment alone: no compiler, and no other logly.
    # The property tests run at length on the tree already: a few examples tell whether the wheel is whole.
    environment = {**os.environ, "PATH": str(python.parent), "PYTHONPATH": "", "HYPOTHESIS_PROFILE": "few"}
    return Tests([python, "-m", "pytest", "-q"], place, environment)


def tree_tests() -> dict[str, Callable[[], Tests]]:
    """The tests on the tree by name, a process for each of their folders; the long ones first."""
    long = ["frameworks", "control", "stdlib", "flusher", "bridge", "caller"]
    folders = sorted({file.parent.name for file in (ROOT / "tests").glob("*/test_*.py")} - {*long})
    words = [PYTHON, "-m", "pytest", "-q"]
    paths = [f"tests/{one}" for one in long + folders]
    return {path: partial(Tests, [*words, path], ROOT, {**os.environ}) for path in paths}


class Runs:
    """Processes of pytest, side by side. What each said is printed when it has ended."""

    def __init__(self, pool: Executor) -> None:
        self._pool = pool
        self._runs: dict[Future[tuple[bytes, int]], str] = {}
        self._is_given_up = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._is_given_up = kind is not None
        if self._is_given_up:
            self._pool.shutdown(wait=False, cancel_futures=True)
            return
        failed = []
        for run in as_completed(self._runs):
            said, code = run.result()
            print(f"+ pytest ({self._runs[run]})", flush=True)
            sys.stdout.buffer.write(said)
            sys.stdout.flush()
            failed += [self._runs[run]] * bool(code)
        passed, names = len(self._runs) - len(failed), ", ".join(failed) or "none"
        print(f"pytest: {passed} of {len(self._runs)} runs passed; failed: {names}", flush=True)
        if failed:
            raise subprocess.CalledProcessError(1, "pytest")

    def start(self, name: str, tests: Callable[[], Tests]) -> None:
        """`tests` may first build what they need."""
        self._runs[self._pool.submit(self._said_by, tests)] = name

    def _said_by(self, tests: Callable[[], Tests]) -> tuple[bytes, int]:
        one = tests()
        if self._is_given_up:
            return b"", 1
        ended = subprocess.run(
            one.words,
            cwd=one.place,
            env=one.environment,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        return ended.stdout, ended.returncode


def workers() -> Executor:
    return ThreadPoolExecutor(max(2, min(4, os.cpu_count() or 1)))


def built_wheel_tests(sdist: Path) -> Tests:
    place = sdist.parent
    return wheel_tests(install_wheel(make_wheel(sdist), place), place)


def test_wheel() -> None:
    """The sdist builds a wheel, and the wheel passes the tests where there is no source tree and no compiler."""
    with tempfile.TemporaryDirectory() as folder, workers() as pool:
        sdist = make_sdist(Path(folder))
        with Runs(pool) as runs:
            runs.start("installed wheel", lambda: built_wheel_tests(sdist))


def test_all() -> None:
    """The wheel is built and tested beside the tree, which is built, looked at and tested."""
    with tempfile.TemporaryDirectory() as folder, workers() as pool:
        sdist = make_sdist(Path(folder))
        with Runs(pool) as runs:
            runs.start("installed wheel", lambda: built_wheel_tests(sdist))
            # Optimised is the wheel. Compiling the tree in that way, too, takes a minute and a half of a core more.
            build("probe", "quick")
            lint()
            build_docs()
            for name, tests in tree_tests().items():
                runs.start(name, tests)


def build_docs() -> None:
    """The documentation as a site, in build/site; what is wrong with a page or a docstring is an error."""
    run(PYTHON, "-m", "mkdocs", "build", "--quiet", "--strict", NO_MKDOCS_2_WARNING="1")


def coverage() -> None:
    setup("test", "recipes", "coverage", builds=False)
    run(PYTHON, "tools/coverage.py")


def debug() -> None:
    setup("test", "recipes", builds=False)
    run(PYTHON, "tools/sanitize.py", "debug")


def sanitizers() -> None:
    setup("test")
    run(PYTHON, "tools/sanitize.py", "asan", "ubsan", "tsan", "leaks")


def fuzz() -> None:
    setup("test", probe=True)
    run(PYTHON, "-m", "tests.fuzz")


def bench() -> None:
    setup("bench")
    run(PYTHON, "bench/run.py")


def check() -> None:
    # Nothing is looked up nor built where the tools are there: it runs at each commit.
    if not (BIN / "codespell").exists():
        setup("lint", builds=False)
    style()


def lint_only() -> None:
    # A build that is there stays, with its switches: lint must not change what is tested.
    setup("lint", builds=not is_built())
    lint()


def is_built() -> bool:
    """Whether there is a compiled module that is not older than what it is made from."""
    sources = [path for path in (ROOT / "logly").rglob("*") if path.suffix in (".pyx", ".pxd", ".pxi")]
    built = ROOT / "logly" / f"_core{sysconfig.get_config_var('EXT_SUFFIX')}"
    has_it = built.exists() and (BIN / "logly").exists()
    return has_it and built.stat().st_mtime >= max(path.stat().st_mtime for path in sources)


def wheel_only() -> None:
    setup("lint")
    test_wheel()


def docs() -> None:
    setup("docs")
    build_docs()


def test() -> None:
    setup("test", "lint", "docs", "recipes", builds=False)
    test_all()


def demo() -> None:
    begun = time.monotonic()
    if not PYTHON.exists():
        run_quietly("1/3 making .venv:", 6, *NEW_ENVIRONMENT)
    run_quietly("2/3 getting Cython and setuptools:", 15, *BUILD_TOOLS)
    run_quietly("3/3 building logly, two to four minutes:", 160, *BUILD)
    print(flush=True)
    subprocess.run([PYTHON, "-m", "logly", "demo"], cwd=ROOT, check=True)
    print(f"all of this took {time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    jobs = {
        "demo": demo,
        "test": test,
        "setup": setup,
        "lint": lint_only,
        "check": check,
        "wheel": wheel_only,
        "docs": docs,
        "coverage": coverage,
        "debug": debug,
        "sanitizers": sanitizers,
        "fuzz": fuzz,
        "bench": bench,
    }
    if len(sys.argv) != 2 or sys.argv[1] not in jobs:
        sys.exit(__doc__)
    try:
        jobs[sys.argv[1]]()
    except subprocess.CalledProcessError as failure:
        sys.exit(failure.returncode)
