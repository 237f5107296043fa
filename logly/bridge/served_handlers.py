"""Which handlers of `logging` the flusher writes for, and the sinks that do it."""

from __future__ import annotations

import functools
import io
import logging
import logging.handlers
import os
import sys
from types import FunctionType
from weakref import ref

from logly._core import RouteIsBusy, forget_handler, forget_served, serve_handler
from logly.system.unpatched import TryLock

from .formatter_stamps import proof_of, settings_of, watch_formatter
from .formatters import NotServed, layout_of
from .handler_sink import add_handler
from .validation import differs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from logly._core import HandlerEntry
    from logly.control.controller import Controller

    from .formatters import FormatterLayout
    from .handler_sink import HandlerSink

__all__ = ["SERVED", "Serving", "is_loggings_own"]


class _Served:
    def __init__(
        self, handler: logging.Handler, key: tuple[Any, ...], layout: FormatterLayout, sink: HandlerSink
    ) -> None:
        self.reference = ref(handler)
        self.key = key
        self.layout = layout
        self.sink = sink
        self.is_ending = False
        """The sink is being removed. Until it has written what it holds, the handler gets no other."""
        self.turn = TryLock()
        """Of the thread that removes the sink."""


SERVED = (
    logging.StreamHandler,
    logging.FileHandler,
    logging.handlers.WatchedFileHandler,
    logging.handlers.RotatingFileHandler,
    logging.handlers.TimedRotatingFileHandler,
)
BASES = (logging.Filterer, logging.Handler, logging.handlers.BaseRotatingHandler, *SERVED)
FILES = {
    logging.addLevelName.__code__.co_filename,
    logging.handlers.SocketHandler.makePickle.__code__.co_filename,
}
CHANGED = object()
"""Stands for a method that is not `logging`'s own. It equals no method, so the class counts as changed."""
MOST_PROVEN = 64
"""The set of proven settings is emptied when it has this many entries."""


def _methods(kind: type) -> dict[str, Any]:
    """The methods of a class of handlers, inherited ones too. A method that others have put there counts as changed."""
    found: dict[str, Any] = {}
    for base in BASES:
        for name in list(vars(base)):
            method = getattr(kind, name, None)
            if isinstance(vars(base)[name], FunctionType) and method is not None:
                is_made = not isinstance(method, FunctionType) or is_loggings_own(method) or is_ours(method)
                found[name] = method if is_made else CHANGED
    return found


def is_loggings_own(method: Any) -> bool:
    """Whether a method is a function of `logging` itself, and not what another library has put in its place."""
    return isinstance(method, FunctionType) and method.__code__.co_filename in FILES


def is_ours(method: FunctionType) -> bool:
    return method.__code__.co_filename == is_ours.__code__.co_filename


class _Turn:
    """The sink of another handler, for which a handler that is not served waits: both write to the same file."""

    def __init__(self, by_handler: dict[int, _Served], number: int) -> None:
        self._by_handler = by_handler
        self._number = number

    def drain(self) -> None:
        served = self._by_handler.get(self._number)
        if served is not None:
            served.sink.drain()


class Serving:
    """The handlers that the flusher writes for.

    Args:
        controller: the engine.
        write: as in `install`.
    """

    def __init__(self, controller: Controller, write: str) -> None:
        self.controller = controller
        self._write = write
        self._by_handler: dict[int, _Served] = {}
        self._gone: list[HandlerSink] = []
        self._waiting: dict[int, ref[logging.Handler]] = {}
        """Handlers that are not served, and that write to the file of a served handler."""
        self._expected: dict[type, dict[str, Any]] = {}
        self._turn = TryLock()
        self._proven: set[tuple[Any, ...]] = set()

    def use_methods(self) -> None:
        """Remembers the present methods of handlers. A handler that later has another one is not served."""
        self._expected = {kind: _methods(kind) for kind in BASES}

    def serve(self, handler: logging.Handler, entry: HandlerEntry) -> None:
        """Finds out what serves a handler, and says so in its entry.

        Only one thread at a time does this, or a handler would get two sinks. No other thread waits for that thread.
        It may itself be waiting until the flusher ends a rollover, and a log call in a `rotator` comes here, too.

        Raises:
            RouteIsBusy: another thread is in this method, or has removed the handler's sink meanwhile.
        """
        with self._turn as is_ours:
            if not is_ours:
                raise RouteIsBusy
            self._remove_gone()
            stream: Any = vars(handler).get("stream")
            try:
                try:
                    entry.sink, entry.is_ascii = self._sink_of(handler, entry)
                except (AttributeError, OSError, ValueError):
                    if _is_still_open(handler, stream):
                        raise
                    # The entry holds until the handler gets another stream.
                    raise NotServed("its stream was closed meanwhile") from None
            except NotServed as answer:
                entry.why_not = f"handler {type(handler).__qualname__}: {answer.reason}"
                self._end(id(handler))

    def _sink_of(self, handler: Any, entry: HandlerEntry) -> tuple[int, bool]:
        served = self._by_handler.get(id(handler))
        if served is not None and served.is_ending:
            raise RouteIsBusy
        if served is not None and served.reference() is not handler:
            self._end(id(handler))
            served = None
        self._check(handler, entry)
        formatter: Any = handler.formatter if handler.formatter is not None else logging._defaultFormatter  # type: ignore[attr-defined]
        # Everything that decides is stamped before it is read.
        watch_formatter(formatter, entry)
        entry.watch_dict(logging.__dict__)
        entry.watch_dict(logging._levelToName)
        if served is not None and served.sink.runs_handler_code:
            encoding, errors = served.key[:2]  # a rollover closes the stream and opens another
        else:
            stream = _stream_of(handler)
            encoding, errors = stream.encoding, stream.errors
        layout = layout_of(formatter, terminator=handler.terminator, encoding=encoding, errors=errors)
        entry.extra = layout.extra
        is_worker = _is_worker()
        given = (handler.terminator, layout.levels, layout.process_name, is_worker)
        key = (encoding, errors, given, settings_of(formatter))
        if served is not None and served.key == key:
            try:
                served.sink.follow()
            except KeyError:  # another thread has removed the sink meanwhile
                raise RouteIsBusy from None
            return served.sink.id, served.layout.ascii_only
        self._end(id(handler))
        if id(handler) in self._by_handler:  # another thread is ending it
            raise RouteIsBusy
        self._check_file(handler)
        self._prove(formatter, layout)
        stream = _stream_of(handler)  # again: `_end` has drained the old sink, and a rollover gives another stream
        is_at_call = self._write == "call" or (self._write == "auto" and (is_worker or _is_stdout(stream.fileno())))
        sink = add_handler(self.controller, handler, layout.program, set(layout.shown), write=is_at_call)
        self._by_handler[id(handler)] = served = _Served(handler, key, layout, sink)
        serve_handler(handler, served.reference, sink, sink.handle)
        return sink.id, layout.ascii_only

    def _check(self, handler: Any, entry: HandlerEntry) -> None:
        """Raises NotServed if the handler's class is not served, or if the handler is not as `logging` made it."""
        kind = type(handler)
        if kind not in SERVED:
            if issubclass(kind, logging.handlers.QueueHandler):
                raise NotServed("it is not served: take it out, logly is the queue already")
            raise NotServed(f"class {kind.__module__}.{kind.__qualname__} is not served")
        for base in kind.__mro__[:-1]:
            expected = self._expected[base]
            for name in expected:
                if getattr(base, name, None) is not expected[name]:
                    raise NotServed(f"{base.__module__}.{base.__name__}.{name} is patched")
        methods = self._expected[kind].keys() & vars(handler).keys()
        if methods:
            raise NotServed(f"it has its own {min(methods)}")
        if type(handler.terminator) is not str:
            raise NotServed("its terminator is no str")
        entry.watch(self.controller)  # it gets another `config` when a spool is set
        if self.controller.config.spool is not None:
            raise NotServed("a spool is set")

    def _prove(self, formatter: Any, layout: FormatterLayout) -> None:
        """Raises NotServed if the layout does not make the same bytes as the formatter.

        The comparison takes a millisecond. Formatters of `logging` with the same settings make the same bytes, so only
        one of them is compared.
        """
        settings = proof_of(formatter, layout)
        if settings is None or settings not in self._proven:
            reason = differs(formatter, layout)
            if reason is not None:
                raise NotServed(reason)
        if settings is not None:
            if len(self._proven) >= MOST_PROVEN:
                self._proven.clear()
            self._proven.add(settings)

    def _check_file(self, handler: Any) -> None:
        """Raises NotServed if a served handler writes to the same file.

        The lines of both alternate in the file. So from now on this handler waits for the other handler's lines before
        it writes.
        """
        there = os.fstat(_stream_of(handler).fileno())
        for number in list(self._by_handler):
            served = self._by_handler.get(number)
            if served is not None and _is_file_of(served.sink.files.fd, there):
                if served.is_ending:
                    raise RouteIsBusy
                self._waiting[id(handler)] = waiting = ref(handler, self._forget_waiting(id(handler)))
                serve_handler(handler, waiting, _Turn(self._by_handler, number))
                raise NotServed("another handler writes to the same file")

    def _forget_waiting(self, number: int) -> Any:
        def forget(reference: object) -> None:
            if self._waiting.get(number) is reference:
                del self._waiting[number]
                forget_served(number, reference)

        return forget

    def _end(self, number: int) -> None:
        """Removes the sink of a handler. Until it has written what it holds, what its handler writes waits for that."""
        served = self._by_handler.get(number)
        if served is None:
            return
        with served.turn as is_ours:
            if not is_ours:
                return
            served.is_ending = True
            handler = served.reference()
            if handler is not None:
                # After `is_ending` is set: another thread that finds out a route either sees that, or has seen the
                # handler before this change of it.
                forget_handler(handler)
            try:
                self.controller.remove(served.sink.id)
            finally:
                self._drop(number, served)

    def _drop(self, number: int, served: _Served) -> None:
        if self._by_handler.get(number) is served:
            self._by_handler.pop(number, None)
        forget_served(number, served.reference, served.sink)

    def draining(self, method: Any) -> Any:
        """Wraps a method that gives a handler another file: what was logged before goes into the file before."""

        @functools.wraps(method)
        def drain_and_call(handler: logging.Handler, *args: Any) -> Any:
            served = self._by_handler.get(id(handler))
            if served is not None and served.reference() is handler:
                served.sink.drain()
            return method(handler, *args)

        return drain_and_call

    def is_served(self, number: object) -> bool:
        """Whether a handler that writes to the descriptor of this number is served."""
        return any(served.sink.is_copy_of(number) for served in list(self._by_handler.values()))

    def forget(self, number: object) -> None:
        """Called when the descriptor has another file. Its handlers are served anew when they are used next."""
        for key in list(self._by_handler):
            served = self._by_handler.get(key)
            handler = None if served is None else served.reference()
            if served is None or handler is None or not served.sink.is_copy_of(number):
                continue
            self._end(key)

    def closing(self, close: Any) -> Any:
        """Wraps `FileHandler.close`: after it, the flusher writes nothing for the handler any more."""

        @functools.wraps(close)
        def close_and_end(handler: logging.FileHandler) -> None:
            try:
                close(handler)
            finally:  # `close` raises what the stream's last `flush` does
                served = self._by_handler.get(id(handler))
                if served is not None and served.reference() is handler:
                    served.sink.tell_rest()
                    self._end(id(handler))

        return close_and_end

    def handler_is_gone(self, number: int) -> None:
        """Called when a handler has been collected. This may happen between any two statements of any thread."""
        served = self._by_handler.get(number)
        if served is not None and served.reference() is None:
            self._drop(number, served)  # or that would keep the sink, and with it the open file
            self._gone.append(served.sink)

    def _remove_gone(self) -> None:
        while self._gone:
            self.controller.remove(self._gone.pop().id)

    def after_fork_in_child(self) -> None:
        """New locks: the threads that held the locks are not in the child."""
        self._turn = TryLock()
        for number in list(self._by_handler):
            served = self._by_handler[number]
            served.turn = TryLock()
            if served.is_ending:
                self._drop(number, served)
                self._gone.append(served.sink)

    def end(self) -> None:
        """Writes what waits, and serves no handler any more."""
        for number in list(self._by_handler):
            self._end(number)
        for number in list(self._waiting):
            forget_served(number, self._waiting.pop(number))
        self._remove_gone()


def _stream_of(handler: Any) -> Any:
    """The handler's stream, if all that is written to it goes to its descriptor unchanged. Else raises NotServed."""
    stream = handler.stream
    if stream is None:
        raise NotServed("its file is not open yet")
    if type(stream) is not io.TextIOWrapper:
        raise NotServed(f"its stream is a {type(stream).__qualname__}")
    buffer: Any = stream.buffer
    raw = buffer.raw if type(buffer) in (io.BufferedWriter, io.BufferedRandom) else buffer
    if type(raw) is not io.FileIO:  # a compressed file has a `fileno`, too
        raise NotServed(f"its stream writes to a {type(raw).__qualname__}")
    if isinstance(handler, logging.FileHandler):
        if stream.name != handler.baseFilename:
            raise NotServed("its stream is not its own file")
    elif not [one for one in (sys.__stdout__, sys.__stderr__) if one is stream]:
        raise NotServed("its stream is not one that the interpreter opened")  # it may translate newlines
    try:
        is_terminal = os.isatty(stream.fileno())
    except (OSError, ValueError):
        raise NotServed("its stream has no descriptor") from None
    if is_terminal:
        raise NotServed("its stream is a terminal")
    return stream


def _is_still_open(handler: Any, stream: Any) -> bool:
    """Whether a handler's stream is the one that it was, and open. Else another thread has closed or replaced it."""
    return vars(handler).get("stream") is stream and stream is not None and not stream.closed


def _is_file_of(fd: int, stat: os.stat_result) -> bool:
    """Whether a descriptor is of the file with this status. The flusher may be closing it, in a rollover."""
    try:
        return fd >= 0 and os.path.samestat(stat, os.fstat(fd))
    except OSError:
        return False


def _is_worker() -> bool:
    """Whether this process was started by `multiprocessing`, whose pools end their workers by SIGTERM."""
    module = sys.modules.get("multiprocessing.process")
    return module is not None and module.parent_process() is not None


def _is_stdout(fd: int) -> bool:
    try:
        return fd == 1 or os.path.sameopenfile(fd, 1)
    except OSError:
        return False
