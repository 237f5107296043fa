"""The spool of one logger: which one its records go into, and what dead processes left in theirs."""

from __future__ import annotations

import os
import sys

from logly._core import remove_finished_spools, spool_sync_every, take_sync_error
from logly.errors import ConfigError
from logly.system.unpatched import TryLock, monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from logly.config.schema import LoggerConfig

    from .controller import Controller
    from .sinks import Sink

__all__ = ["Spooling", "ring_capacity_of"]


def ring_capacity_of(config: LoggerConfig) -> int:
    """Bytes of a ring with these settings (resolved): a power of two."""
    return 1 << max(int(config.async_buffer_size) - 1, 4095).bit_length()


class Spooling:
    """A logger's use of spools; without the setting it does nothing.

    Args:
        controller: the logger's.
    """

    def __init__(self, controller: Controller) -> None:
        self.controller = controller
        self.core = controller.core
        self.is_recovery_pending = False
        """Dead processes may have left something that no sink has been given yet."""
        self._recovering = TryLock()

    @property
    def path(self) -> str | None:
        """The configured name of the spool that records go into."""
        base = self.core.spool_base
        return base[0] if base is not None else None

    def use(self, config: LoggerConfig) -> None:
        """Has records go where the settings say: into a spool, or into plain memory. Raises SpoolError, ConfigError."""
        path = None if config.spool is None else os.path.abspath(os.fspath(config.spool))
        capacity = ring_capacity_of(config)
        syncs = config.spool_fsync is not None
        if path is None:
            if self.path is not None:
                self.core.use_memory(capacity)
        elif (path, syncs) != self.core.spool_base or capacity != self.core.ring_capacity:
            if sys.platform == "win32":
                raise ConfigError("spool is not available on Windows: leave it out", field="spool", value=path)
            from logly.spool.spools import open_spool

            # Before, because nobody could say it if an interrupt came after.
            self.is_recovery_pending = self.is_recovery_pending or path != self.path
            open_spool(self.core, path, capacity, syncs=syncs)
        if config.spool_fsync is not None:
            spool_sync_every(self.core, int(config.spool_fsync * 1_000_000))

    def make_ring_in_child(self, config: LoggerConfig) -> None:
        """A forked child's first record: it gets a spool of its own, or, where that fails, plain memory."""
        if not self.core.ring_wanted:
            return
        capacity = ring_capacity_of(config)
        try:
            from logly.spool.spools import open_spool

            assert self.core.spool_base is not None
            path, syncs = self.core.spool_base
            open_spool(self.core, path, capacity, syncs=syncs)
        except RecursionError:  # it says nothing about the spool: the next record tries again
            raise
        except Exception as trouble:  # noqa: BLE001  # whatever it is, the child logs without a spool
            self.core.use_memory(capacity)
            self.core.report(trouble)

    def is_to_recover(self, active: list[Sink] | None = None) -> bool:
        """Whether what dead processes left is to be written now. `active`: the sinks that get anything."""
        # A sink that is switched off takes nothing: without another one, what was left is to stay where it is.
        if not self.is_recovery_pending or self.path is None:
            return False
        return self._sinks_for_recovery(active) != []

    def _sinks_for_recovery(self, active: list[Sink] | None = None) -> list[Sink]:
        found = []  # without a cell variable, see `Plan`
        for sink in self.controller.active_sinks() if active is None else active:
            if sink.id != self.controller.auto_sink_id:
                found.append(sink)  # noqa: PERF401
        return found

    def recover(self, timeout: float | None = None) -> bool:
        """Has the sinks write what dead processes left in their spools; False while another thread does.

        On the thread of whoever logs or flushes first once there is a sink, so that it has all that are added at the
        start; and before there is a flusher, so that nothing new is written earlier.
        """
        deadline = None if timeout is None else monotonic() + timeout
        with self._recovering as is_mine:
            if is_mine and self.is_to_recover() and self.path is not None:
                from .recovery import recover_dead

                sinks = [sink.for_recovery() for sink in self._sinks_for_recovery()]
                self.is_recovery_pending = not recover_dead(self.controller, self.path, sinks, deadline)
            return is_mine

    def remove_finished(self) -> None:
        """Removes the files of spools of which all was written, and reports where a spool could not be synced."""
        remove_finished_spools(self.core)
        error = take_sync_error(self.core)
        if error:
            text = "not synced, the loss of power would lose records (spool_fsync)"
            self.core.report(OSError(error, f"{text}: {os.strerror(error)}", self.path))

    def end(self) -> None:
        """The logger is closed: what is logged later is written before the call returns, and needs no spool."""
        if self.path is not None:
            self.core.use_memory(self.core.ring_capacity)

    def after_fork_in_child(self) -> None:
        """Another thread of the parent may have been recovering."""
        self._recovering = TryLock()
