"""Batch functions that never return, and functions that say impossible things: no endless wait, no loss."""

from __future__ import annotations

import gc
import sys
import threading
from typing import Any

import pytest

import logly.outlets.outlet
from logly import BatchRefused, Logger, RetryBatch
from logly.outlets.outlet import Outlet
from tests.support.batches import Endpoint, batch_sink, log_numbers
from tests.support.loggers import assert_books, make_logger
from tests.support.waiting import PATIENCE_S, wait_until


class Aside:
    """A call on another thread, which must return."""

    def __init__(self, call: Any) -> None:
        self.result: Any = None

        def run() -> None:
            self.result = call()

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()

    def returns(self) -> Any:
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive(), "the call has not returned"
        return self.result


def logger_of(endpoint: Any, told: list[Exception] | None = None, **settings: Any) -> Logger:
    logger = make_logger(on_error=([] if told is None else told).append, stall_timeout=0.1)
    batch_sink(logger, endpoint, **settings)
    return logger


# ---- nobody waits for ever


def test_a_flush_and_a_close_without_a_time_limit_end_where_the_function_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logly.outlets.outlet, "HUNG_S", 0.5)
    endpoint = Endpoint()
    told: list[Exception] = []
    logger = logger_of(endpoint, told)
    endpoint.hang()
    logger.info("one")
    endpoint.await_calls(1)
    assert Aside(logger.flush).returns() is False
    assert_books(logger)
    assert logger.stats().pending == 1
    Aside(logger.close).returns()
    assert_books(logger)
    assert logger.stats().failed == 1
    assert "1 record could not be written before the logger was closed" in map(str, told)
    endpoint.go_on()


def test_a_flush_waits_for_a_call_that_is_only_slow() -> None:
    endpoint = Endpoint()
    logger = logger_of(endpoint)
    endpoint.hang()
    logger.info("one")
    endpoint.await_calls(1)
    flush = Aside(logger.flush)
    assert not logger.flush(1)  # ten times the stall time
    endpoint.go_on()
    assert flush.returns() is True
    assert logger.close(60)


def test_a_flush_and_a_close_end_where_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = Endpoint()
    told: list[Exception] = []
    logger = logger_of(endpoint, told)
    with monkeypatch.context() as patch:
        patch.setattr(Outlet, "start", lambda _: False)
        logger.info("one")
        assert Aside(logger.flush).returns() is False
        wait_until(lambda: any("no thread can be started" in str(error) for error in told))
    assert logger.flush(60)
    assert endpoint.lines == ["one"]
    assert logger.close(60)
    assert_books(logger, 1)


def test_a_flush_ends_where_the_thread_does_not_get_to_the_function(monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()
    monkeypatch.setattr(logly.outlets.outlet, "HUNG_S", 0.5)
    monkeypatch.setattr(Outlet, "_step", lambda _: go.wait(PATIENCE_S) and False)
    logger = logger_of(Endpoint())
    logger.info("one")
    assert Aside(logger.flush).returns() is False
    Aside(logger.close).returns()
    go.set()


# ---- what a function raises may be anything


def test_an_exception_of_the_users_own_that_is_made_by_halves_is_a_retry() -> None:
    class Throttled(RetryBatch):
        def __init__(self, seconds: float) -> None:
            self.after = seconds  # without `super().__init__`

    endpoint = Endpoint(Throttled(0.001))
    logger = logger_of(endpoint)
    logger.info("one")
    wait_until(lambda: logger.flush(60))
    assert endpoint.lines == ["one"]
    assert len(endpoint.calls) == 2
    assert logger.close(60)
    assert_books(logger, 1)


def wrong_number() -> Exception:
    trouble = RetryBatch("wrong", again=[0])
    trouble.again = 5  # type: ignore[assignment]
    return trouble


@pytest.mark.parametrize(
    ("make", "told_of"),
    [
        (wrong_number, "not iterable"),
        (
            lambda: RetryBatch("counted from 1", again=[1, 2, 3]),
            "again has the number 3, but the batch has lines 0 to 2",
        ),
        (lambda: RetryBatch("negative", again=[-1]), "again has the number -1"),
        (lambda: RetryBatch("counted from 1", again=[0], refused=[3]), "refused has the number 3"),
        (lambda: BatchRefused("counted from 1", refused=[3]), "refused has the number 3"),
    ],
)
def test_what_makes_no_sense_keeps_the_whole_batch_with_a_pause_and_is_told(make: Any, told_of: str) -> None:
    endpoint = Endpoint(make(), make())
    told: list[Exception] = []
    unraisable: list[Any] = []
    before, sys.unraisablehook = sys.unraisablehook, unraisable.append
    try:
        logger = logger_of(endpoint, told, flush_interval=3_600_000)
        expected = log_numbers(logger, range(3))
        wait_until(lambda: logger.flush(60))
        assert endpoint.lines == expected
        assert len(endpoint.calls) == 3
        stats = logger.stats()
        assert (stats.written, stats.failed) == (3, 0)
        assert logger.close(60)
        assert_books(logger, 3)
    finally:
        sys.unraisablehook = before
    assert told_of in str(told[0])
    assert unraisable == []


def test_a_thread_that_an_error_ends_is_told_and_replaced_after_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []

    def no_memory(handle: Any) -> Any:
        taken.append(1)
        if len(taken) < 3:
            raise MemoryError("no memory for a batch")
        return real(handle)

    real = logly.outlets.outlet.batch_take
    monkeypatch.setattr(logly.outlets.outlet, "batch_take", no_memory)
    monkeypatch.setattr(logly.outlets.outlet, "RESTART_PAUSE_S", 3600.0)
    monkeypatch.setattr(logly.outlets.outlet, "HUNG_S", 0.5)
    endpoint = Endpoint()
    told: list[Exception] = []
    logger = logger_of(endpoint, told)
    logger.info("one")
    assert Aside(logger.flush).returns() is False
    logger.info("two")
    assert Aside(logger.flush).returns() is False
    assert len(taken) == 1, "no other thread before the pause is over"
    assert "no memory for a batch" in map(str, told)
    logger.close(60)
    assert_books(logger)


def test_a_thread_that_an_error_ends_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    fails = [MemoryError("once"), MemoryError("twice")]

    def no_memory(handle: Any) -> Any:
        if fails:
            raise fails.pop()
        return real(handle)

    real = logly.outlets.outlet.batch_take
    monkeypatch.setattr(logly.outlets.outlet, "batch_take", no_memory)
    monkeypatch.setattr(logly.outlets.outlet, "RESTART_PAUSE_S", 0.01)
    endpoint = Endpoint()
    logger = logger_of(endpoint)
    logger.info("one")
    wait_until(lambda: endpoint.lines == ["one"])
    assert logger.close(60)
    assert_books(logger, 1)


def test_no_object_is_made_while_the_engine_is_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A garbage collection runs any code: a finalizer that logs would wait for the lock that its own thread has."""
    cores: list[Any] = []
    held: list[bool] = []
    looks_at: list[int] = []

    def collects(_phase: str, _info: object) -> None:
        if looks_at == [threading.get_ident()]:
            held.append(bool(cores[0].must_not_wait()))

    def ends(handle: Any, serial: int) -> Any:
        thresholds = gc.get_threshold()
        looks_at.append(threading.get_ident())
        gc.set_threshold(1)
        keep: list[Any] = []
        try:
            for number in range(10):
                keep.extend([] for _ in range(number % 4))
                found = real(handle, serial)
                keep.append(found)
        finally:
            gc.set_threshold(*thresholds)
            looks_at.clear()
        return found

    real = logly.outlets.outlet.batch_ends
    monkeypatch.setattr(logly.outlets.outlet, "batch_ends", ends)
    endpoint = Endpoint(RetryBatch("429", again=[0]))
    logger = logger_of(endpoint)
    cores.append(logger._controller.core)
    gc.callbacks.append(collects)
    try:
        log_numbers(logger, range(50))
        wait_until(lambda: logger.flush(60))
    finally:
        gc.callbacks.remove(collects)
    assert held
    assert not any(held)
    logger.close(60)


# ---- pauses


class Pauses:
    """Which pauses an outlet asks the core for; no call waits for them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[tuple[float, float]] = []
        real = logly.outlets.outlet.batch_retry

        def retry(handle: Any, serial: int, pause_s: float, held_s: float = 0.0) -> bool:
            self.asked.append((pause_s, held_s))
            return real(handle, serial, 0.0, 0.0)

        monkeypatch.setattr(logly.outlets.outlet, "batch_retry", retry)


def test_pauses_grow_where_nothing_of_a_batch_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = Pauses(monkeypatch)
    endpoint = Endpoint(*(RetryBatch("429 for each", again=[0, 1]) for _ in range(8)))
    logger = logger_of(endpoint, flush_interval=3_600_000)
    log_numbers(logger, range(2))
    wait_until(lambda: logger.flush(60))
    asked = [pause_s for pause_s, _ in pauses.asked]
    assert len(asked) == 8
    for number, pause_s in enumerate(asked):
        longest = min(30.0, 0.5 * 2**number)
        assert longest / 2 <= pause_s <= longest
    logger.close(60)


def test_a_pause_begins_anew_where_something_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = Pauses(monkeypatch)
    down = [OSError("down") for _ in range(6)]
    endpoint = Endpoint(*down, RetryBatch("429 for one", again=[1]))
    logger = logger_of(endpoint, flush_interval=3_600_000)
    log_numbers(logger, range(2))
    wait_until(lambda: logger.flush(60))
    assert pauses.asked[5][0] >= 8.0
    assert pauses.asked[6][0] <= 0.5
    logger.close(60)


def test_a_pause_that_the_function_asks_for_is_never_shorter_than_one_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Retry-After: 0, or a date that is over, is no reason to come back at once; and not all come back at once."""
    pauses = Pauses(monkeypatch)
    endpoint = Endpoint(*(RetryBatch("503", after=after) for after in (0.0, 0.0, 0.0, *([100.0] * 20))))
    logger = logger_of(endpoint, flush_interval=3_600_000)
    logger.info("one")
    wait_until(lambda: logger.flush(60))
    assert [pause_s >= 0.25 * 2**number for number, (pause_s, _) in enumerate(pauses.asked[:3])] == [True] * 3
    later = pauses.asked[3:]
    assert all(100.0 <= held_s <= pause_s <= 110.0 for pause_s, held_s in later)
    assert len({pause_s for pause_s, _ in later}) > 1
    logger.close(60)


def test_bytes_are_counted_as_written_when_they_are_taken() -> None:
    endpoint = Endpoint(RetryBatch("one is too many", again=[2], refused=[1]), BatchRefused("never"))
    logger = logger_of(endpoint, flush_interval=3_600_000)
    sink = logger.list_sinks()[0]
    for line in ("a", "bb", "cccc"):
        logger.info(line)
    wait_until(lambda: logger.flush(60))
    stats = logger.sink_stats(sink)
    assert (stats.written, stats.failed) == (1, 2)
    assert stats.bytes_written - sum(len(lines) for lines in endpoint.taken) == len("a\n")
    assert logger.close(60)
