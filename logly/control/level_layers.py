"""Who asks for levels, from the lowest layer to the highest: LOGLY_LEVEL, the settings, the level file, overlays."""

from __future__ import annotations

import os
import stat
import sys

from logly._core import LEVEL_UNSAID, LevelRules, level_file_has_changed, look_again_at_level_file, use_level_file
from logly.config.lazy_dataclass import replace
from logly.config.level_spec import LevelSpec, parse_levels, parse_what_can_be_read, without_comments
from logly.config.setting import own_copy
from logly.errors import ConfigError, show
from logly.levels import OFF, Level
from logly.system import unpatched
from logly.system.unpatched import Attempt

from .twins import trouble_with_level

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from logly._core import Overlay
    from logly.config.schema import LoggerConfig, SinkConfig

    from .controller import Controller
    from .plan import Plan

__all__ = ["LevelFile", "LevelLayers", "asked_by_any", "environment_levels", "rules_of"]

VARIABLE = "LOGLY_LEVEL"
MAX_FILE_BYTES = 1 << 16

_told_of: set[str] = set()
"""The values of LOGLY_LEVEL that could not be read and were told of."""


class LevelFile:
    """What the level file says.

    Attributes:
        given: its name in the settings; None: there is no level file.
        path: absolute, because a program may change its directory.
    """

    __slots__ = ("given", "path", "spec")

    def __init__(self, given: Any, path: str | None, spec: LevelSpec) -> None:
        self.given = given
        self.path = path
        self.spec = spec


def rules_of(spec: LevelSpec) -> LevelRules:
    """The same for the core."""
    return LevelRules(LEVEL_UNSAID if spec.level is None else spec.level, spec.names)


def asked_by_any(sinks: list[LevelSpec], levels: LevelSpec) -> LevelSpec:
    """What a sink asks for that gets what at least one of these sinks gets. Without sinks it asks for nothing special.

    `levels`: the logger's. Where these say something, a sink that asks for none gets all of that; else INFO and above.
    """
    if not sinks:
        return LevelSpec()
    names = dict.fromkeys(levels.names)
    for spec in sinks:
        names.update(dict.fromkeys(spec.names))
    asked = {}
    for name in ("", *names):
        unsaid = int(Level.INFO) if levels.for_name(name)[0] is None else 0
        lowest = OFF
        for spec in sinks:
            level = spec.for_name(name)[0]
            lowest = min(lowest, unsaid if level is None else level)
        asked[name] = lowest
    return LevelSpec(asked.pop(""), asked)


def spec_of(config: LoggerConfig | SinkConfig) -> LevelSpec:
    """What settings (checked) say about levels."""
    return config.level if isinstance(config.level, LevelSpec) else LevelSpec()


def environment_levels(custom: Mapping[str, int]) -> LevelSpec:
    """What the environment variable LOGLY_LEVEL says. What cannot be read in it is told on stderr, once."""
    text = os.environ.get(VARIABLE, "")
    troubles: list[ConfigError] = []
    spec = parse_what_can_be_read(VARIABLE, text, custom, troubles.append)
    if troubles and text not in _told_of:
        _told_of.add(text)
        for trouble in troubles:
            if sys.stderr is not None:
                sys.stderr.write(f"logly: {trouble}\n")
    return spec


class LevelLayers:
    """The levels of one logger, by name.

    Args:
        controller: the logger's controller.

    Attributes:
        environment: what LOGLY_LEVEL says, where the settings say nothing about the rest of the names.
        file: what the level file says.
        overlays: those of `at_level` that are entered at present, the oldest first.
        in_force: all of them in one.
    """

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self.environment = self.in_force = LevelSpec()
        self.file = LevelFile(None, None, LevelSpec())
        self.overlays: tuple[Overlay, ...] = ()

    def named(self) -> list[tuple[str, LevelSpec]]:
        """Each layer with the words for it, the highest first."""
        config = self._controller.config
        return [
            *[("at_level", overlay.spec) for overlay in reversed(self.overlays)],
            (f"the file {self.file.path}", self.file.spec),
            ("the logger's level", spec_of(config)),
            (f"the environment variable {VARIABLE}", self.environment),
        ]

    # ---- changes

    def set(self, value: Any, name: str | None) -> None:
        """Sets the level. With a name: of that name and what is below it; None takes that directive back."""
        controller = self._controller

        def fill(plan: Plan) -> None:
            given = controller.config_as_given.copy()
            given.level = own_copy(value) if name is None else self._with_directive(name, value)
            level = None if given.level is None else parse_levels("level", given.level, controller.levels.custom)
            plan.config = replace(plan.config, level=level)
            plan.environment = self.environment_for(plan.config)
            plan.set(controller, config_as_given=given)

        controller.change(fill)
        self.tell_of_sinks()

    def tell_of_sinks(self) -> None:
        """Tells of each sink, once, that asks for more than the logger's own level lets through."""
        controller = self._controller
        for sink in list(controller.sinks.values()):
            trouble = trouble_with_level(sink, controller.config)
            if trouble is not None:
                controller.report(trouble)

    def _with_directive(self, name: str, value: Any) -> dict[str, int | str] | None:
        spec = spec_of(self._controller.config)
        names: dict[str, int | str] = {**spec.names}
        names.pop(name, None)
        if value is not None:
            names[name] = self.plain(value)
        if spec.level is not None:
            names[""] = spec.level
        for one in names:
            if names[one] == OFF:
                names[one] = "off"
        return names or None

    def plain(self, value: Any) -> int:
        """The number of one level. Raises ConfigError for directives by name."""
        spec = parse_levels("level", value, self._controller.levels.custom)
        if spec.level is None or spec.names:
            text = (
                f"level = {show(value)}: for one name, give one level; directives by name are set on the logger itself"
            )
            raise ConfigError(text, field="level", value=value)
        return spec.level

    def environment_for(self, config: LoggerConfig) -> LevelSpec:
        """The lowest layer with these settings (checked)."""
        if spec_of(config).level is not None:
            return LevelSpec()
        return environment_levels({**self._controller.levels.custom, **config.custom_levels})

    def set_sink(self, sink_id: int, value: Any) -> bool:
        """Sets what a sink asks for, for what is logged from now on. False: there is no such sink."""
        controller = self._controller
        found = False

        def fill(plan: Plan) -> None:
            nonlocal found
            sink = controller.sinks.get(sink_id)
            found = sink is not None and sink in plan.enabled
            if sink is not None and found:
                spec = LevelSpec() if value is None else parse_levels("level", value, controller.levels.custom)
                plan.set_sink_levels(sink, spec)

        controller.change(fill)
        self.tell_of_sinks()
        return found

    def overlay(self, value: Any, name: str | None) -> LevelSpec:
        """What `at_level` lays over the rest."""
        if name is None:
            return parse_levels("spec", value, self._controller.levels.custom)
        return LevelSpec(None, {name: self.plain(value)})

    def enter(self, overlay: Overlay) -> None:
        """Lays an overlay over the rest."""

        def fill(plan: Plan) -> None:
            plan.overlays = (*plan.overlays, overlay)

        self._controller.change(fill)

    def leave(self) -> None:
        """Takes away the overlays that are left, as every change of settings does."""
        self._controller.change(lambda plan: None)

    # ---- the level file

    def read(self, config: LoggerConfig) -> LevelFile:
        """The level file of these settings (checked), and what it says: nothing when there is no such file.

        What is wrong with it is reported, and changes nothing.
        """
        given, before = config.level_file, self.file
        if given is None:
            return LevelFile(None, None, LevelSpec())
        path = before.path if before.given == given and before.path is not None else os.path.abspath(given)
        try:
            return LevelFile(given, path, self._read(path))
        except (FileNotFoundError, NotADirectoryError):
            return LevelFile(given, path, LevelSpec())
        except (ConfigError, OSError) as trouble:
            self._controller.report(trouble)
            return LevelFile(given, path, before.spec if before.path == path else LevelSpec())

    def plan_config(self, plan: Plan, config: LoggerConfig, file: LevelFile) -> None:
        """Puts new settings into a plan, with what `read` has returned for them."""
        core = self._controller.core
        plan.environment = self.environment_for(config)
        plan.file = file
        if file.path != self.file.path:
            plan.may_fail.append((use_level_file, (core, _encoded(file.path))))
            plan.undo.append((use_level_file, (core, _encoded(self.file.path))))

    def follow(self) -> None:
        """Reads the level file again if it has changed; completes what interrupted threads have begun to leave.

        Runs on the flusher's thread.
        """
        controller = self._controller
        has_changed = self.file.path is not None and level_file_has_changed(controller.core)
        if not has_changed and not any(overlay.is_left for overlay in self.overlays):
            return
        # A thread that changes settings may be waiting for this one.
        with Attempt(controller.changing) as is_mine:
            if not is_mine:
                if has_changed:
                    look_again_at_level_file(controller.core)
                return  # that thread's change takes away what is left
            file = self.read(controller.config) if has_changed else self.file
            if file.spec != self.file.spec or not has_changed:
                controller.change(lambda plan: setattr(plan, "file", file))

    def _read(self, path: str) -> LevelSpec:
        fd = unpatched.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
        try:
            # Anything else may never end, or never begin.
            data = unpatched.read(fd, MAX_FILE_BYTES + 1) if stat.S_ISREG(os.fstat(fd).st_mode) else None
        finally:
            os.close(fd)
        if data is None or len(data) > MAX_FILE_BYTES:
            what = "not a file" if data is None else f"more than {MAX_FILE_BYTES} bytes"
            raise ConfigError(f"level_file = {path!r}: {what}", field="level_file", value=path)
        try:
            text = without_comments(data.decode("utf-8-sig"))
        except UnicodeDecodeError as trouble:
            raise ConfigError(f"level_file = {path!r}: not UTF-8: {trouble}", field="level_file", value=path) from None
        troubles: list[ConfigError] = []
        spec = parse_what_can_be_read(path, text, self._controller.levels.custom, troubles.append)
        if troubles:
            raise troubles[0]
        return spec

    # ---- questions

    def decision_for(self, name: str) -> tuple[str, str, int | None]:
        """What decides about a logger or module of this name: words for the layer, the directive's name, the level."""
        level, directive = self.in_force.for_name(name)
        for words, spec in self.named():
            if (directive in spec.names) if directive else (spec.level is not None):
                return words, directive, level
        return "", "", level


def _encoded(path: str | None) -> bytes | None:
    return None if path is None else os.fsencode(path)
