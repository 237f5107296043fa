"""Threads, locks, clock, pauses and file calls of the system, whatever gevent or eventlet has put in their place.

They replace attributes of `threading`, `_thread`, `time`, `select` and `os`, before logly is imported or after. The
rest of logly therefore takes what they replace from here and nowhere else. `tests/house/test_source.py` checks that.
"""

from __future__ import annotations

import io
import sys
import threading
from contextlib import suppress
from types import BuiltinFunctionType

from logly._core import EventCount, SystemLock, SystemThread, TryLock, monotonic, pause, is_writable, thread_ident, wall_ns

if sys.platform == "win32":
    import nt as _calls
else:
    import posix as _calls

__all__ = [
    "EventCount",
    "SystemLock",
    "SystemThread",
    "ThreadEntry",
    "TryLock",
    "monotonic",
    "open",
    "open_file",
    "pause",
    "read",
    "is_writable",
    "thread_ident",
    "threading_is_patched",
    "wall_ns",
    "write",
]

# eventlet's versions wait in a hub, of which each thread that calls them gets one, with a descriptor of its own.
open = _calls.open  # noqa: A001
read = _calls.read
write = _calls.write
open_file = io.open


def threading_is_patched() -> bool:
    """Whether the threads of `threading` are greenlets now."""
    return not isinstance(threading.get_ident, BuiltinFunctionType)


class ThreadEntry:
    """What `threading` knows of a thread that it did not start: its name. Made and removed on that thread.

    Where `threading` has been patched it lists greenlets, and gets no entry: making one there needs a hub.
    """

    __slots__ = ("_ident", "_thread")

    def __init__(self) -> None:
        self._ident = 0
        self._thread: threading.Thread | None = None

    def make(self, name: str) -> None:
        # A name is no reason to fail for, so not even a lack of memory is one.
        with suppress(MemoryError, AttributeError, RuntimeError):
            if not threading_is_patched():
                thread = threading.current_thread()
                thread.name = name
                self._ident, self._thread = thread_ident(), thread

    def remove(self) -> None:
        # `threading` keeps its entry until the thread's number is used again.
        with suppress(AttributeError):
            active = threading._active  # type: ignore[attr-defined]
            if self._thread is not None and active.get(self._ident) is self._thread:
                del active[self._ident]
        self._thread = None
