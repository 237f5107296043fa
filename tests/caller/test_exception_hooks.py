"""`Logger.hook_exceptions`: what nothing catches is in the log, at the line that failed; earlier hooks are called.

Each test is a program of its own, because hooks belong to the process.
"""

from __future__ import annotations

import re
import sys
import threading
import weakref
from pathlib import Path

import pytest

from logly import ConfigError, Logger
from tests.support.hooked import Ran, read
from tests.support.loggers import make_logger


def test_an_exception_that_ends_the_program(tmp_path: Path) -> None:
    ran = Ran(
        tmp_path,
        """
logger.hook_exceptions()
def ratio(a, b):
    return a / b  # here
ratio(1, 0)
""",
        returncode=1,
    )
    record = ran.only
    assert (record["level"], record["message"]) == ("CRITICAL", "uncaught exception")
    assert (record["function"], record["lineno"], record["module"]) == ("ratio", ran.line_of("# here"), "__main__")
    assert record["exception"]["type"] == "ZeroDivisionError"
    assert "ratio(1, 0)" in record["exception"]["stack"]
    assert ran.stderr.endswith("ZeroDivisionError: division by zero\n")  # nobody would see it otherwise


def test_on_the_console_it_stands_once(tmp_path: Path) -> None:
    program = "logger = Logger()\nlogger.hook_exceptions()\nraise ValueError('once')\n"
    ran = Ran(tmp_path, program, returncode=1)
    assert ran.stderr.count("ValueError: once") == 1
    assert "| CRITICAL | __main__:<module>" in ran.stderr


@pytest.mark.parametrize(
    "logger",
    [
        "Logger(level='off')",
        "Logger(global_console_display=False)",
        "Logger(level='__main__=off')",
        "Logger(); logger.disable()",
        "Logger(); logger.add_sink(filter=lambda record: False)",
        "Logger(); logger.add_sink('stdout.txt')",
        "Logger(); logger.add_sink(filter_max_level='info')",
    ],
)
def test_where_no_console_shows_it_python_does(tmp_path: Path, logger: str) -> None:
    ran = Ran(tmp_path, f"logger = {logger}\nlogger.hook_exceptions()\nraise ValueError('once')\n", returncode=1)
    assert ran.stderr.count("ValueError: once") == 1
    assert "uncaught" not in ran.stderr


def test_the_line_is_in_the_last_module_whose_level_lets_it_through(tmp_path: Path) -> None:
    (tmp_path / "noisy.py").write_text("def fail():\n    raise OSError('broken')\n")
    program = "import noisy\nlogger.set_level('info,noisy=off')\nlogger.hook_exceptions()\nnoisy.fail()  # here\n"
    ran = Ran(tmp_path, program, returncode=1)
    assert (ran.only["module"], ran.only["lineno"]) == ("__main__", ran.line_of("# here"))
    assert ran.only["exception"]["message"] == "broken"


def test_a_named_logger_goes_by_its_name(tmp_path: Path) -> None:
    program = "logger.set_level('off,shop=info')\nlogger.named('shop').bind(user='ann').hook_exceptions()\n1 / 0\n"
    record = Ran(tmp_path, program, returncode=1).only
    assert (record["logger"], record["user"]) == ("shop", "ann")


def test_a_syntax_error_in_a_module(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("def f(:\n")
    record = Ran(tmp_path, "logger.hook_exceptions()\nimport bad\n", returncode=1).only
    assert record["exception"]["type"] == "SyntaxError"


@pytest.mark.parametrize(("end", "status"), [("raise SystemExit(3)", 3), ("raise KeyboardInterrupt", -2)])
def test_what_ends_a_program_on_purpose_is_no_error(tmp_path: Path, end: str, status: int) -> None:
    ran = Ran(tmp_path, f"logger.hook_exceptions()\n{end}\n", returncode=status)
    assert ran.records == []
    assert ("KeyboardInterrupt" in ran.stderr) == (status == -2)


def test_an_exception_that_ends_a_thread(tmp_path: Path) -> None:
    ran = Ran(
        tmp_path,
        """
logger.hook_exceptions()
def work():
    [][1]  # here
thread = threading.Thread(target=work, name="worker 7")
thread.start()
thread.join()
quiet = threading.Thread(target=sys.exit)
quiet.start()
quiet.join()
""",
    )
    record = ran.only
    assert (record["level"], record["message"]) == ("ERROR", "uncaught exception in thread worker 7")
    assert (record["function"], record["lineno"]) == ("work", ran.line_of("# here"))
    assert "Exception in thread worker 7" in ran.stderr


def test_an_exception_in_a_finalizer(tmp_path: Path) -> None:
    ran = Ran(
        tmp_path,
        """
logger.hook_exceptions()
class Resource:
    def __del__(self):
        raise OSError("not closed")  # here
resource = Resource()
del resource
gc.collect()
""",
    )
    record = ran.only
    assert record["level"] == "ERROR"
    words = r"Exception ignored (in:|while calling deallocator) <function Resource.__del__ at "
    assert re.match(words, record["message"])
    assert (record["function"], record["lineno"]) == ("__del__", ran.line_of("# here"))
    assert "OSError: not closed" in ran.stderr


def test_a_finalizer_that_runs_while_the_interpreter_ends(tmp_path: Path) -> None:
    ran = Ran(
        tmp_path,
        """
logger.hook_exceptions()
class Resource:
    def __del__(self):
        raise OSError("too late")
import builtins
builtins.kept = Resource()
""",
    )
    assert ran.stderr.count("too late") == 1
    assert [record["exception"]["message"] for record in ran.records] == ["too late"]


def test_an_object_whose_repr_fails(tmp_path: Path) -> None:
    ran = Ran(
        tmp_path,
        """
logger.hook_exceptions()
class Callback:
    def __call__(self, _):
        raise OSError("boom")
    def __repr__(self):
        raise ValueError
import weakref
class Thing: pass
thing = Thing()
watch = weakref.ref(thing, Callback())
del thing
""",
    )
    # CPython 3.14 makes the text itself, and says nothing of the object where that fails.
    is_told = sys.version_info < (3, 14)
    assert ran.only["message"] == ("Exception ignored in: <Callback object>" if is_told else "Exception ignored")


def test_what_is_logged_may_fail_in_a_finalizer_itself(tmp_path: Path) -> None:
    ran = Ran(
        tmp_path,
        """
class Failing:
    def __del__(self):
        raise OSError("again")
class Bad(Exception):
    def __str__(self):
        Failing()
        return "bad"
logger.hook_exceptions()
class Resource:
    def __del__(self):
        raise Bad
Resource()
""",
    )
    assert [record["exception"]["message"] for record in ran.records] == ["bad"]


def test_a_sink_whose_function_fails_in_a_finalizer_is_no_endless_loop(tmp_path: Path) -> None:
    ran = Ran(
        tmp_path,
        """
logger.hook_exceptions()
class Failing:
    def __del__(self):
        raise OSError("in the sink")
logger.add_sink(lambda record: Failing() and None)
logger.info("one")
logger.flush(30)
""",
    )
    assert [record["message"][:9] for record in ran.records] == ["one", "Exception"]


def test_a_forgotten_task_and_a_callback(tmp_path: Path) -> None:
    ran = Ran(
        tmp_path,
        """
import asyncio
async def forgotten():
    raise LookupError("forgotten")  # task
def callback():
    raise LookupError("callback")  # callback
async def main():
    with logger.hook_exceptions(loop=asyncio.get_running_loop()):
        task = asyncio.get_running_loop().create_task(forgotten(), name="job 3")
        await asyncio.sleep(0)
        del task
        gc.collect()
        asyncio.get_running_loop().call_soon(callback)
        await asyncio.sleep(0)
    assert asyncio.get_running_loop().get_exception_handler() is None
asyncio.run(main())
""",
    )
    forgotten, callback = ran.records
    assert forgotten["message"] == "Task exception was never retrieved: job 3, forgotten()"
    assert forgotten["lineno"] == ran.line_of("# task")
    assert forgotten["exception"]["message"] == "forgotten"
    assert callback["message"].startswith("Exception in callback callback() at ")
    assert (callback["function"], callback["lineno"]) == ("callback", ran.line_of("# callback"))
    assert "LookupError: callback" in ran.stderr  # asyncio's own handler


def test_a_pending_task_that_is_destroyed(tmp_path: Path) -> None:
    ran = Ran(
        tmp_path,
        """
import asyncio
async def waiting():
    await asyncio.get_running_loop().create_future()
loop = asyncio.new_event_loop()
logger.hook_exceptions(loop=loop)
task = loop.create_task(waiting(), name="job 4")
loop.run_until_complete(asyncio.sleep(0))
del task
gc.collect()
""",
    )
    assert ran.records[0]["message"] == "Task was destroyed but it is pending!: job 4, waiting()"
    assert "exception" not in ran.records[0]


def test_what_logging_brings_to_logly_is_not_there_twice(tmp_path: Path) -> None:
    ran = Ran(
        tmp_path,
        """
import asyncio
import logging
from logly import StdlibHandler
logging.basicConfig(handlers=[StdlibHandler(logger)], force=True)
def callback():
    raise LookupError("callback")
async def main():
    logger.hook_exceptions(loop=asyncio.get_running_loop())
    asyncio.get_running_loop().call_soon(callback)
    await asyncio.sleep(0)
asyncio.run(main())
""",
    )
    assert ran.only["exception"]["message"] == "callback"


def test_the_loops_handler_that_was_there_is_called(tmp_path: Path) -> None:
    ran = Ran(
        tmp_path,
        """
import asyncio
def handler(loop, context):
    print("mine:", context["exception"])
async def main():
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(handler)
    hooks = logger.hook_exceptions(loop=loop)
    loop.call_exception_handler({"message": "one", "exception": OSError("a")})
    hooks.remove()
    assert loop.get_exception_handler() is handler
    loop.call_exception_handler({"message": "two", "exception": OSError("b")})
asyncio.run(main())
""",
    )
    assert ran.stdout == "mine: a\nmine: b\n"
    assert ran.only["message"] == "one"


def test_an_exception_that_leaves_the_with_is_not_logged(tmp_path: Path) -> None:
    """As docs/exceptions.md says."""
    ran = Ran(tmp_path, "with logger.hook_exceptions():\n    raise ValueError('once')\n", returncode=1)
    assert ran.records == []
    assert ran.stderr.count("ValueError: once") == 1


def test_earlier_hooks_are_called_and_come_back(tmp_path: Path) -> None:
    ran = Ran(
        tmp_path,
        """
seen = []
def main_hook(kind, error, trace): seen.append(("main", kind))
def thread_hook(about): seen.append(("thread", about.exc_type))
def unraisable_hook(about): seen.append(("unraisable", about.exc_type))
sys.excepthook, threading.excepthook, sys.unraisablehook = main_hook, thread_hook, unraisable_hook
class Resource:
    def __del__(self): 1 / 0
def all_three():
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start()
    thread.join()
    Resource()
    sys.excepthook(OSError, OSError("x"), None)
with logger.hook_exceptions():
    all_three()
assert (sys.excepthook, threading.excepthook, sys.unraisablehook) == (main_hook, thread_hook, unraisable_hook)
logger.flush()
print(seen)
all_three()
""",
    )
    assert ran.stdout.count("ZeroDivisionError") == 2
    assert ran.stdout.count("OSError") == 1
    assert len(ran.records) == 3


def test_nested_hooks_are_undone_in_any_order(tmp_path: Path) -> None:
    ran = Ran(
        tmp_path,
        """
import itertools
seen = []
sys.excepthook = base = lambda *_: seen.append("base")
loggers = []
for i in range(3):
    loggers.append(Logger(auto_sink=False))
    loggers[i].add_sink(lambda record, i=i: seen.append(i))
def raise_one():
    seen.clear()
    sys.excepthook(OSError, OSError("x"), None)
    for one in loggers:
        one.flush()
    return sorted(map(str, seen))
for order in itertools.permutations(range(3)):
    hooks = [one.hook_exceptions() for one in loggers]
    left = [0, 1, 2]
    assert raise_one() == ["0", "1", "2", "base"]
    for i in order:
        hooks[i].remove()
        hooks[i].remove()
        left.remove(i)
        assert raise_one() == [*map(str, left), "base"], (order, seen)
    assert sys.excepthook is base
""",
    )
    assert ran.stderr == ""


def test_a_hook_above_goes_on_when_this_one_is_removed(tmp_path: Path) -> None:
    Ran(
        tmp_path,
        """
base = sys.excepthook = lambda *_: print("base")
hooks = logger.hook_exceptions()
below = sys.excepthook
def above(*args):
    print("above")
    below(*args)
sys.excepthook = above
hooks.remove()
assert sys.excepthook is above
sys.excepthook(OSError, OSError("x"), None)
""",
    )
    assert not read(tmp_path / "app.json")


def test_a_logger_that_is_hooked_twice_logs_once(tmp_path: Path) -> None:
    ran = Ran(tmp_path, "logger.hook_exceptions()\nlogger.named('x').hook_exceptions()\n1 / 0\n", returncode=1)
    assert len(ran.records) == 1
    assert ran.stderr.count("ZeroDivisionError") == 1


def test_an_earlier_hook_is_called_whatever_happens_in_the_log_call(tmp_path: Path) -> None:
    ran = Ran(
        tmp_path,
        """
sys.excepthook = lambda *_: print("base")
class Deep(Exception):
    def __str__(self):
        return str(self)
logger.hook_exceptions()
raise Deep
""",
        returncode=1,
    )
    assert ran.stdout == "base\n"


def test_warnings(tmp_path: Path) -> None:
    ran = Ran(
        tmp_path,
        """
warnings.simplefilter("always")
def old():
    warnings.warn("use new()", DeprecationWarning, stacklevel=2)
def caller():
    old()  # here
with logger.hook_exceptions(warnings=True):
    caller()
    compile("1 is 1", "made.py", "exec")
    warnings.warn_explicit("explicit", UserWarning, "/x/some_file.py", 7)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.warn("caught")
    assert len(caught) == 1
caller()
with logger.hook_exceptions():
    caller()
""",
    )
    first, compiled, explicit = ran.records
    assert (first["level"], first["message"]) == ("WARNING", "DeprecationWarning: use new()")
    assert (first["module"], first["function"], first["lineno"]) == ("__main__", "caller", ran.line_of("# here"))
    assert (compiled["message"][:13], compiled["module"], compiled["lineno"]) == ("SyntaxWarning", "made", 1)
    assert (explicit["module"], explicit["function"], explicit["lineno"]) == ("some_file", "?", 7)
    assert ran.stderr.count("use new()") == 3  # no sink shows it on stderr


def test_a_warning_stands_once_on_the_console(tmp_path: Path) -> None:
    program = "logger = Logger()\nlogger.hook_exceptions(warnings=True)\nwarnings.warn('beware {of} this')\n"
    ran = Ran(tmp_path, program)
    assert ran.stderr.count("beware {of} this") == 1
    assert "| WARNING  | __main__:<module>:9 | UserWarning" in ran.stderr


def test_a_warning_that_is_to_go_to_a_file_goes_there(tmp_path: Path) -> None:
    ran = Ran(
        tmp_path,
        """
import io
logger.hook_exceptions(warnings=True)
file = io.StringIO()
warnings.showwarning("to a file", UserWarning, "x.py", 1, file=file)
assert "to a file" in file.getvalue()
""",
    )
    assert ran.records == []


def test_a_loop_must_be_one() -> None:
    before = sys.excepthook
    with make_logger() as logger, pytest.raises(ConfigError, match="loop"):
        logger.hook_exceptions(loop=True)  # type: ignore[arg-type]
    assert sys.excepthook is before


def test_hooks_are_taken_away_again_where_one_of_them_cannot_be_put() -> None:
    class Loop:
        """It can be given a handler, and has none to show."""

        def set_exception_handler(self, handler: object) -> None: ...

    before = sys.excepthook, threading.excepthook, sys.unraisablehook
    with make_logger() as logger, pytest.raises(AttributeError, match="get_exception_handler"):
        logger.hook_exceptions(loop=Loop())  # type: ignore[arg-type]
    assert (sys.excepthook, threading.excepthook, sys.unraisablehook) == before


def test_hooks_keep_no_logger_after_they_are_removed() -> None:
    class Own(Logger):
        """One that can be watched."""

    logger = Own(auto_sink=False)
    hooks = logger.hook_exceptions(warnings=True)
    hooks.remove()
    gone = weakref.ref(logger)
    del logger
    assert gone() is None
