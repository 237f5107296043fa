"""Batch sinks: what the function gets, when, and what becomes of a batch that it does not take."""

import threading
from pathlib import Path

import pytest

from logly import BatchRefused, ConfigError, LoglyError, RetryBatch, SinkConfig
from tests.support.batches import Endpoint, batch_sink, log_numbers
from tests.support.loggers import assert_books, make_logger
from tests.support.waiting import wait_until

KIB = 1 << 10


def test_the_function_gets_all_lines_in_order_in_batches_on_a_thread_of_its_own() -> None:
    endpoint = Endpoint()
    with make_logger() as logger:
        sink = batch_sink(logger, endpoint, batch_bytes="16 KiB")
        expected = log_numbers(logger, range(20_000))
        assert logger.flush(60)
        stats = logger.sink_stats(sink)
        assert endpoint.lines == expected
        assert all(len(lines) <= 16 * KIB and lines.endswith(b"\n") for lines in endpoint.taken)
        assert endpoint.counts == [lines.count(b"\n") for lines in endpoint.taken]
        assert (stats.written, stats.failed, stats.pending) == (20_000, 0, 0)
        assert (stats.writes, stats.bytes_written) == (len(endpoint.taken), sum(map(len, endpoint.taken)))
        assert endpoint.threads == {f"logly-batch-{sink}"}
        assert_books(logger, 20_000)


def test_a_line_longer_than_a_batch_is_a_batch_of_its_own() -> None:
    endpoint = Endpoint()
    with make_logger() as logger:
        batch_sink(logger, endpoint, batch_bytes=100)
        for text in ("a", "b" * 500, "c"):
            logger.info("{}", text)
        assert logger.flush(60)
        assert b"b" * 500 + b"\n" in endpoint.taken
        assert endpoint.lines == ["a", "b" * 500, "c"]


def test_a_record_of_several_lines_counts_once() -> None:
    endpoint = Endpoint()
    with make_logger() as logger:
        batch_sink(logger, endpoint, newlines="keep")
        logger.info("one\ntwo")
        assert logger.flush(60)
        assert (endpoint.taken, endpoint.counts) == ([b"one\ntwo\n"], [1])


def test_lines_wait_for_others_but_an_urgent_one_does_not() -> None:
    endpoint = Endpoint()
    with make_logger() as logger:
        batch_sink(logger, endpoint, flush_interval=3_600_000)
        logger.info("waits")
        logger.error("does not")
        endpoint.await_calls(1)
        wait_until(lambda: endpoint.lines == ["waits", "does not"])


def test_a_batch_that_fails_is_sent_again_and_counts_as_pending_until_it_is_taken() -> None:
    endpoint = Endpoint(OSError("down"), OSError("still down"))
    told: list[Exception] = []
    logger = make_logger(on_error=told.append, stall_timeout=60)
    sink = batch_sink(logger, endpoint)
    endpoint.hang()
    expected = log_numbers(logger, range(10))
    endpoint.await_calls(1)
    assert_books(logger)
    assert logger.stats().pending == 10
    endpoint.go_on()
    endpoint.await_calls(2)
    assert_books(logger)
    assert logger.sink_stats(sink).written == 0
    assert logger.flush(60)
    assert endpoint.lines == expected
    assert endpoint.calls[0] == endpoint.calls[1] == endpoint.calls[2] == endpoint.taken[0]
    assert logger.sink_stats(sink).write_errors == 2
    assert_books(logger, 10)
    logger.close()
    assert "down" in map(str, told)


def test_what_is_logged_meanwhile_waits_behind_a_failed_batch() -> None:
    endpoint = Endpoint(OSError("down"))
    with make_logger(on_error=lambda _: None, stall_timeout=60) as logger:
        batch_sink(logger, endpoint)
        expected = log_numbers(logger, range(3))
        endpoint.await_calls(1)
        expected += log_numbers(logger, range(3, 6))
        assert logger.flush(60)
        assert endpoint.lines == expected


def test_a_base_exception_of_the_function_does_not_end_the_sink() -> None:
    endpoint = Endpoint(SystemExit(1), KeyboardInterrupt())
    with make_logger(on_error=lambda _: None, stall_timeout=60) as logger:
        batch_sink(logger, endpoint)
        expected = log_numbers(logger, range(3))
        assert logger.flush(60)
        assert endpoint.lines == expected


# ---- what the function knows better


def test_a_refused_batch_is_given_up_at_once_counted_and_told() -> None:
    endpoint = Endpoint(BatchRefused("400 bad request"))
    told: list[Exception] = []
    logger = make_logger(on_error=told.append)
    sink = batch_sink(logger, endpoint)
    log_numbers(logger, range(5))
    assert logger.flush(60)
    stats = logger.sink_stats(sink)
    assert (stats.written, stats.failed, stats.pending) == (0, 5, 0)
    assert_books(logger)
    logger.info("after")
    assert logger.flush(60)
    assert endpoint.lines[0] == "after"
    logger.close()
    assert [str(error) for error in told] == ["5 records given up, which the batch function refused: 400 bad request"]
    assert isinstance(told[0].__cause__, BatchRefused)
    assert "logly: 5 records lost" in endpoint.lines[1]


def test_lines_that_are_refused_fail_and_the_others_are_written() -> None:
    endpoint = Endpoint(BatchRefused("two are bad", refused=[1, 3]))
    told: list[Exception] = []
    with make_logger(on_error=told.append) as logger:
        sink = batch_sink(logger, endpoint, flush_interval=3_600_000)
        log_numbers(logger, range(5))
        assert logger.flush(60)
        stats = logger.sink_stats(sink)
        assert (stats.written, stats.failed, stats.pending) == (3, 2, 0)
        assert len([lines for lines in endpoint.calls if b"lost" not in lines]) == 1
        assert_books(logger)
    assert str(told[0]).startswith("2 records given up")


@pytest.mark.parametrize("count", [2, 5])
def test_so_many_refused_lines_of_which_nobody_knows_fail(count: int) -> None:
    endpoint = Endpoint(BatchRefused("partial success", refused=count))
    with make_logger(on_error=lambda _: None) as logger:
        sink = batch_sink(logger, endpoint, flush_interval=3_600_000)
        log_numbers(logger, range(5))
        assert logger.flush(60)
        assert logger.sink_stats(sink).written == 5 - count
        assert logger.sink_stats(sink).failed == count
        assert_books(logger)


def test_only_what_was_not_taken_is_sent_again() -> None:
    endpoint = Endpoint(
        RetryBatch("two are too many", again=[1, 3], refused=[4], after=0.0),
        RetryBatch("one still is", again=[1], after=0.0),
    )
    told: list[Exception] = []
    with make_logger(on_error=told.append) as logger:
        sink = batch_sink(logger, endpoint, flush_interval=3_600_000)
        log_numbers(logger, range(5))
        assert logger.flush(60)
        assert endpoint.calls[:3] == [b"0\n1\n2\n3\n4\n", b"1\n3\n", b"3\n"]
        stats = logger.sink_stats(sink)
        assert (stats.written, stats.failed, stats.pending) == (4, 1, 0)
        assert_books(logger)
    assert any("1 record given up" in str(error) for error in told)


def test_a_pause_that_the_function_asks_for_is_kept_also_while_a_flush_waits() -> None:
    endpoint = Endpoint(RetryBatch("busy", after=3600.0))
    with make_logger(on_error=lambda _: None, stall_timeout=0.05) as logger:
        batch_sink(logger, endpoint)
        logger.info("one")
        endpoint.await_calls(1)
        assert not logger.flush(60)
        assert len(endpoint.calls) == 1
        assert logger.stats().pending == 1
        logger.close(60)
        assert_books(logger)
        assert logger.stats().failed == 1


def test_an_exception_that_is_made_wrongly_is_a_failure_like_any_other() -> None:
    def wrong(lines: bytes, count: int) -> None:
        endpoint(lines, count)
        if len(endpoint.calls) == 1:
            raise RetryBatch("busy", after="soon")  # type: ignore[arg-type]

    endpoint = Endpoint()
    told: list[Exception] = []
    with make_logger(on_error=told.append, stall_timeout=60) as logger:
        batch_sink(logger, wrong)
        logger.info("one")
        assert logger.flush(60)
        assert endpoint.lines == ["one", "one"]
        assert_books(logger, 1)
    assert "soon" in str(told[0])


@pytest.mark.parametrize("after", [-1.0, 1e300, float("nan")])
def test_a_pause_is_between_nothing_and_a_day(after: float) -> None:
    assert 0.0 <= (RetryBatch(after=after).after or 0.0) <= 86_400.0


# ---- a full backlog


def test_a_hung_function_delays_neither_callers_nor_other_sinks(tmp_path: Path) -> None:
    endpoint = Endpoint()
    told: list[Exception] = []
    logger = make_logger(on_error=told.append, stall_timeout=3600)
    logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{message}"))
    sink = batch_sink(logger, endpoint, batch_bytes="4 KiB", batch_backlog="16 KiB")
    endpoint.hang()
    logger.info("first")
    endpoint.await_calls(1)
    expected = ["first", *log_numbers(logger, range(200_000))]
    wait_until(lambda: (tmp_path / "app.log").read_text().count("\n") == len(expected), "the file")
    stats = logger.sink_stats(sink)
    assert stats.pending * 6 <= 16 * KIB + 4 * KIB
    assert stats.failed + stats.pending == 200_001
    assert_books(logger)
    wait_until(lambda: told, "on_error")
    endpoint.go_on()
    assert logger.flush(60)
    assert endpoint.lines[0] == "first"
    last = [line for line in endpoint.lines if line.isdigit()]
    assert last == expected[-len(last) :], "the latest records are kept"
    assert any("records lost" in line for line in endpoint.lines)
    assert_books(logger)
    failed = logger.sink_stats(sink).failed
    logger.close()
    assert sum(int(str(error).split()[0]) for error in told) == failed
    assert "batch_backlog = 16384" in str(told[0])


def test_a_batch_that_waits_for_another_try_gives_way_when_the_backlog_is_full() -> None:
    endpoint = Endpoint()
    endpoint.always = OSError("a poisoned batch")
    logger = make_logger(on_error=lambda _: None)
    sink = batch_sink(logger, endpoint, batch_bytes=100, batch_backlog=200)
    logger.info("poison")
    endpoint.await_calls(1)
    wait_until(lambda: logger.sink_stats(sink).write_errors)
    endpoint.always = None
    lines = log_numbers(logger, range(100, 200))
    assert logger.flush(60)
    assert "poison" not in endpoint.lines
    kept = [line for line in endpoint.lines if line.isdigit()]
    assert kept[-1] == lines[-1]
    assert_books(logger)
    logger.close()


def test_what_several_sinks_give_up_counts_once() -> None:
    first, second = Endpoint(), Endpoint()
    logger = make_logger(on_error=lambda _: None)
    for endpoint in (first, second):
        endpoint.hang()
        batch_sink(logger, endpoint, batch_bytes="1 KiB", batch_backlog="2 KiB")
    log_numbers(logger, range(20_000))
    assert not logger.flush(0.5)
    assert_books(logger)
    first.go_on()
    second.go_on()
    assert logger.flush(60)
    assert_books(logger)
    stats = logger.stats()
    assert stats.pending == 0
    assert stats.failed <= 20_000
    logger.close()


# ---- flush, close, removal


def test_flush_waits_for_the_batch_that_is_under_way() -> None:
    endpoint = Endpoint()
    logger = make_logger(stall_timeout=0)
    batch_sink(logger, endpoint)
    endpoint.hang()
    logger.info("one")
    endpoint.await_calls(1)
    assert not logger.flush(0.2)
    endpoint.go_on()
    assert logger.flush(60)
    assert endpoint.lines == ["one"]
    logger.close()


def test_flush_does_not_wait_for_ever_where_the_other_side_is_down() -> None:
    endpoint = Endpoint()
    endpoint.always = OSError("down")
    with make_logger(on_error=lambda _: None, stall_timeout=0.05) as logger:
        batch_sink(logger, endpoint)
        logger.info("one")
        assert not logger.flush()
        endpoint.always = None
        assert logger.flush()
        assert endpoint.lines == ["one"]


def test_close_gives_up_what_it_could_not_send_counts_it_and_tells() -> None:
    endpoint = Endpoint()
    told: list[Exception] = []
    logger = make_logger(on_error=told.append)
    batch_sink(logger, endpoint)
    endpoint.hang()
    log_numbers(logger, range(10))
    endpoint.await_calls(1)
    logger.close(0.2)
    wait_until(lambda: logger.stats().pending == 0)
    assert_books(logger)
    assert logger.stats().failed == 10
    wait_until(lambda: told, "on_error")  # the flusher may complete the close
    assert [str(error) for error in told] == ["10 records could not be written before the logger was closed"]
    endpoint.go_on()
    wait_until(lambda: endpoint.taken)
    assert_books(logger)
    assert logger.stats().failed == 10


def test_close_ends_the_thread_and_later_records_are_sent_by_their_callers() -> None:
    endpoint = Endpoint()
    logger = make_logger()
    sink = batch_sink(logger, endpoint)
    logger.info("before")
    assert logger.close()
    assert not any(thread.name == f"logly-batch-{sink}" for thread in threading.enumerate())
    logger.info("after")
    assert endpoint.lines == ["before", "after"]
    assert endpoint.threads == {f"logly-batch-{sink}", threading.current_thread().name}
    assert_books(logger, 2)


def test_remove_sends_what_the_sink_holds() -> None:
    endpoint = Endpoint()
    with make_logger() as logger:
        sink = batch_sink(logger, endpoint, flush_interval=3_600_000, batch_bytes="1 KiB")
        expected = log_numbers(logger, range(5000))
        assert logger.remove_sink(sink)
        log_numbers(logger, range(5))
        assert endpoint.lines == expected
        wait_until(lambda: not any(thread.name == f"logly-batch-{sink}" for thread in threading.enumerate()))
        assert_books(logger)


def test_removal_of_a_sink_whose_other_side_is_down_counts_and_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    from logly.control.batch_sink import BatchSink

    monkeypatch.setattr(BatchSink, "exit_patience_s", 0.1)
    endpoint = Endpoint()
    endpoint.always = OSError("down")
    told: list[Exception] = []
    logger = make_logger(on_error=told.append, stall_timeout=0.05)
    sink = batch_sink(logger, endpoint)
    log_numbers(logger, range(7))
    assert logger.remove_sink(sink)
    assert_books(logger)
    assert logger.stats().failed == 7
    logger.close()
    assert "7 records could not be sent before the sink was removed" in map(str, told)


# ---- what the function does with the logger


def test_what_the_function_logs_goes_to_other_sinks_but_to_no_batch(tmp_path: Path) -> None:
    endpoint = Endpoint()
    other = Endpoint()

    def chatty(lines: bytes, count: int) -> None:
        logger.warning("sending {}", count)
        endpoint(lines, count)

    logger = make_logger()
    batch_sink(logger, chatty)
    batch_sink(logger, other)
    logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{message}"))
    logger.info("one")
    assert logger.flush(60)
    assert logger.close(60)
    assert (tmp_path / "app.log").read_text().splitlines() == ["one", "sending 1"]
    assert endpoint.lines == other.lines == ["one"]
    assert_books(logger, 2)


def test_flush_and_remove_in_the_function_do_not_wait_for_themselves() -> None:
    endpoint = Endpoint()
    answers: list[bool] = []

    def flushes(lines: bytes, count: int) -> None:
        endpoint(lines, count)
        answers.extend((logger.flush(), logger.remove_sink(sink)))

    logger = make_logger()
    sink = batch_sink(logger, flushes)
    logger.info("one")
    wait_until(lambda: len(answers) == 2)
    assert answers == [False, True]
    wait_until(lambda: not logger.stats().pending)
    assert_books(logger, 1)
    assert logger.close(60)


def test_close_in_the_function_lets_the_batch_be_written() -> None:
    answers: list[bool] = []

    def closes(_lines: bytes, _count: int) -> None:
        answers.append(logger.close())

    logger = make_logger()
    batch_sink(logger, closes)
    logger.info("one")
    wait_until(lambda: answers)
    wait_until(lambda: not logger.stats().pending)
    assert logger.close(60)
    assert_books(logger, 1)


# ---- with the other features of a sink


def test_filters_transform_and_repeats_come_before_the_batch() -> None:
    endpoint = Endpoint()
    with make_logger() as logger:
        batch_sink(logger, endpoint, filter=lambda record: record.fields.get("keep", True), dedup=60.0)
        logger.info("kept")
        logger.info("left out", keep=False)
        for _ in range(5):
            logger.info("again")
        assert logger.flush(60)
        assert endpoint.lines[:2] == ["kept", "again"]
        assert endpoint.lines[2].startswith("repeated 4 times")
        assert_books(logger, 7)


def test_what_the_recorder_kept_comes_before_the_record_that_failed() -> None:
    endpoint = Endpoint(OSError("down"))
    with make_logger(level="info", recorder="debug", on_error=lambda _: None) as logger:
        batch_sink(logger, endpoint)
        for number in range(3):
            logger.debug("kept {}", number)
        logger.error("failed")
        assert logger.flush(60)
        assert endpoint.lines == [*(f"[recorder] kept {number}" for number in range(3)), "failed"]
        assert endpoint.counts == [4]
        assert_books(logger)


def test_a_hung_batch_does_not_hold_a_spool(tmp_path: Path) -> None:
    endpoint = Endpoint()
    endpoint.hang()
    with make_logger(spool=tmp_path / "app.spool", async_buffer_size=4096, stall_timeout=3600) as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{message}"))
        batch_sink(logger, endpoint)
        expected = log_numbers(logger, range(5000))
        wait_until(lambda: (tmp_path / "app.log").read_text().splitlines() == expected)
        endpoint.go_on()
        assert logger.flush(60)
        assert endpoint.lines == expected


# ---- wrong settings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"path": "app.log"}, "path and batch are set"),
        ({"async_write": False}, "async_write = False cannot be used with batch"),
        ({"batch": 5}, "batch = 5 is not valid: use something that can be called"),
        ({"batch_bytes": 0}, "batch_bytes = 0 is not valid"),
        ({"batch_bytes": "2 MiB", "batch_backlog": "1 MiB"}, "batch_backlog = '1 MiB' is below batch_bytes = '2 MiB'"),
        ({"rotation": "daily"}, "rotation = 'daily' needs a file"),
    ],
)
def test_wrong_settings_are_told(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as told:
        SinkConfig(**{"batch": print, **settings}).validate()  # type: ignore[arg-type]
    assert message in str(told.value)


def test_the_exceptions_of_a_function_are_loglys_own() -> None:
    assert issubclass(RetryBatch, LoglyError)
    assert issubclass(BatchRefused, LoglyError)
