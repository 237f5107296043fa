"""The byte ring: one producer reserves, copies and commits; one consumer peeks and releases.

A single-producer single-consumer queue of variable-size records over a power-of-two byte array
(Lamport 1977; the cached copies of the other side's position are Giacomoni's FastForward / Rigtorp's
SPSCQueue). Positions have 64 bits and only ever grow; offset = position & mask. A record starts at a
multiple of 8 bytes and never wraps around: a padding record fills the rest of a lap (one round of the array).

The two published positions lie in a block of their own (`RingPositions`), because that block may belong to
a memory-mapped file (the spool).
"""

from libc.stdint cimport uint16_t, uint32_t, uint64_t, uint8_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from logly.system.assertions cimport assert_that
from logly.system.atomic cimport fence_compiler, load_acquire, store_relaxed, store_release

cdef enum:
    RING_ALIGN = 128       # two cache lines: the adjacent-line prefetcher pairs them
    RECORD_PADDING = 0     # kinds of a record
    RECORD_INLINE = 1
    RECORD_HEAP = 2        # the record proper is in a heap block: see RecordHeap in ring/record.pxd
    PREFIX_SIZE = 8

cdef extern from * nogil:
    """
    #ifndef LOGLY_RING
    #define LOGLY_RING
    #include <atomic>
    #include <cstdint>
    #define LOGLY_NONE (~0ull)
    // Returns a number for an engine, a ring or a generation of rings: never 0, never the same twice.
    static inline uint64_t logly_new_id() {
        static std::atomic<uint64_t> last{0};
        return last.fetch_add(1) + 1;
    }
    #endif
    """
    const uint64_t NOT_IN_FLIGHT "LOGLY_NONE"
    const uint64_t NOT_STALLED "LOGLY_NONE"
    const uint64_t NO_MARK "LOGLY_NONE"        # the number of a record that is not known yet
    uint64_t new_id "logly_new_id"() noexcept


# The first 8 bytes of every record, padding included.
cdef struct RecordPrefix:
    uint32_t size          # bytes from here to the next record, a multiple of 8
    uint8_t kind
    uint8_t level          # index into the engine's level table
    uint16_t flags


cdef struct RingPositions:
    uint64_t head          # committed up to here; written by the producer
    char apart[120]
    uint64_t tail          # released up to here; written by the consumer
    char apart2[120]


cdef struct Ring:
    # the producer's lines
    uint64_t head
    uint64_t cached_tail
    char* data
    uint64_t mask
    uint64_t capacity      # bytes
    RingPositions* positions
    uint64_t committed     # records ever committed, but for kept ones
    uint64_t kept          # records ever committed that are for the flight recorder
    uint64_t heap_bytes_in # bytes of heap blocks ever handed over
    uint64_t id            # tells it from a ring that has its memory later
    uint64_t wake_at       # position from which a producer checks again whether the flusher must be woken
    uint64_t high_water    # most bytes ever seen in use by the producer
    uint64_t stalled_tail  # where the consumer was stuck when a producer gave up waiting; NOT_STALLED
    uint64_t last_ticks    # free-threaded builds: stamp of the previous record
    uint64_t in_flight     # the same stamp while a record is being written, else NOT_IN_FLIGHT: see ring/merge.pxd
    char apart[128]
    # the consumer's lines
    uint64_t tail
    uint64_t cached_head
    uint64_t heap_bytes_out
    uint32_t retired       # no producer writes to the ring any more: free it when it is empty
    void* lease            # free-threaded builds: the producing thread's, see ring/leases.pxd
    Ring* next
    void* block            # the allocation that this struct lies in
    void* spool            # the Spool* whose file has the data, or NULL
    bint owns_data


# Up to where a reader of records must have come, so that none is left of those that there were.
cdef struct ReadMark:
    uint64_t sequence          # NO_MARK: it is not set yet
    uint64_t kept              # of records for the flight recorder, how many were committed
    uint64_t entries           # and when these were taken: where the entries of the recorder ended; NO_MARK: they are not
    uint64_t serial            # of that recorder


# Makes a ring over memory that it does not own (a mapped file), at the positions found there.
cdef inline Ring* ring_attach(char* data, RingPositions* positions, uint64_t capacity) noexcept nogil:
    cdef char* block = <char*> malloc(sizeof(Ring) + RING_ALIGN)
    cdef Ring* ring
    if block == NULL:
        return NULL
    memset(block, 0, sizeof(Ring) + RING_ALIGN)
    ring = <Ring*> ((<uint64_t> block + RING_ALIGN - 1) & ~(<uint64_t> RING_ALIGN - 1))
    ring.block = block
    ring.id = new_id()
    ring.data = data
    ring.capacity = capacity
    ring.mask = capacity - 1
    ring.positions = positions
    ring.head = positions.head
    ring.cached_head = positions.head
    ring.tail = positions.tail
    ring.cached_tail = positions.tail
    ring.wake_at = positions.head
    ring.stalled_tail = NOT_STALLED
    ring.in_flight = NOT_IN_FLIGHT
    ring.owns_data = False
    return ring


# `start` is the first position; tests use one that overflows soon. All data is written here, so that
# no log call causes a page fault.
cdef inline Ring* ring_new(uint64_t capacity, uint64_t start) noexcept nogil:
    cdef char* block = <char*> malloc(capacity + sizeof(RingPositions) + RING_ALIGN)
    cdef char* base
    cdef RingPositions* positions
    cdef Ring* ring
    if block == NULL:
        return NULL
    base = <char*> ((<uint64_t> block + RING_ALIGN - 1) & ~(<uint64_t> RING_ALIGN - 1))
    memset(base, 0, capacity + sizeof(RingPositions))
    positions = <RingPositions*> base
    positions.head = start
    positions.tail = start
    ring = ring_attach(base + sizeof(RingPositions), positions, capacity)
    if ring == NULL:
        free(block)
        return NULL
    # The allocated block is remembered in the padding of `positions`, for ring_free.
    ring.owns_data = True
    (<void**> positions.apart2)[0] = block
    return ring


cdef inline void ring_free(Ring* ring) noexcept nogil:
    if ring.owns_data:
        free((<void**> ring.positions.apart2)[0])
    free(ring.block)


cdef inline uint64_t ring_max_inline(const Ring* ring) noexcept nogil:
    # Half of the ring would be enough for progress (padding < size, so padding + size < capacity in an empty ring).
    # A quarter keeps one large record from delaying the small ones.
    return ring.capacity >> 2


# ---- producer

# Returns where the next record may be written. Stores at `room` how many contiguous bytes are free there.
cdef inline char* ring_window(Ring* ring, uint64_t* room) noexcept nogil:
    cdef uint64_t offset = ring.head & ring.mask
    cdef uint64_t lap_left = ring.capacity - offset
    cdef uint64_t unused = ring.capacity - (ring.head - ring.cached_tail)
    room[0] = lap_left if lap_left < unused else unused
    return ring.data + offset


cdef inline void ring_reload_tail(Ring* ring) noexcept nogil:
    cdef uint64_t used
    ring.cached_tail = load_acquire(&ring.positions.tail)
    used = ring.head - ring.cached_tail
    if used > ring.high_water:
        store_relaxed(&ring.high_water, used)


# Returns room for `size` contiguous bytes, after padding to the end of the lap when needed; NULL when the ring is too full.
cdef inline char* ring_reserve(Ring* ring, uint64_t size) noexcept nogil:
    cdef uint64_t offset = ring.head & ring.mask
    cdef uint64_t lap_left = ring.capacity - offset
    cdef uint64_t needed = size if lap_left >= size else size + lap_left
    cdef RecordPrefix* padding
    if ring.capacity - (ring.head - ring.cached_tail) < needed:
        ring_reload_tail(ring)
        if ring.capacity - (ring.head - ring.cached_tail) < needed:
            return NULL
    if lap_left < size:
        padding = <RecordPrefix*> (ring.data + offset)
        padding.size = <uint32_t> lap_left
        padding.kind = RECORD_PADDING
        # The padding is not published yet: it becomes visible with the record that follows.
        ring.head += lap_left
        offset = 0
    return ring.data + offset


# Called before a producer takes the stamp of a record, where records of several producers are merged by their stamps. The
# consumer may see this a little late: ring/merge.pxd allows for that.
cdef inline void ring_begin(Ring* ring) noexcept nogil:
    # Release: a consumer that sees this sees the earlier records, too.
    store_release(&ring.in_flight, ring.last_ticks)
    fence_compiler()


cdef inline void ring_end(Ring* ring) noexcept nogil:
    # Release: a consumer that no longer sees the record in flight sees it committed.
    store_release(&ring.in_flight, NOT_IN_FLIGHT)


# How many bytes a record for the flight recorder may use of the `room` bytes that are free. The last quarter of the ring is for
# records that are written: a kept one never pushes out another.
cdef inline uint64_t ring_room_to_keep(const Ring* ring, uint64_t room) noexcept nogil:
    cdef uint64_t used = ring.head - ring.cached_tail
    cdef uint64_t limit = ring.capacity - (ring.capacity >> 2)
    if used >= limit:
        return 0
    return room if room < limit - used else limit - used


# `keeps`: the record is for the flight recorder. Such records are counted apart, because they have no sequence number.
cdef inline void ring_commit(Ring* ring, uint64_t size, bint keeps) noexcept nogil:
    # A record starts at a multiple of 8, does not wrap around, and lies in what the consumer has released.
    assert_that(size >= PREFIX_SIZE)
    assert_that(size % 8 == 0)
    assert_that((ring.head & ring.mask) + size <= ring.capacity)
    assert_that(ring.head + size - load_acquire(&ring.positions.tail) <= ring.capacity)
    ring.head += size
    if keeps:
        store_relaxed(&ring.kept, ring.kept + 1)
    else:
        store_relaxed(&ring.committed, ring.committed + 1)
    # Release: a consumer that sees the new head sees the record's bytes.
    store_release(&ring.positions.head, ring.head)


# ---- consumer

# Returns the earliest record that is not consumed yet, or NULL. Padding is skipped.
cdef inline char* ring_peek(Ring* ring) noexcept nogil:
    cdef RecordPrefix* prefix
    while True:
        if ring.tail == ring.cached_head:
            # Acquire: pairs with the release in ring_commit.
            ring.cached_head = load_acquire(&ring.positions.head)
            if ring.tail == ring.cached_head:
                return NULL
        prefix = <RecordPrefix*> (ring.data + (ring.tail & ring.mask))
        if prefix.kind != RECORD_PADDING:
            return <char*> prefix
        assert_that(prefix.size <= ring.cached_head - ring.tail)
        ring.tail += prefix.size


cdef inline void ring_consume(Ring* ring, uint64_t size) noexcept nogil:
    assert_that(size <= ring.cached_head - ring.tail)
    ring.tail += size


# Hands the consumed bytes back to the producer.
cdef inline void ring_release(Ring* ring) noexcept nogil:
    if ring.positions.tail != ring.tail:
        # Release: the producer must not overwrite bytes that are still being read.
        store_release(&ring.positions.tail, ring.tail)


cdef inline uint64_t ring_used(const Ring* ring) noexcept nogil:
    return load_acquire(&ring.positions.head) - load_acquire(&ring.positions.tail)
