"""The end of a program, in every way that lets Python run: what was logged is in the file."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
import textwrap
import time
from pathlib import Path

import pytest

from logly._core import IS_FREE_THREADED
from tests.support.log_files import lines_of
from tests.support.programs import run_program, start_program
from tests.support.waiting import wait_until

HEAD = """
import os, sys, threading, time, atexit, signal, gc
from logly import Logger, LoggerConfig, SinkConfig
path = sys.argv[1]
def open_logger(**config):
    logger = Logger(LoggerConfig(auto_sink=False, **config))
    logger.add_sink(SinkConfig(path=path, format="{message}"))
    return logger
logger = open_logger()
"""


def program(body: str) -> str:
    return HEAD + textwrap.dedent(body)


def numbered(count: int) -> list[str]:
    return [f"line {i}" for i in range(count)]


LOG = """
for i in range(1000):
    logger.info("line {}", i)
"""


def test_normal_exit(tmp_path: Path) -> None:
    run_program(program(LOG), tmp_path / "log")
    assert lines_of(tmp_path / "log") == numbered(1000)


def test_an_uncaught_exception(tmp_path: Path) -> None:
    done = run_program(program(LOG + "raise ValueError('mine')"), tmp_path / "log", returncode=1)
    assert done.stderr.rstrip().endswith("ValueError: mine")
    assert lines_of(tmp_path / "log") == numbered(1000)


def test_sys_exit_in_a_thread(tmp_path: Path) -> None:
    body = """
    def work():
        for i in range(1000):
            logger.info("line {}", i)
        sys.exit(3)
    thread = threading.Thread(target=work)
    thread.start()
    """
    run_program(program(body), tmp_path / "log")
    assert lines_of(tmp_path / "log") == numbered(1000)


def test_system_exit_in_a_function_sink_does_not_end_the_flusher(tmp_path: Path) -> None:
    body = """
    def sink(record):
        raise SystemExit(3)
    errors = []
    logger = open_logger(on_error=errors.append)
    logger.add_sink(SinkConfig(function=sink))
    for i in range(10):
        logger.info("line {}", i)
        assert logger.flush(30)
    stats = logger.stats()
    assert (stats.emitted, stats.failed, stats.written) == (10, 10, 0), stats
    deadline = time.monotonic() + 30  # a flush does not wait until on_error was told
    while len(errors) < 10 and time.monotonic() < deadline:
        time.sleep(0.001)
    assert all(type(error) is SystemExit for error in errors) and len(errors) == 10, errors
    """
    run_program(program(body), tmp_path / "log")
    assert lines_of(tmp_path / "log") == numbered(10)


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_sigterm_with_a_handler_that_exits(tmp_path: Path) -> None:
    body = """
    def handle(number, frame):
        logger.info("terminated")
        sys.exit(0)
    signal.signal(signal.SIGTERM, handle)
    for i in range(1000):
        logger.info("line {}", i)
    os.kill(os.getpid(), signal.SIGTERM)
    # The handler runs before this returns, or soon after: a thread that takes the GIL may hide the signal for a moment.
    until = time.monotonic() + 60
    while time.monotonic() < until:
        time.sleep(0.001)
    raise AssertionError("the handler did not exit")
    """
    run_program(program(body), tmp_path / "log")
    assert lines_of(tmp_path / "log") == [*numbered(1000), "terminated"]


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL] if os.name != "nt" else [])
def test_a_signal_that_kills_leaves_whole_lines_and_all_that_was_flushed(tmp_path: Path, number: int) -> None:
    body = """
    for i in range(1000):
        logger.info("line {}", i)
    logger.flush()
    print("flushed", flush=True)
    i = 1000
    while True:
        logger.info("line {}", i)
        i += 1
    """
    with start_program(program(body), tmp_path / "log", says="flushed") as process:
        size = (tmp_path / "log").stat().st_size
        wait_until(lambda: (tmp_path / "log").stat().st_size > size + 100_000, "the log to grow")
        process.send_signal(number)
        assert process.wait(60) == -number
    text = (tmp_path / "log").read_bytes()
    whole, _, cut = text.rpartition(b"\n")
    # A signal that kills may end a write between two pages of the file: the kernel looks there.
    assert not cut or len(text) % os.sysconf("SC_PAGE_SIZE") == 0
    lines = whole.decode().splitlines()
    assert len(lines) > 1000
    assert lines == numbered(len(lines))


@pytest.mark.parametrize("interval_ms", [20, 100, 400])
def test_sigkill_without_the_spool_loses_what_was_logged_in_the_last_flush_interval(
    tmp_path: Path, interval_ms: int
) -> None:
    body = f"""
    logger = open_logger(async_flush_interval={interval_ms}, flush_level=None)
    logger.info("{{}}", time.monotonic_ns())
    logger.flush()
    print("running", flush=True)
    while True:
        logger.info("{{}}", time.monotonic_ns())
        time.sleep(0.001)
    """
    late = []
    for intervals in (0.5, 0.95, 1.5, 1.9, 2.5):
        with start_program(program(body), tmp_path / "log", says="running") as process:
            size = (tmp_path / "log").stat().st_size
            wait_until(lambda least=size: (tmp_path / "log").stat().st_size > least, "a second write")
            # At another instant between two writes each time.
            time.sleep(intervals * interval_ms / 1000)
            killed_ns = time.monotonic_ns()
            process.kill()
            process.wait(60)
        # The clock is the same in every process.
        stamps = [int(line) for line in lines_of(tmp_path / "log")]
        assert stamps == sorted(stamps)
        late.append((killed_ns - stamps[-1]) / 1e6)
        (tmp_path / "log").unlink()
    # It logs every millisecond: what is missing is later than the last line that is there. The margins are for a busy
    # machine.
    assert sorted(late)[3] <= interval_ms + 20
    assert max(late) <= interval_ms + 300


def test_daemon_threads_still_logging(tmp_path: Path) -> None:
    body = """
    def work(who):
        i = 0
        while True:
            logger.info("{} {}", who, i)
            i += 1
    for who in range(3):
        threading.Thread(target=work, args=(who,), daemon=True).start()
    while logger.stats().emitted < 5000:
        time.sleep(0.001)
    """
    for config in ("", "logger = open_logger(); logger.add_sink(SinkConfig(path=path + 's', async_write=False))\n"):
        run_program(program(textwrap.dedent(config) + textwrap.dedent(body)), tmp_path / "log")
        lines = lines_of(tmp_path / "log")
        assert len(lines) >= 5000
        for who in range(3):
            numbers = [int(line.split()[1]) for line in lines if line.startswith(f"{who} ")]
            assert numbers == list(range(len(numbers)))
        (tmp_path / "log").unlink()


def test_a_logger_dropped_by_the_collector(tmp_path: Path) -> None:
    body = """
    class Holder: pass
    holder = Holder()
    holder.logger, holder.self = logger, holder
    for i in range(1000):
        logger.info("line {}", i)
    def drop():
        global holder, logger
        del holder, logger
        gc.collect()
    thread = threading.Thread(target=drop)
    thread.start()
    thread.join()
    print(open(path).read().count("\\n"))
    """
    assert run_program(program(body), tmp_path / "log").stdout == "1000\n"


def test_a_logger_dropped_on_its_own_flushers_thread(tmp_path: Path) -> None:
    body = """
    box = [open_logger()]
    done = threading.Event()
    def sink(record):
        box.clear()
        gc.collect()
        done.set()
    box[0].add_sink(SinkConfig(function=sink))
    for i in range(10):
        box[0].info("line {}", i)
    done.wait(30)
    """
    run_program(program(body), tmp_path / "log")
    assert lines_of(tmp_path / "log") == numbered(len(lines_of(tmp_path / "log")))
    assert lines_of(tmp_path / "log")


def test_close_from_a_function_sink(tmp_path: Path) -> None:
    body = """
    closed = threading.Event()
    def sink(record):
        if record.message == "last":
            logger.close()
            closed.set()
    logger.add_sink(SinkConfig(function=sink))
    for i in range(10):
        logger.info("line {}", i)
    logger.info("last")
    assert closed.wait(30)
    logger.info("after")
    """
    run_program(program(body), tmp_path / "log")
    assert lines_of(tmp_path / "log") == [*numbered(10), "last", "after"]


def test_close_from_two_threads_at_once_and_again(tmp_path: Path) -> None:
    body = """
    for _ in range(50):
        logger = open_logger()
        logger.info("line")
        threads = [threading.Thread(target=logger.close) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        stats = logger.stats()
        assert (stats.emitted, stats.written) == (1, 1), stats
        assert logger.close()
    """
    run_program(program(body), tmp_path / "log")
    assert lines_of(tmp_path / "log") == ["line"] * 50


def test_logging_after_close_is_synchronous(tmp_path: Path) -> None:
    body = """
    logger.close()
    for i in range(10):
        logger.info("line {}", i)
        assert open(path).read().count("\\n") == i + 1
    logger.close()
    logger.info("line 10")
    assert logger.flush()
    """
    run_program(program(body), tmp_path / "log")
    assert lines_of(tmp_path / "log") == numbered(11)


def test_del_and_atexit_at_shutdown(tmp_path: Path) -> None:
    body = """
    class Late:
        def __del__(self, logger=logger):  # the global may be None by then
            logger.info("del")
    late = Late()
    sys.late = Late()
    logger.info("start")
    atexit.register(logger.info, "atexit registered after")
    """
    before = "import atexit\natexit.register(lambda: logger.info('atexit registered before'))\n"
    run_program(before + program(body), tmp_path / "log")
    lines = lines_of(tmp_path / "log")
    assert lines[:3] == ["start", "atexit registered after", "atexit registered before"]
    assert lines[3:] in (["del"], ["del"] * 2)


def test_a_logger_made_after_atexit(tmp_path: Path) -> None:
    body = """
    def late():
        other = open_logger()
        other.info("late")
    """
    before = "import atexit\natexit.register(lambda: late())\n"
    run_program(before + program(body), tmp_path / "log")
    assert lines_of(tmp_path / "log") == ["late"]


def test_the_interpreter_ends_while_the_flusher_is_in_python_code(tmp_path: Path) -> None:
    body = """
    logger = open_logger(stall_timeout=0.2)
    entered = threading.Event()
    def sink(record):
        entered.set()
        threading.Event().wait()
    logger.add_sink(SinkConfig(function=sink))
    logger.info("line 0")
    entered.wait(30)
    logger.info("line 1")
    """
    run_program(program(body), tmp_path / "log", may_complain=True)
    # The function never gets the second record; the file has it.
    assert lines_of(tmp_path / "log") == numbered(2)


def test_exit_does_not_wait_for_ever_for_a_stalled_pipe(tmp_path: Path) -> None:
    body = """
    logger = open_logger(stall_timeout=0.2)
    read, write = os.pipe()
    logger.add_sink(SinkConfig(fd=write, format="{message}"))
    for i in range(10000):
        logger.info("line {}", i)
    """
    done = run_program(program(body), tmp_path / "log", may_complain=True)
    assert "could not be written before the logger was closed" in done.stderr
    assert lines_of(tmp_path / "log") == numbered(10000)


INTERPRETERS = "_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters"


@pytest.mark.skipif(importlib.util.find_spec(INTERPRETERS) is None, reason="no module for sub-interpreters")
def test_a_sub_interpreter_works_or_says_clearly_that_it_does_not(tmp_path: Path) -> None:
    body = f"""
    import warnings
    warnings.simplefilter("ignore")
    import {INTERPRETERS} as interpreters
    logger.info("before")
    code = "try:\\n    import logly._core\\nexcept ImportError as error:\\n    assert 'interpreter' in str(error)"
    for _ in range(3):
        one = interpreters.create()
        assert interpreters.run_string(one, code) is None
        interpreters.destroy(one)
    logger.info("after")
    """
    run_program(program(body), tmp_path / "log")
    assert lines_of(tmp_path / "log") == ["before", "after"]


SUB_INTERPRETER = """
import sys, {interpreters} as interpreters
path, state, ends = sys.argv[1:]
code = '''
import sys
sys.path[:] = {path!r}
from logly import Logger, LoggerConfig, SinkConfig
kept = []
logger = Logger(LoggerConfig(auto_sink=False, async_flush_interval=60_000, flush_level=None))
if {state!r} == "function":
    logger.add_sink(SinkConfig(function=kept.append))
logger.add_sink(SinkConfig(path={file!r}, format="{{message}}"))
if {state!r} == "closed":
    logger.close()
for i in range(500):
    logger.info("line {{}}", i)
'''.format(path=sys.path, file=path, state=state)
options = {options}
one = interpreters.create(*options)
failed = interpreters.run_string(one, code)
assert failed is None, failed
if ends == "ended":
    interpreters.destroy(one)
"""


@pytest.mark.skipif(importlib.util.find_spec(INTERPRETERS) is None, reason="no module for sub-interpreters")
@pytest.mark.parametrize(
    ("state", "ends"), [("", "alive"), ("closed", "alive"), ("function", "alive"), ("closed", "ended")]
)
def test_a_legacy_sub_interpreter_loses_nothing_at_the_end_of_the_process(
    tmp_path: Path, state: str, ends: str
) -> None:
    # Before 3.14 CPython does not end it, or too late for Python code that waits, so a function gets nothing more.
    options = '("legacy",)' if sys.version_info >= (3, 13) else "()"
    program = SUB_INTERPRETER.replace("{interpreters}", INTERPRETERS).replace("{options}", options)
    if sys.version_info < (3, 13):
        program = program.replace("create(*options)", "create(isolated=False)")
    run_program(program, tmp_path / "log", state, ends, may_complain=True)
    assert lines_of(tmp_path / "log") == numbered(500)


LATE = """
import sys
from logly import Logger, LoggerConfig, SinkConfig
path, kind = sys.argv[1:]
errors, seen = [], []
logger = Logger(LoggerConfig(auto_sink=False, on_error=errors.append))
logger.add_sink({
    "console": lambda: SinkConfig(format="{message}"),
    "stream": lambda: SinkConfig(stream=sys.stderr, format="{message}"),
    "function": lambda: SinkConfig(function=seen.append),
    "filter": lambda: SinkConfig(path=path, filter=bool, format="{message}"),
    "rotating": lambda: SinkConfig(path=path, size_limit=10, compression="gzip", retention=5, format="{message}"),
}[kind]())
class Late:
    def __del__(self, logger=logger, seen=seen, errors=errors, path=path, open=open):
        logger.info("late {}", 1)
        logger.info("field", nested=[1, {"a": 2}])
        try:
            raise ValueError("no")
        except ValueError:
            logger.exception("exception")
        with open(path + ".seen", "w") as file:
            for record in seen:
                file.write(f"{record.message}\\n{record.exception and record.exception.stack}\\n")
        with open(path + ".errors", "w") as file:
            file.write(repr(errors))
late = Late()
logger.info("start")
"""


@pytest.mark.parametrize("kind", ["console", "stream", "function", "filter", "rotating"])
def test_a_late_del_logs_to_a_sink_that_wants_python(kind: str, tmp_path: Path) -> None:
    """Nothing can be imported by then; a sink whose Python failed for that was tried again for ever."""
    path = tmp_path / "log"
    done = run_program(LATE, path, kind, may_complain=True)
    texts = {"console": done.stderr, "stream": done.stderr, "function": (tmp_path / "log.seen").read_text()}
    lines = (texts.get(kind) or path.read_text()).splitlines()
    wanted = ["start", "late 1", "field", "exception"]
    if IS_FREE_THREADED and kind in ("function", "filter"):
        wanted = wanted[:1]  # CPython has emptied all modules by then: no sink's Python code can run
    assert [line for line in lines if line in wanted] == wanted
    if not IS_FREE_THREADED:
        assert "ValueError: 'no'" in lines
        assert (tmp_path / "log.errors").read_text() == "[]"


def test_what_a_sinks_function_refers_to_is_finalized(tmp_path: Path) -> None:
    """A lambda refers to the module it stands in: the flusher's thread must have let go of it all by then."""
    body = """
    logger.add_sink(SinkConfig(function=lambda record: None))
    class Late:
        def __del__(self, logger=logger):
            logger.info("late")
    late = Late()
    flusher = logger._controller.flusher
    def end_slowly(on_end=flusher.on_end):  # as on a busy machine
        time.sleep(0.2)
        on_end()
    flusher.on_end = end_slowly
    logger.info("start")
    """
    run_program(program(body), tmp_path / "log")
    assert lines_of(tmp_path / "log") == ["start", "late"]
