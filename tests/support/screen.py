"""A terminal that tests write to, and what stands on its screen after lines, bars and escape sequences."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import termios
import tty

_PARTS = re.compile(
    r"\x1b\[([?\d;]*)([A-Za-z])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|([\r\n\x08])|([^\x1b\r\n\x08]+)|\x1b.?"
)


class Screen:
    """A terminal in raw mode: what it gets can be compared to the byte."""

    def __init__(self, columns: int = 0) -> None:
        self.master, self.fd = pty.openpty()
        tty.setraw(self.fd)
        self.resize(columns)

    def resize(self, columns: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def text(self) -> str:
        """What it got since it was last read. There must be something."""
        text = b""
        while not text or select.select([self.master], [], [], 0)[0]:
            text += os.read(self.master, 1 << 20)
        return text.decode()

    def close(self) -> None:
        os.close(self.master)
        os.close(self.fd)


def screen_of(text: str) -> list[str]:
    """The lines of an endless screen, without colours. Lines do not wrap."""
    lines: list[str] = [""]
    row = column = 0
    for numbers, command, control, plain in _PARTS.findall(text):
        number = int(numbers) if numbers.isdigit() else 0
        if plain:
            line = lines[row].ljust(column)
            lines[row] = line[:column] + plain + line[column + len(plain) :]
            column += len(plain)
        elif control == "\r":
            column = 0
        elif control == "\n":
            row += 1
        elif control == "\x08":
            column = max(0, column - 1)
        elif command == "A":
            row = max(0, row - (number or 1))
        elif command == "B":
            row += number or 1
        elif command == "K":
            lines[row] = "" if number == 2 else lines[row][:column] if number == 0 else lines[row]
        while len(lines) <= row:
            lines.append("")
    return [line.rstrip() for line in lines]
