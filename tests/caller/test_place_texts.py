"""The texts of a traceback's entries that logly makes itself, against those of `traceback`."""

from __future__ import annotations

import linecache
import sys
from types import TracebackType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logly.caller import tracebacks
from tests.support.hooks import hook

HEAD = "class A:\n    def f(self, *a, **k): raise ValueError\n"
HEAD += "def f(*a, **k): raise ValueError\na = A(); a.b = a; x = y = 0; d = {}\ndef g():\n"

STATEMENTS = [
    "f()",
    "return f()",
    "return f(x, y)",
    "return f(x,y)",
    "return f( x)",
    "return a.f()",
    "return a.b.f(x, y)",
    "return (f())",
    "return  f()",
    "return f() ",
    "return f()  \t",
    "return f()  # why",
    "return f(f(x))",
    "return f(x=1)",
    "return f('x')",
    "return f(f'{x}')",
    "return f(x + y)",
    "return f(*d)",
    "return f(x)(y)",
    "return f(x).y",
    "return not f(x)",
    "return f(x), 1",
    "return f(x) + 1",
    "return None or f(x)",
    "z = f()",
    "z = f(x)",
    "z=f(x)",
    "z  = f(x)",
    "z = a.f(x)",
    "z = w = f(x)",
    "z, w = f(x)",
    "z: int = f(x)",
    "z = f(x) ",
    "z = f(x); w = 1",
    "x; z = f(x)",
    "x; f(x)",
    "x; return_ = 1; f(x)",
    "a.z = f(x)",
    "d[0] = f(x)",
    "x += f(x)",
    "if f(x): pass",
    "if x == f(x): pass",
    "if not x: return f(x)",
    "if not x: f(x)",
    "for i in f(x): pass",
    "with f(x) as z: pass",
    "with x: pass",
    "assert x",
    "assert x, 'why'",
    "assert x == 1, 'why'",
    "raise ValueError",
    "raise ValueError('x')",
    "raise ValueError('x')  # why",
    "raise ValueError('a-b[c]')",
    "raise ValueError(f'{x + 1}') from None",
    "if not x: raise ValueError(x)",
    "x; raise ValueError(x)",
    "raise f(x)",
    "raise f",
    "return x / y",
    "return 1 + x / y",
    "return x // y",
    "return d[1]",
    "return d['x'][0]",
    "return d [ 1 ]",
    "return a.none",
    "return a.none.of",
    "a.none = x.none",
    "return unknown",
    "unknown",
    "unknown ",
    "import nothing_of_this_name",
    "from os import nothing_of_this_name",
    "import nothing_of_this_name as n  # why",
    "del d[0]",
    "del unknown",
    "return int('x')",
    'return int("x")',
    "return int('\u00e9')",
    "return int('\u4e2d')",
    "return '\u00e9', f(x)",
    "return [f(i) for i in [1]]",
    "return {f(x)}",
    "return (lambda: f(x))()",
    "return f(\n        x)",
    "return f(x,\n        y,\n        x)",
    "raise ValueError(\n        x)",
    "return (x +\n        d)",
    "return (x\n        / y)",
    "\tif f(x): pass",
    "return f(x)\x0c",
    "return f(x) if x == 0 else None",
    "print(f(x))",
    "return print (f (x))",
    "return f (x)",
    "z = yield_ = f(x)",
    "return 'return', f(x)",
    "x == f(x)",
    "f(x) == x",
    "f(None, True)",
    "return f(None, True)",
]


def entries_of(source: str, file: str) -> list[TracebackType]:
    scope: dict[str, object] = {}
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    exec(compile(source, file, "exec"), scope)
    try:
        scope["g"]()  # type: ignore[operator]
    except Exception as error:  # noqa: BLE001
        trace = error.__traceback__
    entries = []
    while trace is not None:
        entries.append(trace)
        trace = trace.tb_next
    return entries[1:]


def quick(entry: TracebackType) -> tuple[str, int] | None:
    return hook("quick_place_text")(entry)  # type: ignore[no-any-return]


def check(source: str) -> None:
    file = "<place>"
    try:
        for entry in entries_of(source, file):
            assert quick(entry) in (None, tracebacks.place_text(entry))
    finally:
        del linecache.cache[file]


@pytest.mark.parametrize("statement", STATEMENTS)
@pytest.mark.parametrize("indent", ["    ", "\t", " \t  "])
def test_a_statement(statement: str, indent: str) -> None:
    check(f"{HEAD}{indent}{statement}\n")
    check(f"{HEAD}{indent}{statement}")


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="not known yet")
@pytest.mark.parametrize("statement", ["f(x)", "return f(x, y)", "z = a.f(x)", "raise ValueError('x-y')"])
def test_plain_statements_are_quick(statement: str) -> None:
    for entry in entries_of(f"{HEAD}    {statement}\n", "<place>"):
        if entry.tb_lineno > 5:
            assert quick(entry) is not None


@settings(deadline=None)
@given(st.sampled_from(STATEMENTS), st.text("frtu xy=.(),;#'\"-+[]:\t\x0c\u00e9", max_size=12), st.integers(0, 30))
def test_the_source_has_changed_meanwhile(statement: str, other: str, at: int) -> None:
    """The line is not the one that was compiled."""
    source = f"{HEAD}    {statement}\n"
    file = "<changed>"
    entries = entries_of(source, file)
    changed = HEAD + "    " + statement[:at] + other.replace("\n", "") + statement[at:] + "\n"
    linecache.cache[file] = (len(changed), None, changed.splitlines(True), file)
    for entry in entries:
        assert quick(entry) in (None, tracebacks.place_text(entry))
    del linecache.cache[file]
