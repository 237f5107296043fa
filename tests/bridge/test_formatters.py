"""Layouts of `logging`'s formatters: the bytes that a `StreamHandler` writes, or a reason why they are not served."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logly.bridge.formatter_checks import ASCII_SUPERSETS
from logly.bridge.formatters import NotServed, layout_of
from logly.bridge.validation import differs, set_time
from tests.support import ROOT
from tests.support.logging_formats import (
    MOMENTS,
    accepted,
    assert_same,
    formatters,
    layout_or_none,
    made_at,
    records,
    written,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

seen = {"all": 0, "served": 0}


@given(formatters(), st.lists(records(), min_size=1, max_size=4), st.sampled_from(["\n", "", "\r\n", "é", "--\n"]))
def test_the_bytes_are_those_of_a_stream_handler(
    formatter: logging.Formatter | None, samples: list[tuple[logging.LogRecord, int]], terminator: str
) -> None:
    layout = layout_or_none(formatter, terminator)
    raises = written(formatter, samples[0][0], terminator) is None
    seen["all"] += not raises
    seen["served"] += layout is not None
    if layout is None:
        return
    assert differs(formatter, layout) is None
    for record, ns in samples:
        if accepted(layout, record):
            assert_same(formatter, layout, record, ns)


def test_most_formatters_that_work_are_served() -> None:
    if seen["all"] < 60:
        pytest.skip("counted by the test before it")
    # Of thousands it is 0.8 to 0.9; hypothesis repeats what it likes in a short run.
    assert seen["served"] > 0.5 * seen["all"]


@given(MOMENTS)
def test_the_time_of_a_record_is_that_of_logging(ns: int) -> None:
    """`set_time` is what validation compares with, so it has an oracle of its own."""
    record = made_at(ns, name="a", level=20, path="p.py", line=1, message="m", function="f")
    expected = (record.created, record.msecs, record.relativeCreated)
    set_time(record, ns)
    assert (record.created, record.msecs, record.relativeCreated) == expected


ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Pacific/Apia",
]
ODD_ZONES = ["XXX-14:45:30", "AAA+11BBB,J60/1,J300", ":nowhere/at_all", "<-03>3"]


def run(zone: str, *arguments: str) -> str:
    command = [sys.executable, "-m", "tests.support.logging_formats", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "TZ": zone}, capture_output=True, text=True, timeout=100, check=False
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("zone", ZONES + ODD_ZONES)
def test_zones_with_daylight_saving_and_odd_ones(zone: str) -> None:
    assert run(zone, "1") == "same\n"


def locales() -> list[str]:
    try:
        found = subprocess.run(["locale", "-a"], capture_output=True, text=True, timeout=10, check=False).stdout.split()
    except OSError:
        return []
    return [name for name in found if not name.startswith(("C", "POSIX", "en"))][:4] or found[:2]


@pytest.mark.parametrize("name", locales())
def test_locales(name: str) -> None:
    assert run("Europe/Berlin", "2", name) == "same\n"


# ---- level names


@pytest.fixture
def own_levels() -> Iterator[None]:
    before = dict(logging._levelToName), dict(logging._nameToLevel)
    yield
    for now, old in zip((logging._levelToName, logging._nameToLevel), before, strict=True):
        now.clear()
        now.update(old)  # type: ignore[arg-type]


@pytest.mark.usefixtures("own_levels")
def test_level_names_are_those_of_the_time_of_translation() -> None:
    formatter = logging.Formatter("%(levelname)-10s|%(levelno)s %(message)s")
    logging.addLevelName(20, "größe")
    logging.addLevelName(25, "NOTICE")
    logging.addLevelName(0, "")
    layout = layout_of(formatter)
    assert differs(formatter, layout) is None
    for level in (0, 20, 25, 26, 30, 32767):
        record = made_at(10**18, name="a", level=level, path="p", line=1, message="m", function="f")
        assert_same(formatter, layout, record, 10**18)
    with pytest.raises(NotServed, match="not ASCII"):
        layout_of(formatter, encoding="ascii")


@pytest.mark.usefixtures("own_levels")
@pytest.mark.parametrize(("number", "name"), [(20, 7), (20.0, "x"), (True, "x"), (20, "\ud800")])
def test_odd_levels_are_not_served(number: Any, name: Any) -> None:
    logging._levelToName.pop(20)
    logging.addLevelName(number, name)
    with pytest.raises(NotServed):
        layout_of(None)


# ---- what is not served, and why


class Own(logging.Formatter):
    """Differs in nothing but its class."""


def with_attribute(name: str, value: object) -> logging.Formatter:
    formatter = logging.Formatter("%(asctime)s %(message)s")
    vars(formatter)[name] = value
    return formatter


NOT_SERVED = [
    (Own(), "the formatter is a tests.bridge.test_formatters.Own"),
    (logging.Formatter("%(message)s %(x)s", defaults={"x": []}), "the formatter's default of x is a list"),
    (
        logging.Formatter("%(message)s %(x)d", defaults={"x": "1"}, validate=False),
        "the format gives the default of x in a form that is not served",
    ),
    (logging.Formatter("%(taskName)s"), "the format names taskName"),
    (logging.Formatter("%(msg)s"), "the format names msg"),
    (logging.Formatter("%(message)*d", validate=False), "the format gives message in a form that is not served"),
    (logging.Formatter("%s", validate=False), "the format gives a '%' without a name"),
    (logging.Formatter("%(message", validate=False), "the format has a '(' that is never closed"),
    (logging.Formatter("{message.x}", style="{"), "the format has {message.x}, which is no plain name"),
    (logging.Formatter("{message:{lineno}}", style="{"), "the format gives {message} in a form that is not served"),
    (logging.Formatter("{lineno:s}", style="{"), "the format gives lineno in a form that is not served"),
    (logging.Formatter("{message", style="{", validate=False), "the format is one that str.format refuses"),
    (logging.Formatter("$", style="$", validate=False), "the format is one that string.Template refuses"),
    (logging.Formatter("\ud800%(message)s"), "the format has a lone surrogate"),
    (
        with_attribute("converter", lambda _: time.gmtime(0)),
        "the formatter's converter is neither time.localtime nor time.gmtime",
    ),
    (with_attribute("datefmt", "%s"), "the time's format has a directive that is not served"),
    (with_attribute("datefmt", 7), "the time's format is no str of at most 200 characters"),
    (
        with_attribute("default_msec_format", "%s"),
        "the formatter's default_msec_format is not one of a text and a number",
    ),
    (with_attribute("formatMessage", str), "the formatter has its own formatMessage"),
    (with_attribute("_style", object()), "the formatter's style is not one of logging's own"),
]


@pytest.mark.parametrize(("formatter", "reason"), NOT_SERVED, ids=[reason for _, reason in NOT_SERVED])
def test_what_is_not_served_says_why(formatter: logging.Formatter, reason: str) -> None:
    with pytest.raises(NotServed) as refused:
        layout_of(formatter)
    assert refused.value.reason == str(refused.value) == reason


@pytest.mark.parametrize(
    "name", ["format", "formatTime", "formatException", "formatStack", "formatMessage", "usesTime"]
)
def test_a_patched_method_of_the_formatter(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(logging.Formatter, name, lambda *_: "patched")
    with pytest.raises(NotServed, match=f"logging.Formatter.{name} is patched"):
        layout_of(None)


@pytest.mark.parametrize("style", ["PercentStyle", "StrFormatStyle", "StringTemplateStyle"])
@pytest.mark.parametrize("name", ["format", "_format", "usesTime"])
def test_a_patched_method_of_a_style(monkeypatch: pytest.MonkeyPatch, style: str, name: str) -> None:
    monkeypatch.setattr(getattr(logging, style), name, lambda *_: "patched")
    with pytest.raises(NotServed, match=f"logging.{style}.{name} is patched"):
        layout_of(None)


@pytest.mark.parametrize("switch", ["logThreads", "logProcesses", "logMultiprocessing"])
def test_attributes_that_are_switched_off(monkeypatch: pytest.MonkeyPatch, switch: str) -> None:
    monkeypatch.setattr(logging, switch, False)
    assert layout_of(logging.Formatter("%(message)s"))
    with pytest.raises(NotServed, match=f"logging.{switch} is off"):
        layout_of(logging.Formatter("%(threadName)s %(process)d %(processName)s"))


def test_a_patched_strftime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "strftime", lambda *_: "patched")
    with pytest.raises(NotServed, match=r"time\.strftime is patched"):
        layout_of(logging.Formatter("%(asctime)s"))


# ---- what the layout tells its caller


def test_shown_fields_and_the_process_name() -> None:
    layout = layout_of(logging.Formatter("%(user)s %(user)5d %(filename)s %(threadName)s %(processName)r %(name)s"))
    assert layout.shown == {"filename", "thread_name"}
    assert list(layout.fields) == ["user"]
    assert layout.fields["user"] == 2 | 4
    assert layout.process_name == "MainProcess"
    assert layout_of(None).shown == frozenset()


@pytest.mark.parametrize("encoding", sorted(ASCII_SUPERSETS))
def test_an_ascii_superset_is_one(encoding: str) -> None:
    ascii_text = bytes(range(128)).decode("ascii")
    assert ascii_text.encode(encoding) == ascii_text.encode("ascii")
    layout = layout_of(logging.Formatter("%(asctime)s %(message)s"), encoding=encoding)
    assert layout.ascii_only
    assert differs(logging.Formatter("%(asctime)s %(message)s"), layout) is None
    with pytest.raises(NotServed):
        layout_of(logging.Formatter("%(asctime)s", "%A"), encoding=encoding)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-7", "iso2022_jp", "hz", "cp037", "nonsense", "rot13"])
def test_encodings_that_are_not_served(encoding: str) -> None:
    with pytest.raises(NotServed):
        layout_of(None, encoding=encoding)


def test_lone_surrogates() -> None:
    assert not layout_of(None).takes_surrogates
    layout = layout_of(None, errors="backslashreplace")
    assert layout.takes_surrogates
    assert not layout_of(logging.Formatter("%(message)5s"), errors="backslashreplace").takes_surrogates


def test_validation_finds_a_difference() -> None:
    layout = layout_of(logging.Formatter("%(levelname)s %(message)s"))
    assert (
        differs(logging.Formatter("%(levelname)-8s %(message)s"), layout)
        == "the flusher would write other bytes for level 0"
    )
    failing = logging.Formatter("%(nothing)s")
    assert differs(failing, layout_of(None)) == "the formatter raises ValueError for level 0"
