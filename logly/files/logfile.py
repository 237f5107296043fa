"""A sink's log file. It is opened, reopened, rotated and closed here; the core writes to its descriptor."""

from __future__ import annotations

import os

from logly._core import NEVER_NS, Descriptor, Files
from logly.errors import SinkError
from logly.system.unpatched import wall_ns

from .opening import open_append
from .paths import current_folder, render_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from logly.config.schema import SinkConfig

    from .rotated import Retention, RotatedName
    from .rotation import Rotated
    from .schedule import Schedule
    from .timed_paths import TimedNames

__all__ = ["LogFile", "RotationResult"]

SECOND_NS = 1_000_000_000
CLOCK_SLACK_NS = 86_400 * SECOND_NS
"""A rotated file whose name is later than now by more than this is ignored."""


class RotationResult:
    """What `LogFile.rotate` did.

    Attributes:
        file: the file to write to from now on; None: the present file stays.
        is_renamed: whether this call renamed the old file. Another process may have done it instead.
    """

    __slots__ = ("file", "is_renamed")

    def __init__(self, file: Descriptor | None, is_renamed: bool) -> None:
        self.file = file
        self.is_renamed = is_renamed


def _absolute(path: str | os.PathLike[str] | None) -> str:
    """The path template made absolute. A process may change its folder before it forks and opens the file again."""
    assert path is not None
    template = os.fspath(path)
    if os.path.isabs(template):
        return template
    return os.path.join(current_folder(template, SinkError).replace("{", "{{").replace("}", "}}"), template)


class LogFile:
    """The file of one sink.

    `rotate` and `reopen` return the file that they open. The caller puts it in place by `SinkHandle.replace_file`,
    which changes the core's descriptor and `files` in one step. Until then the present file stays in use.

    Args:
        config: the sink's settings, checked; `path` is set.
        zone: the time zone of boundaries and names, as `format_time` has it.
        on_error: called with errors in housekeeping, on the housekeeper's thread.
        files: the object that holds what is opened here.

    Raises:
        SinkError: the file cannot be opened, or the file of an earlier period cannot be rotated.
    """

    def __init__(
        self, config: SinkConfig, *, zone: int, on_error: Callable[[Exception], None], files: Files | None = None
    ) -> None:
        self.config = config
        self.zone = zone
        self.on_error = on_error
        self.files = Files() if files is None else files
        self.schedule: Schedule | None = None
        self.retention: Retention | None = None
        self._name: RotatedName | None = None
        self._timed: TimedNames | None = None
        self._earliest_ns = NEVER_NS
        self.template = _absolute(config.path)
        self.path = self._rendered_path()
        self.files.file = open_append(self.path, config.mode)
        try:
            if config.retention is not None:
                self._plan_retention()
            if self.is_rotating:
                self._begin_rotating()
            elif self.retention is not None:
                self._housekeep_at_start()
        except BaseException:
            self.close()
            raise

    @property
    def fd(self) -> int:
        """The descriptor of the present file; -1: the file is closed."""
        return self.files.fd

    @property
    def lock_fd(self) -> int:
        """The descriptor of the lock file, whose lock prevents other processes from rotating; -1: there is none."""
        return self.files.lock_fd

    @property
    def is_intact(self) -> bool:
        """Whether the file, and its lock if it has one, are open, and no other code has closed them."""
        file, lock = self.files.file, self.files.lock
        is_locked = not self.is_rotating or (lock is not None and lock.is_intact)
        return is_locked and file is not None and file.is_intact

    @property
    def is_rotating(self) -> bool:
        return self.config.rotation is not None or self.config.size_limit is not None

    @property
    def period_ns(self) -> tuple[int, int]:
        """The times of records that belong into the present file: (from, before).

        For a record outside of them the core asks for `rotate`.
        """
        schedule = self.schedule
        if schedule is None or schedule.rotation is None:
            return 0, NEVER_NS
        from .schedule import next_boundary

        end = schedule.next_ns
        span = next_boundary(schedule.rotation, end, zone=self.zone) - end
        # If the clock goes back by less than a period, nothing is done.
        return max(0, min(end - 2 * span, self._earliest_ns)), end

    def _rendered_path(self) -> str:
        return os.path.abspath(render_path(self.template, zone=self.zone))

    def _plan_retention(self) -> None:
        from .rotated import parse_retention
        from .timed_paths import TimedNames, has_time

        assert self.config.retention is not None
        self.retention = parse_retention(self.config.retention)
        if has_time(self.template):
            self._timed = TimedNames(self.template, self.path, zone=self.zone)

    def _begin_rotating(self) -> None:
        from .rotated import RotatedName
        from .rotation import open_lock
        from .schedule import Schedule, parse_rotation

        config = self.config
        # Rotation renames the file itself, not a symbolic link to it.
        self.path = os.path.realpath(self.path)
        self._name = RotatedName(self.path, zone=self.zone)
        rotation = parse_rotation(config.rotation) if config.rotation is not None else None
        now_ns = wall_ns()
        self.schedule = Schedule(rotation, now_ns, zone=self.zone)
        if config.retention is not None or config.compression is not None or config.on_rotate is not None:
            # The housekeeper's modules are imported here, not on its thread: if the process forked during that import,
            # the child would have half a module.
            from . import compression, housekeeper  # noqa: F401
        self.files.lock = open_lock(self.path, config.mode)
        self._rotate_leftover(self.schedule, now_ns)
        self._housekeep_at_start()

    def _rotate_leftover(self, schedule: Schedule, now_ns: int) -> None:
        """Rotates a file that was found at start and belongs to an earlier period, or is full already."""
        about = os.fstat(self.fd)
        overdue_ns = schedule.ended_before(about.st_mtime_ns, now_ns)
        limit = self.config.size_limit
        if overdue_ns is not None:
            end_ns = overdue_ns - 1
            result = self._rotate(end_ns, lambda file: schedule.ended_before(file.st_mtime_ns, now_ns) is not None)
        elif limit is not None and about.st_size >= int(limit):
            result = self._rotate(self._end_of_part(now_ns), lambda file: file.st_size >= int(limit))
        else:
            return
        if result.file is not None:
            self.files.file = result.file

    # ---- rotation

    def rotate(self, begins_ns: int | None, next_bytes: int) -> RotationResult:
        """Begin a new file, unless another process has done so. It may be called again until `has_rotated` is called.

        Args:
            begins_ns: time of the record that lies outside of the present period; None: rotation by size.
            next_bytes: length of the line that would exceed the limit.

        Raises:
            SinkError: the file cannot be renamed, or no new one can be made. The present file is as it was.
        """
        schedule, limit = self.schedule, self.config.size_limit
        assert schedule is not None
        if begins_ns is None:
            size = int(limit) if limit is not None else 0
            end_ns = self._end_of_part(wall_ns())
            return self._rotate(end_ns, lambda file: file.st_size + next_bytes > size)
        if not schedule.is_due(begins_ns):
            self._earliest_ns = min(self._earliest_ns, begins_ns)
            return RotationResult(None, False)
        waited_for_ns, boundary_ns = schedule.next_ns, self._boundary_before(begins_ns)

        def is_due(file: os.stat_result) -> bool:
            if boundary_ns is None or self._boundary_before(begins_ns) != boundary_ns:
                return False
            # Several boundaries have passed. Another process may have begun the present file after the last of them.
            return boundary_ns == waited_for_ns or file.st_mtime_ns < boundary_ns

        return self._rotate((waited_for_ns if boundary_ns is None else boundary_ns) - 1, is_due)

    def has_rotated(self, begins_ns: int | None) -> None:
        """Moves the schedule on. Called once the result of `rotate` is in use: a rotation that failed is still due."""
        schedule = self.schedule
        if schedule is not None and begins_ns is not None and schedule.is_due(begins_ns):
            schedule.advance(begins_ns)
            self._earliest_ns = NEVER_NS

    def _end_of_part(self, now_ns: int) -> int:
        """The end of a full file: now, or a second before the last one of the period.

        All records in the file belong to the present period, though the clock may be past its end. Only a file that was
        rotated by time has the period's last second in its name: `_boundary_before` tells by that.
        """
        assert self.schedule is not None
        return min(now_ns, self.schedule.next_ns - 1 - SECOND_NS)

    def _boundary_before(self, begins_ns: int) -> int | None:
        """The boundary that ends the file's period, if a record at `begins_ns` belongs to a later one; else None.

        This is the boundary that this process waits for, unless another process has rotated at that one or a later one.
        """
        from .schedule import next_boundary

        assert self._name is not None
        assert self.schedule is not None
        assert self.schedule.rotation is not None
        boundary_ns = self.schedule.next_ns
        from_ns = (boundary_ns - 1) // SECOND_NS * SECOND_NS
        # A name from the far future was made with a wrong clock, or not by logly. It says nothing about now.
        until_ns = wall_ns() + CLOCK_SLACK_NS
        ends = [end for file in self._name.files(from_ns) if from_ns <= (end := self._name.end_ns(file)) <= until_ns]
        if not ends:
            return boundary_ns
        # Names tell the last second before the boundary.
        coming_ns = next_boundary(self.schedule.rotation, max(ends) + SECOND_NS, zone=self.zone)
        return coming_ns if coming_ns <= begins_ns else None

    def _rotate(self, end_ns: int, is_due: Callable[[os.stat_result], bool]) -> RotationResult:
        from .rotation import rotate

        assert self._name is not None
        lock = self.lock_fd if self.lock_fd >= 0 else None
        mode = self.config.mode
        done: Rotated = rotate(self._name, self.path, self.fd, end_ns=end_ns, is_due=is_due, mode=mode, lock_fd=lock)
        if done.path is not None:
            self._housekeep(done.path)
        return RotationResult(done.file, done.is_rotated)

    # ---- housekeeping, on the housekeeper's thread: the flusher does not wait for it

    def _housekeep(self, rotated: str) -> None:
        """Have a rotated file compressed, files beyond retention removed, and `on_rotate` called."""
        name, method, notify = self._name, self.config.compression, self.config.on_rotate
        if name is None or (method is None and self.retention is None and notify is None):
            return
        prune = self._pruning()

        def keep_house() -> None:
            from . import compression

            # Files beyond retention are removed first, so that they are not compressed in vain.
            if prune is not None:
                prune()
            try:
                if method is not None:
                    compression.compress(rotated, method)
                    for left in compression.leftovers(name):  # these failed, because of a full disk for example
                        compression.compress(left, method)
            finally:
                # An earlier job may have compressed it.
                suffix = "" if method is None or os.path.exists(rotated) else compression.SUFFIXES[method]
                if notify is not None and os.path.exists(rotated + suffix):
                    notify(rotated + suffix)

        _submit(keep_house, self.on_error)

    def _pruning(self) -> Callable[[], object] | None:
        """What removes the files beyond retention. It has no `self`: a waiting job must not keep the log file open."""
        from functools import partial

        from .rotated import prune

        if self.retention is None:
            return None
        if self._timed is not None:
            from .timed_paths import prune_timed

            return partial(_prune_now, prune_timed, self._timed, self.retention)
        return None if self._name is None else partial(_prune_now, prune, self._name, self.retention)

    def _housekeep_at_start(self) -> None:
        """Have the housekeeping finished that an exit or a crash interrupted."""
        name, method = self._name, self.config.compression
        if method is None and self.retention is None:
            return
        prune = self._pruning()

        def keep_house() -> None:
            from . import compression

            if name is not None:
                compression.sweep(name)
            if prune is not None:
                prune()
            if method is not None and name is not None:
                for path in compression.leftovers(name):
                    compression.compress(path, method)

        _submit(keep_house, self.on_error)

    # ---- opening and closing

    def reopen(self) -> tuple[Descriptor, Descriptor | None]:
        """Open the file by its name, and its lock file. The caller puts them in the place of the present ones.

        Raises:
            SinkError: the file cannot be opened.
        """
        if self._name is not None:
            self._name.forget()
        file = open_append(self.path, self.config.mode)
        lock = self.files.lock
        if self.is_rotating and (lock is None or not lock.is_intact):
            from .rotation import open_lock

            lock = open_lock(self.path, self.config.mode)
        return file, lock

    def close(self) -> None:
        """Close the file; `reopen` opens it again."""
        self.files.close()

    def after_fork_in_child(self) -> None:
        """Close the lock file that the child shares with its parent. `reopen` opens one that the child has alone.

        A path with ``{pid}`` names another file in the child.
        """
        self.close()
        path = self._rendered_path()
        self.path = os.path.realpath(path) if self.is_rotating else path
        if self._name is not None:
            from .rotated import RotatedName

            self._name = RotatedName(self.path, zone=self.zone)
        if self._timed is not None:
            from .timed_paths import TimedNames

            self._timed = TimedNames(self.template, self.path, zone=self.zone)


def _prune_now(prune: Callable[[Any, Retention, int], object], names: Any, retention: Retention) -> None:
    prune(names, retention, wall_ns())


def _submit(job: Callable[[], None], on_error: Callable[[Exception], None]) -> None:
    from .housekeeper import housekeeper

    housekeeper.submit(job, on_error)
