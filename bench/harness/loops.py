"""Functions made from one statement, with the call inline: nothing stands between the loop and what is measured."""

from __future__ import annotations

import linecache
from collections.abc import Callable
from functools import cache
from textwrap import indent
from typing import Any

LOOP = """\
def make(logger, text, fail):
    def loop(start, stop, logger=logger, text=text, x=1234.5678):
{body}
    return loop
"""
REPEATED = """\
for i in range(start, stop):
    {statement}
"""
HANDLING = """\
try:
    fail()
except Exception:
    for i in range(start, stop):
        {statement}
"""
FAILING = """\
for i in range(start, stop):
    try:
        fail()
    except Exception:
        {statement}
"""
PACED = """\
def make(logger, text, fail):
    def paced(clock, first, gap, calls, taken, limit_ns, logger=logger, text=text, x=1234.5678):
        due = first
        for i in range(calls):
            while clock() < due:
                pass
            start = clock()
            {statement}
            taken[i] = clock() - start
            due += gap
            if start - first > limit_ns:
                return i + 1
        return calls
    return paced
"""


@cache
def maker(source: str) -> Any:
    """Compiled once: logly knows a template by its object, of which a program has one, not one per loop.

    More than eight objects with the same text would take the way of a template that is not known.
    """
    # A traceback through the loop shows its lines.
    file = f"<bench{maker.cache_info().misses}>"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    namespace: dict[str, Any] = {"__name__": "bench_loop"}
    exec(compile(source, file, "exec"), namespace)
    return namespace["make"]


def made(source: str, logger: Any, text: str, fail: Callable[[], Any] | None = None) -> Any:
    return maker(source)(logger, text, fail)


def compile_loop(
    statement: str, logger: Any, text: str = "", *, fail: Callable[[], Any] | None = None, each_fails: bool = False
) -> Callable[[int, int], None]:
    """A function `loop(start, stop)` that runs the statement with `i` from start to stop.

    With `fail` the statement runs while what that raises is handled: one exception for all calls, or one for each.
    """
    body = (REPEATED if fail is None else FAILING if each_fails else HANDLING).format(statement=statement)
    return made(LOOP.format(body=indent(body, " " * 8)), logger, text, fail)


def compile_paced(statement: str, logger: Any, text: str = "") -> Callable[..., int]:
    """A function that makes each call at its due time and notes what the call took.

    `paced(clock, first, gap, calls, taken, limit_ns)` returns how many calls were made.
    """
    return made(PACED.format(statement=statement), logger, text)
