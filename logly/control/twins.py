"""Two sinks of one logger that write the same lines into the same place."""

from __future__ import annotations

from logly.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from .sinks import Sink

__all__ = ["trouble_with_twin"]

_CHOICE = ("filter", "filter_module", "filter_function", "filter_max_level")


def trouble_with_twin(sink: Sink, others: Iterable[Sink]) -> ConfigError | None:
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
            return ConfigError(text, field=field, value=where)
    return None


def _chooses(sink: Sink) -> bool:
    return bool(sink.levels.names) or any(getattr(sink.config, name) is not None for name in _CHOICE)
