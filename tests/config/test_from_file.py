"""`Logger.from_file` and `from_dict`, from the file to the lines."""

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from logly import ConfigError, Logger, LoggerConfig, SinkConfig, SinkError
from tests.support import ROOT

EXAMPLE = ROOT / "docs" / "logly.example.toml"
CODE_ONLY = {
    *("encode", "context_from", "function", "filter", "transform", "on_error", "on_rotate", "batch", "time_source")
}


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "logly.toml"
    path.write_text(text)
    return path


def test_a_file_configures_logger_and_sinks(tmp_path: Path) -> None:
    config = write(
        tmp_path,
        f"""
        [logly]
        level = "debug"
        async_flush_interval = 5
        custom_levels = {{ NOTICE = 22 }}

        [[logly.sinks]]
        path = "{tmp_path}/app.log"
        format = "{{level}} {{message}}"
        size_limit = "1 kB"
        retention = "2 files"

        [[logly.sinks]]
        path = "{tmp_path}/errors.json"
        json = true
        filter_min_level = "ERROR"
        """,
    )
    with Logger.from_file(config, name="orders") as logger:
        assert logger.name == "orders"
        assert len(logger.list_sinks()) == 2
        logger.trace("too low")
        logger.debug("d")
        logger.log("notice", "n")
        logger.error("e {}", 1)
    assert (tmp_path / "app.log").read_text() == "DEBUG d\nNOTICE n\nERROR e 1\n"
    (line,) = (tmp_path / "errors.json").read_text().splitlines()
    assert json.loads(line)["message"] == "e 1"


def test_a_mapping_may_hold_what_a_file_cannot(tmp_path: Path) -> None:
    seen: list[str] = []
    settings: dict[str, Any] = {
        "auto_sink": False,
        "sinks": [
            {"function": lambda record: seen.append(record.message), "filter": lambda record: "x" in record.message}
        ],
    }
    with Logger.from_dict(settings) as logger:
        logger.info("yes x")
        logger.info("no")
    assert seen == ["yes x"]


def test_every_key_of_the_example_is_a_setting_and_every_setting_is_in_it() -> None:
    text = EXAMPLE.read_text()
    for kind in (LoggerConfig, SinkConfig):
        for field in fields(kind):
            if field.name not in CODE_ONLY:
                assert re.search(rf"^({field.name} =|\[logly\.{field.name}\])", text, re.MULTILINE), field.name


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "certificates").mkdir()
    (tmp_path / "certificates" / "ca.pem").write_bytes((ROOT / "tests/config/ca.pem").read_bytes())
    names: dict[str, Any] = {"__name__": "shop.till"}
    exec("def checkout(logger):\n    logger.log('notice', 'example {}', 1)\n", names)
    with Logger.from_file(EXAMPLE) as logger:
        assert len(logger.list_sinks()) == 4
        names["checkout"](logger)
        logger.error("not of the shop")
    (line,) = (tmp_path / "logs" / "app.log").read_text().splitlines()
    assert line.endswith("| NOTICE   | example 1")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('[logly]\nlevle = "info"', ["logly.levle", "'info'", "'level'"]),
        ('[logly]\nlevel = "inof"', ["logly.level", "'inof'", "'INFO'"]),
        ('[logly]\n[[logly.sinks]]\npath = "a.log"\nsize_limt = 1', ["logly.sinks[0].size_limt", "1", "'size_limit'"]),
        ('[logly]\n[[logly.sinks]]\npath = "a.log"\nrotation = "dayly"', ["sinks[0].rotation", "'dayly'", "'daily'"]),
        ('[logly]\n[[logly.sinks]]\nformat = "{level:d}"', ["logly.sinks[0].format", "'d' is not for text"]),
        ("[logli]\n", ["no table [logly]", "[logli]"]),
        ("[logly\n", ["not valid TOML"]),
    ],
)
def test_a_mistake_names_file_key_value_and_the_way_out(tmp_path: Path, text: str, parts: list[str]) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        Logger.from_file(path)
    assert str(path) in str(caught.value)
    for part in parts:
        assert part in str(caught.value)


def test_a_sink_that_cannot_be_opened_leaves_nothing_behind(tmp_path: Path) -> None:
    import os
    import threading

    before = len(os.listdir("/proc/self/fd")), threading.active_count()
    sinks = [{"path": str(tmp_path / "good.log"), "rotation": "daily"}, {"path": str(tmp_path)}]
    with pytest.raises(SinkError):
        Logger.from_dict({"sinks": sinks})
    assert (len(os.listdir("/proc/self/fd")), threading.active_count()) == before
