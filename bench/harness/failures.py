"""Exceptions as a service has them. Their frames are of distinct functions, each with a line of source of its own."""

from __future__ import annotations

import itertools
import linecache
from collections.abc import Callable
from functools import partial
from types import CodeType, FunctionType
from typing import Any

FILE = "<bench-failures>"
DEEPEST = 60
STEP = """\
def step_{i}(order, then):
    shares = {{"number": order["number"], "step": {i}}}
    return step_{next}(shares, then)


"""
ENDS = """\
def step_{deepest}(order, then):
    return then(order)


def price(order):
    raise ValueError("bad price")


def guess(order):
    value = order["number"]
    return valued + 1


def again(order, then, times):
    if times:
        return again(order, then, times - 1)
    return then(order)


def convert(order, then):
    try:
        then(order)
    except ValueError as error:
        raise RuntimeError("order refused") from error


def raise_all(order, failing):
    errors = []
    for fail in failing:
        try:
            fail(order)
        except ValueError as error:
            errors.append(error)
    raise ExceptionGroup("orders refused", errors)
"""
ORDER = {"number": 7}


def steps() -> dict[str, Any]:
    source = "".join(STEP.format(i=i, next=i + 1) for i in range(DEEPEST)) + ENDS.format(deepest=DEEPEST)
    linecache.cache[FILE] = (len(source), None, source.splitlines(True), FILE)
    namespace: dict[str, Any] = {"__name__": "bench_failures"}
    exec(compile(source, FILE, "exec"), namespace)
    return namespace


STEPS = steps()
price, guess, again, convert, raise_all = (STEPS[name] for name in ("price", "guess", "again", "convert", "raise_all"))

Failure = Callable[[], Any]


def after(entries: int, then: Callable[..., Any]) -> Callable[..., Any]:
    """Calls `then(order)` with so many entries of a traceback above it."""
    return partial(STEPS[f"step_{DEEPEST + 1 - entries}"], then=then)


def deep(entries: int, last: Callable[..., Any] = price) -> Failure:
    """A traceback of so many entries, the caller's among them."""
    return partial(after(entries - 2, last), ORDER)


def chained(entries: int) -> Failure:
    """Two exceptions of so many entries each, the one raised from the other."""
    return partial(after(entries - 2, partial(convert, then=after(entries - 2, price))), ORDER)


def recursive(entries: int) -> Failure:
    return partial(again, ORDER, price, entries - 3)


def group(entries: int) -> Failure:
    """A group of two; it and its members have so many entries each."""
    member = after(entries - 2, price)
    return partial(after(entries - 2, partial(raise_all, failing=(member, member))), ORDER)


class NeverSeen:
    """Each call raises an exception whose code objects are new. `prepare` makes them, before the time is taken."""

    def __init__(self, entries: int) -> None:
        self.entries = entries
        self.numbers = itertools.count(1)
        self.ready: list[Failure] = []

    def prepare(self, calls: int) -> None:
        self.ready = [self.fresh() for _ in range(calls)]

    def fresh(self) -> Failure:
        first = DEEPEST + 1 - (self.entries - 3)  # the caller's, that of `__call__`, and `price`
        names = [*(f"step_{i}" for i in range(first, DEEPEST + 1)), "price"]
        # Constants of its own, or a code object would be equal to another one, and found in its place.
        number = next(self.numbers)
        space: dict[str, Any] = {"__name__": "bench_failures"}
        for name in names:
            code: CodeType = STEPS[name].__code__
            space[name] = FunctionType(code.replace(co_consts=(*code.co_consts, number)), space)
        return partial(space[names[0]], ORDER, space["price"])

    def __call__(self) -> None:
        self.ready.pop()()
