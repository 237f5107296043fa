"""Layouts as other libraries write them: refused with the right name, or told of when a sink ends."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest

from logly import ConfigError, Logger, SinkConfig
from logly.control.sinks import Sink
from tests.support.programs import run_program


@pytest.mark.parametrize(
    ("template", "hint"),
    [
        ("{levelname} {message}", "write {level}, or {fields[levelname]} for a field, at position 0"),
        ("{message} {asctime}", "write {time}, or {fields[asctime]} for a field, at position 10"),
        ("{funcName}", "write {function}"),
        ("{threadName:<10}", "write {thread_name}"),
        ("{exc_info}", "write {exception}"),
        ("{extra[user]}", "write {user}, or {fields[user]}"),
        ("{extra['two words']}", "write {fields[two words]}"),
        ("{level.name}", "write {level}"),
        ("{time!UTC}", "Logger(timezone='utc')"),
        ("{time:HH:mm:ss!UTC} {message}", "set Logger(timezone='utc'), at position 14"),
        ("{elapsed}", "logly has no elapsed time: {time} is the record's, and {fields[elapsed]} is a field"),
        ("{}", "write {message}"),
        ("{record.x}", "a name (letters"),
        ("<red>{message}</red>", "'<red>' is markup of loguru's: leave it out, a style stands after a bar"),
        ("{message} <light-blue>x", "'<light-blue>' is markup"),
        ("<level>{level: <8}</level>", "'<level>' is markup"),
        ("{message}</>", "'</>' is markup"),
        ("<fg red>{message}", "'<fg red>' is markup"),
        ("%(levelname)s", "write {message} for %(message)s"),
        ("{fields[]}", "'{fields[NAME]}'"),
        ("{fields[a}", "'{fields[NAME]}'"),
        ("{fields[a]b}", "'{fields[NAME]}'"),
        ("{fields[a]:<<<}", "'<<<' is not a format specification, at position 11"),
    ],
)
def test_a_layout_that_cannot_be_meant_is_refused(template: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        SinkConfig(format=template).validate()
    assert caught.value.field == "format"
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    "template",
    ["<{level:<8}>", "<event><level>{level}</level></event>", "a < b > c", "<<{message}>>", "{level:>3}<{lineno}"],
)
def test_other_angle_brackets_are_text(template: str) -> None:
    SinkConfig(format=template).validate()


def written(template: str, *, levels: int = 1, **fields: Any) -> tuple[str, list[Exception]]:
    """What a sink with this format writes, and what is told at its end."""
    told: list[Exception] = []
    out = io.StringIO()
    with Logger(on_error=told.append) as logger:
        logger.add_sink(out, format=template)
        for _ in range(levels):
            logger.info("m", **fields)
    return out.getvalue(), told


def test_fields_says_that_a_field_is_meant() -> None:
    template = "{fields[levelname]}|{fields[two words]:>4}|{fields[n]:.1f}|{fields[q]:json}"
    text, told = written(template, **{"levelname": "x", "two words": "y", "n": 1.25, "q": '"'})
    assert (text, told) == ('x|   y|1.2|\\"\n', [])
    assert written("{fields[elapsed]}{fields[x]}.") == (".\n", [])


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("extra", "write {fields}"),
        ("line", "write {lineno}"),
        ("pathname", "write {path}"),
        ("usr", "is the name misspelt?"),
    ],
)
def test_a_name_that_no_record_fills_is_told_once_with_a_hint(name: str, hint: str) -> None:
    text, told = written(f"{{{name}:>3}} {{message}} {{user}}", levels=3, user="bob")
    assert text == "    m bob\n" * 3
    (error,) = told
    assert isinstance(error, ConfigError)
    expected = f"none of 3 records had a field {name!r}, and {{{name}}} stood for nothing: {hint}"
    assert expected in str(error)
    assert f"{{fields[{name}]}} says that a field is meant" in str(error)


def test_a_name_that_some_record_fills_is_not_told() -> None:
    told: list[Exception] = []
    with Logger(on_error=told.append) as logger:
        for template in ("{user} {user} {message}", "{user:json}", "{user:>8}"):
            logger.add_sink(io.StringIO(), format=template)
        logger.info("without")
        logger.bind(user="bob").info("with")
        logger.configure(show_time=False)  # a new layout
        logger.info("without")
    assert told == []


def test_what_is_written_while_the_layout_changes_fills_it(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Exception] = []
    make_layout = Sink._make_layout

    def make_and_log(sink: Sink, *args: object) -> object:
        made = make_layout(sink, *args)
        logger.info("with", user="bob")
        assert logger.flush()
        return made

    with Logger(on_error=told.append) as logger:
        logger.add_sink(io.StringIO(), format="{user} {message}")
        monkeypatch.setattr(Sink, "_make_layout", make_and_log)
        logger.configure(show_time=False)
        monkeypatch.undo()
        logger.info("without")
    assert told == []


def test_a_sink_without_records_has_nothing_to_tell() -> None:
    told: list[Exception] = []
    with Logger(on_error=told.append) as logger:
        logger.add_sink(io.StringIO(), format="{usr}")
    assert told == []


def test_a_removed_sink_tells_it() -> None:
    told: list[Exception] = []
    logger = Logger(on_error=told.append)
    sink = logger.add_sink(io.StringIO(), format="{usr} {x}")
    logger.info("m")
    logger.remove_sink(sink)
    logger.flush()
    logger.close()
    assert len(told) == 1
    assert "the only record had no field 'usr'" in str(told[0])
    assert "and so for x" in str(told[0])


def test_a_program_tells_it_at_its_end(tmp_path: Path) -> None:
    program = """
import sys
from logly import logger
logger.add_sink(sys.argv[1], format="{usr} {message}")
logger.info("m")
"""
    done = run_program(program, tmp_path / "log", may_complain=True)
    told = "logly (root): Advice: format = '{usr} {message}': the only record had no field 'usr'"
    assert done.stderr.startswith(told)
    assert (tmp_path / "log").read_text() == " m\n"


# ---- settings that contradict each other


def test_json_and_a_format_are_two_layouts() -> None:
    with pytest.raises(ConfigError, match=r"json = True and format = '\{message\}': a line has one layout"):
        SinkConfig(json=True, format="{message}").validate()
    with pytest.raises(ConfigError, match="a line has one layout"):
        SinkConfig(json=True, format="logfmt").validate()
    SinkConfig(json=True, format="ecs").validate()
    SinkConfig(json=False, format="{message}").validate()


@pytest.mark.parametrize(
    ("first", "second", "is_told"),
    [
        ({"path": "a.log"}, {"path": "./a.log", "json": True}, True),
        ({"path": "a.log"}, {"path": "b.log"}, False),
        ({}, {"stream": "stderr"}, True),
        ({"stream": "stdout"}, {"stream": "stderr"}, False),
        ({"stream": "stdout"}, {"stream": sys.__stdout__}, True),
        ({"fd": 1}, {"fd": 1, "level": "error"}, True),
        ({"fd": 1}, {"fd": 2}, False),
        ({"path": "a.log", "filter_module": "shop"}, {"path": "a.log"}, False),
        ({"path": "a.log"}, {"path": "a.log", "filter_max_level": "info"}, False),
        ({"path": "a.log"}, {"path": "a.log", "level": "off,shop=debug"}, False),
        ({"function": print}, {"function": print}, False),
    ],
)
def test_two_sinks_with_one_place_are_told(
    first: dict[str, Any], second: dict[str, Any], is_told: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told: list[Exception] = []
    with Logger(on_error=told.append) as logger:
        ids = [logger.add_sink(**settings) for settings in (first, second)]
        assert logger.list_sinks() == ids  # a running service goes on
    assert len(told) == is_told
    if is_told:
        assert isinstance(told[0], ConfigError)
        assert f"sink {ids[0]} writes there, too, so each line comes twice: remove_sink({ids[0]})" in str(told[0])
