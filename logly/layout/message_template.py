"""Parses message templates into steps, from which the core builds programs: once per template, at its first use."""

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
"""For a literal: its text, None, "". For a placeholder: the argument's number or the field's name, the conversion (""
for none), the specification."""


def parse_message(template: str) -> list[Step] | None:
    """Steps of a ``str.format`` template; the core gives them their codes (`step_code` in registry/registry.pxi).

    None when the flusher cannot render the template (attribute or item access, nested specifications, mistakes):
    `str.format` on the caller's thread then decides what it means.
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
