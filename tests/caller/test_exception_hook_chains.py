"""`Logger.hook_exceptions`: what is said once is said once, and a hook harms no program.

Each test is a program of its own, because hooks belong to the process.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.support.hooked import Ran

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
