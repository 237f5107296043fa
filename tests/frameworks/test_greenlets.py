"""Programs of gevent and of eventlet, patched before logly is imported, after that, or after it has logged.

Each is a process of its own, because what is patched stays patched.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest

from tests.support.log_files import lines_of
from tests.support.programs import run_program

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(sys.platform == "win32", reason="some of the programs fork"),
]

LIBRARIES = [
    pytest.param(
        name, marks=pytest.mark.skipif(importlib.util.find_spec(name) is None, reason=f"{name} is not installed")
    )
    for name in ("gevent", "eventlet")
]

# What differs between the two. `spawn` and `join` are of greenlets; `path` is a file in the test's folder.
PRELUDE = """
import os, sys, warnings
warnings.simplefilter("ignore")
library, path = sys.argv[1:3]

if library == "gevent":
    import gevent
    from gevent.monkey import patch_all as patch
    spawn, sleep = gevent.spawn, gevent.sleep
    def join(greenlets):
        gevent.joinall(greenlets, raise_error=True)
else:
    import eventlet
    from eventlet import monkey_patch as patch
    spawn, sleep = eventlet.spawn, eventlet.sleep
    def join(greenlets):
        for greenlet in greenlets:
            greenlet.wait()
"""
PATCHED = """
patch()
import threading, time
from logly import Logger, LoggerConfig, SinkConfig

def logger_to(**settings):
    logger = Logger(LoggerConfig(auto_sink=False, **settings))
    logger.add_sink(SinkConfig(path=path, format="{message}"))
    return logger
"""


def run(library: str, program: str, path: Path) -> str:
    return run_program(PRELUDE + program, library, path).stdout


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "app.log"


ORDERS = {
    "patched-first": "patch(); from logly import Logger, SinkConfig",
    "imported-first": "from logly import Logger, SinkConfig; patch()",
    "logged-first": "from logly import Logger, SinkConfig",
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("library", LIBRARIES)
def test_the_flusher_is_a_thread_of_the_system_whichever_came_first(library: str, order: str, path: Path) -> None:
    program = f"""
{ORDERS[order]}
logger = Logger()
logger.add_sink(SinkConfig(path=path, format="{{message}}", async_write=True))
if {order == "logged-first"}:
    logger.info("early")
    logger.flush()
    patch()
logger.info("one")
# The main greenlet never gives way: only a thread of the system can write this line now.
import logly.system.unpatched
deadline = logly.system.unpatched.monotonic() + 50
while "one" not in open(path).read():
    assert logly.system.unpatched.monotonic() < deadline
import time
time.sleep(0.01)  # which never returned where the flusher was a greenlet
assert logger.flush()
logger.info("at the exit")
"""
    run(library, program, path)
    early = ["early"] if order == "logged-first" else []
    assert lines_of(path) == [*early, "one", "at the exit"]


@pytest.mark.parametrize("library", LIBRARIES)
def test_nothing_is_lost_by_greenlets_that_fill_the_ring(library: str, path: Path) -> None:
    program = f"""{PATCHED}
logger = logger_to(async_buffer_size=4096)
def work(number):
    for i in range(2000):
        logger.info("{{}} {{}}", number, i)
        if i % 100 == 0:
            sleep(0)
join([spawn(work, number) for number in range(4)])
"""
    run(library, program, path)
    lines = lines_of(path)
    assert sorted(lines) == sorted(f"{number} {i}" for number in range(4) for i in range(2000))


@pytest.mark.parametrize("library", LIBRARIES)
def test_context_belongs_to_a_greenlet(library: str, path: Path) -> None:
    program = f"""{PATCHED}
logger = Logger(LoggerConfig(auto_sink=False))
logger.add_sink(SinkConfig(path=path, format="{{message}} {{who}}"))
def work(name):
    with logger.contextualize(who=name):
        for i in range(3):
            logger.info("from {{}}", name)
            sleep(0)  # the other one runs, in its own context
    logger.info("after {{}}", name)
with logger.contextualize(who="main"):
    join([spawn(work, "a"), spawn(work, "b")])
    logger.info("from main")
"""
    run(library, program, path)
    lines = lines_of(path)
    assert lines[:4] == ["from a a", "from b b", "from a a", "from b b"]
    assert lines[-1] == "from main main"
    # A greenlet begins without the context of the one that spawned it.
    assert [line for line in lines if line.startswith("after")] == ["after a ", "after b "]


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_thread_name_is_that_of_the_greenlet_that_threading_knows(library: str, path: Path) -> None:
    program = f"""{PATCHED}
logger = Logger(LoggerConfig(auto_sink=False))
logger.add_sink(SinkConfig(path=path, format="{{thread_name}} {{message}}"))
thread = threading.Thread(target=logger.info, args=("a",), name="mine")
thread.start()
thread.join()
logger.info("b")
greenlet = spawn(lambda: logger.info("c {{}}", threading.get_ident()))
join([greenlet])
"""
    run(library, program, path)
    first, second, third = lines_of(path)
    assert (first, second) == ("mine a", "MainThread b")
    name, _, ident = third.split()
    assert name == f"thread-{ident}"


@pytest.mark.parametrize("library", LIBRARIES)
def test_files_rotate_and_are_compressed(library: str, tmp_path: Path, path: Path) -> None:
    program = f"""{PATCHED}
logger = Logger(LoggerConfig(auto_sink=False))
logger.add_sink(SinkConfig(path=path, format="{{message}}", size_limit=4096, compression="gzip", retention=1000))
for i in range(5000):
    logger.info("line {{}}", i)
"""
    run(library, program, path)
    import gzip

    files = [file for file in sorted(tmp_path.iterdir()) if file.name != ".app.log.lock"]
    packed = [file for file in files if file.suffix == ".gz"]
    assert len(packed) > 10
    assert len(packed) == len(files) - 1
    text = b"".join(gzip.decompress(file.read_bytes()) for file in packed) + path.read_bytes()
    assert sorted(text.splitlines()) == sorted(b"line %d" % i for i in range(5000))


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_sinks_function_may_sleep_as_greenlets_do_while_others_run(library: str, path: Path) -> None:
    program = f"""{PATCHED}
got, turns = [], []
def slow(record):
    time.sleep(0.01)  # in a hub of the flusher's own thread
    got.append(record.message)
logger = Logger(LoggerConfig(auto_sink=False))
logger.add_sink(SinkConfig(function=slow))
for i in range(30):
    logger.info("{{}}", i)
def count():
    while len(got) < 30:
        turns.append(1)
        sleep(0.001)  # not 0: a hub that never waits keeps the GIL from every other thread, for minutes at times
counting = spawn(count)
assert logger.flush()
assert len(got) == 30
assert len(turns) > 3, "flush() did not let the other greenlet run"
assert logger.close()
"""
    run(library, program, path)


@pytest.mark.parametrize("library", LIBRARIES[:1])  # eventlet's locks do not work between threads
@pytest.mark.parametrize("wait", ["flush", "close"])
def test_a_function_may_need_a_lock_that_a_waiting_threads_greenlet_holds(library: str, wait: str, path: Path) -> None:
    program = f"""{PATCHED}
lock, got = threading.Lock(), []
def function(record):
    with lock:
        got.append(record.message)
logger = Logger(LoggerConfig(auto_sink=False))
logger.add_sink(SinkConfig(function=function))
def holder():
    with lock:
        logger.info("one")
        sleep(0.1)
def waiter():
    assert logger.{wait}()
    assert got == ["one"]
join([spawn(holder), spawn(waiter)])
assert got == ["one"]
"""
    run(library, program, path)


@pytest.mark.parametrize("library", LIBRARIES[:1])
def test_a_callback_of_the_hub_itself_may_flush_and_close(library: str, path: Path) -> None:
    program = f"""{PATCHED}
logger = Logger(LoggerConfig(auto_sink=False))
logger.add_sink(SinkConfig(function=lambda record: logger_is_slow.wait(0.1)))
import logly.system.unpatched
class Slow:
    def wait(self, seconds): logly.system.unpatched.pause(seconds)
logger_is_slow = Slow()
logger.info("one")
done = []
gevent.get_hub().loop.run_callback(lambda: done.append((logger.flush(30), logger.close(30))))
while not done:
    sleep(0.001)
assert done == [(True, True)]
"""
    run(library, program, path)


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_timeout_of_flush_is_kept(library: str, path: Path) -> None:
    program = f"""{PATCHED}
import logly.system.unpatched
go = []
def stuck(record):
    while not go:
        logly.system.unpatched.pause(0.001)
logger = Logger(LoggerConfig(auto_sink=False))
logger.add_sink(SinkConfig(function=stuck))
logger.info("one")
assert not logger.flush(0.05)
go.append(1)
assert logger.flush()
"""
    run(library, program, path)


@pytest.mark.parametrize("where", ["main", "greenlet", "thread"])
@pytest.mark.parametrize("library", LIBRARIES)
def test_a_forked_child_has_a_flusher_of_its_own(library: str, where: str, path: Path) -> None:
    program = f"""{PATCHED}
logger = logger_to()
logger.info("parent")
def fork():
    pid = os.fork()
    if pid == 0:
        for i in range(100):
            logger.info("child {{}}", i)
        time.sleep(0.01)
        assert logger._controller.flusher.is_running
        logger.close()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
if {where!r} == "main":
    fork()
elif {where!r} == "greenlet":
    join([spawn(fork)])
else:
    thread = threading.Thread(target=fork)  # a greenlet, too
    thread.start()
    thread.join()
"""
    run(library, program, path)
    assert sorted(lines_of(path)) == sorted(["parent", *(f"child {i}" for i in range(100))])


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_child_that_a_thread_of_the_system_forks_ends_with_that_thread(library: str, path: Path) -> None:
    program = f"""{PATCHED}
import logly.system.unpatched, posix
logger = logger_to()
logger.info("parent")
pids = []
def fork():
    pid = posix.fork()  # gevent's os.fork is for the main thread only
    if pid == 0:
        logger.info("child")
        return  # the process ends when nothing else runs in it
    pids.append(pid)
assert logly.system.unpatched.SystemThread(fork).start()
while not pids:
    sleep(0.001)
assert os.waitpid(pids[0], 0)[1] == 0
"""
    run(library, program, path)
    assert sorted(lines_of(path)) == ["child", "parent"]


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_spool_is_recovered_by_a_patched_program(library: str, tmp_path: Path, path: Path) -> None:
    crash = f"""{PATCHED}
logger = Logger(LoggerConfig(auto_sink=False, spool={str(tmp_path / "spool")!r}, async_flush_interval=60_000))
logger.add_sink(SinkConfig(path=path, format="{{message}}"))
logger.info("before the crash")
os._exit(9)
"""
    run_program(PRELUDE + crash, library, path, returncode=9)
    program = f"""{PATCHED}
logger = Logger(LoggerConfig(auto_sink=False, spool={str(tmp_path / "spool")!r}))
logger.add_sink(SinkConfig(path=path, format="{{message}}"))
logger.info("after it")
assert logger.flush()
"""
    run(library, program, path)
    assert lines_of(path) == ["before the crash", "after it"]
    assert not [name for name in os.listdir(tmp_path) if name.startswith("spool.")]


@pytest.mark.parametrize("library", LIBRARIES)
def test_errors_are_told_on_stderr_without_a_hub(library: str, path: Path) -> None:
    program = f"""{PATCHED}
read, write = os.pipe()
os.dup2(write, 2)
logger = logger_to()
logger.info("{{:d}}", "x")
assert logger.flush()
text = b""
while b"logly" not in text:  # told by the flusher's thread
    text += os.read(read, 4096)
if library == "eventlet":
    # os.open and os.write of eventlet's make a hub on each thread that calls them, which has a descriptor.
    assert sum("eventpoll" in os.readlink(f"/proc/self/fd/{{fd}}") for fd in os.listdir("/proc/self/fd")[:-1]) <= 1
"""
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("no /proc")
    run(library, program, path)


@pytest.mark.parametrize("library", LIBRARIES[1:])
def test_with_eventlet_the_sink_that_needs_locks_between_threads_is_refused(library: str, path: Path) -> None:
    program = f"""{PATCHED}
import logging, logly
try:
    logly.StdlibSink(logging.getLogger("app"))
except logly.ConfigError as refused:
    assert "StdlibHandler" in str(refused)
else:
    raise AssertionError("it was taken")
logging.getLogger().addHandler(logly.StdlibHandler(logger_to()))
logging.getLogger().error("this way works")
"""
    run(library, program, path)
    assert lines_of(path) == ["this way works"]


EVENTLET_SERVER = """
import eventlet.wsgi
logger = logger_to()
def application(environ, start_response):
    number = environ["PATH_INFO"][1:]
    logger.info("begin {}", number)
    time.sleep(0.001)
    logger.info("end {}", number)
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
listener = eventlet.listen(("127.0.0.1", 0))
address = f"http://127.0.0.1:{listener.getsockname()[1]}"
spawn(eventlet.wsgi.server, listener, application, log=open(os.devnull, "w"))
from eventlet.green.urllib.request import ProxyHandler, build_opener
opener = build_opener(ProxyHandler({}))
def ask(number):
    assert opener.open(f"{address}/{number}", timeout=30).read() == b"ok"
join([spawn(ask, number) for number in range(50)])
"""


@pytest.mark.parametrize("library", LIBRARIES[1:])
def test_a_server_of_eventlets_logs_every_request(library: str, path: Path) -> None:
    run(library, PATCHED + EVENTLET_SERVER, path)
    wanted = [f"{what} {number}" for what in ("begin", "end") for number in range(50)]
    assert sorted(lines_of(path)) == sorted(wanted)
