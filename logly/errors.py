"""The exceptions that users can catch, and the function that describes a wrong value.

A log call never raises because of its message or a failing sink. These exceptions come from configuration and from
opening files.
"""

TYPE_CHECKING = False  # importing `typing` would take a third of the time that importing logly may take
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

__all__ = ["ConfigError", "LoglyError", "SinkError", "SpoolError"]

_SHOWN_REPR_CHARS = 200


class LoglyError(Exception):
    """Base of every exception that logly raises on purpose."""


class ConfigError(LoglyError, ValueError):
    """A configuration value that cannot be used.

    The message names the field, the value and what is valid.

    Attributes:
        field: name of the configuration field; None if the value belongs to no field.
        value: the value that was refused.
    """

    field: "str | None"
    value: "Any"

    def __init__(self, message: str, *, field: "str | None" = None, value: "Any" = None) -> None:
        super().__init__(message)
        self.field = field
        self.value = value


class SinkError(LoglyError, OSError):
    """A sink that cannot be opened, renamed or written.

    It is made like an `OSError`, ``SinkError(errno, text, filename)``, so it has ``errno``, ``strerror`` and
    ``filename``. The errno is that of the system call that failed.
    """


class SpoolError(LoglyError, OSError):
    """A spool that cannot be made or cannot be read: damaged, not a spool, or of another version.

    It is made like an `OSError`. A file that logly does not understand is left as it is.
    """


def nearest(word: str, choices: "Iterable[str]") -> "str | None":
    """Return the choice that `word` was most likely meant to be, in any case; None if no choice is close."""
    try:
        import difflib  # imported only after a mistake
    except (ImportError, OSError, MemoryError):  # the error is told without a guess
        return None
    by_lower = {choice.lower(): choice for choice in choices}
    matches = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[matches[0]] if matches else None


def show(value: object) -> str:
    """Return `repr(value)`, shortened so that an error message stays readable; raises no more than a RecursionError."""
    try:
        text = repr(value)
    except RecursionError:
        raise
    except Exception:  # noqa: BLE001  # a `__repr__` may raise anything
        text = f"<{type(value).__name__} whose repr fails>"
    return text if len(text) <= _SHOWN_REPR_CHARS else text[: _SHOWN_REPR_CHARS - 3] + "..."


def invalid(field: "str | None", value: object, expected: str, choices: "Iterable[str]" = ()) -> ConfigError:
    """Return (not raise) the error for a wrong value.

    Args:
        field: name of the field, or of an item in it (``level_colors['info']``); None if the value belongs to no
            field.
        value: the wrong value.
        expected: what is valid, as the end of the sentence "use ...".
        choices: valid names; the one nearest to `value` is suggested.
    """
    near = nearest(value, choices) if isinstance(value, str) else None
    hint = f" (did you mean {near!r}?)" if near is not None else ""
    what = f"{field} = {show(value)}" if field else show(value)
    name = field.partition("[")[0] if field else None
    return ConfigError(f"{what} is not valid: use {expected}{hint}", field=name, value=value)
