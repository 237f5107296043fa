"""Rotating a log file, alone or among several processes that write to it.

**The protocol of processes that share a file.** Beside ``app.log`` lies ``.app.log.lock``; every writer
holds an open descriptor of it (`open_lock`) and

1. takes ``flock`` exclusively (``LOCK_EX``) around each batch of writes, and, holding it, compares device and
   inode of its open file with those of the path: where they differ, somebody has rotated, and it reopens
   before it writes. It also looks at the size, so that the limit is kept exactly whoever writes;
2. where rotation is due, lets go of the lock and calls `rotate`, which takes it again, looks again whether the
   path still names the caller's file and rotation is still due, and only then renames.

Nobody waits for the lock for long: a process that is stopped while it holds it must not stop the others' other
sinks. A batch that cannot have it is tried again.

So exactly one process rotates, the others follow, and nobody writes into a file that was renamed. A process
that dies lets go of its locks. The lock file is never removed: removing it would let two processes lock two
files.

An ``flock`` belongs to the open file, which a forked child shares with its parent: the child must open its
own.
"""

import errno
import os
from typing import NamedTuple

from logly._core import Descriptor, open_descriptor, open_shared
from logly.errors import SinkError
from logly.system.unpatched import monotonic, pause

from .opening import APPEND_FLAGS, identity, names_file, open_append, sink_error
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
    """What to write to from now on; None: the caller's own, nothing changed."""
    path: "str | None"
    """Where the old file went; None where this call renamed nothing."""

    @property
    def is_rotated(self) -> bool:
        """Whether this call renamed the file (and so owes retention and compression)."""
        return self.path is not None


def lock_path(path: str) -> str:
    """Return the lock file's path, ``.app.log.lock`` in the log file's folder.

    In the same folder, because all who share the file see that folder, also across containers.
    """
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name}.lock")


def open_lock(path: str, mode: int = 0o644) -> Descriptor:
    """Open the lock file of a log file; make it where it is missing.

    Args:
        path: the log file.
        mode: permission bits of a new lock file, before umask: the log file's, so that who may write the one
            may lock the other.

    Returns:
        A descriptor for ``flock``; it never wants to be written to. One per process and sink.

    Raises:
        SinkError: it cannot be opened.
    """
    name = lock_path(path)
    try:
        # reading is enough to lock, so also a process that may not write the lock file can take part
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
    """Rename a log file away and begin a new one, unless somebody else has done it.

    Args:
        name: the pattern of the rotated names.
        path: the log file.
        fd: the caller's open descriptor of it. Stays open: the caller closes it when there is a new one.
        end_ns: end of what the file holds, nanoseconds since the epoch: the boundary that was passed, or now.
        is_due: asked again once the lock is held, with the file's `os.stat_result`. A file without content is
            never rotated.
        mode: permission bits of the new file, before umask.
        lock_fd: from `open_lock`; the caller must not hold the lock through another descriptor. On return it
            is unlocked. Waiting for it can take as long as another process's write. None: no other process
            writes this file.

    Returns:
        See `Rotated`. Where the path no longer names the caller's file (rotated or removed by another
        process, or from outside), it is only reopened.

    Raises:
        SinkError: the file cannot be renamed, or no new one be made; the old one is in its place, and `fd`
            still good.
    """
    if lock_fd is None or fcntl is None:
        return _rotate_locked(name, path, fd, end_ns, is_due, mode)
    try:
        # Inside the `try`: nothing can come between the lock and its release. A release without a lock does no harm.
        _lock(lock_fd, path)
        return _rotate_locked(name, path, fd, end_ns, is_due, mode)
    finally:
        try:  # noqa: SIM105 -- a function of Python's could be interrupted before it does anything
            fcntl.flock(lock_fd, fcntl.LOCK_UN)
        except OSError:  # no locks here
            pass


def _lock(lock_fd: int, path: str) -> None:
    """Take the lock, exclusively; give up when another process has not let go of it for `_LOCK_PATIENCE_S`.

    Where the file system knows no locks, files rotate without one, as lines are written without one.
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
        return Rotated(open_append(path, mode), None)
    if ours.st_size == 0 or not is_due(ours):
        return Rotated(None, None)
    try:
        target = name.choose(end_ns)
        os.rename(path, target)
    except OSError as trouble:
        raise sink_error(trouble, path) from trouble
    try:
        file = open_shared(path, APPEND_FLAGS, mode)
    except OSError as trouble:
        os.rename(target, path)
        raise sink_error(trouble, path) from trouble
    return Rotated(file, target)
