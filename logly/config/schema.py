"""`LoggerConfig` and `SinkConfig`: every setting, with its default, unit and meaning.

The objects are plain and mutable; they are checked when they are used (`Logger`, `configure`, `add_sink`), or
by `validate()`. Each field carries its check and its documentation in the dataclass field's metadata (keys
"check", "unit", "doc"), from which docs/configuration.md is generated.

Annotations are text, for type checkers only. The names in them are not imported at run time, so
`typing.get_type_hints` of the two classes raises NameError.
"""

import os

from logly.errors import ConfigError
from logly.levels import Level

from . import checks
from .agreement import check_sink, format_of
from .setting import checked, own_copy, own_names
from .setting import setting as _setting
from .setting import table as _table
from .target_settings import FileSettings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextvars import ContextVar
    from dataclasses import KW_ONLY, dataclass, fields, replace
    from os import PathLike
    from typing import Any, Literal, Protocol

    from logly._fields import Fields
    from logly.record import Record

    class TextStream(Protocol):
        """What a file object must have to serve as `SinkConfig.stream`."""

        def write(self, text: str, /) -> object: ...

else:
    from .lazy_dataclass import dataclass, fields, replace

__all__ = ["LoggerConfig", "SinkConfig"]

MIB = 1 << 20
_MAX_MS = 86_400_000
_BOOLEAN: "checks.Check" = checks.boolean
_OPTIONAL_BOOLEAN = checks.optional(checks.boolean)
_MS = checks.number(0, _MAX_MS, "milliseconds")


@dataclass(kw_only=True, slots=True)
class LoggerConfig:
    """Settings of a logger; every field is described in docs/configuration.md.

    Assigning a name that is not a field raises AttributeError. Values are checked when the object is used.
    """

    level: "Level | int | str | Mapping[str, Any] | None" = _setting(
        None,
        checks.optional(checks.levels_by_name),
        "",
        "threshold: records below it are not logged. Also [by name](levels.md): `info,shop.db=debug`. None: "
        "what `LOGLY_LEVEL` says, else the lowest level that a sink asks for (INFO for sinks that ask for none)",
    )
    level_file: "str | PathLike[str] | None" = _setting(
        None,
        checks.optional(checks.plain_path),
        "",
        "a file with directives like those of `level`, which go before them; looked at once a second, [while the "
        "program runs](levels.md#while-the-program-runs)",
    )
    async_buffer_size: "int | str" = _setting(
        MIB, checks.size(4096), "bytes", "one ring; rounded up to a power of two; at least 4096"
    )
    async_flush_interval: float = _setting(
        100, _MS, "ms", "how long a record may wait in memory; 0: written as soon as possible"
    )
    flush_level: "Level | int | str | None" = _setting(
        Level.ERROR,
        checks.optional(checks.level),
        "",
        "a record at or above it wakes the flusher, which writes at once; None: never",
    )
    overflow: 'Literal["block", "drop"]' = _setting(
        "block",
        checks.one_of("block", "drop"),
        "",
        "ring full: `block` waits with the GIL released, and loses records in [three "
        "cases](asynchronous.md#what-block-can-still-lose) only; `drop` discards the new record, counts it, and says "
        "so in the log",
    )
    stall_timeout: float = _setting(
        1.0,
        checks.number(0, 86_400, "seconds"),
        "s",
        "how long a sink that takes nothing may delay callers before its records are discarded and counted",
    )
    max_message_bytes: "int | str" = _setting(
        64 * MIB,
        checks.size(64),
        "bytes",
        "a longer message is cut, with a mark that says so; up to 4 KiB of a template's own text is not counted",
    )
    auto_sink: bool = _setting(True, _BOOLEAN, "", "a console sink until a sink is added")
    global_console_display: bool = _setting(True, _BOOLEAN, "", "master switch of all console sinks")
    global_file_storage: bool = _setting(True, _BOOLEAN, "", "master switch of all file sinks")
    global_color_display: bool = _setting(True, _BOOLEAN, "", "master switch of all colours")
    json: bool = _setting(False, _BOOLEAN, "", "JSON lines from sinks that name no layout")
    pretty_json: bool = _setting(
        False, _BOOLEAN, "", "JSON over several indented lines, for people, from sinks that name no layout"
    )
    log_compact: bool = _setting(False, _BOOLEAN, "", "the short layout for sinks that name none")
    show_time: bool = _setting(True, _BOOLEAN, "", "time stamp in the default text layout")
    show_module: bool = _setting(True, _BOOLEAN, "", "module in the default text layout")
    show_function: bool = _setting(True, _BOOLEAN, "", "function in the default text layout")
    show_lineno: bool = _setting(True, _BOOLEAN, "", "line number in the default text layout")
    show_filename: bool = _setting(False, _BOOLEAN, "", "file name in the default text layout")
    level_colors: "Mapping[Any, str]" = _table(
        checks.level_colors,
        "colour by level: names (`bold yellow`, `bright_red`, `red on white`) or SGR codes (`31;1`)",
    )
    styles: "Mapping[str, str]" = _table(
        checks.styles,
        "how the parts of a line look on a terminal, by name (`time`, `level`, `place`, `message`, `key` and more): "
        "see [the console](console.md#styles)",
    )
    custom_levels: "Mapping[str, int]" = _table(
        checks.custom_levels, "number (0 to 32767) of each further level by name; matched in any case"
    )
    redact: "bool | list[str] | tuple[str, ...] | None" = _setting(
        None,
        checks.optional(checks.field_patterns),
        "",
        "names of fields whose values become `[redacted]` in all that is written: in any case, `*` stands for any "
        "characters, also below other fields; True: the [usual names](secrets.md#the-usual-names); None or False: none",
    )
    redact_text: bool = _setting(
        False,
        _BOOLEAN,
        "",
        "also messages and tracebacks are searched for secrets: values after the usual keys and those of `redact`, "
        "tokens, passwords in URLs, card numbers; see [secrets](secrets.md#in-text)",
    )
    diagnose: bool = _setting(
        False,
        _BOOLEAN,
        "",
        "tracebacks show the [values of variables](exceptions.md#values-in-tracebacks) that the failing lines name; "
        "these may be secrets",
    )
    sampling: "tuple[int, int] | None" = _setting(
        None,
        checks.optional(checks.sampling),
        "",
        "`(first, then)`: in each second the first records of one template and level pass, and then each `then`-th (0: "
        "none); see [sampling](limits.md#sampling); None: all pass",
    )
    sampling_level: "Level | int | str | None" = _setting(
        Level.ERROR,
        checks.optional(checks.level),
        "",
        "records at or above it are never held back by `sampling`; None: also those of the highest level are",
    )
    timezone: str = _setting(
        "local",
        checks.timezone,
        "",
        "`local`, `utc` or a [zone](#time-zones) such as `Europe/Berlin`, for text and rotation; JSON is always UTC",
    )
    encode: "Mapping[type, Callable[[Any], object]]" = _table(
        checks.encoders,
        "functions for [values of your own classes](layouts.md#values-of-your-own-classes), by class: called with the "
        "value of a field, on the caller's thread; what they return is the value",
    )
    on_error: "Callable[[Exception], object] | None" = _setting(
        None,
        checks.optional(checks.function),
        "",
        "called with each error, and with [advice](asynchronous.md#watching-it), which is a `logly.Advice`; never on "
        "the caller's thread. None: stderr, each text at most once a second",
    )
    context_from: "ContextVar[Any] | Callable[[], Mapping[str, Any] | Fields | None] | dict[str, ContextVar[Any] | Callable[[], Any]] | None" = _setting(  # noqa: E501
        None,
        checks.optional(checks.context_source),
        "",
        "fields that are [read at each call](context.md#fields-that-the-program-keeps): a ContextVar, or a function "
        "that is called on the caller's thread. It gives a mapping, `logly.fields(...)` (encoded once) or None. Or a "
        "dict of these by the name of a field, each of which gives one value",
    )
    trace_context: 'Literal["opentelemetry"] | None' = _setting(
        None,
        checks.optional(checks.trace_context),
        "",
        "`opentelemetry`: each record has `trace_id`, `span_id` and `trace_flags` of [the current "
        "span](context.md#traces); needs opentelemetry-api",
    )
    time_source: "Callable[[], int] | None" = _setting(
        None,
        checks.optional(checks.function),
        "",
        "called at each call: gives the record's time in nanoseconds since 1970, for [tests](testing.md#time). It is "
        "only shown; rotation goes by the real time. Slow; None: the clock",
    )
    recorder: "Level | int | str | None" = _setting(
        None,
        checks.optional(checks.level),
        "",
        "the [flight recorder](recorder.md) keeps what the levels do not write, from this level on; None: there is "
        "none",
    )
    recorder_size: "int | str" = _setting(
        MIB, checks.size(4096, 1 << 40), "bytes", "memory of the flight recorder; rounded up to a power of two"
    )
    recorder_trigger: "Level | int | str | None" = _setting(
        Level.ERROR,
        checks.optional(checks.level),
        "",
        "a record at or above it has what the flight recorder holds written before it; None: only "
        "`Logger.dump_recorder` has",
    )
    recorder_field: "str | None" = _setting(
        None,
        checks.optional(checks.field_name),
        "",
        "only kept records with the same value of this field as the record that failed are written; None: all of them",
    )
    spool: "str | PathLike[str] | None" = _setting(
        None,
        checks.optional(checks.plain_path),
        "",
        "path of the [spool](spool.md), which makes file sinks crash-safe; the process id is appended; None: the ring "
        "is in plain memory",
    )
    spool_fsync: "float | None" = _setting(
        None,
        checks.optional(checks.number(1, _MAX_MS, "milliseconds")),
        "ms",
        "how often the spool and the file sinks are synced, so that they survive power loss too; None: never. Needs "
        "`spool`; Linux",
    )

    def _fill(self, values: "dict[str, Any]") -> None:
        """Take from the environment what the program does not set: see docs/configuration.md."""
        if len(values) < len(fields(self)) and any(name.startswith("LOGLY_") for name in os.environ):
            from .environment import fill_from_environment

            fill_from_environment({one.name: one for one in fields(self)}, values)

    def copy(self) -> "LoggerConfig":
        """Return an independent copy; nothing is checked."""
        return replace(
            self,
            level=own_copy(self.level),
            level_colors=dict(self.level_colors),
            styles=dict(self.styles),
            custom_levels=dict(self.custom_levels),
            encode=dict(self.encode),
            context_from=own_copy(self.context_from),
            redact=own_names(self.redact),
        )

    def validate(self) -> None:
        """Check every field.

        Raises:
            ConfigError: the first field that is wrong; names the field, the value and what is valid.
        """
        self.resolved()

    def resolved(self, added_levels: "Mapping[str, int] | None" = None) -> "LoggerConfig":
        """Return a checked copy in plain form: levels as int or `LevelSpec`, sizes as bytes, words in lower case.

        `level_colors` becomes SGR sequences by level number.

        Args:
            added_levels: the levels of `Logger.add_level`, which the settings may name.

        Raises:
            ConfigError: as `validate`.
        """
        levels = checks.custom_levels("custom_levels", self.custom_levels, {})
        plain = LoggerConfig(**checked(self, {**(added_levels or {}), **levels}))
        if plain.spool_fsync is not None and plain.spool is None:
            value = self.spool_fsync
            text = f"spool_fsync = {value!r} needs a spool: set spool, or leave spool_fsync out"
            raise ConfigError(text, field="spool_fsync", value=value)
        return plain


@dataclass(slots=True)
class SinkConfig(FileSettings):
    """Settings of a sink; every field is described in docs/configuration.md.

    At most one of `path`, `stream`, `fd`, `function`, `batch` and `socket` is given; with none, the sink is the console
    (stderr). `path` may be given without its name: ``SinkConfig("app.log", level="debug")``.
    """

    path: "str | PathLike[str] | None" = _setting(
        None,
        checks.optional(checks.path),
        "",
        "file to append to, its folders are made; `{pid}`, `{time}` and `{time:PATTERN}` are filled in when "
        "the sink is opened",
    )
    _: "KW_ONLY"
    stream: 'Literal["stdout", "stderr"] | TextStream | None' = _setting(
        None,
        checks.optional(checks.stream),
        "",
        "`stdout`, `stderr` (followed where replaced, as under pytest) or a text file object",
    )
    fd: "int | None" = _setting(
        None,
        checks.optional(checks.integer(0, checks.MAX_DESCRIPTOR, "an open descriptor, 0 or more")),
        "",
        "an open descriptor: pipe, socket, memfd; not closed by logly",
    )
    function: "Callable[[Record], object] | None" = _setting(
        None, checks.optional(checks.function), "", "called with each `Record` on the flusher's thread"
    )
    batch: "Callable[[bytes, int], object] | None" = _setting(
        None,
        checks.optional(checks.function),
        "",
        "called with rendered lines and the number of records, [in batches](fleet.md), on a thread of this sink's own; "
        "an exception keeps the batch for another try",
    )
    batch_bytes: "int | str" = _setting(MIB, checks.size(1, 1 << 30), "bytes", "the most that one batch has")
    batch_backlog: "int | str" = _setting(
        16 * MIB,
        checks.size(1, 1 << 40),
        "bytes",
        "the most that waits for `batch`; beyond it the oldest lines are given up, counted and told",
    )
    async_write: bool = _setting(True, _BOOLEAN, "", "False: the record is in the kernel when the call returns")
    buffer_size: "int | str" = _setting(64 * 1024, checks.size(1, 1 << 30), "bytes", "collected before a write")
    flush_interval: "float | None" = _setting(
        None, checks.optional(_MS), "ms", "None: the logger's `async_flush_interval`; 1000 for a `batch`"
    )
    level: "Level | int | str | Mapping[str, Any] | None" = _setting(
        None,
        checks.optional(checks.levels_by_name),
        "",
        "lowest level that passes, also [by name](levels.md): `info,shop.db=debug`. None: what the logger's "
        "level lets through",
    )
    filter_min_level: "Level | int | str | Mapping[str, Any] | None" = _setting(
        None, checks.optional(checks.levels_by_name), "", "the same as `level`, under its first name"
    )
    filter_max_level: "Level | int | str | None" = _setting(
        None, checks.optional(checks.level), "", "highest level that passes"
    )
    filter_module: "str | list[str] | tuple[str, ...] | None" = _setting(
        None, checks.optional(checks.names), "", "a module and everything below it, or a list of them"
    )
    filter_function: "str | list[str] | tuple[str, ...] | None" = _setting(
        None, checks.optional(checks.names), "", "name of a function, or a list of them"
    )
    filter: "Callable[[Record], bool] | None" = _setting(
        None, checks.optional(checks.filter_function), "", "called with the `Record`; False keeps the line out"
    )
    transform: "Callable[[Record], Record | None] | None" = _setting(
        None,
        checks.optional(checks.function),
        "",
        "called with the `Record`, [returns the one to write](secrets.md#by-a-function), or None: no line. Slow",
    )
    format: "str | None" = _setting(
        None,
        checks.optional(checks.layout),
        "",
        "layout template, or a layout's name: `json`, `logfmt`, or one of the [presets](presets.md) `ecs`, `gcp`, "
        "`datadog`, `otlp`, or one of [syslog's](syslog.md) `rfc3164`, `rfc5424`, `journald`; None: the default layout",
    )
    json: "bool | None" = _setting(None, _OPTIONAL_BOOLEAN, "", "JSON lines; None: the logger's setting")
    json_keys: "Mapping[str, str | None] | None" = _setting(
        None,
        checks.optional(checks.json_keys),
        "",
        "JSON: other names for its keys, `{'level': 'severity'}`; None instead of a name (or an empty one) leaves the "
        "key out: [JSON as you need it](layouts.md#json-as-you-need-it)",
    )
    json_static: "Mapping[str, Any] | None" = _setting(
        None, checks.optional(checks.json_static), "", "JSON: further members, the same in every line"
    )
    json_fields: "str | None" = _setting(
        None,
        checks.optional(checks.json_key),
        "",
        "JSON: the key of an object that has all fields; None: the fields stand beside the other keys",
    )
    json_time: 'Literal["rfc3339", "epoch_s", "epoch_ms", "epoch_ns"] | None' = _setting(
        None,
        checks.optional(checks.one_of("rfc3339", "epoch_s", "epoch_ms", "epoch_ns")),
        "",
        "JSON: the time stamp as text, or as a number since 1970-01-01 UTC: seconds with six decimals, whole "
        "milliseconds, nanoseconds; None: `rfc3339`",
    )
    json_level: 'Literal["name", "lower", "number"] | None' = _setting(
        None,
        checks.optional(checks.one_of("name", "lower", "number")),
        "",
        "JSON: the level as its name, its name in lower case, or its number; None: what the layout has, `name` in "
        "plain JSON",
    )
    color: "bool | Literal['level', 'line'] | None" = _setting(
        None,
        checks.color,
        "",
        "`level` (or True) colours the level, `line` the whole line, False nothing; None: a terminal yes, a file no, "
        "by [these rules](layouts.md#colours)",
    )
    recorder: bool = _setting(
        True, _BOOLEAN, "", "False: what the logger's [flight recorder](recorder.md) writes is not for this sink"
    )
    date_enabled: "bool | None" = _setting(
        None, _OPTIONAL_BOOLEAN, "", "time stamp on or off; None: the logger's setting"
    )
    date_style: "str | None" = _setting(
        None, checks.optional(checks.time_pattern), "", "time pattern; None: `YYYY-MM-DD HH:mm:ss.SSS`"
    )
    newlines: 'Literal["keep", "escape", "indent"] | None' = _setting(
        None,
        checks.optional(checks.one_of("keep", "escape", "indent")),
        "",
        "line breaks within a text record: `keep` them, `escape` them (`\\n`), or `indent` what follows "
        "them; None: `indent` in the console's own layout, else `escape`",
    )
    dedup: "float | None" = _setting(
        None,
        checks.optional(checks.number(0.001, 86_400, "seconds")),
        "s",
        "equal records in succession become [one line and a count](sinks.md#repeats), for so long; None: each has its "
        "own line",
    )

    def copy(self) -> "SinkConfig":
        """Return an independent copy; nothing is checked."""
        return replace(
            self,
            level=own_copy(self.level),
            filter_min_level=own_copy(self.filter_min_level),
            json_keys=own_copy(self.json_keys),
            json_static=own_copy(self.json_static),
        )

    def validate(self, custom_levels: "Mapping[str, int] | None" = None) -> None:
        """Check every field, and that they agree.

        Args:
            custom_levels: the logger's own levels, which the level filters may name.

        Raises:
            ConfigError: the first field that is wrong; names the field, the value and what is valid.
        """
        self.resolved(custom_levels)

    def resolved(self, custom_levels: "Mapping[str, int] | None" = None) -> "SinkConfig":
        """Return a checked copy in plain form: levels as int or `LevelSpec`, sizes as bytes, names as tuples.

        The path becomes text (still a template), the compression its canonical name.

        Raises:
            ConfigError: as `validate`.
        """
        plain = SinkConfig(**checked(self, custom_levels or {}))
        plain.format = format_of(plain)
        check_sink(plain, self)
        plain.level = plain.filter_min_level = plain.level or plain.filter_min_level
        return plain
