"""`{message:json}` and its like: any placeholder of a text layout, escaped for the inside of a JSON string."""

import json
import re
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from logly import ConfigError, LoggerConfig, SinkConfig
from tests.support.hooks import limit_registry
from tests.support.lines import Lines, seen

WHAT = [
    "time",
    "level",
    "message",
    "name",
    "module",
    "function",
    "filename",
    "path",
    "lineno",
    "thread",
    "thread_name",
    "process",
    "exception",
    "fields",
    "x",
]
ALL = "{{" + ",".join(f'"{name}":"{{{name}:json}}"' for name in WHAT) + "}}"

any_text = st.one_of(
    st.text(st.characters(exclude_categories=()), max_size=40),
    st.text(
        st.sampled_from('a"\\\n\r\t\x00\x1b\x7f\x80\x85\x9f\xa0\u2027\u2028\u2029\u202aé→😀\ud800\udc00{}%'),
        max_size=40,
    ),
)


@given(any_text, any_text)
@example("a" * 7 + '"' + "b" * 9 + "\\" + "c" * 8 + "\u2028", "")
@settings(max_examples=max(10, settings().max_examples // 2))
def test_any_text_becomes_the_inside_of_a_string(message: str, field: str) -> None:
    with Lines(format='{{"m":"{message:json}","f":"{x:json}","all":"{fields:json}"}}') as lines:
        lines.logger.info("{}", message, x=field)
        text = lines.text()
    assert text.endswith("\n")
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]", text)
    assert json.loads(text) == {"m": seen(message), "f": seen(field), "all": f"x={seen(field)}"}
    # The same escapes as in JSON lines.
    with Lines(json=True) as lines:
        lines.logger.info("{}", message)
        assert json.dumps(json.loads(lines.line())["message"]) == json.dumps(seen(message))


def test_every_placeholder_has_it() -> None:
    with Lines(LoggerConfig(level=0), name='a"b', format=ALL, color=True, newlines="indent") as lines:
        lines.logger.info('say "{}"', "x\ny", x=[1, 'q"'])
        try:
            raise ValueError("two\nlines")
        except ValueError:
            lines.logger.exception("failed")
        first, second = map(json.loads, lines.lines())
    assert first["message"] == 'say "x\ny"'
    assert first["name"] == 'a"b'
    assert first["level"] == "INFO"
    assert (first["module"], first["function"]) == (__name__, "test_every_placeholder_has_it")
    assert first["path"] == __file__
    assert first["x"] == '[1,"q\\""]'
    assert first["fields"] == 'x=[1,"q\\""]'
    assert first["lineno"].isdigit()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", first["time"])
    assert first["exception"] == second["x"] == ""
    assert second["exception"].startswith("Traceback (most recent call last):\n")
    assert second["exception"].endswith("\nValueError: two\nlines")


def test_the_pattern_of_a_time_is_the_sinks() -> None:
    with Lines(format="{time:json}", date_style='["]YYYY["]') as lines:
        lines.logger.info("m")
        assert re.fullmatch(r'\\"\d{4}\\"', lines.line())


def test_a_call_site_that_stands_in_the_record(tmp_path: Any) -> None:
    limit_registry(sites=0)
    try:
        with Lines(format='"{path:json}" "{function:json}"') as lines:
            exec(compile('logger.info("m")', 'a"b\n.py', "exec"), {"logger": lines.logger, "__name__": "m"})
            assert lines.line() == '"a\\"b\\n.py" "<module>"'
    finally:
        limit_registry()


def test_only_the_word_itself_is_meant() -> None:
    for wrong in ("{message:JSON}", "{message:<8json}", "{level:jsonx}"):
        with pytest.raises(ConfigError, match="format specification"):
            SinkConfig(format=wrong).validate()
