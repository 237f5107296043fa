"""Dumps of the flight recorder: on demand, by a record, selected by a field, and which sinks get them."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from logly import Record, SinkConfig
from tests.support.loggers import assert_books
from tests.support.recorders import MARK, Gate, await_kept, kept_texts, lines_after_flush, recording_logger
from tests.support.threads import run_threads
from tests.support.waiting import wait_until


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "app.log"


# ---- on demand


def test_on_demand(path: Path) -> None:
    with recording_logger(path, recorder_trigger=None) as logger:
        for i in range(3):
            logger.debug("{}", i)
        logger.critical("no trigger")
        assert logger.dump_recorder() == 3
        assert path.read_text().splitlines() == ["no trigger", *(f"{MARK}{i}" for i in range(3))]
        assert logger.dump_recorder("a reason") == 0
        logger.debug("3")
        assert logger.dump_recorder("a\nreason \u20ac \ud800") == 1
        lines = path.read_text("utf-8").splitlines()[4:]
        assert lines[0].startswith("logly: 1 record of the flight recorder: a\\nreason \u20ac ")
        assert lines[1:] == [f"{MARK}3"]
        logger.debug("4")
        assert logger.dump_recorder("r" * 1000) == 1
        assert_books(logger)


def test_each_of_several_threads_is_told_of_its_own_dump(path: Path) -> None:
    with recording_logger(path) as logger:

        def dump() -> int:
            told = 0
            for i in range(50):
                logger.debug("{}", i)
                told += logger.dump_recorder() > 0
            return told

        assert all(told > 0 for told in run_threads(*[dump] * 4))
        logger.dump_recorder()
        assert len(lines_after_flush(logger, path)) == 200
        assert logger.stats().written_late == 200


def test_a_dump_is_not_put_off_by_a_flood_of_kept_records(path: Path) -> None:
    is_over = threading.Event()
    with recording_logger(path, async_buffer_size=8192) as logger:

        def flood() -> None:
            while not is_over.is_set():
                for _ in range(1000):
                    logger.debug("flood")

        def dump() -> None:
            for i in range(20):
                logger.debug("mine {}", i)
                logger.dump_recorder()
            is_over.set()

        run_threads(dump, flood)
        assert_books(logger)


def test_a_dump_has_nothing_that_was_kept_after_it_was_asked_for(path: Path) -> None:
    gate = Gate()
    with recording_logger(path) as logger:
        logger.add_sink(SinkConfig(function=gate))
        logger.debug("before")
        await_kept(logger, 1)
        logger.info("blocks")
        assert gate.is_inside.wait(60)
        asking = threading.Thread(target=logger.dump_recorder)
        asking.start()
        wait_until(lambda: "before" in path.read_text())
        logger.debug("after")
        gate.is_open.set()
        asking.join(60)
        await_kept(logger, 1)
        assert "after" not in path.read_text()


def test_ctrl_c_ends_the_wait_for_a_dump(path: Path) -> None:
    gate = Gate()
    with recording_logger(path, stall_timeout=50) as logger:
        logger.add_sink(SinkConfig(function=gate))
        logger.debug("one")

        def interrupt() -> None:
            assert gate.is_inside.wait(60)
            os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            logger.dump_recorder("interrupted")
        thread.join()
        assert_books(logger)
        gate.is_open.set()
        assert logger.flush(60)
        assert gate.texts == ["one"]
        logger.debug("two")
        assert logger.dump_recorder() == 1
        assert_books(logger)


def test_a_sinks_function_may_ask_for_a_dump(path: Path) -> None:
    with recording_logger(path) as logger:
        told: list[int] = []
        logger.add_sink(SinkConfig(function=lambda record: told.append(logger.dump_recorder()), recorder=False))
        logger.debug("one")
        logger.info("two")
        assert logger.flush(60)
        wait_until(lambda: len(path.read_text().splitlines()) == 2)
        assert len(told) == 1
        assert_books(logger)


# ---- triggers


def test_kept_records_may_be_triggers_themselves(path: Path) -> None:
    with recording_logger(path, level="off", recorder_trigger="error") as logger:
        logger.debug("one")
        logger.error("two")
        logger.debug("three")
        assert lines_after_flush(logger, path) == [f"{MARK}one", f"{MARK}two"]
        logger.error("x" * 3_000_000)  # too large to be kept
        assert lines_after_flush(logger, path)[2:] == [f"{MARK}three"]
        assert (logger.stats().written_late, logger.stats().overwritten) == (3, 1)


def test_a_kept_trigger_is_in_the_file_of_a_synchronous_sink_when_the_call_returns(path: Path) -> None:
    with recording_logger(path, level="off", sink={"async_write": False}) as logger:
        for i in range(3):
            logger.debug("one {}", i)
            logger.error("two")
            assert path.read_text().splitlines()[2 * i :] == [f"{MARK}one {i}", f"{MARK}two"]
        logger.debug("three")
        logger.error("{}", {"not": "native"})
        assert path.read_text().splitlines()[6:] == [f"{MARK}three", f"{MARK}{{'not': 'native'}}"]


def test_a_synchronous_sink_has_dump_and_trigger_when_the_call_returns(path: Path) -> None:
    with recording_logger(path, sink={"async_write": False}) as logger:
        for i in range(5):
            for k in range(100):
                logger.debug("{}", k)
            logger.error("failed {}", i)
            expected = [*(f"{MARK}{k}" for k in range(100)), f"failed {i}"]
            assert path.read_text().splitlines()[i * 101 :] == expected
    assert_books(logger)


def test_several_threads_fail_at_once(path: Path) -> None:
    with recording_logger(path, recorder_size="16 MiB", async_buffer_size="16 MiB") as logger:

        def work(thread: int) -> None:
            for i in range(200):
                for k in range(10):
                    logger.debug("{} {}", thread, i * 11 + k)
                logger.error("{} {}", thread, i * 11 + 10)

        run_threads(*[lambda thread=thread: work(thread) for thread in range(4)])
        logger.dump_recorder()
        lines = [line.removeprefix(MARK) for line in lines_after_flush(logger, path)]
        lines = [line for line in lines if not line.startswith("logly: ")]
        stats = logger.stats()
        assert len(lines) + stats.dropped == 4 * 2200
        for thread in range(4):
            numbers = [int(line.split()[1]) for line in lines if line.startswith(f"{thread} ")]
            assert numbers == sorted(set(numbers))
            assert set(numbers) >= set(range(10, 2200, 11))


@pytest.mark.parametrize(
    ("values", "other"),
    [
        ([1, 2], 1.0), (["a", "b"], b"a"), (["\u20ac", "\u00fc"], "u"), (["\U0001f600", "\ud800"], None),
        ([1.5, float("nan")], 2),
        ([None, True], False), ([2**63, 2**64 - 1], -1), ([2**80, -(2**70)], 2**81), ([b"x", b"y"], "z"),
        ([[1], {"a": 2}], [2]),
    ],
)  # fmt: skip
def test_a_field_selects(path: Path, values: list[Any], other: Any) -> None:
    with recording_logger(path, recorder_field="request_id") as logger:
        one, two = (logger.bind(request_id=value) for value in values)
        for i in range(3):
            one.debug("one {}", i)
            two.debug("two {}", i)
            with logger.contextualize(request_id=other):
                logger.debug("other {}", i)
            logger.debug("none {}", i)
            logger.debug("one, of the call {}", i, request_id=values[0])
        two.error("failed", more=1)
        assert lines_after_flush(logger, path) == [*(f"{MARK}two {i}" for i in range(3)), "failed"]
        logger.error("without")
        assert lines_after_flush(logger, path)[4:] == [*(f"{MARK}none {i}" for i in range(3)), "without"]
        logger.error("one", request_id=values[0])
        texts = [text for i in range(3) for text in (f"one {i}", f"one, of the call {i}")]
        assert lines_after_flush(logger, path)[8:] == [*(f"{MARK}{text}" for text in texts), "one"]
        assert logger.stats().kept == 3
        assert logger.dump_recorder() == 3
        assert_books(logger)


def test_another_field_selects_among_what_was_kept_before(path: Path) -> None:
    with recording_logger(path) as logger:
        for i in range(4):
            logger.debug("{}", i, a=i, b=i // 2)
        for field, value, expected in (("a", 0, ["0"]), ("b", 1, ["2", "3"]), (None, 9, ["1"])):
            logger.configure(recorder_field=field)
            before = len(lines_after_flush(logger, path))
            logger.error("failed", a=value, b=value)
            assert kept_texts(lines_after_flush(logger, path)[before:]) == expected


def test_a_field_that_comes_twice(path: Path) -> None:
    """That of the call wins over the bound one, as in a line."""
    with recording_logger(path, recorder_field="id") as logger:
        bound = logger.bind(id=1)
        bound.debug("two", id=2)
        bound.debug("one")
        with logger.contextualize(id=2):
            bound.error("one failed")
        assert lines_after_flush(logger, path) == [f"{MARK}one", "one failed"]
        logger.error("two failed", id=2)
        assert lines_after_flush(logger, path)[2:] == [f"{MARK}two", "two failed"]


# ---- which sinks


def test_which_sinks_get_a_dump(tmp_path: Path) -> None:
    with recording_logger(tmp_path / "all") as logger:
        sinks: dict[str, dict[str, Any]] = {
            "errors": {"level": "error"},
            "not": {"recorder": False},
            "filter": {"filter": lambda record: "1" not in record.message},
            "module": {"filter_module": "nothing.of.this"},
            "function": {"filter_function": "test_which_sinks_get_a_dump"},
            "most": {"filter_max_level": "info"},
        }
        ids = {
            name: logger.add_sink(SinkConfig(path=tmp_path / name, format="{message}", **sink))
            for name, sink in sinks.items()
        }
        logger.debug("kept 1")
        logger.debug("kept 2")
        logger.info("written")
        logger.error("failed")
        assert logger.flush(60)
        assert_books(logger)
        kept = [f"{MARK}kept 1", f"{MARK}kept 2"]
        expected = {
            "all": ["written", *kept, "failed"],
            "errors": [*kept, "failed"],
            "not": ["written", "failed"],
            "filter": ["written", kept[1], "failed"],
            "module": [],
            "function": ["written", *kept, "failed"],
            "most": ["written", *kept],
        }
        assert {name: (tmp_path / name).read_text().splitlines() for name in expected} == expected
        for name, sink in ids.items():
            counts = logger.sink_stats(sink)
            assert (counts.written, counts.failed, counts.pending) == (len(expected[name]), 0, 0)
            assert counts.written + counts.refused in (2, 4), name


def test_without_a_sink_for_dumps_all_stays_in_the_recorder(path: Path) -> None:
    with recording_logger(path, sink={"recorder": False}) as logger:
        logger.debug("one")
        logger.error("failed")
        await_kept(logger, 1)
        assert logger.dump_recorder() == 0
        sink = logger.add_sink(SinkConfig(path=path.parent / "other", format="{message}"))
        logger.disable_sink(sink)
        assert logger.dump_recorder() == 0
        logger.enable_sink(sink)
        assert logger.dump_recorder("now") == 1
        assert (path.parent / "other").read_text().splitlines()[1:] == [f"{MARK}one"]
        assert path.read_text() == "failed\n"


def test_the_records_of_a_dump_that_nobody_wants(path: Path) -> None:
    with recording_logger(path, sink={"filter_module": "nothing"}) as logger:
        logger.debug("one")
        logger.error("failed")
        assert lines_after_flush(logger, path) == []
        stats = logger.stats()
        assert (stats.written, stats.written_late, stats.refused) == (2, 1, 2)


def test_a_line_before_a_dump_does_not_make_written_records_pending_again(path: Path) -> None:
    """It comes into the buffer before the records, where a filter decides about them."""
    seen: list[tuple[int, int]] = []
    with recording_logger(path) as logger:

        def watch(record: Record) -> bool:
            if record.recorder:
                assert_books(logger)
                stats = logger.stats()
                seen.append((stats.written, stats.pending))
            return True

        logger.add_sink(SinkConfig(path=path.parent / "filtered", format="{message}", filter=watch))
        for i in range(100):
            logger.info("{}", i)
        assert logger.flush(60)
        for i in range(3):
            logger.debug("{}", i)
        assert logger.dump_recorder("watched") == 3
        assert seen in ([(100, 3), (101, 2), (102, 1)], [(100, 3)] * 3)
        assert_books(logger)
