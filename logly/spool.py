"""Crash-safe spools: made, found again after their process died, and delivered from.

A spool is one file per process, ``<name>.<pid>``, held by an exclusive lock for as long as its process lives. The lock,
and not the process id, says whether it does: ids are used again.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from . import system
from ._core import (
    Descriptor,
    Lifeline,
    SpoolFile,
    SpoolSection,
    abandon_spools,
    close_loose,
    open_descriptor,
    remove_finished_spools,
    spool_adopt,
    spool_begin,
    spool_hold_back,
)
from .config import LoggerConfig, SinkConfig
from .errors import ConfigError, SpoolError
from .files import sync_file, sync_name
from .system import monotonic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ._core import Core
    from .backend import Backend

__all__ = ["Recovered", "close_in_child", "dead_spools", "deliver", "open_spool", "recover_dead"]

UNFINISHED = ".new"
"""Ending of a spool's name until it is whole."""
LOOK_S = 0.2
"""How often a delivery looks whether anybody still takes it."""


def close_in_child() -> None:
    """In a forked child, which has copies of all descriptors, and with them the locks: lets go of them."""
    abandon_spools()
    close_loose()


# ---- one's own


def _allocate(fd: int, size: int) -> None:
    """Real blocks for the whole file: writing to a mapped hole on a full disk would be a SIGBUS."""
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


def open_spool(core: Core, base: str, ring_bytes: int, *, syncs: bool = False) -> SpoolFile:
    """Make this process's spool, and have the core's records go into it.

    Args:
        core: the logger's engine.
        base: the configured path; parent folders are made.
        ring_bytes: size of the ring, a power of two.
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
            return _make_spool(core, base, ring_bytes, syncs=syncs)
    except BaseException:
        core.unshare_ring()
        raise


def _make_spool(core: Core, base: str, ring_bytes: int, *, syncs: bool) -> SpoolFile:
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
        _allocate(own.fd, SpoolFile.size_for(ring_bytes))
        file = SpoolFile(made, own, ring_bytes, boot)
        publish = _publish_synced if syncs else _publish
        spool_begin(core, file, lambda: publish(own.fd, made, base, number), (base, syncs))
        return file
    except BaseException as trouble:
        own.close()  # with it goes the file; without this line when nobody looks at the exception any more
        if isinstance(trouble, OSError) and not isinstance(trouble, SpoolError):
            raise _explained(trouble, made) from trouble
        raise


def _names(base: str, number: int) -> Iterator[str]:
    """The names that a process may give its spool: one of the same number (dead, or in another container) has some."""
    yield f"{base}.{number}"
    for attempt in range(1, 10_000):
        yield f"{base}.{number}.{attempt}"
    raise SpoolError(errno.EEXIST, "too many spools of dead processes: recover or remove them", base)


def _new_file(base: str, number: int) -> tuple[str, Descriptor]:
    """A file that nobody else has, locked: its name and its descriptor, with which it goes unless a spool takes it."""
    for name in _names(base, number):
        made = name + UNFINISHED
        try:
            flags = os.O_CREAT | os.O_EXCL | os.O_RDWR
            own = open_descriptor(made, flags, 0o600, is_loose=True, is_doomed=True)
        except FileExistsError:
            continue
        try:
            fcntl.flock(own, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(own.fd), os.stat(made)):
                return made, own
        except (BlockingIOError, FileNotFoundError):
            pass  # before it was locked, somebody who recovers took it for a dead process's
        own.spare()
    raise AssertionError


def _publish(fd: int, made: str, base: str, number: int) -> str:
    """Give the whole file its name, unless that is another one's."""
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
    raise AssertionError


def _publish_synced(fd: int, made: str, base: str, number: int) -> str:
    os.fsync(fd)
    name = _publish(fd, made, base, number)
    sync_name(name)
    return name


def _explained(trouble: OSError, path: str) -> SpoolError:
    reasons = {
        errno.ENOSPC: "no space left for the spool",
        errno.EDQUOT: "disk quota exceeded: no room for the spool",
    }
    number = trouble.errno or errno.EIO
    return SpoolError(number, reasons.get(number) or trouble.strerror or str(trouble), path)


# ---- those of the dead


def names_of(base: str) -> list[str]:
    """The spools there are, of the living and of the dead."""
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


def open_dead(path: str) -> SpoolFile | None:
    """Lock and read a spool; None when its process lives, or somebody else recovers it.

    Raises:
        SpoolError: it is damaged, foreign or of another version; it is left as it is.
    """
    with SpoolSection():
        return _open_dead(path)


def _open_dead(path: str) -> SpoolFile | None:
    try:
        own = open_descriptor(path, os.O_RDWR, is_loose=True)
    except FileNotFoundError:
        return None
    except OSError as trouble:
        raise _explained(trouble, path) from trouble
    try:
        fcntl.flock(own, fcntl.LOCK_EX | fcntl.LOCK_NB)
        ours = os.fstat(own.fd)
        named = os.stat(path)
        if (ours.st_dev, ours.st_ino) != (named.st_dev, named.st_ino):
            return None
        if path.endswith(UNFINISHED):
            os.unlink(path)  # its process died before a record could be in it
            return None
        return SpoolFile(path, own, 0, boot_id())
    except (BlockingIOError, FileNotFoundError):
        return None
    except BaseException as trouble:
        own.close()  # whoever keeps the exception does not keep the lock
        if isinstance(trouble, (SpoolError, RecursionError, MemoryError)) or not isinstance(trouble, Exception):
            raise  # the first says it all, the others say nothing of the file
        if isinstance(trouble, OSError):  # no more descriptors, say: nothing is wrong with the file
            raise _explained(trouble, path) from trouble
        raise SpoolError(errno.EINVAL, f"damaged: {trouble}", path) from trouble


def dead_spools(base: str, on_error: Callable[[Exception], None]) -> Iterator[SpoolFile]:
    """The readable spools of dead processes, one at a time, oldest first; `on_error` is told of those that stay."""
    for path in finish_writes(names_of(base), on_error):
        try:
            file = open_dead(path)
        except SpoolError as trouble:
            on_error(trouble)
            continue
        if file is not None:
            yield file


def finish_writes(paths: list[str], on_error: Callable[[Exception], None]) -> list[str]:
    """Write what the processes of these spools did not live to write of their last writes.

    Before anything of any of them is delivered: several may have died in the middle of a line of the same file. Each is
    let go of again, so that there is never more than one open here.

    Returns:
        The paths, oldest first, without those that cannot be read, of which `on_error` is told.
    """
    ages: dict[str, int] = {}
    for path in paths:
        try:
            file = open_dead(path)
            if file is None:  # its process lives: whoever delivers finds that out, too
                ages[path] = 0
                continue
            with file:
                if file.begun_writes():
                    file.check()  # before anything is changed
                _finish_writes_of(file)
                ages[path] = file.created_ns
        except RecursionError:
            raise
        except Exception as trouble:
            on_error(trouble)
    return sorted(ages, key=lambda path: ages[path])


def _finish_writes_of(file: SpoolFile) -> None:
    # `check` has found it sound; it can be called once only.
    for slot, path, device, inode, offset, staged in file.begun_writes():
        file.settle(slot, finish_write(os.fsdecode(path), device, inode, offset, staged))


class Recovered(NamedTuple):
    """How a delivery went."""

    records: int
    is_complete: bool
    has_moved: bool
    """Whether any sink has taken anything."""


def deliver(
    file: SpoolFile,
    config: LoggerConfig,
    sinks: list[SinkConfig],
    timeout: float,
    on_error: Callable[[Exception], None],
) -> Recovered:
    """Have sinks write what a dead process left, each from where that process's own sink was; then remove the spool.

    Progress is kept in the spool itself as it was by its process, so that to be killed in here is no different.

    Args:
        file: the spool, locked.
        config: settings of the logger; layouts and time zone follow from them.
        sinks: settings of the sinks (resolved).
        timeout: seconds after which the rest is left for the next time.
        on_error: told of trouble.

    Raises:
        SpoolError: a record in it is damaged; nothing was delivered then.
    """
    from .backend import Backend

    is_gone = False

    def tell(trouble: Exception) -> None:
        nonlocal is_gone
        # The only one who reads: nobody will take the rest, however long that is tried.
        is_alone = len(sinks) == 1 and sinks[0].fd is not None
        is_gone = is_gone or (is_alone and isinstance(trouble, BrokenPipeError))
        on_error(trouble)

    try:
        file.check()
        _finish_writes_of(file)
    except BaseException:
        file.close()
        raise
    backend = Backend(
        "recovery",
        replace(
            config,
            spool=None,
            spool_fsync=None,
            auto_sink=False,
            overflow="block",
            stall_timeout=86_400,
            on_error=tell,
        ),
    )
    lifeline = Lifeline(backend)  # closes it, whatever prevents that below
    is_safe = False
    deadline = monotonic() + timeout
    try:
        for sink in sinks:
            backend._add(sink)
        for added in backend.sinks.values():
            added.is_durable = file.is_synced or config.spool_fsync is not None
        starts = [
            (sink.id, os.fsencode(sink.path) if sink.path is not None else None, sink.config.fd is not None)
            for sink in backend.sinks.values()
        ]
        count = spool_adopt(backend.core, file, starts)
        backend.flusher.start()
        while not backend.core.flush(min(LOOK_S, max(0, deadline - monotonic()))):
            if is_gone or monotonic() >= deadline:
                break
        has_moved = any(added.handle.stats()[0] for added in backend.sinks.values())
        # Before the spool goes.
        is_safe = True
        for added in backend.sinks.values():
            is_safe = added.make_durable() and is_safe
    finally:
        remove_finished_spools(backend.core, False)
        backend.core.leave_spools(False)  # what was not written is given up here, and stays there
        backend.close(max(0.0, deadline - monotonic()))
        is_done = file.is_finished and is_safe
        if file.fd >= 0:
            (SpoolFile.remove if is_done else SpoolFile.close)(file)
        del lifeline
    return Recovered(count, is_done, has_moved)


def recover_dead(backend: Backend, base: str, sinks: list[SinkConfig], deadline: float | None) -> bool:
    """Have a logger's sinks write what dead processes left; False where more time than there was may help.

    Args:
        backend: the logger's; its own records wait meanwhile.
        base: the configured path.
        sinks: settings of the sinks.
        deadline: of `system.monotonic`; None: as long as a sink in trouble is given.
    """
    patience_s = backend._patience_s
    given = backend.settings()  # its level may have the name of one that was added
    is_cut_short = False
    try:
        spool_hold_back(backend.core, patience_s)
        for file in dead_spools(base, backend.tell):
            left = patience_s if deadline is None else max(0, deadline - monotonic())
            spool_hold_back(backend.core, left)
            try:
                with file:
                    done = deliver(file, given, sinks, min(left, patience_s), backend.tell)
                # Again soon, but not where some sink has had a part: it would have that again and again.
                is_unmoved = not done.is_complete and not done.has_moved
                is_cut_short = is_cut_short or (is_unmoved and left < patience_s)
            except RecursionError:  # the next record tries again
                raise
            except Exception as trouble:
                backend.tell(trouble)
    finally:
        spool_hold_back(backend.core, 0)
    return not is_cut_short


# ---- a write that its process did not live to see the end of


def finish_write(path: str, device: int, inode: int, offset: int, staged: bytes) -> bool:
    """Append what is missing of a write that was begun at `offset`. False: nothing of it is in the file.

    The file may have been rotated meanwhile: it is looked for by its inode in the same folder.
    """
    found = _find_file(path, device, inode)
    if found is None:
        return False
    with open_descriptor(found, os.O_RDWR | os.O_APPEND) as own:
        done = written_part(_read_from(own.fd, offset), offset, staged)
        if done == 0:
            return False
        while done < len(staged):
            done += system.write(own.fd, staged[done:])
        sync_file(own.fd)
        return True


def _find_file(path: str, device: int, inode: int) -> str | None:
    def is_it(name: str) -> bool:
        with contextlib.suppress(OSError):
            about = os.stat(name)
            return (about.st_dev, about.st_ino) == (device, inode)
        return False

    if is_it(path):
        return path
    folder = os.path.dirname(path) or "."
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.inode() == inode and is_it(entry.path):
                return entry.path
    return None


def _read_from(fd: int, offset: int) -> bytes:
    pieces = []
    while piece := os.pread(fd, 1 << 20, offset):
        pieces.append(piece)
        offset += len(piece)
    return b"".join(pieces)


def written_part(after: bytes, offset: int, staged: bytes) -> int:
    """How many of the staged bytes are in the file, of which `after` is what follows `offset`.

    Mostly they are at once there, or the file ends within them. Where other processes append to the file too, they are
    at the beginning of some line; a part of them counts only when the file ends with it, or when it ends where the
    kernel cuts a write short (a block's end): a line of somebody else's may begin like ours.
    """
    longest = 0
    start = 0
    while start < len(after):
        length = _common(after, start, staged)
        if length == len(staged):
            return length
        end = start + length
        if end == len(after) or (offset + end) % 512 == 0:
            longest = max(longest, length)
        newline = after.find(b"\n", start)
        start = newline + 1 if newline >= 0 else len(after)
    return longest


def _common(after: bytes, start: int, staged: bytes) -> int:
    """Length of the common beginning of ``after[start:]`` and `staged`."""
    if after.startswith(staged, start):
        return len(staged)
    low, high = 0, min(len(staged), len(after) - start)
    while low < high:
        middle = (low + high + 1) // 2
        if after.startswith(staged[:middle], start):
            low = middle
        else:
            high = middle - 1
    return low
