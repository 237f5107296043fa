"""JSON, logfmt and control-character escaping, against json.loads and plain Python references."""

import json
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.strings import LONG, has_surrogate, strings

probe = pytest.importorskip("tests.probe.text", reason="built with LOGLY_BUILD=probe only")

CONTROLS = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
troubles = st.text(
    st.sampled_from('ab \t\n\r\r\x00\x1b\x7f\x80\x85\x9f\xa0é\u2027\u2028\u2029\u202a→😀\\"='), max_size=40
)
texts = st.one_of(troubles, st.text(), st.builds(lambda text, n: text + "a" * n, troubles, st.integers(0, 40)))


def visible(match: re.Match[str]) -> str:
    c = match.group()
    return {"\n": "\\n", "\r": "\\r"}.get(c) or (f"\\x{ord(c):02x}" if ord(c) < 256 else f"\\u{ord(c):04x}")


def seen(text: str) -> str:
    """Lone surrogates as what stands for them: visible text."""
    return text.encode("utf-8", "backslashreplace").decode()


def json_reference(text: str) -> bytes:
    """json.dumps leaves DEL, C1 controls and line separators as they are."""
    quoted = json.dumps(seen(text), ensure_ascii=False)
    return re.sub("[\x7f-\x9f\u2028\u2029]", lambda match: f"\\u{ord(match[0]):04x}", quoted).encode()


def check_json(text: str) -> None:
    written = probe.write_json_string(text)
    assert written == json_reference(text)
    assert json.loads(written) == seen(text)
    if not has_surrogate(text):
        assert probe.write_json_string(text, True) == written
        assert probe.write_json_utf8(text.encode()) == written


@given(st.one_of(strings, texts))
def test_json_string(text):
    check_json(text)


@pytest.mark.parametrize("text", LONG, ids=lambda text: f"{len(text)} {text[-1]!a}")
def test_long_json_string(text):
    check_json(text)


def test_every_byte_at_every_place_in_a_word():
    for code in range(256):
        for place in range(20):
            check_json("a" * place + chr(code) + "b" * (19 - place))
            text = "a" * place + chr(code) + "b" * (19 - place)
            assert probe.escape_controls(b"", text.encode()) == CONTROLS.sub(visible, text).encode()


@given(
    st.one_of(
        st.binary(),
        texts.map(str.encode),
        st.builds(lambda a, b: a.encode() + b, texts, st.binary(max_size=4)),
    )
)
def test_json_bytes(data):
    written = probe.write_json_bytes(data)
    assert written == json_reference(data.decode("utf-8", "backslashreplace"))


@given(st.floats())
def test_json_float(value):
    read = json.loads(probe.write_json_float(value))
    if not math.isfinite(value):
        assert read is None
    else:
        assert read == value
        assert probe.write_json_float(value) == repr(value).encode()


@given(st.one_of(strings, texts))
def test_logfmt_value(text):
    written = probe.write_logfmt_value(text)
    if not text or re.search('[\x00-\x20="\x7f-\x9f\u2028\u2029\ud800-\udfff]', text):
        assert written[:1] == written[-1:] == b'"'
        assert json.loads(written).encode("utf-16", "surrogatepass") == text.encode("utf-16", "surrogatepass")
        assert not CONTROLS.search(written.decode())
        assert b"\\b" not in written.replace(b"\\\\", b"")
    else:
        assert written == text.encode()
    if not has_surrogate(text):
        assert probe.write_logfmt_value(text, True) == written


@pytest.mark.parametrize(
    ("text", "written"),
    [("", '""'), ("a", "a"), ("a b", '"a b"'), ("a=b", '"a=b"'), ('"', '"\\""'), ("a\\b", "a\\b"),
     ("\\ ", '"\\\\ "'), ("\b\f\x1b\x7f", '"\\u0008\\u000c\\u001b\\u007f"'),
     ("\n\t\r", '"\\n\\t\\r"'), ("é→😀", "é→😀")],
)  # fmt: skip
def test_logfmt_examples(text, written):
    assert probe.write_logfmt_value(text) == written.encode()


@given(st.text(max_size=9), texts)
def test_escape_controls(before, text):
    expected = before + CONTROLS.sub(visible, text)
    assert probe.escape_controls(before.encode(), text.encode()) == expected.encode()


@given(st.text(max_size=9), texts)
def test_escape_terminal_keeps_newlines(before, text):
    expected = before + "\n".join(CONTROLS.sub(visible, line) for line in text.split("\n"))
    assert probe.escape_terminal(before.encode(), text.encode()) == expected.encode()


@given(st.text(max_size=9), texts)
def test_indent_newlines(before, text):
    expected = before + re.sub("\r\n|\r|\n", "\n    ", text)
    assert probe.indent_newlines(before.encode(), text.encode()) == expected.encode()


@given(st.binary(max_size=40))
def test_any_bytes_are_safe_to_rewrite(data):
    for rewrite in (probe.escape_controls, probe.escape_terminal, probe.indent_newlines):
        rewrite(b"", data)


def test_one_line_stays_one_line():
    attack = "user\n2026-01-01 | ERROR | forged\r\x1b[2J\u2028\x85\x9b31m"
    written = probe.escape_controls(b"", attack.encode()).decode()
    assert len(written.splitlines()) == 1
    assert written.isprintable()


@pytest.mark.parametrize(
    "cut", [b"\xff", b"\xe2\x82", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\x80"]
)
def test_bytes_that_are_not_utf_8_are_shown_one_by_one(cut):
    for data in (cut, b"a" + cut, cut + b"a", cut + cut, cut + "é".encode()):
        assert probe.write_json_bytes(data) == json_reference(data.decode("utf-8", "backslashreplace"))
