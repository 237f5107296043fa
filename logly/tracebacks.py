"""Exceptions as text: as Python prints them, and with what is not Python's own indented."""

from __future__ import annotations

from traceback import TracebackException

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["exception_text"]

_INDENTED = "\n    "


def exception_text(error: BaseException, trace: TracebackType | None) -> tuple[str, str, str, str]:
    """Return an exception's type, its message, its traceback, and the traceback made safe.

    The traceback is `traceback.format_exception`'s, byte for byte. In the safe one, line breaks *within* an
    exception's message or a note are followed by four spaces, so that a text from outside in it cannot begin a line
    that passes for a log record. It is "" where the two do not differ.

    Never raises on account of the exception (a ``__str__`` that fails, say).
    """
    kind = type(error)
    try:
        rendered = TracebackException(kind, error, trace, compact=True)
        stack = "".join(rendered.format())
    except Exception as trouble:
        message = _text_of(error)
        stack = f"{kind.__name__}: {message} <traceback could not be rendered: {type(trouble).__name__}>\n"
        return kind.__name__, message, stack, stack.replace("\n", _INDENTED)
    try:
        safe = "".join(rendered.format()) if _indent_messages(rendered) else ""
    except Exception:
        safe = stack.replace("\n", _INDENTED)
    return kind.__name__, _text_of(error), stack, safe


def _text_of(error: BaseException) -> str:
    try:
        return str.__str__(str(error))
    except Exception:
        return "<exception str() failed>"


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
