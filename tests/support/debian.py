"""Programs of Debian's packages for tests, unpacked into a folder.

Nothing is installed and no root is needed: `apt-get download` fetches a package and those of its libraries that are
missing, `dpkg -x` unpacks them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
STEP_S = 60


class NotToBeHad(Exception):
    """Says why not."""


def surroundings() -> dict[str, str]:
    """The environment, but without a sanitizer's library: it is for Python alone."""
    return {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}


def unpacked(package: str, cache: Path) -> Path:
    """The folder that holds the package's `usr`; what was downloaded stays in `cache`. Raises NotToBeHad."""
    root = cache / "root"
    if not root.exists():
        try:
            download(package, cache)
        except (OSError, subprocess.SubprocessError) as error:
            said = (getattr(error, "stderr", None) or str(error)).strip()
            raise NotToBeHad(f"no {package} here, and its packages could not be had: {said}") from error
    return root


def library_path(root: Path) -> dict[str, str]:
    """What the environment of an unpacked program needs more."""
    folders = [str(path) for path in (*root.glob("usr/lib/*-linux-*"), *root.glob("lib/*-linux-*"))]
    return {"LD_LIBRARY_PATH": ":".join(folders)}


def download(package: str, cache: Path) -> None:
    """The package and the libraries that it needs and the machine lacks, unpacked into cache/root."""
    if not shutil.which("apt-get", path=SYSTEM_PATH):
        raise FileNotFoundError("there is no apt-get")
    work = cache / f"work-{os.getpid()}"
    work.mkdir(parents=True)
    try:
        fetch(work, package)
        (archive,) = work.glob(f"{package}_*.deb")
        depends = run(work, "dpkg-deb", "-f", archive.name, "Depends")
        names = [entry.split()[0] for entry in depends.split(",")]
        missing = [name for name in names if name.startswith("lib") and not is_installed(work, name)]
        if missing:
            fetch(work, *missing)
        for archive in work.glob("*.deb"):
            run(work, "dpkg", "-x", archive.name, "root")
        try:
            (work / "root").rename(cache / "root")
        except OSError:
            if not (cache / "root").exists():  # else another run was faster
                raise
    finally:
        shutil.rmtree(work)


def fetch(work: Path, *packages: str) -> None:
    """With the machine's package lists or, where these are missing, with lists of our own."""
    try:
        apt_get(work, "download", *packages)
    except subprocess.CalledProcessError:
        lists = ["-o", f"Dir::State::lists={work}/lists", "-o", f"Dir::Cache={work}/cache"]
        (work / "lists/partial").mkdir(parents=True, exist_ok=True)
        (work / "cache/archives/partial").mkdir(parents=True, exist_ok=True)
        apt_get(work, *lists, "update")
        apt_get(work, *lists, "download", *packages)


def apt_get(work: Path, *words: str) -> None:
    impatient = ["-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=10"]
    # As root, apt would hand the download to a user that may not write here.
    run(work, "apt-get", "-qq", *impatient, "-o", f"APT::Sandbox::User={os.geteuid()}", *words)


def is_installed(work: Path, package: str) -> bool:
    try:
        return run(work, "dpkg-query", "-W", "-f", "${db:Status-Status}", package) == "installed"
    except subprocess.CalledProcessError:
        return False


def run(work: Path, *command: str) -> str:
    environment = {**surroundings(), "PATH": SYSTEM_PATH, "LC_ALL": "C"}
    done = subprocess.run(
        command, cwd=work, env=environment, capture_output=True, text=True, timeout=STEP_S, check=True
    )
    return done.stdout
