"""Loggers with a flight recorder, and what it has written."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from logly import Logger, LoggerConfig, Record, SinkConfig
from tests.support.loggers import assert_books
from tests.support.waiting import wait_until

MARK = "[recorder] "


def recording_logger(
    path: Path, *, layout: str = "{message}", sink: dict[str, Any] | None = None, **config: Any
) -> Logger:
    """A logger with one file, whose flight recorder keeps everything from DEBUG on."""
    logger = Logger(LoggerConfig(**{"auto_sink": False, "level": "info", "recorder": "debug", **config}))
    logger.add_sink(SinkConfig(path=path, format=layout, **(sink or {})))
    return logger


def lines_after_flush(logger: Logger, path: Path) -> list[str]:
    """The lines of the logger's file. The books must balance."""
    assert logger.flush(60)
    assert_books(logger)
    return path.read_text("utf-8").splitlines()


def kept_texts(lines: list[str]) -> list[str]:
    """What a dump has written, of all lines."""
    return [line.removeprefix(MARK) for line in lines if line.startswith(MARK)]


def await_kept(logger: Logger, kept: int, overwritten: int = 0) -> None:
    """Until the flusher has put so many records into the recorder, and so many have given way."""
    assert logger.flush(60)
    wait_until(lambda: (logger.stats().kept, logger.stats().overwritten) == (kept, overwritten), f"{logger.stats()}")
    assert_books(logger)


class Gate:
    """A function for a sink, which waits at each record until it is opened."""

    def __init__(self) -> None:
        self.is_open = threading.Event()
        self.is_inside = threading.Event()
        self.records: list[Record] = []

    def __call__(self, record: Record) -> None:
        self.is_inside.set()
        assert self.is_open.wait(60)
        self.records.append(record)

    @property
    def texts(self) -> list[str]:
        return [record.message for record in self.records]
