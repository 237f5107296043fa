"""The lines of a batch sink, on their way to the function that a thread of the sink's own calls (logly/outlets/outlet.py).

The flusher appends lines, says when they are due, and makes room when the backlog is full. It never waits for the function. The
thread takes the oldest lines as one batch and settles it after the call: written, failed, or kept for another try. All of this
happens under the engine's lock, and the call happens outside of it. The marks of a taken batch stay the oldest marks of the
sink, so books, flushes and removals see its records as pending until they are settled.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t, uint8_t
from libc.string cimport memmove

from logly.flusher.lost cimport fail_marks
from logly.flusher.marks cimport LATE_BIT, NOTICE_BIT, Mark, Marks, marks_clear
from logly.flusher.sink cimport (
    TARGET_BATCH, WORK_STREAM, Sink, oldest_leaves, sink_backlog, sink_written_offset,
)
from logly.flusher.state cimport Engine, engine_fail
from logly.system.atomic cimport load_relaxed
from logly.system.event cimport event_signal
from logly.text.buffer cimport buffer_trim

cdef enum:
    HURRY_NS = 1000000000      # the longest pause between two tries while somebody waits for them

cdef enum BatchFate:
    FATE_WRITTEN = 0
    FATE_FAILED
    FATE_KEPT                  # for another try


# ---- when a batch is due

# True while a close or the exit has time for the sink, and for another try in that time.
cdef inline bint batch_has_time(const Engine* engine, const Sink* sink) noexcept nogil:
    cdef int64_t until_ns = <int64_t> load_relaxed(<uint64_t*> &engine.requests.batches_until_ns)
    return engine.pace.now_ns < until_ns and sink.batches.held_until_ns < until_ns


# True while a flush, a close or a removal waits for the sink, and for a try that begins after it was asked for.
cdef inline bint batch_is_hurried(const Engine* engine, const Sink* sink) noexcept nogil:
    if sink.leaving.at_ns != 0 or batch_has_time(engine, sink):
        return True
    return load_relaxed(<uint64_t*> &engine.requests.flush) > sink.batches.tried_for


# When the next call may begin. A batch that was given up in a pause does not end the pause.
cdef inline int64_t batch_retry_ns(const Engine* engine, const Sink* sink) noexcept nogil:
    cdef int64_t retry_at_ns = sink.batches.retry_at_ns
    if batch_is_hurried(engine, sink):
        retry_at_ns = min(retry_at_ns, sink.batches.failed_ns + HURRY_NS)
    return max(retry_at_ns, sink.batches.held_until_ns)


# Called when lines are due, or when there is a full batch of them.
cdef inline void batch_want(Sink* sink) noexcept nogil:
    if not sink.batches.is_wanted:
        sink.batches.is_wanted = True
        if sink.batches.thread:
            event_signal(sink.batches.wake)


# True when a try of a batch could begin now, if there were a thread.
cdef inline bint batch_could_begin(const Engine* engine, const Sink* sink) noexcept nogil:
    return engine.pace.now_ns >= sink.batches.start_at_ns and engine.pace.now_ns >= batch_retry_ns(engine, sink)


# Called in each pass. `everything`: what waits is to be sent now, whether it is due or not.
cdef inline void watch_batch(Engine* engine, Sink* sink, bint everything) noexcept nogil:
    cdef size_t waiting = sink.pending.text.size - sink.pending.start
    if engine.pace.now_ns >= sink.trouble.retry_at_ns:
        sink.trouble.retry_at_ns = 0  # of `back_off`
    if waiting and (everything or engine.pace.now_ns >= sink.pending.due_ns or waiting >= sink.buffer_size):
        batch_want(sink)
    if sink.pending.taken == 0 and not sink.batches.is_wanted:
        if waiting:
            engine.pace.sleep_ns = min(engine.pace.sleep_ns, sink.pending.due_ns - engine.pace.now_ns)
        return
    if sink.batches.thread == 0:
        if batch_could_begin(engine, sink):
            sink.python.work |= WORK_STREAM
    elif batch_is_hurried(engine, sink) and not sink.batches.is_hurried:
        sink.batches.is_hurried = True
        event_signal(sink.batches.wake)


# True when the call takes too long, or its beginning: the thread does not get that far.
cdef inline bint batch_hangs(const Engine* engine, const Sink* sink) noexcept nogil:
    cdef int64_t since_ns = sink.batches.begun_ns
    if not sink.batches.is_in_call:
        since_ns = max(sink.batches.ended_ns, engine.flush.begun_ns)
    return engine.pace.now_ns - since_ns >= sink.batches.hung_ns


# True for a batch sink for which a flush still waits: its function is at work, or is about to be, and may succeed.
cdef inline bint batch_may_succeed(const Engine* engine, const Sink* sink) noexcept nogil:
    if sink.target != TARGET_BATCH:
        return False
    return sink.batches.is_in_call or batch_has_time(engine, sink) or (
        sink.batches.tried_for < engine.flush.request and engine.pace.now_ns >= sink.batches.held_until_ns
    )


# Called when no thread could be started, or the thread has ended by an error: this was a try, and it has failed.
cdef inline void batch_thread_fails(Engine* engine, Sink* sink, int64_t now_ns, int64_t pause_ns) noexcept nogil:
    sink.batches.start_at_ns = now_ns + pause_ns
    sink.batches.tried_for = load_relaxed(<uint64_t*> &engine.requests.flush)
    if sink.trouble.since_ns == 0:
        sink.trouble.since_ns = now_ns


# ---- marks that leave

cdef inline uint32_t notices_among(const Marks* marks, uint32_t count) noexcept nogil:
    cdef uint32_t notices = 0, i
    for i in range(count if marks.notices else 0):
        notices += marks.mark[marks.first + i].sequence & NOTICE_BIT != 0
    return notices


# In the sink's books. A notice that fails would have told of missing records, which need another notice then.
cdef inline void tally_mark(Sink* sink, uint64_t sequence, uint64_t told, uint8_t fate) noexcept nogil:
    if sequence & NOTICE_BIT:
        sink.pending.marks.notices -= 1
        if fate == FATE_FAILED:
            sink.trouble.lost_untold += told
    elif fate == FATE_WRITTEN:
        sink.tally.records += 1
    else:
        sink.tally.failed += 1
        sink.trouble.lost_untold += 1


# Moves `count` marks up by `gone` places, over marks that have left.
cdef inline void close_gap(Marks* marks, uint32_t count, uint32_t gone) noexcept nogil:
    memmove(marks.mark + marks.first + gone, marks.mark + marks.first, count * sizeof(Mark))
    marks.first += gone


# Removes `count` marks after the first `begin` ones, which stay. `fates`: of each mark; NULL: all have the fate `fate`, and the
# engine's books have it already where that is FATE_FAILED. Returns how many marks were kept.
cdef inline uint32_t leave_marks(
    Engine* engine, Sink* sink, uint32_t begin, uint32_t count, const uint8_t* fates, uint8_t fate
) noexcept nogil:
    cdef Marks* told = &sink.trouble.told
    cdef Mark* mark = sink.pending.marks.mark + sink.pending.marks.first + begin
    cdef uint32_t told_begin = notices_among(&sink.pending.marks, begin)
    cdef uint32_t notice = told_begin, kept = 0, kept_notices = 0, i
    cdef bint is_oldest = begin == 0
    cdef uint64_t sequence
    for i in range(count):
        sequence = mark[i].sequence
        if fates != NULL:
            fate = fates[i]
        if fate == FATE_KEPT:
            mark[kept] = mark[i]
            kept += 1
            is_oldest = False
            if sequence & NOTICE_BIT:
                told.mark[told.first + told_begin + kept_notices] = told.mark[told.first + notice]
                kept_notices += 1
                notice += 1
            continue
        if fate == FATE_FAILED and fates != NULL and not sequence & NOTICE_BIT:
            engine_fail(engine, sequence)
        tally_mark(sink, sequence, told.mark[told.first + notice].sequence if sequence & NOTICE_BIT else 0, fate)
        notice += sequence & NOTICE_BIT != 0
        if is_oldest:
            oldest_leaves(sink, sequence)
        elif sequence & LATE_BIT and not sequence & NOTICE_BIT:
            sink.late.count -= 1
    close_gap(&sink.pending.marks, begin + kept, count - kept)
    if notice != told_begin + kept_notices:
        close_gap(told, told_begin + kept_notices, notice - told_begin - kept_notices)
    if sink.pending.marks.first == sink.pending.marks.last:
        marks_clear(&sink.pending.marks)
        marks_clear(told)
    return kept


cdef inline void batch_let_go(Sink* sink) noexcept nogil:
    sink.pending.taken = 0
    sink.batches.marks = 0
    sink.batches.serial += 1
    sink.pending.boundary = sink_written_offset(sink)
    if sink.pending.text.size == 0:
        buffer_trim(&sink.pending.text, 4 * sink.buffer_size)


# Counts these marks as failed in the engine's books, and removes them.
cdef inline void fail_range(Engine* engine, Sink* sink, uint32_t begin, uint32_t count) noexcept nogil:
    cdef Marks range_of = sink.pending.marks
    range_of.first += begin
    range_of.last = range_of.first + count
    fail_marks(engine, &range_of, False)
    leave_marks(engine, sink, begin, count, NULL, FATE_FAILED)


# Gives up the taken batch. Whatever its function says later is about nothing.
cdef inline void batch_fail(Engine* engine, Sink* sink) noexcept nogil:
    fail_range(engine, sink, 0, sink.batches.marks)
    batch_let_go(sink)


# ---- the oldest lines

# How many marks after the taken ones have lines within `limit` bytes: one at least, if there is one. `size`: of these lines.
cdef inline uint32_t oldest_lines(const Sink* sink, size_t limit, size_t* size) noexcept nogil:
    cdef const Marks* marks = &sink.pending.marks
    cdef uint64_t begin = sink.pending.appended - (sink.pending.text.size - sink.pending.start)
    cdef uint32_t first = marks.first + sink.batches.marks
    cdef uint32_t low = first, high = marks.last, middle
    while low < high:
        middle = low + (high - low) // 2
        if marks.mark[middle].end - begin <= limit:
            low = middle + 1
        else:
            high = middle
    if low == first and first < marks.last:
        low += 1
    size[0] = <size_t> (marks.mark[low - 1].end - begin) if low > first else 0
    return low - first


# Called when these bytes were copied, or are given up.
cdef inline void remove_text(Sink* sink, size_t size) noexcept nogil:
    sink.pending.start += size
    if sink.pending.start == sink.pending.text.size:
        sink.pending.start = sink.pending.text.size = 0
        sink.pending.due_ns = 0
        sink.batches.is_wanted = False
    elif sink.pending.start > 65536 and sink.pending.start > sink.pending.text.size // 2:
        sink.pending.text.size -= sink.pending.start
        memmove(sink.pending.text.data, sink.pending.text.data + sink.pending.start, sink.pending.text.size)
        sink.pending.start = 0


# Gives up the oldest lines until the backlog has room for another line. A batch that the function is at work on is not given up,
# unless the call hangs. Returns False when there is nothing to give up.
cdef inline bint batch_make_room(Engine* engine, Sink* sink) noexcept nogil:
    cdef size_t size
    cdef uint32_t count
    while sink_backlog(sink) >= sink.backlog_limit:
        if sink.batches.marks and (
            not sink.batches.is_in_call or engine.pace.now_ns - sink.batches.begun_ns >= sink.batches.hung_ns
        ):
            batch_fail(engine, sink)
            continue
        count = oldest_lines(sink, sink.buffer_size, &size)
        if count == 0:
            return False
        fail_range(engine, sink, sink.batches.marks, count)
        remove_text(sink, size)
        sink.pending.boundary = sink_written_offset(sink)
    return True
