"""The calls of `tests.support.interrupts` for loggers with a batch sink."""

from __future__ import annotations

from typing import TYPE_CHECKING

from logly import Logger, LoggerConfig, SinkConfig

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.interrupts import Case

__all__ = ["add_sink_of_batch", "batch_after_close", "close_with_batch", "flush_of_batch", "remove_sink_of_batch"]


def take(_lines: bytes, _count: int) -> None:
    """The other side."""


def made(folder: Path) -> tuple[Logger, int]:
    logger = Logger(LoggerConfig(auto_sink=False, on_error=lambda error: None))
    logger.add_sink(SinkConfig(path=folder / "app.log"))
    return logger, logger.add_sink(SinkConfig(batch=take))


def add_sink_of_batch(folder: Path) -> Case:
    logger = Logger(LoggerConfig(auto_sink=False))
    yield logger, lambda: logger.add_sink(SinkConfig(batch=take))


def remove_sink_of_batch(folder: Path) -> Case:
    logger, sink = made(folder)
    logger.info("one")
    yield logger, lambda: logger.remove_sink(sink)


def flush_of_batch(folder: Path) -> Case:
    logger, _ = made(folder)
    logger.info("one")
    yield logger, logger.flush


def close_with_batch(folder: Path) -> Case:
    logger, _ = made(folder)
    logger.info("one")
    logger.flush()
    logger.info("two")
    yield logger, logger.close


def batch_after_close(folder: Path) -> Case:
    logger, _ = made(folder)
    logger.close()
    yield logger, lambda: logger.info("one {}", 1)
