"""Terminals: how to write to one without waiting for it, and whether it understands colours."""

from __future__ import annotations

import os
import sys

from logly._core import Descriptor, Files, open_descriptor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Terminal", "is_narrow", "understands_colors"]

NARROW = 60
"""Columns. The time stamp, the level and the place of the usual layout take some sixty."""
_PTMX = (5, 2)
"""Device number of the pseudo-terminal multiplexer. Opening it again would make a new terminal."""


class Terminal:
    """A sink's own descriptor of a terminal, to which writes do not block.

    Args:
        files: the sink's files; they hold the descriptor that is opened here.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self._key: tuple[int, ...] | None = None

    def nonblocking(self, fd: int) -> int:
        """Return a descriptor of the same terminal whose writes do not block, or `fd` if it is no terminal."""
        if sys.platform == "win32":
            return fd
        try:
            about = os.fstat(fd)
        except OSError:
            return fd
        key = (fd, about.st_dev, about.st_ino, about.st_rdev)
        known = self._files.terminal
        if key != self._key or (known is not None and not known.is_intact):
            opened = _open_nonblocking(fd)
            # No signal handler can run between the two assignments. The old descriptor's object closes it.
            self._files.terminal, self._key = opened, key
        opened = self._files.terminal
        return fd if opened is None or opened.fd < 0 else opened.fd


def _open_nonblocking(fd: int) -> Descriptor | None:
    """Return a descriptor of the same terminal whose writes never block, or None if that is not possible.

    A write may block even if poll calls the terminal writable: poll only says that there is some room. So `O_NONBLOCK`
    is needed. That flag belongs to the open file, and the open file behind `fd` is shared with the shell and other
    processes, so it must not be changed. On Linux the terminal can be opened once more by its name in /proc.
    """
    try:
        if not os.isatty(fd):
            return None
        about = os.fstat(fd)
        if (os.major(about.st_rdev), os.minor(about.st_rdev)) == _PTMX:
            return None
        own = open_descriptor(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except (OSError, AttributeError):
        return None
    return own if os.fstat(own.fd).st_rdev == about.st_rdev else None


def is_narrow(fd: int) -> bool:
    """Return whether a terminal has fewer than `NARROW` columns. One that does not know its width is wide."""
    try:
        return 0 < os.get_terminal_size(fd).columns < NARROW
    except (AttributeError, OSError, ValueError):
        return False


def understands_colors(terminal: int | Any) -> bool:
    """Return whether a terminal (its descriptor or stream) understands escape sequences.

    Every terminal does, except that a Windows console must be switched to it first, and may refuse.
    """
    if sys.platform == "win32":
        import ctypes
        import msvcrt

        kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
        virtual_terminal_processing = 0x4
        handle = ctypes.c_void_p(msvcrt.get_osfhandle(terminal if isinstance(terminal, int) else terminal.fileno()))
        mode = ctypes.c_uint32()
        if not kernel32.GetConsoleMode(handle, ctypes.byref(mode)):
            return False
        return bool(kernel32.SetConsoleMode(handle, mode.value | virtual_terminal_processing))
    return True
