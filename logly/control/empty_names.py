"""Names in a sink's format that no record has had a field for: told when the sink ends."""

from __future__ import annotations

from logly.errors import ConfigAdvice
from logly.layout.foreign_words import hint_for_empty
from logly.layout.layout_template import meant_fields

__all__ = ["empty_names"]


def empty_names(template: str, empty: set[str], lines: int) -> ConfigAdvice | None:
    """The error that tells of the first such name. None: each is meant as a field's, or the sink has written nothing.

    Args:
        template: the sink's format.
        empty: the names that were never filled.
        lines: how many records the sink has written.
    """
    doubtful = sorted(empty - meant_fields(template))
    if not doubtful or not lines:
        return None
    name = doubtful[0]
    others = f", and so for {', '.join(doubtful[1:])}" if doubtful[1:] else ""
    records = "the only record" if lines == 1 else f"none of {lines} records"
    had = "had no" if lines == 1 else "had a"
    text = (
        f"format = {template!r}: {records} {had} field {name!r}, and {{{name}}} stood for nothing{others}: "
        f"{hint_for_empty(name)}; {{fields[{name}]}} says that a field is meant"
    )
    return ConfigAdvice(text, field="format", value=template)
