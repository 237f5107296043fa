"""Names of rotated files, and which of them retention removes.

``app.log`` is renamed to ``app_20240101_120000.log``, and a second file of the same second to
``app_20240101_120000_0001.log``. A compressed file's name ends with ``.gz`` or the like. The time in a name is the end
of what the file holds: the last second of the interval, if the file was rotated by time, else the moment of rotation.
So a daily file of 1 January is named ``20240101_235959``. The age of a file is the age of its newest line, whatever
happened to the file's own time stamps since.

A name that has no room for that is cut: ``aaa...a.log`` of 240 bytes becomes
``aaa...~1c2d3e4f_20240101_120000.log``. The eight digits tell files apart whose names begin alike.

Names sort by time when they are compared as bytes (``LC_ALL=C ls``, ``sorted()``), even where local time passes through
an hour twice.
"""

import os
import re
import stat
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple

from logly._core import ZONE_LOCAL
from logly.errors import invalid
from logly.units import parse_age, parse_size

from .paths import cut_name, format_time, longest_name
from .schedule import last_instant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Retention", "RotatedFile", "RotatedName", "expired", "parse_retention", "prune", "remove_all"]

COMPRESSED_SUFFIXES = (".gz", ".bz2", ".xz", ".zst")
PART_SUFFIX = ".part"
"""End of the name of a compressed file that is not complete yet."""

_MOST_ADDED = len("_20240101_120000_1234567.zst.part")
"""Most bytes that rotation and compression add to a log file's name."""
_MOST_EXTENSION = 32
"""An extension of more bytes is cut with the rest of a name that is too long."""

_STAMP_PATTERN = "YYYYMMDD_HHmmss"
_SECOND_NS = 1_000_000_000
_CLOCK_SLACK = timedelta(days=1)


class RotatedFile(NamedTuple):
    """A rotated file, as its name describes it. Tuples of one pattern sort by age, oldest first."""

    stamp: str
    """End of what the file holds, ``YYYYMMDD_HHMMSS``."""
    number: int
    """0, or the number after the stamp, which distinguishes files of the same second."""
    suffix: str
    """"", or the compressed file's suffix, ``".gz"``."""
    path: str


class RotatedName:
    """The pattern of one log file's rotated names.

    Args:
        path: the log file (a rendered path, no template).
        zone: the time zone of the stamps, as `format_time` has it.
    """

    __slots__ = ("_newest", "_patterns", "_stems", "extension", "folder", "stem", "zone")

    def __init__(self, path: str, *, zone: int = ZONE_LOCAL) -> None:
        self.folder, name = os.path.split(path)
        stem, self.extension = os.path.splitext(name)
        self.stem = stem
        self.zone = zone
        #: The newest name, or None. While it is known, the folder needs no listing, which takes long beside many files.
        self._newest: tuple[str, int] | None = None
        self._patterns = [_pattern(self.stem, self.extension)]
        room = longest_name(self.folder) - _MOST_ADDED
        if len(os.fsencode(name)) > room:
            if len(os.fsencode(self.extension)) > _MOST_EXTENSION:
                self.stem, self.extension = name, ""
            self.stem = cut_name(self.stem, room - len(os.fsencode(self.extension)), whole=name)
            # The first pattern stays: it fits files that were rotated before long names were cut.
            self._patterns.append(_pattern(self.stem, self.extension))
        self._stems = {stem, self.stem}

    def match(self, name: str) -> "RotatedFile | None":
        """Return what a file name (without folder) describes, or None if the name does not fit this pattern."""
        found = self._fullmatch(name)
        return None if found is None or found[4] else self._file(found, name)

    def match_part(self, name: str) -> bool:
        """Return whether a name is that of an unfinished compressed file of this pattern."""
        found = self._fullmatch(name)
        return bool(found and found[3] and found[4] and self._file(found, name))

    def _fullmatch(self, name: str) -> "re.Match[str] | None":
        found = None
        for pattern in self._patterns:
            found = found or pattern.fullmatch(name)
        return found

    def _file(self, found: "re.Match[str]", name: str) -> "RotatedFile | None":
        number = found[2] or "0"
        if _date(found[1]) is None or (found[2] and (int(number) == 0 or f"{int(number):04}" != number)):
            return None
        return RotatedFile(found[1], int(number), found[3] or "", os.path.join(self.folder, name))

    def files(self, since_ns: "int | None" = None) -> "list[RotatedFile]":
        """Return the rotated files that exist, oldest first: regular files only, no links, no folders.

        Args:
            since_ns: files that ended before this time may be left out; nanoseconds since the epoch.

        Raises:
            OSError: the folder cannot be read.
        """
        # A day earlier, because local time may go back.
        since = "" if since_ns is None else format_time(_STAMP_PATTERN, since_ns - 86_400 * _SECOND_NS, zone=self.zone)
        matches = map(self.match, self._names_since(since))
        return sorted(file for file in matches if file is not None and _is_regular(file.path))

    def _names_since(self, stamp: str) -> "list[str]":
        """The names in the folder that may fit this pattern and have this stamp or a later one.

        Only names that pass are looked at closely: a folder may hold tens of thousands of files.
        """
        names = os.listdir(self.folder or ".")
        kept: set[str] = set()  # one stem may be the beginning of the other
        for stem in self._stems:
            start = len(stem) + 1
            end = start + len("YYYYMMDD_HHMMSS")
            kept.update([name for name in names if name[start:end] >= stamp and name.startswith(stem)])
        return list(kept)

    def parts(self) -> "list[str]":
        """Return the paths of unfinished compressed files."""
        names = os.listdir(self.folder or ".")
        paths = (os.path.join(self.folder, name) for name in names if self.match_part(name))
        return sorted(path for path in paths if _is_regular(path))

    def choose(self, end_ns: int) -> str:
        """Return a name that does not exist and sorts after all that do.

        The caller renames the file to it, or calls `forget`.

        If the clock went back (by less than a day, as at the end of daylight saving), the newest file's stamp is used,
        with the next number. The caller makes sure that no other process chooses a name at the same time.

        Args:
            end_ns: end of what the file holds, nanoseconds since the epoch.

        Raises:
            OSError: the folder cannot be read.
        """
        stamp = format_time(_STAMP_PATTERN, end_ns, zone=self.zone)
        newest, self._newest = self._newest, None
        if newest is not None and _is_near(newest[0], stamp):
            chosen = _after(stamp, [newest])
            path = self._path_of(*chosen)
            if not any(os.path.lexists(path + suffix) for suffix in ("", *COMPRESSED_SUFFIXES)):
                self._newest = chosen
                return path
        # Every existing name counts, also that of a folder or a link: a rename must not replace anything.
        taken = [(file.stamp, file.number) for file in filter(None, map(self.match, self._names_since(stamp)))]
        near = [one for one in taken if _is_near(one[0], stamp)]
        chosen = _after(stamp, near)
        if len(near) == len(taken):  # else a name of the far future counts once the clock has come near
            self._newest = chosen
        return self._path_of(*chosen)

    def forget(self) -> None:
        """Have the next `choose` look at the folder: another process may have rotated, or the rename has failed."""
        self._newest = None

    def _path_of(self, stamp: str, number: int) -> str:
        return os.path.join(self.folder, self.name_for(stamp, number))

    def name_for(self, stamp: str, number: int) -> str:
        """Return the name (without folder) of a rotated file; see `RotatedFile`."""
        counted = f"_{number:04}" if number else ""
        return f"{self.stem}_{stamp}{counted}{self.extension}"

    def end_ns(self, file: RotatedFile) -> int:
        """Return the second that its name tells, in nanoseconds since the epoch; the later one, if there are two."""
        when = _date(file.stamp)
        assert when is not None, "a RotatedFile's stamp was checked when it was matched"
        return last_instant(when, self.zone) * _SECOND_NS


def _after(stamp: str, taken: "list[tuple[str, int]]") -> "tuple[str, int]":
    """Return the stamp and the number that sort after all that are taken: those of `stamp`, if they do."""
    latest = max(taken, default=("", 0))
    return (stamp, 0) if latest[0] < stamp else (latest[0], latest[1] + 1)


def _is_near(taken: str, stamp: str) -> bool:
    when, latest = _date(taken), _date(stamp)
    return when is not None and latest is not None and when - latest <= _CLOCK_SLACK


def _pattern(stem: str, extension: str) -> "re.Pattern[str]":
    suffixes = "|".join(map(re.escape, COMPRESSED_SUFFIXES))
    stem, extension, part = map(re.escape, (stem, extension, PART_SUFFIX))
    stamp, number = "[0-9]{8}_[0-9]{6}", "[0-9]{4,}"
    return re.compile(f"{stem}_({stamp})(?:_({number}))?{extension}({suffixes})?({part})?")


def _date(stamp: str) -> "datetime | None":
    # Not by strptime, which takes a lock of the process. In a forked child that lock could stay locked for ever.
    day, _, clock = stamp.partition("_")
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
    """A parsed `SinkConfig.retention`; one of the fields is set."""

    files: "int | None" = None
    """Number of rotated files to keep; the current file does not count."""
    age_ns: "int | None" = None
    """Age of a file's newest line, in nanoseconds, beyond which the file is removed."""
    size_bytes: "int | None" = None
    """Size of all rotated files together; the oldest go."""

    def is_beyond(self, newer: int, age_ns: int, size_bytes: int) -> bool:
        """Whether a file goes.

        Args:
            newer: how many files are newer.
            age_ns: its age.
            size_bytes: the size of the file and all newer ones.
        """
        if self.files is not None:
            return newer >= self.files
        if self.age_ns is not None:
            return age_ns > self.age_ns
        return self.size_bytes is not None and size_bytes > self.size_bytes


def parse_retention(value: "int | str | timedelta", *, field: str = "retention") -> Retention:
    """Return how much to keep.

    Args:
        value: number of rotated files to keep (0: none; also as text, ``"10"`` or ``"10 files"``), an age:
            ``"30 days"``, a `timedelta`, or the size of all together: ``"10 GB"``.
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
        if isinstance(value, str) and value.strip().lower().endswith("b"):
            return Retention(size_bytes=parse_size(value))
        return Retention(age_ns=parse_age(value))  # type: ignore[arg-type]
    except ValueError:
        expected = "a number of files, 0 or more, an age: '30 days', a timedelta, or a size: '10 GB'"
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
    if retention.size_bytes is not None:
        return _beyond_size(files, retention.size_bytes)
    assert retention.age_ns is not None
    return [file for file in files if now_ns - name.end_ns(file) > retention.age_ns]


def _beyond_size(files: "list[RotatedFile]", most_bytes: int) -> "list[RotatedFile]":
    """The oldest files without which the others have at most this size together."""
    left = len(files)
    for file in reversed(files):
        with suppress(OSError):  # gone since it was listed
            most_bytes -= os.lstat(file.path).st_size
        if most_bytes < 0:
            break
        left -= 1
    return files[:left]


def prune(name: RotatedName, retention: Retention, now_ns: int) -> "list[str]":
    """Remove the files beyond retention; return their paths.

    Only regular files whose names fit this pattern are touched, and never the current file. A file that another process
    has removed first is no error.

    Raises:
        OSError: a file cannot be removed; the others have been.
    """
    return remove_all(file.path for file in expired(name, retention, now_ns))


def remove_all(paths: "Iterable[str]") -> "list[str]":
    """Remove these files; return those that were there.

    Raises:
        OSError: a file cannot be removed; the others have been.
    """
    removed: list[str] = []
    trouble: OSError | None = None
    for path in paths:
        try:
            os.unlink(path)
            removed.append(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            trouble = error
    if trouble is not None:
        raise trouble
    return removed
