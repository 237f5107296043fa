"""The values of the variables that failing lines name: `LoggerConfig.diagnose`.

They are read, and made text, on the caller's thread when the exception is logged, because they change afterwards. No
reference to them is kept.

What is shown: the names that stand in the source line, and their attributes as far as no code runs to get them. No
property, no ``__getattr__`` and no method is called; only ``__repr__`` is, with a time limit.
"""

from __future__ import annotations

import re
import sys
from itertools import islice
from keyword import iskeyword
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)

from logly._core import Redactor, monotonic, thread_ident

from .tracebacks import source_lines

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
MOST_ITEMS = 10
MOST_DEPTH = 3
VALUE_S = 0.05
RECORD_S = 0.2
"""How long the ``__repr__`` of one value may take, and how long all of a record. Code in C cannot be interrupted."""
_LONG = 4096
"""Characters of a text that are looked at: a secret that is cut in half must still be found."""

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

_MISSING = object()
_NO_VALUES = (ModuleType, FunctionType, BuiltinFunctionType, MethodType, type)
"""What is named in order to be called, or to reach something."""
_HEAP_TYPE = 1 << 9
"""In ``__flags__`` of a class that was not made in C."""
_FAST_LOCALS = 0x3
"""In ``co_flags``: the variables are not in a dict."""
_BRACKETS: dict[type, str] = {list: "[]", tuple: "()", set: "{}", frozenset: "{}", dict: "{}"}

_busy: set[int] = set()
"""Threads that read values now. What a ``__repr__`` logs has none."""
_known: dict[str, tuple[str, ...]] = {}
"""The names in a line of source."""


class _TooLong(BaseException):
    """Raised in a ``__repr__`` whose time is over: no ``except Exception`` keeps it."""


class FrameValues:
    """The values that one record shows.

    Args:
        names: patterns of names whose values are secrets; see `LoggerConfig.redact`.
        keys: the same of keys inside of texts; None: texts are not searched.
    """

    def __init__(self, names: tuple[str, ...], keys: tuple[str, ...] | None) -> None:
        self._redactor = Redactor(names, keys) if names or keys else None
        self._ends = monotonic() + RECORD_S
        self._entries = MOST_ENTRIES
        self._secrets: set[str] = set()
        """Texts that a hidden name stands for. Another frame may have them under another name."""

    def __call__(self, trace: TracebackType) -> dict[int, str]:
        """The lines to follow each entry of a traceback, by the entry's id. Never raises because of a value."""
        ident = thread_ident()
        if ident in _busy:
            return {}
        entries: list[TracebackType] = []
        next_one: TracebackType | None = trace
        while next_one is not None:
            entries.append(next_one)
            next_one = next_one.tb_next
        found = {}
        _busy.add(ident)
        try:
            for entry in reversed(entries[-self._entries :] if self._entries else []):
                self._entries -= 1
                found[id(entry)] = self._lines_of(entry)
        finally:
            _busy.discard(ident)
        for secret in self._secrets:
            for key in found:
                found[key] = found[key].replace(secret, "[redacted]")
        return found

    def _lines_of(self, entry: TracebackType) -> str:
        try:
            names = _names_at(entry)
            return self._lines(entry.tb_frame, names) if names else ""
        except Exception:  # noqa: BLE001  # never raises: not even a RecursionError, because what a repr logs has no values
            return ""

    def _lines(self, frame: FrameType, names: tuple[str, ...]) -> str:
        variables = frame.f_locals
        lines: dict[str, str] = {}
        value: Any = None
        try:
            for path in names:
                if len(lines) == MOST_NAMES:
                    break
                name, value = _reach(path, variables, frame.f_globals)
                if name not in lines and value is not _MISSING and not isinstance(value, _NO_VALUES):
                    lines[name] = self._line(name, value)
        finally:
            del value
            _forget(frame, variables)
        return "".join(lines.values())

    def _line(self, name: str, value: object) -> str:
        hides = self._redactor is not None and any(map(self._redactor.hides_name, name.split(".")))
        text = self._hidden(value) if hides else self._text(value, MOST_DEPTH)
        return f"      {_printable(_cut(self._searched(f'{name} = {text}'), MOST_CHARACTERS + len(name)))}\n"

    def _searched(self, text: str) -> str:
        return self._redactor.without_secrets(text) if self._redactor is not None else text

    def _hidden(self, value: object) -> str:
        if type(value) is str and 4 <= len(value) <= _LONG:
            self._secrets.add(_printable(repr(value)[1:-1]))
        return "[redacted]"

    # ---- a value as text

    def _text(self, value: Any, depth: int) -> str:
        kind = type(value)
        if kind is str or kind is bytes:
            return repr(value) if len(value) <= _LONG else f"{value[:_LONG]!r}... {len(value)} in all"
        if kind is int and value.bit_length() > 4 * MOST_CHARACTERS:
            return f"<int of {value.bit_length()} bits>"
        if kind in (int, float, complex, bool, type(None)):
            return repr(value)
        if kind in _BRACKETS:
            return self._container(value, kind, depth)
        return self._repr(value, kind)

    def _container(self, value: Any, kind: type, depth: int) -> str:
        begin, end = _BRACKETS[kind][0], _BRACKETS[kind][1]
        if not value:
            return "()" if kind is tuple else "[]" if kind is list else "{}" if kind is dict else f"{kind.__name__}()"
        if depth == 0:
            return f"{begin}...{end}"
        items = list(islice(value, MOST_ITEMS))
        texts = []
        for item in items:
            if kind is not dict:
                texts.append(self._text(item, depth - 1))
            elif self._redactor is not None and isinstance(item, str) and self._redactor.hides_name(str.__str__(item)):
                texts.append(f"{self._text(item, 0)}: '{self._hidden(value.get(item))}'")
            else:
                texts.append(f"{self._text(item, 0)}: {self._text(value.get(item), depth - 1)}")
        if len(value) > len(items):
            texts.append(f"... {len(value) - len(items)} more")
        elif kind is tuple and len(items) == 1:
            texts[0] += ","
        return f"{'frozenset(' if kind is frozenset else ''}{begin}{', '.join(texts)}{end}{')' * (kind is frozenset)}"

    def _repr(self, value: Any, kind: type) -> str:
        home = _home_of(kind, "__repr__")
        if home is not None and home is not object and not home.__flags__ & _HEAP_TYPE and hasattr(home, "__len__"):
            size = home.__len__(value)
            if size > 1000:  # C makes a text of all of them
                return f"<{kind.__name__} with {size} items>"
        ends = min(self._ends, monotonic() + VALUE_S)
        try:
            return _cut(str.__str__(_limited_repr(value, ends)), _LONG)
        except _TooLong:
            return f"<{kind.__name__} whose repr takes too long>"
        except Exception as error:  # noqa: BLE001  # a `__repr__` may raise anything
            return f"<{kind.__name__} whose repr failed: {type(error).__name__}>"


def _limited_repr(value: object, ends: float) -> Any:
    """`repr`, interrupted by a trace function when its time is over."""
    before = sys.gettrace()

    def watch(_frame: FrameType, _event: str, _: object) -> Any:
        if monotonic() >= ends:
            raise _TooLong
        return watch

    if monotonic() >= ends:
        raise _TooLong
    sys.settrace(watch)
    try:
        return repr(value)
    finally:
        sys.settrace(before)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}..."


def _printable(text: str) -> str:
    """One line, without anything that a terminal obeys or that is half a character."""
    if text.isprintable():
        return text
    return "".join([one if one.isprintable() else one.encode("unicode_escape").decode() for one in text])


# ---- which names, and what they stand for


def _names_at(entry: TracebackType) -> tuple[str, ...]:
    """The names, with attributes, in the source of the instruction that failed."""
    frame = entry.tb_frame
    lines = source_lines(frame.f_code.co_filename, frame.f_globals)
    first = entry.tb_lineno
    if first is None or not 1 <= first <= len(lines):
        return ()
    text = "".join(lines[first - 1 : min(_last_line(frame.f_code, entry.tb_lasti, first), first + MOST_LINES - 1)])
    if len(text) > _LONG:
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


def _names_in(text: str) -> list[str]:
    names: list[str] = []
    before = ""
    for token in _TOKENS.finditer(text):
        if token["text"] is not None and "f" in token["prefix"].lower():
            for filled in _FILLED.findall(token["text"]):
                names += _names_in(filled.partition("!")[0].partition(":")[0])
        name = token["name"]
        if name is not None and before != "." and not iskeyword(name.partition(".")[0]):
            after = text[token.end() : token.end() + 64].lstrip()[:2]
            if after[:1] == "(":
                name = name.rpartition(".")[0]
            if (
                all(map(str.isidentifier, name.split("."))) and after != ":=" and (after[:1] != "=" or after == "==")
            ):  # not what gets a value here
                names.append(name)
        before = token[0]
    return names


def _reach(path: str, variables: Any, others: dict[str, Any]) -> tuple[str, Any]:
    """The value of a name, or of an attribute as far as it can be read without running code; and its name then."""
    first, *rest = path.split(".")
    value = variables.get(first, _MISSING)
    if value is _MISSING:
        value = others.get(first, _MISSING)
    name = first
    for attribute in rest if value is not _MISSING else ():
        inner = _attribute(value, attribute)
        if inner is _MISSING:
            break
        name, value = f"{name}.{attribute}", inner
    return name, value


def _attribute(owner: object, name: str) -> Any:
    kind = type(owner)
    home = _home_of(kind, name)
    of_class = home.__dict__[name] if home is not None else _MISSING
    if type(of_class) is MemberDescriptorType:  # a slot
        try:
            return of_class.__get__(owner, kind)
        except AttributeError:
            return _MISSING
    if of_class is not _MISSING and _home_of(type(of_class), "__set__") is not None:
        return _MISSING  # a property
    own: Any = None
    described = _home_of(kind, "__dict__")
    if described is not None and type(described.__dict__["__dict__"]) in (GetSetDescriptorType, MemberDescriptorType):
        own = object.__getattribute__(owner, "__dict__")
    if type(own) is dict and name in own:
        return own[name]
    if of_class is _MISSING or _home_of(type(of_class), "__get__") is not None:
        return _MISSING  # a method, or something that computes
    return of_class


def _home_of(kind: type, name: str) -> Any:
    """The class in which an attribute is found, without asking code of a metaclass; None: there is none."""
    for base in type.__dict__["__mro__"].__get__(kind):
        if name in type.__dict__["__dict__"].__get__(base):
            return base
    return None


def _forget(frame: FrameType, variables: Any) -> None:
    """Empty the dict that reading `f_locals` has made: the frame would keep it, and what is in it, as long as it runs.

    Not from CPython 3.13 on, where there is none; not if the program has it, too (by `locals()`), and not where a
    debugger may write it back.
    """
    if sys.version_info >= (3, 13) or frame.f_code.co_flags & _FAST_LOCALS != _FAST_LOCALS:
        return
    if sys.gettrace() is None and sys.getrefcount(variables) == 4:  # the frame's, the caller's, ours, and the argument
        variables.clear()
