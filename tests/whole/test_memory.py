"""Without memory: a call whose allocations fail gives its record up and counts it, and the next call works.

CPython's own allocations fail by `set_nomemory` of the probe, one by one and a dozen in a row (an exception that is
raised for want of memory then finds none for its traceback). The core's own, by malloc, fail by a library that is
preloaded (nomemory.c). Both under PYTHONMALLOC=debug, which finds what is written or freed wrongly.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.preloads import compiled
from tests.support.programs import environment, run_program

pytest.importorskip("tests.probe.interrupts", reason="the probes are not built: LOGLY_BUILD=probe")

# What is called: nothing is made in here but by the call itself.
KINDS = {
    "text": "logger.info('text')",
    "args": "logger.info('{} {:.2f} {}', 1, 2.0, 'x')",
    "objects": "logger.info('{} {!r}', SHOWN, LIST)",
    "objects that cannot be shown": "logger.info('{} {}', BROKEN, 1)",
    "fields": "logger.info('x', a=1, b=2.0, c='ü')",
    "fields that cannot be shown": "logger.info('x', a=BROKEN, b=LIST, c=BROKEN_KEY)",
    "nested": "logger.info('x', a=NESTED, b=SHOWN)",
    "big int": "logger.info('{} {}', BIG, BIGGER, n=BIG, m=LIST)",
    "bound": "bound.info('bound {}', 1, a=3)",
    "exc_info": "logger.error('e', exc_info=ERROR)",
    "stack": "logger.info('s', stack_info=True)",
    "enums": "logger.info('e', status=STATUS, inside=ENUMS)",
    "exception": "logger.exception('e {}', 1)",
    "catch": "catcher.__exit__(ValueError, ERROR, TRACE)",
    "emit_from": "emit_from(logger, 20, 'from', FIELDS, ERROR, PLACE)",
    "emit_percent": "emit_percent(logger, 20, PERCENT, ('a', 1), FIELDS, ERROR, PLACE, None)",
    "new template of logging": "TWICE or logger.info('text')".replace(
        "TWICE", " or ".join(2 * ["emit_percent(logger, 20, percent, (1,), FIELDS, None, PLACE, None)"])
    ),
    "context_from": "logger.info('text {}', 1)",
    "trace_context": "RUNS[i](INFO, 'text {}', 1)",
    "log": "logger.log('WaRning', 'x {}', 1)",
    "log at a number": "logger.log(number, 'x {}', 1)",
    "new template": "logger.info(template, 1, x=2)",
    "new site": "site()",
    "oversize": "logger.info(OVERSIZE)",
    "oversize, formatted": "logger.info('{}', LARGE)",
    "odd characters": "logger.info('ü{}€', 'x\\ud800', bytes=b'\\xff')",
    "full ring": "logger.info('x {}', 1)",
    "first record": "subject.info('x {}', 1)",
    "function": "subject.info('{}', SHOWN, a=NESTED)",
    "filter": "subject.info('{}', SHOWN, a=NESTED)",
    "stream": "subject.info('{}', SHOWN, a=NESTED)",
    "synchronous": "subject.info('{}', SHOWN, a=NESTED)",
}

PROGRAM = r"""
import faulthandler, os, sys
faulthandler.enable()
faulthandler.dump_traceback_later(240, exit=True)
import ctypes, enum, io
from tests.probe.interrupts import remove_mem_hooks, set_nomemory
from logly import Logger, LoggerConfig, SinkConfig
from logly._core import emit_from, emit_percent

folder, kind, spool, width, how, statement = sys.argv[1:]
width, by_malloc = int(width), how == "malloc"
if by_malloc:
    library = ctypes.CDLL(None)
    set_nomemory, remove_mem_hooks = library.fail_allocations, library.fail_no_allocation
    library.allocations_seen.restype = ctypes.c_long
LAYOUT = "{time} {level} {name} {function} {message} {fields} {exception}"

def open_logger(name, is_warm=True, **sink):
    overflow = "drop" if kind == "full ring" else "block"
    config = dict(level=0, auto_sink=False, on_error=told.append, async_buffer_size=65536, overflow=overflow)
    if spool == "spool":
        config["spool"] = os.path.join(folder, name + ".spool")
    if kind == "context_from":
        config["context_from"] = lambda: {"shown": SHOWN, "nested": NESTED}
    if kind == "trace_context":
        config["trace_context"] = "opentelemetry"
    logger = Logger(LoggerConfig(**config), name=name)
    if "function" not in sink and "stream" not in sink:
        sink.update(path=os.path.join(folder, name), format=LAYOUT)
    logger.add_sink(SinkConfig(**sink))
    if is_warm:
        logger.info("warm {}", [1], field=[1])
        assert logger.flush(30)
    return logger

class Status(str, enum.Enum): PAID = "paid"
class Kind(enum.Enum): A = {"b": (1, Status.PAID)}
STATUS, ENUMS = Status.PAID, [Status.PAID, {Status.PAID: Kind.A}]
class Shown:
    def __repr__(self): return "shown"
class Broken:
    def __repr__(self): raise ValueError("broken")

told = []
SHOWN, BROKEN = Shown(), Broken()
BROKEN_KEY = {BROKEN: 1}
NESTED = {"k": [1, {"z": None}], 2: (1.5, "€", SHOWN)}
BIG, BIGGER = 10**30, 10**5000
OVERSIZE = "x" * 400_000
LIST, LARGE = [SHOWN, BROKEN, BIGGER], [OVERSIZE]
FIELDS, PLACE, PERCENT = {"a": [1]}, ("m", "f", "p", 3), "from %s %d"
try:
    try: 1 / 0
    except ZeroDivisionError as error: raise KeyError("x") from error
except KeyError as error: ERROR, TRACE = error, error.__traceback__

SINKS = {
    "function": dict(function=lambda record: record.message + str(record.fields)),
    "filter": dict(filter=lambda record: bool(record.fields)),
    "stream": dict(stream=type("Stream", (io.StringIO,), {})(), format=LAYOUT),
    "synchronous": dict(async_write=False, filter=lambda record: True),
}
LONG = ("exc_info", "stack", "exception", "catch", "emit_from", "emit_percent", *SINKS)
MANY = 60 if by_malloc else 200 if kind in LONG else 90
logger = open_logger("main")
subject = open_logger(kind, **SINKS[kind]) if kind in SINKS else logger
bound = logger.bind(a=1, b=[1, 2], c=SHOWN)
catcher = logger.catch()
logger.contextualize(user=[1], x=SHOWN).__enter__()

def context_of_span(i):
    def begin():
        span = trace.NonRecordingSpan(trace.SpanContext(i + 1, i + 1, False))
        otel.attach(trace.set_span_in_context(span))
        return contextvars.copy_context()
    return contextvars.copy_context().run(begin)

if kind == "trace_context":
    import contextvars
    from opentelemetry import context as otel, trace
    RUNS, INFO = [context_of_span(i).run for i in range(MANY)], logger.info

def new_template(i):
    return f"template {i} {{}} {{x:>4}}"

def new_site(i):
    scope = {"logger": logger, "__name__": f"m{i}"}
    exec(compile(f"def f():\n logger.info('fresh {i} {{}}', 1)\n", f"f{i}.py", "exec"), scope)
    return scope["f"]

def fill():
    for _ in range(100):
        logger.info("y" * 900)

# Both are small: where an exception is caught far into a function, CPython 3.11 needs memory, and tries for ever.
def attempt(call):
    set_nomemory(i - 1, i - 1 + width)
    try:
        call()
        if by_malloc or kind in SINKS or kind == "first record":
            drain()  # it is the flusher that allocates
    except MemoryError as error:
        remove_mem_hooks()
        return error
    remove_mem_hooks()

def drain():
    try:
        subject.flush(2)
    except MemoryError:
        pass

emit_percent(logger, 20, PERCENT, ("a", 1), FIELDS, None, PLACE, None)  # when it comes again, it is native
failures = 0
call = eval("lambda: " + statement)
for i in range(MANY):
    template, percent, site, number = new_template(i), f"percent {i} %s", new_site(i), 100 + i
    if kind == "first record":  # which starts the flusher
        if subject is not logger:
            subject.close()
        subject = open_logger(f"first{i}", is_warm=False)
    assert subject.flush(30)
    before = subject.stats()
    if kind == "full ring":
        fill()
    if i == 0:
        call()  # all that is imported when it is needed is there
    else:
        raised = attempt(call)
        assert raised is None or kind == "catch", (i, raised)  # that is Python code, which CPython interprets
    assert subject.flush(30), (i, "does not flush", told[-3:])
    after = subject.stats()
    expected = 101 if kind == "full ring" else 0 if i and raised is not None else 1
    assert after.emitted - before.emitted == expected, (i, before, after)
    assert after.pending == 0 and after.emitted == after.written + after.dropped + after.failed, (i, after)
    subject.info("next {}", [i], field=[i])
    assert subject.flush(30)
    final = subject.stats()
    assert final.written == after.written + 1, (i, after, final)
    failures += after.dropped + after.failed > before.dropped + before.failed or bool(told)
    told.clear()
# The fast way makes no Python object; and without its traceback an exception is a record all the same.
allocates = ("objects", "nested", "oversize" if by_malloc else "big int", "new template")
assert failures or kind not in allocates, "no allocation has failed"
for one in {logger, subject}:
    one.close()
print("lived")
"""


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(ROOT / "tests" / "support" / "nomemory.c", tmp_path_factory.mktemp("shim"))


@pytest.fixture(scope="module")
def has_sound_functions() -> bool:
    """Whether CPython survives when there is no memory for a function object (3.12.1 and 3.13.0 do not)."""
    return survives("lambda: 0")


@pytest.fixture(scope="module")
def has_sound_lists() -> bool:
    """Whether CPython survives when there is no memory for a list's items (3.13 without a GIL does not)."""
    return survives("[start, start]")


def survives(expression: str) -> bool:
    program = f"""
from tests.probe.interrupts import remove_mem_hooks, set_nomemory
def attempt(start):
    set_nomemory(start, start + 1)
    try:
        {expression}
    except MemoryError:
        pass
    remove_mem_hooks()
for number in range(60):  # again and again: an object may lose a reference each time
    attempt(number % 3)
"""
    return run_program(program, returncode=None, env=environment(PYTHONMALLOC="debug")).returncode == 0


def lives(folder: Path, kind: str, spool: str, width: int, how: str, **env: str) -> None:
    if spool == "spool" and sys.platform == "win32":
        pytest.skip("no spools")
    if kind == "trace_context":
        pytest.importorskip("opentelemetry.trace")
    settings = environment(PYTHONMALLOC="debug", **env)
    arguments = (folder, kind, spool, width, how, KINDS[kind])
    done = run_program(PROGRAM, *arguments, env=settings, timeout=300, may_complain=True)
    assert done.stdout == "lived\n"


@pytest.mark.parametrize("width", [1, 12], ids=["one", "a dozen"])
@pytest.mark.parametrize("spool", ["memory", "spool"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_call_without_memory(
    tmp_path: Path, has_sound_functions: bool, has_sound_lists: bool, kind: str, spool: str, width: int
) -> None:
    if not has_sound_lists:
        pytest.skip("this CPython crashes without memory for a list")
    if kind in ("exc_info", "stack", "catch", "emit_from", "emit_percent", "first record") and not has_sound_functions:
        pytest.skip("CPython's own modules make functions on the way: traceback generators, threading a closure")
    lives(tmp_path, kind, spool, width, "python")


@pytest.mark.parametrize("spool", ["memory", "spool"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_call_without_memory_of_malloc(tmp_path: Path, shim: Path, kind: str, spool: str) -> None:
    lives(tmp_path, kind, spool, 1, "malloc", LD_PRELOAD=str(shim))


LIMITED = r"""
import faulthandler, os, resource, sys
faulthandler.enable()
faulthandler.dump_traceback_later(240, exit=True)
from logly import Logger, LoggerConfig, SinkConfig

folder, spool, logs_exceptions = sys.argv[1:]
config = dict(auto_sink=False, level=0, on_error=lambda error: None)
if spool == "spool":
    config["spool"] = os.path.join(folder, "spool")
logger = Logger(LoggerConfig(**config))
logger.add_sink(SinkConfig(path=os.path.join(folder, "log"), format="{message} {fields} {exception}"))
seen = []
logger.add_sink(SinkConfig(function=lambda record: seen.append(len(record.message))))
try:
    1 / 0
except ZeroDivisionError as caught:
    error = caught
logger.error("e", exc_info=error, field=[1])
assert logger.flush(30)
blocks = [None] * 1_000_000  # so that it need not grow
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 8_000_000, resource.RLIM_INFINITY))

sizes = [4_000_000 >> shift for shift in range(12)] + [size for size in range(512, 0, -16) for _ in range(2)]

def eat(size):
    global taken
    try:
        while True:
            blocks[taken] = bytes(size)
            taken += 1
    except MemoryError:
        pass

def log(i):
    logger.error("e", exc_info=error if logs_exceptions == "True" else None)
    logger.info("template %d {} {}" % i, [i], "x" * 1000, field={"a": [i] * 50})
    logger.info("y" * 300_000)
    logger.info("{}", ["z" * 100_000])

for i in range(60):
    taken = 0
    for size in sizes[: i + 8]:
        eat(size)
    try:
        log(i)
    except MemoryError:  # of its own code, such as a list
        pass
    for number in range(taken):
        blocks[number] = None
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert logger.flush(60)
logger.info("last")
assert logger.flush(60)
stats = logger.stats()
assert stats.pending == 0 and stats.emitted == stats.written + stats.dropped + stats.failed, stats
assert seen[-1] == 4
logger.close()
assert open(os.path.join(folder, "log"), errors="replace").read().splitlines()[-1].startswith("last"), stats
print("lived")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("spool", ["memory", "spool"])
def test_a_limit_of_memory(tmp_path: Path, has_sound_functions: bool, spool: str) -> None:
    # `traceback` makes functions.
    done = run_program(LIMITED, tmp_path, spool, has_sound_functions, timeout=300, may_complain=True)
    assert done.stdout == "lived\n"
