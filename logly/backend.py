"""What stands behind a logger and its bound children: the engine, its flusher, its sinks, its levels.

All of this runs rarely (configuration, start, exit, fork); nothing of it runs per log call.
"""

from __future__ import annotations

import os
import sys

from . import process
from ._core import Core, spool_sync_every, take_sync_error
from .colors import DEFAULT_LEVEL_COLORS, parse_color
from .config import LoggerConfig, SinkConfig
from .errors import ConfigError, LoglyError, invalid
from .flusher import Flusher
from .levels import Level, level_number
from .reports import StderrReports
from .sinks import MAX_LEVEL, Sink
from .system import SystemLock, Turn, monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextvars import ContextVar
    from typing import Any, TypeVar

    from .stats import SinkStats, Stats

    Settings = TypeVar("Settings", LoggerConfig, SinkConfig)

__all__ = ["Backend"]

OFF = MAX_LEVEL + 1
"""A threshold that no level reaches."""

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
        self.sinks: dict[int, Sink] = {}
        self.auto_sink_id: int | None = None
        self.is_on = True
        self.is_closed = False
        self.threshold = OFF
        self.custom_levels: dict[str, int] = {}
        self.custom_colors: dict[str, str] = {}
        self._leaving: dict[int, Sink] = {}
        self._departing: list[tuple[Sink, float]] = []  # with the time by which they go
        self._had_sinks = False
        self._next_id = 1
        self._changing = SystemLock()
        # For what producers go by. A log call may take it, so nobody waits for anything with it held.
        self._publishing = SystemLock()
        self._reports = StderrReports(name)
        self._context: ContextVar[Any] | None = None
        self.core.on_work = self.do_work
        self.core.start_flusher = self.start_flusher
        self.core.level_resolver = self.resolve_level
        self.core.make_ring = self._make_ring_in_child
        self.recovery_pending = False
        self._recovering = Turn()
        self._spool: str | None = None
        self._syncs = False
        self._check_room_for_levels({**{level.name: int(level) for level in Level}, **self.config.custom_levels})
        self._define_levels()
        self._use_spool(self.config)
        if self.config.auto_sink:
            self.auto_sink_id = self._add(SinkConfig().resolved())
        self._apply()
        process.add(self)

    # ---- configuration

    def configure(self, config: LoggerConfig) -> None:
        """Takes over new settings; raises ConfigError before anything is changed."""
        plain = _settings(config, LoggerConfig).resolved(self.custom_levels)
        with self._changing:
            self._check_room_for_levels(plain.custom_levels)
            self._use_spool(plain)
            self.given = config.copy()
            self.config = plain
            self._define_levels()
            self._apply()
            for sink in self.sinks.values():
                sink.update(plain)
            self._refresh()
            if plain.auto_sink and self.auto_sink_id is None and not self._had_sinks:
                self.auto_sink_id = self._add(SinkConfig().resolved())
            for sink in self.sinks.values():
                self._switch(sink)
            self._refresh()
        if not plain.auto_sink:
            self._remove_auto_sink()

    def _apply(self) -> None:
        config = self.config
        self.core.configure(
            threshold=self.threshold,
            flush_level=OFF if config.flush_level is None else int(config.flush_level),
            ring_capacity=_power_of_two(int(config.async_buffer_size)),
            interval_ns=int(config.async_flush_interval * 1_000_000),
            drops=config.overflow == "drop",
            max_message_bytes=int(config.max_message_bytes),
            stall_ns=int(config.stall_timeout * 1_000_000_000),
        )
        self._refresh()

    def _refresh(self) -> None:
        """Works out what producers go by: the threshold, what records must carry, what follows a commit."""
        active = self._active_sinks()
        lowest = [sink.config.filter_min_level for sink in active]
        if not active or not self.is_on:
            self.threshold = OFF
        elif None in lowest:
            self.threshold = int(self.config.level)
        else:
            self.threshold = max(int(self.config.level), min(int(level) for level in lowest if level is not None))
        needs = [sink.needs for sink in active]
        self.core.set_needs(
            site=any(site for site, _, _ in needs),
            thread=any(thread for _, thread, _ in needs),
            thread_name=any(name for _, _, name in needs),
        )
        self._publish_post()
        self.core.set_threshold(self.threshold)

    def _publish_post(self) -> None:
        """Tells producers what follows a commit. Start and close may meet: the last word is what holds then."""
        with self._publishing:
            told = None
            # Again when a signal handler in here has changed something.
            while told != (post := self._wanted_post()):
                self.core.set_post(**post)
                told = post

    def _wanted_post(self) -> dict[str, bool]:
        active = self._active_sinks()
        runs = self.flusher.is_running
        by_caller = self.is_closed or (self.flusher.cannot_start and not runs)
        is_async = any(sink.config.async_write or sink.target != "fd" for sink in active)
        return {
            # Also while callers do its work because no thread could be started: one may be to be had by now.
            "start": (self._is_to_recover or ((is_async or self.config.spool_fsync is not None) and not runs))
            and not self.is_closed
            and not self.flusher.is_final,
            "sync": any(not sink.config.async_write for sink in active) and not by_caller,
            "drain": by_caller,
            "wake": any(sink.interval_ms == 0 for sink in active) and not by_caller,
        }

    def _active_sinks(self) -> list[Sink]:
        # Of a copy: without a GIL another thread may add one meanwhile.
        return [sink for sink in list(self.sinks.values()) if self._is_active(sink)]

    def _is_active(self, sink: Sink) -> bool:
        config = self.config
        if sink.is_console and not config.global_console_display:
            return False
        if sink.is_file and not config.global_file_storage:
            return False
        return sink.is_enabled

    def start_flusher(self) -> None:
        """Called by the first record that finds no flusher."""
        if self._is_to_recover and (self.core.is_inside() or not self.recover()):
            return  # another thread is at it, or will be, and starts the flusher after that
        if not self.is_closed:
            self.flusher.start()
        self._publish_post()

    def after_flusher(self) -> None:
        """The flusher's loop has ended; on its own thread."""
        self._publish_post()
        if self._flusher_closes:
            self.core.flush(self._patience_s)
            self._close_files()

    # ---- the spool

    def _use_spool(self, config: LoggerConfig) -> None:
        """Has records go where the settings say: into a spool, or into plain memory. Raises SpoolError, ConfigError."""
        path = None if config.spool is None else os.path.abspath(os.fspath(config.spool))
        capacity = _power_of_two(int(config.async_buffer_size))
        syncs = config.spool_fsync is not None
        if path is None:
            if self._spool is not None:
                self.core.use_memory(capacity)
        elif path != self._spool or capacity != self.core.ring_capacity or syncs != self._syncs:
            if sys.platform == "win32":
                raise ConfigError("spool is not available on Windows: leave it out", field="spool", value=path)
            from .spool import open_spool

            open_spool(self.core, path, capacity, syncs=syncs)
            self.recovery_pending = self.recovery_pending or path != self._spool
        self._spool, self._syncs = path, syncs
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

                assert self._spool is not None
                open_spool(self.core, self._spool, capacity, syncs=self._syncs)
            except RecursionError:  # it says nothing about the spool: the next record tries again
                raise
            except Exception as trouble:
                self.core.use_memory(capacity)
                self._spool = None
                self.tell(trouble)

    @property
    def _is_to_recover(self) -> bool:
        # A sink that is switched off takes nothing: without another one, what was left is to stay where it is.
        if not self.recovery_pending or self._spool is None:
            return False
        return any(sink.id != self.auto_sink_id for sink in self._active_sinks())

    def recover(self, timeout: float | None = None) -> bool:
        """Has the sinks write what dead processes left in their spools; False while another thread does.

        On the thread of whoever logs or flushes first once there is a sink, so that it has all that are added at the
        start; and before there is a flusher, so that nothing new is written earlier.
        """
        deadline = None if timeout is None else monotonic() + timeout
        with self._recovering as is_mine:
            if is_mine and self._is_to_recover and self._spool is not None:
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
        if self._is_to_recover and self.recover(timeout):
            has_recovered = not self.recovery_pending
        left = None if deadline is None else deadline - monotonic()
        return self.core.flush(left, gives_way) and has_recovered

    def _remove_finished_spools(self) -> None:
        for file in self.core.finished_spools():
            from .spool import remove

            remove(file)
        error = take_sync_error(self.core) if self._syncs else 0
        if error:
            text = "not synced, the loss of power would lose records (spool_fsync)"
            self.tell(OSError(error, f"{text}: {os.strerror(error)}", self._spool))

    # ---- levels

    def _define_levels(self) -> None:
        colors = {**DEFAULT_LEVEL_COLORS}
        colors = {number: parse_color(color) for number, color in colors.items()}
        colors.update(self.config.level_colors)
        with self._publishing:
            self._tell_levels(colors)

    def _check_room_for_levels(self, wanted: Mapping[str, int]) -> None:
        known = self.core.level_index
        new = {name.upper() for name in wanted} - set(known)
        if len({index for _, index in known.values()} | new) > MAX_LEVELS:
            text = f"custom_levels: more than {MAX_LEVELS} levels in all"
            raise ConfigError(text, field="custom_levels", value=wanted)

    def _tell_levels(self, colors: dict[int, str]) -> None:
        for level in Level:
            self.core.set_level(level.name, int(level), colors.get(int(level), ""))
        for name, number in {**self.config.custom_levels, **self.custom_levels}.items():
            color = self.custom_colors.get(name.upper(), colors.get(number, ""))
            names = self.core.level_index
            known = names.get(name.upper())
            if known is not None and known[0] != number:  # a new number: other spellings are looked up again
                for spelling in [key for key, found in names.items() if found == known and key != name.upper()]:
                    del names[spelling]
            self.core.set_level(name.upper(), number, color)
            if number in names and names[number] == names.get(_unnamed(number)):
                names[number] = names[name.upper()]  # it was logged by its number before it had a name

    def settings(self) -> LoggerConfig:
        """A copy of the settings in force, as they were given."""
        given = self.given.copy()
        spelt = {name.strip().upper(): name for name in given.custom_levels}
        levels = {spelt.get(name, name): number for name, number in self.all_custom_levels().items()}
        given.custom_levels = levels
        return given

    def all_custom_levels(self) -> dict[str, int]:
        own = {name.upper(): number for name, number in self.config.custom_levels.items()}
        return {**own, **self.custom_levels}

    def add_level(self, name: str, number: int, color: str | None) -> None:
        """Adds a level of the user's own."""
        from .checks import custom_levels

        checked = custom_levels("custom_levels", {name: number}, {})
        sgr = parse_color(color, field="color") if color is not None else ""
        with self._changing:
            self._check_room_for_levels(checked)
            self.custom_levels.update({key.upper(): value for key, value in checked.items()})
            if sgr:
                self.custom_colors[name.strip().upper()] = sgr
            self._define_levels()

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
        with self._changing:
            sink_id = self._add(plain)
            self._had_sinks = True
            self._refresh()
        self._remove_auto_sink()
        return sink_id

    def _add(self, plain: SinkConfig) -> int:
        sink_id = self._next_id
        sink = Sink(self.core, sink_id, plain, self.config, self.tell)
        self._next_id += 1
        self.sinks[sink_id] = sink
        try:
            sink.is_on = self._is_active(sink)
            sink.register(is_enabled=sink.is_on)
        except BaseException:  # Ctrl-C
            del self.sinks[sink_id]
            raise
        return sink_id

    def _remove_auto_sink(self) -> None:
        with self._changing:
            sink_id, self.auto_sink_id = self.auto_sink_id, None
        if sink_id is not None:
            self._remove(sink_id)

    def _remove(self, sink_id: int) -> bool:
        """Takes a sink out after it has written what it holds. The lock is not held meanwhile."""
        with self._changing:
            sink = self.sinks.get(sink_id)
            if sink is None:
                return False
            self._leaving[sink_id] = sink  # first, for a child that is forked meanwhile
            del self.sinks[sink_id]
            sink.handle.stop()
            self._refresh()
        needs_python = sink.target != "fd" or sink.config.filter is not None
        if self.core.is_inside() and not sink.handle.settle() and needs_python:
            # Its own function, say: what was logged before is still to come to it.
            self._departing.append((sink, monotonic() + self._patience_s))
            self.core.want_python()
            return True
        try:
            self._settle(sink)
        finally:
            self._finish_removal(sink)
        return True

    def _finish_removal(self, sink: Sink) -> None:
        if sink.id not in self._leaving:
            return  # its own function has forked, and this is the child
        sink.make_durable()
        sink.handle.remove()
        sink.close()
        del self._leaving[sink.id]  # last, for a child that is forked meanwhile

    def _see_off(self, *, at_once: bool = False) -> None:
        """Removes the sinks that were removed from inside, once they have written what they hold."""
        for departing in list(self._departing):
            sink, deadline = departing
            if sink.handle.settle() or at_once or monotonic() >= deadline:
                try:
                    self._departing.remove(departing)
                except ValueError:  # another thread has seen it off
                    continue
                self._finish_removal(sink)

    def _settle(self, sink: Sink) -> None:
        """Waits, but not for ever, until the sink has written what was logged before."""
        if not self.core.is_inside() and not sink.handle.settle():
            self.core.flush(self._patience_s)

    @property
    def _patience_s(self) -> float:
        """How long a sink in trouble is given to take what it holds."""
        return float(self.config.stall_timeout) + 0.5

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
            sink.is_enabled = is_enabled
            self._switch(sink)
            self._refresh()
            return True

    def _switch(self, sink: Sink) -> None:
        """Tells the core whether the sink is on; it has what was logged before the change, and nothing between."""
        is_on = self._is_active(sink)
        if is_on == sink.is_on:
            return
        sink.is_on = is_on
        if is_on:
            self._settle(sink)  # or what it was to have from before it was switched off would be forgotten
            sink.handle.start()
        else:
            sink.handle.stop()

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
        with self._changing:
            self.is_on = is_on
            self._refresh()

    def reopen(self) -> None:
        """Opens every file by its name again, after what was logged before has been written."""
        self.core.flush(self._patience_s)
        with self._changing:
            for sink in self.sinks.values() if not self.is_closed else ():
                sink.reopen()

    # ---- context

    def context_variable(self) -> ContextVar[Any]:
        """The variable that holds the current context's fields; from the first use on, records look at it."""
        with self._publishing:
            if self._context is None:
                from _contextvars import ContextVar  # the compiled one, which the core reads

                self._context = ContextVar(f"logly-{self.name}")
                self.core.use_context(self._context)
            return self._context

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
        if self._departing:
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
        with self._changing:
            self.is_closed = True
            self._refresh()
        # Not under the lock: a sink's function may want it, and the flusher ends after that.
        if not self.flusher.stop(None if deadline is None else deadline - monotonic(), gives_way=gives_way):
            # It takes longer, or this is its own thread (a function, the collector): `after_flusher` does the rest.
            self._flusher_closes = True
            if self.flusher.is_running:
                return False
        if not self.core.is_inside():
            left = self._patience_s if deadline is None else max(0.0, deadline - monotonic())
            self.flusher.await_last_line(min(left, self._patience_s))  # it may be syncing the spool
        if self._spool is not None:
            # What is logged from now on is written before the call returns: it needs no spool.
            self.core.use_memory(self.core.ring_capacity)
        self.core.drain_here()
        self._remove_finished_spools()
        if not self.core.is_inside():
            self._close_files()
        return flushed or self.core.pending() == 0

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
        self._departing.clear()
        for sink in self.sinks.values():
            sink.after_fork_in_child()
        self._refresh()
        if self.core.pending():  # what other libraries' hooks have logged before this one
            if self._wanted_post()["start"]:
                self.start_flusher()
            else:
                self.core.drain_here()


class Lifeline:
    """Held by every logger of a backend: when the last one is gone, what was logged is written and the flusher ends."""

    __slots__ = ("backend",)

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    def __del__(self) -> None:
        backend = getattr(self, "backend", None)
        if backend is not None and not backend.is_closed:
            # Bounded, for the collector runs in any thread; the flusher goes on by itself after that.
            backend.close(backend._patience_s)


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
