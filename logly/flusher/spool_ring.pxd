"""A spool's ring: begun, its space given back when all sinks have written what was in it, and left."""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memmove

from logly.flusher.deliver cimport engine_discard, engine_write, is_stalled
from logly.flusher.dump cimport dump_rehash, dump_watch
from logly.flusher.marks cimport NOTICE_BIT, Mark, marks_first, marks_push
from logly.flusher.sink cimport TARGET_BATCH, Sink, oldest_leaves, sink_is_mid_record
from logly.flusher.state cimport (
    Engine, engine_fail, late_is_safe, recorder_in_memory, spool_late_position, spool_position,
)
from logly.flusher.write cimport sink_use_spool
from logly.ring.recorder cimport (
    Recorder, recorder_begin, recorder_count, recorder_free_blocks, recorder_move, recorder_trim,
)
from logly.ring.ring cimport Ring
from logly.spool.format cimport Spool, SpoolHeader, spool_drop_blob_later, spool_release
from logly.system.atomic cimport load_acquire32, load_relaxed, store_relaxed32, store_release32


# A line that is partly written stays, because its rest must come before anything else. But its record counts as failed: should
# nobody take the rest, the ring would never be released. So the mark becomes that of a line of logly's own.
cdef inline void fail_half_line(Engine* engine, Sink* sink) noexcept nogil:
    cdef Mark* half = marks_first(&sink.pending.marks)
    cdef uint64_t sequence = half.sequence
    cdef Mark* told
    if sequence & NOTICE_BIT or not marks_push(&sink.trouble.told, 0, 0):
        return
    told = marks_first(&sink.trouble.told)
    memmove(told + 1, told, (sink.trouble.told.last - sink.trouble.told.first - 1) * sizeof(Mark))
    told.sequence = 0
    engine_fail(engine, sequence)
    sink.tally.failed += 1
    sink.trouble.lost_untold += 1
    oldest_leaves(sink, sequence)
    half.sequence = sink.late.floor | NOTICE_BIT
    sink.pending.marks.notices += 1


# Discards what a sink in trouble holds. What stays, or tells of it, holds nothing of the ring.
cdef inline void give_up(Engine* engine, Sink* sink) noexcept nogil:
    cdef Mark* half
    if sink_is_mid_record(sink):
        fail_half_line(engine, sink)
    engine_discard(engine, sink)
    half = marks_first(&sink.pending.marks)
    if half != NULL and half.sequence & NOTICE_BIT:
        half.sequence = engine.books.drained | NOTICE_BIT


# A spool's ring keeps the records that were taken from it until every sink has handed them to the operating system. Sinks write
# at their own pace while this takes little of the ring. They write at once when a producer waits for room, or when it takes
# more than a quarter of the ring.
cdef inline void engine_release_spool(Engine* engine, Spool* spool) noexcept nogil:
    cdef Ring* ring = spool.ring
    cdef uint64_t used = ring.tail - spool.written_to
    cdef uint64_t late = spool.header.released_kept[spool.header.released_current].late
    cdef Sink* sink = engine.sinks
    if used == 0 and late == engine.dump.delivered:
        return
    if used > ring.capacity >> 2 or load_relaxed(&engine.intake.traffic.waiters) or load_acquire32(&ring.retired):
        while sink != NULL:
            if sink.target == TARGET_BATCH:
                sink = sink.next
                continue
            if sink.pending.text.size > sink.pending.start:
                engine_write(engine, sink)
            # Rings behind a spool that is no longer used must not wait for a sink in trouble.
            if is_stalled(engine, sink) and not sink.python.busy and (
                used > ring.capacity >> 1 or (load_acquire32(&ring.retired) and ring.next != NULL)
            ):
                give_up(engine, sink)
            sink = sink.next
    if spool_position(engine) == engine.books.drained:
        drop_blobs_later(engine, spool)
        spool_release(spool, engine.books.drained, spool_late_position(engine))
        recorder_trim(&engine.recorder, late_is_safe(engine))


# The copies of large records that have left the recorder. The ring may still name them until it is released.
cdef inline void drop_blobs_later(Engine* engine, Spool* spool) noexcept nogil:
    cdef Recorder* recorder = &engine.recorder
    cdef uint32_t i
    for i in range(recorder.gone_blobs):
        spool_drop_blob_later(spool, recorder.gone_blob[i].offset, recorder.gone_blob[i].size)
    recorder.gone_blobs = 0


# Late entries of a process that has died, which may have been killed before it counted the last one.
cdef inline void use_late(Engine* engine, const Spool* spool) noexcept nogil:
    engine.dump.resumed = 0
    if spool.late_entries and spool.late_entry[spool.late_entries - 1].late > engine.recorder.state.late:
        engine.recorder.state.late = spool.late_entry[spool.late_entries - 1].late


# Kept records lie in the spool's file from now on, also those that were in memory.
cdef inline void use_recorder_of(Engine* engine, Spool* spool) noexcept nogil:
    cdef Recorder before = engine.recorder
    cdef SpoolHeader* header = spool.header
    if header.recorder_capacity == 0:
        engine.dump.is_resumed = False
        dump_watch(engine)
        return
    engine.recording.serial += 1
    recorder_begin(&engine.recorder, &header.recorder, spool.recorder, header.recorder_capacity)
    engine.recorder.fd = spool.fd if spool.fd >= 0 else 0
    recorder_count(&engine.recorder)
    if engine.dump.is_resumed:
        use_late(engine, spool)
        dump_rehash(engine)
        return
    header.recorder.late = engine.dump.delivered
    recorder_move(&before, &engine.recorder, engine.dump.delivered)


# What is kept lies in memory again: the file goes.
cdef inline void leave_recorder(Engine* engine) noexcept nogil:
    cdef Recorder before = engine.recorder
    if before.fd < 0:
        return
    if engine.spool.keeps_blobs:  # a dead process's, whose entries stay where nobody has asked for them
        recorder_free_blocks(&before)
        recorder_in_memory(engine)
        return
    recorder_in_memory(engine)
    recorder_move(&before, &engine.recorder, engine.dump.delivered)


# Begins to consume this spool's ring. Its records are numbered from here, and its slots keep the sinks' progress.
cdef inline void engine_begin_spool(Engine* engine, Spool* spool) noexcept nogil:
    cdef Sink* sink = engine.sinks
    engine.spool = spool
    spool.begun = True
    spool.base = engine.books.drained - spool.header.released[spool.header.released_current].sequence
    use_recorder_of(engine, spool)
    while sink != NULL:
        sink_use_spool(sink, spool)
        sink = sink.next


cdef inline void engine_end_spool(Engine* engine) noexcept nogil:
    cdef Sink* sink = engine.sinks
    while sink != NULL:
        sink.progress.spool = NULL
        sink.progress.slot = NULL
        sink.progress.until = 0
        sink = sink.next
    leave_recorder(engine)
    store_release32(&engine.spool.finished, 1)
    store_relaxed32(&engine.requests.python, 1)
    engine.spool = NULL


cdef inline bint any_spool(const Ring* ring) noexcept nogil:
    while ring != NULL and ring.spool == NULL:
        ring = ring.next
    return ring != NULL
