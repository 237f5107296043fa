"""A change of a logger's settings or sinks: first prepared, then made in one step.

Python and the core both hold the state that is changed, and a signal handler may raise between any two bytecodes
(Ctrl-C). So things that must change together are not changed by one Python statement after the other. Instead, they are
collected as calls of compiled functions, and `commit` makes these calls without a bytecode in between. An exception
that comes before the commit leaves everything unchanged.
"""

from __future__ import annotations

from logly._core import (
    OFF,
    Thresholds,
    change_count,
    commit,
    publish,
    write_at_call,
)
from logly.config.changes import changed
from logly.config.level_spec import LevelSpec
from logly.config.schema import LoggerConfig
from logly.errors import invalid

from .level_layers import asked_by_any, rules_of, spec_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TypeVar

    from logly._core import LevelRules, Overlay
    from logly.config.schema import SinkConfig

    from .controller import Controller
    from .level_layers import LevelFile
    from .sinks import Sink

    Settings = TypeVar("Settings", LoggerConfig, SinkConfig)

__all__ = ["Plan", "checked_kind", "wanted_settings"]


# No function here has a cell variable. (A comprehension makes a cell of each outer variable that it uses.) If there is
# no memory for the cell, CPython 3.11 and 3.12 never release the function's arguments. A plan refers to the sinks and
# their files, so these files would stay open.
class Plan:
    """The state of the controller after the change. A new plan holds the present state.

    Attributes:
        config, is_on, is_closed: as in `Controller`.
        enabled: each sink after the change, and whether it is switched on.
        environment, file, overlays: as in `LevelLayers`.
        asked, specs: for each sink that gets new level rules, these, as the core and as the settings have them.
        shown: for each sink that gets a new layout, the names that the layout shows; see `Sink.needs`.
        may_fail: calls that may fail, which come first. If one fails, `undo` runs and nothing has changed.
        undo: calls that take back what those in `may_fail` did.
        steps: the calls that do not fail.
    """

    def __init__(self, controller: Controller) -> None:
        self._seen = change_count(controller.core)
        self._controller = controller
        self.config: LoggerConfig = controller.config
        self.is_on: bool = controller.is_on
        self.is_closed: bool = controller.is_closed
        self.enabled: dict[Sink, bool] = {sink: sink.is_enabled for sink in list(controller.sinks.values())}
        layers = controller.layers
        self.environment: LevelSpec = layers.environment
        self.file: LevelFile = layers.file
        self.overlays: tuple[Overlay, ...] = ()
        for overlay in layers.overlays:
            if not overlay.is_left:
                self.overlays = (*self.overlays, overlay)
        self.asked: dict[Sink, LevelRules] = {}
        self.specs: dict[Sink, LevelSpec] = {}
        self.shown: dict[Sink, set[str]] = {}
        self.may_fail: list[tuple[Callable[..., object], tuple[Any, ...]]] = []
        self.undo: list[tuple[Callable[..., object], tuple[Any, ...]]] = []
        self.steps: list[tuple[Callable[..., object], tuple[Any, ...]]] = []

    # ---- what is to change

    def set(self, owner: object, **values: object) -> None:
        """Sets attributes that the object already has."""
        for name in values:
            self.steps.append((setattr, (owner, name, values[name])))

    def call(self, function: Callable[..., object], *arguments: object) -> None:
        """Calls a compiled function that does not fail."""
        self.steps.append((function, arguments))

    def add(self, sink: Sink) -> None:
        """Adds a sink, which gets what is logged from the commit on."""
        self.enabled[sink] = True
        is_on = self.is_active(sink)
        self.may_fail.append((sink.register(is_enabled=is_on), ()))
        self.set(sink, is_on=is_on)
        self._hurry(sink)

    def set_sink_levels(self, sink: Sink, spec: LevelSpec) -> None:
        """Sets what a sink asks for, for what is logged from the commit on."""
        rules = rules_of(spec)
        self.asked[sink] = rules
        self.specs[sink] = spec
        self.set(sink, levels=spec, rules=rules)
        self.call(sink.handle.set_rules, rules)

    def follow_worker(self) -> None:
        """Has sinks write at the call if this process turns out to be a worker that a signal will end."""
        for sink in self.enabled:
            self._hurry(sink)

    def _hurry(self, sink: Sink) -> None:
        if sink.config.async_write and sink.writes_at_call:
            self.call(write_at_call, sink.handle)

    def remove(self, sink: Sink, patience_s: float) -> None:
        """Removes a sink, which gets nothing more from the commit on; see `SinkHandle.leave`."""
        self.enabled.pop(sink, None)
        # At the front, so that no call without an `undo` comes before this one.
        self.may_fail.insert(0, (sink.handle.begin_to_leave, ()))
        self.undo.append((self._controller.core.leaving.pop, (sink.id, None)))
        self.steps.append((sink.handle.leave, (patience_s,)))

    # ---- what follows from that

    def follow_others(self) -> None:
        """Has sinks that ask for what the user's sinks ask for do so: see `Sink.follows_others`."""
        followers, others = [], []
        for sink in self.active:
            if sink.follows_others:
                followers.append(sink)
            elif not sink.is_own:
                others.append(self.specs.get(sink, sink.levels))
        spec = asked_by_any(others, self.levels()) if followers else LevelSpec()
        for sink in followers:
            if spec != sink.levels:
                self.set_sink_levels(sink, spec)

    def is_active(self, sink: Sink) -> bool:
        """Whether the sink gets records."""
        return sink.is_allowed(self.config) and self.enabled[sink]

    @property
    def active(self) -> list[Sink]:
        """The sinks that get records."""
        return list(filter(self.is_active, self.enabled))

    def switched(self) -> list[tuple[Sink, bool]]:
        """The present sinks that begin (True) or cease (False) to get records."""
        changed = []
        for sink in self.enabled:
            is_on = self.is_active(sink)
            if is_on != sink.is_on and sink.id in self._controller.sinks:
                changed.append((sink, is_on))
        return changed

    def levels(self) -> LevelSpec:
        """The logger's levels by name: all layers in one."""
        spec = self.file.spec.over(spec_of(self.config).over(self.environment))
        for overlay in self.overlays:
            spec = overlay.spec.over(spec)
        return spec

    def thresholds(self, active: list[Sink], rules: LevelRules) -> Thresholds:
        """From which level on calls are logged. `active`: the sinks that get records."""
        asked = []
        bypass = OFF
        for sink in active:
            if sink.bypasses_level is not None:
                bypass = min(bypass, sink.bypasses_level)
            else:
                asked.append(self.asked.get(sink, sink.rules))
        recorder = self.config.recorder
        return Thresholds(rules, asked, self.is_on, OFF if recorder is None else int(recorder), bypass)

    def wanted_post(self, active: list[Sink] | None = None) -> dict[str, bool]:
        """What a log call does after the commit of its record; see `Core.set_post`. `active`: as in `thresholds`."""
        controller = self._controller
        active = self.active if active is None else active
        flusher, spooling = controller.flusher, controller.spooling
        runs = flusher.is_running
        by_caller = self.is_closed or (flusher.cannot_start and not runs)
        # A log call may run this. It has no generator expressions: without memory for one, CPython 3.12.1 and 3.13.0
        # crash.
        is_async = self.config.spool_fsync is not None or self.config.level_file is not None
        is_prompt = is_sync = False
        for sink in active:
            is_async = is_async or sink.is_asynchronous
            is_sync = is_sync or sink.writes_at_call
            is_prompt = is_prompt or sink.interval_ms(self.config) == 0
        # Also while callers do the flusher's work because no thread could be started: one may start by now.
        starts = spooling.is_to_recover(active) or (is_async and not runs)
        return {
            "start": starts and not self.is_closed and not flusher.is_exiting,
            "sync": is_sync and not by_caller,
            "drain": by_caller,
            "wake": is_prompt and not by_caller,
        }

    def _gate(self, rules: LevelRules) -> tuple[Any, ...]:
        active = self.active  # once, because there may be hundreds of sinks
        needs = {(False, False, False)}
        for sink in active:
            needs.add(sink.needs(self.shown.get(sink)))
        post = self.wanted_post(active)
        site, thread, thread_name = map(any, zip(*needs, strict=True))
        thresholds = self.thresholds(active, rules)
        site = site or thresholds.varies
        return thresholds, site, thread, thread_name, post["start"], post["sync"], post["drain"], post["wake"]

    def commit(self) -> bool:
        """Makes the change. Returns False if another change came first, from a signal handler for example.

        Then this change must be planned anew.
        """
        controller = self._controller
        self.follow_others()
        for sink, on in self.switched():
            self.steps.append((sink.handle.start if on else sink.handle.stop, ()))
            self.set(sink, is_on=on)
        layers, levels = controller.layers, self.levels()
        rules = rules_of(levels)
        if levels != layers.in_force:
            self.steps.append((controller.core.set_rules, (rules,)))
        self.set(layers, environment=self.environment, file=self.file, overlays=self.overlays, in_force=levels)
        self.set(controller, config=self.config, is_on=self.is_on, is_closed=self.is_closed)
        self.steps.append((publish, (controller.core, *self._gate(rules))))
        return commit(controller.core, self._seen, self.may_fail, self.undo, self.steps)


def wanted_settings(
    controller: Controller, config: LoggerConfig | None, changes: Mapping[str, Any]
) -> tuple[LoggerConfig, LoggerConfig]:
    """Returns settings with changes, checked, and a copy of them as they were given. Raises ConfigError.

    `config`: None with some `changes`: the settings that are in force at present.
    """
    given = controller.config_as_given
    if config is not None:
        given = checked_kind(config, LoggerConfig)
    elif not changes:
        raise invalid("config", config, "a LoggerConfig, or settings by keyword")
    given = changed(given, changes)
    return given.resolved(controller.levels.added), given.copy()


def checked_kind(config: Settings, kind: type[Settings]) -> Settings:
    """Returns `config`, which counts as used. Raises ConfigError if it has another type, such as a path or a dict."""
    if isinstance(config, kind):
        taking = getattr(config, "_taking", None)
        if taking is not None:  # it came from `Logger.config`, see config/taken.py
            taking.is_used = True
        return config
    raise invalid("config", config, f"a {kind.__name__}")
