# The work that sinks want of Python. The flusher's thread does it, or a caller where there is no flusher.

from libc.stdint cimport uint32_t, uint64_t, uint8_t
from libc.stdlib cimport free, malloc

from logly.flusher.sink cimport WORK_ERROR, WORK_GIVEN_UP, WORK_LOST, WORK_RECORDS, WORK_REOPEN, WORK_ROTATE, WORK_STREAM, Sink
from logly.flusher.state cimport PASS_HELD, PASS_MORE, PASS_PYTHON, PASS_SOON
from logly.ring.gate cimport NEED_CARE
from logly.ring.record cimport IS_INSIDE
from logly.system.atomic cimport compare_exchange, fetch_add, load_relaxed, store_relaxed, store_relaxed32, store_release
from logly.system.cpython cimport PyThread_get_thread_ident

# Of other included files:
#   control/core.pxi: Core
#   ring/forks.pxi: await_forks, somebody_forks

cdef struct FoundWork:
    int sink_id
    uint32_t work
    int error


cdef class PythonWork:
    """What one sink wants of Python."""
    pass


cdef PythonWork python_work(const FoundWork* found):
    cdef PythonWork work = PythonWork.__new__(PythonWork)
    work.sink_id = found.sink_id
    work.error = found.error
    work.rotates = found.work & WORK_ROTATE
    work.reopens = found.work & WORK_REOPEN
    work.is_lost = found.work & WORK_LOST
    work.writes = found.work & WORK_STREAM
    work.has_records = found.work & WORK_RECORDS
    work.gives_up = found.work & WORK_GIVEN_UP
    return work


cdef void collect_work(Sink* sink, FoundWork* found) noexcept nogil:
    while sink != NULL and found != NULL:
        if sink.python.work:
            found.sink_id = sink.id
            found.work = sink.python.work
            found.error = sink.trouble.error if sink.python.work & WORK_ERROR else 0
            sink.python.work &= ~<uint32_t> (WORK_ERROR | WORK_LOST | WORK_GIVEN_UP)
            found += 1
        sink = sink.next


cdef list work_of_sinks(Core core):
    cdef Sink* sink
    cdef FoundWork* found = NULL
    cdef uint32_t count = 0, i
    store_relaxed32(&core.engine.requests.python, 0)
    core.lock()
    sink = core.engine.sinks
    while sink != NULL:
        count += sink.python.work != 0
        sink = sink.next
    if count:
        found = <FoundWork*> malloc(count * sizeof(FoundWork))
        collect_work(core.engine.sinks, found)
    core.unlock()
    # The list is made outside the lock, because making it may run the collector, and with it a __del__ that logs.
    work = []
    try:
        for i in range(count if found != NULL else 0):
            work.append(python_work(&found[i]))
    finally:
        free(found)
    return work


cdef object call_marked(Core core, uint8_t marks, object function, tuple args):
    cdef uint64_t thread = core.threads.inside
    cdef uint8_t before = core.threads.inside_marks
    core.threads.inside_marks = marks
    store_relaxed(&core.threads.inside, <uint64_t> PyThread_get_thread_ident())
    set_care(core, True)
    try:
        return function(*args)
    finally:
        store_relaxed(&core.threads.inside, thread)
        core.threads.inside_marks = before
        if not thread:
            set_care(core, False)


def call_on_error(Core core not None, function, error):
    """Calls on_error. What is reported on this thread meanwhile, about a record that it logs for example, is not for on_error."""
    cdef uint64_t before = load_relaxed(&core.threads.reporting)
    store_relaxed(&core.threads.reporting, <uint64_t> PyThread_get_thread_ident())
    try:
        return call_marked(core, IS_INSIDE, function, (error,))
    finally:
        store_relaxed(&core.threads.reporting, before)


cdef void set_care(Core core, bint care) noexcept:
    cdef uint32_t others
    core.lock()
    others = core.engine.intake.needs & ~<uint32_t> NEED_CARE
    store_relaxed32(&core.engine.intake.needs, others | (NEED_CARE if care else 0))
    core.unlock()


cdef bint work_once(Core core) except -1:
    cdef uint64_t me = PyThread_get_thread_ident()
    await_forks()
    if not compare_exchange(&core.threads.drainer, 0, me):
        return False
    if somebody_forks():  # the fork began in between, and may not have seen this thread
        store_release(&core.threads.drainer, 0)
        await_forks()
        if not compare_exchange(&core.threads.drainer, 0, me):
            return False
    try:
        core.on_work()
    finally:
        store_release(&core.threads.drainer, 0)
    return True


cdef bint drain_on_this_thread(Core core) except -1:
    cdef int status
    fetch_add(&core.engine.requests.flush, 1)
    while not core.is_over:
        status = core.pass_here()
        if core.must_not_wait():
            return True  # a caller further up this thread's stack goes on with the work
        if status & PASS_PYTHON:
            if not try_work(core):
                return True
        elif status & PASS_HELD and not status & PASS_SOON or not status & (PASS_MORE | PASS_SOON):
            return True
    return True


cdef bint try_work(Core core) except -1:
    """Calls `work`. Returns False also when it fails: there is no memory, or the interpreter is ending."""
    cdef bint goes_on = False
    try:
        goes_on = core.work()
    except Exception as error:
        # Not `report`: the draining thread would be sent back here again and again as long as it fails.
        core.keep_error(error)
    return goes_on
