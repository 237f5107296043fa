"""The standard library's `logging` and logly, each into the other."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ._core import Producer, emit_from
from .errors import invalid

if TYPE_CHECKING:
    from ._logger import Logger
    from .record import Record

__all__ = ["StdlibHandler", "StdlibSink"]

_OWN_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""What every `logging.LogRecord` has: the rest is what `extra=` put there."""


class StdlibHandler(logging.Handler):
    """A `logging` handler that gives its records to a logly logger.

    Call site, level number, ``exc_info`` and ``extra`` (as fields) are kept. The message is made on the calling
    thread, because ``%`` templates and their arguments are `logging`'s own. The module is the name of the `logging`
    logger, which by custom is the module's; for the root logger it is the file's.

    Args:
        logger: where records go.
        level: `logging` level below which this handler takes none; the logly logger's own threshold applies too.

    Example:
        >>> logging.basicConfig(handlers=[logly.StdlibHandler(logger)], level=logging.INFO)
    """

    def __init__(self, logger: Logger, level: int | str = logging.NOTSET) -> None:
        super().__init__(level)
        if not isinstance(logger, Producer):
            hint = f"ext://{logger}" if isinstance(logger, str) and "." in logger else "ext://your.module.logger"
            raise invalid("logger", logger, f"a logly.Logger (in dictConfig: {hint!r})")
        self.logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Give one record to the logly logger; trouble goes to `handleError`, as in every handler."""
        try:
            fields = {key: value for key, value in vars(record).items() if key not in _OWN_ATTRIBUTES}
            if record.stack_info:
                fields["stack_info"] = record.stack_info
            module = record.module if record.name == "root" else record.name
            place = (module, record.funcName or "?", record.pathname, record.lineno)
            error = record.exc_info[1] if record.exc_info else None
            message = record.getMessage()
            if error is None and record.exc_text:  # it has come through a QueueHandler or a socket
                message = f"{message}\n{record.exc_text}"
            emit_from(self.logger, record.levelno, message, (), fields, error, place)
        except RecursionError:  # as in logging's own handlers
            raise
        except Exception:
            self.handleError(record)

    def flush(self) -> None:
        """Flush the logly logger (for at most five seconds: `logging.shutdown` calls this for every handler)."""
        self.logger.flush(5.0)


class StdlibSink:
    """A function for `SinkConfig.function` that gives logly's records to a `logging` handler or logger.

    It runs on the flusher's thread, so what a test looks for in pytest's ``caplog`` is there after `Logger.flush`.

    Args:
        target: a `logging.Handler`, or a `logging.Logger` (whose level, filters and propagation then apply).

    Example:
        >>> logger.add_sink(SinkConfig(function=StdlibSink(logging.getLogger("app"))))
    """

    def __init__(self, target: logging.Handler | logging.Logger) -> None:
        if not isinstance(target, (logging.Handler, logging.Logger)):
            raise invalid("target", target, "a logging.Handler or a logging.Logger")
        self.target = target

    def __call__(self, record: Record) -> None:
        made = logging.makeLogRecord(self._attributes(record))
        if isinstance(self.target, logging.Logger):
            if self.target.isEnabledFor(made.levelno):
                self.target.handle(made)
        elif made.levelno >= self.target.level:
            self.target.handle(made)

    def _attributes(self, record: Record) -> dict[str, Any]:
        # A field never replaces what logging itself says of the record.
        attributes = {key: value for key, value in record.fields.items() if key not in _OWN_ATTRIBUTES}
        filename = record.filename
        name = self.target.name if isinstance(self.target, logging.Logger) else record.name
        attributes.update(
            name=name,
            levelno=record.level_number,
            levelname=record.level,
            msg=record.message,
            args=None,
            pathname=record.path,
            filename=filename,
            module=filename.rpartition(".")[0] or filename,
            funcName=record.function,
            lineno=record.lineno,
            created=record.time_ns / 1e9,
            msecs=record.time_ns // 1_000_000 % 1000,
            thread=record.thread,
            threadName=record.thread_name,
            process=record.process,
        )
        if record.exception is not None:
            # Rendered already; logging's formatters print `exc_text` as it is.
            attributes["exc_text"] = record.exception.stack.rstrip("\n")
        return attributes
