"""`Logger.hook_exceptions`: what Python tells only its hooks goes to the log, and then on to the hook that was there.

Each hook stands in its place for itself, because others may be put above it and taken away in any order. One that is
removed while another stands above it stays where it is and only passes on.
"""

from __future__ import annotations

import os
import sys
import threading
import warnings
from _weakref import ref
from contextlib import suppress
from types import FrameType

from logly._core import emit_from, is_on_for_module, thread_ident
from logly.control.explain import sure_takers
from logly.errors import invalid
from logly.levels import Level
from logly.system.greenlets import current, run_others
from logly.system.unpatched import monotonic, pause

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from types import ModuleType, TracebackType
    from typing import Any, Self

    from logly._core import Core
    from logly._logger import Logger
    from logly.control.controller import Controller
    from logly.control.sinks import Sink

    Place = FrameType | TracebackType | tuple[str, str, str, int]

__all__ = ["ExceptionHooks"]

_NO_ERRORS = (KeyboardInterrupt, SystemExit)
"""They end a program, or a thread, because somebody wants it."""
_UNKNOWN = ("?", "?", "?", 0)
_MOST_SHOWN = 200
"""Characters of an object's repr."""

_PATIENCE_S = 1.0
"""How long a hook waits until its record stands on stderr. If it is not there by then, Python's own hook prints it."""
_FIRST_PAUSE_S = 0.00005
_LONGEST_PAUSE_S = 0.002


class _Run:
    """A hook at work on `event`, which is what all hooks of one chain are given."""

    __slots__ = ("controller", "event", "is_shown", "name")

    def __init__(self, controller: Controller | None, name: str, event: object) -> None:
        self.controller = controller
        self.name = name
        self.event = event
        self.is_shown: bool | None = None
        """Whether the record stands on stderr; None: it has not been logged."""


_runs: dict[tuple[int, object], list[_Run]] = {}
"""Of each thread and greenlet, the outermost first. Below itself a hook only passes on: the same logger may be hooked
twice, and what it logs may itself fail in a ``__del__``."""


def _forget_other_threads() -> None:
    """In a forked child, a new thread may get the number of one that is gone."""
    me = thread_ident()
    for thread, greenlet in list(_runs):
        if thread != me:
            del _runs[thread, greenlet]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_other_threads)


class ExceptionHooks:
    """What `Logger.hook_exceptions` has put in place. A context manager: leaving it takes the hooks away again.

    An exception that leaves the ``with`` is not logged: the hooks are gone before Python calls any, and it may be
    caught further up.
    """

    def __init__(self, logger: Logger, *, warns: bool, loop: AbstractEventLoop | None) -> None:
        if loop is not None and not callable(getattr(loop, "set_exception_handler", None)):
            raise invalid("loop", loop, "an event loop of asyncio, such as asyncio.get_running_loop()")
        hooks: list[_Hook] = [_MainHook(logger), _ThreadHook(logger), _UnraisableHook(logger)]
        if warns:
            hooks.append(_WarningHook(logger))
        if loop is not None:
            hooks.append(_LoopHook(logger, loop))
        self._hooks: list[_Hook] = []
        try:
            for hook in hooks:
                hook.put()
                self._hooks.append(hook)
        except BaseException:
            self.remove()
            raise

    def remove(self) -> None:
        """Take the hooks away. Those that were there before are in force again. Idempotent."""
        for hook in reversed(self._hooks):
            hook.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()


class _Hook:
    """A function in a place where Python looks for it: `name` of `module`. It keeps the one that was there."""

    module: ModuleType
    name: str
    level = Level.ERROR
    event_at = 0
    """Which of its arguments is the event."""
    name_in_logging: str | None = None
    """The logger of `logging` that may be told of it by the hook below."""

    def __init__(self, logger: Logger) -> None:
        self._logger: Logger | None = logger
        self._previous: Any = None
        self._stuck: list[tuple[int, int]] | None = None
        """The books of the sinks on stderr when one of them was waited for in vain. It is waited for again when they
        have changed."""

    def get(self) -> Any:
        """What stands in the place."""
        return getattr(self.module, self.name)

    def set(self, function: Any) -> None:
        """Put something into the place."""
        setattr(self.module, self.name, function)

    def put(self) -> None:
        """Put this hook into its place."""
        self._previous = self.get()
        self.set(self)

    def remove(self) -> None:
        """Take this hook out of its place, or leave it there to pass on where another one stands above it."""
        self._logger = None
        if self.get() is self:
            self.set(self.previous())

    def previous(self) -> Any:
        """The hook below that is still in force."""
        while isinstance(self._previous, _Hook) and self._previous._logger is None:
            self._previous = self._previous._previous
        return self._previous

    def __call__(self, *args: Any) -> None:
        """Log what has happened, and pass it on."""
        # Few calls of functions: it may be close to the recursion limit.
        logger, event = self._logger, args[self.event_at]
        where = thread_ident(), current()
        runs = _runs.setdefault(where, [])
        controller = logger._controller if logger is not None else None
        is_outer = True
        for above in runs:
            is_outer = is_outer and (above.controller is not controller or above.name != self.name)
        run = _Run(controller, self.name, event)
        runs.append(run)
        try:
            try:
                with suppress(Exception):  # the program does not fail because its log does: it is passed on
                    if logger is not None and is_outer and not self.is_for_logging():
                        run.is_shown = self.log(logger, *args)
            finally:
                self.pass_on(args, _fate(runs, event))
        finally:
            runs.pop()
            if not runs:
                _runs.pop(where, None)

    def log(self, logger: Logger, *args: Any) -> bool | None:
        """Log it. Returns whether somebody who looks at stderr sees it there; None: it is no error, and not logged."""
        raise NotImplementedError

    def pass_on(self, args: tuple[Any, ...], is_shown: bool | None) -> None:
        """Call the hook below. Python's own, which prints to stderr, is called where nobody sees the record there."""
        previous = self.previous()
        if is_shown is not None and self.is_loggings(previous):
            by_logging, by_others = _readers_of(self.name_in_logging)
            if not by_others and (is_shown or by_logging):
                return
        elif is_shown and self.is_pythons(previous):
            return
        self.call(previous, args)

    def call(self, previous: Any, args: tuple[Any, ...]) -> None:
        """Call the hook below."""
        if previous is not None:
            previous(*args)

    def is_loggings(self, previous: Any) -> bool:
        """Whether the hook below tells `logging`."""
        return False

    def is_for_logging(self) -> bool:
        """Whether `logging` brings it to logly and tells others, too. Then it is left to that."""
        lowest = self.previous()
        while isinstance(lowest, _Hook):
            lowest = lowest.previous()
        return self.is_loggings(lowest) and all(_readers_of(self.name_in_logging))

    def is_pythons(self, hook: Any) -> bool:
        """Whether it is the hook that Python itself starts with."""
        return hook is getattr(self.module, f"__{self.name}__", None)

    def emit(self, logger: Logger, text: str, error: BaseException | None, trace: TracebackType | None) -> bool:
        """Log an exception at the line that failed. Returns whether it stands on stderr."""
        exc_info = (type(error), error, trace) if error is not None else None
        return self.write(logger, text, exc_info, _failing_line(logger, self.level, trace))

    def write(self, logger: Logger, text: str, exc_info: Any, place: Place) -> bool:
        """Log it, and wait until it stands on stderr, if it is to: this may be the program's last act."""
        sinks, core = _sinks_on_stderr(logger, self.level, place), logger._controller.core
        before, dropped = _books(sinks), core.stats().dropped if sinks else 0
        emit_from(logger, self.level, text, {}, exc_info, place)
        if not sinks or core.stats().dropped != dropped:
            return False
        if core.must_not_wait():  # a caller further up goes on with the sinks' work
            return not all(getattr(sink, "_echoes", False) for sink in sinks)  # they may refuse it
        mark, deadline = sinks[0].handle.committed(), monotonic() + (_PATIENCE_S if before != self._stuck else 0)
        pause_s = _FIRST_PAUSE_S
        while not (is_written := _is_written(sinks, mark, before)) and monotonic() < deadline:
            _wait_a_little(core, pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        self._stuck = None if is_written else _books(sinks)
        return is_written


class _MainHook(_Hook):
    """`sys.excepthook`: an exception ends the program."""

    module, name = sys, "excepthook"
    level = Level.CRITICAL
    event_at = 1

    def log(self, logger: Logger, *args: Any) -> bool | None:
        _, error, trace = args
        if isinstance(error, _NO_ERRORS):
            return None
        return self.emit(logger, "uncaught exception", error, trace)


class _ThreadHook(_Hook):
    """`threading.excepthook`: an exception ends a thread."""

    module, name = threading, "excepthook"

    def log(self, logger: Logger, *args: Any) -> bool | None:
        about = args[0]
        if issubclass(about.exc_type, _NO_ERRORS):
            return None
        thread = about.thread.name if about.thread is not None else "?"
        text = f"uncaught exception in thread {thread}"
        return self.emit(logger, text, about.exc_value, about.exc_traceback)


class _UnraisableHook(_Hook):
    """`sys.unraisablehook`: an exception where nobody can catch it, such as in ``__del__``."""

    module, name = sys, "unraisablehook"

    def log(self, logger: Logger, *args: Any) -> bool | None:
        about = args[0]
        if issubclass(about.exc_type, _NO_ERRORS):
            return None
        text = about.err_msg or ("Exception ignored" if about.object is None else "Exception ignored in")
        if about.object is not None:
            text = f"{text}: {_shown(about.object)}"
        if about.exc_value is None:
            text = f"{text}: {about.exc_type.__name__}"
        return self.emit(logger, text, about.exc_value, about.exc_traceback)


class _WarningHook(_Hook):
    """`warnings.showwarning`: a warning that no filter has swallowed."""

    module, name = warnings, "showwarning"
    level = Level.WARNING
    name_in_logging = "py.warnings"

    def log(self, logger: Logger, *args: Any) -> bool | None:
        message: Any
        message, category, path, line, file = args[:5]
        if file is not None:  # somebody wants it there
            return None
        text = f"{category.__name__}: {_shown(message, str)}"
        return self.write(logger, text, None, _warning_line(str(path), line))

    def __call__(self, *args: Any, **named: Any) -> None:
        names = ("message", "category", "filename", "lineno", "file", "line")
        super().__call__(*args, *(named.get(name) for name in names[len(args) :]))

    def is_pythons(self, hook: Any) -> bool:
        own = (getattr(hook, "__module__", None), getattr(hook, "__name__", None))
        return own in (("warnings", "showwarning"), ("_py_warnings", "showwarning"))

    def is_loggings(self, previous: Any) -> bool:
        logging = sys.modules.get("logging")
        return previous is not None and previous is getattr(logging, "_showwarning", None)


class _LoopHook(_Hook):
    """The exception handler of an event loop: a callback has failed, or a task whose result nobody asked for."""

    name = "exception_handler"
    event_at = 1
    name_in_logging = "asyncio"

    def __init__(self, logger: Logger, loop: AbstractEventLoop) -> None:
        super().__init__(logger)
        self._loop = ref(loop)  # the hooks may stay when the loop has ended

    def get(self) -> Any:
        loop = self._loop()
        return loop.get_exception_handler() if loop is not None else None

    def set(self, function: Any) -> None:
        loop = self._loop()
        if loop is not None:
            loop.set_exception_handler(function)

    def log(self, logger: Logger, *args: Any) -> bool | None:
        context = args[1]
        error = context.get("exception")
        if isinstance(error, _NO_ERRORS):
            return None
        task = context.get("task") or context.get("future")
        coroutine = task.get_coro() if hasattr(task, "get_coro") else None
        text = str(context.get("message") or "Unhandled exception in event loop")
        if coroutine is not None:
            text = f"{text}: {task.get_name()}, {getattr(coroutine, '__qualname__', '?')}()"
        if error is not None:
            return self.emit(logger, text, error, error.__traceback__)
        return self.write(logger, text, None, getattr(coroutine, "cr_frame", None) or _UNKNOWN)

    def call(self, previous: Any, args: tuple[Any, ...]) -> None:
        loop, context = args
        if previous is not None:
            previous(loop, context)
        else:
            loop.default_exception_handler(context)

    def is_pythons(self, hook: Any) -> bool:
        return False

    def is_loggings(self, previous: Any) -> bool:
        return previous is None  # the loop's own handler does


def _shown(value: object, text_of: Any = repr) -> str:
    try:
        text = str.__str__(text_of(value))
    except RecursionError:
        raise
    except Exception:  # noqa: BLE001  # a `__repr__` may raise anything
        return f"<{type(value).__name__} object>"
    return text if text_of is str or len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


def _failing_line(logger: Logger, level: int, trace: TracebackType | None) -> Place:
    """The last line of the traceback whose module's level lets the record through; else the very last one."""
    if trace is None:
        return _UNKNOWN
    entries = []
    while trace is not None:
        entries.append(trace)
        trace = trace.tb_next
    if logger._name is None:
        for entry in reversed(entries):
            if is_on_for_module(logger, level, entry.tb_frame.f_globals.get("__name__")):
                return entry
    return entries[-1]


def _warning_line(path: str, line: int) -> Place:
    """The line that warned: the frame of it where it is on the stack, which has the module and the function."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_lineno == line and frame.f_code.co_filename == path:
            return frame
        frame = frame.f_back
    module = path.replace("\\", "/").rpartition("/")[2].removesuffix(".py")
    return module, "?", path, line


def _fate(runs: list[_Run], event: object) -> bool | None:
    """What has become of the event so far: see `_Run.is_shown`."""
    fate = None
    for run in runs:
        if run.event is event and run.is_shown is not None:
            fate = fate or run.is_shown
    return fate


def _sinks_on_stderr(logger: Logger, level: int, place: Place) -> list[Sink]:
    """The sinks that write to stderr and are to get the record, whatever else it is."""
    module: Any
    if isinstance(place, tuple):
        module = place[0]
    else:
        frame = place if isinstance(place, FrameType) else place.tb_frame
        module = frame.f_globals.get("__name__")
    name = logger._name.text if logger._name is not None else None
    takers = sure_takers(logger._controller, level, name, module if isinstance(module, str) else None)
    return [sink for sink in takers if sink.place in (("stream", "stderr"), ("fd", 2))]


def _books(sinks: list[Sink]) -> list[tuple[int, int]]:
    """How many records each sink has written, and how many it has lost."""
    books = [sink.handle.stats() for sink in sinks]
    return [(one.written, one.failed) for one in books]


def _is_written(sinks: list[Sink], mark: int, before: list[tuple[int, int]]) -> bool:
    """Whether a sink has written the first `mark` records of the logger, and has lost none since `before`."""
    for sink, (_, failed) in zip(sinks, before, strict=True):
        if sink.handle.write_out(mark) and sink.handle.stats().failed == failed:
            return True
    return False


def _wait_a_little(core: Core, pause_s: float) -> None:
    """Let the flusher work; where there is none, do its work. If it takes long, the thread's other greenlets run."""
    if core.helper is not None:  # for handlers of `logging` whose lock this thread holds
        core.helper(core)
    if not core.flusher_runs:
        core.drain_here()
    if pause_s < _LONGEST_PAUSE_S or not run_others():
        pause(pause_s)


def _readers_of(name: str | None) -> tuple[bool, bool]:
    """Who gets what the logger of `logging` with this name is told: logly, handlers that are not logly's."""
    logging = sys.modules.get("logging")
    if logging is None:
        return False, False
    logger = logging.getLogger(name)
    handlers = []
    while logger is not None:
        handlers += logger.handlers
        logger = logger.parent if logger.propagate else None
    own = [handler for handler in handlers if type(handler).__module__ == "logly.stdlib"]
    others = [handler for handler in handlers if handler not in own and type(handler) is not logging.NullHandler]
    installed = getattr(sys.modules.get("logly.bridge.install"), "_installed", None)
    return bool(own) or (installed is not None and not handlers), bool(others)
