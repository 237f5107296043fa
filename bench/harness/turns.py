"""The one way to compare: the things take turns, and ratios are formed within a round.

A virtual machine changes its speed for seconds at a time. Two equal things that are measured one after the other
differ by that factor; two neighbours of one round do not. So each thing is measured once in each round, every other
round goes backwards, and the median of the rounds' ratios is reported. A thing may be a burst of calls in this
process, or a process that is started for it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from harness import tables

Result = TypeVar("Result")


def in_turns(names: Sequence[str], rounds: int, first: int = 0) -> Iterator[str]:
    """The names in the order in which they are measured. `first` is the number of the first round."""
    for number in range(first, first + rounds):
        yield from names if number % 2 == 0 else reversed(names)


def take_turns(things: Mapping[str, Callable[[], Result]], rounds: int, first: int = 0) -> dict[str, list[Result]]:
    """Call each thing once per round. Returns what each returned, one value a round."""
    found: dict[str, list[Result]] = {name: [] for name in things}
    for name in in_turns(list(things), rounds, first):
        found[name].append(things[name]())
    return found


def ratio(values: Sequence[float], base: Sequence[float]) -> float:
    """The median of the rounds' ratios. A round whose base is not above zero (the loop was taken off) has none.

    Where no round has one (a few calls on a busy machine), it is not a number.
    """
    found = [value / other for value, other in zip(values, base, strict=True) if other > 0]
    return statistics.median(found) if found else math.nan


def difference(values: Sequence[float], base: Sequence[float]) -> float:
    """The median of the rounds' differences."""
    return statistics.median(value - other for value, other in zip(values, base, strict=True))


def print_table(title: str, found: Mapping[str, Sequence[float]], base: str = "") -> None:
    """Median, least and most of each as a Markdown table; with `base`, also its ratio to that one in the same round."""
    columns = ["median", "least", "most", *([f"times {base}"] if base else [])]
    rows = {
        name: [statistics.median(values), min(values), max(values), *([ratio(values, found[base])] if base else [])]
        for name, values in found.items()
    }
    tables.show(tables.Table(title, columns, rows))
