"""What all kinds of sink have in common. Their work is done on the flusher's thread, with the GIL, without a lock."""

from __future__ import annotations

from functools import partial

from logly._core import (
    COLOR_LEVEL,
    COLOR_LINE,
    COLOR_NONE,
    NEVER_NS,
    OFF,
    ZONE_LOCAL,
    ZONE_UTC,
    Core,
    Files,
    LayoutProgram,
    SinkHandle,
    changed_record,
    record_done,
    records_end,
    sink_progress,
    sink_stays,
    sink_untold,
    take_records,
)
from logly.config.schema import LoggerConfig, SinkConfig
from logly.errors import LoglyError, counted
from logly.layout.colors import use_color
from logly.system.unpatched import monotonic, pause

from .level_layers import rules_of, spec_of
from .sink_layout import sink_layout
from .worker import is_ended_by_a_signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, ClassVar

    from logly._core import PythonWork
    from logly.record import Record

    from .plan import Plan

__all__ = ["STOP_S", "Sink", "exit_patience_s", "zone_of"]

MIB = 1 << 20
STOP_S = 0.25
"""How long `close` waits for the flusher's end at least, if sinks have used up the time."""
PAUSE_S = 0.001
REPORT_INTERVAL_S = 1.0
"""An error that repeats is reported at most once in this time."""


def zone_of(logger_config: LoggerConfig) -> int:
    """The core's number of the time zone in a logger's settings."""
    if logger_config.timezone in ("local", "utc"):
        return ZONE_UTC if logger_config.timezone == "utc" else ZONE_LOCAL
    from logly.config.zones import zone_number

    return zone_number(logger_config.timezone)


class Sink:
    """One sink of a logger; the base of `FileSink`, `StreamSink`, `DescriptorSink` and `FunctionSink`.

    Args:
        core: the logger's engine.
        sink_id: the sink's number.
        config: the sink's settings, checked (`SinkConfig.resolved`).
        logger_config: the logger's settings, checked.
        on_error: called with each error, on the flusher's thread.

    Raises:
        ConfigError: the layout is wrong.
        SinkError: the target cannot be opened.
    """

    target: ClassVar[str] = "fd"
    """How the core hands over its lines: "fd", "stream", "function" or "batch"; see `SinkHandle.register`."""
    needs_flusher: ClassVar[bool] = False
    """Whether Python must hand over the sink's lines, so that a flusher is needed even without `async_write`."""
    is_own: ClassVar[bool] = False
    """Whether logly itself has added it: the user neither sees nor removes it."""
    follows_others: bool = False
    """Whether it asks for what at least one of the user's sinks asks for."""
    is_capture: ClassVar[bool] = False
    is_file: ClassVar[bool] = False
    """Whether it has its own file."""
    bypasses_level: int | None = None
    """It gets what is at or above this level, whatever the logger's level is; None: the logger's level holds."""
    exit_patience_s: ClassVar[float] = 0.0
    """How long an exit waits for the sink at least, if it takes nothing meanwhile."""
    is_exactly_recovered: ClassVar[bool] = False
    """Whether it gets only those of a dead process's records that some file lacked.

    Sinks where this is False get all records that are still in the spool.
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
        self.levels = spec_of(config)
        """What it asks for."""
        self.rules = rules_of(self.levels)
        self.logger_config = logger_config
        self.on_error = on_error
        self.is_enabled = True
        self.is_on = True  # enabled, and not switched off by one of the `global_*` settings
        self.is_durable = logger_config.spool_fsync is not None
        """Whether what it writes must survive a loss of power."""
        self.files = Files()
        """The files that it has open. `SinkHandle.remove` closes them, at the latest the end of this object."""
        self._reported_at: float | None = None
        self._is_told_of = False
        self.is_told_of_level = False
        self._calling = ""
        """The setting whose function was called last."""
        if config.format is not None:
            from . import empty_names  # noqa: F401  # as below
        self.layout: LayoutProgram | None
        self._shown: set[str]
        self.layout, self._shown = self._make_layout(logger_config)
        if self.gets_records:
            # Loaded and kept now: nothing can be imported in a late `__del__`, or without a free descriptor. A record's
            # `time` needs `datetime`, and a field that holds a dict needs `json`.
            import datetime  # noqa: F401
            import json  # noqa: F401

            from logly.record import Record

            from . import sink_troubles  # noqa: F401  # as above

            self._record_type = Record
        self._prepare()

    def _prepare(self) -> None:
        """What only this kind of sink needs, before it is registered: files that it opens, for example."""

    # ---- what kind of sink it is

    def await_written(self, patience_s: float, removal_s: float) -> None:
        """Waits until what was logged before is written; gives up when nothing was written for `patience_s`.

        `removal_s`: see `SinkHandle.leave`. It begins anew as long as the sink writes.
        """
        mark = self.handle.committed()
        before, since = sink_progress(self.handle), monotonic()
        if self.handle.write_out(mark) or self.core.flush(patience_s):
            return
        # `flush` has also given up where the sink is only slow, or where another one is in trouble.
        while not self.handle.write_out(mark):
            if (progress := sink_progress(self.handle)) != before:
                before, since = progress, monotonic()
                sink_stays(self.handle, removal_s)
            elif monotonic() >= since + patience_s:
                return
            pause(PAUSE_S)

    @property
    def path(self) -> str | None:
        """Its file's name; None: it does not have its own file."""
        return None

    @property
    def place(self) -> tuple[str, object] | None:
        """Where its lines go: the setting that says so, and the value. None: nobody asks for two of these."""
        return None

    @property
    def is_asynchronous(self) -> bool:
        """Whether it needs a flusher. With `dedup`, somebody must tell of repeats when nothing else is logged."""
        return self.needs_flusher or bool(self.config.async_write) or self.config.dedup is not None

    @property
    def writes_at_call(self) -> bool:
        """Whether its lines are in the kernel when a log call returns. A spool keeps what a signal leaves unwritten."""
        if not self.config.async_write:
            return True
        is_written_by_the_core = self.target == "fd" and not self.needs_flusher
        return is_written_by_the_core and self.logger_config.spool is None and is_ended_by_a_signal()

    @property
    def gets_records(self) -> bool:
        """Whether Python code (a function or a filter) is called with each `Record`."""
        return self.config.filter is not None or self.config.transform is not None

    def is_allowed(self, _logger_config: LoggerConfig) -> bool:
        """Whether these settings of the logger let this kind of sink write. It may be disabled nevertheless."""
        return True

    def interval_ms(self, logger_config: LoggerConfig) -> float:
        """Milliseconds that a line may wait in the sink's buffer, with these settings of the logger."""
        interval = self.config.flush_interval
        return logger_config.async_flush_interval if interval is None else interval

    def needs(self, shown: set[str] | None = None) -> tuple[bool, bool, bool]:
        """Whether this sink needs a record's call site, thread, and thread name.

        `shown`: the names that a coming layout shows; None: those of the present one.
        """
        if self.gets_records:
            return True, True, True
        config = self.config
        names = self._shown if shown is None else shown
        site = bool(names & {"module", "function", "filename", "path", "lineno"})
        site = site or bool(config.filter_module) or bool(config.filter_function)
        return site, "thread" in names, "thread_name" in names

    def for_recovery(self) -> SinkConfig:
        """Its settings for delivering what a dead process left."""
        return self.config

    # ---- its layout

    def _make_layout(self, logger: LoggerConfig) -> tuple[LayoutProgram | None, set[str]]:
        """Returns the layout that follows from the logger's settings, and the names that it shows."""
        return sink_layout(
            self.config,
            logger,
            color=self._coloring(logger),
            zone=zone_of(logger),
            is_terminal=self._is_terminal(),
            is_narrow=self._is_narrow(),
        )

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
        return False

    def _is_narrow(self) -> bool:
        """Whether it is a terminal on which the usual layout leaves no room for the message."""
        return False

    # ---- its registration in the core

    @property
    def buffer_bytes(self) -> int:
        """Bytes that are collected before a write."""
        return int(self.config.buffer_size)

    @property
    def backlog_bytes(self) -> int:
        """The most bytes that wait for a target that takes nothing."""
        return max(MIB, 4 * self.buffer_bytes)

    def register(self, *, is_enabled: bool) -> Callable[[], None]:
        """Returns the call that registers the sink with the core, for a `Plan`: it runs compiled code only."""
        config = self.config
        return partial(
            self.handle.register,
            owner=self,
            target=self.target,
            layout=self.layout,
            levels=self.rules,
            max_level=OFF if config.filter_max_level is None else int(config.filter_max_level),
            modules=list(config.filter_module or ()),
            functions=list(config.filter_function or ()),
            buffer_size=self.buffer_bytes,
            backlog_limit=self.backlog_bytes,
            interval_ns=int(self.interval_ms(self.logger_config) * 1_000_000),
            synchronous=not config.async_write,
            filtered=config.filter is not None or config.transform is not None,
            dumps=config.recorder,
            bypasses=self.bypasses_level is not None,
            dedup_ns=int((config.dedup or 0) * 1_000_000_000),
            enabled=is_enabled,
            **self._destination(),
        )

    def _destination(self) -> dict[str, Any]:
        """Where its lines go: those arguments of `SinkHandle.register` that differ between kinds of sink."""
        return {
            "fd": -1,
            "path": None,
            "is_ours": False,
            "lock_fd": -1,
            "watched": False,
            "size_limit": 0,
            "period_from_ns": 0,
            "period_end_ns": NEVER_NS,
            "torn_size": -1,
        }

    def plan_update(self, plan: Plan, logger_config: LoggerConfig) -> None:
        """Puts into a plan what a change of the logger's settings means here: a new layout, a new interval."""
        is_durable = self.is_durable or logger_config.spool_fsync is not None
        plan.set(self, logger_config=logger_config, is_durable=is_durable)
        plan.call(self.handle.set_interval, int(self.interval_ms(logger_config) * 1_000_000))
        if self.layout is not None:
            layout, names = self._make_layout(logger_config)
            assert layout is not None
            plan.call(self.handle.set_layout, layout)
            plan.set(self, layout=layout, _shown=names)
            plan.shown[self] = names

    def told_at_its_end(self) -> Exception | None:
        """What its user should know when it goes: names in its format that stood for nothing in any of its lines."""
        template = self.config.format
        if template is None or self.layout is None or self._is_told_of or not self.layout.empty_fields():
            return None
        from .empty_names import empty_names

        self._is_told_of = True
        return empty_names(template, self.layout.empty_fields(), self.handle.stats().written)

    # ---- its file, where it has one

    def reopen(self) -> None:
        """Opens the file by its name again: somebody renamed or removed it, or it was closed."""

    def make_durable(self) -> bool:
        """Syncs its file and the file's name if `is_durable`. Returns False if that failed."""
        return True

    def release_file(self) -> None:
        """Closes the log file; a later record opens it again."""

    # ---- the flusher's work for it

    def do_work(self, work: PythonWork) -> None:
        """Does the Python work that the core has asked for."""
        if work.has_records:
            self.handle_records()

    def handle_records(self) -> None:
        """Calls the function or the filter with each record that the core has staged."""
        core, handle, take = self.core, self.handle, self._take
        life = core.lives
        try:
            for record, raw in take_records(handle, self._record_type):
                shown, failed = None, True
                try:
                    shown, failed = take(record, raw), False
                except Exception as trouble:  # noqa: BLE001  # the function or filter is the user's
                    self.on_error(_with_place(trouble, self._calling, self.id))
                finally:
                    if core.lives == life:
                        record_done(handle, raw, shown, failed)
                if core.lives != life:  # the function has forked and this is the child: the records are the parent's
                    return
        finally:
            if core.lives == life:
                records_end(handle)

    def _take(self, record: Record, raw: bytes) -> bytes | None:
        """Calls the sink's Python code with the record. Returns what to write; None: the sink does not want it."""
        given = record.exception, record.stack
        wanted = self._wanted(record)
        if wanted is None or self.config.transform is None:
            return None if wanted is None else raw
        exception = wanted.exception if wanted.exception is not given[0] else True
        stack = wanted.stack if wanted.stack is not given[1] else True
        return changed_record(self.core, raw, wanted.message, wanted.fields, exception, stack)

    def _wanted(self, record: Record) -> Record | None:
        """What the filter lets through, as `transform` changes it; None: the sink does not want the record."""
        keep, transform = self.config.filter, self.config.transform
        self._calling = "filter"
        if keep is not None and not self.core.call_function(keep, record):
            return None
        if transform is None:
            return record
        self._calling = "transform"
        wanted = self.core.call_function(transform, record)
        if wanted is None or isinstance(wanted, self._record_type):
            return wanted
        # Without what it is: it may have a secret.
        kind = type(wanted).__name__
        raise TypeError(
            f"transform has returned an object of type {kind}, not a Record or None: the record is not written"
        )

    def report(self, trouble: Exception) -> None:
        """Reports an error, at most one in `REPORT_INTERVAL_S`."""
        now = monotonic()
        if self._reported_at is None or now - self._reported_at >= REPORT_INTERVAL_S:
            self._reported_at = now
            self.on_error(trouble)

    # ---- exit and fork

    def losses(self) -> LoglyError | None:
        """The error that tells of the records that were given up since the last one. None: there are none."""
        lost, failed = sink_untold(self.handle)
        return LoglyError(self._told_loss(lost, failed)) if lost else None

    def _told_loss(self, lost: int, failed: int) -> str:
        target = "" if self.path is None else f": {self.path!r}"
        total = "" if failed == lost else f", {failed} in all"
        return f"{counted(lost)} given up{total}, for which sink {self.id} had no room{target}"

    def after_removal(self, lost: int) -> None:
        """Called when the sink has been removed. `lost`: so many records it had not written."""
        if lost:
            self.on_error(LoglyError(f"{counted(lost)} could not be written before sink {self.id} was removed"))

    def outlive_modules(self) -> None:
        """Called at exit. Makes sure that what is logged later still reaches the target.

        Without a GIL, CPython empties modules before the last ``__del__`` has run, so this module's code does not work
        by then.
        """

    def after_fork_in_child(self) -> None:
        """Makes anew what a forked child cannot share with its parent."""

    def remove_in_child(self) -> None:
        """Removes, in a forked child, a sink that another thread of the parent was adding or removing."""
        self.handle.remove()


def exit_patience_s(sinks: Iterable[Sink], least: float) -> float:
    """How long an exit waits for sinks that take nothing."""
    longest = least
    for sink in sinks:
        longest = max(longest, sink.exit_patience_s)
    return longest


def _with_place(trouble: Exception, setting: str, sink_id: int) -> Exception:
    """The error of a sink's function, with a note that says which function it was."""
    from .sink_troubles import with_place

    return with_place(trouble, setting, sink_id)
