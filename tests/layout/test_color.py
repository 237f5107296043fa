"""Colours: only on terminals unless asked, of the level or the whole line; a real terminal is a pty here."""

import os
import pty
import sys

import pytest

from logly import ConfigError, LoggerConfig, SinkConfig
from tests.support.lines import Lines
from tests.support.programs import run_program

RED, OFF = "\x1b[31m", "\x1b[0m"


@pytest.fixture(autouse=True)
def _no_preferences(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


@pytest.fixture
def terminal():
    """A pty: what is written to `terminal.fd` is in `terminal.text()`."""

    class Terminal:
        def __init__(self):
            self.master, self.fd = pty.openpty()

        def text(self):
            return os.read(self.master, 65536).decode().replace("\r\n", "\n")

    one = Terminal()
    yield one
    os.close(one.master)
    os.close(one.fd)


def log_error(terminal, **sink):
    with Lines() as lines:
        lines.logger.add_sink(SinkConfig(fd=terminal.fd, format="{level:<6}|{message}", **sink))
        lines.logger.error("x")
        lines.logger.flush()
        return terminal.text()


def test_the_level_on_a_terminal(terminal):
    assert log_error(terminal) == f"{RED}ERROR {OFF}|x\n"


def test_the_whole_line(terminal):
    assert log_error(terminal, color="line") == f"{RED}ERROR |x{OFF}\n"


@pytest.mark.parametrize(
    ("environ", "coloured"),
    [
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": ""}, True),
        ({"FORCE_COLOR": "0"}, False),
        ({"TERM": "dumb"}, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
    ],
)
def test_preferences_of_the_user(environ, coloured, terminal, monkeypatch):
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert (RED in log_error(terminal)) is coloured


def test_the_sinks_own_word_counts_more_than_the_environment(terminal, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert RED in log_error(terminal, color=True)
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert RED not in log_error(terminal, color=False)


def test_no_colour_in_files_and_pipes_unless_asked(tmp_path, monkeypatch):
    with Lines(format="{level}") as lines:
        lines.logger.error("x")
        assert lines.line() == "ERROR"
        lines.logger.add_sink(SinkConfig(path=tmp_path / "asked.log", format="{level}", color="level"))
        monkeypatch.setenv("FORCE_COLOR", "1")
        lines.logger.add_sink(SinkConfig(path=tmp_path / "forced.log", format="{level}"))
        lines.logger.error("x")
        lines.logger.flush()
    assert (tmp_path / "asked.log").read_text() == f"{RED}ERROR{OFF}\n"
    assert (tmp_path / "forced.log").read_text() == "ERROR\n"


def test_the_master_switch(terminal):
    with Lines(LoggerConfig(global_color_display=False)) as lines:
        lines.logger.add_sink(SinkConfig(fd=terminal.fd, format="{level}", color=True))
        lines.logger.error("x")
        lines.logger.flush()
        assert terminal.text() == "ERROR\n"


def test_json_and_logfmt_have_no_colour(terminal):
    with Lines() as lines:
        lines.logger.add_sink(SinkConfig(fd=terminal.fd, json=True, color=True))
        lines.logger.add_sink(SinkConfig(fd=terminal.fd, format="logfmt", color="line"))
        lines.logger.error("x")
        lines.logger.flush()
        assert "\x1b" not in terminal.text()


@pytest.mark.parametrize(
    ("color", "sequence"), [("bright_red", "\x1b[91m"), ("bold yellow", "\x1b[1;33m"), ("38;5;208", "\x1b[38;5;208m")]
)
def test_level_colors_and_colours_of_custom_levels(color, sequence):
    config = LoggerConfig(level=0, level_colors={"info": color, "AUDIT": color, 33: color}, custom_levels={"audit": 35})
    with Lines(config, format="{level}", color=True) as lines:
        lines.logger.add_level("note", 21, color)
        lines.logger.info("x")
        for level in ("audit", "note", 33):
            lines.logger.log(level, "x")
        lines.logger.success("x")
        assert lines.lines() == [
            *(f"{sequence}{name}{OFF}" for name in ("INFO", "AUDIT", "NOTE", "LEVEL 33")),
            f"\x1b[32mSUCCESS{OFF}",
        ]


def test_a_level_without_a_colour_has_no_sequence():
    with Lines(LoggerConfig(level_colors={"error": ""}), format="{level}", color="line") as lines:
        lines.logger.error("x")
        lines.logger.info("x")
        assert lines.lines() == ["ERROR", "INFO"]


@pytest.mark.parametrize("wrong", ["reddish", "\x1b[2J", "31;x"])
def test_a_wrong_colour_is_refused(wrong):
    with Lines() as lines:
        with pytest.raises(ConfigError, match="bright_red"):
            lines.logger.configure(LoggerConfig(level_colors={"info": wrong}))
        with pytest.raises(ConfigError, match="bright_red"):
            lines.logger.add_level("note", 21, wrong)


def test_the_console_of_a_program_on_a_terminal():
    """The default sink, stderr being a terminal: colours, and a message that tries to drive it."""
    program = "import logly\nlogly.logger.error('a\\x1b[2Jb\\x9bc\\x07')\nlogly.logger.close()\n"
    master, slave = pty.openpty()
    environ = {"PATH": os.environ["PATH"], "TERM": "xterm", "PYTHONPATH": os.pathsep.join(sys.path)}
    run_program(program, stderr=slave, env=environ)
    os.close(slave)
    text = os.read(master, 65536).decode()
    os.close(master)
    assert f"| {OFF}\x1b[1m{RED}ERROR   {OFF}" in text
    assert text.endswith(f"| {OFF}\x1b[1m{RED}a\\x1b[2Jb\\x9bc\\x07{OFF}\r\n")
