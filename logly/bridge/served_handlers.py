"""Which handlers of `logging` the flusher writes for, and the sinks that do it."""

from __future__ import annotations

import functools
import io
import logging
import os
import sys
from types import FunctionType
from weakref import ref

from logly._core import duplicate_descriptor, is_settled, serve_handler
from logly.config.schema import SinkConfig
from logly.control.sinks import Sink

from .formatters import NotServed, layout_of
from .validation import differs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from logly._core import HandlerEntry, LayoutProgram
    from logly.config.schema import LoggerConfig
    from logly.control.controller import Controller

    from .formatters import FormatterLayout

__all__ = ["HandlerSink", "Serving"]

DRAIN_S = 5.0
"""How long a record that goes the way of `logging` waits for the flusher at most: as long as `StdlibHandler.flush`."""


class HandlerSink(Sink):
    """Writes for one handler, to a duplicate of the handler's own descriptor; see `Sink`."""

    serves = True
    is_exactly_recovered = True

    def __init__(self, layout: FormatterLayout, fd: int, *args: Any) -> None:
        self._given = layout
        self._number = fd
        super().__init__(*args)

    def _prepare(self) -> None:
        self.files.put(duplicate_descriptor(self._number), None)

    def _make_layout(self, logger: LoggerConfig) -> tuple[LayoutProgram | None, set[str]]:
        return self._given.program, set(self._given.shown)

    def _destination(self) -> dict[str, Any]:
        return {**super()._destination(), "fd": self.files.fd, "is_ours": True}

    def drain(self) -> None:
        """Waits until the flusher has written what the sink got before."""
        core = self.core
        if not is_settled(core) and not core.must_not_wait():
            core.flush(DRAIN_S)


class _Served:
    def __init__(
        self, handler: logging.Handler, key: tuple[Any, ...], layout: FormatterLayout, sink: HandlerSink
    ) -> None:
        self.reference = ref(handler)
        self.key = key
        self.layout = layout
        self.sink = sink


def _functions(kind: type) -> dict[str, Any]:
    """The methods of a class of handlers, wherever it has them from."""
    names = {name for base in BASES for name in list(vars(base)) if isinstance(vars(base)[name], FunctionType)}
    return {name: getattr(kind, name) for name in names if hasattr(kind, name)}


CHANGE = "logly"
"""An attribute that a handler gets and loses at once, so that nothing that is known of it holds any more."""

KINDS = (logging.StreamHandler, logging.FileHandler)
BASES = (logging.Filterer, logging.Handler, *KINDS)


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
        self._expected: dict[type, dict[str, Any]] = {}

    def use_methods(self) -> None:
        """Takes the methods of handlers that are there now as those that handlers are to have."""
        self._expected = {kind: _functions(kind) for kind in BASES}

    def serve(self, handler: logging.Handler, entry: HandlerEntry) -> None:
        """Finds out what serves a handler, and says so in its entry."""
        self._remove_gone()
        try:
            entry.sink, entry.is_ascii = self._sink_of(handler, entry)
        except NotServed as answer:
            entry.why_not = f"handler {type(handler).__qualname__}: {answer.reason}"
            self._end(id(handler))

    def _sink_of(self, handler: Any, entry: HandlerEntry) -> tuple[int, bool]:
        self._check(handler)
        formatter: Any = handler.formatter if handler.formatter is not None else logging._defaultFormatter  # type: ignore[attr-defined]
        # What decides is stamped before it is read.
        entry.watch(formatter)
        if isinstance(formatter, logging.Formatter):
            entry.watch(formatter._style)
        entry.watch_dict(vars(logging))
        entry.watch_dict(logging._levelToName)
        fd, stream = _descriptor_of(handler)
        layout = layout_of(formatter, terminator=handler.terminator, encoding=stream.encoding, errors=stream.errors)
        if layout.fields:
            raise NotServed("its format names fields of extra")
        key = (fd, stream, handler.terminator, layout.levels, layout.process_name, _settings(formatter))
        served = self._by_handler.get(id(handler))
        if served is not None and served.reference() is handler and served.key == key:
            return served.sink.id, served.layout.ascii_only
        self._end(id(handler))
        reason = differs(formatter, layout)
        if reason is not None:
            raise NotServed(reason)
        stream.flush()
        sink = self._add(layout, fd, is_at_call=self._is_at_call(fd))
        self._by_handler[id(handler)] = served = _Served(handler, key, layout, sink)
        serve_handler(handler, served.reference, sink)
        return sink.id, layout.ascii_only

    def _check(self, handler: Any) -> None:
        """Raises NotServed if the handler is not of a kind that is served, or is not as `logging` made it."""
        kind = type(handler)
        if kind not in KINDS:
            raise NotServed(f"class {kind.__module__}.{kind.__qualname__} is not served")
        for base in kind.__mro__[:-1]:
            expected = self._expected[base]
            for name in expected:
                if getattr(base, name, None) is not expected[name]:
                    raise NotServed(f"logging.{base.__name__}.{name} is patched")
        methods = self._expected[kind].keys() & vars(handler).keys()
        if methods:
            raise NotServed(f"it has its own {min(methods)}")
        if type(handler.terminator) is not str:
            raise NotServed("its terminator is no str")
        if self.controller.config.spool is not None:
            raise NotServed("a spool is set")

    def _is_at_call(self, fd: int) -> bool:
        return self._write == "call" or (self._write == "auto" and _is_stdout(fd))

    def _add(self, layout: FormatterLayout, fd: int, *, is_at_call: bool) -> HandlerSink:
        controller = self.controller
        config = SinkConfig(fd=fd, async_write=not is_at_call, level=0).resolved()
        sink = HandlerSink(
            layout, fd, controller.core, next(controller._ids), config, controller.config, controller.report
        )
        with controller.changing:
            controller.change(lambda plan: plan.add(sink))
        return sink

    def _end(self, number: int) -> None:
        served = self._by_handler.pop(number, None)
        if served is not None:
            handler = served.reference()
            if handler is not None:
                serve_handler(handler, None, None)
            self.controller._remove(served.sink.id)

    def is_served(self, number: object) -> bool:
        """Whether a handler that writes to the descriptor of this number is served."""
        return any(served.key[0] == number for served in list(self._by_handler.values()))

    def forget(self, number: object) -> None:
        """The descriptor has another file now: its handlers are served anew, when they are used next."""
        for key, served in list(self._by_handler.items()):
            handler = served.reference()
            if handler is None or served.key[0] != number:
                continue
            # While another thread finds out a route it sees the sink of before and a handler that is to change, or neither.
            self._by_handler.pop(key, None)
            serve_handler(handler, None, None)
            vars(handler)[CHANGE] = None
            del vars(handler)[CHANGE]
            self.controller._remove(served.sink.id)

    def closing(self, close: Any) -> Any:
        """`FileHandler.close`, after which the flusher writes nothing for the handler any more."""

        @functools.wraps(close)
        def close_and_end(handler: logging.FileHandler) -> None:
            close(handler)
            self._end(id(handler))

        return close_and_end

    def handler_is_gone(self, number: int) -> None:
        """Called when a handler has been collected, in the middle of anything."""
        served = self._by_handler.get(number)
        if served is not None and served.reference() is None:
            del self._by_handler[number]
            self._gone.append(served.sink)

    def _remove_gone(self) -> None:
        while self._gone:
            self.controller._remove(self._gone.pop().id)

    def end(self) -> None:
        """Writes what there is and serves no handler any more."""
        for number in list(self._by_handler):
            self._end(number)
        self._remove_gone()


def _settings(formatter: Any) -> tuple[Any, ...]:
    """All that a formatter's text depends on."""
    times = (formatter.converter, formatter.default_time_format, formatter.default_msec_format, formatter.datefmt)
    return formatter, type(formatter._style), formatter._style._fmt, times


def _descriptor_of(handler: Any) -> tuple[int, Any]:
    stream = handler.stream
    if stream is None:
        raise NotServed("its file is not open yet")
    if type(stream) is not io.TextIOWrapper:
        raise NotServed(f"its stream is a {type(stream).__qualname__}")
    if isinstance(handler, logging.FileHandler):
        if stream.name != handler.baseFilename:
            raise NotServed("its stream is not its own file")
    elif not [one for one in (sys.__stdout__, sys.__stderr__) if one is stream]:
        raise NotServed("its stream is not one that the interpreter opened")  # it may translate newlines
    try:
        fd = stream.fileno()
        is_terminal = os.isatty(fd)
    except (OSError, ValueError):
        raise NotServed("its stream has no descriptor") from None
    if is_terminal:
        raise NotServed("its stream is a terminal")
    return fd, stream


def _is_stdout(fd: int) -> bool:
    try:
        return fd == 1 or os.path.sameopenfile(fd, 1)
    except OSError:
        return False
