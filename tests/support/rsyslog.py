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
    more: Path | None = None
    """Where a package with further modules is unpacked."""

    def command(self, configuration: Path, pid: Path) -> list[str]:
        folders = [str(modules_of(root)) for root in (self.root or Path("/"), self.more) if root]
        return [str(self.daemon), "-n", "-f", str(configuration), "-i", str(pid), "-M", ":".join(folders)]

    def environment(self) -> dict[str, str]:
        folders = [library_path(root)["LD_LIBRARY_PATH"] for root in (self.root, self.more) if root]
        return {**surroundings(), **({"LD_LIBRARY_PATH": ":".join(filter(None, folders))} if folders else {})}


def find(cache: Path) -> Rsyslog:
    """Raises NotToBeHad."""
    if "LOGLY_RSYSLOG" not in os.environ and (found := shutil.which("rsyslogd", path=SYSTEM_PATH)):
        return Rsyslog(Path(found))
    root = Path(os.environ["LOGLY_RSYSLOG"]) if "LOGLY_RSYSLOG" in os.environ else unpacked("rsyslog", cache)
    modules_of(root)
    return Rsyslog(root / "usr/sbin/rsyslogd", root)


def with_tls(found: Rsyslog, cache: Path) -> Rsyslog:
    """The same daemon with the module for TLS. Raises NotToBeHad."""
    if (modules_of(found.root or Path("/")) / "lmnsd_gtls.so").exists():
        return found
    more = unpacked("rsyslog-gnutls", cache)
    modules_of(more)
    return Rsyslog(found.daemon, found.root, more)


def modules_of(root: Path) -> Path:
    for folder in root.glob("usr/lib/*/rsyslog"):
        return folder
    raise NotToBeHad(f"{root} holds no modules of rsyslog")
