# A record that does not go straight into the ring. It is encoded into a block of its own. Then it waits for room, goes into the
# ring as a pointer, is set aside, or is dropped and counted.

from cpython.object cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from logly.caller.encode cimport NOT_NATIVE, NO_ROOM, Call, encode, finish_record
from logly.ring.gate cimport (
    DROP_FAILED, DROP_FULL, DROP_KEPT, DROP_MEMORY, POST_START, Drop, Intake, after_commit, intake_wake,
)
from logly.ring.leases cimport FREE_THREADED
from logly.ring.record cimport (
    HAS_NO_SITE, HAS_SITE, IS_KEPT, IS_SERVED, MAX_RECORD_BYTES, MAY_REPEAT, Cursor, RecordHeader, RecordHeap,
)
from logly.ring.ring cimport (
    RECORD_HEAP, Ring, ring_begin, ring_commit, ring_end, ring_max_inline, ring_reload_tail, ring_reserve,
    ring_room_to_keep,
)
from logly.spool.format cimport Spool, spool_has_file, spool_pin, spool_put_blob, spool_unpin
from logly.system.atomic cimport fence_full, fetch_add, fetch_sub, load_acquire32, load_relaxed, load_relaxed32
from logly.system.clock cimport clock_monotonic_ns, clock_ticks
from logly.system.cpython cimport PyErr_CheckSignals, PyThread_get_thread_ident, Py_DecRef, Py_IncRef
from logly.system.event cimport event_prepare, event_wait

# Of other included files:
#   caller/calls.pxi: Producer
#   caller/careful.pxi: after_emit
#   control/core.pxi: Core, no_memory
#   control/flush.pxi: flusher_is_in_python
#   control/rings.pxi: enter_ring_of_thread, set_record_aside
#   control/routing.pxi: names_left_sink
#   control/spooling.pxi: core_is_recovering, pause_draining
#   ring/enter.pxi: is_as_full, leave_ring
#   spool/spool_file.pxi: SpoolFile, spool_error


cdef bint encode_and_commit(Producer self, Call* call, bint may_repeat) except -1:
    """Encodes a record into a block, which then goes into the ring: as a copy, or as a pointer when it is large.

    Returns False, and makes no record, if it is for served handlers and a sink of theirs has been removed meanwhile.
    """
    cdef Core core = self.core
    cdef size_t size = 1024
    cdef char* block
    cdef Cursor out
    cdef int status = NO_ROOM
    while True:
        block = <char*> malloc(size)
        if block == NULL:
            return drop_and_report(core, no_memory)
        out.at = block
        out.end = block + size
        status = encode(&out, call, load_relaxed32(&core.intake.needs))
        if status != NO_ROOM:
            break
        free(block)
        size *= 2
        if size > MAX_RECORD_BYTES:
            return drop_and_report(core, MemoryError("logly: a record of more than 2 GiB"))
    if status == NOT_NATIVE:
        free(block)
        return drop_and_report(core, SystemError("logly: a record was prepared with a value that is not native"))
    if may_repeat:
        (<RecordHeader*> block).flags |= MAY_REPEAT
    if load_relaxed(&core.threads.inside) and load_relaxed(&core.threads.inside) == <uint64_t> PyThread_get_thread_ident():
        (<RecordHeader*> block).flags |= core.threads.inside_marks
    return commit_or_drop(self, block, finish_record(block, &out), call.level_number)


cdef bint count_dropped(Core core, Drop reason) except -1:
    fetch_add(&core.intake.traffic.dropped[<int> reason], 1)
    return True


# Called when a record cannot be made. It is counted and reported, because a log call does not raise.
cdef bint drop_and_report(Core core, error) except -1:
    count_dropped(core, DROP_MEMORY if isinstance(error, MemoryError) else DROP_FAILED)
    core.report(error)
    return True


cdef bint drop_without_memory(Producer self) except -1:
    if self.core is None:
        raise MemoryError
    return drop_and_report(self.core, no_memory)


cdef struct EncodedBlock:
    char* block
    uint64_t size
    Spool* spool                     # spool that has a copy of a large record; it is pinned
    PyObject* owner                  # the spool's Python object, which a child that a signal handler forks meanwhile may close
    uint64_t blob                    # offset of the copy; 0: it could not be made


cdef void pin_spool(EncodedBlock* record, Spool* spool) noexcept:
    record.spool = spool
    record.owner = <PyObject*> spool.owner
    Py_IncRef(record.owner)
    spool_pin(spool)


cdef void unpin_spool(EncodedBlock* record) noexcept:
    if record.spool != NULL:
        spool_unpin(record.spool)
        record.spool = NULL
        record.blob = 0
        Py_DecRef(record.owner)


# Puts an encoded block into the ring, or drops it. Takes over `block`. False: see `encode_and_commit`.
cdef bint commit_or_drop(Producer self, char* block, uint64_t size, int32_t number) except -1:
    cdef Core core = self.core
    cdef EncodedBlock record
    cdef Ring* ring
    cdef char* place = NULL
    record.block = block
    record.size = size
    record.spool = NULL
    record.blob = 0
    cdef bint is_short = False
    try:
        ring = enter_with_room(core, &record, &place)
    except MemoryError:
        is_short = True
    except BaseException:
        unpin_spool(&record)
        free(block)
        count_dropped(core, DROP_FULL)
        raise
    if is_short:
        unpin_spool(&record)
        free(block)
        return drop_and_report(core, no_memory)
    if ring == NULL:
        if is_to_keep(&record):
            count_dropped(core, DROP_KEPT)
        elif not (core.must_not_wait() and set_record_aside(core, block, size)):
            count_dropped(core, DROP_FULL)
        unpin_spool(&record)
        free(block)
        intake_wake(core.intake)
        return True
    if (<RecordHeader*> block).flags & IS_SERVED and names_left_sink(core, self.gate.origin):
        # It has waited for room. The sinks that it names are those of before, and the others do not get it.
        leave_ring(core.intake, ring)
        unpin_spool(&record)
        free(block)
        return False
    commit_block(core.intake, ring, place, &record, number)
    leave_ring(core.intake, ring)
    unpin_spool(&record)
    if load_relaxed32(&core.intake.post):
        after_emit(self)
    return True


# True for a record that is for the flight recorder. Such a record waits for nothing.
cdef inline bint is_to_keep(const EncodedBlock* record) noexcept:
    return (<const RecordHeader*> record.block).flags & IS_KEPT != 0


# Enters the ring as soon as it has room for the record, at `place`. NULL: the record gets no room. Raises what a signal handler
# raises.
cdef Ring* enter_with_room(Core core, EncodedBlock* record, char** place) except? NULL:
    cdef Intake* intake = core.intake
    cdef Ring* ring
    cdef uint64_t ring_id, tail
    cdef bint large, was_stalled
    while True:
        ring = enter_ring_of_thread(core)
        if ring == NULL:
            return NULL
        if record.spool != NULL and record.spool != ring.spool:
            leave_ring(intake, ring)
            unpin_spool(record)
            continue
        large = record.size > ring_max_inline(ring)
        if large and ring.spool != NULL and record.spool == NULL:
            # The copy that outlives the process is made before there is room in the ring, because this releases the GIL.
            pin_spool(record, <Spool*> ring.spool)
            leave_ring(intake, ring)
            spool_large_record(core, record)
            continue
        if large or is_to_keep(record):
            ring_reload_tail(ring)
        if is_to_keep(record) and ring != core.stand_in:
            if not has_room_for_kept(intake, ring, sizeof(RecordHeap) if large else record.size, record.size if large else 0):
                leave_ring(intake, ring)
                return NULL
        if not large or heap_has_room(intake, ring, record.size):
            place[0] = ring_reserve(ring, sizeof(RecordHeap) if large else record.size)
            if place[0] != NULL:
                return ring
        # The tail that the reservation saw, not the present one: if the ring is emptied in between, its tail never moves again.
        tail = ring.cached_tail
        ring_id = ring.id
        was_stalled = ring.stalled_tail == tail
        leave_ring(intake, ring)
        if is_to_keep(record) and ring != core.stand_in:
            return NULL
        if not wait_for_room(core, ring, ring_id, tail, was_stalled):
            return NULL


# In a spool, each record has a site or says that it has none. A record that was made before the spool began may lack one.
cdef inline void mark_without_site(RecordHeader* header) noexcept nogil:
    if header.site == 0 and not header.flags & HAS_SITE:
        header.flags |= HAS_NO_SITE


cdef void commit_block(Intake* intake, Ring* ring, char* place, const EncodedBlock* record, int32_t number) noexcept:
    cdef RecordHeader* header = <RecordHeader*> record.block
    cdef bint large = record.size > ring_max_inline(ring)
    if FREE_THREADED:
        ring_begin(ring)
    # Stamped again, because the order in the ring must be the order in time, also for a record that had to wait.
    header.ticks = clock_ticks()
    if FREE_THREADED:
        ring.last_ticks = header.ticks
    if large:
        commit_heap(ring, <RecordHeap*> place, record)
    else:
        if ring.spool != NULL:
            mark_without_site(header)
        memcpy(place, record.block, record.size)
        ring_commit(ring, record.size, header.flags & IS_KEPT)
        free(record.block)
    if FREE_THREADED:
        ring_end(ring)
    if large:
        intake_wake(intake)
    else:
        after_commit(intake, ring, number)


cdef void commit_heap(Ring* ring, RecordHeap* heap, const EncodedBlock* record) noexcept:
    heap.size = sizeof(RecordHeap)
    heap.kind = RECORD_HEAP
    heap.block = record.block
    heap.block_size = record.size
    heap.blob = record.blob
    heap.checksum = 0
    ring.heap_bytes_in += record.size
    ring_commit(ring, sizeof(RecordHeap), (<const RecordHeader*> record.block).flags & IS_KEPT)


cdef bint spool_large_record(Core core, EncodedBlock* record) except -1:
    """Copies a large record into the spool's file. Reports it if there is no room, because a crash would lose the record."""
    cdef SpoolFile file
    (<RecordHeader*> record.block).ticks = clock_ticks()
    mark_without_site(<RecordHeader*> record.block)
    with nogil:
        record.blob = spool_put_blob(record.spool, record.block, record.size)
    if record.blob == 0:
        file = <SpoolFile> <object> record.spool.owner
        has_file = spool_has_file(record.spool)
        reason = "no space" if has_file else "the file is gone: no place"
        text = f"{reason} for a record of {record.size} bytes, which is in memory only"
        core.report(spool_error(file.path, text, 28 if has_file else 2))
    return True


cdef bint has_room_for_kept(Intake* intake, Ring* ring, uint64_t size, uint64_t block_size) noexcept:
    if ring_room_to_keep(ring, ring.capacity) < size:
        return False
    # As of the ring, the last quarter is for records that are written.
    return block_size == 0 or heap_has_room(intake, ring, block_size + (load_relaxed(&intake.heap_limit) >> 2))


cdef bint heap_has_room(Intake* intake, Ring* ring, uint64_t size) noexcept:
    cdef uint64_t waiting = ring.heap_bytes_in - load_relaxed(&ring.heap_bytes_out)
    return waiting == 0 or waiting + size <= load_relaxed(&intake.heap_limit)


cdef bint wait_for_room(Core core, Ring* ring, uint64_t ring_id, uint64_t tail, bint was_stalled) except -1:
    """Waits until the ring's tail has left `tail`, or this thread's ring is another one. The caller has left the ring.

    True: try again. False: the record is to be dropped. Releases the GIL, and raises what a signal handler raises.
    """
    cdef Intake* intake = core.intake
    cdef int64_t begun = clock_monotonic_ns()
    cdef int64_t patient_from = begun
    cdef int64_t limit = 2 * <int64_t> load_relaxed(<uint64_t*> &intake.stall_ns)
    cdef uint32_t ticket
    if ring == core.stand_in:
        core.make_ring()
        return True
    if core.must_not_wait():
        core.pass_here()
        return not is_as_full(intake, ring_id, tail, False)
    if load_relaxed32(&intake.drops):
        return False
    if was_stalled:
        return False
    if load_relaxed32(&intake.post) & POST_START:
        core.ask_for_flusher()
    while is_as_full(intake, ring_id, tail, False):
        if load_relaxed(&core.threads.handlers_at_work):
            patient_from = clock_monotonic_ns()
        if clock_monotonic_ns() - patient_from > limit // 2 and core_is_recovering(core):
            # A recovery takes long. Records in another order are better than lost ones, so draining goes on, and the wait begins
            # anew.
            pause_draining(core, 0)
            patient_from = clock_monotonic_ns()
        if clock_monotonic_ns() - patient_from > limit and is_as_full(intake, ring_id, tail, True):
            # There was no progress at all for so long, so the flusher is stuck in user code. Later calls do not wait again until
            # it moves.
            fetch_add(&core.calls.blocked_ns, clock_monotonic_ns() - begun)
            return False
        if not load_acquire32(&core.threads.has_flusher):
            core.drain_here()
        elif flusher_is_in_python(core):
            core.pass_here()
        fetch_add(&intake.traffic.waiters, 1)
        fence_full()
        ticket = event_prepare(&intake.traffic.space)
        if is_as_full(intake, ring_id, tail, False):
            intake_wake(intake)
            with nogil:
                event_wait(&intake.traffic.space, ticket, 50000000)
        fetch_sub(&intake.traffic.waiters, 1)
        PyErr_CheckSignals()
    fetch_add(&core.calls.blocked_ns, clock_monotonic_ns() - begun)
    return True
