"""`Record`: one log record as Python sees it, in function sinks and filters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

__all__ = ["Record", "RecordException", "advice"]

if TYPE_CHECKING:
    from datetime import datetime


_WORDS = {
    "args": "record.message, which the arguments have filled",
    "asctime": "record.time, a datetime",
    "created": "record.time, a datetime, or record.time_ns",
    "elapsed": "record.time; logly has no elapsed time",
    "event": "record.message",
    "exc_info": "record.exception",
    "exc_text": "record.exception.stack",
    "extra": "record.fields",
    "file": "record.filename or record.path",
    "funcName": "record.function",
    "getMessage": "record.message",
    "levelname": "record.level",
    "levelno": "record.level_number",
    "line": "record.lineno",
    "msg": "record.message",
    "pathname": "record.path",
    "processName": "record.process, its number",
    "record": "the Record itself: the function gets no message around it",
    "stack_info": "record.stack",
    "threadName": "record.thread_name",
    "timestamp": "record.time, a datetime, or record.time_ns",
}
"""What the records of other libraries have, and what it is here."""

_OF_A_TEXT = {"name": "record.level is the name itself", "no": "the level's number is record.level_number"}
_MORE = ("filename", "time")


class RecordException(NamedTuple):
    """The exception of a record, as text that was made when the record was logged."""

    type: str
    message: str
    stack: str


class Record:
    """One log record, made on the flusher's thread for one sink. Changing it does not change any line, except where a
    sink's `transform` returns it. Its `str` is a line for people, with the traceback below it.

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

    if not TYPE_CHECKING:  # type checkers know what there is

        def __getattr__(self, name):
            """Says what another library's name is called here. Python calls it for what there is not."""
            raise AttributeError(_hint(name), name=name, obj=None)

        def __getitem__(self, key):
            """A record is no dict: says which attribute is meant."""
            if isinstance(key, str) and (key in Record.__slots__ or key in _MORE):
                more = " (a str; the number is record.level_number)" if key == "level" else ""
                raise TypeError(f"a Record is an object, not a dict: write record.{key}{more} for record[{key!r}]")
            if isinstance(key, str) and key in _WORDS:
                raise TypeError(f"a Record is an object, not a dict: for record[{key!r}] use {_WORDS[key]}")
            raise TypeError(f"a Record is an object, not a dict. It has {_attributes()}")

    def __eq__(self, other: object) -> bool:
        """Whether all attributes are equal. A tuple is compared with (level, message) or (level, message, fields)."""
        if isinstance(other, tuple) and 2 <= len(other) <= 3:
            return other == (self.level, self.message, self.fields)[: len(other)]
        if not isinstance(other, Record):
            return NotImplemented
        for name in Record.__slots__:
            mine, its = getattr(self, name), getattr(other, name)
            if mine != its and (name != "fields" or repr(mine) != repr(its)):  # a NaN is not equal to itself
                return False
        return True

    def __hash__(self) -> int:
        return hash((self.time_ns, self.thread, self.level_number))

    def __str__(self) -> str:
        time = self.time.strftime("%Y-%m-%d %H:%M:%S.") + f"{self.time_ns // 1_000_000 % 1000:03}"
        parts = [time, f"{self.level:<8}", f"{self.module}:{self.function}:{self.lineno}", self.message]
        line = " | ".join(parts) + "".join(f" | {name}={_shown(self.fields[name])}" for name in self.fields)
        below = [self.exception.stack if self.exception is not None else "", self.stack or ""]
        return "\n".join([_escaped(line), *(text.rstrip("\n") for text in below if text)])

    def __repr__(self) -> str:
        fields = "".join([f" {name}={self.fields[name]!r}" for name in self.fields])
        error = f" ({self.exception.type}: {self.exception.message})" if self.exception is not None else ""
        return f"<Record {self.level} {self.module}:{self.function}:{self.lineno} {self.message!r}{fields}{error}>"


def _attributes() -> str:
    return ", ".join(sorted({*Record.__slots__, *_MORE}))


def _hint(name: str) -> str:
    text = f"'Record' object has no attribute {name!r}"
    if name.startswith("__"):
        return text
    return f"{text}: use {_WORDS[name]}" if name in _WORDS else f"{text}. It has {_attributes()}"


def _shown(value: object) -> str:
    """A field's value as in the default layout: what is nested is JSON."""
    if not isinstance(value, (dict, list)):
        return str(value)
    import json

    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def _escaped(line: str) -> str:
    """The text as one line, which does nothing to a terminal."""
    if line.isprintable():
        return line
    return "".join(char if char.isprintable() or char == "\t" else _escape(char) for char in line)


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def advice(error: BaseException) -> str:
    """What to say of an error that a function has raised about a record; "" where that is not known."""
    text, of = str(error), getattr(error, "obj", None)
    if isinstance(error, AttributeError) and type(of) is str and error.name in _OF_A_TEXT:
        return _OF_A_TEXT[error.name]
    if isinstance(error, AttributeError) and isinstance(of, RecordException):
        return f"record.exception has {', '.join(RecordException._fields)}, all text"
    if isinstance(error, TypeError) and "Record" in text and "a Record is" not in text:
        return f"str(record) is the line; a Record has {_attributes()}"
    return ""
