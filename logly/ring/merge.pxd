"""Records of several rings in the order of their time stamps.

The rings are in a binary heap, ordered by the stamp of their first record (Knuth, TAOCP 5.4.1). Threads log in bursts, so the
ring on top usually stays there, and the next record costs two comparisons, however many rings there are.

The merge may take a record only when no earlier one can still come. A producer takes its stamp first and commits some ten
nanoseconds later, or many milliseconds later when the system takes its processor away in between. So before it takes the stamp
it announces that (`ring.in_flight`: the stamp of its previous record), and it withdraws the announcement after the commit. A
merge takes records up to its `horizon`, which is not later than any announced stamp and lies a grace period before the present.
The grace period is longer than any processor keeps the announcement in its store buffer.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, realloc

from logly.ring.record cimport RecordHeader, RecordHeap
from logly.ring.ring cimport NOT_IN_FLIGHT, RECORD_HEAP, RecordPrefix, Ring, ring_peek
from logly.system.assertions cimport assert_that
from logly.system.atomic cimport load_acquire
from logly.system.clock cimport clock_ticks

cdef enum:
    GRACE_TICKS = 1 << 16      # 20 us of a 3 GHz counter, 65 us of a clock in nanoseconds
    IN_FLIGHT_LOOKS = 200      # a record that is being copied is committed before it has been looked at so often
    STEP_TICKS = 1 << 28       # longer than a pass


cdef struct MergeEntry:
    uint64_t ticks         # of the ring's first record
    Ring* ring


cdef struct Merge:
    MergeEntry* entry
    uint32_t count
    uint32_t capacity
    uint64_t horizon       # records up to here may be taken
    uint64_t future        # records from here on, too: they were made before the clock was set back
    uint64_t latest        # highest reading of the clock so far


cdef inline const RecordHeader* record_proper(const char* record) noexcept nogil:
    if (<const RecordPrefix*> record).kind == RECORD_HEAP:
        return <const RecordHeader*> (<const RecordHeap*> record).block
    return <const RecordHeader*> record


# The latest stamp up to which this ring's records are all committed.
cdef inline uint64_t committed_ticks(Ring* ring) noexcept nogil:
    cdef uint64_t seen = load_acquire(&ring.in_flight)
    cdef uint64_t now = seen
    cdef int _
    if seen == NOT_IN_FLIGHT:
        return seen
    for _ in range(IN_FLIGHT_LOOKS):
        now = load_acquire(&ring.in_flight)
        if now != seen:
            return now
    return seen


cdef inline void merge_sift_down(Merge* merge, uint32_t i) noexcept nogil:
    cdef MergeEntry moving = merge.entry[i]
    cdef uint32_t child
    while True:
        child = 2 * i + 1
        if child >= merge.count:
            break
        if child + 1 < merge.count and merge.entry[child + 1].ticks < merge.entry[child].ticks:
            child += 1
        if moving.ticks <= merge.entry[child].ticks:
            break
        merge.entry[i] = merge.entry[child]
        i = child
    merge.entry[i] = moving


cdef inline char* merge_front(const Merge* merge, Ring* ring, uint64_t* ticks) noexcept nogil:
    cdef char* record = ring_peek(ring)
    if record == NULL:
        return NULL
    ticks[0] = record_proper(record).ticks
    return record if ticks[0] <= merge.horizon or ticks[0] >= merge.future else NULL


# Starts a merge. Returns False when there is no memory for the heap. The rings are read in two rounds, because a record that
# is committed after its ring was found not to be in flight has a stamp beyond the horizon.
cdef inline bint merge_begin(Merge* merge, Ring* rings) noexcept nogil:
    cdef Ring* ring = rings
    cdef MergeEntry* grown
    cdef uint64_t settled
    cdef uint64_t now = clock_ticks()
    cdef uint32_t count = 0
    merge.horizon = now - GRACE_TICKS
    # The clock was set back, or restarted when the machine slept: the merge does not wait for stamps from before that.
    merge.future = now + STEP_TICKS if now < merge.latest else <uint64_t> -1
    if now > merge.latest:
        merge.latest = now
    merge.count = 0
    while ring != NULL:
        settled = committed_ticks(ring)
        if settled < merge.horizon:
            merge.horizon = settled
        count += 1
        ring = ring.next
    if count > merge.capacity:
        grown = <MergeEntry*> realloc(merge.entry, 2 * count * sizeof(MergeEntry))
        if grown == NULL:
            return False
        merge.entry = grown
        merge.capacity = 2 * count
    merge_fill(merge, rings)
    return True


cdef inline void merge_fill(Merge* merge, Ring* ring) noexcept nogil:
    cdef uint32_t i
    cdef uint64_t ticks = 0
    while ring != NULL:
        if merge_front(merge, ring, &ticks) != NULL:
            assert_that(merge.count < merge.capacity)
            merge.entry[merge.count].ticks = ticks
            merge.entry[merge.count].ring = ring
            merge.count += 1
        ring = ring.next
    for i in range(merge.count // 2):
        merge_sift_down(merge, merge.count // 2 - 1 - i)


# Returns the ring with the earliest record, or NULL when no record is up to the horizon. The caller consumes that record or
# ends the merge.
cdef inline Ring* merge_next(Merge* merge, char** found) noexcept nogil:
    cdef Ring* ring
    cdef char* record
    cdef uint64_t ticks = 0
    while merge.count:
        ring = merge.entry[0].ring
        record = merge_front(merge, ring, &ticks)
        if record == NULL:
            merge.count -= 1
            merge.entry[0] = merge.entry[merge.count]
        elif ticks == merge.entry[0].ticks:
            found[0] = record
            return ring
        else:
            merge.entry[0].ticks = ticks
        if merge.count:
            merge_sift_down(merge, 0)
    return NULL


cdef inline void merge_free(Merge* merge) noexcept nogil:
    free(merge.entry)
