"""What would become of a record now, in words: `Logger.explain`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from logly._core import names_made
from logly.errors import nearest
from logly.levels import OFF, Level, level_number

from .level_layers import rules_of
from .plan import Plan

if TYPE_CHECKING:
    from typing import Any

    from .controller import Controller
    from .sinks import Sink

__all__ = ["explain", "sure_takers"]

MOST_DIRECTIVES = 5
"""So many directives without a logger are told, each with a guess."""
MODULE_IS_NOT_ASKED = (
    "no directive is looked up for it, because the logger has a name; filter_module of a sink looks at it"
)
MOST_COMPARED = 1000
"""So many names of loggers are compared with a directive: one that is near is looked for among these."""


def explain(controller: Controller, level: Any, name: str | None, module: str | None) -> str:
    """Describe the way of a record; see `Logger.explain`."""
    number = level_number(level, controller.levels.custom)
    return _Question(controller, number, name or "", module).answer()


def sure_takers(controller: Controller, level: int, name: str | None, module: str | None) -> list[Sink]:
    """The sinks that get such a record, whatever else it is."""
    question = _Question(controller, level, name or "", module)
    if question._is_sampled():
        return []
    sinks = list(controller.sinks.values())
    return [sink for sink in sinks if question._refusal_of(sink) is None and not question._condition(sink)]


class _Question:
    def __init__(self, controller: Controller, number: int, name: str, module: str | None) -> None:
        self.controller = controller
        self.number = number
        self.name = name
        self.module = module
        self.subject = name or module or ""
        """What directives go by."""

    def answer(self) -> str:
        whose = f" of the logger {self.name!r}" if self.name else ""
        whose += f" from the module {self.module!r}" if self.module else ""
        sinks = [sink for sink in list(self.controller.sinks.values()) if not sink.is_capture]
        refusals = [self._refusal_of(sink) for sink in sinks]
        takers = refusals.count(None)
        fate = "not written"
        if takers:
            fate = f"written by {takers} of {len(sinks)} sinks"
        elif self._is_kept():
            fate = "kept by the flight recorder"
        lines = [f"{self._named(self.number)}{whose}: {fate}", f"  level: {self._gate()}"]
        if self.name and self.module:
            lines.append(f"  module: {MODULE_IS_NOT_ASKED}")
        if unmatched := self._unmatched():
            lines.append(f"  directives: {'; '.join(unmatched)}")
        if self._is_kept():
            lines.append(f"  recorder: {self._recorder()}")
        elif takers and self._is_sampled():
            lines.append(f"  sampling: {self._sampling()}")
        for sink, refusal in zip(sinks, refusals, strict=True):
            verdict = "gets it" + self._condition(sink) if refusal is None else f"does not get it: {refusal}"
            lines.append(f"  {self._words_for(sink)}: {verdict}")
        if self._is_captured():
            lines.append("  logly.capture: gets it")
        return "\n".join(lines)

    # ---- the logger

    def _is_captured(self) -> bool:
        asked = [sink.bypasses_level for sink in list(self.controller.sinks.values())]
        return self.controller.is_on and any(level is not None and self.number >= level for level in asked)

    def _gate(self) -> str:
        if not self.controller.is_on:
            return "everything is switched off by disable()"
        layer, directive, level = self.controller.layers.decision_for(self.subject)
        if level is None:
            return "none is set: what the sinks ask for, INFO and above where they ask for none"
        by = f"by {_directive(directive, self._word(level))} of {layer}"
        verdict = "passes"
        if self.number < level:
            verdict = "the call returns at once"
            if self._is_captured():
                verdict = "only logly.capture gets the record"
            elif self._is_kept():
                verdict = "the record is not written"
        return f"{self._from(level)}, {by}: {verdict}"

    def _passes_gate(self) -> bool:
        level = self.controller.layers.decision_for(self.subject)[2]
        return self.controller.is_on and (level is None or self.number >= level)

    def _unmatched(self) -> list[str]:
        """What there is to say of directives that match no logger. Nothing without a name: they may be of modules."""
        if not self.name:
            return []
        directives = dict(self.controller.layers.in_force.names)
        for sink in list(self.controller.sinks.values()):
            directives = {**sink.levels.names, **directives}
        made = [self.name, *names_made(self.controller.core)]
        alone = [name for name in directives if not any(_is_below_any(one, (name,)) for one in made)]
        told = [_told_alone(name, self._word(directives[name]), made) for name in alone[:MOST_DIRECTIVES]]
        return [*told, f"and {len(alone) - len(told)} more"] if len(alone) > len(told) else told

    # ---- the sampling

    def _is_sampled(self) -> bool:
        config = self.controller.config
        if config.sampling is None:
            return False
        return config.sampling_level is None or self.number < int(config.sampling_level)

    def _sampling(self) -> str:
        config = self.controller.config
        assert config.sampling is not None
        first, then = config.sampling
        rest = f"and then each {then}th" if then else "and no more"
        return f"in each second the first {first} of a template or call site pass, {rest}"

    # ---- the flight recorder

    def _is_kept(self) -> bool:
        plan = Plan(self.controller)
        thresholds = plan.thresholds(plan.active, rules_of(plan.levels()))
        return thresholds.kept_from <= self.number < thresholds.threshold_for(self.subject)

    def _recorder(self) -> str:
        config = self.controller.config
        assert config.recorder is not None
        keeps = f"keeps {self._named(int(config.recorder))} and above"
        if config.recorder_trigger is None:
            return f"{keeps}, until dump_recorder() has it written"
        trigger = int(config.recorder_trigger)
        if self.number >= trigger:
            return f"{keeps}, and has this one written at once, because it is {self._named(trigger)} or above"
        of_field = f" with the same {config.recorder_field!r}" if config.recorder_field is not None else ""
        return f"{keeps}, until a record{of_field} of {self._named(trigger)} or above has it written"

    # ---- a sink

    def _refusal_of(self, sink: Sink) -> str | None:
        """Why a sink does not get the record; None: it gets it."""
        config = sink.config
        if not sink.is_enabled:
            return "it is switched off by disable_sink()"
        if not sink.is_allowed(self.controller.config):
            return "its kind is switched off by a global_* setting of the logger"
        if not self._passes_gate():
            return "the logger's level keeps it out"
        asked, directive = sink.levels.for_name(self.subject)
        if asked is None and self.controller.layers.decision_for(self.subject)[2] is None:
            if self.number < Level.INFO:
                return "neither the logger nor the sink has a level, so it gets INFO and above"
        elif asked is not None and self.number < asked:
            return f"it asks for {self._from(asked)}, by {_directive(directive, self._word(asked))}"
        highest = config.filter_max_level
        if isinstance(highest, int) and self.number > highest:
            return f"it asks for {self._named(highest)} at most, by filter_max_level"
        if self.module is not None and config.filter_module and not _is_below_any(self.module, config.filter_module):
            return f"it takes the modules {', '.join(config.filter_module)} only, by filter_module"
        return None

    def _condition(self, sink: Sink) -> str:
        """What else the sink asks, which this question does not say."""
        config = sink.config
        conditions = []
        if self.module is None and config.filter_module:
            conditions.append(f"its module is in {', '.join(config.filter_module)}")
        if config.filter_function:
            conditions.append(f"its function is {' or '.join(config.filter_function)}")
        if config.filter is not None:
            conditions.append("its filter returns True")
        if config.transform is not None:
            conditions.append("its transform returns a record")
        return f" if {' and '.join(conditions)}" if conditions else ""

    def _words_for(self, sink: Sink) -> str:
        config = sink.config
        place = sink.path or "stderr"
        if config.function is not None:
            place = "function"
        elif config.batch is not None:
            place = "batch function"
        elif config.fd is not None:
            place = f"descriptor {config.fd}"
        elif config.stream is not None:
            place = config.stream if isinstance(config.stream, str) else "stream"
        kind = "console" if sink.id == self.controller.auto_sink_id else f"sink {sink.id}"
        return f"{kind} ({place})"

    # ---- levels in words

    def _named(self, number: int) -> str:
        known = self.controller.core.level_index
        for name in list(known):
            if isinstance(name, str) and name.isupper() and known[name][0] == number:
                return name
        return f"level {number}"

    def _word(self, level: int) -> str:
        return "off" if level == OFF else self._named(level).lower()

    def _from(self, level: int) -> str:
        return "nothing" if level == OFF else f"{self._named(level)} and above"


def _directive(name: str, word: str) -> str:
    return repr(f"{name}={word}" if name else word)


def _told_alone(name: str, word: str, made: list[str]) -> str:
    text = f"{name}={word} matches no logger made so far"
    ends = [one for one in made if one.endswith(f".{name}")]
    near = min(ends, key=len) if ends else nearest(name, made[:MOST_COMPARED])
    return f"{text}; did you mean {near}={word}?" if near else text


def _is_below_any(module: str, wanted: Any) -> bool:
    return any(module == one or module.startswith(f"{one}.") for one in wanted)
