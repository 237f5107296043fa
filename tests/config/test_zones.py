"""Zones of the IANA database as `timezone`: what `zoneinfo` says, in lines, in names of files and for rotation."""

from __future__ import annotations

import json
import logging
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import logly.config.zones
from logly import ConfigError, Logger, LoggerConfig, SinkConfig, StdlibHandler
from logly._core import ZONE_LOCAL, ZONE_UTC, add_zone, format_time, zone_offset_at
from logly.config.zones import zone_number
from logly.control.sinks import zone_of
from logly.files.rotated import RotatedName
from logly.files.schedule import first_instant, last_instant, next_boundary, parse_rotation, wall_clock
from tests.support.forks import children_end_well, fork
from tests.support.instants import SECOND, ns
from tests.support.log_files import lines_of
from tests.support.programs import run_program
from tests.support.spooling import dies, revive

ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",  # summer time is half an hour
    "Africa/Casablanca",  # clocks change around Ramadan
    "America/St_Johns",
    "Asia/Kathmandu",
    "Pacific/Apia",  # had no 30 December 2011
    "Antarctica/Troll",  # summer time is two hours
    "Europe/Dublin",  # winter time is the one that is not standard
    "Asia/Tehran",
    "Etc/UTC",
]
END_S = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp())
CHANGES = {
    "Europe/Berlin": ["2024-03-31", "2024-10-27"],
    "America/New_York": ["2024-03-10", "2024-11-03"],
    "Australia/Lord_Howe": ["2024-04-07", "2024-10-06"],
    "America/Sao_Paulo": ["2018-02-18", "2018-11-04"],  # midnight itself is skipped, or comes twice
    "Pacific/Apia": ["2011-12-30"],
    "Antarctica/Troll": ["2024-03-31", "2024-10-27"],
}
SHOWN = "YYYY-MM-DD HH:mm:ss|hh A|dddd|Z|ZZ"
zones = st.sampled_from(ZONES)
seconds = st.integers(0, END_S - 1)
around_changes = st.builds(
    lambda day, off: ns(day) // SECOND + off,
    st.sampled_from([day for days in CHANGES.values() for day in days]),
    st.integers(-86_400, 86_400),
)


def expected(zone: str, second: int) -> str:
    moment = datetime.fromtimestamp(second, ZoneInfo(zone))
    offset = moment.strftime("%z")[:5]
    return f"{moment:%Y-%m-%d %H:%M:%S}|{moment:%I %p}|{moment:%A}|{offset[:3]}:{offset[3:]}|{offset}"


def made(created: float) -> logging.LogRecord:
    record = logging.LogRecord("far", logging.WARNING, "/far.py", 3, "far", (), None)
    record.created = created
    return record


def config_of(zone: str, **others: object) -> LoggerConfig:
    return LoggerConfig(auto_sink=False, level=0, timezone=zone, **others)


# ---- what time it is


@settings(deadline=None, max_examples=500)
@given(zones, seconds | around_changes)
@example("Pacific/Apia", ns("2011-12-30T10:00") // SECOND)
@example("Europe/Berlin", 0)
@example("Europe/Berlin", END_S - 1)
def test_a_zone_shows_what_zoneinfo_shows(zone: str, second: int) -> None:
    assert format_time(SHOWN, second * SECOND, zone=zone_number(zone)) == expected(zone, second)
    offset = datetime.fromtimestamp(second, ZoneInfo(zone)).utcoffset()
    assert zone_offset_at(zone_number(zone), second) == offset // timedelta(seconds=1)


@pytest.mark.parametrize("zone", ZONES)
def test_lines_show_what_zoneinfo_shows(zone: str, tmp_path: Path) -> None:
    path = tmp_path / "log"
    with Logger(config_of(zone)) as logger:
        logger.add_sink(SinkConfig(path=path, format="{time:YYYY-MM-DD HH:mm:ss|hh A|dddd|Z|ZZ|zz}"))
        logger.add_sink(SinkConfig(path=tmp_path / "json", json=True))
        handler = StdlibHandler(logger)

        @settings(max_examples=25, deadline=None)
        @given(st.lists(seconds | around_changes, min_size=1, max_size=12))
        def check(times: list[int]) -> None:
            before = len(lines_of(path))
            for second in times:
                handler.handle(made(second))
            assert logger.flush(30)
            names = [datetime.fromtimestamp(second, ZoneInfo(zone)).tzname() for second in times]
            wanted = [f"{expected(zone, second)}|{name}" for second, name in zip(times, names, strict=True)]
            assert lines_of(path)[before:] == wanted

        check()
        handler.handle(made(1_700_000_000))
    assert json.loads(lines_of(tmp_path / "json")[-1])["timestamp"] == "2023-11-14T22:13:20.000000Z"


def test_outside_of_1970_to_2100_the_first_and_the_last_offset_hold() -> None:
    zone = zone_number("Europe/Berlin")
    assert [zone_offset_at(zone, second) for second in (-(1 << 62), -1, END_S, 1 << 62)] == [3600] * 4
    assert zone_offset_at(zone, ns("2099-07-01") // SECOND) == 7200
    assert format_time("YYYY-MM-DD HH:mm:ss", -SECOND, zone=zone) == "1970-01-01 00:59:59"


def test_zones_of_all_kinds_agree_with_zoneinfo() -> None:
    names = sorted(available_timezones())[::40]
    for name in names:
        number = zone_number(name)
        tz = ZoneInfo(name)
        for second in range(0, END_S, 9_876_543):
            moment = datetime.fromtimestamp(second, tz)
            assert zone_offset_at(number, second) == moment.utcoffset() // timedelta(seconds=1), (name, second)


def test_a_zone_is_looked_up_once_and_other_numbers_are_refused() -> None:
    assert zone_number("Europe/Berlin") == zone_number("Europe/Berlin")
    assert zone_of(LoggerConfig(timezone="local")) == ZONE_LOCAL
    assert zone_of(LoggerConfig(timezone="utc")) == ZONE_UTC
    for number in (-1, 4000, 1 << 30):
        with pytest.raises(ValueError, match=f"no time zone has the number {number}"):
            format_time("HH", 0, zone=number)
    with pytest.raises(TypeError):
        add_zone([(0, 0, "text")])  # type: ignore[list-item]
    long_name = add_zone([(0, 0, b"x" * 100)])
    assert zone_offset_at(long_name, 0) == 0


# ---- rotation


def by_brute_force(kind: str, after_s: int, zone: str) -> int:
    """Where the wall clock's high-water mark passes a mark on the dial."""
    tz = ZoneInfo(zone)

    def wall(instant: int) -> datetime:
        return datetime.fromtimestamp(instant, tz).replace(tzinfo=None)

    def is_mark(shown: datetime) -> bool:
        return {
            "hourly": shown.minute == 0,
            "daily": (shown.hour, shown.minute) == (0, 0),
            "02:30": (shown.hour, shown.minute) == (2, 30),
        }[kind]

    start = after_s - after_s % 60 - 26 * 3600
    highest = wall(start)
    for instant in range(start + 60, after_s + 50 * 3600, 60):
        now = wall(instant)
        while now > highest:
            highest += timedelta(minutes=1)
            if is_mark(highest) and instant > after_s:
                return instant
    raise AssertionError("no boundary")


@pytest.mark.parametrize("zone", CHANGES)
@pytest.mark.parametrize("kind", ["hourly", "daily", "02:30"])
def test_boundaries_around_clock_changes_agree_with_brute_force(zone: str, kind: str) -> None:
    rotation, number = parse_rotation(kind), zone_number(zone)
    for day in CHANGES[zone]:
        middle = ns(day) // SECOND
        for after in range(middle - 15 * 3600, middle + 15 * 3600, 7200 + 60 * 7):
            wanted = by_brute_force(kind, after, zone) * SECOND
            assert next_boundary(rotation, after * SECOND, zone=number) == wanted, after


@settings(deadline=None)
@given(zones, seconds | around_changes)
def test_instants_of_a_wall_clock_are_those_of_its_two_folds(zone: str, second: int) -> None:
    number = zone_number(zone)
    moment = datetime.fromtimestamp(second, ZoneInfo(zone))
    wall = moment.replace(tzinfo=None, fold=0)
    assert wall_clock(second, number) == wall
    folds = sorted(int(moment.replace(fold=fold).timestamp()) for fold in (0, 1))
    assert [first_instant(wall, number), last_instant(wall, number)] == folds


def test_rotated_names_have_the_zones_time(tmp_path: Path) -> None:
    number = zone_number("Asia/Kathmandu")
    name = RotatedName(str(tmp_path / "app.log"), zone=number)
    chosen = Path(name.choose(ns("2024-06-01T12:00:00")))
    assert chosen.name == "app_20240601_174500.log"
    chosen.touch()
    assert [name.end_ns(file) for file in name.files()] == [ns("2024-06-01T12:00:00")]


def test_a_files_name_and_its_boundary_are_of_the_zone(tmp_path: Path) -> None:
    with Logger(config_of("Pacific/Kiritimati")) as logger:  # 14 hours before UTC
        sink = logger.add_sink(SinkConfig(tmp_path / "app-{time:ZZ}.log", rotation="daily"))
        assert Path(logger.sink_path(sink)).name == "app-+1400.log"
        file = logger._controller.sinks[sink].file
        assert file.period_ns[1] // SECOND % 86_400 == 10 * 3600


# ---- a logger's life


def test_configure_changes_the_zone_of_lines(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with Logger(config_of("utc")) as logger:
        logger.add_sink(SinkConfig(path=path, format="{time:ZZ} {message}"))
        for zone in ("Asia/Kolkata", "utc", "Asia/Kathmandu", "UTC", "Pacific/Kiritimati"):
            logger.configure(timezone=zone)
            logger.info(zone)
            assert logger.flush(30)
        with pytest.raises(ConfigError, match="timezone = 'Mars' is not valid"):
            logger.configure(timezone="Mars")
        logger.info("still")
    assert [line.split()[0] for line in lines_of(path)] == ["+0530", "+0000", "+0545", "+0000", "+1400", "+1400"]


def test_a_dead_process_is_recovered_in_the_zone_that_is_set_now(tmp_path: Path) -> None:
    dies(tmp_path, 'logger.info("left")')
    told: list[Exception] = []
    with Logger(LoggerConfig(spool=tmp_path / "app.spool", timezone="Asia/Kolkata", on_error=told.append)) as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{time:ZZ} {message}"))
        assert logger.flush(30)
    assert told == []
    assert "+0530 left" in lines_of(tmp_path / "app.log")
    assert revive(tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_has_the_zone_and_may_set_others(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with Logger(config_of("Asia/Kolkata")) as logger:
        logger.add_sink(SinkConfig(path=path, format="{time:ZZ} {message}", rotation="daily"))
        logger.info("parent")
        assert logger.flush(30)

        def child() -> None:
            logger.info("child")
            assert logger.flush(30)
            logger.configure(timezone="America/St_Johns")
            logger.info("changed")
            assert logger.flush(30)

        children_end_well([fork(child)])
        logger.info("parent again")
    found = [line.split(" ", 1) for line in lines_of(path)]
    assert [text for _, text in found] == ["parent", "child", "changed", "parent again"]
    assert [offset for offset, _ in found if offset not in ("-0330", "-0230")] == ["+0530"] * 3


# ---- how it is set


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("Europe/Berln", "did you mean 'Europe/Berlin'?"),
        ("europe/berlin", "did you mean 'Europe/Berlin'?"),
        ("new york", "did you mean 'America/New_York'?"),
        ("Europe", "name of a time zone"),
        ("/etc/passwd", "name of a time zone"),
        ("../zoneinfo/UTC", "name of a time zone"),
        ("a\0b", "name of a time zone"),
        ("\udcff", "name of a time zone"),
        ("", "name of a time zone"),
        (None, "name of a time zone"),
        (7, "name of a time zone"),
        ("Qqqqqq/Xxxxxx", "tzdata"),
    ],
)
def test_a_zone_that_does_not_exist_is_refused(value: object, told: str) -> None:
    with pytest.raises(ConfigError, match="timezone = ") as caught:
        LoggerConfig(timezone=value).validate()  # type: ignore[arg-type]
    assert told in str(caught.value)
    assert caught.value.field == "timezone"


def test_a_system_without_zones_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logly.config.zones, "available_timezones", set)
    with pytest.raises(ConfigError, match="install the package tzdata"):
        LoggerConfig(timezone="Mars/Olympus").validate()


def test_local_and_utc_are_words_in_any_case() -> None:
    words = ("UTC", "Local", "utc")
    assert [LoggerConfig(timezone=word).resolved().timezone for word in words] == ["utc", "local", "utc"]


def test_toml_and_the_environment_take_a_zone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "logly.toml"
    file.write_text('[logly]\ntimezone = "Europe/Berlin"\nauto_sink = false\n')
    with Logger.from_file(file) as logger:
        assert logger.config.timezone == "Europe/Berlin"
    monkeypatch.setenv("LOGLY_TIMEZONE", "Asia/Tehran")
    with Logger(auto_sink=False) as logger:
        assert logger.config.timezone == "Asia/Tehran"
    monkeypatch.setenv("LOGLY_TIMEZONE", "Asia/Teheran")
    with Logger(auto_sink=False) as logger:
        assert logger.config.timezone == "local"
    told = capfd.readouterr().err
    assert told.startswith("logly: LOGLY_TIMEZONE = 'Asia/Teheran' ")
    assert told.endswith("did you mean 'Asia/Tehran'?\n")


def test_who_needs_no_zone_does_not_import_zoneinfo(tmp_path: Path) -> None:
    program = f"""
import sys
from logly import Logger, LoggerConfig
with Logger(LoggerConfig(auto_sink=False, timezone="utc")) as logger:
    logger.add_sink({str(tmp_path / "log")!r}, rotation="daily")
    logger.info("x")
print("zoneinfo" in sys.modules)
"""
    assert run_program(program).stdout == "False\n"
