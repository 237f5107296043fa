"""Finds an rsyslogd: the machine's, one that $LOGLY_RSYSLOG names, or Debian's packages unpacked into a folder.

Nothing is installed and no root is needed: `apt-get download` fetches rsyslog and those of its libraries that are
missing, `dpkg -x` unpacks them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
STEP_S = 60


class NoRsyslog(Exception):
    """Says why there is none."""


@dataclass(frozen=True)
class Rsyslog:
    """A daemon, and where its libraries and modules are (None: where the system has them)."""

    daemon: Path
    libraries: Path | None = None

    def command(self, configuration: Path, pid: Path) -> list[str]:
        modules = ["-M", f"{self.libraries}/rsyslog"] if self.libraries else []
        return [str(self.daemon), "-n", "-f", str(configuration), "-i", str(pid), *modules]

    def environment(self) -> dict[str, str]:
        return {**surroundings(), **({"LD_LIBRARY_PATH": str(self.libraries)} if self.libraries else {})}


def surroundings() -> dict[str, str]:
    """The environment, but without a sanitizer's library: it is for Python alone."""
    return {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}


def find(cache: Path) -> Rsyslog:
    """Raises NoRsyslog; what was downloaded stays in `cache`."""
    if "LOGLY_RSYSLOG" in os.environ:
        return unpacked(Path(os.environ["LOGLY_RSYSLOG"]))
    if found := shutil.which("rsyslogd", path=SYSTEM_PATH):
        return Rsyslog(Path(found))
    root = cache / "root"
    if not root.exists():
        try:
            download(cache)
        except (OSError, subprocess.SubprocessError) as error:
            said = (getattr(error, "stderr", None) or str(error)).strip()
            raise NoRsyslog(f"no rsyslogd here, and its packages could not be had: {said}") from error
    return unpacked(root)


def unpacked(root: Path) -> Rsyslog:
    libraries = list(root.glob("usr/lib/*/rsyslog"))
    if not libraries:
        raise NoRsyslog(f"{root} holds no modules of rsyslog")
    return Rsyslog(root / "usr/sbin/rsyslogd", libraries[0].parent)


def download(cache: Path) -> None:
    """Debian's rsyslog and the libraries that it needs and the machine lacks, unpacked into cache/root."""
    if not shutil.which("apt-get", path=SYSTEM_PATH):
        raise FileNotFoundError("there is no apt-get")
    work = cache / f"work-{os.getpid()}"
    work.mkdir(parents=True)
    try:
        fetch(work, "rsyslog")
        (package,) = work.glob("rsyslog_*.deb")
        depends = run(work, "dpkg-deb", "-f", package.name, "Depends")
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
