"""Whether the settings of a sink agree with each other. Each alone has been checked."""

import sys

from logly.errors import ConfigError, show

from . import checks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .schema import SinkConfig

__all__ = ["check_sink", "format_of"]

_OF_JSON = ("json_keys", "json_static", "json_fields", "json_time", "json_level")
_OF_ROTATED = ("retention", "compression", "on_rotate")
_OF_WIRE = ("facility", "app_name")
_OF_SYSLOG = ("sd_id", "bom")
_OF_FILES = ("rotation", "size_limit", "retention", "compression", "watch")


def check_sink(plain: "SinkConfig", given: "SinkConfig") -> None:
    """Raises ConfigError for the first two settings that contradict each other.

    `plain`: the settings in plain form; `given`: as they were given, which is what an error shows.
    """
    _check_target(plain)
    _check_rotated(plain)
    _check_layout(plain, given)
    _check_json(plain)
    _check_wire(plain)
    _check_dedup(plain)
    _check_batch(plain, given)
    _check_levels(plain, given)


def _check_target(plain: "SinkConfig") -> None:
    names = ("path", "stream", "fd", "function", "batch", "socket")
    targets = [name for name in names if getattr(plain, name) is not None]
    if len(targets) > 1:
        raise ConfigError(
            f"{' and '.join(targets)} are set: use one of them, and a sink of its own for each",
            field=targets[1],
            value=getattr(plain, targets[1]),
        )
    if plain.path is not None:
        return
    for name in _OF_FILES:
        if getattr(plain, name) not in (None, False):
            value = getattr(plain, name)
            text = f"{name} = {value!r} needs a file: set path, or leave {name} out"
            raise ConfigError(text, field=name, value=value)


def _check_rotated(plain: "SinkConfig") -> None:
    """What is about rotated files needs something that rotates, or new files by the time in the path."""
    if plain.path is None or plain.rotation is not None or plain.size_limit is not None:
        return
    for name in _OF_ROTATED:
        value = getattr(plain, name)
        if value is None or (name == "retention" and _has_time(str(plain.path))):
            continue
        example = "rotation = 'daily' or size_limit = '10 MB'"
        text = f"{name} = {show(value)} is about rotated files, and nothing rotates this file: set {example}"
        raise ConfigError(text, field=name, value=value)


def _has_time(path: str) -> bool:
    if "{time" not in path:
        return False
    from logly.files.timed_paths import has_time

    return has_time(path)


def _check_layout(plain: "SinkConfig", given: "SinkConfig") -> None:
    if plain.json and given.format is not None and plain.format not in checks.JSON_LAYOUTS:
        text = f"json = True and format = {show(plain.format)}: a line has one layout; leave one of them out"
        raise ConfigError(text, field="format", value=plain.format)


def format_of(plain: "SinkConfig") -> "str | None":
    """The layout of a sink: a socket has one that the other side knows."""
    if plain.format is not None or plain.socket is None:
        return plain.format
    from .socket_address import parse_socket

    return "journald" if parse_socket(plain.socket).is_journal else "rfc5424"


def _check_wire(plain: "SinkConfig") -> None:
    for name in (*_OF_WIRE, *_OF_SYSLOG):
        value, layouts = getattr(plain, name), checks.WIRE_LAYOUTS if name in _OF_WIRE else ("rfc5424",)
        if value not in (None, False) and (plain.format not in layouts or plain.json):
            only = " or ".join(map(repr, layouts))
            text = f"{name} = {show(value)} is for format = {only}: set that, or leave {name} out"
            raise ConfigError(text, field=name, value=value)
    if plain.socket is None:
        if plain.tls is not None:
            text = f"tls = {show(plain.tls)} needs a socket: set socket = 'tls://HOST:PORT', or leave tls out"
            raise ConfigError(text, field="tls", value=plain.tls)
        return
    from .socket_address import parse_socket

    address = parse_socket(plain.socket)
    if sys.platform == "win32" and not address.is_stream:
        text = f"socket = {plain.socket!r} is not available on Windows: use 'tcp://HOST:PORT' or 'tls://HOST:PORT'"
        raise ConfigError(text, field="socket", value=plain.socket)
    if plain.tls is not None and address.kind != "tls":
        text = f"tls = {show(plain.tls)} cannot be used with socket = {plain.socket!r}: use 'tls://HOST:PORT'"
        raise ConfigError(text, field="tls", value=plain.tls)
    if plain.format not in checks.WIRE_LAYOUTS or plain.json:
        value = plain.format if plain.format not in checks.WIRE_LAYOUTS else "json"
        text = f"format = {show(value)} cannot be sent to socket = {plain.socket!r}: use 'rfc5424' or 'journald'"
        raise ConfigError(text, field="format", value=value)
    if plain.format == "journald" and address.kind != "unix":
        text = f"format = 'journald' cannot be sent to socket = {plain.socket!r}: the journal listens on unix:PATH"
        raise ConfigError(text, field="format", value=plain.format)


def _check_json(plain: "SinkConfig") -> None:
    chosen = [name for name in _OF_JSON if getattr(plain, name) is not None]
    if not chosen:
        return
    is_text = plain.format is not None and plain.format not in checks.JSON_LAYOUTS and not plain.json
    if is_text or (plain.format is None and plain.json is False):
        name, value = chosen[0], getattr(plain, chosen[0])
        other = f"format = {show(plain.format)}" if is_text else "json = False"
        text = f"{name} = {show(value)} is for JSON: leave it out, or {other}, or set json = True"
        raise ConfigError(text, field=name, value=value)
    from logly.layout.json_layout import json_members

    json_members(
        plain.format if plain.format in checks.JSON_LAYOUTS else "json",
        keys=plain.json_keys,
        static=plain.json_static,
        fields=plain.json_fields,
        time=plain.json_time,
        level=plain.json_level,
    )


def _check_dedup(plain: "SinkConfig") -> None:
    own = "filter" if plain.filter is not None else "transform" if plain.transform is not None else None
    if plain.dedup is not None and plain.function is not None and own is not None:
        text = (
            f"dedup = {plain.dedup!r} cannot be used with both function and {own}: repeats are counted before "
            f"Python code is called; leave {own} out and have the function look at the record"
        )
        raise ConfigError(text, field="dedup", value=plain.dedup)


def _check_batch(plain: "SinkConfig", given: "SinkConfig") -> None:
    if plain.batch is None and plain.socket is None:
        return
    if not plain.async_write:
        name = "batch" if plain.socket is None else "socket"
        text = f"async_write = False cannot be used with {name}, which is called on another thread: leave it out"
        raise ConfigError(text, field="async_write", value=False)
    if int(plain.batch_backlog) < int(plain.batch_bytes):
        text = (
            f"batch_backlog = {show(given.batch_backlog)} is below batch_bytes = {show(given.batch_bytes)}: the "
            "backlog must have room for one batch at least"
        )
        raise ConfigError(text, field="batch_backlog", value=given.batch_backlog)
    check = getattr(plain.batch, "check_sink", None)
    if check is not None:  # an object of logly's own, as `HttpSink`, knows which lines it can send
        check(plain)


def _check_levels(plain: "SinkConfig", given: "SinkConfig") -> None:
    if plain.level is not None and plain.filter_min_level is not None and plain.level != plain.filter_min_level:
        value = given.filter_min_level
        text = f"filter_min_level = {value!r}, level = {given.level!r}: two names of one setting: use level"
        raise ConfigError(text, field="filter_min_level", value=value)
    low, high = getattr(plain.level or plain.filter_min_level, "level", None), plain.filter_max_level
    if low is not None and isinstance(high, int) and low > high:
        raise ConfigError(
            f"filter_max_level = {high} is below level = {low}: no record would pass",
            field="filter_max_level",
            value=given.filter_max_level,
        )
