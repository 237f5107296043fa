"""Text layouts: placeholders and their specifications, time, the switches, and what is wrong in a template."""

import inspect
import itertools
import os
import re
import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logly import ConfigError, LoggerConfig, SinkConfig
from tests.support.lines import Lines

STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}"


def test_the_default_line():
    with Lines() as lines:
        lines.logger.info("order {} filled at {:.2f}", 42, 3.14159, symbol="ABCD")
        line = lines.line()
    pattern = rf"{STAMP} \| INFO     \| {__name__}:test_the_default_line:\d+ \| order 42 filled at 3\.14 \| symbol=ABCD"
    assert re.fullmatch(pattern, line)


def test_every_placeholder_is_what_it_says():
    names = [
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
        "symbol",
        "fields",
    ]
    with Lines(name="shop", format="\x1f".join(f"{{{name}}}" for name in names), newlines="keep") as lines:
        here = test_every_placeholder_is_what_it_says.__code__
        number = inspect.currentframe().f_lineno + 1
        lines.logger.warning("hello", symbol="ABCD", n=1)
        parts = dict(zip(names, lines.line().split("\x1f"), strict=True))
    assert parts == {
        "level": "WARNING",
        "message": "hello",
        "name": "shop",
        "module": __name__,
        "function": here.co_name,
        "filename": "test_layout.py",
        "path": here.co_filename,
        "lineno": str(number),
        "thread": str(threading.get_ident()),
        "thread_name": threading.current_thread().name,
        "process": str(os.getpid()),
        "symbol": "ABCD",
        "fields": "symbol=ABCD, n=1",
    }


def test_literals_braces_and_what_is_missing():
    with Lines(format="{{{level}}} {nothing}|{nothing:>3}|{exception}|{fields}é") as lines:
        lines.logger.info("x")
        assert lines.line() == "{INFO} |   ||é"


def test_a_field_may_have_any_name_that_is_an_identifier():
    with Lines(format="{größe} {名前} {ñ}") as lines:
        lines.logger.info("x", größe=1, 名前="b", ñ=2.5)
        lines.logger.bind(größe=3, 名前="d").info("x", ñ="é")
        assert lines.lines() == ["1 b 2.5", "3 d é"]


text_specs = st.builds(
    lambda align, width, precision, kind: f"{align}{width}{precision}{kind}",
    st.sampled_from(["", "<", ">", "^", "*^", "é>", "→<"]),
    st.sampled_from(["", "1", "8", "20"]),
    st.sampled_from(["", ".0", ".3", ".30"]),
    st.sampled_from(["", "s"]),
)
int_specs = st.builds(
    lambda align, sign, alternate, width, group, kind: f"{align}{sign}{alternate}{width}{group}{kind}",
    st.sampled_from(["", "<", ">", "^", "=", "x^"]),
    st.sampled_from(["", "+", " "]),
    st.sampled_from(["", "#"]),
    st.sampled_from(["", "08", "12"]),
    st.sampled_from(["", "_"]),
    st.sampled_from(["", "d", "x", "b", "o"]),
)


@settings(max_examples=max(1, settings().max_examples // 20))
@given(st.lists(text_specs, min_size=7, max_size=7), st.lists(int_specs, min_size=2, max_size=2))
def test_specifications_are_pythons(texts, numbers):
    names = ["level", "message", "name", "module", "function", "fields", "label"]
    template = "\x1f".join(f"{{{name}:{spec}}}" for name, spec in zip(names, texts, strict=True))
    template += "\x1f" + "\x1f".join(f"{{{n}:{spec}}}" for n, spec in zip(("lineno", "process"), numbers, strict=True))
    with Lines(name="shöp", format=template, newlines="keep") as lines:
        line_number = test_specifications_are_pythons.hypothesis.inner_test.__code__.co_firstlineno + 8
        lines.logger.error("größe {}", 5, label="ab→")
        values = ["ERROR", "größe 5", "shöp", __name__, "test_specifications_are_pythons", "label=ab→", "ab→"]
        expected = [format(value, spec) for value, spec in zip(values, texts, strict=True)]
        expected += [format(n, spec) for n, spec in zip((line_number, os.getpid()), numbers, strict=True)]
        assert lines.text()[:-1].split("\x1f") == expected


@pytest.mark.parametrize(
    ("spec", "value", "text"),
    [
        (".2f", 1.005, format(1.005, ".2f")),
        (".2f", 3, "3.00"),
        (".2f", True, "1.00"),
        ("08.3f", 2**63, format(2**63, "08.3f")),
        (".2f", "text", "text"),
        (">8.2f", "text", "    text"),
        ("05d", 42, "00042"),
        ("05d", 4.5, "4.5  "),
        (">6", None, "  None"),
        ("<8", b"x", "b'x'    "),
        (".3", "abcdef", "abc"),
        (",", 1234567, "1,234,567"),
        (">8", [1, 2], "   [1,2]"),
    ],
)
def test_a_field_takes_its_specification_where_it_fits_and_its_width_where_not(spec, value, text):
    with Lines(format=f"{{x:{spec}}}") as lines:
        lines.logger.info("m", x=value)
        assert lines.line() == text


@pytest.mark.parametrize(
    ("template", "position", "what"),
    [
        ("{level", 0, "never closed"),
        ("ab {level} {", 11, "never closed"),
        ("ab } c", 3, "single '}'"),
        ("{level}}", 7, "single '}'"),
        ("{}", 0, "not a placeholder"),
        ("x {0}", 2, "not a placeholder"),
        ("{a.b}", 0, "not a placeholder"),
        ("{a b}", 0, "not a placeholder"),
        ("{message!r}", 0, "not a placeholder"),
        ("é {level:<8} {mess{age}", 13, "not a placeholder"),
        ("{level:d}", 7, "not for text"),
        ("{level:+}", 7, "not for text"),
        ("{message:.2f}", 9, "not for text"),
        ("ab {lineno:s}", 11, "not for a number"),
        ("{lineno:.3}", 8, "not for a number"),
        ("{level:<<<}", 7, "format specification"),
        ("{x:zzz}", 3, "format specification"),
        ("{level:99999}", 7, "format specification"),
        ("{time:YYYY [at}", 11, "never closed"),
        ("é{time:é SSSSSSSSSS}", 9, "nine"),
    ],
)
def test_a_mistake_is_told_with_its_place(template, position, what):
    with Lines() as lines, pytest.raises(ConfigError, match=re.escape(what)) as caught:
        lines.logger.add_sink(SinkConfig(fd=lines.fd, format=template))
    assert str(caught.value).endswith(f"at position {position}")
    assert (caught.value.field, caught.value.value) == ("format", template)


@pytest.mark.parametrize(("style", "position"), [("YYYY [x", 5), ("é😀[x", 2), ("\ud800\udfffMM[x", 4)])
def test_a_mistake_in_date_style_is_told_with_its_place(style, position):
    with Lines() as lines, pytest.raises(ConfigError, match=rf"never closed, at position {position}$") as caught:
        lines.logger.add_sink(SinkConfig(fd=lines.fd, date_style=style))
    assert caught.value.field == "date_style"


# ---- time

PATTERNS = {
    "YYYY": "%Y", "YY": "%y", "MMMM": "%B", "MMM": "%b", "MM": "%m", "dddd": "%A", "ddd": "%a", "DD": "%d",
    "HH": "%H", "hh": "%I", "mm": "%M", "ss": "%S", "SSSSSS": "%f", "A": "%p", "ZZ": "%z", "[YYYY {at}]": "YYYY {at}",
}  # fmt: skip


@pytest.mark.parametrize("timezone", ["local", "utc"])
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu"])
def test_time_is_what_datetime_says(zone, timezone, in_zone):
    in_zone(zone)
    template = "\x1f".join(f"{{time:{pattern}}}" for pattern in ["SSSSSSSSS", "SSS", "a", "Z", *PATTERNS])
    stamps = []
    with Lines(LoggerConfig(level=0, timezone=timezone), format=template, newlines="keep") as lines:
        lines.logger.add_sink(SinkConfig(function=lambda record: stamps.append(record.time_ns)))
        lines.logger.info("now")
        nanos, millis, half, offset, *rest = lines.line().split("\x1f")
    seconds, fraction = divmod(stamps[0], 10**9)
    moment = datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=fraction // 1000)
    if timezone == "local":
        moment = moment.astimezone()
    assert rest == [moment.strftime(directive) for directive in PATTERNS.values()]
    assert (nanos, millis) == (f"{fraction:09}", f"{fraction // 10**6:03}")
    assert half == moment.strftime("%p").lower()
    assert offset == moment.isoformat()[-6:]


def test_a_pattern_in_brackets_may_hold_braces():
    with Lines(format="{time:[{a}] [}]}|{message}") as lines:
        lines.logger.info("x")
        assert lines.line() == "{a} }|x"


def test_date_style_is_the_pattern_of_a_time_without_one():
    with Lines(format="{time}|{time:YY}", date_style="[t]YYYY") as lines:
        lines.logger.info("x")
        assert re.fullmatch(r"t\d{4}\|\d\d", lines.line())
    with Lines(date_style="[at] HH") as lines:
        lines.logger.info("x")
        assert re.match(r"at \d\d \| INFO", lines.line())


@pytest.mark.parametrize("shows_time", [True, False])
@pytest.mark.parametrize("date_enabled", [None, True, False])
def test_the_sink_decides_on_the_time_stamp_else_the_logger(shows_time, date_enabled):
    with Lines(LoggerConfig(show_time=shows_time), date_enabled=date_enabled) as lines:
        lines.logger.info("x")
        has_time = shows_time if date_enabled is None else date_enabled
        assert bool(re.match(STAMP, lines.line())) is has_time


@pytest.mark.parametrize("shown", list(itertools.product([True, False], repeat=4)))
def test_the_switches_of_the_default_layout(shown):
    names = ("show_module", "show_filename", "show_function", "show_lineno")
    with Lines(LoggerConfig(show_time=False, **dict(zip(names, shown, strict=True)))) as lines:
        lines.logger.info("x")
        number = test_the_switches_of_the_default_layout.__code__.co_firstlineno + 4
        values = [__name__, "test_layout.py", "test_the_switches_of_the_default_layout", str(number)]
        place = ":".join(itertools.compress(values, shown))
        assert lines.line() == " | ".join(part for part in ("INFO    ", place, "x") if part)


def test_the_compact_layout():
    with Lines(LoggerConfig(log_compact=True)) as lines:
        lines.logger.warning("x", a=1)
        assert re.fullmatch(rf"\d\d:\d\d:\d\d\.\d{{3}} W {__name__}:\d+ x \| a=1", lines.line())
    with Lines(LoggerConfig(log_compact=True, show_module=False, show_lineno=False), date_enabled=False) as lines:
        lines.logger.warning("x")
        assert lines.line() == "W x"


def test_a_layout_of_several_lines_is_the_operators_own():
    with Lines(format="{level}\n  {message}") as lines:
        lines.logger.info("a\nb")
        assert lines.text() == "INFO\n  a\\nb\n"


def test_show_switches_take_effect_at_run_time():
    lines = Lines(LoggerConfig(show_time=False))
    lines.logger.info("a")
    lines.logger.flush()
    lines.logger.configure(LoggerConfig(show_time=False, show_module=False, show_function=False, show_lineno=False))
    lines.logger.info("b")
    assert [line.count(":") for line in lines.lines()] == [2, 0]
    lines.close()
