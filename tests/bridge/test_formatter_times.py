"""Times of `logging`'s formatters in other zones and locales; each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = r"""
import locale, logging, sys
from logly.bridge.formatters import layout_of
from logly.bridge.validation import differs, native_line, set_time

if sys.argv[1]:
    try:
        locale.setlocale(locale.LC_ALL, sys.argv[1])
    except locale.Error:
        print("no such locale")
        sys.exit()
wrong = 0
for fmt, datefmt in [
    ("%(asctime)s|%(message)s", None),
    ("%(asctime)s|%(created)f|%(msecs)03d", "%Y-%m-%d %H:%M:%S %Z%z %j %U"),
    ("%(asctime)s|%(relativeCreated)d", "%c %x %X %p %A %B %a %b"),
]:
    formatter = logging.Formatter(fmt, datefmt)
    layout = layout_of(formatter)
    assert differs(formatter, layout) is None, differs(formatter, layout)
    moments = []
    # Each half hour of a year with both changes of the clock, and some moments of each other year.
    for hour in range(365 * 48):
        moments.append((1_704_067_200 + 1800 * hour) * 10**9)
    for year in range(1678, 2262):
        for rest in (0, 1, 10**9 - 1, 999_999_500, 15_552_000 * 10**9 + 999_999_999):
            moments.append(round((year - 1970) * 365.2425 * 86400) * 10**9 + rest)
    for ns in moments:
        record = logging.LogRecord("root", 20, "a.py", 1, "m", (), None)
        set_time(record, ns)
        expected = (formatter.format(record) + "\n").encode()
        if native_line(record, layout, ns, fields={}) != (expected, expected):
            wrong += 1
            print(ns, expected, native_line(record, layout, ns, fields={}))
            if wrong > 3:
                sys.exit(1)
print("same" if not wrong else "other")
"""

ZONES = [
    "",
    "UTC",
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Africa/Casablanca",
    "Pacific/Apia",
    "XYZ-3:17:05ABC,M3.2.0,M11.1.0",
]


def run(zone: str, name: str = "") -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, name],
        env={**os.environ, "TZ": zone},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout.strip() + done.stderr


@pytest.mark.parametrize("zone", ZONES)
def test_the_times_of_a_zone(zone: str) -> None:
    assert run(zone) == "same"


@pytest.mark.parametrize("name", ["C.UTF-8", "de_DE.UTF-8", "fr_FR.UTF-8", "ja_JP.UTF-8", "ru_RU.UTF-8"])
def test_the_times_of_a_locale(name: str) -> None:
    said = run("Europe/Berlin", name)
    if said == "no such locale":
        pytest.skip(said)
    assert said == "same"
