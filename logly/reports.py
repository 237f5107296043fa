"""What logly says of its own trouble where no `on_error` is set: lines on stderr, few of them."""

from __future__ import annotations

import sys

from . import system
from .system import monotonic, takes_text

__all__ = ["StderrReports"]

INTERVAL_S = 1.0
PIPE_BYTES = 4096
"""A pipe that is writable has room for so many (PIPE_BUF)."""


class StderrReports:
    """Tells errors on the process's stderr, at most one line a second; the next line says how many there were between.

    Args:
        name: the logger's, which each line begins with.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        # In a process that was started without stderr, descriptor 2 is a file that was opened for something else.
        self._fd = 2 if sys.__stderr__ is not None else None
        self._told_at: float | None = None
        self._untold = 0

    def tell(self, error: BaseException, *, at_once: bool = False) -> None:
        """Tell it now or, unless `at_once`, not at all when a line has just been written."""
        now = monotonic()
        if not at_once and self._told_at is not None and now - self._told_at < INTERVAL_S:
            self._untold += 1
            return
        self._told_at = now
        parts = [f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())]
        if self._untold:
            parts.append(f"and {_more(self._untold)} before this one")
            self._untold = 0
        self._write("; ".join(parts))

    def tell_rest(self) -> None:
        """At the end: say that there were errors after the last line."""
        if self._untold:
            untold, self._untold = self._untold, 0
            self._write(_more(untold))

    def _write(self, text: str) -> None:
        line = f"logly ({self.name}): {text}".encode(errors="backslashreplace")[: PIPE_BYTES - 1] + b"\n"
        try:
            # A full pipe must not stop the flusher.
            if self._fd is not None and takes_text(self._fd):
                system.write(self._fd, line)
        except (OSError, TypeError, AttributeError):
            pass  # there is nobody left to tell, or the interpreter has taken this module apart


def _more(count: int) -> str:
    return f"{count} more error{'s' if count > 1 else ''}"
