"""Formatters that many programs use are served, and what only `extra` and `errors` decide is written to the byte."""

from __future__ import annotations

import logging
import time

import pytest

from logly.bridge.formatters import layout_of
from logly.bridge.validation import differs, native_line

GUNICORN = "%(asctime)s [%(process)d] [%(levelname)s] %(message)s", "[%Y-%m-%d %H:%M:%S %z]"
USUAL = [
    None,
    logging.Formatter(),
    logging.Formatter(logging.BASIC_FORMAT),
    logging.Formatter(*GUNICORN),
    logging.Formatter("%(asctime)s %(levelname)-8s [%(name)s] %(filename)s:%(lineno)d %(message)s"),
    logging.Formatter("%(asctime)s.%(msecs)03d %(process)d %(threadName)s %(message)s", "%Y-%m-%dT%H:%M:%S"),
    logging.Formatter("%(created).3f %(relativeCreated)d %(processName)s %(thread)d %(pathname)s %(message)s"),
    logging.Formatter("%(asctime).10s %(module)s.%(funcName)s %(levelno)s %(message)s"),
    logging.Formatter("[{asctime}] {levelname:>8} {module}.{funcName} {message}", style="{"),
    logging.Formatter("{levelname} {asctime} {module} {process:d} {thread:d} {message}", style="{"),
    logging.Formatter("$asctime $levelname ${message}$$", style="$"),
]


@pytest.mark.parametrize("formatter", USUAL)
@pytest.mark.parametrize("utc", [False, True])
def test_usual_formatters_are_served(formatter: logging.Formatter | None, *, utc: bool) -> None:
    if formatter is not None:
        formatter.converter = time.gmtime if utc else time.localtime
    assert differs(formatter, layout_of(formatter)) is None


def test_extra_is_shown_as_the_style_shows_it() -> None:
    formatter = logging.Formatter("{user:>6}|{count:05d}|{user!r}|{message}", style="{")
    layout = layout_of(formatter)
    fields = {"count": 42, "user": "\u00e9t\u00e9"}
    record = logging.LogRecord("root", 20, "a.py", 1, "text", (), None)
    vars(record).update(fields)
    expected = (formatter.format(record) + "\n").encode()
    assert expected == "   \u00e9t\u00e9|00042|'\u00e9t\u00e9'|text\n".encode()
    assert native_line(record, layout, 0, fields=fields) == (expected, expected)


def test_backslashreplace_is_how_the_flusher_writes_lone_surrogates() -> None:
    formatter = logging.Formatter("%(levelname)s:%(message)s")
    layout = layout_of(formatter, errors="backslashreplace")
    record = logging.LogRecord("root", 20, "a.py", 1, "a\udc80\U0001f600", (), None)
    expected = (formatter.format(record) + "\n").encode("utf-8", "backslashreplace")
    assert layout.takes_surrogates
    assert native_line(record, layout, 0, fields={}) == (expected, expected)
