"""The settings of the layouts ``format="rfc5424"`` and ``"journald"``, in the form that is legal on the wire."""

from __future__ import annotations

import sys

__all__ = ["FACILITIES", "WireSettings", "is_element", "program_name"]

_NAMES = (
    *("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp"),
    *("security", "console", "solaris-cron"),
    *(f"local{number}" for number in range(8)),
)
FACILITIES = {name: number for number, name in enumerate(_NAMES)}
"""Numbers of the facilities of syslog by name."""

ELEMENT = "fields@32473"
"""32473 is the enterprise number that RFC 5612 keeps for examples."""
HOST_CHARACTERS = 255
PROGRAM_CHARACTERS = 48
ELEMENT_CHARACTERS = 32


class WireSettings:
    """What `fill_wire_layout` in layout/compile.pxi makes a layout of.

    Args:
        facility: its number.
        program: the program's name; None: that of the running one.
        element: the id of the structured data; None: `ELEMENT`.
        has_bom: a byte order mark stands before the message.
        is_framed: each message is preceded by its length.
    """

    __slots__ = ("element", "facility", "has_bom", "head", "identity", "is_framed")

    def __init__(
        self, *, facility: int, program: str | None, element: str | None, has_bom: bool, is_framed: bool
    ) -> None:
        name = program_name() if program is None else program
        self.facility = facility
        self.has_bom = has_bom
        self.is_framed = is_framed
        self.element = element or ELEMENT
        self.head = f" {_printable(_host_name(), HOST_CHARACTERS)} {_printable(name, PROGRAM_CHARACTERS)} "
        line = "".join(character if character.isprintable() else "_" for character in name)
        self.identity = f"SYSLOG_FACILITY={facility}\nSYSLOG_IDENTIFIER={line}\n"


def _printable(text: str, most: int) -> str:
    """The text in the characters of RFC 5424's PRINTUSASCII."""
    return "".join(character if 32 < ord(character) < 127 else "_" for character in text[:most]) or "-"


def _host_name() -> str:
    from _socket import gethostname

    try:
        return gethostname()
    except (OSError, UnicodeError):
        return ""


def program_name() -> str:
    """The name of the running program: that of its file without ``.py``, or of the package that ``-m`` runs."""
    parts = (sys.argv[0] if sys.argv else "").replace("\\", "/").split("/")
    name = parts[-2] if parts[-1] == "__main__.py" and len(parts) > 1 else parts[-1].removesuffix(".py")
    return "python" if name in ("", "-c", "-m") else name


def is_element(text: str) -> bool:
    """Whether RFC 5424 allows this id for structured data that is not registered: ``NAME@NUMBER``."""
    name, at, number = text.partition("@")
    return (
        0 < len(text) <= ELEMENT_CHARACTERS
        and bool(name and at)
        and all(32 < ord(character) < 127 and character not in '="]' for character in text)
        and all(part.isdecimal() and part.isascii() for part in number.split("."))
    )
