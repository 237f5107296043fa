"""Runs the tests that other packages have for their logging, with and without `logly.install()`, and compares them.

    python tools/third_party_logging.py [--keep FOLDER] [PACKAGE ...]

For each package: its sdist at the version below, an environment of its own, and its tests without logly, under
`logly run` (files soon), and under `logly run --write call`. What runs by pytest runs once more without pytest's own
handlers, which are on the root logger and keep every call off the fast way. logly is the one of this tree, so it must
be built for the interpreter that runs this. Ends with 1 if any test has another result than without logly.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
TIMEOUT_S = 900
MODES = {"plain": [], "soon": ["-m", "logly", "run"], "call": ["-m", "logly", "run", "--write", "call"]}


@dataclass(frozen=True)
class Suite:
    """The tests of a package that concern logging.

    Attributes:
        version: of the sdist, and of what is installed.
        tests: paths in the sdist; for `script` the arguments of the command.
        needs: requirements of the tests.
        script: what runs the tests instead of pytest, in the sdist.
        options: of pytest.
        extra: of the package, that the tests need.
    """

    version: str
    tests: tuple[str, ...]
    needs: tuple[str, ...] = ()
    script: str = ""
    options: tuple[str, ...] = ()
    extra: str = ""


SUITES = {
    "celery": Suite(
        "5.7.0", ("t/unit/app/test_log.py", "t/unit/utils/test_term.py"), ("pytest-celery", "pytest-subtests")
    ),
    "django": Suite(
        "5.2.19",
        (
            "logging_tests",
            "template_tests.test_logging",
            "schema.test_logging",
            "servers",
            "view_tests.tests.test_csrf",
        ),
        script="tests/runtests.py",
    ),
    "gunicorn": Suite(
        "27.0.1",
        ("tests/test_logger.py", "tests/test_statsd.py", "tests/test_arbiter.py", "tests/test_config.py"),
        ("pytest-asyncio", "pytest-cov"),
    ),
    "opentelemetry-instrumentation-logging": Suite(
        "0.66b2", ("tests",), ("opentelemetry-sdk==1.45.2", "opentelemetry-test-utils==0.66b2")
    ),
    "opentelemetry-sdk": Suite("1.45.2", ("tests/logs",), ("opentelemetry-test-utils==0.66b2",)),
    "pytest": Suite(
        "9.2.0",
        ("testing/logging", "testing/test_capture.py", "testing/test_unittest.py", "testing/test_subtests.py"),
        ("pytest-xdist", "attrs", "hypothesis", "pexpect"),
    ),
    "python-json-logger": Suite("4.2.0", ("tests",), ("freezegun", "tzdata", "orjson", "msgspec")),
    "sentry-sdk": Suite(
        "2.75.0",
        ("tests/integrations/logging", "tests/integrations/loguru", "tests/test_logs.py", "tests/test_basics.py"),
        ("pytest-forked", "pytest-localserver", "werkzeug", "jsonschema", "loguru", "pytest-asyncio", "brotli"),
    ),
    "structlog": Suite("26.1.0", ("tests",), ("pytest-asyncio", "pretend", "freezegun", "time-machine", "simplejson")),
    "uvicorn": Suite(
        "0.54.0",
        ("tests/middleware", "tests/test_config.py", "tests/test_main.py", "tests/test_server.py", "tests/test_cli.py"),
        ("pytest-mock", "trustme", "cryptography", "httpx2", "a2wsgi", "wsproto", "anyio", "trio"),
        extra="standard",
    ),
}

Results = dict[str, tuple[str, str]]


@dataclass
class Run:
    """What came of one run: the results by test, and (fast, rendered, original) calls."""

    results: Results
    counts: list[int]
    said: str


class Place:
    """A folder with the sdist of a package, and an environment in which it and what its tests need are installed."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.suite = SUITES[name]
        self.folder = folder / name
        self.python = self.folder / "venv" / "bin" / "python"
        self.path = self.folder / "path"

    def prepare(self) -> None:
        if self.path.exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        suite = self.suite
        pinned = f"=={suite.version}"
        download = ["-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest", str(self.folder)]
        _run([sys.executable, *download, self.name + pinned])
        (archive,) = self.folder.glob("*.tar.gz")
        _run(["tar", "--extract", "--file", str(archive), "--directory", str(self.folder)])
        _run([sys.executable, "-m", "venv", str(self.folder / "venv")])
        package = f"{self.name}[{suite.extra}]" if suite.extra else self.name
        _run([str(self.python), "-m", "pip", "install", "--quiet", package + pinned, "pytest", *suite.needs])
        # Nothing but logly and the plugin is found there: this tree has a package `tests`, too.
        self.path.mkdir()
        (self.path / "logly").symlink_to(ROOT / "logly")
        (self.path / "third_party_results.py").symlink_to(ROOT / "tools" / "third_party_results.py")

    def run(self, mode: str, options: tuple[str, ...] = ()) -> Run:
        file = self.folder / "results"
        file.unlink(missing_ok=True)
        env = dict(os.environ, PYTHONPATH=str(self.path), THIRD_PARTY_RESULTS=str(file), PYTHONDONTWRITEBYTECODE="1")
        suite = self.suite
        if suite.script:
            words = ["-m", "third_party_results", suite.script, "--parallel=1", *suite.tests]
        else:
            words = ["-m", "pytest", "-p", "third_party_results", "-p", "no:cacheprovider", "-q", "-o", "addopts="]
            words += [*suite.options, *options, *suite.tests]
        done = subprocess.run(
            [str(self.python), *MODES[mode], *words],
            cwd=next(one for one in self.folder.glob(f"*-{suite.version}") if one.is_dir()),
            env=env,
            timeout=TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        run = Run({}, [0, 0, 0], done.stdout + done.stderr)
        for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else []:
            what, result, said = json.loads(line)
            if what:
                run.results[what] = (result, said)
            else:
                run.counts = [one + more for one, more in zip(run.counts, json.loads(result), strict=True)]
        return run


def _run(words: list[str]) -> None:
    subprocess.run(words, check=True, timeout=TIMEOUT_S)


def differences(found: Run, expected: Run) -> list[str]:
    """What is said of each test that has another result."""
    said = []
    for what in sorted(found.results.keys() | expected.results.keys()):
        ours, theirs = found.results.get(what, ("not run", "")), expected.results.get(what, ("not run", ""))
        if ours[0] != theirs[0]:
            said.append(f"{what}: {ours[0]} with install, {theirs[0]} without\n{ours[1] or theirs[1]}")
    return said


def compare(place: Place) -> bool:
    """Prints a row for each way of running; returns whether all results were equal."""
    is_equal = True
    ways: dict[str, tuple[str, ...]] = {"": ()}
    if not place.suite.script:
        ways[" without pytest's handlers"] = ("-p", "no:logging")
    for way, options in ways.items():
        plain, again = place.run("plain", options), place.run("plain", options)
        unsteady = {one for one in plain.results if plain.results[one][0] != again.results.get(one, ("", ""))[0]}
        if not plain.results:
            print(f"{place.name}{way}: no test ran\n{plain.said[-3000:]}")
            return False
        good = sum(result in {"passed", "success"} for result, _ in plain.results.values())
        for mode in ("soon", "call"):
            found = place.run(mode, options)
            said = [one for one in differences(found, plain) if one.split(": ")[0] not in unsteady]
            is_equal = is_equal and not said
            fast, rendered, original = found.counts
            cells = [
                f"{place.name} {place.suite.version}{way}",
                mode,
                f"{len(plain.results)} ({good} pass)",
                f"{len(said)} differ",
                f"{len(unsteady)} unsteady",
                f"{fast} fast, {rendered} rendered, {original} original",
            ]
            print(f"| {' | '.join(cells)} |", flush=True)
            for one in said:
                print("    " + one.replace("\n", "\n    "), flush=True)
            if not found.results:
                print(found.said[-3000:])
    return is_equal


def main() -> int:
    parser = argparse.ArgumentParser(description="Third parties' tests of logging, with and without logly.install().")
    parser.add_argument("packages", nargs="*", choices=[*sorted(SUITES), []], help="all by default")
    parser.add_argument("--keep", type=Path, help="a folder that is kept, and used again")
    options = parser.parse_args()
    is_equal = True
    with nullcontext(str(options.keep)) if options.keep else tempfile.TemporaryDirectory() as folder:
        for name in options.packages or sorted(SUITES):
            place = Place(name, Path(folder).resolve())
            place.prepare()
            is_equal = compare(place) and is_equal
    return 0 if is_equal else 1


if __name__ == "__main__":
    sys.exit(main())
