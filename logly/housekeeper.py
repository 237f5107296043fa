"""The worker for what takes long and nobody waits for: compressing rotated files, removing old ones.

One daemon thread per process, started by the first job and gone after the last, so that an idle service has
none. It runs at lower priority where the system knows priorities of threads (Linux).
"""

import os
import sys
import threading
from collections import deque
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Job = Callable[[], object]
    OnError = Callable[[Exception], object]

__all__ = ["Housekeeper", "housekeeper"]

_NICENESS = 10


class Housekeeper:
    """A queue of jobs and the thread that does them, one after the other, in the order of submission.

    After a fork the child has no jobs and no thread; the parent's go on in the parent.
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
        # the inherited lock may be held by a thread that the child does not have: a new one, never the old
        self._changed = threading.Condition(threading.Lock())
        self._jobs: deque[tuple[Job, OnError | None]] = deque()
        self._worker: threading.Thread | None = None

    def submit(self, job: "Job", on_error: "OnError | None" = None) -> bool:
        """Queue a job; return at once.

        Args:
            job: called without arguments on the worker thread.
            on_error: called on the worker thread with an `Exception` that the job raised; None: such an
                exception goes to `sys.excepthook`.

        Returns:
            False where no thread can be started (the interpreter is shutting down): the job is not done. What
            housekeeping leaves undone, the next start does.
        """
        with self._changed:
            self._jobs.append((job, on_error))
            if self._worker is not None:
                return True
            worker = threading.Thread(target=self._work, args=(self._changed,), name=self._name, daemon=True)
            self._worker = worker
        try:
            worker.start()
        except (RuntimeError, MemoryError):
            with self._changed:
                self._jobs.clear()
                self._worker = None
                self._changed.notify_all()
            return False
        return True

    def drain(self, timeout: "float | None" = None) -> bool:
        """Wait until all jobs are done.

        Args:
            timeout: seconds; None: as long as it takes.

        Returns:
            False where the time passed first; the jobs go on. From within a job: False at once.
        """
        with self._changed:
            if self._worker is threading.current_thread():
                return False
            return self._changed.wait_for(lambda: self._worker is None, timeout)

    @property
    def is_idle(self) -> bool:
        """Whether no job is queued or running."""
        with self._changed:
            return self._worker is None

    def _work(self, changed: threading.Condition) -> None:
        _lower_priority()
        while True:
            with changed:
                if not self._jobs:
                    self._worker = None
                    changed.notify_all()
                    return
                job, on_error = self._jobs.popleft()
            _run(job, on_error)
            del job, on_error  # an idle or blocked worker keeps nothing alive


def _run(job: "Job", on_error: "OnError | None") -> None:
    try:
        try:
            job()
        except Exception as error:
            if on_error is None:
                raise
            on_error(error)
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)


def _lower_priority() -> None:
    """Lower this thread's priority, where a thread has one of its own: Linux, by its native id."""
    if sys.platform != "linux":
        return
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)


housekeeper = Housekeeper()
"""The process's own; every sink uses it."""
