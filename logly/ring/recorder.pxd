"""The flight recorder: a second byte ring, of records that were kept and not written.

Only the thread that makes a pass touches it, under the engine's lock. It copies a kept record from the ring of its producer, as
it is, with its ticks made nanoseconds (a calibration of the clock does not reach back far enough). The oldest entries give way
to new ones. A dump gives entries to the sinks: such an entry is *late* from then on, with a number of its own.

    KeptEntry | record        or        KeptEntry | RecordHeap | nanoseconds, for a record in a block of its own

With a spool, all this lies in the spool's file, and a process may be killed between any two stores. So each change takes effect
by one store at its end, and a late entry stays until every sink has written it.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

from logly.ring.record cimport RecordHeader, RecordHeap
from logly.ring.ring cimport RECORD_HEAP, RecordPrefix
from logly.system.assertions cimport assert_that
from logly.system.atomic cimport store_release, store_release32

cdef enum:
    NO_ENTRY = 0               # `KeptEntry.kind` of what fills the rest of a lap
    SMALL_ENTRY = 1
    HEAP_ENTRY = 2
    MAX_GONE_BLOBS = 64

cdef extern from * nogil:
    """
    static const uint64_t LOGLY_WAS_LATE = UINT64_MAX;
    """
    const uint64_t WAS_LATE "LOGLY_WAS_LATE"  # `KeptEntry.before` of one that a dump had begun with: see `recorder_move`


# Where the entries are.
cdef struct RecorderEnd:
    uint64_t head              # position behind the last one
    uint64_t taken             # how many records of the ring are entries, or have been


cdef struct RecorderState:
    uint64_t tail              # position of the oldest one
    RecorderEnd end[2]
    uint32_t current
    uint32_t may_keep          # of a spool: records for the recorder may be in its ring
    uint64_t late              # how many were given to the sinks
    uint64_t left_from         # after a death: 1 and the number of the first late one of those that come last; 0: not begun
    int64_t left_ns            # and the time of the latest record of the process that died


cdef struct KeptEntry:
    uint32_t size              # bytes from here to the next entry, a multiple of 8
    uint32_t kind
    uint64_t late              # 0: it is kept; else 1 and its number among the records that dumps have given to the sinks
    uint64_t before            # of a late one: the number of the record before which it is written, as the spool counts
    uint64_t hashed            # of the value of the field that dumps select by; 0: it has no such field


# The copy of a large record in the spool's file, which no entry names any more.
cdef struct GoneBlob:
    uint64_t offset
    uint64_t size


cdef struct Recorder:
    RecorderState* state       # NULL: there is none
    char* data
    uint64_t capacity          # bytes, a power of two
    uint64_t mask
    uint64_t kept              # entries that no dump has taken
    uint64_t heap_bytes        # of the blocks that entries point to
    uint64_t overwritten       # kept records that gave way, or found no place
    int fd                     # of the file that it lies in; -1: it is in plain memory
    uint32_t gone_blobs
    GoneBlob gone_blob[64]     # their space is given back with that of the ring, where their records may still lie


cdef inline uint64_t recorder_head(const Recorder* recorder) noexcept nogil:
    return recorder.state.end[recorder.state.current].head


# The number of the next record that is kept.
cdef inline uint64_t recorder_taken(const Recorder* recorder) noexcept nogil:
    return recorder.state.end[recorder.state.current].taken


cdef inline bint recorder_is_empty(const Recorder* recorder) noexcept nogil:
    return recorder.state == NULL or recorder.state.tail == recorder_head(recorder)


cdef inline KeptEntry* entry_at(const Recorder* recorder, uint64_t position) noexcept nogil:
    return <KeptEntry*> (recorder.data + (position & recorder.mask))


cdef inline RecordHeap* heap_of(KeptEntry* entry) noexcept nogil:
    return <RecordHeap*> (entry + 1)


# The record itself. NULL: its block was only in memory, of a process that has died.
cdef inline RecordHeader* record_of(KeptEntry* entry) noexcept nogil:
    if entry.kind == HEAP_ENTRY:
        return <RecordHeader*> heap_of(entry).block
    return <RecordHeader*> (entry + 1)


cdef inline void set_end(Recorder* recorder, uint64_t head, uint64_t taken) noexcept nogil:
    cdef uint32_t other = 1 - recorder.state.current
    recorder.state.end[other].head = head
    recorder.state.end[other].taken = taken
    # Release: a successor of a killed process that sees this sees the entry, too.
    store_release32(&recorder.state.current, other)


cdef inline void free_block(Recorder* recorder, const RecordHeap* heap) noexcept nogil:
    recorder.heap_bytes -= heap.block_size
    free(heap.block)
    # Blobs beyond the table's size give their space back when the file is removed.
    if heap.blob and recorder.fd >= 0 and recorder.gone_blobs < MAX_GONE_BLOBS:
        recorder.gone_blob[recorder.gone_blobs].offset = heap.blob
        recorder.gone_blob[recorder.gone_blobs].size = heap.block_size
        recorder.gone_blobs += 1


# Removes the oldest entry. `safe`: late entries below this number are in the files of all sinks. Returns False when it must stay.
cdef inline bint recorder_evict(Recorder* recorder, uint64_t safe) noexcept nogil:
    cdef KeptEntry* entry = entry_at(recorder, recorder.state.tail)
    cdef bint is_heap = entry.kind == HEAP_ENTRY
    cdef RecordHeap heap
    if entry.kind != NO_ENTRY:
        if entry.late == 0:
            recorder.overwritten += 1
            recorder.kept -= 1
        elif entry.late > safe:
            return False
    if is_heap:
        heap = heap_of(entry)[0]
    # Release: what is stored over the entry later is stored after this.
    store_release(&recorder.state.tail, recorder.state.tail + entry.size)
    if is_heap:
        free_block(recorder, &heap)
    return True


# Removes late entries from the front that need not stay. When all entries are of that kind, nothing is left.
cdef inline void recorder_trim(Recorder* recorder, uint64_t safe) noexcept nogil:
    cdef KeptEntry* entry
    while not recorder_is_empty(recorder):
        entry = entry_at(recorder, recorder.state.tail)
        if entry.kind != NO_ENTRY and entry.late == 0:
            return
        if not recorder_evict(recorder, safe):
            return


# Removes everything, and begins a new lap: the next entry is so large that it fits nowhere else. Returns False when an entry must
# stay.
cdef inline bint recorder_end_lap(Recorder* recorder, uint64_t safe) noexcept nogil:
    cdef uint64_t head = recorder_head(recorder)
    cdef uint64_t filling
    while recorder.state.tail != head:
        if not recorder_evict(recorder, safe):
            return False
    filling = fill_lap(recorder, head)
    set_end(recorder, head + filling, recorder_taken(recorder))
    store_release(&recorder.state.tail, head + filling)
    return True


# Fills the rest of the lap behind `head`, and returns how long it is. It becomes visible with the head.
cdef inline uint64_t fill_lap(Recorder* recorder, uint64_t head) noexcept nogil:
    cdef uint64_t lap_left = recorder.capacity - (head & recorder.mask)
    # A lap's end may be too short for a whole entry, but not for its size and kind.
    cdef uint32_t* filling = <uint32_t*> (recorder.data + (head & recorder.mask))
    filling[0] = <uint32_t> lap_left
    filling[1] = NO_ENTRY
    return lap_left


# Makes room for an entry of `size` bytes and a block of `block_size`. Returns False when it finds no place.
cdef inline bint recorder_make_room(Recorder* recorder, uint64_t size, uint64_t block_size, uint64_t safe) noexcept nogil:
    cdef uint64_t head = recorder_head(recorder)
    cdef uint64_t lap_left = recorder.capacity - (head & recorder.mask)
    cdef uint64_t needed = size if size <= lap_left else lap_left + size
    if size + block_size > recorder.capacity:
        return False
    if needed > recorder.capacity:
        if not recorder_end_lap(recorder, safe):
            return False
        head = recorder_head(recorder)
        needed = size
    while (
        recorder.capacity - (head - recorder.state.tail) < needed
        or (head - recorder.state.tail) + needed + recorder.heap_bytes + block_size > recorder.capacity
    ):
        if recorder.state.tail == head:
            return True  # nothing is left but this one, and the rest of the lap does not count
        if not recorder_evict(recorder, safe):
            return False
    return True


# Returns where an entry of `size` bytes is to be written. Before it, the rest of the lap is filled where it is too short. The
# filling becomes visible with the entry.
cdef inline KeptEntry* recorder_place(Recorder* recorder, uint64_t size, uint64_t* head) noexcept nogil:
    if size > recorder.capacity - (head[0] & recorder.mask):
        head[0] += fill_lap(recorder, head[0])
    return entry_at(recorder, head[0])


# Keeps a record of a ring. `record` is what lies in the ring, `proper` the record itself. Where it is in a block, the block
# changes its owner. `taken`: what `RecorderEnd.taken` becomes. Returns False when the record finds no place: it counts as
# overwritten, and the block is still the caller's.
cdef inline bint recorder_keep(
    Recorder* recorder, const char* record, const RecordHeader* proper, int64_t time_ns, uint64_t hashed, uint64_t safe,
    uint64_t taken,
) noexcept nogil:
    cdef const RecordHeap* heap = <const RecordHeap*> record
    cdef bint is_heap = (<const RecordPrefix*> record).kind == RECORD_HEAP
    cdef uint64_t block_size = heap.block_size if is_heap else 0
    cdef uint64_t size = sizeof(KeptEntry) + (sizeof(RecordHeap) + 8 if is_heap else proper.size)
    cdef uint64_t head
    cdef KeptEntry* entry
    if not recorder_make_room(recorder, size, block_size, safe):
        recorder.overwritten += 1
        set_end(recorder, recorder_head(recorder), taken)
        return False
    head = recorder_head(recorder)
    entry = recorder_place(recorder, size, &head)
    entry.size = <uint32_t> size
    entry.kind = HEAP_ENTRY if is_heap else SMALL_ENTRY
    entry.late = 0
    entry.before = 0
    entry.hashed = hashed
    if is_heap:
        heap_of(entry)[0] = heap[0]
        (<int64_t*> (heap_of(entry) + 1))[0] = time_ns
        recorder.heap_bytes += block_size
    else:
        memcpy(entry + 1, record, proper.size)
    record_of(entry).ticks = <uint64_t> time_ns
    recorder.kept += 1
    set_end(recorder, head + size, taken)
    return True


# Marks an entry as late, before the record with the number `before`. One store makes it so.
cdef inline void recorder_make_late(Recorder* recorder, KeptEntry* entry, uint64_t before) noexcept nogil:
    cdef uint64_t late = recorder.state.late + 1
    assert_that(entry.late == 0)
    entry.before = before
    recorder.kept -= 1
    store_release(&entry.late, late)
    # A process that is killed here has used the number, and its successor sees that: `use_late` in flusher/spool_ring.pxd.
    store_release(&recorder.state.late, late)


# Moves the kept entries of one recorder to another, where they are the oldest. Those that find no place are overwritten. (A
# process that is killed within this function may leave them in two files.) Late entries from the number `delivered` on are kept
# again, and `WAS_LATE`.
cdef inline void recorder_move(Recorder* source, Recorder* target, uint64_t delivered) noexcept nogil:
    cdef KeptEntry* entry
    target.overwritten += source.overwritten
    source.overwritten = 0
    while not recorder_is_empty(source):
        entry = entry_at(source, source.state.tail)
        if entry.kind != NO_ENTRY and (entry.late == 0 or entry.late > delivered):
            if move_entry(source, target, entry) and entry.late:
                entry_at(target, recorder_head(target) - entry.size).before = WAS_LATE
        elif entry.kind == HEAP_ENTRY:
            free_block(source, heap_of(entry))
        store_release(&source.state.tail, source.state.tail + entry.size)
    source.kept = 0


# Returns False when the entry found no place.
cdef inline bint move_entry(Recorder* source, Recorder* target, KeptEntry* entry) noexcept nogil:
    cdef RecordHeap heap
    cdef RecordHeader* record = record_of(entry)
    cdef const char* place = <const char*> record
    cdef bint is_kept = False
    if entry.kind == HEAP_ENTRY:
        heap = heap_of(entry)[0]
        source.heap_bytes -= heap.block_size
        heap.blob = 0  # its copy is in a file that goes
        place = <const char*> &heap
    if target.state != NULL:
        is_kept = recorder_keep(
            target, place, record, <int64_t> record.ticks, entry.hashed, <uint64_t> -1, recorder_taken(target),
        )
    else:
        target.overwritten += 1
    if entry.kind == HEAP_ENTRY and not is_kept:
        free(heap.block)
    return is_kept


cdef inline void recorder_begin(Recorder* recorder, RecorderState* state, char* data, uint64_t capacity) noexcept nogil:
    memset(recorder, 0, sizeof(Recorder))
    recorder.state = state
    recorder.data = data
    recorder.capacity = capacity
    recorder.mask = capacity - 1
    recorder.fd = -1


# Counts what a recorder in a file holds.
cdef inline void recorder_count(Recorder* recorder) noexcept nogil:
    cdef uint64_t at = recorder.state.tail
    cdef uint64_t head = recorder_head(recorder)
    cdef KeptEntry* entry
    recorder.kept = recorder.heap_bytes = 0
    while at != head:
        entry = entry_at(recorder, at)
        if entry.kind != NO_ENTRY and entry.late == 0:
            recorder.kept += 1
        if entry.kind == HEAP_ENTRY:
            recorder.heap_bytes += heap_of(entry).block_size
        at += entry.size


# Frees the blocks, where the entries themselves stay in a file.
cdef inline void recorder_free_blocks(Recorder* recorder) noexcept nogil:
    cdef uint64_t at, head
    cdef KeptEntry* entry
    if recorder.state == NULL:
        return
    at = recorder.state.tail
    head = recorder_head(recorder)
    while at != head:
        entry = entry_at(recorder, at)
        if entry.kind == HEAP_ENTRY:
            free(heap_of(entry).block)
            heap_of(entry).block = NULL
        at += entry.size
