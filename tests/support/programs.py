"""One way to run a program in an interpreter of its own, with the logly that is being tested."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import logly
from tests.support import ROOT
from tests.support.waiting import PATIENCE_S

WHERE_LOGLY_IS = str(Path(logly.__file__).parent.parent)
# From 3.12 on CPython warns of every fork beside a thread, and the flusher is one.
QUIET = ("-W", "ignore:This process:DeprecationWarning")


def environment(*folders: Path, **more: str) -> dict[str, str]:
    """This process's environment, in which modules of the folders and logly are found from everywhere."""
    paths = [*map(str, folders), WHERE_LOGLY_IS, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **more}


def run_program(code: str, *arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs `python -c CODE ARGUMENTS`; `run_python` says what must hold in the end."""
    return run_python("-c", code, *arguments, **options)


def run_module(module: str, *arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs `python -m MODULE ARGUMENTS`; `run_python` says what must hold in the end."""
    return run_python("-m", module, *arguments, **options)


def run_python(
    *words: object,
    returncode: int | None = 0,
    may_complain: bool = False,
    timeout: float | None = PATIENCE_S,
    **options: Any,
) -> subprocess.CompletedProcess[str]:
    """Runs an interpreter until it ends by itself; what it printed is captured as text.

    Args:
        words: the command after the interpreter's name.
        returncode: how it must end; None: however it likes.
        may_complain: whether a program that ends with 0 may have written to stderr.
        timeout: seconds, for a program that hangs.
        options: of `subprocess.run`. Without `cwd` it runs in ROOT; `env` replaces `environment()`.
    """
    done = subprocess.run(_command(words), timeout=timeout, check=False, **_settings(options, stderr=subprocess.PIPE))
    said = f"ended with {done.returncode}\n---- stdout\n{done.stdout}\n---- stderr\n{done.stderr}"
    assert returncode in (None, done.returncode), said
    assert may_complain or returncode != 0 or not done.stderr, said
    return done


def start_program(code: str, *arguments: object, **options: Any) -> subprocess.Popen[str]:
    """Starts `python -c CODE ARGUMENTS` and lets it run; `start_python` has the options."""
    return start_python("-c", code, *arguments, **options)


def start_python(*words: object, says: str | None = None, **options: Any) -> subprocess.Popen[str]:
    """Starts an interpreter whose stdout is a pipe; returns when it has said the line `says`, if there is one.

    The other options are those of `subprocess.Popen`, with the same defaults as in `run_python`.
    """
    process = subprocess.Popen(_command(words), **_settings(options))
    if says is not None:
        assert process.stdout is not None
        first = process.stdout.readline()
        if first != f"{says}\n":
            process.kill()
            raise AssertionError(f"the program said {first!r}, not {says!r}\n{process.communicate()}")
    return process


def _command(words: tuple[object, ...]) -> list[str]:
    return [sys.executable, *QUIET, *map(str, words)]


def _settings(options: dict[str, Any], **more: Any) -> dict[str, Any]:
    settings = {"cwd": ROOT, "env": environment(), "stdout": subprocess.PIPE, "text": True}
    return {**settings, **more, **options}
