"""`LightLogger`, what `Logger.once`, `first`, `every` and `limit` return. Its log methods are compiled."""

from __future__ import annotations

from ._core import Limited, bound_fields, install_light_methods, light_with_fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

    from .levels import Level

__all__ = ["LightLogger"]


class LightLogger(Limited):
    """A logger that lets some of its calls pass and counts the others: what `Logger.once` and its sisters return.

    It logs through the logger that it was made by: same name, same bound fields, same sinks. A call whose level is off
    is not counted. The next record that passes has the field ``suppressed``: how many calls were held back since the
    one before. What no record has told is told when the logger is closed, in a line of logly's own.
    """

    __slots__ = ()

    def __init__(self) -> None:
        text = "a LightLogger is made by a logger: write logger.once(), first(10), every(100) or limit('5/s')"
        raise TypeError(text)

    if TYPE_CHECKING:
        # The log methods are compiled, and `install_light_methods` below adds them. These are for type checkers.

        def trace(self, message: object, /, *args: Any, **fields: Any) -> None:
            """Log a message at TRACE (5), if the counter lets it pass; see `Logger.info`."""

        def debug(self, message: object, /, *args: Any, **fields: Any) -> None:
            """Log a message at DEBUG (10), if the counter lets it pass; see `Logger.info`."""

        def info(self, message: object, /, *args: Any, **fields: Any) -> None:
            """Log a message at INFO (20), if the counter lets it pass; see `Logger.info`."""

        def success(self, message: object, /, *args: Any, **fields: Any) -> None:
            """Log a message at SUCCESS (25), if the counter lets it pass; see `Logger.info`."""

        def warning(self, message: object, /, *args: Any, **fields: Any) -> None:
            """Log a message at WARNING (30), if the counter lets it pass; see `Logger.info`."""

        def warn(self, message: object, /, *args: Any, **fields: Any) -> None:
            """Log a message at WARNING (30): `warning` by another name, if the counter lets it pass."""

        def error(self, message: object, /, *args: Any, **fields: Any) -> None:
            """Log a message at ERROR (40), if the counter lets it pass; see `Logger.info`."""

        def fail(self, message: object, /, *args: Any, **fields: Any) -> None:
            """Log a message at FAIL (45), if the counter lets it pass; see `Logger.info`."""

        def critical(self, message: object, /, *args: Any, **fields: Any) -> None:
            """Log a message at CRITICAL (50), if the counter lets it pass; see `Logger.info`."""

        def exception(self, message: object, /, *args: Any, **fields: Any) -> None:
            """Log at ERROR (40), with the exception that is being handled, if the counter lets it pass."""

        def log(self, level: Level | int | str, message: object, /, *args: Any, **fields: Any) -> None:
            """Log a message at a level given as `Level`, int, or name in any case, if the counter lets it pass.

            Raises:
                ConfigError: there is no such level.
            """

        def is_enabled_for(self, level: Level | int | str) -> bool:
            """Whether the level is on. The counter is not asked, and nothing is counted.

            Raises:
                ConfigError: there is no such level.
            """
            ...

    def bind(self, /, **fields: Any) -> Self:
        """A light logger that puts these fields on every record and counts with the same counter; see `Logger.bind`."""
        child: Self = light_with_fields(self, bound_fields(self, fields))
        return child

    def __repr__(self) -> str:
        return f"<LightLogger {self._origin}>"

    # As with `Logger`, a copy of an object that has a light logger shares it, and its counter.
    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self


install_light_methods(LightLogger)
