"""The engine of one logger: what producers and flusher share, and the flusher's side of it.

A pass takes the earliest records of all rings, has each wanted sink render its line, and writes what is due.
Whoever makes a pass holds `lock` (the flusher; or the caller of a synchronous sink, with the GIL released). Nothing
here needs the interpreter: what does (rotation, Python streams and functions, telling of errors) is left as
`work` on the sink, and the flusher's thread returns to Python for it after the lock is released.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcmp, memcpy, memmove, memset

from logly._atomic cimport (
    exchange32, fence_full, fetch_add, fetch_sub, load_acquire, load_acquire32, load_pointer, load_relaxed,
    load_relaxed32, store_pointer, store_relaxed, store_relaxed32, store_release, store_release32,
)
from logly._buffer cimport Buffer, buffer_append, buffer_free, buffer_init
from logly._clock cimport (
    ClockCalibration, calibration_is_due, calibration_ns, calibration_refresh, clock_monotonic_ns, clock_ticks,
)
from logly._event cimport Event, event_prepare, event_signal, event_wait
from logly._layout cimport render_line
from logly._line cimport Level, Line, Site, Text, write_message
from logly._merge cimport Merge, merge_begin, merge_next, record_proper
from logly._output cimport (
    LOST_BIT, NO_TURN, NOTICE_BIT, TARGET_FD, TARGET_FUNCTION, TARGET_STREAM, WORK_ERROR, WORK_RECORDS, WORK_REOPEN,
    WORK_STREAM, WRITE_BLOCKED, WRITE_DONE, WRITE_FAILED, WRITE_PYTHON, Marks, Sink, marks_push, sink_backlog,
    sink_forget, sink_is_mid_record, sink_mark, sink_oldest, sink_use_spool, sink_write,
)
from logly._program cimport Program, write_value
from logly._record cimport (
    HAS_SITE, IS_NOTICE, TAG_UTF8, RecordHeap, RecordHeader, RecordView, Value, align_record, record_view, text_kind,
)
from logly._ring cimport (
    RECORD_HEAP, RECORD_INLINE, Ring, RecordPrefix, ring_consume, ring_free, ring_peek, ring_release,
)
from logly._spool cimport Spool, slot_pass, spool_drop_blob_later, spool_release, spool_save_clock
from logly._threads cimport FREE_THREADED, lease_is_over, lease_leave

cdef enum:
    MAX_LEVELS = 256
    RELEASE_BYTES = 65536      # consumed bytes after which blocked producers get room
    SOON_NS = 50000
    TURN_NS = 10000000         # how long the flusher leaves the lock to somebody who waits for it, and for the GIL
    RETRY_BLOCKED_NS = 10000000
    RETRY_FAILED_NS = 50000000
    TELL_NS = 1000000000       # the same trouble is told once in this time

cdef extern from * nogil:
    """
    #define LOGLY_NO_MARK (~0ull)
    """
    const uint64_t NO_MARK "LOGLY_NO_MARK"

cdef enum Need:                # what producers must put into records
    NEED_SITE = 1
    NEED_THREAD = 2
    NEED_THREAD_NAME = 4
    NEED_CONTEXT = 8
    NEED_CARE = 16             # a sink's Python code runs: mark the records that come from it

cdef enum Post:                # what producers must do after a commit
    POST_START = 1             # no flusher is running yet
    POST_SYNC = 2              # a synchronous sink is there
    POST_DRAIN = 4             # no flusher any more: the caller does its work
    POST_WAKE = 8              # flush interval 0: the flusher is to write at once

cdef enum PassStatus:
    PASS_MORE = 1              # there is work now
    PASS_PYTHON = 2            # a sink wants Python
    PASS_HELD = 4              # something is left that cannot be written yet
    PASS_SOON = 8              # there is work in some microseconds: see _merge.pxd

cdef enum RunStatus:
    RUN_STOPPED = 0
    RUN_PYTHON = 1


cdef struct Engine:
    # read by producers
    int32_t threshold          # levels below it are off
    int32_t flush_level
    uint32_t needs
    uint32_t post
    uint32_t drops             # overflow="drop"
    Ring* ring                 # GIL builds: the one that producers write to
    uint64_t id                # free-threaded builds: see _threads.pxd
    uint64_t generation        # rings of an older one are given up
    uint64_t ring_capacity
    uint64_t heap_limit        # bytes of records in heap blocks that may wait
    uint64_t max_message_bytes
    char apart[128]
    # handshakes
    uint32_t asleep
    uint32_t wake_wanted
    uint32_t stop
    uint32_t python_wanted     # something to tell: the flusher returns to Python
    uint64_t waiters           # producers that wait for room
    uint64_t dropped           # records refused because the ring was full
    uint64_t flush_requested
    uint64_t flush_done
    Event wake
    Event space
    Event done
    uint32_t lock
    uint64_t lock_waiters
    Event lock_event
    Event turn
    char apart2[128]
    # the consumer's, under `lock`
    Ring* rings                # every ring that may hold records
    Sink* sinks
    Spool* spool               # the one that the ring being consumed lies in, or NULL
    bint spooled               # rings are consumed one after the other, oldest first
    ClockCalibration calibration
    Buffer scratch
    Buffer message
    uint64_t drained           # records taken from rings: the sequence number of the next one
    uint64_t flush_active      # request that is being served
    uint64_t flush_mark        # it is done when every sink is past this record
    uint64_t flush_ticks       # free-threaded builds: when it was asked for; the mark is set when the rings are past that
    uint64_t settled_ticks     # up to here everything has been taken from the rings
    Merge merge
    uint64_t* failed           # sequence numbers of failed records that are not below every sink's position
    uint32_t failed_count
    uint32_t failed_capacity
    uint64_t failed_total
    uint64_t past_committed    # of rings that are gone
    uint64_t past_high_water
    uint64_t told_dropped
    int64_t interval_ns
    int64_t stall_ns           # how long a sink in trouble may hold producers up
    int64_t sleep_ns
    int64_t now_ns
    uint64_t process
    Text name
    Level levels[MAX_LEVELS]
    uint32_t level_count
    Program** programs         # by id; the core's registries
    Site** sites


# ---- the lock: held for one pass; never waited for with the GIL, never held while waiting for the GIL

cdef inline bint engine_try_lock(Engine* engine) noexcept nogil:
    return exchange32(&engine.lock, 1) == 0


cdef inline void engine_lock(Engine* engine) noexcept nogil:
    cdef uint32_t ticket
    if engine_try_lock(engine):
        return
    fetch_add(&engine.lock_waiters, 1)
    while True:
        ticket = event_prepare(&engine.lock_event)
        if engine_try_lock(engine):
            break
        # The timeout only bounds the harm of a signal that came before `lock_waiters` was seen.
        event_wait(&engine.lock_event, ticket, 5000000)
    fetch_sub(&engine.lock_waiters, 1)
    event_signal(&engine.turn)


# Until the lock looks free. For a thread that wants it together with the GIL: it has counted itself in `lock_waiters`.
cdef inline void engine_await_free(Engine* engine) noexcept nogil:
    cdef uint32_t ticket = event_prepare(&engine.lock_event)
    if load_acquire32(&engine.lock):
        event_wait(&engine.lock_event, ticket, 5000000)


cdef inline void engine_unlock(Engine* engine) noexcept nogil:
    store_release32(&engine.lock, 0)
    fence_full()
    if load_relaxed(&engine.lock_waiters):
        event_signal(&engine.lock_event)


# Between two passes of a busy flusher the lock is free for an instant only: who has been woken for it comes too late every
# time. So the flusher waits until that one has had it.
cdef inline void engine_give_way(Engine* engine) noexcept nogil:
    cdef uint32_t ticket
    if load_relaxed(&engine.lock_waiters) == 0:
        return
    ticket = event_prepare(&engine.turn)
    if load_relaxed(&engine.lock_waiters):
        event_wait(&engine.turn, ticket, TURN_NS)


# ---- waking the flusher

# Store, fence, load: the flusher stores `asleep`, fences and loads `wake_wanted`, so one of the two sees the other
# (Dekker). Only urgent records and a ring past its half pay for the fence.
cdef inline void engine_wake(Engine* engine) noexcept nogil:
    store_relaxed32(&engine.wake_wanted, 1)
    fence_full()
    if load_relaxed32(&engine.asleep):
        event_signal(&engine.wake)


# ---- books

# Every record below this sequence number has left every sink.
cdef inline uint64_t engine_position(Engine* engine) noexcept nogil:
    cdef uint64_t position = engine.drained
    cdef uint64_t oldest
    cdef Sink* sink = engine.sinks
    while sink != NULL:
        oldest = sink_oldest(sink, position)
        if oldest < position:
            position = oldest
        sink = sink.next
    return position


cdef inline void engine_fail(Engine* engine, uint64_t sequence) noexcept nogil:
    cdef uint32_t i = engine.failed_count
    cdef uint64_t* grown
    while i > 0 and engine.failed[i - 1] > sequence:
        i -= 1
    if i > 0 and engine.failed[i - 1] == sequence:
        return
    engine.failed_total += 1
    if engine.failed_count == engine.failed_capacity:
        grown = <uint64_t*> realloc(engine.failed, 8 * (engine.failed_capacity * 2 + 64))
        if grown == NULL:
            return
        engine.failed = grown
        engine.failed_capacity = engine.failed_capacity * 2 + 64
    memmove_words(engine.failed + i + 1, engine.failed + i, engine.failed_count - i)
    engine.failed[i] = sequence
    engine.failed_count += 1


cdef inline void memmove_words(uint64_t* to, const uint64_t* source, uint32_t count) noexcept nogil:
    while count > 0:
        count -= 1
        to[count] = source[count]


# Failed records that every sink has passed need not be remembered by number.
cdef inline void engine_prune_failed(Engine* engine, uint64_t position) noexcept nogil:
    cdef uint32_t below = 0
    if engine.failed_count == 0:
        return
    while below < engine.failed_count and engine.failed[below] < position:
        below += 1
    if below:
        engine.failed_count -= below
        memcpy_down(engine.failed, engine.failed + below, engine.failed_count)


cdef inline void memcpy_down(uint64_t* to, const uint64_t* source, uint32_t count) noexcept nogil:
    cdef uint32_t i
    for i in range(count):
        to[i] = source[i]


cdef inline uint64_t engine_written(Engine* engine) noexcept nogil:
    cdef uint64_t position = engine_position(engine)
    engine_prune_failed(engine, position)
    return position - (engine.failed_total - engine.failed_count)


cdef inline uint64_t fail_marks(Engine* engine, const Marks* marks, bint skip_first) noexcept nogil:
    cdef uint32_t i
    cdef uint64_t lost = 0
    for i in range(marks.first + skip_first, marks.last):
        if not marks.mark[i].sequence & NOTICE_BIT:
            engine_fail(engine, marks.mark[i].sequence)
            lost += 1
    return lost


# Gives up what the sink has buffered, but for the rest of a line that is partly written: counted, and told in the log
# in the place of what is missing, when the sink works again.
cdef inline uint64_t engine_discard(Engine* engine, Sink* sink) noexcept nogil:
    cdef bint mid_record = sink_is_mid_record(sink)
    cdef uint64_t lost = fail_marks(engine, &sink.marks, mid_record) + fail_marks(engine, &sink.staged_marks, False)
    sink.failed += lost
    sink_forget(sink, mid_record)
    sink.lost_untold += lost + sink.lost_in_notice
    sink.lost_in_notice = 0
    tell_lost(engine, sink)
    return lost


# ---- routing

# `name` is `wanted` itself or something below it ("app.db" for "app").
cdef inline bint is_below(const Text* name, const Text* wanted) noexcept nogil:
    return (
        name.size >= wanted.size
        and memcmp(name.data, wanted.data, wanted.size) == 0
        and (name.size == wanted.size or name.data[wanted.size] == c'.')
    )


cdef inline bint text_equal(const Text* a, const Text* b) noexcept nogil:
    return a.size == b.size and memcmp(a.data, b.data, a.size) == 0


cdef inline bint site_is_wanted(const Sink* sink, const Text* module, const Text* function) noexcept nogil:
    cdef uint32_t i
    cdef bint wanted = sink.module_count == 0
    for i in range(sink.module_count):
        wanted = wanted or is_below(module, &sink.modules[i])
    if not wanted or sink.function_count == 0:
        return wanted
    for i in range(sink.function_count):
        if text_equal(function, &sink.functions[i]):
            return True
    return False


cdef inline bint route_grow(Sink* sink, uint32_t site) noexcept nogil:
    cdef uint32_t size = 2 * site + 64
    cdef uint8_t* grown = <uint8_t*> realloc(sink.route, size)
    if grown == NULL:
        return False
    memset(grown + sink.route_size, 0, size - sink.route_size)
    sink.route = grown
    sink.route_size = size
    return True


# Names in a record are as CPython stores them, the sink's are UTF-8.
cdef inline bint inline_site_is_wanted(const Sink* sink, const RecordView* view) noexcept nogil:
    cdef Text module = Text(b"", 0)
    cdef Text function = module
    cdef Buffer names
    cdef bint wanted
    buffer_init(&names)
    if view.header.flags & HAS_SITE:
        write_value(&names, &view.site_module)
        module.size = <uint32_t> names.size
        write_value(&names, &view.site_function)
        function.size = <uint32_t> names.size - module.size
        module.data = names.data
        function.data = names.data + module.size
    wanted = site_is_wanted(sink, &module, &function)
    buffer_free(&names)
    return wanted


# Decided once per call site, then one load.
cdef inline bint is_routed(Sink* sink, const Line* line) noexcept nogil:
    cdef const Site* site = line.site
    if sink.module_count == 0 and sink.function_count == 0:
        return True
    if site == NULL:
        return inline_site_is_wanted(sink, &line.view)
    if site.id >= sink.route_size and not route_grow(sink, site.id):
        return site_is_wanted(sink, &site.module, &site.function)
    if sink.route[site.id] == 0:
        sink.route[site.id] = 2 if site_is_wanted(sink, &site.module, &site.function) else 1
    return sink.route[site.id] == 2


# `sequence`: a sink gets what was logged after it was added. What Python code logs that was called for a record is for no
# sink that would call such code again, for ever.
cdef inline bint is_wanted(Sink* sink, const Line* line, uint64_t sequence) noexcept nogil:
    cdef int32_t level = line.view.header.level_number
    return (
        sequence - sink.from_sequence < sink.span and sink.min_level <= level and level <= sink.max_level
        and not sink.refuses & line.view.header.flags and is_routed(sink, line)
    )


# ---- trouble

cdef inline void sink_trouble(Engine* engine, Sink* sink, int status) noexcept nogil:
    if sink.trouble_since_ns == 0:
        sink.trouble_since_ns = engine.now_ns
    sink.retry_at_ns = engine.now_ns + (RETRY_BLOCKED_NS if status == WRITE_BLOCKED else RETRY_FAILED_NS)
    if status == WRITE_FAILED and (sink.told_error != sink.last_error or engine.now_ns - sink.told_at_ns >= TELL_NS):
        sink.told_error = sink.last_error
        sink.told_at_ns = engine.now_ns
        sink.work |= WORK_ERROR


# No byte has gone through for the stall time: neither producers nor a flush wait for this sink any longer.
cdef inline bint is_given_up(Engine* engine, const Sink* sink) noexcept nogil:
    return sink.trouble_since_ns != 0 and engine.now_ns - sink.trouble_since_ns >= engine.stall_ns


cdef inline bint is_stalled(Engine* engine, const Sink* sink) noexcept nogil:
    return sink.trouble_since_ns != 0 and (load_relaxed32(&engine.drops) or is_given_up(engine, sink))


# A line of logly's own in this sink: composed as a record, so that every layout can render it.
cdef inline void sink_notice(Engine* engine, Sink* sink, const char* text, uint32_t size, uint64_t bits) noexcept nogil:
    cdef char record[512]
    cdef RecordHeader* header = <RecordHeader*> record
    cdef Line line
    cdef size_t start = sink.out.size
    if size > 400 or sink.target == TARGET_FUNCTION or sink.layout == NULL:
        return
    memset(header, 0, sizeof(RecordHeader))
    header.size = <uint32_t> align_record(sizeof(RecordHeader) + 5 + size)
    header.kind = RECORD_INLINE
    header.level = 4
    header.flags = IS_NOTICE
    header.ticks = clock_ticks()
    header.level_number = 30
    record[sizeof(RecordHeader)] = TAG_UTF8
    memcpy(record + sizeof(RecordHeader) + 1, &size, 4)
    memcpy(record + sizeof(RecordHeader) + 5, text, size)
    engine_line(engine, record, &line)
    render_line(&sink.out, sink.layout, &line, &engine.scratch)
    if sink.out.failed:
        sink.out.size = start
        sink.out.failed = False
        return
    sink_mark(sink, start, engine.drained | bits)
    if bits & LOST_BIT:
        sink.lost_in_notice = sink.lost_untold
        sink.lost_untold = 0
    if sink.due_ns == 0:
        sink.due_ns = engine.now_ns + sink.interval_ns


cdef extern from * nogil:
    """
    #ifndef LOGLY_NOTICES
    #define LOGLY_NOTICES
    #include <cstdio>
    #include <cstring>
    static inline uint32_t notice_dropped(char* out, size_t size, uint64_t count) {
        return (uint32_t)snprintf(out, size, "logly: %llu record%s dropped: the ring was full",
                                  (unsigned long long)count, count == 1 ? "" : "s");
    }
    static inline uint32_t notice_lost(char* out, size_t size, uint64_t count, int error) {
        return (uint32_t)snprintf(out, size, "logly: %llu record%s lost: %s", (unsigned long long)count,
                                  count == 1 ? "" : "s", error ? strerror(error) : "the sink accepted no data");
    }
    #endif
    """
    uint32_t notice_dropped(char* out, size_t size, uint64_t count) noexcept
    uint32_t notice_lost(char* out, size_t size, uint64_t count, int error) noexcept


# Says in the log how many records are missing at this place of it. Counted as told when that line is written.
cdef inline void tell_lost(Engine* engine, Sink* sink) noexcept nogil:
    cdef char text[256]
    cdef uint32_t size
    if sink.lost_untold:
        size = notice_lost(text, sizeof(text), sink.lost_untold, sink.last_error)
        sink_notice(engine, sink, text, size, NOTICE_BIT | LOST_BIT)


cdef inline void sink_recovered(Engine* engine, Sink* sink) noexcept nogil:
    tell_lost(engine, sink)
    sink.trouble_since_ns = 0
    sink.retry_at_ns = 0
    sink.last_error = 0
    sink.told_error = 0


# A sink file that wanted none of the records lacks none of them either.
cdef inline void spool_note_idle(Engine* engine) noexcept nogil:
    cdef Sink* sink = engine.sinks
    while sink != NULL:
        if sink.slot != NULL and sink_backlog(sink) == 0:
            slot_pass(engine.spool, sink.slot, engine.drained)
        sink = sink.next


cdef inline int engine_write(Engine* engine, Sink* sink) noexcept nogil:
    cdef int status
    cdef uint64_t before = sink.bytes_written
    if sink.retry_at_ns and engine.now_ns < sink.retry_at_ns:
        return WRITE_BLOCKED
    if sink.rotate_retry_ns and engine.now_ns >= sink.rotate_retry_ns:
        sink.rotate_retry_ns = 0
    status = sink_write(sink)
    if sink.bytes_written != before:
        # It moves, so it is slow and not stuck.
        sink.trouble_since_ns = 0
    if status == WRITE_DONE:
        sink.due_ns = 0
        if sink.retry_at_ns or sink.trouble_since_ns or sink.lost_untold:
            sink_recovered(engine, sink)
            if sink.out.size > sink.start:
                status = sink_write(sink)
        if engine.spool != NULL:
            spool_note_idle(engine)
    if status == WRITE_BLOCKED or status == WRITE_FAILED:
        sink_trouble(engine, sink, status)
    return status


# A new file is due, and Python is to make it: what comes next may belong into yet another one.
cdef inline bint sink_is_turning(const Sink* sink) noexcept nogil:
    return sink.turn != NO_TURN and sink.rotate_retry_ns == 0


# May the sink take one more record? A sink in trouble keeps a bounded backlog. When that is full it
# holds producers up, but only for the stall time; then records are counted as failed.
cdef inline bint sink_has_room(Engine* engine, Sink* sink) noexcept nogil:
    if sink_backlog(sink) < sink.backlog_limit and not sink_is_turning(sink):
        return True
    if sink.out.size > sink.start and sink.target != TARGET_STREAM:
        engine_write(engine, sink)
        if sink_backlog(sink) < sink.backlog_limit and not sink_is_turning(sink):
            return True
    if sink.trouble_since_ns == 0:
        # Waits for Python (a function, a stream, a rotation): as long as that takes, but no longer than a stall.
        sink.trouble_since_ns = engine.now_ns
    return False


# ---- one record

cdef inline void engine_line(Engine* engine, const char* record, Line* line) noexcept nogil:
    cdef const RecordHeader* header
    record_view(record, &line.view)
    header = line.view.header
    if calibration_is_due(&engine.calibration, header.ticks):
        calibration_refresh(&engine.calibration)
    line.time_ns = calibration_ns(&engine.calibration, header.ticks)
    line.level = &engine.levels[header.level]
    line.site = load_pointer(&engine.sites[header.site]) if header.site else NULL
    line.program = load_pointer(&engine.programs[header.template_id]) if header.template_id else NULL
    line.name = &engine.name
    line.process = engine.process
    line.message = NULL


cdef inline void refuse_record(Engine* engine, Sink* sink) noexcept nogil:
    engine_fail(engine, engine.drained)
    sink.failed += 1
    sink.lost_untold += 1


cdef inline void stage_record(Engine* engine, Sink* sink, const RecordHeader* header) noexcept nogil:
    if sink.staged_start > RELEASE_BYTES and sink.staged_start > sink.staged.size // 2:
        sink.staged.size -= sink.staged_start
        memmove(sink.staged.data, sink.staged.data + sink.staged_start, sink.staged.size)
        sink.staged_start = 0
    buffer_append(&sink.staged, <const char*> header, header.size)
    if sink.staged.failed:
        sink.staged.failed = False
        refuse_record(engine, sink)
        return
    marks_push(&sink.staged_marks, engine.drained, 0)
    sink.work |= WORK_RECORDS


# What belongs to the old file goes there first; the line to come waits in the buffer for the new one.
cdef inline void begin_new_file(Engine* engine, Sink* sink, int64_t time_ns) noexcept nogil:
    if sink.turn == NO_TURN:
        sink.turn = sink.appended
        sink.turn_ns = time_ns
        engine_write(engine, sink)


cdef inline void deliver_line(Engine* engine, Sink* sink, const Line* line, uint64_t sequence) noexcept nogil:
    cdef size_t start
    # One comparison tells both a period that is over and a clock that was set back.
    if <uint64_t> (line.time_ns - sink.period_from_ns) >= sink.period_ns:
        begin_new_file(engine, sink, line.time_ns)
    start = sink.out.size
    render_line(&sink.out, sink.layout, line, &engine.scratch)
    sink_finish_line(engine, sink, start, sequence)
    if line.view.header.level_number >= engine.flush_level:
        # Whoever logged it woke the flusher for this: it does not wait for the interval.
        sink.due_ns = engine.now_ns


cdef inline void deliver(Engine* engine, Sink* sink, const Line* line) noexcept nogil:
    if sink.target == TARGET_FUNCTION or sink.filtered:
        stage_record(engine, sink, line.view.header)
    else:
        deliver_line(engine, sink, line, engine.drained)


cdef inline void sink_finish_line(Engine* engine, Sink* sink, size_t start, uint64_t sequence) noexcept nogil:
    if sink.out.failed:
        # No memory for the line: it is incomplete, so it does not stay.
        sink.out.size = start
        sink.out.failed = False
        engine_fail(engine, sequence)
        sink.failed += 1
        sink.lost_untold += 1
        return
    sink_mark(sink, start, sequence)
    if sink.due_ns == 0:
        sink.due_ns = engine.now_ns + sink.interval_ns
    if sink.out.size - sink.start >= sink.buffer_size and not sink.work:
        engine_write(engine, sink)


# False: a sink that wants the record cannot take it now, so it stays in the ring.
cdef inline bint consume_record(Engine* engine, const char* record) noexcept nogil:
    cdef Line line
    cdef Sink* sink
    cdef uint32_t wanted = 0
    engine_line(engine, record, &line)
    sink = engine.sinks
    while sink != NULL:
        if is_wanted(sink, &line, engine.drained):
            if not sink_has_room(engine, sink) and not is_stalled(engine, sink):
                return False
            wanted += 1
        sink = sink.next
    if wanted > 1:
        engine.message.size = 0
        write_message(&engine.message, &line)
        line.message = &engine.message
    sink = engine.sinks
    while sink != NULL and wanted:
        if is_wanted(sink, &line, engine.drained):
            if sink_backlog(sink) < sink.backlog_limit:
                deliver(engine, sink, &line)
            else:
                refuse_record(engine, sink)
        sink = sink.next
    engine.drained += 1
    return True


# ---- a pass

# The ring of a spool keeps what was taken from it until every sink has handed it to the operating system. Sinks keep
# their pace while that takes little of the ring; a producer that waits, or a quarter of the ring, has them write now.
cdef inline void engine_release_spool(Engine* engine, Spool* spool) noexcept nogil:
    cdef Ring* ring = spool.ring
    cdef uint64_t kept = ring.tail - ring.positions.tail
    cdef Sink* sink = engine.sinks
    if kept == 0:
        return
    if kept > ring.capacity >> 2 or load_relaxed(&engine.waiters) or load_acquire32(&ring.retired):
        while sink != NULL:
            if sink.out.size > sink.start:
                engine_write(engine, sink)
            if is_stalled(engine, sink) and kept > ring.capacity >> 1 and not sink.busy:
                engine_discard(engine, sink)
            sink = sink.next
    if engine_position(engine) == engine.drained:
        spool_release(spool, engine.drained)


# Consumption of this spool's ring begins: its records are numbered from here, and its slots keep the sinks' progress.
cdef inline void engine_begin_spool(Engine* engine, Spool* spool) noexcept nogil:
    cdef Sink* sink = engine.sinks
    engine.spool = spool
    spool.begun = True
    spool.base = engine.drained - spool.header.released[spool.header.released_current].sequence
    while sink != NULL:
        sink_use_spool(sink, spool)
        sink = sink.next


cdef inline void engine_end_spool(Engine* engine) noexcept nogil:
    cdef Sink* sink = engine.sinks
    while sink != NULL:
        sink.spool = NULL
        sink.slot = NULL
        sink.staged_until = 0
        sink = sink.next
    store_release32(&engine.spool.finished, 1)
    store_relaxed32(&engine.python_wanted, 1)
    engine.spool = NULL


cdef inline void engine_release_rings(Engine* engine) noexcept nogil:
    cdef Ring* ring = engine.rings
    while ring != NULL:
        if ring.spool == NULL:
            ring_release(ring)
        ring = ring.next
    if engine.spool != NULL:
        engine_release_spool(engine, engine.spool)
    # The fence pairs with the one in a waiting producer: it counts itself, then looks at the tail again.
    fence_full()
    if load_relaxed(&engine.waiters):
        event_signal(&engine.space)


cdef inline void release_record(Ring* ring, char* record) noexcept nogil:
    cdef RecordPrefix* prefix = <RecordPrefix*> record
    cdef RecordHeap* heap = <RecordHeap*> record
    cdef uint64_t size = prefix.size
    if prefix.kind == RECORD_HEAP:
        store_relaxed(&ring.heap_bytes_out, ring.heap_bytes_out + heap.block_size)
        free(heap.block)
        if ring.spool != NULL:
            spool_drop_blob_later(<Spool*> ring.spool, heap.blob, heap.block_size)
    ring_consume(ring, size)


# Drains until the rings are empty, a sink cannot take more, or Python is wanted. Bounded: what comes in
# meanwhile is left for the next pass after `limit` bytes, so that due writes and flush requests get their turn.
cdef inline bint engine_drain(Engine* engine, uint64_t limit) noexcept nogil:
    cdef Ring* ring
    cdef char* record = NULL
    cdef uint64_t consumed = 0
    cdef uint64_t unreleased = 0
    cdef bint merges = engine.rings == NULL or (engine.rings.next != NULL and not engine.spooled)
    if engine.spooled and engine.rings != NULL and engine.rings.spool != NULL and not (<Spool*> engine.rings.spool).begun:
        engine_begin_spool(engine, <Spool*> engine.rings.spool)
    if merges and not merge_begin(&engine.merge, engine.rings):
        return False
    while consumed < limit:
        if merges:
            ring = merge_next(&engine.merge, &record)
            if ring == NULL:
                engine.settled_ticks = engine.merge.horizon
                break
        else:
            ring = engine.rings
            record = ring_peek(ring)
            if record == NULL:
                engine.settled_ticks = <uint64_t> -1
                break
        if not consume_record(engine, <const char*> record_proper(record)):
            engine_release_rings(engine)
            return False
        unreleased += (<RecordPrefix*> record).size
        release_record(ring, record)
        if unreleased >= RELEASE_BYTES:
            consumed += unreleased
            unreleased = 0
            engine_release_rings(engine)
            engine.now_ns = clock_monotonic_ns()
            if engine_wants_python(engine):
                break
    engine_release_rings(engine)
    return True


cdef inline bint engine_wants_python(const Engine* engine) noexcept nogil:
    cdef const Sink* sink = engine.sinks
    if load_relaxed32(&engine.python_wanted):
        return True
    while sink != NULL:
        if sink.work:
            return True
        sink = sink.next
    return False


cdef inline bint rings_are_empty(Engine* engine) noexcept nogil:
    cdef Ring* ring = engine.rings
    while ring != NULL:
        if ring_peek(ring) != NULL:
            return False
        ring = ring.next
    return True


cdef inline bint is_retired(const Ring* ring) noexcept nogil:
    return load_acquire32(&ring.retired) or (ring.lease != NULL and lease_is_over(ring.lease))


cdef inline bint spool_is_released(const Ring* ring) noexcept nogil:
    return ring.spool == NULL or ((<Spool*> ring.spool).begun and ring.positions.tail == ring.tail)


# Rings that no producer uses any more go once they are empty; their counts stay.
cdef inline void engine_drop_retired(Engine* engine) noexcept nogil:
    cdef Ring** link = &engine.rings
    cdef Ring* ring
    while link[0] != NULL:
        ring = link[0]
        if is_retired(ring) and ring_peek(ring) == NULL and spool_is_released(ring):
            if ring.spool != NULL:
                engine_end_spool(engine)
            engine.past_committed += ring.committed
            if ring.high_water > engine.past_high_water:
                engine.past_high_water = ring.high_water
            link[0] = ring.next
            if ring.lease != NULL:
                lease_leave(ring.lease)
            ring_free(ring)
        else:
            link = &ring.next


cdef inline void tell_drops(Engine* engine) noexcept nogil:
    cdef char text[128]
    cdef uint64_t dropped = load_relaxed(&engine.dropped)
    cdef uint64_t told = engine.told_dropped
    cdef Sink* sink = engine.sinks
    cdef uint32_t size
    if dropped == told:
        return
    size = notice_dropped(text, sizeof(text), dropped - told)
    engine.told_dropped = dropped
    while sink != NULL:
        if sink.enabled and sink_backlog(sink) < sink.backlog_limit:
            sink_notice(engine, sink, text, size, NOTICE_BIT)
        elif sink.enabled:
            # It has no room even for this line, and is why they were dropped: told when it works again.
            sink.lost_untold += dropped - told
        sink = sink.next


# Writes what is due, and finds out how long the flusher may sleep.
cdef inline void engine_write_due(Engine* engine, bint everything) noexcept nogil:
    cdef Sink* sink = engine.sinks
    cdef int64_t wait_ns
    engine.sleep_ns = engine.interval_ns
    while sink != NULL:
        if sink.out.size > sink.start or sink.retry_at_ns or sink.turn != NO_TURN:
            if everything or sink.synchronous or engine.now_ns >= sink.due_ns or sink.retry_at_ns:
                engine_write(engine, sink)
            if is_stalled(engine, sink) and sink_backlog(sink) >= sink.backlog_limit and not sink.busy:
                engine_discard(engine, sink)
        if sink.out.size > sink.start:
            wait_ns = (sink.retry_at_ns if sink.retry_at_ns else sink.due_ns) - engine.now_ns
            if wait_ns < 0:
                wait_ns = 0
            if wait_ns < engine.sleep_ns:
                engine.sleep_ns = wait_ns
        if sink.interval_ns < engine.sleep_ns:
            engine.sleep_ns = sink.interval_ns
        sink = sink.next
    if engine.sleep_ns < 50000:
        engine.sleep_ns = 50000


cdef inline uint64_t engine_committed(const Engine* engine) noexcept nogil:
    cdef uint64_t total = engine.past_committed
    cdef const Ring* ring = engine.rings
    while ring != NULL:
        total += load_relaxed(&ring.committed)
        ring = ring.next
    return total


# With one producer the number of records committed is the place in their order. With several, one that was stamped
# earlier may be committed later: the place is where the rings have been drained past this moment.
cdef inline void begin_flush(Engine* engine, uint64_t request) noexcept nogil:
    engine.flush_active = request
    if FREE_THREADED:
        engine.flush_ticks = clock_ticks()
        engine.flush_mark = NO_MARK
        engine.settled_ticks = 0
    else:
        engine.flush_mark = engine_committed(engine)


cdef inline bint flush_is_done(Engine* engine) noexcept nogil:
    cdef Sink* sink = engine.sinks
    if engine.drained < engine.flush_mark:
        return False
    while sink != NULL:
        if sink_oldest(sink, engine.flush_mark) < engine.flush_mark and not is_given_up(engine, sink):
            return False
        sink = sink.next
    return True


# A flush is done when every sink is past what had been logged when it was asked for, or has been in trouble for the
# stall time (then its records still wait, and who asked finds out). Requests that came while one was being served
# are served together next.
cdef inline bint engine_settle_flush(Engine* engine) noexcept nogil:
    cdef uint64_t request = load_acquire(&engine.flush_requested)
    while True:
        if engine.flush_active == 0:
            if request == load_relaxed(&engine.flush_done):
                return True
            begin_flush(engine, request)
        if FREE_THREADED and engine.flush_mark == NO_MARK and engine.settled_ticks > engine.flush_ticks:
            engine.flush_mark = engine.drained
        if not flush_is_done(engine):
            return False
        store_release(&engine.flush_done, engine.flush_active)
        engine.flush_active = 0
        event_signal(&engine.done)


cdef inline int engine_pass(Engine* engine) noexcept nogil:
    cdef uint64_t request = load_acquire(&engine.flush_requested)
    cdef bint flushing = request != load_relaxed(&engine.flush_done)
    cdef bint drained
    cdef uint64_t before = engine.drained
    cdef int status = 0
    engine.now_ns = clock_monotonic_ns()
    if FREE_THREADED and flushing and engine.flush_active == 0:
        begin_flush(engine, request)
    calibration_refresh(&engine.calibration)
    tell_drops(engine)
    drained = engine_drain(engine, 4 * engine.ring_capacity)
    # Without a flusher nobody comes back for what is not due yet.
    engine_write_due(engine, flushing or engine.post & POST_DRAIN != 0)
    if engine.spool != NULL:
        spool_save_clock(engine.spool, &engine.calibration)
        engine_release_rings(engine)
    tell_and_retire(engine)
    if flushing and not engine_settle_flush(engine):
        status |= PASS_HELD
    if engine_wants_python(engine):
        return status | PASS_PYTHON
    if not drained:
        engine.sleep_ns = RETRY_BLOCKED_NS if engine.sleep_ns > RETRY_BLOCKED_NS else engine.sleep_ns
        return status | PASS_HELD
    if FREE_THREADED and engine.flush_active and engine.flush_mark == NO_MARK:
        status |= PASS_SOON
    if not rings_are_empty(engine):
        return status | (PASS_MORE if engine.drained != before else PASS_SOON)
    return status


cdef inline void tell_and_retire(Engine* engine) noexcept nogil:
    if engine.rings != NULL and (engine.rings.next != NULL or is_retired(engine.rings)):
        engine_drop_retired(engine)


# The flusher's thread, without the GIL: returns when Python is wanted or the engine is to stop.
cdef inline int engine_run(Engine* engine) noexcept nogil:
    cdef uint32_t ticket
    cdef int64_t sleep_ns
    cdef int status
    while True:
        ticket = event_prepare(&engine.wake)
        store_relaxed32(&engine.wake_wanted, 0)
        fence_full()
        engine_lock(engine)
        status = engine_pass(engine)
        sleep_ns = engine.sleep_ns
        engine_unlock(engine)
        if status & PASS_PYTHON:
            engine_give_way(engine)
            return RUN_PYTHON
        if load_acquire32(&engine.stop):
            return RUN_STOPPED
        if status & PASS_MORE:
            engine_give_way(engine)
            continue
        if status & PASS_SOON:
            event_wait(&engine.wake, ticket, SOON_NS)
            continue
        store_relaxed32(&engine.asleep, 1)
        fence_full()
        if not load_relaxed32(&engine.wake_wanted):
            event_wait(&engine.wake, ticket, sleep_ns)
        store_relaxed32(&engine.asleep, 0)
