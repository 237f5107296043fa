"""`LoggerConfig.redact_text`: secrets in messages and tracebacks, by their keys and by their shapes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logly import Logger, LoggerConfig, SinkConfig
from logly._core import Redactor
from logly.config.hidden_names import DEFAULT_KEYS
from tests.layout.secret_corpus import WITH_SECRETS, WITHOUT
from tests.support import ROOT
from tests.support.lines import Lines
from tests.support.loggers import make_logger, records_of

core = pytest.importorskip("logly._core")
if not hasattr(core, "hidden_text"):
    pytest.skip("needs a build with probes", allow_module_level=True)

DEFAULT = Redactor((), DEFAULT_KEYS)
MARK = re.compile("«[^»]*»")
AROUND = [("{}", ""), ("2026-11-29 20:15:34 INFO shop - {}", ""), ("{} (attempt 3 of 5, {})", "port=80")]

# What no rule without a dictionary can tell from a secret: the price of hiding "password: hunter2".
FALSE_POSITIVES = {
    "secret: missing": "secret: [redacted]",
    "Unexpected token: end of file": "Unexpected token: [redacted] of file",
    "group:artifact:1.0@aar": "group:[redacted]@aar",
    "order 4111111111111111": "order [redacted]",
    "def login(user, password=DEFAULT):": "def login(user, password=[redacted]):",
}


def hidden(text: str, redactor: Redactor = DEFAULT) -> str:
    made, _ = core.hidden_text(redactor, text.encode("utf-8", "surrogatepass"))
    return text if made is None else made.decode("utf-8", "surrogatepass")


def steps(text: str) -> int:
    return int(core.hidden_text(DEFAULT, text.encode())[1])


def shown(text: str) -> str:
    return MARK.sub("[redacted]", text)


def given_text(text: str) -> str:
    return text.replace("«", "").replace("»", "")


@pytest.mark.parametrize(("around", "more"), AROUND)
def test_secrets_of_the_corpus_are_hidden_and_nothing_else(around: str, more: str) -> None:
    assert len({*WITH_SECRETS, *WITHOUT}) >= 300
    wrong = []
    for text in WITH_SECRETS:
        whole = around.replace("{}", text, 1).replace("{}", more)
        if hidden(given_text(whole)) != shown(whole):
            wrong.append((text, hidden(given_text(whole))))
    assert wrong == []


@pytest.mark.parametrize(("around", "more"), AROUND)
def test_false_positives_are_counted(around: str, more: str) -> None:
    texts = [around.replace("{}", text, 1).replace("{}", more) for text in WITHOUT]
    assert [text for text in texts if hidden(text) != text] == []
    for text, becomes in FALSE_POSITIVES.items():
        assert hidden(text) == becomes


@pytest.mark.parametrize("text", WITH_SECRETS)
def test_a_secret_is_found_at_each_place_of_a_block(text: str) -> None:
    for filling in ("x ", "é "):
        for count in range(75):
            whole = filling * count + text + " end"
            assert hidden(given_text(whole)) == shown(whole)


def test_what_is_hidden_is_not_hidden_again() -> None:
    for text in WITH_SECRETS:
        once = hidden(given_text(text))
        assert hidden(once) == once


PIECES = [
    "(", ")", "]", "\t", "\u00a0", "b'",
    "password", "token", "=", ":", '"', "'", "\\", " ", "{", "}", "[", "]", "@", "://", "a", "user", "eyJ",
    "eyJhbGci", ".", "AKIA",
    "IA", "Bearer", "bearer ", "4111", "1111", "-", "/", "0", "é", "\n", ",", "&", "[redacted]", "hunter2", "\x00",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=60).map("".join))
def test_any_text_is_taken_and_looks_end(text: str) -> None:
    once = hidden(text)
    assert steps(text) <= 40 * len(text.encode()) + 100
    # What stays of the text is in it, in order: only secrets were replaced.
    at = 0
    for part in once.split("[redacted]"):
        found = text.find(part, at)
        assert found >= 0, (text, once)
        at = found + len(part)


@given(st.binary(max_size=200))
def test_any_bytes_are_taken(data: bytes) -> None:
    core.hidden_text(DEFAULT, data)


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=5).map("".join), st.sampled_from(PIECES))
def test_the_work_grows_with_the_length_alone(piece: str, end: str) -> None:
    small, large = steps(piece * 2000 + end), steps(piece * 4000 + end)
    assert large <= 2.1 * small + 2000, (piece, small, large)


@pytest.mark.parametrize(
    "piece",
    ["a", "=", ":", "@", "password=", 'password="', "password='", "password=[", "password=[{",
     "password=(", "password=a(b'",
     "password  ", "password\u00a0=", "password=  ", "password=a", '"password":\n', "x['token'] = ",
     "eyJaaaaaaaa.", "eyJ",
     "eyJ-", "AKIA", "bearer ", "Bearer a", "4111 ", "4111-", "4111", "://a:b", "://a:b@", "a:b@",
     '"password": "\\', "password=\\", '\\"',
     "password = ", "- - -", "...", "token:bearer ", "1" * 20],
)  # fmt: skip
def test_hostile_texts_of_all_sizes(piece: str) -> None:
    sizes = [steps(piece * (size // len(piece))) for size in (1 << 14, 1 << 15, 1 << 16)]
    assert sizes[2] <= 2.1 * sizes[1] + 1000
    assert sizes[1] <= 2.1 * sizes[0] + 1000
    assert sizes[2] <= 30 * (1 << 16)


def test_keys_of_the_settings_take_the_place_of_the_usual_ones() -> None:
    redactor = Redactor((), ("pin", "*code*", "größe"))
    assert hidden("pin=1 PIN: 2 a.code-x='3' pass_code_2=4 password=5 größe=6 spin=7", redactor) == (
        "pin=[redacted] PIN: [redacted] a.code-x='[redacted]' pass_code_2=[redacted] password=5 größe=[redacted] spin=7"
    )


def test_the_value_of_indented_json_is_on_the_next_line() -> None:
    text = '{"password":\n    "S",\r\n "token" :\r\n\t["T"], "pwd":\n 12}'
    expected = '{"password":\n    "[redacted]",\r\n "token" :\r\n\t[redacted], "pwd":\n [redacted]}'
    assert hidden(text) == expected
    for plain in ("bad key 'password':\nsee below", "password:\nhunter2", '"token":\n\n'):
        assert hidden(plain) == plain


def test_all_of_a_line_after_digest_is_hidden() -> None:
    text = 'Authorization: Digest username="u", realm="x", response="abc"\nAccept: */*'
    assert hidden(text) == "Authorization: Digest [redacted]\nAccept: */*"


def test_patterns_that_end_with_a_star_find_keys_of_any_end() -> None:
    patterns = ("*token*", "*x*", "k*", *(f"*{chr(ord('a') + n)}{n}z*" for n in range(9)), "größe*")
    redactor = Redactor((), patterns)
    for key in ("my_tokens_left", "TOKENIZER", "ax1", "key", "xd3zz", "i8z", "größer", "GRÖSSER", "grÖße"):
        expected = f"{key}=1" if key == "grÖße" else f"{key}=[redacted]"
        for filling in ("", "- " * 40):
            assert hidden(f"{filling}{key}=1", redactor) == filling + expected
    assert hidden("tokn=1 tken=2 order=3", Redactor((), ("*token*",))) == "tokn=1 tken=2 order=3"


# ---- in a logger

SECRET = "hunter2"


def test_own_names_are_keys_beside_the_usual_ones() -> None:
    for names in (["pin"], True):
        with Lines(LoggerConfig(level=0, redact=names, redact_text=True), json=True) as lines:
            lines.logger.info("password=S1 pin=S2", password="S3", pin="S4")
            (record,) = lines.objects()
        assert record["message"] == f"password=[redacted] pin={'S2' if names is True else '[redacted]'}"
        assert record["password"] == ("[redacted]" if names is True else "S3")
        assert record["pin"] == ("S4" if names is True else "[redacted]")


def test_surplus_arguments_are_searched() -> None:
    class Session:
        def __str__(self) -> str:
            return "Session(token=S3)"

    config = LoggerConfig(level=0, redact_text=True, on_error=lambda _: None)
    with Lines(config, json=True) as lines:
        for _ in range(2):
            lines.logger.info("ok", "password=S1", {"a": ["token: S2"]}, Session(), b"pwd=S4", 7, {"password": "S5"})
        lines.logger.info("ok", "plain", 1.5, None, args="password=kept")
        first, second, third = lines.objects()
    expected = ["password=[redacted]", {"a": ["token: [redacted]"]}, "Session(token=[redacted])", "pwd=[redacted]", 7]
    assert first["args"] == second["args"] == [*expected, {"password": "[redacted]"}]
    assert third["_args"] == ["plain", 1.5, None]
    assert third["args"] == "password=kept"


def log_everything(logger: Logger) -> None:
    logger.info("login with password=hunter2")
    for _ in range(3):
        logger.info("login with password={} of {}", SECRET, "anna")
        logger.info("login with {field}: {value}", field="password", value="x")
        logger.info("to {}", "postgres://shop:hunter2@db")
        logger.info("with {}", {"password": SECRET})
    logger.info("not ASCII ä: password=hunter2")
    logger.info("nor Latin-1 €: password=hunter2 😀")
    try:
        try:
            raise ValueError("password=hunter2")
        except ValueError as error:
            raise RuntimeError("to postgres://shop:hunter2@db") from error
    except RuntimeError:
        logger.exception("failed")
        logger.exception("failed with password={}", SECRET)


@pytest.mark.parametrize(
    "layout", [{}, {"json": True}, {"format": "logfmt"}, {"newlines": "indent"}, {"newlines": "keep"}], ids=str
)
def test_no_layout_shows_the_text(layout: dict[str, Any]) -> None:
    with Lines(LoggerConfig(level=0, redact_text=True), **layout) as lines:
        log_everything(lines.logger)
        text = lines.text()
        assert text.count("hunter2") == text.count('"password=hunter2"') == 0 or "raise ValueError" in text
        shown = re.sub(r"raise \w+\([^\n]*", "", text.replace("\\n", "\n"))
        assert SECRET not in shown
        assert text.count("[redacted]") >= 15


def test_functions_get_records_without_it_and_the_books_balance() -> None:
    with make_logger(level=0, redact_text=True) as logger:
        records = records_of(logger)
        log_everything(logger)
        assert logger.flush(30)
        for record in records:
            assert SECRET not in record.message
            assert record.exception is None or "password=[redacted]" in record.exception.stack
        assert records[-1].message == "failed with password=[redacted]"
        assert records[-1].exception is not None
        assert records[-1].exception.message == "to postgres://shop:[redacted]@db"


def test_with_names_a_message_shows_neither(tmp_path: Path) -> None:
    with make_logger(redact=["password"], redact_text=True) as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "one.log", format="{message} {fields}"))
        logger.add_sink(SinkConfig(path=tmp_path / "two.log", json=True))
        for _ in range(3):
            logger.info("{password} password={user} end", password=SECRET, user="anna")
            logger.info("{password} end", password=SECRET)
    assert (tmp_path / "one.log").read_text().splitlines()[:2] == [
        "[redacted] password=[redacted] end password=[redacted], user=anna",
        "[redacted] end password=[redacted]",
    ]
    assert SECRET not in (tmp_path / "two.log").read_text()


def test_errors_do_not_name_a_message_that_may_have_secrets(tmp_path: Path) -> None:
    told: list[BaseException] = []
    with make_logger(redact_text=True, on_error=told.append) as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "log"))
        logger.info("password=hunter2 {:d}", "x")
        logger.info("password=hunter2", "surplus")
    assert len(told) == 2
    for error in told:
        text = str(error) + "".join(getattr(error, "__notes__", ()))
        assert SECRET not in text
        assert "a message (redact_text hides it)" in text


def test_a_text_without_a_secret_is_the_same_line() -> None:
    with (
        Lines(LoggerConfig(level=0, redact_text=True), json=True) as lines,
        Lines(LoggerConfig(level=0), json=True) as plain,
    ):
        for text in WITHOUT:
            for one in (lines, plain):
                one.logger.info(text)
                one.logger.info("{} {n}", text, n=1)
        assert [{**one, "timestamp": 0} for one in lines.objects()] == [
            {**one, "timestamp": 0} for one in plain.objects()
        ]


def test_the_rows_of_the_page() -> None:
    whole = (ROOT / "docs" / "secrets.md").read_text("utf-8")
    page = whole.split("## In text", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| [^|]+ \| `([^|]*)` \| `([^|]*)` \|$", page, re.MULTILINE)
    assert len(rows) > 10
    for before, after in rows:
        assert hidden(before) == after
    usual = whole.split("## The usual names\n\n", 1)[1].split("\n\n", 1)[0]
    assert set(re.findall(r"`([^`]+)`", usual)) == set(DEFAULT_KEYS)
