"""What each interpreter of a coverage run does first. tools/coverage.py installs it into the run's environment.

Both measurements are written when a process ends by `exit()`. Tests also end processes by `os._exit`, by `exec` and by
a signal that the process sends to itself. Here these functions first write what has been counted so far.
"""

from __future__ import annotations

import ctypes
import os
import signal
import site
import sys
from collections.abc import Callable
from typing import Any

# tools/coverage.py fills these in. They are not in the environment, because tests start children with an empty one.
TREE = "@TREE@"
"""The copy of the repository that is measured."""
PACKAGES = "@PACKAGES@"
"""The folders of the tests' packages, separated by `os.pathsep`."""
SETTINGS = "@SETTINGS@"
"""Path of coverage.py's configuration."""

UNTRACED = ("tests.support.interrupts", "set_nomemory")
"""Words in the commands of programs that coverage.py does not run in.

These programs are cut at each instant, or their allocations fail one by one. coverage.py has instants and allocations
of its own: the first would take hours, and the second make coverage.py fail. Their Cython lines are counted.
"""


def write_counts() -> None:
    """Write what has been counted so far: the lines of Python by coverage.py, those of Cython by gcov."""
    coverage = sys.modules.get("coverage")
    measured = coverage.Coverage.current() if coverage is not None else None
    if measured is not None:
        measured.save()
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and file.startswith(TREE) and file.endswith(".so"):
            ctypes.PyDLL(file).logly_coverage_dump()


def writing_first(function: Callable[..., Any], is_wanted: Callable[..., bool] = lambda *_: True) -> Callable[..., Any]:
    def write_and_call(*args: Any, **named: Any) -> Any:
        if is_wanted(*args):
            write_counts()
        return function(*args, **named)

    return write_and_call


def is_for_itself(process: int, number: int) -> bool:
    return process == os.getpid() and number != 0


def trace_all_threads() -> None:
    """Have threads traced that `threading` did not start; needed where coverage.py cannot use sys.monitoring."""
    import _thread
    import threading

    start = _thread.start_new_thread

    def start_traced(function: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any] | None = None) -> int:
        def run() -> None:
            sys.settrace(threading.gettrace())
            function(*args, **(named or {}))

        return start(run, ())

    _thread.start_new_thread = _thread.start_new = start_traced  # type: ignore[assignment]


def install() -> None:
    is_traced = not any(word in argument for word in UNTRACED for argument in sys.orig_argv)
    if is_traced:
        os.environ["COVERAGE_PROCESS_START"] = SETTINGS
    else:
        for name in ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG"):
            os.environ.pop(name, None)
    for folder in PACKAGES.split(os.pathsep):
        site.addsitedir(folder)
    if is_traced:
        import coverage

        coverage.process_startup()
    for name in ("_exit", "abort", "execv", "execve"):
        setattr(os, name, writing_first(getattr(os, name)))
    os.kill = writing_first(os.kill, is_for_itself)
    signal.raise_signal = writing_first(signal.raise_signal)
    if is_traced and sys.version_info < (3, 12):
        trace_all_threads()


install()
