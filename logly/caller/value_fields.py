"""The fields of dataclasses, attrs classes and pydantic models, where such an object is the value of a record's field.

A field that its class leaves out of its ``repr``, or of what pydantic writes, is left out here, too.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["ShownFields", "fields_of", "read_fields", "read_root"]

_bases_of = type.__dict__["__mro__"].__get__
_namespace_of = type.__dict__["__dict__"].__get__
_name_of = type.__dict__["__name__"].__get__
_module_of = type.__dict__["__module__"].__get__


class ShownFields:
    """Which fields of a class are shown.

    Attributes:
        names: in their order.
        texts: by name, what makes the text to show (`repr` of attrs).
        exclusions: by name, which values are left out (`exclude_if` of pydantic).
        is_model: of pydantic; its objects may have more fields than their class.
        is_root: a model of pydantic that stands for its only field.
    """

    __slots__ = ("exclusions", "is_model", "is_root", "names", "texts")

    def __init__(self, *, is_model: bool = False, is_root: bool = False) -> None:
        self.names: list[str] = []
        self.texts: dict[str, Callable[[Any], object]] = {}
        self.exclusions: dict[str, Callable[[Any], object]] = {}
        self.is_model = is_model
        self.is_root = is_root

    def calls_functions(self) -> bool:
        """Whether this refers to functions of the program's."""
        return bool(self.texts or self.exclusions)


def fields_of(kind: type, base: type) -> ShownFields | None:
    """The fields of the class `kind`, as the class `base` above it says; None: that one has no fields."""
    if _name_of(base) == "BaseModel" and _module_of(base) in ("pydantic.main", "pydantic.v1.main"):
        return _fields_of_model(kind)
    namespace = _namespace_of(base)
    found = namespace.get("__dataclass_fields__")
    if type(found) is dict:
        return _fields_of_dataclass(kind, found)
    found = namespace.get("__attrs_attrs__")
    return _fields_of_attrs(found) if isinstance(found, tuple) else None


def read_fields(value: Any, shown: ShownFields) -> dict[str, object]:
    """The values of the fields. One that is not set is left out; one that cannot be read is a text that says so."""
    read: dict[str, object] = {}
    # The attributes of a model may be descriptors that warn.
    stored = object.__getattribute__(value, "__dict__") if shown.is_model else {}
    for name in shown.names:
        try:
            item = stored[name] if name in stored else getattr(value, name)
            if name in shown.exclusions and shown.exclusions[name](item):
                continue
            read[name] = shown.texts[name](item) if name in shown.texts else item
        except RecursionError:
            raise
        except AttributeError:
            pass
        except Exception as error:  # noqa: BLE001  # a property, or the program's function
            read[name] = f"<cannot be read: {_name_of(type(error))}>"
    further = getattr(value, "__pydantic_extra__", None) if shown.is_model else None
    return {**read, **further} if isinstance(further, dict) else read


def read_root(value: Any, _: ShownFields) -> object:
    """The value that a model of pydantic stands for."""
    return value.root


# ---- what the classes say


def _fields_of_dataclass(kind: type, found: dict[str, Any]) -> ShownFields:
    shown = ShownFields()
    is_field = getattr(sys.modules.get("dataclasses"), "_FIELD", None)  # the others are of the class, or of `__init__`
    checked = _looked_up(kind, "__pydantic_fields__") or {}  # where pydantic has made it
    for name in found:
        one = found[name]
        if one._field_type is is_field and one.repr and not _is_hidden(checked.get(name)):
            _add(shown, name, checked.get(name))
    return shown


def _fields_of_attrs(found: tuple[Any, ...]) -> ShownFields:
    shown = ShownFields()
    for one in found:
        if one.repr:
            shown.names.append(one.name)
        if callable(one.repr):
            shown.texts[one.name] = one.repr
    return shown


def _fields_of_model(kind: type) -> ShownFields:
    shown = ShownFields(is_model=True, is_root=bool(_looked_up(kind, "__pydantic_root_model__")))
    found = _looked_up(kind, "__pydantic_fields__")
    if found is None:  # before pydantic 2.10, and in pydantic 1
        found = _looked_up(kind, "model_fields") or _looked_up(kind, "__fields__") or {}
    for name in found:
        one = getattr(found[name], "field_info", found[name])
        if not _is_hidden(one):
            _add(shown, name, one)
    computed = getattr(_looked_up(kind, "__pydantic_decorators__"), "computed_fields", None) or {}
    for name in computed:
        if computed[name].info.repr:
            shown.names.append(name)
    return shown


def _add(shown: ShownFields, name: str, info: Any) -> None:
    shown.names.append(name)
    excludes = getattr(info, "exclude_if", None)
    if excludes is not None:
        shown.exclusions[name] = excludes


def _is_hidden(info: Any) -> bool:
    """Whether pydantic's description of a field leaves it out. One that leaves out a part of it counts, too."""
    return info is not None and (getattr(info, "exclude", None) not in (None, False) or not getattr(info, "repr", True))


def _looked_up(kind: type, name: str) -> Any:
    for base in _bases_of(kind):
        namespace = _namespace_of(base)
        if name in namespace:
            return namespace[name]
    return None
