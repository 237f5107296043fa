"""Call sites where C code calls the log method: the frame on top is then not always one of a Python function.

A function that C code called (`map`) leaves, and its locals die: the interpreter's own frame is on top, which no
function ever filled in. The site is that of the Python code below it.
"""

import _thread
import ctypes
import gc
import inspect
import signal
import threading
import weakref
from functools import partial

import pytest

from logly import SinkConfig
from tests.support.lines import Lines

NOWHERE = ("?", "?", 0)


@pytest.fixture(scope="module")
def lines():
    lines = Lines(format="{module}|{function}|{lineno}|{message}")
    yield lines
    lines.close()


@pytest.fixture
def deaths():
    """Weak references whose callbacks are still to come: without the reference there is no callback."""
    return []


def told(lines):
    """Module, function and line of each record."""
    found = []
    for line in lines.lines():
        if "|" not in line:
            continue  # of a traceback
        module, function, number, _ = line.split("|")
        found.append((module, function, int(number)))
    return found


def here(depth=1):
    frame = inspect.currentframe()
    for _ in range(depth):
        frame = frame.f_back
    return (frame.f_globals["__name__"], frame.f_code.co_name, frame.f_lineno)


class Local:
    pass


# What the log call is given: the fast way, and each part of the careful way that looks at the stack.
CALLS = pytest.mark.parametrize(
    ("message", "fields"),
    [
        ("released", {}),
        ("released", {"order": 17}),
        ("released", {"order": Local()}),
        ("released", {"stacklevel": 1}),
        ("released", {"exc_info": ValueError("x")}),
        ("{:d}", {}),
        ("{:no such specification}", {"stacklevel": 1}),
    ],
    ids=["fast", "field", "object", "stacklevel", "exception", "unformattable", "both"],
)


@CALLS
def test_the_locals_of_a_function_that_c_code_called(lines, deaths, message, fields):
    log = partial(lines.logger.info, message, **fields)

    def called(_):
        local = Local()
        deaths.append(weakref.ref(local, log))

    expected = []
    for _ in range(3):
        list(map(called, [1])), expected.append(here())
        sorted([1], key=called), expected.append(here())
    assert told(lines) == expected


@CALLS
def test_in_a_thread_that_c_code_started(lines, deaths, message, fields):
    """There is no Python code below."""
    done = threading.Event()
    sink = lines.logger.add_sink(SinkConfig(function=lambda record: done.set()))
    log = partial(lines.logger.info, message, **fields)

    def called():
        local = Local()
        deaths.append(weakref.ref(local, log))

    _thread.start_new_thread(called, ())
    assert done.wait(30)
    done.clear()
    _thread.start_new_thread(log, ("x",))
    assert done.wait(30)
    lines.logger.remove_sink(sink)
    assert told(lines) == [NOWHERE] * 2


@pytest.mark.parametrize("level", [1, 2, 3, 10**6])
def test_a_stacklevel_counts_the_frames_of_python_code(lines, deaths, level):
    log = partial(lines.logger.info, "released", stacklevel=level)

    def called(_):
        local = Local()
        deaths.append(weakref.ref(local, log))

    def inner():
        list(map(called, [1])), places.append(here())

    def middle(_):
        inner(), places.append(here())

    places = []
    list(map(middle, [1])), places.append(here())
    if level <= len(places):
        assert told(lines) == [places[level - 1]]
    else:
        frame = inspect.currentframe()
        while frame.f_back is not None:
            frame = frame.f_back
        assert told(lines)[0][1] == frame.f_code.co_name


def test_locals_of_generators_and_coroutines_that_c_code_ran(lines, deaths):
    def generator():
        local = Local()
        deaths.append(weakref.ref(local, partial(lines.logger.info, "released")))
        yield 1

    async def coroutine():
        local = Local()
        deaths.append(weakref.ref(local, partial(lines.logger.info, "released")))

    expected = []
    for _ in range(2):
        list(generator()), expected.append(here())
        half = generator()
        next(half), half.close(), expected.append(here())
        with pytest.raises(StopIteration):
            coroutine().send(None)
        expected.append((*here()[:2], here()[2] - 1))
    assert told(lines) == expected


@pytest.mark.skipif(not hasattr(signal, "raise_signal"), reason="no signals")
def test_a_signal_s_handler_while_a_function_leaves(lines, deaths):
    def called(_):
        local = Local()
        deaths.append(weakref.ref(local, partial(raise_signal, signal.SIGINT)))

    def raise_signal(number, _):
        signal.raise_signal(number)

    before = signal.signal(signal.SIGINT, partial(lines.logger.info, "a signal"))
    try:
        signal.raise_signal(signal.SIGINT), (expected := [here()])
        list(map(called, [1])), expected.append(here())
    finally:
        signal.signal(signal.SIGINT, before)
    first, second = told(lines)
    assert first == expected[0]
    # The callback is a function too, so that the interpreter sees to the signal in it or where it has left.
    assert second in (expected[1], (__name__, raise_signal.__name__, raise_signal.__code__.co_firstlineno + 1))


def test_c_code_calls_back(lines):
    expected = []
    if hasattr(ctypes, "pythonapi"):
        call_back = ctypes.CFUNCTYPE(None)(partial(lines.logger.info, "called back"))
        call_back(), expected.append(here())
    assert told(lines) == expected


def test_a_collection_while_a_function_is_being_entered(lines, deaths):
    """Making a function's cells may run the collector before its first instruction."""

    def garbage():
        one, other = Local(), Local()
        one.other, other.other = other, one
        deaths.append(weakref.ref(one, partial(lines.logger.info, "collected")))

    def with_cells(a, b):
        return lambda: (a, b)

    gc.collect()
    before = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for _ in range(50):
            list(map(with_cells, [1], [2]))
            garbage()
    finally:
        gc.set_threshold(*before)
    gc.collect()
    sites = told(lines)
    assert len(sites) == 50
    assert {module for module, *_ in sites} == {__name__}
    assert 0 not in {number for *_, number in sites}


def test_a_guard_that_c_code_leaves(lines):
    done = threading.Event()
    sink = lines.logger.add_sink(SinkConfig(function=lambda record: done.set()))
    guard = lines.logger.catch()
    _thread.start_new_thread(guard.__exit__, (ValueError, ValueError("x"), None))
    assert done.wait(30)
    lines.logger.remove_sink(sink)
    [(*_, number)] = told(lines)
    assert number != ""
