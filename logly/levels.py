"""Levels: their numbers and names, and how a user's spelling of one becomes a number."""

from enum import IntEnum

from .errors import invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Level", "level_number"]

MAX_LEVEL = 0x7FFF
"""The highest number that a level may have; a record keeps its level in 16 bits."""

OFF = 0x7FFFFFFF
"""A threshold above all levels, as the core has it."""


class Level(IntEnum):
    """Severity of a record; the numbers agree with the standard library's where both have the level."""

    # The only list of levels. setup.py reads it, and the core is built with these numbers in this order. A test
    # compares the list in the docs with it.

    TRACE = 5
    DEBUG = 10
    INFO = 20
    SUCCESS = 25
    WARNING = 30
    ERROR = 40
    FAIL = 45
    CRITICAL = 50


LEVEL_COLORS: "dict[int, str]" = {
    Level.TRACE: "dim",
    Level.DEBUG: "cyan",
    Level.INFO: "default",
    Level.SUCCESS: "green",
    Level.WARNING: "yellow",
    Level.ERROR: "red",
    Level.FAIL: "bright_red",
    Level.CRITICAL: "bold white on red",
}
"""Colour of each built-in level, as `parse_color` takes it, by number; "default" is the terminal's own."""

BUILTIN_LEVELS: "dict[str, int]" = {level.name: level.value for level in Level}
"""Number of each built-in level by its upper-case name."""

LEVEL_ALIASES: "dict[str, int]" = {"WARN": 30, "FATAL": 50, "NOTSET": 0}
"""Further spellings, those of the standard library's `logging`; NOTSET lets everything pass."""


def level_number(
    value: "Level | int | str",
    custom: "Mapping[str, int] | None" = None,
    *,
    field: str = "level",
) -> int:
    """Return the number of a level.

    Args:
        value: a `Level`, any int from 0 to 32767, or a name in any case: a built-in level, ``"warn"``,
            ``"fatal"``, ``"notset"``, or a custom one.
        custom: number of each custom level by name (any case). Built-in names cannot be redefined.
        field: the field to name in the error.

    Raises:
        ConfigError: there is no such level. The message lists the names and suggests the nearest one.

    Examples:
        >>> level_number("warn"), level_number(Level.SUCCESS), level_number("notice", {"NOTICE": 22})
        (30, 25, 22)
    """
    if isinstance(value, str):
        name = value.strip().upper()
        number = BUILTIN_LEVELS.get(name, LEVEL_ALIASES.get(name))
        if number is None and custom:
            number = next((custom[own] for own in custom if own.upper() == name), None)
        if number is not None:
            return number
    elif isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_LEVEL:
        return int(value)
    names = [*BUILTIN_LEVELS, *(custom or ())]
    expected = f"{', '.join(names)}, or an int from 0 to {MAX_LEVEL}"
    raise invalid(field, value, expected, [*names, "WARN", "FATAL"])
