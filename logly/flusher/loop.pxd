"""The flusher's side of an engine: a pass takes the earliest records of all rings, delivers them and writes what is due.

The thread that makes a pass holds the engine's lock. It is the flusher, or the caller of a synchronous sink, which has
released the GIL.
"""

from libc.stdint cimport INT32_MIN, INT64_MAX, int64_t, uint32_t, uint64_t
from libc.stdlib cimport free

from logly.flusher.batch cimport watch_batch
from logly.flusher.deliver cimport (
    append_notice, begin_decision, engine_discard, engine_line, engine_write, is_stalled, notice_dropped, route_has_room,
    tell_repeats_before, watch_losses,
)
from logly.flusher.dump cimport dump_before, dump_continue, dump_due, dump_left, keep_record
from logly.flusher.flushes cimport begin_flush, complete_flushes
from logly.flusher.level_watch cimport watch_level_file
from logly.flusher.repeats cimport watch_repeats
from logly.flusher.route cimport route_of
from logly.flusher.route_cache cimport Route
from logly.flusher.shown cimport Shown, deliver_shown, shown_line
from logly.flusher.outlet_threads cimport is_outlet
from logly.flusher.sink cimport NO_ROTATION, TARGET_BATCH, WORK_RECORDS, Sink, sink_backlog
from logly.flusher.spool_ring cimport any_spool, engine_begin_spool, engine_end_spool, engine_release_spool
from logly.flusher.spool_sync cimport engine_sync
from logly.flusher.spool_watch cimport watch_spool
from logly.flusher.state cimport (
    KEPT_BYTES, LEAST_SLEEP_NS, PASS_HELD, PASS_MORE, PASS_PYTHON, PASS_SOON, RELEASE_BYTES, RETRY_BLOCKED_NS,
    RUN_PYTHON, RUN_STOPPED, SOON_NS, Engine, engine_give_way, engine_lock, engine_unlock, spool_late_position,
)
from logly.layout.line cimport Line
from logly.layout.redaction_rules cimport redaction_trim
from logly.ring.gate cimport DROP_KEPT, DROP_REASONS, POST_DRAIN
from logly.ring.leases cimport FREE_THREADED, lease_end_engine, lease_is_over
from logly.ring.merge cimport merge_begin, merge_next, record_proper
from logly.ring.record cimport HAS_THREAD, IS_ECHO, IS_INSIDE, IS_KEPT, RecordHeader, RecordHeap
from logly.ring.ring cimport (
    NO_MARK, RECORD_HEAP, RecordPrefix, Ring, ring_consume, ring_free, ring_peek, ring_release, ring_used,
)
from logly.spool.format cimport Spool, spool_drop_blob_later, spool_save_clock
from logly.system.atomic cimport (
    exchange32, fence_full, load_acquire, load_acquire32, load_relaxed, load_relaxed32, store_relaxed, store_relaxed32,
)
from logly.system.clock cimport calibration_refresh, clock_monotonic_ns
from logly.system.event cimport event_prepare, event_signal, event_wait
from logly.text.buffer cimport buffer_free, buffer_trim


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
    if load_relaxed(&engine.intake.traffic.waiters):
        event_signal(&engine.intake.traffic.space)


# `is_moved`: its block has a new owner.
cdef inline void release_record(Ring* ring, char* record, bint is_moved) noexcept nogil:
    cdef RecordPrefix* prefix = <RecordPrefix*> record
    cdef RecordHeap* heap = <RecordHeap*> record
    cdef uint64_t size = prefix.size
    if prefix.kind == RECORD_HEAP:
        store_relaxed(&ring.heap_bytes_out, ring.heap_bytes_out + heap.block_size)
    if prefix.kind == RECORD_HEAP and not is_moved:
        free(heap.block)
        if ring.spool != NULL:
            spool_drop_blob_later(<Spool*> ring.spool, heap.blob, heap.block_size)
    ring_consume(ring, size)


# True when the first record that was set aside comes before this record of a ring, so that each thread's records stay in order.
# `ring` NULL: whether it comes before all that the rings may still get.
cdef inline bint aside_is_next(const Engine* engine, const Ring* ring, const char* record) noexcept nogil:
    cdef const RecordHeader* first = <const RecordHeader*> (engine.set_aside.records.data + engine.set_aside.start)
    return first.ticks <= (record_proper(record).ticks if ring != NULL else engine.pace.settled_ticks)


cdef inline void release_aside(Engine* engine) noexcept nogil:
    engine.set_aside.start += (<const RecordHeader*> (engine.set_aside.records.data + engine.set_aside.start)).size
    if engine.set_aside.start == engine.set_aside.records.size:
        buffer_free(&engine.set_aside.records)
        engine.set_aside.start = 0


# Measured at every pass, because producers look at how full the ring is only when it gets full.
cdef inline void note_high_water(Engine* engine) noexcept nogil:
    cdef Ring* ring = engine.rings
    cdef uint64_t used, waiting
    engine.pace.waiting_bytes = 0
    while ring != NULL:
        used = ring_used(ring)
        if used > engine.books.past_high_water:
            engine.books.past_high_water = used
        waiting = load_acquire(&ring.positions.head) - ring.tail
        if waiting > engine.pace.waiting_bytes:
            engine.pace.waiting_bytes = waiting
        ring = ring.next


# True when the oldest ring is that of a spool which has not begun.
cdef inline bint spool_is_next(const Engine* engine) noexcept nogil:
    if not engine.spooled or engine.rings == NULL or engine.rings.spool == NULL:
        return False
    return not (<const Spool*> engine.rings.spool).begun


# Takes records until the rings are empty, a sink cannot take more, or Python is wanted. It stops after `limit` bytes and leaves
# the rest to the next pass, so that due writes and flush requests get their turn.
cdef inline bint engine_drain(Engine* engine, uint64_t limit) noexcept nogil:
    cdef Ring* ring
    cdef char* record = NULL
    cdef const RecordHeader* proper
    cdef uint64_t consumed = 0
    cdef uint64_t unreleased = 0
    cdef bint merges = engine.rings == NULL or (engine.rings.next != NULL and not engine.spooled)
    if spool_is_next(engine):
        if engine.dump.is_on and not dump_continue(engine):
            return False  # its records are in the recorder of before
        engine_begin_spool(engine, <Spool*> engine.rings.spool)
    if merges and not merge_begin(&engine.workspace.merge, engine.rings):
        return False
    while consumed < limit:
        if merges:
            ring = merge_next(&engine.workspace.merge, &record)
            if ring == NULL:
                engine.pace.settled_ticks = engine.workspace.merge.horizon
        else:
            ring = engine.rings
            record = ring_peek(ring)
            if record == NULL:
                engine.pace.settled_ticks = <uint64_t> -1
                ring = NULL
            elif FREE_THREADED and engine.flush.mark == NO_MARK:
                # Time stamps only grow within this ring, and a ring that is linked later has later stamps.
                engine.pace.settled_ticks = record_proper(record).ticks
        if engine.set_aside.records.size and aside_is_next(engine, ring, record):
            ring = NULL
            record = engine.set_aside.records.data + engine.set_aside.start
        elif ring == NULL:
            engine.pace.drained_ns = engine.pace.now_ns
            break
        proper = record_proper(record)
        if proper.flags & IS_KEPT and ring != NULL:
            # What is kept after a dump has begun, or was asked for, is not part of it, and must not push out what is.
            if engine.dump.watch == INT32_MIN and not dump_due(engine, proper.ticks):
                engine_release_rings(engine)
                return False
            unreleased += (<RecordPrefix*> record).size
            release_record(ring, record, keep_record(engine, record, proper, <Spool*> ring.spool))
        elif not consume_record(engine, <const char*> proper):
            engine_release_rings(engine)
            return False
        elif ring == NULL:
            release_aside(engine)
            continue
        else:
            unreleased += (<RecordPrefix*> record).size
            release_record(ring, record, False)
        if unreleased >= RELEASE_BYTES:
            consumed += unreleased
            unreleased = 0
            engine_release_rings(engine)
            engine.pace.now_ns = clock_monotonic_ns()
            if engine_wants_python(engine) or (engine.pace.gives_way and load_relaxed(&engine.lock.waiters)):
                break
    engine_release_rings(engine)
    return True


# Returns False when a sink that wants the record cannot take it now. The record then stays in the ring.
cdef inline bint consume_record(Engine* engine, const char* record) noexcept nogil:
    cdef Line line
    cdef Shown shown
    cdef const Route* route
    cdef uint32_t i, filters
    engine_line(engine, record, &line)
    if engine.batch_sinks and line.view.header.flags & HAS_THREAD and is_outlet(line.view.thread):
        # Its call could not know it, because only the thread tells.
        (<RecordHeader*> line.view.header).flags |= IS_INSIDE | IS_ECHO
    if line.view.header.level_number >= engine.dump.watch and not dump_before(engine, &line):
        return False
    route = route_of(engine, &line)
    if not route_has_room(engine, route):
        return False
    shown_line(engine, route, &line, &shown)
    filters = begin_decision(engine, route)
    for i in range(route.count):
        deliver_shown(engine, route.sink[i], &line, &shown, engine.books.drained, filters)
    engine.books.drained += 1
    return True


cdef inline bint engine_wants_python(const Engine* engine) noexcept nogil:
    cdef const Sink* sink = engine.sinks
    if load_relaxed32(&engine.requests.python):
        return True
    while sink != NULL:
        if sink.python.work:
            return True
        sink = sink.next
    return False


cdef inline bint rings_are_empty(Engine* engine) noexcept nogil:
    cdef Ring* ring = engine.rings
    while ring != NULL:
        if ring_peek(ring) != NULL:
            return False
        ring = ring.next
    return engine.set_aside.records.size == 0


cdef inline bint is_retired(const Ring* ring) noexcept nogil:
    return load_acquire32(&ring.retired) or (ring.lease != NULL and lease_is_over(ring.lease))


cdef inline bint spool_is_released(const Engine* engine, const Ring* ring) noexcept nogil:
    cdef const Spool* spool = <const Spool*> ring.spool
    if spool == NULL:
        return True
    if not spool.begun or spool.syncing or load_acquire32(&spool.writers):
        return False
    # Late records are in the file until all sinks have written them. (A dump that was only asked for does not hold the ring: it
    # begins when the rings behind this one are read.)
    if engine.dump.is_on or engine.dump.is_resumed or spool_late_position(engine) < engine.dump.delivered:
        return False
    return ring.positions.tail == ring.tail


# Records that were set aside must be numbered before the records of a spool that comes behind this ring.
cdef inline bint numbers_wait(const Engine* engine, const Ring* ring) noexcept nogil:
    return engine.set_aside.records.size != 0 and ring.spool == NULL and engine.spooled


# Frees the empty rings that no producer uses any more. Their counts are kept in the books.
cdef inline void free_retired_rings(Engine* engine) noexcept nogil:
    cdef Ring** link = &engine.rings
    cdef Ring* ring
    cdef bint was_spool
    while link[0] != NULL:
        ring = link[0]
        if is_retired(ring) and ring_peek(ring) == NULL and spool_is_released(engine, ring) and not numbers_wait(engine, ring):
            if ring.spool != NULL:
                engine_end_spool(engine)
            engine.books.past_committed += ring.committed
            engine.books.past_kept += ring.kept
            if ring.high_water > engine.books.past_high_water:
                engine.books.past_high_water = ring.high_water
            link[0] = ring.next
            if ring.lease != NULL:
                lease_end_engine(ring.lease)
            was_spool = ring.spool != NULL
            ring_free(ring)
            engine.spooled = any_spool(engine.rings)
            if was_spool and link == &engine.rings and spool_is_next(engine):
                # At once: what is kept is in no file meanwhile.
                engine_begin_spool(engine, <Spool*> engine.rings.spool)
        else:
            link = &ring.next


cdef inline void append_drop_notices(Engine* engine) noexcept nogil:
    cdef int reason
    for reason in range(DROP_REASONS):
        if reason != DROP_KEPT:  # told by the next dump
            append_drop_notice(engine, reason)


cdef inline void append_drop_notice(Engine* engine, int reason) noexcept nogil:
    cdef char text[128]
    cdef uint64_t dropped = load_relaxed(&engine.intake.traffic.dropped[reason])
    cdef uint64_t told = engine.books.told_dropped[reason]
    cdef Sink* sink = engine.sinks
    cdef uint32_t size
    if dropped == told:
        return
    size = notice_dropped(text, sizeof(text), dropped - told, reason)
    engine.books.told_dropped[reason] = dropped
    while sink != NULL:
        tell_repeats_before(engine, sink)
        if sink.selection.enabled and (
            sink_backlog(sink) >= sink.backlog_limit or not append_notice(engine, sink, text, size, dropped - told)
        ):
            # The sink has no room even for this line, and is the reason for the drops. The notice comes when it works again.
            sink.trouble.lost_untold += dropped - told
        sink = sink.next


# With the interval 0 every record wakes the flusher (POST_WAKE), so it may sleep between records.
cdef inline int64_t pace_ns(int64_t interval_ns) noexcept nogil:
    return interval_ns if interval_ns else RETRY_BLOCKED_NS


# True when a sink that was removed has written all that was for it, or when its time is over.
cdef inline bint sink_may_leave(const Engine* engine, const Sink* sink, uint64_t thread) noexcept nogil:
    if sink.leaving.at_ns == 0:
        return False  # `SinkHandle.leave` has not ended its window yet
    if engine.pace.now_ns >= sink.leaving.at_ns:
        return True
    if sink.leaving.attendant != 0 and sink.leaving.attendant != thread:
        return False
    return (
        engine.books.drained - sink.window.from_sequence >= sink.window.count and sink_backlog(sink) == 0 and not sink.python.busy
        and engine.books.drained >= sink.window.from_sequence
    )


# The thread that removes a sink may have been interrupted. So Python is called when the sink may go, whoever began it.
cdef inline void watch_leaving(Engine* engine, const Sink* sink) noexcept nogil:
    if sink_may_leave(engine, sink, 0):
        store_relaxed32(&engine.requests.python, 1)
    elif sink.leaving.at_ns - engine.pace.now_ns < engine.pace.sleep_ns:
        engine.pace.sleep_ns = sink.leaving.at_ns - engine.pace.now_ns


# Writes what is due, and finds out how long the flusher may sleep.
cdef inline void engine_write_due(Engine* engine, bint everything) noexcept nogil:
    cdef Sink* sink = engine.sinks
    cdef int64_t pause_ns
    engine.pace.sleep_ns = pace_ns(engine.interval_ns)
    while sink != NULL:
        if sink.dedup_ns:
            watch_repeats(engine, sink)
        if sink.staging.records.size and not sink.python.work & WORK_RECORDS and not sink.python.busy:
            if engine.pace.now_ns >= sink.trouble.retry_at_ns:
                sink.python.work |= WORK_RECORDS  # `back_off` had put them off
        if sink.target == TARGET_BATCH:
            watch_batch(engine, sink, everything)
        elif sink.pending.text.size > sink.pending.start or sink.trouble.retry_at_ns or sink.rotation.begins_at != NO_ROTATION:
            if everything or sink.synchronous or engine.pace.now_ns >= sink.pending.due_ns or sink.trouble.retry_at_ns:
                engine_write(engine, sink)
            if is_stalled(engine, sink) and sink_backlog(sink) >= sink.backlog_limit and not sink.python.busy:
                engine_discard(engine, sink)
        if sink.target != TARGET_BATCH and (
            sink.pending.text.size > sink.pending.start or (sink.staging.records.size and sink.trouble.retry_at_ns)
        ):
            pause_ns = (sink.trouble.retry_at_ns if sink.trouble.retry_at_ns else sink.pending.due_ns) - engine.pace.now_ns
            if pause_ns < 0:
                pause_ns = 0
            if pause_ns < engine.pace.sleep_ns:
                engine.pace.sleep_ns = pause_ns
        if pace_ns(sink.interval_ns) < engine.pace.sleep_ns:
            engine.pace.sleep_ns = pace_ns(sink.interval_ns)
        if sink.leaving.at_ns:
            watch_leaving(engine, sink)
        watch_losses(engine, sink)
        sink = sink.next
    if engine.pace.sleep_ns < 50000:
        engine.pace.sleep_ns = 50000


# While a dead process's records are delivered, no new lines may be written before them. Bounded by time, in case the recovering
# thread dies.
cdef inline bint is_recovering(const Engine* engine) noexcept nogil:
    return engine.pace.now_ns < <int64_t> load_relaxed(<uint64_t*> &engine.requests.hold_until_ns)


cdef inline uint64_t progress_of_engine(const Engine* engine) noexcept nogil:
    return engine.books.drained + engine.books.kept_drained + engine.dump.delivered


# Goes on with a dump, or begins the one that was asked for, when the rings are drained past that moment. Returns False when
# something is left.
cdef inline bint end_dump(Engine* engine) noexcept nogil:
    cdef uint64_t ticks = engine.pace.settled_ticks
    if rings_are_empty(engine) and not dump_left(engine):
        return False
    if ticks == <uint64_t> -1:  # everything was taken from the rings
        ticks = engine.dump.asked_ticks + rings_are_empty(engine)
    return dump_due(engine, ticks)


cdef inline int engine_pass(Engine* engine) noexcept nogil:
    cdef uint64_t request = load_acquire(&engine.requests.flush)
    cdef bint flushing = request != load_relaxed(&engine.requests.flush_done)
    cdef bint drained
    cdef uint64_t before = progress_of_engine(engine)
    cdef int status = 0
    engine.pace.now_ns = clock_monotonic_ns()
    if FREE_THREADED and flushing and engine.flush.request == 0:
        begin_flush(engine, request)
    calibration_refresh(&engine.workspace.calibration)
    append_drop_notices(engine)
    note_high_water(engine)
    drained = not is_recovering(engine) and engine_drain(engine, 4 * engine.intake.ring_capacity)
    if drained and engine.dump.watch == INT32_MIN:
        drained = end_dump(engine)
    # Without a flusher everything is written now, because nobody would come back for what is not due yet.
    engine_write_due(engine, flushing or load_relaxed32(&engine.intake.post) & POST_DRAIN != 0)
    if engine.spool != NULL:
        spool_save_clock(engine.spool, &engine.workspace.calibration)
        engine_release_rings(engine)
    look_for_retired_rings(engine)
    if engine.spooled:
        watch_spool(engine)
    if engine.level_file.path != NULL:
        watch_level_file(engine)
    if flushing and not complete_flushes(engine):
        status |= PASS_HELD
    if engine_wants_python(engine):
        return status | PASS_PYTHON
    if not drained and progress_of_engine(engine) != before and engine.dump.is_on:
        return status | PASS_HELD | PASS_MORE
    if not drained:
        engine.pace.sleep_ns = RETRY_BLOCKED_NS if engine.pace.sleep_ns > RETRY_BLOCKED_NS else engine.pace.sleep_ns
        return status | PASS_HELD
    if FREE_THREADED and (engine.dump.asked or (engine.flush.request and engine.flush.mark == NO_MARK)):
        status |= PASS_SOON
    if not rings_are_empty(engine):
        return status | (PASS_MORE if progress_of_engine(engine) != before else PASS_SOON)
    buffer_trim(&engine.workspace.scratch, KEPT_BYTES)
    buffer_trim(&engine.workspace.message, KEPT_BYTES)
    if engine.redaction != NULL:
        redaction_trim(engine.redaction, KEPT_BYTES)
    return status


cdef inline void look_for_retired_rings(Engine* engine) noexcept nogil:
    if engine.rings != NULL and (engine.rings.next != NULL or is_retired(engine.rings)):
        free_retired_rings(engine)


# How long a ring takes to fill to a quarter, at the pace at which it has filled during `slept_ns`. A flusher that sleeps no
# longer than that does not have to be woken by a producer, whose call would pay for the system call.
cdef inline int64_t quarter_ns(const Engine* engine, int64_t slept_ns) noexcept nogil:
    cdef int64_t quarter = <int64_t> engine.intake.ring_capacity >> 2
    cdef int64_t limit
    if <int64_t> engine.pace.waiting_bytes < quarter >> 1:
        return INT64_MAX
    limit = <int64_t> (<double> slept_ns * <double> quarter / <double> engine.pace.waiting_bytes)
    return limit if limit > LEAST_SLEEP_NS else LEAST_SLEEP_NS


# The loop of the flusher's thread, without the GIL. It returns when Python is wanted or when the engine is to stop.
cdef inline int engine_run(Engine* engine) noexcept nogil:
    cdef uint32_t ticket
    cdef int64_t sleep_ns, now_ns
    cdef int64_t slept_from = 0
    cdef int64_t paced_ns = INT64_MAX
    cdef int status
    while True:
        ticket = event_prepare(&engine.intake.traffic.wake)
        # An exchange and not a store: the thread that clears `wake_wanted` must see the records for which it was set.
        exchange32(&engine.intake.traffic.wake_wanted, 0)
        fence_full()
        engine_lock(engine)
        engine.pace.gives_way = True
        status = engine_pass(engine)
        engine.pace.gives_way = False
        now_ns = engine.pace.now_ns
        if slept_from:
            paced_ns = quarter_ns(engine, now_ns - slept_from)
            slept_from = 0
        sleep_ns = engine.pace.sleep_ns if engine.pace.sleep_ns < paced_ns else paced_ns
        engine_unlock(engine)
        if engine.sync.interval_ns:
            if engine_sync(engine, True):
                status |= PASS_MORE
            if engine.sync.wait_ns < sleep_ns:
                sleep_ns = engine.sync.wait_ns
        if status & PASS_PYTHON:
            engine_give_way(engine)
            return RUN_PYTHON
        if load_acquire32(&engine.requests.stop):
            return RUN_STOPPED
        if status & PASS_MORE:
            engine_give_way(engine)
            continue
        if status & PASS_SOON:
            event_wait(&engine.intake.traffic.wake, ticket, SOON_NS)
            continue
        store_relaxed32(&engine.intake.traffic.asleep, 1)
        fence_full()
        slept_from = now_ns
        if not load_relaxed32(&engine.intake.traffic.wake_wanted):
            event_wait(&engine.intake.traffic.wake, ticket, sleep_ns)
        store_relaxed32(&engine.intake.traffic.asleep, 0)
