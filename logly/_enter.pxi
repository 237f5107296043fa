# Which ring a thread writes to: how it enters and leaves it, gets one of its own, and how all change to another.

# The ring that the calling thread writes to; it is this thread's alone until `leave_ring`. With a GIL there is one, and whoever
# holds the GIL has it. Without one every thread has a ring of its own (NULL: not yet, which is seen to off the hot path); but
# a spool holds one ring for all threads, who take turns.
cdef inline Ring* enter_ring(Engine* engine) noexcept:
    cdef Ring* ring
    if not FREE_THREADED:
        return engine.ring
    ring = <Ring*> latest_ring(load_relaxed(&engine.generation))
    if ring == NULL and load_pointer(&engine.ring) != NULL:
        return enter_shared_ring(engine)
    return ring


cdef inline Ring* enter_shared_ring(Engine* engine) noexcept:
    cdef Ring* ring
    take_ring_lock(engine)
    ring = engine.ring
    if ring == NULL:
        lock_release(&engine.ring_lock)
    return ring


# Never taken while detached: a thread that does not come back, because the interpreter ends, would keep it.
cdef void take_ring_lock(Engine* engine) noexcept:
    if lock_spin(&engine.ring_lock):
        return
    fetch_add(&engine.ring_lock.waiters, 1)
    while not lock_try(&engine.ring_lock):
        with nogil:
            lock_await(&engine.ring_lock)
    fetch_sub(&engine.ring_lock.waiters, 1)


cdef inline void leave_ring(Engine* engine, const Ring* ring) noexcept nogil:
    if FREE_THREADED and ring != NULL and load_pointer(&engine.ring) == ring:
        lock_release(&engine.ring_lock)


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


cdef Ring* new_thread_ring(Core core, bint* shares) noexcept:
    """Free-threaded builds: a ring for the calling thread. NULL: no memory, or (`shares`) the threads share one."""
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
    shares[0] = capacity == 0
    return ring


# Enters the calling thread's ring, which is made when it has none yet; NULL without memory for one.
cdef Ring* enter_ring_of_thread(Core core) noexcept:
    cdef Engine* engine = core.engine
    cdef Ring* ring = enter_ring(engine)
    cdef int64_t deadline = 0
    cdef bint shares = False
    while FREE_THREADED and ring == NULL:
        ring = <Ring*> own_ring(load_relaxed(&engine.generation))
        if ring == NULL:
            ring = new_thread_ring(core, &shares)
        if ring != NULL or not shares:
            break
        # A spool is being made, whose ring is for all threads: unless by what this thread interrupts, or what waits for it.
        if load_relaxed(&core.sharer) == <uint64_t> PyThread_get_thread_ident():
            break
        if deadline == 0:
            deadline = clock_monotonic_ns() + <int64_t> load_relaxed(<uint64_t*> &engine.stall_ns)
        if clock_monotonic_ns() > deadline:
            break
        with nogil:
            wait_ns(SOON_NS)
        ring = enter_ring(engine)
    return ring


# Producers write to another ring from now on (NULL, free-threaded builds: each thread to one of its own).
cdef void swap_ring(Core core, Ring* ring) noexcept:
    cdef Engine* engine = core.engine
    cdef Ring* old
    # With a GIL, no producer is between the two.
    if FREE_THREADED:
        take_ring_lock(engine)
    old = engine.ring
    store_pointer(&engine.ring, ring)
    if FREE_THREADED:
        lock_release(&engine.ring_lock)
    if old != NULL and old != core.stand_in:
        # The flusher frees it when it is empty.
        store_release32(&old.retired, 1)


# Free-threaded builds: no thread makes a ring of its own any more. False: other threads have theirs already.
cdef bint begin_sharing(Core core) noexcept:
    cdef Ring* ring
    cdef bint shares = True
    prune_rings(core.engine.id)  # this thread's own
    core.lock()
    ring = core.engine.rings
    while ring != NULL:
        shares = shares and (ring.lease == NULL or lease_is_over(ring.lease))
        ring = ring.next
    if shares:
        store_relaxed(&core.sharer, <uint64_t> PyThread_get_thread_ident())
        store_relaxed32(&core.engine.shares, 1)
    core.unlock()
    return shares
