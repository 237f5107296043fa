"""The worker thread for slow jobs that nothing waits for: compressing rotated files, removing old ones.

There is one thread per process. The first job starts it, and it ends after the last one, so that an idle service has no
such thread. It does not keep a process alive. It runs at lower priority where threads have priorities (Linux).
"""

import os
import sys
from collections import deque
from contextlib import suppress

from logly.system.unpatched import EventCount, SystemLock, SystemThread, ThreadEntry, monotonic, thread_ident

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Job = Callable[[], object]
    OnError = Callable[[Exception], object]

__all__ = ["Housekeeper", "housekeeper"]

_NICENESS = 10

LOOK_S = 1.0
"""How often `drain` checks whether the worker has ended without a signal."""


class Housekeeper:
    """A queue of jobs, and the thread that does them one after the other, in the order of submission.

    After a fork the child has no jobs and no thread. The parent's jobs go on in the parent.
    """

    def __init__(self, name: str = "logly-housekeeper") -> None:
        self._name = name
        self._reset()
        if hasattr(os, "register_at_fork"):
            import weakref

            forget = weakref.WeakMethod(self._reset)

            def after_in_child() -> None:
                reset = forget()
                if reset is not None:
                    reset()

            os.register_at_fork(after_in_child=after_in_child)

    def _reset(self) -> None:
        # In a forked child the old lock may be held by a thread that does not exist there, so a new one is made.
        self._lock = SystemLock()
        self._ended = EventCount()
        self._jobs: deque[tuple[Job, OnError | None]] = deque()
        self._worker: SystemThread | None = None
        self._worker_ident = 0

    def submit(self, job: "Job", on_error: "OnError | None" = None) -> bool:
        """Queue a job; return at once.

        Args:
            job: called without arguments on the worker thread.
            on_error: called on the worker thread with an `Exception` that the job raised; None: such an
                exception goes to `sys.excepthook`.

        Returns:
            False if no thread can be started (the interpreter is shutting down). The job is not done then; the next
            start of a program does what housekeeping has left undone.
        """
        with self._lock:
            self._jobs.append((job, on_error))
            if self._has_worker:
                return True
            self._worker = SystemThread(self._work)
            if self._worker.start():
                return True
            self._jobs.clear()
            return False

    def drain(self, timeout: "float | None" = None) -> bool:
        """Wait until all jobs are done.

        Args:
            timeout: seconds; None: as long as it takes.

        Returns:
            False if the time passed first; the jobs go on. When called by a job: False at once.
        """
        if self._worker_ident == thread_ident():
            return False
        deadline = None if timeout is None else monotonic() + timeout
        while True:
            ticket = self._ended.ticket()
            if self.is_idle:
                return True
            left = None if deadline is None else deadline - monotonic()
            if left is not None and left <= 0:
                return False
            self._ended.wait(ticket, LOOK_S if left is None else min(left, LOOK_S))

    @property
    def is_idle(self) -> bool:
        """Whether no job is queued or running."""
        with self._lock:
            return not self._has_worker

    @property
    def _has_worker(self) -> bool:
        # A worker that failed, for lack of memory for example, does not count. The next job starts another one.
        return self._worker is not None and self._worker.is_running

    def _work(self) -> None:
        lock, entry = self._lock, ThreadEntry()
        entry.make(self._name)
        self._worker_ident = thread_ident()
        try:
            _lower_priority()
            while self._do_next(lock):
                pass
        finally:
            if self._worker_ident == thread_ident():
                self._worker_ident = 0  # the worker failed, and another thread may get its number
            entry.remove()

    def _do_next(self, lock: SystemLock) -> bool:
        with lock:
            if lock is not self._lock:
                return False  # a job has forked, and this is the child
            if not self._jobs:
                # Still under the lock, so that no job is given to a worker that has just decided to end.
                self._worker, self._worker_ident = None, 0
                self._ended.signal()
                return False
            job, on_error = self._jobs.popleft()
        _run(job, on_error)
        return True  # the job's references end here: a waiting worker must not keep its objects alive


def _run(job: "Job", on_error: "OnError | None") -> None:
    try:
        try:
            job()
        except Exception as error:
            if on_error is None:
                raise
            on_error(error)
    except BaseException as error:  # noqa: BLE001  # the thread goes on with the next job
        with suppress(Exception):
            sys.excepthook(type(error), error, error.__traceback__)


def _lower_priority() -> None:
    """Lower this thread's priority on Linux, where threads have their own and 0 means the calling thread."""
    if sys.platform != "linux":
        return
    with suppress(OSError, MemoryError):
        os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)


housekeeper = Housekeeper()
"""The process's housekeeper, which all sinks use."""
