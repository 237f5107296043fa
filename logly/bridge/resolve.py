"""What Python code decides about routes: whether `logging` is unchanged, and what serves a handler.

All of this runs only when a route is found out, and never for a call whose route holds.
"""

from __future__ import annotations

import logging
import logging.handlers
import sys
import threading
from types import FunctionType

from logly._core import HandlerEntry, Target, World, served_producer, watch_names_of
from logly.stdlib import StdlibHandler, is_formatted_by_layout

from .shown_extra import combined, is_encodable
from .sight import choose_sight

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from logly._core import Core, Producer

    from .shown_extra import ShownExtra

__all__ = ["RouteRules"]

THREADING_FILE = threading.Thread.start.__code__.co_filename
LOGGING_FILE = logging.addLevelName.__code__.co_filename


def _as_made(kind: type) -> dict[str, Any]:
    """What is in a class of `logging` now; a function that is not `logging`'s own counts as changed."""
    found = dict(vars(kind))
    for name in found:
        function = found[name]
        if isinstance(function, FunctionType) and function.__code__.co_filename not in OWN_FILES:
            found[name] = CHANGED
    return found


OWN_FILES = {LOGGING_FILE, StdlibHandler.emit.__code__.co_filename}
CHANGED = object()
"""Stands for a function that is not `logging`'s own. It is never in a class, so the class counts as changed."""

LOGGER_METHODS = ("_log", "handle", "callHandlers", "makeRecord", "findCaller", "getEffectiveLevel")
FAST_METHODS = ("debug", "info", "warning", "error", "critical", "log", "isEnabledFor")
SHADOWED = frozenset((*LOGGER_METHODS, "filter", "isEnabledFor"))

COMPUTED = ("disabled", "handlers", "filters", "propagate", "parent", "level", "name", "_cache")
"""Attributes of a logger that its class may not have: a property would hide what is in the object's dict."""

CLASSES = (
    logging.Filterer,
    logging.Logger,
    logging.RootLogger,
    logging.LogRecord,
    logging.Handler,
    logging.NullHandler,
    StdlibHandler,
)
"""The classes on which every call depends."""

AS_MADE = {kind: _as_made(kind) for kind in CLASSES}
"""What was in these classes when this module was imported."""

SENSITIVE = frozenset(
    {*dir(logging.Logger), *dir(logging.Handler), *dir(logging.LogRecord), *COMPUTED, "__getattr__", "__slots__"}
    | set(vars(logging.makeLogRecord({})))
    | {"_name", "formatter", "lock", "_closed", "logger", "manager", "message", "asctime", "terminator", "stream"}
)
"""Names that may not be added to one of these classes, because they would hide what is there or in an object.

Other additions, such as a method for a level of the program's own, do not matter.
"""

FUNCTIONS = ("getLevelName", "currentframe", "_is_internal_frame")
MODULE = {name: vars(logging).get(name) for name in (*FUNCTIONS, "LogRecord", "_srcfile")}


HAVE_MORE = (logging.Logger, logging.Handler, logging.StreamHandler)
CALLED = frozenset((*LOGGER_METHODS, *FAST_METHODS, "filter", "format", "emit", "acquire", "release", "flush"))
STYLES = (logging.PercentStyle, logging.StrFormatStyle, logging.StringTemplateStyle)

MODULES = ("logging", "time", "threading", "traceback", "os")
"""The modules that `logging` uses at a call."""
READ = frozenset(("current_thread", "time", "time_ns", "getpid", "_levelToName", "_defaultFormatter"))
FLAGS = ("logThreads", "logProcesses", "logMultiprocessing", "logAsyncioTasks")


def _names_used() -> set[str]:
    """The names of globals and attributes in the code of `logging` that runs at a call."""
    found: set[str] = set()
    functions = [vars(logging).get(name) for name in FUNCTIONS]
    for kind in (*CLASSES, logging.StreamHandler, logging.Formatter, *STYLES):
        functions += [vars(kind).get(name) for name in vars(kind) if kind not in HAVE_MORE or name in CALLED]
    for function in functions:
        if isinstance(function, FunctionType) and function.__code__.co_filename == LOGGING_FILE:
            found.update(function.__code__.co_names)
    return found


def name_what_matters() -> None:
    """Say which names of modules a call depends on. After a change, only these are compared."""
    used = _names_used() | READ
    for module in MODULES:
        if module in sys.modules:
            space = vars(sys.modules[module])
            more = {*MODULE, *FLAGS, "_logRecordFactory", "threading"} if module == "logging" else set()
            watch_names_of(space, tuple(sorted((used & space.keys()) | more)))


def is_internal_file(filename: str) -> bool:
    """Whether `findCaller` skips the frames of a file."""
    return filename == LOGGING_FILE or ("importlib" in filename and "_bootstrap" in filename)


class RouteRules:
    """Decides about routes while `install` is in force.

    Args:
        core: the engine whose sinks serve handlers.
        serve: puts into a handler's entry what serves the handler, or why nothing does; see `Serving.serve`.
        failed: called with the exception, when logly's own code fails.
        gone: called with the id of a handler that has been collected.
    """

    def __init__(
        self,
        core: Core,
        serve: Callable[[logging.Handler, HandlerEntry], None],
        failed: Callable[[Exception], None],
        gone: Callable[[int], None],
    ) -> None:
        self.core = core
        self._serve = serve
        self.failed = failed
        self.handler_is_gone = gone
        self._world: World | None = None
        self.known_handlers: list[Any] = logging._handlerList  # type: ignore[attr-defined]
        """Weak references to all handlers that there are. `logging` changes this list in place."""
        self._expected: dict[type, dict[str, Any]] = {}
        self.replaced: list[tuple[type, str]] = []
        """Class and name of what `install` has replaced in one of `CLASSES`."""

    def use_methods(self) -> None:
        """From now on, what `install` has put into the classes counts as unchanged."""
        self._expected = {kind: dict(AS_MADE[kind]) for kind in CLASSES}
        for kind, name in self.replaced:
            self._expected[kind][name] = vars(kind).get(name)
        choose_sight()
        name_what_matters()

    # ---- all routes

    def world(self) -> World:
        """What holds for all routes at present."""
        world = self._world
        if world is None or not world.holds:
            world = World()
            for module in MODULES:
                if module in sys.modules:
                    world.watch_module(vars(sys.modules[module]))
            for kind in CLASSES:
                world.watch_class(kind)
            gate = logging.Logger.__dict__.get("isEnabledFor")
            world.is_gated = gate is self._expected[logging.Logger]["isEnabledFor"]
            world.is_gated = world.is_gated and self._change_of(logging.RootLogger) is None
            world.is_gated = world.is_gated and not set(COMPUTED).intersection(vars(logging.Logger))
            world.why_not = self._what_is_changed()
            self._world = world
        return world

    def _what_is_changed(self) -> str | None:
        for kind in CLASSES:
            name = self._change_of(kind)
            if name is not None:
                return f"{_named(kind)}.{name} is patched{_by(vars(kind).get(name))}"
        now = vars(logging)
        if now.get("_logRecordFactory") is not logging.LogRecord:
            return f"the log record factory is not logging's{_by(now.get('_logRecordFactory'))}"
        for name in MODULE:
            if now.get(name) is not MODULE[name]:
                return f"logging.{name} is patched{_by(now.get(name))}"
        for name in FLAGS:
            if now.get(name, True) is not True:
                return f"logging.{name} is off"
        if now.get("threading") is not sys.modules.get("threading"):
            return "logging.threading is not the module"
        current = vars(sys.modules["threading"]).get("current_thread")
        if getattr(getattr(current, "__code__", None), "co_filename", None) != THREADING_FILE:
            return f"threading.current_thread is patched{_by(current)}"
        for module, name in (("time", "time"), ("time", "time_ns"), ("os", "getpid")):
            function = vars(sys.modules[module]).get(name) if module in sys.modules else None
            if function is not None and type(function) is not type(len):
                return f"{module}.{name} is patched{_by(function)}"
        return None

    def _change_of(self, kind: type) -> str | None:
        """The name of something in a class that has changed, or None."""
        expected, now = self._expected[kind], vars(kind)
        for name in expected:
            if now.get(name) is not expected[name] and name not in UNIMPORTANT:
                return name
        for name in now:
            if name not in expected and name in SENSITIVE:
                return name
        return None

    # ---- loggers

    def loggers(self) -> list[logging.Logger]:
        """The loggers that `logging` keeps."""
        found = list(logging.Logger.manager.loggerDict.values())
        return [logging.root, *(one for one in found if isinstance(one, logging.Logger))]

    def is_routable(self, logger: logging.Logger) -> bool:
        """Whether a route may be kept for a logger. It may if `logging` itself keeps the logger."""
        name = getattr(logger, "name", None)
        if logger is logging.root:
            return True
        found = logging.Logger.manager.loggerDict.get(name) if type(name) is str else None
        return found is logger

    def refuses_logger(self, logger: Any, is_caller: bool) -> str | None:
        """Why a call of this logger, or of one below it, cannot be fast; None: it can."""
        kind = type(logger)
        if kind in (logging.Logger, logging.RootLogger):
            return None
        if not isinstance(logger, logging.Logger):
            return f"a logger above it is no logging.Logger: {kind.__qualname__}"
        for name in (*SHADOWED, *FAST_METHODS):
            if getattr(kind, name, None) is not getattr(logging.Logger, name):
                return f"class {kind.__qualname__} has its own {name}"
        access: Any = kind.__getattribute__
        if access is not object.__getattribute__ or hasattr(kind, "__getattr__"):
            return f"class {kind.__qualname__} looks attributes up itself"
        for name in COMPUTED:
            if hasattr(kind, name):
                return f"class {kind.__qualname__} has its own {name}"
        return None

    def computes_attributes(self, kind: type) -> bool:
        """Whether an attribute that decides about levels may have another value than the one in the object's dict."""
        if kind in (logging.Logger, logging.RootLogger):
            return False
        if getattr(kind, "isEnabledFor", None) is not logging.Logger.isEnabledFor:
            return True
        access: Any = kind.__getattribute__
        is_own = access is not object.__getattribute__ or hasattr(kind, "__getattr__")
        return is_own or any(hasattr(kind, name) for name in COMPUTED)

    def shadowing(self, attributes: dict[str, Any]) -> str | None:
        """The name of an attribute of a logger that hides a method; None: there is none."""
        found = SHADOWED.intersection(attributes)
        return min(found) if found else None

    # ---- handlers

    def is_root(self, logger: logging.Logger) -> bool:
        return logger is logging.root

    def without_handlers(self) -> Producer | None:
        """`logly.logger`, which gets the records that reach no handler, if the process has made no handler.

        None: there is a handler, so `logging` decides by its `lastResort`.
        """
        if logging.lastResort is not logging._defaultLastResort:  # type: ignore[attr-defined]
            return None
        has_last_resort = False  # `logging.config` empties the list
        for reference in list(self.known_handlers):
            handler = reference()
            has_last_resort = has_last_resort or handler is logging.lastResort
            if handler is not None and handler is not logging.lastResort and type(handler) is not logging.NullHandler:
                return None
        if not has_last_resort:
            return None
        import logly

        return logly.logger

    def assess(self, handler: logging.Handler) -> HandlerEntry:
        """What serves a handler at present."""
        entry = HandlerEntry(handler)
        kind = type(handler)
        if entry.why_not is not None:
            return entry
        if kind is logging.NullHandler:
            entry.wants_nothing = True
        elif not isinstance(handler, logging.Handler):
            entry.why_not = f"a handler is no logging.Handler: {kind.__qualname__}"
        elif entry.filters:
            entry.why_not = f"{_words(handler)} has {entry.filters} filter{'s' if entry.filters > 1 else ''}"
        elif kind is StdlibHandler:
            self._assess_stdlib(handler, entry)
        else:
            self._serve(handler, entry)
        return entry

    def _assess_stdlib(self, handler: Any, entry: HandlerEntry) -> None:
        if vars(handler).keys() & {"emit", "handle", "filter", "handleError", "acquire", "format"}:
            entry.why_not = f"{_words(handler)} has methods of its own"
        else:
            if handler.formatter is not None:
                entry.watch(handler.formatter)
            if not is_formatted_by_layout(handler.formatter):
                entry.why_not = f"{_words(handler)} has a formatter"
            entry.producer = handler.logger

    def target(
        self, name: str, producers: list[Producer], sinks: tuple[int, ...], is_ascii: bool, shown: list[ShownExtra]
    ) -> Target | str:
        """Returns where records for these handlers go, or a text that says why they cannot go to logly."""
        if len(set(map(id, producers))) != len(producers) or len(producers) > 1:
            return "more than one StdlibHandler"
        if len(set(sinks)) != len(sinks):
            return "its records reach a handler more than once"
        if not sinks:
            return Target(producers[0])
        if producers:
            return "a StdlibHandler beside other handlers"
        if not is_encodable(name, is_ascii):
            return "its name cannot be written as the stream would write it"
        extra = combined(shown)
        if isinstance(extra, str):
            return extra
        producer = served_producer(self.core, name, sinks, own=False)
        if producer is None:
            return "too many sets of handlers were in use"
        return Target(producer, is_served=True, is_ascii=is_ascii, extra=extra)


UNIMPORTANT = frozenset({"__doc__", "__dict__", "__weakref__", "__module__", "manager", "root"})
"""Names in a class that may change without any effect on a call."""


def _named(kind: type) -> str:
    return f"logging.{kind.__name__}" if kind.__module__ == "logging" else kind.__qualname__


def _words(handler: object) -> str:
    return f"handler {type(handler).__qualname__}"


def _by(function: object) -> str:
    """ " by MODULE", where that is known."""
    module = getattr(function, "__module__", None)
    return f" by {module}" if isinstance(module, str) else ""
