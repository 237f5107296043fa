"""Methods of one logger that a test replaces (`mock.patch.object(logger, "warning")`), and puts back.

A logger has no `__dict__`, because a call of a method would look there first. A logger with a replaced method moves to
a class of its own instead, which has the replacements. It moves back when the last one is gone.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from logly._core import FieldBlock
    from logly._logger import Logger

__all__ = ["original_class", "put_back", "replace"]

_MARK = "_logly_replaced"
"""The attribute of such a class: the replacements by name."""


def replace(logger: Logger, name: str, value: Any) -> bool:
    """Have `logger.NAME` be `value`. False: this is no method that can be replaced."""
    kind = type(logger)
    original = getattr(original_class(kind), name, None)
    if original is None or hasattr(type(original), "__set__") or (name[:2] == name[-2:] == "__"):
        return False
    # What monkeypatch sets in the end is the method that it has found in the beginning.
    bound = getattr(super(kind, logger) if _MARK in vars(kind) else logger, name)
    if type(value) is type(bound) and value == bound:
        put_back(logger, name)
        return True
    if _MARK not in vars(kind):
        kind = _class_for_one(kind)
        logger.__class__ = kind
    vars(kind)[_MARK][name] = value
    setattr(kind, name, staticmethod(value))  # read through an instance, it is the value and not a method
    return True


def put_back(logger: Logger, name: str) -> bool:
    """Have `logger.NAME` be the method of its class again. False: it was not replaced."""
    kind = type(logger)
    replaced = vars(kind).get(_MARK, {})
    if name not in replaced:
        return False
    if len(replaced) == 1:
        logger.__class__ = original_class(kind)
    del replaced[name]
    delattr(kind, name)
    return True


def original_class(kind: type[Logger]) -> type[Logger]:
    """The class of a logger without the replacements."""
    return kind.__bases__[0] if _MARK in vars(kind) else kind


def _class_for_one(kind: type[Logger]) -> type[Logger]:
    names: dict[str, Any] = {
        "__slots__": (),
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "__doc__": kind.__doc__,
        # `mock` looks there to find out whether it has to put a value back or to delete its own.
        "__dict__": property(lambda logger: vars(type(logger))[_MARK]),
        "_with_fields": _with_fields,
        _MARK: {},
    }
    metaclass: Any = type(kind)
    made: type[Logger] = metaclass(kind.__name__, (kind,), names)
    return made


def _with_fields(logger: Logger, fields: FieldBlock | None) -> Logger:
    """A child is another logger, so nothing of it is replaced."""
    parent: Any = super(type(logger), logger)
    child: Logger = parent._with_fields(fields, original_class(type(logger)))
    return child
