"""The flusher's thread: started at the first record, stopped at close and at exit, absent after a fork.

The loop itself (`flusher_thread.pxi`) is compiled and does not hold the GIL. It returns to Python only when a sink
needs Python.
"""

from __future__ import annotations

import sys
import threading

from logly._core import await_flusher_end, await_last_line, launch_flusher, was_forked_by_side_thread
from logly.system.greenlets import prepare_threads
from logly.system.unpatched import ThreadEntry, monotonic, threading_is_patched

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from logly._core import Core

__all__ = ["Flusher"]

RETRY_START_S = 1.0
"""If no thread could be started, callers do the flusher's work for this long before the next attempt."""


class Flusher:
    """Owns the flusher thread of one logger.

    Args:
        core: the engine whose loop the thread runs.
        name: the thread's name.
        on_end: called on the thread when its loop has ended, to tell producers who does the flusher's work now.
    """

    def __init__(self, core: Core, name: str, on_end: Callable[[], None]) -> None:
        self.core = core
        self.name = name
        self.on_end = on_end
        self.is_exiting = False
        """The interpreter is exiting: no thread may be started any more."""
        self.is_stopped = False
        self._retry_at = 0.0
        self._was_forked_by_side_thread = False
        self._entry = ThreadEntry()

    @property
    def is_running(self) -> bool:
        """Whether there is a thread that drains the ring."""
        return self.core.flusher_runs

    @property
    def cannot_start(self) -> bool:
        """Whether callers must do the flusher's work themselves at present."""
        return self.is_exiting or self._retry_at != 0.0 or self._would_never_end

    @property
    def _would_never_end(self) -> bool:
        """Whether a flusher would keep this process alive after the program has ended.

        If a side thread forked, the child ends when that thread returns, and Python does not finalize itself. So
        nothing would stop the flusher. A child of multiprocessing ends itself, so it may have a flusher.
        """
        if not self._was_forked_by_side_thread:
            return False
        process = sys.modules.get("multiprocessing.process")
        return process is None or process.parent_process() is None

    def start(self) -> bool:
        """Start the thread unless it is running; return False when no thread can be started now."""
        if (
            self.is_exiting
            or self.is_stopped
            or self._would_never_end
            or (self._retry_at and monotonic() < self._retry_at)
        ):
            return False
        prepare_threads()
        # Does nothing if a signal handler or another thread has started the flusher meanwhile.
        self._retry_at = 0.0 if launch_flusher(self.core, self) else monotonic() + RETRY_START_S
        return self._retry_at == 0.0

    def stop(self, timeout: float | None = None, *, gives_way: bool = False) -> bool:
        """Make the thread end after a last pass, and wait for that; return False if `timeout` seconds passed first.

        No thread is started after this.

        `gives_way`: the other greenlets of the calling thread run meanwhile.
        """
        self.is_stopped = True
        self.core.set_stop(True)
        return await_flusher_end(self.core, timeout, gives_way)

    def await_last_line(self, timeout: float) -> None:
        """Wait until the thread, whose loop has ended, refers to no Python objects any more.

        A thread that still runs while the interpreter shuts down never releases its objects, so they would not be
        finalized.
        """
        await_last_line(self.core, timeout)

    def reset_after_fork(self) -> None:
        """Called in a forked child, which has no flusher thread."""
        self._retry_at = 0.0
        if threading_is_patched():
            # A patched `threading` says which greenlet forked, not which thread.
            self._was_forked_by_side_thread = was_forked_by_side_thread()
        else:
            # `threading` makes the thread that forked the child's main thread. A side thread is no _MainThread.
            self._was_forked_by_side_thread = not isinstance(threading.main_thread(), threading._MainThread)  # type: ignore[attr-defined]
        self._entry = ThreadEntry()

    # ---- called by the loop, on the flusher's thread

    def begin(self) -> None:
        """Called by the thread before its loop."""
        if self.is_stopped:  # `stop` was called after `start` had checked, before this thread ran
            self.core.set_stop(True)
        self._entry.make(self.name)

    def end(self) -> None:
        """Called by the thread after its loop; there is no flusher any more."""
        self._entry.remove()
        self.core.drain_here()  # writes what was logged while the loop ended
        self.on_end()
