# A record that does not go straight into the ring: it is encoded into a block of its own, and waits for room, goes in as a
# pointer, goes beside the ring, or is dropped and counted.

cdef bint place_record(Producer self, Call* call, bint may_repeat) except -1:
    """Encodes into a block of its own, then into the ring: in place, or as a pointer when it is large."""
    cdef Core core = self.core
    cdef size_t size = 1024
    cdef char* block
    cdef Cursor out
    cdef int status = NO_ROOM
    while True:
        block = <char*> malloc(size)
        if block == NULL:
            return give_up(core, MemoryError())
        out.at = block
        out.end = block + size
        status = encode(&out, call, load_relaxed32(&core.engine.needs))
        if status != NO_ROOM:
            break
        free(block)
        size *= 2
        if size > MAX_RECORD_BYTES:
            return give_up(core, MemoryError("logly: a record of more than 2 GiB"))
    if status == NOT_NATIVE:
        free(block)
        return give_up(core, SystemError("logly: a record was prepared with a value that is not native"))
    if may_repeat:
        (<RecordHeader*> block).flags |= MAY_REPEAT
    if load_relaxed(&core.inside) and load_relaxed(&core.inside) == <uint64_t> PyThread_get_thread_ident():
        (<RecordHeader*> block).flags |= core.inside_marks
    return hand_over(self, block, finish_record(block, &out), call.level_number)


cdef bint count_dropped(Core core) except -1:
    fetch_add(&core.engine.dropped, 1)
    return True


# The record cannot be made: counted and told, for a log call does not raise.
cdef bint give_up(Core core, error) except -1:
    count_dropped(core)
    core.tell(error)
    return True


# The calling thread's ring; NULL without memory for one.
cdef Ring* ring_of_thread(Core core) noexcept:
    cdef Ring* ring
    if not FREE_THREADED:
        return core.engine.ring
    ring = <Ring*> own_ring(load_relaxed(&core.engine.generation))
    return ring if ring != NULL else new_thread_ring(core)


# Takes over `block`.
cdef bint hand_over(Producer self, char* block, uint64_t size, int32_t number) except -1:
    cdef Core core = self.core
    cdef Engine* engine = core.engine
    cdef Ring* ring
    cdef Ring* blob_ring = NULL
    cdef char* place
    cdef uint64_t blob = 0
    cdef bint large
    while True:
        ring = ring_of_thread(core)
        if ring == NULL:
            free(block)
            return count_dropped(core)
        large = size > ring_max_inline(ring)
        place = NULL
        if large and ring.spool != NULL and ring != blob_ring:
            # A copy that outlives the process, before there is a place in the ring: this gives up the GIL.
            blob_ring = ring
            blob = spool_large_record(core, ring, block, size)
            continue
        if large:
            ring_reload_tail(ring)
        if not large or heap_has_room(engine, ring, size):
            place = ring_reserve(ring, sizeof(RecordHeap) if large else size)
        if place != NULL:
            break
        try:
            if not wait_for_room(self, ring):
                if not (core.is_inside() and put_aside(core, block, size)):
                    count_dropped(core)
                free(block)
                engine_wake(engine)
                return True
        except BaseException:
            free(block)
            count_dropped(core)
            raise
    if FREE_THREADED:
        ring_begin(ring)
    # The order in the ring is the order in time, also for one that had to wait.
    (<RecordHeader*> block).ticks = clock_ticks()
    if FREE_THREADED:
        ring.last_ticks = (<RecordHeader*> block).ticks
    if large:
        commit_heap(ring, <RecordHeap*> place, block, size, blob if ring == blob_ring else 0)
    else:
        memcpy(place, block, size)
        ring_commit(ring, size)
        free(block)
    if FREE_THREADED:
        ring_end(ring)
    if large:
        engine_wake(engine)
    else:
        after_commit(engine, ring, number)
    if load_relaxed32(&engine.post):
        after_emit(self)
    return True


# The thread that does the flusher's work cannot wait for the flusher: its record goes beside the ring. Not with a spool, whose
# ring numbers its records: they would not be found again there.
cdef bint put_aside(Core core, char* block, uint64_t size) except -1:
    cdef Engine* engine = core.engine
    cdef bint taken = False
    core.lock()
    if not engine.spooled and engine.aside.size + size <= engine.heap_limit:
        (<RecordHeader*> block).ticks = clock_ticks()
        buffer_append(&engine.aside, block, size)
        taken = not engine.aside.failed
        engine.aside.failed = False
        engine.past_committed += taken
    core.unlock()
    return taken


cdef void commit_heap(Ring* ring, RecordHeap* heap, char* block, uint64_t size, uint64_t blob) noexcept:
    heap.size = sizeof(RecordHeap)
    heap.kind = RECORD_HEAP
    heap.block = block
    heap.block_size = size
    heap.blob = blob
    ring.heap_bytes_in += size
    ring_commit(ring, sizeof(RecordHeap))


cdef uint64_t spool_large_record(Core core, Ring* ring, char* block, uint64_t size) except? 0:
    """Where in the spool's file the copy is; 0 (and `on_error` is told): there was no room, a crash would lose it."""
    cdef Spool* spool = <Spool*> ring.spool
    cdef SpoolFile file = <SpoolFile> <object> spool.owner  # keeps it open meanwhile
    cdef uint64_t blob
    (<RecordHeader*> block).ticks = clock_ticks()
    with nogil:
        blob = spool_put_blob(spool, block, size)
    if blob == 0:
        core.tell(spool_error(file.path, f"no space for a record of {size} bytes: it is in memory only", 28))
    return blob


cdef bint heap_has_room(Engine* engine, Ring* ring, uint64_t size) noexcept:
    cdef uint64_t waiting = ring.heap_bytes_in - load_relaxed(&ring.heap_bytes_out)
    return waiting == 0 or waiting + size <= load_relaxed(&engine.heap_limit)


# False when the ring was replaced meanwhile: it may be gone.
cdef bint is_current(Engine* engine, Ring* ring) noexcept:
    if FREE_THREADED:
        return <Ring*> own_ring(load_relaxed(&engine.generation)) == ring
    return engine.ring == ring


cdef bint wait_for_room(Producer self, Ring* ring) except -1:
    """True: try again. False: the record is to be dropped. Releases the GIL; raises what a signal handler raises."""
    cdef Core core = self.core
    cdef Engine* engine = core.engine
    # What the reservation saw, not what is there now: if the ring was emptied in between, nobody will move it again.
    cdef uint64_t tail = ring.cached_tail
    cdef int64_t begun = clock_monotonic_ns()
    cdef int64_t limit = 2 * <int64_t> load_relaxed(<uint64_t*> &engine.stall_ns)
    cdef uint32_t ticket
    if core.ring_wanted:
        core.make_ring()
        return True
    if core.is_inside():
        return core.make_room(ring)
    if load_relaxed32(&engine.drops):
        return False
    if ring.stalled_tail == tail:
        return False
    ring.stalled_tail = NOT_STALLED
    if load_relaxed32(&engine.post) & POST_START:
        core.start_flusher()
    while is_current(engine, ring) and load_acquire(&ring.positions.tail) == tail:
        if clock_monotonic_ns() - begun > limit:
            # No progress at all for so long: the flusher is stuck in somebody's code. Later calls do not wait again
            # until it moves.
            ring.stalled_tail = tail
            fetch_add(&core.blocked, clock_monotonic_ns() - begun)
            return False
        if not load_acquire32(&core.has_flusher):
            core.drain_here()
        elif core.flusher_is_in_python():
            core.pass_here()
        fetch_add(&engine.waiters, 1)
        fence_full()
        ticket = event_prepare(&engine.space)
        if is_current(engine, ring) and load_acquire(&ring.positions.tail) == tail:
            engine_wake(engine)
            with nogil:
                event_wait(&engine.space, ticket, 50000000)
        fetch_sub(&engine.waiters, 1)
        PyErr_CheckSignals()
    fetch_add(&core.blocked, clock_monotonic_ns() - begun)
    return True
