"""A change of a logger's settings or sinks: prepared here at leisure, then made in one step.

Python and the core both hold the state that is changed. A signal handler may raise between any two bytecodes (Ctrl-C).
So what must change together is not written as one Python statement after the other. All of it is collected as calls of
compiled functions, and `commit` runs these without a bytecode in between. What comes before the commit may be cut short
anywhere: nothing has changed then.
"""

from __future__ import annotations

from logly._core import OFF, change_count, commit, publish

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from logly.config.schema import LoggerConfig

    from .controller import Controller
    from .sinks import Sink

__all__ = ["Plan"]


# No function here has a cell variable, as a comprehension makes one of what it uses. Where there is no memory for the
# cell, CPython 3.11 and 3.12 never give back the function's arguments, and a plan holds the sinks and their files.
class Plan:
    """What the controller is to be after the change; at first, what it is.

    Attributes:
        config, is_on, is_closed: as in `Controller`.
        enabled: each sink that is to be there, and whether it is switched on.
        shown: what layouts show that sinks are to get, see `Sink.needs`.
        may_fail: calls that may fail; then nothing of the change is made, but for `undo`.
        steps: the other calls.
    """

    def __init__(self, controller: Controller) -> None:
        self._seen = change_count(controller.core)
        self._controller = controller
        self.config: LoggerConfig = controller.config
        self.is_on: bool = controller.is_on
        self.is_closed: bool = controller.is_closed
        self.enabled: dict[Sink, bool] = {sink: sink.is_enabled for sink in list(controller.sinks.values())}
        self.shown: dict[Sink, set[str]] = {}
        self.may_fail: list[tuple[Callable[..., object], tuple[Any, ...]]] = []
        self.undo: list[tuple[Callable[..., object], tuple[Any, ...]]] = []
        self.steps: list[tuple[Callable[..., object], tuple[Any, ...]]] = []

    # ---- what is to change

    def set(self, owner: object, **values: object) -> None:
        """Attributes of an object, which it has already."""
        for name in values:
            self.steps.append((setattr, (owner, name, values[name])))

    def call(self, function: Callable[..., object], *arguments: object) -> None:
        """A compiled function that does not fail."""
        self.steps.append((function, arguments))

    def add(self, sink: Sink) -> None:
        """A new sink, which gets what is logged from then on."""
        self.enabled[sink] = True
        is_on = self.is_active(sink)
        self.may_fail.append((sink.register(is_enabled=is_on), ()))
        self.set(sink, is_on=is_on)

    def remove(self, sink: Sink, patience_s: float) -> None:
        """A sink gets nothing more; see `SinkHandle.leave`."""
        self.enabled.pop(sink, None)
        # Before what has no `undo`.
        self.may_fail.insert(0, (sink.handle.begin_to_leave, ()))
        self.undo.append((self._controller.core.leaving.pop, (sink.id, None)))
        self.steps.append((sink.handle.leave, (patience_s,)))

    # ---- what follows from that

    def is_active(self, sink: Sink) -> bool:
        """Whether the sink gets anything."""
        return sink.is_allowed(self.config) and self.enabled[sink]

    @property
    def active(self) -> list[Sink]:
        """The sinks that get anything."""
        return list(filter(self.is_active, self.enabled))

    def switched(self) -> list[tuple[Sink, bool]]:
        """The present sinks that begin (True) or cease to get anything."""
        changed = []
        for sink in self.enabled:
            is_on = self.is_active(sink)
            if is_on != sink.is_on and sink.id in self._controller.sinks:
                changed.append((sink, is_on))
        return changed

    @property
    def threshold(self) -> int:
        """The level below which no sink wants anything."""
        lowest = [sink.config.filter_min_level for sink in self.active]
        if not lowest or not self.is_on:
            return OFF
        if None in lowest:
            return int(self.config.level)
        return max(int(self.config.level), min(int(level) for level in lowest if level is not None))

    def wanted_post(self) -> dict[str, bool]:
        """What is to follow the commit of a record, see `Core.set_post`."""
        controller, active = self._controller, self.active
        flusher, spooling = controller.flusher, controller.spooling
        runs = flusher.is_running
        by_caller = self.is_closed or (flusher.cannot_start and not runs)
        # No generator expressions on the way of a log call: without memory for one, CPython 3.12.1 and 3.13.0 crash.
        is_async = self.config.spool_fsync is not None or [sink for sink in active if sink.is_asynchronous] != []
        is_prompt = False
        for sink in active:
            is_prompt = is_prompt or sink.interval_ms(self.config) == 0
        # Also while callers do its work because no thread could be started: one may be to be had by now.
        starts = spooling.is_to_recover(active) or (is_async and not runs)
        return {
            "start": starts and not self.is_closed and not flusher.is_exiting,
            "sync": [sink for sink in active if not sink.config.async_write] != [] and not by_caller,
            "drain": by_caller,
            "wake": is_prompt and not by_caller,
        }

    def _gate(self) -> tuple[Any, ...]:
        needs = []
        for sink in self.active:
            needs.append(sink.needs(self.shown.get(sink)))  # noqa: PERF401
        post = self.wanted_post()
        site, thread, thread_name = map(any, zip((False, False, False), *needs, strict=True))
        return self.threshold, site, thread, thread_name, post["start"], post["sync"], post["drain"], post["wake"]

    def commit(self) -> bool:
        """Makes the change. False: another one, a signal handler's say, came in between: it must be planned anew."""
        controller = self._controller
        for sink, on in self.switched():
            self.steps.append((sink.handle.start if on else sink.handle.stop, ()))
            self.set(sink, is_on=on)
        gate = self._gate()
        self.set(controller, config=self.config, is_on=self.is_on, is_closed=self.is_closed, threshold=gate[0])
        self.steps.append((publish, (controller.core, *gate)))
        return commit(controller.core, self._seen, self.may_fail, self.undo, self.steps)
