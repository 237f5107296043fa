"""Translation validation: some records are formatted by `logging` and by the flusher's layout.

The translation is tested, but a formatter may depend on something that nobody thought of. If any bytes differ, its
handler is not served.
"""

from __future__ import annotations

import logging
import sys

from logly._core import KIND_FLOAT, KIND_INT, KIND_STR, logging_lines

from .shown_extra import ACCESS_FIELDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .formatters import FormatterLayout

__all__ = ["differs", "fields_of", "native_line", "set_time", "use_access"]

OF_A_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

SAMPLE_NS = 1_700_000_000_007_654_321
ROUNDED_UP_NS = 1_709_251_199_999_999_999
"""A moment that a float holds as the next second, which is the first of a month."""


def set_time(record: logging.LogRecord, ns: int) -> None:
    """Give the record the attributes that it would have if it had been made at this time."""
    start = logging._startTime  # type: ignore[attr-defined]
    if sys.version_info >= (3, 13):
        record.created = ns / 1e9
        record.msecs = (ns % 1_000_000_000) // 1_000_000 + 0.0
        if record.msecs == 999.0 and int(record.created) != ns // 1_000_000_000:
            record.msecs = 0.0
        record.relativeCreated = (ns - start) / 1e6
    else:
        record.created = ns // 1_000_000_000 + 0.0 if ns % 1_000_000_000 == 0 else ns / 1e9  # as `time.time` does
        record.msecs = int((record.created - int(record.created)) * 1000) + 0.0
        record.relativeCreated = (record.created - start) * 1000


def native_line(
    record: logging.LogRecord, layout: FormatterLayout, ns: int, *, fields: dict[str, object], is_inline: bool = False
) -> tuple[bytes, bytes]:
    """Return the line that the layout makes of the record: as it is rendered, and with what the layout has kept of it.

    No flusher may be using the layout meanwhile.
    """
    return logging_lines(
        layout.program,
        {
            "name": record.name,
            "levelno": record.levelno,
            "message": record.getMessage(),
            "site": (record.module, record.funcName or "", record.pathname, record.lineno),
            "is_inline": is_inline,
            "time_ns": ns,
            "thread": record.thread or 0,
            "thread_name": record.threadName or "",
            "process": record.process or 0,
            "fields": fields,
            "exc_info": record.exc_info or None,
            "stack_info": record.stack_info or None,
        },
    )


def use_access(record: logging.LogRecord, args: tuple[str, str, str, str, int]) -> logging.LogRecord:
    """Gives the record the arguments that uvicorn's access log has."""
    record.msg, record.args = '%s - "%s %s HTTP/%s" %d', args
    return record


def fields_of(layout: FormatterLayout, record: logging.LogRecord) -> dict[str, object]:
    """What a record in the ring would carry of the record's `extra`, for this layout alone."""
    shown = layout.extra
    if shown is None:
        return {}
    attributes = vars(record)
    fields: dict[str, object] = {}
    for name in attributes:
        if name in shown.kinds or (shown.shows_among_others(name) and name not in OF_A_RECORD):
            fields[name] = attributes[name]
    if shown.takes_access and type(record.args) is tuple and len(record.args) == len(ACCESS_FIELDS):
        fields.update(zip(ACCESS_FIELDS, record.args, strict=True))
    return fields


def _raised(text: str) -> BaseException:
    try:
        raise ValueError(text)
    except ValueError as error:
        return error


def _sample_value(kinds: int) -> object:
    if kinds & KIND_STR:
        return "value"
    return 42 if kinds & KIND_INT else 2.5 if kinds & KIND_FLOAT else True


def _samples(layout: FormatterLayout) -> Iterator[tuple[str, logging.LogRecord, int]]:
    """Records, and for each what it is."""

    def record(level: int = logging.INFO, message: str = "message", name: str = "app.part") -> logging.LogRecord:
        return logging.LogRecord(name, level, "/srv/app/part.of.it.py", 7, message, (), None, "function")

    for level in [*sorted(layout.levels), 13]:
        yield f"level {level}", record(level), SAMPLE_NS
    yield "the root logger", record(name="root"), SAMPLE_NS + 999_000_000
    yield "a message of several lines", record(message="first\nsecond \\ {} %s\t\n"), SAMPLE_NS
    yield "an empty message", record(message=""), SAMPLE_NS
    yield "a time that is rounded up", record(), ROUNDED_UP_NS
    if not layout.ascii_only:
        yield "a message that is not ASCII", record(message="é \u2192 \U0001f600"), SAMPLE_NS
    for message in ("plain", "ends with a line break\n"):
        sample = record(message=message)
        error = _raised(message)
        sample.exc_info = (type(error), error, error.__traceback__)
        yield "an exception", sample, SAMPLE_NS
        sample = record(message=message)
        sample.stack_info = 'Stack (most recent call last):\n  File "part.py", line 7, in function'
        yield "a stack", sample, SAMPLE_NS
        sample = record(message=message)
        sample.exc_info = (type(error), error, error.__traceback__)
        sample.stack_info = "Stack (most recent call last):"
        yield "an exception and a stack", sample, SAMPLE_NS
    for extra in layout.samples:
        sample = record()
        vars(sample).update(extra)
        yield "fields of extra", sample, SAMPLE_NS
    if layout.kind == "access":
        for status in (200, 299, -7):
            yield (
                f"the status {status}",
                use_access(record(), ("127.0.0.1:1", "GET", "/a?b=%20", "1.1", status)),
                SAMPLE_NS,
            )


def differs(formatter: logging.Formatter | None, layout: FormatterLayout) -> str | None:
    """Return a reason if the layout's bytes are not those of the formatter for some record; None if all are the same.

    Call it before a sink gets the layout.
    """
    used = logging._defaultFormatter if formatter is None else formatter  # type: ignore[attr-defined]
    fields = {name: _sample_value(layout.fields[name]) for name in layout.fields}
    for what, record, ns in _samples(layout):
        set_time(record, ns)
        if layout.kind == "access" and not record.args:
            use_access(record, ("", "POST", "", "2", 404))
        vars(record).update(fields)
        shown = fields_of(layout, record)
        try:
            text = used.format(record) + layout.terminator
            expected = text.encode(layout.encoding, layout.errors)
        except RecursionError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, `logging` is to tell it
            return f"the formatter raises {type(error).__name__} for {what}"
        for is_inline in (False, True):
            if native_line(record, layout, ns, fields=shown, is_inline=is_inline) != (expected, expected):
                return f"the flusher would write other bytes for {what}"
    return None
