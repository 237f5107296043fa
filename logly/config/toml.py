"""Configuration from a TOML file or a mapping: tables ``[logly]`` and ``[[logly.sinks]]``."""

from dataclasses import fields

from logly.errors import ConfigError, invalid, nearest
from logly.system import unpatched as system

from .environment import ONLY_IN_CODE
from .hints import setting_hint
from .schema import LoggerConfig, SinkConfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike
    from typing import Any

__all__ = ["load_dict", "load_file"]

_TABLE = "logly"
_SINKS = "sinks"
_TOOL = "tool"
_ONLY_IN_CODE = {*ONLY_IN_CODE, "function", "filter", "transform", "on_rotate", "batch"}
"""Fields whose values are functions, which a file cannot hold."""


def load_file(path: "str | PathLike[str]") -> "tuple[LoggerConfig, list[SinkConfig]]":
    """Read a configuration from a TOML file.

    Args:
        path: the file. Tables: ``[logly]`` with the fields of `LoggerConfig`, ``[[logly.sinks]]`` with those
            of `SinkConfig`, one table for each sink. Other tables are refused, so that a misspelt name is
            noticed. In a ``pyproject.toml`` the tables are ``[tool.logly]`` and ``[[tool.logly.sinks]]``, and the
            others are not looked at. Paths in the file are relative to the working directory.

    Returns:
        The logger's configuration and those of its sinks, in the file's order; all are checked.

    Raises:
        ConfigError: the file cannot be read or is not TOML; an unknown key or a wrong value. The message
            names the file, the key, the value and the nearest valid name.
    """
    import os
    import tomllib

    name = os.fspath(path)
    try:
        with system.open_file(name, "rb") as file:
            content = tomllib.load(file)
    except OSError as trouble:
        raise ConfigError(f"{name}: cannot be read: {trouble.strerror}", value=name) from trouble
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as trouble:
        raise ConfigError(f"{name}: not valid TOML: {trouble}", value=name) from trouble
    if os.path.basename(name) == "pyproject.toml":
        return _load_tool(name, content)
    if _TABLE not in content:
        near = next((key for key in content if nearest(key, [_TABLE])), None)
        hint = f" (is [{near}] meant to be it?)" if near else ""
        raise ConfigError(f"{name}: there is no table [{_TABLE}]{hint}", value=name)
    return _load_named(f"{name}: ", content)


def _load_tool(name: str, content: "Mapping[str, Any]") -> "tuple[LoggerConfig, list[SinkConfig]]":
    tools = content.get(_TOOL, {})
    if _TABLE not in tools:
        hint = " (is [logly] meant to be it?)" if _TABLE in content else ""
        raise ConfigError(f"{name}: there is no table [{_TOOL}.{_TABLE}]{hint}", value=name)
    return _load_named(f"{name}: {_TOOL}.", {_TABLE: tools[_TABLE]})


def _load_named(place: str, content: "Mapping[str, Any]") -> "tuple[LoggerConfig, list[SinkConfig]]":
    try:
        return _load(content, is_file=True)
    except ConfigError as trouble:
        raise ConfigError(f"{place}{trouble}", field=trouble.field, value=trouble.value) from None


def load_dict(mapping: "Mapping[str, Any]") -> "tuple[LoggerConfig, list[SinkConfig]]":
    """Read a configuration from a mapping.

    Args:
        mapping: shaped like a TOML file, ``{"logly": {..., "sinks": [{...}]}}``, or the content of the table
            ``logly`` alone, ``{"level": "debug", "sinks": [{...}]}``. Values may also be what a file cannot
            hold (functions, streams, `timedelta`).

    Returns:
        The logger's configuration and those of its sinks, in order; all are checked.

    Raises:
        ConfigError: an unknown key or a wrong value; names the key, the value and the nearest valid name.
    """
    if not hasattr(mapping, "items"):
        raise invalid(None, mapping, "a mapping of LoggerConfig's fields, and 'sinks'")
    return _load(mapping if _TABLE in mapping else {_TABLE: mapping}, is_file=False)


def _load(content: "Mapping[str, Any]", *, is_file: bool) -> "tuple[LoggerConfig, list[SinkConfig]]":
    for key in content:
        if key != _TABLE:
            raise invalid(str(key), content[key], f"only the table {_TABLE!r} at the top level")
    table = content[_TABLE]
    if not hasattr(table, "items"):
        raise invalid(_TABLE, table, "a table of LoggerConfig's fields, and 'sinks'")
    settings = dict(table)
    sinks = settings.pop(_SINKS, [])
    if not isinstance(sinks, (list, tuple)) or not all(hasattr(sink, "items") for sink in sinks):
        raise invalid(f"{_TABLE}.{_SINKS}", sinks, f"an array of tables, [[{_TABLE}.{_SINKS}]]")

    logger_config = LoggerConfig(**_known(settings, LoggerConfig, _TABLE, is_file, [_SINKS]))
    _with_place(_TABLE, logger_config.validate)
    custom = logger_config.custom_levels
    sink_configs: list[SinkConfig] = []
    for index, sink in enumerate(sinks):
        place = f"{_TABLE}.{_SINKS}[{index}]"
        sink_config = SinkConfig(**_known(sink, SinkConfig, place, is_file))
        _with_place(place, lambda config=sink_config: config.validate(custom))
        sink_configs.append(sink_config)
    return logger_config, sink_configs


def _known(
    table: "Mapping[str, Any]",
    kind: "type[LoggerConfig | SinkConfig]",
    place: str,
    is_file: bool,
    further: "list[str] | None" = None,
) -> "dict[str, Any]":
    """Return the table as a dict. Raise ConfigError if a key is not a field of `kind`."""
    names = [one.name for one in fields(kind)]
    for key in table:
        value = table[key]
        if key not in names:
            hint = setting_hint(str(key), [*names, *(further or ())], is_sink=kind is SinkConfig)
            raise ConfigError(f"{place}.{key} = {value!r}: there is no such key; {hint}", field=str(key), value=value)
        if is_file and key in _ONLY_IN_CODE:
            text = f"{place}.{key} = {value!r}: a function can only be set in code, not in a file"
            raise ConfigError(text, field=key, value=value)
    return dict(table)


def _with_place(place: str, check: "Any") -> None:
    """Run a check. If it raises a ConfigError, put the table's name before the field's."""
    try:
        check()
    except ConfigError as trouble:
        raise ConfigError(f"{place}.{trouble}", field=trouble.field, value=trouble.value) from None
