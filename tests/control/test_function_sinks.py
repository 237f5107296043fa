"""Function sinks: records on the flusher's thread, and what a function may do there."""

import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from logly import Logger, LoggerConfig, SinkConfig
from logly.record import Record
from tests.support.loggers import make_logger
from tests.support.waiting import wait_until


def test_a_function_gets_the_whole_record_on_the_flushers_thread() -> None:
    records: list[Record] = []
    threads: list[str] = []

    def take(record: Record) -> None:
        records.append(record)
        threads.append(threading.current_thread().name)

    with make_logger() as logger:
        logger.add_sink(SinkConfig(function=take))
        logger.bind(user=7).warning("order {} at {:.2f}", 42, 3.14159, side="buy")
        try:
            raise KeyError("lost")
        except KeyError:
            logger.exception("failed")
    record, failure = records
    assert (record.message, record.level, record.level_number) == ("order 42 at 3.14", "WARNING", 30)
    assert (record.module, record.function) == (
        __name__,
        test_a_function_gets_the_whole_record_on_the_flushers_thread.__name__,
    )
    assert record.fields == {"user": 7, "side": "buy"}
    assert record.filename == "test_function_sinks.py"
    assert record.thread == threading.get_ident()
    assert record.exception is None
    assert failure.exception is not None
    assert failure.exception.type == "KeyError"
    assert "lost" in failure.exception.stack
    assert all(name.startswith("logly-flusher") for name in threads)


def test_an_exception_is_counted_and_told_and_disturbs_nobody(tmp_path: Path) -> None:
    told: list[Exception] = []
    seen: list[str] = []

    def fragile(record: Record) -> None:
        if record.message.endswith("3"):
            raise ValueError(record.message)
        seen.append(record.message)

    logger = make_logger(on_error=told.append)
    sink = logger.add_sink(SinkConfig(function=fragile))
    logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{message}"))
    for i in range(20):
        logger.info("{}", i)
    assert logger.flush(20)
    counts = logger.sink_stats(sink)
    assert (counts.written, counts.failed, counts.pending) == (18, 2, 0)
    assert len(seen) == 18
    wait_until(lambda: [str(error) for error in told] == ["3", "13"])
    assert (tmp_path / "app.log").read_text() == "".join(f"{i}\n" for i in range(20))
    stats = logger.stats()
    assert (stats.written, stats.failed) == (18, 2)
    logger.close()


def test_a_large_batch_is_handed_over_in_order_and_whole() -> None:
    numbers: list[int] = []
    with make_logger() as logger:
        logger.add_sink(SinkConfig(function=lambda record: numbers.append(int(record.message))))
        for i in range(50_000):
            logger.info("{}", i)
    assert numbers == list(range(50_000))


def test_what_a_function_logs_goes_to_the_other_sinks_and_not_to_functions(tmp_path: Path) -> None:
    first: list[str] = []
    second: list[str] = []

    def logs(record: Record) -> None:
        first.append(record.message)
        logger.info("about {}", record.message)

    def logs_too(record: Record) -> None:
        second.append(record.message)
        logger.info("also about {}", record.message)

    logger = make_logger()
    logger.add_sink(SinkConfig(function=logs))
    logger.add_sink(SinkConfig(function=logs_too))
    logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{message}"))
    for i in range(1000):
        logger.info("{}", i)
    assert logger.flush(30)
    assert logger.close(30)
    expected = [str(i) for i in range(1000)]
    assert first == expected
    assert second == expected
    lines = (tmp_path / "app.log").read_text().splitlines()
    assert [line for line in lines if line.isdigit()] == expected
    assert [line for line in lines if line.startswith("about")] == [f"about {i}" for i in expected]
    assert [line for line in lines if line.startswith("also")] == [f"also about {i}" for i in expected]


def test_a_function_that_logs_more_than_the_ring_holds_does_not_deadlock(tmp_path: Path) -> None:
    def floods(record: Record) -> None:
        for i in range(500):
            logger.info("{} {}", record.message, i)

    logger = make_logger(async_buffer_size=4096)
    logger.add_sink(SinkConfig(function=floods))
    logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{message}"))
    for i in range(20):
        logger.info("{}", i)
    assert logger.flush(60)
    assert logger.close(60)
    assert logger.stats().emitted == 20 + 20 * 500
    assert len((tmp_path / "app.log").read_text().splitlines()) == 20 + 20 * 500


def test_flush_and_close_inside_a_function_return_at_once() -> None:
    answers: list[bool] = []

    def impatient(record: Record) -> None:
        answers.extend((logger.flush(), logger.flush(5), logger.close()))

    logger = make_logger()
    logger.add_sink(SinkConfig(function=impatient))
    logger.info("x")
    assert logger.flush(20)
    assert answers == [False, False, False]
    logger.info("y")
    assert logger.close(20)
    assert answers == [False] * 6


def test_a_function_may_remove_its_own_sink_and_add_others(tmp_path: Path) -> None:
    seen: list[str] = []

    def once(record: Record) -> None:
        seen.append(record.message)
        logger.remove_sink(sink)
        logger.add_sink(SinkConfig(path=tmp_path / "next.log", format="{message}"))

    logger = make_logger()
    sink = logger.add_sink(SinkConfig(function=once))
    logger.info("first")
    wait_until(lambda: logger.list_sinks() and sink not in logger.list_sinks())
    logger.info("second")
    assert logger.close(20)
    assert seen == ["first"]
    assert (tmp_path / "next.log").read_text() == "second\n"


def test_a_function_that_wants_the_sinks_while_the_logger_closes() -> None:
    began = threading.Event()

    def asks(record: Record) -> None:
        began.set()
        logger.disable_sink(logger.list_sinks()[-1])

    logger = make_logger()
    logger.add_sink(SinkConfig(function=asks))
    logger.add_sink(SinkConfig(function=lambda record: None))
    logger.info("x")
    assert logger.close(30)
    assert began.is_set()


def test_records_after_close_reach_the_function_too() -> None:
    seen: list[str] = []
    logger = make_logger()
    logger.add_sink(SinkConfig(function=lambda record: seen.append(record.message)))
    logger.info("early")
    logger.close()
    logger.info("late")
    assert seen == ["early", "late"]


def test_a_slow_function_holds_the_others_up_no_longer_than_the_stall_timeout(tmp_path: Path) -> None:
    entered, may_go = threading.Event(), threading.Event()

    def slow(record: Record) -> None:
        entered.set()
        assert may_go.wait(60)

    path = tmp_path / "app.log"
    logger = make_logger()
    logger.add_sink(SinkConfig(function=slow))
    logger.add_sink(SinkConfig(path=path, format="{message}", async_write=False))
    logger.info("first")
    assert entered.wait(30)
    # The flusher is in the function; the synchronous file is written by its caller.
    logger.info("second")
    assert path.read_text() == "first\nsecond\n"
    may_go.set()
    assert logger.close(30)


class Hanging:
    """A function sink that does not return before `may_go` is set."""

    def __init__(self) -> None:
        self.entered, self.may_go = threading.Event(), threading.Event()

    def __call__(self, record: Record) -> None:
        self.entered.set()
        assert self.may_go.wait(60)


@pytest.mark.parametrize("length", [10, 2000], ids=["within-the-backlog", "beyond-the-backlog"])
def test_the_file_goes_on_while_a_function_hangs(tmp_path: Path, length: int) -> None:
    hanging, path, count = Hanging(), tmp_path / "app.log", 2000
    logger = make_logger(async_buffer_size=16_384, stall_timeout=0.2)
    function = logger.add_sink(SinkConfig(function=hanging))
    file = logger.add_sink(SinkConfig(path=path, format="{message}"))
    logger.info("first")
    assert hanging.entered.wait(30)
    # Who finds the ring full makes room; who flushes has the file written.
    for i in range(count):
        logger.info("{} {}", i, "x" * length)
    assert not logger.flush(0.1)
    lines = [line.split()[0] for line in path.read_text().splitlines()]
    assert lines == ["first", *map(str, range(count))]
    assert (logger.sink_stats(file).written, logger.stats().dropped) == (count + 1, 0)
    hanging.may_go.set()
    wait_until(lambda: logger.flush(1))  # it had been given up: a flush says so at once, until it has caught up
    counts = logger.sink_stats(function)
    assert counts.written + counts.failed == count + 1
    assert (counts.failed > 0) == (length > 1000)
    assert logger.close(30)


def test_a_function_that_is_slower_than_its_callers_gets_everything() -> None:
    handled, count = 0, 3000

    def slow(record: Record) -> None:
        nonlocal handled
        threading.Event().wait(0.0002)
        handled += 1

    # More than the backlog holds, and it takes longer than the stall time; but it never stands still for so long.
    logger = make_logger(async_buffer_size=16_384, stall_timeout=0.3)
    logger.add_sink(SinkConfig(function=slow))
    for i in range(count):
        logger.info("{} {}", i, "x" * 2000)
    wait_until(lambda: logger.flush(1))
    stats = logger.stats()
    assert (handled, stats.written, stats.failed, stats.dropped) == (count, count, 0, 0)
    assert logger.close(30)


def test_a_synchronous_call_does_not_wait_for_a_function_that_hangs(tmp_path: Path) -> None:
    hanging, path = Hanging(), tmp_path / "app.log"
    logger = make_logger(stall_timeout=3600)
    logger.add_sink(SinkConfig(function=hanging))
    logger.add_sink(SinkConfig(path=path, format="{message}", async_write=False))

    def log() -> None:
        for i in range(20):
            logger.info("{}", i)
            seen.append(path.read_text().splitlines()[-1])

    seen: list[str] = []
    thread = threading.Thread(target=log, daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    assert hanging.entered.wait(30)
    assert seen == [str(i) for i in range(20)]
    hanging.may_go.set()
    assert logger.close(30)


@pytest.mark.parametrize("method", ["info", "exception"])
def test_an_on_error_that_logs_does_not_loop(tmp_path: Path, method: str, capfd: pytest.CaptureFixture[str]) -> None:
    def complain(error: Exception) -> None:
        getattr(logger, method)("told: {}", error)

    def fails(record: Record) -> None:
        raise ValueError(record.message)

    logger: Logger = make_logger(on_error=complain)
    logger.add_sink(SinkConfig(function=fails))
    logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{message}"))
    logger.info("once")
    assert logger.close(20)
    lines = (tmp_path / "app.log").read_text().splitlines()
    assert lines[0] == "once"
    told = [line for line in lines if line.startswith("told")]
    assert told[0] == "told: once"
    # There is no exception to show in on_error. That is told on stderr: on_error is not called for what it logs.
    assert told[1:] == []
    assert capfd.readouterr().err.count("no exception is being handled") == (method == "exception")


def test_a_number_that_cannot_be_parsed_any_more_is_given_as_text():
    records = []
    limit = sys.get_int_max_str_digits()
    with Logger(LoggerConfig(auto_sink=False, async_flush_interval=3_600_000)) as logger:
        logger.add_sink(SinkConfig(function=records.append))
        logger.info("first", n=0)
        assert logger.flush(30)  # the flusher runs, and sleeps until the next flush
        logger.info("large", n=10**1000)
        sys.set_int_max_str_digits(640)
        try:
            assert logger.flush(30)
        finally:
            sys.set_int_max_str_digits(limit)
        logger.info("next", n=10**1000)
        assert logger.flush(30)
    assert [record.fields["n"] for record in records] == [0, "1" + "0" * 1000, 10**1000]


def test_a_system_exit_leaves_no_record_behind_it_waiting(tmp_path):
    got = []

    def sink(record):
        got.append(record.message)
        if record.message == "0":
            raise SystemExit

    logger = Logger(LoggerConfig(auto_sink=False, async_flush_interval=60_000, on_error=lambda error: None))
    logger.add_sink(SinkConfig(function=sink))
    for i in range(5):
        logger.info("{}", i)
    assert logger.flush(30)
    assert got == [str(i) for i in range(5)]
    logger.close(5)


@pytest.mark.parametrize("ring", [1 << 12, 1 << 20])
def test_a_function_that_removes_its_own_sink_still_gets_what_was_logged_before(ring: int) -> None:
    logger = make_logger(async_buffer_size=ring)
    seen: list[str] = []
    removed: list[bool] = []
    gate = threading.Event()

    def take(record: Record) -> None:
        if not seen:
            assert gate.wait(60)
            removed.append(logger.remove_sink(sink))
        seen.append(record.message)

    sink = logger.add_sink(SinkConfig(function=take))
    for i in range(40):
        logger.info("{}", i)
    gate.set()
    wait_until(lambda: bool(removed))
    assert logger.list_sinks() == []
    logger.info("too late")
    assert logger.flush(60)
    wait_until(lambda: not logger._controller._leaving)
    assert seen == [str(i) for i in range(40)]
    stats = logger.stats()
    assert (stats.failed, stats.pending, stats.dropped) == (0, 0, 0)
    logger.close()


def test_closing_sees_off_a_sink_that_its_own_function_removed() -> None:
    logger = make_logger()

    def take(record: Record) -> None:
        logger.remove_sink(sink)

    sink = logger.add_sink(SinkConfig(function=take))
    logger.info("one")
    assert logger.close(60)
    assert logger._controller._leaving == {}
    assert logger.stats().written == 1


def test_a_function_gets_each_kind_of_value_as_it_was_logged() -> None:
    given = {
        "none": None,
        "yes": True,
        "no": False,
        "negative": -1,
        "of_64_bits": 2**64 - 1,
        "huge": -(2**70),
        "real": 0.5,
        "data": b"\xff\x00",
        "ascii": "a",
        "latin": "é",
        "wide": "→",
        "wider": "😀",
        "surrogate": "\udc80",
        "nested": {"a": [1, None]},
    }
    records: list[Record] = []
    with make_logger() as logger:
        logger.add_sink(SinkConfig(function=records.append))
        logger.info("m", **given)
    assert records[0].fields == given
    assert [type(value) for value in records[0].fields.values()] == [type(value) for value in given.values()]


def test_a_record_tells_its_time_and_what_it_is() -> None:
    records: list[Record] = []
    with make_logger() as logger:
        logger.add_sink(SinkConfig(function=records.append))
        before = datetime.now(UTC)
        logger.info("it's {}", 1)
        after = datetime.now(UTC)
    [record] = records
    assert record.time.utcoffset() is not None
    second = timedelta(seconds=1)  # the flusher's clock is read off another counter, and set right twice a second
    assert before - second <= record.time <= after + second
    assert abs(record.time.timestamp() - record.time_ns / 1e9) < 1e-5
    assert repr(record) == f'<Record INFO {record.module}:{record.function}:{record.lineno} "it\'s 1">'
