"""`fields`: fields that are encoded once, for `LoggerConfig.context_from`."""

from __future__ import annotations

from ._core import FieldBlock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Fields", "fields"]


class Fields(FieldBlock):
    """Fields that were encoded once: what `fields` returns. It does not change, so threads and tasks may share it."""

    __slots__ = ()

    def __init__(self, fields: dict[str, Any]) -> None:
        super().__init__(fields)

    def __repr__(self) -> str:
        return f"<logly.fields {', '.join(self.names)}>"


def fields(**fields: Any) -> Fields:
    """Fields for many records, for a ContextVar or a function that `LoggerConfig.context_from` names.

    Their values are encoded once, now, as those of `Logger.bind` are. So a log call copies bytes, where it encodes a
    dict at each call.

    Examples:
        >>> current_user: ContextVar[Fields | None] = ContextVar("current_user", default=None)
        >>> logger = Logger(LoggerConfig(context_from=current_user))
        >>> token = current_user.set(fields(user="ann", tenant=7))
    """
    return Fields(fields)
