"""JSON as asked for: other keys, further members, fields under one key, forms of time and level."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logly import ConfigError, LoggerConfig, SinkConfig
from tests.support.lines import Lines, parse

OWN = ["timestamp", "level", "logger", "message", "module", "function", "lineno", "recorder", "exception", "stack"]
FRONT = ["timestamp", "level", "message", "module", "function", "lineno"]


def line_of(message: str = "m", *, fields: dict[str, Any] | None = None, **sink: Any) -> dict[str, Any]:
    with Lines(**({"json": True} | sink)) as lines:
        lines.logger.info(message, **(fields or {}))
        return lines.object()


# ---- each setting


def test_keys_are_renamed_in_their_places_and_left_out() -> None:
    keys = {"level": "severity", "message": "msg", "timestamp": "time", "lineno": None, "function": ""}
    item = line_of("hello", fields={"a": 1}, json_keys=keys)
    assert list(item) == ["time", "severity", "msg", "module", "a"]
    assert (item["severity"], item["msg"], item["a"]) == ("INFO", "hello", 1)


def test_a_key_without_its_first_member_is_valid_json() -> None:
    keys = dict.fromkeys(OWN)
    with Lines(json=True, json_keys=keys) as lines:
        lines.logger.info("m")
        lines.logger.info("m", a=1)
        assert lines.lines() == ["{}", '{"a":1}']
    keys.pop("logger")
    with Lines(json=True, json_keys=keys, name="shop") as lines:
        lines.logger.info("m")
        assert lines.line() == '{"logger":"shop"}'


def test_members_that_are_the_same_in_every_line_come_before_the_fields() -> None:
    static = {
        "service": "shop",
        "tags": ["a", {"b": None}],
        "größe": 1.5,
        "x\n": "\ud800",
        "at": datetime(2026, 1, 2, tzinfo=UTC),
    }
    item = line_of(fields={"z": 1}, json_static=static)
    assert list(item) == [*FRONT, *static, "z"]
    assert item["tags"] == ["a", {"b": None}]
    assert (item["größe"], item["x\n"], item["at"]) == (1.5, "\\ud800", "2026-01-02T00:00:00+00:00")


def test_fields_stand_under_one_key_which_is_missing_where_there_are_none() -> None:
    with Lines(json=True, json_fields="fields", json_static={"a": 1}) as lines:
        lines.logger.info("m")
        with lines.logger.contextualize(c=1, level="x"):
            lines.logger.bind(b=[1], c=2).info("m", c=3, timestamp=4, fields=5)
        bare, full = lines.objects()
    assert list(bare) == [*FRONT, "a"]
    assert list(full) == [*FRONT, "a", "fields"]
    assert full["fields"] == {"level": "x", "b": [1], "c": 3, "timestamp": 4, "fields": 5}


@pytest.mark.parametrize(
    ("form", "shown"),
    [
        ("rfc3339", '"2009-02-13T23:31:30.123456Z"'),
        ("epoch_s", "1234567890.123456"),
        ("epoch_ms", "1234567890123"),
        ("epoch_ns", "1234567890123456000"),
        (None, '"2009-02-13T23:31:30.123456Z"'),
    ],
)
def test_forms_of_the_time(form: str | None, shown: str) -> None:
    from logly import StdlibHandler  # records of `logging` may have a time of their own

    assert shown_time(StdlibHandler, form, 1234567890.123456) == shown


@pytest.mark.parametrize(
    ("form", "shown"), [("epoch_s", "-1.500000"), ("epoch_ms", "-1500"), ("epoch_ns", "-1500000000")]
)
def test_a_time_before_1970_is_a_negative_number(form: str, shown: str) -> None:
    from logly import StdlibHandler

    assert shown_time(StdlibHandler, form, -1.5) == shown


def shown_time(handler_class: Any, form: str | None, created: float) -> str:
    import logging

    with Lines(json=True, json_time=form) as lines:
        record = logging.LogRecord("n", logging.INFO, "p.py", 1, "m", (), None)
        record.created = created
        handler_class(lines.logger).handle(record)
        found = re.match(r'\{"timestamp":([^,]*),', lines.line())
    assert found is not None
    return found[1]


@pytest.mark.parametrize(
    ("form", "shown"), [("name", ["INFO", "MY LEVEL"]), ("lower", ["info", "my level"]), ("number", [20, 33])]
)
def test_forms_of_the_level(form: str, shown: list[Any]) -> None:
    with Lines(LoggerConfig(level=0, custom_levels={"my level": 33}), json=True, json_level=form) as lines:
        lines.logger.info("m")
        lines.logger.log("my level", "m")
        assert [item["level"] for item in lines.objects()] == shown
        lines.logger.add_level("größe Ä", 33)
        lines.logger.log(33, "m")
        lines.logger.add_level("ANOTHER", 33)
        lines.logger.log("größe ä", "m")
        assert len(lines.objects()) == 2


def test_they_hold_for_a_default_layout_that_is_json_and_for_a_pretty_one() -> None:
    settings_of_sink: dict[str, Any] = {"json_keys": {"level": "sev"}, "json_static": {"s": 1}, "json_fields": "f"}
    with Lines(LoggerConfig(level=0), **settings_of_sink) as lines:
        lines.logger.info("m", a=1)
        assert lines.line().endswith(" | m | a=1")
        lines.logger.configure(LoggerConfig(level=0, json=True))
        lines.logger.info("m", a=1)
        item = lines.object()
        assert (item["sev"], item["s"], item["f"]) == ("INFO", 1, {"a": 1})
        lines.logger.configure(LoggerConfig(level=0, pretty_json=True))
        lines.logger.info("m", a=1, b=2)
        text = lines.text()
    assert re.fullmatch(r'\{\n  "timestamp": ".*",\n  "sev": "INFO",\n(  .*\n)*  "s": 1,\n  "f": \{.*\}\n\}\n', text)
    assert parse(text)["f"] == {"a": 1, "b": 2}


def test_what_is_left_out_is_not_asked_of_the_caller() -> None:
    """Without its keys, no record needs a call site."""
    keys = dict.fromkeys(["module", "function", "lineno"])
    with Lines(json=True, json_keys=keys) as lines:
        handle = lines.logger._controller.sinks[lines.sink_id]
        assert handle.needs() == (False, False, False)
    with Lines(json=True) as lines:
        handle = lines.logger._controller.sinks[lines.sink_id]
        assert handle.needs() == (True, False, False)


def test_they_do_nothing_to_a_function() -> None:
    records: list[Any] = []
    with Lines() as lines:
        lines.logger.add_sink(SinkConfig(function=records.append, json_keys={"level": "x"}, json_static={"a": 1}))
        lines.logger.info("m", b=1)
        lines.text()
    [record] = records
    assert record.fields == {"b": 1}


# ---- what is not valid


@pytest.mark.parametrize(
    ("sink", "told"),
    [
        ({"json_keys": {"levle": "x"}}, "json_keys['levle'] = 'x': the layout has no such key (did you mean 'level'?)"),
        ({"json_keys": {"level": 1}}, "json_keys['level'] = 1 is not valid"),
        ({"json_keys": {1: "x"}}, "json_keys[key] = 1 is not valid"),
        ({"json_keys": ["level"]}, "json_keys = ['level'] is not valid: use a dict"),
        ({"json_keys": {"level": "\ud800"}}, "a text that UTF-8 can hold"),
        ({"json_keys": {"level": "message"}}, "'message' is too much like 'message', which is the layout's 'level'"),
        ({"json_keys": {"level": "message_"}}, "by underscores"),
        ({"json_static": {"level": 1}}, "json_static: the key 'level' is too much like 'level'"),
        ({"json_static": {"a": 1, "a_": 1}}, "json_static: the key 'a_'"),
        ({"json_static": {"recorder": 1}}, "no key may stand twice"),
        ({"json_static": {"": 1}}, "json_static[key] = '' is not valid"),
        ({"json_static": 5}, "json_static = 5 is not valid"),
        ({"json_static": {str(i): i for i in range(1001)}}, "up to 1000"),
        ({"json_fields": "level"}, "json_fields: the key 'level'"),
        ({"json_fields": ""}, "json_fields = '' is not valid"),
        ({"json_time": "unix"}, "'rfc3339' or 'epoch_s' or 'epoch_ms' or 'epoch_ns'"),
        ({"json_level": "upper"}, "json_level"),
        ({"json_level": "lower", "format": "{message}"}, "json_level = 'lower' is for JSON"),
        ({"json_level": "lower", "format": "logfmt"}, "format = 'logfmt'"),
        ({"json_fields": "f", "json": False}, "json = False"),
    ],
)
def test_a_mistake_is_told_at_once(sink: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as error:
        SinkConfig(**sink).validate()
    assert told in str(error.value)
    assert error.value.field in sink


def test_keys_change_places_and_names_that_were_left_out_are_free() -> None:
    item = line_of("m", json_keys={"level": "message", "message": "level"})
    assert (item["message"], item["level"]) == ("INFO", "m")
    item = line_of("m", json_keys={"level": None}, json_static={"level": "x"})
    assert item["level"] == "x"
    item = line_of("m", fields={"level": "mine"}, json_keys={"level": None})
    assert item["level"] == "mine"


def test_a_copy_has_its_own_tables() -> None:
    first = SinkConfig(json_keys={"level": "a"}, json_static={"b": 1})
    second = first.copy()
    assert second == first
    second.json_static["c"] = 2  # type: ignore[index]
    second.json_keys["message"] = "d"  # type: ignore[index]
    assert (first.json_static, first.json_keys) == ({"b": 1}, {"level": "a"})


# ---- collisions


def free(name: str, taken: set[str], fields: dict[str, Any]) -> str:
    wanted = name
    while name in taken or (name != wanted and name in fields):
        name += "_"
    return name


names = st.one_of(
    st.sampled_from([*OWN, "a", "b", "severity", "fields", "repeated", "suppressed", "größe", "名", "trace.id"]),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=4),
)
underscored = st.builds(lambda name, count: name + "_" * count, names, st.integers(0, 2))
not_for_calls = {"exc_info", "stacklevel", "stack_info"}


@given(
    st.dictionaries(st.sampled_from(OWN), st.one_of(st.none(), underscored), max_size=5),
    st.dictionaries(underscored, st.one_of(st.none(), st.integers(), st.text(max_size=3)), max_size=4),
    st.one_of(st.none(), names),
    st.dictionaries(underscored.filter(lambda name: name not in not_for_calls), st.integers(), max_size=6),
    st.sets(st.sampled_from(["exception", "stack", "named", "recorder"])),
)
@settings(max_examples=max(10, settings().max_examples // 4))
def test_no_key_stands_twice_and_nothing_is_lost(
    keys: dict[str, str | None],
    static: dict[str, Any],
    one_key: str | None,
    fields: dict[str, Any],
    has: set[str],
) -> None:
    sink: dict[str, Any] = {"json": True, "json_keys": keys, "json_static": static, "json_fields": one_key}
    renamed = {name: keys.get(name, name) for name in OWN}
    shown = [key for key in [*renamed.values(), *static, one_key] if key]
    if len({key.rstrip("_") for key in shown}) < len(shown):
        with pytest.raises(ConfigError):
            SinkConfig(**sink).validate()
        return
    config = LoggerConfig(level="info", recorder="debug")
    with Lines(config, **({"name": "shop"} if "named" in has else {}), **sink) as lines:
        log = lines.logger.debug if "recorder" in has else lines.logger.info
        log(
            "the message",
            **(fields or {"a": 1}),
            exc_info=KeyError("k") if "exception" in has else None,
            stack_info="stack" in has,
        )
        if "recorder" in has:
            lines.logger.dump_recorder()
        items = [
            item
            for item in map(parse, lines.lines())
            if renamed["message"] is None or "flight recorder" not in str(item)
        ]
    fields = fields or {"a": 1}
    present = {name for name in OWN if name not in ("logger", "recorder", "exception", "stack")}
    present |= {"logger"} & ({"logger"} if "named" in has else set())
    present |= has & {"exception", "stack", "recorder"}
    item = next(item for item in items if has_fields(item, fields, one_key))
    assert {renamed[name] for name in present if renamed[name]} - set(item) <= {renamed["stack"]}
    for key, value in static.items():
        assert item[key] == value
    if one_key:
        assert item[one_key] == fields
        return
    reserved = {str(renamed[name]) for name in OWN if name in present | {"exception"} and name != "stack"} | set(static)
    for name, value in fields.items():
        assert item[free(name, reserved, fields)] == value
    count = len([name for name in present if renamed[name]]) + len(static) + len(fields)
    assert len(item) == count
    if "message" in present and renamed["message"]:
        assert item[renamed["message"]] == "the message"


def has_fields(item: dict[str, Any], fields: dict[str, Any], one_key: str | None) -> bool:
    inside = item.get(one_key, {}) if one_key else item
    return isinstance(inside, dict) and any(
        name.startswith(field) and inside[name] == fields[field] for field in fields for name in inside
    )


def test_the_count_of_repeats_and_suppressed_are_fields_like_any_other() -> None:
    with Lines(
        json=True,
        dedup=60,
        json_static={"repeated": "static"},
        json_time="epoch_ms",
        json_keys={"lineno": "suppressed"},
    ) as lines:
        for _ in range(3):
            lines.logger.info("same", module="x")
        _, told = lines.objects()
        assert told["repeated"] == "static"
        assert told["repeated_"] == 2
        assert told["timestamp"] >= told["repeated_last"] >= told["repeated_first"] > 1_700_000_000_000
        assert told["module_"] == "x"
        assert isinstance(told["suppressed"], int)


def test_lines_of_loglys_own_have_the_same_keys() -> None:
    with Lines(
        LoggerConfig(level=0, overflow="drop", async_buffer_size=4096, async_flush_interval=60_000, flush_level=None),
        json=True,
        json_keys={"level": "sev", "module": "mod"},
        json_static={"service": "shop"},
    ) as lines:
        for _ in range(2000):
            lines.logger.info("x" * 100)
        told = [item for item in lines.objects() if "dropped" in item["message"]]
    assert told
    for item in told:
        assert list(item) == ["timestamp", "sev", "message", "mod", "function", "lineno", "service"]
        assert (item["mod"], item["function"], item["lineno"]) == ("?", "?", 0)
