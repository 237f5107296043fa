"""The JSON layouts that have a name: which key has what, as data. layout/json_layout.py makes layouts of them.

docs/presets.md shows a line of each, and says which pages of the keys' owners it follows.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

__all__ = ["DATADOG", "ECS", "GCP", "PLAIN", "Preset", "Source", "Static"]


class Static:
    """A value that is the same in every line."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value


Source: TypeAlias = "str | Static | dict[str, Source]"
"""What stands under a key: what a record has (a name of `json_layout.SHOWS`), a value, or an object of such members."""


class Preset:
    """A JSON layout.

    Args:
        front: the members before the fields, by key, in their order.
        back: those after the fields.
        places: fields that have places of their own: the key, and how the value is shown (a name of `json_forms` in
            layout/json_compile.pxi).
        level: how the level is shown: "name", "lower", "number", or the layout's own words: from which number on, the
            highest first.
        expands_dots: the reader takes ``error.type`` for a member of ``error``. So a field ``error`` is renamed, too.
    """

    __slots__ = ("back", "expands_dots", "front", "level", "places")

    def __init__(
        self,
        front: dict[str, Source],
        back: dict[str, Source],
        *,
        places: dict[str, tuple[str, str]] | None = None,
        level: str | tuple[tuple[int, str], ...] = "name",
        expands_dots: bool = False,
    ) -> None:
        self.front, self.back = front, back
        self.places = places or {}
        self.level = level
        self.expands_dots = expands_dots


PLAIN = Preset(
    {
        "timestamp": "time",
        "level": "level",
        "logger": "logger",
        "message": "message",
        "module": "module",
        "function": "function",
        "lineno": "lineno",
    },
    {
        "exception": {"type": "exception_type", "message": "exception_message", "stack": "exception_stack"},
        "stack": "stack",
    },
)

ECS = Preset(
    {
        "@timestamp": "time",
        "log.level": "level",
        "message": "message",
        "ecs.version": Static("8.11.0"),
        "log.logger": "logger_or_module",
        "log.origin": {"file": {"name": "filename", "line": "lineno"}, "function": "function"},
    },
    {
        "error.type": "exception_type",
        "error.message": "exception_message",
        "error.stack_trace": "exception_stack",
        "stack": "stack",
    },
    places={"trace_id": ("trace.id", "text"), "span_id": ("span.id", "text")},
    level="lower",
    expands_dots=True,
)

GCP = Preset(
    {
        "time": "time",
        "severity": "level",
        "message": "message",
        "logger": "logger_or_module",
        "logging.googleapis.com/sourceLocation": {"file": "path", "line": "lineno_text", "function": "function"},
    },
    {"stack_trace": "exception_stack", "stack": "stack"},
    places={
        "trace_id": ("logging.googleapis.com/trace", "text"),
        "span_id": ("logging.googleapis.com/spanId", "text"),
        "trace_flags": ("logging.googleapis.com/trace_sampled", "sampled"),
    },
    level=((50, "CRITICAL"), (40, "ERROR"), (30, "WARNING"), (25, "NOTICE"), (20, "INFO"), (0, "DEBUG")),
)

DATADOG = Preset(
    {
        "timestamp": "time",
        "status": "level",
        "message": "message",
        "logger.name": "logger_or_module",
        "logger.method_name": "function",
        "filename": "filename",
        "lineno": "lineno",
    },
    {
        "error.kind": "exception_type",
        "error.message": "exception_message",
        "error.stack": "exception_stack",
        "stack": "stack",
    },
    places={"trace_id": ("dd.trace_id", "datadog_id"), "span_id": ("dd.span_id", "datadog_id")},
    level=((50, "critical"), (40, "error"), (30, "warning"), (25, "ok"), (20, "info"), (0, "debug")),
    expands_dots=True,
)
