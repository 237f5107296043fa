"""A logger's spool: where its records go, and the delivery of what dead processes left."""

from __future__ import annotations

import errno
import os
import sys

from logly._core import lost_spool, remove_finished_spools, spool_recorder, spool_sync_every, take_sync_error
from logly.errors import ConfigError, SpoolError
from logly.system.unpatched import TryLock, monotonic

from .recording import recorder_capacity_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from logly.config.schema import LoggerConfig

    from .controller import Controller
    from .later import Later
    from .sinks import Sink

__all__ = ["Spooling", "ring_capacity_of"]


def ring_capacity_of(config: LoggerConfig) -> int:
    """Bytes of a ring with these resolved settings: a power of two."""
    return 1 << max(int(config.async_buffer_size) - 1, 4095).bit_length()


class Spooling:
    """A logger's use of spools. It does nothing unless the logger's settings name a spool.

    Args:
        controller: the logger's controller.
    """

    def __init__(self, controller: Controller) -> None:
        self.controller = controller
        self.core = controller.core
        self.is_recovery_pending = False
        """Whether dead processes may have left records that no sink has got yet."""
        self._recovering = TryLock()
        self.later: Later | None = None
        """Sends what dead processes left to batch sinks, for which no log call waits."""
        self._told_lost: str | None = None

    @property
    def path(self) -> str | None:
        """The configured path of the spool that records go into; None: they go into plain memory."""
        base = self.core.spool_base
        return base[0] if base is not None else None

    def use(self, config: LoggerConfig) -> None:
        """Makes records go where the settings say: into a spool or plain memory. Raises SpoolError, ConfigError."""
        path = None if config.spool is None else _absolute(os.fspath(config.spool))
        capacity = ring_capacity_of(config)
        recorder = recorder_capacity_of(config)
        syncs = config.spool_fsync is not None
        if path is None:
            if self.path is not None:
                self.core.use_memory(capacity)
        elif (
            (path, syncs) != self.core.spool_base
            or capacity != self.core.ring_capacity
            or recorder != spool_recorder(self.core)
        ):
            if sys.platform == "win32":
                raise ConfigError("spool is not available on Windows: leave it out", field="spool", value=path)
            from logly.spool.spools import open_spool

            from . import later, recovery  # noqa: F401  # a log call needs it, which may come when nothing can be imported

            # Set before the spool is opened: an interrupt right after the opening could prevent it.
            self.is_recovery_pending = self.is_recovery_pending or path != self.path
            open_spool(self.core, path, capacity, recorder_bytes=recorder, syncs=syncs)
        if config.spool_fsync is not None:
            spool_sync_every(self.core, int(config.spool_fsync * 1_000_000))

    def make_ring_in_child(self, config: LoggerConfig) -> None:
        """Gives a forked child its own spool, or plain memory if that fails. Called at the child's first record."""
        if not self.core.ring_wanted:
            return
        capacity = ring_capacity_of(config)
        try:
            from logly.spool.spools import open_spool

            assert self.core.spool_base is not None
            path, syncs = self.core.spool_base
            open_spool(self.core, path, capacity, recorder_bytes=recorder_capacity_of(config), syncs=syncs)
        except RecursionError:  # this says nothing about the spool; the next record tries again
            raise
        except Exception as trouble:  # noqa: BLE001  # whatever it is, the child can log without a spool
            self.core.use_memory(capacity)
            self.core.report(trouble)

    def is_to_recover(self, active: list[Sink] | None = None) -> bool:
        """Whether what dead processes left should be written now. `active`: the sinks that get records."""
        # A sink that is switched off writes nothing. If there is no other sink, the records stay in the spool.
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
        """Has the sinks write what dead processes left in their spools. Returns False while another thread does that.

        This runs on the thread that first logs or flushes, so that all sinks that a program adds at its start get it.
        It runs before the flusher starts, so that old records are written before new ones.
        """
        deadline = None if timeout is None else monotonic() + timeout
        with self._recovering as is_mine:
            if is_mine and self.is_to_recover() and self.path is not None:
                from .recovery import recover_dead

                near = [sink.for_recovery() for sink in self._sinks_for_recovery() if sink.target != "batch"]
                far = [sink for sink in self._sinks_for_recovery() if sink.target == "batch"]
                is_done = not near or recover_dead(self.controller, self.path, near, deadline, holds=bool(far))
                if is_done and far:
                    from .later import Later

                    self.end_later()
                    self.later = Later(self.controller, self.path, far)
                self.is_recovery_pending = not is_done
            return is_mine

    def end_later(self) -> None:
        """Leaves what batch sinks have not sent yet of dead processes to the next start."""
        later, self.later = self.later, None
        if later is not None:
            later.stop()

    def remove_finished(self) -> None:
        """Removes the files of spools whose records are all written. Reports it if a spool could not be synced."""
        if not self.core.has_spools:
            return  # without looking at a global: the sinks' work is done after the interpreter has emptied the modules
        remove_finished_spools(self.core)
        error = take_sync_error(self.core)
        if error:
            text = "not synced, the loss of power would lose records (spool_fsync)"
            self.core.report(OSError(error, f"{text}: {os.strerror(error)}", self.path))

    def renew_lost(self) -> None:
        """Makes the spool anew if its file is gone.

        What is logged from now on goes there, and what waits in the old one is written.
        Called on the thread that does the sinks' Python work, about once a second as long as the file is gone.
        """
        path = lost_spool(self.core)
        base = self.core.spool_base
        if path is None or base is None:
            return
        what = "its file is gone (removed, renamed, replaced, or its descriptor closed) while this process uses it"
        try:
            from logly.spool.spools import open_spool

            recorder = spool_recorder(self.core)
            file = open_spool(self.core, base[0], self.core.ring_capacity, recorder_bytes=recorder, syncs=base[1])
        except RecursionError:  # this says nothing about the spool; the next look tries again
            raise
        except Exception as trouble:  # noqa: BLE001  # the old one is used on
            if self._told_lost != path:
                self._told_lost = path
                text = f"{what}, and it cannot be made anew: a kill would lose what waits to be written ({trouble})"
                self.core.report(SpoolError(errno.ENOENT, text, path))
        else:
            self._told_lost = None
            text = f"{what}; it has been made anew: {file.path}"
            self.core.report(SpoolError(errno.ENOENT, text, path))

    def end(self) -> None:
        """Stops using the spool. Once the logger is closed, each call writes its own record and needs no spool."""
        self.end_later()
        if self.path is not None:
            self.core.use_memory(self.core.ring_capacity)

    def after_fork_in_child(self) -> None:
        """Makes a new lock: another thread of the parent may have held the old one while it recovered."""
        self._recovering = TryLock()
        self.later = None  # the parent goes on with it


def _absolute(path: str) -> str:
    if os.path.isabs(path):
        return os.path.abspath(path)
    from logly.files.paths import current_folder

    return os.path.abspath(os.path.join(current_folder(path, SpoolError), path))
