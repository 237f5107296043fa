"""Formatters of `logging` as layouts, which the flusher renders without the GIL, to the byte.

`layout_of` translates a formatter, or says why it is not served. `differs` (bridge/validation.py) then formats some
records both ways. Whoever serves a handler asks both.
"""

from __future__ import annotations

import codecs
import logging
import sys
import time
import traceback
from contextlib import suppress
from string import Template
from types import BuiltinFunctionType, FunctionType

from logly._core import KIND_STR, logging_layout
from logly.layout.message_template import parse_percent as parse_positional

from .format_parts import (
    ATTRIBUTES,
    NotServed,
    check_defaults,
    kind_of_value,
    literal,
    merged,
    parse_brace,
    parse_dollar,
    parse_percent,
    part_of,
)
from .shown_extra import ShownExtra

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from logly._core import LayoutProgram

    from .format_parts import Part, Placeholder

__all__ = ["FormatterLayout", "NotServed", "layout_of"]

MOST_CHARACTERS = 4096
MOST_PARTS = 200
MOST_TIME_CHARACTERS = 200

_UNSERVED = frozenset(vars(logging.makeLogRecord({}))) - frozenset(ATTRIBUTES) | {"taskName"}
"""Attributes of a record that no layout shows."""

_SHOWN = {
    "pathname": "path",
    "filename": "filename",
    "module": "module",
    "lineno": "lineno",
    "funcName": "function",
    "thread": "thread",
    "threadName": "thread_name",
}
"""What a record must have for an attribute, in the terms of `Sink.needs`."""

_SWITCHES = {
    "thread": "logThreads",
    "threadName": "logThreads",
    "process": "logProcesses",
    "processName": "logMultiprocessing",
}
"""The global of `logging` that switches an attribute off."""

_FORMATTER_METHODS = ("format", "formatTime", "formatException", "formatStack", "formatMessage", "usesTime")
_STYLES = (logging.PercentStyle, logging.StrFormatStyle, logging.StringTemplateStyle)
_PARSERS = (parse_percent, parse_brace, parse_dollar)


def _own(kind: type[Any], names: tuple[str, ...]) -> dict[str, object]:
    """The class's methods of these names (None: inherited) that are `logging`'s own, and not replaced already."""
    file = logging.addLevelName.__code__.co_filename
    found = {name: vars(kind).get(name) for name in names}
    return {name: found[name] for name in found if found[name] is None or _is_from(found[name], file)}


def _is_from(method: object, file: str) -> bool:
    return isinstance(method, FunctionType) and method.__code__.co_filename == file


_OWN_FORMATTER = _own(logging.Formatter, _FORMATTER_METHODS)
_OWN_STYLES = [_own(style, ("format", "_format", "usesTime")) for style in _STYLES]
_OWN_TEMPLATE = (vars(Template).get("substitute"), vars(Template).get("pattern"), vars(Template).get("delimiter"))

_ASCII_SUPERSETS = frozenset(
    (
        *(
            "ascii",
            "big5",
            "big5hkscs",
            "cp437",
            "cp737",
            "cp775",
            "cp850",
            "cp852",
            "cp855",
            "cp857",
            "cp858",
            "cp860",
        ),
        *("cp861", "cp862", "cp863", "cp865", "cp866", "cp869", "cp874", "cp932", "cp949", "cp950", "euc_jis_2004"),
        *("euc_jisx0213", "euc_jp", "euc_kr", "gb18030", "gb2312", "gbk", "johab", "koi8-r", "koi8-t", "koi8-u"),
        *("mac-cyrillic", "mac-greek", "mac-iceland", "mac-latin2", "mac-roman", "mac-turkish", "ptcp154", "shift_jis"),
        *(f"iso8859-{part}" for part in range(1, 17) if part != 12),
        *(f"cp{page}" for page in range(1250, 1259)),
    )
)
"""Encodings, as `codecs.lookup` names them, that write each ASCII character as its byte, whatever came before it."""

_DIRECTIVES = "aAbBcdHIjmMpSUwWxXyY%" if sys.platform == "win32" else "aAbBcdHIjmMpSUwWxXyYzZ%"
_FLAGS = "_-0^#" if sys.platform == "linux" else ""
_MODIFIERS = "EO" if sys.platform == "linux" else ""
if sys.platform == "linux":
    _DIRECTIVES += "CDeFgGhklnPrRtTuV"
_LOCAL_DIRECTIVES = "aAbBchpPrxX"
"""What these give depends on the locale."""


class FormatterLayout:
    """A formatter as the flusher renders it.

    Attributes:
        program: the layout, for a sink.
        shown: which of the site's names, "thread" and "thread_name" a record must have; in the terms of `Sink.needs`.
        fields: the names of `extra` that the format shows, each with the kinds of value (`KIND_` bits of
            text/format_spec.pxd) for which the flusher's text is that of the style. A record that lacks one, or has a
            value of another kind, is to be formatted by `logging`.
        extra: what it shows of `extra`, or None.
        ascii_only: whether only ASCII text may be rendered. All other text (messages, names, tracebacks) is encoded by
            `logging`.
        takes_surrogates: whether a lone surrogate in a text is written as the stream would write it. If not, a record
            that has one is to be formatted by `logging`, whose stream then raises or replaces it.
        process_name: the process's name as it is written; None: it is not.
        terminator, encoding, errors: as they were given.
        levels: names by number, as they were.
    """

    __slots__ = (
        "ascii_only",
        "encoding",
        "errors",
        "extra",
        "fields",
        "levels",
        "process_name",
        "program",
        "shown",
        "takes_surrogates",
        "terminator",
    )

    program: LayoutProgram
    shown: frozenset[str]
    fields: dict[str, int]
    extra: ShownExtra | None
    ascii_only: bool
    takes_surrogates: bool
    process_name: str | None
    terminator: str
    encoding: str
    errors: str
    levels: dict[int, str]


def layout_of(
    formatter: logging.Formatter | None, *, terminator: str = "\n", encoding: str = "utf-8", errors: str | None = None
) -> FormatterLayout:
    """Return the layout that writes what the formatter gives, the terminator after it, in the encoding of a stream.

    Args:
        formatter: the handler's; None: `logging`'s default formatter.
        terminator: the handler's.
        encoding: the stream's.
        errors: what the stream does with text that it cannot encode.

    Raises:
        NotServed: the bytes would not be the same in every case; with the reason.
    """
    used = logging._defaultFormatter if formatter is None else formatter  # type: ignore[attr-defined]
    style = _checked(used)
    layout = FormatterLayout()
    layout.terminator = terminator
    layout.encoding = encoding
    layout.errors = errors or "strict"
    layout.ascii_only = not _is_utf8(encoding)
    layout.levels = _level_names()
    layout.process_name = None
    defaults = style._defaults or {}
    placeholders = _PARSERS[_STYLES.index(type(style))](style._fmt)
    names = {name for name, _, _ in placeholders if name is not None}
    _check_names(names, used)
    second, strftime = _time_parts(used) if "asctime" in names else ([], "")
    _check_time_format(strftime, ascii_only=layout.ascii_only)
    missing: dict[tuple[str, str, str], str] = {}
    parts, asctime = _parts(
        layout, placeholders, second, defaults, missing, is_percent=type(style) is logging.PercentStyle
    )
    layout.extra = ShownExtra(layout.fields, frozenset(defaults)) if layout.fields else None
    if len(parts) > MOST_PARTS:
        raise NotServed(f"the format has more than {MOST_PARTS} parts")
    _check_texts(layout, [*parts, *asctime], strftime)
    layout.shown = frozenset(_SHOWN[name] for name in names if name in _SHOWN)
    layout.takes_surrogates = (
        not layout.ascii_only and layout.errors == "backslashreplace" and all(map(_is_plain_text, [*parts, *asctime]))
    )
    layout.program = logging_layout(
        parts,
        asctime,
        strftime=strftime,
        utc=_is_utc(used),
        terminator=terminator,
        levels=layout.levels,
        start=_start(),
        missing=missing,
    )
    return layout


# ---- the formatter itself


def _checked(formatter: logging.Formatter) -> Any:
    """The formatter's style, if the formatter and its style do what `logging` made them for."""
    if type(formatter) is not logging.Formatter:
        kind = type(formatter)
        raise NotServed(f"the formatter is a {kind.__module__}.{kind.__qualname__}")
    _check_methods(logging.Formatter, _FORMATTER_METHODS, _OWN_FORMATTER)
    own = vars(formatter)
    for name in own:
        if name in _FORMATTER_METHODS:
            raise NotServed(f"the formatter has its own {name}")
    style: Any = own.get("_style")
    if type(style) not in _STYLES:
        raise NotServed("the formatter's style is not one of logging's own")
    for style_kind, methods in zip(_STYLES, _OWN_STYLES, strict=True):
        _check_methods(style_kind, ("format", "_format", "usesTime"), methods)
    for name in vars(style):
        if name in ("format", "_format", "usesTime"):
            raise NotServed(f"the formatter's style has its own {name}")
    check_defaults(style._defaults)
    if type(style._fmt) is not str or len(style._fmt) > MOST_CHARACTERS:
        raise NotServed(f"the format is no str of at most {MOST_CHARACTERS} characters")
    if type(style) is logging.StringTemplateStyle:
        _check_template(style)
    if getattr(traceback.print_exception, "__module__", None) != "traceback":
        raise NotServed("traceback.print_exception is patched")
    return style


def _check_methods(kind: type, names: tuple[str, ...], own: dict[str, object]) -> None:
    attributes = vars(kind)
    for name in names:
        if name not in own or attributes.get(name) is not own[name]:
            raise NotServed(f"logging.{kind.__name__}.{name} is patched")
    if kind.__getattribute__ is not object.__getattribute__ or "__getattr__" in attributes:  # type: ignore[comparison-overlap]
        raise NotServed(f"logging.{kind.__name__}'s attributes are patched")


def _check_template(style: Any) -> None:
    template = style._tpl
    own = (vars(Template).get("substitute"), vars(Template).get("pattern"), vars(Template).get("delimiter"))
    if type(template) is not Template or vars(template) != {"template": style._fmt} or own != _OWN_TEMPLATE:
        raise NotServed("the formatter's template is not string.Template's own")


def _check_names(names: set[str], formatter: logging.Formatter) -> None:
    for name in sorted(names):
        if name in _UNSERVED or name == "second":
            raise NotServed(f"the format names {name}")
        switch = _SWITCHES.get(name)
        if switch is not None and not getattr(logging, switch):
            raise NotServed(f"logging.{switch} is off")
    if "asctime" in names and not formatter.usesTime():
        raise NotServed("the format names asctime in a way that logging does not see")


def _is_utf8(encoding: str) -> bool:
    try:
        name = codecs.lookup(encoding).name
    except (LookupError, TypeError):
        raise NotServed("the stream has no encoding that is known") from None
    if name != "utf-8" and name not in _ASCII_SUPERSETS:
        raise NotServed(f"the stream's encoding is {name}")
    return name == "utf-8"


def _level_names() -> dict[int, str]:
    """What `logging.getLevelName` says of numbers."""
    names = dict(logging._levelToName)
    if any(
        type(number) is not int or type(name) is not str for number, name in zip(names, names.values(), strict=True)
    ):
        raise NotServed("logging has a level whose number is no int, or whose name is no str")
    if any(not isinstance(name, str) for name in logging._nameToLevel):
        raise NotServed("logging has a level whose name is no str")
    return {number: names[number] for number in names if 0 <= number < 1 << 15}


def _start() -> float | int:
    start: float | int = logging._startTime  # type: ignore[attr-defined]
    if type(start) is not (int if sys.version_info >= (3, 13) else float):
        raise NotServed("logging._startTime is patched")
    return start


# ---- the time


def _is_utc(formatter: logging.Formatter) -> bool:
    converter: Any = formatter.converter
    for name in ("localtime", "gmtime"):
        # The C function itself, and not one by which a library has replaced it.
        if _is_builtin(converter) and converter.__module__ == "time" and converter.__name__ == name:
            return name == "gmtime"
    raise NotServed("the formatter's converter is neither time.localtime nor time.gmtime")


def _is_builtin(function: Any) -> bool:
    return type(function) is BuiltinFunctionType


def _time_parts(formatter: logging.Formatter) -> tuple[list[Part], str]:
    """The parts of asctime, and the format for strftime."""
    if not _is_builtin(vars(time).get("strftime")):  # what `logging` would call, be it patched
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


def _check_time_format(strftime: Any, *, ascii_only: bool) -> None:
    if type(strftime) is not str or len(strftime) > MOST_TIME_CHARACTERS or "\0" in strftime:
        raise NotServed(f"the time's format is no str of at most {MOST_TIME_CHARACTERS} characters")
    if sys.platform == "win32" and not strftime.isascii():
        raise NotServed("the time's format is not ASCII")
    at = strftime.find("%")
    while at >= 0:
        at += 1
        while strftime[at : at + 1] and strftime[at] in _FLAGS:
            at += 1
        is_local = strftime[at : at + 1] in _LOCAL_DIRECTIVES
        if strftime[at : at + 1] and strftime[at] in _MODIFIERS:
            is_local = True
            at += 1
        if not strftime[at : at + 1] or strftime[at] not in _DIRECTIVES:
            raise NotServed("the time's format has a directive that is not served")
        if is_local and ascii_only:
            raise NotServed("the time's format depends on the locale, and the stream's encoding is not UTF-8")
        at = strftime.find("%", at + 1)


# ---- the parts


def _parts(
    layout: FormatterLayout,
    placeholders: list[Placeholder],
    second: list[Part],
    defaults: dict[str, Any],
    missing: dict[tuple[str, str, str], str],
    *,
    is_percent: bool,
) -> tuple[list[Part], list[Part]]:
    """The parts of the format, and those of an asctime that has a width or a conversion.

    `missing` gets what is written where a record lacks a field, by the part's name, conversion and specification.
    """
    parts: list[Part] = []
    asctime: list[Part] = []
    layout.fields = {}
    for name, conversion, spec in placeholders:
        if name is None:
            parts.append(literal(conversion))
            continue
        part, accepts = part_of(name, conversion, spec, is_percent=is_percent)
        if part[0] == "field":
            accepts &= layout.fields.get(name, accepts)
            if not accepts:
                raise NotServed(f"the format gives {name} in a form that is not served")
            layout.fields[name] = accepts
            if name in defaults:
                if not accepts & kind_of_value(defaults[name]):
                    raise NotServed(f"the format gives the default of {name} in a form that is not served")
                missing[name, conversion, spec] = _formatted(defaults[name], conversion, spec)
            parts.append(part)
        elif name == "processName":
            layout.process_name = current_process_name()
            parts.append(literal(_formatted(layout.process_name, conversion, spec)))
        elif name != "asctime":
            parts.append(part)
        elif conversion or spec:
            parts.append(part)
            asctime = merged(second)
        else:
            parts += second
    return merged(parts), asctime


def current_process_name() -> str:
    """What a `logging.LogRecord` says of the process it is made in."""
    multiprocessing = sys.modules.get("multiprocessing")
    name = "MainProcess"
    if multiprocessing is not None:
        with suppress(Exception):  # as `logging` does
            name = multiprocessing.current_process().name
    if type(name) is not str:
        raise NotServed("the process's name is no str")
    return name


def _formatted(value: object, conversion: str, spec: str) -> str:
    if conversion == "r":
        value = repr(value)
    elif conversion == "a":
        value = ascii(value)
    elif conversion == "s":
        value = str(value)
    return format(value, spec)


def _is_plain_text(part: Part) -> bool:
    """Whether the part writes a text as it is. A width would count a lone surrogate by the characters of its escape."""
    _, what, conversion, spec, _ = part
    return part[0] == "literal" or ATTRIBUTES.get(what, KIND_STR) != KIND_STR or not (conversion or spec)


def _check_texts(layout: FormatterLayout, parts: list[Part], strftime: str) -> None:
    """What the layout itself adds must be written as the stream would write it."""
    texts = [layout.terminator, strftime, *layout.levels.values()]
    texts += [what + spec for _, what, _, spec, _ in parts]
    if any(type(text) is not str for text in texts):
        raise NotServed("the handler's terminator is no str")
    written = "".join(texts)
    if any("\ud800" <= character <= "\udfff" for character in written):
        raise NotServed("the format has a lone surrogate")
    if layout.ascii_only and not written.isascii():
        raise NotServed("the format is not ASCII, and the stream's encoding is not UTF-8")
