"""`SinkConfig.dedup`: when repeats are told, by which sinks, and what becomes of them in trouble."""

from __future__ import annotations

import os
import re
import threading
from typing import TYPE_CHECKING

import pytest

from logly import Logger, Record, SinkConfig
from tests.support.hooks import inject_outcomes, set_repeat_time
from tests.support.log_files import lines_of, rotated_files
from tests.support.loggers import assert_books, counting_logger, make_logger
from tests.support.programs import run_program
from tests.support.repeats import DAY, add, say, short, told
from tests.support.threads import run_threads
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def logger() -> Iterator[Logger]:
    yield from counting_logger(level=0)


# ---- when it is told


def test_when_the_time_is_over_and_nothing_else_is_logged(tmp_path: Path, logger: Logger) -> None:
    path = tmp_path / "app.log"
    add(logger, path, dedup=0.2)
    while "repeated" not in (path.read_text() if path.exists() else ""):
        say(logger, "again")
    say(logger, "again", 2)
    wait_until(lambda: path.read_text().count("\n") >= 2)
    assert told(path)[0] == "again"


def test_a_run_that_goes_on_is_told_each_time(tmp_path: Path, logger: Logger) -> None:
    """Each stretch of `dedup` seconds has a line and a count of its own."""
    sink = add(logger, tmp_path / "app.log", dedup=5)
    second = 1_000_000_000
    for now in range(1, 13):
        set_repeat_time(logger, sink, now * second)
        say(logger, "a", 10)
    set_repeat_time(logger, sink, 20 * second)
    assert logger.flush(30)
    assert told(tmp_path / "app.log") == ["a", "x49 a", "a", "x49 a", "a", "x19 a"]


def test_it_is_told_without_another_record_and_no_sooner(tmp_path: Path, logger: Logger) -> None:
    sink = add(logger, tmp_path / "app.log", dedup=5, async_write=False)
    path = tmp_path / "app.log"
    set_repeat_time(logger, sink, 1)
    say(logger, "a", 3)
    set_repeat_time(logger, sink, 5_000_000_000)
    assert told(path) == ["a"]
    set_repeat_time(logger, sink, 5_000_000_001)
    wait_until(lambda: len(lines_of(path)) == 2)
    assert told(path) == ["a", "x2 a"]


def test_a_clock_that_is_set_begins_a_new_run(tmp_path: Path, logger: Logger) -> None:
    sink = add(logger, tmp_path / "app.log", dedup=5)
    for now in (1_000, 997, 10, 11):  # seconds
        set_repeat_time(logger, sink, now * 1_000_000_000)
        say(logger, "a", 2)
    assert logger.flush(30)
    assert told(tmp_path / "app.log") == ["a", "x3 a", "a", "x3 a"]


def test_a_flush_tells_and_the_run_goes_on(tmp_path: Path, logger: Logger) -> None:
    path = tmp_path / "app.log"
    add(logger, path)
    say(logger, "a", 5)
    assert logger.flush(30)
    assert told(path) == ["a", "x4 a"]
    assert logger.flush(30)
    assert told(path) == ["a", "x4 a"]
    say(logger, "a", 3)
    assert logger.flush(30)
    assert told(path) == ["a", "x4 a", "x3 a"]


def test_flushes_beside_a_storm_end_and_nothing_is_told_twice(tmp_path: Path, logger: Logger) -> None:
    path = tmp_path / "app.log"
    sinks = [add(logger, path), add(logger, tmp_path / "other.log", filter_max_level="info")]
    stop = threading.Event()
    logged = [0, 0]

    def storm(number: int) -> None:
        while logged[number] == 0 or not stop.is_set():
            logger.info("storm")
            logged[number] += 1

    def flush() -> None:
        try:
            for _ in range(50):
                assert logger.flush(30)
        finally:
            stop.set()

    run_threads(lambda: storm(0), lambda: storm(1), flush)
    assert logger.flush(30)
    for file in (path, tmp_path / "other.log"):
        counts = [int(found) for line in told(file) for found in re.findall(r"^x(\d+) ", line)]
        assert told(file).count("storm") == 1
        assert 1 + sum(counts) == sum(logged)
    assert logger.sink_stats(sinks[0]).repeated == sum(logged) - 1


def test_the_end_of_the_logger_tells(tmp_path: Path) -> None:
    logger = make_logger()
    add(logger, tmp_path / "app.log")
    say(logger, "a", 3)
    assert logger.close()
    say(logger, "a", 2)  # each is written by its caller, and nobody would tell of it later
    assert told(tmp_path / "app.log") == ["a", "x2 a", "a", "a"]


@pytest.mark.parametrize("settings", ["async_write=True", "async_write=False"])
def test_the_end_of_the_process_tells(tmp_path: Path, settings: str) -> None:
    program = f"""
import sys
from logly import Logger, LoggerConfig, SinkConfig
logger = Logger(LoggerConfig(async_flush_interval=86_400_000 // 2))
logger.add_sink(SinkConfig(path=sys.argv[1], format="{{message}}", dedup=86_400, {settings}))
for _ in range(5): logger.info("at the end")
"""
    run_program(program, str(tmp_path / "app.log"))
    assert told(tmp_path / "app.log") == ["at the end", "x4 at the end"]


def test_a_child_begins_a_run_of_its_own(tmp_path: Path) -> None:
    program = """
import os, sys
from logly import Logger, LoggerConfig, SinkConfig
logger = Logger(LoggerConfig())
logger.add_sink(SinkConfig(path=sys.argv[1], format="{message}", dedup=3600))
def say(count):
    for _ in range(count): logger.info("same")
say(3)
child = os.fork()
if child == 0:
    say(2)
    logger.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
say(1)
"""
    run_program(program, str(tmp_path / "app.log"))
    assert sorted(told(tmp_path / "app.log")) == ["same", "same", "x1 same", "x3 same"]


def test_a_sink_that_is_removed_or_disabled_tells(tmp_path: Path, logger: Logger) -> None:
    removed, disabled = add(logger, tmp_path / "removed.log"), add(logger, tmp_path / "disabled.log")
    say(logger, "a", 3)
    logger.remove_sink(removed)
    assert told(tmp_path / "removed.log") == ["a", "x2 a"]
    logger.disable_sink(disabled)
    wait_until(lambda: len(lines_of(tmp_path / "disabled.log")) == 2)
    assert told(tmp_path / "disabled.log") == ["a", "x2 a"]
    say(logger, "a", 3)
    logger.enable_sink(disabled)
    say(logger, "a")
    assert logger.flush(30)
    assert told(tmp_path / "disabled.log") == ["a", "x2 a", "x1 a"]


def test_a_synchronous_sink_writes_the_first_at_once(tmp_path: Path, logger: Logger) -> None:
    add(logger, tmp_path / "app.log", async_write=False)
    say(logger, "a", 3)
    assert told(tmp_path / "app.log") == ["a"]
    say(logger, "b")
    assert told(tmp_path / "app.log") == ["a", "x2 a", "b"]


# ---- files


def test_a_rotation_by_time_tells_in_the_file_before(tmp_path: Path, logger: Logger) -> None:
    path = tmp_path / "app.log"
    add(logger, path, rotation="1 second")

    def has_rotated() -> bool:
        logger.info("storm")
        return bool(rotated_files(path))

    wait_until(has_rotated)
    assert logger.flush(30)
    files = [*rotated_files(path), path]
    for file in files:
        lines = told(file)
        assert lines[0] == "storm"  # each file says what it is about
        assert all(re.fullmatch(r"storm|x\d+ storm", line) for line in lines)
    counted = sum(int(found) for file in files for line in told(file) for found in re.findall(r"^x(\d+) ", line))
    assert counted + sum(told(file).count("storm") for file in files) == logger.stats().written


def test_a_rotation_by_size_goes_by_the_size(tmp_path: Path, logger: Logger) -> None:
    path = tmp_path / "app.log"
    add(logger, path, size_limit=200)
    for number in range(30):
        say(logger, f"line {number}", 3)
    assert logger.flush(30)
    files = [*rotated_files(path), path]
    assert len(files) > 5
    assert max(file.stat().st_size for file in files) <= 200
    expected = [line for number in range(30) for line in (f"line {number}", f"x2 line {number}")]
    assert [line for file in files for line in told(file)] == expected


def test_a_file_that_is_opened_again_begins_with_the_whole_line(tmp_path: Path, logger: Logger) -> None:
    path = tmp_path / "app.log"
    add(logger, path)
    say(logger, "a", 3)
    assert logger.flush(30)
    path.rename(tmp_path / "before.log")
    say(logger, "a", 2)
    logger.reopen()
    say(logger, "a", 4)
    assert logger.flush(30)
    assert told(tmp_path / "before.log") == ["a", "x2 a", "x2 a"]
    assert told(path) == ["a", "x3 a"]


# ---- several sinks, and Python


def test_each_sink_has_runs_of_its_own(tmp_path: Path, logger: Logger) -> None:
    short_s, long_s = add(logger, tmp_path / "short.log", dedup=1), add(logger, tmp_path / "long.log", dedup=60)
    add(logger, tmp_path / "errors.log", level="error")
    add(logger, tmp_path / "all.log", dedup=None)
    for now in (1, 3, 5):
        for sink in (short_s, long_s):
            set_repeat_time(logger, sink, now * 1_000_000_000)
        logger.error("bad")
        say(logger, "between")
        logger.error("bad")
        logger.error("bad")
    assert logger.flush(30)
    assert told(tmp_path / "short.log") == ["bad", "between", "bad", "x1 bad"] * 3
    assert told(tmp_path / "long.log") == ["bad", "between", *["bad", "x2 bad", "between"] * 2, "bad", "x1 bad"]
    assert told(tmp_path / "all.log") == ["bad", "between", "bad", "bad"] * 3


def test_what_comes_between_for_other_sinks_does_not_matter(tmp_path: Path, logger: Logger) -> None:
    add(logger, tmp_path / "errors.log", level="error")
    add(logger, tmp_path / "all.log")
    for _ in range(3):
        logger.error("bad")
        say(logger, "fine")
    assert logger.flush(30)
    assert told(tmp_path / "errors.log") == ["bad", "x2 bad"]
    assert told(tmp_path / "all.log") == ["bad", "fine"] * 3


def test_after_a_filter(tmp_path: Path, logger: Logger) -> None:
    sink = add(logger, tmp_path / "app.log", filter=lambda record: record.message != "no")
    for _ in range(4):
        say(logger, "yes")
        say(logger, "no")
    say(logger, "other")
    assert logger.flush(30)
    assert told(tmp_path / "app.log") == ["yes", "x3 yes", "other"]
    stats = logger.sink_stats(sink)
    assert (stats.written, stats.repeated, stats.refused) == (5, 3, 4)
    say(logger, "other", 2)
    assert logger.flush(30)
    assert told(tmp_path / "app.log")[-1] == "x2 other"


def test_a_function_gets_a_record_that_counts(logger: Logger) -> None:
    found: list[Record] = []
    sink = logger.add_sink(SinkConfig(function=found.append, dedup=DAY))
    for _ in range(5):
        try:
            raise ValueError("no")
        except ValueError:
            logger.named("shop").exception("order {}", 7, user="ann")
    assert logger.flush(30)
    first, counted = found
    assert first.exception is not None
    assert counted.exception is None
    for name in ("message", "name", "module", "function", "lineno", "level", "thread", "thread_name", "process"):
        assert getattr(counted, name) == getattr(first, name)
    assert counted.fields.pop("repeated_first") <= counted.fields.pop("repeated_last")
    assert counted.fields == {"user": "ann", "repeated": 4}
    assert counted.time_ns > first.time_ns
    stats = logger.sink_stats(sink)
    assert (stats.written, stats.repeated, stats.pending) == (5, 4, 0)
    say(logger, "a", 3)
    say(logger, "b")
    assert logger.flush(30)
    assert [(record.message, record.fields.get("repeated")) for record in found[2:]] == [
        ("a", None),
        ("a", 2),
        ("b", None),
    ]
    assert_books(logger, 9)


def test_a_function_that_fails_at_the_count_loses_no_record(logger: Logger) -> None:
    errors: list[Exception] = []
    logger.configure(on_error=errors.append)

    def fail(record: Record) -> None:
        if "repeated" in record.fields:
            raise OSError("no")

    sink = logger.add_sink(SinkConfig(function=fail, dedup=DAY))
    say(logger, "a", 3)
    assert logger.flush(30)
    wait_until(lambda: errors)
    stats = logger.sink_stats(sink)
    assert (stats.written, stats.failed, stats.pending) == (3, 0, 0)
    assert_books(logger, 3)


def test_a_stream_gets_the_count(logger: Logger) -> None:
    texts: list[str] = []

    class Stream:
        def write(self, text: str) -> None:
            texts.append(text)

    sink = logger.add_sink(SinkConfig(stream=Stream(), format="{message}", dedup=DAY))
    say(logger, "a", 3)
    assert logger.flush(30)
    assert [short(line) for line in "".join(texts).splitlines()] == ["a", "x2 a"]
    say(logger, "a", 2)
    logger.remove_sink(sink)
    assert [short(line) for line in "".join(texts).splitlines()] == ["a", "x2 a", "x2 a"]


# ---- trouble


def test_a_line_that_counts_and_is_lost_is_told_as_lost(tmp_path: Path) -> None:
    errors: list[Exception] = []
    logger = make_logger(stall_timeout=0.2, on_error=errors.append)
    sink = add(logger, tmp_path / "app.log")
    say(logger, "first")
    assert logger.flush(30)
    inject_outcomes(logger, sink, [-28] * 100_000)
    say(logger, "first", 5)
    assert not logger.flush(30)  # the disk is full, and the count is not in the file
    assert told(tmp_path / "app.log") == ["first"]
    stats = logger.sink_stats(sink)
    assert (stats.written, stats.failed, stats.pending) == (6, 0, 0)
    logger._controller.sinks[sink].handle.discard()
    inject_outcomes(logger, sink, [])
    say(logger, "first")
    wait_until(lambda: logger.flush(1))
    lines = told(tmp_path / "app.log")
    assert lines == ["first", "logly: 5 records lost: No space left on device", "first"]
    assert_books(logger, 7)
    logger.close()


def test_repeats_of_a_line_that_is_lost_are_told(tmp_path: Path) -> None:
    logger = make_logger(stall_timeout=0.2, on_error=lambda _error: None)
    sink = add(logger, tmp_path / "app.log")
    inject_outcomes(logger, sink, [-28] * 100_000)
    say(logger, "bad", 5)
    wait_until(lambda: logger.sink_stats(sink).write_errors)
    wait_until(lambda: logger.sink_stats(sink).repeated == 4)
    logger._controller.sinks[sink].handle.discard()
    inject_outcomes(logger, sink, [])
    say(logger, "bad")
    wait_until(lambda: logger.flush(1))
    assert told(tmp_path / "app.log") == ["logly: 1 record lost: No space left on device", "x4 bad", "bad"]
    assert_books(logger)
    assert logger.stats().failed == 1
    logger.close()


def test_a_pipe_that_nobody_reads_gets_the_count_later(logger: Logger) -> None:
    reader, writer = os.pipe()
    logger.configure(stall_timeout=30)
    logger.add_sink(SinkConfig(fd=writer, format="{message}", dedup=DAY))
    filling = "x" * 60_000
    while not logger.flush(0.2):
        pass
    for number in range(3):
        logger.info("{} {}", number, filling)
    say(logger, "storm", 100)
    assert not logger.flush(0.1)
    found = b""
    while b"repeated" not in found:
        found += os.read(reader, 65_536)
    assert logger.flush(30)
    assert short(found.decode().splitlines()[-1]) == "x99 storm"
    os.close(reader)
    logger.remove_all_sinks()
    os.close(writer)
