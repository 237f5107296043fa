"""Errors inside the logger's own work: they are told, other sinks and loggers go on, and nothing is left open."""

from __future__ import annotations

import os
import sys
from collections import deque
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from logly import Logger, SinkConfig
from logly._core import await_flusher_end
from logly.control import flusher_thread, plan
from logly.control import reports as reports_module
from logly.control.reports import ErrorReports, StderrReports
from tests.support.log_files import all_lines, lines_of, rotated_files
from tests.support.loggers import assert_books, make_logger
from tests.support.programs import run_program
from tests.support.waiting import wait_until

PRELUDE = """
import os, sys
from pathlib import Path
from logly import Logger, LoggerConfig, SinkConfig
folder = Path(sys.argv[1])

def file_logger(name, **config):
    logger = Logger(LoggerConfig(auto_sink=False, **config), name=name)
    logger.add_sink(SinkConfig(path=folder / name, format="{message}"))
    return logger
"""


# ---- the work of one sink


def unforeseen(*_: object) -> None:
    raise ZeroDivisionError


def test_an_unexpected_error_in_one_sink_s_work_is_told_and_the_work_is_done_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Exception] = []
    seen: list[str] = []
    with make_logger(on_error=told.append) as logger:
        broken = logger.add_sink(SinkConfig(function=lambda record: seen.append(record.message)))
        logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{message}"))
        sink = logger._controller.sinks[broken]
        with monkeypatch.context() as patch:
            patch.setattr(sink, "do_work", unforeseen)
            logger.info("line")
            wait_until(lambda: bool(told))
            wait_until(lambda: lines_of(tmp_path / "app.log") == ["line"])
            assert seen == []
        assert logger.flush(30)
        assert seen == ["line"]
        assert_books(logger, written=1)
    assert {type(error) for error in told} == {ZeroDivisionError}


def test_an_unexpected_error_in_a_rotation_is_told_and_it_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Exception] = []
    path = tmp_path / "app.log"
    with make_logger(on_error=told.append) as logger:
        sink_id = logger.add_sink(SinkConfig(path=path, format="{message}", size_limit=10))
        sink = logger._controller.sinks[sink_id]
        with monkeypatch.context() as patch:
            patch.setattr(sink, "rotate", unforeseen)
            for number in range(3):
                logger.info("{:09}", number)
            wait_until(lambda: bool(told))
            assert logger.flush(30)
            assert lines_of(path) == [f"{number:09}" for number in range(3)]

        def is_rotated() -> bool:
            logger.info("later")
            assert logger.flush(30)
            return bool(rotated_files(path))

        wait_until(is_rotated)
    assert all_lines(path)[:4] == ["000000000", "000000001", "000000002", "later"]
    assert {type(error) for error in told} == {ZeroDivisionError}


def test_work_for_a_sink_that_was_removed_meanwhile_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Exception] = []
    seen: list[str] = []
    asked: list[object] = []
    with make_logger(on_error=told.append) as logger:
        removed = logger.add_sink(SinkConfig(function=lambda record: seen.append(record.message)))
        logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{message}"))

        def do_work(work: object) -> None:
            asked.append(work)
            raise KeyError(removed)  # as every method of its handle does from then on

        with monkeypatch.context() as patch:
            patch.setattr(logger._controller.sinks[removed], "do_work", do_work)
            logger.info("line")
            wait_until(lambda: bool(asked))
            wait_until(lambda: lines_of(tmp_path / "app.log") == ["line"])
        assert logger.flush(30)
    assert told == []


# ---- sinks that come and go


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="looks into /proc")
def test_a_sink_that_cannot_be_added_after_its_file_was_opened_leaves_it_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_: object) -> None:
        raise MemoryError

    with make_logger() as logger:
        before = len(os.listdir("/proc/self/fd"))
        with monkeypatch.context() as patch:
            patch.setattr(plan, "commit", no_memory)
            with pytest.raises(MemoryError) as caught:
                logger.add_sink(SinkConfig(path=tmp_path / "app.log"))
        # The traceback holds the sink: its file is closed although the sink lives.
        assert len(os.listdir("/proc/self/fd")) == before
        assert caught.value is not None
        assert logger.list_sinks() == []


def test_a_removal_that_is_interrupted_is_completed_by_the_flusher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    # So long a stall time that the flusher does not close the sink because its remover has had time enough.
    with make_logger(stall_timeout=300) as logger:
        controller = logger._controller
        sink = logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{message}", buffer_size=1 << 20))
        logger.info("line")
        with monkeypatch.context() as patch:
            patch.setattr(controller, "_close_removed", interrupted)
            with pytest.raises(KeyboardInterrupt):
                logger.remove_sink(sink)
        assert logger.list_sinks() == []
        wait_until(lambda: not controller._leaving)  # a flush on this thread would close the sink itself
        assert lines_of(tmp_path / "app.log") == ["line"]


def test_two_threads_that_remove_a_sink_at_the_same_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with make_logger() as logger:
        controller = logger._controller
        sink = logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{message}"))
        logger.info("line")
        real = controller._await_written

        def await_while_another_closes(sink: Any) -> None:
            logger.flush(30)
            controller._close_leaving(at_once=True)
            real(sink)

        monkeypatch.setattr(controller, "_await_written", await_while_another_closes)
        assert logger.remove_sink(sink)
        assert not logger.remove_sink(sink)
        assert lines_of(tmp_path / "app.log") == ["line"]


# ---- reports


def test_an_error_that_is_reported_meanwhile_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads may report at once: the flusher, and one that closes the logger."""
    told: list[Exception] = []
    errors = [ValueError("first"), ValueError("second")]

    def on_error(error: Exception) -> None:
        told.append(error)
        reports.report_waiting()  # as another thread does

    core: Any = SimpleNamespace(errors=deque(errors))
    monkeypatch.setattr(reports_module, "call_on_error", lambda core, function, error: function(error))
    reports = ErrorReports(core, "app", on_error)
    reports.report_waiting()
    assert told == errors


def test_an_on_error_that_fails_is_told_on_stderr(tmp_path: Path) -> None:
    program = """
def on_error(error):
    raise RuntimeError("no mail server")

logger = file_logger("app.log", on_error=on_error)
logger.info("{:d}", "x")
logger.close()
"""
    done = run_program(PRELUDE + program, tmp_path, may_complain=True)
    assert done.stderr == "logly (app.log): RuntimeError: no mail server\n"


def test_a_stderr_that_cannot_be_written_ends_nothing(tmp_path: Path) -> None:
    program = """
logger = file_logger("app.log")
os.close(2)
assert os.open(os.devnull, os.O_RDONLY) == 2
logger.info("{:d}", "x")
logger.info("line")
logger.close()
"""
    done = run_program(PRELUDE + program, tmp_path)
    assert lines_of(tmp_path / "app.log")[-1] == "line"
    assert done.stderr == ""


def test_a_recursion_in_an_error_s_text_goes_up() -> None:
    class Deep(Exception):
        def __str__(self) -> str:
            raise RecursionError

    with pytest.raises(RecursionError):
        StderrReports("app").report(Deep())


# ---- the exit and forks


@pytest.mark.parametrize("first", [True, False])
def test_ctrl_c_while_one_logger_ends_does_not_keep_the_others_from_writing(tmp_path: Path, first: bool) -> None:
    program = f"""
from logly.control import process

def interrupted(*_):
    raise KeyboardInterrupt

loggers = [file_logger(str(number)) for number in range(3)]
for logger in loggers:
    logger.info("line")
ordered = [controller.name for controller in process.controllers()]
cut = ordered[{0 if first else -1}]
for logger in loggers:
    if logger._controller.name == cut:
        logger._controller.finish = interrupted
print(cut)
"""
    done = run_program(PRELUDE + program, tmp_path, may_complain=True)
    assert "KeyboardInterrupt" in done.stderr
    for name in {"0", "1", "2"} - {done.stdout.strip()}:
        assert lines_of(tmp_path / name) == ["line"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_logger_that_cannot_be_prepared_in_a_child_does_not_spoil_the_others(tmp_path: Path) -> None:
    program = """
def fail():
    raise RuntimeError("no lock")

told = []
broken = file_logger("broken", on_error=told.append)
broken._controller.levels.after_fork_in_child = fail
sound = file_logger("sound")
if os.fork() == 0:
    sound.info("child")
    sound.close()
    broken.info("child")
    broken.close()
    print(*told)
    sys.exit()
os.wait()
"""
    done = run_program(PRELUDE + program, tmp_path)
    assert lines_of(tmp_path / "sound") == ["child"]
    assert done.stdout == "no lock\n"


# ---- settings


def test_what_a_logger_is_and_that_it_can_be_switched_off_and_on(tmp_path: Path) -> None:
    with Logger(name="app") as logger:
        assert repr(logger) == "<Logger 'app', 0 sinks>"  # the console is not one of those that were added
        logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{message}"))
        assert repr(logger) == "<Logger 'app', 1 sinks>"
        logger.disable()
        logger.info("unheard")
        logger.enable()
        logger.info("heard")
    assert lines_of(tmp_path / "app.log") == ["heard"]


@pytest.mark.skipif(sys.platform == "win32", reason="descriptors")
def test_a_system_that_cannot_tell_a_descriptor_s_mode_takes_it(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)  # as on Windows
    with open(tmp_path / "app.log", "wb", buffering=0) as file, make_logger() as logger:
        logger.add_sink(SinkConfig(fd=file.fileno(), format="{message}"))
        logger.info("line")
        assert logger.flush(30)
    assert lines_of(tmp_path / "app.log") == ["line"]


def test_a_stop_between_the_check_and_the_start_of_the_flusher_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    launch = flusher_thread.launch_flusher
    launched: list[bool] = []

    def launch_late(core: Any, flusher: Any) -> bool:
        flusher.stop(0)
        launched.append(launch(core, flusher))
        return launched[-1]

    monkeypatch.setattr(flusher_thread, "launch_flusher", launch_late)
    with make_logger() as logger:
        logger.add_sink(lambda _: None)
        logger.info("m")
        logger.flush(10)
        assert await_flusher_end(logger._controller.core, 10, False)
    assert launched == [True]
