"""Reads the class and the attributes of any object without running code of the program.

An object's ``__class__`` may be a property, a metaclass may have a ``__getattribute__``, an ``__eq__`` and a
``__hash__``. So classes are read by the descriptors of `type`, and compared by ``is``.
"""

from __future__ import annotations

from types import GetSetDescriptorType, MemberDescriptorType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = [
    "MISSING",
    "attribute_of",
    "attributes_of",
    "bases_of",
    "home_of",
    "is_of",
    "looked_up",
    "module_of",
    "name_of",
    "namespace_of",
    "pairs_of",
]

MISSING = object()

bases_of = type.__dict__["__mro__"].__get__
namespace_of = type.__dict__["__dict__"].__get__
_name_of = type.__dict__["__name__"].__get__
_module_of = type.__dict__["__module__"].__get__


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


def home_of(kind: type, name: str) -> Any:
    """The class in which an attribute is found; None: there is none."""
    for base in bases_of(kind):
        if name in namespace_of(base):
            return base
    return None


def looked_up(kind: type, name: str) -> Any:
    """An attribute as it stands in the class, or `MISSING`."""
    home = home_of(kind, name)
    return namespace_of(home)[name] if home is not None else MISSING


def attribute_of(owner: object, name: str) -> Any:
    """An attribute as far as it can be read without running code, or `MISSING`."""
    kind = type(owner)
    of_class = looked_up(kind, name)
    if type(of_class) is MemberDescriptorType:  # a slot
        try:
            return of_class.__get__(owner, kind)
        except AttributeError:
            return MISSING
    if of_class is not MISSING and home_of(type(of_class), "__set__") is not None:
        return MISSING  # a property
    own = _dict_of(owner)
    if own is not None and name in own:
        return own[name]
    if of_class is MISSING or home_of(type(of_class), "__get__") is not None:
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
                except AttributeError:  # not set
                    continue
                yield name, value


def pairs_of(values: dict[Any, Any]) -> Iterator[tuple[Any, Any]]:
    """The items of a dict, as it has them itself. CPython 3.11 crashes where `items` has no memory for a tuple."""
    return zip(dict.keys(values), dict.values(values), strict=False)


def _dict_of(owner: object) -> dict[Any, Any] | None:
    described = type(looked_up(type(owner), "__dict__"))
    if described is not GetSetDescriptorType and described is not MemberDescriptorType:
        return None  # there is none, or a property
    own = object.__getattribute__(owner, "__dict__")
    return own if type(own) is dict else None
