"""From the standard library's `logging` to logly (`StdlibHandler`), and from logly to `logging` (`StdlibSink`)."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from ._core import (
    Producer,
    emit_from,
    emit_percent,
    hidden_attributes,
    is_on_for_module,
    template_of,
    template_text,
)
from .errors import ConfigError, invalid
from .system.greenlets import is_eventlet

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._logger import Logger
    from .record import Record

__all__ = ["StdlibHandler", "StdlibSink"]

_OWN_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""Attributes that every `logging.LogRecord` has. All others come from `extra=`."""

_DEFAULT_FORMATS = {
    "%(message)s",
    "{message}",
    "${message}",
    "%(levelname)s:%(name)s:%(message)s",
    "{levelname}:{name}:{message}",
    "${levelname}:${name}:${message}",
}
"""Formats that count as no format: those of a `logging.Formatter` that was given none, and those that
`logging.basicConfig` gives to handlers without a formatter."""

_GET_MESSAGE: Any = logging.LogRecord.getMessage
"""`logging`'s own. A record whose class has another one makes its message itself."""

if getattr(getattr(_GET_MESSAGE, "__code__", None), "co_filename", None) != logging.addLevelName.__code__.co_filename:
    _GET_MESSAGE = None  # it had been replaced before this module was imported


given: list[Callable[[Record], object]] = []
"""Called with each record that a `StdlibSink` gives to a logger of `logging`: by the plugin for pytest, which gives it
to `caplog` otherwise."""


class _NoLock:
    """An object in the place of a handler's lock, which `logging` expects. It locks nothing."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        return True

    def release(self) -> None:
        pass

    def __enter__(self) -> bool:
        return True

    def __exit__(self, *_: object) -> None:
        pass

    def _at_fork_reinit(self) -> None:
        pass


_NO_LOCK = _NoLock()


class StdlibHandler(logging.Handler):
    """A `logging` handler that gives its records to a logly logger.

    Call site, level number, ``exc_info``, ``extra`` (as fields), thread and process are kept. The message is the one
    that `logging` makes, to the byte: braces in it are text. Where the arguments are numbers, texts, booleans and None,
    and the same template has been logged before, the flusher makes it, else the calling thread. The module is the name
    of the `logging` logger, which by custom is the module's; for the root logger it is the file's.

    A record that came through a `QueueListener`, a socket or a pickle keeps the thread, the thread's name and the
    process that it was made in, and its own time. The name of another process is the field ``process_name``.

    The time is the record's own (``created``, to the microsecond) if the record was made by another thread or process,
    or more than a millisecond ago. Otherwise it is the time at which the handler got it. The record's own time is only
    shown: lines stay in the order in which the handler got them, and a record of yesterday rotates no file.

    Level numbers are those of `logging`, from 0 to 32767. A record with another one goes to `handleError`.

    A formatter (`setFormatter`, ``formatter`` in dictConfig) makes the message: its whole text, traceback included, is
    what ``{message}`` shows, and there is no ``{exception}``. Without one, the sink's layout alone decides how a line
    looks, which is what most programs want. The formatter that `logging.basicConfig` gives to a handler when it is told
    no ``format``, and one of ``%(message)s`` alone, count as none.

    The handler has no lock, because a logly logger may be used by many threads at once. So a thread that waits for room
    in the ring does not keep other threads from logging.

    Args:
        logger: the logly logger that gets the records.
        level: the `logging` level below which this handler takes no records. The logly logger's threshold applies too.

    Examples:
        >>> logging.basicConfig(handlers=[logly.StdlibHandler(logger)], level=logging.INFO)
    """

    def __init__(self, logger: Logger, level: int | str = logging.NOTSET) -> None:
        super().__init__(level)
        if not isinstance(logger, Producer):
            hint = f"ext://{logger}" if isinstance(logger, str) and "." in logger else "ext://your.module.logger"
            raise invalid("logger", logger, f"a logly.Logger (in dictConfig: {hint!r})")
        self.logger = logger

    @property  # type: ignore[override]
    def lock(self) -> _NoLock:
        """No lock: a thread that waits for room in the ring would hold it and stop a sink that uses `logging`."""
        return _NO_LOCK

    @lock.setter
    def lock(self, _: object) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Does nothing. `gevent.monkey` puts its own lock into every handler that exists."""

    def createLock(self) -> None:
        """Make no lock, and leave nothing for `logging` to do in a forked child."""

    def handle(self, record: logging.LogRecord) -> bool:
        """Ask the filters and emit, without a lock. From CPython 3.12 on, a filter may return another record."""
        passed = self.filter(record)
        if passed:
            self.emit(passed if isinstance(passed, logging.LogRecord) else record)
        return passed  # type: ignore[return-value,unused-ignore]

    def emit(self, record: logging.LogRecord) -> None:
        """Give one record to the logly logger; trouble goes to `handleError`, as in every handler."""
        try:
            module = record.module if record.name == "root" else record.name
            if not is_on_for_module(self.logger, record.levelno, module):
                return  # before the message is made
            record = self._without_secrets(record if type(record.msg) is str else self._with_text(record))
            # The fields are taken first, because a formatter may put its own attributes on the record.
            own = vars(record)
            fields = {}
            if not _OWN_ATTRIBUTES.issuperset(own):
                fields = {key: own[key] for key in own if key not in _OWN_ATTRIBUTES}
            if record.process not in (None, os.getpid()) and record.processName is not None:
                fields.setdefault("process_name", record.processName)
            args: Any = None
            if self._makes_text():
                message, error, stack = self.format(record), None, None
            else:
                if type(record.args) is tuple and record.args and _is_template(record, own):
                    message, args = record.msg, record.args
                else:
                    message = record.getMessage()
                error, stack = record.exc_info, record.stack_info or None
                if args is None and not error and record.exc_text:  # it came through a QueueHandler or a socket
                    message = f"{message}\n{record.exc_text}"
            place = (module, record.funcName or "?", record.pathname, record.lineno)
            origin = (record.thread, record.threadName, record.process, record.created)
            if args is not None:
                if emit_percent(self.logger, record.levelno, message, args, fields, error, place, origin, stack):
                    return
                message = record.getMessage()
            emit_from(self.logger, record.levelno, message, fields, error, place, origin, stack)
        except RecursionError:  # as in logging's own handlers
            raise
        except Exception:  # noqa: BLE001  # as in logging's own handlers
            self.handleError(record)

    def _with_text(self, record: logging.LogRecord) -> logging.LogRecord:
        """The record, or a copy with the text and the fields of the t-string (CPython 3.14) that is its message."""
        template = template_of(record.msg)
        if template is None or record.args or not _makes_plain_text(record):
            return record
        text, fields = template_text(self.logger, template)
        given, record = record, type(record).__new__(type(record))
        names = {name: fields[name] for name in fields if name not in _OWN_ATTRIBUTES}
        vars(record).update({**names, **vars(given), "msg": text})
        return record

    def _without_secrets(self, record: logging.LogRecord) -> logging.LogRecord:
        """The record, or a copy of it without what the logger hides: its text is made here, of all that is in it."""
        changed = hidden_attributes(self.logger, vars(record), _OWN_ATTRIBUTES)
        if not changed:
            return record
        given, record = record, type(record).__new__(type(record))
        vars(record).update(vars(given), **changed)
        try:
            record.msg = record.getMessage()
        except RecursionError:
            raise
        except Exception:  # noqa: BLE001  # "[redacted]" is no number
            record.msg = f"{record.msg} {record.args}"
        record.args = None
        return record

    def _makes_text(self) -> bool:
        return not is_formatted_by_layout(self.formatter) or type(self).format is not logging.Handler.format

    def flush(self) -> None:
        """Flush the logly logger (for at most five seconds: `logging.shutdown` calls this for every handler).

        Returns at once if the calling thread holds the lock of the `logging` module, as `dictConfig` does while it
        closes the old handlers. A sink that uses `logging` would wait for that lock, and this thread would wait for the
        sink. The logly logger goes on and writes its records soon nevertheless.
        """
        if not _holds_the_lock_of_logging():
            self.logger.flush(5.0)


def is_formatted_by_layout(formatter: logging.Formatter | None) -> bool:
    """Whether a formatter counts as none, so that the layout of the logly sink alone decides how a line looks."""
    return formatter is None or (type(formatter) is logging.Formatter and formatter._fmt in _DEFAULT_FORMATS)


def _is_template(record: logging.LogRecord, own: dict[str, Any]) -> bool:
    """Whether the record's message is ``msg % args``, which `logging`'s own code would make of a str and a tuple."""
    kind = type(record)
    if not _makes_plain_text(record):
        return False
    if kind is not logging.LogRecord and not _has_plain_attributes(kind):
        return False
    return type(record.msg) is str and (not record.exc_text or bool(record.exc_info))


def _makes_plain_text(record: logging.LogRecord) -> bool:
    """Whether `logging`'s own `getMessage` makes the record's text."""
    return type(record).getMessage is _GET_MESSAGE and "getMessage" not in vars(record)


def _has_plain_attributes(kind: type) -> bool:
    access: Any = kind.__getattribute__
    return access is object.__getattribute__ and not hasattr(kind, "msg") and not hasattr(kind, "args")


def _holds_the_lock_of_logging() -> bool:
    is_owned = getattr(logging._lock, "_is_owned", None)  # type: ignore[attr-defined]
    return is_owned is not None and bool(is_owned())


class StdlibSink:
    """A function for `SinkConfig.function` that gives logly's records to a `logging` handler or logger.

    It runs on the flusher's thread, so a test finds the records in pytest's ``caplog`` after `Logger.flush`.

    Args:
        target: a `logging.Handler`, or a `logging.Logger` (whose level, filters and propagation then apply).

    Examples:
        >>> logger.add_sink(SinkConfig(function=StdlibSink(logging.getLogger("app"))))
    """

    def __init__(self, target: logging.Handler | logging.Logger) -> None:
        if not isinstance(target, (logging.Handler, logging.Logger)):
            raise invalid("target", target, "a logging.Handler or a logging.Logger")
        if is_eventlet():
            reason = "eventlet's locks, and so those of `logging`, do not work between threads"
            text = f"StdlibSink: {reason}: pass what `logging` gets to logly, by StdlibHandler"
            raise ConfigError(text, field="target", value=target)
        self.target = target

    def __call__(self, record: Record) -> None:
        made = logging.makeLogRecord(self._attributes(record))
        if isinstance(self.target, logging.Logger):
            if self.target.isEnabledFor(made.levelno):
                for tell in given.copy():
                    tell(record)
                self.target.handle(made)
        elif made.levelno >= self.target.level:
            self.target.handle(made)

    def _attributes(self, record: Record) -> dict[str, Any]:
        # A field never replaces an attribute that `logging` itself sets.
        fields = record.fields
        attributes = {key: fields[key] for key in fields if key not in _OWN_ATTRIBUTES}
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
            created=record.time_ns / 1_000_000_000,  # two ints: the float nearest to the quotient
            msecs=record.time_ns // 1_000_000 % 1000,
            thread=record.thread,
            threadName=record.thread_name,
            process=record.process,
        )
        if record.process != os.getpid():
            attributes["processName"] = attributes.pop("process_name", None)
        if record.exception is not None:
            # The traceback is text already. `logging`'s formatters print `exc_text` as it is.
            attributes["exc_text"] = record.exception.stack.rstrip("\n")
        if record.stack is not None:
            attributes["stack_info"] = record.stack
        return attributes
