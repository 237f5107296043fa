"""Runs fuzz targets: each in a process of its own, so that a crash or a hang is a finding like any other.

python -m tests.fuzz                              all targets, a minute each, with a seed that is printed
python -m tests.fuzz spools --seconds 600
python -m tests.fuzz spools --seed 5 --case 1234  one case again
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import secrets
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from random import Random

from tests.support import ROOT

TARGETS = {"formats": "Formats", "layouts": "Layouts", "spools": "Spools"}
PATIENCE_S = 120.0
"""For one case; sanitizers make it slow."""


def work(name: str, options: argparse.Namespace) -> None:
    """In the process of its own: cases one after the other, each number told before it is tried."""
    faulthandler.enable()
    target = getattr(import_module(f"tests.fuzz.{name}"), TARGETS[name])()
    first = options.case or 0
    count = 1 if options.case is not None else options.count
    with tempfile.TemporaryDirectory(prefix="logly-fuzz-") as folder, open(options.progress, "r+b") as progress:
        target.open(Path(folder))
        deadline = time.monotonic() + options.seconds
        number = first
        while (count is None or number < first + count) and (number == first or time.monotonic() < deadline):
            os.pwrite(progress.fileno(), number.to_bytes(8, "little"), 0)
            target.case(Random(f"{name}/{options.seed}/{number}"))
            number += 1
        target.close()
        os.pwrite(progress.fileno(), number.to_bytes(8, "little"), 0)


def watch(name: str, options: argparse.Namespace) -> bool:
    """Runs one target; True when it found nothing."""
    with tempfile.NamedTemporaryFile(prefix="logly-fuzz-") as progress:
        progress.write(bytes(8))
        progress.flush()
        command = [sys.executable, "-m", "tests.fuzz", name, *sys.argv[1:], "--seed", str(options.seed)]
        begun = time.monotonic()
        worker = subprocess.Popen([*command, "--progress", progress.name], cwd=ROOT)
        seen, since = -1, begun
        hangs = False
        while True:
            try:
                worker.wait(1)
                break
            except subprocess.TimeoutExpired:
                number = int.from_bytes(os.pread(progress.fileno(), 8, 0), "little")
                if number != seen:
                    seen, since = number, time.monotonic()
                elif time.monotonic() - since > PATIENCE_S:
                    worker.kill()
                    hangs = True
        number = int.from_bytes(os.pread(progress.fileno(), 8, 0), "little")
    if worker.returncode == 0:
        cases = number - (options.case or 0)
        print(
            f"{name}: nothing found in {cases} cases, {time.monotonic() - begun:.0f} s, seed {options.seed}", flush=True
        )
        return True
    what = "hangs" if hangs else f"ends with {worker.returncode}"
    print(f"{name}: {what}; again: python -m tests.fuzz {name} --seed {options.seed} --case {number}", flush=True)
    return False


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; default: all")
    parser.add_argument("--seconds", type=float, default=60, help="for each target (default: %(default)s)")
    parser.add_argument("--count", type=int, help="no more cases than this")
    parser.add_argument("--seed", type=int, help="default: a random one")
    parser.add_argument("--case", type=int, help="only the case of this number")
    parser.add_argument("--progress", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if unknown := set(options.targets) - set(TARGETS):
        parser.error(f"no target {', '.join(sorted(unknown))}: choose from {', '.join(TARGETS)}")
    if options.progress:
        work(options.targets[0], options)
        return
    if options.seed is None:
        options.seed = secrets.randbelow(1 << 32)
    results = [watch(name, options) for name in options.targets or TARGETS]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
