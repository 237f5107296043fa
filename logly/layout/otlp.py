"""Makes the layout ``format="otlp"``: each line is a request of OpenTelemetry's protocol, as JSON, with one record.

That is what the receiver `otlpjsonfile` of a collector reads, a `LogsData` in each line. The front of a line (the
resource) and its end are the same in all lines of a sink, so `Otlp` joins lines to one request without reading
them. The flusher's part is layout/otlp.pxd.
"""

from __future__ import annotations

import os
from urllib.parse import unquote

from logly._core import json_of
from logly.errors import ConfigError, show

from .json_layout import JsonMembers, Renamed
from .presets import Preset

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["otlp_members", "resource_attributes"]

ATTRIBUTES = Preset(
    {
        "thread.id": "thread",
        "thread.name": "thread_name",
        "code.function.name": "function_name",
        "code.file.path": "path",
        "code.line.number": "lineno",
    },
    {
        "exception.type": "exception_type",
        "exception.message": "exception_message",
        "exception.stacktrace": "exception_stack",
        "code.stacktrace": "stack_text",
    },
    places={
        "trace_id": ("traceId", "trace_id"),
        "span_id": ("spanId", "span_id"),
        "trace_flags": ("flags", "trace_flags"),
    },
)
"""The attributes beside the fields, by OpenTelemetry's semantic conventions."""

SEVERITIES = ((50, "21"), (45, "18"), (40, "17"), (30, "13"), (25, "10"), (20, "9"), (10, "5"), (0, "1"))
"""The severity numbers of the data model, by the level from which on a record has them."""

ON_DEMAND = ("thread.name",)
"""What is left out unless `json_keys` names it: to ask `threading` for the name costs more than all the rest."""

TYPES = {"thread": "intValue", "lineno": "intValue"}
"""The members of AnyValue; what is not here is a text."""
WHEN = {
    "function_name": "sited",
    "path": "sited",
    "lineno": "sited",
    "exception_type": "exception",
    "exception_message": "exception",
    "exception_stack": "exception",
    "stack_text": "stack",
}
SHOWN = {
    "thread": ("thread",),
    "thread_name": ("thread_name",),
    "function_name": ("module", "function"),
    "path": ("path",),
    "lineno": ("lineno",),
}
"""Which placeholders of a text layout need the same of a record."""

RESOURCE = '{"resourceLogs":['
SCOPES = '"scopeLogs":['
RECORDS = '"logRecords":['
END = "]}]}]}\n"


def otlp_members(
    *,
    keys: Mapping[str, str | None],
    static: Mapping[str, object],
    fields: str | None,
    time: str | None,
    level: str | None,
) -> JsonMembers:
    """The layout.

    Args:
        keys: new keys of `ATTRIBUTES`.
        static: the resource's attributes.
        fields: the key of the attribute that has all fields; None: each is an attribute.
        time: None: OTLP has one form of time.
        level: how `severityText` shows the level: "name" or "lower"; None: "name".

    Raises:
        ConfigError: a key or form that OTLP does not have.
    """
    renamed = Renamed(ATTRIBUTES, {**dict.fromkeys(ON_DEMAND), **keys}, {}, fields)
    made = JsonMembers(is_pretty=False, time="epoch_ns")
    _check(renamed, time, level)
    made.words = list(SEVERITIES)
    attributes = resource_attributes(static)
    resource = ",".join(_attribute(key, attributes[key]) for key in attributes)
    # Of the first brace the flusher makes the line's own: see `render_json`.
    made.literal(f'{RESOURCE}{{"resource":{{"attributes":[{resource}]}},{SCOPES}{{"scope":{{"name":')
    made.part("logger_or_module")
    made.literal(f'}},{RECORDS}{{"timeUnixNano":"')
    made.part("unix_time")
    made.literal('","observedTimeUnixNano":"')
    made.part("observed")
    made.literal('","severityNumber":')
    made.part("level_word")
    made.literal(',"severityText":')
    made.part(f"level_{level or 'name'}")
    made.literal(',"body":{"stringValue":')
    made.part("message")
    made.literal("}")
    made.part("trace")
    made.literal(',"attributes":')
    made.part("array")
    _fill_attributes(made, renamed, fields)
    made.part("array_end")
    made.literal("}" + END[:-2])  # `render_json` ends the line
    made.shown.add("module")
    made.names = _names(renamed, is_one_key=bool(fields))
    return made


def _check(renamed: Renamed, time: str | None, level: str | None) -> None:
    if time not in (None, "epoch_ns"):
        raise ConfigError(
            f"json_time = {time!r} cannot be used with format = 'otlp': its times are nanoseconds",
            field="json_time",
            value=time,
        )
    if level == "number":
        raise ConfigError(
            "json_level = 'number' cannot be used with format = 'otlp': its severityNumber is the level's number",
            field="json_level",
            value=level,
        )
    for field in ATTRIBUTES.places:
        place, _ = ATTRIBUTES.places[field]
        if renamed.of[place] not in ("", place):
            raise ConfigError(
                f"json_keys[{place!r}] = {show(renamed.of[place])}: OTLP has no other name for it; None makes an "
                f"attribute of the field {field}",
                field="json_keys",
                value=renamed.of[place],
            )


def _fill_attributes(made: JsonMembers, renamed: Renamed, fields: str | None) -> None:
    for key in ATTRIBUTES.front:
        _fill_attribute(made, renamed.of[key], str(ATTRIBUTES.front[key]))
    if renamed.of["recorder"]:
        made.literal("," + _attribute(renamed.of["recorder"], value=True), "kept")
    made.part("attributes_object" if fields else "attributes")
    if fields:
        made.fields_key = f',{{"key":{json_of(fields)},"value":{{"kvlistValue":{{"values":'
    for key in ATTRIBUTES.back:
        _fill_attribute(made, renamed.of[key], str(ATTRIBUTES.back[key]))


def _fill_attribute(made: JsonMembers, key: str, source: str) -> None:
    if not key:
        return
    made.shown.update(SHOWN.get(source, ()))
    when, kind = WHEN.get(source, "always"), TYPES.get(source, "stringValue")
    quote = '"' if kind == "intValue" else ""
    made.literal(f',{{"key":{json_of(key)},"value":{{"{kind}":{quote}', when)
    made.part(source, when)
    made.literal(f"{quote}}}}}", when)


def _names(renamed: Renamed, *, is_one_key: bool) -> list[tuple[str, str, str, str | None, str, str]]:
    """The names of fields that are not attributes as they are: those of the trace, and those of other attributes."""
    found: list[tuple[str, str, str, str | None, str, str]] = []
    for field in ATTRIBUTES.places:
        place, form = ATTRIBUTES.places[field]
        if renamed.of[place]:
            found.append((field, form, "always", None, f',"{place}":', ""))
    if is_one_key:
        return found
    places = {place for place, _ in ATTRIBUTES.places.values()}
    for key in renamed.taken:
        if key in ATTRIBUTES.places:
            raise ConfigError(
                f"json_keys: the attribute {key!r} cannot have the name of a field of the trace",
                field="json_keys",
                value=key,
            )
        if key not in places:
            when = "kept" if key == renamed.of["recorder"] else "always"
            found.append((key, "renamed", when, None, "", ""))
    return found


def resource_attributes(static: Mapping[str, object]) -> dict[str, object]:
    """The resource's attributes: those of `static`, then what OpenTelemetry's environment variables say."""
    found = dict(static)
    name = os.environ.get("OTEL_SERVICE_NAME")
    if name:
        found.setdefault("service.name", name)
    pairs = [pair.partition("=") for pair in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(",") if pair.strip()]
    if all(key.strip() and equals for key, equals, _ in pairs):  # by the specification, all or nothing
        for key, _, value in pairs:
            found.setdefault(unquote(key.strip()), unquote(value.strip()))
    return found


def _attribute(key: str, value: object) -> str:
    return f'{{"key":{json_of(key)},"value":{_any_value(value)}}}'


def _any_value(value: object) -> str:
    """An AnyValue, as the flusher makes it of a field with this value."""
    if type(value) is bytes:
        from binascii import b2a_base64

        return f'{{"bytesValue":"{b2a_base64(value, newline=False).decode()}"}}'
    if type(value) is float:
        words = {"inf": '"Infinity"', "-inf": '"-Infinity"', "nan": '"NaN"'}
        return f'{{"doubleValue":{words.get(repr(value), repr(value))}}}'
    import json

    return _of_json(json.loads(json_of(value)))


def _of_json(value: object) -> str:
    if value is None:
        return "{}"
    if isinstance(value, bool):
        return f'{{"boolValue":{json_of(value)}}}'
    if isinstance(value, int):
        kind = "intValue" if -(1 << 63) <= value < 1 << 63 else "stringValue"
        return f'{{"{kind}":"{json_of(value)}"}}'
    if isinstance(value, float):
        return f'{{"doubleValue":{json_of(value)}}}'
    if isinstance(value, dict):
        values = ",".join(f'{{"key":{json_of(key)},"value":{_of_json(value[key])}}}' for key in value)
        return f'{{"kvlistValue":{{"values":[{values}]}}}}'
    if isinstance(value, list):
        return f'{{"arrayValue":{{"values":[{",".join(map(_of_json, value))}]}}}}'
    return f'{{"stringValue":{json_of(value)}}}'
