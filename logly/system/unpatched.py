"""Threads, locks, clock, pauses and file calls of the system, whatever gevent or eventlet has put in their place.

gevent and eventlet replace attributes of `threading`, `_thread`, `time`, `select` and `os`, before logly is imported or
after. So the rest of logly takes these things from here and nowhere else. `tests/house/test_source.py` checks that.
"""

from __future__ import annotations

import io
import sys
import threading
from contextlib import suppress
from types import BuiltinFunctionType

from logly._core import (
    Attempt,
    EventCount,
    NoPipeSignal,
    SystemLock,
    SystemThread,
    TryLock,
    is_writable,
    monotonic,
    pause,
    thread_ident,
    wall_ns,
    write_once,
)

if sys.platform == "win32":
    import nt as _calls
else:
    import posix as _calls

__all__ = [
    "Attempt",
    "EventCount",
    "NoPipeSignal",
    "SystemLock",
    "SystemThread",
    "ThreadEntry",
    "TryLock",
    "is_writable",
    "monotonic",
    "open",
    "open_file",
    "pause",
    "read",
    "thread_ident",
    "threading_is_patched",
    "wall_ns",
    "write",
    "write_once",
]

# eventlet's versions wait in a hub. Each thread that calls them gets a hub, and each hub has a descriptor.
open = _calls.open  # noqa: A001
read = _calls.read
write = _calls.write
open_file = io.open


def threading_is_patched() -> bool:
    """Whether the threads of `threading` have been replaced by greenlets."""
    return not isinstance(threading.get_ident, BuiltinFunctionType)


class ThreadEntry:
    """The entry in `threading` of a thread that logly started: its name. Made and removed on that thread.

    A patched `threading` lists greenlets and gets no entry, because making one would need a hub.
    """

    __slots__ = ("_ident", "_thread")

    def __init__(self) -> None:
        self._ident = 0
        self._thread: threading.Thread | None = None

    def make(self, name: str) -> None:
        # A missing name is no reason to fail, not even when memory is short.
        with suppress(MemoryError, AttributeError, RuntimeError):
            if not threading_is_patched():
                thread = threading.current_thread()
                thread.name = name
                self._ident, self._thread = thread_ident(), thread

    def remove(self) -> None:
        # `threading` itself would keep the entry until another thread gets the same number.
        with suppress(AttributeError):
            active = threading._active  # type: ignore[attr-defined]
            if self._thread is not None and active.get(self._ident) is self._thread:
                del active[self._ident]
        self._thread = None
