"""The presets: each key has the type and form that its owner publishes, and docs/presets.md shows what is written."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logly import ConfigError, Level, LoggerConfig, SinkConfig
from tests.support import ROOT
from tests.support.lines import Lines, parse

PRESETS = ["ecs", "gcp", "datadog"]
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"


def is_text(pattern: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value, re.DOTALL) is not None


def is_whole(value: Any) -> bool:
    return type(value) is int and value >= 0


ANY = is_text(".*")
TRACEBACK = is_text(r"Traceback \(most recent call last\):\n.*")

# What the owners publish, by key: what its value is, and whether each record has it. The owners are:
# github.com/elastic/ecs-logging (its specification), and "log", "error" and "tracing" of elastic.co/guide/en/ecs;
# docs.cloud.google.com/logging (special fields, LogEntry, LogSeverity, LogEntrySourceLocation), and
# the page "Format errors in logs" of Error Reporting; docs.datadoghq.com (attributes_naming_convention,
# log_status_remapper, span_and_trace_id_format), and the tests of dd-trace-py for its integration with loguru.
PUBLISHED: dict[str, dict[str, tuple[Callable[[Any], bool], bool]]] = {
    "ecs": {
        "@timestamp": (is_text(STAMP), True),
        "log.level": (is_text("[^A-Z]+"), True),
        "message": (ANY, True),
        "ecs.version": (is_text(r"\d+\.\d+\.\d+"), True),
        "log.logger": (ANY, True),
        "log.origin": (lambda value: is_origin(value), True),
        "error.type": (ANY, False),
        "error.message": (ANY, False),
        "error.stack_trace": (TRACEBACK, False),
        "trace.id": (is_text("[0-9a-f]{32}"), False),
        "span.id": (is_text("[0-9a-f]{16}"), False),
    },
    "gcp": {
        "time": (is_text(STAMP), True),
        "severity": (is_text("DEFAULT|DEBUG|INFO|NOTICE|WARNING|ERROR|CRITICAL|ALERT|EMERGENCY"), True),
        "message": (ANY, True),
        "logger": (ANY, True),
        "logging.googleapis.com/sourceLocation": (lambda value: is_location(value), True),
        "stack_trace": (TRACEBACK, False),
        "logging.googleapis.com/trace": (is_text("(projects/[a-z][a-z0-9-]*/traces/)?[0-9a-f]{32}"), False),
        "logging.googleapis.com/spanId": (is_text("[0-9a-f]{16}"), False),
        "logging.googleapis.com/trace_sampled": (lambda value: isinstance(value, bool), False),
    },
    "datadog": {
        "timestamp": (is_text(STAMP), True),
        "status": (is_text("emerg|alert|critical|error|warning|notice|info|debug|ok"), True),
        "message": (ANY, True),
        "logger.name": (ANY, True),
        "logger.method_name": (ANY, True),
        "filename": (is_text("[^/]*"), True),
        "lineno": (is_whole, True),
        "error.kind": (ANY, False),
        "error.message": (ANY, False),
        "error.stack": (TRACEBACK, False),
        "dd.trace_id": (is_text(r"[0-9a-f]{32}|\d{1,20}"), False),
        "dd.span_id": (is_text(r"\d{1,20}"), False),
    },
}


def is_origin(value: Any) -> bool:
    return (
        set(value) == {"file", "function"}
        and set(value["file"]) == {"name", "line"}
        and ANY(value["function"])
        and is_text("[^/]*")(value["file"]["name"])
        and is_whole(value["file"]["line"])
    )


def is_location(value: Any) -> bool:
    return list(value) == ["file", "line", "function"] and is_text(r"\d+")(value["line"]) and ANY(value["file"])


def check(preset: str, item: dict[str, Any]) -> None:
    for key, (is_right, is_always) in PUBLISHED[preset].items():
        assert key in item or not is_always, key
        if key in item:
            assert is_right(item[key]), (key, item[key])


def fill(lines: Lines) -> None:
    logger = lines.logger
    logger.info("order {} filled", 17, price=3.5, trace_id=TRACE, span_id=SPAN, trace_flags=1)
    try:
        raise KeyError("apples")
    except KeyError:
        logger.exception("no stock")


# ---- the page

PAGE = (ROOT / "docs" / "presets.md").read_text(encoding="utf-8")
VARIES = {"@timestamp", "time", "timestamp", "lineno", "error.stack_trace", "stack_trace", "error.stack", "filename"}


def page_lines(preset: str) -> list[str]:
    section = PAGE.split(f'`format="{preset}"`', 1)[1]
    block = re.search(r"```json\n(.*?)```", section, re.DOTALL)
    assert block is not None
    return block[1].splitlines()


@pytest.mark.parametrize("preset", PRESETS)
def test_the_page_shows_what_is_written(preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "shop-1234")
    with Lines(name="shop.orders", format=preset) as lines:
        fill(lines)
        written = lines.lines()
    shown = page_lines(preset)
    assert len(shown) == len(written) == 2
    for one, other in zip(map(parse, shown), map(parse, written), strict=True):
        assert list(one) == list(other)
        check(preset, one)
        check(preset, other)
        for key in set(one) - VARIES:
            if isinstance(one[key], dict):
                assert list(one[key]) == list(other[key])
            else:
                assert (key, one[key]) == (key, other[key])


@pytest.mark.parametrize("preset", PRESETS)
def test_the_page_names_each_key(preset: str) -> None:
    section = PAGE.split(f'`format="{preset}"`', 1)[1].split("\n## ", 1)[0]
    for key in PUBLISHED[preset]:
        assert f"`{key}`" in section


# ---- every record

LEVELS = {
    "ecs": ["trace", "debug", "info", "success", "warning", "error", "fail", "critical", "mine", "level 99", "level 0"],
    "gcp": ["DEBUG", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "ERROR", "CRITICAL", "NOTICE", "CRITICAL", "DEBUG"],
    "datadog": ["debug", "debug", "info", "ok", "warning", "error", "error", "critical", "ok", "critical", "debug"],
}
KEY_OF_LEVEL = {"ecs": "log.level", "gcp": "severity", "datadog": "status"}


@pytest.mark.parametrize("preset", PRESETS)
def test_each_level_has_a_name_that_the_system_knows(preset: str) -> None:
    with Lines(LoggerConfig(level=0, custom_levels={"mine": 29}), format=preset) as lines:
        for level in [*Level, "mine", 99, 0]:
            lines.logger.log(level, "m")
        items = lines.objects()
    for item in items:
        check(preset, item)
    assert [item[KEY_OF_LEVEL[preset]] for item in items] == LEVELS[preset]
    with Lines(format=preset, json_level="number") as lines:
        lines.logger.info("m")
        assert lines.object()[KEY_OF_LEVEL[preset]] == 20


@pytest.mark.parametrize("preset", PRESETS)
def test_records_without_a_name_have_their_module_as_logger(preset: str) -> None:
    key = {"ecs": "log.logger", "gcp": "logger", "datadog": "logger.name"}[preset]
    with Lines(format=preset) as lines:
        lines.logger.info("m")
        lines.logger.named("child").info("m")
        one, other = lines.objects()
    assert (one[key], other[key]) == (__name__, "child")


def of_project(monkeypatch: pytest.MonkeyPatch, project: str | None) -> Any:
    if project is None:
        monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    else:
        monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", project)
    with Lines(format="gcp") as lines:
        lines.logger.info("m", trace_id=TRACE)
        return lines.object()["logging.googleapis.com/trace"]


def test_cloud_trace_has_the_project_where_it_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    assert of_project(monkeypatch, None) == TRACE
    assert of_project(monkeypatch, "a-b") == f"projects/a-b/traces/{TRACE}"


@pytest.mark.parametrize(
    ("flags", "is_sampled"),
    [
        (1, True),
        (0, False),
        (3, True),
        (2, False),
        ("01", True),
        ("00", False),
        ("ff", True),
        (True, True),
        ("", False),
        (1.5, True),
        ("xy", False),
    ],
)
def test_trace_flags_become_a_boolean(flags: Any, is_sampled: bool) -> None:
    with Lines(format="gcp") as lines:
        lines.logger.info("m", trace_flags=flags)
        assert lines.object()["logging.googleapis.com/trace_sampled"] is is_sampled


@pytest.mark.parametrize(
    ("field", "value", "shown"),
    [
        ("trace_id", TRACE, TRACE),
        ("trace_id", "0" * 16 + SPAN, str(int(SPAN, 16))),
        ("trace_id", "f" * 32, "f" * 32),
        ("span_id", "f" * 16, str(2**64 - 1)),
        ("span_id", "0" * 16, "0"),
        ("span_id", "F" * 16, "F" * 16),
        ("span_id", 'a"b', 'a"b'),
        ("span_id", 123, "123"),
        ("span_id", "é", "é"),
    ],
)
def test_ids_have_datadogs_form(field: str, value: Any, shown: str) -> None:
    with Lines(format="datadog") as lines:
        lines.logger.info("m", **{field: value})
        item = lines.object()
    assert item[f"dd.{field}"] == shown
    assert field not in item


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("one_key", [None, "labels"])
def test_a_trace_that_is_none_has_no_keys_and_others_stand_in_their_places(preset: str, one_key: str | None) -> None:
    places = [key for key in PUBLISHED[preset] if re.search("trace[._]?id|span|/trace", key)]
    with Lines(format=preset, json_fields=one_key) as lines:
        lines.logger.bind(trace_id="early").info("m", trace_id=None, span_id=None, trace_flags=None, a=1)
        lines.logger.bind(trace_id="early").info("m", trace_id=TRACE, span_id=SPAN, trace_flags=0, a=1)
        lines.logger.info("m", trace_id=TRACE)
        without, having, alone = lines.objects()
    for item in (without, having):
        assert (item["labels"] if one_key else item)["a"] == 1
        assert "trace_id" not in item
    assert set(places) & set(without) == set()
    assert set(places) <= set(having)
    check(preset, having)
    assert "labels" not in alone


def test_a_field_that_has_the_name_of_a_place_keeps_it_unless_the_place_is_taken() -> None:
    with Lines(format="ecs") as lines:
        lines.logger.info("m", **{"trace.id": "own"})
        lines.logger.info("m", trace_id="a", **{"trace.id": "own"})
        lines.logger.info("m", trace="t", error="e", log=1, service=2, **{"log.level": 5})
        one, other, parents = lines.objects()
    assert one["trace.id"] == "own"
    assert (other["trace.id"], other["trace.id_"]) == ("a", "own")
    assert (parents["trace_"], parents["error_"], parents["log_"], parents["service"]) == ("t", "e", 1, 2)
    assert parents["log.level_"] == 5
    with Lines(format="ecs", json_static={"service.name": "shop"}) as lines:
        lines.logger.info("m", service=2)
        assert lines.object()["service_"] == 2


def test_keys_of_a_preset_are_renamed_by_their_own_names_and_by_those_of_plain_json() -> None:
    keys = {"log.origin": None, "level": "severity", "trace.id": "trace", "span.id": None, "timestamp": "t"}
    with Lines(format="ECS", json_keys=keys) as lines:
        lines.logger.info("m", trace_id=TRACE, span_id=SPAN)
        item = lines.object()
    assert list(item) == ["t", "severity", "message", "ecs.version", "log.logger", "trace", "span_id"]
    with pytest.raises(ConfigError, match="no such key"):
        SinkConfig(format="gcp", json_keys={"lineno": None}).validate()
    with pytest.raises(ConfigError, match="'error'"):
        SinkConfig(format="ecs", json_static={"error_": 1}).validate()
    with pytest.raises(ConfigError, match="by underscores"):
        SinkConfig(format="ecs", json_static={"a.x": 1, "a_.x": 1}).validate()
    SinkConfig(format="ecs", json_static={f"{'a.' * 100}{i}": i for i in range(1000)}).validate()


names = st.one_of(
    st.sampled_from([key for preset in PRESETS for key in PUBLISHED[preset]]),
    st.sampled_from(
        ["trace_id", "span_id", "trace_flags", "error", "log", "dd", "stack", "recorder", "logger", "labels", "a"]
    ),
)
underscored = st.builds(lambda name, count: name + "_" * count, names, st.integers(0, 2))


@given(
    st.sampled_from(PRESETS),
    st.dictionaries(underscored, st.one_of(st.integers(), st.none(), st.text(max_size=4)), min_size=1, max_size=8),
    st.sampled_from([None, "labels"]),
    st.booleans(),
)
@settings(max_examples=max(10, settings().max_examples // 4))
def test_no_key_stands_twice(preset: str, fields: dict[str, Any], one_key: str | None, fails: bool) -> None:
    with Lines(format=preset, json_fields=one_key, json_static={"service": "x"}, name="n") as lines:
        lines.logger.info("m", **fields, exc_info=ValueError("v") if fails else None, stack_info=fails)
        item = lines.object()
    ids = {"trace_id", "span_id"} | ({"trace_flags"} if preset == "gcp" else set())
    mapped = [name for name in fields if name in ids]
    places = [name for name in mapped if fields[name] is not None]
    others = [name for name in fields if name not in mapped]
    always = len([key for key, (_, is_always) in PUBLISHED[preset].items() if is_always]) + 1
    failure = 0 if not fails else 2 if preset == "gcp" else 4
    if one_key:
        assert item.get("labels", {}) == {name: fields[name] for name in others}
        assert len(item) == always + failure + len(places) + bool(others)
    else:
        assert len(item) == always + failure + len(places) + len(others)


@pytest.mark.parametrize("preset", PRESETS)
def test_lines_of_loglys_own_have_the_presets_keys(preset: str) -> None:
    config = LoggerConfig(
        level="info",
        recorder="debug",
        overflow="drop",
        async_buffer_size=4096,
        async_flush_interval=60_000,
        flush_level=None,
    )
    with Lines(config, format=preset, dedup=60) as lines:
        for number in range(2000):
            lines.logger.info("x {}", number)
        dropped = [item for item in lines.objects() if "dropped" in item["message"]]
        lines.logger.debug("kept")
        lines.logger.dump_recorder()
        dumped = lines.objects()
        for _ in range(3):
            lines.logger.info("same")
        repeated = [item for item in lines.objects() if "repeated" in item]
    assert dropped
    assert repeated
    assert [item["message"] for item in dumped if item.get("recorder")] == ["kept"]
    for item in [*dropped, *dumped, *repeated]:
        check(preset, item)


def test_a_preset_on_a_console_is_one_line_however_pretty_the_default_is(capfd: pytest.CaptureFixture[str]) -> None:
    from logly import Logger

    with Logger(LoggerConfig(pretty_json=True)) as logger:
        logger.add_sink(SinkConfig(stream="stdout", format="ecs"))
        logger.info("m")
    [line] = capfd.readouterr().out.splitlines()
    check("ecs", parse(line))


CRASH = """
import os, signal, sys
from logly import Logger, LoggerConfig, SinkConfig
logger = Logger(LoggerConfig(spool=sys.argv[1], async_flush_interval=60_000, flush_level=None))
logger.add_sink(SinkConfig(path=sys.argv[2], format=sys.argv[3], json_static={"service": "shop"}))
logger.info("before the end", price=1, trace_id="%s")
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kills a process")
@pytest.mark.parametrize("preset", PRESETS)
def test_what_a_dead_process_left_has_the_presets_keys(preset: str, tmp_path: Path) -> None:
    spool, log = str(tmp_path / "app.spool"), tmp_path / "app.json"
    done = subprocess.run([sys.executable, "-c", CRASH % TRACE, spool, str(log), preset], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    shown = subprocess.run(
        [sys.executable, "-m", "logly", "recover", spool, "--format", preset],
        capture_output=True,
        check=False,
        timeout=60,
    )
    [item] = map(parse, shown.stdout.decode().splitlines())
    check(preset, item)
    from logly import Logger

    with Logger(LoggerConfig(spool=spool)) as logger:
        logger.add_sink(SinkConfig(path=log, format=preset, json_static={"service": "shop"}))
        logger.info("after")
        assert logger.flush(30)
    first, second = [parse(line) for line in log.read_text().splitlines()]
    for one in (first, second):
        check(preset, one)
        assert one["service"] == "shop"
    assert (first["message"], first["price"]) == ("before the end", 1)
    assert json.dumps(first).count(TRACE) == 1
    assert os.path.exists(log)
