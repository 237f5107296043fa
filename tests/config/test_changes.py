"""`configure` by keywords: these settings change and no other, in one step, whoever changes others meanwhile."""

import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from logly import ConfigError, Level, Logger, LoggerConfig, SinkConfig
from tests.support.loggers import assert_books, file_logger, make_logger
from tests.support.threads import run_threads

NAMES = [one.name for one in fields(LoggerConfig)]


def settings_of(logger: Logger) -> dict[str, Any]:
    config = logger.config
    return {name: getattr(config, name) for name in NAMES}


def test_only_the_named_settings_change(tmp_path: Path) -> None:
    with file_logger(tmp_path / "log", stall_timeout=3, level="warning") as logger:
        before = settings_of(logger)
        logger.debug("not taken")
        logger.configure(level="debug", flush_level=None)
        logger.debug("taken")
        assert settings_of(logger) == before | {"level": "debug", "flush_level": None}
    assert (tmp_path / "log").read_text() == "taken\n"


def test_children_and_the_logger_itself_are_one(tmp_path: Path) -> None:
    with file_logger(tmp_path / "log") as logger:
        child = logger.bind(a=1)
        child.configure(level="trace")
        assert logger.is_enabled_for("trace")
        assert child.config.level == logger.config.level == "trace"


def test_with_a_config_the_keywords_go_before_it() -> None:
    with make_logger(stall_timeout=3) as logger:
        config = LoggerConfig(level="debug", json=True, auto_sink=False)
        logger.configure(config, level="error", log_compact=True)
        assert logger.config == LoggerConfig(level="error", json=True, auto_sink=False, log_compact=True)
        assert config == LoggerConfig(level="debug", json=True, auto_sink=False)
        logger.configure(config=config)
        assert logger.config == config
        logger.configure(None, level="trace")
        assert logger.config == LoggerConfig(level="trace", json=True, auto_sink=False)


@pytest.mark.parametrize(
    ("changes", "told", "field"),
    [
        ({"levle": "debug"}, r"levle = 'debug': there is no such setting; did you mean 'level'\?", "levle"),
        ({"Level": "debug"}, r"did you mean 'level'\?", "Level"),
        ({"xyzzy": 1}, "there is no such setting; valid are level, level_file, async_buffer_size, ", "xyzzy"),
        ({"path": "app.log"}, "there is no such setting", "path"),
        ({"level": "loud"}, "level = 'loud': at character 1, 'loud' is no level", "level"),
        ({"json": True, "overflow": "blok"}, "did you mean 'block'", "overflow"),
        ({"custom_levels": [1]}, "custom_levels = ", "custom_levels"),
        ({"spool_fsync": 100}, "needs a spool", "spool_fsync"),
        ({}, "config = None is not valid: use a LoggerConfig", "config"),
        ({"config": {"level": "debug"}, "json": True}, "config = .*a LoggerConfig", "config"),
    ],
)
def test_a_mistake_is_told_and_changes_nothing(changes: dict[str, Any], told: str, field: str) -> None:
    with make_logger() as logger:
        before = settings_of(logger)
        with pytest.raises(ConfigError, match=told) as raised:
            logger.configure(**changes)
        assert raised.value.field == field
        assert settings_of(logger) == before


def test_a_mistake_beside_a_config_is_told_too() -> None:
    with make_logger() as logger, pytest.raises(ConfigError, match="did you mean 'level'"):
        logger.configure(LoggerConfig(), levle="debug")


def test_a_mapping_is_copied() -> None:
    with make_logger() as logger:
        colors = {"INFO": "red"}
        logger.configure(level_colors=colors)
        colors["INFO"] = "blue"
        assert logger.config.level_colors == {"INFO": "red"}


def test_added_levels_stay_and_may_be_named(tmp_path: Path) -> None:
    with file_logger(tmp_path / "log", custom_levels={"loud": 60}) as logger:
        logger.add_level("notice", 22, "cyan")
        logger.configure(level="notice", flush_level="loud")
        assert logger.is_enabled_for(22)
        assert not logger.is_enabled_for(Level.INFO)
        assert logger.config.custom_levels == {"loud": 60, "NOTICE": 22}
        logger.configure(custom_levels={"mute": 3}, flush_level=None)
        assert logger.config.custom_levels == {"mute": 3, "NOTICE": 22}


def test_the_automatic_sink_and_a_spool_come_and_go_by_keyword(tmp_path: Path) -> None:
    with make_logger() as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "log", format="{message}"))
        logger.configure(spool=tmp_path / "spool", async_buffer_size=8192)
        assert logger.stats().ring_size == 8192
        logger.info("spooled")
        logger.configure(spool=None)
        logger.info("not spooled")
        assert logger.config.async_buffer_size == 8192
        assert logger.flush()
    assert (tmp_path / "log").read_text() == "spooled\nnot spooled\n"
    assert [one.name for one in tmp_path.iterdir() if "spool" in one.name] == []


def test_a_closed_logger_can_be_configured() -> None:
    logger = make_logger()
    logger.close()
    logger.configure(level="debug")
    assert logger.config.level == "debug"


def test_changes_of_several_threads_all_hold(tmp_path: Path) -> None:
    """Each thread owns one setting. A change that is made from an older state would undo another thread's."""
    logger = file_logger(tmp_path / "log")
    lost: list[str] = []

    def changing(name: str) -> Callable[[], None]:
        def change() -> None:
            for value in range(1, 200):
                logger.configure(**{name: value})
                logger.info("x")
                if getattr(logger.config, name) != value:
                    lost.append(f"{name} = {value}")

        return change

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        run_threads(changing("async_flush_interval"), changing("stall_timeout"))
    finally:
        sys.setswitchinterval(before)
    assert lost == []
    assert logger.flush()
    assert_books(logger, written=2 * 199)
    logger.close()


def test_a_change_by_a_signal_handler_in_between_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    with make_logger() as logger:
        controller = logger._controller
        plan_config = controller._plan_config

        def interrupted(*arguments: Any) -> None:
            plan_config(*arguments)
            monkeypatch.undo()
            logger.configure(json=True)

        monkeypatch.setattr(controller, "_plan_config", interrupted)
        logger.configure(level="debug")
        assert (logger.config.level, logger.config.json) == ("debug", True)
