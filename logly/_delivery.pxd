"""One record to the sinks that want it: routing, rendering, back-pressure, and a sink in trouble.

Whoever delivers holds the engine's lock. Nothing here needs the interpreter: what does (rotation, Python streams and
functions, telling of errors) is left as `work` on the sink, and the flusher's thread returns to Python for it after the
lock is released.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t, uint8_t
from libc.stdlib cimport realloc
from libc.string cimport memcmp, memcpy, memmove, memset

from logly._atomic cimport load_pointer, load_relaxed32
from logly._buffer cimport Buffer, buffer_append, buffer_free, buffer_init
from logly._clock cimport calibration_is_due, calibration_ns, calibration_refresh, clock_ticks
from logly._layout cimport render_line
from logly._line cimport Line, Site, Text, write_message
from logly._output cimport (
    NOTICE_BIT, NO_TURN, TARGET_FUNCTION, TARGET_STREAM, WORK_ERROR, WORK_RECORDS, WRITE_BLOCKED,
    WRITE_DONE, WRITE_FAILED, Marks, Sink, marks_push, sink_backlog, sink_forget, sink_is_mid_record, sink_mark,
    sink_write,
)
from logly._program cimport write_value
from logly._record cimport HAS_SITE, IS_NOTICE, TAG_UTF8, RecordHeader, RecordView, align_record, record_view
from logly._ring cimport RECORD_INLINE
from logly._spool cimport slot_pass
from logly._state cimport (
    RELEASE_BYTES, RETRY_BLOCKED_NS, RETRY_FAILED_NS, TELL_NS, Engine, engine_fail, failed_place, failed_reserve,
)


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


# A line of logly's own in this sink, which tells of so many missing records: composed as a record, so that every layout
# can render it. False: it is not there.
cdef inline bint sink_notice(Engine* engine, Sink* sink, const char* text, uint32_t size, uint64_t missing) noexcept nogil:
    cdef char record[512]
    cdef RecordHeader* header = <RecordHeader*> record
    cdef Line line
    cdef size_t start = sink.out.size
    if size > 400 or sink.target == TARGET_FUNCTION or sink.layout == NULL:
        return False
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
    if sink.out.failed or not marks_push(&sink.told, missing, 0):
        sink.out.size = start
        sink.out.failed = False
        return False
    sink_mark(sink, start, engine.drained | NOTICE_BIT)
    if sink.due_ns == 0:
        sink.due_ns = engine.now_ns + sink.interval_ns
    return True


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
        if sink_notice(engine, sink, text, size, sink.lost_untold):
            sink.lost_untold = 0


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


# All records of these marks have failed; returns how many. Several sinks may give up long backlogs, of the same records or
# of others, so the marks are merged into what has failed already. (One by one, 160,000 lines of two sinks took 5 seconds.)
cdef inline uint64_t fail_marks(Engine* engine, const Marks* marks, bint skip_first) noexcept nogil:
    cdef uint32_t first = marks.first + skip_first
    cdef uint32_t last = marks.last
    cdef uint32_t i, fresh, found, begin
    cdef uint64_t lost = 0
    cdef bint has_room
    while first < last and marks.mark[first].sequence & NOTICE_BIT:
        first += 1
    if first >= last:
        return 0
    has_room = failed_reserve(engine, last - first, marks.mark[first].sequence)
    begin = found = failed_place(engine, marks.mark[first].sequence)
    fresh = 0
    for i in range(first, last):
        if marks.mark[i].sequence & NOTICE_BIT:
            continue
        lost += 1
        while found < engine.failed_count and engine.failed[found] < marks.mark[i].sequence:
            found += 1
        if found == engine.failed_count or engine.failed[found] != marks.mark[i].sequence:
            fresh += 1
    engine.failed_total += fresh
    if fresh and has_room:
        merge_marks(engine, marks, begin, fresh)
    return lost


# From the end, where there is room. Both are in ascending order.
cdef inline void merge_marks(Engine* engine, const Marks* marks, uint32_t begin, uint32_t fresh) noexcept nogil:
    cdef uint32_t i = marks.last
    cdef uint32_t found = engine.failed_count
    cdef uint32_t to = found + fresh
    cdef uint64_t sequence
    engine.failed_count = to
    while to > found:
        i -= 1
        sequence = marks.mark[i].sequence
        if sequence & NOTICE_BIT:
            continue
        while found > begin and engine.failed[found - 1] > sequence:
            found -= 1
            to -= 1
            engine.failed[to] = engine.failed[found]
        if found == begin or engine.failed[found - 1] != sequence:
            to -= 1
            engine.failed[to] = sequence


# Gives up what the sink has buffered, but for the rest of a line that is partly written: counted, and told in the log
# in the place of what is missing, when the sink works again.
cdef inline uint64_t engine_discard(Engine* engine, Sink* sink) noexcept nogil:
    cdef bint mid_record = sink_is_mid_record(sink)
    cdef uint64_t lost = fail_marks(engine, &sink.marks, mid_record) + fail_marks(engine, &sink.staged_marks, False)
    sink.failed += lost
    sink_forget(sink, mid_record)
    sink.lost_untold += lost
    tell_lost(engine, sink)
    return lost


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
    line.process = line.view.process if line.view.process else engine.process
    line.message = NULL
    # What was made for another record at the same address is not this one's.
    engine.index.of = NULL
    line.view.index = &engine.index


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
        # The interval counts from when it was logged, not from when the flusher saw it.
        sink.due_ns = engine.drained_ns + sink.interval_ns
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
