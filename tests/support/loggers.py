"""Loggers as many tests want them, and what must hold for each of them at any time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from logly import Logger, LoggerConfig, Record, SinkConfig


def make_logger(**config: Any) -> Logger:
    """A logger without a console, whose flusher does not let records lie."""
    return Logger(LoggerConfig(**{"auto_sink": False, "async_flush_interval": 5, **config}))


def counting_logger(**config: Any) -> Iterator[Logger]:
    """For a fixture: a logger whose books must balance when the test is over."""
    logger = make_logger(**config)
    yield logger
    assert logger.flush(60)
    assert_books(logger)
    logger.close()


def records_of(logger: Logger) -> list[Record]:
    """The list to which a new sink of the logger adds each record."""
    found: list[Record] = []
    logger.add_sink(SinkConfig(function=found.append))
    return found


def passed(logger: Logger, records: list[Record]) -> list[str]:
    """The messages that a sink of `records_of` has got by now."""
    assert logger.flush(30)
    return [record.message for record in records]


def file_logger(path: Path, *, layout: str = "{message}", sink: dict[str, Any] | None = None, **config: Any) -> Logger:
    """A logger with one file."""
    logger = Logger(LoggerConfig(auto_sink=False, **config))
    settings = {"format": layout, **(sink or {})}
    if settings.get("json"):
        del settings["format"]
    logger.add_sink(SinkConfig(path=path, **settings))
    return logger


def assert_books(logger: Logger, written: int | None = None) -> None:
    """What was emitted is all accounted for, and no count is below zero; `written`: so many are, and no others."""
    stats = logger.stats()
    fates = (stats.written, stats.dropped, stats.failed, stats.pending, stats.kept, stats.overwritten)
    assert stats.emitted == sum(fates), stats
    assert min(stats.emitted, *fates) >= 0, stats
    assert 0 <= stats.written_late <= stats.written, stats
    if written is not None:
        assert (stats.emitted, stats.written, stats.pending) == (written, written, 0)
