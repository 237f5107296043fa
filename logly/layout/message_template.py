"""Parses message templates into steps that the core turns into C programs: once per template, at its first use."""

from __future__ import annotations

import sys
from _string import (  # type: ignore[import-not-found]  # what str.format itself parses with
    formatter_field_name_split,
    formatter_parser,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

Step: TypeAlias = "tuple[int | str, str | None, str]"
"""Of a literal: its text, None, "". Of a placeholder: the argument's number or the field's name, the conversion (""
where there is none), the specification."""


def parse_message(template: str) -> list[Step] | None:
    """Steps of a ``str.format`` template; the core gives them their codes (`step_code` in registry/registry.pxi).

    None when the template is not one that the flusher can render (attribute or item access, nested
    specifications, mistakes): `str.format` on the caller's thread then decides what it means.
    """
    steps: list[Step] = []
    automatic = 0
    numbered = False
    try:
        for literal, field, spec, conversion in formatter_parser(template):
            if literal:
                steps.append((literal, None, ""))
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
            what = first if isinstance(first, int) else sys.intern(first)
            steps.append((what, conversion or "", spec))
    except (ValueError, IndexError):
        return None
    return steps
