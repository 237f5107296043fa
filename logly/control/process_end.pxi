# The end of the process while a sub-interpreter that has loggers is still alive. CPython before 3.14 either does not end such an
# interpreter, so that none of its Python code runs; or it ends it so late that a thread which releases the GIL, and takes it
# again, ends there. In both cases what its loggers hold is written here, with the GIL as it is and without Python, by the sinks
# that the core writes itself: files and descriptors. The first interpreter's loggers never get here.

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint64_t

from logly.flusher.loop cimport engine_pass, rings_are_empty
from logly.flusher.state cimport PASS_MORE, PASS_PYTHON, Engine
from logly.ring.gate cimport intake_wake
from logly.system.atomic cimport fetch_add, load_acquire32, load_relaxed, store_release32
from logly.system.clock cimport clock_monotonic_ns
from logly.system.cpython cimport PyInterpreterState, PyThreadState, PyThreadState_Get, Py_IncRef
from logly.system.event cimport wait_ns
from logly.system.fd cimport process_id
from logly.system.lock cimport Lock, lock_init, lock_release, lock_take, lock_try

# Of other included files:
#   control/core.pxi: Core
#   registry/retired.pxi: living_readers
#   system/threads.pxi: PyThreadState_Clear, own_interpreter

cdef extern from "Python.h":
    PyInterpreterState* PyInterpreterState_Main() noexcept
    PyThreadState* PyInterpreterState_ThreadHead(PyInterpreterState* interpreter) noexcept
    PyThreadState* PyThreadState_Next(PyThreadState* state) noexcept
    void PyThreadState_Delete(PyThreadState* state) noexcept
    int Py_AtExit(void (*function)() noexcept nogil) noexcept

cdef enum:
    # How long all loggers together may keep the end of the process waiting.
    END_PATIENCE_NS = 1500000000
    # A flusher that does Python work waits for the GIL, and is not waited for.
    PARK_PATIENCE_NS = 200000000
    END_PAUSE_NS = 1000000

cdef Engine* unended_engines = NULL
cdef Lock unended_lock
cdef bint is_sub_interpreter = own_interpreter != PyInterpreterState_Main()


cdef void watch_end(Engine* engine) noexcept nogil:
    """Has the engine's records written at the end of the process, if this is a sub-interpreter."""
    global unended_engines
    if is_sub_interpreter:
        lock_take(&unended_lock)
        engine.next_unended = unended_engines
        unended_engines = engine
        lock_release(&unended_lock)


cdef void forget_end(Engine* engine) noexcept nogil:
    """Called before the engine is freed."""
    global unended_engines
    cdef Engine** link = &unended_engines
    if not is_sub_interpreter:
        return
    lock_take(&unended_lock)
    while link[0] != NULL and link[0] != engine:
        link = &link[0].next_unended
    if link[0] != NULL:
        link[0] = engine.next_unended
    lock_release(&unended_lock)


def end_without_gil():
    """Called at exit when CPython is ending already: writes what all loggers hold, and never releases the GIL.

    Returns True when no thread of logly's is left. CPython aborts where another thread has a state in an interpreter that ends.
    """
    cdef list cores = living_readers()
    cdef list parked = []
    cdef int states = 0
    cdef PyThreadState* state = PyInterpreterState_ThreadHead(own_interpreter)
    write_unended()
    for core in cores:
        if load_acquire32(&(<Core> core).threads.has_flusher) and park_flusher(core):
            parked.append(core)
    while state != NULL:
        states += 1
        state = PyThreadState_Next(state)
    if states != len(parked) + 1:
        for core in cores:
            # A thread that waits would keep the process alive. One that goes on is ended by CPython.
            store_release32(&(<Core> core).engine.requests.abandon, 0)
        return False
    for core in parked:
        state = <PyThreadState*> (<Core> core).threads.flusher_state
        PyThreadState_Clear(state)
        PyThreadState_Delete(state)
    return True


cdef bint park_flusher(Core core) noexcept:
    """Has the flusher wait for the end of the process. Returns True when its thread state can be deleted."""
    cdef int64_t deadline = clock_monotonic_ns() + PARK_PATIENCE_NS
    Py_IncRef(<PyObject*> core)  # the thread uses the engine, so nothing of it is ever freed
    store_release32(&core.engine.requests.abandon, 1)
    store_release32(&core.engine.requests.stop, 1)
    # Woken again and again, because a thread that takes a ticket just now does not see the stop.
    while not load_acquire32(&core.engine.requests.is_parked) and clock_monotonic_ns() < deadline:
        intake_wake(&core.engine.intake)
        wait_ns(END_PAUSE_NS)
    # CPython 3.11 ends the interpreter with any state that it finds there, which may be that of the flusher.
    return load_acquire32(&core.engine.requests.is_parked) and core.threads.flusher_state != <void*> PyThreadState_Get()


cdef void write_unended() noexcept nogil:
    """Also called by Py_FinalizeEx as its last step, when no object may be touched any more."""
    cdef int64_t deadline = clock_monotonic_ns() + END_PATIENCE_NS
    cdef Engine* engine = unended_engines
    while engine != NULL:
        if engine.intake.process == process_id():
            write_to_the_end(engine, deadline)
        engine = engine.next_unended


cdef void write_to_the_end(Engine* engine, int64_t deadline) noexcept nogil:
    cdef uint64_t request
    cdef int status
    # The flusher may be in a pass. If its thread needs the GIL, which nobody gives any more, it never holds this lock.
    while not lock_try(&engine.lock):
        if clock_monotonic_ns() >= deadline:
            return
        wait_ns(END_PAUSE_NS)
    request = fetch_add(&engine.requests.flush, 1) + 1
    while load_relaxed(&engine.requests.flush_done) < request and clock_monotonic_ns() < deadline:
        status = engine_pass(engine)
        if status & PASS_PYTHON and rings_are_empty(engine):
            break
        if not status & PASS_MORE:
            wait_ns(END_PAUSE_NS)
    lock_release(&engine.lock)


lock_init(&unended_lock)
if is_sub_interpreter:
    Py_AtExit(write_unended)
