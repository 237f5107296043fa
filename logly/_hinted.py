"""Names that a `Logger` does not have, and loggers of other libraries have: asking for one says what it is called here.

They are attributes of the class, because a class with `__getattr__` has slow log calls: CPython 3.11 does not
specialize calls of its methods.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

__all__ = ["WORDS", "Elsewhere", "install_hints"]

WORDS = (
    "add",
    "addFilter",
    "addHandler",
    "alert",
    "basicConfig",
    "complete",
    "emergency",
    "fatal",
    "getChild",
    "getEffectiveLevel",
    "handlers",
    "hasHandlers",
    "isEnabledFor",
    "level",
    "msg",
    "new",
    "notice",
    "opt",
    "parse",
    "patch",
    "remove",
    "removeHandler",
    "setLevel",
    "start",
    "stop",
    "try_unbind",
    "verbose",
)
"""Those of `config/hints.py`, which is imported when the first of them is asked for."""


class Elsewhere:
    """An attribute that a logger does not have: reading it raises an AttributeError with a hint."""

    __slots__ = ("name",)

    is_hint = True
    """A level of the program may have the name: see caller/named_levels.pxi."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: object, owner: type) -> "Self":
        if instance is None:  # tools read all names of a class
            return self
        from .config.hints import attribute_hint

        # Without an object whose names CPython would compare: "did you mean 'catch'?" (for `patch`) is no help.
        reader = sys._getframe(1).f_globals.get("__name__")
        raise AttributeError(attribute_hint(self.name, reader=reader), name=self.name, obj=None)


def install_hints(kind: type) -> None:
    """Puts the names on a class that has none of them."""
    for name in WORDS:
        setattr(kind, name, Elsewhere(name))
