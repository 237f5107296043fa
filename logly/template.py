"""Parses message templates and layout templates into steps that the core turns into C programs.

Nothing here runs per log call: a message template is parsed at its first use, a layout when its sink is added.
"""

from __future__ import annotations

import sys
from _string import (  # type: ignore[import-not-found]  # what str.format itself parses with
    formatter_field_name_split,
    formatter_parser,
)

from .errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

# Steps of a message program (see _program.pxd).
LITERAL, ARGUMENT, FIELD = range(3)

# Pieces of a layout (see _layout.pxd). The order is the core's.
PIECES = (
    "literal",
    "time",
    "level",
    "message",
    "name",
    "module",
    "function",
    "filename",
    "path",
    "lineno",
    "thread",
    "thread_name",
    "process",
    "exception",
    "fields",
    "field",
)
PIECE_LITERAL = 0
PIECE_TIME = 1
PIECE_FIELD = 15

DEFAULT_TIME = "YYYY-MM-DD HH:mm:ss.SSS"

Step: TypeAlias = "tuple[int, Any, str, str]"


def parse_message(template: str) -> list[Step] | None:
    """Steps of a ``str.format`` template: ``(LITERAL, text, "", "")``, ``(ARGUMENT, index, conversion, spec)``,
    ``(FIELD, name, conversion, spec)``.

    None when the template is not one that the flusher can render (attribute or item access, nested
    specifications, mistakes): `str.format` on the caller's thread then decides what it means.
    """
    steps: list[Step] = []
    automatic = 0
    numbered = False
    try:
        for literal, field, spec, conversion in formatter_parser(template):
            if literal:
                steps.append((LITERAL, literal, "", ""))
            if field is None:
                continue
            if "{" in spec or "}" in spec or (conversion and conversion not in "rsa"):
                return None
            first, rest = formatter_field_name_split(field)
            if list(rest):
                return None
            if first == "":
                first, automatic = automatic, automatic + 1
            elif isinstance(first, int):
                numbered = True
            if automatic and numbered:
                return None  # str.format says what is wrong with that
            if isinstance(first, int):
                steps.append((ARGUMENT, first, conversion or "", spec))
            else:
                steps.append((FIELD, sys.intern(first), conversion or "", spec))
    except (ValueError, IndexError):
        return None
    return steps


def parse_layout(template: str, *, field: str = "format") -> list[Step]:
    """Pieces of a layout template: ``(code, text, "", spec)``.

    Raises:
        ConfigError: a mistake in the template, with its position.
    """
    pieces: list[Step] = []
    literal = ""
    i = 0

    def mistake(at: int, what: str) -> ConfigError:
        return ConfigError(f"{field} = {template!r}: {what} at position {at}", field=field, value=template)

    while i < len(template):
        char = template[i]
        if char in "{}" and template[i + 1 : i + 2] == char:
            literal += char
            i += 2
        elif char == "}":
            raise mistake(i, "a single '}' (write '}}' for the character)")
        elif char == "{":
            end = template.find("}", i)
            if end < 0:
                raise mistake(i, "a '{' that is never closed (write '{{' for the character)")
            if literal:
                pieces.append((PIECE_LITERAL, literal, "", ""))
                literal = ""
            name, _, spec = template[i + 1 : end].partition(":")
            if not name.isidentifier():
                raise mistake(i, f"'{{{name}}}' is not a placeholder name (letters, digits, underscores)")
            pieces.append(_piece(name, spec))
            i = end + 1
        else:
            literal += char
            i += 1
    if literal:
        pieces.append((PIECE_LITERAL, literal, "", ""))
    return pieces


def _piece(name: str, spec: str) -> Step:
    if name == "time":
        return (PIECE_TIME, spec or DEFAULT_TIME, "", "")
    if name in PIECES and name not in ("literal", "field"):
        return (PIECES.index(name), "", "", spec)
    return (PIECE_FIELD, name, "", spec)


def default_layout(
    *,
    time: str | None = DEFAULT_TIME,
    module: bool = True,
    function: bool = True,
    filename: bool = False,
    lineno: bool = True,
) -> str:
    """The text layout of a sink that names none."""
    place = [
        text
        for shown, text in (
            (module, "{module}"),
            (filename, "{filename}"),
            (function, "{function}"),
            (lineno, "{lineno}"),
        )
        if shown
    ]
    parts = [f"{{time:{time}}}"] if time else []
    parts.append("{level:<8}")
    if place:
        parts.append(":".join(place))
    parts.append("{message}")
    return " | ".join(parts)


COMPACT_LAYOUT = "{time:HH:mm:ss.SSS} {level:.1} {module}:{lineno} {message}"
