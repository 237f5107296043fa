"""Test-only extension: a window onto the flight recorder's memory."""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from logly.ring.record cimport RecordHeader, RecordHeap
from logly.ring.recorder cimport (
    HEAP_ENTRY,
    NO_ENTRY,
    KeptEntry,
    Recorder as CRecorder,
    RecorderState,
    entry_at,
    record_of,
    recorder_begin,
    recorder_count,
    recorder_free_blocks,
    recorder_head,
    recorder_keep,
    recorder_make_late,
    recorder_move,
    recorder_taken,
    recorder_trim,
)
from logly.ring.ring cimport RECORD_HEAP, RECORD_INLINE


cdef uint64_t rounded(uint64_t size) noexcept nogil:
    return (size + 7) & ~<uint64_t> 7


cdef class Recorder:
    """A flight recorder in plain memory. What it keeps are payloads, each in the place of a record or in a block of its own."""
    cdef CRecorder recorder
    cdef RecorderState state
    cdef char* memory
    cdef uint64_t capacity

    def __cinit__(self, uint64_t capacity, uint64_t start=0):
        self.capacity = capacity
        self.memory = <char*> malloc(capacity + 64)
        if self.memory == NULL:
            raise MemoryError
        memset(self.memory, 0xEE, capacity + 64)
        memset(&self.state, 0, sizeof(RecorderState))
        self.state.tail = self.state.end[0].head = start
        recorder_begin(&self.recorder, &self.state, self.memory, capacity)

    def __dealloc__(self):
        if self.memory != NULL:
            recorder_free_blocks(&self.recorder)
            free(self.memory)

    def check_bounds(self):
        """Raises if anything was written behind the memory."""
        if self.memory[self.capacity : self.capacity + 64] != b"\xee" * 64:
            raise AssertionError("written past the end")

    def keep(self, bytes payload, bint is_heap, int64_t time_ns, uint64_t hashed, uint64_t safe):
        """False: it found no place."""
        cdef uint64_t size = rounded(sizeof(RecordHeader) + len(payload))
        cdef char* block = <char*> malloc(size)
        cdef RecordHeader* header = <RecordHeader*> block
        cdef RecordHeap heap
        cdef uint64_t taken
        cdef bint is_kept
        if block == NULL:
            raise MemoryError
        memset(block, 0, size)
        header.size = <uint32_t> size
        header.kind = RECORD_INLINE
        header.site = <uint32_t> len(payload)
        memcpy(block + sizeof(RecordHeader), <const char*> payload, len(payload))
        if not is_heap:
            taken = recorder_taken(&self.recorder) + 1
            is_kept = recorder_keep(&self.recorder, block, header, time_ns, hashed, safe, taken)
            free(block)
            return is_kept
        memset(&heap, 0, sizeof(RecordHeap))
        heap.size = sizeof(RecordHeap)
        heap.kind = RECORD_HEAP
        heap.block = block
        heap.block_size = size
        taken = recorder_taken(&self.recorder) + 1
        is_kept = recorder_keep(&self.recorder, <const char*> &heap, header, time_ns, hashed, safe, taken)
        if not is_kept:
            free(block)
        return is_kept

    def entries(self):
        """[(payload, is in a block, time, hash, late, before)], oldest first."""
        cdef uint64_t at = self.state.tail
        cdef uint64_t head = recorder_head(&self.recorder)
        cdef KeptEntry* entry
        cdef RecordHeader* record
        found = []
        while at != head:
            entry = entry_at(&self.recorder, at)
            if entry.size % 8 or entry.size == 0 or (at & (self.capacity - 1)) + entry.size > self.capacity:
                raise AssertionError("an entry that is not whole")
            if entry.kind != NO_ENTRY:
                record = record_of(entry)
                payload = (<char*> record)[sizeof(RecordHeader) : sizeof(RecordHeader) + record.site]
                found.append((payload, entry.kind == HEAP_ENTRY, record.ticks, entry.hashed, entry.late, entry.before))
            at += entry.size
            if at - self.state.tail > self.capacity:
                raise AssertionError("more entries than there is room for")
        return found

    def make_late(self, uint64_t place, uint64_t before):
        """Marks the entry that `entries()[place]` tells of."""
        cdef uint64_t at = self.state.tail
        cdef KeptEntry* entry
        while True:
            entry = entry_at(&self.recorder, at)
            if entry.kind != NO_ENTRY:
                if place == 0:
                    break
                place -= 1
            at += entry.size
        recorder_make_late(&self.recorder, entry, before)

    def trim(self, uint64_t safe):
        recorder_trim(&self.recorder, safe)

    def move_to(self, Recorder target, uint64_t delivered):
        recorder_move(&self.recorder, &target.recorder, delivered)

    def recount(self):
        """(kept, bytes in blocks), counted anew."""
        recorder_count(&self.recorder)
        return self.recorder.kept, self.recorder.heap_bytes

    @property
    def counts(self):
        """(kept, overwritten, bytes in blocks, late, taken)"""
        cdef CRecorder* recorder = &self.recorder
        return recorder.kept, recorder.overwritten, recorder.heap_bytes, self.state.late, recorder_taken(recorder)

    @property
    def used(self):
        return recorder_head(&self.recorder) - self.state.tail


ENTRY_BYTES = sizeof(KeptEntry)
HEAP_ENTRY_BYTES = sizeof(KeptEntry) + sizeof(RecordHeap) + 8
HEADER_BYTES = sizeof(RecordHeader)
