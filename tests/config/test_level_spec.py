"""Levels by name: what can be written, what it means, and what is said about mistakes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logly import ConfigError, Level, LoggerConfig, SinkConfig, _core
from logly.config.level_spec import LevelSpec, parse_levels, parse_what_can_be_read, without_comments
from logly.control.level_layers import rules_of
from logly.levels import OFF
from tests.support.loggers import make_logger

NAMES = st.lists(st.sampled_from(["a", "b", "ab", "", "é", "a.b", "\udc80"]), max_size=4).map(".".join)
LEVELS = st.sampled_from([0, 5, 10, 22, 30, 32767, OFF])
SPECS = st.builds(LevelSpec, st.none() | LEVELS, st.dictionaries(NAMES.filter(bool), LEVELS, max_size=5))


def level_in_the_model(spec: LevelSpec, name: str) -> int | None:
    """By the words of the documentation: of the directives that hold for a name, the longest one decides."""
    holding = [one for one in spec.names if name == one or name.startswith(f"{one}.")]
    return spec.names[max(holding, key=len)] if holding else spec.level


def threshold_in_the_model(logger: LevelSpec, sinks: list[LevelSpec], name: str) -> int:
    """The lowest level that some sink wants."""
    own = level_in_the_model(logger, name)
    lowest = OFF
    for sink in sinks:
        asked = level_in_the_model(sink, name)
        if asked is None:
            asked = Level.INFO if own is None else own
        lowest = min(lowest, asked if own is None else max(asked, own))
    return lowest


@given(SPECS, NAMES)
def test_the_longest_directive_decides_in_python_and_in_the_core(spec: LevelSpec, name: str) -> None:
    expected = level_in_the_model(spec, name)
    assert spec.for_name(name)[0] == expected
    assert rules_of(spec).level_for(name) == (_core.LEVEL_UNSAID if expected is None else expected)


@given(SPECS, st.lists(SPECS, max_size=4), st.lists(NAMES, max_size=6))
def test_thresholds_are_those_of_the_model(logger: LevelSpec, sinks: list[LevelSpec], names: list[str]) -> None:
    made = _core.Thresholds(rules_of(logger), [rules_of(sink) for sink in sinks], True)
    for name in names:
        assert made.threshold_for(name) == threshold_in_the_model(logger, sinks, name)
    known = {"", *logger.names, *(name for sink in sinks for name in sink.names)}
    expected = {threshold_in_the_model(logger, sinks, name) for name in known}
    assert made.least == min(expected)
    if not made.varies:
        assert len(expected) == 1
    nothing = _core.Thresholds(rules_of(logger), [rules_of(sink) for sink in sinks], False)
    assert (nothing.least, nothing.varies) == (OFF, False)


@given(SPECS, SPECS, NAMES)
def test_what_lies_over_another_decides_about_what_both_name(upper: LevelSpec, lower: LevelSpec, name: str) -> None:
    both = upper.over(lower)
    assert both.names == lower.names | upper.names
    assert both.level == (lower.level if upper.level is None else upper.level)


@pytest.mark.parametrize(
    ("text", "level", "names"),
    [
        ("info", 20, {}),
        (" WARN ", 30, {}),
        ("off", OFF, {}),
        ("15", 15, {}),
        ("info,shop.db=debug,urllib3=warning,noisy.lib=off", 20, {"shop.db": 10, "urllib3": 30, "noisy.lib": OFF}),
        ("shop.db = debug , info,", 20, {"shop.db": 10}),
        ("shop=5", None, {"shop": 5}),
        ("debug=info", None, {"debug": 20}),
        ("a b=debug,.a.=notice", None, {"a b": 10, ".a.": 22}),
    ],
)
def test_directives(text: str, level: int | None, names: dict[str, int]) -> None:
    spec = parse_levels("level", text, {"NOTICE": 22})
    assert (spec.level, spec.names) == (level, names)
    mapping = {**names, **({} if level is None else {"": level if level != OFF else "off"})}
    shown = {name: "off" if number == OFF else number for name, number in mapping.items()}
    assert parse_levels("level", shown, {}) == spec


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("info,shop.db=debgu", ["at character 6", "'debgu'", "DEBUG", "off", "did you mean 'DEBUG'"]),
        ("info,  =debug", ["at character 8", "no name before '=debug'"]),
        ("shop=", ["at character 1", "no level after 'shop='"]),
        ("shop.*=debug", ["'shop.*' has a *", "everything below"]),
        ("info,warning", ["at character 6", "second level for everything"]),
        ("a=info,b=info,a=debug", ["at character 15", "second level for 'a'"]),
        ("my.module", ["'my.module' is no level", "'my.module=debug'"]),
        ("40000", ["too large", "32767"]),
        ("9" * 5000, ["too large"]),
        ("", ["a level, or directives like"]),
        (",,", ["a level, or directives like"]),
    ],
)
def test_a_mistake_is_shown_with_its_place_and_what_is_valid(text: str, parts: list[str]) -> None:
    for config in (LoggerConfig(level=text), SinkConfig(level=text), SinkConfig(filter_min_level=text)):
        with pytest.raises(ConfigError) as caught:
            config.validate()
        for part in parts:
            assert part in str(caught.value)
        assert caught.value.field in ("level", "filter_min_level")


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ({}, "not empty"),
        ({1: "info"}, "level[1]"),
        ({"a.*": "info"}, "names without *"),
        ({"a": "inof"}, "did you mean 'INFO'"),
        ({"a": True}, "True"),
        ({"a": None}, "None"),
        ({"a": 40_000}, "32767"),
        (True, "True"),
        (2.5, "2.5"),
        (["info"], "info"),
        (dict, "dict"),
    ],
)
def test_wrong_values(value: object, part: str) -> None:
    with pytest.raises(ConfigError) as caught:
        LoggerConfig(level=value).validate()  # type: ignore[arg-type]
    assert part in str(caught.value)
    assert caught.value.field == "level"


def test_what_can_be_read_holds_and_the_rest_is_told() -> None:
    told: list[ConfigError] = []
    spec = parse_what_can_be_read("LOGLY_LEVEL", "debug,=x,a=off,b=wrong,c=info,warning", {}, told.append)
    assert spec == LevelSpec(10, {"a": OFF, "c": 20})
    assert [str(trouble).split(": ")[1].split(",")[0] for trouble in told] == [f"at character {n}" for n in (7, 16, 31)]


def test_a_file_has_lines_and_comments() -> None:
    text = "# all\r\ninfo   # the rest\n\nshop.db=debug\n#a=off\nb=off"
    plain = without_comments(text)
    assert len(plain) == len(text)
    assert parse_levels("level", plain, {}) == LevelSpec(20, {"shop.db": 10, "b": OFF})


def test_a_copy_has_its_own_levels() -> None:
    levels = {"": "info", "a": "debug"}
    for config in (LoggerConfig(level=levels), SinkConfig(level=levels), SinkConfig(filter_min_level=levels)):
        copy = config.copy()
        levels["b"] = "off"
        assert "b" not in (copy.level or copy.filter_min_level)  # type: ignore[operator,union-attr]
        del levels["b"]
    with make_logger(level=levels) as logger:
        levels["b"] = "off"
        taken = logger.config
        taken.level["c"] = "off"  # type: ignore[index]
        assert logger.config.level == {"": "info", "a": "debug"}
        logger.configure(taken)
        assert not logger.named("c").is_enabled_for("critical")


def test_the_two_names_of_a_sinks_level_are_one_setting() -> None:
    assert SinkConfig(level="debug").resolved() == SinkConfig(filter_min_level="debug").resolved()
    SinkConfig(level="debug", filter_min_level=10).validate()
    with pytest.raises(ConfigError, match="two names of one setting"):
        SinkConfig(level="debug", filter_min_level="info").validate()
    with pytest.raises(ConfigError, match="below level = 30: no record would pass"):
        SinkConfig(level="warning,a=debug", filter_max_level="info").validate()
