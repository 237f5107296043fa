"""What `Logger.stats()` and `Logger.sink_stats()` return."""

from typing import NamedTuple


class Stats(NamedTuple):
    """A logger's books: ``emitted == written + dropped + failed + pending``, at every moment.

    A record is *written* when every sink that wants it has handed it to the operating system (a record that no
    sink wants is done as well), *failed* when a sink had to give it up, *dropped* when the ring was full and
    ``overflow="drop"`` (or the flusher was stuck), *pending* before any of that.
    """

    emitted: int
    written: int
    dropped: int
    failed: int
    pending: int
    failed_formats: int
    """Messages that could not be formatted: written raw, with their arguments' reprs."""
    bytes_written: int
    writes: int
    """Calls of ``write(2)`` (or of a stream's ``write``) that took something."""
    rotations: int
    write_errors: int
    blocked_ns: int
    """Nanoseconds that log calls have waited for room in the ring."""
    ring_high_water: int
    """Most bytes of the ring seen in use."""
    ring_size: int
    """Bytes of one ring."""


class SinkStats(NamedTuple):
    """One sink's counts."""

    written: int
    failed: int
    pending: int
    bytes_written: int
    writes: int
    rotations: int
    write_errors: int
