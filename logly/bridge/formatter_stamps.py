"""What a formatter's text depends on: what is stamped before it is read, and what keeps a layout in use."""

from __future__ import annotations

import logging

from .known_formatters import modules_of, own_classes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from logly._core import HandlerEntry

    from .formatters import FormatterLayout

__all__ = ["proof_of", "settings_of", "watch_formatter"]

SCALARS = (bool, int, float, str, type(None))
"""True is equal to 1, so a value is compared together with its type."""


def watch_formatter(formatter: Any, entry: HandlerEntry) -> None:
    """Stamps what decides what a formatter makes of a record."""
    own = entry.watch(formatter) or {}
    kind = type(formatter)
    if kind is not logging.Formatter and not modules_of(kind):
        return  # it is not served, whatever is in it
    for attributes in (own, _style_attributes(formatter, entry)):
        for name in list(attributes):
            value = attributes[name]
            if type(value) is dict:
                entry.watch_dict(value)
            elif type(value) is list or type(value) is set:
                entry.watch_size(value)
    for module in modules_of(kind):
        entry.watch_dict(module.__dict__)
    encoder = getattr(formatter, "json_encoder", None)
    if isinstance(encoder, type):
        for base in encoder.__mro__[:-1]:
            entry.watch(base)
    if type(getattr(formatter, "style", None)).__module__.startswith("django."):
        entry.watch(formatter.style)


def _style_attributes(formatter: Any, entry: HandlerEntry) -> dict[str, Any]:
    style = getattr(formatter, "_style", None)
    # A str stands for a style without an object.
    return {} if style is None or type(style) is str else entry.watch(style) or {}


def settings_of(formatter: Any) -> tuple[Any, ...]:
    """All that a formatter's text depends on, as values that are compared."""
    style = getattr(formatter, "_style", None)
    names = ("converter", "default_time_format", "default_msec_format", "datefmt")
    times = tuple(_plain(getattr(formatter, name)) for name in names)
    kind = type(formatter)
    owners = [*modules_of(kind), *(own_classes(kind) if modules_of(kind) else ())]
    return (
        formatter,
        times,
        _plain(type(style)),
        _values(getattr(style, "__dict__", {})),
        _values(vars(formatter)),
        [_Identity(value) for owner in owners for value in list(vars(owner).values())],
        _encoder_values(vars(formatter).get("json_encoder")),
    )


def _encoder_values(encoder: Any) -> list[_Identity]:
    bases = encoder.__mro__[:-1] if isinstance(encoder, type) else ()
    return [_Identity(value) for base in bases for value in list(vars(base).values())]


def proof_of(formatter: Any, layout: FormatterLayout) -> tuple[Any, ...] | None:
    """What the text of a plain formatter of `logging` depends on, whichever object it is. None: it is another one."""
    if type(formatter) is not logging.Formatter:
        return None
    attributes = dict(vars(formatter))
    style = attributes.pop("_style")
    given = (layout.terminator, layout.encoding, layout.errors, layout.process_name, _values({"": layout.levels}))
    names = ("converter", "default_time_format", "default_msec_format")
    times = tuple(_plain(getattr(formatter, name)) for name in names)
    return given, times, type(style), _values(vars(style)), _values(attributes)


class _Identity:
    """An object that is equal to nothing but itself, whatever its class says."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)


def _values(attributes: dict[str, Any]) -> tuple[Any, ...]:
    """Names and values, with copies of what may change in place."""
    found: list[Any] = []
    for name in sorted(attributes):
        value = attributes[name]
        found.append(name)
        if type(value) is dict:
            found.append(tuple(map(_plain, (*value, *value.values()))))
        elif type(value) is list:
            found.append(tuple(map(_plain, value)))
        elif type(value) is set:
            found.append(frozenset(map(_plain, value)))
        else:
            found.append(_plain(value))
    return tuple(found)


def _plain(value: object) -> object:
    return (type(value), value) if type(value) in SCALARS else _Identity(value)
