"""`Logger.hook_exceptions`: what is said once is said once, what must be said is said, and a hook harms no program.

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

# ---- once on the console


@pytest.mark.parametrize(
    "hooks",
    [
        "console.hook_exceptions(); console.hook_exceptions()",
        "console.hook_exceptions(); console.named('x').hook_exceptions()",
        "logger.hook_exceptions(); console.hook_exceptions()",
        "console.hook_exceptions(); logger.hook_exceptions()",
        "last = logger.hook_exceptions(); console.hook_exceptions(); last.remove()",
        "Logger(level='off').hook_exceptions(); console.hook_exceptions()",
    ],
)
def test_several_hooks_say_it_once_on_the_console(tmp_path: Path, hooks: str) -> None:
    ran = Ran(tmp_path, f"console = Logger()\n{hooks}\nraise ValueError('once')\n", returncode=1)
    assert ran.stderr.count("ValueError: once") == 1
    assert "| CRITICAL | __main__:<module>" in ran.stderr


def test_a_loop_that_is_hooked_twice_says_it_once(tmp_path: Path) -> None:
    ran = Ran(
        tmp_path,
        """
import asyncio
console = Logger()
def callback():
    raise LookupError("once")
async def main():
    loop = asyncio.get_running_loop()
    with logger.hook_exceptions(loop=loop), console.hook_exceptions(loop=loop), console.hook_exceptions(loop=loop):
        loop.call_soon(callback)
        await asyncio.sleep(0)
asyncio.run(main())
""",
    )
    assert ran.stderr.count("LookupError: once") == 1
    assert ran.only["exception"]["message"] == "once"


def test_what_fails_in_a_hook_is_another_event(tmp_path: Path) -> None:
    """The console has shown the first one. What fails while a logger below logs it is printed nevertheless."""
    ran = Ran(
        tmp_path,
        """
console = Logger()
made = []
class Failing:
    def __del__(self):
        made.append(self)
        raise OSError("in a hook")
class Bad(Exception):
    def __str__(self):
        Failing()
        return "bad"
class Resource:
    def __del__(self):
        raise Bad
logger.hook_exceptions()
console.hook_exceptions()
Resource()
print(len(made))
""",
    )
    assert int(ran.stdout) == ran.stderr.count("OSError: in a hook") > 1


def test_descriptor_2_is_stderr(tmp_path: Path) -> None:
    program = "logger = Logger()\nlogger.add_sink(fd=2)\nlogger.hook_exceptions()\nraise OSError('once')\n"
    ran = Ran(tmp_path, program, returncode=1)
    assert ran.stderr.count("OSError: once") == 1


# ---- not lost


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


PATIENT = """
import os
from logly.caller import exception_hooks
exception_hooks._PATIENCE_S = 60  # the machine may be slow
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
        f"""{PATIENT}
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
    program = f"""{BEGIN.replace("app.json", os.devnull)}{PATIENT}
really_pause, exception_hooks.pause = exception_hooks.pause, lambda _: pause()
def pause():
    exception_hooks.pause = really_pause
    print("waits", flush=True)
for number in range(30_000):
    logger.info("older")
threading.Thread(target=fail).start()
"""
    process = start_program(program, says="waits", stderr=subprocess.PIPE)
    stderr = process.communicate(timeout=PATIENCE_S)[1]
    assert stderr.count("older") == 30_000
    assert stderr.count("ValueError: the end") == 1


def test_another_sink_that_hangs_does_not_hold_it_up(tmp_path: Path) -> None:
    ran = Ran(
        tmp_path,
        """
import time
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


# ---- beside `logging`

LOOP = """
import asyncio, logging
from logly import StdlibHandler
def callback():
    raise LookupError("callback")
async def main():
    loop = asyncio.get_running_loop()
    hooked.hook_exceptions(loop=loop)
    loop.call_soon(callback)
    await asyncio.sleep(0)
"""


def test_handlers_of_logging_get_what_asyncio_tells_them(tmp_path: Path) -> None:
    ran = Ran(tmp_path, f"{LOOP}hooked = Logger()\nlogging.basicConfig(filename='std.log')\nasyncio.run(main())\n")
    assert (tmp_path / "std.log").read_text().count("LookupError: callback") == 1
    assert ran.stderr.count("LookupError: callback") == 1


def test_handlers_beside_logly_get_it_too(tmp_path: Path) -> None:
    program = """
hooked = logger
handlers = [StdlibHandler(logger), logging.FileHandler("std.log")]
logging.basicConfig(handlers=handlers)
asyncio.run(main())
"""
    ran = Ran(tmp_path, LOOP + program)
    assert (tmp_path / "std.log").read_text().count("LookupError: callback") == 1
    assert ran.only["exception"]["message"] == "callback"


WARN = """
import logging
from logly import StdlibHandler
logging.captureWarnings(True)
logging.basicConfig(handlers=[StdlibHandler(logger)])
"""


@pytest.mark.parametrize("more", ["", "logging.root.addHandler(logging.FileHandler('std.log'))"])
def test_a_warning_that_logging_captures_is_logged_once(tmp_path: Path, more: str) -> None:
    program = f"{WARN}{more}\nlogger.hook_exceptions(warnings=True)\nwarnings.warn('once')\n"
    ran = Ran(tmp_path, program)
    assert "UserWarning: once" in ran.only["message"]
    assert ran.only["module"] == ("py.warnings" if more else "__main__")
    if more:
        assert (tmp_path / "std.log").read_text().count("UserWarning: once") == 1
    assert ran.stderr == ""


def test_a_warning_is_logged_once_if_logging_captures_it_later(tmp_path: Path) -> None:
    ran = Ran(tmp_path, f"logger.hook_exceptions(warnings=True)\n{WARN}warnings.warn('once')\n")
    assert ran.only["module"] == "py.warnings"


def test_the_hook_of_warnings_ends_with_catch_warnings(tmp_path: Path) -> None:
    """As docs/exceptions.md says."""
    ran = Ran(
        tmp_path,
        """
with warnings.catch_warnings():
    logger.hook_exceptions(warnings=True)
    warnings.warn("inside")
warnings.warn("outside")
""",
    )
    assert ran.only["message"] == "UserWarning: inside"
    assert "outside" in ran.stderr


def test_a_captured_warning_that_the_hook_does_not_log_is_logged_by_logging(tmp_path: Path) -> None:
    program = f"{WARN}logger.hook_exceptions(warnings=True)\nwarnings.warn_explicit(Deep(), None, 'a.py', 1)\n"
    deep = """
class Deep(UserWarning):
    count = 0
    def __str__(self):
        Deep.count += 1
        if Deep.count == 2:
            raise RecursionError
        return "deep"
"""
    ran = Ran(tmp_path, deep + program)
    assert ran.only["module"] == "py.warnings"


# ---- a hook's own failure


def test_a_path_may_be_a_path(tmp_path: Path) -> None:
    program = """
import pathlib
logger.hook_exceptions(warnings=True)
warnings.showwarning(UserWarning("beware"), UserWarning, pathlib.Path("/x/a.py"), 1)
"""
    ran = Ran(tmp_path, program)
    assert (ran.only["message"], ran.only["module"], ran.only["lineno"]) == ("UserWarning: beware", "a", 1)
    assert "/x/a.py:1: UserWarning: beware" in ran.stderr


def test_a_log_call_that_fails_does_not_fail_the_program(tmp_path: Path) -> None:
    ran = Ran(
        tmp_path,
        """
warnings.showwarning = lambda *args: print("below")
class Deep(UserWarning):
    def __str__(self):
        return str(self)
class Odd(type):
    @property
    def __name__(self):
        raise ValueError
class Callback(metaclass=Odd):
    def __del__(self):
        raise OSError("boom")
    def __repr__(self):
        raise ValueError
logger.hook_exceptions(warnings=True)
warnings.showwarning(Deep(), Deep, "a.py", 1)
about = type("About", (), dict(exc_type=OSError, exc_value=OSError("boom"), exc_traceback=None, err_msg=None))()
about.object = Callback.__new__(Callback)
sys.unraisablehook = sys.unraisablehook
try:
    sys.unraisablehook(about)
except TypeError as trouble:  # Python's own, which is called: it takes only what Python makes
    print(trouble)
del about.object
""",
    )
    assert ran.stdout.startswith("below\n")
    assert "UnraisableHookArgs" in ran.stdout


def test_close_to_the_recursion_limit_everything_is_told_somewhere(tmp_path: Path) -> None:
    ran = Ran(
        tmp_path,
        """
class Resource:
    def __init__(self, number):
        self.number = number
    def __del__(self):
        raise OSError(f"level {self.number:03}")
def deep(number):
    resource = Resource(number)
    del resource
    try:
        deep(number + 1)
    except RecursionError:
        pass
logger.hook_exceptions()
sys.setrecursionlimit(400)
deep(0)
sys.setrecursionlimit(1000)
""",
    )
    assert ran.stderr.count("Exception ignored in sys.unraisablehook") <= 6  # where a hook cannot call a function


# ---- greenlets and forks


@pytest.mark.skipif(sys.platform == "win32", reason="no gevent there")
def test_an_exception_of_another_greenlet_is_logged(tmp_path: Path) -> None:
    pytest.importorskip("gevent")
    ran = Ran(
        tmp_path,
        """
import gevent, gevent.event
first_waits, go_on = gevent.event.Event(), gevent.event.Event()
def below(kind, error, trace):
    if str(error) == "first":
        first_waits.set()
        go_on.wait()
sys.excepthook = below
logger.hook_exceptions()
def fail(text):
    sys.excepthook(OSError, OSError(text), None)
first = gevent.spawn(fail, "first")
first_waits.wait()
gevent.spawn(fail, "second").join()
go_on.set()
first.join()
""",
    )
    assert [record["exception"]["message"] for record in ran.records] == ["first", "second"]


@NEEDS_FORK
def test_a_thread_of_a_child_is_not_taken_for_one_of_its_parent(tmp_path: Path) -> None:
    ran = Ran(
        tmp_path,
        """
import os
first_waits, go_on = threading.Event(), threading.Event()
def below(about):
    if str(about.exc_value) == "in the parent":
        first_waits.set()
        go_on.wait()
threading.excepthook = below
logger.hook_exceptions()
def fail(text):
    raise OSError(text)
first = threading.Thread(target=fail, args=["in the parent"])
first.start()
first_waits.wait()
logger.flush()
if not os.fork():
    together = threading.Barrier(8)
    def fail_together():
        together.wait()
        raise OSError("in the child")
    children = [threading.Thread(target=fail_together) for _ in range(8)]
    for child in children: child.start()
    print(first.ident in [child.ident for child in children])
    for child in children: child.join()
    logger.close()
    sys.stdout.flush()
    os._exit(0)
os.wait()
go_on.set()
""",
    )
    if ran.stdout != "True\n":
        pytest.skip("the system has given the threads other numbers")
    assert [record["exception"]["message"] for record in ran.records] == ["in the parent"] + 8 * ["in the child"]
