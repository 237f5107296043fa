"""What logly says of its own trouble where no `on_error` is set: few lines on stderr, nothing raw in them."""

from __future__ import annotations

import sys

from logly._core import PIPE_CHUNK
from logly.system import unpatched as system
from logly.system.unpatched import monotonic, takes_text

__all__ = ["StderrReports", "visible"]

INTERVAL_S = 1.0

_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if code != 0x09}
_ESCAPES |= {0x0A: "\\n", 0x0D: "\\r", 0x2028: "\\u2028", 0x2029: "\\u2029"}


def visible(text: str) -> str:
    """The text as one line: control characters and line separators are escaped, as in the log itself.

    What an error says may come from outside: a path, an argument's text, the name of an exception's class.
    """
    return text.translate(_ESCAPES).encode(errors="backslashreplace").decode()


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
        parts = _texts_of(error)
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
        try:
            line = visible(f"logly ({self.name}): {text}").encode()[: PIPE_CHUNK - 1] + b"\n"
            # A full pipe must not stop the flusher.
            if self._fd is not None and takes_text(self._fd):
                system.write(self._fd, line)
        except (OSError, TypeError, AttributeError):
            pass  # there is nobody left to tell, or the interpreter has taken this module apart


def _texts_of(error: BaseException) -> list[str]:
    """What the error says, and its notes; it may be one of the program's own, whose text fails."""
    try:
        return [f"{type(error).__name__}: {error}", *map(str, getattr(error, "__notes__", ()))]
    except RecursionError:
        raise
    except Exception:
        return [f"{type(error).__name__}: <its text fails>"]


def _more(count: int) -> str:
    return f"{count} more error{'s' if count > 1 else ''}"
