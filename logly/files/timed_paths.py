"""The files that a path with ``{time}`` has had before, for retention: each start of the program makes another one.

A name is recognized by the path's template. Digits in the time that the template stands for now match any digits, and
letters match any letters. The rotated and compressed files of each of them belong to them. The newest is the one that
was written last.
"""

import os
import re
import stat

from .paths import render_time
from .rotated import COMPRESSED_SUFFIXES, Retention, remove_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["TimedNames", "has_time", "prune_timed"]

_PIECES = re.compile(r"\{\{|\}\}|\{pid\}|\{(time(?::[^{}]*)?)\}|[^{}]+")
_STAMP = r"(?:_[0-9]{8}_[0-9]{6}(?:_[0-9]{4,})?)?"


def has_time(template: str) -> bool:
    """Return whether the name of the file, without its folder, has a ``{time}``."""
    return "{time" in os.path.basename(template).replace("{{", "")


class TimedNames:
    """The names that a path template stands for at other times, in one folder.

    Args:
        template: the absolute path template; its folder has no ``{time}``.
        path: the file that it stands for now, which is never among `files`.
        zone: as in `LogFile`.
    """

    def __init__(self, template: str, path: str, *, zone: int) -> None:
        self.path = path
        self.folder = os.path.dirname(path)
        stem, extension = os.path.splitext(os.path.basename(template))
        if "}" in extension:  # the dot is in the pattern of a time
            stem, extension = stem + extension, ""
        suffixes = "|".join(map(re.escape, COMPRESSED_SUFFIXES))
        pattern = f"{_pattern_of(stem, zone)}{_STAMP}{_pattern_of(extension, zone)}(?:{suffixes})?"
        self._pattern = re.compile(pattern)

    def files(self) -> "list[tuple[int, str, int]]":
        """Return time of the last write, path and size of each file that exists, oldest first.

        The present file, and those of other processes that live, are left out.
        """
        return sorted(self._found())

    def _found(self) -> "Iterator[tuple[int, str, int]]":
        for name in os.listdir(self.folder or "."):
            path = os.path.join(self.folder, name)
            found = self._pattern.fullmatch(name)
            if found is None or path == self.path or any(map(_is_alive, found.groups())):
                continue
            try:
                about = os.lstat(path)
            except OSError:  # gone since it was listed
                continue
            if stat.S_ISREG(about.st_mode):
                yield about.st_mtime_ns, path, about.st_size


def prune_timed(names: TimedNames, retention: Retention, now_ns: int) -> "list[str]":
    """Remove the files beyond retention; return their paths.

    Raises:
        OSError: a file cannot be removed; the others have been.
    """
    beyond: list[str] = []
    size = 0
    for kept, (written_ns, path, size_bytes) in enumerate(reversed(names.files())):
        size += size_bytes
        if retention.is_beyond(kept, now_ns - written_ns, size):
            beyond.append(path)
    return remove_all(beyond)


def _pattern_of(template: str, zone: int) -> str:
    parts = []
    for piece in _PIECES.finditer(template):
        if piece[0] == "{pid}":
            parts.append("([0-9]+)")
        elif piece[1] is not None:
            parts.append(_any_time(render_time(piece[1], zone=zone)))
        else:
            parts.append(re.escape(piece[0][:1] if piece[0] in ("{{", "}}") else piece[0]))
    return "".join(parts)


def _any_time(shown: str) -> str:
    """A pattern for the same kind of time: digits where there are digits, letters where there are letters."""
    kinds = re.compile(r"([0-9]+)|([^\W\d_]+)|[+-]|.", re.DOTALL)
    return "".join(
        "[0-9]+" if one[1] else r"[^\W\d_]+" if one[2] else "[+-]" if one[0] in "+-" else re.escape(one[0])
        for one in kinds.finditer(shown)
    )


def _is_alive(pid: "str | None") -> bool:
    """Whether another process has this number, whose file this may be."""
    if pid is None or len(pid) > 18 or int(pid) == os.getpid():
        return False
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it is another user's
        return True
    return True
