"""`LOGLY_*`: settings from the environment, for those that the program does not set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from logly import ConfigError, Logger, LoggerConfig
from logly.config import environment
from logly.config.lazy_dataclass import fields
from tests.support.programs import run_program

VALUES: dict[str, tuple[str, Any]] = {
    "level_file": ("levels.txt", "levels.txt"),
    "async_buffer_size": ("8 KiB", "8 KiB"),
    "async_flush_interval": ("20", 20),
    "flush_level": ("none", None),
    "overflow": ("drop", "drop"),
    "stall_timeout": ("0.5", 0.5),
    "max_message_bytes": ("4096", "4096"),
    "auto_sink": ("0", False),
    "diagnose": ("1", True),
    "global_console_display": ("no", False),
    "global_file_storage": ("off", False),
    "global_color_display": ("False", False),
    "json": ("1", True),
    "pretty_json": ("yes", True),
    "log_compact": ("on", True),
    "show_time": ("0", False),
    "show_module": ("0", False),
    "show_function": ("0", False),
    "show_lineno": ("0", False),
    "show_filename": ("TRUE", True),
    "styles": ("message=bold green, key=red", {"message": "bold green", "key": "red"}),
    "level_colors": ("info=bold green, error=red", {"info": "bold green", "error": "red"}),
    "custom_levels": ("notice=22,audit=33", {"notice": 22, "audit": 33}),
    "redact": ("password, *token*", ["password", "*token*"]),
    "redact_text": ("1", True),
    "sampling": ("100,10", (100, 10)),
    "sampling_level": ("critical", "critical"),
    "timezone": ("Asia/Kolkata", "Asia/Kolkata"),
    "trace_context": ("none", None),
    "recorder": ("debug", "debug"),
    "recorder_size": ("1 MiB", "1 MiB"),
    "recorder_trigger": ("fail", "fail"),
    "recorder_field": ("request_id", "request_id"),
    "spool": ("run/app.spool", "run/app.spool"),
    "spool_fsync": ("none", None),
}
WRONG = {
    "ASYNC_BUFFER_SIZE": "many",
    "ASYNC_FLUSH_INTERVAL": "soon",
    "OVERFLOW": "wait",
    "JSON": "maybe",
    "SAMPLING": "100",
    "CUSTOM_LEVELS": "notice",
    "LEVEL_COLORS": "info=purple dots",
    "RECORDER": "loud",
    "TIMEZONE": "Mars/Olympus",
}


def test_redact_takes_a_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    for text, value in {"1": True, "true": True, "off": False}.items():
        monkeypatch.setenv("LOGLY_REDACT", text)
        assert LoggerConfig().redact is value


def test_each_setting_that_is_no_function_can_be_set() -> None:
    names = {one.name for one in fields(LoggerConfig())}
    assert names == {*VALUES, *environment.ONLY_IN_CODE, "level"}


@pytest.mark.parametrize("name", VALUES)
def test_a_variable_is_the_default_of_a_setting(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text, value = VALUES[name]
    default = getattr(LoggerConfig(), name)
    monkeypatch.setenv(f"LOGLY_{name.upper()}", f" {text} ")
    assert getattr(LoggerConfig(), name) == value
    assert getattr(LoggerConfig(**{name: default}), name) == default  # what the program sets goes first
    monkeypatch.setenv(f"LOGLY_{name.upper()}", "")
    assert getattr(LoggerConfig(), name) == default


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_value_is_told_once_and_left_out(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(environment, "_told_of", set())
    default = getattr(LoggerConfig(), name.lower())
    monkeypatch.setenv(f"LOGLY_{name}", WRONG[name])
    for _ in range(2):
        assert getattr(LoggerConfig(), name.lower()) == default
        Logger(auto_sink=False).close()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"logly: LOGLY_{name}")
    assert " is not valid: use " in line


@pytest.mark.parametrize("name", environment.ONLY_IN_CODE)
def test_a_function_cannot_be_set(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(environment, "_told_of", set())
    monkeypatch.setenv(f"LOGLY_{name.upper()}", "print")
    LoggerConfig()
    assert capsys.readouterr().err == f"logly: LOGLY_{name.upper()} = 'print': a function can only be set in code\n"


def test_levels_of_the_environment_are_known_to_other_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGLY_CUSTOM_LEVELS", "notice=22")
    monkeypatch.setenv("LOGLY_FLUSH_LEVEL", "notice")
    with Logger() as logger:
        assert (logger.config.flush_level, logger.config.custom_levels) == ("notice", {"notice": 22})


def test_a_misspelt_variable_is_told_once(tmp_path: Path) -> None:
    program = """
import os
from logly import Logger
os.environ["LOGLY_JSN"] = "1"
os.environ["LOGLY_SOMEBODY_ELSES_AFFAIR"] = "1"
os.environ["LOGLY_CLOCK"] = "system"
Logger().close()
Logger().close()
"""
    done = run_program(program, tmp_path, may_complain=True)
    assert done.stderr == "logly: LOGLY_JSN: there is no such setting; did you mean LOGLY_JSON?\n"


def test_a_table_in_pyproject_toml(tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    log = (tmp_path / "app.log").as_posix()
    file.write_text(f"""
[project]
name = "shop"

[tool.logly]
level = "debug"

[[tool.logly.sinks]]
path = "{log}"
format = "{{level}} {{message}}"
""")
    with Logger.from_file(file) as logger:
        logger.debug("x")
    assert Path(log).read_text() == "DEBUG x\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[logly]\n", r"pyproject.toml: there is no table \[tool.logly\] \(is \[logly\] meant to be it\?\)"),
        ("[tool.loggly]\n", r"there is no table \[tool.logly\]$"),
        ("[tool.logly]\nlevle = 1\n", "pyproject.toml: tool.logly.levle = 1: .* did you mean 'level'"),
        ("[tool.logly]\nlevel = 'loud'\n", "pyproject.toml: tool.logly.level = 'loud': at character 1"),
        ("[[tool.logly.sinks]]\nserialize = true\n", r"tool.logly.sinks\[0\].serialize = True: .* use json=True"),
    ],
)
def test_what_is_wrong_in_pyproject_toml_names_the_place(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(ConfigError, match=told):
        Logger.from_file(tmp_path / "pyproject.toml")
