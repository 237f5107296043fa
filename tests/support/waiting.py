"""Waiting for an event, with a deadline that is only there for a test that fails."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from logly import Logger

PATIENCE_S = 60.0


def wait_until(is_true: Callable[[], Any], what: str = "the event", patience_s: float = PATIENCE_S) -> Any:
    """Polls until `is_true()` and returns its value; fails, naming `what`, when it does not become true."""
    deadline = time.monotonic() + patience_s
    while not (value := is_true()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {patience_s} s for {what}")
        time.sleep(0.002)
    return value


def run_python(program: str, *args: object, **options: object) -> subprocess.CompletedProcess[str]:
    """Runs a program in an interpreter of its own, which must end by itself; text of both outputs is captured."""
    # From 3.12 on CPython warns of every fork beside a thread, and the flusher is one.
    quiet = "ignore:This process:DeprecationWarning"
    command = [sys.executable, "-W", quiet, "-c", program, *map(str, args)]
    settings = {"capture_output": True, "text": True, "timeout": PATIENCE_S, "check": False, **options}
    return subprocess.run(command, **settings)  # type: ignore[call-overload,no-any-return]


def run_ok(program: str, *args: object, **options: object) -> str:
    """`run_python` of a program that must succeed and say nothing on stderr; returns its stdout."""
    done = run_python(program, *args, **options)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


class PipeReader:
    """Reads a descriptor to its end, on a thread of its own, from now on."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._pieces: list[bytes] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while piece := os.read(self._fd, 1 << 16):
            self._pieces.append(piece)

    def close(self) -> bytes:
        """All that came; every descriptor of the writing end must be closed."""
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), "a writer still has the pipe"
        os.close(self._fd)
        return b"".join(self._pieces)


def lines_of(path: Path) -> list[str]:
    """The whole lines of a file; that it ends at a line boundary is part of the test."""
    text = path.read_bytes()
    assert text == b"" or text.endswith(b"\n"), text[-200:]
    return text.decode().splitlines()


def assert_books(logger: Logger) -> None:
    """emitted == written + dropped + failed + pending, and none of them below zero."""
    stats = logger.stats()
    assert stats.emitted == stats.written + stats.dropped + stats.failed + stats.pending
    assert min(stats.emitted, stats.written, stats.dropped, stats.failed, stats.pending) >= 0


def children_end_well(pids: list[int]) -> None:
    """Reaps the children; each must have ended with 0."""
    left = dict.fromkeys(pids)

    def reap() -> bool:
        for pid in list(left):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                assert os.waitstatus_to_exitcode(status) == 0, f"child {pid}: {status}"
                del left[pid]
        return not left

    try:
        wait_until(reap, f"children {pids} to end")
    finally:
        import signal

        for pid in left:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
