# Waits until what was logged before is written: `flush`, and log calls with a synchronous sink.

from libc.stdint cimport int64_t, uint32_t, uint64_t

from logly.flusher.deliver cimport engine_discard
from logly.flusher.flushes cimport repeats_are_stuck
from logly.flusher.loop cimport engine_pass
from logly.flusher.sink cimport TARGET_BATCH, Sink, sink_backlog, synchronous_are_behind
from logly.flusher.state cimport (
    PASS_HELD, PASS_MORE, PASS_PYTHON, PASS_SOON, Engine, engine_committed, engine_position, engine_written,
    late_given, late_position,
)
from logly.ring.gate cimport POST_DRAIN, intake_wake
from logly.ring.leases cimport own_ring
from logly.ring.ring cimport Ring
from logly.system.atomic cimport fetch_add, load_acquire, load_acquire32, load_relaxed, load_relaxed32
from logly.system.clock cimport clock_monotonic_ns
from logly.system.cpython cimport PyErr_CheckSignals, PyThread_get_thread_ident
from logly.system.event cimport event_prepare, event_wait, wait_ns

# Of other included files:
#   control/core.pxi: Core
#   control/sink_handle.pxi: SinkHandle
#   control/spooling.pxi: resume_if_recovering_here
#   system/threads.pxi: GREENLET_PATIENCE_NS, deadline_of, let_greenlets_run


cdef bint flush_until(Core core, timeout, bint gives_way) except -1:
    cdef Engine* engine = core.engine
    cdef int64_t deadline = deadline_of(timeout)
    cdef uint64_t request, mark
    resume_if_recovering_here(core)
    if core.is_over or not core.lock_patiently(deadline):
        return False
    mark = engine_committed(engine)
    core.unlock()
    request = fetch_add(&engine.requests.flush, 1) + 1
    if core.must_not_wait() or runs_batches(core):
        core.pass_here()
    elif not await_flush(core, request, deadline, gives_way):
        return False
    return is_past(core, mark, deadline)


cdef bint is_past(Core core, uint64_t mark, int64_t deadline) except -1:
    cdef bint past
    if not core.lock_patiently(deadline):
        return False
    past = engine_position(core.engine) >= mark and not repeats_are_stuck(core.engine)
    core.unlock()
    return past


cdef bint await_flush(Core core, uint64_t request, int64_t deadline, bint gives_way) except -1:
    cdef Engine* engine = core.engine
    cdef int64_t left, longest
    cdef bint has_waited = False
    cdef uint32_t ticket
    while load_acquire(&engine.requests.flush_done) < request and not core.is_over:
        ticket = event_prepare(&engine.requests.done)
        if core.helper is not None:
            core.helper(core)
        longest = 50000000
        if has_waited and flusher_is_in_python(core):
            if core.lock_patiently(deadline):
                with nogil:
                    engine_pass(engine)
                    core.unlock()
        elif load_acquire32(&core.threads.has_flusher):
            intake_wake(&engine.intake)
        else:
            # Repeated until it is done, because a sink in trouble may recover or exceed the stall time.
            core.drain_here()
            longest = 5000000
        left = deadline - clock_monotonic_ns()
        if load_acquire(&engine.requests.flush_done) >= request:
            break
        if left <= 0:
            return False
        if gives_way and has_waited and let_greenlets_run():
            continue
        if gives_way and not has_waited:
            longest = GREENLET_PATIENCE_NS
        with nogil:
            event_wait(&engine.requests.done, ticket, left if left < longest else longest)
        has_waited = True
        PyErr_CheckSignals()
    return True


def write_at_call(SinkHandle handle not None):
    """From now on the sink's lines are in the kernel when a log call returns, but no call waits while the sink is in trouble."""
    cdef Sink* sink = handle.core.lock_and_find_sink(handle.id)
    if sink != NULL:
        sink.synchronous = sink.spares_calls = True
    handle.core.unlock()


cdef bint write_here(Core core) except -1:
    """Has this thread's record written before the log call returns, because there is a synchronous sink."""
    cdef int status
    if core.is_over:
        return True
    if core.must_not_wait():
        core.pass_here()
        return True
    resume_if_recovering_here(core)
    ring = <Ring*> own_ring(load_relaxed(&core.engine.intake.generation))
    mine = ring.head if ring != NULL else 0
    while True:
        status = core.pass_here()
        # Merging several threads' rings may leave late records for the next pass. So another pass is made while this thread's
        # record still waits.
        if ring == NULL or status & (PASS_PYTHON | PASS_HELD) or not status & (PASS_MORE | PASS_SOON):
            break
        if load_acquire(&ring.positions.tail) >= mine:
            break
    if status & (PASS_PYTHON | PASS_HELD) or sync_is_behind(core):
        if load_relaxed32(&core.engine.intake.post) & POST_DRAIN:
            core.drain_here()
        else:
            core.ask_for_flusher()
            intake_wake(&core.engine.intake)
            await_sync(core)
    return True


cdef bint await_sync(Core core) except -1:
    """Waits for the synchronous sinks only, because another sink may hang."""
    cdef int64_t limit = clock_monotonic_ns() + 2 * <int64_t> load_relaxed(<uint64_t*> &core.engine.intake.stall_ns)
    while not sync_is_done(core) and clock_monotonic_ns() < limit:
        if not core.flush(0.02):
            with nogil:
                wait_ns(1000000)
    return True


cdef bint flusher_is_in_python(Core core) noexcept:
    """Whether the flusher is inside user code. Waiting threads make passes themselves then, so that other sinks do not stall."""
    cdef uint64_t thread = load_relaxed(&core.threads.inside)
    return thread != 0 and thread == load_relaxed(&core.threads.flusher)


cdef bint sync_is_done(Core core) noexcept:
    """Makes one more pass. Returns whether the synchronous sinks have written everything that was logged before it."""
    cdef uint64_t mark
    cdef bint done
    core.lock()
    with nogil:
        mark = engine_committed(core.engine)
        engine_pass(core.engine)
        done = core.engine.books.drained >= mark and not synchronous_are_behind(core.engine.sinks)
        core.unlock()
    return done


cdef bint sync_is_behind(Core core) noexcept:
    cdef bint behind
    core.lock()
    behind = synchronous_are_behind(core.engine.sinks)
    core.unlock()
    return behind


cdef bint runs_batches(Core core) noexcept:
    """Whether this thread calls the function of a batch sink, so that it would wait for itself."""
    cdef uint64_t me = PyThread_get_thread_ident()
    cdef Sink* sink
    cdef bint runs = False
    if core.engine.batch_sinks == 0:
        return False
    core.lock()
    sink = core.engine.sinks
    while sink != NULL:
        runs = runs or sink.batches.thread == me
        sink = sink.next
    core.unlock()
    return runs


cdef uint64_t abandon_sinks_in_trouble(Core core, bint batches) except? 0:
    cdef Sink* sink
    cdef bint gives_up
    cdef uint64_t lost
    core.lock()
    lost = core.engine.books.failed.total + core.engine.books.late_failed.total
    sink = core.engine.sinks
    while sink != NULL:
        gives_up = batches if sink.target == TARGET_BATCH else sink.trouble.since_ns != 0
        if gives_up and sink_backlog(sink) and not sink.python.busy:
            sink.tally.told += engine_discard(core.engine, sink)  # the caller tells of it
        sink = sink.next
    lost = core.engine.books.failed.total + core.engine.books.late_failed.total - lost
    core.unlock()
    return lost


cdef object pending_records(Core core, timeout):
    cdef uint64_t written, pending
    if timeout is None:
        core.lock()
    elif not core.lock_patiently(deadline_of(timeout)):
        return None
    written = engine_written(core.engine)
    pending = engine_committed(core.engine) - written - core.engine.books.failed.total
    # Of a dump: what it is still to give to the sinks, and what they hold.
    pending += late_given(core.engine) - late_position(core.engine)
    core.unlock()
    return pending
