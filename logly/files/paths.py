"""Path templates: ``logs/app-{time:YYYY-MM-DD}.{pid}.log``.

A path is rendered once, when the sink is opened. `re` is imported only for paths with a brace in them, because it takes
a fifth of the memory of a logger with one file.
"""

import errno
import os

from logly._core import ZONE_LOCAL, format_time
from logly.errors import ConfigError, invalid
from logly.system.unpatched import wall_ns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["check_path", "current_folder", "cut_name", "format_time", "longest_name", "render_path", "render_time"]

USUAL_LONGEST_NAME = 255

DEFAULT_PATH_TIME = "YYYYMMDD_HHmmss"
"""Pattern of a bare ``{time}`` in a path. Such names sort by time and need no quoting in a shell."""

_PLACEHOLDER = r"\{\{|\}\}|\{([^{}]*)\}|[{}]"


def current_folder(path: str, error: "Callable[[int, str, str], OSError]") -> str:
    """Return the folder that a relative path begins in. Raise `error`, which names the path, if it has been removed."""
    try:
        return os.getcwd()
    except OSError as trouble:
        text = f"the current folder is not there any more ({trouble.strerror}): give an absolute path"
        raise error(trouble.errno or errno.ENOENT, text, path) from trouble


def longest_name(folder: str) -> int:
    """Return how many bytes the name of a file in this folder may have."""
    try:
        return os.pathconf(folder or ".", "PC_NAME_MAX")
    except (AttributeError, OSError, ValueError):  # Windows; or the file system does not tell
        return USUAL_LONGEST_NAME


def cut_name(name: str, room: int, *, whole: str) -> str:
    """Return the beginning of a name, and eight digits that stand for the whole name: at most `room` bytes of UTF-8.

    No character is cut in half.
    """
    from binascii import crc32  # only for long names

    mark = b"~%08x" % crc32(os.fsencode(whole))
    encoded = os.fsencode(name)
    end = max(0, room - len(mark))
    while 0 < end < len(encoded) and 0x80 <= encoded[end] < 0xC0:
        end -= 1
    return os.fsdecode(encoded[:end] + mark)


def check_path(path: "str | os.PathLike[str]", *, field: str = "path") -> str:
    """Return a path template as text, after checking it.

    Raises:
        ConfigError: the path is empty, is not text, or contains a NUL, a lone brace or a placeholder other than
            ``{pid}``, ``{time}`` and ``{time:PATTERN}``.
    """
    try:
        template = os.fspath(path)
    except TypeError:
        template = None
    if not isinstance(template, str) or not template or "\0" in template:
        expected = "the name of a file, as text or a pathlib.Path"
        if callable(getattr(path, "write", None)):
            expected += "; for a stream stream=..."
        elif callable(path):
            expected += "; for a function function=..."
        raise invalid(field, path, expected)
    for _ in _pieces(template, 0, ZONE_LOCAL, field):
        pass
    return template


def render_path(path: "str | os.PathLike[str]", now_ns: "int | None" = None, *, zone: int = ZONE_LOCAL) -> str:
    """Return the file name that a path template stands for in this process, now.

    Args:
        path: may hold ``{pid}``, ``{time}`` (as YYYYMMDD_HHmmss), ``{time:PATTERN}`` (see `format_time`);
            ``{{`` and ``}}`` are braces.
        now_ns: nanoseconds since the epoch; None: now.
        zone: the time zone, as `format_time` has it.

    Raises:
        ConfigError: as `check_path`.
    """
    template = check_path(path)
    return "".join(_pieces(template, wall_ns() if now_ns is None else now_ns, zone, "path"))


def render_time(placeholder: str, now_ns: "int | None" = None, *, zone: int = ZONE_LOCAL) -> str:
    """Return what ``time`` or ``time:PATTERN``, without its braces, stands for at a time; None: now."""
    pattern = placeholder.partition(":")[2]
    return format_time(pattern or DEFAULT_PATH_TIME, wall_ns() if now_ns is None else now_ns, zone=zone)


def _pieces(template: str, now_ns: int, zone: int, field: str) -> "Iterator[str]":
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
            yield _value(match[1], template, now_ns, zone, field)
    yield template[end:]


def _value(inside: str, template: str, now_ns: int, zone: int, field: str) -> str:
    if inside.partition(":")[0] == "time":
        return render_time(inside, now_ns, zone=zone)
    if inside == "pid":
        return str(os.getpid())
    error = invalid(f"{field} = {template!r}: placeholder", "{" + inside + "}", "{pid}, {time} or {time:PATTERN}")
    error.field, error.value = field, template
    raise error
