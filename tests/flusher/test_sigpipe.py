"""SIGPIPE with its default action, as command-line programs set it: logly's writes raise none, the program's own do."""

import signal
import sys

import pytest

from tests.support.programs import run_program

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGPIPE")

START = """
import os, signal, socket, sys, tempfile, threading
from logly import Logger, LoggerConfig, SinkConfig

signal.signal(signal.SIGPIPE, signal.SIG_DFL)
reader, writer = os.pipe()
os.close(reader)
told, is_told = [], threading.Event()

def on_error(error):
    told.append(error)
    if isinstance(error, BrokenPipeError):
        is_told.set()

logger = Logger(LoggerConfig(auto_sink=False, on_error=on_error, stall_timeout=0.1))
"""
TOLD = """
assert is_told.wait(60), told
"""
FIFO = """
folder = tempfile.TemporaryDirectory()
path = folder.name + "/fifo"
os.mkfifo(path)
reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
logger.add_sink(SinkConfig(path=path))
os.close(reader)
"""
SOCKET = """
ours, theirs = socket.socketpair()
theirs.close()
logger.add_sink(SinkConfig(fd=ours.fileno()))
"""
FORK = """
logger.add_sink(SinkConfig(fd=writer))
pid = os.fork()
logger.info("x")
logger.flush(10)
if pid == 0:
    os._exit(0 if is_told.wait(60) else 1)
assert os.waitpid(pid, 0)[1] == 0
"""
STDERR = """
logger.configure(LoggerConfig(auto_sink=False, stall_timeout=0.1))
logger.add_sink(SinkConfig(fd=writer))
os.dup2(writer, 2)
logger.info("x")
logger.close(10)
assert logger.stats().failed == 1
"""
STDOUT = """
os.dup2(writer, 1)
logger.add_sink(SinkConfig(stream="stdout"))
"""
OWN_STREAM = """
class Stream:
    def write(self, text):
        os.write(writer, text.encode())
logger.add_sink(SinkConfig(stream=Stream()))
"""
LINE = 'logger.info("x")\nlogger.flush(10)\n'

PROGRAMS = {
    "a pipe": f"logger.add_sink(SinkConfig(fd=writer))\n{LINE}{TOLD}",
    "a pipe, on the caller's thread": f"logger.add_sink(SinkConfig(fd=writer, async_write=False))\n{LINE}{TOLD}",
    "a FIFO": f"{FIFO}{LINE}{TOLD}",
    "a socket": f"{SOCKET}{LINE}{TOLD}",
    "stdout": f"{STDOUT}{LINE}{TOLD}logger.close(1)\nos._exit(0)",
    "a stream of the program's": f"{OWN_STREAM}{LINE}{TOLD}",
    "the report on stderr": STDERR,
    "after close": f"logger.add_sink(SinkConfig(fd=writer))\nlogger.close()\n{LINE}{TOLD}",
    "at exit": 'logger.add_sink(SinkConfig(fd=writer))\nlogger.info("x")',
    "in a forked child": FORK,
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS.keys())
def test_a_reader_that_is_gone_is_told_and_ends_nothing(program: str) -> None:
    run_program(START + program)


@pytest.mark.parametrize("name", ["a pipe", "a pipe, on the caller's thread", "a stream of the program's"])
def test_the_programs_own_writes_still_end_it(name: str) -> None:
    run_program(f'{START}{PROGRAMS[name]}os.write(writer, b"x")', returncode=-signal.SIGPIPE)


def test_a_sinks_function_is_the_program_too() -> None:
    sink = 'logger.add_sink(SinkConfig(function=lambda record: os.write(writer, b"x")))\n'
    run_program(START + sink + LINE, returncode=-signal.SIGPIPE)


@pytest.mark.parametrize("is_pending", [False, True])
def test_a_signal_that_the_program_holds_back_is_left_as_it_is(is_pending: bool) -> None:
    code = f"""{START}
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGPIPE])
if {is_pending}:
    try:
        os.write(writer, b"x")
    except BrokenPipeError:
        pass
logger.add_sink(SinkConfig(fd=writer, async_write=False))
logger.info("x")
{TOLD}
assert (signal.SIGPIPE in signal.sigpending()) == {is_pending}
assert signal.SIGPIPE in signal.pthread_sigmask(signal.SIG_BLOCK, [])
"""
    run_program(code)
