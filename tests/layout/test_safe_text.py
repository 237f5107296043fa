"""What comes from outside cannot forge a record or drive a terminal, whichever way it takes into the line."""

import os
import pty
import re
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.lines import Lines

FORGED = "2026-01-01 00:00:00.000 | INFO     | app:main:1 | all is well"
BREAKS = ["\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]
RECORD = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \| ")
CONTROLS = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")

evil = st.lists(
    st.one_of(st.sampled_from(BREAKS), st.just(FORGED), st.sampled_from(["\x1b[2J", "\x9b", "é", "\\n", "\t", " "])),
    max_size=6,
).map("".join)


@pytest.fixture(scope="module", params=["escape", "indent"])
def lines(request):
    lines = Lines(newlines=request.param, name="app")
    yield lines
    lines.close()


def records_in(text):
    """Lines, by the widest notion of a line that a reader may have, that begin like a record."""
    return [line for line in text.splitlines() if RECORD.match(line)]


@settings(max_examples=max(1, settings().max_examples // 4))
@given(st.lists(st.tuples(evil, evil, evil), min_size=1, max_size=5))
def test_message_field_and_key(lines, records):
    for message, key, value in records:
        lines.logger.info(message)
        lines.logger.info("{} {}", message, 1)
        lines.logger.info("m", **{"k" + key: value, "n": [value], "b": value.encode()})
        lines.logger.bind(**{"bound" + key: value}).info("m", x=ValueError(value))
    assert len(records_in(lines.text())) == 4 * len(records)


@settings(max_examples=max(1, settings().max_examples // 10))
@given(evil, evil)
def test_exceptions(lines, message, note):
    error = ValueError("x" + message)
    error.add_note("y" + note)
    group = ExceptionGroup("several" + message, [error, KeyError(message)])
    group.__cause__ = ImportError("z" + message)
    for one in (error, group, SyntaxError("bad" + message, ("file" + message, 1, 2, "text" + message))):
        lines.logger.error("m", exc_info=one)
    assert len(records_in(lines.text())) == 3


@settings(max_examples=50)
@given(evil)
def test_names_of_threads_loggers_modules_functions_and_paths(text):
    template = "{time:YYYY-MM-DD HH:mm:ss.SSS} | {name} {thread_name} {module} {function} {path} {filename} {message}"
    lines = Lines(name="n" + text, format=template)
    thread = threading.Thread(target=lines.logger.info, args=("m",), name="t" + text)
    thread.start()
    thread.join(30)
    code = compile("log('m')", "p" + text, "exec").replace(co_name="f" + text)
    for _ in range(2):
        exec(code, {"__name__": "m" + text, "log": lines.logger.info})
    out = lines.text()
    lines.close()
    assert len(records_in(out)) == len(out.splitlines()) == 3
    assert not CONTROLS.search(out.replace("\n", ""))


def test_escape_is_the_default_and_shows_what_was_there():
    with Lines(format="{message}|{fields}") as lines:
        lines.logger.info("a\nb\r\tc\x00\x1b\x7f\x85\u2028é→😀", k="x\ny")
        assert lines.line() == "a\\nb\\r\tc\\x00\\x1b\\x7f\\x85\\u2028é→😀|k=x\\ny"


def test_indent_keeps_the_lines_and_moves_them():
    with Lines(format="{message}", newlines="indent") as lines:
        lines.logger.info("a\nb\r\nc\rd\x1b\x85e")
        lines.logger.info("next")
        assert lines.lines() == ["a", "    b", "    c", "    d\\x1b\\x85e", "next"]


def test_indent_moves_a_whole_traceback():
    with Lines(format="{message}", newlines="indent") as lines:
        lines.logger.info("m", exc_info=ValueError("a\nb"))
        lines.logger.info("next")
        assert lines.lines() == ["m", "    ValueError: a", "        b", "next"]


def test_keep_keeps_everything():
    with Lines(format="{message}", newlines="keep") as lines:
        lines.logger.info("a\nb\x1b\r", exc_info=ValueError("c\nd"))
        assert lines.text() == "a\nb\x1b\r\nValueError: c\nd\n"


def test_control_characters_in_an_exception_are_visible():
    with Lines(format="{message}") as lines:
        lines.logger.info("m", exc_info=ValueError("a\rb\x1b[2J\tc"))
        assert lines.lines() == ["m", "ValueError: a\\rb\\x1b[2J\tc"]


@pytest.mark.parametrize("newlines", ["escape", "indent", "keep"])
def test_a_terminal_is_never_driven(newlines):
    master, slave = pty.openpty()
    with Lines(format="{message} {fields}", newlines=newlines) as lines:
        from logly import SinkConfig

        lines.logger.add_sink(SinkConfig(fd=slave, format="{message} {fields}", newlines=newlines, color=False))
        error = ValueError("\x1b[2J\x9b\r")
        lines.logger.info("\x1b]0;title\x07 \x9b2J \x08", k="\x1b[2J", exc_info=error)
        lines.logger.flush()
    text = os.read(master, 65536).decode()
    os.close(master)
    os.close(slave)
    assert not re.search("[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f-\x9f]", text)
    assert text.replace("\r\n", "\n").count("\r") == 0


def test_an_exception_in_the_layout_takes_the_same_treatment():
    with Lines(format="{level}|{exception}|{message}") as lines:
        lines.logger.info("m", exc_info=ValueError("a\nb"))
        assert lines.lines() == ["INFO|ValueError: a", "    b|m"]
    with Lines(format="{exception:>20}|{message}") as lines:
        lines.logger.info("m", exc_info=ValueError("a"))
        lines.logger.info("m")
        assert lines.lines() == ["       ValueError: a|m", " " * 20 + "|m"]
