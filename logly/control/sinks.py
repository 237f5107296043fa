"""Sinks as Python holds them: what the core asks of Python for them, on the flusher's thread."""

from __future__ import annotations

import errno
import os
import sys
from functools import partial

from logly._core import (
    COLOR_LEVEL,
    COLOR_LINE,
    COLOR_NONE,
    IS_FREE_THREADED,
    NEVER_NS,
    OFF,
    PIECES,
    Core,
    Files,
    LayoutProgram,
    SinkHandle,
    record_done,
    records_end,
    take_records,
)
from logly.config.schema import LoggerConfig, SinkConfig
from logly.errors import SinkError
from logly.files.opening import sync_file, sync_name, torn_size
from logly.layout import layout_template
from logly.layout.colors import use_color
from logly.system.unpatched import SystemLock, monotonic

from .terminal import open_nonblocking, understands_colors

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from logly.files.logfile import LogFile

    from .plan import Plan

__all__ = ["Sink"]

MIB = 1 << 20
ROTATION_RETRY_NS = 1_000_000_000
"""How long a rotation that failed is put off."""
TELL_INTERVAL_S = 1.0
"""Trouble that goes on is told once in so many seconds."""


class Sink:
    """One sink of a logger.

    Args:
        core: the logger's engine.
        sink_id: its number.
        config: the sink's settings, checked (`SinkConfig.resolved`).
        logger_config: the logger's, checked.
        on_error: told of trouble, on the flusher's thread.

    Raises:
        ConfigError: its layout is wrong.
        SinkError: its file cannot be opened.
    """

    def __init__(
        self,
        core: Core,
        sink_id: int,
        config: SinkConfig,
        logger_config: LoggerConfig,
        on_error: Callable[[Exception], None],
    ) -> None:
        self.core = core
        self.id = sink_id
        self.handle = SinkHandle(core, sink_id)
        self.config = config
        self.logger_config = logger_config
        self.on_error = on_error
        self.is_enabled = True
        self.is_on = True  # enabled, and not switched off by one of the `global_*` settings
        self.file: LogFile | None = None
        # The flusher rotates and reopens; so does `Logger.reopen`, on its caller's thread.
        self._changing_file = SystemLock()
        self._told_at: float | None = None
        self._echoes = False
        self.is_durable = logger_config.spool_fsync is not None
        """Its file is to survive the loss of power."""
        self._terminal_key: tuple[int, ...] | None = None
        self.files = Files()
        """What it has open: closed by `SinkHandle.remove`, and when this object goes."""
        self.layout: LayoutProgram | None = None
        self._piece_names: set[str] = set()
        if config.function is None:
            self.layout, self._piece_names = self._make_layout(logger_config)
        if config.function is not None or config.filter is not None:
            from logly.record import Record

            self._record_type = Record  # kept: a late `__del__` can import nothing any more
        if config.path is not None:
            from logly.files.logfile import LogFile

            self.file = LogFile(config, utc=logger_config.timezone == "utc", on_error=on_error, files=self.files)
            self.make_durable()
        elif config.fd is not None:
            _check_descriptor(config.fd)

    # ---- what it is

    @property
    def is_console(self) -> bool:
        """Whether it shows on the console (for `global_console_display`)."""
        return self.config.stream in ("stdout", "stderr") or self.is_default_console

    @property
    def is_default_console(self) -> bool:
        """Whether it names no target at all."""
        config = self.config
        return config.path is None and config.fd is None and config.stream is None and config.function is None

    @property
    def is_file(self) -> bool:
        """Whether it has a file of its own (for `global_file_storage`)."""
        return self.config.path is not None

    @property
    def path(self) -> str | None:
        """Its file's name."""
        return self.file.path if self.file is not None else None

    @property
    def target(self) -> str:
        if self.config.function is not None:
            return "function"
        return "stream" if self.is_console or self.config.stream is not None else "fd"

    def interval_ms(self, logger_config: LoggerConfig) -> float:
        """Milliseconds that a line may wait in its buffer, with these settings of the logger."""
        own = self.config.flush_interval
        return logger_config.async_flush_interval if own is None else own

    def needs(self, shown: set[str] | None = None) -> tuple[bool, bool, bool]:
        """Whether records must carry call site, thread, and thread name for it; `shown`: by a layout to come."""
        config = self.config
        if config.function is not None or config.filter is not None:
            return True, True, True
        codes = self._piece_names if shown is None else shown
        site = bool(codes & {"module", "function", "filename", "path", "lineno"})
        site = site or bool(config.filter_module) or bool(config.filter_function)
        return site, "thread" in codes, "thread_name" in codes

    def for_recovery(self) -> SinkConfig:
        """Its settings for what a dead process left: the same file, also where its name has the time in it."""
        if self.path is None:
            return self.config
        from dataclasses import replace

        return replace(self.config, path=self.path.replace("{", "{{").replace("}", "}}"))

    # ---- its layout

    def _make_layout(self, logger: LoggerConfig) -> tuple[LayoutProgram, set[str]]:
        """The layout with the logger's settings, and the names of what it shows."""
        config = self.config
        pieces: list[layout_template.Piece] = []
        kind, text, is_default = "text", config.format, config.format is None
        if config.json or text == "json":
            kind = "json"
        elif config.json is None and text is None and (logger.json or logger.pretty_json):
            kind = "pretty_json" if logger.pretty_json else "json"
        elif text == "logfmt":
            kind = "logfmt"
        else:
            text, time = self._default_layout(logger) if text is None else (text, config.date_style)
            pieces = layout_template.parse_layout(text, time=time)
        names = {PIECES[code] for code, *_ in pieces} if kind == "text" else {"module"}
        layout = LayoutProgram(
            kind,
            pieces,
            newlines=config.newlines or "escape",
            color=self._coloring(logger),
            terminal=self._is_terminal(),
            utc=logger.timezone == "utc",
            fields=is_default,
            exception="exception" not in names,
        )
        return layout, names

    def _default_layout(self, logger: LoggerConfig) -> tuple[str, str]:
        config = self.config
        shows_time = logger.show_time if config.date_enabled is None else config.date_enabled
        if logger.log_compact:
            text = layout_template.compact_layout(time=shows_time, module=logger.show_module, lineno=logger.show_lineno)
            return text, config.date_style or layout_template.COMPACT_TIME
        text = layout_template.default_layout(
            time=shows_time,
            module=logger.show_module,
            function=logger.show_function,
            filename=logger.show_filename,
            lineno=logger.show_lineno,
        )
        return text, config.date_style or layout_template.DEFAULT_TIME

    def _coloring(self, logger: LoggerConfig) -> int:
        color = self.config.color
        if not logger.global_color_display:
            return COLOR_NONE
        wanted = use_color(
            True if isinstance(color, str) else color,
            is_terminal=self._is_terminal(),
            is_file=self.is_file,
        )
        if not wanted:
            return COLOR_NONE
        return COLOR_LINE if color == "line" else COLOR_LEVEL

    def _is_terminal(self) -> bool:
        try:
            if self.config.fd is not None:
                return os.isatty(self.config.fd) and understands_colors(self.config.fd)
            stream = self._stream() if self.target == "stream" else None
            return stream is not None and bool(stream.isatty()) and understands_colors(stream)
        except (AttributeError, OSError, ValueError):
            return False

    def register(self, *, is_enabled: bool) -> Callable[[], None]:
        """What makes it known to the core, so that it gets records; a function that is compiled, for `Core.commit`."""
        config, file = self.config, self.file
        buffer_size = int(config.buffer_size)
        period_from_ns, period_end_ns = file.period_ns if file is not None else (0, NEVER_NS)
        fd = -1 if config.fd is None else self._unblocked(config.fd)
        return partial(
            self.handle.register,
            owner=self,
            target=self.target,
            fd=file.fd if file is not None else fd,
            layout=self.layout,
            min_level=-OFF if config.filter_min_level is None else int(config.filter_min_level),
            max_level=OFF if config.filter_max_level is None else int(config.filter_max_level),
            modules=list(config.filter_module or ()),
            functions=list(config.filter_function or ()),
            buffer_size=buffer_size,
            backlog_limit=max(MIB, 4 * buffer_size),
            interval_ns=int(self.interval_ms(self.logger_config) * 1_000_000),
            synchronous=not config.async_write,
            filtered=config.filter is not None,
            watched=config.watch,
            path=self.path,
            lock_fd=file.lock_fd if file is not None else -1,
            size_limit=int(config.size_limit or 0),
            period_from_ns=period_from_ns,
            period_end_ns=period_end_ns,
            enabled=is_enabled,
            torn_size=torn_size(file.fd, file.path) if file is not None else -1,
        )

    # ---- its file

    def rotate(self) -> None:
        """The core found that a new file is due; all that belongs into the old one is in it."""
        file = self.file
        assert file is not None
        if sys.is_finalizing():
            # Nothing can be imported any more, and no thread be started: the next start rotates the file.
            self.handle.postpone_rotation(ROTATION_RETRY_NS)
            return
        with self._changing_file:
            if file.fd < 0:
                self.reopen()
            begins_ns, next_bytes = self.handle.rotation_due()
            try:
                done = file.rotate(begins_ns, next_bytes)
            except OSError as trouble:
                self.tell(trouble)
                self.handle.postpone_rotation(ROTATION_RETRY_NS)
                return
            if done.file is not None:
                self.make_durable(done.file.fd)
                torn = torn_size(done.file.fd, file.path)  # another process may have rotated
                self.handle.replace_file(self.files, done.file, self.files.lock, file.path, torn)
            file.has_rotated(begins_ns)
            period_from_ns, period_end_ns = file.period_ns
            self.handle.rotated(
                by_time=begins_ns is not None,
                renamed=done.is_renamed,
                period_from_ns=period_from_ns,
                period_end_ns=period_end_ns,
            )

    def reopen(self) -> None:
        """Opens the file by its name again: somebody renamed or removed it, or it was closed."""
        file = self.file
        if file is None:
            return
        with self._changing_file:
            try:
                new, lock = file.reopen()
            except SinkError as trouble:
                self.tell(trouble)
                self.handle.retry_later()
                return
            self.make_durable(new.fd)
            self.handle.replace_file(self.files, new, lock, file.path, torn_size(new.fd, file.path))

    def make_durable(self, coming: int = -1) -> bool:
        """Where that is wanted: syncs its file, the one that is to follow, and the name. False: that failed."""
        file = self.file
        if not self.is_durable or file is None:
            return True
        try:
            for fd in (file.fd, coming):
                if fd >= 0:
                    sync_file(fd)
            sync_name(file.path)
        except OSError as trouble:
            self.tell(trouble)
            return False
        return True

    def release_file(self) -> None:
        """Closes the log file; a later record opens it again."""
        file = self.file
        if file is None:
            return
        with self._changing_file:
            self.handle.replace_file(self.files, None, None, file.path)

    def tell(self, trouble: Exception) -> None:
        """Has `on_error` told, but not at each of many attempts."""
        now = monotonic()
        if self._told_at is None or now - self._told_at >= TELL_INTERVAL_S:
            self._told_at = now
            self.on_error(trouble)

    # ---- the flusher's work for it

    def _stream(self) -> Any:
        stream = self.config.stream
        if self.is_default_console or stream == "stderr":
            return sys.stderr
        return sys.stdout if stream == "stdout" else stream

    def write_stream(self) -> None:
        """Hands the buffered text to the stream: what `sys.stderr` is now, not what it was when the sink was made."""
        stream = self._stream()
        fd = _plain_descriptor(stream) if stream is not None else None
        if self._echoes != (fd is None):
            self._echoes = fd is None
            self.handle.set_echoes(self._echoes)
        if fd is not None:
            self.handle.write_stream(self._unblocked(fd))
            return
        data, life = self.handle.take_text(), self.core.lives
        if stream is None:  # pythonw, or a service without a console
            self.handle.text_done(len(data), 0)
            return
        taken, error = 0, errno.EIO
        try:
            self.core.call_stream(_write_text, stream, data.decode("utf-8", "replace"))
            taken, error = len(data), 0
        except Exception as trouble:
            error = getattr(trouble, "errno", None) or errno.EIO
            self.tell(trouble)
        finally:
            if self.core.lives == life:  # else it has forked, and this is the child: the text is the parent's
                self.handle.text_done(taken, error)
        if self.core.lives != life:
            return
        if error and getattr(stream, "closed", False) is True:
            self.handle.give_up()
        elif not error:
            self._flush_stream(stream)

    def _flush_stream(self, stream: Any) -> None:
        flush = getattr(stream, "flush", None)
        if flush is None:
            return
        try:
            self.core.call_stream(flush)
        except Exception as trouble:
            self.tell(trouble)

    def _unblocked(self, fd: int) -> int:
        """A descriptor of the same terminal whose writes do not block; `fd` itself where it is none."""
        if sys.platform == "win32":
            return fd
        try:
            about = os.fstat(fd)
        except OSError:
            return fd
        key = (fd, about.st_dev, about.st_ino, about.st_rdev)
        if key != self._terminal_key:
            # Nothing can come between the two assignments; the one before is closed with its object.
            own = open_nonblocking(fd)
            self.files.terminal, self._terminal_key = own, key
        own = self.files.terminal
        return fd if own is None or own.fd < 0 else own.fd

    def outlive_modules(self) -> None:
        """At exit: what is logged later still reaches the console.

        Without a GIL, CPython empties modules before the last ``__del__`` has run: this code is of no use then.
        """
        stream = self._stream() if IS_FREE_THREADED and self.target == "stream" else None
        fd = _plain_descriptor(stream) if stream is not None else None
        if fd is not None:
            self.handle.pin_stream(self._unblocked(fd))

    def handle_records(self) -> None:
        """Gives staged records to the function, or asks the filter which of them to render."""
        function, keep = self.config.function, self.config.filter
        life = self.core.lives
        try:
            for parts, raw in take_records(self.handle):
                render, failed = False, True
                try:
                    record = self._record_type(*parts)
                    passes = keep is None or bool(self.core.call_outside(keep, record))
                    if function is not None and passes:
                        self.core.call_outside(function, record)
                    render, failed = function is None and passes, False
                except Exception as trouble:
                    self.on_error(trouble)
                finally:
                    if self.core.lives == life:
                        record_done(self.handle, raw, render, failed)
                if self.core.lives != life:  # it has forked, and this is the child: the records are the parent's
                    return
        finally:
            if self.core.lives == life:
                records_end(self.handle)

    def plan_update(self, plan: Plan, logger_config: LoggerConfig) -> None:
        """The logger's settings are to change: the layout and the interval may follow from them."""
        is_durable = self.is_durable or logger_config.spool_fsync is not None
        plan.set(self, logger_config=logger_config, is_durable=is_durable)
        plan.call(self.handle.set_interval, int(self.interval_ms(logger_config) * 1_000_000))
        if self.layout is not None:
            layout, names = self._make_layout(logger_config)
            plan.call(self.handle.set_layout, layout)
            plan.set(self, layout=layout, _piece_names=names)
            plan.shown[self] = names

    def after_fork_in_child(self) -> None:
        """A file that rotates is opened anew, with a lock of its own; so is one whose name has the process id in it."""
        self._changing_file = SystemLock()
        file = self.file
        if file is not None and (file.is_rotating or "{pid}" in str(self.config.path)):
            file.after_fork_in_child()
            self.handle.replace_file(self.files, None, None, file.path)

    def drop(self) -> None:
        """In a forked child, of a sink that another thread of the parent was adding or removing: it is not there."""
        self._changing_file = SystemLock()
        self.handle.remove()


def _check_descriptor(fd: int) -> None:
    try:
        os.fstat(fd)
    except OSError as trouble:
        raise SinkError(trouble.errno or errno.EBADF, f"fd = {fd} is not an open descriptor") from trouble
    if fcntl is not None and fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise SinkError(errno.EBADF, f"fd = {fd} is open for reading only")


def _write_text(stream: Any, text: str) -> None:
    try:
        stream.write(text)
    except UnicodeEncodeError:
        encoding = getattr(stream, "encoding", None) or "ascii"
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))


def _plain_descriptor(stream: Any) -> int | None:
    """The descriptor of the process's own stdout or stderr, which the core can write to without waiting.

    None for anything that somebody put in its place: its `write` must see the text.
    """
    own: tuple[Any, ...] = (sys.__stdout__, sys.__stderr__)
    if not [one for one in own if stream is one]:  # no generator expression: see `Backend.wanted_post`
        return None
    try:
        stream.flush()  # what was printed before comes first
        if sys.platform == "win32" and stream.isatty():
            return None  # its console takes text, not bytes in UTF-8
        return int(stream.fileno())
    except (AttributeError, OSError, ValueError):
        return None
