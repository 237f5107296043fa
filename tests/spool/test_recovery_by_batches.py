"""What a dead process left, for batch sinks: nobody waits for the other side, and nothing of it is lost or given up."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from logly import Logger, LoggerConfig, SinkConfig
from tests.support.batches import Endpoint
from tests.support.forks import children_end_well, fork
from tests.support.spooling import dies, spools
from tests.support.waiting import PATIENCE_S, wait_until

if TYPE_CHECKING:
    from pathlib import Path

LEFT = [f"left {number}" for number in range(5)]


def left_by(folder: Path, processes: int) -> list[str]:
    for number in range(processes):
        own = folder / str(number)  # else each would recover what the one before left
        own.mkdir()
        dies(own, "for i in range(5): logger.info('left {}', i)")
        for spool in own.glob("app.spool*"):
            spool.rename(folder / spool.name)
    assert len(spools(folder)) == processes
    return LEFT * processes


def make(folder: Path, endpoint: object, told: list[Exception] | None = None, *, file: bool = True) -> Logger:
    """A logger whose patience would be an hour."""
    config = LoggerConfig(auto_sink=False, spool=folder / "app.spool", stall_timeout=3600)
    config.on_error = ([] if told is None else told).append
    logger = Logger(config)
    if file:
        logger.add_sink(SinkConfig(path=folder / "app.log", format="{message}"))
    logger.add_sink(SinkConfig(batch=endpoint, format="{message}", flush_interval=5))  # type: ignore[arg-type]
    return logger


def call(function: object, *arguments: object) -> None:
    """Calls on another thread: it must return, though the other side is down."""
    thread = threading.Thread(target=function, args=arguments, daemon=True)  # type: ignore[arg-type]
    thread.start()
    thread.join(PATIENCE_S)
    assert not thread.is_alive(), "the call waits for the other side"


@pytest.mark.parametrize("how", ["hangs", "fails"])
def test_the_first_call_and_files_do_not_wait_for_the_other_side(tmp_path: Path, how: str) -> None:
    left = left_by(tmp_path, 3)
    endpoint = Endpoint()
    if how == "hangs":
        endpoint.hang()
    else:
        endpoint.always = OSError("down")
    told: list[Exception] = []
    logger = make(tmp_path, endpoint, told)
    call(logger.info, "new")
    wait_until(lambda: (tmp_path / "app.log").read_text().splitlines() == [*left, "new"], "the file")
    endpoint.await_calls(1)
    assert len(spools(tmp_path)) == 4
    endpoint.always = None
    endpoint.go_on()
    wait_until(lambda: sorted(endpoint.lines) == sorted([*left, "new"]), "all lines, once")
    wait_until(lambda: len(spools(tmp_path)) == 1, "the spools' end")
    assert logger.flush(60)
    assert logger.close(60)
    assert (tmp_path / "app.log").read_text().splitlines() == [*left, "new"]
    assert [str(error) for error in told if str(error) != "down"] == []
    assert spools(tmp_path) == []


def test_what_is_not_sent_stays_for_the_next_start_and_files_get_it_once(tmp_path: Path) -> None:
    left = left_by(tmp_path, 2)
    told: list[Exception] = []
    down = Endpoint()
    down.always = OSError("down")
    for number in range(2):
        logger = make(tmp_path, down, told)
        logger.configure(stall_timeout=0.05)
        call(logger.info, f"new {number}")
        assert not logger.flush(60)
        call(logger.close)
        assert len(spools(tmp_path)) == 2
    assert not any("given up" in str(error) for error in told)
    endpoint = Endpoint()
    logger = make(tmp_path, endpoint, told)
    assert logger.flush(60)
    assert endpoint.lines == left
    assert logger.close(60)
    assert (tmp_path / "app.log").read_text().splitlines() == [*left, "new 0", "new 1"]
    assert spools(tmp_path) == []


def test_a_logger_with_batches_only_sends_it_too(tmp_path: Path) -> None:
    left = left_by(tmp_path, 2)
    endpoint = Endpoint()
    with make(tmp_path, endpoint, file=False) as logger:
        assert logger.flush(60)
        assert endpoint.lines == left
        assert len(spools(tmp_path)) <= 1


def test_the_function_is_called_by_one_thread_at_a_time(tmp_path: Path) -> None:
    left = left_by(tmp_path, 3)
    inside = threading.Lock()
    met: list[bool] = []
    endpoint = Endpoint()

    def send(lines: bytes, count: int) -> None:
        is_alone = inside.acquire(blocking=False)
        met.append(not is_alone)
        threading.Event().wait(0.02)
        endpoint(lines, count)
        if is_alone:
            inside.release()

    new = []
    with make(tmp_path, send) as logger:
        while not all(line in endpoint.lines for line in LEFT) or len(new) < 50 or endpoint.lines.count("left 4") < 3:
            new.append(f"new {len(new)}")
            logger.info(new[-1])
            threading.Event().wait(0.001)
        assert logger.flush(60)
    assert not any(met)
    assert sorted(endpoint.lines) == sorted(left + new)


def test_a_backlog_that_is_smaller_than_the_spool_loses_nothing(tmp_path: Path) -> None:
    dies(tmp_path, "for i in range(2000): logger.info('left {}', i)")
    endpoint = Endpoint()
    endpoint.hang()
    logger = Logger(LoggerConfig(auto_sink=False, spool=tmp_path / "app.spool", stall_timeout=3600))
    sink = SinkConfig(batch=endpoint, format="{message}", flush_interval=5, batch_bytes=100, batch_backlog=200)
    logger.add_sink(sink)
    call(logger.info, "new")
    endpoint.await_calls(1)
    endpoint.go_on()
    assert logger.flush(60)
    assert [line for line in endpoint.lines if "left" in line] == [f"left {number}" for number in range(2000)]
    assert logger.close(60)


def test_a_child_goes_on_without_its_parents_recovery(tmp_path: Path) -> None:
    left = left_by(tmp_path, 1)
    endpoint = Endpoint()
    endpoint.hang()
    logger = make(tmp_path, endpoint)
    call(logger.info, "new")
    endpoint.await_calls(1)

    def in_child() -> None:
        endpoint.go_on()
        endpoint.taken.clear()
        logger.info("child")
        assert logger.flush(60)
        assert endpoint.lines == ["child"]
        assert logger.close(60)

    children_end_well([fork(in_child)])
    endpoint.go_on()
    assert logger.flush(60)
    assert sorted(endpoint.lines) == sorted([*left, "new"])
    assert logger.close(60)
    assert spools(tmp_path) == []
