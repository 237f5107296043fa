"""Configuration from files and mappings, as an operator meets it."""

import tomllib
from dataclasses import fields
from datetime import timedelta

import pytest

from logly.config.schema import LoggerConfig, SinkConfig
from logly.config.toml import load_dict, load_file
from logly.errors import ConfigError
from tests.support import ROOT

EXAMPLE = ROOT / "docs" / "logly.example.toml"
ONLY_IN_CODE = {
    *("encode", "context_from", "on_error", "on_rotate", "function", "filter", "transform", "batch", "time_source")
}


def test_the_example_file_loads_and_has_every_key():
    config, sinks = load_file(EXAMPLE)
    assert (config.level, len(sinks), sinks[0].mode) == ("info", 4, 0o644)
    table = tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))["logly"]
    keys = set(table) - {"sinks"}
    assert keys == {one.name for one in fields(LoggerConfig)} - ONLY_IN_CODE
    sink_keys = {key for sink in table["sinks"] for key in sink}
    assert sink_keys == {one.name for one in fields(SinkConfig)} - ONLY_IN_CODE


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[logly]\nlevle = "info"', ["logly.levle", "'info'", "did you mean 'level'"]),
        ('[logly]\nlevel = "inof"', ["logly.level", "'inof'", "did you mean 'INFO'"]),
        ('[logly]\n[[logly.sink]]\npath = "a"', ["logly.sink", "did you mean 'sinks'"]),
        ('[logly]\n[[logly.sinks]]\npaht = "a"', ["logly.sinks[0].paht", "did you mean 'path'"]),
        (
            '[logly]\n[[logly.sinks]]\n[[logly.sinks]]\npath="a"\nsize_limit = "1 QB"',
            ["sinks[1].size_limit", "MiB"],
        ),
        ("[logly]\non_error = 'f'", ["only be set in code"]),
        ("[logly]\n[other]", ["other", "top level"]),
        ("[logyl]\nlevel = 5", ["no table [logly]", "[logyl]"]),
        ("[logly\n", ["not valid TOML", "line 1"]),
        ("[logly]\nsinks = 3", ["array of tables"]),
    ],
)
def test_a_mistake_is_told_with_file_key_value_and_the_nearest_name(tmp_path, text, told):
    file = tmp_path / "logly.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_file(file)
    for part in [str(file), *told]:
        assert part in str(caught.value)


def test_a_missing_file_is_a_config_error(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load_file(tmp_path / "none.toml")


def test_a_mapping_may_hold_what_a_file_cannot():
    told = []
    table = {
        "level": "debug",
        "on_error": told.append,
        "sinks": [{"path": "a.log", "rotation": timedelta(hours=6)}],
    }
    config, sinks = load_dict(table)
    assert config.on_error == told.append
    assert sinks[0].rotation == timedelta(hours=6)
    assert load_dict({"logly": table}) == (config, sinks)
    assert "sinks" in table


def test_level_filters_may_name_the_loggers_own_levels():
    _, sinks = load_dict({"custom_levels": {"NOTICE": 22}, "sinks": [{"filter_min_level": "notice"}]})
    assert sinks[0].filter_min_level == "notice"


@pytest.mark.parametrize("what", [3, "level", ["level"], None])
def test_what_is_no_mapping_is_told(what):
    with pytest.raises(ConfigError, match="a mapping of LoggerConfig's fields"):
        load_dict(what)
    with pytest.raises(ConfigError, match="a table of LoggerConfig's fields"):
        load_dict({"logly": what})
