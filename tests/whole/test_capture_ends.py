"""Where captures end: with threads that make loggers meanwhile, with Ctrl-C, in a forked child."""

from __future__ import annotations

import gc
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from logly import Logger, SinkConfig, capture
from logly.control import process
from logly.control.capture_sink import CaptureSink, Collector
from logly.control.controller import Controller
from tests.support.forks import children_end_well, fork
from tests.support.loggers import counting_logger, file_logger, make_logger
from tests.support.spooling import dies


@pytest.fixture
def logger() -> Iterator[Logger]:
    yield from counting_logger(level="error")


def in_thread(function: Callable[[], Any]) -> None:
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def captures_of(logger: Logger) -> int:
    return sum(isinstance(sink, CaptureSink) for sink in logger._controller.sinks.values())


def assert_free(*loggers: Logger) -> None:
    """No capture holds their gates down."""
    for logger in loggers:
        assert captures_of(logger) == 0
        assert not logger.is_enabled_for("trace")
    assert process.watchers == []


# ---- entered twice


def test_a_capture_is_entered_once_at_a_time(logger: Logger) -> None:
    one = capture(logger)
    with one as records:
        with pytest.raises(RuntimeError, match="entered already"), one:
            pass
        failed: list[BaseException] = []

        def enter() -> None:
            try:
                with one:
                    pass
            except RuntimeError as error:
                failed.append(error)

        in_thread(enter)
        assert len(failed) == 1
        logger.debug("still there")
        assert records.messages == ["still there"]
    assert_free(logger)


# ---- threads


def test_a_logger_that_another_thread_makes_at_the_beginning_is_captured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Logger] = []
    real = process.controllers

    def controllers() -> list[Controller]:
        if not made:
            in_thread(lambda: made.append(make_logger(level="error")))
        return real()

    monkeypatch.setattr(process, "controllers", controllers)
    with capture() as records:
        made[0].info("once")
        assert records.messages == ["once"]
    assert_free(*made)
    made[0].close()


def test_a_capture_that_ends_meanwhile_keeps_no_other_from_a_new_logger(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = capture(), capture()
    real = Collector._add
    ended: list[bool] = []

    def add(self: Collector, controller: Controller) -> None:
        real(self, controller)
        if self is collector and not ended:
            ended.append(True)
            in_thread(lambda: first.__exit__(None, None, None))

    first.__enter__()
    collector = first._entered[0]
    # The watcher is the bound method that was there at the beginning: it is asked for anew.
    process.watchers[:] = [lambda controller: add(collector, controller)]
    with second as records:
        made = make_logger(level="error")
        made.info("seen")
        assert records.messages == ["seen"]
        assert captures_of(made) == 1
    process.watchers.clear()
    assert ended
    assert_free(made)
    made.close()


def test_a_capture_that_ends_while_a_logger_is_made_leaves_no_sink(monkeypatch: pytest.MonkeyPatch) -> None:
    capturing = capture()
    capturing.__enter__()
    real = Controller.add_own

    def add_own(self: Controller, make: Any) -> Any:
        in_thread(lambda: capturing.__exit__(None, None, None))
        return real(self, make)

    monkeypatch.setattr(Controller, "add_own", add_own)
    made = make_logger(level="error")
    monkeypatch.undo()
    assert_free(made)
    made.close()


def test_threads_make_loggers_while_captures_begin_and_end() -> None:
    stop = threading.Event()
    made: list[Logger] = []

    def make() -> None:
        while not stop.is_set() and len(made) < 200:
            made.append(make_logger(level="error"))

    threads = [threading.Thread(target=make) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(30):
        with capture() as records:
            with make_logger() as here:
                here.info("mine")
            assert records.count(("INFO", "mine")) == 1
    stop.set()
    for thread in threads:
        thread.join()
    assert_free(*made)
    for logger in made:
        logger.close()


def test_a_reader_beside_another_one_sees_what_was_logged_before(
    logger: Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one has taken the records, and has not put them into the list yet."""
    taken, go_on = threading.Event(), threading.Event()
    real = Collector.take

    def take(self: Collector) -> Any:
        found = real(self)
        if found:
            taken.set()
            assert go_on.wait(60)
        return found

    lengths: list[int] = []
    with capture(logger) as records:
        logger.info("1")
        monkeypatch.setattr(Collector, "take", take)
        one = threading.Thread(target=lambda: len(records))
        one.start()
        assert taken.wait(60)
        two = threading.Thread(target=lambda: lengths.append(len(records)))
        two.start()
        two.join(0.05)  # it waits for the other one, however long that takes
        go_on.set()
        one.join()
        two.join()
    assert lengths == [1]


# ---- Ctrl-C


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", [1, 2, 3])
def test_an_interrupted_end_leaves_no_sink(monkeypatch: pytest.MonkeyPatch, at: int, after: bool) -> None:
    loggers = [make_logger(level="error") for _ in range(3)]
    real = Controller.remove
    calls: list[int] = []

    def remove(self: Controller, number: int) -> bool:
        calls.append(number)
        if len(calls) != at:
            return real(self, number)
        if after:
            real(self, number)
        raise KeyboardInterrupt

    monkeypatch.setattr(Controller, "remove", remove)
    with pytest.raises(KeyboardInterrupt), capture() as records:
        loggers[0].info("one")
    assert_free(*loggers)
    assert records.messages == ["one"]
    for logger in loggers:
        logger.close()


@pytest.mark.parametrize("method", ["__init__", "begin", "_add", "_sinks"])
def test_an_interrupted_beginning_or_end_leaves_no_sink(
    logger: Logger, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    real = getattr(Collector, method)
    calls: list[None] = []

    def once(self: Collector, *arguments: Any) -> Any:
        calls.append(None)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return real(self, *arguments)

    monkeypatch.setattr(Collector, method, once)
    with pytest.raises(KeyboardInterrupt), capture():
        pass
    monkeypatch.undo()
    assert_free(logger)
    with capture(logger) as records:
        logger.info("and again")
    assert records.messages == ["and again"]


# ---- processes


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_captures_nothing(tmp_path: Path) -> None:
    with file_logger(tmp_path / "log", level="error") as logger, capture() as all_records, capture(logger) as records:
        logger.info("before")
        assert len(records) == 1

        def in_child() -> None:
            assert_free(logger)
            logger.info("child")
            logger.error("child")
            assert records.messages == ["before"]
            with make_logger(level="error") as new, capture(new) as own:
                new.info("of the child")
                assert own.messages == ["of the child"]
            assert_free(logger)

        children_end_well([fork(in_child)])
        logger.info("after")
        assert records.messages == ["before", "after"]
        assert all_records.messages == ["before", "after"]
    with open(tmp_path / "log") as log:
        assert log.read() == "child\n"


def test_what_a_dead_process_left_is_not_captured(tmp_path: Path) -> None:
    dies(tmp_path, "for i in range(3): logger.info('dead {}', i)")
    with capture() as records:
        with make_logger(spool=tmp_path / "app.spool") as logger:
            logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{message}"))
            logger.info("alive")
            assert logger.flush(60)
        assert records.messages == ["alive"]
    assert "dead 0" in (tmp_path / "app.log").read_text()


def test_the_records_do_not_keep_a_logger() -> None:
    logger = make_logger()
    with capture(logger) as records:
        logger.info("one")
    controller = weakref.ref(logger._controller)
    logger.close()
    del logger
    gc.collect()
    assert controller() is None
    assert records.messages == ["one"]
