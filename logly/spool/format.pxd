"""The spool's file: a ring and its reader's progress in mapped memory, readable after the process was killed.

    header | staging, one piece per sink file | ring | recorder | names (appended) | blobs (records too large for the ring)

A store to a shared mapping survives the death of its process, and a process dies between two instructions. So the order of
stores is what counts. Every change here takes effect by one store at its end. This is a release store, which keeps the
compiler and other processors from moving earlier stores behind it.

Each sink file gets each record exactly once. Before the bytes of some records go to `write(2)`, they are staged in the spool,
together with the place in the log file where they will land (`slot_begin`). Afterwards one store says that they have landed
(`slot_written`). A successor that finds a write begun compares the log file with the staged bytes and writes what is missing.
The ring's space, and with it the records, is released only when every sink has written them.

A killed process keeps this order of stores. `flusher/spool_sync.pxd` says what it takes to survive the loss of power.

Checksums. The header's fixed part and each name have one, and so has each line of the clock. Records have none when they are
logged, because it would cost the caller a third of the call, and SIGKILL flips no bits. Where the spool is synced, each sync
sums up the ring between its two positions (`Synced.ring_checksum`), and each large record's copy (`RecordHeap.checksum`). So
what was synced is either as it was or known to be damaged. What was logged later is checked for its structure only.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy, memmove

from logly.ring.record cimport BLOB_CHECKED, RecordHeap
from logly.ring.recorder cimport RecorderState
from logly.ring.ring cimport RECORD_HEAP, Ring, RingPositions
from logly.system.atomic cimport fence_compiler, fetch_add, fetch_add32, fetch_sub32, store_release, store_release32
from logly.system.clock cimport ClockCalibration, ClockLine
from logly.system.crc32c cimport crc32c
from logly.system.fd cimport fd_is_file, fd_punch

cdef enum:
    SPOOL_VERSION = 7            # of this layout, and of the records' (ring/record.pxd)
    SPOOL_SLOTS = 16             # sink files with exact progress; further files get records at least once
    SLOT_NAME_BYTES = 1960
    HEADER_BYTES = 65536         # also the alignment of the parts, because it is the largest page size in use
    SYNCED_OFFSET = 57344        # two `Synced`, in disk blocks of their own
    SYNCED_APART = 4096
    MAX_SYNC_FILES = 64
    STAGE_BYTES = 131072         # per slot; mostly more than a sink's buffer and one line
    RING_OFFSET = HEADER_BYTES + SPOOL_SLOTS * STAGE_BYTES
    NAMES_BYTES = 1 << 28        # room for names, never allocated in advance; blobs are beyond
    MAX_DEAD_BLOBS = 64

cdef enum SlotState:
    SLOT_IDLE = 0                # records below `done` are in the sink's file
    SLOT_WRITING                 # the staged bytes are on their way
    SLOT_WRITTEN                 # records below `end` are in the sink's file


# One sink file's progress. Record numbers count from the first record that was ever put into this ring.
cdef struct SpoolSlot:
    uint32_t state
    int32_t sink_id              # 0: the slot is free
    uint64_t done
    uint64_t end
    uint64_t device              # the file that the staged bytes go to; `offset` is its length before
    uint64_t inode
    uint64_t offset
    uint64_t length              # staged bytes
    uint64_t blob                # offset of the staged bytes when they are too many for the slot's piece, or 0
    uint32_t checksum            # of the staged bytes, where the spool is synced; else 0
    uint32_t name_size
    char name[1960]              # path of the sink's file
    uint64_t late_done           # as `done` and `end`, of the records that dumps of the flight recorder write
    uint64_t late_end


cdef struct Released:
    uint64_t position            # in the ring
    uint64_t sequence            # number of the record there


cdef struct ReleasedKept:
    uint64_t kept                # number of the next record for the flight recorder
    uint64_t late                # records below this number that its dumps gave to the sinks are in the sinks' files


cdef struct SpoolHeader:
    char magic[8]
    uint32_t version
    uint32_t byte_order
    uint32_t checksum            # of the fixed part, this field being 0
    uint32_t header_size
    uint64_t process
    uint64_t created_ns
    uint64_t ring_capacity
    uint64_t ring_offset
    uint64_t recorder_offset
    uint64_t recorder_capacity   # 0: there is no flight recorder
    uint64_t names_offset
    uint64_t blobs_offset
    # the fields from here on change all the time
    char apart[40]
    RingPositions positions
    Released released[2]
    uint32_t released_current
    uint32_t lacks_levels        # the names may lack levels that records refer to, because the disk was full; or their numbers
    uint64_t names_end           # the names before it are whole
    uint64_t clock_checksum[2]   # of the two lines of `calibration`
    ClockCalibration calibration
    SpoolSlot slot[16]
    uint64_t boot                # the start of the machine for which all this holds; 0: the spool is not synced
    RecorderState recorder       # the flight recorder
    ReleasedKept released_kept[2]   # belongs to `released`


# What is known to be on the disk. After the machine has been started again, nothing else in the header can be believed, because
# the kernel wrote its pages at moments of its own choice. Of the two copies, the newest one that is whole counts.
cdef struct Synced:
    uint64_t generation
    uint64_t head                # records before it are in the ring
    uint64_t position            # records before it are in the sinks' files; `sequence` is the number of the record there
    uint64_t sequence
    uint64_t names_end           # names before it are in the file; `lacks_levels` is as in the header
    uint64_t lacks_levels
    uint64_t ring_checksum       # CRC-32C of the ring's bytes between `position` and `head`
    ClockCalibration calibration
    uint64_t checksum            # of all the others


cdef struct DeadBlob:
    uint64_t offset
    uint64_t size


# Another descriptor of a sink's file, which is being synced.
cdef struct SyncFile:
    int fd                       # -1: closed
    uint64_t device              # of the file
    uint64_t inode


# An entry of a dead process's flight recorder that a dump had begun to write.
cdef struct LateEntry:
    uint64_t late                # as `KeptEntry.late`
    uint64_t position            # in the recorder


# A mapped spool in the process that writes it, or in the one that recovers it.
cdef struct Spool:
    SpoolHeader* header
    char* stage
    Ring* ring
    void* owner                  # the Python object (SpoolFile) that unmaps it
    int fd
    uint64_t device              # of the file that `fd` was opened on: the program may close the number and use it for another
    uint64_t inode
    const char* path             # the file's name, in the process that writes it
    int64_t look_due_ns          # when to look next whether the path still names the file: flusher/spool_watch.pxd
    uint32_t is_lost             # it did not
    bint begun                   # the engine has begun to consume its ring
    uint32_t finished            # everything was written and released, so the file may be removed
    uint64_t base                # the engine's sequence number of this ring's record 0 (modulo 2**64)
    uint64_t blob_end            # atomic: the next blob goes here
    uint32_t writers             # atomic: threads that write a blob; meanwhile the ring and the file must stay
    uint64_t anchor_ticks        # latest clock anchor that the header has
    uint32_t dead_blobs
    DeadBlob dead_blob[64]       # blobs of consumed records, to be removed when the records are released
    char* recorder               # the flight recorder's entries: see ring/recorder.pxd
    const LateEntry* late_entry  # of a dead process, in the order of their numbers; the Python object frees them
    uint64_t late_entries
    uint64_t kept_next           # number of the next record of the ring that is for it
    uint64_t written_to          # position in the ring, and number, of the first record that some sink still has
    uint64_t written_sequence
    bint keeps_blobs             # while it is recovered: should power be lost meanwhile, the next recovery needs the blobs
    # used by flusher/spool_sync.pxd
    bint syncs
    uint32_t syncing             # a thread is syncing it; meanwhile the ring and the file must stay
    uint64_t synced_head
    uint64_t summed_from         # `sum` is of the ring's bytes between these two positions
    uint64_t summed_to
    uint32_t sum
    uint64_t summed_heap_bytes   # of the large records below `summed_to`
    uint64_t generation
    int64_t sync_due_ns
    uint32_t written_blobs       # how many in `dead_blob` are of records that every sink has written
    uint32_t sync_files
    SyncFile sync_file[64]
    int64_t sync_told_ns


cdef extern from * nogil:
    """
    #ifndef LOGLY_SPOOL
    #define LOGLY_SPOOL
    #include <cerrno>
    #include <cstdint>
    #ifdef _WIN32
    static inline int spool_pwrite(int, const char*, uint64_t, uint64_t) { return 0; }
    static inline int64_t spool_pread(int, char*, uint64_t, uint64_t) { return -1; }
    #else
    #include <fcntl.h>
    #include <unistd.h>
    static inline int spool_pwrite(int fd, const char* data, uint64_t size, uint64_t offset) {
        while (size) {
            ssize_t n = pwrite(fd, data, size, (off_t)offset);
            if (n <= 0) { if (n < 0 && errno == EINTR) continue; return 0; }
            data += n; offset += n; size -= n;
        }
        return 1;
    }
    static inline int64_t spool_pread(int fd, char* out, uint64_t size, uint64_t offset) {
        ssize_t n;
        do n = pread(fd, out, size, (off_t)offset); while (n < 0 && errno == EINTR);
        return n;
    }
    #endif
    #endif
    """
    bint spool_pwrite(int fd, const char* data, uint64_t size, uint64_t offset) noexcept
    int64_t spool_pread(int fd, char* out, uint64_t size, uint64_t offset) noexcept


# False when the program has closed the descriptor, as programs that become daemons do. The number may be another file's now.
cdef inline bint spool_has_file(const Spool* spool) noexcept nogil:
    return fd_is_file(spool.fd, spool.device, spool.inode)


# Keeps the ring and the file in place until `spool_unpin`. Called while the ring cannot be retired: with the GIL, or with the
# lock of the shared ring.
cdef inline void spool_pin(Spool* spool) noexcept nogil:
    fetch_add32(&spool.writers, 1)


cdef inline void spool_unpin(Spool* spool) noexcept nogil:
    fetch_sub32(&spool.writers, 1)


# Writes bytes of any size behind the mapping, so that a full disk is an error and no SIGBUS. Returns their offset, or 0 when
# there is no room.
cdef inline uint64_t spool_put_blob(Spool* spool, const char* data, uint64_t size) noexcept nogil:
    cdef uint64_t offset = fetch_add(&spool.blob_end, (size + 4095) & ~<uint64_t> 4095)
    return offset if spool_has_file(spool) and spool_pwrite(spool.fd, data, size, offset) else 0


cdef inline void spool_drop_blob_later(Spool* spool, uint64_t offset, uint64_t size) noexcept nogil:
    # Blobs beyond the table's size give their space back when the file is removed.
    if offset and spool.dead_blobs < MAX_DEAD_BLOBS and not spool.keeps_blobs:
        spool.dead_blob[spool.dead_blobs].offset = offset
        spool.dead_blob[spool.dead_blobs].size = (size + 4095) & ~<uint64_t> 4095
        spool.dead_blobs += 1


# Lets the producer overwrite what is below `position`. A successor must no longer begin below it when this is called.
cdef inline void spool_give_back(Spool* spool, uint64_t position, uint32_t blobs) noexcept nogil:
    cdef uint32_t i
    store_release(&spool.header.positions.tail, position)
    for i in range(blobs if blobs and spool_has_file(spool) else 0):
        fd_punch(spool.fd, spool.dead_blob[i].offset, spool.dead_blob[i].size)
    if blobs:
        memmove(&spool.dead_blob[0], &spool.dead_blob[blobs], (spool.dead_blobs - blobs) * sizeof(DeadBlob))
        spool.dead_blobs -= blobs
        spool.written_blobs -= blobs


# Called when every sink has written everything that was consumed so far.
cdef inline void spool_release(Spool* spool, uint64_t sequence, uint64_t late) noexcept nogil:
    cdef SpoolHeader* header = spool.header
    cdef uint32_t other = 1 - header.released_current
    header.released[other].position = spool.ring.tail
    header.released[other].sequence = sequence - spool.base
    header.released_kept[other].kept = spool.kept_next
    header.released_kept[other].late = late
    store_release32(&header.released_current, other)
    spool.written_to = spool.ring.tail
    spool.written_sequence = sequence - spool.base
    spool.written_blobs = spool.dead_blobs
    if not spool.syncs:
        spool_give_back(spool, spool.written_to, spool.written_blobs)


cdef extern from * nogil:
    """
    #ifndef LOGLY_WORDS_CHECKSUM
    #define LOGLY_WORDS_CHECKSUM
    #include <cstdint>
    // FNV-1a, by words.
    static inline uint64_t words_checksum(const void* data, uint64_t size) {
        const uint64_t* word = static_cast<const uint64_t*>(data);
        uint64_t sum = 0xcbf29ce484222325ull;
        for (uint64_t i = 0; i < size / 8; ++i) sum = (sum ^ word[i]) * 0x100000001b3ull;
        return sum;
    }
    #endif
    """
    uint64_t words_checksum(const void* data, uint64_t size) noexcept


cdef inline uint64_t clock_line_checksum(const ClockCalibration* calibration, uint32_t line) noexcept nogil:
    return words_checksum(&calibration.lines[line], sizeof(ClockLine)) ^ (2 * calibration.ticks_are_ns + line)


# Saves the clock by which a successor converts time stamps. The line that is current in the header is never touched.
cdef inline void spool_save_clock(Spool* spool, const ClockCalibration* calibration) noexcept nogil:
    cdef ClockCalibration* saved = &spool.header.calibration
    cdef uint32_t other = 1 - saved.current
    if spool.anchor_ticks == calibration.lines[calibration.current].latest.ticks:
        return
    saved.lines[other] = calibration.lines[calibration.current]
    spool.header.clock_checksum[other] = clock_line_checksum(saved, other)
    store_release32(&saved.current, other)
    spool.anchor_ticks = calibration.lines[calibration.current].latest.ticks


# ---- one sink file's progress

cdef inline uint64_t slot_done(const SpoolSlot* slot) noexcept nogil:
    return slot.end if slot.state == SLOT_WRITTEN else slot.done


cdef inline uint64_t slot_late_done(const SpoolSlot* slot) noexcept nogil:
    return slot.late_end if slot.state == SLOT_WRITTEN else slot.late_done


cdef inline char* slot_stage(Spool* spool, const SpoolSlot* slot) noexcept nogil:
    return spool.stage + (slot - &spool.header.slot[0]) * STAGE_BYTES


# Stages bytes before they are written. `end` is the engine's number of the first record that is not in these bytes. `late_end`:
# that of the first late one; 0: none is in them.
cdef inline void slot_begin(
    Spool* spool, SpoolSlot* slot, const char* data, uint64_t size, uint64_t end, uint64_t late_end, const uint64_t* place
) noexcept nogil:
    cdef uint64_t done = slot_done(slot)
    cdef uint64_t late_done = slot_late_done(slot)
    cdef uint64_t blob = 0
    if size > STAGE_BYTES:
        blob = spool_put_blob(spool, data, size)
    slot.done = done
    slot.late_done = late_done
    store_release32(&slot.state, SLOT_IDLE)
    fence_compiler()  # a release store keeps earlier stores before it, but not later stores behind it
    if size > STAGE_BYTES and blob == 0:
        return  # no room for staging: should the process die in this write, its records are written once more
    # A record that was logged before this ring was used (into plain memory) has no number in it.
    slot.end = end - spool.base if <int64_t> (end - spool.base) >= 0 else 0
    if slot.end < done:
        slot.end = done
    slot.late_end = late_end if late_end > late_done else late_done
    slot.device = place[0]
    slot.inode = place[1]
    slot.offset = place[2]
    slot.length = size
    slot.blob = blob
    slot.checksum = crc32c(0, data, size) if spool.syncs else 0
    if blob == 0:
        memcpy(slot_stage(spool, slot), data, size)
    store_release32(&slot.state, SLOT_WRITING)


cdef inline void slot_written(Spool* spool, SpoolSlot* slot) noexcept nogil:
    if slot.state != SLOT_WRITING:
        return
    store_release32(&slot.state, SLOT_WRITTEN)
    if slot.blob and spool_has_file(spool):
        fd_punch(spool.fd, slot.blob, slot.length)


# Called when the rest of the staged bytes will not be written. Records below `done`, and late ones below `late_done`, have been.
cdef inline void slot_cancel(Spool* spool, SpoolSlot* slot, uint64_t done, uint64_t late_done) noexcept nogil:
    if slot.state != SLOT_WRITING:
        return
    if late_done > slot.late_done:
        store_release(&slot.late_done, late_done)
    if <int64_t> (done - spool.base) >= 0 and done - spool.base > slot.done:
        store_release(&slot.done, done - spool.base)
    store_release32(&slot.state, SLOT_IDLE)


# Called when the sink has nothing left to write below `sequence`, nor of the late records below `late`.
cdef inline void slot_pass(Spool* spool, SpoolSlot* slot, uint64_t sequence, uint64_t late) noexcept nogil:
    if slot.state == SLOT_WRITING:
        return
    if late > slot_late_done(slot):
        store_release(&slot.late_end if slot.state == SLOT_WRITTEN else &slot.late_done, late)
    if <int64_t> (sequence - spool.base) >= 0 and sequence - spool.base > slot_done(slot):
        store_release(&slot.end if slot.state == SLOT_WRITTEN else &slot.done, sequence - spool.base)


cdef inline Synced* synced_copy(SpoolHeader* header, uint64_t generation) noexcept nogil:
    return <Synced*> (<char*> header + SYNCED_OFFSET + (generation & 1) * SYNCED_APART)


cdef inline uint64_t synced_checksum(const Synced* copy) noexcept nogil:
    return words_checksum(copy, <uint64_t> (<const char*> &copy.checksum - <const char*> copy))


# Returns the newest copy that is whole, or NULL.
cdef inline Synced* synced_latest(SpoolHeader* header) noexcept nogil:
    cdef Synced* best = NULL
    cdef Synced* copy
    cdef uint64_t i
    for i in range(2):
        copy = synced_copy(header, i)
        if copy.generation and copy.checksum == synced_checksum(copy) and (best == NULL or copy.generation > best.generation):
            best = copy
    return best


# The CRC-32C of the ring's bytes between two positions, after those of which `sum` is.
cdef inline uint32_t ring_checksum(
    const char* data, uint64_t capacity, uint64_t start, uint64_t end, uint32_t sum
) noexcept nogil:
    cdef uint64_t offset = start & (capacity - 1)
    cdef uint64_t size = end - start
    cdef uint64_t before = capacity - offset
    if size <= before:
        return crc32c(sum, data + offset, size)
    return crc32c(crc32c(sum, data + offset, before), data, size - before)


# Sums up the copy of a large record, as it is in the file. Returns False when it cannot be read.
cdef inline bint sum_blob(const Spool* spool, RecordHeap* heap) noexcept nogil:
    cdef char block[8192]
    cdef uint64_t done = 0
    cdef uint64_t most
    cdef int64_t count
    cdef uint32_t sum = 0
    while done < heap.block_size:
        most = heap.block_size - done
        count = spool_pread(spool.fd, block, most if most < sizeof(block) else sizeof(block), heap.blob + done)
        if count <= 0:
            return False
        sum = crc32c(sum, block, <uint64_t> count)
        done += <uint64_t> count
    heap.checksum = BLOB_CHECKED | sum
    return True


# Sums up the copies of the large records below `head`, which the sync before did not know. Returns False when one cannot be read.
cdef inline bint sum_blobs(Spool* spool, uint64_t position, uint64_t head) noexcept nogil:
    cdef Ring* ring = spool.ring
    cdef RecordHeap* heap
    cdef uint64_t at = spool.summed_to
    cdef bint is_read = True
    if ring.heap_bytes_in == spool.summed_heap_bytes:
        return True
    while at != head:
        heap = <RecordHeap*> (ring.data + (at & ring.mask))
        if heap.kind == RECORD_HEAP:
            spool.summed_heap_bytes += heap.block_size
            # Below `position` the copy is not needed any more.
            if heap.blob and at - position < head - position and not sum_blob(spool, heap):
                is_read = False
        at += heap.size
    return is_read


# Sums up the records between `position` and `head` before they are synced. Called for each sync, because afterwards what lies
# below `position` may be overwritten. Returns False when a large record's copy cannot be read.
cdef inline bint spool_sum(Spool* spool, uint64_t position, uint64_t head) noexcept nogil:
    cdef bint is_read = sum_blobs(spool, position, head)
    if spool.summed_from != position:
        spool.summed_from = spool.summed_to = position
        spool.sum = 0
    # Where sinks do not get on, only what is new is summed up.
    spool.sum = ring_checksum(spool.ring.data, spool.ring.capacity, spool.summed_to, head, spool.sum)
    spool.summed_to = head
    return is_read


# Writes the older one of the two copies in memory. The other one stays as it is on the disk.
cdef inline void synced_write(
    Spool* spool, uint64_t head, uint64_t position, uint64_t sequence, uint64_t names_end, const ClockCalibration* calibration
) noexcept nogil:
    cdef Synced* copy
    spool.generation += 1
    copy = synced_copy(spool.header, spool.generation)
    copy.generation = spool.generation
    copy.head = head
    copy.position = position
    copy.sequence = sequence
    copy.names_end = names_end
    copy.lacks_levels = spool.header.lacks_levels
    copy.ring_checksum = spool.sum
    copy.calibration = calibration[0]
    copy.checksum = synced_checksum(copy)


# Called when a sync failed. The ring's space is used again nevertheless, because the program would stand still otherwise. So what
# the disk says must not be believed until a sync succeeds.
cdef inline void synced_revoke(Spool* spool) noexcept nogil:
    synced_copy(spool.header, 0).generation = 0
    synced_copy(spool.header, 1).generation = 0
