"""Templates of `logging`, values for them, and a bridge that can be told to make all texts at the call."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from hypothesis import strategies as st

import logly.stdlib
from tests.support.strings import strings

INTEGERS = st.integers() | st.sampled_from(
    [s * (2**p + d) for p in (7, 31, 62, 63, 64, 80) for d in (-1, 0, 1) for s in (-1, 1)]
)
FLOATS = st.floats() | st.sampled_from([0.5, 1.5, 2.5, 2.675, 9.5, 99999.5, 1e16, 1e22, 1e-5, 5e-324, -0.0])
PLAIN = st.none() | st.booleans() | INTEGERS | FLOATS | strings
VALUES = PLAIN | PLAIN | st.binary(max_size=4) | st.sampled_from([(1, 2), [1], {"a": 1}, {}, 1j, "x" * 3000])

FLAGS = st.text(st.sampled_from("-0+ "), max_size=3) | st.text(st.sampled_from("-#0 +"), max_size=3)
NUMBERS = st.sampled_from(["", "", "", "0", "1", "3", "8", "12", "007", "40", "4096", "4097", "*", "٣"])
LITERALS = (
    st.sampled_from(["", " ", "%%", "{}", "{0} {x", "%", "é", "\udc80", "\ud83d", "\ude00", "(k)", "5%%", "\n\x1b["])
    | strings
)


@st.composite
def placeholders(draw: st.DrawFn) -> str:
    key = draw(st.sampled_from([""] * 20 + ["(a)", "()", "(a"]))
    precision = draw(st.sampled_from(["", "", "", ".", ".0", ".2", ".5", ".17", ".0003", ".120", ".5000", ".*"]))
    conversion = draw(st.sampled_from("sssdddffriuaxXoeEFgGc%bn") | st.characters())
    modifier = draw(st.sampled_from(["", "", "", "l", "h", "L", "ll"]))
    return f"%{key}{draw(FLAGS)}{draw(NUMBERS)}{precision}{modifier}{conversion}"


@st.composite
def fitting(draw: st.DrawFn) -> tuple[str, tuple[Any, ...]]:
    """A template and values that it mostly takes."""
    parts, values = [draw(LITERALS.filter(lambda text: "%" not in text))], []
    for _ in range(draw(st.integers(1, 4))):
        conversion = draw(st.sampled_from("sradiuxXoeEfFgG"))
        is_text, is_whole = conversion in "sra", conversion in "diuxXo"
        precision = "" if is_whole else draw(st.sampled_from(["", "", ".", ".0", ".1", ".3", ".17", ".100"]))
        width = draw(st.sampled_from(["", "", "", "1", "5", "12", "60"]))
        parts.append(f"%{draw(st.text(st.sampled_from('-0+ '), max_size=3))}{width}{precision}{conversion}")
        parts.append(draw(st.sampled_from(["", " ", "%%", "|", "ü"])))
        values.append(
            draw(PLAIN if is_text else st.booleans() | INTEGERS if is_whole else st.booleans() | INTEGERS | FLOATS)
        )
    return "".join(parts), tuple(values)


@st.composite
def anything(draw: st.DrawFn) -> tuple[str, tuple[Any, ...]]:
    """Any template, with surplus and missing values, and mistakes."""
    template = "".join(draw(st.lists(placeholders() | LITERALS, max_size=6)))
    return template, tuple(draw(st.lists(VALUES, min_size=1, max_size=5)))


CALLS = fitting() | fitting() | anything()


def text_of(template: str, values: tuple[Any, ...]) -> str | None:
    """What `logging` makes, as logly shows it; None where it fails."""
    record = logging.LogRecord("n", 20, "f", 1, template, values, None)
    try:
        return visible(record.getMessage())
    except Exception:  # noqa: BLE001  # whatever % raises
        return None


def visible(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


class Made:
    """What became of the records that came with a template: whether the flusher makes the text."""

    def __init__(self) -> None:
        self.results: list[bool] = []
        self.is_off = False

    def take(self) -> list[bool]:
        taken, self.results = self.results, []
        return taken


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Made:
    one = Made()
    real = logly.stdlib.emit_percent

    def counted(*args: Any) -> bool:
        result = not one.is_off and real(*args)
        one.results.append(result)
        return result

    monkeypatch.setattr(logly.stdlib, "emit_percent", counted)
    return one
