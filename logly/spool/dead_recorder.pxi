# The flight recorder of a process that has died, in its spool's file: checked, put in order, and handed over to an engine.

from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport malloc, qsort

from logly.ring.record cimport IS_KEPT, RecordHeader, RecordHeap
from logly.ring.recorder cimport (
    HEAP_ENTRY, NO_ENTRY, KeptEntry, Recorder, entry_at, heap_of, record_of, recorder_begin, recorder_head,
)
from logly.ring.ring cimport PREFIX_SIZE
from logly.spool.format cimport SPOOL_SLOTS, LateEntry, RecorderState, SpoolHeader, slot_late_done
from logly.spool.validate cimport record_is_sound
from logly.system.mapping cimport MAPPED_SHARED, Mapping, mapping_end

# Of other included files:
#   spool/dead_spool.pxi: DeadSpool
#   spool/spool_file.pxi: LATEST_NS


cdef int compare_late(const void* a, const void* b) noexcept nogil:
    cdef uint64_t first = (<const LateEntry*> a).late
    cdef uint64_t second = (<const LateEntry*> b).late
    return -1 if first < second else first > second


cdef check_recorder_positions(DeadSpool file):
    cdef const SpoolHeader* header = file.spool.header
    cdef const RecorderState* state = &header.recorder
    if state.current > 1:
        raise file.damaged("an index is out of range")
    if (
        state.end[state.current].head - state.tail > header.recorder_capacity
        or (state.end[state.current].head | state.tail) & 7
    ):
        raise file.damaged("the positions of the flight recorder are impossible")
    if state.late >> 60 or state.left_from > state.late + 1 or not 0 <= state.left_ns < LATEST_NS:
        raise file.damaged("the numbers of the flight recorder are impossible")


cdef check_entries(DeadSpool file):
    """Makes sure that the entries of the flight recorder can be rendered, and reads its large records."""
    cdef SpoolHeader* header = file.spool.header
    cdef Recorder recorder
    cdef uint64_t at, head
    cdef KeptEntry* entry
    if header.recorder_capacity == 0:
        return
    recorder_begin(&recorder, &header.recorder, file.spool.recorder, header.recorder_capacity)
    file.entries_from = file.entries_to = at = header.recorder.tail
    head = recorder_head(&recorder)
    while at != head:
        entry = entry_at(&recorder, at)
        check_entry(file, entry, min(head - at, header.recorder_capacity - (at & recorder.mask)))
        at += entry.size
        file.entries_to = at
    list_late(file, &recorder)
    if header.recorder.left_from:
        file.last_ns = header.recorder.left_ns  # what the recovery before this one has said


cdef list_late(DeadSpool file, const Recorder* recorder):
    """Puts the entries that dumps have begun to write in order."""
    cdef uint64_t at = file.entries_from
    cdef uint64_t count = 0
    cdef uint64_t i
    cdef KeptEntry* entry
    while at != file.entries_to:
        entry = entry_at(recorder, at)
        count += entry.kind != NO_ENTRY and entry.late != 0
        at += entry.size
    if count == 0:
        return
    file.late_entry = <LateEntry*> malloc(count * sizeof(LateEntry))
    if file.late_entry == NULL:
        raise MemoryError
    at = file.entries_from
    count = 0
    while at != file.entries_to:
        entry = entry_at(recorder, at)
        if entry.kind != NO_ENTRY and entry.late != 0:
            file.late_entry[count].late = entry.late
            file.late_entry[count].position = at
            count += 1
        at += entry.size
    qsort(file.late_entry, count, sizeof(LateEntry), compare_late)
    for i in range(1, count):
        if file.late_entry[i].late == file.late_entry[i - 1].late:
            raise file.damaged("two entries of the flight recorder have the same number")
    # A process may be killed when it has given a number to an entry and not counted it.
    if file.late_entry[count - 1].late > file.spool.header.recorder.late + 1:
        raise file.damaged("an entry of the flight recorder has an impossible number")
    file.spool.late_entry = file.late_entry
    file.spool.late_entries = count


cdef check_kept_numbers(DeadSpool file):
    """Compares the numbers of the flight recorder with each other."""
    cdef const SpoolHeader* header = file.spool.header
    cdef const RecorderState* state = &header.recorder
    cdef uint64_t kept = header.released_kept[header.released_current].kept
    cdef uint64_t taken = state.end[state.current].taken
    cdef uint64_t late = header.released_kept[header.released_current].late
    cdef int i
    if header.recorder_capacity == 0:
        return
    for i in range(SPOOL_SLOTS):
        if header.slot[i].name_size:
            late = max(late, slot_late_done(&header.slot[i]))
    # `late` counts up after the entry has its number, and no sink has got it before.
    if late > state.late or kept > taken or taken - kept > file.kept_in_ring:
        raise file.damaged("the numbers of the flight recorder are impossible")


cdef share_recorder(DeadSpool file):
    """From now on what happens to the entries happens in the file. Until then, a damaged one was left as it is."""
    cdef SpoolHeader* header = file.spool.header
    cdef Mapping checked = file.recorder_map
    cdef Mapping shared
    cdef uint64_t at = file.entries_from
    cdef uint64_t place
    cdef KeptEntry* entry
    if header.recorder_capacity == 0 or file.is_copy:
        return
    file.map_part(&shared, file.descriptor.fd, header.recorder_offset, header.recorder_capacity, MAPPED_SHARED)
    while at != file.entries_to:
        place = at & (header.recorder_capacity - 1)
        entry = <KeptEntry*> (checked.start + place)
        if entry.kind == HEAP_ENTRY:
            heap_of(<KeptEntry*> (shared.start + place)).block = heap_of(entry).block
        at += entry.size
    file.recorder_map = shared
    file.spool.recorder = shared.start
    mapping_end(&checked)


cdef check_entry(DeadSpool file, KeptEntry* entry, uint64_t room):
    cdef RecordHeader* record
    cdef int64_t time_ns
    if room < PREFIX_SIZE or entry.size < PREFIX_SIZE or entry.size & 7 or entry.size > room:
        raise file.damaged("an entry of the flight recorder has an impossible size")
    if entry.kind == NO_ENTRY:
        return
    if entry.kind > HEAP_ENTRY or entry.size < sizeof(KeptEntry):
        raise file.damaged("an entry of the flight recorder is of no known kind")
    room = entry.size - sizeof(KeptEntry)
    if entry.kind == HEAP_ENTRY:
        if room < sizeof(RecordHeap) + 8:
            raise file.damaged("an entry of the flight recorder is not one")
        heap_of(entry).block = NULL
        if heap_of(entry).blob == 0:
            return  # its block was in memory only
        record = file.load_large(heap_of(entry), 0)
        file.entries_to += entry.size  # its block is freed, whatever comes next
        record.ticks = (<uint64_t*> (heap_of(entry) + 1))[0]
    else:
        record = record_of(entry)
        if not record_is_sound(<const char*> record, room, &file.names):
            raise file.damaged("an entry of the flight recorder is not one")
    if not record.flags & IS_KEPT:
        raise file.damaged("an entry of the flight recorder is not one")
    time_ns = <int64_t> record.ticks
    if not 0 <= time_ns < LATEST_NS:
        raise file.damaged("an entry of the flight recorder has an impossible time")
    file.last_ns = max(file.last_ns, time_ns)


cdef bint keeps_some(DeadSpool file):
    """Whether the flight recorder has records that no dump has taken."""
    cdef Recorder recorder
    cdef KeptEntry* entry
    cdef uint64_t at
    if file.spool.recorder == NULL:
        return False
    recorder_begin(&recorder, &file.spool.header.recorder, file.spool.recorder, file.spool.header.recorder_capacity)
    at = file.spool.header.recorder.tail
    while at != recorder_head(&recorder):
        entry = entry_at(&recorder, at)
        # What was in memory only is lost.
        if entry.kind != NO_ENTRY and entry.late == 0 and (entry.kind != HEAP_ENTRY or heap_of(entry).blob):
            return True
        at += entry.size
    return False
