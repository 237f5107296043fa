"""Sinks whose target is already open when they are made: a Python stream or a descriptor."""

from __future__ import annotations

import errno
import os
import sys

from logly._core import IS_FREE_THREADED
from logly.errors import SinkError
from logly.system.unpatched import NoPipeSignal

from .sinks import Sink
from .terminal import Terminal, is_narrow, understands_colors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from logly._core import PythonWork
    from logly.config.schema import LoggerConfig

__all__ = ["DescriptorSink", "StreamSink"]


class StreamSink(Sink):
    """A sink whose settings have a `stream`, or no target at all, which means the console. See `Sink`."""

    target = "stream"
    needs_flusher = True

    def _prepare(self) -> None:
        self._terminal = Terminal(self.files)
        self._echoes = False

    @property
    def is_console(self) -> bool:
        """Whether it writes to the console."""
        return self.config.stream is None or self.config.stream in ("stdout", "stderr")

    @property
    def place(self) -> tuple[str, object] | None:
        stream = self.config.stream
        if stream is None or stream is sys.stderr or stream is sys.__stderr__:
            return "stream", "stderr"
        return "stream", "stdout" if stream is sys.stdout or stream is sys.__stdout__ else stream

    def is_allowed(self, logger_config: LoggerConfig) -> bool:
        return not self.is_console or bool(logger_config.global_console_display)

    def _is_terminal(self) -> bool:
        try:
            stream = self._stream()
            return stream is not None and bool(stream.isatty()) and understands_colors(stream)
        except (AttributeError, OSError, ValueError):
            return False

    def _is_narrow(self) -> bool:
        if not self._is_terminal():
            return False
        try:
            return is_narrow(self._stream().fileno())
        except (AttributeError, OSError, ValueError):
            return False

    def _stream(self) -> Any:
        """Returns the user's stream, or what `sys.stderr` or `sys.stdout` is now: a program may replace these."""
        stream = self.config.stream
        if stream is None or stream == "stderr":
            return sys.stderr
        return sys.stdout if stream == "stdout" else stream

    def do_work(self, work: PythonWork) -> None:
        if work.writes:
            with NoPipeSignal():  # the stream may write to a pipe whose reader is gone
                self.write_stream()
        super().do_work(work)

    def write_stream(self) -> None:
        """Hands the buffered text to the stream."""
        stream = self._stream()
        fd = _plain_descriptor(stream) if stream is not None else None
        if self._echoes != (fd is None):
            self._echoes = fd is None
            self.handle.set_echoes(self._echoes)
        if fd is not None:
            self.handle.write_stream(self._terminal.nonblocking(fd))
            return
        data, life = self.handle.take_text(), self.core.lives
        if stream is None:  # under pythonw, or in a service without a console
            self.handle.text_done(len(data), 0)
            return
        taken, error = 0, errno.EIO
        try:
            self.core.call_stream(_write_text, stream, data.decode("utf-8", "replace"))
            taken, error = len(data), 0
        except Exception as trouble:  # noqa: BLE001  # the stream is the user's
            error = getattr(trouble, "errno", None) or errno.EIO
            self.report(trouble)
        finally:
            if self.core.lives == life:  # else the stream has forked and this is the child: the text is the parent's
                self.handle.text_done(taken, error)
        if self.core.lives != life:
            return
        if error and getattr(stream, "closed", False) is True:
            self.handle.discard()
        elif not error:
            self._flush_stream(stream)

    def _flush_stream(self, stream: Any) -> None:
        flush = getattr(stream, "flush", None)
        if flush is None:
            return
        try:
            self.core.call_stream(flush)
        except Exception as trouble:  # noqa: BLE001  # the stream is the user's
            self.report(trouble)

    def outlive_modules(self) -> None:
        stream = self._stream() if IS_FREE_THREADED else None
        fd = _plain_descriptor(stream) if stream is not None else None
        if fd is not None:
            self.handle.pin_stream(self._terminal.nonblocking(fd))


class DescriptorSink(Sink):
    """A sink whose settings have an `fd`. The core writes to it, and logly does not close it. See `Sink`."""

    is_exactly_recovered = True

    def _prepare(self) -> None:
        self._terminal = Terminal(self.files)
        _check_descriptor(self._fd)

    @property
    def _fd(self) -> int:
        fd = self.config.fd
        assert fd is not None
        return fd

    @property
    def place(self) -> tuple[str, object]:
        return "fd", self._fd

    def _is_terminal(self) -> bool:
        try:
            return os.isatty(self._fd) and understands_colors(self._fd)
        except (AttributeError, OSError, ValueError):
            return False

    def _is_narrow(self) -> bool:
        return self._is_terminal() and is_narrow(self._fd)

    def _destination(self) -> dict[str, Any]:
        fd = self._terminal.nonblocking(self._fd)
        return {**super()._destination(), "fd": fd, "is_ours": fd != self._fd}

    def do_work(self, work: PythonWork) -> None:
        if work.reopens:  # the terminal: other code has closed logly's descriptor of it
            fd = self._terminal.nonblocking(self._fd)
            self.handle.use_terminal(fd, fd != self._fd)
        super().do_work(work)


def _check_descriptor(fd: int) -> None:
    try:
        os.fstat(fd)
    except OSError as trouble:
        raise SinkError(trouble.errno or errno.EBADF, f"fd = {fd} is not an open descriptor") from trouble
    try:
        import fcntl
    except (ImportError, OSError):  # Windows; or there is no descriptor left to load it with
        return
    if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise SinkError(errno.EBADF, f"fd = {fd} is open for reading only")


def _write_text(stream: Any, text: str) -> None:
    try:
        stream.write(text)
    except UnicodeEncodeError:
        encoding = getattr(stream, "encoding", None) or "ascii"
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))


def _is_utf8(stream: Any) -> bool:
    encoding = getattr(stream, "encoding", None)
    return isinstance(encoding, str) and encoding.lower().replace("_", "-") in ("utf-8", "utf8")


def _plain_descriptor(stream: Any) -> int | None:
    """The descriptor, if the stream is the process's original stdout or stderr, to which the core can write directly.

    None for any other stream: its `write` method must get the text. None also if the stream is not UTF-8
    (`PYTHONIOENCODING`, another locale): what the program prints there would have another encoding than the log.
    """
    own: tuple[Any, ...] = (sys.__stdout__, sys.__stderr__)
    if not [one for one in own if stream is one]:  # no generator expression: see `Plan.wanted_post`
        return None
    if not _is_utf8(stream):
        return None
    try:
        stream.flush()  # text that was printed earlier comes first
        if sys.platform == "win32" and stream.isatty():
            return None  # its console takes text, not bytes in UTF-8
        return int(stream.fileno())
    except (AttributeError, OSError, ValueError):
        return None
