"""`logly.capture`: the records of some code as a list, for tests."""

from __future__ import annotations

from functools import partial

from ._core import Guard, Producer
from .control.capture_sink import Collector
from .errors import invalid
from .levels import level_number
from .record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, SupportsIndex

    from ._logger import Logger
    from .control.controller import Controller
    from .levels import Level

__all__ = ["Capture", "Records", "capture"]


class Records(list[Record]):
    """The records that `logly.capture` has collected: a list that is complete whenever it is read.

    Reading it waits until what was logged before is in it, in the order of the calls.
    """

    __slots__ = ("_take",)
    __hash__ = None

    def __init__(self, take: Callable[[], list[Record]]) -> None:
        super().__init__()
        self._take = take

    def _complete(self) -> None:
        super().extend(self._take())

    @property
    def messages(self) -> list[str]:
        """The messages alone."""
        return [record.message for record in self]

    def __len__(self) -> int:
        self._complete()
        return super().__len__()

    def __iter__(self) -> Iterator[Record]:
        self._complete()
        return super().__iter__()

    def __reversed__(self) -> Iterator[Record]:
        self._complete()
        return super().__reversed__()

    if not TYPE_CHECKING:  # the types of list's own are more exact

        def __getitem__(self, index):
            self._complete()
            return super().__getitem__(index)

        def __add__(self, other):
            return [*self, *other]

    def __contains__(self, record: object) -> bool:
        self._complete()
        return super().__contains__(record)

    def __eq__(self, other: object) -> bool:
        self._complete()
        if isinstance(other, Records):
            other._complete()
        return super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        self._complete()
        if isinstance(other, Records):
            other._complete()
        return super().__ne__(other)

    def __repr__(self) -> str:
        self._complete()
        return super().__repr__()

    def copy(self) -> list[Record]:
        """The records until now, as a plain list."""
        return list(self)

    def count(self, record: Any) -> int:
        self._complete()
        return super().count(record)

    def index(self, record: Any, *where: SupportsIndex) -> int:
        self._complete()
        return super().index(record, *where)

    def pop(self, index: SupportsIndex = -1) -> Record:
        self._complete()
        return super().pop(index)

    def clear(self) -> None:
        """Forget what was logged until now."""
        self._complete()
        super().clear()


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

    Example:
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
        self._name: str | None = getattr(logger, "_child_name", None)
        custom = controller.levels.custom if controller is not None else {}
        self._controller = controller
        self._level = 0 if level is None else level_number(level, custom)

    if TYPE_CHECKING:

        def __enter__(self) -> Records: ...

    def begin(self) -> Records:
        """Called by `with`."""
        self._collector = Collector(self._controller, self._level)
        records = Records(partial(self._take, self._collector))
        self._collector.begin()
        return records

    def end(self) -> None:
        """Called at the end of the `with`, also where `begin` was interrupted."""
        self._collector.end()

    def _take(self, collector: Collector) -> list[Record]:
        found, name = collector.take(), self._name
        if name is None:
            return found
        return [record for record in found if record.name == name or record.name.startswith(f"{name}.")]
