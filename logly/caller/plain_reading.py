"""Reads the class and the attributes of any object without running code of the program.

An object's ``__class__`` may be a property, a metaclass may have a ``__getattribute__``, an ``__eq__`` and a
``__hash__``. So classes are read by the descriptors of `type`, and compared by ``is``.
"""

from __future__ import annotations

from _operator import is_
from collections import OrderedDict
from itertools import repeat
from types import (
    BuiltinFunctionType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = [
    "MISSING",
    "attribute_of",
    "attributes_of",
    "bases_of",
    "is_no_value",
    "is_of",
    "item_of",
    "looked_up",
    "module_of",
    "name_of",
    "namespace_of",
    "own_of",
    "pairs_of",
]

MISSING = object()

bases_of = type.__dict__["__mro__"].__get__
namespace_of = type.__dict__["__dict__"].__get__
_name_of = type.__dict__["__name__"].__get__
_module_of = type.__dict__["__module__"].__get__
_flags_of = type.__dict__["__flags__"].__get__

_OF_A_STATEMENT = 1 << 9
"""In the flags of classes that a ``class`` statement has made; a few in C have it, too."""


class _Plain:
    """Shows what a ``class`` statement makes."""


_ABOUT_DICT = _Plain.__dict__["__dict__"].__doc__
_SHARED_DICT = _Plain.__dict__["__dict__"] if _Plain.__dict__["__dict__"].__objclass__ is object else None
"""From CPython 3.15 on all classes that a ``class`` statement makes have the same one."""
_DICT_IN_C = (BaseException, FunctionType, OrderedDict)
"""Classes in C whose ``__dict__`` only reads. That of others may do anything: a lazy proxy makes its object."""


def name_of(kind: type) -> str:
    return str.__str__(_name_of(kind))


def module_of(kind: type) -> str:
    """The name of its module, or "" where that is no text."""
    found = _module_of(kind)
    return found if type(found) is str else ""


def is_of(kind: type, wanted: type) -> bool:
    """`issubclass` without ``__subclasscheck__``."""
    for base in bases_of(kind):  # noqa: SIM110  # `any` with a generator takes three times as long
        if base is wanted:
            return True
    return False


_NO_VALUES = (ModuleType, FunctionType, BuiltinFunctionType, MethodType, type)


def is_no_value(kind: type) -> bool:
    """Of what is named in order to be called, or to reach something."""
    for base in bases_of(kind):
        for one in _NO_VALUES:
            if base is one:
                return True
    return False


def item_of(values: Any, name: str) -> Any:
    """The item of a dict by its name, or `MISSING`. Keys that are no plain texts are not asked."""
    if all(map(is_, map(type, values), repeat(str))):
        return values.get(name, MISSING)
    for key, value in zip(values.keys(), values.values(), strict=False):
        if type(key) is str and key == name:
            return value
    return MISSING


def own_of(kind: type, name: str) -> Any:
    """What stands under a name in the class itself, or `MISSING`."""
    values = namespace_of(kind)
    return item_of(values, name) if _flags_of(kind) & _OF_A_STATEMENT else values.get(name, MISSING)


def looked_up(kind: type, name: str) -> Any:
    """An attribute as it stands in the class, or `MISSING`."""
    for base in bases_of(kind):
        values = namespace_of(base)
        found = item_of(values, name) if _flags_of(base) & _OF_A_STATEMENT else values.get(name, MISSING)
        if found is not MISSING:
            return found
    return MISSING


def attribute_of(owner: object, name: str) -> Any:
    """An attribute as far as it can be read without running code, or `MISSING`."""
    kind = type(owner)
    of_class = looked_up(kind, name)
    if type(of_class) is MemberDescriptorType:  # a slot
        try:
            return of_class.__get__(owner, kind)
        except (AttributeError, TypeError):  # not set, or of another class
            return MISSING
    if of_class is not MISSING and looked_up(type(of_class), "__set__") is not MISSING:
        return MISSING  # a property
    own = _dict_of(owner)
    found = item_of(own, name) if own is not None else MISSING
    if found is not MISSING:
        return found
    if of_class is MISSING or looked_up(type(of_class), "__get__") is not MISSING:
        return MISSING  # a method, or something that computes
    return of_class


def attributes_of(owner: object) -> Iterator[tuple[str, Any]]:
    """The names and values in an object's own dict and slots."""
    for name, value in pairs_of(_dict_of(owner) or {}):
        if type(name) is str:
            yield name, value
    kind = type(owner)
    for base in reversed(bases_of(kind)):
        for name, member in zip(namespace_of(base).keys(), namespace_of(base).values(), strict=False):
            if type(member) is MemberDescriptorType and type(name) is str:
                try:
                    value = member.__get__(owner, kind)
                except (AttributeError, TypeError):  # not set, or of another class
                    continue
                yield name, value


def pairs_of(values: dict[Any, Any]) -> Iterator[tuple[Any, Any]]:
    """The items of a dict, as it has them itself. CPython 3.11 crashes where `items` has no memory for a tuple."""
    return zip(dict.keys(values), dict.values(values), strict=False)


def _dict_of(owner: object) -> dict[Any, Any] | None:
    """None: there is none, or to get it may run code. What a ``class`` statement makes asks the bases in C in turn."""
    kind = type(owner)
    first = looked_up(kind, "__dict__")
    if type(first) is not GetSetDescriptorType and type(first) is not MemberDescriptorType:
        return None
    for base in bases_of(kind):
        described = own_of(base, "__dict__")
        if type(described) is GetSetDescriptorType and not _only_reads(described, base):
            return None
    own = first.__get__(owner, kind)
    return own if type(own) is dict else None


def _only_reads(described: Any, base: type) -> bool:
    if described is _SHARED_DICT:
        return True
    if described.__objclass__ is not base:
        return False
    if _flags_of(base) & _OF_A_STATEMENT:
        return bool(described.__doc__ == _ABOUT_DICT)
    return any(base is known for known in _DICT_IN_C)
