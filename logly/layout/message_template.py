"""Parses message templates into steps, from which the core builds programs: once per template.

There are two styles, `str.format`'s and that of `logging` (``%``). Both become the same steps.
"""

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


MOST_ARGUMENTS = 1 << 20
"""What a larger number in a template stands for: no call has so many arguments."""


def arguments_taken(template: str) -> int:
    """How many positional arguments the template takes, up to the last that it names; -1: its braces do not parse."""
    try:
        return _taken(template, [0])
    except (ValueError, IndexError):
        return -1


def _taken(template: str, automatic: list[int]) -> int:
    """`automatic`: how many of the arguments have been taken by placeholders without a name."""
    most = 0
    for _, field, spec, _ in formatter_parser(template):
        if field is None:
            continue
        first, _ = formatter_field_name_split(field)
        if first == "":
            first, automatic[0] = automatic[0], automatic[0] + 1
        if isinstance(first, int):
            most = max(most, min(first, MOST_ARGUMENTS) + 1)
        if "{" in spec:
            most = max(most, _taken(spec, automatic))
    return most


def parse_percent(template: str) -> list[Step] | None:
    """Steps of a template of `logging`, for ``template % args``; the specifications become those of `str.format`.

    None when the flusher cannot render the template: ``%(key)s``, ``*``, ``%c``, ``#``, a precision for integers, a
    flag before ``%%``, mistakes. ``%`` on the caller's thread then decides what it means. The reference is CPython's
    ``unicode_format_arg_parse``.
    """
    steps: list[Step] = []
    literal = ""
    number = 0
    at = 0
    mark = template.find("%")
    while mark >= 0:
        literal += template[at:mark]
        found = placeholder_at(template, mark + 1)
        if found is None:
            return None
        conversion, spec, at = found
        if conversion == "%":
            literal += "%"
        else:
            if literal:
                steps.append((literal, None, ""))
            steps.append((number, conversion, spec))
            literal = ""
            number += 1
        mark = template.find("%", at)
    literal += template[at:]
    if literal:
        steps.append((literal, None, ""))
    return steps


def placeholder_at(template: str, at: int) -> tuple[str, str, int] | None:
    """Conversion, specification, and where the placeholder ends whose ``%`` is before `at`. "%": it is ``%%``."""
    start = at
    at = _end_of(template, at, "-+ 0")
    flags = template[start:at]
    start = at
    at = _end_of(template, at, "0123456789")
    width = template[start:at]
    precision = ""
    if template[at : at + 1] == ".":
        start = at + 1
        at = _end_of(template, start, "0123456789")
        precision = "." + (template[start:at] or "0")
    if template[at : at + 1] in ("h", "l", "L"):  # of C, without a meaning
        at += 1
    kind = template[at : at + 1]
    if kind == "%":
        return ("%", "", at + 1) if template[at - 1] == "%" else None
    if not kind or kind not in "sradiuxXoeEfFgG" or (precision and kind in "diuxXo"):
        return None
    align = "<" if "-" in flags else ">"
    if kind in "sra":
        spec = (align + width if width else "") + precision
        return ("" if kind == "s" and not spec else kind), spec, at + 1
    sign = "+" if "+" in flags else " " if " " in flags else ""
    if not width:
        align = ""
    elif "0" in flags and "-" not in flags:
        align, width = "", "0" + width
    return "", align + sign + width + precision + ("d" if kind in "iu" else kind), at + 1


def _end_of(template: str, at: int, characters: str) -> int:
    while at < len(template) and template[at] in characters:
        at += 1
    return at
