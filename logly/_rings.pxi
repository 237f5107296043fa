# What `Core` does with rings, passes and events, and with what sinks want of Python: C structures only.

cdef void free_ring_records(Ring* ring) noexcept:
    """Heap blocks of records that nobody will read."""
    cdef RecordHeap* heap
    cdef uint64_t head = load_acquire(&ring.positions.head)
    while ring.tail != head:
        heap = <RecordHeap*> (ring.data + (ring.tail & ring.mask))
        if heap.kind == RECORD_HEAP:
            free(heap.block)
        ring.tail += heap.size


cdef void link_ring(Engine* engine, Ring* ring) noexcept nogil:
    cdef Ring** link = &engine.rings
    while link[0] != NULL:
        link = &link[0].next
    link[0] = ring


# A ring whose thread has ended, of the size that is wanted now. What it still holds stays in order: its next producer's
# records are later.
cdef Ring* left_ring(Engine* engine) noexcept nogil:
    cdef Ring* ring = engine.rings
    while ring != NULL:
        if ring.lease != NULL and ring.capacity == engine.ring_capacity and lease_is_over(ring.lease):
            return ring
        ring = ring.next
    return NULL


cdef bint lease_ring(Engine* engine, Ring* ring, uint64_t generation) noexcept nogil:
    cdef void* lease = lease_new(engine.id, generation, ring)
    if lease == NULL:
        return False
    if ring.lease != NULL:
        lease_leave(ring.lease)
    ring.lease = lease
    ring.last_ticks = clock_ticks()
    return True


cdef struct SinkWork:
    int sink_id
    uint32_t work
    int error


cdef void collect_work(Sink* sink, SinkWork* found) noexcept nogil:
    while sink != NULL and found != NULL:
        if sink.work:
            found.sink_id = sink.id
            found.work = sink.work
            found.error = sink.last_error if sink.work & WORK_ERROR else 0
            sink.work &= ~<uint32_t> WORK_ERROR
            found += 1
        sink = sink.next


cdef int64_t deadline_of(object timeout) except -1:
    """Monotonic nanoseconds at which `timeout` seconds will have passed; None: never."""
    if timeout is None:
        return INT64_MAX
    return clock_monotonic_ns() + <int64_t> (max(0.0, min(float(timeout), 1e9)) * 1e9)


cdef Ring* full_stand_in(Core core) except NULL:
    """A ring into which the first record does not fit: it comes to `wait_for_room`."""
    if core.stand_in == NULL:
        core.stand_in = ring_new(4096, 0)
        if core.stand_in == NULL:
            raise MemoryError
        core.stand_in.head = core.stand_in.capacity
        store_release(&core.stand_in.positions.head, core.stand_in.head)
    return core.stand_in


cdef list leave_all_spools(Core core, bint in_child):
    cdef Engine* engine = core.engine
    cdef Ring** link
    cdef Ring* ring
    cdef Sink* sink
    cdef list left = core.spools
    if not left:
        return []
    if not in_child:
        core.lock()
    sink = engine.sinks
    while sink != NULL:
        if not in_child and sink_backlog(sink):
            engine_discard(engine, sink)
        sink.spool = NULL
        sink.slot = NULL
        sink.staged_until = 0
        sink = sink.next
    engine.spool = NULL
    link = &engine.rings
    while link[0] != NULL:
        ring = link[0]
        if ring.spool == NULL:
            link = &ring.next
            continue
        # Its bytes are the parent's (or the next recoverer's): they are not even looked at.
        link[0] = ring.next
        if in_child:
            # The parent's other thread may be syncing: these are copies of its descriptors.
            close_sync_files(<Spool*> ring.spool)
        if ring == engine.ring:
            engine.ring = full_stand_in(core)
        ring_free(ring)
    if not in_child:
        core.unlock()
    core.spools = []
    for file in left:
        Py_DecRef(<PyObject*> file)
    return left


cdef int pass_once(Engine* engine) noexcept nogil:
    cdef int status
    engine_lock(engine)
    status = engine_pass(engine)
    engine_unlock(engine)
    if engine.sync_ns and engine_sync(engine, False):
        engine_lock(engine)
        status = engine_pass(engine)
        engine_unlock(engine)
    if status & PASS_SOON:
        event_wait(&engine.turn, event_prepare(&engine.turn), SOON_NS)
    return status


cdef void init_events(Engine* engine) noexcept:
    event_init(&engine.wake)
    event_init(&engine.space)
    event_init(&engine.done)
    lock_init(&engine.lock)
    lock_init(&engine.ring_lock)
    event_init(&engine.turn)


# Under the engine's lock: a ring for this thread, `made` unless an ended thread has left one; and the size that is wanted now, 0:
# threads are to make none.
cdef Ring* claim_ring(Engine* engine, Ring* made, uint64_t* capacity) noexcept nogil:
    cdef Ring* ring = NULL
    engine_lock(engine)
    capacity[0] = 0 if engine.shares else engine.ring_capacity
    if capacity[0]:
        ring = left_ring(engine)
    if ring == NULL and made != NULL and made.capacity == capacity[0]:
        ring = made
    if ring != NULL and not lease_ring(engine, ring, engine.generation):
        ring = NULL
    if ring != NULL and ring == made:
        link_ring(engine, made)
    engine_unlock(engine)
    return ring


cdef Ring* new_thread_ring(Core core) noexcept:
    """Free-threaded builds: a ring for the calling thread. NULL: no memory, or the threads share one (`engine.shares`)."""
    cdef Engine* engine = core.engine
    cdef Ring* ring
    cdef Ring* made = NULL
    cdef uint64_t capacity, made_for
    with nogil:
        prune_rings(engine.id)
        ring = claim_ring(engine, NULL, &capacity)
        # Again when the size was changed meanwhile.
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
    return ring
