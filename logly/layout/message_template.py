"""Parses message templates into steps that the core turns into C programs: once per template, at its first use."""

from __future__ import annotations

import sys
from _string import (  # type: ignore[import-not-found]  # what str.format itself parses with
    formatter_field_name_split,
    formatter_parser,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

# Steps of a message program (see message.pxd).
LITERAL, ARGUMENT, FIELD = range(3)

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
