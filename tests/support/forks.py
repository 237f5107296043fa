"""Children of the test's own process, and what they write into a pipe."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

from tests.support.waiting import PATIENCE_S, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable


def fork(in_child: Callable[[], object]) -> int:
    """A child that runs `in_child` and ends by os._exit: with 0 when nothing was raised. Returns its process id."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        in_child()
        code = 0
    finally:
        os._exit(code)


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
        for pid in left:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


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
