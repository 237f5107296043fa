"""What a fuzz target is, and the mutations that the targets share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from random import Random


class Target(ABC):
    """One thing that is fuzzed."""

    @abstractmethod
    def open(self, folder: Path) -> None:
        """Prepare; `folder` is empty and goes away afterwards."""

    @abstractmethod
    def case(self, chance: Random) -> None:
        """Make one input from `chance` alone and check what becomes of it; an AssertionError tells the input."""

    @abstractmethod
    def close(self) -> None:
        """Check what can only be seen at the end, and tidy up."""


def mutated(chance: Random, text: str, alphabet: str, times: int) -> str:
    """The text after some insertions, deletions, replacements, repetitions and swaps."""
    for _ in range(times):
        i, j = sorted((chance.randrange(len(text) + 1), chance.randrange(len(text) + 1)))
        what = chance.randrange(5)
        if what == 0:
            text = text[:i] + chance.choice(alphabet) + text[i:]
        elif what == 1:
            text = text[:i] + text[i + 1 :]
        elif what == 2:
            text = text[:i] + chance.choice(alphabet) + text[i + 1 :]
        elif what == 3:
            text = text[:j] + text[i : min(j, i + 12)] + text[j:]
        else:
            text = text[:i] + text[j:] + text[i:j]
    return text


def some_character(chance: Random) -> str:
    """Of every width that CPython stores, lone surrogates and controls included."""
    limit = chance.choice((0x80, 0x80, 0x100, 0x3000, 0xE000, 0x110000))
    return chr(chance.randrange(limit))
