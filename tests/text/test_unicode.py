"""Strings of every internal kind as UTF-8, repr and ascii, against CPython's own."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.strings import LONG, has_surrogate, strings

probe = pytest.importorskip("tests.probe.text", reason="built with LOGLY_BUILD=probe only")


def check(text: str) -> None:
    expected = text.encode("utf-8", "backslashreplace")
    shown = repr(text).encode("utf-8")
    assert probe.write_text(text) == expected
    assert probe.text_length(text) == len(text)
    assert probe.write_repr(text) == shown
    assert probe.write_ascii(text) == ascii(text).encode()
    if has_surrogate(text):
        return
    assert probe.write_text(text, True) == expected
    assert probe.text_length(text, True) == len(text)
    assert probe.write_repr(text, True) == shown
    assert probe.write_ascii(text, True) == ascii(text).encode()


@given(strings)
def test_any_string(text):
    check(text)


@given(st.binary())
def test_bytes_repr(data):
    assert probe.write_bytes_repr(data) == repr(data).encode()


@pytest.mark.parametrize("text", LONG, ids=lambda text: f"{len(text)} {text[-1]!a}")
def test_long_strings(text):
    check(text)


def test_every_code_point():
    for start in range(0, sys.maxunicode + 1, 4096):
        check("".join(map(chr, range(start, start + 4096))))


@given(st.binary())
def test_broken_utf8_is_never_read_beyond(data):
    for function in (probe.write_repr, probe.write_ascii, probe.text_length):
        function(data)
