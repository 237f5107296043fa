"""Path templates, ``logs/app-{time:YYYY-MM-DD}.{pid}.log``, and their time patterns, in plain Python.

Rendered once, when the sink is opened. The core has a compiled renderer for lines; a path needs none. `re` is imported
only for paths with a brace in them: it takes a fifth of the memory of a logger with one file.
"""

import os
import time

from logly.errors import ConfigError, invalid
from logly.system.unpatched import wall_ns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["check_path", "format_time", "render_path"]

DEFAULT_PATH_TIME = "YYYYMMDD_HHmmss"
"""Pattern of a bare ``{time}`` in a path: sorts by time and needs no quoting in a shell."""

MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_TOKEN = r"YYYY|YY|MMMM|MMM|MM|dddd|ddd|DD|HH|hh|mm|SSSSSSSSS|SSSSSS|SSS|ss|ZZ|Z|A|a"
_PLACEHOLDER = r"\{\{|\}\}|\{([^{}]*)\}|[{}]"
_SECOND_NS = 1_000_000_000


def format_time(pattern: str, now_ns: int, *, utc: bool = False) -> str:
    """Return an instant as text.

    Args:
        pattern: ``YYYY YY`` year, ``MMMM MMM MM`` month (January, Jan, 01), ``dddd ddd DD`` day (Monday,
            Mon, 01), ``HH`` hour 00-23, ``hh`` hour 01-12, ``mm`` minute, ``ss`` second, ``SSS SSSSSS
            SSSSSSSSS`` milli-, micro-, nanoseconds, ``A a`` AM or am, ``Z ZZ`` offset (+01:00, +0100).
            Anything else stands for itself. Names are English, whatever the locale.
        now_ns: nanoseconds since the epoch.
        utc: UTC instead of local time.
    """
    import re

    seconds, fraction_ns = divmod(now_ns, _SECOND_NS)
    moment = time.gmtime(seconds) if utc else time.localtime(seconds)
    return re.sub(_TOKEN, lambda match: _part(match[0], moment, fraction_ns), pattern)


def _part(token: str, moment: time.struct_time, fraction_ns: int) -> str:
    if token[0] == "S":
        return f"{fraction_ns:09}"[: len(token)]
    if token[0] == "Z":
        return _offset(moment.tm_gmtoff, ":" if token == "Z" else "")
    hour12 = (moment.tm_hour + 11) % 12 + 1
    half = "PM" if moment.tm_hour >= 12 else "AM"
    parts = {
        "YYYY": f"{moment.tm_year:04}",
        "YY": f"{moment.tm_year % 100:02}",
        "MMMM": MONTHS[moment.tm_mon - 1],
        "MMM": MONTHS[moment.tm_mon - 1][:3],
        "MM": f"{moment.tm_mon:02}",
        "dddd": DAYS[moment.tm_wday],
        "ddd": DAYS[moment.tm_wday][:3],
        "DD": f"{moment.tm_mday:02}",
        "HH": f"{moment.tm_hour:02}",
        "hh": f"{hour12:02}",
        "mm": f"{moment.tm_min:02}",
        "ss": f"{moment.tm_sec:02}",
        "A": half,
        "a": half.lower(),
    }
    return parts[token]


def _offset(east_s: int, separator: str) -> str:
    sign = "-" if east_s < 0 else "+"
    minutes = abs(east_s) // 60
    return f"{sign}{minutes // 60:02}{separator}{minutes % 60:02}"


def check_path(path: "str | os.PathLike[str]", *, field: str = "path") -> str:
    """Return a path template as text, after checking it.

    Raises:
        ConfigError: empty, not text, a NUL in it, a lone brace, or a placeholder other than ``{pid}``,
            ``{time}`` and ``{time:PATTERN}``.
    """
    try:
        template = os.fspath(path)
    except TypeError:
        template = None
    if not isinstance(template, str) or not template or "\0" in template:
        raise invalid(field, path, "the name of a file, as text or a pathlib.Path")
    for _ in _pieces(template, 0, False, field):
        pass
    return template


def render_path(path: "str | os.PathLike[str]", now_ns: "int | None" = None, *, utc: bool = False) -> str:
    """Return the file name that a path template stands for in this process, now.

    Args:
        path: may hold ``{pid}``, ``{time}`` (as YYYYMMDD_HHmmss), ``{time:PATTERN}`` (see `format_time`);
            ``{{`` and ``}}`` are braces.
        now_ns: nanoseconds since the epoch; None: now.
        utc: UTC instead of local time.

    Raises:
        ConfigError: as `check_path`.
    """
    template = check_path(path)
    return "".join(_pieces(template, wall_ns() if now_ns is None else now_ns, utc, "path"))


def _pieces(template: str, now_ns: int, utc: bool, field: str) -> "Iterator[str]":
    if "{" not in template and "}" not in template:
        yield template
        return
    import re

    end = 0
    for match in re.finditer(_PLACEHOLDER, template):
        yield template[end : match.start()]
        end = match.end()
        if match[0] in ("{{", "}}"):
            yield match[0][0]
        elif match[1] is None:
            where = f"lone {match[0]!r} at {match.start()}; write {match[0] * 2!r} for a brace"
            raise ConfigError(f"{field} = {template!r}: {where}", field=field, value=template)
        else:
            yield _value(match[1], template, now_ns, utc, field)
    yield template[end:]


def _value(inside: str, template: str, now_ns: int, utc: bool, field: str) -> str:
    name, _, pattern = inside.partition(":")
    if name == "time":
        return format_time(pattern or DEFAULT_PATH_TIME, now_ns, utc=utc)
    if inside == "pid":
        return str(os.getpid())
    error = invalid(f"{field} = {template!r}: placeholder", "{" + inside + "}", "{pid}, {time} or {time:PATTERN}")
    error.field, error.value = field, template
    raise error
