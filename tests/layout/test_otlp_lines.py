"""`format="otlp"`: OpenTelemetry's own classes parse each line, and find what was logged."""

from __future__ import annotations

import base64
import json
import logging
import math
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logly import ConfigError, Level, LoggerConfig, SinkConfig, StdlibHandler
from logly.outlets.envelopes import Otlp
from tests.support import ROOT
from tests.support.lines import Lines, parse, seen
from tests.support.strings import strings

json_format = pytest.importorskip("google.protobuf.json_format", reason="needs protobuf")
logs_pb2 = pytest.importorskip("opentelemetry.proto.logs.v1.logs_pb2", reason="needs opentelemetry-proto")

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
ALWAYS = ["thread.id", "code.function.name", "code.file.path", "code.line.number"]
LONGEST_INT = 1 << 63


def read(line: str | bytes) -> Any:
    """What OpenTelemetry's classes make of a line or a request."""
    return json_format.Parse(line, logs_pb2.LogsData())


def python(value: Any) -> Any:
    """An AnyValue as a Python value."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [python(one) for one in value.array_value.values]
    if kind == "kvlist_value":
        return attributes(value.kvlist_value.values)
    return getattr(value, kind)


def attributes(pairs: Any) -> dict[str, Any]:
    found = {pair.key: python(pair.value) for pair in pairs}
    assert len(found) == len(pairs), "a key stands twice"
    return found


def one_record(line: str) -> Any:
    [resource] = read(line).resource_logs
    [scope] = resource.scope_logs
    [record] = scope.log_records
    return record


def record_of(lines: Lines) -> Any:
    return one_record(lines.line())


# ---- values

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(1 << 70), 1 << 70),
    st.sampled_from([LONGEST_INT - 1, LONGEST_INT, -LONGEST_INT, -LONGEST_INT - 1, 2 * LONGEST_INT]),
    st.floats(),
    st.binary(max_size=40),
    strings,
)
nested = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(strings, inner, max_size=4)),
    max_leaves=20,
)


def expected(value: Any, *, is_inside: bool = False) -> Any:
    if isinstance(value, dict):
        return {seen(key): expected(item, is_inside=True) for key, item in value.items()}
    if isinstance(value, list):
        return [expected(item, is_inside=True) for item in value]
    if isinstance(value, bytes) and is_inside:
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, float) and is_inside and not math.isfinite(value):
        return None
    if isinstance(value, int) and not -LONGEST_INT <= value < LONGEST_INT:
        return str(value)
    return seen(value) if isinstance(value, str) else value


def same(one: Any, other: Any) -> bool:
    return repr(one) == repr(other)  # of nan, and of 1 and True


@given(nested, strings)
def test_each_value_has_its_type(value: Any, text: str) -> None:
    with Lines(format="otlp") as lines:
        lines.logger.info(text, value=value)
        record = record_of(lines)
    assert record.body.string_value == seen(text)
    assert same(attributes(record.attributes)["value"], expected(value))


def deep(levels: int) -> Any:
    value: Any = {"last": [1]}
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("levels", [20, 22, 23, 24, 30])
def test_what_is_nested_too_deep_for_readers_is_json(levels: int) -> None:
    with Lines(format="otlp") as lines:
        lines.logger.info("m", value=deep(levels))
        value = attributes(record_of(lines).attributes)["value"]
    depth = 0
    while isinstance(value, list) and depth < levels:
        value, depth = value[0], depth + 1
    if isinstance(value, str):
        assert depth == 24
        value = json.loads(value)
        while isinstance(value, list):
            value = value[0]
    assert value in ({"last": [1]}, {"last": "[1]"})


# ---- what else a record has

# By the ranges of the data model: 1 to 4 TRACE, 5 to 8 DEBUG, 9 to 12 INFO, 13 WARN, 17 ERROR, 21 FATAL.
SEVERITIES = {"TRACE": 1, "DEBUG": 5, "INFO": 9, "SUCCESS": 10, "WARNING": 13, "ERROR": 17, "FAIL": 18, "CRITICAL": 21}


def test_each_level_has_its_severity() -> None:
    with Lines(LoggerConfig(level=0, custom_levels={"mine": 29}), format="otlp") as lines:
        for level in [*Level, "mine", 99, 0]:
            lines.logger.log(level, "m")
        records = [one_record(line) for line in lines.lines()]
    found = [(record.severity_text, record.severity_number) for record in records]
    assert found == [*SEVERITIES.items(), ("MINE", 10), ("LEVEL 99", 21), ("LEVEL 0", 1)]


def test_a_severity_begins_at_its_level_and_not_before() -> None:
    levels = sorted(Level)
    with Lines(LoggerConfig(level=0), format="otlp") as lines:
        for level in levels[2:]:
            lines.logger.log(level - 1, "m")
        found = [one_record(line).severity_number for line in lines.lines()]
    assert found == [SEVERITIES[level.name] for level in levels[1:-1]]


def test_a_record_has_its_place_its_thread_and_its_times() -> None:
    with Lines(format="otlp", name="shop.orders") as lines:
        lines.logger.info("m", a=1)
        line = lines.line()
    record, item = one_record(line), json.loads(line)
    assert item["resourceLogs"][0]["scopeLogs"][0]["scope"] == {"name": "shop.orders"}
    found = attributes(record.attributes)
    assert list(found) == [*ALWAYS, "a"]
    assert found["code.function.name"] == f"{__name__}.test_a_record_has_its_place_its_thread_and_its_times"
    assert found["code.file.path"] == __file__
    assert found["code.line.number"] > 0
    assert type(found["thread.id"]) is int
    assert record.time_unix_nano == record.observed_time_unix_nano > 1_700_000_000_000_000_000


def test_the_name_of_the_thread_is_there_where_it_is_asked_for() -> None:
    for name in ("thread.name", "worker"):
        with Lines(format="otlp", json_keys={"thread.name": name}) as lines:
            lines.logger.info("m", **{name: 1})
            found = attributes(record_of(lines).attributes)
        assert (found[name], found[name + "_"]) == ("MainThread", 1)
    with Lines(format="otlp") as lines:
        lines.logger.info("m", **{"thread.name": 1})
        assert attributes(record_of(lines).attributes)["thread.name"] == 1


@pytest.mark.parametrize(("created", "shown"), [(-5.0, 0), (1_700_000_000.25, 1_700_000_000_250_000_000)])
def test_a_time_of_its_own_is_not_when_the_record_was_observed(created: float, shown: int) -> None:
    made = logging.LogRecord("far", logging.WARNING, "/far.py", 3, "m", (), None)
    made.created = created
    with Lines(format="otlp") as lines:
        StdlibHandler(lines.logger).emit(made)
        record = record_of(lines)
    assert record.time_unix_nano == shown
    assert record.observed_time_unix_nano > 1_700_000_001_000_000_000


def test_an_exception_and_a_stack_are_attributes() -> None:
    with Lines(format="otlp") as lines:
        try:
            raise KeyError("a\nb")
        except KeyError:
            lines.logger.exception("m", stack_info=True, **{"exception.type": 5, "code.stacktrace": 6})
        found = attributes(record_of(lines).attributes)
    assert (found["exception.type"], found["exception.message"]) == ("KeyError", "'a\\nb'")
    assert re.match(
        r"Traceback \(most recent call last\):\n.*KeyError: 'a\\nb'\n$", found["exception.stacktrace"], re.DOTALL
    )
    assert found["code.stacktrace"].startswith("Stack (most recent call last):\n")
    assert (found["exception.type_"], found["code.stacktrace_"]) == (5, 6)


# ---- the trace


def as_bytes(digits: str) -> bytes:
    """protobuf's own mapping takes these hexadecimal digits, which OTLP wants, for Base64."""
    return base64.b64decode(digits)


@pytest.mark.parametrize(("flags", "shown"), [(1, 1), ("01", 1), ("ff", 255), (0, 0), (0xFFFFFFFF, 0xFFFFFFFF)])
def test_a_trace_stands_beside_the_attributes(flags: Any, shown: int) -> None:
    with Lines(format="otlp") as lines:
        lines.logger.bind(trace_id="early").info("m", trace_id=TRACE, span_id=SPAN, trace_flags=flags)
        record = record_of(lines)
    assert (record.trace_id, record.span_id, record.flags) == (as_bytes(TRACE), as_bytes(SPAN), shown)
    assert list(attributes(record.attributes)) == ALWAYS


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("trace_id", "0" * 32),
        ("trace_id", SPAN),
        ("trace_id", "g" * 32),
        ("trace_id", "é" * 32),
        ("trace_id", "→" * 16),
        ("trace_id", None),
        ("trace_id", 5),
        ("span_id", "0" * 16),
        ("span_id", TRACE),
        ("trace_flags", -1),
        ("trace_flags", 1 << 32),
        ("trace_flags", "1"),
        ("trace_flags", "xy"),
        ("trace_flags", True),
    ],
)
def test_what_is_no_trace_is_an_attribute(field: str, value: Any) -> None:
    with Lines(format="otlp") as lines:
        lines.logger.info("m", **{field: value})
        record = record_of(lines)
    assert not record.trace_id
    assert not record.span_id
    assert not record.flags
    assert same(attributes(record.attributes)[field], value)


# ---- keys

names = st.sampled_from(
    [*ALWAYS, "exception.type", "code.stacktrace", "recorder", "trace_id", "traceId", "flags", "all", "a", ""]
)
underscored = st.builds(lambda name, count: name + "_" * count, names, st.integers(0, 2))


@given(st.dictionaries(underscored, st.integers(0, 99), max_size=10), st.sampled_from([None, "all"]), st.booleans())
@settings(max_examples=max(10, settings().max_examples // 4))
def test_no_attribute_stands_twice(fields: dict[str, int], one_key: str | None, fails: bool) -> None:
    with Lines(format="otlp", json_fields=one_key) as lines:
        lines.logger.info("m", **fields, exc_info=ValueError("v") if fails else None)
        found = attributes(record_of(lines).attributes)
    for name in [*ALWAYS, *(["exception.type", "exception.message", "exception.stacktrace"] if fails else [])]:
        del found[name]
    if one_key:
        assert found == ({one_key: fields} if fields else {})
    else:
        assert sorted(found.values()) == sorted(fields.values())
        assert {name.rstrip("_") for name in found} == {name.rstrip("_") for name in fields}


def test_attributes_are_renamed_and_left_out() -> None:
    keys = {
        "thread.id": None,
        "thread.name": None,
        "code.file.path": "file",
        "function": None,
        "lineno": "",
        "traceId": None,
    }
    with pytest.raises(ConfigError, match="no such key"):
        SinkConfig(format="otlp", json_keys=keys).validate()
    keys["code.function.name"] = keys.pop("function")
    with Lines(format="otlp", json_keys=keys) as lines:
        lines.logger.info("m", trace_id=TRACE)
        found = attributes(record_of(lines).attributes)
    assert found == {"file": __file__, "trace_id": TRACE}
    keys["code.file.path"] = None
    with Lines(format="otlp", json_keys=keys) as lines:
        lines.logger.info("m")
        assert list(record_of(lines).attributes) == []


@pytest.mark.parametrize(
    ("settings_of_json", "named"),
    [
        ({"json_time": "rfc3339"}, "json_time"),
        ({"json_level": "number"}, "json_level"),
        ({"json_keys": {"traceId": "trace"}}, "None makes an attribute"),
        ({"json_keys": {"thread.id": "trace_id"}}, "trace_id"),
        ({"json_keys": {"message": "x"}}, "no such key"),
        ({"json_fields": "thread.id"}, "no key may stand twice"),
    ],
)
def test_what_otlp_does_not_have_is_refused(settings_of_json: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        SinkConfig(format="otlp", **settings_of_json).validate()
    SinkConfig(format="OTLP", json_level="lower", json_time="epoch_ns").validate()


# ---- the resource


@pytest.mark.filterwarnings("ignore:invalid character:FutureWarning")  # protobuf, on CPython 3.15
def test_the_resource_is_json_static_and_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "other")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=x, host.name=a%20b ,service.version=2")
    static = {"service.version": "1", "n": 1, "big": 1 << 80, "f": math.inf, "b": b"\xff", "deep": {"a": [None, 1.5]}}
    with Lines(format="otlp", json_static=static) as lines:
        lines.logger.info("m", n=2)
        line = lines.line()
    [resource] = read(line).resource_logs
    assert attributes(resource.resource.attributes) == {
        **static,
        "big": str(1 << 80),
        "service.name": "other",
        "host.name": "a b",
    }
    assert attributes(one_record(line).attributes)["n"] == 2
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "a=1,b")
    with Lines(format="otlp") as lines:
        lines.logger.info("m")
        [resource] = read(lines.line()).resource_logs
    assert attributes(resource.resource.attributes) == {"service.name": "other"}


# ---- requests


@given(st.lists(st.tuples(st.sampled_from(["a", 'b"]}]}', '"logRecords":[']), strings), min_size=1, max_size=12))
@settings(max_examples=max(10, settings().max_examples // 4))
def test_lines_are_joined_to_one_request(records: list[tuple[str, str]]) -> None:
    static = {"text": '"scopeLogs":[{', "list": ['"logRecords":[', {"scopeLogs": [1]}]}
    with Lines(format="otlp", json_static=static) as lines:
        for name, text in records:
            lines.logger.named(name).info(text, fields={"logRecords": [text]})
        request = Otlp().body(lines.text().encode())
    assert b"\n" not in request
    names = list(dict.fromkeys(name for name, _ in records))
    groups = read(request).resource_logs
    assert [scope.scope.name for group in groups for scope in group.scope_logs] == names
    for name, group in zip(names, groups, strict=True):
        found = [one.body.string_value for one in group.scope_logs[0].log_records]
        assert found == [seen(text) for other, text in records if other == name]


def test_lines_of_different_resources_are_joined_too() -> None:
    texts = []
    for number in range(3):
        with Lines(format="otlp", json_static={"n": number}) as lines:
            lines.logger.info("m {}", number)
            lines.logger.named("x").info("x {}", number)
            texts.append(lines.text())
    found = read(Otlp().body("".join(texts).encode()))
    bodies = [
        (attributes(one.resource.attributes)["n"], record.body.string_value)
        for one in found.resource_logs
        for scope in one.scope_logs
        for record in scope.log_records
    ]
    assert bodies == [(number, f"{word} {number}") for number in range(3) for word in "mx"]


# ---- lines of logly's own, and the page


def test_lines_of_loglys_own_are_records_without_a_place() -> None:
    config = LoggerConfig(level="info", recorder="debug", overflow="drop", async_buffer_size=4096, flush_level=None)
    with Lines(config, format="otlp", dedup=60) as lines:
        for number in range(2000):
            lines.logger.info("x {}", number)
        dropped = [one for one in map(one_record, lines.lines()) if "dropped" in one.body.string_value]
        lines.logger.debug("kept", recorder=1)
        lines.logger.dump_recorder()
        kept = [one for one in map(one_record, lines.lines()) if one.body.string_value == "kept"]
    assert dropped
    assert next(iter(attributes(dropped[0].attributes))) == "thread.id"
    assert "code.file.path" not in attributes(dropped[0].attributes)
    found = attributes(kept[0].attributes)
    assert (found["recorder"], found["recorder_"]) == (True, 1)


def test_the_page_shows_what_is_written() -> None:
    page = (ROOT / "docs" / "presets.md").read_text(encoding="utf-8").split('`format="otlp"`', 1)[1]
    block = re.search(r"```json\n(.*?)```", page, re.DOTALL)
    assert block is not None
    [shown] = block[1].splitlines()
    with Lines(format="otlp", name="shop.orders", json_static={"service.name": "shop"}) as lines:
        lines.logger.info("order {} filled", 17, price=3.5, trace_id=TRACE, span_id=SPAN, trace_flags=1)
        written = lines.line()
    assert skeleton(parse(shown)) == skeleton(parse(written))
    for key in (
        *ALWAYS,
        "thread.name",
        "exception.type",
        "exception.message",
        "exception.stacktrace",
        "code.stacktrace",
    ):
        assert f"`{key}`" in page
    read(shown)


def skeleton(value: Any) -> Any:
    """Without what differs from call to call."""
    if isinstance(value, dict):
        return {key: "" if "UnixNano" in key or value.get("key") in ALWAYS else skeleton(value[key]) for key in value}
    return [skeleton(one) for one in value] if isinstance(value, list) else value
