"""Exceptions as text: as Python prints them, and a safe form in which text from outside is escaped or indented."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from keyword import iskeyword
from linecache import checkcache, getlines, lazycache
from traceback import TracebackException, extract_stack, extract_tb
from types import FrameType, TracebackType

from logly.levels import BUILTIN_LEVELS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "describe_class",
    "exception_text",
    "last_lines",
    "marks_of_call",
    "place_text",
    "source_lines",
    "stack_text",
]

_INDENTED = "\n    "
_STACK = "Stack (most recent call last):\n"
"""What `logging` writes above a stack."""

#: Names of exception classes as they are in source code. A class that was made from data may have any text as its name.
_PLAIN_NAME = re.compile(r"[^\W\d][\w.<>]*")
#: How text at the margin may begin: not like a time stamp, a bracket or a level.
_PLAIN_WORDS = re.compile(rf"(?!(?:{'|'.join(BUILTIN_LEVELS)})\b)[^\W\d_]")
#: Lines that the traceback module itself writes at the margin, and the empty end of the text.
_HEADLINES = {
    "",
    "Traceback (most recent call last):",
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
}

#: Exceptions to whose message Python adds a guess from the traceback's frames ("Did you mean ...?").
_GUESSING = (NameError, AttributeError, ImportError, SyntaxError)


def exception_text(error: BaseException, trace: TracebackType | None) -> tuple[str, str, str, str]:
    """Return an exception's type, its message, its traceback, and the traceback made safe.

    For exceptions that the core does not show itself (caller/exceptions.pxi): of classes that change what the
    attributes of exceptions mean, more than 64 exceptions, with `sys.tracebacklimit`, and others.

    The traceback is `traceback.format_exception`'s, byte for byte. In the safe one no text from outside begins a line
    that could pass for a log record: see `_indent_messages`. It is "" where the two do not differ.

    Never raises because of the exception (a ``__str__`` that fails, for example). But two things go up at once: what
    ends the program, and a RecursionError, because an exception that logs itself while it is shown would be shown
    again at every level above.
    """
    kind = type(error).__name__
    message = _text_of(error)
    try:
        stack, safe = _stack_text(error, trace)
    except RecursionError:
        raise
    except (OSError, ImportError):
        # A later `traceback` may import more than `emergency` has loaded. Out of descriptors it cannot.
        stack = f"{_places(trace)}{kind}: {message}\n"
        safe = _indented(stack[:-1]) + "\n"
    except Exception as trouble:  # noqa: BLE001  # code of the exception's may run here
        stack = f"{kind}: {message} <traceback could not be rendered: {type(trouble).__name__}>\n"
        safe = _indented(stack)
    return kind, message, stack, safe


#: What `describe_class` says of a class; the same numbers are in caller/exceptions.pxi.
_UNUSUAL, _OWN_LINES, _GROUP = 1, 2, 4

#: Attributes of an exception whose meaning a class may change.
_ATTRIBUTES = ("__cause__", "__context__", "__suppress_context__", "__traceback__")


def describe_class(kind: type[BaseException]) -> tuple[int, str]:
    """Return how exceptions of this class are shown, as flags, and the class's name in a traceback.

    The flags hold as long as the class and its bases are not changed.
    """
    if type(kind) is not type or any(_home_of(kind, name) is not BaseException for name in _ATTRIBUTES):
        return _UNUSUAL, ""
    flags = 0
    if _home_of(kind, "__notes__") is not None:
        return _UNUSUAL, ""
    if issubclass(kind, BaseExceptionGroup):
        flags = _GROUP if _home_of(kind, "exceptions") is BaseExceptionGroup else _UNUSUAL
    module, name = kind.__module__, kind.__qualname__
    if module not in ("__main__", "builtins"):
        name = f"{module if isinstance(module, str) else '<unknown>'}.{name}"
    if issubclass(kind, SyntaxError) or (issubclass(kind, _GUESSING) and sys.version_info >= (3, 12)):
        flags |= _OWN_LINES
    if not _is_plain_name(name):
        flags |= _OWN_LINES
    return flags, name


def _home_of(kind: type, name: str) -> type | None:
    """The class in which an attribute is found."""
    return next((base for base in kind.__mro__ if name in base.__dict__), None)


def last_lines(error: BaseException, trace: TracebackType | None) -> tuple[str, str]:
    """Return an exception's own lines (with suggestions, notes, parts of a syntax error), and these made safe."""
    _text_of(error)  # `traceback` would swallow a RecursionError
    for note in _items(getattr(error, "__notes__", None)):
        if type(note) is not str:
            _text_of(note)
    rendered = TracebackException(type(error), error, trace, limit=0, compact=True)
    text = "".join(rendered.format_exception_only())
    safe = "".join(rendered.format_exception_only()) if _indent_message(rendered) else ""
    if not _has_only_own_lines(safe or text, rendered):
        safe = "    " + text.replace("\n", _INDENTED)
    return text, safe


def place_text(entry: TracebackType) -> tuple[str, int] | None:
    """Return the text of a traceback's first entry, and a number that is equal where `traceback` sees a repetition.

    None: the text is unusual, and must be made safe where it is shown.
    """
    alone = TracebackType(None, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    entries = extract_tb(alone)
    frame = entries[0]
    text = entries.format_frame_summary(frame)
    if frame.lineno is None or text is None or not _is_plain_entry(frame.filename + frame.name, text):
        return None
    return text, hash((frame.filename, frame.lineno, frame.name))


def source_lines(file: str, names: dict[str, Any]) -> list[str]:
    """The lines of a source file as `traceback` finds them; none where there is no file."""
    lazycache(file, names)
    checkcache(file)
    lines = getlines(file)
    return lines if type(lines) is list else []


_NAME = r"[A-Za-z_]\w*"
_CALL = re.compile(rf"({_NAME}(?:\.{_NAME})*)\((?:{_NAME}(?:, {_NAME})*)?\)")
_ASSIGNS = re.compile(rf"{_NAME} = ")


def marks_of_call(body: str, start: int, end: int) -> str | None:
    """Return what stands below `body[start:end]`, which ends with a bracket, from 3.13 on.

    None: only `traceback` knows.
    """
    segment = body[start:end]
    call = _CALL.fullmatch(segment)
    if call is None or any(map(iskeyword, re.findall(r"\w+", segment))):
        return None
    before = body[:start]
    if end == len(body) and ((before == "return " and "." not in call[1]) or _ASSIGNS.fullmatch(before)):
        return ""
    if "return" in before or "=" in before:
        return None
    return "~" * len(call[1]) + "^" * (len(segment) - len(call[1]))


def _is_plain_entry(names: str, text: str) -> bool:
    """Whether each line of an entry's text begins as it should, whatever names and source lines contain."""
    # A source line may contain line breaks where a program has put it into `linecache` itself.
    return "\n" not in names and text.count("\n") == text.count("\n  ") + 1


def stack_text(stack: object) -> tuple[str, str]:
    """Return the stack of a frame as `logging` prints it for ``stack_info=True``, and the stack made safe.

    `stack` may also be a text: a stack that `logging` has made. As with exceptions, the safe text is "" where it does
    not differ, and no text from outside begins a line of it.
    """
    if not isinstance(stack, FrameType):
        text = _text_of(stack, "stack")
        return text, "" if _is_stack(text) else _indented(text)
    entries = extract_stack(stack)
    text = safe = _STACK + "".join(entries.format()).rstrip("\n")
    for entry in entries:
        for name in ("filename", "name"):
            if _replace_breaks(entry, name, "\\n"):
                safe = ""
    if not safe:
        safe = _STACK + "".join(entries.format()).rstrip("\n")
    if not _is_stack(safe):
        safe = _indented(text)
    return text, safe if safe != text else ""


def _is_stack(text: str) -> bool:
    """Whether only the headline stands at the margin."""
    return text.startswith(_STACK) and all(line[:1] == " " for line in text[len(_STACK) :].split("\n"))


def _stack_text(error: BaseException, trace: TracebackType | None) -> tuple[str, str]:
    """The traceback, and the traceback made safe."""
    _show_others(error)
    rendered = TracebackException(type(error), error, trace, compact=True)
    stack = "".join(rendered.format())
    try:
        safe = "".join(rendered.format()) if _indent_messages(rendered) else ""
        if not _has_only_own_lines(safe or stack, rendered):
            safe = _indented(stack)
    except RecursionError:
        raise
    except Exception:  # noqa: BLE001  # code of the exception's may run here
        safe = _indented(stack)
    return stack, safe


def _places(trace: TracebackType | None) -> str:
    """The traceback's entries without the source lines, which needs neither a file nor a module."""
    text = "Traceback (most recent call last):\n" if trace is not None else ""
    while trace is not None:
        code = trace.tb_frame.f_code
        text += f'  File "{code.co_filename}", line {trace.tb_lineno}, in {code.co_name}\n'
        trace = trace.tb_next
    return text


def _text_of(value: object, what: str = "exception") -> str:
    try:
        return str.__str__(str(value))
    except RecursionError:
        raise
    except Exception:  # noqa: BLE001  # a `__str__` may raise anything
        return f"<{what} str() failed>"


def _show_others(error: BaseException) -> None:
    """Make the text of each exception that is shown with this one, and of all notes, so that a RecursionError goes up.

    `TracebackException` does the same in a bare ``except:``, which swallows a RecursionError and a KeyboardInterrupt.
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


def _indented(text: str) -> str:
    """Indent all lines but the headline by four spaces, for texts whose lines are not known."""
    start = "" if text.startswith("Traceback (") else "    "
    return start + text.replace("\n", _INDENTED)


def _all_shown(top: TracebackException) -> list[TracebackException]:
    found: list[TracebackException] = []
    seen: set[int] = set()
    left = [top]
    while left:
        one = left.pop()
        if id(one) not in seen:
            seen.add(id(one))
            found.append(one)
            left += [other for other in (one.__cause__, one.__context__) if other is not None]
            left += getattr(one, "exceptions", None) or ()
    return found


def _indent_messages(top: TracebackException) -> bool:
    """Make every exception that `top` shows safe. Returns True when something had to be changed.

    Line breaks within a message or a note are followed by four spaces, those in names are escaped. The name of a class
    and a note stand at the margin, so they are indented where they begin in a way that a record's line may begin.
    """
    is_changed = False
    for one in _all_shown(top):
        is_changed = _indent_message(one) or is_changed
    return is_changed


def _indent_message(one: TracebackException) -> bool:
    is_changed = _escape_type(one)
    # `_str` is the message. It is private, but every version from 3.5 to 3.14 has it. Without it, this raises
    # AttributeError, and the whole traceback is indented.
    one._str  # type: ignore[attr-defined]  # noqa: B018
    for name, instead in (("_str", _INDENTED), ("msg", _INDENTED), ("text", _INDENTED)):
        is_changed = _replace_breaks(one, name, instead) or is_changed
    for name in ("filename", "lineno"):
        is_changed = _replace_breaks(one, name, "\\n") or is_changed
    for frame in one.stack:
        for name in ("filename", "name"):
            is_changed = _replace_breaks(frame, name, "\\n") or is_changed
    return _indent_notes(one) or is_changed


def _replace_breaks(owner: object, name: str, instead: str) -> bool:
    value = getattr(owner, name, None)
    if value is None or type(value) is int:
        return False
    text = str(value)  # may be any object, which SyntaxError accepts for its parts
    end = len(text.rstrip("\n")) if instead == _INDENTED else len(text)
    if "\n" not in text[:end]:
        return False
    setattr(owner, name, text[:end].replace("\n", instead) + text[end:])
    return True


def _names_of_type(one: TracebackException) -> tuple[str, str]:
    if hasattr(one, "exc_type_qualname"):  # since 3.13
        return one.exc_type_module, one.exc_type_qualname  # type: ignore[attr-defined]
    return one.exc_type.__module__, one.exc_type.__qualname__


def _shown_type(one: TracebackException) -> str:
    """The name of an exception's class as a traceback shows it."""
    module, name = _names_of_type(one)
    if module in ("__main__", "builtins"):
        return name
    return f"{module if isinstance(module, str) else '<unknown>'}.{name}"


def _is_plain_name(shown: str) -> bool:
    return _PLAIN_NAME.fullmatch(shown.removeprefix("<unknown>.")) is not None


def _escape_type(one: TracebackException) -> bool:
    shown = _shown_type(one)
    if _is_plain_name(shown):
        return False
    names = {"__module__": "builtins", "__qualname__": "    " + shown.replace("\n", "\\n")}
    if hasattr(one, "exc_type_qualname"):
        one.exc_type_module, one.exc_type_qualname = names.values()  # type: ignore[attr-defined]
    else:
        kind = SyntaxError if issubclass(one.exc_type, SyntaxError) else Exception
        one.exc_type = type("Shown", (kind,), names)  # pyright: ignore[reportAttributeAccessIssue]
    return True


def _indent_notes(one: TracebackException) -> bool:
    notes = one.__notes__
    if notes is None:
        return False
    if not isinstance(notes, Sequence) or isinstance(notes, (str, bytes)):
        notes = [repr(notes)]
    texts = [_text_of(note, "note") for note in notes]
    safe = [("" if _may_stand_at_the_margin(text) else "    ") + text.replace("\n", _INDENTED) for text in texts]
    if safe == texts:
        return False
    one.__notes__ = safe
    return True


def _may_stand_at_the_margin(note: str) -> bool:
    return note[:1] in ("", " ", "\n") or _PLAIN_WORDS.match(note) is not None


def _has_only_own_lines(text: str, top: TracebackException) -> bool:
    """Whether each line at the margin is one that is expected there.

    A later version of Python, or an object in place of a text, may bring in another line. Then the whole is indented.
    """
    lines = [line for line in text.split("\n") if line not in _HEADLINES and line[0] != " "]
    if not lines:
        return True
    shown = _all_shown(top)
    types = {_shown_type(one) for one in shown}
    notes = {note.partition("\n")[0] for one in shown for note in map(str, one.__notes__ or ())}
    return all(line in notes or line in types or line.partition(":")[0] in types for line in lines)
