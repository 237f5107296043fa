# The flusher's thread from its start to its last line, and how others wait for its end.

from _weakref import ref

from libc.stdint cimport int64_t, uint32_t

from logly.flusher.loop cimport engine_run
from logly.flusher.state cimport RUN_PYTHON, Engine
from logly.ring.gate cimport POST_START
from logly.system.atomic cimport (
    exchange32, fetch_add, fetch_or32, fetch_sub, load_acquire, load_acquire32, load_relaxed, store_relaxed,
    store_release32,
)
from logly.system.clock cimport clock_monotonic_ns
from logly.system.cpython cimport PyErr_CheckSignals, PyThreadState_Get, PyThread_get_thread_ident
from logly.system.event cimport event_prepare, event_signal, event_wait, wait_ns

# Of other included files:
#   control/core.pxi: Core
#   files/descriptor.pxi: PyErr_SetObject, PyErr_WriteUnraisable
#   system/threads.pxi: SLICE_NS, deadline_of, let_greenlets_run, start_call

cdef enum:
    PARKED_NS = 10000000
    # The pause before a flusher whose Python work failed tries again. It doubles with each failure in a row, up to 128-fold.
    FAILURE_PAUSE_NS = 1000000


def launch_flusher(Core core not None, owner):
    """Starts the core's flusher unless it runs. `owner` is its `Flusher`. False: no thread can be started now.

    It is compiled, so that no signal handler runs, and no Ctrl-C is raised, between the check and the start.
    """
    call = (flush_on_thread, (core, owner))  # made before the check, because the collector may run a __del__ that logs
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

    From the launch on, all other threads rely on the rings being drained. So no failure in here ends the loop, not even a
    failed allocation. Only `set_stop` ends it, or a fork in whose child this thread runs on.
    """
    cdef Core core = core_and_owner[0]
    cdef object owner = core_and_owner[1]
    cdef int life = core.lives
    # The thread is registered as the flusher before any Python code runs on it, because a __del__ may log there.
    core.threads.flusher_state = PyThreadState_Get()
    store_relaxed(&core.threads.flusher, PyThread_get_thread_ident())
    try:
        owner.begin()
    except BaseException as trouble:
        core.report_if_possible(trouble)
    flush_until_stopped(core, life)
    # If a sink's function has forked, this may be the child, where this thread is no flusher any more.
    if core.lives == life:
        retire_flusher(core)
    try:
        owner.end()
    except BaseException as trouble:
        core.report_if_possible(trouble)
    if core.lives == life:
        fetch_sub(&core.threads.flushers, 1)
        event_signal(&core.engine.requests.done)


cdef void park_if_abandoned(Engine* engine) noexcept nogil:
    """In a process that ends, this thread must not take the GIL any more; see `end_without_gil`."""
    while load_acquire32(&engine.requests.abandon):
        store_release32(&engine.requests.is_parked, 1)
        wait_ns(PARKED_NS)


cdef void flush_until_stopped(Core core, int life) noexcept:
    cdef int status
    cdef int failures = 0
    while core.lives == life:
        with nogil:
            status = engine_run(core.engine)
            park_if_abandoned(core.engine)
        if status != RUN_PYTHON:
            return
        try:
            core.work()
            failures = 0
        except BaseException as trouble:  # also a SystemExit of a sink's function: the thread must go on
            failures += 1
            core.report_if_possible(trouble)
        if failures > 1:
            # The work is still wanted, so this would be a busy loop without a pause. Each attempt begins with a pass.
            with nogil:
                wait_ns(<int64_t> FAILURE_PAUSE_NS << min(failures - 2, 7))


cdef void retire_flusher(Core core) noexcept:
    """Called when the loop has ended. Threads that log or flush do its work from now on, until another flusher is started."""
    store_relaxed(&core.threads.flusher, 0)  # another thread may get the same id
    if not core.is_over:
        # The next record asks for a flusher. `set_post` later sets exactly what follows a commit, unless it fails.
        fetch_or32(&core.engine.intake.post, POST_START)
    store_release32(&core.threads.has_flusher, 0)
    event_signal(&core.engine.requests.done)


def await_flusher_end(Core core not None, timeout=None, bint gives_way=False):
    """Waits, with the GIL released, until the loop has ended. False: the time is over, or this is the flusher's own thread.

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
    """Waits, with the GIL released, until the threads of stopped flushers hold nothing any more. False: the time is over."""
    cdef int64_t deadline = deadline_of(timeout)
    while load_acquire(&core.threads.flushers):
        if clock_monotonic_ns() >= deadline:
            return False
        await_flusher(core, False, deadline, False)
    return True


cdef bint await_flusher(Core core, bint for_loop, int64_t deadline, bint gives_way) except -1:
    """Waits for a short part of one of these waits. The caller checks again."""
    cdef uint32_t ticket = event_prepare(&core.engine.requests.done)
    cdef int64_t left = deadline - clock_monotonic_ns()
    if load_acquire32(&core.threads.has_flusher) if for_loop else load_acquire(&core.threads.flushers):
        if not gives_way or not let_greenlets_run():
            with nogil:
                event_wait(&core.engine.requests.done, ticket, min(left, SLICE_NS))
    PyErr_CheckSignals()
    return True


cdef class Lifeline:
    """Held by every logger of a controller. When the last logger is gone, what was logged is written and the flusher ends."""

    def __init__(self, controller):
        self.controller = controller
        (<Core> controller.core).lifeline = ref(self)

    def __del__(self):
        controller = self.controller
        if controller is None or controller.has_ended:
            return
        (<Core> controller.core).lifeline = None  # a copy that is unpickled meanwhile must not get this one
        try:
            # The wait is bounded, because the collector runs in any thread. The flusher goes on by itself after that.
            controller.close(controller.patience_s)
        except BaseException as trouble:
            # Nobody sees a Ctrl-C that is raised here, and nobody else will close the logger. So the flusher closes it, on whose
            # thread no signal handler runs.
            controller._flusher_closes = True
            controller.flusher.is_stopped = True
            (<Core> controller.core).set_stop(True)
            # Cython's own way would keep the traceback, and so the logger, in `sys.last_exc`.
            PyErr_SetObject(type(trouble), trouble)
            PyErr_WriteUnraisable(type(self))
