"""Formatters of `logging` as layouts, which the flusher renders without the GIL, to the byte.

`layout_of` translates a formatter, or says why it is not served. `differs` (bridge/validation.py) then formats some
records both ways. Whoever serves a handler asks both.
"""

from __future__ import annotations

import logging
import sys
from contextlib import suppress

from logly._core import KIND_STR, logging_layout

from .format_parts import ATTRIBUTES, NotServed, kind_of_value, literal, merged, part_of
from .formatter_checks import (
    PARSERS,
    STYLES,
    check_names,
    check_text,
    check_uses_time,
    checked_style,
    is_utf8,
    level_names,
    start_time,
)
from .formatter_times import check_time_format, is_utc, time_parts
from .json_formatters import JsonFormat
from .known_formatters import kind_of_formatter, more_attributes, more_fields, status_phrases
from .shown_extra import ACCESS_FIELDS, ShownExtra

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from logly._core import LayoutProgram

    from .format_parts import Part, Placeholder

__all__ = ["FormatterLayout", "NotServed", "layout_of"]

MOST_PARTS = 200

SHOWN = {
    "pathname": "path",
    "filename": "filename",
    "module": "module",
    "lineno": "lineno",
    "funcName": "function",
    "thread": "thread",
    "threadName": "thread_name",
}
"""What a record must have for an attribute, in the terms of `Sink.needs`."""


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
        kind: which of the formatters it is that are known; see bridge/known_formatters.py.
        levels: names by number, as they were.
        samples: more fields of `extra` for validation.
    """

    __slots__ = (
        "ascii_only",
        "encoding",
        "errors",
        "extra",
        "fields",
        "kind",
        "levels",
        "process_name",
        "program",
        "samples",
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
    kind: str
    levels: dict[int, str]
    samples: list[dict[str, Any]]


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
    kind = kind_of_formatter(used)
    layout = FormatterLayout()
    layout.kind = kind
    layout.terminator = terminator
    layout.encoding = encoding
    layout.errors = errors or "strict"
    layout.ascii_only = not is_utf8(encoding)
    layout.levels = level_names()
    layout.process_name = None
    layout.samples = []
    if type(terminator) is not str:
        raise NotServed("the handler's terminator is no str")
    if kind == "json":
        _translate_json(layout, used)
    else:
        _translate(layout, used)
    return layout


def _translate(layout: FormatterLayout, formatter: Any) -> None:
    """Fills in the layout of a formatter that fills a format with the attributes of a record."""
    style = checked_style(formatter)
    defaults = style._defaults or {}
    placeholders = PARSERS[STYLES.index(type(style))](style._fmt)
    names = {name for name, _, _ in placeholders if name is not None}
    attributes = more_attributes(layout.kind, formatter)
    check_names(names)
    if "asctime" in names:
        check_uses_time(formatter)
    parts = _Parts(layout, defaults, attributes, is_percent=type(style) is logging.PercentStyle)
    if not names.isdisjoint(("asctime", *attributes)):
        parts.use_time(formatter, names)
    parts.translate(placeholders)
    more_fields(layout.kind, layout.fields)
    optional = frozenset(defaults) | (layout.fields.keys() - names)
    if "server_time" in attributes:
        optional |= {"server_time"}
    layout.extra = None
    if layout.fields or layout.kind == "access":
        leaves = frozenset(("server_time",)) if "server_time" in attributes else frozenset()
        layout.extra = ShownExtra(layout.fields, optional, leaves=leaves, takes_access=layout.kind == "access")
    _finish(layout, formatter, parts)


def _translate_json(layout: FormatterLayout, formatter: Any) -> None:
    """Fills in the layout of a formatter of python-json-logger."""
    json = JsonFormat(formatter)
    check_names(json.attributes)
    parts = _Parts(layout, {}, {}, is_percent=False)
    parts.json = json
    layout.ascii_only = layout.ascii_only and not json.is_ascii
    if "asctime" in json.attributes:
        parts.use_time(formatter, {"asctime"})
    for part in json.parts:
        if part[:2] == ("attribute", "processName"):
            layout.process_name = current_process_name()
            part = literal(json.dumps(layout.process_name))
        parts.parts.append(part)
    parts.missing = json.missing
    layout.fields = dict(json.extra.kinds)
    layout.extra = json.extra
    layout.samples = json.samples
    _finish(layout, formatter, parts)


def _finish(layout: FormatterLayout, formatter: Any, parts: _Parts) -> None:
    parts.parts = merged(parts.parts)
    if len(parts.parts) > MOST_PARTS:
        raise NotServed(f"the format has more than {MOST_PARTS} parts")
    every = [*parts.parts, *parts.asctime]
    is_ascii_json = parts.json is not None and parts.json.is_ascii
    texts = [layout.terminator, parts.strftime, *layout.levels.values()]
    texts += [what + spec for _, what, _, spec, _ in every]
    check_text("".join(texts), ascii_only=layout.ascii_only)
    if is_ascii_json and not is_utf8(layout.encoding):
        check_text(layout.terminator + parts.json.prefix, ascii_only=True)  # type: ignore[union-attr]
    layout.shown = frozenset(SHOWN[what] for kind, what, *_ in every if kind == "attribute" and what in SHOWN)
    layout.takes_surrogates = (
        layout.kind == "logging"
        and not layout.ascii_only
        and layout.errors == "backslashreplace"
        and all(map(is_plain_text, every))
    )
    layout.program = logging_layout(
        parts.parts,
        parts.asctime,
        strftime=parts.strftime,
        utc=is_utc(formatter),
        terminator=layout.terminator,
        levels=layout.levels,
        start=start_time(),
        missing=parts.missing,
        phrases=status_phrases() if layout.kind == "access" else {},
        json=parts.json.options if parts.json is not None else None,
    )


# ---- the parts


class _Parts:
    """The parts of a format, and those of an asctime that has a width or a conversion.

    Attributes:
        missing: what is written where a record lacks a field, by the part's name, conversion and specification.
    """

    def __init__(
        self, layout: FormatterLayout, defaults: dict[str, Any], attributes: dict[str, int], *, is_percent: bool
    ) -> None:
        self.layout = layout
        self.defaults = defaults
        self.attributes = attributes
        self.is_percent = is_percent
        self.parts: list[Part] = []
        self.asctime: list[Part] = []
        self.second: list[Part] = []
        self.strftime = ""
        self.missing: dict[tuple[str, str, str], str] = {}
        self.json: JsonFormat | None = None
        layout.fields = {}

    def use_time(self, formatter: Any, names: set[str]) -> None:
        if "asctime" not in names and "server_time" not in self.attributes:
            return
        self.second, self.strftime = time_parts(formatter)
        check_time_format(self.strftime, ascii_only=self.layout.ascii_only)
        if self.json is not None or "server_time" in names:
            self.asctime = merged(self.second)

    def translate(self, placeholders: list[Placeholder]) -> None:
        for name, conversion, spec in placeholders:
            if name is None:
                self.parts.append(literal(conversion))
            else:
                self._add(name, conversion, spec)

    def _add(self, name: str, conversion: str, spec: str) -> None:
        known = {**ATTRIBUTES, **self.attributes}
        part, accepts = part_of(name, conversion, spec, known, is_percent=self.is_percent)
        if name == "client_addr" and name in self.attributes:
            self.parts.append(("field", ACCESS_FIELDS[0], conversion, spec, False))
        elif name == "server_time" and name in self.attributes:
            self._add_field(("field_or_time", *part[1:]), accepts)
        elif part[0] == "field":
            self._add_field(part, accepts)
        elif name == "processName":
            self.layout.process_name = current_process_name()
            self.parts.append(literal(formatted(self.layout.process_name, conversion, spec)))
        elif name != "asctime":
            self.parts.append(part)
        elif conversion or spec:
            self.parts.append(part)
            self.asctime = merged(self.second)
        else:
            self.parts += self.second

    def _add_field(self, part: Part, accepts: int) -> None:
        _, name, conversion, spec, _ = part
        accepts &= self.layout.fields.get(name, accepts)
        if not accepts:
            raise NotServed(f"the format gives {name} in a form that is not served")
        self.layout.fields[name] = accepts
        if name in self.defaults:
            if not accepts & kind_of_value(self.defaults[name]):
                raise NotServed(f"the format gives the default of {name} in a form that is not served")
            self.missing[name, conversion, spec] = formatted(self.defaults[name], conversion, spec)
        self.parts.append(part)


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


def formatted(value: object, conversion: str, spec: str) -> str:
    if conversion == "r":
        value = repr(value)
    elif conversion == "a":
        value = ascii(value)
    elif conversion == "s":
        value = str(value)
    return format(value, spec)


def is_plain_text(part: Part) -> bool:
    """Whether the part writes a text as it is. A width would count a lone surrogate by the characters of its escape."""
    _, what, conversion, spec, _ = part
    return part[0] == "literal" or ATTRIBUTES.get(what, KIND_STR) != KIND_STR or not (conversion or spec)
