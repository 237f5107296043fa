"""Rotating a log file that one process or several processes write to.

**The protocol of processes that share a file.** Beside ``app.log`` lies the lock file ``.app.log.lock``. Each process
that writes has it open (`open_lock`) and does the following:

1. It takes ``flock`` exclusively (``LOCK_EX``) around each batch of writes. While it holds the lock, it compares the
   device and inode of its open file with those of the path. If they differ, another process has rotated, and this one
   reopens the file before it writes. It also checks the size, so that the limit is exact whichever process writes.
2. If rotation is due, it releases the lock and calls `rotate`. That takes the lock again, checks again whether the path
   still names the caller's file and rotation is still due, and only then renames the file.

No process waits long for the lock, because a process that is stopped while it holds the lock must not stop the other
processes' other sinks. A batch that cannot have the lock is tried again later.

So exactly one process rotates, the others follow, and no process writes into a file that was renamed. The locks of a
process that dies are released. The lock file is never removed, because then two processes could lock two different
files.

An ``flock`` belongs to the open file, which a forked child shares with its parent. So the child must open the lock file
anew.
"""

import errno
import os
from typing import NamedTuple

from logly._core import Descriptor, open_descriptor, open_shared
from logly.errors import SinkError
from logly.system.unpatched import monotonic, pause

from .opening import APPEND_FLAGS, identity, names_file, open_append, sink_error
from .paths import cut_name, longest_name
from .rotated import RotatedName

try:
    import fcntl
except ImportError:  # Windows: one process per file
    fcntl = None  # type: ignore[assignment]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Rotated", "lock_path", "open_lock", "rotate"]


_LOCK_PATIENCE_S = 0.5
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


class Rotated(NamedTuple):
    """What `rotate` did."""

    file: "Descriptor | None"
    """The file to write to from now on; None: the caller's own file, nothing has changed."""
    path: "str | None"
    """New name of the old file; None if this call renamed nothing."""

    @property
    def is_rotated(self) -> bool:
        """Whether this call renamed the file. If so, its caller also starts retention and compression."""
        return self.path is not None


def lock_path(path: str) -> str:
    """Return the lock file's path, ``.app.log.lock`` in the log file's folder.

    It is in the same folder, because all processes that share the file see that folder, even across containers.
    """
    folder, name = os.path.split(path)
    if len(os.fsencode(name)) + len("..lock") > (most := longest_name(folder)):
        name = cut_name(name, most - len("..lock"), whole=name)
    return os.path.join(folder, f".{name}.lock")


def open_lock(path: str, mode: int = 0o644) -> Descriptor:
    """Open the lock file of a log file. Make it if it is missing.

    Args:
        path: the log file.
        mode: permission bits of a new lock file, before umask. They are the log file's, so that a user who may write
            the log file may also lock it.

    Returns:
        A descriptor for ``flock``, which is never written to. Each sink of each process has its own.

    Raises:
        SinkError: the lock file cannot be opened.
    """
    name = lock_path(path)
    try:
        # Reading is enough for a lock, so a process without permission to write the lock file can also take part.
        return open_descriptor(name, os.O_RDONLY | os.O_CREAT, mode)
    except OSError as trouble:
        raise sink_error(trouble, name) from trouble


def rotate(
    name: RotatedName,
    path: str,
    fd: int,
    *,
    end_ns: int,
    is_due: "Callable[[os.stat_result], bool]" = lambda about: True,
    mode: int = 0o644,
    lock_fd: "int | None" = None,
) -> Rotated:
    """Rename a log file and begin a new one, unless another process has done it.

    Args:
        name: the pattern of the rotated names.
        path: the log file.
        fd: the caller's open descriptor of the file. It stays open; the caller closes it when it has the new one.
        end_ns: end of what the file holds, nanoseconds since the epoch: the boundary that was passed, or now.
        is_due: called with the file's `os.stat_result` once the lock is held; returns whether rotation is still due.
            An empty file is never rotated.
        mode: permission bits of the new file, before umask.
        lock_fd: from `open_lock`. The caller must not hold the lock through another descriptor. On return it is
            unlocked. Waiting for the lock can take as long as another process's write. None: no other process writes
            this file.

    Returns:
        See `Rotated`. If the path no longer names the caller's file (because another process has rotated or removed
        it), the file is only reopened.

    Raises:
        SinkError: the file cannot be renamed, or no new one can be made. The old file is in its place, and `fd` is
            still usable.
    """
    if lock_fd is None or fcntl is None:
        return _rotate_locked(name, path, fd, end_ns, is_due, mode)
    try:
        # The lock is taken inside the `try`, so that no exception can prevent its release. A release without a lock
        # does no harm.
        _lock(lock_fd, path)
        return _rotate_locked(name, path, fd, end_ns, is_due, mode)
    finally:
        try:  # noqa: SIM105 -- `suppress` is Python code, which a signal could interrupt before the release
            fcntl.flock(lock_fd, fcntl.LOCK_UN)
        except OSError:  # the file system has no locks
            pass


def _lock(lock_fd: int, path: str) -> None:
    """Take the lock exclusively. Raise SinkError if another process holds it for longer than `_LOCK_PATIENCE_S`.

    If the file system has no locks, files are rotated without a lock, just as lines are written without one.
    """
    assert fcntl is not None
    deadline = monotonic() + _LOCK_PATIENCE_S
    while True:
        try:
            fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as held:
            if monotonic() >= deadline:
                text = "another process holds the lock of the log file (is it stopped?)"
                raise SinkError(errno.EAGAIN, text, lock_path(path)) from held
        except OSError as trouble:
            if trouble.errno in _NO_LOCKS:
                return
            raise sink_error(trouble, lock_path(path)) from trouble
        pause(0.001)


def _rotate_locked(
    name: RotatedName,
    path: str,
    fd: int,
    end_ns: int,
    is_due: "Callable[[os.stat_result], bool]",
    mode: int,
) -> Rotated:
    ours = os.fstat(fd)
    if not names_file(path, identity(ours)):
        name.forget()
        return Rotated(open_append(path, mode), None)
    if ours.st_size == 0 or not is_due(ours):
        return Rotated(None, None)
    try:
        target = name.choose(end_ns)
        os.rename(path, target)
    except OSError as trouble:
        name.forget()
        raise sink_error(trouble, path) from trouble
    try:
        file = open_shared(path, APPEND_FLAGS, mode)
    except OSError as trouble:
        name.forget()
        os.rename(target, path)
        raise sink_error(trouble, path) from trouble
    return Rotated(file, target)
