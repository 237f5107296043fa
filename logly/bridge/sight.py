"""How `install` sees that something has changed on which a call of `logging` depends.

There are several ways of seeing changes. A way that misses a change would write wrong lines without any sign. So each
way is tried out in this Python first, on objects made for that, and a way that misses a change is not used.
"""

from __future__ import annotations

import logging
import sys

from logly._core import World, changes_told, has_gil, sight_for_tests, use_sight

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["choose_sight"]

KNOWN = ((3, 11), (3, 12), (3, 13), (3, 14))
"""The versions of CPython whose objects logly knows."""

ROUNDS = 6
"""How often each change is tried. After fewer rounds CPython has put specialized instructions into the code."""


def choose_sight() -> None:
    """Use the fastest way of seeing changes that sees all of them."""
    why_not = _why_unknown()
    if why_not is None:
        wanted = sight_for_tests()
        first = next((i for i, (name, _) in enumerate(WAYS) if name == wanted), 0)
        if any(can_be_used() for _, can_be_used in WAYS[first:]):
            return
        why_not = "this Python does not tell of every change of an object"
    use_sight("nothing", why_not=why_not)


WAYS: tuple[tuple[str, Callable[[], bool]], ...] = (
    ("versions", lambda: use_sight("versions")),
    ("watchers", lambda: use_sight("watchers") and is_told_of_all()),
    ("comparing", lambda: use_sight("comparing") and sees_all()),
    ("comparing-slowly", lambda: use_sight("comparing", hasty=False) and sees_all()),
)
"""From the fastest to the slowest: a name for tests, and a function that begins to use the way.

The function returns whether the way sees all changes.
"""


def _why_unknown() -> str | None:
    if not has_gil():
        return "calls are fast only in a Python with a GIL"
    if hasattr(logging.Logger, "_is_disabled"):
        return "this Python ignores calls inside of another call, as 3.13.4 and 3.13.5 do"
    if sys.version_info[:2] in KNOWN and sys.implementation.name == "cpython":
        return None
    version = ".".join(map(str, sys.version_info[:2]))
    return f"this version of logly does not know {sys.implementation.name} {version}"


class Probe:
    """Has attributes as a logger has them."""

    def __init__(self) -> None:
        self.first: Any = 1
        self.second: Any = 2


class Large(Probe):
    """Has so many attributes that CPython keeps them in a table of the object's own."""

    def __init__(self) -> None:
        super().__init__()
        for number in range(40):
            setattr(self, f"n{number}", number)


def put(one: Probe) -> None:
    one.first = 1000.5


def add(one: Any) -> None:
    one.third = 3


def take(one: Probe) -> None:
    del one.first


def put_by_name(one: Probe) -> None:
    vars(one)["first"] = 1000.5


def take_by_name(one: Probe) -> None:
    del vars(one)["first"]


CHANGES: tuple[Callable[[Any], object], ...] = (
    put,
    add,
    take,
    put_by_name,
    take_by_name,
    lambda one: setattr(one, "first", 1000.5),
    lambda one: delattr(one, "second"),
    lambda one: vars(one).update(first=1000.5),
    lambda one: vars(one).setdefault("third", 3),
    lambda one: vars(one).pop("second"),
    lambda one: vars(one).popitem(),
    lambda one: vars(one).clear(),
)


def _tried(is_seen: Callable[[Callable[[], object], World], bool]) -> bool:
    """Whether each kind of change is seen, whether a function or an instruction of CPython makes it."""
    for change in CHANGES:
        for kind in (Probe, Large):
            for number in range(2 * ROUNDS):
                one = kind()
                if number >= ROUNDS:
                    vars(one)  # now the object has a dict
                if number % 2:
                    world = World()
                    world.watch(one)
                    if not (world.holds and is_seen(lambda change=change, one=one: change(one), world)):  # type: ignore[misc]
                        return False
                else:
                    change(one)
    table: dict[Any, Any] = {"first": 1, "second": 2}
    changes: tuple[Callable[[], object], ...] = (
        lambda: setattr(Large, "added", 1),
        lambda: setattr(Large, "added", 2),
        lambda: delattr(Large, "added"),
        lambda: table.update(first=2),
        lambda: table.pop("second"),
        lambda: table.update(third=3),
        table.clear,
    )
    for number, act in enumerate(changes):
        world = World()
        if number < 3:
            world.watch_bases(Large)
        else:
            world.watch_module(table)
        if not (world.holds and is_seen(act, world)):
            return False
    return True


def _sees_more() -> bool:
    """Whether changes are seen of which CPython's watchers do not tell: another dict or class, changes of classes."""
    one = Probe()
    changes: tuple[Callable[[], object], ...] = (
        lambda: setattr(one, "__dict__", {**vars(one)}),
        lambda: setattr(one, "__class__", Large),
        lambda: setattr(Large, "added", 1),
        lambda: delattr(Large, "added"),
        lambda: setattr(Probe, "added", 1),
        lambda: delattr(Probe, "added"),
    )
    for change in changes:
        world = World()
        world.watch(one)
        if not world.holds:
            return False
        change()
        if world.holds:
            return False
    return True


def is_told_of_all() -> bool:
    """Whether CPython tells of every change of a dict, also of attributes that it keeps outside of the dict."""

    def is_seen(change: Callable[[], object], world: World) -> bool:
        before = changes_told()
        change()
        return changes_told() != before and not world.holds

    return _tried(is_seen) and _sees_more()


def sees_all() -> bool:
    """Whether every change of a dict is seen when everything is compared."""

    def is_seen(change: Callable[[], object], world: World) -> bool:
        change()
        return not world.holds

    return _tried(is_seen) and _sees_more()
