"""Whatever a call says for a level; and the threshold that it is compared with."""

from pathlib import Path

import pytest

from logly import ConfigError, Level, LoggerConfig
from tests.support.output import Output


def test_every_spelling_of_a_level(tmp_path: Path) -> None:
    output = Output(tmp_path, "{level} {message}")
    with output.logger as logger:
        logger.add_level("notice", 22)
        for level in (
            Level.INFO,
            20,
            "INFO",
            "info",
            "Info",
            " info ",
            "notice",
            "NOTICE",
            22,
            "warn",
            0,
            7,
            32767,
            "notset",
        ):
            logger.log(level, "x")
        lines = output.text().splitlines()
    assert lines[:9] == ["INFO x"] * 6 + ["NOTICE x"] * 3
    assert lines[9] == "WARNING x"
    assert len(lines) == 14


@pytest.mark.parametrize("level", [-1, 32768, 2**70, "nothing", None, 1.5, True, [], object])
def test_a_level_that_is_none(output: Output, level: object) -> None:
    for _ in range(2):
        with pytest.raises(ConfigError, match="level"):
            output.logger.log(level, "x")
    with pytest.raises(ConfigError, match="level"):
        output.logger.is_enabled_for(level)


def test_more_numbers_than_there_are_names_for(tmp_path: Path) -> None:
    output = Output(tmp_path, "{message}")
    with output.logger as logger:
        for number in range(3000):
            logger.log(number, "level {}", number)
        assert output.text().splitlines() == [f"level {i}" for i in range(3000)]


def test_a_level_may_get_another_number(tmp_path: Path) -> None:
    output = Output(tmp_path, "{level} {message}")
    with output.logger as logger:
        logger.log(35, "x")
        logger.add_level("notice", 35)
        logger.log(35, "x")
        logger.log("Notice", "x")
        logger.add_level("notice", 15)
        logger.configure(LoggerConfig(level=20))
        logger.log("Notice", "not taken any more")
        assert output.text().splitlines() == ["LEVEL 35 x", "NOTICE x", "NOTICE x"]


def test_the_gate(output: Output) -> None:
    logger = output.logger
    for threshold in (Level.WARNING, 0, 32767, 5, Level.INFO):
        logger.configure(LoggerConfig(level=threshold))
        for level in (*Level, 0, 1, 21, 32767):
            assert logger.is_enabled_for(level) == (level >= threshold)
            before = logger.stats().emitted
            logger.log(level, "x")
            assert (logger.stats().emitted > before) == (level >= threshold)
