"""Runs in the interpreters of tools/third_party_logging.py: writes what came of each test, and which calls were fast.

It is a plugin of pytest (`-p third_party_results`), and a command that runs a script of unittest's:
`python -m third_party_results SCRIPT ARGUMENTS`. THIRD_PARTY_RESULTS names the file, which gets a line of JSON for
each test.
"""

from __future__ import annotations

import atexit
import json
import os
import runpy
import sys
import unittest
from typing import Any

WHERE = os.environ.get("THIRD_PARTY_RESULTS", "")
OWNER = os.getpid()


def tell(what: str, result: str, said: object = "") -> None:
    if WHERE and os.getpid() == OWNER:
        with open(WHERE, "a", encoding="utf-8") as file:
            file.write(json.dumps([what, result, str(said)], ensure_ascii=True) + "\n")


def count() -> None:
    bridge = sys.modules.get("logly.bridge.install")
    if bridge is not None:
        found = bridge.routes()
        tell("", json.dumps([sum(getattr(one, way) for one in found) for way in ("fast", "rendered", "original")]))


# ---- pytest


def pytest_runtest_logreport(report: Any) -> None:
    result = "xfail " * hasattr(report, "wasxfail") + str(report.outcome)
    if report.when == "call" or report.outcome != "passed":
        tell(f"{report.nodeid} {report.when}", result, report.longreprtext if report.outcome == "failed" else "")


def pytest_collectreport(report: Any) -> None:
    if report.outcome == "failed":
        tell(f"{report.nodeid} collect", "failed", report.longreprtext)


def pytest_sessionfinish(session: Any) -> None:  # the programs of pytest's own tests have no use for this plugin
    del session
    count()


# ---- unittest


def watch_unittest() -> None:
    """Has every `unittest.TestResult` tell what it gets."""
    for name in ("addSuccess", "addError", "addFailure", "addSkip", "addExpectedFailure", "addUnexpectedSuccess"):
        _watch(name, getattr(unittest.TestResult, name))


def _watch(name: str, original: Any) -> None:
    def add(self: Any, test: Any, *more: Any) -> None:
        said = self._exc_info_to_string(more[0], test) if name in {"addError", "addFailure"} else ""
        tell(str(test.id() if hasattr(test, "id") else test), name.removeprefix("add").lower(), said)
        original(self, test, *more)

    setattr(unittest.TestResult, name, add)


if __name__ == "__main__":
    watch_unittest()
    atexit.register(count)
    sys.argv[:] = sys.argv[1:]
    sys.path[0] = os.path.dirname(os.path.abspath(sys.argv[0]))
    runpy.run_path(sys.argv[0], run_name="__main__")
