"""A small disk of its own, for what happens when it is full."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.debian import SYSTEM_PATH


def program(name: str) -> str:
    """A system program's path; skips the test where there is none."""
    found = shutil.which(name, path=SYSTEM_PATH)
    if found is None:
        pytest.skip(f"there is no {name}")
    return found


@contextlib.contextmanager
def small_disk(tmp_path: Path, size: str) -> Iterator[Path]:
    """A tmpfs of `size` ("256k"); skips the test where mounting is not permitted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = [program("mount"), "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small tmpfs cannot be mounted: {mounted.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run([program("umount"), "-l", str(disk)], check=True)


def remount(disk: Path, options: str) -> None:
    """Changes a mounted disk: `ro`, `rw`, `size=64m`."""
    subprocess.run([program("mount"), "-o", f"remount,{options}", str(disk)], check=True)


def enlarge(disk: Path, size: str) -> None:
    """Gives the disk room while it is in use."""
    remount(disk, f"size={size}")
