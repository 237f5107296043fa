"""What `logly.capture` and the pytest plugin collect records with: sinks that get all levels, and are no user's."""

from __future__ import annotations

import weakref
from collections import deque
from functools import partial

from logly._core import capture_records, records_end
from logly.config.schema import SinkConfig

from . import process
from .function_sink import FunctionSink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from logly.record import Record

    from .controller import Controller

__all__ = ["CaptureSink", "Collector"]


END_TRIES = 5
"""How often the end of a collector is tried again that Ctrl-C has interrupted."""


class CaptureSink(FunctionSink):
    """Gives each record to a `Collector`. See `Sink`."""

    is_own = True
    is_capture = True
    collector: Collector

    def handle_records(self) -> None:
        # Shorter than that of other sinks, because no code of the program is called.
        collector = self.collector
        wants = None if type(collector) is Collector else partial(collector.wants, self)
        try:
            capture_records(self.handle, self._record_type, wants, collector.waiting.append)
        finally:
            records_end(self.handle)


class Collector:
    """Collects the records of one logger, or of all, those that are made later included.

    Args:
        controller: of the logger; None: all.
        level: what is at or above it, whatever the loggers' levels are. None: what the loggers let through.
    """

    def __init__(self, controller: Controller | None, level: int | None) -> None:
        self.waiting: deque[tuple[list[int], list[Record]]] = deque()
        """What flushers have handed over: when each record was logged, and the records."""
        self._controller = controller
        self._level = level
        self._known: dict[weakref.ref[Controller], object] = {}
        """Each controller that has got a sink, or gets it just now, and by which call: threads may make loggers while
        `begin` or `end` runs."""
        self._has_ended = False

    def wants(self, _sink: CaptureSink, _raw: bytes) -> bool:
        """Whether a record is collected, which the sink has got."""
        return True

    def begin(self) -> None:
        """Adds the sinks."""
        if self._controller is not None:
            self._add(self._controller)
            return
        process.watchers.append(self._add)
        for controller in process.controllers():
            self._add(controller)

    def end(self) -> None:
        """Takes the sinks away, once they have got what was logged before; also after half of a `begin` or of an `end`.

        After an interrupt during one sink, the others are taken away, too.
        """
        self._has_ended = True
        self._controller = None
        interrupt = None
        if self._add in process.watchers:  # not after half of a `begin`, and not in a forked child
            process.watchers.remove(self._add)
        for _ in range(END_TRIES):
            for controller, sink in self._sinks():
                try:
                    controller.remove(sink.id)
                except BaseException as trouble:  # noqa: BLE001
                    interrupt = trouble
            if interrupt is None or not self._sinks():
                break
        if interrupt is not None:
            raise interrupt

    def wait(self) -> None:
        """Waits until what was logged before this call has come."""
        for controller, _ in self._sinks():
            controller.flush(None)

    def take(self) -> list[Record]:
        """What has come and was not taken yet, in the order of the calls. `wait` comes before it."""
        ticks: list[int] = []
        taken: list[Record] = []
        while self.waiting:
            try:
                when, records = self.waiting.popleft()
            except IndexError:  # another thread takes them, too
                break
            ticks += when
            taken += records
        if ticks == sorted(ticks):
            return taken
        return [taken[place] for place in sorted(range(len(ticks)), key=ticks.__getitem__)]

    def _add(self, controller: Controller) -> None:
        mine = object()
        if (
            controller.is_recovery
            or self._has_ended
            or self._known.setdefault(weakref.ref(controller), mine) is not mine
        ):
            return

        def make(number: int) -> CaptureSink:
            config = SinkConfig(function=_not_called, level=self._level).resolved()
            sink = CaptureSink(controller.core, number, config, controller.config, controller.report)
            sink.bypasses_level = self._level
            sink.follows_others = self._level is None
            sink.collector = self
            return sink

        sink = controller.add_own(make)
        if self._has_ended:  # meanwhile, by another thread
            controller.remove(sink.id)

    def _sinks(self) -> list[tuple[Controller, CaptureSink]]:
        found = []
        for controller in process.controllers():
            for sink in list(controller.sinks.values()):
                if isinstance(sink, CaptureSink) and sink.collector is self:
                    found.append((controller, sink))  # noqa: PERF401
        return found


def _not_called(_record: Record) -> None:
    """In the place of a user's function: `CaptureSink.handle_records` takes the records."""
