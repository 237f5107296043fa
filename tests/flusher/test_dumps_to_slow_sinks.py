"""Dumps of the flight recorder to slow sinks, to blocked ones, and to ones in trouble."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from logly import LoggerConfig, SinkConfig, _core
from tests.support.hooks import inject_outcomes
from tests.support.loggers import assert_books
from tests.support.recorders import MARK, Gate, await_kept, kept_texts, lines_after_flush, recording_logger
from tests.support.waiting import wait_until

COUNT = 8000
"""So many kept records of some 350 bytes are more than a sink holds."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "app.log"


def test_a_trigger_during_a_dump_to_a_slow_sink(path: Path) -> None:
    gate = Gate()
    with recording_logger(path, async_buffer_size=1 << 20, stall_timeout=60, recorder_size="4 MiB") as logger:
        logger.add_sink(SinkConfig(function=gate, buffer_size=4096))
        expected = []
        for i in range(3):
            for k in range(3000):
                logger.debug("{} {} {}", i, k, "x" * 600)
                expected.append(f"{i} {k} {'x' * 600}")
                if k % 100 == 0 and i == 0:
                    logger.flush()
            logger.error("failed {}", i)
            expected.append(f"failed {i}")
            assert gate.is_inside.wait(60)
        assert_books(logger)
        stats = logger.stats()
        gate.is_open.set()
        assert logger.flush(60)
        dropped = stats.dropped
        assert len(gate.texts) + dropped == len(expected)
        assert [text for text in expected if text in set(gate.texts)] == gate.texts
        assert {f"failed {i}" for i in range(3)} <= set(gate.texts)
        assert [
            line.removeprefix(MARK) for line in lines_after_flush(logger, path) if "logly: " not in line
        ] == gate.texts


@pytest.mark.parametrize("kind", ["file", "filter", "function", "pipe", "stream"])
def test_a_dump_that_is_larger_than_a_sinks_backlog(tmp_path: Path, kind: str) -> None:
    """New records wait behind it, in order."""
    from logly import Logger

    got: list[str] = []
    reader, writer = os.pipe()
    logger = Logger(
        LoggerConfig(
            auto_sink=False,
            level="info",
            recorder="debug",
            recorder_size="16 MiB",
            async_buffer_size="64 KiB",
            stall_timeout=60,
        )
    )
    other = tmp_path / "other"
    path = tmp_path / "app.log"
    sinks: dict[str, dict[str, Any]] = {
        "file": {"path": path},
        "filter": {"path": path, "filter": lambda record: True},
        "function": {"function": lambda record: got.append((MARK if record.recorder else "") + record.message)},
        "pipe": {"fd": writer},
        "stream": {"stream": open(path if kind == "stream" else os.devnull, "w")},  # noqa: SIM115
    }
    logger.add_sink(SinkConfig(**{"format": "{message}", "buffer_size": 4096, **sinks[kind]}))
    logger.add_sink(SinkConfig(path=other, format="{message}"))

    def read() -> None:
        with os.fdopen(reader) as pipe:
            got.extend(pipe.read().splitlines())

    reading = threading.Thread(target=read)
    reading.start()
    count = 20_000 if kind in ("file", "pipe") else 4_000
    for i in range(count):
        logger.debug("{} {}", i, "x" * 400)
        if i % 50 == 0:
            assert logger.flush(60)
    await_kept(logger, count)
    logger.error("failed")
    for i in range(100):
        logger.info("after {}", i)
    assert logger.flush(60)
    assert_books(logger)
    assert logger.stats().written_late == count
    assert logger.close(60)
    os.close(writer)
    reading.join(60)
    sinks["stream"]["stream"].close()
    expected = [*(f"{MARK}{i} {'x' * 400}" for i in range(count)), "failed", *(f"after {i}" for i in range(100))]
    assert (got or path.read_text().splitlines()) == expected
    assert other.read_text().splitlines() == expected


@pytest.mark.parametrize("overflow", ["block", "drop"])
def test_a_pipe_that_nobody_reads_during_a_dump(path: Path, overflow: str) -> None:
    """The dump's records fail there, once each; the file has all of them; calls go on."""
    reader, writer = os.pipe()
    with recording_logger(path, overflow=overflow, stall_timeout=0.3, recorder_size="8 MiB") as logger:
        pipe = logger.add_sink(SinkConfig(fd=writer, format="{message}", buffer_size=4096))
        for i in range(COUNT):
            logger.debug("{} {}", i, "x" * 300)
            if i % 500 == 0:
                assert logger.flush(60)
        await_kept(logger, COUNT)
        logger.error("failed")
        wait_until(lambda: "failed" in path.read_text())
        for i in range(2000):
            logger.info("{}", i)
            logger.debug("{}", i)
            if i % 100 == 0:
                assert_books(logger)
        logger.remove_sink(pipe)
        assert logger.flush(60)
        assert_books(logger)
        stats = logger.stats()
        lines = [line for line in path.read_text().splitlines() if not line.startswith("logly: ")]
        assert [int(text.split()[0]) for text in kept_texts(lines)] == list(range(COUNT))
        assert len(lines) - COUNT == 1 + 2000 - (stats.dropped if overflow == "drop" else 0)
        assert stats.failed > COUNT - 1000
        assert stats.written_late < COUNT
        assert (stats.pending, stats.written + stats.failed) == (0, len(lines))
    os.close(reader)
    os.close(writer)


def test_a_late_record_that_several_sinks_fail_counts_once(tmp_path: Path) -> None:
    pipes = [os.pipe() for _ in range(3)]
    with recording_logger(tmp_path / "app.log", stall_timeout=0.2, recorder_size="8 MiB") as logger:
        ids = [logger.add_sink(SinkConfig(fd=writer, format="{message}", buffer_size=4096)) for _, writer in pipes]
        for i in range(COUNT):
            logger.debug("{} {}", i, "x" * 300)
            if i % 500 == 0:
                assert logger.flush(60)
        await_kept(logger, COUNT)
        logger.error("failed")
        for sink in ids:
            logger.remove_sink(sink)
        assert_books(logger)
        stats = logger.stats()
        assert stats.pending == 0
        assert 0 < stats.failed <= COUNT + 1
        assert stats.written_late + stats.failed >= COUNT
        assert stats.written + stats.failed == COUNT + 1
    for reader, writer in pipes:
        os.close(reader)
        os.close(writer)


def test_short_writes_and_errors_during_a_dump(path: Path) -> None:
    told: list[Exception] = []
    with recording_logger(path, on_error=told.append, stall_timeout=30) as logger:
        [sink] = logger.list_sinks()
        for i in range(50):
            logger.debug("{}", i)
        inject_outcomes(logger, sink, [5, -28, 1, 20, -4, 3, 11, 0x7FFF])
        logger.error("failed")
        assert lines_after_flush(logger, path) == [*(f"{MARK}{i}" for i in range(50)), "failed"]


def test_other_settings_in_the_middle_of_a_dump(path: Path) -> None:
    """What the dump has not given to the sinks yet goes on from the new recorder, before the record that failed."""
    gate = Gate()
    with recording_logger(path, stall_timeout=60, recorder_size="8 MiB", async_buffer_size=1 << 16) as logger:
        logger.add_sink(SinkConfig(function=gate, buffer_size=4096))
        for i in range(COUNT):
            logger.debug("{} {}", i, "x" * 300)
            if i % 100 == 0:
                logger.flush()
        await_kept(logger, COUNT)
        logger.error("failed")
        assert gate.is_inside.wait(60)
        wait_until(lambda: logger.stats().kept == 0)
        logger.debug("after")
        logger.configure(recorder_size="16 MiB")
        logger.configure(recorder_field="nothing")
        assert_books(logger)
        gate.is_open.set()
        assert logger.flush(60)
        assert gate.texts == [*(f"{i} {'x' * 300}" for i in range(COUNT)), "failed"]
        await_kept(logger, 1)
        assert kept_texts(lines_after_flush(logger, path)) == gate.texts[:-1]


def test_no_recorder_in_the_middle_of_a_dump(path: Path) -> None:
    gate = Gate()
    with recording_logger(path, stall_timeout=60, recorder_size="8 MiB") as logger:
        logger.add_sink(SinkConfig(function=gate, buffer_size=4096))
        for i in range(COUNT):
            logger.debug("{} {}", i, "x" * 300)
            if i % 100 == 0:
                logger.flush()
        logger.error("failed")
        assert gate.is_inside.wait(60)
        logger.configure(recorder=None)
        gate.is_open.set()
        assert logger.flush(60)
        assert_books(logger)
        stats = logger.stats()
        assert stats.written_late + stats.overwritten == COUNT
        assert stats.pending == stats.kept == 0
        assert gate.texts[-1] == "failed"
        logger.configure(recorder="debug")
        logger.debug("again")
        assert logger.dump_recorder() == 1
        assert gate.texts[-1] == "again"


def test_a_sink_that_goes_in_the_middle_of_a_dump(path: Path) -> None:
    gate = Gate()
    with recording_logger(path, stall_timeout=60, recorder_size="8 MiB") as logger:
        sink = logger.add_sink(SinkConfig(function=gate, buffer_size=4096))
        for i in range(COUNT):
            logger.debug("{} {}", i, "x" * 300)
            if i % 500 == 0:
                logger.flush()
        await_kept(logger, COUNT)
        logger.error("failed")
        assert gate.is_inside.wait(60)
        removing = threading.Thread(target=logger.remove_sink, args=(sink,))
        removing.start()
        gate.is_open.set()
        removing.join(60)
        assert kept_texts(lines_after_flush(logger, path)) == [f"{i} {'x' * 300}" for i in range(COUNT)]
        assert logger.stats().written_late == COUNT


@pytest.mark.skipif(sys.platform == "win32", reason="no spools on Windows")
def test_a_dump_that_is_asked_for_while_records_go_into_another_spool(path: Path) -> None:
    """The ring of the old one is empty and goes; the dump begins when the next one is read."""
    gate = Gate()
    with recording_logger(path, spool=path.parent / "app.spool", stall_timeout=60) as logger:
        logger.add_sink(SinkConfig(function=gate, recorder=False))
        logger.debug("kept")
        await_kept(logger, 1)
        logger.info("blocks")
        assert gate.is_inside.wait(60)
        number = _core.ask_for_dump(logger._controller.core, None)
        logger.configure(async_buffer_size=8192)
        logger.info("next")
        gate.is_open.set()
        assert logger.flush(30)
        assert _core.records_of_dump(logger._controller.core, number) == 1
        assert lines_after_flush(logger, path) == ["blocks", f"{MARK}kept", "next"]
