"""Records that have a time of their own: it is shown everywhere, and decides about nothing."""

from __future__ import annotations

import json
import logging
import logging.handlers
import math
import multiprocessing
import os
import queue
import re
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logly import Logger, LoggerConfig, Record, SinkConfig, StdlibHandler, StdlibSink
from tests.support.log_files import all_lines, lines_of, rotated_files
from tests.support.loggers import make_logger
from tests.support.spooling import dies, revive
from tests.support.waiting import PATIENCE_S, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DAY_S = 86_400
LONG_AGO = 1_700_000_000.25  # 2023-11-14 22:13:20.25 UTC
EVERYTHING = "{time:YYYY-MM-DD HH:mm:ss.SSSSSSSSS Z} {message}"


def made(created: Any, text: str = "far", level: int = logging.WARNING) -> logging.LogRecord:
    record = logging.LogRecord("far", level, "/far.py", 3, text, (), None)
    record.created = created
    return record


# ---- where it is shown


def test_every_layout_every_function_and_every_filter_show_it(tmp_path: Path) -> None:
    seen: list[Record] = []
    asked: list[int] = []
    back: list[logging.LogRecord] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            back.append(record)

    def takes(record: Record) -> bool:
        asked.append(record.time_ns)
        return record.time.year == 2023

    with make_logger(timezone="utc") as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "text", format=EVERYTHING))
        logger.add_sink(SinkConfig(path=tmp_path / "json", json=True))
        logger.add_sink(SinkConfig(path=tmp_path / "logfmt", format="logfmt"))
        logger.add_sink(SinkConfig(path=tmp_path / "filtered", format=EVERYTHING, filter=takes))
        logger.add_sink(SinkConfig(function=seen.append))
        logger.add_sink(SinkConfig(function=StdlibSink(Keep())))
        StdlibHandler(logger).handle(made(LONG_AGO))
        logger.info("own")
    assert lines_of(tmp_path / "text")[0] == "2023-11-14 22:13:20.250000000 +00:00 far"
    assert json.loads(lines_of(tmp_path / "json")[0])["timestamp"] == "2023-11-14T22:13:20.250000Z"
    assert lines_of(tmp_path / "logfmt")[0].startswith(
        "timestamp=2023-11-14T22:13:20.250000Z level=WARNING message=far "
    )
    assert lines_of(tmp_path / "filtered") == ["2023-11-14 22:13:20.250000000 +00:00 far"]
    assert seen[0].time_ns == asked[0] == 1_700_000_000_250_000_000
    assert seen[0].time == datetime.fromtimestamp(LONG_AGO, UTC)
    assert (back[0].created, back[0].msecs) == (LONG_AGO, 250)
    assert abs(seen[1].time_ns - time.time_ns()) < 300 * 10**9, "the next record has the time of its call"


SECONDS = st.floats(0, 9.1e9) | st.integers(0, 9_100_000_000) | st.integers(0, 2**50).map(lambda us: us / 1e6)


def test_a_time_is_that_which_datetime_makes_of_it(tmp_path: Path) -> None:
    """In turns with the time of calls, and with one another: text of the last second is kept from line to line."""
    path = tmp_path / "log"
    seen: list[Record] = []
    with make_logger(timezone="utc") as logger:
        logger.add_sink(SinkConfig(path=path, format="{message}|{time:YYYY-MM-DD HH:mm:ss.SSSSSS}"))
        logger.add_sink(SinkConfig(function=seen.append))
        handler = StdlibHandler(logger)

        @settings(max_examples=100, deadline=None)
        @given(st.lists(SECONDS, min_size=1, max_size=12))
        def check(times: list[float]) -> None:
            seen.clear()
            before = len(lines_of(path))
            for created in times:
                handler.handle(made(created))
                logger.info("own")
            assert logger.flush(PATIENCE_S)
            wanted = [datetime.fromtimestamp(created, UTC) for created in times]
            assert [one.time for one in seen[::2]] == wanted
            found = lines_of(path)[before:]
            assert found[::2] == [f"far|{one:%Y-%m-%d %H:%M:%S.%f}" for one in wanted]
            now = time.time()
            for line in found[1::2]:
                shown = datetime.strptime(line, "own|%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC).timestamp()
                assert now - 300 < shown < now + 300

        check()


def test_both_of_the_hours_that_a_clock_shows_twice(tmp_path: Path, in_zone: Callable[[str], None]) -> None:
    in_zone("CET-1CEST,M3.5.0,M10.5.0/3")
    path = tmp_path / "log"
    first = datetime(2024, 10, 27, 0, 30, tzinfo=UTC).timestamp()
    with make_logger() as logger:
        logger.add_sink(SinkConfig(path=path, format="{time:DD HH:mm ZZ}"))
        for created in (first, first + 3600, first, first - 200 * DAY_S, first + 3600):
            StdlibHandler(logger).handle(made(created))
    assert lines_of(path) == ["27 02:30 +0200", "27 02:30 +0100", "27 02:30 +0200", "10 02:30 +0200", "27 02:30 +0100"]


# ---- when a record has one


@pytest.fixture
def seen() -> list[Record]:
    return []


@pytest.fixture
def handler(seen: list[Record]) -> Iterator[StdlibHandler]:
    with make_logger(level=0) as logger:
        logger.add_sink(SinkConfig(function=seen.append))
        yield StdlibHandler(logger)


def shown(handler: StdlibHandler, seen: list[Record], record: logging.LogRecord) -> int:
    seen.clear()
    handler.handle(record)
    assert handler.logger.flush(PATIENCE_S)
    (one,) = seen
    return one.time_ns


def test_here_and_now_it_is_the_time_of_the_call(handler: StdlibHandler, seen: list[Record]) -> None:
    # On a busy machine a millisecond may pass in between: then it is the record's own.
    def is_of_the_call() -> bool:
        record = made(round(time.time(), 6))
        return shown(handler, seen, record) != round(record.created * 1e6) * 1000

    wait_until(is_of_the_call)


@pytest.mark.parametrize("ago_s", [0.002, 1, DAY_S, -2, -DAY_S])
def test_a_record_of_another_time_keeps_it(handler: StdlibHandler, seen: list[Record], ago_s: float) -> None:
    created = round(time.time() - ago_s, 6)
    assert shown(handler, seen, made(created)) == round(created * 1e6) * 1000


@pytest.mark.parametrize("name", ["thread", "process"])
def test_a_record_of_another_thread_or_process_keeps_its_time_however_near(
    handler: StdlibHandler, seen: list[Record], name: str
) -> None:
    for _ in range(50):
        record = made(round(time.time(), 6))
        setattr(record, name, 4242)
        assert shown(handler, seen, record) == round(record.created * 1e6) * 1000


ODD: list[Any] = [None, "2023", b"1", [], 2**64, -(2**64), 9.3e9, -1e300, math.nan, math.inf, -math.inf, 1j, True]


@pytest.mark.parametrize("created", ODD, ids=repr)
def test_what_is_no_time_is_not_shown(handler: StdlibHandler, seen: list[Record], created: Any) -> None:
    before = time.time_ns() - 10**9
    assert before < shown(handler, seen, made(created)) < time.time_ns() + 10**9


@pytest.mark.parametrize(
    ("created", "time_ns"),
    [(0, 0), (0.0, 0), (-0.5, -500_000_000), (-1e9, -(10**18)), (9_199_999_999, 9_199_999_999 * 10**9), (1e-7, 0)],
)
def test_the_ends_of_time(handler: StdlibHandler, seen: list[Record], created: float, time_ns: int) -> None:
    assert shown(handler, seen, made(created)) == time_ns


def test_a_queue_listener_shows_when_the_threads_logged(tmp_path: Path) -> None:
    seen: list[Record] = []
    waiting: queue.Queue[logging.LogRecord] = queue.Queue()
    far = logging.Logger("far", logging.DEBUG)
    far.addHandler(logging.handlers.QueueHandler(waiting))
    kept: list[logging.LogRecord] = []
    far.addFilter(lambda record: kept.append(record) or True)  # type: ignore[func-returns-value]

    def work(number: int) -> None:
        for i in range(50):
            far.info("%d %d", number, i)

    threads = [threading.Thread(target=work, args=(number,), name=f"worker {number}") for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    order = [record.getMessage() for record in list(waiting.queue)]
    with make_logger() as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "log", format="{message}"))
        logger.add_sink(SinkConfig(function=seen.append))
        listener = logging.handlers.QueueListener(waiting, StdlibHandler(logger))
        listener.start()
        listener.stop()
    assert lines_of(tmp_path / "log") == order, "the order is that of the queue"
    found = {one.message: (one.time, one.thread_name, one.thread) for one in seen}
    assert found == {
        f"{one.args[0]} {one.args[1]}": (datetime.fromtimestamp(one.created, UTC), one.threadName, one.thread)  # type: ignore[index]
        for one in kept
    }


def log_into(waiting: Any) -> None:
    far = logging.Logger("far", logging.DEBUG)
    far.addHandler(logging.handlers.QueueHandler(waiting))
    for i in range(20):
        far.info("%d of %d, at %.6f", i, os.getpid(), time.time())


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_records_through_a_queue_of_processes(tmp_path: Path, method: str) -> None:
    context = multiprocessing.get_context(method)
    waiting = context.Queue()
    children = [context.Process(target=log_into, args=(waiting,)) for _ in range(2)]
    seen: list[Record] = []
    with make_logger() as logger:
        logger.add_sink(SinkConfig(function=seen.append))
        for child in children:
            child.start()
        # The handler gets them when all have been made, and not in the order of their times.
        taken = [waiting.get(timeout=PATIENCE_S) for _ in range(40)]
        for child in children:
            child.join(PATIENCE_S)
            assert child.exitcode == 0
        again: queue.Queue[logging.LogRecord] = queue.Queue()
        listener = logging.handlers.QueueListener(again, StdlibHandler(logger))
        listener.start()
        for record in taken:
            again.put(record)
        listener.stop()
        assert logger.flush(PATIENCE_S)
    waiting.close()
    assert [one.time for one in seen] == [datetime.fromtimestamp(record.created, UTC) for record in taken]
    for one in seen:
        match = re.fullmatch(r"\d+ of (\d+), at ([\d.]+)", one.message)
        assert match
        assert one.process == int(match[1]) != os.getpid()
        assert one.fields["process_name"] != "MainProcess"
        # `time.time()` was asked before the record was made.
        assert -1e-5 < one.time_ns / 1e9 - float(match[2]) < 60


# ---- what it does not decide about


@pytest.mark.parametrize("ago_s", [DAY_S, -DAY_S, 2 * 365 * DAY_S])
def test_a_record_of_another_day_rotates_no_file(tmp_path: Path, ago_s: int) -> None:
    path = tmp_path / "app.log"
    with make_logger(timezone="utc") as logger:
        sink = logger.add_sink(SinkConfig(path=path, format="{time:YYYYMMDD} {message}", rotation="hourly"))
        handler = StdlibHandler(logger)
        begun = int(time.time() // 3600)
        for i in range(20):
            logger.info("own {}", i)
            handler.handle(made(time.time() - ago_s, f"far {i}"))
        assert logger.flush(PATIENCE_S)
        stats = logger.sink_stats(sink)
        boundaries = int(time.time() // 3600) - begun
    assert stats.rotations <= boundaries
    lines = all_lines(path)
    assert [line.split(" ", 1)[1] for line in lines] == [f"{who} {i}" for i in range(20) for who in ("own", "far")]
    days = {line.split(" ", 1)[0] for line in lines if "far" in line}
    assert days <= {f"{datetime.now(UTC) - timedelta(seconds=ago_s + more):%Y%m%d}" for more in (0, 60)}


@pytest.mark.parametrize("ago_s", [DAY_S, -DAY_S])
def test_the_next_rotation_is_on_time_whatever_records_say(tmp_path: Path, ago_s: int) -> None:
    """Every record, of whatever time, is in the file of the second in which the call was made."""
    path = tmp_path / "app.log"
    logger = make_logger(timezone="utc")
    handler = StdlibHandler(logger)
    config = SinkConfig(path=path, format="{time:YYYYMMDD_HHmmss} {message}", rotation=timedelta(seconds=1))
    logger.add_sink(config)
    count = 0

    def enough() -> bool:
        nonlocal count
        for _ in range(100):
            handler.handle(made(time.time() - ago_s, f"far {count}"))
            logger.info("own {}", count)
            count += 1
        return len(rotated_files(path)) >= 3

    wait_until(enough)
    logger.close()
    lines = all_lines(path)
    assert [line.split(" ", 1)[1] for line in lines] == [f"{who} {i}" for i in range(count) for who in ("far", "own")]
    for file in rotated_files(path):
        own = {line.split()[0] for line in file.read_text().splitlines() if " own " in line}
        assert own <= {file.stem.removeprefix("app_")}


def test_lines_stay_in_the_order_of_the_calls(tmp_path: Path) -> None:
    """Two threads take turns, so that a thread's ring (where each has one) is merged with the other's."""
    path = tmp_path / "log"
    turns = [threading.Semaphore(1), threading.Semaphore(0)]
    with Logger(LoggerConfig(auto_sink=False)) as logger:
        logger.add_sink(SinkConfig(path=path, format="{message}"))
        handler = StdlibHandler(logger)

        def work(number: int) -> None:
            for i in range(300):
                assert turns[number].acquire(timeout=PATIENCE_S)
                if number:
                    # Later and later, of earlier and earlier times.
                    handler.handle(made(time.time() - i * DAY_S, f"1 {i}"))
                else:
                    logger.info("0 {}", i)
                turns[1 - number].release()

        threads = [threading.Thread(target=work, args=(number,)) for number in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
    assert lines_of(path) == [f"{number} {i}" for i in range(300) for number in (0, 1)]


def test_it_is_written_as_soon_as_any_other(tmp_path: Path) -> None:
    """The interval counts from the call: a record of tomorrow does not wait until then."""
    path = tmp_path / "log"
    with make_logger(async_flush_interval=5, flush_level=None) as logger:
        logger.add_sink(SinkConfig(path=path, format="{message}"))
        StdlibHandler(logger).handle(made(time.time() + DAY_S, "of tomorrow"))
        wait_until(path.read_text, "the line to be written")
    assert lines_of(path) == ["of tomorrow"]


# ---- recovery of a spool

FAR = f"""
import logging
from logly import StdlibHandler
for name, layout in (("text.log", {EVERYTHING!r}), ("json.log", "json")):
    logger.add_sink(SinkConfig(path=folder / name, format=layout, buffer_size=1 << 26))
handler = StdlibHandler(logger)
logger.info("first")
for size in (0, 500_000):
    record = logging.LogRecord("far", 30, "/far.py", 3, "far" + size * "x", (), None, func="f")
    record.created = {LONG_AGO} + size
    handler.handle(record)
logger.info("last")
"""


@pytest.mark.skipif(not hasattr(os, "pread") or not os.path.exists("/proc"), reason="spools: Linux")
def test_the_time_survives_the_recovery_of_a_spool(tmp_path: Path) -> None:
    dies(tmp_path, FAR)
    assert (tmp_path / "text.log").read_text() == ""
    assert revive(tmp_path, "text.log", layout=EVERYTHING, rotation="daily") == []
    texts = lines_of(tmp_path / "text.log")
    assert [line.split(" ", 3)[3][:5] for line in texts] == ["first", "far", "farxx", "last"]
    instants = [datetime.fromtimestamp(LONG_AGO + more).astimezone() for more in (0, 500_000)]
    assert [line[:26] for line in texts[1:3]] == [f"{one:%Y-%m-%d %H:%M:%S.%f}" for one in instants]
    own = [datetime.strptime(texts[place][:26], "%Y-%m-%d %H:%M:%S.%f") for place in (0, 3)]
    assert own[0] < own[1] <= datetime.now()
    assert rotated_files(tmp_path / "text.log") == []


@pytest.mark.skipif(not hasattr(os, "pread") or not os.path.exists("/proc"), reason="spools: Linux")
def test_the_time_survives_in_json_and_for_functions(tmp_path: Path) -> None:
    dies(tmp_path, FAR)
    seen: list[Record] = []
    with Logger(LoggerConfig(spool=tmp_path / "app.spool")) as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "json.log", json=True))
        logger.add_sink(SinkConfig(function=seen.append))
        assert logger.flush(PATIENCE_S)
    stamps = [json.loads(line)["timestamp"] for line in lines_of(tmp_path / "json.log")]
    assert stamps[1:3] == ["2023-11-14T22:13:20.250000Z", "2023-11-20T17:06:40.250000Z"]
    assert [one.time_ns for one in seen[1:3]] == [1_700_000_000_250_000_000, 1_700_500_000_250_000_000]
