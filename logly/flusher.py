"""The background thread's life: started at the first record, stopped at close and at exit, not there after a fork.

The loop itself (`Core.run`) is compiled and does not hold the GIL. It comes back here only when a sink wants Python.
"""

from __future__ import annotations

import sys
import threading
import time
from _thread import allocate_lock, get_ident

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ._core import Core

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
        self.is_final = False
        """The interpreter is ending: no thread is started any more."""
        self.is_stopped = False
        self._retry_at = 0.0
        self._is_of_thread = False
        self._leaving = allocate_lock()  # held by the thread to its last line

    @property
    def is_running(self) -> bool:
        """Whether there is a thread that drains the ring."""
        return self.core.flusher_runs

    @property
    def cannot_start(self) -> bool:
        """Whether callers must do the flusher's work themselves for the time being."""
        return self.is_final or self._retry_at != 0.0 or self._would_outlive

    @property
    def _would_outlive(self) -> bool:
        """Whether a flusher would keep the process alive: a child that a thread forked ends when that thread returns,
        without any exit code of Python's. One of multiprocessing's ends by itself."""
        if not self._is_of_thread:
            return False
        process = sys.modules.get("multiprocessing.process")
        return process is None or process.parent_process() is None

    def start(self) -> bool:
        """Start the thread unless it runs; False when none can be started now."""
        if (
            self.is_final
            or self.is_stopped
            or self._would_outlive
            or (self._retry_at and time.monotonic() < self._retry_at)
        ):
            return False
        # `launch` does nothing when a signal handler, or another thread, has started one in the meantime.
        self._retry_at = 0.0 if self.core.launch(self._run) else time.monotonic() + RETRY_START_S
        return self._retry_at == 0.0

    def stop(self, timeout: float | None = None) -> bool:
        """Have the thread end after a last pass, for good, and wait for that; False when `timeout` seconds passed."""
        self.is_stopped = True
        self.core.set_stop(True)
        return self.core.await_end(timeout)

    def await_last_line(self, timeout: float) -> None:
        """Wait until the thread, which has stopped, holds nothing any more.

        What still runs when the interpreter is taken apart is never let go: what it refers to would not be finalized.
        """
        if self._leaving.acquire(timeout=timeout):
            self._leaving.release()

    def reset_after_fork(self) -> None:
        """In the child there is no such thread."""
        self._retry_at = 0.0
        # That it is no _MainThread shows which thread forked: `threading` makes it the child's main thread.
        self._is_of_thread = not isinstance(threading.main_thread(), threading._MainThread)  # type: ignore[attr-defined]
        self._leaving = allocate_lock()

    def _run(self) -> None:
        with self._leaving:
            self._run_loop()

    def _run_loop(self) -> None:
        core, life = self.core, self.core.lives
        try:
            _name_thread(self.name)
            if self.is_stopped:  # between the look and the start of this thread
                core.set_stop(True)
            while core.lives == life and core.run():
                try:
                    core.work()
                except BaseException as trouble:  # SystemExit of somebody's function: the thread must go on
                    core.tell(trouble)
        finally:
            # A function that forked, in the child: there this is no flusher any more.
            if core.lives == life:
                core.retire()
            core.drain_here()  # what was logged while the loop ended
            self.on_end()
            _forget_thread()


def _name_thread(name: str) -> None:
    try:  # noqa: SIM105 -- contextlib costs at import
        threading.current_thread().name = name
    except (MemoryError, RuntimeError):
        pass  # no memory, which for a lock is a RuntimeError: it works without a name


def _forget_thread() -> None:
    # `threading` keeps its entry of a thread that it did not start until the thread's number is used again.
    try:  # noqa: SIM105 -- contextlib costs at import
        threading._active.pop(get_ident(), None)  # type: ignore[attr-defined]
    except AttributeError:
        pass
