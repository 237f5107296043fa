"""`install`: the calls of `logging` in this process go through logly, with the same bytes in the same files."""

from __future__ import annotations

import functools
import logging
import logging.handlers
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from types import FunctionType
from typing import TYPE_CHECKING, Any

from logly._core import Producer as _Producer
from logly._core import (
    barrier_method,
    know_acquire,
    logging_method,
    prepare_logging_calls,
    routes_in_child,
    routes_known,
    use_route_rules,
    write_served,
)
from logly.config.schema import LoggerConfig
from logly.control.controller import Controller
from logly.errors import invalid
from logly.stdlib import StdlibHandler
from logly.system.unpatched import SystemLock

from .last_resort import LAST_RESORT, handling
from .resolve import AS_MADE, FAST_METHODS, RouteRules, is_internal_file
from .served_handlers import SERVED, Serving, is_loggings_own

if TYPE_CHECKING:
    from collections.abc import Callable

    from logly._core import HandlerEntry
    from logly._logger import Logger

__all__ = ["Route", "install", "routes", "uninstall"]

RECORD_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""Names that a call with `extra` may not have: `logging` refuses some of them, and the others are no fields."""


@dataclass(frozen=True)
class Route:
    """What a logger of `logging` does with calls at present; see `routes`."""

    name: str
    """The logger's name."""
    is_fast: bool
    """Whether at least one level is on, and the calls of every level that is on make their records in logly."""
    handlers: list[str]
    """The handlers that its records reach."""
    why_not: str | None
    """Why calls go the way of `logging`, in one sentence; None: they do not."""
    fast: int = 0
    """Calls whose arguments were copied as bits."""
    rendered: int = 0
    """Calls whose text was made at the call, without a `LogRecord`."""
    original: int = 0
    """Calls of levels that were on and went the way of `logging`."""


ENDS = ((os, "_exit"), (os, "execv"), (os, "execve"), (os, "abort"), (signal, "raise_signal"))
"""Functions that may end the process. All `exec*` functions of `os` call one of these.

`raise_signal` is here because of uvicorn: when it has shut down, it raises the signal that stopped it once more, and
the signal's default action ends the process.
"""

SENDS = ("kill", "killpg")
"""The functions of `os` that may send a signal to this process."""

END_S = 5.0
"""How long these functions, and `os.dup2`, wait until what was logged is written."""


def barriers() -> tuple[str, ...]:
    """The methods that `logging` calls before it uses a handler."""
    # Since 3.13, `handle` and `flush` take the lock without `acquire`.
    return ("acquire", "handle", "flush") if sys.version_info >= (3, 13) else ("acquire",)


class Installation:
    """What `install` has changed, and how it is undone."""

    def __init__(self, logger: Logger | None, handlers: str, write: str) -> None:
        self.settings = (logger, handlers, write)
        self.replaced: list[tuple[Any, str, Any, Any]] = []
        """Class or module, attribute, what was there (None: nothing), what is there now."""
        self.added: logging.Handler | None = None
        """The handler of the root that gives its records to `logger`."""
        if logger is None:
            config = LoggerConfig(auto_sink=False, level=0, level_file=None, spool=None)
            self.controller = Controller("logging", config)
        else:
            self.controller = logger._controller
        self.serving = Serving(self.controller, write)
        serve = self.serving.serve if handlers == "serve" else _keep
        self.rules = RouteRules(self.controller.core, serve, self.controller.report, self.serving.handler_is_gone)

    def begin(self) -> None:
        prepare_logging_calls(Mapping, RECORD_ATTRIBUTES, is_internal_file)
        for name in FAST_METHODS:
            original = logging.Logger.__dict__.get(name)
            if not is_loggings_own(original):
                continue  # another library has replaced it
            # RootLogger inherits the method. If it had one of its own, that would hide what is patched into Logger.
            self.replace(logging.Logger, name, logging_method(logging.Logger, name, original))
            self.rules.replaced.append((logging.Logger, name))
        known_acquire = AS_MADE[logging.Handler]["acquire"]
        know_acquire(logging.Handler, known_acquire, SERVED if isinstance(known_acquire, FunctionType) else ())
        for name in barriers():
            self.replace(logging.StreamHandler, name, barrier_method(logging.StreamHandler, name))
        for kind, name, wrap in (
            (logging.FileHandler, "close", self.serving.closing),
            (logging.handlers.RotatingFileHandler, "doRollover", self.serving.draining),
            (logging.handlers.TimedRotatingFileHandler, "doRollover", self.serving.draining),
            (logging.handlers.WatchedFileHandler, "reopenIfNeeded", self.serving.draining),
        ):
            method = vars(kind).get(name)
            if is_loggings_own(method):
                self.replace(kind, name, wrap(method))
        self.replace(LAST_RESORT, "handle", handling(self.rules.without_handlers))
        for module, name in ENDS:
            if hasattr(module, name):
                self.replace(module, name, self._flushing(getattr(module, name)))
        for name in SENDS:
            if hasattr(os, name):
                self.replace(os, name, self._flushing(getattr(os, name), _is_for_us))
        self.replace(os, "dup2", self._redirecting(os.dup2))
        self.serving.use_methods()
        self.rules.use_methods()
        use_route_rules(self.rules)

        logger = self.settings[0]
        if logger is not None and not [one for one in logging.root.handlers if type(one) is StdlibHandler]:
            self.added = StdlibHandler(logger)
            logging.root.addHandler(self.added)

    def replace(self, owner: Any, name: str, function: Any) -> None:
        self.replaced.append((owner, name, vars(owner).get(name), function))
        setattr(owner, name, function)

    def _flushing(self, function: Any, may_end: Callable[..., bool] = lambda *_: True) -> Any:
        """Wraps a function that may end the program: first, what was logged is written."""

        @functools.wraps(function)
        def end(*args: Any, **options: Any) -> Any:
            if may_end(*args) and not self.controller.core.must_not_wait():
                self.controller.flush(END_S)
            return function(*args, **options)

        return end

    def _redirecting(self, function: Any) -> Any:
        """Wraps `os.dup2`: what was logged before is written into the file that the descriptor had before."""

        @functools.wraps(function)
        def dup2(*args: Any, **options: Any) -> Any:
            number = args[1] if len(args) > 1 else options.get("fd2")
            is_served = self.serving.is_served(number)
            if is_served and not self.controller.core.must_not_wait():
                self.controller.flush(END_S)
            result = function(*args, **options)
            if is_served:
                self.serving.forget(number)
            return result

        return dup2

    def end(self) -> None:
        use_route_rules(None)
        self.serving.end()  # while what handlers write still waits for that
        for owner, name, before, function in reversed(self.replaced):
            if vars(owner).get(name) is not function:
                continue  # somebody has put a wrapper around it, which goes on working
            if before is None:
                delattr(owner, name)
            else:
                setattr(owner, name, before)
        if self.added is not None:
            logging.root.removeHandler(self.added)
        if self.settings[0] is None:
            self.controller.close(None)


def _is_for_us(target: object = None, number: object = 0) -> bool:
    """Whether this process gets the signal, perhaps with others."""
    ours = os.getpid(), os.getpgrp(), -os.getpgrp(), 0, -1
    return number != 0 and target in ours


def _keep(handler: logging.Handler, entry: HandlerEntry) -> None:
    entry.why_not = f"handler {type(handler).__qualname__} is kept as it is"


_lock = SystemLock()
_installed: Installation | None = None


def _after_fork_in_child() -> None:
    if _installed is not None:
        _installed.serving.after_fork_in_child()
        routes_in_child()
        # Handlers are looked at anew: the child may be a worker of `multiprocessing`.
        use_route_rules(_installed.rules)


if hasattr(os, "register_at_fork"):
    # The hooks before a fork run in the reverse order, so this one runs before `before_fork`.
    os.register_at_fork(before=write_served, after_in_child=_after_fork_in_child)


def install(logger: Logger | None = None, *, handlers: str = "serve", write: str = "auto") -> None:
    """Make every call of `logging` in this process fast. Idempotent; other arguments replace those of before.

    Args:
        logger: the logger whose engine, ring and spool are used. None: `install` makes an engine of its own.
        handlers: "serve": logly writes for the plain handlers of the standard library; "keep": only calls that end in a
            `StdlibHandler` are fast.
        write: "auto": lines for files and stderr are written soon, lines for stdout before the call returns; "call":
            all lines are written before the call returns; "soon": all lines are written soon.

    Raises:
        ConfigError: an argument has another value.
    """
    global _installed
    if logger is not None and not isinstance(logger, _Producer):
        raise invalid("logger", logger, "a logly.Logger")
    if handlers not in ("serve", "keep"):
        raise invalid("handlers", handlers, "'serve' or 'keep'")
    if write not in ("auto", "call", "soon"):
        raise invalid("write", write, "'auto', 'call' or 'soon'")
    if os.environ.get("LOGLY_INSTALL") == "0":
        return
    with _lock:
        if _installed is not None:
            if _installed.settings == (logger, handlers, write):
                return
            _installed.end()
        _installed = Installation(logger, handlers, write)
        _installed.begin()


def uninstall() -> None:
    """Undo `install`, and write what was logged before. Idempotent."""
    global _installed
    with _lock:
        if _installed is not None:
            installed, _installed = _installed, None
            installed.end()


def routes() -> list[Route]:
    """What each logger of `logging` that has been used does with calls, sorted by name."""
    found = []
    for owner in sorted(routes_known(), key=lambda one: str(one.logger.name)):
        fast, rendered, original = owner.counts
        reasons = [text for text in owner.why_not.values() if text]
        ways = set(owner.ways.values())
        is_fast = bool(ways & {"fast", "nothing"}) and not ways & {"original"}
        names = [shown(handler) for handler in reached(owner.logger)]
        if not reasons and not names:
            reasons = ["no handler"]
        why_not = None if is_fast or not reasons else reasons[0]
        found.append(Route(owner.logger.name, is_fast, names, why_not, fast, rendered, original))
    return found


def reached(logger: Any) -> list[logging.Handler]:
    """The handlers that a logger's records reach, whatever their levels. Runs no code of the loggers."""
    found: list[logging.Handler] = []
    seen: set[int] = set()
    while isinstance(logger, logging.Filterer) and id(logger) not in seen:
        seen.add(id(logger))
        attributes = vars(logger)
        handlers = attributes.get("handlers")
        found += handlers if isinstance(handlers, list) else []
        logger = attributes.get("parent") if attributes.get("propagate") else None
    return found


def shown(handler: logging.Handler) -> str:
    try:
        return repr(handler)
    except RecursionError:
        raise
    except Exception:  # noqa: BLE001  # a handler's own __repr__
        return type(handler).__qualname__
