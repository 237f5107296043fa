"""When a file's period ends: boundaries against zoneinfo, and clocks that are set."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logly._core import ZONE_UTC
from logly.errors import ConfigError
from logly.files.schedule import NEVER_NS, Schedule, next_boundary, parse_rotation
from tests.support.instants import SECOND, ns

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "America/Sao_Paulo",
    "Pacific/Apia",
    "Africa/Casablanca",
]
ROTATIONS = ["hourly", "daily", "weekly", "monthly", "yearly", "02:30", "00:00", "23:59:59"]


def is_on_dial(kind, wall):
    if kind[0].isdigit():
        return f"{wall:%H:%M:%S}" == (kind + ":00")[:8]
    if (wall.minute, wall.second) != (0, 0):
        return False
    midnight = wall.hour == 0
    return {
        "hourly": True,
        "daily": midnight,
        "weekly": midnight and wall.weekday() == 0,
        "monthly": midnight and wall.day == 1,
        "yearly": midnight and (wall.month, wall.day) == (1, 1),
    }[kind]


def oracle(kind, after_s, zone):
    """The definition, by brute force: where the wall clock's high-water mark passes a mark on the dial."""
    tz = ZoneInfo(zone)

    def wall(instant):
        return datetime.fromtimestamp(instant, tz).replace(tzinfo=None)

    step = 1 if kind.endswith("59") else 60
    start = after_s - after_s % 60 - 26 * 3600
    highest = wall(start)
    for instant in range(start + step, after_s + 50 * 3600, step):
        now = wall(instant)
        while now > highest:
            highest += timedelta(seconds=step)
            if is_on_dial(kind, highest) and instant > after_s:
                return instant
    return None


CHANGES = {
    "Europe/Berlin": ["2024-03-31", "2024-10-27"],
    "America/New_York": ["2024-03-10", "2024-11-03"],
    "Australia/Lord_Howe": ["2024-04-07", "2024-10-06"],
    "America/Sao_Paulo": ["2018-02-18", "2018-11-04"],  # midnight itself is skipped, or comes twice
    "Pacific/Apia": ["2011-12-30"],  # a whole day is skipped
    "Africa/Casablanca": ["2024-03-10", "2024-04-14"],
}


@pytest.mark.parametrize("zone", CHANGES)
@pytest.mark.parametrize("kind", ["hourly", "daily", "02:30"])
def test_boundaries_around_clock_changes_agree_with_brute_force(in_zone, zone, kind):
    in_zone(zone)
    rotation = parse_rotation(kind)
    for day in CHANGES[zone]:
        middle = ns(day) // SECOND
        for after in range(middle - 15 * 3600, middle + 15 * 3600, 5400 + 60 * 7):
            expected = oracle(kind, after, zone)
            assert next_boundary(rotation, after * SECOND) == expected * SECOND, (zone, after)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(
    zone=st.sampled_from(ZONES),
    kind=st.sampled_from(ROTATIONS),
    after_ns=st.integers(ns("1971-01-01"), ns("2090-01-01")),
)
def test_a_boundary_is_later_on_the_dial_and_the_last_before_the_next(in_zone, zone, kind, after_ns):
    in_zone(zone)
    rotation = parse_rotation(kind)
    boundary = next_boundary(rotation, after_ns)
    assert boundary > after_ns
    assert next_boundary(rotation, boundary - 1) == boundary
    if after_ns > ns("2015-01-01"):
        # transitions in this range are of an hour at most
        tz = ZoneInfo(zone)
        shown = [datetime.fromtimestamp(boundary // SECOND - back, tz).replace(tzinfo=None) for back in (0, 1)]
        assert is_on_dial(kind, shown[0]) or shown[0] - shown[1] > timedelta(seconds=1)


@pytest.mark.parametrize(
    ("kind", "after", "boundary"),
    [
        ("hourly", "2024-01-01T00:00:00", "2024-01-01T01:00:00"),
        ("daily", "2024-02-28T23:59:59", "2024-02-29T00:00:00"),
        ("weekly", "2024-01-01T00:00:00", "2024-01-08T00:00:00"),
        ("weekly", "2024-01-07T12:00:00", "2024-01-08T00:00:00"),
        ("monthly", "2024-01-31T12:00:00", "2024-02-01T00:00:00"),
        ("monthly", "2024-12-31T12:00:00", "2025-01-01T00:00:00"),
        ("yearly", "2024-06-01T00:00:00", "2025-01-01T00:00:00"),
        ("14:05", "2024-01-01T14:05:00", "2024-01-02T14:05:00"),
        ("6 hours", "2024-01-01T05:00:00", "2024-01-01T06:00:00"),
        (timedelta(minutes=15), "2024-01-01T05:14:59", "2024-01-01T05:15:00"),
    ],
)
def test_boundaries_in_utc(kind, after, boundary):
    assert next_boundary(parse_rotation(kind), ns(after), zone=ZONE_UTC) == ns(boundary)


def test_where_the_calendar_ends_no_boundary_comes():
    assert next_boundary(parse_rotation("yearly"), ns("9999-06-01"), zone=ZONE_UTC) == NEVER_NS
    assert Schedule(None, 0).next_ns == NEVER_NS


@pytest.mark.parametrize("value", ["24:00", "1:2:3:4", "dayly", "", 5, None, timedelta(milliseconds=1), "-1 day"])
def test_a_wrong_rotation_is_refused(value):
    with pytest.raises(ConfigError, match="hourly"):
        parse_rotation(value)


def test_a_clock_set_back_does_not_pass_the_same_boundary_again():
    schedule = Schedule(parse_rotation("hourly"), ns("2024-01-01T09:30"), zone=ZONE_UTC)
    assert schedule.is_due(ns("2024-01-01T10:00"))
    schedule.advance(ns("2024-01-01T10:00:03"))
    assert not schedule.is_due(ns("2024-01-01T09:59"))
    assert not schedule.is_due(ns("2024-01-01T10:00"))
    assert schedule.is_due(ns("2024-01-01T11:00"))


def test_a_wrong_date_put_right_does_not_stop_rotation():
    schedule = Schedule(parse_rotation("daily"), ns("2099-01-01"), zone=ZONE_UTC)
    assert not schedule.is_due(ns("2024-01-01T12:00"))
    assert schedule.next_ns == ns("2024-01-02")


def test_a_rotation_by_size_leaves_the_period_as_it_is():
    schedule = Schedule(parse_rotation("daily"), ns("2024-01-01T09:30"), zone=ZONE_UTC)
    schedule.advance(ns("2024-01-01T12:00"))
    assert schedule.next_ns == ns("2024-01-02")


def test_a_file_of_yesterday_is_due_at_start_and_is_named_by_its_own_boundary():
    schedule = Schedule(parse_rotation("daily"), ns("2024-01-05T09:00"), zone=ZONE_UTC)
    assert schedule.ended_before(ns("2024-01-01T22:00"), ns("2024-01-05T09:00")) == ns("2024-01-02")
    assert schedule.ended_before(ns("2024-01-05T08:00"), ns("2024-01-05T09:00")) is None
