"""`format="rfc5424"`: whatever a record has, a strict reader of the RFC finds it, and each part is legal."""

from __future__ import annotations

import logging
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logly import ConfigError, Level, Logger, LoggerConfig, SinkConfig, StdlibHandler
from logly.layout.wire import FACILITIES, is_element, program_name
from tests.support.lines import Lines, seen
from tests.support.strings import has_surrogate, strings
from tests.support.syslog_wire import SyslogMessage, parse_syslog

OWN = ["level", "module", "function", "lineno"]


class Syslog(Lines):
    """`Lines` of this layout, whose messages keep their line breaks."""

    def __init__(self, config: LoggerConfig | None = None, *, name: str = "root", **sink: Any) -> None:
        super().__init__(config, name=name, **{"format": "rfc5424", "newlines": "keep", **sink})

    def message(self) -> SyslogMessage:
        text = self.text()
        assert text.endswith("\n")
        return parse_syslog(text[:-1].encode())


def visible(text: str) -> str:
    """A text in which what a terminal obeys is escaped, but for tabs and line breaks."""
    text = re.sub("[\x00-\x08\x0b-\x1f\x7f-\x9f]", lambda found: named(found[0]), seen(text))
    return re.sub("[\u2028\u2029]", lambda found: f"\\u{ord(found[0]):04x}", text)


def named(control: str) -> str:
    return "\\r" if control == "\r" else f"\\x{ord(control):02x}"


names = strings.filter(lambda name: not has_surrogate(name))
values = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.binary(max_size=20), strings)


@given(strings, st.dictionaries(names, values, max_size=6), strings)
@settings(max_examples=max(10, settings().max_examples // 4))
def test_whatever_a_record_has_is_legal_and_is_found(text: str, fields: dict[str, Any], name: str) -> None:
    with Syslog(name=name or "n") as lines:
        lines.logger.log("INFO", "{}", text)
        plain = lines.message()
        lines.logger.bind(**fields).info("m")
        having = lines.message()
    assert plain.text == visible(text)
    assert plain.severity == 6
    params = having.data["fields@32473"]
    given_fields = params[len(OWN) + (params[1][0] == "logger") :]
    assert len(given_fields) == len(fields)
    for (key, shown), original in zip(given_fields, fields, strict=True):
        assert key.removesuffix("_") == re.sub('[^!-~]|[="\\]]', "_", original[:32]).removesuffix("_")
        value = fields[original]
        assert shown == visible(str(value))


def test_the_parts_of_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/srv/shop/orders.py"])
    with Syslog(name="shop.orders") as lines:
        lines.logger.warning("two\nlines", price=3.5)
        message = lines.message()
    assert (message.facility, message.severity) == (1, 4)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", message.time)
    assert message.host == os.uname().nodename
    assert (message.program, message.process, message.msgid) == ("orders", str(os.getpid()), "shop.orders")
    assert message.text == "two\nlines"
    assert not message.has_bom
    params = message.params()
    assert list(params) == ["level", "logger", "module", "function", "lineno", "price"]
    assert (params["level"], params["logger"], params["price"]) == ("WARNING", "shop.orders", "3.5")
    assert (params["module"], params["function"]) == (__name__, "test_the_parts_of_a_message")


SEVERITIES = {"TRACE": 7, "DEBUG": 7, "INFO": 6, "SUCCESS": 5, "WARNING": 4, "ERROR": 3, "FAIL": 3, "CRITICAL": 2}


def test_each_level_has_its_severity() -> None:
    with Syslog(LoggerConfig(level=0, custom_levels={"mine": 29}), facility=23) as lines:
        found = {}
        for level in [*Level, "mine", 99, 0]:
            lines.logger.log(level, "m")
            message = lines.message()
            assert message.facility == 23
            found[message.params()["level"]] = message.severity
    assert found == {**SEVERITIES, "MINE": 5, "LEVEL 99": 2, "LEVEL 0": 7}


def test_a_field_with_a_name_of_the_layout_has_an_underscore_and_long_names_are_cut() -> None:
    with Syslog() as lines:
        lines.logger.info("m", level=1, logger=2, recorder=3, **{"": 4, "x" * 40: 5, "a b": 6, "é=]": 7})
        params = lines.message().params()
    assert list(params)[len(OWN) :] == ["level_", "logger_", "recorder_", "_", "x" * 32, "a_b", "___"]
    assert params["level"] == "INFO"


def test_a_traceback_stands_behind_the_message() -> None:
    with Syslog() as lines:
        try:
            raise KeyError("x")
        except KeyError:
            lines.logger.exception("no")
        message = lines.message()
    assert message.text.startswith("no\nTraceback (most recent call last):\n")
    assert message.text.endswith("\nKeyError: 'x'")


@pytest.mark.parametrize(
    ("newlines", "shown"),
    [("keep", "a\nb\\x1b"), ("escape", "a\\nb\\x1b"), (None, "a\\nb\\x1b"), ("indent", "a\n    b\\x1b")],
)
def test_line_breaks_are_as_the_sink_says(newlines: Any, shown: str) -> None:
    with Syslog(newlines=newlines, bom=True) as lines:
        lines.logger.info("a\nb\x1b", field="a\nb\x1b")
        message = lines.message()
    assert message.text == shown
    assert message.has_bom
    assert message.params()["field"] == ("a\\nb\\x1b" if newlines in (None, "escape") else "a\nb\\x1b")


@pytest.mark.parametrize("created", [-1e11, 1e12, 253_402_300_800.0])
def test_a_year_that_the_standard_does_not_have_is_left_out(created: float) -> None:
    made = logging.LogRecord("far", logging.WARNING, "/far.py", 3, "m", (), None)
    made.created = created
    with Syslog() as lines:
        StdlibHandler(lines.logger).emit(made)
        assert lines.message().text == "m"


def test_a_name_that_is_no_msgid_is_made_one() -> None:
    with Syslog(name="größe " + "x" * 40) as lines:
        lines.logger.info("m")
        message = lines.message()
    assert message.msgid == ("gr__e_" + "x" * 40)[:32]
    assert message.params()["logger"] == "größe " + "x" * 40


def test_lines_of_loglys_own_and_of_the_recorder_are_messages() -> None:
    config = LoggerConfig(level="info", recorder="debug", overflow="drop", async_buffer_size=4096, flush_level=None)
    with Syslog(config, dedup=60) as lines:
        for number in range(2000):
            lines.logger.info("x {}", number)
        assert lines.logger.flush(30)
        lines.logger.debug("kept")
        lines.logger.dump_recorder()
        for _ in range(3):
            lines.logger.info("same")
        messages = [parse_syslog(line.encode()) for line in lines.lines()]
    [dropped, *_] = [one for one in messages if "dropped" in one.text]
    assert list(dropped.params()) == ["level"]
    [kept] = [one for one in messages if one.text == "kept"]
    assert kept.params()["recorder"] == "true"


# ---- settings


def test_settings_have_their_places() -> None:
    with Syslog(facility="LOCAL3", app_name="my shöp" + "x" * 60, sd_id="shop@1.2") as lines:
        lines.logger.info("m")
        message = lines.message()
    assert message.facility == 19
    assert message.program == ("my_sh_p" + "x" * 60)[:48]
    assert list(message.data) == ["shop@1.2"]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/srv/shop/app.py", "app"),
        ("/usr/bin/gunicorn", "gunicorn"),
        ("/lib/shop/__main__.py", "shop"),
        ("C:\\shop\\app.py", "app"),
        ("", "python"),
        ("-c", "python"),
    ],
)
def test_the_program_has_the_name_of_its_file(path: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [path])
    assert program_name() == name
    monkeypatch.setattr(sys, "argv", [])
    assert program_name() == "python"


def test_facilities_are_those_of_the_standard() -> None:
    assert (FACILITIES["kern"], FACILITIES["daemon"], FACILITIES["authpriv"], FACILITIES["local0"]) == (0, 3, 10, 16)
    assert len(FACILITIES) == 24


@given(st.text(st.sampled_from('ab@.19="] é'), max_size=34))
@settings(max_examples=max(10, settings().max_examples // 4))
def test_only_ids_that_are_legal_are_taken(text: str) -> None:
    is_legal = re.fullmatch(r'(?=.{1,32}\Z)(?:(?![="\]@])[!-~])+@[0-9]+(?:\.[0-9]+)*', text) is not None
    assert is_element(text) == is_legal


@pytest.mark.parametrize(
    ("fields", "named_field", "said"),
    [
        ({"facility": 24}, "facility", "0 to 23"),
        ({"facility": "locl0"}, "facility", "did you mean 'local0'"),
        ({"facility": True}, "facility", "0 to 23"),
        ({"sd_id": "fields"}, "sd_id", "NAME@NUMBER"),
        ({"app_name": ""}, "app_name", "not empty"),
        ({"bom": 1}, "bom", "True or False"),
        ({"format": "json", "facility": 1}, "facility", "'rfc5424' or 'journald'"),
        ({"format": "journald", "sd_id": "a@1"}, "sd_id", "is for format = 'rfc5424'"),
        ({"format": None, "bom": True}, "bom", "is for format"),
        ({"format": None, "json": True, "app_name": "x"}, "app_name", "is for format"),
        ({"json": True, "app_name": "x"}, "format", "a line has one layout"),
    ],
)
def test_what_does_not_fit_is_refused(fields: dict[str, Any], named_field: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        SinkConfig(**{"format": "rfc5424", **fields}).validate()
    assert caught.value.field == named_field


def test_a_file_has_a_message_in_each_line(tmp_path: Path) -> None:
    with Logger() as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "log", format="RFC5424"))
        logger.info("a\nb")
    [line] = (tmp_path / "log").read_bytes().splitlines()
    assert parse_syslog(line).text == "a\\nb"
