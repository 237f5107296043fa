"""What a logger is on its way to another process, and what becomes of it there.

One that belongs to `logly.logger` travels by its name: it becomes a child of that process's `logly.logger`. Another one
travels as its settings and those of its sinks. In each process one engine stands for all copies of one original, which
is known by its `Core.identity`. The process keeps the last few of them: the jobs of a pool come and go, and each would
open the files and the connections anew. What a job has logged is written when its copy goes.
"""

from __future__ import annotations

import copyreg
import os
import pickle
from types import BuiltinMethodType, MethodType, ModuleType

import logly

from ._core import FieldBlock, Lifeline
from .caller.replaced import original_class
from .config.lazy_dataclass import fields
from .config.schema import LoggerConfig, SinkConfig
from .control import process
from .control.controller import Controller
from .control.file_sink import FileSink
from .errors import show
from .system.unpatched import SystemLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._logger import Logger
    from .control.sinks import Sink

    Settings = dict[str, Any]

__all__ = ["travelling"]

MOST_KEPT = 4
"""Engines that the process keeps without a copy."""

_arriving = SystemLock()
_kept: list[tuple[Controller, Lifeline]] = []
"""The engines that arrived last, the latest at the end."""


def _after_fork_in_child() -> None:
    global _arriving
    _arriving = SystemLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


class Parcel:
    """A logger on its way.

    Attributes:
        identity: of its original.
        is_ready_made: it belongs to `logly.logger`.
        engine_name: the name of the logger that owns the engine.
        name: that of a child; None: it has none of its own.
        bound: its bound fields.
        settings: the engine's, and its sinks' with whether each is enabled. None: they cannot travel, and need not.
        had_sinks: sinks were added, so there is no console by itself.
        is_on: `disable` has not switched it off.
        level_colors: of the levels that were added.
    """

    # No __slots__: the first two protocols of pickle want none.
    bound: FieldBlock | None
    engine_name: str
    had_sinks: bool
    identity: bytes
    is_on: bool
    is_ready_made: bool
    level_colors: dict[str, str]
    name: str | None
    settings: tuple[Settings, list[tuple[Settings, bool]]] | None


def travelling(logger: Logger) -> tuple[Any, ...]:
    """What `Logger.__reduce__` returns.

    Raises:
        pickle.PicklingError: a setting cannot travel. The message names it.
    """
    controller = logger._controller
    parcel = Parcel()
    parcel.identity = controller.core.identity
    parcel.is_ready_made = _ready_made() is controller
    parcel.engine_name = controller.name
    parcel.name = logger._child_name
    parcel.bound = logger._bound
    parcel.had_sinks = controller._had_sinks
    parcel.is_on = controller.is_on
    parcel.level_colors = dict(controller.levels.added_colors)
    parcel.settings = None
    try:
        parcel.settings = _settings_of(controller)
    except pickle.PicklingError:
        if not parcel.is_ready_made:
            raise
    kind = original_class(type(logger))
    return _arrived, (kind, parcel), _own_attributes(logger, kind)


def _own_attributes(logger: Logger, kind: type[Logger]) -> Any:
    """Those of an object of a subclass, as pickle wants them. They may refer to the logger, so they follow it."""
    if kind.__getstate__ is not object.__getstate__:
        return logger.__getstate__()  # its own
    slots = {name: getattr(logger, name) for name in copyreg._slotnames(kind) if hasattr(logger, name)}  # type: ignore[attr-defined]
    attributes = dict(vars(logger)) if kind.__dictoffset__ else None
    return (attributes, slots) if slots else attributes or None


def _ready_made() -> Controller | None:
    ready: Logger | None = vars(logly).get("logger")
    return ready._controller if ready is not None else None


# ---- packing


def _settings_of(controller: Controller) -> tuple[Settings, list[tuple[Settings, bool]]]:
    config = _changed(controller.settings(), LoggerConfig(), "LoggerConfig", "")
    # As the original has found them: the other process may be in another folder.
    if controller.layers.file.path is not None:
        config["level_file"] = controller.layers.file.path
    if controller.spooling.path is not None:
        config["spool"] = controller.spooling.path
    sinks = []
    for number in controller.user_sinks():
        sink = controller.sinks.get(number)
        if sink is not None:
            sinks.append((_settings_of_sink(sink), sink.is_enabled))
    return config, sinks


def _settings_of_sink(sink: Sink) -> Settings:
    what = f" of sink {sink.id}"
    config = sink.config
    for name in ("stream", "fd"):
        value = getattr(config, name)
        if value is not None and not isinstance(value, str):
            raise _cannot_travel(
                f"SinkConfig.{name}", value, what, "an open stream or descriptor is this process's own"
            )
    changed = _changed(config, SinkConfig(), "SinkConfig", what)
    levels = sink.levels  # `set_sink_level` may have changed them
    changed.pop("level", None)
    changed.pop("filter_min_level", None)
    if levels.level is not None or levels.names:
        changed["level"] = levels
    if isinstance(sink, FileSink) and not os.path.isabs(changed["path"]):
        changed["path"] = sink.file.template  # in the folder where it was opened
    return changed


def _changed(config: Any, plain: Any, kind: str, what: str) -> Settings:
    """The settings that are not the defaults. Raises PicklingError if one cannot travel."""
    changed = {}
    for field in fields(config):
        value = getattr(config, field.name)
        if value != getattr(plain, field.name):
            _check(f"{kind}.{field.name}", value, what)
            changed[field.name] = value
    return changed


def _check(name: str, value: Any, what: str) -> None:
    if isinstance(value, (MethodType, BuiltinMethodType)) and not isinstance(value.__self__, (type, ModuleType)):
        raise _cannot_travel(name, value, what, "a method would travel with a copy of its object")
    try:
        pickle.dumps(value)
    except Exception as trouble:  # an object's own code
        reason = f"{type(trouble).__name__}: {trouble}"
        raise _cannot_travel(name, value, what, reason) from trouble


def _cannot_travel(name: str, value: Any, what: str, reason: str) -> pickle.PicklingError:
    text = (
        f"a Logger cannot be pickled: {name} = {show(value)}{what} cannot travel to another process ({reason}). A "
        "function of a module can, and so can the children of logly.logger, by their name"
    )
    return pickle.PicklingError(text)


# ---- unpacking


def _arrived(kind: type[Logger], parcel: Parcel) -> Logger:
    dropped: list[Any] = []  # these end after the lock is given back
    owner: Lifeline | Visit
    with _arriving:
        owner, controller = _ready_made_here(parcel) if parcel.is_ready_made else _engine_here(parcel)
        if any(one is controller for one, _ in _kept):
            owner = Visit(controller, owner)
            dropped = _keep(controller, owner.lifeline)
    del dropped
    logger = kind.__new__(kind)
    logger._attach(controller.core, parcel.bound, owner, controller, controller.core.own_name)
    return logger.named(parcel.name) if parcel.name is not None else logger


def _ready_made_here(parcel: Parcel) -> tuple[Lifeline, Controller]:
    """This process's `logly.logger`. Where the program has not set it up here, it gets the settings of the original."""
    ready = logly.logger
    controller = ready._controller
    is_untouched = not controller._had_sinks and controller.config_as_given == LoggerConfig()
    if parcel.settings is not None and is_untouched and controller.core.identity != parcel.identity:
        config, sinks = parcel.settings
        try:
            controller.configure(LoggerConfig(**config), {})
            _complete(controller, parcel, sinks)
        except BaseException:
            # The next one that arrives begins anew, perhaps with a file that can be opened by then.
            for number in controller.user_sinks():
                controller.remove(number)
            controller._had_sinks = False
            controller.configure(LoggerConfig(), {})
            raise
    return ready._owner, controller


class Visit:
    """Held by a logger that has arrived, and by what is made of it. When they are gone, what they logged is written."""

    __slots__ = ("controller", "lifeline")

    def __init__(self, controller: Controller, lifeline: Lifeline) -> None:
        self.controller = controller
        self.lifeline = lifeline

    def __del__(self) -> None:
        controller = self.controller
        if not controller.has_ended:
            controller.core.flush(controller.patience_s)


def _keep(controller: Controller, lifeline: Lifeline) -> list[Any]:
    """Keeps an engine, as the latest one. Returns what is kept no more."""
    before = _kept.copy()
    _kept[:] = [*[one for one in before if one[0] is not controller][1 - MOST_KEPT :], (controller, lifeline)]
    return before


def _engine_here(parcel: Parcel) -> tuple[Lifeline, Controller]:
    _kept[:] = [one for one in _kept if not one[0].is_closed]  # a job has closed it, and ends with that
    for controller in process.controllers():
        if controller.core.identity == parcel.identity:
            lifeline = controller.core.lifeline
            owner = lifeline() if lifeline is not None else None
            if owner is not None:
                return owner, controller
    assert parcel.settings is not None
    config, sinks = parcel.settings
    controller = Controller(parcel.engine_name, LoggerConfig(**{**config, "auto_sink": False}))
    owner = Lifeline(controller)
    try:
        _complete(controller, parcel, sinks)
        if config.get("auto_sink", True) and not parcel.had_sinks:
            controller.configure(None, {"auto_sink": True})
    except BaseException:
        controller.close(0)  # the traceback may keep it
        raise
    # Last, because copies are given what has this identity.
    controller.core.identity = parcel.identity
    _kept.append((controller, owner))
    return owner, controller


def _complete(controller: Controller, parcel: Parcel, sinks: list[tuple[Settings, bool]]) -> None:
    for name in parcel.level_colors:
        controller.change(controller.levels.coloring(name, parcel.level_colors[name]))
    for config, is_enabled in sinks:
        number = controller.add_sink(SinkConfig(**config))
        if not is_enabled:
            controller.set_sink_enabled(number, False)
    if not parcel.is_on:
        controller.switch(is_on=False)
