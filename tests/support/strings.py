"""Strings of every internal kind that CPython has."""

from hypothesis import strategies as st

# Lone surrogates too, which st.text() leaves out.
anything = st.characters(exclude_categories=())
strings = st.one_of(
    st.text(st.characters(max_codepoint=0x7F)),
    st.text(st.characters(max_codepoint=0xFF)),
    st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=())),
    st.text(anything),
    st.text(st.sampled_from("ab'\"\\\n\r\t\x00\x1b\x7f\x80\xa0é→\u2028\ud83d\ude00😀\U0010ffff"), max_size=30),
    st.text(anything, min_size=1, max_size=3).map(lambda part: part * 700),
)
LONG = [
    "a" * 100_000,
    "é" * 10_000,
    "→" * 10_000,
    "\udfff" * 10_000,
    "😀" * 10_000,
    "a" * 999 + "é",
    "a" * 999 + "😀",
]


def has_surrogate(text: str) -> bool:
    return any("\ud800" <= c <= "\udfff" for c in text)
