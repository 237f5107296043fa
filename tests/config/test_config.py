"""The configuration objects: defaults, checks, and that the reference page says what the code does."""

import functools
import io
import sys
from contextlib import suppress
from dataclasses import fields
from datetime import timedelta
from fractions import Fraction
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logly import Logger
from logly.config.level_spec import LevelSpec
from logly.config.schema import LoggerConfig, SinkConfig
from logly.errors import ConfigError
from logly.units import parse_age, parse_size
from tests.support.config_table import PAGE, with_tables


async def coroutine(record):
    pass


class CoroutineSink:
    async def __call__(self, record):
        pass


def test_the_defaults_are_valid():
    LoggerConfig().validate()
    SinkConfig().validate()


def test_every_field_is_documented_and_the_page_is_up_to_date():
    assert all(one.metadata["doc"] for kind in (LoggerConfig, SinkConfig) for one in fields(kind))
    page = PAGE.read_text(encoding="utf-8")
    assert with_tables(page) == page, "run: python -m tests.support.config_table"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("level", "loud", "SUCCESS"),
        ("async_buffer_size", 4095, "4096"),
        ("async_buffer_size", True, "bytes"),
        ("async_buffer_size", "10 parsecs", "MiB"),
        ("async_flush_interval", -1, "milliseconds"),
        ("async_flush_interval", float("nan"), "milliseconds"),
        ("overflow", "blok", "did you mean 'block'"),
        ("stall_timeout", "1", "seconds"),
        ("auto_sink", 1, "True or False"),
        ("timezone", "Europe/Berln", "did you mean 'Europe/Berlin'"),
        ("timezone", 2, "'utc'"),
        ("on_error", 3, "called"),
        ("custom_levels", {"info": 21}, "no level has yet"),
        ("custom_levels", {"a": 21, "A": 22}, "no level has yet"),
        ("custom_levels", {"a": "x"}, "int from 0"),
        ("custom_levels", {"a": 32768}, "32767"),
        ("custom_levels", {"a": -1}, "int from 0"),
        ("level_colors", {"inof": "red"}, "did you mean 'INFO'"),
        ("level_colors", {"info": "rde"}, "did you mean 'red'"),
        ("spool", "", "name of a file"),
        ("spool", 3, "name of a file"),
    ],
)
def test_a_wrong_logger_setting_names_field_value_and_way_out(name, value, told):
    config = LoggerConfig()
    setattr(config, name, value)
    with pytest.raises(ConfigError, match=name) as caught:
        config.validate()
    assert told in str(caught.value)
    assert caught.value.field == name


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("path", "logs/{date}.log", "{pid}"),
        ("path", "logs/{pid.log", "lone '{'"),
        ("path", 3, "name of a file"),
        ("stream", "stdrr", "did you mean 'stderr'"),
        ("stream", 5, "text file object"),
        ("fd", -1, "open descriptor"),
        ("rotation", "dayly", "did you mean 'daily'"),
        ("rotation", "25:00", "HH:MM"),
        ("rotation", timedelta(0), "timedelta"),
        ("size_limit", "ten", "MiB"),
        ("size_limit", 0, "from 1"),
        ("retention", -1, "30 days"),
        ("retention", "forever", "30 days"),
        ("compression", "gzpi", "did you mean"),
        ("newlines", "strip", "'escape'"),
        ("mode", 0o10000, "0o640"),
        ("filter_module", [], "list of names"),
        ("color", "yes", "'level' or 'line'"),
        ("format", "", "not empty"),
        ("format", "{level:d}", "not for text"),
        ("format", "%(levelname)s %(message)s", "{message}"),
        ("format", "{time:%Y-%m-%d} {message}", "YYYY-MM-DD"),
        ("date_style", "%H:%M", "HH:mm:ss"),
        ("rotation", "10 MB", "size_limit"),
        ("rotation", "", "HH:MM"),
        ("function", coroutine, "coroutine"),
        ("function", functools.partial(coroutine), "coroutine"),
        ("function", CoroutineSink(), "coroutine"),
        ("function", CoroutineSink().__call__, "coroutine"),
        ("filter", coroutine, "coroutine"),
    ],
)
def test_a_wrong_sink_setting_names_field_value_and_way_out(name, value, told):
    config = SinkConfig(path=None if name in ("stream", "fd", "function") else "app.log")
    setattr(config, name, value)
    with pytest.raises(ConfigError, match=name) as caught:
        config.validate()
    assert told in str(caught.value)
    assert caught.value.field == name


def test_a_size_out_of_range_is_told_with_the_range():
    for size in (-1, 100, "1 kB"):
        with pytest.raises(ConfigError, match=r"async_buffer_size = .*from 4096 to"):
            LoggerConfig(async_buffer_size=size).validate()


def test_a_binary_stream_is_refused():
    for stream in (io.BytesIO(), sys.__stdout__.buffer):
        with pytest.raises(ConfigError, match="text file object"):
            SinkConfig(stream=stream).validate()


def test_something_else_in_the_place_of_settings_is_told_as_what_it_is():
    logger = Logger(LoggerConfig(auto_sink=False))
    for call, value, told in (
        (Logger, {"level": "INFO"}, "LoggerConfig"),
        (logger.configure, {"level": "INFO"}, "LoggerConfig"),
        (logger.configure, None, "LoggerConfig"),
        (logger.add_sink, 5, "SinkConfig"),
        (Logger, LoggerConfig(custom_levels=["audit"]), "custom_levels"),
        (logger.configure, LoggerConfig(level_colors="red"), "level_colors"),
    ):
        with pytest.raises(ConfigError, match=told):
            call(value)
    assert logger.list_sinks() == []
    logger.close()


def test_a_misspelt_attribute_is_noticed():
    with pytest.raises(AttributeError):
        LoggerConfig().async_bufer_size = 1


def test_words_are_taken_in_any_case():
    plain = SinkConfig(path="a", color="Line", format="LogFmt", newlines="Keep", rotation="Midnight").resolved()
    assert (plain.color, plain.format, plain.newlines) == ("line", "logfmt", "keep")


def test_a_layout_may_have_no_placeholder_and_a_time_pattern_any_text():
    SinkConfig(format="{{}} 100 %").validate()
    SinkConfig(format="{time:[%(]HH}").validate()


def test_json_may_be_named_as_the_layout():
    assert SinkConfig(format="JSON").resolved().format == "json"
    SinkConfig(format="json", json=True).validate()


def test_a_proxy_that_cannot_be_looked_into_is_a_function():
    class Proxy:
        def __getattr__(self, name):
            raise RuntimeError("outside of its context")

        def __call__(self, record):
            pass

    SinkConfig(function=Proxy()).validate()


@pytest.mark.parametrize("name", ["custom_levels", "level_colors"])
def test_a_class_is_no_mapping(name):
    with pytest.raises(ConfigError, match=name):
        LoggerConfig(**{name: dict}).validate()


def test_a_mapping_of_colours_or_levels_need_not_be_a_dict():
    colors, levels = MappingProxyType({"NOTICE": "red"}), MappingProxyType({"NOTICE": 22})
    plain = LoggerConfig(level_colors=colors, custom_levels=levels).resolved()
    assert plain.level_colors == {22: "\x1b[31m"}
    assert plain.custom_levels == {"NOTICE": 22}


def test_settings_that_contradict_each_other_are_refused():
    with pytest.raises(ConfigError, match="path and fd"):
        SinkConfig(path="a.log", fd=1).validate()
    with pytest.raises(ConfigError, match="needs a file"):
        SinkConfig(stream="stdout", rotation="daily").validate()
    with pytest.raises(ConfigError, match="no record would pass"):
        SinkConfig(filter_min_level="error", filter_max_level="info").validate()


def test_resolved_gives_plain_values_and_leaves_the_original_alone():
    config = LoggerConfig(level="notice", async_buffer_size="64 KiB", custom_levels={"Notice": 22})
    config.level_colors["notice"] = "red"
    plain = config.resolved()
    assert (plain.level, plain.async_buffer_size, plain.level_colors) == (LevelSpec(22), 65536, {22: "\x1b[31m"})
    assert (config.level, config.async_buffer_size) == ("notice", "64 KiB")
    sink = SinkConfig("a.log", filter_module="shop", filter_min_level="Notice", rotation="daily", compression="gz")
    plain_sink = sink.resolved({"Notice": 22})
    assert (plain_sink.filter_module, plain_sink.filter_min_level, plain_sink.compression) == (
        ("shop",),
        LevelSpec(22),
        "gzip",
    )


def test_a_copy_is_independent():
    config = LoggerConfig(custom_levels={"A": 1})
    copy = config.copy()
    copy.custom_levels["B"] = 2
    copy.level = 5
    assert config == LoggerConfig(custom_levels={"A": 1})


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("10 MB", 10**7),
        ("1 GiB", 2**30),
        ("512k", 512_000),
        ("1.5KiB", 1536),
        ("7", 7),
        ("1_000 b", 1000),
        (0, 0),
    ],
)
def test_sizes(text, size):
    assert parse_size(text) == size


UNITS = {"k": 10**3, "MB": 10**6, "GiB": 2**30, "TB": 10**12, "Ki": 2**10}


@given(st.decimals(0, 10**6, places=3), st.sampled_from(list(UNITS)))
def test_fractions_of_a_unit_are_rounded_exactly(number, unit):
    exact = Fraction(number) * UNITS[unit]
    assert parse_size(f"{number:f} {unit}") == int(exact + Fraction(1, 2))


@given(st.timedeltas(min_value=timedelta(microseconds=1)))
def test_an_age_is_exact_to_the_microsecond(age):
    assert parse_age(age) == age // timedelta(microseconds=1) * 1000


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("30 days", timedelta(30)),
        ("12h", timedelta(hours=12)),
        ("1 week, 2 days", timedelta(9)),
        ("1.5 min", timedelta(seconds=90)),
    ],
)
def test_ages(text, age):
    assert parse_age(text) == parse_age(age)


@given(st.text(max_size=20))
def test_no_text_does_anything_but_parse_or_be_refused(text):
    for parse in (parse_size, parse_age):
        with suppress(ConfigError):
            assert parse(text) >= 0


def test_a_copy_is_independent_and_equal() -> None:
    for config in (LoggerConfig(level="debug", custom_levels={"A": 1}), SinkConfig(path="a.log", mode=0o600)):
        copy = config.copy()
        assert copy == config
        assert copy is not config
        assert copy != type(config)()
        assert copy.__eq__("a.log") is NotImplemented


def test_a_value_whose_repr_fails_is_named_by_its_type() -> None:
    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError("no repr")

    with pytest.raises(ConfigError, match="<Broken whose repr fails>"):
        SinkConfig(mode=Broken()).validate()
