"""How a logger reports its errors: to `on_error`, or if that is not set, in a few lines on stderr."""

from __future__ import annotations

import sys

from logly._core import PIPE_CHUNK, call_on_error
from logly.errors import Advice, LoglyError, counted
from logly.system.unpatched import is_writable, monotonic, write_once

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from logly._core import Core

    from .sinks import Sink

__all__ = ["ErrorReports", "StderrReports", "as_one_line"]

INTERVAL_S = 1.0
MOST_TEXTS = 10
"""So many different errors are told in `INTERVAL_S`."""

_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if code != 0x09}
_ESCAPES |= {0x0A: "\\n", 0x0D: "\\r", 0x2028: "\\u2028", 0x2029: "\\u2029"}


def as_one_line(text: str) -> str:
    """Returns the text as one line: control characters and line separators are escaped, as in the log itself.

    The text of an error may come from outside: a path, an argument's text, the name of an exception's class.
    """
    return text.translate(_ESCAPES).encode(errors="backslashreplace").decode()


class StderrReports:
    """Writes errors to the process's stderr: each text at most once a second, and at most ten texts in a second.

    Each line counts the errors since the last one that were not told.

    Args:
        name: the logger's name, with which each line begins.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        # If the process was started without stderr, descriptor 2 belongs to something else.
        self._fd = 2 if sys.__stderr__ is not None else None
        self._told: dict[str, float] = {}
        """The texts of the last second, and when they were told."""
        self._unreported = 0

    def report(self, error: BaseException, *, at_once: bool = False) -> None:
        """Write the error now. If this second has had its text, or ten others, only count it, unless `at_once`."""
        now = monotonic()
        parts = _texts_of(error)
        key = "; ".join(parts)[:PIPE_CHUNK]
        told = {text: self._told[text] for text in self._told if now - self._told[text] < INTERVAL_S}
        if not at_once and (key in told or len(told) >= MOST_TEXTS):
            self._unreported += 1
            return
        if key in told or len(told) < MOST_TEXTS:
            told[key] = now
        self._told = told
        if self._unreported:
            parts.append(f"and {_more(self._unreported)} before this one")
            self._unreported = 0
        self._write("; ".join(parts))

    def report_rest(self) -> None:
        """Say how many errors came after the last line. Called at the end."""
        if self._unreported:
            unreported, self._unreported = self._unreported, 0
            self._write(_more(unreported))

    def _write(self, text: str) -> None:
        try:
            end = _encoded("\n")
            line = _encoded(as_one_line(f"logly ({self.name}): {text}"))[: PIPE_CHUNK - len(end)] + end
            # A full pipe must not stop the flusher.
            if self._fd is not None and is_writable(self._fd):
                write_once(self._fd, line)
        except (OSError, TypeError, AttributeError):
            pass  # stderr cannot be written, or the interpreter is shutting down and has emptied this module


def _encoded(text: str) -> bytes:
    """The text in the encoding of the process's stderr, as the program's own output. What it lacks is escaped."""
    encoding = getattr(sys.__stderr__, "encoding", None) or "utf-8"
    try:
        mark = "".encode(encoding)  # UTF-16 begins with one; the stream writes it once
        return text.encode(encoding, "backslashreplace").removeprefix(mark)
    except (LookupError, UnicodeError):
        return text.encode()


def _texts_of(error: BaseException) -> list[str]:
    """The error's text and its notes. An error of the program's own may fail to give a text."""
    try:
        kind = "Advice" if isinstance(error, Advice) else type(error).__name__  # the public class
        return [f"{kind}: {error}", *map(str, getattr(error, "__notes__", ()))]
    except RecursionError:
        raise
    except Exception:  # noqa: BLE001  # a `__str__` may raise anything
        return [f"{type(error).__name__}: <its text fails>"]


def _more(count: int) -> str:
    return f"{count} more error{'s' if count > 1 else ''}"


class ErrorReports:
    """Reports the errors of one logger to `on_error` or on stderr.

    Args:
        core: the logger's engine. `Core.report` leaves errors in it, which the flusher's thread reports.
        name: the logger's name.
        on_error: the function from the logger's settings; None: lines on stderr.
    """

    def __init__(self, core: Core, name: str, on_error: Callable[[Any], object] | None) -> None:
        self.core = core
        self.name = name
        self.on_error = on_error
        self._calls = 0
        self._stderr = StderrReports(name)

    def report_waiting(self, *, waits: bool = True) -> None:
        """Reports the errors that wait in the core. `waits`: see `report_now`."""
        for _ in range(len(self.core.errors)):  # errors that come from on_error are reported the next time
            try:
                error = self.core.errors.popleft()
            except IndexError:  # another thread has reported it
                return
            if isinstance(error, tuple):
                # A record that on_error has logged is what is wrong. Calling it for that might never end.
                self._stderr.report(error[0])
            else:
                self.report_now(error, waits=waits)

    def report_now(self, error: BaseException | None, *, at_once: bool = False, waits: bool = True) -> None:
        """Reports an error, if any, on this thread. `at_once`: also where a line was just written to stderr.

        `waits`: False: on stderr while `on_error` is at work, which may hang.
        """
        if error is None:
            return
        try:
            if self.on_error is None or (self._calls and not waits):
                self._stderr.report(error, at_once=at_once)
                return
            self._calls += 1
            try:
                call_on_error(self.core, self.on_error, error)
            finally:
                self._calls -= 1
        except Exception as trouble:  # noqa: BLE001  # on_error is the user's
            self._stderr.report(trouble)

    def report_lost(self, sinks: Iterable[Sink], lost: int | None) -> None:
        """Reports, at the end, what waits to be reported, and the losses that nobody was told of yet.

        `lost`: so many records wait in vain; None: nobody knows, because the flusher hangs in a system call.
        """
        self.report_waiting(waits=False)
        for sink in sinks if lost is not None else ():
            self.report_now(sink.losses(), at_once=True, waits=False)
        if lost != 0:
            text = f"{'records' if lost is None else counted(lost)} could not be written before the logger was closed"
            self.report_now(LoglyError(text), at_once=True, waits=False)

    def report_rest(self) -> None:
        """Says on stderr how many errors came after the last line. Called at the end."""
        self._stderr.report_rest()

    def after_fork_in_child(self) -> None:
        """Makes the child count its errors from 0."""
        self._calls = 0
        self._stderr = StderrReports(self.name)
