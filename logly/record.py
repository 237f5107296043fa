"""`Record`: one log record as Python sees it, in function sinks and filters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime


class RecordException(NamedTuple):
    """The exception of a record, as text that was made when the record was logged."""

    type: str
    message: str
    stack: str


class Record:
    """One log record, made on the flusher's thread for one sink. Changing it does not change any line, except where a
    sink's `transform` returns it.

    Attributes:
        time_ns: nanoseconds since the epoch. A record that came through `StdlibHandler` may have a time of its own.
        level: the level's name, such as ``"INFO"``.
        level_number: its number.
        message: the formatted message.
        name: the logger's name.
        module, function, path, lineno: the call site; ``filename`` is the last part of the path.
        thread: the operating system's number of the calling thread; ``thread_name``: its name at the call.
        process: the process id. A record that came through `StdlibHandler` has the thread and process that made it.
        fields: the structured fields. Fields of the call win over bound ones, and bound ones over the context's.
        exception: `RecordException`, or None.
        recorder: whether a dump of the flight recorder has written it: the levels did not when it was logged.
        stack: the stack of the call as text, where the call had ``stack_info=True``; or None.

    Two records are equal if all of that is. A record is also equal to a tuple of its level's name and its message, and
    to one of these and its fields, so that a test can say ``records == [("INFO", "paid", {"order": 7})]``.
    """

    __slots__ = (
        "exception",
        "fields",
        "function",
        "level",
        "level_number",
        "lineno",
        "message",
        "module",
        "name",
        "path",
        "process",
        "recorder",
        "stack",
        "thread",
        "thread_name",
        "time_ns",
    )

    def __init__(
        self,
        time_ns: int,
        level: str,
        level_number: int,
        message: str,
        name: str,
        site: tuple[str, str, str, int],
        thread: int,
        thread_name: str,
        process: int,
        fields: dict[str, Any],
        exception: tuple[str, str, str] | None,
        stack: str | None = None,
        recorder: bool = False,
    ) -> None:
        self.time_ns = time_ns
        self.level = level
        self.level_number = level_number
        self.message = message
        self.name = name
        self.module, self.function, self.path, self.lineno = site
        self.thread = thread
        self.thread_name = thread_name
        self.process = process
        self.fields = fields
        self.exception = RecordException(*exception) if exception is not None else None
        self.stack = stack
        self.recorder = recorder

    @property
    def filename(self) -> str:
        """The last part of `path`."""
        return self.path.replace("\\", "/").rpartition("/")[2]

    @property
    def time(self) -> datetime:
        """The time stamp in local time, aware; microseconds."""
        from datetime import UTC, datetime, timedelta

        seconds, nanoseconds = divmod(self.time_ns, 1_000_000_000)
        instant = datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=nanoseconds // 1000)
        return instant.astimezone()

    def __eq__(self, other: object) -> bool:
        """Whether all attributes are equal. A tuple is compared with (level, message) or (level, message, fields)."""
        if isinstance(other, tuple) and 2 <= len(other) <= 3:
            return other == (self.level, self.message, self.fields)[: len(other)]
        if not isinstance(other, Record):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in Record.__slots__)

    def __hash__(self) -> int:
        return hash((self.time_ns, self.thread, self.level_number))

    def __repr__(self) -> str:
        fields = "".join([f" {name}={self.fields[name]!r}" for name in self.fields])
        error = f" ({self.exception.type}: {self.exception.message})" if self.exception is not None else ""
        return f"<Record {self.level} {self.module}:{self.function}:{self.lineno} {self.message!r}{fields}{error}>"
