"""The flight recorder: what it keeps, for how long, and what a dump selects."""

from __future__ import annotations

import logging
import random
import re
from pathlib import Path
from typing import Any

import pytest

from logly import Level, Logger, LoggerConfig, SinkConfig, StdlibHandler
from tests.support.loggers import assert_books
from tests.support.recorders import MARK, await_kept, kept_texts, lines_after_flush, recording_logger


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "app.log"


def test_what_was_kept_comes_before_the_record_that_failed(path: Path) -> None:
    with recording_logger(path) as logger:
        logger.debug("one {}", 1)
        logger.info("two")
        logger.debug("three", size=3)
        await_kept(logger, 2)
        assert path.read_text() == "two\n"
        logger.trace("below the recorder's level")
        logger.error("failed")
        logger.debug("four")
        assert lines_after_flush(logger, path) == ["two", f"{MARK}one 1", f"{MARK}three", "failed"]
        stats = logger.stats()
        assert (stats.emitted, stats.written, stats.written_late, stats.kept) == (5, 4, 2, 1)
        logger.error("failed again")
        assert lines_after_flush(logger, path)[-2:] == [f"{MARK}four", "failed again"]


def test_what_is_kept_at_the_end_is_not_written(path: Path) -> None:
    with recording_logger(path) as logger:
        logger.info("one")
        logger.debug("two")
    assert path.read_text() == "one\n"
    assert (logger.stats().kept, logger.stats().pending) == (1, 0)
    logger.debug("after close")
    assert path.read_text() == "one\n"
    logger.error("after close")
    assert path.read_text().splitlines() == ["one", f"{MARK}two", f"{MARK}after close", "after close"]
    assert_books(logger)


def test_the_oldest_give_way(path: Path) -> None:
    with recording_logger(path, recorder_size=4096) as logger:
        for i in range(5000):
            logger.debug("{}", i)
        await_kept(logger, logger.flush() and logger.stats().kept, 5000 - logger.stats().kept)
        logger.error("failed")
        kept = [int(text) for text in kept_texts(lines_after_flush(logger, path))]
        assert kept == list(range(5000 - len(kept), 5000))
        assert len(kept) > 30
        stats = logger.stats()
        assert (stats.overwritten, stats.written_late) == (5000 - len(kept), len(kept))


@pytest.mark.parametrize("recorder_size", [4096, 16384, 1 << 20])
def test_records_of_all_sizes_in_a_ring_that_wraps(path: Path, recorder_size: int) -> None:
    """Among them records in blocks of their own, and some that are larger than the recorder."""
    chance = random.Random(recorder_size)
    with recording_logger(path, recorder_size=recorder_size, async_buffer_size=8192) as logger:
        for _ in range(20):
            sizes = [int(10 ** chance.uniform(0, 4.3)) for _ in range(chance.randrange(1, 150))]
            for i, size in enumerate(sizes):
                logger.debug("{} {}", i, "x" * size)
                if i % 5 == 0:
                    logger.flush()  # a kept record does not wait for room
            before = len(lines_after_flush(logger, path))
            stats = logger.stats()
            logger.error("failed")
            lines = lines_after_flush(logger, path)[before:]
            assert lines.pop() == "failed"
            texts = kept_texts([line for line in lines if not line.startswith("logly: ")])
            assert len(texts) == logger.stats().written_late - stats.written_late == stats.kept
            numbers = [int(text.split(" ")[0]) for text in texts]
            assert numbers == sorted(set(numbers))
            for text, number in zip(texts, numbers, strict=True):
                assert text == f"{number} {'x' * sizes[number]}"
        assert logger.stats().kept == 0


def test_a_record_that_is_larger_than_the_recorder_leaves_the_others_alone(path: Path) -> None:
    with recording_logger(path, recorder_size=4096) as logger:
        logger.debug("one")
        for size in (5000, 500_000):  # in the ring, and in a block of its own
            logger.debug("x" * size)
        await_kept(logger, 1, 2)
        logger.error("failed")
        assert lines_after_flush(logger, path) == [f"{MARK}one", "failed"]


@pytest.mark.parametrize("size", [2100, 3000, 3900])
def test_a_record_that_just_fits_finds_a_place_wherever_the_lap_is(path: Path, size: int) -> None:
    with recording_logger(path, recorder_size=4096) as logger:
        for i in range(60):
            logger.debug("{}", "s" * (i * 8))
            logger.debug("{} {}", i, "x" * size)
            logger.flush()
        logger.error("failed")
        assert f"{MARK}59 {'x' * size}" in lines_after_flush(logger, path)


def test_levels_change_between_the_call_and_the_drain(path: Path) -> None:
    """The call decides what becomes of its record."""
    with recording_logger(path, async_flush_interval=3_600_000) as logger:
        logger.debug("kept")
        logger.set_level("debug")
        logger.debug("written")
        logger.set_level("info")
        logger.debug("kept, too")
        with logger.at_level("debug"):
            logger.debug("written, too")
        logger.configure(recorder="warning")
        logger.debug("neither")
        logger.configure(recorder="debug")
        logger.debug("at last")
        assert lines_after_flush(logger, path) == ["written", "written, too"]
        await_kept(logger, 3)
        logger.error("failed")
        assert kept_texts(lines_after_flush(logger, path)) == ["kept", "kept, too", "at last"]


def test_a_recorder_that_is_switched_off_forgets(path: Path) -> None:
    with recording_logger(path) as logger:
        for i in range(10):
            logger.debug("{}", i)
            logger.debug("large {}", "x" * 300_000)
        await_kept(logger, logger.flush() and logger.stats().kept, logger.stats().overwritten)
        logger.configure(recorder=None)
        assert not logger.is_enabled_for("debug")
        stats = logger.stats()
        assert (stats.kept, stats.overwritten, stats.pending) == (0, 20, 0)
        logger.error("failed")
        assert lines_after_flush(logger, path) == ["failed"]
        assert logger.dump_recorder() == 0
        logger.configure(recorder="debug")
        logger.debug("again")
        logger.error("failed")
        assert lines_after_flush(logger, path)[1:] == [f"{MARK}again", "failed"]


def test_another_size_takes_over_what_fits(path: Path) -> None:
    with recording_logger(path, recorder_size="1 MiB") as logger:
        for i in range(2000):
            logger.debug("{}", i)
        logger.debug("{}", "x" * 300_000)
        await_kept(logger, 2001)
        logger.configure(recorder_size="2 MiB")
        await_kept(logger, 2001)
        logger.configure(recorder_size=4096)
        stats = logger.stats()
        assert stats.kept + stats.overwritten == 2001
        logger.configure(recorder_size="1 MiB")
        assert logger.stats() == stats
        logger.error("failed")
        texts = kept_texts(lines_after_flush(logger, path))
        assert texts == [str(i) for i in range(2000 - len(texts), 2000)]
        assert len(texts) > 20


def test_records_in_the_ring_are_kept_by_the_recorder_of_today(path: Path) -> None:
    with recording_logger(path, async_flush_interval=3_600_000) as logger:
        logger.info("begin")
        logger.flush()
        logger.debug("one")
        logger.configure(recorder=None)
        assert lines_after_flush(logger, path) == ["begin"]
        assert (logger.stats().kept, logger.stats().overwritten) == (0, 1)


def test_levels_by_name_and_module(path: Path) -> None:
    with recording_logger(path, level="info,shop=warning,urllib3=off", layout="{name} {message}") as logger:
        shop = logger.named("shop") if hasattr(logger, "named") else logger
        shop.info("kept, of a name")
        logger.debug("kept")
        logger.info("written")
        exec("logger.warning('kept, of a module')", {"logger": logger, "__name__": "urllib3.pool"})
        assert shop.is_enabled_for("debug")
        assert not shop.is_enabled_for("trace")
        assert eval("logger.is_enabled_for('debug')", {"logger": logger, "__name__": "urllib3.pool"})
        await_kept(logger, 3)
        shop.error("failed")
        lines = lines_after_flush(logger, path)
        assert [line.split(" ", 1)[1] for line in lines] == [
            "written", f"{MARK}kept, of a name", f"{MARK}kept", f"{MARK}kept, of a module", "failed",
        ]  # fmt: skip


def test_names_without_a_number_and_module_levels(path: Path) -> None:
    with recording_logger(path, level="info,a.b=off,x=debug") as logger:
        for name in ("a.b.c", "x.y", "plain"):
            named = logger.named(name)
            for _ in range(3):
                named.debug("of {}", name)
        logger.error("failed")
        lines = lines_after_flush(logger, path)
        assert lines == ["of x.y"] * 3 + [f"{MARK}of a.b.c"] * 3 + [f"{MARK}of plain"] * 3 + ["failed"]


def test_a_logger_that_is_disabled_keeps_nothing(path: Path) -> None:
    with recording_logger(path) as logger:
        logger.debug("before")
        logger.disable()
        assert not logger.is_enabled_for("debug")
        logger.debug("never")
        logger.error("never")
        logger.enable()
        logger.error("failed")
        assert lines_after_flush(logger, path) == [f"{MARK}before", "failed"]


def test_is_enabled_for_what_is_kept_and_explain_says_so(path: Path) -> None:
    with recording_logger(path) as logger:
        assert logger.is_enabled_for("debug")
        assert not logger.is_enabled_for("trace")
        said = logger.explain("debug")
        assert said.splitlines()[0] == "DEBUG: kept by the flight recorder"
        assert "recorder" not in logger.explain("trace").splitlines()[0]
        assert logger.explain("info").splitlines()[0] == "INFO: written by 1 of 1 sinks"
        logger.disable()
        assert logger.explain("debug").splitlines()[0] == "DEBUG: not written"


def everything(logger: Logger) -> None:
    """Kept records of many kinds."""
    bound = logger.bind(user="me", nested={"a": [1, None]})
    with logger.contextualize(request=7):
        bound.debug("bound {what}", what=b"bytes")
    try:
        raise ValueError("on purpose \u20ac")
    except ValueError:
        logger.debug("with exception", exc_info=True)
        logger.debug("with stack", exc_info=True, stack_info=True)
    logger.debug("\u00fcn\u00efcode {} {}", "\U0001f600", 2**80)
    logger.debug("{} is not {", 1)
    logger.debug("{:>8} {!r} {:.3f}", "right", "quoted", 2.5)
    logger.log(7 + Level.DEBUG, "a level that only has a number")


def test_kept_records_look_as_written_ones(tmp_path: Path) -> None:
    """But for their mark. In each layout."""
    layouts: list[dict[str, Any]] = [
        {"json": True, "date_enabled": False},
        {"format": "logfmt", "date_enabled": False},
        {"format": "{level} {message} {fields} {exception}"},
        {"date_enabled": False},
    ]
    texts: dict[str, list[str]] = {}
    for level in ("debug", "error"):
        logger = Logger(LoggerConfig(auto_sink=False, level=level, recorder="debug", on_error=lambda error: None))
        for i, layout in enumerate(layouts):
            logger.add_sink(SinkConfig(path=tmp_path / f"{level}{i}", **layout))
        everything(logger)
        assert logger.stats().failed_formats == 1
        logger.dump_recorder()
        logger.close()
        assert_books(logger)
        texts[level] = [(tmp_path / f"{level}{i}").read_text() for i in range(len(layouts))]
    for written, kept in zip(texts["debug"], texts["error"], strict=True):
        assert kept != written
        for mark in (',"recorder":true', " recorder=true", "[recorder] "):
            kept = kept.replace(mark, "")
        kept, written = (re.sub(r'"timestamp":"[^"]*",|(timestamp|time|ts)=\S+ ', "", text) for text in (kept, written))
        assert kept.splitlines() == written.splitlines()


def test_a_field_named_as_the_mark(tmp_path: Path) -> None:
    for name, layout in (
        ("json", {"json": True}),
        ("pretty", {"format": "{message} {fields}"}),
        ("logfmt", {"format": "logfmt"}),
    ):
        with recording_logger(tmp_path / f"{name}.aux") as logger:
            logger.add_sink(SinkConfig(path=tmp_path / name, **layout))
            logger.debug("kept", recorder="mine")
            logger.error("failed", recorder="mine")
        kept, failed = (tmp_path / name).read_text().splitlines()
        if name == "json":
            assert '"recorder":true' in kept
            assert '"recorder_":"mine"' in kept
            assert '"recorder":"mine"' in failed
        elif name == "logfmt":
            assert " recorder=true" in kept
            assert " recorder_=mine" in kept
            assert " recorder=mine" in failed
        else:
            assert kept == "[recorder] kept recorder=mine"
            assert failed == "failed recorder=mine"


def test_kept_calls_of_logging(path: Path) -> None:
    with recording_logger(path, layout="{name} {message}") as logger:
        other = logging.Logger("shop", logging.DEBUG)
        other.addHandler(StdlibHandler(logger))
        for i in range(3):
            other.debug("of logging %s", i)
        other.error("failed")
        lines = lines_after_flush(logger, path)
        assert [line.split(" ", 1)[1] for line in lines] == [*(f"{MARK}of logging {i}" for i in range(3)), "failed"]


def test_the_time_of_a_kept_record_is_that_of_its_call(path: Path) -> None:
    records: list[Any] = []
    with recording_logger(path) as logger:
        logger.add_sink(SinkConfig(function=records.append))
        logger.debug("kept")
        logger.info("between")
        logger.error("failed")
    between, kept, failed = records
    assert kept.time_ns <= between.time_ns <= failed.time_ns
    assert between.time_ns - kept.time_ns < 1_000_000_000
    assert [record.recorder for record in records] == [False, True, False]
    assert kept.message == "kept"
