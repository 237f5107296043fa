"""What is told of a sink beside others: it writes the same lines to the same place, or gets less than it asks for."""

from __future__ import annotations

from logly.config.level_spec import LevelSpec
from logly.errors import ConfigAdvice
from logly.levels import BUILTIN_LEVELS, OFF

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from logly.config.schema import LoggerConfig

    from .sinks import Sink

__all__ = ["trouble_with_level", "troubles_with"]

_CHOICE = ("filter", "filter_module", "filter_function", "filter_max_level")


def _trouble_with_twin(sink: Sink, others: Iterable[Sink]) -> ConfigAdvice | None:
    """What to tell of a new sink that writes where one of the others does. None: nothing.

    Sinks that choose among the records share a place on purpose.
    """
    place = sink.place
    if place is None or _chooses(sink):
        return None
    for other in others:
        if other is not sink and other.place == place and not _chooses(other):
            field, where = place[0], place[1] if isinstance(place[1], str) else "the same"
            text = (
                f"{field} = {where!r}: sink {other.id} writes there, too, so each line comes twice: remove_sink("
                f"{other.id}), or have filters choose between them"
            )
            return ConfigAdvice(text, field=field, value=where)
    return None


def _chooses(sink: Sink) -> bool:
    return bool(sink.levels.names) or any(getattr(sink.config, name) is not None for name in _CHOICE)


def trouble_with_level(sink: Sink, config: LoggerConfig) -> ConfigAdvice | None:
    """What to tell, once, of a sink that asks for more than the logger's own level lets through. None: nothing.

    Levels by name, of either, are there to be changed one by one. 0 asks for whatever comes.
    """
    own, asked = config.level, sink.levels
    if not isinstance(own, LevelSpec) or own.level is None or not asked.level or config.recorder is not None:
        return None
    if sink.is_capture:  # it gets what it asks for, whatever the logger's level is
        return None
    if own.names or asked.names or asked.level >= own.level or own.level == OFF or sink.is_told_of_level:
        return None
    sink.is_told_of_level = True
    name, stop = _word(asked.level, config), _word(own.level, config)
    wanted = f"{name.lower()!r}" if not name.isdigit() else name
    text = f"sink {sink.id} asks for {name}, but the logger stops below {stop}: set_level({wanted})"
    return ConfigAdvice(text, field="level", value=asked.level)


def troubles_with(sink: Sink, others: Iterable[Sink], config: LoggerConfig) -> list[ConfigAdvice]:
    """What to tell of a new sink."""
    found = [_trouble_with_twin(sink, others), trouble_with_level(sink, config)]
    return [trouble for trouble in found if trouble is not None]


def _word(number: int, config: LoggerConfig) -> str:
    names = {**BUILTIN_LEVELS, **config.custom_levels}
    return next((name.upper() for name in names if names[name] == number), str(number))
