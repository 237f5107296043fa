"""What `LoggerConfig.redact` and `redact_text` hide in the values of a traceback."""

from __future__ import annotations

import re
from collections import deque
from enum import Enum
from itertools import chain, islice

from logly._core import Redactor

from .plain_reading import attribute_of, attributes_of, is_no_value, is_of, pairs_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = ["LONG", "HiddenValues"]

LONG = 4096
"""Characters of a text that are looked at."""
_HIDDEN = "[redacted]"
_LEAST = 4
"""Characters of a secret that is looked for under other names: shorter ones stand in many words."""
_MOST_SECRETS = 256
_MOST_CHARACTERS = 16_384
"""Of all secrets of a record. Where there is more, every text is hidden."""
_MOST_ITEMS = 200
"""Of a list, a dict (its keys count, too) or an object whose texts are secrets."""
_MOST_VALUES = 1000
"""Of one secret."""
_DEPTH = 3


class HiddenValues:
    """The secrets of one record: values with a name that hides them. Another frame may have them under another name.

    Args:
        names: patterns of names whose values are secrets; see `LoggerConfig.redact`.
        keys: the same of keys inside of texts; None: texts are not searched.
    """

    def __init__(self, names: tuple[str, ...], keys: tuple[str, ...] | None) -> None:
        # `keys` are the names, too, and have all of these: the text of a pair has no sign that it can be found by.
        self._redactor = Redactor(keys or names, keys) if names or keys else None
        self.is_empty = self._redactor is None
        self._secrets: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self._characters = 0
        """Of all secrets."""
        self._is_full = False
        """There are more secrets than are looked for, or one could not be read."""
        self._learned = (0, False)
        self._longest = 0

    def hides_name(self, name: str) -> bool:
        """Of a variable, with its attributes, or of an option."""
        return not self.is_empty and any(map(self._hides, name.split(".")))

    def hides_key(self, key: object) -> bool:
        """Of a dict: a text, bytes, or an enum's member with such a name or value."""
        return not self.is_empty and any(map(self._hides, _texts_of_key(key)))

    def _hides(self, name: str) -> bool:
        """Also ``_name`` and ``--name``."""
        hides = self._redactor.hides_name if self._redactor is not None else None
        return hides is not None and (hides(name) or (name[:1] in ("_", "-") and hides(name.lstrip("_-"))))

    def keep(self, value: object) -> None:
        """Note the value of a hidden name, in order to find it under other names."""
        try:
            for text in _texts_in(value, _DEPTH, iter(range(_MOST_VALUES))):
                if self._is_full:
                    return
                if len(text) >= _LEAST and not text.isspace():
                    self._note(text)
        except Exception:  # noqa: BLE001  # another thread has changed it meanwhile
            self._is_full = True

    def _note(self, secret: str) -> None:
        for form in _forms_of(secret):
            if form not in self._secrets:
                self._secrets.add(form)
                self._characters += len(form)
        self._is_full = len(self._secrets) > _MOST_SECRETS or self._characters > _MOST_CHARACTERS

    def learn(self) -> bool:
        """Look for the secrets that have been noted. Returns False where there is none that was not looked for."""
        noted = (len(self._secrets), self._is_full)
        if noted == self._learned:
            return False
        self._learned = noted
        if not self._is_full:
            self._longest = min(LONG, max(map(len, self._secrets)))
            longest_first = sorted(self._secrets, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(_as_pattern, longest_first)), re.DOTALL)
        return True

    def replaced(self, text: str, *, is_whole: bool = True) -> str:
        """A value's text without the secrets. Of one that was cut, the end is left out: a secret may begin there."""
        if self._is_full:
            return _HIDDEN
        if self._pattern is None:
            return text
        made = self._pattern.sub(_HIDDEN, text)
        return made if is_whole else made[: -self._longest]

    def searched(self, text: str) -> str:
        """The text without what `redact_text` finds."""
        return self._redactor.without_secrets(text) if self._redactor is not None else text


def _as_pattern(secret: str) -> str:
    return re.escape(secret) if len(secret) <= LONG else re.escape(secret[: LONG // 2]) + ".*"


def _forms_of(secret: str) -> tuple[str, str, str]:
    """A text as it is, as it stands in a repr, and as bytes."""
    return secret, repr(secret)[1:-1], secret.encode("utf-8", "surrogatepass").decode("latin-1")


def _texts_of_key(key: Any) -> Iterator[str]:
    kind = type(key)
    if is_of(kind, Enum):
        for text in (attribute_of(key, "_name_"), attribute_of(key, "_value_")):
            if not is_of(type(text), Enum):
                yield from _texts_of_key(text)
    elif is_of(kind, str):
        yield str.__getitem__(key, slice(0, LONG))
    elif is_of(kind, bytes):
        yield bytes.__getitem__(key, slice(0, LONG)).decode("utf-8", "replace")


def _texts_in(value: Any, depth: int, left: Iterator[int]) -> Iterator[str]:
    """The texts, bytes and numbers in a value. `left` counts the values that may yet be looked at."""
    kind = type(value)
    if next(left, None) is None:
        return
    if is_of(kind, str):
        yield str.__getitem__(value, slice(0, LONG + 1))
    elif is_of(kind, bytes) or is_of(kind, bytearray):
        of_kind: Any = bytes if is_of(kind, bytes) else bytearray
        data = of_kind.__getitem__(value, slice(0, LONG + 1))
        yield data.decode("latin-1")
        yield data.decode("utf-8", "replace")
    elif is_of(kind, int) and kind is not bool:
        if 0 < int.bit_length(value) <= LONG:
            yield int.__repr__(value)
    elif is_of(kind, float):
        yield float.__repr__(value)
    elif depth:
        for item in islice(_items_of(value, kind), _MOST_ITEMS):
            yield from _texts_in(item, depth - 1, left)


def _items_of(value: Any, kind: type) -> Iterator[object]:
    if is_of(kind, dict):
        return chain.from_iterable(pairs_of(value))
    for base in (list, tuple, set, frozenset, deque):
        if is_of(kind, base):
            return base.__iter__(value)
    if is_no_value(kind):
        return iter(())
    return (item for _, item in attributes_of(value))
