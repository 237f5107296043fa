"""A sink that stops in the middle of a line, and a spool: the line's rest stays, and nobody waits for it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from logly import Logger, LoggerConfig, SinkConfig
from tests.support.loggers import assert_books

LINES = 5000


def full_pipe() -> tuple[int, int, int]:
    """(end to read, end to write, bytes that are in it): there is room for the beginning of a long line only."""
    reader, writer = os.pipe()
    return reader, writer, os.write(writer, b"-" * 40_000)


def read_all(reader: int) -> bytes:
    os.set_blocking(reader, False)
    try:
        return os.read(reader, 1 << 20)
    except BlockingIOError:
        return b""


@pytest.mark.parametrize("is_other_ring", [False, True])
@pytest.mark.parametrize("level", ["info", "debug"])
def test_the_ring_is_released(tmp_path: Path, level: str, is_other_ring: bool) -> None:
    """Also where the half line is one of a dump. The line's end comes when somebody reads again."""
    reader, writer, filled = full_pipe()
    config = LoggerConfig(
        auto_sink=False, level="info", recorder="debug", spool=tmp_path / "app.spool", stall_timeout=0.05,
        async_buffer_size=1 << 16,
    )  # fmt: skip
    with Logger(config) as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{message}", recorder=False))
        pipe = logger.add_sink(SinkConfig(fd=writer, format="{message}"))
        logger.log(level, "{}", "x" * 60_000)
        logger.dump_recorder()
        logger.flush(0.3)
        if is_other_ring:
            logger.configure(async_buffer_size=1 << 17)
        for number in range(LINES):
            logger.info("line {}", number)
            if number % 200 == 0:
                logger.flush(0.3)
        logger.flush(1)
        lines = (tmp_path / "app.log").read_text().splitlines()
        assert [line for line in lines if not line.startswith("x")] == [f"line {number}" for number in range(LINES)]
        assert_books(logger)
        assert logger.stats().dropped == 0
        text = read_all(reader)
        while logger.sink_stats(pipe).pending or b"lost" not in text:
            logger.info("after")
            logger.flush(1)
            text += read_all(reader)
        assert_books(logger)
        found = text[filled:].decode().splitlines()
        assert found[0].removeprefix("[recorder] ") == "x" * 60_000
        assert found[1].startswith("logly: ")
        assert "lost" in found[1]
    os.close(reader)
    os.close(writer)
