"""Terminals: writing to one without ever waiting for it, and whether it understands colours."""

from __future__ import annotations

import os
import sys

from logly._core import Descriptor, Files, open_descriptor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Terminal", "understands_colors"]

_PTMX = (5, 2)
"""Device of the multiplexer: opening it again makes a new terminal."""


class Terminal:
    """A sink's own way to a terminal, through which writes do not block.

    Args:
        files: the sink's, which holds what is opened here.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self._key: tuple[int, ...] | None = None

    def nonblocking(self, fd: int) -> int:
        """A descriptor of the same terminal whose writes do not block; `fd` itself where it is no terminal."""
        if sys.platform == "win32":
            return fd
        try:
            about = os.fstat(fd)
        except OSError:
            return fd
        key = (fd, about.st_dev, about.st_ino, about.st_rdev)
        if key != self._key:
            opened = _open_nonblocking(fd)
            # Nothing can come between the two assignments; the descriptor before is closed with its object.
            self._files.terminal, self._key = opened, key
        opened = self._files.terminal
        return fd if opened is None or opened.fd < 0 else opened.fd


def _open_nonblocking(fd: int) -> Descriptor | None:
    """Return a descriptor of the same terminal whose writes never block; None where there is none to be had.

    A terminal that poll calls writable may still block a write: poll only says that there is some room. So it needs
    `O_NONBLOCK`, which belongs to the open file, and the one behind `fd` is shared with the shell and other
    processes: it must stay as it is. Linux opens the terminal anew by its name in /proc.
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


def understands_colors(terminal: int | Any) -> bool:
    """Return whether a terminal (its descriptor or stream) takes escape sequences.

    All do, but a Windows console must be told to, and may refuse.
    """
    if sys.platform != "win32":
        return True
    import ctypes
    import msvcrt

    kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
    virtual_terminal_processing = 0x4
    handle = ctypes.c_void_p(msvcrt.get_osfhandle(terminal if isinstance(terminal, int) else terminal.fileno()))
    mode = ctypes.c_uint32()
    if not kernel32.GetConsoleMode(handle, ctypes.byref(mode)):
        return False
    return bool(kernel32.SetConsoleMode(handle, mode.value | virtual_terminal_processing))
