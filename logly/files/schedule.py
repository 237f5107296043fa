"""When a file's period ends: calendar boundaries and intervals, correct across clock changes.

One rule covers daylight saving, moved time zones and skipped days: **a boundary is the first instant at which
the wall clock reaches it.** So a boundary that falls into a gap (a day of 23 hours) is the instant of the
jump. A boundary that the clock passes twice (a day of 25 hours) counts once, and the repeated hour belongs to the
hour before.

This module is imported only if a sink rotates.
"""

import time
from datetime import datetime, timedelta
from typing import NamedTuple

from logly._core import NEVER_NS, ZONE_LOCAL, ZONE_UTC, zone_offset_at
from logly.errors import ConfigError, invalid
from logly.units import parse_age

__all__ = ["NEVER_NS", "Rotation", "Schedule", "next_boundary", "parse_rotation"]

PERIODS = ("hourly", "daily", "weekly", "monthly", "yearly")

_SECOND_NS = 1_000_000_000
_EPOCH = datetime(1970, 1, 1)
_SECOND = timedelta(seconds=1)
_DAY_S = 86_400


class Rotation(NamedTuple):
    """A parsed `SinkConfig.rotation`."""

    kind: str
    """One of `PERIODS`, or "at" (a time of day), or "every" (an interval)."""
    amount: int = 0
    """"at": seconds after midnight; "every": nanoseconds."""


def parse_rotation(value: "str | timedelta", *, field: str = "rotation") -> Rotation:
    """Return when to rotate.

    Args:
        value: ``"hourly"``, ``"daily"``, ``"weekly"`` (Monday 00:00), ``"monthly"``, ``"yearly"``; a time of
            day ``"HH:MM"``, ``"HH:MM:SS"`` or ``"midnight"``; or an interval, as a `timedelta` or text
            (``"6 hours"``), of at least one second. Intervals are counted from 1970-01-01 00:00 UTC, so that a
            restart does not shift them and all processes agree.
        field: the field to name in the error.

    Raises:
        ConfigError: anything else.
    """
    if isinstance(value, str):
        word = value.strip().lower()
        if word in PERIODS:
            return Rotation(word)
        if word == "midnight":
            return Rotation("daily")
        seconds = _time_of_day(word)
        if seconds is not None:
            return Rotation("at", seconds)
    try:
        amount = parse_age(value)
    except ConfigError:
        amount = 0
    if amount < _SECOND_NS:
        periods = ", ".join(map(repr, PERIODS))
        expected = f"{periods}, 'midnight', 'HH:MM', or an interval: '6 hours', a timedelta (1 s or more)"
        if isinstance(value, str) and value.strip().lower().endswith("b"):
            expected += "; a size goes into size_limit"
        raise invalid(field, value, expected, PERIODS)
    return Rotation("every", amount)


def _time_of_day(word: str) -> "int | None":
    parts = word.split(":")
    if len(parts) not in (2, 3) or not all(part.isascii() and part.isdigit() and len(part) <= 2 for part in parts):
        return None
    hour, minute, second = (*map(int, parts), 0)[:3]
    return hour * 3600 + minute * 60 + second if hour < 24 and minute < 60 and second < 60 else None


def next_boundary(rotation: Rotation, after_ns: int, *, zone: int = ZONE_LOCAL) -> int:
    """Return the first boundary later than an instant, both in nanoseconds since the epoch.

    Args:
        rotation: what `parse_rotation` returned.
        after_ns: the instant; a boundary at exactly this instant does not count.
        zone: the time zone of the wall clock, as `format_time` has it; local time is that of ``TZ``.

    Returns:
        The boundary, or `NEVER_NS` where the calendar ends (year 9999).
    """
    if rotation.kind == "every":
        return min((after_ns // rotation.amount + 1) * rotation.amount, NEVER_NS)
    after_s = after_ns // _SECOND_NS
    try:
        boundary = wall_clock(after_s, zone)
        while True:
            boundary = _next_wall(rotation, boundary)
            boundary_s = first_instant(boundary, zone)
            if boundary_s * _SECOND_NS > after_ns:  # else the clock passes this boundary for the second time
                return min(boundary_s * _SECOND_NS, NEVER_NS)
    except (OverflowError, ValueError, OSError):
        return NEVER_NS


def _next_wall(rotation: Rotation, wall: datetime) -> datetime:
    """Return the first boundary after `wall` in wall-clock time, even if the clock skips it."""
    midnight = wall.replace(hour=0, minute=0, second=0, microsecond=0)
    if rotation.kind == "at":
        today = midnight + timedelta(seconds=rotation.amount)
        return today if today > wall else today + timedelta(days=1)
    if rotation.kind == "hourly":
        return midnight + timedelta(hours=wall.hour + 1)
    if rotation.kind == "daily":
        return midnight + timedelta(days=1)
    if rotation.kind == "weekly":
        return midnight + timedelta(days=7 - wall.weekday())
    if rotation.kind == "monthly":
        return (midnight.replace(day=1) + timedelta(days=32)).replace(day=1)
    return datetime(wall.year + 1, 1, 1)


def wall_clock(instant_s: int, zone: int) -> datetime:
    """Return what the wall clock shows at an instant, in seconds since the epoch."""
    if zone != ZONE_LOCAL:
        return _EPOCH + timedelta(seconds=_dial(instant_s, zone))
    shown = time.localtime(instant_s)
    return datetime(*shown[:5], min(shown.tm_sec, 59))  # 60 in zones that count leap seconds


def first_instant(wall: datetime, zone: int) -> int:
    """Return the first instant, in seconds since the epoch, at which the wall clock has reached `wall`.

    The candidates are `wall` under each offset from UTC that is in force around it (PEP 495's method). If the
    clock never shows `wall`, the instant at which it jumps over `wall` is found by bisection.
    """
    dial_s = (wall - _EPOCH) // _SECOND
    if zone == ZONE_UTC:
        return dial_s
    near = _near(dial_s, zone)
    shown = [instant for instant in near if _dial(instant, zone) == dial_s]
    if shown:
        return min(shown)
    before, reached = min(near), max(near)
    while reached - before > 1:
        middle = (before + reached) // 2
        if _dial(middle, zone) < dial_s:
            before = middle
        else:
            reached = middle
    return reached


def last_instant(wall: datetime, zone: int) -> int:
    """Like `first_instant`; where the clock shows `wall` twice, the second time."""
    dial_s = (wall - _EPOCH) // _SECOND
    if zone == ZONE_UTC:
        return dial_s
    shown = [instant for instant in _near(dial_s, zone) if _dial(instant, zone) == dial_s]
    return max(shown) if shown else first_instant(wall, zone)


def _near(dial_s: int, zone: int) -> "set[int]":
    """The instants at which the wall clock shows `dial_s` under the offsets from UTC that are in force around it."""
    around = (dial_s + shift for shift in (-_DAY_S, -_DAY_S // 2, 0, _DAY_S // 2, _DAY_S))
    return {dial_s - (_dial(instant, zone) - instant) for instant in around}


def _dial(instant_s: int, zone: int) -> int:
    """What the wall clock shows at an instant, as seconds since it showed 1970-01-01 00:00."""
    if zone == ZONE_LOCAL:
        return (wall_clock(instant_s, zone) - _EPOCH) // _SECOND
    return instant_s + zone_offset_at(zone, instant_s)


class Schedule:
    """The present period of one file: when it ends, and how it changes when somebody sets the clock.

    If the clock is set back by less than a period, nothing changes: the boundary that was passed does not count again.
    If it is set back further (a wrong date was corrected), rotation would stop until the old date comes. So the
    period is then computed anew, without a rotation.

    Attributes:
        next_ns: end of the present period, in nanoseconds since the epoch. The core compares time stamps with
            it. `NEVER_NS` if the file does not rotate by time.
    """

    __slots__ = ("next_ns", "rotation", "zone")

    def __init__(self, rotation: "Rotation | None", now_ns: int, *, zone: int = ZONE_LOCAL) -> None:
        self.rotation = rotation
        self.zone = zone
        self.next_ns = NEVER_NS if rotation is None else next_boundary(rotation, now_ns, zone=zone)

    def is_due(self, now_ns: int) -> bool:
        """Return whether the period is over. If the clock was set far back, compute the period anew."""
        if now_ns >= self.next_ns:
            return True
        if self.rotation is not None:
            coming = next_boundary(self.rotation, now_ns, zone=self.zone)
            if self.next_ns > next_boundary(self.rotation, coming, zone=self.zone):
                self.next_ns = coming
        return False

    def advance(self, now_ns: int) -> None:
        """Begin the period that `now_ns` lies in. Does nothing before the present period's end."""
        if self.rotation is not None and now_ns >= self.next_ns:
            self.next_ns = next_boundary(self.rotation, now_ns, zone=self.zone)

    def ended_before(self, last_write_ns: int, now_ns: int) -> "int | None":
        """Return the boundary that a file found at start should have been rotated at, or None.

        A file belongs to the period of its last write (its mtime). So a file whose last line is from yesterday is
        rotated before today's first line. The file's time of creation is not needed: a file that was made before this
        period and written in it was rotated at the boundary. Besides, Python cannot read that time on Linux.
        """
        if self.rotation is None:
            return None
        boundary_ns = next_boundary(self.rotation, last_write_ns, zone=self.zone)
        return boundary_ns if boundary_ns <= now_ns else None
