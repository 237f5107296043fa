"""Terminals and streams that are gone, or that cannot be asked: the lines go where they can, and nothing raises."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from logly import SinkConfig
from logly._core import Files
from logly.control.terminal import Terminal
from tests.support.log_files import lines_of
from tests.support.loggers import make_logger
from tests.support.programs import run_program
from tests.support.waiting import wait_until

if sys.platform == "win32":
    pytest.skip("terminals of POSIX", allow_module_level=True)

import pty
import tty


def test_a_terminal_s_writes_do_not_block_and_its_own_descriptor_stays_as_it_was() -> None:
    master, terminal = pty.openpty()
    files = Files()
    own = Terminal(files).nonblocking(terminal)
    assert own != terminal
    assert not os.get_blocking(own)
    assert os.get_blocking(terminal)
    files.close()
    os.close(terminal)
    os.close(master)


def test_what_is_no_terminal_or_not_open_is_written_as_it_is(tmp_path: Path) -> None:
    master, terminal = pty.openpty()
    with open(tmp_path / "file", "wb") as file:
        assert Terminal(Files()).nonblocking(file.fileno()) == file.fileno()
    # Opening this end by its name again would make a new terminal.
    assert Terminal(Files()).nonblocking(master) == master
    os.close(terminal)
    os.close(master)
    assert Terminal(Files()).nonblocking(terminal) == terminal


def test_a_terminal_that_cannot_be_opened_again_is_written_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name in /proc may belong to somebody else, or there is no descriptor left."""

    def refused(*_: object) -> Any:
        raise PermissionError("/proc/self/fd")

    master, terminal = pty.openpty()
    tty.setraw(terminal)
    monkeypatch.setattr("logly.control.terminal.open_descriptor", refused)
    with make_logger() as logger:
        logger.add_sink(SinkConfig(fd=terminal, format="{message}", color=False))
        logger.info("line")
        assert os.read(master, 100) == b"line\n"
    os.close(terminal)
    os.close(master)


@pytest.mark.parametrize("trouble", [AttributeError("isatty"), OSError(5, "gone"), ValueError("closed")], ids=repr)
def test_a_stream_that_cannot_tell_whether_it_is_a_terminal_gets_no_colours(trouble: Exception) -> None:
    class Odd(io.StringIO):
        def isatty(self) -> bool:
            raise trouble

    stream = Odd()
    with make_logger() as logger:
        logger.add_sink(SinkConfig(stream=stream, format="{level} {message}"))
        logger.error("line")
        assert logger.flush(30)
        assert stream.getvalue() == "ERROR line\n"


def test_a_stream_without_flush_and_one_whose_flush_fails_have_the_text() -> None:
    class Plain:
        text = ""

        def write(self, text: str) -> None:
            self.text += text

    class Fails(Plain):
        def flush(self) -> None:
            raise trouble

    told: list[Exception] = []
    trouble = OSError(5, "the terminal is gone")
    streams = [Plain(), Fails()]
    with make_logger(on_error=told.append) as logger:
        for stream in streams:
            logger.add_sink(SinkConfig(stream=stream, format="{message}"))
        logger.info("line")
        assert logger.flush(30)
        wait_until(lambda: told == [trouble])
    assert [stream.text for stream in streams] == ["line\n"] * 2


def test_a_stderr_that_the_program_has_closed_is_told_and_holds_nobody_up(tmp_path: Path) -> None:
    program = """
import sys
from logly import Logger, LoggerConfig, SinkConfig
told = []
logger = Logger(LoggerConfig(auto_sink=False, on_error=told.append, stall_timeout=60))
logger.add_sink(SinkConfig(format="{message}"))
logger.add_sink(SinkConfig(path=sys.argv[1], format="{message}"))
sys.stderr.close()
logger.info("line")
print(logger.flush(20), logger.stats().failed)
logger.close()
print(*map(repr, told))
"""
    said = run_program(program, tmp_path / "app.log").stdout
    lost = "LoglyError('1 record given up, for which sink 1 had no room')"
    assert said == f"True 1\nValueError('I/O operation on closed file.') {lost}\n"
    assert lines_of(tmp_path / "app.log") == ["line"]
