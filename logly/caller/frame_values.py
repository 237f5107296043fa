"""The values of the variables that failing lines name: `LoggerConfig.diagnose`.

They are read, and made text, on the caller's thread when the exception is logged, because they change afterwards. No
reference to them is kept.

What is shown: the names that stand in the source line, and their attributes as far as no code runs to get them. No
property, no ``__getattr__`` and no method is called, and no ``__repr__`` of the program (`value_texts.py`).
"""

from __future__ import annotations

import re
import sys
from keyword import iskeyword
from types import CodeType

from .hidden_values import LONG, HiddenValues
from .plain_reading import MISSING, attribute_of, is_no_value, is_of
from .tracebacks import source_lines
from .value_texts import ValueTexts, left_out

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType, TracebackType
    from typing import Any

__all__ = ["FrameValues"]

MOST_CHARACTERS = 128
"""Of one value."""
MOST_NAMES = 12
"""Of one entry of a traceback."""
MOST_ENTRIES = 32
"""Of one record: the innermost ones."""
MOST_LINES = 8
"""Of a call that goes over several lines."""
MOST_READINGS = 3
"""A value that is read later may tell a secret that has been shown already; then all are read again."""

_TOKENS = re.compile(
    r"""
    (?P<prefix>[A-Za-z]{0,2})(?P<text>\"{3}(?:[^\\]|\\.)*?(?:\"{3}|$)|'{3}(?:[^\\]|\\.)*?(?:'{3}|$)
        |"(?:[^"\\\n]|\\.)*(?:"|$)|'(?:[^'\\\n]|\\.)*(?:'|$))
    |(?P<comment>\#.*)
    |(?P<name>[^\W\d]\w*(?:\.[^\W\d]\w*)*)
    |(?P<number>\.?\d[\w.]*)
    |(?P<sign>\S)
    """,
    re.VERBOSE | re.DOTALL,
)
_FILLED = re.compile(r"\{([^{}]+)\}")
"""What stands between the braces of an f-string."""

_FAST_LOCALS = 0x3
"""Flags of a function's code: its variables are in slots."""


def _variables_of_caller() -> Any:
    return sys._getframe(1).f_locals


def _kind_of_variables() -> Any:
    return type(_variables_of_caller())


_VARIABLES = _kind_of_variables()
"""What `f_locals` of a function's frame is."""

_GETS = re.compile(r"\s*\]?\s*(?::=|=(?!=)|[:,])")
"""What stands between a key, or the name of an argument, and its value."""

_known: dict[str, tuple[tuple[str, str], ...]] = {}
"""The names in a line of source, each with the name that gets its value there: `password=text`; or ""."""


class FrameValues:
    """The values that one record shows.

    Args:
        names: patterns of names whose values are secrets; see `LoggerConfig.redact`.
        keys: the same of keys inside of texts; None: texts are not searched.
    """

    def __init__(self, names: tuple[str, ...], keys: tuple[str, ...] | None) -> None:
        self._hidden = HiddenValues(names, keys)
        self._texts = ValueTexts(self._hidden)

    def __call__(self, traces: list[TracebackType]) -> dict[int, str]:
        """The lines to follow each entry of the tracebacks, by the entry's id. Never raises because of a value."""
        entries = _entries_of(traces)
        try:
            for _ in range(MOST_READINGS):
                found = {id(entry): self._lines_of(entry) for entry in entries}
                if not self._hidden.learn():
                    return found
        except Exception:  # noqa: BLE001  # there is no memory, say, to look for the secrets
            return {}
        return {}  # there are new secrets each time

    def _lines_of(self, entry: TracebackType) -> str:
        try:
            names = _names_at(entry)
            return self._lines(entry.tb_frame, names)
        except Exception:  # noqa: BLE001  # never raises; not even a RecursionError, because no code of the program runs
            return ""

    def _lines(self, frame: FrameType, names: tuple[tuple[str, str], ...]) -> str:
        variables = frame.f_locals
        lines: dict[str, str] = {}
        try:
            self._keep_hidden(variables)
            hides = self._hidden.hides_name
            hidden = () if self._hidden.is_empty else {path for path, label in names if hides(path) or hides(label)}
            for path in dict.fromkeys(path for path, _ in names):
                if path in hidden or len(lines) < MOST_NAMES:
                    name, text = self._line_of(path, variables, frame.f_globals, is_hidden=path in hidden)
                    if text and len(lines) < MOST_NAMES:
                        lines.setdefault(name, text)
        finally:
            _forget(frame, variables)
        return "".join(lines.values())

    def _keep_hidden(self, variables: Any) -> None:
        """Secrets are looked for also where the line does not name them."""
        if self._hidden.is_empty or not (type(variables) is _VARIABLES or is_of(type(variables), dict)):
            return
        names = variables if type(variables) is _VARIABLES else dict.keys(variables)
        for name in list(names):
            if type(name) is str and self._hidden.hides_name(name):
                self._hidden.keep(_variable(name, variables))

    def _line_of(self, path: str, variables: Any, others: dict[str, Any], *, is_hidden: bool) -> tuple[str, str]:
        """What is read is called, and its line; "": there is none. A value that fails takes no other away."""
        try:
            name, value = _reach(path, variables, others)
            shows = value is not MISSING and not is_no_value(type(value))
            return name, self._line(name, value, is_hidden=is_hidden) if shows else ""
        except Exception:  # noqa: BLE001  # never raises; not even a RecursionError, because no code of the program runs
            return path, ""

    def _line(self, name: str, value: object, *, is_hidden: bool) -> str:
        if is_hidden:
            self._hidden.keep(value)
            text = "[redacted]"
        else:
            text = self._texts.text_of(value)
        shown = self._hidden.searched(f"{name} = {text}")
        return f"      {_printable(_cut(shown, MOST_CHARACTERS + len(name)))}\n"


def _entries_of(traces: list[TracebackType]) -> list[TracebackType]:
    """Those whose values are shown."""
    shown: list[TracebackType] = []
    for trace in traces:
        entries: list[TracebackType] = []
        next_one: TracebackType | None = trace
        while next_one is not None:
            entries.append(next_one)
            next_one = next_one.tb_next
        shown += entries[::-1][: MOST_ENTRIES - len(shown)]
    return shown


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}..."


def _printable(text: str) -> str:
    """One line, without anything that a terminal obeys or that is half a character."""
    if text.isprintable():
        return text
    return "".join([one if one.isprintable() else one.encode("unicode_escape").decode() for one in text])


# ---- which names, and what they stand for


def _names_at(entry: TracebackType) -> tuple[tuple[str, str], ...]:
    """The names, with attributes, in the source of the instruction that failed; and what gets their values there."""
    frame = entry.tb_frame
    lines = source_lines(frame.f_code.co_filename, frame.f_globals)
    first = entry.tb_lineno
    if first is None or not 1 <= first <= len(lines):
        return ()
    text = "".join(lines[first - 1 : min(_last_line(frame.f_code, entry.tb_lasti, first), first + MOST_LINES - 1)])
    if len(text) > LONG:
        return ()
    found = _known.get(text)
    if found is None:
        if len(_known) >= 1024:
            _known.clear()
        found = _known[text] = tuple(dict.fromkeys(_names_in(text)))
    return found


def _last_line(code: CodeType, instruction: int, first: int) -> int:
    for number, (line, end, _, _) in enumerate(code.co_positions()):
        if number == instruction // 2:
            return end if line == first and end is not None else first
    return first


def _names_in(text: str, label: str = "") -> list[tuple[str, str]]:
    names: list[tuple[str, str]] = []
    before = ""
    for token in _TOKENS.finditer(text):
        name = token["name"]
        gets = _GETS.match(text, token.end())
        if token["text"] is not None:
            if "f" in token["prefix"].lower():
                for filled in _FILLED.findall(token["text"]):
                    names += _names_in(filled.partition("!")[0].partition(":")[0], label)
            label = token["text"].strip("\"'") if gets else ""
        elif name is not None:
            after = text[token.end() : token.end() + 64].lstrip()[:2]
            is_called = after[:1] == "("
            if before != "." and not iskeyword(name.partition(".")[0]) and all(map(str.isidentifier, name.split("."))):
                shown = name.rpartition(".")[0] if is_called else name
                if shown and after != ":=" and (after[:1] != "=" or after == "=="):  # not what gets a value here
                    names.append((shown, label))
            if not is_called:
                label = name if gets and gets[0][-1] != "," else ""
        elif token["sign"] is None or token["sign"] not in "=:,([{]":
            label = ""
        before = token[0]
    return names


def _variable(name: str, variables: Any) -> Any:
    if type(variables) is _VARIABLES:
        return variables.get(name, MISSING)
    if is_of(type(variables), dict):  # in a class body, or in what is executed: it may be of any type
        return dict.get(variables, name, MISSING)
    return MISSING


def _reach(path: str, variables: Any, others: dict[str, Any]) -> tuple[str, Any]:
    """The value of a name, or of an attribute as far as it can be read without running code; and its name then."""
    first, *rest = path.split(".")
    value = _variable(first, variables)
    if value is MISSING:
        value = dict.get(others, first, MISSING)
    name = first
    for attribute in rest if value is not MISSING else ():
        inner = attribute_of(value, attribute)
        if inner is MISSING or attribute in left_out(type(value)):
            break
        name, value = f"{name}.{attribute}", inner
    return name, value


def _forget(frame: FrameType, variables: Any) -> None:
    """Take the variables out of the dict that reading `f_locals` has made: the frame would keep it as long as it runs.

    Not from CPython 3.13 on, where there is none; not if the program has it, too (by `locals()`), and not where a
    debugger may write it back. What `exec` has put into it stays.
    """
    code = frame.f_code
    if sys.version_info >= (3, 13) or code.co_flags & _FAST_LOCALS != _FAST_LOCALS:
        return
    if sys.gettrace() is None and sys.getrefcount(variables) == 4:  # the frame's, the caller's, ours, and the argument
        for name in (*code.co_varnames, *code.co_cellvars, *code.co_freevars):
            variables.pop(name, None)
