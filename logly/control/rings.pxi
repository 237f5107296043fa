# What `Core` does with rings, and which ring a thread writes to: how it enters, leaves and changes rings.

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport free

from logly.flusher.deliver cimport engine_discard
from logly.flusher.dump cimport dump_watch
from logly.flusher.loop cimport engine_pass
from logly.flusher.sink cimport Sink, sink_backlog
from logly.flusher.spool_ring cimport any_spool
from logly.flusher.spool_sync cimport close_sync_files, engine_sync
from logly.flusher.state cimport (
    PASS_SOON, SOON_NS, Engine, engine_committed, engine_kept, engine_lock, engine_unlock, engine_written,
    engine_written_late, recorder_in_memory,
)
from logly.ring.gate cimport all_dropped
from logly.ring.leases cimport FREE_THREADED, lease_end_engine, lease_is_over, lease_new, own_ring, prune_rings
from logly.ring.record cimport RecordHeader, RecordHeap
from logly.ring.recorder cimport recorder_free_blocks
from logly.ring.ring cimport RECORD_HEAP, Ring, ring_free, ring_new, ring_used
from logly.spool.format cimport Spool
from logly.system.atomic cimport (
    load_acquire, load_relaxed, store_pointer, store_relaxed, store_relaxed32, store_release, store_release32,
)
from logly.system.clock cimport clock_monotonic_ns, clock_ticks
from logly.system.cpython cimport PyThread_get_thread_ident, Py_DecRef
from logly.system.event cimport event_prepare, event_wait, wait_ns
from logly.system.lock cimport lock_release
from logly.text.buffer cimport buffer_append

# Of other included files:
#   control/core.pxi: Core
#   ring/enter.pxi: enter_ring, take_ring_lock
#   spool/spool_file.pxi: SpoolFile


cdef void free_ring_records(Ring* ring) noexcept:
    """Frees the heap blocks of records that nobody will read."""
    cdef RecordHeap* heap
    cdef uint64_t head = load_acquire(&ring.positions.head)
    while ring.tail != head:
        heap = <RecordHeap*> (ring.data + (ring.tail & ring.mask))
        if heap.kind == RECORD_HEAP:
            free(heap.block)
        ring.tail += heap.size


cdef void free_rings(Core core) noexcept:
    cdef Ring* ring
    if core.stand_in != NULL:
        ring_free(core.stand_in)
    while core.engine.rings != NULL:
        ring = core.engine.rings
        core.engine.rings = ring.next
        free_ring_records(ring)
        if ring.lease != NULL:
            lease_end_engine(ring.lease)
        ring_free(ring)


# Gives up the reference that `Core.keep` took. It is found by a list of its own, because the collector may have cleared
# `Core.spools`.
cdef void release_spool_file(Core core, SpoolFile file) noexcept:
    cdef void** link = &core.kept
    while link[0] != NULL and link[0] != <void*> file:
        link = &(<SpoolFile> link[0]).next_kept
    if link[0] != NULL:
        link[0] = file.next_kept
        file.is_kept = False
        Py_DecRef(<PyObject*> file)


cdef void link_ring(Engine* engine, Ring* ring) noexcept nogil:
    cdef Ring** link = &engine.rings
    while link[0] != NULL:
        link = &link[0].next
    link[0] = ring


cdef Ring* full_stand_in(Core core) except NULL:
    """A full ring. The next record does not fit into it, comes to `wait_for_room`, and makes the real ring there."""
    if core.stand_in == NULL:
        core.stand_in = ring_new(4096, 0)
        if core.stand_in == NULL:
            raise MemoryError
        core.stand_in.head = core.stand_in.capacity
        store_release(&core.stand_in.positions.head, core.stand_in.head)
    return core.stand_in


# Makes rings and sinks forget every spool. Called under the engine's lock, or inside fork().
cdef void detach_spools(Core core, bint in_child) noexcept:
    cdef Engine* engine = core.engine
    cdef Ring** link = &engine.rings
    cdef Ring* ring
    cdef Sink* sink = engine.sinks
    while sink != NULL:
        if not in_child and sink_backlog(sink):
            sink.tally.told += engine_discard(engine, sink)  # they stay in the spool
        sink.progress.spool = NULL
        sink.progress.slot = NULL
        sink.progress.until = 0
        sink = sink.next
    engine.spool = NULL
    engine.dump.is_resumed = False  # also of a spool that no pass has begun with
    if engine.recorder.fd >= 0:
        if not in_child:
            recorder_free_blocks(&engine.recorder)
        recorder_in_memory(engine)
        engine.dump.is_on = False
    dump_watch(engine)
    while link[0] != NULL:
        ring = link[0]
        if ring.spool == NULL:
            link = &ring.next
            continue
        # Its bytes belong to the parent (or to the next recovery), so they are not even read.
        link[0] = ring.next
        if in_child:
            # Another thread of the parent may have been syncing. These are copies of its descriptors.
            close_sync_files(<Spool*> ring.spool)
        if ring == engine.intake.ring:
            engine.intake.ring = core.stand_in
        ring_free(ring)
    engine.spooled = any_spool(engine.rings)


cdef list leave_all_spools(Core core, bint in_child):
    cdef list left = core.spools
    if in_child and core.interim != NULL:
        if core.engine.intake.ring == core.interim:
            swap_ring(core, full_stand_in(core))
        core.interim = NULL
    if not left:
        return []
    full_stand_in(core)
    if in_child:
        detach_spools(core, True)
    else:
        core.lock()
        detach_spools(core, False)
        core.unlock()
    core.spools = []
    for file in left:
        release_spool_file(core, <SpoolFile> file)
    return left


cdef int pass_once(Engine* engine) noexcept nogil:
    cdef int status
    engine_lock(engine)
    status = engine_pass(engine)
    engine_unlock(engine)
    if engine.sync.interval_ns and engine_sync(engine, False):
        engine_lock(engine)
        status = engine_pass(engine)
        engine_unlock(engine)
    if status & PASS_SOON:
        event_wait(&engine.lock_passed, event_prepare(&engine.lock_passed), SOON_NS)
    return status


cdef object progress_of(Core core):
    cdef Sink* sink
    cdef uint64_t total
    core.lock()
    total = core.engine.books.drained
    sink = core.engine.sinks
    while sink != NULL:
        total += sink.tally.records + sink.tally.bytes_written + sink.tally.failed + sink.tally.filtered
        sink = sink.next
    core.unlock()
    return total


cdef object books_of(Core core):
    from logly.stats import Stats
    cdef Sink* sink
    cdef Ring* ring
    cdef uint64_t written, written_late, committed, kept, overwritten, dropped, failed, refused, high, capacity
    cdef uint64_t total_bytes = core.gone.bytes_written
    cdef uint64_t writes = core.gone.writes, rotations = core.gone.rotations, errors = core.gone.write_errors
    core.lock()
    written_late = engine_written_late(core.engine)
    written = engine_written(core.engine) + written_late
    failed = core.engine.books.failed.total + core.engine.books.late_failed.total
    kept = core.engine.recorder.kept
    overwritten = core.engine.recorder.overwritten
    # Some of them may be behind records that are pending.
    refused = min(core.engine.books.refused, written)
    dropped = all_dropped(&core.engine.intake)
    committed = engine_committed(core.engine) + engine_kept(core.engine)
    high = core.engine.books.past_high_water
    capacity = core.engine.intake.ring_capacity
    ring = core.engine.rings
    while ring != NULL:
        high = max(high, load_relaxed(&ring.high_water), ring_used(ring))
        ring = ring.next
    sink = core.engine.sinks
    while sink != NULL:
        total_bytes += sink.tally.bytes_written
        writes += sink.tally.writes
        rotations += sink.tally.rotations
        errors += sink.tally.write_errors
        sink = sink.next
    core.unlock()
    return Stats(
        emitted=committed + dropped,
        written=written,
        dropped=dropped,
        failed=failed,
        pending=committed - written - failed - kept - overwritten,
        kept=kept,
        overwritten=overwritten,
        written_late=written_late,
        refused=refused,
        failed_formats=core.failed_formats,
        bytes_written=total_bytes,
        writes=writes,
        rotations=rotations,
        write_errors=errors,
        blocked_ns=core.blocked_ns,
        ring_high_water=high,
        ring_size=capacity,
        suppressed=load_relaxed(&core.held_back.total),
    )


# Returns a ring of the present size whose thread has ended, or NULL. The records that it still holds stay in order, because those
# of its next producer are later.
cdef Ring* left_ring(Engine* engine) noexcept nogil:
    cdef Ring* ring = engine.rings
    while ring != NULL:
        if ring.lease != NULL and ring.capacity == engine.intake.ring_capacity and lease_is_over(ring.lease):
            return ring
        ring = ring.next
    return NULL


cdef bint lease_ring(Engine* engine, Ring* ring, uint64_t generation) noexcept nogil:
    cdef void* lease = lease_new(engine.intake.id, generation, ring)
    if lease == NULL:
        return False
    if ring.lease != NULL:
        lease_end_engine(ring.lease)
    ring.lease = lease
    ring.last_ticks = clock_ticks()
    return True


# Takes the engine's lock and gives this thread a ring: one that an ended thread has left, or else `made`. `capacity` becomes the
# size that is wanted now, or 0 when threads are to make no rings.
cdef Ring* claim_ring(Engine* engine, Ring* made, uint64_t* capacity) noexcept nogil:
    cdef Ring* ring = NULL
    engine_lock(engine)
    capacity[0] = 0 if engine.intake.shares else engine.intake.ring_capacity
    if capacity[0]:
        ring = left_ring(engine)
    if ring == NULL and made != NULL and made.capacity == capacity[0]:
        ring = made
    if ring != NULL and not lease_ring(engine, ring, engine.intake.generation):
        ring = NULL
    if ring != NULL and ring == made:
        link_ring(engine, made)
    engine_unlock(engine)
    return ring


cdef Ring* new_thread_ring(Core core, bint* shares) noexcept:
    """Free-threaded builds: a ring for the calling thread. NULL: there is no memory, or the threads share a ring (`shares`)."""
    cdef Engine* engine = core.engine
    cdef Ring* ring
    cdef Ring* made = NULL
    cdef uint64_t capacity, made_for
    with nogil:
        prune_rings(engine.intake.id)
        ring = claim_ring(engine, NULL, &capacity)
        # Tried again when the size was changed meanwhile.
        while ring == NULL and capacity:
            made_for = capacity
            made = ring_new(capacity, 0)
            if made == NULL:
                break
            ring = claim_ring(engine, made, &capacity)
            if ring != made:
                ring_free(made)
            if capacity == made_for:
                break
    shares[0] = capacity == 0
    return ring


# Enters the calling thread's ring, and makes it first where the thread has none. Returns NULL when there is no memory for it.
cdef Ring* enter_ring_of_thread(Core core) noexcept:
    cdef Engine* engine = core.engine
    cdef Ring* ring = enter_ring(core.intake)
    cdef int64_t deadline = 0
    cdef bint shares = False
    while FREE_THREADED and ring == NULL:
        ring = <Ring*> own_ring(load_relaxed(&core.intake.generation))
        if ring == NULL:
            ring = new_thread_ring(core, &shares)
        if ring != NULL or not shares:
            break
        # A spool is being made, whose ring all threads will share. This thread waits for it, but not when it is itself the thread
        # that makes the spool (a signal handler may log there), and not for ever.
        if load_relaxed(&core.sharer) == <uint64_t> PyThread_get_thread_ident():
            break
        if deadline == 0:
            deadline = clock_monotonic_ns() + <int64_t> load_relaxed(<uint64_t*> &core.intake.stall_ns)
        if clock_monotonic_ns() > deadline:
            break
        with nogil:
            wait_ns(SOON_NS)
        ring = enter_ring(core.intake)
    return ring


# Producers write to this ring from now on. NULL (on free-threaded builds): each thread writes to a ring of its own.
cdef void swap_ring(Core core, Ring* ring) noexcept:
    cdef Engine* engine = core.engine
    cdef Ring* old
    # With a GIL, no producer can be between the load and the store.
    if FREE_THREADED:
        take_ring_lock(core.intake)
    old = engine.intake.ring
    store_pointer(&engine.intake.ring, ring)
    if FREE_THREADED:
        lock_release(&engine.intake.ring_lock)
    if old != NULL and old != core.stand_in:
        # The flusher frees it when it is empty.
        store_release32(&old.retired, 1)


# Free-threaded builds: from now on no thread makes a ring of its own. Returns False when other threads have rings already.
cdef bint begin_sharing(Core core) noexcept:
    cdef Ring* ring
    cdef bint shares = True
    prune_rings(core.engine.intake.id)  # gives up this thread's own ring
    core.lock()
    ring = core.engine.rings
    while ring != NULL:
        shares = shares and (ring.lease == NULL or lease_is_over(ring.lease))
        ring = ring.next
    if shares:
        store_relaxed(&core.sharer, <uint64_t> PyThread_get_thread_ident())
        store_relaxed32(&core.engine.intake.shares, 1)
    core.unlock()
    return shares


# Sets aside a record of the thread that does the flusher's work, because that thread cannot wait for room. This is not done with
# a spool: its records are numbered by their place in its ring, and a record beside the ring would have none.
cdef bint set_record_aside(Core core, char* block, uint64_t size) except -1:
    cdef Engine* engine = core.engine
    cdef bint taken = False
    core.lock()
    if not engine.spooled and engine.set_aside.records.size + size <= engine.intake.heap_limit:
        (<RecordHeader*> block).ticks = clock_ticks()
        buffer_append(&engine.set_aside.records, block, size)
        taken = not engine.set_aside.records.failed
        engine.set_aside.records.failed = False
        engine.books.past_committed += taken
    core.unlock()
    return taken
