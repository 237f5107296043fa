"""logly's records for pytest's own handlers of `logging`: `caplog`, the live log, the log file.

They get a `LogRecord` of each record that a logger lets through. Those that came by `logging` have got there already.
`logly_pytest`, the plugin, imports this module when a test asks for it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ._core import came_by_logging, thread_ident
from .control.capture_sink import Collector
from .errors import ConfigError
from .stdlib import StdlibSink

if TYPE_CHECKING:
    from .control.capture_sink import CaptureSink
    from .record import Record

__all__ = ["Feed"]

PYTESTS_OWN = ("_pytest.logging", "logly_pytest")


class Feed(Collector):
    """Gives logly's records to the handlers that pytest has put on the root logger.

    It gives them when they are read, and on the thread that made this object: the handler that prints the live log
    stops pytest's capturing for a moment, which no other thread may do.
    """

    def __init__(self) -> None:
        super().__init__(None, None)
        self._thread = thread_ident()
        self._convert = StdlibSink(logging.NullHandler())._attributes

    @classmethod
    def begun(cls) -> Feed | None:
        """A feed, or None where `logging` cannot get records of other threads: with eventlet."""
        try:
            feed = cls()
        except ConfigError:
            return None
        feed.begin()
        return feed

    def wants(self, sink: CaptureSink, raw: bytes) -> bool:
        # The program itself may give the logger's records to `logging`.
        functions: list[Any] = [one.config.function for one in list(sink.core.sinks.values())]
        return not came_by_logging(raw) and not any(map(_reaches_logging, functions))

    def complete(self) -> None:
        """Waits until pytest's handlers have what was logged before."""
        if thread_ident() == self._thread:
            for record in self.take():
                self._give(record)

    def end(self) -> None:
        super().end()
        self.complete()

    def _give(self, record: Record) -> None:
        attributes = self._convert(record)
        attributes["name"] = record.module if record.name == "root" else record.name
        made = logging.makeLogRecord(attributes)
        for handler in list(logging.getLogger().handlers):
            if type(handler).__module__ in PYTESTS_OWN and made.levelno >= handler.level:
                handler.handle(made)


def _reaches_logging(function: Any) -> bool:
    return isinstance(function, StdlibSink) and isinstance(function.target, logging.Logger)
