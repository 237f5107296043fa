"""A sink that writes for a handler of `logging`, into the file that the handler has open.

Its lines go to a copy (`dup`) of the handler's own descriptor. So logly and the handler share the file's offset, and
both keep a file that was renamed or removed. This module opens no file by its name. The handler's own code (`_open`,
`doRollover`, `reopenIfNeeded`) opens, renames and removes files. The flusher's thread calls that code.

**Locks.** The handler's code runs under the handler's lock, as `logging` would run it. The flusher never waits for this
lock: it tries for a moment. If another thread holds the lock, the lines wait, and the flusher does its other work and
tries again soon. A thread may hold the handler's lock while it waits in `drain`, as `logging.shutdown` does. Such a
thread does the sinks' Python work itself, because the flusher cannot. No lock of logly's engine is held while the
handler's lock is taken or the handler's code runs.

**Trouble.** If lines cannot be written, `handler.handleError` is called, at most once a second, with a record that says
how many were lost. There are two differences from `logging`, which loses each such record at once. While the disk is
full, lines wait (up to the buffer's limit) and are written when there is room again. Nobody waits for that: what the
handler writes itself may come before them, and what is left when the handler is closed is lost. While a rollover
fails, lines go into the present file, and the rollover is tried again once a second.
"""

from __future__ import annotations

import errno
import logging
import logging.handlers
import math
import os
from weakref import ref

from logly._core import (
    NEVER_NS,
    HandlerTurn,
    copy_descriptor,
    handler_discard,
    handler_is_failing,
    handler_is_idle,
    handler_limits,
    handler_losses,
    handler_postpone,
    handler_rolled,
    handler_source,
    sink_progress,
)
from logly.config.schema import SinkConfig
from logly.control.sinks import REPORT_INTERVAL_S, Sink
from logly.system.unpatched import monotonic, pause

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from logly._core import Core, Descriptor, LayoutProgram, PythonWork
    from logly.config.schema import LoggerConfig
    from logly.control.controller import Controller

__all__ = ["HandlerSink", "add_handler"]

ROTATION_RETRY_NS = 1_000_000_000
"""How long to wait before a failed rollover is tried again."""
LOCK_S = 0.005
"""How long the flusher tries to get a handler's lock before it does something else."""
PAUSE_S = 0.001
HELP_S = 1.0
"""How long a thread that waits for a flush, and holds a handler's lock, does the sink's work before it looks again."""
DRAIN_S = 5.0
"""How long a handler waits for the lines before, when it writes a record itself; as in `StdlibHandler.flush`."""
HOPELESS = {errno.EPIPE, errno.EBADF, errno.ECONNRESET, errno.ENOTCONN}
"""After these errors, no line that waits can be written any more."""


class _Probe:
    """Stands for a handler with an empty file and for a line that is too long, for `shouldRollover` to look at."""

    baseFilename = os.devnull + "/none"  # noqa: N815  # a name of `logging`
    maxBytes = 1  # noqa: N815

    def __init__(self) -> None:
        self.stream = self

    def format(self, _record: object) -> str:
        return "too long"

    def seek(self, *_place: int) -> None:
        """The end of an empty file is its beginning."""

    def tell(self) -> int:
        return 0


def rolls_empty_files() -> bool:
    """Whether this `logging` rolls an empty file over for a line that is longer than `maxBytes`.

    It did until gh-116263.
    """
    return bool(logging.handlers.RotatingFileHandler.shouldRollover(_Probe(), None))  # type: ignore[arg-type]


class HandlerSink(Sink):
    """A sink that serves a handler of `logging`; see the module.

    The sink does not keep the handler alive. If the handler is collected, the lines that wait are written into the file
    that it had.

    Args:
        handler: of a kind that is served; see `Serving`.
        layout: makes the lines, terminator included.
        shown: the names that the layout shows, see `Sink.needs`.
        write: lines are written before the call returns.
        by_name: only records that name the sink are for it; False: all are.
    """

    is_own = True
    needs_flusher = True

    def __init__(
        self,
        controller: Controller,
        sink_id: int,
        handler: logging.Handler,
        layout: LayoutProgram,
        shown: set[str],
        *,
        write: bool = False,
        by_name: bool = True,
    ) -> None:
        self.reference = ref(handler)
        self.stream: Any = None
        """The stream whose descriptor was copied."""
        self.runs_handler_code = False
        """Whether the flusher is running code of the handler."""
        self.is_drained_by_owner = False
        """Whether a thread that holds the handler's lock does the sink's work."""
        self.by_name = by_name
        self._kind = type(handler)
        self._lock = handler.lock
        self._terminator = handler.terminator  # type: ignore[attr-defined]
        self._given = (layout, shown)
        self._told_at: float | None = None
        path = getattr(handler, "baseFilename", None)
        self._path = None if path is None else os.fsdecode(path)
        config = SinkConfig(level=0, async_write=not write).resolved()
        super().__init__(controller.core, sink_id, config, controller.config, controller.report)

    @property
    def handler(self) -> Any:
        """The handler, or None if it was collected."""
        return self.reference()

    def _prepare(self) -> None:
        stream = self.handler.stream
        if stream is not None:
            stream.flush()
            self.files.put(copy_descriptor(stream.fileno()), None)
            self.stream = stream

    def _make_layout(self, logger: LoggerConfig) -> tuple[LayoutProgram | None, set[str]]:
        return self._given

    @property
    def path(self) -> str | None:
        return self._path

    # ---- its registration in the core

    def _destination(self) -> dict[str, Any]:
        self._known_limits = size_limit, period_end_ns = self._limits()
        return {
            **super()._destination(),
            "fd": self.files.fd,
            "path": self.path,
            "is_ours": True,
            "watched": self._kind is logging.handlers.WatchedFileHandler,
            "size_limit": size_limit,
            "period_end_ns": period_end_ns,
            "is_served": True,
            "by_name": self.by_name,
            "rolls_empty": rolls_empty_files(),
            "terminator": len(self._terminator.encode()),
            "source": -1 if self.stream is None else self.stream.fileno(),
        }

    def _limits(self) -> tuple[int, int]:
        """Its `maxBytes`, and its `rolloverAt` in nanoseconds."""
        handler = self.handler
        if self._kind is logging.handlers.RotatingFileHandler and handler is not None:
            return max(0, math.ceil(handler.maxBytes)), NEVER_NS
        if self._kind is logging.handlers.TimedRotatingFileHandler and handler is not None:
            return 0, max(0, min(math.ceil(handler.rolloverAt) * 1_000_000_000, NEVER_NS))
        return 0, NEVER_NS

    # ---- for the threads that write to the handler by `logging`

    @property
    def is_empty(self) -> bool:
        """Whether all that was logged before is written. Cheap. It may be False though nothing waits for this sink."""
        return handler_is_idle(self.handle)

    def drain(self, timeout: float | None = DRAIN_S) -> bool:
        """Waits until all that was logged before is written.

        False: nothing was written for `timeout` seconds, or the sink's writes fail. A full disk is not waited for, as
        `logging` does not wait for it.

        The thread may hold the handler's lock. Then it does the sinks' work itself. What other threads log meanwhile is
        not waited for.
        """
        if handler_is_idle(self.handle):
            return True
        deadline = None if timeout is None else monotonic() + timeout
        core = self.core
        if core.must_not_wait():
            return False  # the flusher's work has called this: it must not wait for itself
        has_lock = self._has_lock()
        self.is_drained_by_owner = has_lock or self.is_drained_by_owner
        try:
            mark, progress = self.handle.committed(), sink_progress(self.handle)
            while not self.handle.write_out(mark):
                if handler_is_failing(self.handle):
                    return False
                if has_lock:
                    core.work()
                elif not core.flusher_runs:
                    core.drain_here()
                if deadline is not None and monotonic() >= deadline:
                    before, progress = progress, sink_progress(self.handle)
                    if timeout is None or before == progress:
                        return False
                    deadline = monotonic() + timeout  # it is only slow
                pause(PAUSE_S / 10 if has_lock else PAUSE_S)
        except KeyError:
            return True  # it was removed meanwhile
        finally:
            self.is_drained_by_owner = self.is_drained_by_owner and not has_lock
        return True

    def await_written(self, patience_s: float, removal_s: float) -> None:
        """As for every sink, but what cannot be written is not waited for. The handler is told how much was lost."""
        mark, deadline = self.handle.committed(), monotonic() + patience_s
        while not self.handle.write_out(mark):
            if not handler_is_failing(self.handle):
                super().await_written(patience_s, removal_s)
                break
            if handler_discard(self.handle, mark) or monotonic() >= deadline:
                break
            pause(PAUSE_S)  # some of it is still in the ring, behind what another sink does not take
        self.tell_rest()

    def _has_lock(self) -> bool:
        """Whether this thread holds the handler's lock. Then the flusher cannot get the lock."""
        is_owned = getattr(getattr(self.handler, "lock", None), "_is_owned", None)
        return is_owned is not None and bool(is_owned())

    def follow(self) -> None:
        """Called when an attribute of the handler has changed: perhaps the stream, or a limit of the rollover."""
        handler = self.handler
        limits = self._limits()
        if handler is None or (self.runs_handler_code and limits[0] == self._known_limits[0]):
            return  # a rollover is running: it changes the stream and the time, and ends with what is done here
        if self.runs_handler_code or limits != self._known_limits:
            self.drain()  # what was logged before goes by the limits that held then
        if handler.stream is not self.stream:
            # What waits goes to the old stream, and later lines go to the new one.
            self.drain()
            handler.stream.flush()
            self._use_copy(copy_descriptor(handler.stream.fileno()), handler.stream)
        limits = self._limits()
        if limits != self._known_limits:
            self._use_limits(limits)

    def _use_limits(self, limits: tuple[int, int]) -> None:
        self._known_limits = limits
        handler_limits(self.handle, *limits)

    def is_copy_of(self, number: object) -> bool:
        """Whether the sink writes to a copy of the descriptor with this number."""
        try:
            return self.stream is not None and bool(self.stream.fileno() == number)
        except ValueError:  # the stream is closed
            return False

    def _copy(self, stream: Any) -> Descriptor:
        try:
            return copy_descriptor(stream.fileno())
        except OSError as trouble:
            if trouble.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            self._use_copy(None, None)  # of the file before, which nothing is written to any more
            return copy_descriptor(stream.fileno())

    def _use_copy(self, file: Descriptor | None, stream: Any) -> None:
        handler_source(self.handle, -1)
        self.handle.replace_file(self.files, file, None, self.path or "")
        self.stream = stream
        if stream is not None:
            handler_source(self.handle, stream.fileno())

    # ---- the flusher's work

    def do_work(self, work: PythonWork) -> None:
        handler = self.handler
        if handler is None:
            self._do_without_handler(work)
        elif work.rotates or work.reopens:
            lock = handler.lock
            if self.is_drained_by_owner and not self._has_lock():
                handler_postpone(self.handle)  # the thread with the lock does the work, and must not wait for this one
                return
            if lock is not None and not lock.acquire(True, LOCK_S):
                handler_postpone(self.handle)
                return
            self.runs_handler_code = True
            try:
                if work.rotates:
                    self._roll_over(handler)
                else:
                    self._open_again(handler)
            finally:
                self.runs_handler_code = False
                if lock is not None:
                    lock.release()
        self._tell_losses()

    def _do_without_handler(self, work: PythonWork) -> None:
        """Called if the handler was collected without being closed. What waits goes into the file that it had."""
        self._use_limits((0, NEVER_NS))
        if work.rotates:
            self._rotated(0, renamed=False)
        if work.reopens:
            self.handle.discard()
            self.handle.retry_later()

    def _open_again(self, handler: Any) -> None:
        """Copies the stream's descriptor. A handler without a stream opens one first, as its `emit` would."""
        try:
            if self._kind is logging.handlers.WatchedFileHandler:
                with HandlerTurn(self.core):
                    self.core.call_stream(handler.reopenIfNeeded)
            if handler.stream is None and (handler.mode != "w" or not getattr(handler, "_closed", False)):
                handler.stream = self.core.call_stream(handler._open)
            if handler.stream is None:  # the handler was closed, and opening its file again would empty the file
                self.handle.discard()
                handler_losses(self.handle)
                self.handle.retry_later()
                return
            handler.stream.flush()
            file = self._copy(handler.stream)
        except ValueError as trouble:  # the stream is closed
            self.handle.discard()
            self.handle.retry_later()
            self._report(trouble)
            return
        except Exception as trouble:  # noqa: BLE001  # the handler's opener may raise anything
            self.handle.retry_later()
            self._report(trouble)
            return
        self._use_copy(file, handler.stream)

    def _roll_over(self, handler: Any) -> None:
        """Does the rollover that `emit` of a rotating handler would do before the next line."""
        by_time, _ = self.handle.rotation_due()
        if os.path.exists(handler.baseFilename) and not os.path.isfile(handler.baseFilename):
            self._not_now(handler, by_time)
            return
        try:
            with HandlerTurn(self.core):
                self.core.call_stream(handler.doRollover)
        except Exception as trouble:  # noqa: BLE001  # `namer` and `rotator` are the user's
            self._report(trouble)
            self.handle.postpone_rotation(ROTATION_RETRY_NS)
            self._open_again(handler)
            return
        if by_time is not None:
            self._set_rollover(handler, by_time // 1_000_000_000)
        self._open_again(handler)
        handler_rolled(self.handle)
        self._rotated(by_time, renamed=True)

    def _not_now(self, handler: Any, by_time: int | None) -> None:
        """Called if the path names a device or a pipe: these are not rolled over."""
        if by_time is None:
            handler_rolled(self.handle)
        else:
            handler.rolloverAt = handler.computeRollover(by_time // 1_000_000_000)
        self._rotated(by_time, renamed=False)

    def _rotated(self, by_time: int | None, *, renamed: bool) -> None:
        _, end_ns = self._limits()
        self._known_limits = (self._known_limits[0], end_ns)
        self.handle.rotated(by_time=by_time is not None, renamed=renamed, period_from_ns=0, period_end_ns=end_ns)

    def _set_rollover(self, handler: Any, called_s: int) -> None:
        """Computes the next rollover from the time of the line, not from now, as `doRollover` did.

        The line was logged a little earlier, perhaps in another period. Rollovers at midnight or by the week are left
        alone: they are adjusted for daylight saving time.
        """
        if handler.when == "MIDNIGHT" or handler.when.startswith("W"):
            return
        due = handler.computeRollover(called_s)
        while due <= called_s:
            due += handler.interval
        handler.rolloverAt = due

    # ---- trouble

    def report(self, trouble: Exception) -> None:
        """Gives an error of a write to `handler.handleError`, with the number of records that were lost."""
        if isinstance(trouble, OSError) and trouble.errno in HOPELESS:
            self.handle.discard()
        self._report(trouble)

    def losses(self) -> None:
        """The handler hears of them by its `handleError`."""

    def after_removal(self, lost: int) -> None:
        """As above."""

    def _report(self, trouble: Exception) -> None:
        """Gives an error to `handler.handleError`, at most one in `REPORT_INTERVAL_S`."""
        now = monotonic()
        if self._told_at is not None and now - self._told_at < REPORT_INTERVAL_S:
            return
        self._told_at = now
        lost = handler_losses(self.handle)
        self._tell(trouble, lost)

    def _tell_losses(self) -> None:
        if self._told_at is None or monotonic() - self._told_at >= REPORT_INTERVAL_S:
            self.tell_rest()

    def tell_rest(self) -> None:
        """Tells the handler how many records were lost since it was told last. Also called when it is closed."""
        lost = handler_losses(self.handle)
        if lost:
            self._told_at = monotonic()
            self._tell(OSError(errno.EIO, "records were lost", self.path), lost)

    def _tell(self, trouble: Exception, lost: int) -> None:
        text = "logly: %d records for this handler were lost" if lost else "logly: records for this handler wait"
        args = (lost,) if lost else ()
        record = logging.LogRecord("logly", logging.ERROR, self.path or "", 0, text, args, None)
        handler = self.handler
        if handler is None:
            return  # it was collected
        try:
            raise trouble
        except Exception:  # noqa: BLE001  # `handleError` asks for the exception that is handled
            self.core.call_stream(handler.handleError, record)

    # ---- end and fork

    def outlive_modules(self) -> None:
        """Nothing to do: the descriptor is the sink's own."""

    def after_fork_in_child(self) -> None:
        """The next line takes a copy of what the handler has open in the child."""
        self.runs_handler_code = self.is_drained_by_owner = False
        self._use_copy(None, None)


def help_here(core: Core) -> None:
    """Called by a thread that waits for a flush, or that waits in a log call until its line is written.

    If the thread holds the lock of a served handler, the flusher cannot get the lock. So the thread does the sinks'
    work itself.
    """
    for sink in [*core.sinks.values(), *core.leaving.values()]:
        if isinstance(sink, HandlerSink) and sink._has_lock():
            sink.drain(HELP_S)
            return


def add_handler(
    controller: Controller,
    handler: logging.Handler,
    layout: LayoutProgram,
    shown: set[str],
    *,
    write: bool = False,
    by_name: bool = True,
) -> HandlerSink:
    """Adds a sink that serves the handler from now on. The arguments are those of `HandlerSink`."""
    made: list[HandlerSink] = []

    def make(sink_id: int) -> HandlerSink:
        made.append(HandlerSink(controller, sink_id, handler, layout, shown, write=write, by_name=by_name))
        return made[0]

    controller.add_own(make)
    controller.core.helper = help_here
    return made[0]
