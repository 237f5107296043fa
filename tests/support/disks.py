"""A small disk of its own, for what happens when it is full."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from logly import Logger, LoggerConfig
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


def size_for_spool(folder: Path) -> str:
    """The size of a small disk with room for a spool, and for less than a MiB besides.

    A new spool gets the names that the process has by now: those that the tests before this one have made.
    """
    with Logger(LoggerConfig(auto_sink=False, spool=folder / "measured.spool")):
        [path] = folder.glob("measured.spool*")
        used_bytes = path.stat().st_blocks * 512
    return f"{used_bytes // 1024 + 900}k"


def remount(disk: Path, options: str) -> None:
    """Changes a mounted disk: `ro`, `rw`, `size=64m`."""
    subprocess.run([program("mount"), "-o", f"remount,{options}", str(disk)], check=True)


def enlarge(disk: Path, size: str) -> None:
    """Gives the disk room while it is in use."""
    remount(disk, f"size={size}")
