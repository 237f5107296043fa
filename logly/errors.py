"""The exceptions that users can catch, and the function that describes a wrong value.

A log call never raises because of its message or a failing sink. These exceptions come from configuration and from
opening files.
"""

TYPE_CHECKING = False  # importing `typing` would take a third of the time that importing logly may take
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

__all__ = ["Advice", "BatchRefused", "ConfigError", "LoglyError", "RetryBatch", "SinkError", "SpoolError"]

_SHOWN_REPR_CHARS = 200
_LONGEST_PAUSE_S = 86_400.0


class LoglyError(Exception):
    """Base of every exception that logly raises on purpose."""


class Advice(LoglyError):
    """What `on_error` is told where nothing is lost, but something in the program should be changed.

    Two sinks in one file, an argument without a placeholder, `exception()` outside of an ``except`` block: a program
    that pages somebody from `on_error` leaves these out. They are never raised.
    """


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


class ConfigAdvice(Advice, ConfigError):
    """Advice about a setting: its value can be used, but hardly says what was meant. Users catch it as `Advice`."""


class SinkError(LoglyError, OSError):
    """A sink that cannot be opened, renamed or written.

    It is made like an `OSError`, ``SinkError(errno, text, filename)``, so it has ``errno``, ``strerror`` and
    ``filename``. The errno is that of the system call that failed.
    """


class SpoolError(LoglyError, OSError):
    """A spool that cannot be made or cannot be read: damaged, not a spool, or of another version.

    It is made like an `OSError`. A file that logly does not understand is left as it is.
    """


class RetryBatch(LoglyError):
    """Raised by a function of `SinkConfig.batch`: the batch is to be sent again, in a way that the function knows.

    Any other exception, but for `BatchRefused`, keeps the whole batch, too.

    Args:
        message: for `on_error`.
        after: seconds until then, as the other side has asked for (``Retry-After``), a day at most; None: a pause that
            grows with each failure.
        again: the numbers of the lines, from 0 on, that are to be sent again; the others have been taken. None: all.
        refused: with `again`: the numbers of further lines, which are given up, counted as failed and told.
    """

    # With values, because the `__init__` of a subclass may leave some of them out.
    after: "float | None" = None
    again: "tuple[int, ...] | None" = None
    refused: "tuple[int, ...]" = ()

    def __init__(
        self,
        message: str = "the batch is sent again",
        *,
        after: "float | None" = None,
        again: "Sequence[int] | None" = None,
        refused: "Sequence[int]" = (),
    ) -> None:
        super().__init__(message)
        # What is wrong here raises in the function, which is a failure like any other.
        self.after = None if after is None else pause_of(after)
        self.again = None if again is None else tuple(map(int, again))
        self.refused = tuple(map(int, refused))


class BatchRefused(LoglyError):
    """Raised by a function of `SinkConfig.batch`: sending the batch again would not help.

    Its records are given up at once, counted as failed, and told to `on_error`.

    Args:
        message: for `on_error`.
        refused: None: the whole batch. Else the other records have been taken: the numbers of the lines that are given
            up, from 0 on; or how many they are, where the other side does not say which.
    """

    refused: "tuple[int, ...] | int | None" = None

    def __init__(self, message: str, *, refused: "Sequence[int] | int | None" = None) -> None:
        super().__init__(message)
        self.refused = refused if refused is None or isinstance(refused, int) else tuple(map(int, refused))


def pause_of(after: "Any") -> float:
    """Return the seconds of `RetryBatch.after` within their limits."""
    return max(0.0, min(float(after), _LONGEST_PAUSE_S))


def counted(records: int) -> str:
    """Return a number of records in words."""
    return f"{records} record{'' if records == 1 else 's'}"


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
