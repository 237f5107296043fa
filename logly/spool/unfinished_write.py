"""Completes a write during which its process died: finds how much of it is in the file, and writes the rest."""

from __future__ import annotations

import contextlib
import os

from logly._core import open_descriptor
from logly.files.opening import names_file, sync_file
from logly.system import unpatched as system

__all__ = ["finish_write", "is_finished", "written_part"]


def finish_write(path: str, device: int, inode: int, offset: int, staged: bytes) -> bool:
    """Append what is missing of a write that was begun at `offset`. Returns False when nothing of it is in the file.

    The file may have been rotated meanwhile, so it is looked for by its inode in the same folder.
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


def is_finished(path: str, device: int, inode: int, offset: int, staged: bytes) -> bool:
    """Return whether all of a write that was begun at `offset` is in the file. Changes nothing."""
    found = _find_file(path, device, inode)
    if found is None:
        return False
    with open_descriptor(found, os.O_RDONLY) as own:
        return written_part(_read_from(own.fd, offset), offset, staged) == len(staged)


def _find_file(path: str, device: int, inode: int) -> str | None:
    def is_it(name: str) -> bool:
        with contextlib.suppress(OSError):
            return names_file(name, (device, inode))
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
    """How many of the staged bytes are in the file. `after` is the file's content from `offset` on.

    Mostly the staged bytes are right at the beginning of `after`, or the file ends within them. Where other processes
    append to the file too, they begin at some later line. A part of them counts only when the file ends with it, or
    when it ends where the kernel cuts a write short (at a block's end): another process's line may begin like ours.
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
