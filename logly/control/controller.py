"""The controller of a logger and its bound children: settings, sinks, flush, close, fork. Nothing runs per log call."""

from __future__ import annotations

import os
from itertools import count

from logly._core import Core, spool_filenos, tell_held_back
from logly.config.schema import LoggerConfig, SinkConfig
from logly.system.unpatched import Attempt, SystemLock, monotonic

from . import process
from .core_settings import plan_core_settings
from .flusher_thread import Flusher
from .level_layers import LevelLayers
from .level_table import LevelTable
from .plan import Plan, checked_kind, wanted_settings
from .reports import ErrorReports
from .sink_kinds import kind_of
from .sinks import STOP_S
from .spooling import Spooling, ring_capacity_of
from .twins import troubles_with

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextvars import ContextVar
    from typing import Any, TypeVar

    from .level_layers import LevelFile
    from .sinks import Sink

    Result = TypeVar("Result")

__all__ = ["Controller"]


class Controller:
    """One engine, and everything that Python keeps for it.

    Args:
        name: the logger's name.
        config: the logger's settings; they are checked here.
        is_recovery: it writes what a dead process left, and then it ends.
    """

    def __init__(self, name: str, config: LoggerConfig, *, is_recovery: bool = False) -> None:
        self.name = name
        self.config = checked_kind(config, LoggerConfig).resolved()
        self.config_as_given = LoggerConfig.copy(config)  # without what belongs to a copy from `Logger.config`
        self.core = Core(name, ring_capacity_of(self.config))
        self.flusher = Flusher(self.core, f"logly-flusher-{name}", self.after_flusher)
        self.flusher.is_exiting = process.is_exiting
        self._flusher_closes = False
        self._gives_up = False  # `close` had no more time for what batch sinks hold
        self.sinks: dict[int, Sink] = self.core.sinks
        """The core's own dict: it changes in one step with the engine's sinks."""
        self.auto_sink_id: int | None = None
        self.is_on = True
        self.is_closed = False
        self.has_ended = False
        """`close` has finished."""
        self.is_recovery = is_recovery
        self._leaving: dict[int, Sink] = self.core.leaving
        self._had_sinks = False
        self._ids = count(1)
        self.changing = SystemLock()
        # Guards what producers read. A log call may take this lock, so no thread waits for anything while it holds it.
        self._publishing = SystemLock()
        self.reports = ErrorReports(self.core, name, self.config.on_error)
        self.spooling = Spooling(self)
        self.levels = LevelTable(self.core, self.config)
        self.layers = LevelLayers(self)
        self.core.on_work = self.do_work
        self.core.start_flusher = self.start_flusher
        self.core.level_resolver = self.levels.resolve
        self.core.make_ring = self._make_ring_in_child
        self.spooling.use(self.config)
        level_file = self.layers.read(self.config)
        self.change(lambda plan: self._plan_config(plan, self.config, self.config_as_given, level_file))
        process.add(self)
        if self.config.level_file is not None:
            self.start_flusher()

    # ---- configuration

    def configure(self, config: LoggerConfig | None, changes: Mapping[str, Any]) -> None:
        """Applies new settings. Raises ConfigError before anything is changed.

        `config`: None with some `changes`: the settings that are in force when these are applied.
        """
        whole = wanted_settings(self, config, changes)  # what is wrong is told without waiting for another change

        def wanted() -> tuple[LoggerConfig, LoggerConfig]:
            return whole if config is not None else wanted_settings(self, None, changes)

        def change() -> None:
            plain, _ = wanted()
            self.levels.check_room(plain.custom_levels)
            self.spooling.use(plain)
            level_file = self.layers.read(plain)
            self.change(lambda plan: self._plan_config(plan, *wanted(), level_file))
            for sink in list(self.sinks.values()):
                sink.make_durable()
            self.layers.tell_of_sinks()

        self._change_and_close_removed(change)
        if self.config.level_file is not None:
            self.start_flusher()

    def _plan_config(self, plan: Plan, config: LoggerConfig, given: LoggerConfig, level_file: LevelFile) -> None:
        plan.config = config
        self.layers.plan_config(plan, config, level_file)
        plan.set(self, config_as_given=given)
        plan_core_settings(plan, self.core, config)
        self.levels.plan_config(plan, config)
        plan.set(self.reports, on_error=config.on_error)
        for sink in plan.enabled:
            sink.plan_update(plan, config)
        if config.auto_sink and self.auto_sink_id is None and not self._had_sinks:
            sink = self._open_sink(SinkConfig().resolved(), config)
            plan.add(sink)
            plan.set(self, auto_sink_id=sink.id)
        elif not config.auto_sink:
            self._plan_without_auto_sink(plan)

    def change(self, fill: Callable[[Plan], None]) -> None:
        """Makes a change in one step. `fill` puts it into a plan; again, if something else was changed meanwhile."""
        with self.changing:
            is_made = False
            while not is_made:
                plan = Plan(self)
                fill(plan)
                for sink in (sink for sink, on in plan.switched() if on):
                    self._await_written(sink)  # else records from before it was switched off would be lost
                is_made = plan.commit()
        self._publish_post()

    def _publish_post(self) -> None:
        """Tells producers what a log call does after the commit of its record.

        Start and close may run at the same time. The lock makes the last call here publish what holds by then.
        """
        with self._publishing:
            published = None
            # Repeated when a signal handler that ran in here has changed something.
            while published != (post := self._wanted_post()):
                self.core.set_post(**post)
                published = post

    def _wanted_post(self) -> dict[str, bool]:
        return Plan(self).wanted_post()

    def active_sinks(self) -> list[Sink]:
        """The sinks that get records at present."""
        return Plan(self).active

    def _make_ring_in_child(self) -> None:
        """Makes the ring of a forked child, when the child logs its first record."""
        with self.changing:
            self.spooling.make_ring_in_child(self.config)

    def start_flusher(self) -> None:
        """Called by the first record that finds no flusher."""
        if self.spooling.is_to_recover() and (self.core.must_not_wait() or not self.spooling.recover()):
            return  # another thread recovers, or will, and then starts the flusher
        has_started = not self.is_closed and self.flusher.start()
        self._publish_post()
        if has_started:
            process.has_started(self)

    def after_flusher(self) -> None:
        """Called on the flusher's thread when its loop has ended."""
        self._publish_post()
        if self._flusher_closes:
            self._gives_up = not self.core.flush(self.patience_s)
            self._end(closes_files=True)

    def flush(self, timeout: float | None, *, gives_way: bool = False) -> bool:
        """Waits until every sink has handed over what was logged before, and what dead processes left in the spool.

        `gives_way`: the other greenlets of the calling thread run meanwhile.
        """
        deadline = None if timeout is None else monotonic() + timeout
        tried = self.spooling.is_to_recover() and self.spooling.recover(timeout)
        has_recovered = not (tried and self.spooling.is_recovery_pending)
        if (later := self.spooling.later) is not None:
            has_recovered = later.await_try(deadline) and has_recovered
        left = None if deadline is None else deadline - monotonic()
        is_done = self.core.flush(left, gives_way)
        if self._leaving:
            self._close_leaving()
        return is_done and has_recovered

    def settings(self) -> LoggerConfig:
        """A copy of the settings in force, as they were given."""
        given = self.config_as_given.copy()
        given.custom_levels = self.levels.spelt_as(given.custom_levels)
        return given

    def add_level(self, name: str, number: int, color: str | None) -> None:
        """Adds a custom level."""
        with self.changing:
            self.change(self.levels.addition(name, number, color))

    # ---- sinks

    def add_sink(self, config: SinkConfig) -> int:
        """Opens a sink, which gets what is logged from now on. The automatic console sink is removed."""
        plain = checked_kind(config, SinkConfig).resolved(self.levels.custom)
        return self._change_and_close_removed(lambda: self._add(plain))

    def _add(self, plain: SinkConfig) -> int:
        sink = self._open_sink(plain, self.config)

        def fill(plan: Plan) -> None:
            plan.add(sink)
            plan.set(self, _had_sinks=True)
            self._plan_without_auto_sink(plan)

        try:
            self.change(fill)
        except Exception:
            if sink.id not in self.sinks:
                sink.files.close()
            raise
        for trouble in troubles_with(sink, self.sinks.values(), self.config):
            self.report(trouble)
        return sink.id

    def add_own(self, make: Callable[[int], Sink]) -> Sink:
        """Adds a sink of logly's own, which is no user's; `remove` removes it. `make` gets its number."""
        with self.changing:
            sink = make(next(self._ids))
            self.change(lambda plan: plan.add(sink))
        return sink

    def _open_sink(self, config: SinkConfig, logger_config: LoggerConfig) -> Sink:
        return kind_of(config)(self.core, next(self._ids), config, logger_config, self.report)

    def _plan_without_auto_sink(self, plan: Plan) -> None:
        auto_sink = self.sinks.get(self.auto_sink_id or 0)
        plan.set(self, auto_sink_id=None)
        if auto_sink is not None:
            plan.remove(auto_sink, self._removal_s)

    def remove(self, sink_id: int) -> bool:
        """Removes a sink. The sink first writes what it holds; no lock is held during that."""

        def change() -> bool:
            sink = self.sinks.get(sink_id)
            if sink is not None:
                self.change(lambda plan: plan.remove(sink, self._removal_s))
            return sink is not None

        return self._change_and_close_removed(change)

    def _change_and_close_removed(self, change: Callable[[], Result]) -> Result:
        """Makes a change. Then the sinks that it removed write what they hold and are closed."""
        try:
            with self.changing:
                result = change()
            for sink in list(self._leaving.values()):
                if sink.handle.attends():
                    self._close_removed(sink)
            return result
        except BaseException:  # Ctrl-C: the flusher closes these sinks
            for sink in list(self._leaving.values()):
                sink.handle.unattend()
            raise

    def _close_removed(self, sink: Sink) -> None:
        """Has a removed sink write what it holds, and closes it.

        A sink that is removed inside its own function is closed later, by another thread.
        """
        needs_python = sink.needs_flusher or sink.gets_records
        try:
            if self.core.must_not_flush() and not sink.handle.write_out(sink.handle.committed()) and needs_python:
                # This may be the sink's own function, which must still get what was logged before.
                sink.handle.unattend()
                return
            self._await_written(sink)
        except KeyError:
            return  # another thread has removed it; or the sink's function has forked, and this is the child
        self._close_sink(sink)

    def _close_sink(self, sink: Sink) -> None:
        if sink.id not in self._leaving:
            return
        sink.make_durable()
        self.report(sink.told_at_its_end())
        self.report(sink.losses())
        sink.after_removal(sink.handle.remove())

    def _close_leaving(self, *, at_once: bool = False) -> None:
        """Closes removed sinks that the removing thread has left to others, once they have written what they hold."""
        for sink in list(self._leaving.values()):
            if at_once or sink.handle.may_leave():
                self._close_sink(sink)

    def _await_written(self, sink: Sink) -> None:
        """Waits until the sink has written what was logged before; gives up when it writes nothing for `patience_s`."""
        if not self.core.must_not_flush():
            sink.await_written(self.patience_s, self._removal_s)

    @property
    def patience_s(self) -> float:
        """How long to wait for a sink in trouble to write what it holds."""
        return float(self.config.stall_timeout) + 0.5

    @property
    def _removal_s(self) -> float:
        """How long the thread that removes a sink has to close it.

        That thread may be interrupted. After this time, any other thread closes the sink.
        """
        return 2 * self.patience_s + 5

    def remove_sink(self, sink_id: int) -> bool:
        """Writes out what the sink holds and closes it; False when there is no such sink."""
        return sink_id in self.user_sinks() and self.remove(sink_id)

    def user_sinks(self) -> list[int]:
        return [sink.id for sink in list(self.sinks.values()) if sink.id != self.auto_sink_id and not sink.is_own]

    def set_sink_enabled(self, sink_id: int, is_enabled: bool) -> bool:
        """Switches a sink on or off for what is logged from now on; False when there is no such sink."""
        with self.changing:
            sink = self.sinks.get(sink_id)
            if sink is None:
                return False

            def fill(plan: Plan) -> None:
                if sink in plan.enabled:
                    plan.enabled[sink] = is_enabled
                    plan.set(sink, is_enabled=is_enabled)

            self.change(fill)
            return True

    def switch(self, is_on: bool) -> None:
        """Switches all output on or off."""
        self.change(lambda plan: setattr(plan, "is_on", is_on))

    def reopen(self) -> None:
        """Writes what was logged before, then opens every file by its name again."""
        self.core.flush(self.patience_s)
        with self.changing:
            for sink in list(self.sinks.values()) if not self.is_closed else ():
                sink.reopen()

    def filenos(self) -> list[int]:
        """The open descriptors that belong to the logger, in ascending order."""
        sinks = [*self.sinks.values(), *self._leaving.values()]
        return sorted({fd for sink in sinks for fd in sink.files.filenos()} | set(spool_filenos(self.core)))

    # ---- context

    def context_variable(self) -> ContextVar[Any]:
        """The variable that holds the current context's fields. Log calls read it from the first use on."""
        from _contextvars import ContextVar  # the compiled one, which the core reads

        return self.core.use_context(ContextVar(f"logly-{self.name}"))

    # ---- the flusher's Python work

    def do_work(self) -> None:
        """Does the work that sinks need Python for.

        Runs on the flusher's thread, or on the caller's after the flusher has ended.
        """
        self.reports.report_waiting()
        self.spooling.remove_finished()
        self.layers.follow()
        if self.core.spool_base is not None:
            # A thread that changes settings may be waiting for this one. Then the spool is looked for a second later.
            with Attempt(self.changing) as is_mine:
                if is_mine:
                    self.spooling.renew_lost()
        life = self.core.lives
        for work in self.core.take_work():
            if self.core.lives != life:  # a sink's function has forked, and this is the child
                return
            sink = self.sinks.get(work.sink_id) or self._leaving.get(work.sink_id)
            if sink is None:
                continue
            try:
                if work.error:
                    sink.report(OSError(work.error, os.strerror(work.error), sink.path))
                if work.gives_up:
                    self.report(sink.losses())
                sink.do_work(work)
            except KeyError:
                continue  # the sink was removed meanwhile
            except Exception as trouble:  # noqa: BLE001  # one sink's trouble must not keep the others waiting
                self.report(trouble)
                sink.handle.back_off()
        if self._leaving:
            self._close_leaving()
        self.reports.report_waiting()

    def report(self, error: BaseException | None) -> None:
        """Leaves an error, if there is one, for `on_error`, which the flusher's thread calls."""
        if error is not None:
            self.core.report(error)

    # ---- end

    def close(self, timeout: float | None = None, *, gives_way: bool = False) -> bool:
        """Flushes, stops the flusher, closes the files. Later records are written by their callers.

        `gives_way`: as for `flush`. A ``__del__`` and the exit leave it off, because a program does not expect its
        greenlets to run there.
        """
        deadline = None if timeout is None else monotonic() + timeout
        if timeout is not None and not self.flusher.is_exiting:
            self.core.await_batches(timeout)
        flushed = self.core.flush(timeout) if self.core.must_not_wait() else self.flush(timeout, gives_way=gives_way)
        if not self.has_ended and tell_held_back(self.core):
            flushed = self.core.flush(None if deadline is None else max(0.0, deadline - monotonic()), gives_way)
        self.change(lambda plan: setattr(plan, "is_closed", True))
        # Without the lock: a sink's function may need it, and the flusher does not end before that function returns.
        self._gives_up = not flushed
        left = None if deadline is None else max(STOP_S, deadline - monotonic())
        if not self.flusher.stop(left, gives_way=gives_way):
            # The flusher takes longer, or this is its own thread (a sink's function, the garbage collector).
            # `after_flusher` completes the close.
            self._flusher_closes = True
            if self.flusher.is_running:
                return False
        if not self.core.must_not_wait():
            left = self.patience_s if deadline is None else max(0.0, deadline - monotonic())
            self.flusher.await_last_line(min(left, self.patience_s))  # it may be syncing the spool
        self._end(closes_files=not self.core.must_not_flush())
        return flushed or self.core.pending() == 0

    def _end(self, *, closes_files: bool) -> None:
        self.spooling.end()
        self.core.drain_here()
        self.spooling.remove_finished()
        if closes_files:
            self._close_files()
            self.has_ended = True

    def _close_files(self) -> None:
        """Discards the records that sinks in trouble have not written, and closes what was opened."""
        sinks = list(self.sinks.values())
        lost = self.core.abandon(self._gives_up)
        self.reports.report_lost(sinks, lost)
        for trouble in [sink.told_at_its_end() for sink in sinks] if not self.is_recovery else []:
            self.reports.report_now(trouble, at_once=True)
        self.reports.report_rest()
        with self.changing:
            # At exit the files stay open, because Python could not open them again for an even later record.
            self._close_leaving(at_once=True)
            for sink in [] if self.flusher.is_exiting else list(self.sinks.values()):
                sink.release_file()

    def finish(self, spent_s: float = 0.0) -> float:
        """Closes the logger at exit; see `process.flush_at_exit`."""
        spent_s = process.flush_at_exit(self, spent_s)
        self.flusher.is_exiting = True
        if not self.close(self.patience_s) and self.flusher.is_running:
            self.reports.report_lost(list(self.sinks.values()), self.core.pending(STOP_S))
            self.core.abandon_flusher()
        else:
            self.flusher.await_last_line(self.patience_s)
        for sink in self.sinks.values():
            sink.outlive_modules()
        return spent_s

    # ---- fork

    def after_fork_in_child(self) -> None:
        """Prepares a forked child, which has no flusher and empty rings. Its first record starts a flusher."""
        self.changing = SystemLock()
        self._publishing = SystemLock()
        self.levels.after_fork_in_child()
        self.spooling.after_fork_in_child()
        self.reports.after_fork_in_child()
        self.flusher.reset_after_fork()
        # Sinks that other threads of the parent were adding or removing at the fork are removed here, and captures end.
        for sink in [*self._leaving.values(), *self.sinks.values()]:
            if sink.id in self._leaving or not sink.handle.is_registered or sink.is_capture:
                self.sinks.pop(sink.id, None)
                sink.remove_in_child()
        self._leaving.clear()
        for sink in self.sinks.values():
            sink.after_fork_in_child()
        self.change(lambda plan: None)
        if self.config.level_file is not None:  # which may be what lets the first record through
            self.start_flusher()
        if self.core.pending():  # other libraries' fork hooks have logged before this one ran
            if self._wanted_post()["start"]:
                self.start_flusher()
            else:
                self.core.drain_here()
