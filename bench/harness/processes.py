"""A measurement in a process of its own, with a time limit; and what to say of one that brings no result."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness import BENCH, REPOSITORY
from harness.libraries import EXIT_MISSING
from harness.rows import balance

# Beyond what a process can return.
STUCK, SLOW = 1001, 1002


def activity(group: int) -> tuple[int, int]:
    """Processor time that the processes of a group have used, and what they have written (0 without /proc)."""
    ticks = written = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name, in parentheses, may hold blanks.
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[2]) == group:
                ticks += int(fields[11]) + int(fields[12])
                written += int((stat.parent / "io").read_text().split()[3])
    return ticks, written


def is_idle(group: int) -> bool:
    """True when no process of the group does anything: it waits for what will not come."""
    # Threads that wait for the interpreter's lock look after it every five milliseconds: some ticks are no work.
    before = activity(group)
    time.sleep(1)
    after = activity(group)
    return after[0] - before[0] <= 5 and after[1] == before[1]


def run_process(command: Sequence[str], timeout_s: float) -> tuple[int, str, str]:
    """Exit code (or `STUCK`, `SLOW`), stdout, stderr. Children of the child end with it."""
    # Files instead of pipes: a library that prints every record cannot fill them up and stall.
    with tempfile.TemporaryFile("w+", errors="replace") as out, tempfile.TemporaryFile("w+", errors="replace") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, start_new_session=True)
        try:
            code = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            code = STUCK if is_idle(process.pid) else SLOW
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        out.seek(0)
        err.seek(0)
        return code, out.read(), err.read()


def verdict(code: int, errors: str, timeout_s: float) -> dict[str, Any]:
    """What to say of a process that brought no result."""
    if code == STUCK:
        return {"status": "hung", "why": f"waits for ever; ended after {timeout_s:.0f} s"}
    if code == SLOW:
        return {"status": "too slow", "why": f"still at work after {timeout_s:.0f} s"}
    if code == EXIT_MISSING or f"exit code {EXIT_MISSING}" in errors:
        return {"status": "missing"}
    lines = [line for line in errors.splitlines() if line and not line.startswith(" ")]
    for line in lines:
        if "Unsupported: " in line:
            return {"status": "unsupported", "why": line.split("Unsupported: ", 1)[1]}
    # The exception of the worker, not what pyperf says about it.
    raised = [line for line in lines if re.match(r"[\w.]*(Error|Exception|Unsupported)\b", line)]
    raised = [line for line in raised if "exit code" not in line]
    why = raised[-1] if raised else f"exit code {code}"
    return {"status": "raised", "why": why.replace(str(REPOSITORY), ".")[:200]}


def ask(
    script: str, peer: str, *, fast: bool, directory: str | None, timeout_s: float, python: str = sys.executable
) -> dict[str, Any]:
    """One library's row of one question (`bench/SCRIPT.py`), measured by a new process."""
    command = [python, str(BENCH / f"{script}.py"), "--peer", peer, "--one"]
    command += ["--fast"] if fast else []
    command += ["--dir", directory] if directory else []
    code, output, errors = run_process(command, timeout_s)
    # A library that prints records to the console mixes them in: the result is the last line that is one.
    for line in reversed(output.splitlines()):
        if line.startswith('{"peer"'):
            return balance(json.loads(line))
    return {"peer": peer} | verdict(code, errors, timeout_s)
