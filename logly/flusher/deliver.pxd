"""One record to the sinks that want it: routing, rendering, back-pressure, and a sink in trouble.

The thread that delivers holds the engine's lock. Nothing here needs the interpreter. What needs it (rotation, Python streams
and functions, reports of errors) is set as `work` on the sink, and the flusher's thread returns to Python for it after it
has released the lock.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memmove, memset

from logly.flusher.batch cimport batch_make_room
from logly.flusher.lost cimport fail_marks
from logly.flusher.marks cimport LATE_BIT, marks_push
from logly.flusher.own_line cimport append_own_line
from logly.flusher.repeats cimport repeats_end, repeats_take, repeats_tell
from logly.flusher.route_cache cimport Route
from logly.flusher.sink cimport (
    NO_ROTATION, TARGET_BATCH, TARGET_FUNCTION, TARGET_STREAM, WORK_ERROR, WORK_GIVEN_UP, WORK_RECORDS, WORK_REOPEN, WORK_ROTATE,
    WRITE_BLOCKED, WRITE_DONE, WRITE_FAILED, Sink, sink_backlog, sink_forget, sink_is_mid_record, sink_mark, sink_notice_number,
)
from logly.flusher.state cimport (
    RELEASE_BYTES, RETRY_BLOCKED_NS, RETRY_FAILED_NS, TELL_NS, Engine, engine_fail, engine_position,
)
from logly.flusher.undecided cimport undecided_add, undecided_prune
from logly.flusher.write cimport sink_write
from logly.layout.levels cimport LEVEL_WARNING, PLACE_WARNING
from logly.layout.line cimport Line, Site, site_of
from logly.layout.logger_names cimport logger_name
from logly.layout.message cimport Program, program_of
from logly.layout.text_layout cimport render_line
from logly.ring.record cimport (
    HAS_NAME, HAS_TIME, IS_KEPT, IS_NOTICE, IS_SERVED, OWN_NAME, TAG_UTF8, Cursor, RecordHeader, align_record, put_counted,
    put_record_end, put_suppressed, record_view,
)
from logly.ring.ring cimport RECORD_INLINE
from logly.spool.format cimport slot_pass
from logly.system.assertions cimport assert_that
from logly.system.atomic cimport load_relaxed32, set_mark
from logly.system.clock cimport calibration_is_due, calibration_ns, calibration_refresh, clock_ticks
from logly.text.buffer cimport buffer_append

cdef extern from *:
    bint unlikely(bint) noexcept nogil   # of Cython: tells the compiler which way to make fast


cdef enum:
    OWN_LINE_BYTES = 400       # of the text of a line of logly's own


# ---- trouble

cdef inline void sink_trouble(Engine* engine, Sink* sink, int status) noexcept nogil:
    if sink.trouble.since_ns == 0:
        sink.trouble.since_ns = engine.pace.now_ns
    sink.trouble.retry_at_ns = engine.pace.now_ns + (RETRY_BLOCKED_NS if status == WRITE_BLOCKED else RETRY_FAILED_NS)
    if status == WRITE_FAILED and (
        sink.trouble.told_error != sink.trouble.error or engine.pace.now_ns - sink.trouble.told_at_ns >= TELL_NS
    ):
        sink.trouble.told_error = sink.trouble.error
        sink.trouble.told_at_ns = engine.pace.now_ns
        sink.python.work |= WORK_ERROR


# True when the sink has taken no byte for the stall time. Neither producers nor a flush wait for it any longer.
cdef inline bint has_stalled_too_long(Engine* engine, const Sink* sink) noexcept nogil:
    return sink.trouble.since_ns != 0 and engine.pace.now_ns - sink.trouble.since_ns >= engine.intake.stall_ns


cdef inline bint is_stalled(Engine* engine, const Sink* sink) noexcept nogil:
    return sink.trouble.since_ns != 0 and (load_relaxed32(&engine.intake.drops) or has_stalled_too_long(engine, sink))


# True when the sink can have lines of logly's own. A handler of `logging` hears of lost records by its `handleError`.
cdef inline bint takes_notices(const Sink* sink) noexcept nogil:
    return sink.target != TARGET_FUNCTION and sink.layout != NULL and not sink.handler.is_served


# Composes a line of logly's own as a record, in 512 bytes at `record`, so that every layout can render it.
cdef inline void notice_line(
    Engine* engine, char* record, const char* text, uint32_t size, uint64_t held, Line* line
) noexcept nogil:
    cdef RecordHeader* header = <RecordHeader*> record
    cdef Cursor out
    if size > OWN_LINE_BYTES:
        size = OWN_LINE_BYTES
    memset(header, 0, sizeof(RecordHeader))
    header.kind = RECORD_INLINE
    header.level = PLACE_WARNING
    header.flags = IS_NOTICE
    header.ticks = clock_ticks()
    put_record_end(header, 0, 1 if held else 0, LEVEL_WARNING, OWN_NAME)
    out.at = record + sizeof(RecordHeader)
    out.end = record + 512
    put_counted(&out, TAG_UTF8, text, size, size)
    if held:
        put_suppressed(&out, held)
    header.size = <uint32_t> align_record(<uint64_t> (out.at - record))
    engine_line(engine, record, line)


# Renders the heading of a dump at the end of the sink's text. It has no mark of its own.
cdef inline void render_heading(Engine* engine, Sink* sink) noexcept nogil:
    cdef char record[512]
    cdef Line line
    notice_line(engine, record, engine.dump.heading, engine.dump.heading_size, 0, &line)
    render_line(&sink.pending.text, sink.layout, &line, &engine.workspace.scratch)


# Called before a line of logly's own is appended that is about later calls: the repeats come before it.
cdef inline void tell_repeats_before(Engine* engine, Sink* sink) noexcept nogil:
    if sink.dedup_ns and takes_notices(sink) and sink_backlog(sink) < sink.backlog_limit:
        repeats_tell(engine, sink, sink_notice_number(sink, engine.books.drained))


# Appends a line of logly's own, which says that `missing` records are missing. Returns False when it could not be appended.
cdef inline bint append_notice(Engine* engine, Sink* sink, const char* text, uint32_t size, uint64_t missing) noexcept nogil:
    cdef char record[512]
    cdef Line line
    if not takes_notices(sink):
        return False
    notice_line(engine, record, text, size, 0, &line)
    return append_own_line(engine, sink, &line, missing, sink_notice_number(sink, engine.books.drained))


# Appends a line of logly's own about `held` records that limits or the sampling have held back: its field `suppressed` says so.
cdef inline bint append_held_back(Engine* engine, Sink* sink, const char* text, uint32_t size, uint64_t held) noexcept nogil:
    cdef char record[512]
    cdef Line line
    if not takes_notices(sink):
        return False
    tell_repeats_before(engine, sink)
    notice_line(engine, record, text, size, held, &line)
    return append_own_line(engine, sink, &line, 0, sink_notice_number(sink, engine.books.drained))


cdef extern from * nogil:
    """
    #ifndef LOGLY_NOTICES
    #define LOGLY_NOTICES
    #include <cstdio>
    #include <cstring>
    static inline uint32_t notice_dropped(char* out, size_t size, uint64_t count, int reason) {
        static const char* const reasons[] = {"the ring was full", "there was no memory", "an error, which is reported",
                                              "they were for the flight recorder, and the ring was full"};
        return (uint32_t)snprintf(out, size, "logly: %llu record%s dropped: %s",
                                  (unsigned long long)count, count == 1 ? "" : "s", reasons[reason]);
    }
    static inline uint32_t notice_lost(char* out, size_t size, uint64_t count, int error) {
        return (uint32_t)snprintf(out, size, "logly: %llu record%s lost: %s", (unsigned long long)count,
                                  count == 1 ? "" : "s", error ? strerror(error) : "the sink accepted no data");
    }
    #endif
    """
    uint32_t notice_dropped(char* out, size_t size, uint64_t count, int reason) noexcept
    uint32_t notice_lost(char* out, size_t size, uint64_t count, int error) noexcept


# Says in the log how many records are missing at this place. They count as reported once that line is written.
cdef inline void append_loss_notice(Engine* engine, Sink* sink) noexcept nogil:
    cdef char text[256]
    cdef uint32_t size
    if sink.trouble.lost_untold:
        size = notice_lost(text, sizeof(text), sink.trouble.lost_untold, sink.trouble.error)
        if append_notice(engine, sink, text, size, sink.trouble.lost_untold):
            sink.trouble.lost_untold = 0


cdef inline void sink_recovered(Engine* engine, Sink* sink) noexcept nogil:
    append_loss_notice(engine, sink)
    sink.trouble.since_ns = 0
    sink.trouble.retry_at_ns = 0
    sink.trouble.error = 0
    sink.trouble.told_error = 0


# A sink that holds nothing has passed every record, also those that it did not want: its slot in the spool says so.
cdef inline void spool_note_idle(Engine* engine) noexcept nogil:
    cdef Sink* sink = engine.sinks
    while sink != NULL:
        if sink.progress.slot != NULL and sink_backlog(sink) == 0:
            slot_pass(engine.spool, sink.progress.slot, engine.books.drained, engine.dump.delivered)
        sink = sink.next


cdef inline int engine_write(Engine* engine, Sink* sink) noexcept nogil:
    cdef int status
    cdef uint64_t before = sink.tally.bytes_written
    if sink.trouble.retry_at_ns and engine.pace.now_ns < sink.trouble.retry_at_ns:
        return WRITE_BLOCKED
    if sink.rotation.retry_ns and engine.pace.now_ns >= sink.rotation.retry_ns:
        sink.rotation.retry_ns = 0
    status = sink_write(sink, engine.pace.now_ns)
    if sink.tally.bytes_written != before:
        # Bytes went through, so the sink is slow and not stuck.
        sink.trouble.since_ns = 0
    if status == WRITE_DONE:
        sink.pending.due_ns = 0
        if sink.trouble.retry_at_ns or sink.trouble.since_ns or sink.trouble.lost_untold:
            sink_recovered(engine, sink)
            if sink.pending.text.size > sink.pending.start:
                status = sink_write(sink, engine.pace.now_ns)
        if engine.spool != NULL:
            spool_note_idle(engine)
    if status == WRITE_BLOCKED or status == WRITE_FAILED:
        sink_trouble(engine, sink, status)
    return status


# True when Python is to make a new file first. Later records wait for it, because they may even belong into the file after it.
cdef inline bint sink_awaits_rotation(const Sink* sink) noexcept nogil:
    return sink.rotation.begins_at != NO_ROTATION and sink.rotation.retry_ns == 0


# True while the handler's own code runs or is about to: `doRollover` with a `rotator` that compresses takes seconds. Callers wait
# that long, as they do for the handler's lock in `logging`. (Where the lock is not to be had, the stall time does run.)
cdef inline bint sink_is_at_handlers_work(const Sink* sink) noexcept nogil:
    return sink.handler.is_served and sink.python.work & (WORK_ROTATE | WORK_REOPEN) != 0


# True when the sink may take one more record. A sink in trouble keeps a bounded backlog. When the backlog is full, producers
# wait, but only for the stall time. After that, records count as failed.
cdef inline bint sink_has_room(Engine* engine, Sink* sink) noexcept nogil:
    if sink_backlog(sink) < sink.backlog_limit and not sink_awaits_rotation(sink):
        return True
    if sink.target == TARGET_BATCH:
        return True  # it makes room itself: neither callers nor other sinks wait for what may be at the other end of a network
    if sink.pending.text.size > sink.pending.start and sink.target != TARGET_STREAM:
        engine_write(engine, sink)
        if sink_backlog(sink) < sink.backlog_limit and not sink_awaits_rotation(sink):
            return True
    if sink.trouble.since_ns == 0 and not sink_is_at_handlers_work(sink):
        # The sink waits for Python (a function, a stream, a rotation). The stall time limits this wait, too.
        sink.trouble.since_ns = engine.pace.now_ns
    return False


# Discards what the sink has buffered, except the rest of a line that is partly written. The records count as failed. When the
# sink works again, a notice says so at the place in the log where they are missing.
cdef inline uint64_t engine_discard(Engine* engine, Sink* sink) noexcept nogil:
    cdef bint mid_record = sink_is_mid_record(sink)
    cdef uint64_t lost = fail_marks(engine, &sink.pending.marks, mid_record) + fail_marks(engine, &sink.staging.marks, False)
    sink.tally.failed += lost
    sink_forget(sink, mid_record)
    sink.trouble.lost_untold += lost
    append_loss_notice(engine, sink)
    if sink.dedup_ns:
        repeats_end(engine, sink, sink_notice_number(sink, engine.books.drained))
    return lost


# Has Python tell of records that the sink has given up, once a second, also where nothing is written any more. A handler hears of
# them by its `handleError`.
cdef inline void watch_losses(const Engine* engine, Sink* sink) noexcept nogil:
    if not sink.handler.is_served:
        if sink.tally.failed != sink.tally.told and engine.pace.now_ns - sink.tally.told_ns >= TELL_NS:
            sink.tally.told_ns = engine.pace.now_ns
            sink.python.work |= WORK_GIVEN_UP
    elif sink.trouble.lost_untold and engine.pace.now_ns - sink.trouble.told_at_ns >= TELL_NS:
        sink.trouble.told_at_ns = engine.pace.now_ns
        sink.python.work |= WORK_ERROR


# ---- one record

# Returns what the number stands for, and marks it as used, so that the registry does not give it to something else soon.
cdef inline Site* see_site(Engine* engine, uint32_t number) noexcept nogil:
    cdef Site* site = site_of(engine.sites, number)
    assert_that(site != NULL)
    set_mark(&site.used)
    return site


cdef inline Program* see_program(Engine* engine, uint32_t number) noexcept nogil:
    cdef Program* program = program_of(engine.programs, number)
    assert_that(program != NULL)
    set_mark(&program.used)
    return program


cdef inline void show_name(Engine* engine, Line* line) noexcept nogil:
    line.is_named = True
    if line.view.header.flags & IS_SERVED:
        line.name = logger_name(engine.served, line.view.header.origin)
    elif line.view.header.flags & HAS_NAME:
        line.name = &line.view.name
    else:
        line.name = logger_name(engine.names, line.view.header.origin)
    assert_that(line.name != NULL)


# The ticks of a record in the flight recorder are nanoseconds. Its file is that of what the dump was made for: a dump of
# yesterday's records begins no file.
cdef inline void show_kept_time(Engine* engine, Line* line) noexcept nogil:
    if not line.view.header.flags & HAS_TIME:
        line.time_ns = <int64_t> line.view.header.ticks
    line.logged_ns = engine.dump.logged_ns


cdef inline void engine_line(Engine* engine, const char* record, Line* line) noexcept nogil:
    cdef const RecordHeader* header
    record_view(record, &line.view)
    header = line.view.header
    if calibration_is_due(&engine.workspace.calibration, header.ticks) and not header.flags & IS_KEPT:
        calibration_refresh(&engine.workspace.calibration)
    line.logged_ns = calibration_ns(&engine.workspace.calibration, header.ticks)
    line.time_ns = line.view.time_ns if header.flags & HAS_TIME else line.logged_ns
    if header.flags & IS_KEPT:
        show_kept_time(engine, line)
    line.level = &engine.levels.level[header.level]
    line.site = see_site(engine, header.site) if header.site else NULL
    line.site_serial = line.site.serial if line.site != NULL else 0
    line.program = see_program(engine, header.template_id) if header.template_id else NULL
    line.places = engine.places
    line.name = &engine.name
    line.is_named = engine.is_named
    if header.origin != OWN_NAME:
        show_name(engine, line)
    line.process = line.view.process if line.view.process else engine.intake.process
    line.message = NULL
    # The index may have been made for an earlier record at the same address.
    engine.workspace.index.of = NULL
    line.view.index = &engine.workspace.index


# `sequence`: as in `Mark.sequence`.
cdef inline void refuse_record(Engine* engine, Sink* sink, uint64_t sequence) noexcept nogil:
    engine_fail(engine, sequence)
    note_refused(sink, sequence)


# In the sink's own books. The engine's have each record once.
cdef inline void note_refused(Sink* sink, uint64_t sequence) noexcept nogil:
    sink.tally.failed += 1
    sink.trouble.lost_untold += 1
    if sequence & LATE_BIT:
        sink.late.count -= 1


# `filters`: so many decide whether anybody wants the record; 0: a sink without one does.
cdef inline void stage_record(
    Engine* engine, Sink* sink, const RecordHeader* header, uint64_t sequence, uint32_t filters
) noexcept nogil:
    if sink.staging.start > RELEASE_BYTES and sink.staging.start > sink.staging.records.size // 2:
        sink.staging.records.size -= sink.staging.start
        memmove(sink.staging.records.data, sink.staging.records.data + sink.staging.start, sink.staging.records.size)
        sink.staging.start = 0
    buffer_append(&sink.staging.records, <const char*> header, header.size)
    if sink.staging.records.failed or not marks_push(&sink.staging.marks, sequence, filters):
        if not sink.staging.records.failed:
            sink.staging.records.size -= header.size
        sink.staging.records.failed = False
        refuse_record(engine, sink, sequence)
        return
    sink.python.work |= WORK_RECORDS


# Writes what belongs to the old file first. The next line waits in the buffer for the new file.
cdef inline void begin_new_file(Engine* engine, Sink* sink, int64_t logged_ns) noexcept nogil:
    if sink.rotation.begins_at == NO_ROTATION:
        sink.rotation.begins_at = sink.pending.appended
        sink.rotation.begins_ns = logged_ns
        engine_write(engine, sink)


cdef inline void deliver_line(Engine* engine, Sink* sink, const Line* line, uint64_t sequence) noexcept nogil:
    cdef size_t start
    # One comparison finds both a period that is over and a clock that was set back. It uses the time of the call: a record's own
    # time (`HAS_TIME`) may be yesterday's, is only shown, and starts no file.
    if <uint64_t> (line.logged_ns - sink.file.period_from_ns) >= sink.file.period_ns:
        begin_new_file(engine, sink, line.logged_ns)
    start = sink.pending.text.size
    if sequence & LATE_BIT and engine.dump.heading_size and sink.late.headed != engine.dump.serial:
        # One mark for both, so that a successor of a process that is killed here writes both or none.
        sink.late.headed = engine.dump.serial
        render_heading(engine, sink)
    render_line(&sink.pending.text, sink.layout, line, &engine.workspace.scratch)
    sink_finish_line(engine, sink, start, sequence)
    if line.view.header.level_number >= engine.intake.flush_level:
        # The caller has woken the flusher for this record, so it is written without waiting for the interval.
        sink.pending.due_ns = engine.pace.now_ns


cdef inline void deliver(Engine* engine, Sink* sink, const Line* line, uint64_t sequence, uint32_t filters) noexcept nogil:
    if sink_backlog(sink) >= sink.backlog_limit and not (sink.target == TARGET_BATCH and batch_make_room(engine, sink)):
        refuse_record(engine, sink, sequence)
        return
    # A filter decides first: see `record_done`.
    if unlikely(sink.dedup_ns != 0) and not sink.selection.filtered and repeats_take(engine, sink, line, sequence):
        return
    if sink.target == TARGET_FUNCTION or sink.selection.filtered:
        stage_record(engine, sink, line.view.header, sequence, filters)
    else:
        deliver_line(engine, sink, line, sequence)


cdef inline void sink_finish_line(Engine* engine, Sink* sink, size_t start, uint64_t sequence) noexcept nogil:
    if not sink_mark(sink, start, sequence):
        refuse_record(engine, sink, sequence)
        return
    if sink.pending.due_ns == 0:
        # The interval begins when the record was logged, not when the flusher saw it.
        sink.pending.due_ns = engine.pace.drained_ns + sink.interval_ns
    if sink.pending.text.size - sink.pending.start >= sink.buffer_size and not sink.python.work:
        engine_write(engine, sink)


# Returns how many filters decide whether anybody wants the record; 0: it is known now.
cdef inline uint32_t begin_decision(Engine* engine, const Route* route) noexcept nogil:
    if route.count == 0:
        engine.books.refused += 1
    if not route.is_undecided:
        return 0
    if route.count > 1:
        if engine.books.undecided.last == engine.books.undecided.capacity:
            undecided_prune(&engine.books.undecided, engine_position(engine))
        undecided_add(&engine.books.undecided, engine.books.drained, route.count)
    return route.count


# Returns False when a sink that wants a record cannot take it now.
cdef inline bint route_has_room(Engine* engine, const Route* route) noexcept nogil:
    cdef uint32_t i
    for i in range(route.count):
        if not sink_has_room(engine, route.sink[i]) and not is_stalled(engine, route.sink[i]):
            return False
    return True
