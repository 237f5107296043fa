"""Levels and colours: what users may write, and what they are told when it is wrong."""

import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logly import Logger, LoggerConfig, SinkConfig
from logly.errors import ConfigError, LoglyError, SinkError
from logly.layout.colors import COLORS, STYLES, parse_color, use_color
from logly.levels import LEVEL_COLORS, Level, level_number
from tests.support import ROOT


@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("spell", [str.upper, str.lower, str.title])
def test_each_level_is_known_by_name_in_any_case_and_by_number(level, spell):
    assert level_number(spell(level.name)) == level_number(int(level)) == level_number(level) == level.value


def test_the_standard_librarys_spellings_are_taken():
    assert [level_number(name) for name in ("warn", "FATAL", "NotSet")] == [30, 50, 0]


def test_custom_levels_are_found_in_any_case_but_never_hide_a_builtin():
    custom = {"Notice": 22, "INFO": 1}
    assert level_number("NOTICE", custom) == 22
    assert level_number("info", custom) == 20


@pytest.mark.parametrize("value", ["", "loud", -1, 32768, True, None, 2.5, b"info"])
def test_a_wrong_level_is_refused_with_the_choices(value):
    with pytest.raises(ConfigError, match="SUCCESS") as caught:
        level_number(value, {"NOTICE": 22}, field="flush_level")
    assert (caught.value.field, caught.value.value) == ("flush_level", value)
    assert "NOTICE" in str(caught.value)


def test_the_nearest_name_is_suggested():
    with pytest.raises(ConfigError, match="did you mean 'WARNING'"):
        level_number("warnign")


def test_errors_are_what_generic_handlers_expect():
    error = SinkError(13, "no permission", "app.log")
    assert isinstance(error, OSError)
    assert isinstance(error, LoglyError)
    assert (error.errno, error.strerror, error.filename) == (13, "no permission", "app.log")
    assert issubclass(ConfigError, ValueError)


def test_errors_survive_the_way_between_processes():
    config = pickle.loads(pickle.dumps(ConfigError("text", field="level", value=3)))
    assert (str(config), config.field, config.value) == ("text", "level", 3)
    sink = pickle.loads(pickle.dumps(SinkError(13, "no permission", "app.log")))
    assert (sink.errno, sink.strerror, sink.filename) == (13, "no permission", "app.log")


@pytest.mark.parametrize(
    ("text", "sequence"),
    [
        ("bright_red", "\x1b[91m"),
        ("bold yellow", "\x1b[1;33m"),
        ("Yellow BOLD", "\x1b[1;33m"),
        ("red on white", "\x1b[31;47m"),
        ("bright-red on bright-black", "\x1b[91;100m"),
        ("underline", "\x1b[4m"),
        ("dim", "\x1b[2m"),
        ("31;1", "\x1b[31;1m"),
        ("38;5;208", "\x1b[38;5;208m"),
        ("\x1b[31m", "\x1b[31m"),
        ("\x1b[1m\x1b[31m", "\x1b[1;31m"),
        ("default", ""),
        ("", ""),
    ],
)
def test_colours_become_sgr_sequences(text, sequence):
    assert parse_color(text) == sequence


@pytest.mark.parametrize("text", ["redd", "red on", "on bold", "\x1b[2J", "\x1b[31m\x1b]0;title\x07m", "31;x", ";", 7])
def test_a_wrong_colour_is_refused(text):
    with pytest.raises(ConfigError):
        parse_color(text)


@given(st.lists(st.sampled_from([*COLORS, *STYLES]), min_size=1, max_size=4))
def test_whatever_the_names_only_sgr_comes_out(words):
    sequence = parse_color(" ".join(words))
    assert sequence == "" or (sequence.startswith("\x1b[") and not sequence[2:-1].strip("0123456789;"))


PAGES = ROOT / "docs"


@pytest.mark.skipif(not PAGES.exists(), reason="the pages are not beside the tests")
def test_the_page_lists_the_levels():
    page = (PAGES / "layouts.md").read_text()
    assert ", ".join(f"{level.name} {level:d}" for level in Level) in page.split("\n## Levels\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("level", Level)
def test_each_level_has_a_method_that_says_its_number(level, tmp_path):
    method = getattr(Logger, level.name.lower())
    assert f"Log a message at {level.name} ({level:d})." in method.__doc__
    with Logger(LoggerConfig(level=level, auto_sink=False)) as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "a.log", format="{level} {message}"))
        for other in Level:
            getattr(logger, other.name.lower())("x")
    assert (tmp_path / "a.log").read_text().split("\n")[:-1] == [f"{one.name} x" for one in Level if one >= level]


def test_default_colours_can_be_parsed():
    assert set(LEVEL_COLORS) == set(map(int, Level))
    assert all(isinstance(parse_color(color), str) for color in LEVEL_COLORS.values())


@pytest.mark.parametrize(
    ("setting", "terminal", "file", "environ", "coloured"),
    [
        (None, True, False, {}, True),
        (None, False, False, {}, False),
        (None, True, False, {"NO_COLOR": "1"}, False),
        (None, True, False, {"NO_COLOR": ""}, True),
        (None, False, False, {"FORCE_COLOR": "1"}, True),
        (None, True, False, {"FORCE_COLOR": "0"}, False),
        (None, True, False, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        (None, True, False, {"TERM": "dumb"}, False),
        (None, False, True, {"FORCE_COLOR": "1"}, False),
        (True, False, True, {"NO_COLOR": "1"}, True),
        (False, True, False, {"FORCE_COLOR": "1"}, False),
    ],
)
def test_when_colours_are_used(setting, terminal, file, environ, coloured):
    assert use_color(setting, is_terminal=terminal, is_file=file, environ=environ) is coloured


def test_more_levels_than_there_are_places_are_refused_and_change_nothing(tmp_path: Path) -> None:
    with Logger(LoggerConfig(auto_sink=False)) as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "a.log", format="{level} {message}"))
        with pytest.raises(ConfigError, match="256"):
            logger.configure(LoggerConfig(auto_sink=False, custom_levels={f"L{i}": 100 + i for i in range(256)}))
        with pytest.raises(ConfigError, match="256"):
            Logger(LoggerConfig(custom_levels={f"L{i}": 100 + i for i in range(256)}))
        added = 256 - len(Level)
        for i in range(added):
            logger.add_level(f"extra{i}", 1000 + i)
        with pytest.raises(ConfigError, match="256"):
            logger.add_level(f"extra{added}", 1000 + added)
        # The one that was refused is not kept, so settings can still be changed.
        logger.configure(LoggerConfig(auto_sink=False, level="DEBUG"))
        logger.log(f"extra{added - 1}", "last")
        logger.debug("fine")
        with pytest.raises(ConfigError):
            logger.log(f"extra{added}", "none")
        assert logger.flush()
    assert (tmp_path / "a.log").read_text() == f"EXTRA{added - 1} last\nDEBUG fine\n"


def test_the_settings_in_force_have_all_levels(tmp_path: Path) -> None:
    with Logger(LoggerConfig(auto_sink=False, custom_levels={"loud": 60})) as logger:
        logger.add_level("Loud", 61)
        logger.add_level("extra", 35)
        settings = logger.config
        assert settings.custom_levels == {"loud": 61, "EXTRA": 35}
        logger.configure(settings)
        logger.add_sink(SinkConfig(path=tmp_path / "log", format="{level} {message}"))
        logger.log("loud", "a")
        logger.log("extra", "b")
        assert logger.flush(30)
    assert (tmp_path / "log").read_text() == "LOUD a\nEXTRA b\n"
