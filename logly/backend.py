"""What stands behind a logger and its bound children: the engine, its flusher, its sinks, its levels.

All of this runs rarely (configuration, start, exit, fork); nothing of it runs per log call.
"""

from __future__ import annotations

import os
import sys
from itertools import count

from . import process
from ._core import Core, define_levels, remove_finished_spools, spool_sync_every, take_sync_error
from .colors import DEFAULT_LEVEL_COLORS, parse_color
from .config import LoggerConfig, SinkConfig
from .errors import ConfigError, LoglyError, invalid
from .flusher import Flusher
from .levels import Level, level_number
from .plan import OFF, Plan
from .reports import StderrReports
from .sinks import Sink
from .system import SystemLock, Turn, monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextvars import ContextVar
    from typing import Any, TypeVar

    from .stats import SinkStats, Stats

    Result = TypeVar("Result")
    Settings = TypeVar("Settings", LoggerConfig, SinkConfig)

__all__ = ["Backend"]

MAX_LEVELS = 256
"""The core's places for them; each has its number, name and colour there."""
MAX_NAMED_LEVELS = 240
"""Of these, the rest is for levels that are added later."""


class Backend:
    """One engine with everything that Python owns of it.

    Args:
        name: the logger's name.
        config: its settings; checked here.
    """

    def __init__(self, name: str, config: LoggerConfig) -> None:
        self.name = name
        self.config = _settings(config, LoggerConfig).resolved()
        self.given = config.copy()
        self.core = Core(name, _power_of_two(int(self.config.async_buffer_size)))
        self.flusher = Flusher(self.core, f"logly-flusher-{name}", self.after_flusher)
        self.flusher.is_final = process.is_exiting
        self._flusher_closes = False
        self.sinks: dict[int, Sink] = self.core.sinks
        """The core's: changed in one step with what its engine has."""
        self.auto_sink_id: int | None = None
        self.is_on = True
        self.is_closed = False
        self.has_ended = False
        """`close` has come to its end."""
        self.threshold = OFF
        self.custom_levels: dict[str, int] = {}
        self.custom_colors: dict[str, str] = {}
        self._leaving: dict[int, Sink] = self.core.leaving
        self._had_sinks = False
        self._ids = count(1)
        self._changing = SystemLock()
        # For what producers go by. A log call may take it, so nobody waits for anything with it held.
        self._publishing = SystemLock()
        self._reports = StderrReports(name)
        self.core.on_work = self.do_work
        self.core.start_flusher = self.start_flusher
        self.core.level_resolver = self.resolve_level
        self.core.make_ring = self._make_ring_in_child
        self.recovery_pending = False
        self._recovering = Turn()
        self._check_room_for_levels({**{level.name: int(level) for level in Level}, **self.config.custom_levels})
        define_levels(self.core, self._levels(self.config))
        self._use_spool(self.config)
        self._change(lambda plan: self._plan_config(plan, self.config, self.given))
        process.add(self)

    # ---- configuration

    def configure(self, config: LoggerConfig) -> None:
        """Takes over new settings; raises ConfigError before anything is changed."""
        plain = _settings(config, LoggerConfig).resolved(self.custom_levels)
        given = config.copy()

        def change() -> None:
            self._check_room_for_levels(plain.custom_levels)
            self._use_spool(plain)
            self._change(lambda plan: self._plan_config(plan, plain, given))
            for sink in list(self.sinks.values()):
                sink.make_durable()

        self._change_and_see_out(change)

    def _plan_config(self, plan: Plan, config: LoggerConfig, given: LoggerConfig) -> None:
        plan.config = config
        plan.set(self, given=given)
        flush_level = OFF if config.flush_level is None else int(config.flush_level)
        arguments = (
            flush_level,
            _power_of_two(int(config.async_buffer_size)),
            int(config.async_flush_interval * 1_000_000),
            config.overflow == "drop",
            int(config.max_message_bytes),
            int(config.stall_timeout * 1_000_000_000),
        )
        plan.first.append((self.core.configure, arguments))
        plan.call(define_levels, self.core, self._levels(config))
        for sink in plan.enabled:
            sink.plan_update(plan, config)
        if config.auto_sink and self.auto_sink_id is None and not self._had_sinks:
            sink = Sink(self.core, next(self._ids), SinkConfig().resolved(), config, self.tell)
            plan.add(sink)
            plan.set(self, auto_sink_id=sink.id)
        elif not config.auto_sink:
            self._plan_without_auto_sink(plan)

    def _change(self, fill: Callable[[Plan], None]) -> None:
        """Makes a change, in one step; `fill` puts it into a plan, again when something else was changed meanwhile."""
        with self._changing:
            is_made = False
            while not is_made:
                plan = Plan(self)
                fill(plan)
                for sink, on in plan.switched():
                    if on:  # or what it was to have from before it was switched off would be forgotten
                        self._settle(sink)
                is_made = plan.commit()
        self._publish_post()

    def _publish_post(self) -> None:
        """Tells producers what follows a commit. Start and close may meet: the last word is what holds then."""
        with self._publishing:
            told = None
            # Again when a signal handler in here has changed something.
            while told != (post := self._wanted_post()):
                self.core.set_post(**post)
                told = post

    def _wanted_post(self) -> dict[str, bool]:
        return self.wanted_post(self.config, self._active_sinks(), is_closed=self.is_closed)

    def wanted_post(self, config: LoggerConfig, active: list[Sink], *, is_closed: bool) -> dict[str, bool]:
        """What is to follow a commit, with these settings."""
        runs = self.flusher.is_running
        by_caller = is_closed or (self.flusher.cannot_start and not runs)
        # No generator expressions on the way of a log call: without memory for one, CPython 3.12.1 and 3.13.0 crash.
        is_prompt = False
        for sink in active:
            is_prompt = is_prompt or sink.interval_ms(config) == 0
        is_async = [sink for sink in active if sink.config.async_write or sink.target != "fd"] != []
        return {
            # Also while callers do its work because no thread could be started: one may be to be had by now.
            "start": (self._is_to_recover(active) or ((is_async or config.spool_fsync is not None) and not runs))
            and not is_closed
            and not self.flusher.is_final,
            "sync": [sink for sink in active if not sink.config.async_write] != [] and not by_caller,
            "drain": by_caller,
            "wake": is_prompt and not by_caller,
        }

    def _active_sinks(self) -> list[Sink]:
        return Plan(self).active

    def start_flusher(self) -> None:
        """Called by the first record that finds no flusher."""
        if self._is_to_recover() and (self.core.is_inside() or not self.recover()):
            return  # another thread is at it, or will be, and starts the flusher after that
        if not self.is_closed:
            self.flusher.start()
        self._publish_post()

    def after_flusher(self) -> None:
        """The flusher's loop has ended; on its own thread."""
        self._publish_post()
        if self._flusher_closes:
            self.core.flush(self._patience_s)
            self._end(lasts=True)

    # ---- the spool

    @property
    def _spool(self) -> str | None:
        """The configured name of the spool that records go into."""
        base = self.core.spool_base
        return base[0] if base is not None else None

    def _use_spool(self, config: LoggerConfig) -> None:
        """Has records go where the settings say: into a spool, or into plain memory. Raises SpoolError, ConfigError."""
        path = None if config.spool is None else os.path.abspath(os.fspath(config.spool))
        capacity = _power_of_two(int(config.async_buffer_size))
        syncs = config.spool_fsync is not None
        if path is None:
            if self._spool is not None:
                self.core.use_memory(capacity)
        elif (path, syncs) != self.core.spool_base or capacity != self.core.ring_capacity:
            if sys.platform == "win32":
                raise ConfigError("spool is not available on Windows: leave it out", field="spool", value=path)
            from .spool import open_spool

            # Before, because nobody could say it if an interrupt came after.
            self.recovery_pending = self.recovery_pending or path != self._spool
            open_spool(self.core, path, capacity, syncs=syncs)
        if config.spool_fsync is not None:
            spool_sync_every(self.core, int(config.spool_fsync * 1_000_000))

    def _make_ring_in_child(self) -> None:
        """A forked child's first record: it gets a spool of its own, or, where that fails, plain memory."""
        with self._changing:
            if not self.core.ring_wanted:
                return
            capacity = _power_of_two(int(self.config.async_buffer_size))
            try:
                from .spool import open_spool

                assert self.core.spool_base is not None
                path, syncs = self.core.spool_base
                open_spool(self.core, path, capacity, syncs=syncs)
            except RecursionError:  # it says nothing about the spool: the next record tries again
                raise
            except Exception as trouble:
                self.core.use_memory(capacity)
                self.tell(trouble)

    def _is_to_recover(self, active: list[Sink] | None = None) -> bool:
        # A sink that is switched off takes nothing: without another one, what was left is to stay where it is.
        if not self.recovery_pending or self._spool is None:
            return False
        for sink in self._active_sinks() if active is None else active:  # noqa: SIM110, see `Plan`
            if sink.id != self.auto_sink_id:
                return True
        return False

    def recover(self, timeout: float | None = None) -> bool:
        """Has the sinks write what dead processes left in their spools; False while another thread does.

        On the thread of whoever logs or flushes first once there is a sink, so that it has all that are added at the
        start; and before there is a flusher, so that nothing new is written earlier.
        """
        deadline = None if timeout is None else monotonic() + timeout
        with self._recovering as is_mine:
            if is_mine and self._is_to_recover() and self._spool is not None:
                from .spool import recover_dead

                sinks = [sink.for_recovery() for sink in self._active_sinks() if sink.id != self.auto_sink_id]
                self.recovery_pending = not recover_dead(self, self._spool, sinks, deadline)
            return is_mine

    def flush(self, timeout: float | None, *, gives_way: bool = False) -> bool:
        """Waits until every sink has handed over what was logged, or left by the dead, before.

        `gives_way`: the other greenlets of the calling thread run meanwhile.
        """
        deadline = None if timeout is None else monotonic() + timeout
        has_recovered = True
        if self._is_to_recover() and self.recover(timeout):
            has_recovered = not self.recovery_pending
        left = None if deadline is None else deadline - monotonic()
        is_done = self.core.flush(left, gives_way)
        if self._leaving:
            self._see_off()
        return is_done and has_recovered

    def _remove_finished_spools(self) -> None:
        remove_finished_spools(self.core)
        error = take_sync_error(self.core)
        if error:
            text = "not synced, the loss of power would lose records (spool_fsync)"
            self.tell(OSError(error, f"{text}: {os.strerror(error)}", self._spool))

    # ---- levels

    def _colors(self, config: LoggerConfig) -> dict[int, str]:
        colors = {number: parse_color(DEFAULT_LEVEL_COLORS[number]) for number in DEFAULT_LEVEL_COLORS}
        colors.update(config.level_colors)
        return colors

    def _levels(self, config: LoggerConfig) -> list[tuple[str, int, str]]:
        """All levels, for `Core.define_levels`."""
        colors = self._colors(config)
        levels = []
        for level in Level:
            levels.append((level.name, int(level), colors.get(int(level), "")))  # noqa: PERF401, see `Plan`
        custom = {**config.custom_levels, **self.custom_levels}
        for name in custom:
            number = custom[name]
            levels.append((name.upper(), number, self.custom_colors.get(name.upper(), colors.get(number, ""))))
        return levels

    def _check_room_for_levels(self, wanted: Mapping[str, int]) -> None:
        known = self.core.level_index
        new = {name.upper() for name in wanted} - set(known)
        if len({index for _, index in known.values()} | new) > MAX_LEVELS:
            text = f"custom_levels: more than {MAX_LEVELS} levels in all"
            raise ConfigError(text, field="custom_levels", value=wanted)

    def settings(self) -> LoggerConfig:
        """A copy of the settings in force, as they were given."""
        given = self.given.copy()
        spelt = {name.strip().upper(): name for name in given.custom_levels}
        levels = self.all_custom_levels()
        given.custom_levels = {spelt.get(name, name): levels[name] for name in levels}
        return given

    def all_custom_levels(self) -> dict[str, int]:
        given = self.config.custom_levels
        return {**{name.upper(): given[name] for name in given}, **self.custom_levels}

    def add_level(self, name: str, number: int, color: str | None) -> None:
        """Adds a level of the user's own."""
        from .checks import custom_levels

        checked = custom_levels("custom_levels", {name: number}, {})
        sgr = parse_color(color, field="color") if color is not None else ""
        with self._changing:
            self._check_room_for_levels(checked)
            new = [(key.upper(), checked[key]) for key in checked]
            own = sgr or self.custom_colors.get(name.strip().upper())
            default = self._colors(self.config).get(number, "")

            def fill(plan: Plan) -> None:
                plan.call(self.custom_levels.update, new)
                if sgr:
                    plan.call(self.custom_colors.update, [(name.strip().upper(), sgr)])
                plan.call(define_levels, self.core, [(key, value, own or default) for key, value in new])

            self._change(fill)

    def resolve_level(self, level: Any) -> tuple[int, int]:
        """(number, index) of a level that the core does not know by this spelling."""
        number = level_number(level, self.all_custom_levels())
        names = self.core.level_index
        with self._publishing:
            found = names.get(number)
            if isinstance(level, str):
                found = names.get(level.strip().upper(), found)
            if found is None:
                # The core's table is bounded; what finds no place in it any more shares a name.
                name = _unnamed(number) if len(set(names.values())) < MAX_NAMED_LEVELS else "LEVEL"
                found = (number, self.core.set_level(name, number, self.config.level_colors.get(number, "")))
            if len(names) < 2000:
                names[level] = found
        return found

    # ---- sinks

    def add_sink(self, config: SinkConfig) -> int:
        """Opens a sink and gives it what is logged from now on; the automatic console sink goes."""
        plain = _settings(config, SinkConfig).resolved(self.all_custom_levels())
        return self._change_and_see_out(lambda: self._add(plain))

    def _add(self, plain: SinkConfig) -> int:
        sink = Sink(self.core, next(self._ids), plain, self.config, self.tell)

        def fill(plan: Plan) -> None:
            plan.add(sink)
            plan.set(self, _had_sinks=True)
            self._plan_without_auto_sink(plan)

        try:
            self._change(fill)
        except Exception:
            if sink.id not in self.sinks:
                sink.files.close()
            raise
        return sink.id

    def _plan_without_auto_sink(self, plan: Plan) -> None:
        auto_sink = self.sinks.get(self.auto_sink_id or 0)
        plan.set(self, auto_sink_id=None)
        if auto_sink is not None:
            plan.remove(auto_sink, self._leaving_s)

    def _remove(self, sink_id: int) -> bool:
        """Takes a sink out after it has written what it holds. The lock is not held meanwhile."""

        def change() -> bool:
            sink = self.sinks.get(sink_id)
            if sink is not None:
                self._change(lambda plan: plan.remove(sink, self._leaving_s))
            return sink is not None

        return self._change_and_see_out(change)

    def _change_and_see_out(self, change: Callable[[], Result]) -> Result:
        """Makes a change, after which sinks that get nothing any more write what they hold, and are closed."""
        try:
            with self._changing:
                result = change()
            for sink in list(self._leaving.values()):
                if sink.handle.attends():
                    self._see_out(sink)
            return result
        except BaseException:  # Ctrl-C: the flusher does the rest
            for sink in list(self._leaving.values()):
                sink.handle.unattend()
            raise

    def _see_out(self, sink: Sink) -> None:
        needs_python = sink.target != "fd" or sink.config.filter is not None
        try:
            if self.core.is_inside() and not sink.handle.settle() and needs_python:
                # Its own function, say: what was logged before is still to come to it.
                sink.handle.unattend()
                return
            self._settle(sink)
        except KeyError:
            return  # another thread has removed it, or its own function has forked, and this is the child
        self._finish_removal(sink)

    def _finish_removal(self, sink: Sink) -> None:
        if sink.id not in self._leaving:
            return
        sink.make_durable()
        sink.handle.remove()

    def _see_off(self, *, at_once: bool = False) -> None:
        """Removes the sinks whose removal was left to others, once they have written what they hold."""
        for sink in list(self._leaving.values()):
            if at_once or sink.handle.may_leave():
                self._finish_removal(sink)

    def _settle(self, sink: Sink) -> None:
        """Waits, but not for ever, until the sink has written what was logged before."""
        if not self.core.is_inside() and not sink.handle.settle():
            self.core.flush(self._patience_s)

    @property
    def _patience_s(self) -> float:
        """How long a sink in trouble is given to take what it holds."""
        return float(self.config.stall_timeout) + 0.5

    @property
    def _leaving_s(self) -> float:
        """The same, until somebody else closes a sink that is removed: whoever was about to do so was interrupted."""
        return 2 * self._patience_s + 5

    def remove_sink(self, sink_id: int) -> bool:
        """Writes out what the sink holds and closes it; False when there is no such sink."""
        return sink_id != self.auto_sink_id and self._remove(sink_id)

    def user_sinks(self) -> list[int]:
        return [sink_id for sink_id in list(self.sinks) if sink_id != self.auto_sink_id]

    def set_sink_enabled(self, sink_id: int, is_enabled: bool) -> bool:
        """Switches a sink on or off for what is logged from now on; False when there is no such sink."""
        with self._changing:
            sink = self.sinks.get(sink_id)
            if sink is None:
                return False

            def fill(plan: Plan) -> None:
                if sink in plan.enabled:
                    plan.enabled[sink] = is_enabled
                    plan.set(sink, is_enabled=is_enabled)

            self._change(fill)
            return True

    def sink_stats(self, sink_id: int) -> SinkStats:
        """Counts of one sink; KeyError when there is no such sink."""
        from .stats import SinkStats

        return SinkStats(*self.sinks[sink_id].handle.stats())

    def stats(self) -> Stats:
        """The books."""
        from .stats import Stats

        emitted, written, dropped, failed, size, writes, rotations, errors, high, ring = self.core.stats()
        return Stats(
            emitted=emitted,
            written=written,
            dropped=dropped,
            failed=failed,
            pending=emitted - written - dropped - failed,
            failed_formats=self.core.failed_formats,
            bytes_written=size,
            writes=writes,
            rotations=rotations,
            write_errors=errors,
            blocked_ns=self.core.blocked_ns,
            ring_high_water=high,
            ring_size=ring,
        )

    def switch(self, is_on: bool) -> None:
        """All output on or off."""
        self._change(lambda plan: setattr(plan, "is_on", is_on))

    def reopen(self) -> None:
        """Opens every file by its name again, after what was logged before has been written."""
        self.core.flush(self._patience_s)
        with self._changing:
            for sink in list(self.sinks.values()) if not self.is_closed else ():
                sink.reopen()

    # ---- context

    def context_variable(self) -> ContextVar[Any]:
        """The variable that holds the current context's fields; from the first use on, records look at it."""
        from _contextvars import ContextVar  # the compiled one, which the core reads

        return self.core.use_context(ContextVar(f"logly-{self.name}"))

    # ---- the flusher's Python work

    def do_work(self) -> None:
        """What sinks want of Python; runs on the flusher's thread (or the caller's, when there is none any more)."""
        self._tell_errors()
        self._remove_finished_spools()
        life = self.core.lives
        for sink_id, rotates, reopens, streams, records, error in self.core.take_work():
            if self.core.lives != life:  # a function has forked, and this is the child
                return
            sink = self.sinks.get(sink_id) or self._leaving.get(sink_id)
            if sink is None:
                continue
            try:
                if error:
                    sink.tell(OSError(error, os.strerror(error), sink.path))
                if rotates:
                    sink.rotate()
                if reopens:
                    sink.reopen()
                if streams:
                    sink.write_stream()
                if records:
                    sink.handle_records()
            except KeyError:
                continue  # removed in the meantime
            except Exception as trouble:
                self.tell(trouble)
                sink.handle.set_aside()
        if self._leaving:
            self._see_off()
        self._tell_errors()

    def tell(self, error: BaseException) -> None:
        """Has `on_error` told, on the flusher's thread."""
        self.core.tell(error)

    def _tell_errors(self) -> None:
        for _ in range(len(self.core.errors)):  # what on_error itself brings up is told the next time
            try:
                error = self.core.errors.popleft()
            except IndexError:  # another thread has told it
                return
            self._tell_now(error)

    def _tell_now(self, error: BaseException, *, at_once: bool = False) -> None:
        try:
            if self.config.on_error is not None:
                self.core.call_outside(self.config.on_error, error)
            else:
                self._reports.tell(error, at_once=at_once)
        except Exception as trouble:
            self._reports.tell(trouble)

    # ---- end

    def close(self, timeout: float | None = None, *, gives_way: bool = False) -> bool:
        """Flushes, stops the flusher, closes the files. Later records are written by their callers.

        `gives_way`: as for `flush`. Not where the program does not expect it: from a ``__del__``, at the exit.
        """
        deadline = None if timeout is None else monotonic() + timeout
        flushed = self.core.flush(timeout) if self.core.is_inside() else self.flush(timeout, gives_way=gives_way)
        self._change(lambda plan: setattr(plan, "is_closed", True))
        # Not under the lock: a sink's function may want it, and the flusher ends after that.
        if not self.flusher.stop(None if deadline is None else deadline - monotonic(), gives_way=gives_way):
            # It takes longer, or this is its own thread (a function, the collector): `after_flusher` does the rest.
            self._flusher_closes = True
            if self.flusher.is_running:
                return False
        if not self.core.is_inside():
            left = self._patience_s if deadline is None else max(0.0, deadline - monotonic())
            self.flusher.await_last_line(min(left, self._patience_s))  # it may be syncing the spool
        self._end(lasts=not self.core.is_inside())
        return flushed or self.core.pending() == 0

    def _end(self, *, lasts: bool) -> None:
        if self._spool is not None:
            # What is logged from now on is written before the call returns: it needs no spool.
            self.core.use_memory(self.core.ring_capacity)
        self.core.drain_here()
        self._remove_finished_spools()
        if lasts:
            self._close_files()
            self.has_ended = True

    def _close_files(self) -> None:
        """Gives up what sinks in trouble have not taken, and closes what was opened."""
        lost = self.core.abandon()
        self._tell_errors()
        if lost:
            error = LoglyError(f"{lost} records could not be written before the logger was closed")
            self._tell_now(error, at_once=True)
        self._reports.tell_rest()
        with self._changing:
            # At exit they stay open: for a record that is later still, Python could not open them again.
            self._see_off(at_once=True)
            for sink in [] if self.flusher.is_final else list(self.sinks.values()):
                sink.release_file()

    def finish(self) -> None:
        """At exit: waits as long as sinks take something, but not for one that does not."""
        before = None
        while not self.core.flush(self._patience_s):
            now = self.core.progress()
            if now == before:
                break
            before = now
        self.flusher.is_final = True
        if not self.close(self._patience_s) and self.flusher.is_running:
            self.core.give_up()
        else:
            self.flusher.await_last_line(self._patience_s)
        for sink in self.sinks.values():
            sink.outlive_modules()

    # ---- fork

    def after_fork_in_child(self) -> None:
        """The child has no flusher and empty rings; its own flusher starts with its first record."""
        self._changing = SystemLock()
        self._publishing = SystemLock()
        self._recovering = Turn()
        self._reports = StderrReports(self.name)
        self.flusher.reset_after_fork()
        # What other threads of the parent were about to add or to remove at that moment is not there.
        for sink in [*self._leaving.values(), *self.sinks.values()]:
            if sink.id in self._leaving or not sink.handle.is_registered:
                self.sinks.pop(sink.id, None)
                sink.drop()
        self._leaving.clear()
        for sink in self.sinks.values():
            sink.after_fork_in_child()
        self._change(lambda plan: None)
        if self.core.pending():  # what other libraries' hooks have logged before this one
            if self._wanted_post()["start"]:
                self.start_flusher()
            else:
                self.core.drain_here()


def _unnamed(number: int) -> str:
    """The name of a level that has none, as the standard library has it."""
    return f"LEVEL {number}"


def _settings(config: Settings, kind: type[Settings]) -> Settings:
    """`config`, which is what it must be: a path or a dict in its place is told as what it is."""
    if isinstance(config, kind):
        return config
    raise invalid("config", config, f"a {kind.__name__}")


def _power_of_two(size: int) -> int:
    return 1 << max(size - 1, 4095).bit_length()
