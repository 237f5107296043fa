"""What `Logger.config` gives: a copy of the settings that warns if it is changed and never used.

``logger.config.level = "debug"`` looks as if it changed the logger, and changes nothing. When such a copy goes, and
all copies of it, and none was given to `Logger.configure` or to `Logger`, a UserWarning names the changed settings,
for the line that took it.

The class of these copies has the name of `LoggerConfig`, says in ``__class__`` that it is that class, and is pickled as
that class. Only these copies have a ``__del__``: the settings that a logger itself keeps go while it changes in one
step, during which no bytecode may run.
"""

import sys
import warnings
import weakref
from copy import deepcopy
from operator import attrgetter

from logly.errors import show
from logly.levels import Level

from .lazy_dataclass import fields, replace
from .schema import LoggerConfig
from .setting import own_copy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

    from logly.control.controller import Controller

__all__ = ["take"]

_NAMES = tuple(one.name for one in fields(LoggerConfig))
_values = attrgetter(*_NAMES)
_SHOWN_VALUE_CHARS = 40


class _Taking:
    """One look at `Logger.config`: where that was, and what has become of the copy and of copies of the copy.

    It goes when the last of them has gone. It warns then.
    """

    __slots__ = ("changed", "code", "controller", "custom_levels", "given", "instruction", "is_used", "module")

    def __init__(
        self, frame: "FrameType", controller: "Controller", given: LoggerConfig, custom_levels: "dict[str, int]"
    ) -> None:
        self.code = frame.f_code  # the line is looked up when it is needed; the frame would keep its variables alive
        self.instruction = frame.f_lasti
        self.module = frame.f_globals.get("__name__")
        self.controller = weakref.ref(controller)
        self.given = given
        self.custom_levels = custom_levels
        self.changed: dict[str, Any] = {}
        self.is_used = False

    def differences(self, config: LoggerConfig) -> "dict[str, Any]":
        """The settings in which `config` differs from what was taken."""
        now, then = _values(config), _values(self.given)
        if now == then and not self.custom_levels:
            return {}
        before = dict(zip(_NAMES, then, strict=True)) | {"custom_levels": self.custom_levels}
        return {name: value for name, value in zip(_NAMES, now, strict=True) if value != before[name]}

    def is_in_force(self) -> bool:
        """Whether the logger has the changed settings by now, as from a copy that `dataclasses.replace` made."""
        controller = self.controller()
        settings = controller and controller.settings()
        return settings is not None and all(getattr(settings, name) == self.changed[name] for name in self.changed)

    def warning(self) -> str:
        names = ", ".join(self.changed)
        typed = ", ".join(f"{name}={_typed(self.changed[name])}" for name in self.changed)
        return (
            f"{names}: changed in the copy of the settings that logger.config gave, and the copy was never used, so "
            f"the logger has not changed: use logger.configure({typed})"
        )

    def line(self) -> int:
        for start, end, line in self.code.co_lines():
            if start <= self.instruction < end and line is not None:
                return line
        return self.code.co_firstlineno

    def __del__(self) -> None:
        try:
            if not self.changed or self.is_used or sys.is_finalizing() or self.is_in_force():
                return
            module = sys.modules.get(self.module or "")
            registry = None if module is None else vars(module).setdefault("__warningregistry__", {})
            text, path, line = self.warning(), self.code.co_filename, self.line()
        except Exception:  # noqa: BLE001  # a setting's `==` or `repr` is the program's, and this is no place to fail
            return
        # Where warnings are errors, `sys.unraisablehook` gets this one, as it gets the ResourceWarning of a file.
        warnings.warn_explicit(text, UserWarning, path, line, self.module, registry)


def _typed(value: object) -> str:
    """The value as it may be typed, or three dots."""
    text = repr(value.name.lower()) if isinstance(value, Level) else show(value)
    return "..." if text.startswith("<") or len(text) > _SHOWN_VALUE_CHARS else text


class _Taken(LoggerConfig):
    __slots__ = ("_taking",)

    _taking: "_Taking"
    __class__ = property(lambda self: LoggerConfig)  # pyright: ignore[reportIncompatibleMethodOverride]

    def __del__(self) -> None:
        try:
            if not self._taking.is_used:
                self._taking.changed.update(self._taking.differences(self))
        except Exception:  # noqa: BLE001  # as above; and a copy that is not completely made has no `_taking`
            return

    def __reduce_ex__(self, protocol: "Any") -> "Any":
        return replace(self).__reduce_ex__(protocol)

    def __copy__(self) -> LoggerConfig:
        return _made(replace(self), self._taking)

    def __deepcopy__(self, memo: "dict[int, Any]") -> LoggerConfig:
        return _made(deepcopy(replace(self), memo), self._taking)

    def copy(self) -> LoggerConfig:
        return _made(LoggerConfig.copy(self), self._taking)


_Taken.__name__, _Taken.__qualname__, _Taken.__module__ = "LoggerConfig", "LoggerConfig", LoggerConfig.__module__


def _made(source: LoggerConfig, taking: _Taking) -> LoggerConfig:
    made = _Taken.__new__(_Taken)
    for name, value in zip(_NAMES, _values(source), strict=True):
        setattr(made, name, value)
    made._taking = taking
    return made


def take(controller: "Controller", frame: "FrameType") -> LoggerConfig:
    """The controller's settings, as a copy that warns for the line of `frame`."""
    given = controller.config_as_given
    if type(given) is not LoggerConfig:  # a class of the program's own
        return controller.settings()
    custom_levels = controller.levels.spelt_as(given.custom_levels)
    made = _made(given, _Taking(frame, controller, given, custom_levels))
    made.level = own_copy(given.level)
    made.level_colors = dict(given.level_colors)
    made.styles = dict(given.styles)
    made.custom_levels = dict(custom_levels)
    made.encode = dict(given.encode)
    return made
