"""Signal handlers that log, and Ctrl-C at any moment."""

from __future__ import annotations

import os
import signal
import subprocess
import textwrap
from pathlib import Path
from random import Random

import pytest

from tests.support.log_files import lines_of
from tests.support.programs import run_program, start_program
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX signals")

INTERRUPTED = """
import os, sys
from logly import Logger, LoggerConfig, SinkConfig
path, mode = sys.argv[1:]
logger = Logger(LoggerConfig(auto_sink=False, async_buffer_size=4096))
logger.add_sink(SinkConfig(path=path, format="{message}", async_write=mode != "sync"))
if mode == "function":
    logger.add_sink(SinkConfig(function=lambda record: None))
i = 0
print("ready", flush=True)
try:
    # No `if` at the loop's end: CPython 3.14 does not let `except` catch what is raised in the jump back from there.
    while True:
        if mode == "flush" and i % 10 == 0:
            logger.flush()
        if mode == "close" and i % 10 == 0:
            logger.close()
            logger = Logger(LoggerConfig(auto_sink=False))
            logger.add_sink(SinkConfig(path=path, format="{message}"))
        logger.info("line {} {}", i, "x" * 200)
        i += 1
except KeyboardInterrupt:
    pass
logger.info("end {} {}", i, "")
assert logger.flush(30)
stats = logger.stats()
assert stats.emitted == stats.written + stats.dropped + stats.failed + stats.pending, stats
assert stats.pending == 0 and stats.failed == 0 and stats.dropped <= 1, stats
logger.close()
"""


@pytest.mark.parametrize("mode", ["async", "sync", "flush", "close", "function"])
def test_ctrl_c_at_any_moment(tmp_path: Path, mode: str) -> None:
    random = Random(mode)
    for attempt in range(3):
        path = tmp_path / f"{attempt}.log"
        with start_program(INTERRUPTED, path, mode, says="ready", stderr=subprocess.PIPE) as process:
            goal = random.randrange(200_000)
            wait_until(lambda path=path, goal=goal: path.exists() and path.stat().st_size >= goal, "the log to grow")
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, "")
        numbers = [int(line.split()[1]) for line in lines_of(path) if not line.startswith("logly: 1 record dropped")]
        # The last call may have been interrupted before its record was committed (then it is counted as dropped), or
        # after that and before the program counted it; so the last line has the number of the one before, or the next.
        assert numbers[:-1] == list(range(len(numbers) - 1))
        assert numbers[-1] in (len(numbers) - 1, len(numbers) - 2)


STORM = """
import os, signal, sys
from logly import Logger, LoggerConfig, SinkConfig
path, mode, ring = sys.argv[1:]
logger = Logger(LoggerConfig(auto_sink=False, async_buffer_size=int(ring)))
logger.add_sink(SinkConfig(path=path, format="{message}", async_write=mode != "sync"))
handled = 0
class Told:
    def __init__(self, text):
        self.text = text
    def __str__(self):
        return self.text
# The handler sets the timer for the next one: one that repeats would nest handlers faster than they end.
def handle(number, frame):
    global handled
    logger.info("handler {}", handled)
    if mode == "flush":
        logger.flush(30)
    handled += 1
    if handled < 2000:
        signal.setitimer(signal.ITIMER_REAL, 0.0001)
signal.signal(signal.SIGALRM, handle)
signal.setitimer(signal.ITIMER_REAL, 0.0001)
i = 0
while handled < 2000:
    logger.info("main {} {}", i, Told("text"))
    i += 1
assert logger.flush(30)
stats = logger.stats()
assert (stats.emitted, stats.written) == (i + handled, i + handled), stats
logger.close()
print(i, handled)
"""


@pytest.mark.parametrize("ring", [4096, 1 << 20], ids=["full", "empty"])
@pytest.mark.parametrize("mode", ["async", "sync", "flush"])
def test_a_storm_of_signals_whose_handler_logs(tmp_path: Path, mode: str, ring: int) -> None:
    path = tmp_path / "storm.log"
    main, handled = map(int, run_program(STORM, path, mode, ring).stdout.split())
    lines = lines_of(path)
    assert [line for line in lines if line.startswith("handler ")] == [f"handler {i}" for i in range(handled)]
    assert [int(line.split()[1]) for line in lines if line.startswith("main ")] == list(range(main))
    assert len(lines) == main + handled


def test_ctrl_c_ends_a_flush_that_waits(tmp_path: Path) -> None:
    program = textwrap.dedent("""
        import os, signal, threading, sys
        from logly import Logger, LoggerConfig, SinkConfig
        read, write = os.pipe()
        logger = Logger(LoggerConfig(auto_sink=False, stall_timeout=300))
        logger.add_sink(SinkConfig(fd=write, format="{message}"))
        logger.info("x" * 100_000)
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            logger.flush()
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        os._exit(0)
    """)
    assert run_program(program).stdout == "interrupted\n"
