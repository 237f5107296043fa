"""`LOGLY_*`: settings of loggers from the environment, as defaults for those that the program does not set.

`LOGLY_LEVEL` is read elsewhere (control/level_layers.py), because it holds also for loggers whose level is set to None
later. Imported only if there is a variable whose name begins so.
"""

import os
import sys

from logly.errors import ConfigError, invalid, nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from .lazy_dataclass import Field

__all__ = ["ONLY_IN_CODE", "PREFIX", "fill_from_environment"]

PREFIX = "LOGLY_"
ONLY_IN_CODE = frozenset({"encode", "on_error", "context_from", "time_source"})
"""Settings whose values are functions, which a variable cannot hold."""
OTHERS = frozenset({"LOGLY_LEVEL", "LOGLY_CLOCK", "LOGLY_INSTALL", "LOGLY_BUILD"})
"""Variables that are not for settings of a logger, or are read elsewhere."""

_WORDS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}

_told_of: set[str] = set()


def fill_from_environment(known: "Mapping[str, Any]", values: "dict[str, Any]") -> None:
    """Add to `values` what the environment says about the fields that are not among them.

    A variable with a value that its field does not take is told on stderr, once, and left out: the one who starts a
    program is not the one who can catch an error of a library's `Logger()`.
    """
    found = {name: os.environ[name] for name in list(os.environ) if name.startswith(PREFIX) and name not in OTHERS}
    levels = _custom_levels(known, values, found)
    for variable in found:
        text, field = found[variable].strip(), variable.removeprefix(PREFIX).lower()
        if field not in known:
            _tell(variable, known)
        elif text and field not in values:
            _read_into(values, variable, known[field], text, levels)


def _custom_levels(
    known: "Mapping[str, Any]", values: "dict[str, Any]", found: "Mapping[str, str]"
) -> "Mapping[str, int]":
    """The levels that other variables may name."""
    text = found.get("LOGLY_CUSTOM_LEVELS", "").strip()
    if "custom_levels" not in values and text:
        _read_into(values, "LOGLY_CUSTOM_LEVELS", known["custom_levels"], text, {})
    given = values.get("custom_levels")
    return given if isinstance(given, dict) else {}


def _read_into(values: "dict[str, Any]", variable: str, field: "Field", text: str, levels: "Mapping[str, int]") -> None:
    try:
        values[field.name] = _value(variable, field, text, levels)
    except ConfigError as trouble:
        _say_once(f"{variable}={text}", str(trouble))


def _value(variable: str, field: "Field", text: str, levels: "Mapping[str, int]") -> "Any":
    if field.name in ONLY_IN_CODE:
        raise ConfigError(f"{variable} = {text!r}: a function can only be set in code", field=field.name, value=text)
    try:
        value = _reader_of(field)(variable, text)
        field.metadata["check"](variable, value, levels)
    except ConfigError as trouble:
        raise ConfigError(str(trouble), field=field.name, value=text) from None
    return value


def _reader_of(field: "Field") -> "Callable[[str, str], Any]":
    if field.name in _READERS:
        return _READERS[field.name]
    if isinstance(field.default, bool):
        return _boolean
    return _number if field.metadata["unit"] in ("ms", "s") else _text


def _text(variable: str, text: str) -> "str | None":
    return None if text.lower() == "none" else text


def _boolean(variable: str, text: str) -> bool:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    raise invalid(variable, text, "1 or 0, true or false, yes or no, on or off", _WORDS)


def _number(variable: str, text: str) -> "float | None":
    if text.lower() == "none":
        return None
    try:
        return float(text)
    except ValueError:
        raise invalid(variable, text, "a number") from None


def _names(variable: str, text: str) -> "list[str] | bool":
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    return [name.strip() for name in text.split(",") if name.strip()]


def _numbers(variable: str, text: str) -> "tuple[int, ...]":
    try:
        return tuple(int(one) for one in text.split(","))
    except ValueError:
        raise invalid(variable, text, "two whole numbers, like 100,10") from None


def _pairs(variable: str, text: str) -> "dict[str, str]":
    pairs = [one.partition("=") for one in text.split(",") if one.strip()]
    for name, equals, value in pairs:
        if not name.strip() or not equals or not value.strip():
            raise invalid(variable, text, "pairs, like notice=22,audit=33")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _level_numbers(variable: str, text: str) -> "dict[str, int]":
    try:
        pairs = _pairs(variable, text)
        return {name: int(pairs[name]) for name in pairs}
    except ValueError:
        raise invalid(variable, text, "numbers by name, like notice=22,audit=33") from None


_READERS: "dict[str, Callable[[str, str], Any]]" = {
    "custom_levels": _level_numbers,
    "level_colors": _pairs,
    "styles": _pairs,
    "redact": _names,
    "sampling": _numbers,
}


def _tell(variable: str, known: "Mapping[str, Any]") -> None:
    """Say on stderr, once, that a variable looks like a misspelt one. Another program may use any other name."""
    near = nearest(variable.removeprefix(PREFIX), [*known, *(name.removeprefix(PREFIX) for name in OTHERS)])
    if near is not None:
        _say_once(variable, f"{variable}: there is no such setting; did you mean {PREFIX}{near.upper()}?")


def _say_once(what: str, text: str) -> None:
    if what in _told_of:
        return
    _told_of.add(what)
    if sys.stderr is not None:
        sys.stderr.write(f"logly: {text}\n")
