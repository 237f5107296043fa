"""Dataclasses with slots, without importing `dataclasses`, which took half of the time to import logly.

The classes behave like ``@dataclass(slots=True)``: fields before one named ``_`` may be given by their place, and with
``kw_only=True`` none. The attributes that `dataclasses`, `inspect` and other
tools read (``__dataclass_fields__``, ``__signature__``) are made by the real module at their first use.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

__all__ = ["NOT_GIVEN", "NotGiven", "dataclass", "field", "fields", "replace"]


class NotGiven:
    """The type of `NOT_GIVEN`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "..."


NOT_GIVEN = NotGiven()
"""The default of an argument where None means something."""


class Field:
    """One field: its default or the factory of that, and the metadata that checks and documentation use."""

    __slots__ = ("default", "factory", "metadata", "name")

    def __init__(self, default: "Any", factory: "Callable[[], Any] | None", metadata: "Mapping[str, Any]") -> None:
        self.name = ""
        self.default = default
        self.factory = factory
        self.metadata = metadata


def field(
    *,
    default: "Any" = NOT_GIVEN,
    default_factory: "Callable[[], Any] | None" = None,
    metadata: "Mapping[str, Any]",
) -> "Any":
    """Like `dataclasses.field`; every field here has a default."""
    return Field(default, default_factory, metadata)


def fields(config: "Any") -> "list[Field]":
    """Like `dataclasses.fields`."""
    known: dict[str, Field] = config._fields
    return list(known.values())


def replace(config: "Any", **changes: "Any") -> "Any":
    """Like `dataclasses.replace`."""
    return config.__class__(**{name: getattr(config, name) for name in config._fields} | changes)


def dataclass(*, slots: bool, kw_only: bool = False) -> "Callable[[type], type]":
    """Like `dataclasses.dataclass` with `slots` set. The arguments are there for type checkers only."""
    return _make


def _make(plain: type) -> type:
    annotated = list(plain.__annotations__)
    by_place = tuple(annotated[: annotated.index("_")]) if "_" in annotated else ()
    known = {name: value for name, value in vars(plain).items() if isinstance(value, Field)}
    for name, one in known.items():
        one.name = name
    inherited: dict[str, Field] = getattr(plain, "_fields", {})
    body = {name: value for name, value in vars(plain).items() if name not in ("__dict__", "__weakref__", *known)}
    return type(plain)(
        plain.__name__,
        plain.__bases__,
        body
        | {
            "__slots__": tuple(known),
            "__init__": _init,
            "__repr__": _repr,
            "__eq__": _eq,
            "__hash__": None,
            "__match_args__": by_place,
            "__replace__": replace,
            "__signature__": _MadeWhenAsked("__signature__"),
            "__dataclass_fields__": _MadeWhenAsked("__dataclass_fields__"),
            "__dataclass_params__": _MadeWhenAsked("__dataclass_params__"),
            "_fields": known | inherited,
            "_fill": getattr(plain, "_fill", _fill_nothing),
        },
    )


def _init(self: "Any", /, *by_place: "Any", **values: "Any") -> None:
    if by_place:
        _take_by_place(self, by_place, values)
    self._fill(values)
    for one in self._fields.values():
        name = one.name
        default = one.default if one.factory is None else one.factory()
        setattr(self, name, values.pop(name, default))
    if values:
        raise _unknown(self, list(values))


def _fill_nothing(self: "Any", values: "dict[str, Any]") -> None:
    """Adds values from elsewhere to those that were given."""


def _take_by_place(self: "Any", by_place: "tuple[Any, ...]", values: "dict[str, Any]") -> None:
    """Put the values that were given without a name to those with one."""
    names, kind = self.__match_args__, type(self).__name__
    if len(by_place) > len(names):
        most = f"{kind}() takes only {' and '.join(names)} without a name" if names else f"{kind}() takes names only"
        raise TypeError(f"{most}: write {kind}({', '.join(names)}{', ' if names else ''}level='debug')")
    for name, value in zip(names, by_place, strict=False):
        if name in values:
            raise TypeError(f"{kind}() got two values for {name!r}")
        values[name] = value


def _unknown(self: "Any", names: "list[str]") -> TypeError:
    from .hints import setting_hint

    texts = []
    for name in names:
        hint = setting_hint(name, list(self._fields), is_sink="path" in self._fields)
        texts.append(f"{type(self).__name__}() has no field {name!r}; {hint}")
    return TypeError("\n".join(texts))


def _repr(self: "Any") -> str:
    return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self._fields)})"


def _eq(self: "Any", other: "Any") -> "Any":
    if other.__class__ is not self.__class__:  # not `type`: see config/taken.py
        return NotImplemented
    return all(getattr(self, name) == getattr(other, name) for name in self._fields)


class _MadeWhenAsked:
    """A class attribute that the real `dataclasses` makes at its first use."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: object, owner: "Any") -> "Any":
        import dataclasses
        import inspect

        owner = next(one for one in owner.__mro__ if "_fields" in vars(one))  # may be asked of a class derived from it
        annotations: dict[str, Any] = {}
        for base in owner.__mro__:
            annotations |= getattr(base, "__annotations__", {})
        twin = dataclasses.make_dataclass(
            owner.__name__,
            [
                (one.name, annotations[one.name], _real_field(one, kw_only=one.name not in owner.__match_args__))
                for one in owner._fields.values()
            ],
        )
        for name in ("__dataclass_fields__", "__dataclass_params__"):
            setattr(owner, name, getattr(twin, name))
        owner.__signature__ = inspect.signature(twin)
        return getattr(owner, self.name)


def _real_field(one: Field, *, kw_only: bool) -> "Any":
    import dataclasses

    if one.factory is not None:
        return dataclasses.field(default_factory=one.factory, metadata=one.metadata, kw_only=kw_only)
    return dataclasses.field(default=one.default, metadata=one.metadata, kw_only=kw_only)
