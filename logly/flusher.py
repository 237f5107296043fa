"""The background thread's life: started at the first record, stopped at close, at exit and before a fork's child.

The loop itself (`Core.run`) is compiled and does not hold the GIL. It comes back here only when a sink wants Python.
"""

from __future__ import annotations

import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._core import Core

__all__ = ["Flusher"]


class Flusher:
    """Owns the flusher's thread of one logger.

    Args:
        core: the engine whose loop the thread runs.
        name: the thread's name.
        on_change: called when the thread has started or ended, to tell producers whether they must start one.
    """

    def __init__(self, core: Core, name: str) -> None:
        self.core = core
        self.name = name
        self.thread: threading.Thread | None = None
        self.cannot_start = False
        self.is_stopped = False
        self._starting = threading.RLock()

    @property
    def is_running(self) -> bool:
        """Whether there is a thread that drains the ring."""
        return self.core.flusher_runs

    def start(self) -> bool:
        """Start the thread unless it runs; False when none can be started (the interpreter is shutting down)."""
        if self.cannot_start:
            return False
        with self._starting:
            # A signal handler may log in here, hence the reentrant lock and this second look.
            if self.core.flusher_runs:
                return True
            if self.is_stopped:
                return False
            self.core.set_stop(False)
            thread = threading.Thread(target=_run, args=(self.core,), name=self.name, daemon=True)
            self.core.flusher_runs = True
            try:
                thread.start()
            except RuntimeError:
                self.core.flusher_runs = False
                self.cannot_start = True
                return False
            self.thread = thread
            return True

    def stop(self, timeout: float | None = None) -> bool:
        """Have the thread end after a last pass, for good, and wait for that; False when `timeout` seconds passed."""
        with self._starting:
            # Whoever is about to start it does so before this, or not at all.
            self.is_stopped = True
            thread = self.thread
            self.core.set_stop(True)
        if thread is None or thread is threading.current_thread():
            return True
        thread.join(timeout)
        if thread.is_alive():
            return False
        self.thread = None
        return True

    def reset_after_fork(self) -> None:
        """In the child there is no such thread, and no lock that anybody holds."""
        self.thread = None
        self._starting = threading.RLock()


def _run(core: Core) -> None:
    try:
        while core.run():
            core.on_work()
    finally:
        core.flusher_runs = False
        # What was logged while the loop ended.
        core.drain_here()
