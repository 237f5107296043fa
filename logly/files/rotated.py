"""Names of rotated files, and which of them retention removes.

``app.log`` is renamed to ``app_20240101_120000.log``; a second one of the same second to
``app_20240101_120000_0001.log``; compressed, ``.gz`` and the like are appended. The time is the end of what
the file holds: the boundary, where it was rotated by time, else the moment of rotation. So a daily file of 1
January ends, and is named, ``20240102_000000``; and the age of a file is the age of its newest line,
whatever was done to the file's own time stamps since.

Names sort by time as bytes do (``LC_ALL=C ls``, ``sorted()``), also where local time runs through an hour
twice.
"""

import os
import re
import stat
from datetime import datetime, timedelta
from typing import NamedTuple

from logly.errors import invalid
from logly.units import parse_age

from .paths import format_time
from .schedule import first_instant

__all__ = ["Retention", "RotatedFile", "RotatedName", "expired", "parse_retention", "prune"]

COMPRESSED_SUFFIXES = (".gz", ".bz2", ".xz", ".zst")
PART_SUFFIX = ".part"
"""Ends the name of a compressed file that is not complete yet."""

_STAMP_PATTERN = "YYYYMMDD_HHmmss"
_SECOND_NS = 1_000_000_000
_CLOCK_SLACK = timedelta(days=1)


class RotatedFile(NamedTuple):
    """A file that the pattern made. Tuples of one pattern sort by age, oldest first."""

    stamp: str
    """End of what the file holds, ``YYYYMMDD_HHMMSS``."""
    number: int
    """0, or the number behind the stamp that tells files of the same second apart."""
    suffix: str
    """"", or the compressed file's suffix, ``".gz"``."""
    path: str


class RotatedName:
    """The pattern of one log file's rotated names.

    Args:
        path: the log file (a rendered path, no template).
        utc: stamps in UTC instead of local time.
    """

    __slots__ = ("_pattern", "extension", "folder", "stem", "utc")

    def __init__(self, path: str, *, utc: bool = False) -> None:
        self.folder, name = os.path.split(path)
        self.stem, self.extension = os.path.splitext(name)
        self.utc = utc
        suffixes = "|".join(map(re.escape, COMPRESSED_SUFFIXES))
        stem, extension, part = map(re.escape, (self.stem, self.extension, PART_SUFFIX))
        stamp, number = "[0-9]{8}_[0-9]{6}", "[0-9]{4,}"
        self._pattern = re.compile(f"{stem}_({stamp})(?:_({number}))?{extension}({suffixes})?({part})?")

    def match(self, name: str) -> "RotatedFile | None":
        """Return what a file name (without folder) says, or None where this pattern did not make it."""
        found = self._pattern.fullmatch(name)
        return None if found is None or found[4] else self._file(found, name)

    def match_part(self, name: str) -> bool:
        """Return whether a name is that of an unfinished compressed file of this pattern."""
        found = self._pattern.fullmatch(name)
        return bool(found and found[3] and found[4] and self._file(found, name))

    def _file(self, found: "re.Match[str]", name: str) -> "RotatedFile | None":
        number = found[2] or "0"
        if _date(found[1]) is None or (found[2] and (int(number) == 0 or f"{int(number):04}" != number)):
            return None
        return RotatedFile(found[1], int(number), found[3] or "", os.path.join(self.folder, name))

    def files(self) -> "list[RotatedFile]":
        """Return the rotated files that exist, oldest first: regular files only, no links, no folders.

        Raises:
            OSError: the folder cannot be read.
        """
        matches = map(self.match, os.listdir(self.folder or "."))
        return sorted(file for file in matches if file is not None and _is_regular(file.path))

    def parts(self) -> "list[str]":
        """Return the paths of unfinished compressed files."""
        names = os.listdir(self.folder or ".")
        paths = (os.path.join(self.folder, name) for name in names if self.match_part(name))
        return sorted(path for path in paths if _is_regular(path))

    def choose(self, end_ns: int) -> str:
        """Return a name that does not exist and sorts behind all that do.

        A clock that went back (by less than a day, as at the end of daylight saving) is held at the newest
        file's stamp, with the next number. The caller sees to it that nobody else chooses at the same time.

        Args:
            end_ns: end of what the file holds, nanoseconds since the epoch.

        Raises:
            OSError: the folder cannot be read.
        """
        stamp = format_time(_STAMP_PATTERN, end_ns, utc=self.utc)
        latest = _date(stamp)
        number = 0
        # by name, whatever kind of thing has it: nothing may be renamed over
        for taken in filter(None, map(self.match, os.listdir(self.folder or "."))):
            when = _date(taken.stamp)
            if when is None or latest is None or when - latest > _CLOCK_SLACK:
                continue
            if taken.stamp > stamp:
                stamp, number = taken.stamp, taken.number + 1
            elif taken.stamp == stamp:
                number = max(number, taken.number + 1)
        counted = f"_{number:04}" if number else ""
        return os.path.join(self.folder, f"{self.stem}_{stamp}{counted}{self.extension}")

    def end_ns(self, file: RotatedFile) -> int:
        """Return the end of what a file holds, nanoseconds since the epoch (to a second)."""
        when = _date(file.stamp)
        assert when is not None, "a RotatedFile's stamp was checked when it was matched"
        return first_instant(when, self.utc) * _SECOND_NS


def _date(stamp: str) -> "datetime | None":
    # Not by strptime: it takes a lock of the process's, which a forked child would find taken for ever.
    day, _, clock = stamp.partition("_")
    if len(day) != 8 or len(clock) != 6 or not (day + clock).isdigit() or not stamp.isascii():
        return None
    try:
        return datetime(int(day[:4]), int(day[4:6]), int(day[6:]), int(clock[:2]), int(clock[2:4]), int(clock[4:]))
    except ValueError:
        return None


def _is_regular(path: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:  # gone since it was listed
        return False


class Retention(NamedTuple):
    """A parsed `SinkConfig.retention`: one of the two is set."""

    files: "int | None" = None
    """Rotated files to keep; the current file is not one of them."""
    age_ns: "int | None" = None
    """Age of a file's newest line, in nanoseconds, beyond which the file goes."""


def parse_retention(value: "int | str | timedelta", *, field: str = "retention") -> Retention:
    """Return how much to keep.

    Args:
        value: number of rotated files to keep (0: none; also as text, ``"10"`` or ``"10 files"``), or an age:
            ``"30 days"``, a `timedelta`.
        field: the field to name in the error.

    Raises:
        ConfigError: anything else.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return Retention(files=int(value))
    if isinstance(value, str):
        number = value.lower().removesuffix("files").removesuffix("file").strip()
        if number.isascii() and number.isdigit() and len(number) < 10:
            return Retention(files=int(number))
    try:
        return Retention(age_ns=parse_age(value))  # type: ignore[arg-type]
    except ValueError:
        expected = "a number of files, 0 or more, or an age: '30 days', a timedelta"
        raise invalid(field, value, expected) from None


def expired(name: RotatedName, retention: Retention, now_ns: int) -> "list[RotatedFile]":
    """Return the files that retention removes, oldest first.

    A plain file and its compressed copy, which a crash can leave side by side, count as one.

    Raises:
        OSError: the folder cannot be read.
    """
    files = name.files()
    if retention.files is not None:
        kept = set(sorted({(file.stamp, file.number) for file in files}, reverse=True)[: retention.files])
        return [file for file in files if (file.stamp, file.number) not in kept]
    assert retention.age_ns is not None
    return [file for file in files if now_ns - name.end_ns(file) > retention.age_ns]


def prune(name: RotatedName, retention: Retention, now_ns: int) -> "list[str]":
    """Remove what is beyond retention; return the paths of the files removed.

    Only regular files whose names this pattern made are touched, and never the current file. A file that
    somebody else removed first is no error.

    Raises:
        OSError: a file cannot be removed; the others have been.
    """
    removed: list[str] = []
    trouble: OSError | None = None
    for file in expired(name, retention, now_ns):
        try:
            os.unlink(file.path)
            removed.append(file.path)
        except FileNotFoundError:
            pass
        except OSError as error:
            trouble = error
    if trouble is not None:
        raise trouble
    return removed
