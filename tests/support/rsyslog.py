"""Finds an rsyslogd: the machine's, one that $LOGLY_RSYSLOG names, or Debian's package, unpacked."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.support.debian import SYSTEM_PATH, NotToBeHad, library_path, surroundings, unpacked


@dataclass(frozen=True)
class Rsyslog:
    """A daemon, and where its package is unpacked (None: it is the machine's)."""

    daemon: Path
    root: Path | None = None

    def command(self, configuration: Path, pid: Path) -> list[str]:
        modules = ["-M", str(modules_of(self.root))] if self.root else []
        return [str(self.daemon), "-n", "-f", str(configuration), "-i", str(pid), *modules]

    def environment(self) -> dict[str, str]:
        return {**surroundings(), **(library_path(self.root) if self.root else {})}


def find(cache: Path) -> Rsyslog:
    """Raises NotToBeHad."""
    if "LOGLY_RSYSLOG" not in os.environ and (found := shutil.which("rsyslogd", path=SYSTEM_PATH)):
        return Rsyslog(Path(found))
    root = Path(os.environ["LOGLY_RSYSLOG"]) if "LOGLY_RSYSLOG" in os.environ else unpacked("rsyslog", cache)
    modules_of(root)
    return Rsyslog(root / "usr/sbin/rsyslogd", root)


def modules_of(root: Path) -> Path:
    for folder in root.glob("usr/lib/*/rsyslog"):
        return folder
    raise NotToBeHad(f"{root} holds no modules of rsyslog")
