"""Random programs of `logging` write the same bytes with `install` as without; `differ.py` is the program."""

from __future__ import annotations

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.bridge.oracle import SEES_CHANGES
from tests.support.programs import environment, run_module

if TYPE_CHECKING:
    from pathlib import Path

FLOOR = 0.2 if SEES_CHANGES else 0.0
"""The least share of fast and rendered calls among those that were on, over all programs."""


def played(seed: int, mode: str, steps: int, folder: Path) -> list[int]:
    folder.mkdir()
    env = environment(PYTHONHASHSEED="0", PYTHONWARNINGS="ignore")
    done = run_module("tests.bridge.differ", seed, mode, steps, folder, env=env)
    counts: list[int] = json.loads(done.stdout)
    return counts


def difference(plain: Path, installed: Path) -> str | None:
    names = sorted({one.name for one in (*plain.iterdir(), *installed.iterdir())})
    for name in names:
        both = [one.read_bytes() if (one := folder / name).exists() else None for folder in (plain, installed)]
        if both[0] == both[1]:
            continue
        if both[0] is None or both[1] is None:
            return f"{name} is only there {'with' if both[0] is None else 'without'} install"
        expected, found = both[0].split(b"\n"), both[1].split(b"\n")
        place = next((i for i, (x, y) in enumerate(zip(expected, found, strict=False)) if x != y), min(map(len, (expected, found))))
        context = [b"\n".join(lines[max(0, place - 3) : place + 4]).decode("utf-8", "replace") for lines in (expected, found)]
        return f"{name}, line {place + 1}\n---- without\n{context[0]}\n---- with\n{context[1]}"
    return None


def compare(seed: int, steps: int, folder: Path) -> list[int]:
    """Plays one program twice. Returns the counts."""
    homes = [folder / f"{seed}-{mode}" for mode in ("plain", "install")]
    played(seed, "plain", steps, homes[0])
    counts = played(seed, "install", steps, homes[1])
    found = difference(*homes)
    assert found is None, f"seed {seed}, {steps} steps, {counts}: {found}"
    for home in homes:
        shutil.rmtree(home)
    return counts


def compare_all(seeds: range, steps: int, folder: Path) -> None:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        counts = list(pool.map(lambda seed: compare(seed, steps, folder), seeds))
    fast, rendered, original = (sum(column) for column in zip(*counts, strict=True))
    assert fast + rendered >= FLOOR * (fast + rendered + original), (fast, rendered, original)


@pytest.mark.timeout(300)
def test_a_hundred_programs(tmp_path: Path) -> None:
    compare_all(range(100), 12, tmp_path)


@pytest.mark.nightly
@pytest.mark.timeout(0)
def test_five_thousand_programs(tmp_path: Path) -> None:
    first = int(os.environ.get("LOGLY_DIFFER_SEED", "1000"))
    compare_all(range(first, first + 5000), 40, tmp_path)
