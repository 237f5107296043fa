"""Records of `logging` that reach no handler and go the way of `logging`: those with a traceback, for example.

`logging` gives them to its `lastResort`. Where the calls on a known route go to `logly.logger`, so do these
(`RouteRules.without_handlers`).
"""

from __future__ import annotations

import logging

from logly.stdlib import StdlibHandler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from logly._core import Producer

__all__ = ["LAST_RESORT", "handling"]

LAST_RESORT: Any = type(logging._defaultLastResort)  # type: ignore[attr-defined]
"""The class of `logging.lastResort`."""


def handling(without_handlers: Callable[[], Producer | None]) -> Any:
    """The method `handle` for `LAST_RESORT`. It takes no lock for a record that goes to logly.

    Args:
        without_handlers: says which logger gets such records; None: none does.
    """

    def handle(self: Any, record: logging.LogRecord) -> Any:
        logger = None
        is_plain = self is logging._defaultLastResort and not self.filters  # type: ignore[attr-defined]
        if is_plain and _reaches_root(record.name):
            logger = without_handlers()
        return super(LAST_RESORT, self).handle(record) if logger is None else _unlisted(logger).handle(record)

    return handle


def _reaches_root(name: object) -> bool:
    """Whether the records of the logger with this name come to the root, as those of a known route do."""
    if name == logging.root.name:
        return True
    logger: Any = logging.Logger.manager.loggerDict.get(name) if type(name) is str else None
    while isinstance(logger, logging.Logger) and logger is not logging.root:
        if not logger.propagate:
            return False
        logger = logger.parent
    return logger is logging.root


def _unlisted(logger: Producer) -> StdlibHandler:
    """A `StdlibHandler` of which `logging` does not know: it would count as the process's first handler."""
    handler = StdlibHandler.__new__(StdlibHandler)
    logging.Filterer.__init__(handler)
    vars(handler).update(level=logging.NOTSET, formatter=None, logger=logger, _name=None, _closed=False)
    return handler
