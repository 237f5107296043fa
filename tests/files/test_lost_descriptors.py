"""Descriptors that other code has closed, as a daemoniser does, and that belong to the program's own files by now."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.programs import run_program

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="os.closerange and flock are POSIX's")

START = """
import fcntl, os, sys
from logly import Logger, LoggerConfig, SinkConfig

folder = sys.argv[1]
told = []
logger = Logger(LoggerConfig(auto_sink=False, on_error=told.append))

def close_everything():
    os.closerange(3, 64)

def close_all_but(kept):
    for fd in set(range(3, 64)) - set(kept):
        try:
            os.close(fd)
        except OSError:
            pass

def take_descriptors():
    # The lowest numbers that are free, which were logly's: an open file for each.
    return [os.open(f"{folder}/stranger.{i}", os.O_RDWR | os.O_CREAT) for i in range(8)]

def is_untouched(strangers):
    for fd in strangers:
        assert os.fstat(fd).st_size == 0, os.pread(fd, 100, 0)
        other = os.open(f"/proc/self/fd/{fd}", os.O_RDWR)  # another open file, which a lock of the first one would stop
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(other)

def log(first, count):
    for i in range(first, first + count):
        logger.info("line {}", i)
        logger.flush(10)
"""
DAEMON = """
log(0, 1)
close_everything()
strangers = take_descriptors()
log(1, 500)
is_untouched(strangers)
assert logger.close(10)
is_untouched(strangers)
assert len(told) == 1, told
assert type(told[0]).__name__ == "SinkError", told
assert told[0].filename == folder + "/app.log", told
"""
LINES = [f"line {i}" for i in range(501)]
KINDS = {
    "asynchronous": "",
    "synchronous": "async_write=False",
    "rotating": "size_limit=1 << 20",
    "rotating by time": "rotation='daily', async_write=False",
    "watched": "watch=True",
}


def sink(options: str) -> str:
    return f'logger.add_sink(SinkConfig(path=folder + "/app.log", format="{{message}}", {options}))\n'


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS.keys())
def test_no_line_gets_into_a_file_that_has_taken_the_number(options: str, tmp_path: Path) -> None:
    run_program(START + sink(options) + DAEMON, tmp_path)
    assert (tmp_path / "app.log").read_text().splitlines() == LINES


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS.keys())
def test_nor_in_a_daemon_that_was_forked(options: str, tmp_path: Path) -> None:
    # Its first write is checked however short the pause was: it may close and open within microseconds of its fork.
    code = """
log(0, 1)
pid = os.fork()
if pid:
    assert os.waitpid(pid, 0)[1] == 0
    os._exit(0)
close_everything()
strangers = take_descriptors()
log(1, 500)
is_untouched(strangers)
os._exit(0 if logger.close(10) else 1)
"""
    run_program(START + sink(options) + code, tmp_path)
    assert (tmp_path / "app.log").read_text().splitlines() == LINES


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS.keys())
def test_a_closed_descriptor_whose_number_is_free(options: str, tmp_path: Path) -> None:
    code = "log(0, 1)\nclose_everything()\nlog(1, 500)\nassert logger.close(10)\nassert len(told) == 1, told"
    run_program(START + sink(options) + code, tmp_path)
    assert (tmp_path / "app.log").read_text().splitlines() == LINES


def test_removing_the_sink_closes_no_strangers_file(tmp_path: Path) -> None:
    code = """
sink = logger.list_sinks()[0]
close_everything()
strangers = take_descriptors()
logger.remove_sink(sink)
is_untouched(strangers)
"""
    run_program(START + sink("size_limit=1 << 20") + code, tmp_path)


def test_reopen_closes_no_strangers_file(tmp_path: Path) -> None:
    code = """
close_everything()
strangers = take_descriptors()
logger.reopen()
log(0, 1)
is_untouched(strangers)
"""
    run_program(START + sink("size_limit=1 << 20") + code, tmp_path)
    assert (tmp_path / "app.log").read_text() == "line 0\n"


def test_filenos_are_what_a_daemoniser_must_leave_open(tmp_path: Path) -> None:
    code = """
own = logger.filenos()
assert len(own) == 2, own  # the file and its lock
assert own == sorted(own)
log(0, 1)
close_all_but(own)
strangers = take_descriptors()
log(1, 500)
is_untouched(strangers)
assert not told
assert logger.filenos() == own
logger.close()
assert logger.filenos() == []
"""
    run_program(START + sink("size_limit=1 << 20") + code, tmp_path)
    assert (tmp_path / "app.log").read_text().splitlines() == LINES


def test_a_descriptor_of_the_programs_is_not_among_them(tmp_path: Path) -> None:
    run_program(f"{START}logger.add_sink(SinkConfig(fd=1))\nassert logger.filenos() == []", tmp_path)


@pytest.mark.parametrize("target", ["fd=terminal", "stream='stdout'"])
def test_a_terminal_is_opened_anew(target: str, tmp_path: Path) -> None:
    code = f"""
control, terminal = os.openpty()
os.set_inheritable(control, False)
os.dup2(terminal, 1)
keep = {{control, terminal}}
logger.add_sink(SinkConfig({target}, format="{{message}}"))
log(0, 1)
assert len(logger.filenos()) == 1
close_all_but(keep)
strangers = take_descriptors()
log(1, 3)
is_untouched(strangers)
text = b""
while text.count(b"\\n") < 4:
    text += os.read(control, 1000)
assert text.split() == [b"line", b"0", b"line", b"1", b"line", b"2", b"line", b"3"], text
"""
    run_program(START + code, tmp_path)
