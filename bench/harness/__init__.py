"""What the questions of `bench/` are asked with. `bench/README.md` says where things are and how to add one.

Importing this package decides which logly is measured: the one of this source tree where it is built in place, else
the installed one. The environment variable `LOGLY_BENCH_TREE` names another source tree, or "installed".
"""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent
REPOSITORY = BENCH.parent
TREE_VARIABLE = "LOGLY_BENCH_TREE"
INSTALLED = "installed"


def tree_to_measure() -> str:
    """The folder to import logly from, or "" for the installed one. A build for another Python is none."""
    named = os.environ.get(TREE_VARIABLE, "")
    if named:
        return "" if named == INSTALLED else named
    built = f"_core{sysconfig.get_config_var('EXT_SUFFIX')}"
    return str(REPOSITORY) if any((REPOSITORY / "logly").rglob(built)) else ""


def find_logly() -> None:
    tree = tree_to_measure()
    # The first place is the script's own folder.
    if tree and tree not in sys.path:
        sys.path.insert(1, tree)


find_logly()
