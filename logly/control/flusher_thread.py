"""The background thread's life: started at the first record, stopped at close and at exit, not there after a fork.

The loop itself (`flusher_thread.pxi`) is compiled and does not hold the GIL. It comes back to Python only when a sink
wants that.
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
"""After a thread could not be started, callers do the flusher's work for so long before the next attempt."""


class Flusher:
    """Owns the flusher's thread of one logger.

    Args:
        core: the engine whose loop the thread runs.
        name: the thread's name.
        on_end: called on the thread when its loop has ended, to tell producers who does its work now.
    """

    def __init__(self, core: Core, name: str, on_end: Callable[[], None]) -> None:
        self.core = core
        self.name = name
        self.on_end = on_end
        self.is_exiting = False
        """The interpreter is ending: no thread is started any more."""
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
        """Whether callers must do the flusher's work themselves for the time being."""
        return self.is_exiting or self._retry_at != 0.0 or self._would_keep_process_alive

    @property
    def _would_keep_process_alive(self) -> bool:
        """Whether a flusher would keep the process alive: a child that a thread forked ends when that thread returns,
        without any exit code of Python's. One of multiprocessing's ends by itself."""
        if not self._was_forked_by_side_thread:
            return False
        process = sys.modules.get("multiprocessing.process")
        return process is None or process.parent_process() is None

    def start(self) -> bool:
        """Start the thread unless it runs; False when none can be started now."""
        if self.is_exiting or self.is_stopped or self._would_keep_process_alive or (self._retry_at and monotonic() < self._retry_at):
            return False
        prepare_threads()
        # This does nothing when a signal handler, or another thread, has started one in the meantime.
        self._retry_at = 0.0 if launch_flusher(self.core, self) else monotonic() + RETRY_START_S
        return self._retry_at == 0.0

    def stop(self, timeout: float | None = None, *, gives_way: bool = False) -> bool:
        """Have the thread end after a last pass, for good, and wait for that; False when `timeout` seconds passed.

        `gives_way`: the other greenlets of the calling thread run meanwhile.
        """
        self.is_stopped = True
        self.core.set_stop(True)
        return await_flusher_end(self.core, timeout, gives_way)

    def await_last_line(self, timeout: float) -> None:
        """Wait until the thread, which has stopped, holds nothing any more.

        What still runs when the interpreter is taken apart is never let go: what it refers to would not be finalized.
        """
        await_last_line(self.core, timeout)

    def reset_after_fork(self) -> None:
        """In the child there is no such thread."""
        self._retry_at = 0.0
        if threading_is_patched():
            # It says which greenlet forked, not which thread.
            self._was_forked_by_side_thread = was_forked_by_side_thread()
        else:
            # That it is no _MainThread shows which thread forked: `threading` makes it the child's main thread.
            self._was_forked_by_side_thread = not isinstance(threading.main_thread(), threading._MainThread)  # type: ignore[attr-defined]
        self._entry = ThreadEntry()

    # ---- called by the loop, on the flusher's thread

    def begin(self) -> None:
        """The first thing that the thread does."""
        if self.is_stopped:  # between the look and the start of this thread
            self.core.set_stop(True)
        self._entry.make(self.name)

    def end(self) -> None:
        """The last one: the loop has ended, and there is no flusher any more."""
        self._entry.remove()
        self.core.drain_here()  # what was logged while the loop ended
        self.on_end()
