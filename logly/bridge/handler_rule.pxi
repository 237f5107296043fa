# What a sink that writes for a handler of `logging` asks of the core, beside what `SinkHandle` does for every sink.
#
# Any thread that uses a handler may remove its sink: one that closes it, one that finds out a route. For a sink that has been
# removed meanwhile, these functions do nothing.

from libc.stdint cimport int64_t, uint32_t, uint64_t

from logly.flusher.deliver cimport engine_discard, engine_write, sink_trouble
from logly.flusher.loop cimport engine_pass
from logly.flusher.sink cimport (
    WORK_ERROR, WORK_REOPEN, WORK_ROTATE, WRITE_BLOCKED, Sink, sink_backlog, sink_written_offset,
)
from logly.flusher.state cimport Engine, engine_committed, engine_unlock
from logly.ring.gate cimport intake_wake
from logly.system.atomic cimport fetch_add, fetch_sub
from logly.system.clock cimport clock_monotonic_ns
from logly.system.event cimport wait_ns
from logly.system.lock cimport lock_try

# Of other included files:
#   bridge/barrier.pxi: served_by_handler
#   bridge/routes.pxi: own_changes
#   control/core.pxi: Core
#   control/fork.pxi: FORK_PATIENCE_NS
#   control/sink_handle.pxi: SinkHandle

cdef enum:
    # A sink that has taken nothing for so long does not keep a fork waiting.
    FORK_TROUBLE_NS = 200000000


cdef class HandlerTurn:
    """``with HandlerTurn(core)``: code of a served handler runs (`doRollover`, for example). Callers wait as long as it takes.

    As they do in `logging` for the handler's lock. Compiled, so that no Ctrl-C leaves the count behind.
    """
    cdef Core core
    cdef int life

    def __cinit__(self, Core core not None):
        self.core = core

    def __enter__(self):
        self.life = self.core.lives
        fetch_add(&self.core.threads.handlers_at_work, 1)

    def __exit__(self, kind, error, trace):
        if self.core.lives == self.life:  # else that code has forked, and this is the child
            fetch_sub(&self.core.threads.handlers_at_work, 1)


def handler_is_idle(SinkHandle handle not None):
    """Whether the sink has written all that was logged before. It may also say no where there is nothing for this sink."""
    return is_idle(handle)


cdef bint is_idle(SinkHandle handle) noexcept:
    cdef Engine* engine = handle.core.engine
    cdef bint idle
    if engine_committed(engine) != engine.books.drained or not lock_try(&engine.lock):
        return False
    idle = handle.sink == NULL
    if not idle:
        idle = engine.books.drained >= engine_committed(engine) and sink_backlog(handle.sink) == 0
    engine_unlock(engine)
    return idle


def write_served():
    """Called before a fork: served handlers write what waits, because what `logging` logs before a fork is in the file before it.

    Compiled, so that no signal handler runs, whose exception would be lost in a fork's hook. It runs before `before_fork`, from
    which on a rollover, which is Python work, waits for the fork.
    """
    cdef SinkHandle handle
    cdef uint64_t mark
    cdef int64_t deadline = clock_monotonic_ns() + FORK_PATIENCE_NS
    for served in list(served_by_handler.values()):
        if (<tuple> served)[2] is None:
            continue
        handle = <SinkHandle> (<tuple> served)[2]
        if is_idle(handle) or handle.core.must_not_wait():
            continue
        mark = engine_committed(handle.core.engine)
        while not is_written_or_stuck(handle, mark, deadline) and clock_monotonic_ns() < deadline:
            with nogil:
                wait_ns(200000)


cdef bint is_written_or_stuck(SinkHandle handle, uint64_t mark, int64_t deadline) noexcept:
    """Makes one pass on this thread. True: the sink has written the first `mark` records, or is not to be waited for."""
    cdef Engine* engine = handle.core.engine
    cdef Sink* sink
    cdef bint is_over = True
    if not handle.core.lock_until(deadline):
        return True  # the flusher is stuck in a write
    sink = handle.sink
    with nogil:
        if sink != NULL:
            engine_pass(engine)
            engine_write(engine, sink)
            is_over = engine.books.drained >= mark and sink_backlog(sink) == 0 and not sink.python.busy
            if sink.trouble.since_ns:
                is_over = is_over or sink.trouble.error != 0
                is_over = is_over or clock_monotonic_ns() - sink.trouble.since_ns > FORK_TROUBLE_NS
        handle.core.unlock()
    if not is_over:
        intake_wake(&engine.intake)  # a rollover is the flusher's
    return is_over


def handler_source(SinkHandle handle not None, int fd):
    """Sets the number of the handler's own descriptor. When that is closed, or another file's, the handler is asked again."""
    global own_changes
    cdef Sink* sink = handle.core.lock_and_find_sink(handle.id)
    own_changes += 1
    if sink != NULL:
        sink.handler.source = fd
    handle.core.unlock()


def handler_postpone(SinkHandle handle not None):
    """Called when another thread holds the handler's lock. The lines wait, and the flusher asks again soon."""
    cdef Sink* sink = handle.core.lock_and_find_sink(handle.id)
    if sink != NULL:
        handle.core.engine.pace.now_ns = clock_monotonic_ns()
        sink_trouble(handle.core.engine, sink, WRITE_BLOCKED)
        sink.python.work &= ~<uint32_t> (WORK_ROTATE | WORK_REOPEN)
    handle.core.unlock()


def handler_rolled(SinkHandle handle not None):
    """Called before `SinkHandle.rotated`: the next line goes into the present file, however long it is."""
    global own_changes
    cdef Sink* sink = handle.core.lock_and_find_sink(handle.id)
    own_changes += 1
    if sink != NULL:
        sink.handler.rolled_at = sink_written_offset(sink)
    handle.core.unlock()


def handler_limits(SinkHandle handle not None, int64_t size_limit, int64_t period_end_ns):
    """Sets when the handler rolls over: its `maxBytes` (0: not by size), and the time of `rolloverAt`."""
    cdef Sink* sink = handle.core.lock_and_find_sink(handle.id)
    if sink != NULL:
        sink.file.size_limit = size_limit
        sink.file.period_from_ns = 0
        sink.file.period_ns = <uint64_t> period_end_ns
    handle.core.unlock()


def handler_losses(SinkHandle handle not None):
    """Returns how many records were lost of which nobody has been told. Now somebody is."""
    cdef Sink* sink = handle.core.lock_and_find_sink(handle.id)
    cdef uint64_t lost = 0
    if sink != NULL:
        lost = sink.trouble.lost_untold
        sink.trouble.lost_untold = 0
        sink.python.work &= ~<uint32_t> WORK_ERROR
    handle.core.unlock()
    return lost


def handler_is_failing(SinkHandle handle not None):
    """Whether the sink's last write has failed, as on a full disk. (A full pipe only takes its time.)"""
    cdef Sink* sink = handle.core.lock_and_find_sink(handle.id)
    cdef bint failing = sink != NULL and sink.trouble.error != 0 and sink.trouble.since_ns != 0
    handle.core.unlock()
    return failing


def handler_discard(SinkHandle handle not None, uint64_t mark):
    """Counts what the sink holds as failed. Returns whether nothing of the first `mark` records can come to it any more."""
    cdef Sink* sink = handle.core.lock_and_find_sink(handle.id)
    cdef bint is_over = sink == NULL or handle.core.engine.books.drained >= mark
    if sink != NULL:
        engine_discard(handle.core.engine, sink)
    handle.core.unlock()
    return is_over
