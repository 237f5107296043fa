"""Crash-safe spools: how they are made, and found again after their process has died.

A spool is one file per process, ``<name>.<pid>``, which its process keeps locked exclusively as long as it lives. The
lock, and not the process id, says whether the process lives, because ids are used again.

A spool says which bytes are to be appended to which files. So a file that another user owns, or may write to, is
refused. A copy of it may be read, which changes nothing and believes nothing but the records.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from typing import TYPE_CHECKING

from logly._core import (
    DeadSpool,
    Descriptor,
    SpoolFile,
    SpoolSection,
    abandon_spools,
    close_descriptors_in_child,
    open_descriptor,
    spool_begin,
)
from logly.errors import ConfigError, SpoolError
from logly.files.opening import identity, names_file, sync_name
from logly.system import unpatched as system

from .unfinished_write import finish_write, is_finished

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from logly._core import Core

__all__ = [
    "close_in_child",
    "dead_spools",
    "finish_writes",
    "finish_writes_of",
    "names_of",
    "open_dead",
    "open_spool",
    "unlock",
]

UNFINISHED = ".new"
"""Ending of a spool's name until it is whole."""


def close_in_child() -> None:
    """In a forked child, which has copies of all descriptors and with them of the locks: closes these copies."""
    abandon_spools()
    close_descriptors_in_child()


# ---- one's own


def _allocate(fd: int, size: int) -> None:
    """Allocate disk blocks for the whole file, because writing to a mapped hole on a full disk would be a SIGBUS."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(fd, 0, size)
    else:  # macOS
        os.pwrite(fd, bytes(size), 0)


def boot_id() -> int:
    """Which start of the machine this is; 0 where that cannot be told."""
    try:
        with system.open_file("/proc/sys/kernel/random/boot_id") as file:
            return int(file.read().replace("-", "")[:16], 16) | 1
    except (OSError, ValueError):
        return 0


def open_spool(core: Core, base: str, ring_bytes: int, *, recorder_bytes: int = 0, syncs: bool = False) -> SpoolFile:
    """Make this process's spool, and have the core's records go into it.

    Args:
        core: the logger's engine.
        base: the configured path; parent folders are made.
        ring_bytes: size of the ring, a power of two.
        recorder_bytes: size of the flight recorder, a power of two; 0: there is none.
        syncs: it is to survive the loss of power (`spool_fsync`).

    Raises:
        SpoolError: it cannot be made; ENOSPC: the disk has no room for all of it, which is allocated here so that
            no log call can meet a full disk.
        ConfigError: on a free-threaded build of Python other threads have logged already, each to a ring of its
            own; or `syncs` where a successor could not tell whether the machine has been started again.
    """
    try:
        if not core.share_ring():
            text = "spool: without a GIL each thread that has logged has a ring of its own, and a spool has one for all"
            raise ConfigError(f"{text}: name it before other threads log", field="spool", value=base)
        with SpoolSection():
            return _make_spool(core, base, ring_bytes, recorder_bytes, syncs=syncs)
    except BaseException:
        core.unshare_ring()
        raise


def _make_spool(core: Core, base: str, ring_bytes: int, recorder_bytes: int, *, syncs: bool) -> SpoolFile:
    boot = boot_id() if syncs else 0
    if syncs and not boot:
        raise ConfigError("spool_fsync: only on Linux, with /proc", field="spool_fsync", value=None)
    number = os.getpid()
    try:
        folder = os.path.dirname(base)
        if folder:
            os.makedirs(folder, exist_ok=True)
        made, own = _new_file(base, number)
    except OSError as trouble:
        raise _explained(trouble, base) from trouble
    try:
        _allocate(own.fd, SpoolFile.size_for(ring_bytes, recorder_bytes))
        file = SpoolFile(made, own, ring_bytes, boot, recorder_capacity=recorder_bytes)
        publish = _publish_synced if syncs else _publish
        spool_begin(core, file, lambda: publish(own.fd, made, base, number), (base, syncs))
        return file
    except BaseException as trouble:
        own.close()  # removes the file now, and not when the exception, which holds it, is forgotten
        if isinstance(trouble, OSError) and not isinstance(trouble, SpoolError):
            raise _explained(trouble, made) from trouble
        raise


def _names(base: str, number: int) -> Iterator[str]:
    """The names a process may give its spool. A process of the same id (dead, or in another container) may use some."""
    yield f"{base}.{number}"
    for attempt in range(1, 10_000):
        yield f"{base}.{number}.{attempt}"


def _too_many(base: str) -> SpoolError:
    return SpoolError(errno.EEXIST, "too many spools of dead processes: recover or remove them", base)


def _new_file(base: str, number: int) -> tuple[str, Descriptor]:
    """Make and lock a new file. Returns its name and its descriptor, which removes it unless a spool takes it over."""
    for name in _names(base, number):
        made = name + UNFINISHED
        try:
            flags = os.O_CREAT | os.O_EXCL | os.O_RDWR
            own = open_descriptor(made, flags, 0o600, closes_in_child=True, removes_file=True)
        except FileExistsError:
            continue
        try:
            fcntl.flock(own, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Before it was locked, a recovery may have taken it for a dead process's file.
            if names_file(made, identity(os.fstat(own.fd))):
                return made, own
        except BlockingIOError:
            pass
        own.close_and_keep_file()
    raise _too_many(base)


def _publish(fd: int, made: str, base: str, number: int) -> str:
    """Give the complete file its name: the first one that is not in use."""
    for name in _names(base, number):
        try:
            os.link(made, name)
        except FileExistsError:
            continue
        except OSError:  # a file system without hard links
            if os.path.exists(name):
                continue
            os.rename(made, name)
            return name
        os.unlink(made)
        return name
    raise _too_many(base)


def _publish_synced(fd: int, made: str, base: str, number: int) -> str:
    os.fsync(fd)
    name = _publish(fd, made, base, number)
    sync_name(name)
    return name


def _explained(trouble: OSError, path: str) -> SpoolError:
    reasons = {
        errno.ENOSPC: "no space left for the spool",
        errno.EDQUOT: "disk quota exceeded: no room for the spool",
        errno.ELOOP: "a symbolic link, which could lead to anybody's file: name the spool itself",
    }
    number = trouble.errno or errno.EIO
    return SpoolError(number, reasons.get(number) or trouble.strerror or str(trouble), path)


# ---- those of the dead


def names_of(base: str) -> list[str]:
    """The spools that there are, of living and of dead processes."""
    folder, name = os.path.split(base)
    try:
        entries = os.listdir(folder or ".")
    except OSError:
        return []
    found = []
    for entry in entries:
        ending = entry.removeprefix(name + ".") if entry.startswith(name + ".") else ""
        if ending and all(part.isdecimal() for part in ending.removesuffix(UNFINISHED).split(".")):
            found.append(os.path.join(folder, entry))
    return sorted(found)


def open_dead(path: str, *, is_copy: bool = False, takes_foreign: bool = False) -> DeadSpool | None:
    """Lock and read a spool. None: its process lives, or another process recovers it.

    Args:
        path: the file.
        is_copy: read it whole, and change nothing in it; see `unlock`.
        takes_foreign: read a copy of it also where another user owns it or may write to it.

    Raises:
        SpoolError: it is damaged, of another user, of another version, or no spool; it is left as it is.
    """
    with SpoolSection():
        return _open_dead(path, is_copy=is_copy, takes_foreign=takes_foreign)


def _open_dead(path: str, *, is_copy: bool, takes_foreign: bool) -> DeadSpool | None:
    try:
        # Without O_NONBLOCK, opening a FIFO of this name would wait for ever.
        flags = (os.O_RDONLY if is_copy else os.O_RDWR) | os.O_NOFOLLOW | os.O_NONBLOCK
        own = open_descriptor(path, flags, closes_in_child=True)
    except FileNotFoundError:
        return None
    except OSError as trouble:
        raise _explained(trouble, path) from trouble
    try:
        about = os.fstat(own.fd)
        if not stat.S_ISREG(about.st_mode):
            raise SpoolError(errno.EINVAL, "not a spool of logly: not a regular file", path)
        distrust = _distrust(about)
        if distrust and not takes_foreign:
            raise SpoolError(errno.EPERM, distrust, path)
        is_copy = is_copy or bool(distrust)
        # A copy to look at shares the lock with other copies, not with a process that lives.
        fcntl.flock(own, (fcntl.LOCK_SH if is_copy else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        if not names_file(path, identity(about)):
            return None
        if path.endswith(UNFINISHED):
            if not is_copy:
                os.unlink(path)  # its process died before a record could be in it
            return None
        file = DeadSpool(path, own, 0, boot_id(), is_copy)
        file.is_foreign = bool(distrust)
        return file
    except (BlockingIOError, FileNotFoundError):
        return None
    except BaseException as trouble:
        own.close()  # the lock must not stay as long as somebody keeps the exception
        if isinstance(trouble, (SpoolError, RecursionError, MemoryError)) or not isinstance(trouble, Exception):
            raise  # a SpoolError says it all already; the others say nothing about the file
        if isinstance(trouble, OSError):  # no more descriptors, for example: nothing is wrong with the file
            raise _explained(trouble, path) from trouble
        raise SpoolError(errno.EINVAL, f"damaged: {trouble}", path) from trouble


def _distrust(about: os.stat_result) -> str:
    """Return why this file is not to be believed, or ""."""
    mine = os.geteuid()
    how = "python -m logly recover prints it, with --append FILE --any-owner it appends the records and removes it"
    if about.st_uid != mine:
        return f"of user {about.st_uid}, and this process is of user {mine}: left alone; {how}"
    if about.st_mode & 0o022:
        return f"others may write to it (mode {stat.S_IMODE(about.st_mode):04o}): left alone; {how}"
    return ""


def unlock(file: DeadSpool) -> None:
    """Let others recover a spool of which a copy has been read and checked."""
    fcntl.flock(file.fd, fcntl.LOCK_UN)


def dead_spools(base: str, on_error: Callable[[Exception], None]) -> Iterator[DeadSpool]:
    """The readable spools of dead processes, one at a time, oldest first. The others stay, and `on_error` gets why."""
    for path in finish_writes(names_of(base), on_error):
        try:
            file = open_dead(path)
        except SpoolError as trouble:
            on_error(trouble)
            continue
        if file is not None:
            yield file


def finish_writes(
    paths: list[str],
    on_error: Callable[[Exception], None],
    opens: Callable[[str], DeadSpool | None] = open_dead,
) -> list[str]:
    """Complete the last writes of the processes of these spools, which died before the writes ended.

    This comes before any record is delivered, because several processes may have died in the middle of a line of the
    same file. Each spool is closed again, so that never more than one is open here. Where `opens` reads a copy, the
    writes are left as they are.

    Returns:
        The paths, oldest first, without those that cannot be read, of which `on_error` is told.
    """
    ages: dict[str, int] = {}
    for path in paths:
        try:
            file = opens(path)
            if file is None:  # its process lives, which delivery will find out, too
                ages[path] = 0
                continue
            with file:
                if not file.is_copy and file.begun_writes():
                    file.check()  # before anything is changed
                    finish_writes_of(file)
                ages[path] = file.created_ns
        except RecursionError:
            raise
        except Exception as trouble:  # noqa: BLE001  # the other spools are listed nevertheless
            on_error(trouble)
    return sorted(ages, key=lambda path: ages[path])


def finish_writes_of(file: DeadSpool) -> None:
    """Complete the writes that were cut short, or (of a copy) find out which of them are complete.

    The caller has called `check`, which can be called once only.
    """
    for slot, path, device, inode, offset, staged in file.begun_writes():
        if file.is_foreign:
            is_done = False  # the path may be that of any file, which is not even looked at
        elif file.is_copy:
            is_done = is_finished(os.fsdecode(path), device, inode, offset, staged)
        else:
            is_done = finish_write(os.fsdecode(path), device, inode, offset, staged)
        file.mark_write(slot, is_done)
