"""`format="journald"`: a reader of the journal's native protocol finds each field, to the byte."""

from __future__ import annotations

import os
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logly import ConfigError, Level, LoggerConfig, SinkConfig
from tests.support.lines import Lines, seen
from tests.support.strings import has_surrogate, strings
from tests.support.syslog_wire import parse_journal

OWN = [
    "MESSAGE",
    "PRIORITY",
    "LEVEL",
    "CODE_FILE",
    "CODE_FUNC",
    "CODE_MODULE",
    "CODE_LINE",
    "SYSLOG_FACILITY",
    "SYSLOG_IDENTIFIER",
    "SYSLOG_TIMESTAMP",
]


class Journal(Lines):
    """`Lines` of this layout."""

    def __init__(self, config: LoggerConfig | None = None, *, name: str = "root", **sink: Any) -> None:
        super().__init__(config, name=name, **{"format": "journald", **sink})

    def data(self) -> bytes:
        assert self.logger.flush(30)
        size = os.fstat(self.fd).st_size
        data = os.pread(self.fd, size - self.seen, self.seen)
        self.seen = size
        return data

    def fields(self) -> list[tuple[str, bytes]]:
        data = self.data()
        assert data.endswith(b"\n\n")  # an empty line ends each entry, as in the journal's export format
        return parse_journal(data[:-1])


names = strings.filter(lambda name: not has_surrogate(name))
values = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.binary(max_size=60), strings)


def expected_name(name: str) -> str:
    plain = "".join(c.upper() if re.fullmatch("[A-Za-z0-9]", c) else "_" for c in name)
    if not re.match("[A-Z]", plain):
        plain = "F" + plain
    return plain[:64]


@given(strings, st.dictionaries(names, values, max_size=6))
@settings(max_examples=max(10, settings().max_examples // 4))
def test_whatever_a_record_has_is_found_to_the_byte(text: str, fields: dict[str, Any]) -> None:
    with Journal() as lines:
        lines.logger.info("{}", text)
        plain = lines.fields()
        lines.logger.bind(**fields).info("m")
        having = lines.fields()
    assert plain[0] == ("MESSAGE", seen(text).encode())
    assert [name for name, _ in having][: len(OWN)] == OWN
    found = having[len(OWN) :]
    assert len(found) == len(fields)
    for (name, shown), original in zip(found, fields, strict=True):
        assert name in (expected_name(original), expected_name(original) + "_")
        value = fields[original]
        assert shown == (value if isinstance(value, bytes) else seen(str(value)).encode())


def test_the_fields_of_an_entry() -> None:
    with Journal(name="shop.orders", facility="local0", app_name="my\nshop") as lines:
        lines.logger.warning("m", price=3.5, request={"id": [1]}, **{"user.name": "a", "_private": 1, "9": 2})
        entry = dict(lines.fields())
    assert entry["PRIORITY"] == b"4"
    assert (entry["LEVEL"], entry["LOGGER"]) == (b"WARNING", b"shop.orders")
    assert (entry["SYSLOG_IDENTIFIER"], entry["SYSLOG_FACILITY"]) == (b"my_shop", b"16")
    assert (entry["CODE_FILE"], entry["CODE_FUNC"]) == (__file__.encode(), b"test_the_fields_of_an_entry")
    assert int(entry["CODE_LINE"]) > 0
    assert entry["CODE_MODULE"] == __name__.encode()
    assert re.fullmatch(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", entry["SYSLOG_TIMESTAMP"])
    assert (entry["PRICE"], entry["REQUEST"], entry["USER_NAME"]) == (b"3.5", b'{"id":[1]}', b"a")
    assert (entry["F_PRIVATE"], entry["F9"]) == (b"1", b"2")


def test_each_level_has_its_priority() -> None:
    with Journal(LoggerConfig(level=0)) as lines:
        found = []
        for level in Level:
            lines.logger.log(level, "m")
            found.append(dict(lines.fields())["PRIORITY"])
    assert found == [b"7", b"7", b"6", b"5", b"4", b"3", b"3", b"2"]


def test_fields_with_names_of_the_layout_have_underscores() -> None:
    with Journal() as lines:
        lines.logger.info("m", message=1, priority=2, Code_Line=3, syslog_identifier=4, level=5, recorder=6, unit=7)
        names = [name for name, _ in lines.fields()]
    assert names == [*OWN, "MESSAGE_", "PRIORITY_", "CODE_LINE_", "SYSLOG_IDENTIFIER_", "LEVEL_", "RECORDER_", "UNIT"]


def test_a_name_has_at_most_64_characters() -> None:
    with Journal() as lines:
        lines.logger.info("m", **{"x" * 100: 1, "_" * 100: 2, "": 3})
        names = [name for name, _ in lines.fields()][len(OWN) :]
    assert names == ["X" * 64, "F" + "_" * 63, "F"]


def test_an_exception_is_in_the_message_and_in_fields() -> None:
    with Journal() as lines:
        try:
            raise KeyError("a\nb")
        except KeyError:
            lines.logger.exception("no", stack_info=True)
        entry = dict(lines.fields())
    assert entry["MESSAGE"].startswith(b"no\nTraceback (most recent call last):\n")
    assert b"\nStack (most recent call last):\n" in entry["MESSAGE"]
    assert entry["EXCEPTION_TYPE"] == b"KeyError"
    assert entry["EXCEPTION_MESSAGE"] == b"'a\\nb'"


@pytest.mark.parametrize("repeated", [False, True])
def test_more_fields_than_the_journal_takes_are_left_out_and_counted(repeated: bool) -> None:
    many = {f"f{number}": number for number in range(1200)}
    with Journal() as lines:
        logger = lines.logger.bind(**many) if repeated else lines.logger
        logger.info("m", **{**many, "f7": "last"} if repeated else many)
        found = lines.fields()
    assert len(found) < 1024
    entry = dict(found)
    assert entry["FIELDS_OMITTED"] == b"200"
    assert len([name for name in entry if re.fullmatch(r"F\d+", name)]) == 1000


def test_lines_of_loglys_own_are_entries_without_a_place() -> None:
    config = LoggerConfig(level="info", recorder="debug", overflow="drop", async_buffer_size=4096, flush_level=None)
    with Journal(config) as lines:
        for number in range(2000):
            lines.logger.info("x {}", number)
        assert lines.logger.flush(30)
        lines.logger.debug("kept")
        lines.logger.dump_recorder()
        entries = [dict(parse_journal(one + b"\n")) for one in lines.data().split(b"\n\n") if one]
    [dropped, *_] = [one for one in entries if b"dropped" in one["MESSAGE"]]
    assert "CODE_FILE" not in dropped
    [kept] = [one for one in entries if one["MESSAGE"] == b"kept"]
    assert kept["RECORDER"] == b"true"


def test_settings_of_syslog_alone_are_refused() -> None:
    for fields in ({"sd_id": "a@1"}, {"bom": True}):
        with pytest.raises(ConfigError, match="is for format = 'rfc5424'"):
            SinkConfig(format="journald", **fields).validate()
    SinkConfig(format="JOURNALD", facility="daemon", app_name="x").validate()
