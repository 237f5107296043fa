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


# What `Core.keep` holds: through a list of its own, because the collector may have taken `Core.spools` away.
cdef void let_go_of_file(Core core, SpoolFile file) noexcept:
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


# Rings and sinks do not know any spool any more. Under the engine's lock, or inside fork().
cdef void let_go_of_spools(Core core, bint in_child) noexcept:
    cdef Engine* engine = core.engine
    cdef Ring** link = &engine.rings
    cdef Ring* ring
    cdef Sink* sink = engine.sinks
    while sink != NULL:
        if not in_child and sink_backlog(sink):
            engine_discard(engine, sink)
        sink.spool = NULL
        sink.slot = NULL
        sink.staged_until = 0
        sink = sink.next
    engine.spool = NULL
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
            engine.ring = core.stand_in
        ring_free(ring)
    engine.spooled = any_spool(engine.rings)


cdef list leave_all_spools(Core core, bint in_child):
    cdef list left = core.spools
    if in_child and core.interim != NULL:
        if core.engine.ring == core.interim:
            swap_ring(core, full_stand_in(core))
        core.interim = NULL
    if not left:
        return []
    full_stand_in(core)
    if in_child:
        let_go_of_spools(core, True)
    else:
        core.lock()
        let_go_of_spools(core, False)
        core.unlock()
    core.spools = []
    for file in left:
        let_go_of_file(core, <SpoolFile> file)
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


cdef object progress_of(Core core):
    cdef Sink* sink
    cdef uint64_t total
    core.lock()
    total = core.engine.drained
    sink = core.engine.sinks
    while sink != NULL:
        total += sink.records + sink.bytes_written + sink.failed
        sink = sink.next
    core.unlock()
    return total


cdef tuple books_of(Core core):
    cdef Sink* sink
    cdef Ring* ring
    cdef uint64_t written, committed, dropped, failed, high, capacity
    cdef uint64_t total_bytes = core.gone_bytes
    cdef uint64_t writes = core.gone_writes, rotations = core.gone_rotations, errors = core.gone_errors
    core.lock()
    written = engine_written(core.engine)
    failed = core.engine.failed_total
    dropped = load_relaxed(&core.engine.dropped)
    committed = engine_committed(core.engine)
    high = core.engine.past_high_water
    capacity = core.engine.ring_capacity
    ring = core.engine.rings
    while ring != NULL:
        high = max(high, load_relaxed(&ring.high_water), ring_used(ring))
        ring = ring.next
    sink = core.engine.sinks
    while sink != NULL:
        total_bytes += sink.bytes_written
        writes += sink.writes
        rotations += sink.rotations
        errors += sink.write_errors
        sink = sink.next
    core.unlock()
    return (
        committed + dropped, written, dropped, failed, total_bytes, writes, rotations, errors, high,
        capacity,
    )
