"""`logly.capture`: the records of some code as a list, for tests."""

from __future__ import annotations

import os

from ._core import Guard, Producer
from .control.capture_sink import Collector
from .errors import invalid
from .levels import level_number
from .record import Record
from .system.unpatched import SystemLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ._logger import Logger
    from .control.controller import Controller
    from .levels import Level

__all__ = ["Capture", "Records", "capture"]

_completing = SystemLock()
"""Held while records are moved from a collector to a list, so that no other reader sees the list without them."""


def _after_fork_in_child() -> None:
    global _completing
    _completing = SystemLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


class Records(list[Record]):
    """The records that `logly.capture` has collected: a list that is complete whenever it is read.

    Reading it waits until what was logged before is in it, in the order of the calls.
    """

    __slots__ = ("_collector", "_name")
    __hash__ = None

    def __init__(self, collector: Collector, name: str | None) -> None:
        super().__init__()
        self._collector = collector
        self._name = name

    def _complete(self) -> None:
        # Without the lock: a sink's function that reads this list may be what is waited for.
        self._collector.wait()
        with _completing:
            found, name = self._collector.take(), self._name
            if name is not None:
                found = [record for record in found if record.name == name or record.name.startswith(f"{name}.")]
            super().extend(found)

    @property
    def messages(self) -> list[str]:
        """The messages alone."""
        return [record.message for record in self]

    if TYPE_CHECKING:

        def __eq__(self, other: object) -> bool: ...

        def __ne__(self, other: object) -> bool: ...

        def copy(self) -> list[Record]:
            """The records until now, as a plain list."""
            ...

        def clear(self) -> None:
            """Forget what was logged until now."""


def _complete_in(name: str) -> Callable[..., Any]:
    """The method of `list` with this name, for a list that is completed first."""
    plain = getattr(list, name)

    def method(self: Records, *arguments: Any, **options: Any) -> Any:
        self._complete()
        for one in arguments:
            if isinstance(one, Records):
                one._complete()
        return plain(self, *arguments, **options)

    method.__name__, method.__doc__ = name, plain.__doc__
    return method


def _added_to(self: Records, other: Any) -> Any:
    return other + list(self) if isinstance(other, list) else NotImplemented


for _name in (
    *("len", "iter", "reversed", "getitem", "setitem", "delitem", "contains", "eq", "ne", "lt", "le", "gt", "ge"),
    *("add", "iadd", "mul", "rmul", "imul", "repr"),
):
    setattr(Records, f"__{_name}__", _complete_in(f"__{_name}__"))
for _name in (*("append", "clear", "copy", "count", "extend", "index", "insert", "pop", "remove", "reverse", "sort"),):
    setattr(Records, _name, _complete_in(_name))
Records.__radd__ = _added_to  # type: ignore[attr-defined]


def capture(logger: Logger | None = None, *, level: Level | int | str | None = None) -> Capture:
    """Collects records in a ``with``, as `Record`s, for tests.

    Args:
        logger: whose records; those of its bound, named and light loggers too. One that `named` or `get_logger` made:
            only those of its name and what is below it. None: those of all loggers, also of those that are made inside
            the ``with``.
        level: from which level on, whatever levels the logger and its sinks have. None: all records. The sinks get
            what they get without this.

    Returns:
        A context manager, whose ``as`` is a `Records`: a list that is complete whenever it is read.

    Raises:
        ConfigError: `logger` is no logger, or there is no such level.

    Examples:
        >>> with logly.capture() as records:
        ...     logger.info("order {oid} paid", oid=7)
        >>> assert records == [("INFO", "order 7 paid", {"oid": 7})]
    """
    return Capture(logger, level)


class Capture(Guard):
    """What `logly.capture` returns. It can be entered once at a time, and again after that."""

    def __init__(self, logger: Logger | None, level: Level | int | str | None) -> None:
        if logger is not None and not isinstance(logger, Producer):
            raise invalid("logger", logger, "a logly.Logger, or None")
        controller: Controller | None = logger._controller if logger is not None else None
        self._name: str | None = None
        if logger is not None and controller is not None:
            name = logger._name
            self._name = name.text if name is not None and name is not controller.core.own_name else None
        custom = controller.levels.custom if controller is not None else {}
        self._controller = controller
        self._level = 0 if level is None else level_number(level, custom)
        self._entered: list[Collector] = []

    if TYPE_CHECKING:

        def __enter__(self) -> Records: ...

    def begin(self) -> Records:
        """Called by `with`.

        Raises:
            RuntimeError: it is entered already.
        """
        collector = Collector(self._controller, self._level)
        self._entered.append(collector)
        if len(self._entered) > 1:  # `end` takes the last one off, which has no sinks yet
            raise RuntimeError("this capture is entered already: each `with` needs a logly.capture() of its own")
        records = Records(collector, self._name)
        collector.begin()
        return records

    def end(self) -> None:
        """Called at the end of the `with`, also where `begin` or this method was interrupted."""
        if self._entered:
            self._entered[-1].end()
            self._entered.pop()
