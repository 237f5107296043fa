"""Equal records in succession of one sink (`SinkConfig.dedup`): the first one has a line, a later line counts the others.

A *run* begins with a record that has its own line. Records that are equal to it, logged within `Sink.dedup_ns` from then on,
are its repeats: they are counted, and count as written. A line of logly's own tells how many there were. It comes

- before the line of another record, and when a run is over by time: then the next equal record has its own line again;
- when the time is over, also if nothing else is logged;
- for each flush, before a file is left, and when the sink gets no more records.

The line that tells is a notice (NOTICE_BIT): no book counts it. If it is discarded, its repeats are told as lost.
"""

from libc.stdint cimport int64_t, uint64_t

from logly.flusher.marks cimport LATE_BIT, NOTICE_BIT
from logly.flusher.repeats_equal cimport Compared, compared_of, is_equal, is_equal_otherwise, keep
from logly.flusher.repeats_told cimport append_told_line, compose_base, compose_told, stage_told
from logly.flusher.sink cimport (
    NO_ROTATION, TARGET_FUNCTION, Sink, sink_backlog, sink_first_staged, sink_notice_number, sink_written_offset,
)
from logly.flusher.state cimport Engine
from logly.layout.line cimport Line
from logly.ring.gate cimport POST_DRAIN, intake_wake
from logly.system.atomic cimport load_relaxed32
from logly.system.probe cimport IS_PROBE
from logly.text.buffer cimport Buffer, buffer_free, buffer_init


# ---- what time it is

cdef inline int64_t present_ns(const Engine* engine, const Sink* sink) noexcept nogil:
    if IS_PROBE and sink.clock_ns:
        return sink.clock_ns
    return engine.pace.now_ns


cdef inline int64_t logged_at(const Sink* sink, const Line* line) noexcept nogil:
    if IS_PROBE and sink.clock_ns:
        return sink.clock_ns
    return line.logged_ns


# ---- what is a repeat

# Also a clock that was set starts a new run, unless it was set by less than that.
cdef inline bint is_within(const Sink* sink, int64_t logged_ns) noexcept nogil:
    cdef int64_t since_ns = logged_ns - sink.repeats.begun_ns
    return -sink.dedup_ns < since_ns < sink.dedup_ns


# ---- telling

# Tells how many repeats there were since this was told last. The run goes on. `number`: the mark's.
cdef inline void repeats_tell(Engine* engine, Sink* sink, uint64_t number) noexcept nogil:
    cdef Buffer record
    cdef bint is_told = False
    if sink.repeats.count == 0:
        return
    buffer_init(&record)
    compose_told(&record, sink)
    if not record.failed:
        if sink.target == TARGET_FUNCTION:
            is_told = stage_told(sink, &record, number)
        else:
            is_told = append_told_line(engine, sink, record.data, number)
    buffer_free(&record)
    if not is_told:
        sink.trouble.lost_untold += sink.repeats.count
    sink.repeats.count = 0


# Tells of the repeats and ends the run: the next record has a line, whatever it is.
cdef inline void repeats_end(Engine* engine, Sink* sink, uint64_t number) noexcept nogil:
    repeats_tell(engine, sink, number)
    sink.repeats.kept.size = 0
    sink.repeats.base.size = 0


cdef inline void begin_run(Engine* engine, Sink* sink, const Line* line, const Compared* compared) noexcept nogil:
    keep(&sink.repeats.kept, compared)
    sink.repeats.line_at = sink.pending.appended
    sink.repeats.begun_ns = logged_at(sink, line)
    sink.repeats.due_ns = present_ns(engine, sink) + sink.dedup_ns


cdef inline void count_repeat(Engine* engine, Sink* sink, const Line* line) noexcept nogil:
    if sink.repeats.count == 0:
        sink.repeats.first_ns = line.time_ns
        if not engine.pace.gives_way:
            # A caller makes this pass. The flusher may have fallen asleep for longer than the run lasts.
            intake_wake(&engine.intake)
    sink.repeats.last_ns = line.time_ns
    sink.repeats.count += 1
    sink.tally.records += 1
    sink.tally.repeated += 1


cdef inline bint is_repeat(const Engine* engine, Sink* sink, const Line* line, const Compared* compared) noexcept nogil:
    if not is_equal(&sink.repeats.kept, compared):
        if not is_equal_otherwise(engine, sink, compared, line):
            return False
        keep(&sink.repeats.kept, compared)  # the next one will be like this one
    return is_within(sink, logged_at(sink, line)) and (sink.repeats.base.size != 0 or compose_base(sink, line))


# True when the record is the first one of a new file. See `deliver_line`.
cdef inline bint begins_file(const Sink* sink, const Line* line) noexcept nogil:
    return (
        <uint64_t> (line.logged_ns - sink.file.period_from_ns) >= sink.file.period_ns
        and sink.rotation.begins_at == NO_ROTATION
    )


# Called with each record for a sink with `dedup_ns`. Returns True when it is a repeat, which needs no line. Without a flusher
# nobody would come back to tell of it, so each record has its line then.
cdef inline bint repeats_take(Engine* engine, Sink* sink, const Line* line, uint64_t sequence) noexcept nogil:
    cdef Compared compared
    if sequence & LATE_BIT:  # what a dump of the flight recorder writes is never a repeat
        repeats_end(engine, sink, sink_notice_number(sink, engine.books.drained))
        return False
    if load_relaxed32(&engine.intake.post) & POST_DRAIN:
        repeats_end(engine, sink, sequence | NOTICE_BIT)
        return False
    if begins_file(sink, line):
        repeats_end(engine, sink, sequence | NOTICE_BIT)
    compared_of(line, &compared)
    if is_repeat(engine, sink, line, &compared):
        count_repeat(engine, sink, line)
        return True
    repeats_end(engine, sink, sequence | NOTICE_BIT)
    begin_run(engine, sink, line, &compared)
    return False


# ---- when nothing else is logged

# True when the sink gets no more records: it is disabled, or leaves.
cdef inline bint has_all(const Engine* engine, const Sink* sink) noexcept nogil:
    return (
        engine.books.drained >= sink.window.from_sequence
        and engine.books.drained - sink.window.from_sequence >= sink.window.count
    )


# Called in each pass. Tells of the repeats where the time is over or nobody comes back, and has the flusher come back in time.
cdef inline void watch_repeats(Engine* engine, Sink* sink) noexcept nogil:
    cdef int64_t left_ns
    if sink.repeats.count == 0:
        return
    left_ns = sink.repeats.due_ns - present_ns(engine, sink)
    if left_ns > 0 and not has_all(engine, sink) and not load_relaxed32(&engine.intake.post) & POST_DRAIN:
        if left_ns < engine.pace.sleep_ns:
            engine.pace.sleep_ns = left_ns
        return
    if sink_backlog(sink) < sink.backlog_limit:
        repeats_tell(engine, sink, sink_notice_number(sink, engine.books.drained))
        sink.repeats.due_ns = present_ns(engine, sink) + sink.dedup_ns


# Called when the file has been replaced. The run ends where its line is in the file before: each file tells what is in it.
cdef inline void repeats_leave_file(Engine* engine, Sink* sink) noexcept nogil:
    if sink.repeats.kept.size and sink_written_offset(sink) > sink.repeats.line_at:
        repeats_end(engine, sink, sink_notice_number(sink, engine.books.drained))


# ---- flushes

# Called for the flush that is served, once the sink has been given what had been logged before. Returns True when it tells now.
cdef inline bint repeats_tell_flush(Engine* engine, Sink* sink) noexcept nogil:
    if sink.repeats.flushed == engine.flush.request or sink_backlog(sink) >= sink.backlog_limit:
        return False
    if sink.target != TARGET_FUNCTION and sink_first_staged(sink, engine.books.drained) < engine.flush.mark:
        return False  # a filter has not decided yet
    repeats_tell(engine, sink, sink_notice_number(sink, engine.books.drained))
    sink.repeats.flushed = engine.flush.request
    sink.repeats.flushed_at = engine.books.drained if sink.target == TARGET_FUNCTION else sink.pending.appended
    return True


# True when the lines that the latest flush has asked for are written, or the function has got these records.
cdef inline bint repeats_are_out(const Sink* sink) noexcept nogil:
    cdef uint64_t first
    if sink.target != TARGET_FUNCTION:
        if sink.pending.text.size == sink.pending.start and sink.pending.taken == 0:
            return True
        return sink_written_offset(sink) >= sink.repeats.flushed_at
    first = sink_first_staged(sink, sink.repeats.flushed_at)
    return first & ~NOTICE_BIT >= sink.repeats.flushed_at and first != sink.repeats.flushed_at | NOTICE_BIT
