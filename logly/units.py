"""Converts sizes and ages as people write them ("10 MB", "30 days", a `timedelta`) to bytes and nanoseconds."""

import sys

from .errors import invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import timedelta
    from typing import TypeGuard

__all__ = ["parse_age", "parse_size"]

_PREFIXES = "kmgtp"
SIZE_UNITS: "dict[str, int]" = {"": 1, "b": 1, "byte": 1, "bytes": 1}
for _power, _letter in enumerate(_PREFIXES, 1):
    SIZE_UNITS[_letter] = SIZE_UNITS[_letter + "b"] = 1000**_power
    SIZE_UNITS[_letter + "i"] = SIZE_UNITS[_letter + "ib"] = 1024**_power

_NUMBER_CHARS = 40  # far below the length from which on int() refuses a number

_SECOND_NS = 1_000_000_000
_DAY_NS = 86_400 * _SECOND_NS
_AGE_NAMES = {
    _SECOND_NS: ("s", "sec", "secs", "second", "seconds"),
    60 * _SECOND_NS: ("m", "min", "mins", "minute", "minutes"),
    3600 * _SECOND_NS: ("h", "hour", "hours"),
    _DAY_NS: ("d", "day", "days"),
    7 * _DAY_NS: ("w", "week", "weeks"),
    30 * _DAY_NS: ("month", "months"),
    365 * _DAY_NS: ("year", "years"),
}
AGE_UNITS: "dict[str, int]" = {name: ns for ns, names in _AGE_NAMES.items() for name in names}
"""Nanoseconds of each unit of time. A month is 30 days and a year 365: an age is a length, not a date."""

_SIZE_EXPECTED = (
    "a whole number of bytes, or a number and a unit: 'kB', 'MB', 'GB', 'TB' (powers of 1000), "
    "'KiB', 'MiB', 'GiB', 'TiB' (powers of 1024)"
)
_AGE_EXPECTED = "a timedelta, or numbers and units: '30 days', '12 hours', '1 week 2 days'"


def parse_size(value: "int | str", *, field: "str | None" = None) -> int:
    """Return a size in bytes.

    Args:
        value: bytes as an int, or text: a number and a unit in any case, with or without a space. Units
            without ``i`` are decimal (``"10 MB"`` is 10,000,000 and ``"512k"`` is 512,000), units with ``i``
            binary (``"1 GiB"`` is 1,073,741,824). ``B`` always means bytes. Fractions are rounded to a byte.
        field: the field to name in the error.

    Raises:
        ConfigError: negative, not a number, or an unknown unit.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return int(value)
    if not isinstance(value, str):
        raise invalid(field, value, _SIZE_EXPECTED)
    pairs = _numbers_and_units(value)
    if pairs is None or len(pairs) != 1 or pairs[0][1] not in SIZE_UNITS:
        raise invalid(field, value, _SIZE_EXPECTED)
    number, unit = pairs[0]
    return _times(number, SIZE_UNITS[unit])


def parse_age(value: "timedelta | str", *, field: "str | None" = None) -> int:
    """Return a length of time in nanoseconds.

    Args:
        value: a `timedelta`, or text: ``"30 days"``, ``"12 hours"``, ``"1 week 2 days"``, ``"90s"``; seconds,
            minutes, hours, days, weeks, months (30 days) and years (365 days), also as s, m or min, h, d, w.
        field: the field to name in the error.

    Raises:
        ConfigError: not longer than zero, not a number, or an unknown unit.
    """
    age_ns = 0
    if is_timedelta(value):
        age_ns = value.days * _DAY_NS + value.seconds * _SECOND_NS + value.microseconds * 1000
    elif isinstance(value, str):
        for number, unit in _numbers_and_units(value) or ():
            if unit not in AGE_UNITS:
                raise invalid(field, value, _AGE_EXPECTED)
            age_ns += _times(number, AGE_UNITS[unit])
    if age_ns <= 0:
        raise invalid(field, value, _AGE_EXPECTED)
    return age_ns


def is_timedelta(value: object) -> "TypeGuard[timedelta]":
    """Return whether `value` is a `timedelta`. Only if datetime has been imported already can there be one."""
    datetime = sys.modules.get("datetime")
    return datetime is not None and isinstance(value, datetime.timedelta)


def _numbers_and_units(text: str) -> "list[tuple[str, str]] | None":
    """Split "1 week 2.5d" into [("1", "week"), ("2.5", "d")]; return None if the text does not have that form."""
    pairs: list[tuple[str, str]] = []
    rest = text.strip().lower()
    while rest:
        after = rest.lstrip("0123456789._")
        number = rest[: len(rest) - len(after)].replace("_", "")
        after = after.lstrip()
        rest = after.lstrip("abcdefghijklmnopqrstuvwxyz")
        whole, _, fraction = number.partition(".")
        if not (whole + fraction).isdigit() or len(number) > _NUMBER_CHARS:
            return None
        pairs.append((number, after[: len(after) - len(rest)]))
        rest = rest.lstrip(" ,")
    return pairs or None


def _times(number: str, unit: int) -> int:
    """Multiply a decimal text by a unit exactly, and round half up to a whole number."""
    whole, _, fraction = number.partition(".")
    scale: int = 10 ** len(fraction)
    return (int(whole + fraction) * unit * 2 + scale) // (2 * scale)
