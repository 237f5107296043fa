"""A sink with its own file. Python opens, rotates and reopens the file; the core writes to its descriptor."""

from __future__ import annotations

import errno
import os
import sys

from logly.errors import SinkError
from logly.files.logfile import LogFile
from logly.files.opening import sync_file, sync_name, torn_size
from logly.system.unpatched import SystemLock

from .sinks import Sink, zone_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from logly._core import PythonWork
    from logly.config.schema import LoggerConfig, SinkConfig

__all__ = ["FileSink"]

ROTATION_RETRY_NS = 1_000_000_000
"""How long to wait before a failed rotation is tried again."""


class FileSink(Sink):
    """A sink whose settings have a `path`; see `Sink`."""

    is_file = True

    def _prepare(self) -> None:
        # The flusher rotates and reopens the file. `Logger.reopen` also does, on the thread that calls it.
        self._changing_file = SystemLock()
        zone = zone_of(self.logger_config)
        self.file = LogFile(self.config, zone=zone, on_error=self.on_error, files=self.files)
        self.make_durable()

    @property
    def path(self) -> str:
        """Its file's name."""
        return self.file.path

    @property
    def place(self) -> tuple[str, object]:
        return "path", os.path.realpath(self.path)

    def is_allowed(self, logger_config: LoggerConfig) -> bool:
        return bool(logger_config.global_file_storage)

    def for_recovery(self) -> SinkConfig:
        """Its settings for delivering what a dead process left.

        The path is the present file's, so that a template with ``{time}`` does not make another file.
        """
        config = self.config.copy()
        config.path = self.path.replace("{", "{{").replace("}", "}}")
        return config

    def _destination(self) -> dict[str, Any]:
        config, file = self.config, self.file
        period_from_ns, period_end_ns = file.period_ns
        return {
            "fd": file.fd,
            "path": file.path,
            "is_ours": True,
            "lock_fd": file.lock_fd,
            "watched": config.watch,
            "size_limit": int(config.size_limit or 0),
            "period_from_ns": period_from_ns,
            "period_end_ns": period_end_ns,
            "torn_size": torn_size(file.fd, file.path),
        }

    def do_work(self, work: PythonWork) -> None:
        if work.is_lost:
            text = (
                "other code has closed the log file's descriptor (see Logger.filenos); it is opened again by its name"
            )
            self.report(SinkError(errno.EBADF, text, self.path))
        if work.rotates:
            self.rotate()
        if work.reopens:
            self.reopen()
        super().do_work(work)

    def rotate(self) -> None:
        """Begins a new file. The core has found that one is due, and has written all that belongs into the old one."""
        file = self.file
        if sys.is_finalizing():
            # Nothing can be imported now, and no thread can be started. The next start rotates the file.
            self.handle.postpone_rotation(ROTATION_RETRY_NS)
            return
        with self._changing_file:
            if not file.is_intact:
                self.reopen()
            begins_ns, next_bytes = self.handle.rotation_due()
            try:
                done = file.rotate(begins_ns, next_bytes)
            except OSError as trouble:
                self.report(trouble)
                self.handle.postpone_rotation(ROTATION_RETRY_NS)
                return
            if done.file is not None:
                self._sync(done.file.fd)
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
        with self._changing_file:
            try:
                new, lock = file.reopen()
            except SinkError as trouble:
                self.report(trouble)
                self.handle.retry_later()
                return
            self._sync(new.fd)
            self.handle.replace_file(self.files, new, lock, file.path, torn_size(new.fd, file.path))

    def make_durable(self) -> bool:
        """Syncs its file and the file's name if `is_durable`. Returns False if that failed."""
        return self._sync(-1)

    def _sync(self, coming: int) -> bool:
        """Does `make_durable`, and also syncs the next file if `coming`, its descriptor, is not -1."""
        if not self.is_durable:
            return True
        try:
            for fd in (self.file.fd, coming):
                if fd >= 0:
                    sync_file(fd)
            sync_name(self.file.path)
        except OSError as trouble:
            self.report(trouble)
            return False
        return True

    def release_file(self) -> None:
        """Closes the log file; a later record opens it again."""
        with self._changing_file:
            self.handle.replace_file(self.files, None, None, self.file.path)

    def after_fork_in_child(self) -> None:
        """Closes the inherited file if it rotates or has the process id in its name; the next write opens it again.

        A file that rotates needs its own lock in the child.
        """
        self._changing_file = SystemLock()
        file = self.file
        if file.is_rotating or "{pid}" in str(self.config.path):
            file.after_fork_in_child()
            self.handle.replace_file(self.files, None, None, file.path)

    def remove_in_child(self) -> None:
        self._changing_file = SystemLock()
        super().remove_in_child()
