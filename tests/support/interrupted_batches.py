"""The calls of `tests.support.interrupts` for loggers with a batch sink, or one with a socket."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

from logly import Logger, LoggerConfig, SinkConfig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.interrupts import Case

__all__ = [
    "add_sink_of_batch",
    "add_sink_of_socket",
    "batch_after_close",
    "close_with_batch",
    "close_with_socket",
    "flush_of_batch",
    "flush_of_socket",
    "remove_sink_of_batch",
    "remove_sink_of_socket",
]


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


@contextmanager
def daemon(folder: Path) -> Iterator[str]:
    """Where a syslog daemon listens, which reads nothing; there is room for what these calls send."""
    path = folder / "log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(path))
        try:
            yield f"unix:{path}"
        finally:
            path.unlink()


def made_with_socket(folder: Path, address: str) -> tuple[Logger, int]:
    logger = Logger(LoggerConfig(auto_sink=False, on_error=lambda error: None))
    logger.add_sink(SinkConfig(path=folder / "app.log"))
    return logger, logger.add_sink(SinkConfig.syslog(address))


def add_sink_of_socket(folder: Path) -> Case:
    logger = Logger(LoggerConfig(auto_sink=False))
    with daemon(folder) as address:
        yield logger, lambda: logger.add_sink(SinkConfig.syslog(address))


def remove_sink_of_socket(folder: Path) -> Case:
    with daemon(folder) as address:
        logger, sink = made_with_socket(folder, address)
        logger.info("one")
        yield logger, lambda: logger.remove_sink(sink)


def flush_of_socket(folder: Path) -> Case:
    with daemon(folder) as address:
        logger, _ = made_with_socket(folder, address)
        logger.info("one")
        yield logger, logger.flush


def close_with_socket(folder: Path) -> Case:
    with daemon(folder) as address:
        logger, _ = made_with_socket(folder, address)
        logger.info("one")
        logger.flush()
        logger.info("two")
        yield logger, logger.close
