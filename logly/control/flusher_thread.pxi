# The flusher's thread, from its start to its last line, and the waits for its end.

from libc.stdint cimport int64_t, uint32_t

from logly.flusher.loop cimport engine_run
from logly.flusher.state cimport RUN_PYTHON
from logly.ring.gate cimport POST_START
from logly.system.atomic cimport (
    exchange32, fetch_add, fetch_or32, fetch_sub, load_acquire, load_acquire32, load_relaxed, store_relaxed,
    store_release32,
)
from logly.system.clock cimport clock_monotonic_ns
from logly.system.cpython cimport PyErr_CheckSignals, PyThread_get_thread_ident
from logly.system.event cimport event_prepare, event_signal, event_wait, wait_ns

# Of other included files:
#   control/core.pxi: Core
#   files/descriptor.pxi: PyErr_SetObject, PyErr_WriteUnraisable
#   system/threads.pxi: SLICE_NS, deadline_of, let_greenlets_run, start_call

cdef enum:
    # Before a flusher whose Python work fails tries again; doubled with each failure in a row, up to 128 times.
    FAILURE_PAUSE_NS = 1000000


def launch_flusher(Core core not None, owner):
    """Starts the core's flusher unless it runs; `owner` is its `Flusher`. False: no thread can be started now.

    Compiled, so that no signal handler runs between the look and the start, nor is a Ctrl-C raised there.
    """
    call = (flush_on_thread, (core, owner))  # made before: the collector may run a __del__ that logs
    if exchange32(&core.threads.has_flusher, 1):
        return True
    store_release32(&core.engine.requests.stop, 0)
    fetch_add(&core.threads.flushers, 1)
    if not start_call(call):
        fetch_sub(&core.threads.flushers, 1)
        store_release32(&core.threads.has_flusher, 0)
        return False
    return True


def flush_on_thread(tuple core_and_owner):
    """The flusher's thread.

    From the launch on, everybody takes it for granted that somebody drains the rings. So nothing that fails in here ends the
    loop, not even an allocation: only `set_stop` does, or a fork that makes this thread the child's.
    """
    cdef Core core = core_and_owner[0]
    cdef object owner = core_and_owner[1]
    cdef int life = core.lives
    # It is known for that before any Python code runs on it: a __del__ may log there.
    store_relaxed(&core.threads.flusher, PyThread_get_thread_ident())
    try:
        owner.begin()
    except BaseException as trouble:
        core.report_if_possible(trouble)
    flush_until_stopped(core, life)
    # A function that forked, in the child: there this is no flusher any more.
    if core.lives == life:
        retire_flusher(core)
    try:
        owner.end()
    except BaseException as trouble:
        core.report_if_possible(trouble)
    if core.lives == life:
        fetch_sub(&core.threads.flushers, 1)
        event_signal(&core.engine.requests.done)


cdef void flush_until_stopped(Core core, int life) noexcept:
    cdef int status
    cdef int failures = 0
    while core.lives == life:
        with nogil:
            status = engine_run(core.engine)
        if status != RUN_PYTHON:
            return
        try:
            core.work()
            failures = 0
        except BaseException as trouble:  # SystemExit of somebody's function: the thread must go on
            failures += 1
            core.report_if_possible(trouble)
        if failures > 1:
            # What is wanted is still wanted, so without a pause this would be a busy loop. Each attempt begins with a pass.
            with nogil:
                wait_ns(<int64_t> FAILURE_PAUSE_NS << min(failures - 2, 7))


cdef void retire_flusher(Core core) noexcept:
    """The loop has ended: whoever logs or flushes now does its work, until another flusher is started."""
    store_relaxed(&core.threads.flusher, 0)  # another thread may get the same number
    if not core.is_over:
        # The next record asks for a flusher. `set_post` tells more exactly what follows a commit, unless that fails.
        fetch_or32(&core.engine.intake.post, POST_START)
    store_release32(&core.threads.has_flusher, 0)
    event_signal(&core.engine.requests.done)


def await_flusher_end(Core core not None, timeout=None, bint gives_way=False):
    """Waits, GIL released, until the loop has ended. False: `timeout` seconds passed, or this is the flusher's own thread.

    `gives_way`: the other greenlets of this thread run meanwhile.
    """
    cdef int64_t deadline = deadline_of(timeout)
    if load_relaxed(&core.threads.flusher) == PyThread_get_thread_ident():
        return False
    while load_acquire32(&core.threads.has_flusher):
        if clock_monotonic_ns() >= deadline:
            return False
        await_flusher(core, True, deadline, gives_way)
    return True


def await_last_line(Core core not None, timeout=None):
    """Waits, GIL released, until flushers' threads that have stopped hold nothing any more. False: the time passed."""
    cdef int64_t deadline = deadline_of(timeout)
    while load_acquire(&core.threads.flushers):
        if clock_monotonic_ns() >= deadline:
            return False
        await_flusher(core, False, deadline, False)
    return True


cdef bint await_flusher(Core core, bint for_loop, int64_t deadline, bint gives_way) except -1:
    """A part of one of these waits; the caller looks again."""
    cdef uint32_t ticket = event_prepare(&core.engine.requests.done)
    cdef int64_t left = deadline - clock_monotonic_ns()
    if load_acquire32(&core.threads.has_flusher) if for_loop else load_acquire(&core.threads.flushers):
        if not gives_way or not let_greenlets_run():
            with nogil:
                event_wait(&core.engine.requests.done, ticket, min(left, SLICE_NS))
    PyErr_CheckSignals()
    return True


cdef class Lifeline:
    """Held by every logger of a controller: when the last one is gone, what was logged is written and the flusher ends."""
    cdef object controller

    def __init__(self, controller):
        self.controller = controller

    def __del__(self):
        controller = self.controller
        if controller is None or controller.has_ended:
            return
        try:
            # Bounded, for the collector runs in any thread; the flusher goes on by itself after that.
            controller.close(controller.patience_s)
        except BaseException as trouble:
            # Nobody sees a Ctrl-C here, nor closes the logger again. The flusher does it: no signal handler runs on its thread.
            controller._flusher_closes = True
            controller.flusher.is_stopped = True
            (<Core> controller.core).set_stop(True)
            # Cython's own way would keep the traceback, and so the logger, in `sys.last_exc`.
            PyErr_SetObject(type(trouble), trouble)
            PyErr_WriteUnraisable(type(self))
