"""What the questions of `bench/` are asked with. `bench/README.md` says where things are and how to add one.

Importing this package decides which logly is measured: the one of this source tree where it is built in place, else
the installed one. The environment variable `LOGLY_BENCH_TREE` names another source tree, or "installed".
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent
REPOSITORY = BENCH.parent
TREE_VARIABLE = "LOGLY_BENCH_TREE"
INSTALLED = "installed"


def tree_to_measure() -> str:
    """The folder to import logly from, or "" for the installed one."""
    named = os.environ.get(TREE_VARIABLE, "")
    if named:
        return "" if named == INSTALLED else named
    return str(REPOSITORY) if any((REPOSITORY / "logly").rglob("_core*.so")) else ""


def find_logly() -> None:
    tree = tree_to_measure()
    # The first place is the script's own folder.
    if tree and tree not in sys.path:
        sys.path.insert(1, tree)


find_logly()
