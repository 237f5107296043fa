"""Flush requests: each is done when every sink has passed what had been logged when it was made."""

from libc.stdint cimport uint64_t

from logly.flusher.batch cimport batch_may_succeed
from logly.flusher.deliver cimport engine_write, has_stalled_too_long
from logly.flusher.repeats cimport repeats_are_out, repeats_tell_flush
from logly.flusher.sink cimport Sink, sink_is_past
from logly.flusher.state cimport Engine, engine_committed, engine_kept
from logly.ring.leases cimport FREE_THREADED
from logly.ring.ring cimport NO_MARK, Ring
from logly.system.atomic cimport load_acquire, load_relaxed, store_release
from logly.system.clock cimport clock_ticks
from logly.system.event cimport event_signal


# Free-threaded builds: true when threads have rings of their own behind a spool's ring. That ring gets no more records and must
# be emptied first.
cdef inline bint is_leaving_spool(const Engine* engine) noexcept nogil:
    cdef const Ring* ring = engine.rings
    while FREE_THREADED and engine.spooled and ring != NULL:
        if ring.lease != NULL:
            return True
        ring = ring.next
    return False


# Sets the mark that a flush waits for. With one ring it is the number of records committed. With several rings, a record with an
# earlier stamp may be committed later, so the mark is set once the rings have been drained past this moment.
cdef inline void begin_flush(Engine* engine, uint64_t request) noexcept nogil:
    if is_leaving_spool(engine):
        return
    engine.flush.request = request
    if FREE_THREADED and not engine.spooled:
        engine.flush.ticks = clock_ticks()
        engine.flush.mark = NO_MARK
        engine.pace.settled_ticks = 0
    else:
        engine.flush.mark = engine_committed(engine)
        engine.flush.kept = engine_kept(engine)
    engine.flush.late = NO_MARK


# True when every dump that has begun or was asked for has given all its records to the sinks.
cdef inline bint dump_is_over(const Engine* engine) noexcept nogil:
    return not (engine.dump.is_on or engine.dump.asked or engine.dump.is_resumed)


# True when the sink has written what the flush waits for, and how many repeats there were until then.
cdef inline bint flush_is_past(const Engine* engine, const Sink* sink) noexcept nogil:
    if not sink_is_past(sink, engine.flush.mark, engine.flush.late):
        return False
    return sink.dedup_ns == 0 or (sink.repeats.flushed == engine.flush.request and repeats_are_out(sink))


# True when a sink that nobody waits for any more has not told how many repeats there were.
cdef inline bint repeats_are_stuck(Engine* engine) noexcept nogil:
    cdef Sink* sink = engine.sinks
    while sink != NULL:
        if sink.dedup_ns and has_stalled_too_long(engine, sink) and (sink.repeats.count or not repeats_are_out(sink)):
            return True
        sink = sink.next
    return False


cdef inline bint flush_is_done(Engine* engine) noexcept nogil:
    cdef Sink* sink = engine.sinks
    if engine.books.drained < engine.flush.mark or engine.books.kept_drained < engine.flush.kept:
        return False
    if engine.flush.late == NO_MARK:
        if not dump_is_over(engine):
            return False
        engine.flush.late = engine.dump.delivered
    while sink != NULL:
        if sink.dedup_ns and repeats_tell_flush(engine, sink) and sink.pending.text.size > sink.pending.start:
            engine_write(engine, sink)
        if not flush_is_past(engine, sink) and (not has_stalled_too_long(engine, sink) or batch_may_succeed(engine, sink)):
            return False
        sink = sink.next
    return True


# Returns True when no flush is left to do. A flush is done when every sink has passed what had been logged when the flush was
# requested, or has been in trouble for the stall time. (Then its records still wait, and the thread that asked finds out.)
# Requests that come while a flush is being served are served together by the next one.
cdef inline bint complete_flushes(Engine* engine) noexcept nogil:
    cdef uint64_t request = load_acquire(&engine.requests.flush)
    while True:
        if engine.flush.request == 0:
            if request == load_relaxed(&engine.requests.flush_done):
                return True
            begin_flush(engine, request)
            if engine.flush.request == 0:
                return False
        if FREE_THREADED and engine.flush.mark == NO_MARK and engine.pace.settled_ticks > engine.flush.ticks:
            engine.flush.mark = engine.books.drained
            engine.flush.kept = engine.books.kept_drained
        if not flush_is_done(engine):
            return False
        store_release(&engine.requests.flush_done, engine.flush.request)
        engine.flush.request = 0
        event_signal(&engine.requests.done)
