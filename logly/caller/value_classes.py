"""How the instances of a class are shown as fields: what the core asks once for each class (caller/plain_value.pxi).

A reader is a function ``(value, data)`` that returns what JSON has in the value's place: a str, a number, None, or a
dict or list whose items are shown in their turn. It returns `value` itself where that is shown by ``str``.

No module is imported for this. A class is known by its name and the name of its module, also where freezegun has put
another class into `datetime`. Nothing of a class is looked up through its metaclass, which may be the program's.
"""

from __future__ import annotations

from _operator import index

from .value_fields import fields_of, read_fields, read_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Reader = Callable[[Any, Any], object]

__all__ = ["reader_of"]

_MOST_ELEMENTS = 64
_PLAIN = (bool, int, float, str, bytes)

_bases_of = type.__dict__["__mro__"].__get__
_name_of = type.__dict__["__name__"].__get__
_module_of = type.__dict__["__module__"].__get__


def reader_of(kind: type) -> tuple[Reader | None, Any, bool]:
    """How instances of the class are shown.

    Returns:
        The reader, or None: they are shown by ``str``. Its data. And whether both may be kept for other instances: they
        refer to nothing of the program's.
    """
    for base in _bases_of(kind):
        reader = _reader_by_name(base)
        if reader is not None:
            return reader, None, True
        shown = fields_of(kind, base)
        if shown is not None:
            return read_root if shown.is_root else read_fields, shown, not shown.calls_functions()
    if hasattr(kind, "item") and hasattr(kind, "ndim"):
        return _scalar_of_array, hasattr(kind, "__index__"), True
    return _index if hasattr(kind, "__index__") else None, None, True


def _reader_by_name(base: type) -> Reader | None:
    name, module = _name_of(base), _module_of(base)
    if module == "datetime":
        return _iso if name in ("datetime", "date", "time") else None
    if module == "numpy":
        return _numpy_scalar if name == "generic" else _numpy_array if name == "ndarray" else None
    return None


def _iso(value: Any, data: object) -> object:
    return value.isoformat()


def _index(value: Any, data: object) -> object:
    return int.__int__(index(value))


def _scalar_of_array(value: Any, has_index: bool) -> object:
    """The number of another library's scalar or array without dimensions, as PyTorch has them."""
    if value.ndim == 0:
        item = value.item()
        return item if type(item) in _PLAIN else value
    return _index(value, None) if has_index else value


# ---- numpy


def _numpy_scalar(value: Any, data: object) -> object:
    kind = value.dtype.kind
    if kind == "M":
        text = str(value)
        return None if text == "NaT" else text
    if kind not in "biuf":
        return value
    item = value.item()
    return item if type(item) in _PLAIN else float(item)  # a longdouble's item is a longdouble


def _numpy_array(value: Any, data: object) -> object:
    elements = 1
    for length in value.shape:
        elements *= max(length, 1)  # an array of no elements may have any number of empty rows
    if elements > _MOST_ELEMENTS:
        return f"{_name_of(type(value))}(shape={value.shape}, dtype={value.dtype})"
    if value.dtype.kind not in "Mm":
        return value.tolist()
    return list(value) if value.ndim else value[()]  # `tolist` makes plain numbers of nanoseconds
