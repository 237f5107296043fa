"""Exceptions as text: as Python prints them, and with what is not Python's own indented."""

from __future__ import annotations

import sys
from traceback import TracebackException

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, TracebackType

__all__ = ["exception_text"]

_INDENTED = "\n    "

#: The text of a traceback's entry, by code object (its id), instruction and line: finding the marks under a line costs
#: the traceback module a parse of it. The code object is kept with it, so that its id is not used again.
_entries: dict[tuple[int, int, int], tuple[CodeType, str]] = {}
_MOST_ENTRIES = 1024

#: Their message is completed with a guess that looks at the traceback's frames ("Did you mean ...?").
_GUESSING = (NameError, AttributeError, ImportError, SyntaxError)


def exception_text(error: BaseException, trace: TracebackType | None) -> tuple[str, str, str, str]:
    """Return an exception's type, its message, its traceback, and the traceback made safe.

    The traceback is `traceback.format_exception`'s, byte for byte. In the safe one, line breaks *within* an
    exception's message or a note are followed by four spaces, so that a text from outside in it cannot begin a line
    that passes for a log record. It is "" where the two do not differ.

    Never raises on account of the exception (a ``__str__`` that fails, say), but for what is to go up at once: a
    RecursionError, because an exception that logs itself while it is shown would be shown again at every level above;
    and what ends the program.
    """
    kind = type(error).__name__
    message = _text_of(error)
    try:
        stack, safe = _stack_text(error, trace)
    except RecursionError:
        raise
    except Exception as trouble:
        stack = f"{kind}: {message} <traceback could not be rendered: {type(trouble).__name__}>\n"
        safe = stack.replace("\n", _INDENTED)
    return kind, message, stack, safe


def _stack_text(error: BaseException, trace: TracebackType | None) -> tuple[str, str]:
    """The traceback, and the traceback made safe."""
    if not _is_plain(error) or hasattr(error, "__notes__"):
        _show_others(error)
    front = _known_entries(error, trace)
    rendered = TracebackException(type(error), error, trace if front is None else None, compact=True)
    stack = (front or "") + "".join(rendered.format())
    if front is None:
        _remember_entries(rendered, trace)
    try:
        safe = (front or "") + "".join(rendered.format()) if _indent_messages(rendered) else ""
    except RecursionError:
        raise
    except Exception:
        safe = stack.replace("\n", _INDENTED)
    return stack, safe


def _is_plain(error: BaseException) -> bool:
    """Whether its text is its traceback's entries and its own line: no other exception is shown with it."""
    return (
        error.__cause__ is None
        and (error.__context__ is None or error.__suppress_context__)
        and not isinstance(error, _GUESSING)
        and not hasattr(error, "exceptions")
        and not hasattr(sys, "tracebacklimit")
    )


def _keys(trace: TracebackType | None) -> list[tuple[int, int, int]] | None:
    """What the entries are kept under; None when they may be shown in short ("Previous line repeated 5 more times")."""
    keys: list[tuple[int, int, int]] = []
    repeated = 0
    while trace is not None:
        line = trace.tb_lineno
        repeated = repeated + 1 if keys and keys[-1][2] == line else 0
        if repeated >= 3:
            return None
        keys.append((id(trace.tb_frame.f_code), trace.tb_lasti, line))
        trace = trace.tb_next
    return keys


def _known_entries(error: BaseException, trace: TracebackType | None) -> str | None:
    """The traceback without the exception's own line, if every entry of it has been rendered before."""
    keys = _keys(trace) if trace is not None and _is_plain(error) else None
    if keys is None:
        return None
    parts = ["Traceback (most recent call last):\n"]
    for key in keys:
        known = _entries.get(key)
        if known is None:
            return None
        parts.append(known[1])
    return "".join(parts)


def _remember_entries(rendered: TracebackException, trace: TracebackType | None) -> None:
    """Keep the text of each entry that this traceback shows."""
    keys = _keys(trace)
    texts = rendered.stack.format() if keys else []
    if keys is None or len(texts) != len(keys):
        return
    if len(_entries) + len(keys) > _MOST_ENTRIES:
        _entries.clear()
    for key, text, frame in zip(keys, texts, rendered.stack, strict=True):
        # Odd names are made safe one by one: see `_indent_message`.
        if trace is not None and "\n" not in frame.filename + frame.name:
            _entries[key] = (trace.tb_frame.f_code, text)
        trace = trace.tb_next if trace is not None else None


def _text_of(error: object) -> str:
    try:
        return str.__str__(str(error))
    except RecursionError:
        raise
    except Exception:
        return "<exception str() failed>"


def _show_others(error: BaseException) -> None:
    """Make the text of each exception that is shown with this one, and of all notes, for what that raises.

    `TracebackException` does it in a bare ``except:``, which keeps a RecursionError and a KeyboardInterrupt.
    """
    seen = {id(error)}
    left = [error]
    while left:
        one = left.pop()
        for note in _items(getattr(one, "__notes__", None)):
            if type(note) is not str:
                _text_of(note)
        for other in (one.__cause__, one.__context__, *_items(getattr(one, "exceptions", None))):
            if isinstance(other, BaseException) and id(other) not in seen:
                seen.add(id(other))
                _text_of(other)
                left.append(other)


def _items(value: object) -> list[object] | tuple[object, ...]:
    return value if isinstance(value, (list, tuple)) else ()


def _indent_messages(top: TracebackException) -> bool:
    """Indent in every exception that `top` shows; True when there was something to indent."""
    is_changed = False
    seen: set[int] = set()
    left = [top]
    while left:
        one = left.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        left += [other for other in (one.__cause__, one.__context__) if other is not None]
        left += getattr(one, "exceptions", None) or ()
        is_changed = _indent_message(one) or is_changed
    return is_changed


def _indent_message(one: TracebackException) -> bool:
    is_changed = False
    # `_str` is the message. It is private, but stands in every version from 3.5 to 3.14; without it: AttributeError,
    # and the whole traceback is indented.
    one._str  # type: ignore[attr-defined]  # noqa: B018
    for name in ("_str", "msg", "text", "filename"):
        value = getattr(one, name, None)
        if isinstance(value, str) and "\n" in value.rstrip("\n"):
            setattr(one, name, value.replace("\n", _INDENTED))
            is_changed = True
    notes = getattr(one, "__notes__", None)
    if isinstance(notes, list) and any(isinstance(note, str) and "\n" in note for note in notes):
        one.__notes__ = [note.replace("\n", _INDENTED) if isinstance(note, str) else note for note in notes]
        is_changed = True
    for frame in one.stack:
        for name in ("filename", "name"):
            value = getattr(frame, name)
            if "\n" in value:
                setattr(frame, name, value.replace("\n", "\\n"))
                is_changed = True
    return is_changed
