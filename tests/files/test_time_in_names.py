"""Time patterns in file names: the same tokens as in layouts, but for those that are common in names."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from logly import ConfigError, Logger, LoggerConfig, SinkConfig
from logly._core import ZONE_LOCAL, ZONE_UTC
from logly.files.paths import format_time
from tests.support import ROOT

SECOND = 1_000_000_000
TOKENS = r"YYYY|YY|MMMM|MMM|MM|dddd|ddd|DD|HH|hh|mm|SSSSSSSSS|SSSSSS|SSS|ss|ZZ|Z|A|a"
MONTHS = re.findall(r"\w+", "January February March April May June July August September October November December")
DAYS = re.findall(r"\w+", "Monday Tuesday Wednesday Thursday Friday Saturday Sunday")


def model(pattern: str, now_ns: int, *, zone: int) -> str:
    """What a file name's pattern means, in plain Python."""
    seconds, fraction_ns = divmod(now_ns, SECOND)
    moment = time.gmtime(seconds) if zone == ZONE_UTC else time.localtime(seconds)
    minutes = abs(moment.tm_gmtoff) // 60
    offset = [f"{'-' if moment.tm_gmtoff < 0 else '+'}{minutes // 60:02}", f"{minutes % 60:02}"]
    parts = {
        "YYYY": f"{moment.tm_year:04}",
        "YY": f"{moment.tm_year % 100:02}",
        "MMMM": MONTHS[moment.tm_mon - 1],
        "MMM": MONTHS[moment.tm_mon - 1][:3],
        "MM": f"{moment.tm_mon:02}",
        "dddd": DAYS[moment.tm_wday],
        "ddd": DAYS[moment.tm_wday][:3],
        "DD": f"{moment.tm_mday:02}",
        "HH": f"{moment.tm_hour:02}",
        "hh": f"{(moment.tm_hour + 11) % 12 + 1:02}",
        "mm": f"{moment.tm_min:02}",
        "ss": f"{moment.tm_sec:02}",
        "A": "PM" if moment.tm_hour >= 12 else "AM",
        "a": "pm" if moment.tm_hour >= 12 else "am",
        "Z": ":".join(offset),
        "ZZ": "".join(offset),
    }
    decimals = f"{fraction_ns:09}"
    return re.sub(TOKENS, lambda found: parts.get(found[0]) or decimals[: len(found[0])], pattern)


# Runs of the letters that tokens are made of, what stands between them in names, and any text at all.
pieces = st.one_of(
    st.builds(str.__mul__, st.sampled_from("YMDdHhmsSAaZz"), st.integers(1, 11)),
    st.sampled_from(["-", "_", "T", "[", "]", "[YYYY]", ".", " ", "week"]),
    st.text(st.characters(), max_size=3),
)
patterns = st.lists(pieces, max_size=8).map("".join)
stamps = st.integers(-60 * 365 * 86_400 * SECOND, 4_000_000_000 * SECOND)


@given(patterns, stamps, st.sampled_from([ZONE_LOCAL, ZONE_UTC]))
@example("YYYY-MM-DD", 0, ZONE_UTC)
@example("HHhmm", 7 * 3600 * SECOND, ZONE_UTC)
@example("SSSSSSSSSS", 123_456_789, ZONE_UTC)
@example("[MM] \udcff ü", 0, ZONE_LOCAL)
@example("YYYY", 10_000_000_000 * SECOND, ZONE_UTC)  # beyond what nanoseconds in 64 bits reach
def test_a_pattern_in_a_name_means_what_the_table_says(pattern: str, now_ns: int, zone: int) -> None:
    assert format_time(pattern, now_ns, zone=zone) == model(pattern, now_ns, zone=zone)


def text_in_file(path: Path, pattern: str) -> str:
    """What a layout makes of a pattern, now."""
    with Logger(LoggerConfig(auto_sink=False)) as logger:
        logger.add_sink(SinkConfig(path=path, format=f"{{time:{pattern}}}"))
        logger.info("x")
    return path.read_text()[:-1]


def documented() -> tuple[list[str], list[str]]:
    """The tokens of docs/layouts.md, and those that the page says are none in file names."""
    section = (ROOT / "docs" / "layouts.md").read_text().split("### Time patterns")[1].split("\n## ")[0]
    table, text = section.split("\n\n`[text]`")
    rows = [re.findall(r"`(\w+)`(?: to `(\w+)`)?", line) for line in table.splitlines() if line.startswith("| `")]
    tokens = [first for row in rows for first, _ in row]
    tokens += ["S" * count for row in rows for _, last in row if last for count in range(2, len(last) + 1)]
    not_in_names, in_names = re.findall(r"except (.*?) and all.*?other than (.*?)\.", text, re.DOTALL)[0]
    decimals = {token for token in tokens if set(token) == {"S"}} - set(re.findall(r"`(\w+)`", in_names))
    return tokens, re.findall(r"`(\w+)`", not_in_names) + sorted(decimals)


@pytest.mark.skipif(not (ROOT / "docs").exists(), reason="the pages are not beside the tests")
def test_the_page_lists_the_tokens(tmp_path: Path) -> None:
    tokens, not_in_names = documented()
    assert len(tokens) == len(set(tokens)) == 32
    assert set(tokens) - set(not_in_names) == set(TOKENS.split("|"))
    texts = text_in_file(tmp_path / "a.log", "|".join(tokens)).split("|")
    assert [token for token, text in zip(tokens, texts, strict=True) if token == text] == []


@pytest.mark.parametrize("pattern", ["[", "SSSSSSSSSS"])
def test_what_is_a_mistake_in_a_layout_is_text_in_a_name(pattern: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        text_in_file(tmp_path / "a.log", pattern)
    (tmp_path / "a.log").unlink(missing_ok=True)
    with Logger(LoggerConfig(auto_sink=False)) as logger:
        logger.add_sink(SinkConfig(path=tmp_path / f"{{time:{pattern}}}"))
    assert len(os.listdir(tmp_path)) == 1
