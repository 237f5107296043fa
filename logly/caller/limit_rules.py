"""What the arguments of `once`, `first`, `every` and `limit` mean, and what is wrong with them."""

from __future__ import annotations

from logly.errors import invalid, show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["limit_rule"]

_SECOND_NS = 1_000_000_000
_WINDOWS_NS = {"s": _SECOND_NS, "m": 60 * _SECOND_NS, "h": 3600 * _SECOND_NS}
_MOST = 1_000_000_000
_EXAMPLES = {
    "once": "logger.once().info('text')",
    "first": "logger.first(10).info('text')",
    "every": "logger.every(100).info('text')",
    "limit": "logger.limit('5/s').info('text')",
}


def limit_rule(method: str, args: tuple[Any, ...], fields: dict[str, Any]) -> tuple[int, int, str, Any]:
    """Returns (calls that pass, nanoseconds of the window or 0, the call as text, the key or None).

    Args:
        method: `once`, `first`, `every` or `limit`.
        args: the positional arguments, without the logger.
        fields: the keyword arguments.

    Raises:
        TypeError: an argument that the method does not take, or a key that is not hashable.
        ConfigError: a number or a rate that is none.
    """
    key = _key_of(method, fields)
    if method == "once":
        if args:
            _refuse(method, f"takes no message, and got {show(args[0])}")
        return 1, 0, "once()", key
    if len(args) != 1:
        _refuse(method, "takes one argument" + (", and key= by its name" if args else ""))
    given = args[0]
    if method == "limit":
        most, window_ns = _rate(given)
        return most, window_ns, f'limit("{given.strip()}")', key
    if not isinstance(given, int) or isinstance(given, bool) or not 1 <= given <= _MOST:
        raise invalid("n", given, f"a whole number from 1 on, as in {_EXAMPLES[method]}")
    return int(given), 0, f"{method}({int(given)})", key


def _key_of(method: str, fields: dict[str, Any]) -> Any:
    key = None
    for name in fields:
        if name != "key":
            _refuse(method, f"takes no argument {name!r}: fields belong to the log call")
        key = fields[name]
    try:
        hash(key)
    except TypeError:
        kind = type(key).__name__
        _refuse(
            method, f"cannot count by {show(key)}: key= must be hashable, so instead of a {kind} give a str or a tuple"
        )
    return key


def _refuse(method: str, what: str) -> None:
    raise TypeError(f"{method}() {what}; write {_EXAMPLES[method]}")


def _rate(given: Any) -> tuple[int, int]:
    number, _, unit = given.partition("/") if isinstance(given, str) else ("", "", "")
    number, window_ns = number.strip(), _WINDOWS_NS.get(unit.strip().lower())
    if number.isascii() and number.isdigit() and len(number) <= len(str(_MOST)) and window_ns is not None:
        most = int(number)
        if 1 <= most <= _MOST:
            return most, window_ns
    expected = "a number and a unit: '5/s' (in a second), '5/m' (in a minute) or '5/h' (in an hour)"
    meant = unit.strip().lower()
    if number.isascii() and number.isdigit() and meant.startswith(("sec", "min", "hour", "hr")):
        expected += f"; did you mean '{number}/{meant[0]}'?"
    raise invalid("limit", given, expected)
