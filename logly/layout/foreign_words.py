"""Words of other libraries' layouts, and what they are here. Imported only when a layout may have one."""

from __future__ import annotations

__all__ = ["REFUSED", "foreign_markup", "hint_for_empty", "hint_for_expression"]

REFUSED = {
    "asctime": "{time}",
    "exc_info": "{exception}",
    "exc_text": "{exception}",
    "funcName": "{function}",
    "levelname": "{level}",
    "levelno": "{level}",
    "msecs": "{time:SSS}",
    "processName": "{process}",
    "relativeCreated": "{time}",
    "stack_info": "{exception}",
    "threadName": "{thread_name}",
}
"""Names of `logging` that no program gives to a field of its own."""

_EMPTY = {
    "created": "{time}",
    "event": "{message}",
    "extra": "{fields}",
    "file": "{filename}",
    "func": "{function}",
    "func_name": "{function}",
    "level_name": "{level}",
    "line": "{lineno}",
    "logger": "{name}",
    "msg": "{message}",
    "pathname": "{path}",
    "pid": "{process}",
    "severity": "{level}",
    "thread_id": "{thread}",
    "timestamp": "{time}",
}
"""Names that may also be those of fields."""

_EXPRESSIONS = {
    "file.name": "{filename}",
    "file.path": "{path}",
    "level.name": "{level}",
    "level.no": "{level}",
    "process.id": "{process}",
    "process.name": "{process}",
    "thread.id": "{thread}",
    "thread.name": "{thread_name}",
    "time!UTC": "{time}, and Logger(timezone='utc')",
}

_STYLES = frozenset(
    {
        *("black", "blue", "cyan", "green", "magenta", "red", "white", "yellow", "bold", "dim", "normal", "italic"),
        *("underline", "strike", "reverse", "blink", "hide", "level", "lvl"),
    }
)


def hint_for_expression(placeholder: str) -> str:
    """What to write for a placeholder with more than a name; "" where that is not known."""
    what = placeholder.partition(":")[0]
    if what.startswith("extra[") and what.endswith("]"):
        name = what[len("extra[") : -1].strip("'\"")
        return f"write {{{name}}}, or {{fields[{name}]}}" if name.isidentifier() else f"write {{fields[{name}]}}"
    if what == "":
        return "write {message}, or another name"
    return f"write {_EXPRESSIONS[what]}" if what in _EXPRESSIONS else ""


def hint_for_empty(name: str) -> str:
    """What to write for a name that no record has filled."""
    if name in _EMPTY:
        return f"write {_EMPTY[name]} for what other libraries call so"
    return "is the name misspelt?"


def foreign_markup(template: str) -> tuple[str, int] | None:
    """The first tag of loguru's markup, and where it is. None: there is none, or there are other tags, as in XML."""
    found: tuple[str, int] | None = None
    start = template.find("<")
    while start >= 0:
        end = template.find(">", start)
        word = template[start + 1 : end].removeprefix("/").lower() if end > start else "8"
        word = word.removeprefix("light-").removeprefix("fg ").removeprefix("bg ")
        if word in _STYLES or template[start : end + 1] == "</>":
            found = found or (template[start : end + 1], start)
        elif word.isidentifier():
            return None
        start = template.find("<", start + 1)
    return found
