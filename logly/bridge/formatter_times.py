"""The time in a formatter's lines: the format for `strftime`, and the parts of asctime."""

from __future__ import annotations

import sys
import time
from types import BuiltinFunctionType

from logly.layout.message_template import parse_percent as parse_positional

from .format_parts import NotServed, literal, part_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    from typing import Any

    from .format_parts import Part

MOST_TIME_CHARACTERS = 200

DIRECTIVES = "aAbBcdHIjmMpSUwWxXyY%" if sys.platform == "win32" else "aAbBcdHIjmMpSUwWxXyYzZ%"
FLAGS = "_-0^#" if sys.platform == "linux" else ""
MODIFIERS = "EO" if sys.platform == "linux" else ""
if sys.platform == "linux":
    DIRECTIVES += "CDeFgGhklnPrRtTuV"
LOCAL_DIRECTIVES = "aAbBchpPrxX"
"""What these give depends on the locale."""


def is_utc(formatter: logging.Formatter) -> bool:
    converter: Any = formatter.converter
    for name in ("localtime", "gmtime"):
        # The C function itself, and not one by which a library has replaced it.
        if is_builtin(converter) and converter.__module__ == "time" and converter.__name__ == name:
            return name == "gmtime"
    raise NotServed("the formatter's converter is neither time.localtime nor time.gmtime")


def is_builtin(function: Any) -> bool:
    return type(function) is BuiltinFunctionType


def time_parts(formatter: logging.Formatter) -> tuple[list[Part], str]:
    """The parts of asctime, and the format for strftime."""
    if not is_builtin(vars(time).get("strftime")):  # what `logging` would call, be it patched
        raise NotServed("time.strftime is patched")
    whole = part_of("second", "", "", is_percent=True)[0]
    if formatter.datefmt:
        return [whole], formatter.datefmt
    msec_format: Any = formatter.default_msec_format
    if not msec_format:
        return [whole], formatter.default_time_format
    steps = (
        parse_positional(msec_format) if type(msec_format) is str and len(msec_format) < MOST_TIME_CHARACTERS else None
    )
    if steps is None or [what for what, conversion, _ in steps if conversion is not None] != [0, 1]:
        raise NotServed("the formatter's default_msec_format is not one of a text and a number")
    parts = []
    for what, conversion, spec in steps:
        if conversion is None:
            parts.append(literal(str(what)))
        else:
            parts.append(part_of("msecs" if what else "second", conversion, spec, is_percent=True)[0])
    return parts, formatter.default_time_format


def check_time_format(strftime: Any, *, ascii_only: bool) -> None:
    if type(strftime) is not str or len(strftime) > MOST_TIME_CHARACTERS or "\0" in strftime:
        raise NotServed(f"the time's format is no str of at most {MOST_TIME_CHARACTERS} characters")
    if sys.platform == "win32" and not strftime.isascii():
        raise NotServed("the time's format is not ASCII")
    at = strftime.find("%")
    while at >= 0:
        at += 1
        while strftime[at : at + 1] and strftime[at] in FLAGS:
            at += 1
        is_local = strftime[at : at + 1] in LOCAL_DIRECTIVES
        if strftime[at : at + 1] and strftime[at] in MODIFIERS:
            is_local = True
            at += 1
        if not strftime[at : at + 1] or strftime[at] not in DIRECTIVES:
            raise NotServed("the time's format has a directive that is not served")
        if is_local and ascii_only:
            raise NotServed("the time's format depends on the locale, and the stream's encoding is not UTF-8")
        at = strftime.find("%", at + 1)
