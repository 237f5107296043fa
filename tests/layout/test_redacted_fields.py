"""`LoggerConfig.redact`: the values of fields with these names are in nothing that is written."""

from __future__ import annotations

import enum
import fnmatch
import json
import logging
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logly import ConfigError, Logger, LoggerConfig, Record, SinkConfig, StdlibHandler
from tests.support.lines import Lines, parse
from tests.support.loggers import assert_books, make_logger, records_of
from tests.support.recorders import await_kept, lines_after_flush, recording_logger

SECRET = "hunter2"
NAMES = ["password", "*token*", "Authorization"]
LAYOUTS: list[dict[str, Any]] = [
    {},
    {"json": True},
    {"format": "logfmt"},
    {"format": "{message} {fields} {password} {password:>20} {user} {session_token_id}"},
]


def config(**changes: Any) -> LoggerConfig:
    return LoggerConfig(**{"level": 0, "redact": NAMES, **changes})


def log_everything(logger: Logger) -> int:
    """Logs the secret in each way that names it. Returns how many records that are."""
    nested = {"name": "anna", "password": SECRET, "list": [{"api_token": [SECRET]}, {"x": 1}]}
    logger.info("a field", password=SECRET)
    logger.info("in any case", PassWord=SECRET, AUTHORIZATION=SECRET, session_token_id=SECRET)
    for _ in range(3):  # made by the caller at first, and by the flusher from then on
        logger.info("filled {password} for {user}", password=SECRET, user="anna")
        logger.info("filled {password!r:>12}", password=SECRET)
        logger.info("nested", user=nested)
        logger.info("nested, filled {user}", user=nested)
        logger.info("as an argument {} of {}", nested, 3)
        logger.info("{0[password]} {0} {1:d}", nested, 3)
    logger.info("cannot be filled {password.x} {}", 1, password=SECRET)
    logger.info(nested)
    logger.bind(password=SECRET, user=nested).info("bound")
    with logger.contextualize(password=SECRET, user=nested):
        logger.info("of the context")
    logger.info("bytes {password}", password=SECRET.encode())
    logger.info("not ASCII {password} ä€😀", password=f"{SECRET} ä€😀", ärger=1)
    try:
        raise ValueError("wrong")
    except ValueError:
        logger.exception("with an exception {password}", password=SECRET)
    return 27


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_no_layout_shows_the_value(layout: dict[str, Any]) -> None:
    with Lines(config(on_error=lambda _: None), **layout) as lines:
        count = log_everything(lines.logger)
        text = lines.text()
        assert SECRET not in text
        assert "[redacted]" in text
        assert_books(lines.logger, count)


def test_functions_and_filters_get_records_without_the_value(tmp_path: Path) -> None:
    seen: list[Record] = []

    def keep(record: Record) -> bool:
        seen.append(record)
        return True

    with make_logger(level=0, redact=NAMES, on_error=lambda _: None) as logger:
        records = records_of(logger)
        logger.add_sink(SinkConfig(path=tmp_path / "filtered.log", filter=keep))
        count = log_everything(logger)
        assert logger.flush(30)
        assert len(records) == len(seen) == count
        for record in [*records, *seen]:
            assert SECRET not in f"{record.message} {record.fields} {record.exception}"
        assert records[0].fields == {"password": "[redacted]"}
        assert records[4].fields["user"] == {
            "name": "anna",
            "password": "[redacted]",
            "list": [{"api_token": "[redacted]"}, {"x": 1}],
        }
        assert SECRET not in (tmp_path / "filtered.log").read_text()


def test_json_stays_json_and_other_values_stay() -> None:
    with Lines(config(), json=True) as lines:
        nested = {
            "token": {"a": [1, "}"]},
            'pass"word': 1,
            "a\nb": "[redacted]",
            "password": None,
            "n": [1, {"b": "\\"}],
        }
        lines.logger.info("one", nested=nested, number=3, text="a password", none=None)
        found = lines.object()
        assert found["nested"] == {**nested, "token": "[redacted]", "password": "[redacted]"}
        assert (found["number"], found["text"], found["none"]) == (3, "a password", None)


def test_what_belongs_to_the_caller_is_not_changed() -> None:
    class Pair(tuple[str, str]):
        _fields = ("user", "password")

    pair = Pair(("anna", SECRET))
    given_dict = {"password": SECRET, "pair": pair}
    with Lines(config(), format="{message}") as lines:
        lines.logger.info("{}", given_dict)
        assert lines.line() == "{'password': '[redacted]', 'pair': ('anna', '[redacted]')}"
    assert given_dict == {"password": SECRET, "pair": pair}


def test_values_that_contain_themselves_and_very_many_values() -> None:
    loop: dict[str, Any] = {"a": 1}
    loop["loop"] = loop
    wide: list[Any] = [1]
    for _ in range(40):
        wide = [wide, wide]
    with Lines(config(max_message_bytes=4096), format="{message}") as lines:
        lines.logger.info("{}", loop)
        assert "..." in lines.line()
        deep: Any = {"password": SECRET}
        for _ in range(100):
            deep = [deep]
        lines.logger.info("{}", deep)
        assert SECRET not in lines.line()


@pytest.mark.parametrize("specification", ["05d", ".2f", "+", ">20", "%Y", "x"])
def test_a_specification_for_numbers_does_not_lose_the_record(specification: str) -> None:
    template = f"pin {{password:{specification}}} end"
    with Lines(config(), format="{message}") as lines:
        for value in (12, 12, "text", 12):
            lines.logger.info(template, password=value)
        for line in lines.lines():
            assert line.startswith("pin ")
            assert "12" not in line
            assert "text" not in line
        assert lines.logger.stats().failed_formats == 0


def test_attributes_and_items_that_a_placeholder_reads() -> None:
    class User:
        password = SECRET
        name = "anna"

    with Lines(config(), format="{message}") as lines:
        lines.logger.info("{.name} {.password} {} {:{}}", User(), User(), 1, 2, 3)
        lines.logger.info("{user.name} {user.password} {}", 1, user=User())
        lines.logger.info("{{}} {0.password!r:>{1}} {0.name}", User(), 30)
        assert lines.lines() == ["anna [redacted] 1   2", "anna [redacted] 1", "{} [redacted] anna"]


class Login(NamedTuple):
    user: str
    password: str


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_named_tuples_in_fields(layout: dict[str, Any]) -> None:
    login = Login("anna", SECRET)
    with Lines(config(), **layout) as lines:
        lines.logger.info("one", user=login)
        lines.logger.info("one {user} {}", 1, user=[{"login": login}])
        lines.logger.bind(user=login).info("one")
        lines.logger.set_context(user=login)
        lines.logger.info("one")
        lines.logger.clear_context()
        lines.logger.configure(context_from=lambda: {"user": login})
        lines.logger.info("one")
        text = lines.text()
        assert SECRET not in text
        assert "anna" in text
        assert text.count("[redacted]") >= 5


def test_what_a_placeholder_reaches_has_secrets_in_it() -> None:
    class Request:
        headers: ClassVar[dict[str, str]] = {"Authorization": SECRET, "Accept": "*/*"}
        parts: ClassVar[list[Any]] = [{"password": SECRET}, "plain"]

        @property
        def broken(self) -> str:
            raise ValueError("broken")

    with Lines(config(on_error=lambda _: None), format="{message}") as lines:
        lines.logger.info("{0.headers} {1}", Request(), 2)
        assert lines.line() == "{'Authorization': '[redacted]', 'Accept': '*/*'} 2"
        lines.logger.info("{.headers!r:>{width}} {}", Request(), 2, width=50)
        assert lines.line() == "{'Authorization': '[redacted]', 'Accept': '*/*'}".rjust(50) + " 2"
        lines.logger.info("{0.parts[1]} {r.parts[0]} {0.parts}", Request(), r=Request())
        assert lines.line() == "plain {'password': '[redacted]'} [{'password': '[redacted]'}, 'plain']"
        lines.logger.info("{0.headers} {2}", Request(), 2)
        assert SECRET not in lines.line()
        lines.logger.info("{0.headers} {0.broken}", Request())
        assert SECRET not in lines.line()
    assert Request.headers["Authorization"] == SECRET


def test_keys_that_are_no_text() -> None:
    class Key(Enum):
        PASSWORD = "password"

    class Headers(list[Any]):
        def __iter__(self) -> Iterator[Any]:
            raise ValueError("wrong")

    nested = {Key.PASSWORD: SECRET, b"authorization": SECRET, b"accept": "*/*"}
    with Lines(config(redact=[*NAMES, "of\ntwo\tlines"]), json=True) as lines:
        lines.logger.info("{} {}", nested, Headers([1]), nested=nested, lines=[{"of\ntwo\tlines": SECRET}])
        found = lines.object()
        assert SECRET not in str(found)
        assert found["nested"] == {"password": "[redacted]", "authorization": "[redacted]", "accept": "*/*"}
        assert found["message"].endswith(" [1]")
        assert_books(lines.logger, 1)


def test_a_message_that_is_text_of_its_own_stays() -> None:
    with Lines(config(), format="{message}") as lines:
        lines.logger.info("the password {} is {password}")
        lines.logger.info("{unknown} {password}", password=SECRET)
        assert lines.lines() == ["the password {} is {password}", "{unknown} {password}"]


def test_a_nested_value_that_was_cut() -> None:
    with Lines(config(max_message_bytes=400), json=True) as lines:
        for filler in ("x", "ä", "€", "😀"):
            lines.logger.info("cut", data={"password": SECRET, "filler": filler * 2000})
            text = lines.text()
            assert SECRET not in text
            assert "in all]" in text


def test_a_name_that_is_not_ascii() -> None:
    with Lines(config(redact=["größe", "*щюж*", "鍵"]), json=True) as lines:
        lines.logger.info("one", größe=1, GRÖSSE=2, ЩЮЖ=3, щюж1=4, 鍵=5, 鍵2=6)
        found = lines.object()
        shown = {name: found[name] for name in ("größe", "GRÖSSE", "ЩЮЖ", "щюж1", "鍵", "鍵2")}
        hidden = "[redacted]"
        assert shown == {
            "größe": hidden, "GRÖSSE": hidden, "ЩЮЖ": hidden, "щюж1": hidden, "鍵": hidden, "鍵2": 6
        }  # fmt: skip


LETTERS = "aAbB_é*"


@given(
    st.lists(st.text(LETTERS, min_size=1, max_size=6), min_size=1, max_size=3),
    st.lists(st.text(LETTERS.replace("*", ""), min_size=1, max_size=8), min_size=1, max_size=6, unique=True),
)
def test_names_match_as_fnmatch_says(patterns: list[str], names: list[str]) -> None:
    with Lines(config(redact=patterns), json=True) as lines:
        values = dict.fromkeys(names, SECRET)
        lines.logger.info("{}", values, **values)
        lines.logger.info("nested", **{"1": values})
        first, second = lines.objects()
    for name in names:
        hides = any(fnmatch.fnmatchcase(name.lower(), pattern.lower()) for pattern in patterns)
        if not name.isascii() and name.upper() != name and name.lower() != name:
            continue  # a letter beyond ASCII, in another case than the others
        shown = "[redacted]" if hides else SECRET
        assert first[name] == shown
        assert f"'{name}': '{shown}'" in first["message"]
        assert second["1"] == "[redacted]" or second["1"][name] == shown


def test_very_many_different_names() -> None:
    """More names than the table of known names has room for, and longer ones than it holds."""
    with Lines(config(redact=["*key*", "exact"]), json=True) as lines:
        names = [f"name{i}" + "x" * (i % 80) for i in range(700)] + [f"a{'y' * i}key" for i in range(100)]
        for _ in range(3):
            lines.logger.info("one", **dict.fromkeys(names, 1))
        for found in lines.objects():
            assert [name for name in names if found[name] != 1] == names[700:]


def test_the_pattern_with_many_stars_takes_linear_time() -> None:
    with Lines(config(redact=["*a*a*a*a*a*b", "*" * 256]), format="{message}") as lines:
        lines.logger.info("one", **{"a" * 60_000: 1})
        assert lines.line() == "one"


def test_equal_records_but_for_secrets_are_repeats(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    with make_logger(redact=NAMES) as logger:
        logger.add_sink(SinkConfig(path=path, dedup=60, json=True))
        for i in range(5):
            logger.info("login {user}", user="anna", password=f"{SECRET}{i}")
    text = path.read_text()
    assert SECRET not in text
    first, told = map(parse, text.splitlines())
    assert first["password"] == told["password"] == "[redacted]"
    assert told["repeated"] == 4


def test_a_dump_of_the_flight_recorder(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    with recording_logger(path, layout="{message} {fields}", redact=NAMES, recorder_field="token") as logger:
        logger.debug("kept {password}", password=SECRET, token=f"{SECRET}1")
        logger.debug("of another one", token=f"{SECRET}2")
        await_kept(logger, 2)
        logger.error("failed", token=f"{SECRET}1", data={"password": SECRET})
        lines = lines_after_flush(logger, path)
        assert lines == [
            "[recorder] kept [redacted] password=[redacted], token=[redacted]",
            'failed token=[redacted], data={"password":"[redacted]"}',
        ]


def test_settings_change_while_it_runs() -> None:
    with Lines(LoggerConfig(level=0), format="{message} {fields}") as lines:
        lines.logger.info("{password}", password="one")
        assert lines.line() == "one password=one"
        lines.logger.configure(redact=["password"])
        lines.logger.info("{password}", password="two")
        assert lines.line() == "[redacted] password=[redacted]"
        lines.logger.configure(redact=["other"])
        lines.logger.info("{password}", password="three", other=1)
        assert lines.line() == "three password=three, other=[redacted]"
        lines.logger.configure(redact=None)
        lines.logger.info("{password}", password="four", other=1)
        assert lines.line() == "four password=four, other=1"


def test_records_of_logging() -> None:
    source = logging.Logger("shop")
    with Lines(config(), format="{message} {fields}") as lines:
        source.addHandler(StdlibHandler(lines.logger))
        source.warning("login", extra={"password": SECRET, "user": "anna"})
        source.warning("%(user)s %(password)s", {"user": "anna", "password": SECRET})
        source.warning("%s and %s", {"password": SECRET}, 3)
        source.warning({"token": SECRET})
        source.warning("%(user)s %(password)d", {"user": "anna", "password": 4711})
        found = lines.lines()
        assert found[:4] == [
            "login password=[redacted], user=anna",
            "anna [redacted] ",
            "{'password': '[redacted]'} and 3 ",
            "{'token': '[redacted]'} ",
        ]
        assert "4711" not in found[4]


def test_a_formatter_of_the_handler_does_not_show_it() -> None:
    source = logging.Logger("shop")
    with Lines(config(), format="{message}") as lines:
        handler = StdlibHandler(lines.logger)
        handler.setFormatter(logging.Formatter("%(user)s %(password)s %(message)s"))
        source.addHandler(handler)
        source.warning("login %(password)s", {"password": SECRET}, extra={"password": SECRET, "user": "anna"})
        assert lines.line() == "anna [redacted] login [redacted]"


@pytest.mark.parametrize("wrong", [3, [3], [""], ["a" * 257], {"password": 1}, ["a"] * 1001])
def test_wrong_names(wrong: Any) -> None:
    with pytest.raises(ConfigError, match="redact"):
        LoggerConfig(redact=wrong).validate()


def test_one_name_needs_no_list() -> None:
    assert LoggerConfig(redact="password").resolved().redact == ("password",)  # type: ignore[arg-type]
    assert json.dumps(LoggerConfig(redact=["a"]).copy().redact) == '["a"]'


class Header(enum.Enum):
    TOKEN = "x-token"


def test_keys_that_are_bytes_or_members_of_an_enum() -> None:
    headers = {b"authorization": SECRET, Header.TOKEN: SECRET, b"host": "shop"}
    with Lines(config(), json=True) as lines:
        lines.logger.info("as a field", headers=headers)
        lines.logger.info("as an argument {}", headers)
        field, argument = lines.objects()
        assert field["headers"] == {"authorization": "[redacted]", "x-token": "[redacted]", "host": "shop"}
    shown = {**headers, b"authorization": "[redacted]", Header.TOKEN: "[redacted]"}
    assert argument["message"] == f"as an argument {shown}"


def test_pairs_of_a_list_are_looked_at() -> None:
    pairs = [("Accept", "*/*"), ("password", "S1"), ["x_token", ["S2", "S3"]], (b"authorization", b"S4")]
    hidden = [["Accept", "*/*"], ["password", "[redacted]"], ["x_token", "[redacted]"], ["authorization", "[redacted]"]]
    with Lines(config(), json=True) as lines:
        lines.logger.info("request", headers=pairs, more=("password", "S5"), three=["password", "a", "b"])
        lines.logger.info("request {}", pairs)
        lines.logger.info("request {headers}", headers=pairs)
        first, second, third = lines.objects()
    assert (first["headers"], first["more"]) == (hidden, ["password", "[redacted]"])
    assert first["three"] == ["password", "a", "b"]
    for one in (second, third):
        assert not any(f"S{n}" in one["message"] for n in range(1, 5))
        assert one["message"].count("[redacted]") == 3
    assert third["headers"] == hidden
    assert pairs[1] == ("password", "S1")


def test_true_stands_for_the_usual_names() -> None:
    with Lines(config(redact=True), json=True) as lines:
        lines.logger.info("request", password="S1", api_key="S2", headers={"Authorization": "S3"}, pin="4")
        assert lines.logger.flush(30)
        lines.logger.configure(redact=False)
        lines.logger.info("request", password="S1")
        first, second = lines.objects()
    assert first["password"] == first["api_key"] == first["headers"]["Authorization"] == "[redacted]"
    assert (first["pin"], second["password"]) == ("4", "S1")
