"""The levels of one logger: the built-in ones, those of its settings, and those of `Logger.add_level`."""

from __future__ import annotations

from logly._core import MAX_LEVELS, define_levels, name_level
from logly.config.checks import custom_levels
from logly.errors import ConfigError, show
from logly.layout.colors import parse_color
from logly.levels import BUILTIN_LEVELS, LEVEL_ALIASES, LEVEL_COLORS, Level, level_number
from logly.system.unpatched import SystemLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from logly._core import Core
    from logly.config.schema import LoggerConfig

    from .plan import Plan

__all__ = ["LevelTable"]

MAX_NAMED_LEVELS = MAX_LEVELS - 16
"""A number that is logged without a name of its own gets one while the table has fewer levels than this.

The remaining places are kept for levels that are added later.
"""


class LevelTable:
    """Names, numbers and colours of a logger's levels, and their indices in the core's table.

    Args:
        core: the logger's engine.
        config: the logger's settings, checked.

    Attributes:
        config: the settings in force.
        added: name in capitals and number of each level that was added by `addition`.
        added_colors: name in capitals and colour, as the terminal gets it, of those that were given one.

    Raises:
        ConfigError: there are too many levels.
    """

    def __init__(self, core: Core, config: LoggerConfig) -> None:
        self.core = core
        self.config = config
        self.added: dict[str, int] = {}
        self.added_colors: dict[str, str] = {}
        # A log call may take this lock, so no thread waits for anything while it holds it.
        self._resolving = SystemLock()
        self.check_room({**{level.name: int(level) for level in Level}, **config.custom_levels})
        define_levels(core, self._levels(config))

    @property
    def custom(self) -> dict[str, int]:
        """Name in capitals and number of each level that is not built in."""
        custom = {}  # without a cell variable, see `Plan`
        for name in self.config.custom_levels:
            custom[name.upper()] = self.config.custom_levels[name]
        return {**custom, **self.added}

    def spelt_as(self, given: Mapping[str, int]) -> dict[str, int]:
        """Returns `custom` with each name spelt as in `given`."""
        spelling = {}
        for name in given:
            spelling[name.strip().upper()] = name
        spelt, custom = {}, self.custom
        for name in custom:
            spelt[spelling.get(name, name)] = custom[name]
        return spelt

    def check_room(self, wanted: Mapping[str, int]) -> None:
        """Raises ConfigError if the core's table has no room for these levels beside those that it has."""
        known = self.core.level_index
        new = {name.upper() for name in wanted} - set(known)
        if len({index for _, index in known.values()} | new) > MAX_LEVELS:
            text = f"custom_levels: more than {MAX_LEVELS} levels in all"
            raise ConfigError(text, field="custom_levels", value=wanted)

    def plan_config(self, plan: Plan, config: LoggerConfig) -> None:
        """Puts the levels of new settings into a plan."""
        plan.call(define_levels, self.core, self._levels(config))
        plan.set(self, config=config)

    def addition(self, name: str, number: int, color: str | None) -> Callable[[Plan], None]:
        """Checks a custom level. Returns the function that puts it into a plan. Raises ConfigError."""
        if isinstance(name, str) and name.strip().upper() in {**BUILTIN_LEVELS, **LEVEL_ALIASES}:
            text = f"add_level({show(name)}, {show(number)}): logly has that level; use a name that no level has yet"
            raise ConfigError(text, field="custom_levels", value=number)
        checked = custom_levels("custom_levels", {name: number}, {})
        sgr = parse_color(color, field="color") if color is not None else ""
        self.check_room(checked)
        upper = name.strip().upper()
        new = [(key.upper(), checked[key]) for key in checked]
        name_level(name)
        shown = sgr or self.added_colors.get(upper) or self._colors(self.config).get(number, "")

        def fill(plan: Plan) -> None:
            plan.call(self.added.update, new)
            if sgr:
                plan.call(self.added_colors.update, [(upper, sgr)])
            plan.call(define_levels, self.core, [(key, value, shown) for key, value in new])

        return fill

    def coloring(self, name: str, sgr: str) -> Callable[[Plan], None]:
        """Puts the colour of a level into a plan that the settings have, and that was added in another process."""

        def fill(plan: Plan) -> None:
            plan.call(self.added_colors.update, [(name, sgr)])
            plan.call(define_levels, self.core, [(name, self.custom[name], sgr)])

        return fill

    def resolve(self, level: Any) -> tuple[int, int]:
        """Returns (number, index) of a level that the core does not know by this spelling. Raises ConfigError."""
        number = self._number(level)
        names = self.core.level_index
        with self._resolving:
            found = names.get(number)
            if isinstance(level, str):
                found = names.get(level.strip().upper(), found)
            if found is None:
                # The core's table is bounded. When it is full, all further numbers share the name LEVEL.
                name = _unnamed(number) if len(set(names.values())) < MAX_NAMED_LEVELS else "LEVEL"
                found = (number, self.core.put_level(name, number, self.config.level_colors.get(number, "")))
            if len(names) < 2000:
                names[level] = found
        return found

    def _number(self, level: Any) -> int:
        try:
            return level_number(level, self.custom)
        except ConfigError as unknown:
            if not isinstance(level, str):
                raise
            text = f"{unknown}; a level of your own comes first: add_level({level!r}, number)"
            raise ConfigError(text, field=unknown.field, value=level) from None

    def after_fork_in_child(self) -> None:
        """Makes a new lock: another thread of the parent may have held the old one."""
        self._resolving = SystemLock()

    def _colors(self, config: LoggerConfig) -> dict[int, str]:
        colors = {number: parse_color(LEVEL_COLORS[number]) for number in LEVEL_COLORS}
        colors.update(config.level_colors)
        return colors

    def _levels(self, config: LoggerConfig) -> list[tuple[str, int, str]]:
        """All levels with these settings, for `define_levels`."""
        colors = self._colors(config)
        levels = []
        for level in Level:
            levels.append((level.name, int(level), colors.get(int(level), "")))  # noqa: PERF401, see `Plan`
        custom = {**config.custom_levels, **self.added}
        for name in custom:
            number = custom[name]
            name_level(name)
            levels.append((name.upper(), number, self.added_colors.get(name.upper(), colors.get(number, ""))))
        return levels


def _unnamed(number: int) -> str:
    """The standard library's name for a level that has no name."""
    return f"LEVEL {number}"
