"""`Logger.hook_exceptions`: what must be said is said, because a hook waits until its own record is on stderr.

Each test is a program of its own, because hooks belong to the process.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.hooked import BEGIN, Ran
from tests.support.programs import start_program
from tests.support.waiting import PATIENCE_S

NEEDS_FORK = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")


def test_a_record_that_a_full_ring_drops_is_printed(tmp_path: Path) -> None:
    ran = Ran(
        tmp_path,
        """
import io
from logly import LoggerConfig
entered, go_on = threading.Event(), threading.Event()
class Stuck(io.StringIO):
    def write(self, text):
        entered.set()
        go_on.wait()
        return sys.__stderr__.write(text)
sys.stderr = Stuck()
logger = Logger(LoggerConfig(overflow="drop", async_buffer_size=65536))
logger.hook_exceptions()
logger.info("first")
entered.wait()
for size in 1000, 10, 0:
    dropped = logger.stats().dropped
    while logger.stats().dropped == dropped:
        logger.info("x" * size)
sys.stderr = sys.__stderr__
try:
    raise ValueError("dropped?")
except ValueError as error:
    sys.excepthook(ValueError, error, error.__traceback__)
go_on.set()
""",
    )
    assert ran.stderr.count("ValueError: dropped?") == 1


@pytest.mark.parametrize("begin", ["", pytest.param("if os.fork(): sys.exit(os.wait()[1] >> 8)", marks=NEEDS_FORK)])
def test_a_program_that_ends_at_once_has_said_it(tmp_path: Path, begin: str) -> None:
    """Until the hook returns, the record may be on its way only: nothing is written after `os._exit`."""
    ran = Ran(
        tmp_path,
        f"""
import os
logger = Logger()
logger.info("begin")
logger.flush()
{begin}
def fail():
    raise ValueError("the end")
threading.excepthook = lambda about: os._exit(0)
logger.hook_exceptions()
threading.Thread(target=fail).start()
""",
    )
    assert ran.stderr.count("ValueError: the end") == 1


ENDS_AT_ONCE = """
import os
logger = Logger()
def fail():
    raise ValueError("the end")
threading.excepthook = lambda about: os._exit(0)
logger.hook_exceptions()
"""


@pytest.mark.parametrize("others", [1, 2])
def test_records_of_other_threads_are_not_taken_for_it(tmp_path: Path, others: int) -> None:
    ran = Ran(
        tmp_path,
        f"""{ENDS_AT_ONCE}
def log():
    while True:
        logger.info("busy")
for _ in range({others}):
    threading.Thread(target=log).start()
threading.Thread(target=fail).start()
""",
    )
    assert ran.stderr.count("ValueError: the end") == 1


def test_older_records_that_are_written_late_are_not_taken_for_it() -> None:
    program = f"""{BEGIN.replace("app.json", os.devnull)}{ENDS_AT_ONCE}
really_pause, exception_hooks.pause = exception_hooks.pause, lambda _: pause()
def pause():
    exception_hooks.pause = really_pause
    print("waits", flush=True)
for number in range(20_000):
    logger.info("older")
threading.Thread(target=fail).start()
"""
    process = start_program(program, says="waits", stderr=subprocess.PIPE)
    stderr = process.communicate(timeout=PATIENCE_S)[1]
    assert stderr.count("older") == 20_000
    assert stderr.count("ValueError: the end") == 1


def test_another_sink_that_hangs_does_not_hold_it_up(tmp_path: Path) -> None:
    ran = Ran(
        tmp_path,
        """
import time
exception_hooks._PATIENCE_S = 1
go_on = threading.Event()
console = Logger()
console.add_sink(stream="stderr")
console.add_sink(lambda record: go_on.wait())
console.hook_exceptions(warnings=True)
warnings.simplefilter("always")
began = time.monotonic()
for number in range(20):
    warnings.warn("hanging")
print(time.monotonic() - began)
go_on.set()
""",
    )
    assert ran.stderr.count("UserWarning: hanging") >= 20
    assert float(ran.stdout) < 10  # 20 x the patience otherwise


def test_a_hook_ends_no_run_of_equal_records(tmp_path: Path) -> None:
    ran = Ran(
        tmp_path,
        """
logger = Logger()
logger.add_sink(stream="stderr", dedup=3600)
logger.hook_exceptions(warnings=True)
warnings.simplefilter("always")
for _ in range(5):
    warnings.warn("equal")
""",
    )
    assert ran.stderr.count("UserWarning: equal") == 2
    assert "repeated 4 times" in ran.stderr


def test_what_fails_on_the_flushers_thread_stands_once_on_the_console(tmp_path: Path) -> None:
    ran = Ran(
        tmp_path,
        """
class Failing:
    def __del__(self):
        raise OSError("in the sink")
logger = Logger()
logger.add_sink(stream="stderr")
logger.add_sink(lambda record: Failing() and None)
logger.hook_exceptions()
logger.info("one")
logger.flush()
""",
    )
    assert ran.stderr.count("OSError: in the sink") == 1
    assert "| ERROR    | __main__:__del__" in ran.stderr


def test_what_fails_in_the_write_of_stderr_itself_is_printed(tmp_path: Path) -> None:
    """The record is not for that sink, which would never end."""
    ran = Ran(
        tmp_path,
        """
import io
class Failing:
    def __del__(self):
        raise OSError("in write")
class Stream(io.StringIO):
    def write(self, text):
        if "one" in text:
            Failing()
        return sys.__stderr__.write(text)
sys.stderr = Stream()
logger = Logger()
logger.hook_exceptions()
logger.info("one")
logger.flush()
""",
    )
    assert ran.stderr.count("OSError: in write") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="no gevent there")
def test_other_greenlets_run_while_a_hook_waits(tmp_path: Path) -> None:
    pytest.importorskip("gevent")
    ran = Ran(
        tmp_path,
        """
import gevent, io
go_on = threading.Event()
class Stuck(io.StringIO):
    def write(self, text):
        go_on.wait()
        return sys.__stderr__.write(text)
sys.stderr = Stuck()
logger = Logger()
logger.hook_exceptions()
gevent.spawn(go_on.set)
sys.excepthook(OSError, OSError("once"), None)
print(go_on.is_set())
""",
    )
    assert ran.stdout == "True\n"
    assert ran.stderr.count("OSError: once") == 1
