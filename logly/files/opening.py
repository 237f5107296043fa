"""Opening a sink's file for appending, with its folders made, and a clear error if that fails."""

import errno
import os
import stat

from logly._core import Descriptor, open_descriptor, open_shared
from logly.errors import SinkError
from logly.system import unpatched as system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from os import PathLike

__all__ = ["identity", "names_file", "open_append", "sync_file", "sync_name", "torn_size"]

APPEND_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT
"""With O_APPEND each write lands whole at the end of the file, even if other processes write to it."""

_REASONS = {
    errno.EISDIR: "cannot log to a folder: name a file in it",
    errno.EACCES: "no permission to write the log file, or to make it in its folder",
    errno.EPERM: "writing the log file is not permitted (immutable file or file system?)",
    errno.EROFS: "the log file is on a read-only file system",
    errno.ENOTDIR: "a part of the log file's path is a file, not a folder",
    errno.ENOSPC: "no space left to make the log file",
    errno.EDQUOT: "disk quota exceeded: the log file cannot be made",
    errno.ENAMETOOLONG: "the log file's name is too long",
    errno.ELOOP: "the log file's path is a loop of symbolic links",
    errno.EMFILE: "too many open files in this process",
    errno.ENFILE: "too many open files on this machine",
    errno.ETXTBSY: "the log file is a program that is running",
}


def open_append(path: "str | PathLike[str]", mode: int = 0o644) -> Descriptor:
    """Open a file for appending. Make the file and its parent folders if they are missing.

    Args:
        path: the file. A symbolic link is followed; a device is allowed; a FIFO needs a reader.
        mode: permission bits of a file that is made, before umask. Folders get 0o777 before umask.

    Returns:
        A descriptor: ``O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC``, blocking. It is closed when nothing refers to it.

    Raises:
        SinkError: with the errno of what failed, the file's name and a text that says what to do about a
            folder, a missing permission, a dangling link (ENOENT; its target is not made), a FIFO without a
            reader.
    """
    name = os.fspath(path)
    try:
        return _open(name, mode)
    except SinkError:
        raise
    except OSError as trouble:
        raise sink_error(trouble, name) from trouble
    except ValueError as trouble:  # a NUL in the name
        raise SinkError(errno.EINVAL, f"not a file name: {trouble}", name) from trouble


def sink_error(trouble: OSError, name: str) -> SinkError:
    """Return the `SinkError` that says what `trouble` means for the log file `name`."""
    number = trouble.errno or errno.EIO
    return SinkError(number, _REASONS.get(number) or trouble.strerror or str(trouble), name)


def _open(name: str, mode: int) -> Descriptor:
    make_parents(name)
    try:
        kind = os.stat(name).st_mode
    except FileNotFoundError:
        if os.path.islink(name):
            # O_CREAT would silently make the link's target, which is hardly what the link was meant for.
            target = os.readlink(name)
            raise SinkError(errno.ENOENT, f"a symbolic link to {target!r}, which does not exist", name) from None
        return open_shared(name, APPEND_FLAGS, mode)
    if stat.S_ISDIR(kind):
        raise SinkError(errno.EISDIR, _REASONS[errno.EISDIR], name)
    if stat.S_ISSOCK(kind):
        raise SinkError(errno.ENXIO, "a socket: connect to it and pass SinkConfig(fd=...)", name)
    if stat.S_ISFIFO(kind):
        return _open_fifo(name)
    return open_shared(name, APPEND_FLAGS, mode)


def make_parents(name: str) -> None:
    """Make the folder of the file `name`, and the folders above it, if they are missing."""
    parent = os.path.dirname(name)
    if not parent or os.path.isdir(parent):
        return
    try:
        os.makedirs(parent, exist_ok=True)
    except FileExistsError as trouble:  # a file or a dangling link has the folder's name
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), parent) from trouble


def torn_size(fd: int, path: str) -> int:
    """Return the length of a log file that does not end with a newline; -1 if it does, or if that cannot be found out.

    Such a file was left by a process that was killed in the middle of a large write, which Linux may cut between two
    pages; or the disk was full, or the power failed. Or another process is writing now, and then the file grows.
    """
    try:
        about = os.fstat(fd)
        if not stat.S_ISREG(about.st_mode) or about.st_size == 0:
            return -1
        # `fd` is open for appending only, so the file is opened again to read its last byte.
        with open_descriptor(path, os.O_RDONLY) as reader:
            if identity(os.fstat(reader.fd)) != identity(about):
                return -1
            os.lseek(reader.fd, about.st_size - 1, os.SEEK_SET)
            return -1 if system.read(reader.fd, 1) in (b"\n", b"") else about.st_size
    except OSError:
        return -1


def identity(about: os.stat_result) -> "tuple[int, int]":
    """Return what identifies a file whatever its name is: its device and inode."""
    return about.st_dev, about.st_ino


def names_file(path: str, file: "tuple[int, int]") -> bool:
    """Return whether `path` still names the file of this `identity`, and not a newer file or none.

    Raises:
        OSError: this cannot be found out, for example because a folder of the path cannot be searched.
    """
    try:
        return identity(os.stat(path)) == file
    except FileNotFoundError:
        return False


def sync_file(fd: int) -> None:
    """Sync a file, so that its content survives a loss of power. Does nothing for what is not a file."""
    try:
        os.fsync(fd)
    except OSError as trouble:
        if trouble.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise


def sync_name(path: str) -> None:
    """Sync the file's folder, so that the file's name survives a loss of power."""
    with open_descriptor(os.path.dirname(path) or ".", os.O_RDONLY) as folder:
        sync_file(folder.fd)


def _open_fifo(name: str) -> Descriptor:
    """Open a FIFO without waiting for a reader. A blocking open would wait for ever."""
    try:
        pipe = open_descriptor(name, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as trouble:
        if trouble.errno == errno.ENXIO:
            raise SinkError(errno.ENXIO, "a FIFO that nobody reads: start the reader first", name) from trouble
        raise
    os.set_blocking(pipe.fd, True)
    return pipe
