"""Sinks as Python holds them: opened, reopened, rotated and closed here; the core has their buffers and writes."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

from . import template
from ._core import Core, LayoutProgram, record_done, take_records
from .colors import use_color
from .config import LoggerConfig, SinkConfig
from .errors import ConfigError, SinkError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .rotated import Retention, RotatedName
    from .schedule import Schedule

__all__ = ["Sink"]

MIB = 1 << 20
NEVER_NS = (1 << 63) - 1
MAX_LEVEL = (1 << 31) - 2
ERROR_RETRY_NS = 1_000_000_000
"""How long a rotation that failed is put off."""


class Sink:
    """One sink of a logger.

    Args:
        core: the logger's engine.
        sink_id: its number.
        config: the sink's settings, checked (`SinkConfig.resolved`).
        logger_config: the logger's, checked.
        on_error: told of trouble, on the flusher's thread.
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
        self.config = config
        self.logger_config = logger_config
        self.on_error = on_error
        self.is_enabled = True
        self.path: str | None = None
        self.fd = -1
        self.lock_fd = -1
        self.rotated_name: RotatedName | None = None
        self.schedule: Schedule | None = None
        self.retention: Retention | None = None
        self.layout = None if config.function is not None else self._make_layout()
        if config.path is not None:
            self._open()

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
    def is_rotating(self) -> bool:
        return self.config.rotation is not None or self.config.size_limit is not None

    @property
    def target(self) -> str:
        if self.config.function is not None:
            return "function"
        return "stream" if self.is_console or self.config.stream is not None else "fd"

    @property
    def interval_ms(self) -> float:
        """Milliseconds that a line may wait in its buffer."""
        own = self.config.flush_interval
        return self.logger_config.async_flush_interval if own is None else own

    @property
    def needs(self) -> tuple[bool, bool, bool]:
        """Whether records must carry call site, thread, and thread name for it."""
        config = self.config
        if config.function is not None or config.filter is not None:
            return True, True, True
        codes = self._piece_names
        site = bool(codes & {"module", "function", "filename", "path", "lineno"})
        site = site or bool(config.filter_module) or bool(config.filter_function)
        return site, "thread" in codes, "thread_name" in codes

    # ---- its layout

    def _make_layout(self) -> LayoutProgram:
        config, logger = self.config, self.logger_config
        pieces: list[template.Step] = []
        kind, text, is_default = "text", config.format, config.format is None
        if config.json or (config.json is None and text is None and (logger.json or logger.pretty_json)):
            kind = "pretty_json" if logger.pretty_json else "json"
        elif text == "logfmt":
            kind = "logfmt"
        else:
            pieces = template.parse_layout(text if text is not None else self._default_layout())
        if kind == "text":
            self._piece_names = {template.PIECES[code] for code, *_ in pieces}
        else:
            self._piece_names = {"module"}
        try:
            return LayoutProgram(
                kind,
                pieces,
                newlines=config.newlines or "escape",
                color=self._coloring(),
                terminal=self._is_terminal(),
                utc=logger.timezone == "utc",
                fields=is_default,
                exception="exception" not in self._piece_names,
            )
        except ValueError as mistake:
            raise ConfigError(f"format = {text!r}: {mistake}", field="format", value=text) from None

    def _default_layout(self) -> str:
        config, logger = self.config, self.logger_config
        if logger.log_compact:
            return template.COMPACT_LAYOUT
        shows_time = logger.show_time if config.date_enabled is None else config.date_enabled
        return template.default_layout(
            time=(config.date_style or template.DEFAULT_TIME) if shows_time else None,
            module=logger.show_module,
            function=logger.show_function,
            filename=logger.show_filename,
            lineno=logger.show_lineno,
        )

    def _coloring(self) -> int:
        color = self.config.color
        if not self.logger_config.global_color_display:
            return 0
        wanted = use_color(
            True if isinstance(color, str) else color,
            is_terminal=self._is_terminal(),
            is_file=self.is_file,
        )
        if not wanted:
            return 0
        return 2 if color == "line" else 1

    def _is_terminal(self) -> bool:
        try:
            if self.config.fd is not None:
                return os.isatty(self.config.fd)
            return self.target == "stream" and bool(self._stream().isatty())
        except (AttributeError, OSError, ValueError):
            return False

    # ---- its file

    def _open(self) -> None:
        from .files import open_append
        from .paths import render_path

        assert self.config.path is not None
        utc = self.logger_config.timezone == "utc"
        self.path = os.path.abspath(render_path(self.config.path, utc=utc))
        self.fd = open_append(self.path, self.config.mode)
        try:
            if self.is_rotating:
                self._begin_rotating(utc)
        except BaseException:
            self.close_files()
            raise

    def _begin_rotating(self, utc: bool) -> None:
        from .rotated import RotatedName, parse_retention
        from .rotation import open_lock
        from .schedule import Schedule, parse_rotation

        assert self.path is not None
        config = self.config
        self.rotated_name = RotatedName(self.path, utc=utc)
        rotation = parse_rotation(config.rotation) if config.rotation is not None else None
        now_ns = time.time_ns()
        self.schedule = Schedule(rotation, now_ns, utc=utc)
        if config.retention is not None:
            self.retention = parse_retention(config.retention)
        self.lock_fd = open_lock(self.path, config.mode)
        about = os.fstat(self.fd)
        overdue_ns = self.schedule.ended_before(about.st_mtime_ns, now_ns)
        limit = config.size_limit
        if about.st_size and overdue_ns is not None:
            self._rotate_file(overdue_ns, lambda file: True)
        elif limit is not None and about.st_size >= int(limit):
            self._rotate_file(now_ns, lambda file: file.st_size >= int(limit))
        else:
            self._housekeep(None)

    def _rotate_file(self, end_ns: int, is_due: Callable[[os.stat_result], bool]) -> bool:
        """Rotates or follows another process's rotation. Raises SinkError; True when this call renamed the file."""
        from .rotation import rotate

        assert self.rotated_name is not None
        assert self.path is not None
        lock = self.lock_fd if self.lock_fd >= 0 else None
        done = rotate(
            self.rotated_name,
            self.path,
            self.fd,
            end_ns=end_ns,
            is_due=is_due,
            mode=self.config.mode,
            lock_fd=lock,
        )
        old, self.fd = self.fd, done.fd
        if old != self.fd:
            os.close(old)
        if done.path is not None:
            self._housekeep(done.path)
        return done.is_rotated

    def _housekeep(self, rotated: str | None) -> None:
        """Compression and retention, on a thread of their own: the flusher does not wait for them."""
        config, name, retention = self.config, self.rotated_name, self.retention
        if name is None or (config.compression is None and retention is None):
            return
        method = config.compression

        def keep_house() -> None:
            from . import compression
            from .rotated import prune

            if method is not None and rotated is None:
                compression.sweep(name)
            if method is not None and rotated is not None:
                compression.compress(rotated, method)
            if retention is not None:
                prune(name, retention, time.time_ns())

        housekeeper().submit(keep_house, self.on_error)

    def register(self) -> None:
        """Makes it known to the core: from now on it gets records."""
        config = self.config
        buffer_size = int(config.buffer_size)
        self.core.add_sink(
            self.id,
            target=self.target,
            fd=self.fd if config.fd is None else config.fd,
            layout=self.layout,
            min_level=-MAX_LEVEL if config.filter_min_level is None else int(config.filter_min_level),
            max_level=MAX_LEVEL if config.filter_max_level is None else int(config.filter_max_level),
            modules=list(config.filter_module or ()),
            functions=list(config.filter_function or ()),
            buffer_size=buffer_size,
            backlog_limit=max(MIB, 4 * buffer_size),
            interval_ns=int(self.interval_ms * 1_000_000),
            synchronous=not config.async_write,
            filtered=config.filter is not None,
            watched=config.watch,
            path=self.path,
            lock_fd=self.lock_fd,
            size_limit=int(config.size_limit or 0),
            rotate_at_ns=self._rotate_at_ns,
        )

    @property
    def _rotate_at_ns(self) -> int:
        return self.schedule.next_ns if self.schedule is not None else NEVER_NS

    # ---- the flusher's work for it

    def rotate(self) -> None:
        """The core found that rotation is due; all that belongs to the old file is in it."""
        assert self.schedule is not None
        now_ns = time.time_ns()
        by_time = now_ns >= self.schedule.next_ns
        end_ns = self.schedule.advance(now_ns)
        limit = self.config.size_limit
        before = self.fd

        def is_due(about: os.stat_result) -> bool:
            return by_time or limit is None or about.st_size > 0

        try:
            rotated = self._rotate_file(end_ns, is_due)
        except SinkError as trouble:
            self.on_error(trouble)
            self.core.postpone_rotation(self.id, now_ns + ERROR_RETRY_NS, 0)
            return
        if self.fd == before:
            self.core.postpone_rotation(self.id, self._rotate_at_ns, int(limit or 0))
        else:
            self.core.replace_file(self.id, self.fd, rotate_at_ns=self._rotate_at_ns, rotated=rotated)

    def reopen(self) -> None:
        """Opens the file by its name again: somebody renamed or removed it, or it was closed."""
        from .files import open_append

        if self.path is None:
            return
        try:
            fd = open_append(self.path, self.config.mode)
        except SinkError as trouble:
            self.on_error(trouble)
            self.core.retry_later(self.id)
            return
        old, self.fd = self.fd, fd
        self.core.replace_file(self.id, fd, rotate_at_ns=self._rotate_at_ns, rotated=False)
        if old >= 0:
            os.close(old)

    def _stream(self) -> Any:
        stream = self.config.stream
        if self.is_default_console or stream == "stderr":
            return sys.stderr
        return sys.stdout if stream == "stdout" else stream

    def write_stream(self) -> None:
        """Hands the buffered text to the stream: what `sys.stderr` is now, not what it was when the sink was made."""
        stream = self._stream()
        if stream is None:  # pythonw, or a service without a console
            self.core.text_done(self.id, len(self.core.take_text(self.id)), 0)
            return
        fd = _plain_descriptor(stream)
        if fd is not None:
            self.core.write_stream(self.id, fd)
            return
        data = self.core.take_text(self.id)
        try:
            stream.write(data.decode("utf-8", "replace"))
            flush = getattr(stream, "flush", None)
            if flush is not None:
                flush()
        except Exception as trouble:
            self.core.text_done(self.id, 0, getattr(trouble, "errno", None) or 5)
            self.on_error(trouble)
        else:
            self.core.text_done(self.id, len(data), 0)

    def handle_records(self) -> None:
        """Gives staged records to the function, or asks the filter which of them to render."""
        from .record import Record

        function, keep = self.config.function, self.config.filter
        for parts, raw in take_records(self.core, self.id):
            render = failed = False
            try:
                record = Record(*parts)
                passes = keep is None or bool(keep(record))
                if function is not None and passes:
                    function(record)
                render = function is None and passes
            except Exception as trouble:
                failed = True
                self.on_error(trouble)
            record_done(self.core, self.id, raw, render, failed)
            if render and self.is_rotating and self.core.wants_rotation(self.id):
                self.rotate()

    def update(self, logger_config: LoggerConfig) -> None:
        """The logger's settings changed: the layout and the interval may follow from them."""
        self.logger_config = logger_config
        self.core.set_interval(self.id, int(self.interval_ms * 1_000_000))
        if self.layout is not None:
            self.layout = self._make_layout()
            self.core.set_layout(self.id, self.layout)

    def after_fork_in_child(self) -> None:
        """A lock belongs to the open file, which is still the parent's too: the child opens its own."""
        if self.lock_fd >= 0 and self.path is not None:
            from .rotation import open_lock

            os.close(self.lock_fd)
            self.lock_fd = -1
            try:
                self.lock_fd = open_lock(self.path, self.config.mode)
            except SinkError as trouble:
                self.on_error(trouble)
            self.core.set_lock(self.id, self.lock_fd)

    def close_file(self) -> None:
        """Closes the log file; a later record opens it again."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def close_files(self) -> None:
        """Closes what it opened."""
        for fd in (self.fd, self.lock_fd):
            if fd >= 0:
                os.close(fd)
        self.fd = self.lock_fd = -1


def _plain_descriptor(stream: Any) -> int | None:
    """The descriptor of the process's own stdout or stderr, which the core can write to without waiting.

    None for anything that somebody put in its place: its `write` must see the text.
    """
    own: tuple[Any, ...] = (sys.__stdout__, sys.__stderr__)
    if not any(stream is one for one in own):
        return None
    try:
        stream.flush()  # what was printed before comes first
        return int(stream.fileno())
    except (AttributeError, OSError, ValueError):
        return None


_housekeeper: Any = None


def housekeeper() -> Any:
    """The process's one worker for compression and retention."""
    global _housekeeper
    if _housekeeper is None:
        from .housekeeper import Housekeeper

        _housekeeper = Housekeeper()
    return _housekeeper


def drain_housekeeper(timeout: float) -> None:
    """At exit: let compression that has begun end."""
    if _housekeeper is not None:
        _housekeeper.drain(timeout)
