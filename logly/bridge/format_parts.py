"""Parses the formats of `logging`'s three styles into the parts of which layout/logging_compile.pxi makes a layout.

The names in a format are the attributes of a `logging.LogRecord`. What they are (text, int, float) is known beforehand,
and with it whether the flusher writes exactly what the style would write. The values of ``extra`` are known at each
call only. For them the parts say which kinds of value are written exactly.
"""

from __future__ import annotations

from _string import (  # type: ignore[import-not-found]  # what str.format itself parses with
    formatter_field_name_split,
    formatter_parser,
)
from string import Template

from logly._core import KIND_BOOL, KIND_BYTES, KIND_FLOAT, KIND_INT, KIND_NONE, KIND_STR, spec_kinds
from logly.layout.message_template import placeholder_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    Placeholder: TypeAlias = tuple[str | None, str, str]
    """For a literal: None, its text, "". Else the name, the conversion ("": none), and `str.format`'s specification."""

    Part: TypeAlias = tuple[str, str, str, str, bool]
    """Kind ("literal", "attribute", "field"), text or name, conversion, specification, whether a float is truncated."""

__all__ = [
    "ATTRIBUTES",
    "NotServed",
    "check_defaults",
    "kind_of_value",
    "literal",
    "merged",
    "parse_brace",
    "parse_dollar",
    "parse_percent",
    "part_of",
]

KIND_OF_TYPE = {bool: KIND_BOOL, int: KIND_INT, float: KIND_FLOAT, str: KIND_STR}

ATTRIBUTES = {
    "name": KIND_STR,
    "levelname": KIND_STR,
    "pathname": KIND_STR,
    "filename": KIND_STR,
    "module": KIND_STR,
    "funcName": KIND_STR,
    "asctime": KIND_STR,
    "second": KIND_STR,  # not of a record: the part of asctime that strftime makes
    "threadName": KIND_STR,
    "processName": KIND_STR,
    "message": KIND_STR,
    "levelno": KIND_INT,
    "lineno": KIND_INT,
    "thread": KIND_INT,
    "process": KIND_INT,
    "created": KIND_FLOAT,
    "msecs": KIND_FLOAT,
    "relativeCreated": KIND_FLOAT,
}
"""What the flusher knows of a record, and of which kind it is."""


class NotServed(Exception):  # it is an answer, and no error
    """Why a formatter is not served by the flusher. The reason is one sentence, and stays the same."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def literal(text: str) -> Part:
    return "literal", text, "", "", False


def kind_of_value(value: object) -> int:
    """The `KIND_` bit of a value that records carry as it is; 0: it is of another kind."""
    kind = type(value)
    return KIND_NONE if value is None else KIND_OF_TYPE.get(kind, 0)


def check_defaults(defaults: object) -> None:
    """Raises NotServed unless defaults for fields are a dict of names and of values that stay what they are."""
    if defaults is None:
        return
    if type(defaults) is not dict or any(type(name) is not str for name in defaults):
        raise NotServed("the formatter's defaults are no dict of names")
    for name in defaults:
        if not kind_of_value(defaults[name]):
            raise NotServed(f"the formatter's default of {name} is a {type(defaults[name]).__qualname__}")


def parse_percent(fmt: str) -> list[Placeholder]:
    """``fmt % {...}``. The reference is CPython's ``unicode_format_arg_parse``."""
    found: list[Placeholder] = []
    at = 0
    mark = fmt.find("%")
    while mark >= 0:
        found.append((None, fmt[at:mark], ""))
        name = _name_at(fmt, mark + 1)
        placeholder = placeholder_at(fmt, mark + 1 if name is None else mark + 3 + len(name))
        if placeholder is None or (name is None) != (placeholder[0] == "%"):
            what = "a '%' without a name" if name is None else f"{name} in a form that is not served"
            raise NotServed(f"the format gives {what}")
        conversion, spec, at = placeholder
        found.append((None, "%", "") if name is None else (name, conversion, spec))
        mark = fmt.find("%", at)
    found.append((None, fmt[at:], ""))
    return found


def _name_at(fmt: str, at: int) -> str | None:
    """The name in the parentheses that begin at `at`; it may have pairs of parentheses in it."""
    if fmt[at : at + 1] != "(":
        return None
    depth = 1
    for end in range(at + 1, len(fmt)):
        depth += (fmt[end] == "(") - (fmt[end] == ")")
        if depth == 0:
            return fmt[at + 1 : end]
    raise NotServed("the format has a '(' that is never closed")


def parse_brace(fmt: str) -> list[Placeholder]:
    """``fmt.format(**{...})``."""
    found: list[Placeholder] = []
    try:
        for text, field, spec, conversion in formatter_parser(fmt):
            found.append((None, text, ""))
            if field is None:
                continue
            name, rest = formatter_field_name_split(field)
            if list(rest) or not isinstance(name, str) or not name:
                raise NotServed(f"the format has {{{field}}}, which is no plain name")
            if "{" in spec or "}" in spec or (conversion and conversion not in "rsa"):
                raise NotServed(f"the format gives {{{field}}} in a form that is not served")
            found.append((name, conversion or "", spec))
    except (ValueError, IndexError):
        raise NotServed("the format is one that str.format refuses") from None
    return found


def parse_dollar(fmt: str) -> list[Placeholder]:
    """``string.Template(fmt).substitute(**{...})``."""
    found: list[Placeholder] = []
    at = 0
    for match in Template.pattern.finditer(fmt):
        found.append((None, fmt[at : match.start()], ""))
        at = match.end()
        name = match["named"] or match["braced"]
        if name is None and match["escaped"] is None:
            raise NotServed("the format is one that string.Template refuses")
        found.append((None, "$", "") if name is None else (name, "", ""))
    found.append((None, fmt[at:], ""))
    return found


def part_of(
    name: str, conversion: str, spec: str, attributes: dict[str, int] = ATTRIBUTES, *, is_percent: bool
) -> tuple[Part, int]:
    """Returns the part for a placeholder, and the kinds of value that it is exact for (`KIND_` bits).

    Raises:
        NotServed: it is not exact for what the attribute is.
    """
    kind = attributes.get(name)
    accepts = spec_kinds(spec)
    if conversion:
        accepts = -1 if accepts & KIND_STR else 0  # the conversion makes a str of any value
    # `%d` of a float is `%d` of its int, and only there: `{:d}` refuses a float.
    truncates = is_percent and kind == KIND_FLOAT and not conversion and spec.endswith("d")
    if truncates:
        accepts |= KIND_FLOAT
    if kind is not None and not accepts & kind:
        raise NotServed(f"the format gives {name} in a form that is not served")
    return ("field" if kind is None else "attribute", name, conversion, spec, truncates), accepts & ~KIND_BYTES


def merged(parts: list[Part]) -> list[Part]:
    """The parts, with one literal where several follow one another, and without empty ones."""
    result: list[Part] = []
    for part in parts:
        if part[0] == "literal" and result and result[-1][0] == "literal":
            result[-1] = literal(result[-1][1] + part[1])
        elif part[0] != "literal" or part[1]:
            result.append(part)
    return result
