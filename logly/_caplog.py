"""logly's records for pytest's own handlers of `logging`: `caplog`, the live log, the log file.

They get a `LogRecord` of each record that a logger lets through. Those that came by `logging` have got there already.
`logly_pytest`, the plugin, imports this module when a test asks for it, and there are loggers.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from typing import TYPE_CHECKING

from ._core import came_by_logging, thread_ident
from .control.capture_sink import Collector
from .errors import ConfigError
from .stdlib import StdlibSink, given
from .system.unpatched import SystemLock

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from .control.capture_sink import CaptureSink
    from .record import Record

    Handlers = Callable[[], list[logging.Handler]]

__all__ = ["Feed"]


class Feed(Collector):
    """Gives logly's records to the handlers that pytest has put on the root logger, when they are read.

    Args:
        thread: pytest's.
        quiet: those of pytest's handlers that only keep records.
        loud: those that print or write them. They get them on pytest's thread, because the one that prints the live
            log stops pytest's capturing for a moment, which no other thread may do.
    """

    def __init__(self, thread: int, quiet: Handlers, loud: Handlers) -> None:
        super().__init__(None, None)
        self._thread = thread
        self._ways: list[tuple[Handlers, deque[logging.LogRecord]]] = [(quiet, deque()), (loud, deque())]
        self._convert = StdlibSink(logging.NullHandler())._attributes
        self._giving = SystemLock()
        self._told: deque[Hashable] = deque()
        self._given: Counter[Hashable] = Counter()
        """What the program itself has given to `logging`, by a `StdlibSink`."""

    @classmethod
    def begun(cls, thread: int, quiet: Handlers, loud: Handlers) -> Feed | None:
        """A feed, or None where `logging` cannot get records of other threads: with eventlet."""
        try:
            feed = cls(thread, quiet, loud)
        except ConfigError:
            return None
        given.append(feed._note)
        feed.begin()
        return feed

    def wants(self, _sink: CaptureSink, raw: bytes) -> bool:
        return not came_by_logging(raw)

    def _note(self, record: Record) -> None:
        self._told.append(_place(record))

    def complete(self) -> None:
        """Waits until pytest's handlers have what was logged before.

        Raises what a handler or its filter raises, as a call of `logging` does. What is left comes the next time.
        """
        self.wait()  # without the lock: code that is waited for may read pytest's records
        with self._giving:
            for record in self.take():
                self._queue(record)
            for handlers, records in self._ways if thread_ident() == self._thread else self._ways[:1]:
                while records:
                    _give(records.popleft(), handlers())

    def end(self) -> None:
        super().end()
        if self._note in given:
            given.remove(self._note)
        self.complete()

    def _queue(self, record: Record) -> None:
        while self._told:
            self._given[self._told.popleft()] += 1
        place = _place(record)
        if self._given[place]:
            self._given[place] -= 1
            return
        attributes = self._convert(record)
        attributes["name"] = record.module if record.name == "root" else record.name
        for _, records in self._ways:
            records.append(logging.makeLogRecord(attributes))


def _place(record: Record) -> Hashable:
    """What two sinks' records of one call have in common, even if one of the sinks has changed its own."""
    return record.time_ns, record.thread, record.level_number, record.path, record.lineno


def _give(record: logging.LogRecord, handlers: list[logging.Handler]) -> None:
    trouble = None
    for handler in handlers:
        if record.levelno >= handler.level:
            try:
                handler.handle(record)
            except RecursionError:
                raise
            except Exception as error:  # noqa: BLE001  # the others get it nevertheless
                trouble = error
    if trouble is not None:
        raise trouble
