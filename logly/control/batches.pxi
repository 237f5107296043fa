# The thread of a batch sink takes batches here, and settles them; see flusher/batch.pxd. A sink that was removed is a KeyError.

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint32_t, uint64_t, uint8_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from logly.flusher.batch cimport (
    FATE_WRITTEN, batch_fail, batch_let_go, batch_retry_ns, batch_thread_fails, leave_marks, oldest_lines, remove_text,
)
from logly.flusher.deliver cimport sink_recovered
from logly.flusher.outlet_threads cimport outlet_begins, outlet_ends
from logly.flusher.sink cimport WORK_STREAM, Sink, sink_written_offset
from logly.flusher.state cimport Engine
from logly.ring.gate cimport POST_DRAIN, intake_wake
from logly.system.atomic cimport load_relaxed, load_relaxed32
from logly.system.clock cimport clock_monotonic_ns
from logly.system.cpython cimport PyThread_get_thread_ident
from logly.system.event cimport event_wait

# Of other included files:
#   control/core.pxi: Core
#   control/sink_handle.pxi: SinkHandle
#   system/threads.pxi: EventCount

cdef enum:
    LONGEST_WAIT_NS = 3600000000000


# Called under the lock, before the function is called with the taken batch.
cdef void begin_call(Engine* engine, Sink* sink) noexcept nogil:
    sink.batches.is_in_call = True
    sink.batches.begun_ns = clock_monotonic_ns()
    sink.batches.tried_for = load_relaxed(<uint64_t*> &engine.requests.flush)
    sink.batches.is_hurried = False


# True when the lines that wait are to be sent now.
cdef bint lines_are_due(const Sink* sink, int64_t now_ns) noexcept nogil:
    cdef size_t waiting = sink.pending.text.size - sink.pending.start
    return waiting != 0 and (sink.batches.is_wanted or waiting >= sink.buffer_size or now_ns >= sink.pending.due_ns)


def batch_take(SinkHandle handle not None):
    """Returns what the sink's function is to be called with now: (lines, count, serial of the batch).

    Or the seconds until a pause is over; or None: nothing is due.
    """
    cdef Core core = handle.core
    cdef Engine* engine = core.engine
    cdef Sink* sink
    cdef size_t size = 0, found
    cdef uint32_t count = 0
    cdef uint64_t serial
    cdef int64_t wait_ns
    cdef bytes lines = None
    cdef char* copy
    while True:
        # The object is made without the lock, so the lines may be others by then.
        lines = PyBytes_FromStringAndSize(NULL, size) if size else None
        sink = core.lock_sink(handle.id)
        if not sink.pending.taken and not lines_are_due(sink, clock_monotonic_ns()):
            sink.batches.is_wanted = False
            core.unlock()
            return None
        wait_ns = batch_retry_ns(engine, sink) - clock_monotonic_ns()
        if wait_ns > 0:
            core.unlock()
            return wait_ns / 1e9
        if sink.pending.taken:
            begin_call(engine, sink)
            count, serial = sink.batches.marks, sink.batches.serial
            core.unlock()
            return handle.batch, count, serial
        count = oldest_lines(sink, size if size else sink.buffer_size, &found)
        if found == size and size:
            break
        size = found
        core.unlock()
    handle.batch = lines
    copy = PyBytes_AS_STRING(lines)
    with nogil:
        memcpy(copy, sink.pending.text.data + sink.pending.start, size)
        sink.batches.begin = sink_written_offset(sink)
        sink.pending.taken = size
        sink.batches.marks = count
        remove_text(sink, size)
        begin_call(engine, sink)
        serial = sink.batches.serial
        core.unlock()
    return lines, count, serial


# Locks the engine. NULL: the batch was given up meanwhile; the engine is not locked then.
cdef Sink* lock_taken(SinkHandle handle, uint64_t serial) except? NULL:
    cdef Sink* sink = handle.core.lock_sink(handle.id)
    sink.batches.is_in_call = False
    sink.batches.ended_ns = clock_monotonic_ns()
    if sink.pending.taken and sink.batches.serial == serial:
        return sink
    handle.core.unlock()
    return NULL


def batch_settle(
    SinkHandle handle not None, uint64_t serial, bytes fates=None, bytes rest=None, uint64_t told=0, uint64_t taken=0,
):
    """Called when the function has taken the batch, or a part of it. Returns False if the batch was given up meanwhile.

    `fates`: what has become of each mark, as `BatchFate` says; None: all of them are written. `rest`: the lines of those
    that are kept for another try, for which `batch_retry` sets a time. `told`: so many have failed, of which the caller tells.
    `taken`: so many bytes were taken, where not all are.
    """
    cdef Engine* engine = handle.core.engine
    cdef uint64_t size = taken if fates is not None else <uint64_t> len(handle.batch)
    cdef Sink* sink = lock_taken(handle, serial)
    cdef const uint8_t* fate = NULL
    cdef uint64_t before
    if sink == NULL:
        return False
    if fates is not None:
        fate = <const uint8_t*> PyBytes_AS_STRING(fates)
        if len(fates) != <Py_ssize_t> sink.batches.marks:  # nobody knows what the other side has
            batch_fail(engine, sink)
            handle.core.unlock()
            return True
    before = sink.tally.records
    sink.tally.told += told
    sink.batches.retry_at_ns = sink.batches.failed_ns = sink.batches.held_until_ns = 0
    sink.batches.marks = leave_marks(engine, sink, 0, sink.batches.marks, fate, FATE_WRITTEN)
    sink.tally.writes += 1
    sink.tally.bytes_written += size
    if sink.batches.marks == 0:
        batch_let_go(sink)
    if fate == NULL or sink.tally.records != before:
        engine.pace.now_ns = clock_monotonic_ns()
        sink_recovered(engine, sink)
    handle.batch = rest
    if sink.batches.marks:
        sink.batches.is_in_call = True  # until `batch_retry`
    handle.core.unlock()
    intake_wake(&engine.intake)
    return True


def batch_retry(SinkHandle handle not None, uint64_t serial, double pause_s, double held_s=0.0):
    """Called when the function has failed: the batch is tried again after a pause. False: it was given up meanwhile.

    `held_s`: the function itself has asked for so long a pause, so nobody shortens it to less.
    """
    cdef Engine* engine = handle.core.engine
    cdef Sink* sink = lock_taken(handle, serial)
    cdef int64_t now_ns = clock_monotonic_ns()
    if sink != NULL:
        sink.batches.failed_ns = now_ns
        sink.batches.retry_at_ns = now_ns + <int64_t> (pause_s * 1e9)
        sink.batches.held_until_ns = now_ns + <int64_t> (held_s * 1e9)
        sink.tally.write_errors += 1
        if sink.trouble.since_ns == 0:
            sink.trouble.since_ns = now_ns
        handle.core.unlock()
    intake_wake(&engine.intake)
    return sink != NULL


def batch_refused(SinkHandle handle not None, uint64_t serial):
    """Called when the batch can never be taken: its records count as failed. Returns how many they are."""
    cdef Engine* engine = handle.core.engine
    cdef Sink* sink = lock_taken(handle, serial)
    cdef uint64_t lost
    if sink == NULL:
        return 0
    lost = sink.tally.failed
    sink.tally.write_errors += 1
    batch_fail(engine, sink)
    lost = sink.tally.failed - lost
    sink.tally.told += lost  # by the caller
    handle.core.unlock()
    intake_wake(&engine.intake)
    return lost


def batch_ends(SinkHandle handle not None, uint64_t serial):
    """Where the lines of each mark of the taken batch end in it. None: the batch was given up meanwhile."""
    cdef Sink* sink = handle.core.lock_sink(handle.id)
    cdef uint32_t count = sink.batches.marks if sink.pending.taken and sink.batches.serial == serial else 0
    cdef uint64_t* ends = NULL
    cdef uint32_t i
    # Copied before any object is made: an object may be what makes the garbage collector run, and with it any code.
    if count:
        ends = <uint64_t*> malloc(count * sizeof(uint64_t))
    if ends != NULL:
        for i in range(count):
            ends[i] = sink.pending.marks.mark[sink.pending.marks.first + i].end - sink.batches.begin
    handle.core.unlock()
    if count == 0:
        return None
    if ends == NULL:
        raise MemoryError
    found = []
    try:
        for i in range(count):
            found.append(ends[i])
    finally:
        free(ends)
    return found


def batch_is_given_up(SinkHandle handle not None):
    """Whether the function is at work on a batch that was given up: nobody waits for that call."""
    cdef Sink* sink = handle.core.lock_and_find_sink(handle.id)
    cdef bint is_given_up = sink == NULL or (sink.batches.is_in_call and sink.pending.taken == 0)
    handle.core.unlock()
    return is_given_up


# ---- the thread

def batch_thread_begins(SinkHandle handle not None, double hung_s):
    """Called by the sink's thread, on that thread. `hung_s`: nobody waits longer for a call of the function."""
    cdef uint64_t thread = PyThread_get_thread_ident()
    cdef Sink* sink = handle.core.lock_sink(handle.id)
    sink.batches.thread = thread
    sink.batches.start_at_ns = 0
    sink.batches.hung_ns = <int64_t> (hung_s * 1e9)
    handle.core.unlock()
    outlet_begins(thread)


def batch_thread_ends(SinkHandle handle not None, double pause_s=0.0):
    """Called by the sink's thread when it ends, also when the sink was removed.

    `pause_s`: an error has ended it, and another one is started after this pause.
    """
    cdef uint64_t thread = PyThread_get_thread_ident()
    cdef Sink* sink
    outlet_ends(thread)
    sink = handle.core.lock_and_find_sink(handle.id)
    if sink != NULL and sink.batches.thread == thread:
        sink.batches.thread = 0
        sink.batches.is_in_call = False
        if pause_s > 0:
            batch_thread_fails(handle.core.engine, sink, clock_monotonic_ns(), <int64_t> (pause_s * 1e9))
    handle.core.unlock()
    intake_wake(&handle.core.engine.intake)


def batch_work_done(SinkHandle handle not None, double pause_s=0.0, bint has_failed=False):
    """Called when Python has done what WORK_STREAM asked for. It is asked again after `pause_s` at the earliest.

    `has_failed`: no thread could be started.
    """
    cdef Sink* sink = handle.core.lock_sink(handle.id)
    cdef int64_t start_at_ns
    sink.python.work &= ~<uint32_t> WORK_STREAM
    if sink.batches.thread == 0 and has_failed:
        batch_thread_fails(handle.core.engine, sink, clock_monotonic_ns(), <int64_t> (pause_s * 1e9))
    elif sink.batches.thread == 0:
        start_at_ns = clock_monotonic_ns() + <int64_t> (pause_s * 1e9)
        sink.batches.start_at_ns = max(sink.batches.start_at_ns, start_at_ns)
    handle.core.unlock()


def batch_await(EventCount event not None, uint32_t ticket, timeout=None):
    """Waits for a signal after `ticket` was taken. Unlike `EventCount.wait` it does not look for Ctrl-C now and then."""
    cdef int64_t wait_ns = LONGEST_WAIT_NS
    if timeout is not None:
        wait_ns = min(wait_ns, max(0, <int64_t> (<double> timeout * 1e9)))
    with nogil:
        event_wait(&event.event, ticket, wait_ns)


def batches_by_caller(Core core not None):
    """Whether there is no flusher any more, so that the thread that logs does all work, that of batch sinks included."""
    return load_relaxed32(&core.engine.intake.post) & POST_DRAIN != 0
