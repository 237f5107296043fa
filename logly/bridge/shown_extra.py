"""What formatters show of a call's `extra`, for one handler and for all that a record reaches."""

from __future__ import annotations

from logly._core import ACCESS_FIELDS, FIELD_IS_JSON, FIELD_IS_REFUSED, FIELD_IS_REQUIRED, FIELD_KINDS, ServedExtra

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["ACCESS_FIELDS", "ShownExtra", "combined", "is_encodable"]

NOTHING: frozenset[str] = frozenset()


class ShownExtra:
    """What a formatter shows of `extra`.

    Attributes:
        kinds: names with the kinds of value (`KIND_` bits of text/format_spec.pxd) that the flusher writes exactly.
        optional: those of them without which the formatter does not fail.
        shows_all: whether it shows all other fields, too, as JSON, but for those that begin with an underscore.
        skipped: names that it does not show among these.
        refused: names of which it makes something that the flusher does not.
        encoder: makes JSON of a value that is not copied as bits: a function, and what is equal where two do the same.
        leaves: names that it leaves in the record for the handlers after its own.
        takes_access: whether it shows the arguments of a call as uvicorn's access log does.
    """

    __slots__ = ("encoder", "kinds", "leaves", "optional", "refused", "shows_all", "skipped", "takes_access")

    def __init__(
        self,
        kinds: dict[str, int],
        optional: frozenset[str] = NOTHING,
        *,
        shows_all: bool = False,
        skipped: frozenset[str] = NOTHING,
        refused: frozenset[str] = NOTHING,
        encoder: tuple[Callable[[Any], str], object] | None = None,
        leaves: frozenset[str] = NOTHING,
        takes_access: bool = False,
    ) -> None:
        self.kinds = kinds
        self.optional = optional
        self.shows_all = shows_all
        self.skipped = skipped
        self.refused = refused
        self.encoder = encoder
        self.leaves = leaves
        self.takes_access = takes_access

    def shows(self, name: str) -> bool:
        """Whether the text depends on a field of this name."""
        return name in self.kinds or self.shows_among_others(name)

    def shows_among_others(self, name: str) -> bool:
        return self.shows_all and name not in self.kinds and name not in self.skipped and not name.startswith("_")


def combined(shown: list[ShownExtra]) -> ServedExtra | str | None:
    """What records must carry of `extra` for all these formatters; None: nothing. A str: why they are not served."""
    if not shown:
        return None
    for number, one in enumerate(shown):
        for name in one.leaves:
            if any(other.shows(name) for other in shown[:number] + shown[number + 1 :]):
                return f"a formatter leaves {name} in the record for another one"
    takes_access = any(one.takes_access for one in shown)
    if takes_access and any(other.shows(name) for other in shown for name in ACCESS_FIELDS):
        return "a formatter shows all fields beside one of uvicorn's access log"
    names = [name for one in shown for name in (*one.kinds, *sorted(one.skipped), *sorted(one.refused))]
    encoders = [one.encoder for one in shown if one.encoder is not None]
    encode = encoders[0][0] if encoders and all(one[1] == encoders[0][1] for one in encoders) else None
    return ServedExtra(
        {name: _rule(name, shown) for name in dict.fromkeys(names)},
        shows_all=any(one.shows_all for one in shown),
        encode=encode,
        takes_access=takes_access,
    )


def is_encodable(text: str, is_ascii: bool) -> bool:
    """Whether the flusher writes a text as the streams of handlers do."""
    return text.isascii() or not (is_ascii or any("\ud800" <= character <= "\udfff" for character in text))


def _rule(name: str, shown: list[ShownExtra]) -> int:
    if any(name in one.refused for one in shown):
        return FIELD_IS_REFUSED
    rule = FIELD_KINDS | FIELD_IS_JSON
    showing = [one for one in shown if one.shows(name)]
    for one in showing:
        rule &= one.kinds.get(name, rule) | FIELD_IS_JSON | FIELD_IS_REQUIRED
        if one.encoder is None:
            rule &= ~FIELD_IS_JSON
        if name in one.kinds and name not in one.optional:
            rule |= FIELD_IS_REQUIRED
    if showing and not rule & FIELD_KINDS:
        return FIELD_IS_REFUSED | (rule & FIELD_IS_REQUIRED)  # there is no kind that all of them write exactly
    return rule if showing else 0
