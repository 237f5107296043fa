"""Levels as they are logged: every method, `log()` with each spelling, custom ones, thresholds, bare numbers."""

import logging

import pytest

from logly import ConfigError, Level, LoggerConfig, SinkConfig
from tests.support.lines import Lines

METHODS = [level.name.lower() for level in Level]


@pytest.fixture
def lines():
    lines = Lines(format="{level}|{message}")
    yield lines
    lines.close()


def test_each_level_has_a_method(lines):
    for name in METHODS:
        getattr(lines.logger, name)("x")
    assert lines.lines() == [f"{name.upper()}|x" for name in METHODS]


@pytest.mark.parametrize("level", Level)
def test_log_takes_every_spelling(level, lines):
    for spelling in (level, int(level), level.name, level.name.lower(), level.name.title(), f" {level.name} "):
        lines.logger.log(spelling, "{}", 1)
    assert lines.lines() == [f"{level.name}|1"] * 6


def test_the_standard_librarys_numbers_and_names(lines):
    for number in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        lines.logger.log(number, "x")
    for name in ("warn", "Fatal"):
        lines.logger.log(name, "x")
    assert [line.partition("|")[0] for line in lines.lines()] == [
        *("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
        *("WARNING", "CRITICAL"),
    ]


@pytest.mark.parametrize("wrong", ["loud", -1, 40_000, None, 2.5, [], True, b"info"])
def test_an_unknown_level_is_refused_with_the_choices(wrong, lines):
    with pytest.raises(ConfigError, match="SUCCESS"):
        lines.logger.log(wrong, "x")
    assert lines.text() == ""


def test_custom_levels(lines):
    lines.logger.add_level("Notice", 22)
    for spelling in ("notice", "NOTICE", "Notice", 22):
        lines.logger.log(spelling, "x")
    lines.logger.bind(a=1).log("notice", "x")
    assert lines.lines() == ["NOTICE|x"] * 5


def test_custom_levels_of_the_configuration_and_a_new_number():
    with Lines(LoggerConfig(custom_levels={"audit": 35}), format="{level}|{message}") as lines:
        lines.logger.log("Audit", "x")
        assert lines.line() == "AUDIT|x"
        lines.logger.configure(LoggerConfig(custom_levels={"audit": 15}, level=16))
        for spelling in ("Audit", "audit", "AUDIT"):
            lines.logger.log(spelling, "y")
        assert lines.text() == ""
        assert not lines.logger.is_enabled_for("audit")


def test_a_number_without_a_name_and_the_name_it_gets(lines):
    lines.logger.log(33, "x")
    lines.logger.add_level("note", 33)
    lines.logger.log(33, "x")
    assert lines.lines() == ["LEVEL 33|x", "NOTE|x"]


def test_more_numbers_than_can_have_names(lines):
    for number in range(60, 460):
        lines.logger.log(number, "x")
    lines.logger.add_level("late", 500)
    lines.logger.log("late", "x")
    found = lines.lines()
    assert found[0] == "LEVEL 60|x"
    assert found[-2:] == ["LEVEL|x", "LATE|x"]
    assert len(found) == 401


def test_a_custom_level_may_share_a_built_in_number(lines):
    lines.logger.add_level("message", 20)
    lines.logger.log("message", "x")
    lines.logger.log(20, "x")
    lines.logger.info("x")
    assert [line.partition("|")[0] for line in lines.lines()] == ["MESSAGE", "INFO", "INFO"]


@pytest.mark.parametrize("name", ["", "info", "warn", "two\nlines", "\x1b[31m"])
def test_names_that_no_level_can_have(name, lines):
    with pytest.raises(ConfigError):
        lines.logger.add_level(name, 33)


@pytest.mark.parametrize("threshold", [*Level, "success", 21, 0])
def test_the_threshold(threshold):
    with Lines(LoggerConfig(level=threshold), format="{level}") as lines:
        for name in METHODS:
            getattr(lines.logger, name)("x")
        number = Level[threshold.upper()] if isinstance(threshold, str) else threshold
        assert lines.lines() == [level.name for level in Level if level >= number]
        assert [level for level in Level if lines.logger.is_enabled_for(level)] == [
            level for level in Level if level >= number
        ]


def test_a_sinks_own_bounds():
    with Lines(format="{level}", filter_min_level="info", filter_max_level="warning") as lines:
        everything = lines.logger.add_sink(SinkConfig(fd=lines.fd, format="all {level}"))
        for name in METHODS:
            getattr(lines.logger, name)("x")
        lines.logger.remove_sink(everything)
        found = lines.lines()
    assert [line for line in found if not line.startswith("all")] == ["INFO", "SUCCESS", "WARNING"]
    assert len(found) == 3 + len(METHODS)


def test_settings_may_name_a_level_that_was_added(lines):
    lines.logger.add_level("notice", 22)
    lines.logger.configure(LoggerConfig(level="Notice", flush_level="notice", level_colors={"NOTICE": "red"}))
    lines.logger.info("below")
    lines.logger.log("notice", "x")
    assert lines.lines() == ["NOTICE|x"]
