"""Parses layout templates into pieces, from which the core builds layouts. This happens when a sink is added."""

from __future__ import annotations

from logly._core import (
    KIND_INT,
    KIND_STR,
    PIECE_FIELD,
    PIECE_LITERAL,
    PIECE_TIME,
    PIECES,
    spec_kinds,
    time_pattern_mistake,
)
from logly.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

NUMBERS = {"lineno", "thread", "process"}

DEFAULT_TIME = "YYYY-MM-DD HH:mm:ss.SSS"

Piece: TypeAlias = "tuple[int, str, str, str]"
"""Code, text (of a literal, a time pattern, a field's name), format specification or `ESCAPED`, style."""

ESCAPED = "json"
"""In the place of a specification: the text is escaped for the inside of a JSON string."""


def parse_layout(template: str, *, time: str | None = None, field: str = "format") -> list[Piece]:
    """Pieces of a layout template.

    Args:
        template: the template.
        time: the pattern of a ``{time}`` without one, already checked; None: `DEFAULT_TIME`.
        field: the setting to name in errors.

    Raises:
        ConfigError: a mistake in the template, with its position (counted from 0).
    """
    pieces: list[Piece] = []
    literal = ""
    i = 0
    while i < len(template):
        char = template[i]
        if char in "{}" and template[i + 1 : i + 2] == char:
            literal += char
            i += 2
        elif char == "{":
            if literal:
                pieces.append((PIECE_LITERAL, literal, "", ""))
                literal = ""
            end = _end_of_placeholder(template, i)
            try:
                if end < 0:
                    raise _Mistake(i, "a '{' that is never closed (write '{{' for the character)")
                pieces.append(_piece(template[i + 1 : end], i, time or DEFAULT_TIME))
            except _Mistake as mistake:
                raise mistake.as_error(field, template) from None
            i = end + 1
        elif char == "}":
            raise _Mistake(i, "a single '}' (write '}}' for the character)").as_error(field, template)
        else:
            literal += char
            i += 1
    if literal:
        pieces.append((PIECE_LITERAL, literal, "", ""))
    if "%(" in template and len(pieces) == 1 and pieces[0][0] == PIECE_LITERAL:
        at = template.index("%(")
        raise _Mistake(at, "a placeholder of logging's: write {message} for %(message)s").as_error(field, template)
    if "<" in template and ">" in template:
        _check_markup(template, field)
    return pieces


def _check_markup(template: str, field: str) -> None:
    from .foreign_words import foreign_markup

    found = foreign_markup(template)
    if found is not None:
        tag, at = found
        what = f"{tag!r} is markup of loguru's: leave it out, a style stands after a bar: {{message:|red}}"
        raise _Mistake(at, what).as_error(field, template)


def meant_fields(template: str) -> set[str]:
    """The names of fields that the template gives as ``{fields[NAME]}``."""
    parts = template.replace("{{", "").split("{fields[")[1:]
    return {part.partition("]")[0] for part in parts}


class _Mistake(Exception):
    def __init__(self, position: int, what: str) -> None:
        self.position, self.what = position, what

    def as_error(self, field: str, value: str) -> ConfigError:
        return ConfigError(f"{field} = {value!r}: {self.what}, at position {self.position}", field=field, value=value)


def _end_of_placeholder(template: str, start: int) -> int:
    """The index of the placeholder's closing brace, or -1. A time pattern may have braces inside brackets."""
    end = template.find("}", start)
    if template.startswith("{time:", start):
        bracket = template.find("[", start)
        while 0 <= bracket < end:
            closed = template.find("]", bracket)
            if closed < 0:
                break
            end = template.find("}", closed)
            bracket = template.find("[", closed)
    return end


def _piece(placeholder: str, position: int, default_time: str) -> Piece:
    """The piece of ``NAME``, ``NAME:SPEC`` or ``NAME:SPEC|STYLE``.

    What stands after the last bar and is no style is a part of SPEC.
    """
    bare, bar, style = placeholder.rpartition("|")
    if not bar:
        return (*_bare_piece(placeholder, position, default_time), "")
    from .styles import is_style, style_hint

    if ":" in bare and is_style(style):
        return (*_bare_piece(bare, position, default_time), style)
    try:
        return (*_bare_piece(placeholder, position, default_time), "")
    except _Mistake as mistake:
        raise _Mistake(mistake.position, mistake.what + style_hint(placeholder)) from None


def _bare_piece(placeholder: str, position: int, default_time: str) -> tuple[int, str, str]:
    if placeholder.startswith("fields["):
        return _field_piece(placeholder, position)
    name, colon, spec = placeholder.partition(":")
    if not name.isidentifier():
        from .foreign_words import hint_for_expression

        rule = "a name (letters, digits, underscores), then maybe ':' and how"
        what = f"'{{{placeholder}}}' is not a placeholder: {hint_for_expression(placeholder) or rule}"
        raise _Mistake(position, what)
    inside = position + 1 + len(name) + len(colon)
    if name == "time":
        if spec == ESCAPED:
            return (PIECE_TIME, default_time, ESCAPED)
        if spec:
            _check_time(spec, inside)
        return (PIECE_TIME, spec or default_time, "")
    _check_spec(name, spec, inside)
    if name in PIECES and name not in ("literal", "field"):
        return (PIECES.index(name), "", spec)
    _check_name(name, position)
    return (PIECE_FIELD, name, spec)


def _field_piece(placeholder: str, position: int) -> tuple[int, str, str]:
    """``{fields[NAME]}``: a field, whatever it is called."""
    name, bracket, rest = placeholder[len("fields[") :].partition("]")
    if not name or not bracket or (rest and rest[0] != ":"):
        forms = "'{fields[NAME]}' or '{fields[NAME]:SPEC}'"
        raise _Mistake(position, f"'{{{placeholder}}}' is not a placeholder: {forms}")
    _check_spec("field", rest[1:], position + len(placeholder) + 2 - len(rest))
    return (PIECE_FIELD, name, rest[1:])


def _check_name(name: str, position: int) -> None:
    from .foreign_words import REFUSED

    if name == "elapsed":
        what = "logly has no elapsed time: {time} is the record's, and {fields[elapsed]} is a field"
        raise _Mistake(position, what)
    if name in REFUSED:
        what = f"'{{{name}}}' is a name of logging's: write {REFUSED[name]}, or {{fields[{name}]}} for a field"
        raise _Mistake(position, what)


def _check_spec(name: str, spec: str, position: int) -> None:
    if spec == ESCAPED:
        return
    kinds = spec_kinds(spec)
    if kinds == 0:
        raise _Mistake(position, f"{spec!r} is not a format specification")
    wanted = KIND_INT if name in NUMBERS else KIND_STR
    if name in PIECES and name != "field" and not kinds & wanted:
        raise _Mistake(
            position, f"{spec!r} is not for {'a number' if name in NUMBERS else 'text'}, which {{{name}}} is"
        )


def _check_time(pattern: str, position: int = 0) -> None:
    if pattern[:1] == "%" and pattern[1:2].isalpha():
        raise _Mistake(position, "a directive of strftime's: write it like 'YYYY-MM-DD HH:mm:ss'")
    if pattern.upper().endswith("!UTC"):
        what = "'!UTC' is loguru's: leave it out, and set Logger(timezone='utc')"
        raise _Mistake(position + len(pattern) - 4, what)
    at = time_pattern_mistake(pattern)
    if at is not None:
        what = "a '[' that is never closed" if pattern[at] == "[" else "more than nine S: a second has nine decimals"
        raise _Mistake(position + at, what)


def check_time_pattern(pattern: str, *, field: str = "date_style") -> None:
    """Check a time pattern that stands alone.

    Raises:
        ConfigError: a mistake in it, with its position (counted from 0).
    """
    try:
        _check_time(pattern)
    except _Mistake as mistake:
        raise mistake.as_error(field, pattern) from None


def default_layout(
    *,
    time: bool = True,
    module: bool = True,
    function: bool = True,
    filename: bool = False,
    lineno: bool = True,
) -> str:
    """The text layout of a sink that names none."""
    shown = {"module": module, "filename": filename, "function": function, "lineno": lineno}
    place = ":".join(f"{{{name}}}" for name in shown if shown[name])
    parts = ["{time}" if time else "", "{level:<8}", place, "{message}"]
    return " | ".join(part for part in parts if part)


COMPACT_TIME = "HH:mm:ss.SSS"


def compact_layout(*, time: bool = True, module: bool = True, lineno: bool = True) -> str:
    """The short text layout: one letter for the level, no function."""
    place = ":".join(name for name, shown in (("{module}", module), ("{lineno}", lineno)) if shown)
    return " ".join(part for part in ("{time}" if time else "", "{level:.1}", place, "{message}") if part)
