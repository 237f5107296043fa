"""Time zones of the IANA database for `LoggerConfig.timezone`, from the standard library's `zoneinfo`.

A zone's changes are found once in a process, and copied into the core's table (text/zones.pxd), because the flusher
formats times without the GIL. Imported only if a logger is set to such a zone.
"""

from datetime import datetime
from zoneinfo import ZoneInfo, available_timezones

from logly._core import add_zone
from logly.errors import ConfigError, invalid, nearest

__all__ = ["zone_number"]

_DAY_S = 86_400
_END_S = 130 * 365 * _DAY_S + 32 * _DAY_S
"""2100-01-01, seconds since the epoch. The offset that a zone has then also holds later."""
_STEP_S = 3 * _DAY_S
"""No zone has had two changes within this time since 1970: the nearest two are 6.9 days apart (tzdata 2025b)."""
_MOST_NEAR = 3

_numbers: "dict[str, int]" = {}


def zone_number(name: str, *, field: str = "timezone") -> int:
    """Return the number that the core has for a zone.

    Args:
        name: as in the database, case included: ``"Europe/Berlin"``.
        field: the field to name in the error.

    Raises:
        ConfigError: there is no such zone.
    """
    number = _numbers.get(name)
    if number is None:
        # Two threads may both get here. Then the core has the zone twice, and one of the numbers is used from then on.
        number = _numbers.setdefault(name, add_zone(_changes(_find(name, field))))
    return number


def _find(name: str, field: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not there; not a name; a folder of zones
        raise _not_found(name, field) from None


def _not_found(name: str, field: str) -> ConfigError:
    known = available_timezones()
    expected = "'local', 'utc', or the name of a time zone like 'Europe/Berlin'"
    if not known:
        expected += "; this system has no time zones: install the package tzdata (pip install tzdata)"
        return invalid(field, name, expected)
    near = _nearest(name, known)
    if near:
        expected += f"; did you mean {' or '.join(map(repr, near))}?"
    else:
        expected += "; the package tzdata (pip install tzdata) has the newest ones"
    return invalid(field, name, expected)


def _nearest(name: str, known: "set[str]") -> "list[str]":
    """The zones of the same place (``berlin``, ``America/Berlin``), else the one whose name is most like this one."""
    place = _place(name.replace(" ", "_"))
    same = sorted(one for one in known if _place(one) == place)
    close = nearest(name, known) if not same else None
    return same[:_MOST_NEAR] if close is None else [close]


def _place(name: str) -> str:
    return name.rpartition("/")[2].lower()


def _changes(zone: ZoneInfo) -> "list[tuple[int, int, bytes]]":
    """The offset and the short name of 1970-01-01, and each change of one of them from then to 2100."""
    last = _at(zone, 0)
    changes = [(0, *last)]
    for second in range(_STEP_S, _END_S + _STEP_S, _STEP_S):
        present = _at(zone, second)
        if present != last:
            changes.append((_first_with(present, zone, second), *present))
            last = present
    return changes


def _at(zone: ZoneInfo, second: int) -> "tuple[int, bytes]":
    moment = datetime.fromtimestamp(second, zone)
    offset, name = moment.utcoffset(), moment.tzname()
    assert offset is not None
    return int(offset.total_seconds()), (name or "").encode("ascii", "replace")


def _first_with(present: "tuple[int, bytes]", zone: ZoneInfo, second: int) -> int:
    """The first second of what the zone has at `second`, within the last step."""
    before, reached = second - _STEP_S, second
    while reached - before > 1:
        middle = (before + reached) // 2
        if _at(zone, middle) == present:
            reached = middle
        else:
            before = middle
    return reached
