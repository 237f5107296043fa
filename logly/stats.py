"""What `Logger.stats()` and `Logger.sink_stats()` return. A new count comes last: they are tuples."""

from typing import NamedTuple


class Stats(NamedTuple):
    """A logger's counts, which always add up.

    ``emitted == written + dropped + failed + pending + kept + overwritten``

    A record is *written* when every sink that wants it has handed it to the operating system (or no sink wants it).
    It has *failed* when at least one sink had to discard it; it counts once, even if other sinks have written it. It is
    *dropped* when the ring was full and ``overflow="drop"``, or when its call stopped waiting for room. It is *pending*
    before any of that.

    Without a flight recorder, `kept`, `overwritten` and `written_late` are 0. A record for the flight recorder is
    *kept* while the recorder holds it, and *overwritten* when it gave way to a later one or found no place there. It
    is written (or fails) when a dump gives it to the sinks. It is dropped when the ring had no room for it.
    """

    emitted: int
    written: int
    dropped: int
    failed: int
    pending: int
    failed_formats: int
    """Messages that could not be formatted. They are written raw, with their arguments' reprs."""
    bytes_written: int
    writes: int
    """Calls of ``write(2)`` (or of a stream's ``write``) that took something."""
    rotations: int
    write_errors: int
    blocked_ns: int
    """Nanoseconds that log calls have waited for room in the ring."""
    ring_high_water: int
    """The most bytes of the ring that were seen in use."""
    ring_size: int
    """Bytes of one ring."""
    refused: int
    """Records that no sink wanted: because of level, name or module, or because filters returned False. A part of
    `written`."""
    kept: int
    overwritten: int
    written_late: int
    """Records that dumps of the flight recorder have written. A part of `written`."""
    suppressed: int
    """Calls that light loggers (`Logger.limit` and its sisters) and the sampling have held back. They made no record,
    so they are not part of `emitted`."""


class SinkStats(NamedTuple):
    """One sink's counts. Each record that was logged while it was there and enabled has been written or refused, has
    failed, or is pending."""

    written: int
    failed: int
    pending: int
    bytes_written: int
    writes: int
    rotations: int
    write_errors: int
    refused: int
    """Records that the sink did not want: because of level, name or module, or because its filter returned False."""
    repeated: int
    """Records that `SinkConfig.dedup` has counted in place of a line of their own. A part of `written`."""
