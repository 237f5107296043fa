"""Makes durable what was committed to a spool, so that it also survives the loss of power.

The kernel writes the pages of a file to the disk whenever it likes, in any order. What was synced is on the disk. Of what was
changed since then, each page may be there or not. So `engine_sync` does this, in this order:

1. With the engine's lock: note the ring's head, and how far every sink has written (`written_to`).
2. Sync the sinks' files: what is below `written_to` is in them for good.
3. Sum up the records between `written_to` and the head, so that a bit that is flipped later is known to be (`spool_sum`).
4. Sync the spool's file: now the ring, the names and the blobs below the head are on the disk.
5. Write both positions and the sum, with a checksum, into the older one of two places (`Synced`), and sync that.
6. Only now give the ring's space below `written_to` back to the producer (`positions.tail`): until then the disk says that the
   records there count, so nothing may be stored over them.

A successor that finds that the machine has been started again believes the newest `Synced` that is whole, and nothing else of
the header. It delivers everything between the two positions. A line that was written after the last sync may be in a file
already, so this is delivery at least once.

The thread that makes passes does this between two passes, without the engine's lock. It is the flusher, or a caller that makes
passes in its place.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from logly.flusher.sink cimport File, Sink
from logly.flusher.state cimport TELL_NS, Engine, engine_lock, engine_unlock
from logly.ring.gate cimport POST_DRAIN
from logly.ring.ring cimport Ring
from logly.spool.format cimport (
    HEADER_BYTES, MAX_SYNC_FILES, Spool, SyncFile, spool_give_back, spool_has_file, spool_sum, synced_revoke,
    synced_write,
)
from logly.system.atomic cimport load_acquire, load_acquire32, load_relaxed, load_relaxed32, store_relaxed32
from logly.system.clock cimport ClockCalibration, clock_monotonic_ns
from logly.system.event cimport event_signal
from logly.system.fd cimport EBADF, FD_FILE, fd_close, fd_copy, fd_is_file, fd_open_again, fd_sync

cdef extern from * nogil:
    """
    #ifndef LOGLY_DURABLE
    #define LOGLY_DURABLE
    #include <cerrno>
    #include <cstdint>
    #ifdef _WIN32
    static inline int memory_sync(void*, uint64_t) { return ENOSYS; }
    #else
    #include <sys/mman.h>
    static inline int memory_sync(void* start, uint64_t size) {
        while (msync(start, size, MS_SYNC) != 0) if (errno != EINTR) return errno;
        return 0;
    }
    #endif
    #endif
    """
    int memory_sync(void* start, uint64_t size) noexcept
    enum:
        EIO


# Returns the spool that is to be synced now, or NULL. A caller syncs only where nothing else gives it room, or where there is no
# flusher.
cdef inline Spool* spool_to_sync(Engine* engine, bint is_flusher) noexcept nogil:
    cdef int64_t now = clock_monotonic_ns()
    cdef bint by_time = is_flusher or load_relaxed32(&engine.intake.post) & POST_DRAIN != 0
    cdef Ring* ring = engine.rings
    cdef Spool* spool
    cdef uint64_t head
    engine.sync.wait_ns = engine.sync.interval_ns
    while ring != NULL:
        spool = <Spool*> ring.spool
        if spool != NULL and spool.syncs and not spool.syncing:
            head = load_acquire(&ring.positions.head)
            if spool.written_to != ring.positions.tail and (
                head - ring.positions.tail > ring.capacity >> 1 or load_relaxed(&engine.intake.traffic.waiters)
                or load_acquire32(&ring.retired)
            ):
                return spool
            if spool.written_to != ring.positions.tail or head != spool.synced_head:
                if by_time and now >= spool.sync_due_ns:
                    return spool
                if spool.sync_due_ns - now < engine.sync.wait_ns:
                    engine.sync.wait_ns = spool.sync_due_ns - now
        ring = ring.next
    return NULL


# False when other code has closed the descriptor. The number may be another file's now: a copy of it, once closed, would take
# the program's record locks (`fcntl.lockf`) off that file.
cdef inline bint descriptor_is_its_own(const File* file) noexcept nogil:
    return not file.is_ours or fd_is_file(file.fd, file.device, file.inode)


# Returns another descriptor of a sink's file, or -1. A file whose descriptor was closed is opened by its name: what was written
# to it counts as delivered after this sync.
cdef inline int another_descriptor(const File* file) noexcept nogil:
    return fd_copy(file.fd) if descriptor_is_its_own(file) else fd_open_again(file.path, file.device, file.inode)


# Keeps copies of the descriptors of the sinks' files, because other threads may close the files meanwhile. (A file that is
# replaced is synced by `sync_left_file`.)
cdef inline int hold_files(Engine* engine, Spool* spool) noexcept nogil:
    cdef Sink* sink = engine.sinks
    cdef SyncFile* held
    cdef int copy, failed
    cdef int error = 0
    spool.sync_files = 0
    while sink != NULL:
        if sink.file.path[0] and sink.file.kind == FD_FILE:
            copy = another_descriptor(&sink.file) if spool.sync_files < MAX_SYNC_FILES else -1
            if copy >= 0:
                held = &spool.sync_file[spool.sync_files]
                held.fd = copy
                held.device = sink.file.device
                held.inode = sink.file.inode
                spool.sync_files += 1
            elif sink.file.fd >= 0:
                failed = fd_sync(sink.file.fd) if descriptor_is_its_own(&sink.file) else EBADF
                error = error or failed
        sink = sink.next
    return error


# Closes a copy, unless other code has closed it and the number is another file's.
cdef inline void let_go(SyncFile* held) noexcept nogil:
    cdef int fd = held.fd
    # Cleared before the close: a child that is forked in between must not close the number twice.
    held.fd = -1
    if fd >= 0 and fd_is_file(fd, held.device, held.inode):
        fd_close(fd)


cdef inline int sync_held_files(Spool* spool) noexcept nogil:
    cdef int error = 0
    cdef int failed
    cdef SyncFile* held
    cdef uint32_t i
    for i in range(spool.sync_files):
        held = &spool.sync_file[i]
        failed = fd_sync(held.fd) if fd_is_file(held.fd, held.device, held.inode) else EBADF
        error = error or failed
        let_go(held)
    spool.sync_files = 0
    return error


cdef inline void close_sync_files(Spool* spool) noexcept nogil:
    cdef uint32_t i
    for i in range(spool.sync_files):
        let_go(&spool.sync_file[i])
    spool.sync_files = 0


cdef inline void sync_failed(Engine* engine, Spool* spool, int error) noexcept nogil:
    cdef int64_t now = clock_monotonic_ns()
    if spool.sync_told_ns == 0 or now - spool.sync_told_ns >= TELL_NS:
        spool.sync_told_ns = now
        engine.sync.error = error
        store_relaxed32(&engine.requests.python, 1)


# Returns True when something was synced, so that the ring may have got room.
cdef inline bint engine_sync(Engine* engine, bint is_flusher) noexcept nogil:
    cdef Spool* spool
    cdef uint64_t head, position, sequence, names_end
    cdef uint32_t blobs
    cdef ClockCalibration calibration
    cdef int file_error = 0, error
    engine_lock(engine)
    spool = spool_to_sync(engine, is_flusher)
    if spool == NULL:
        engine_unlock(engine)
        return False
    spool.syncing = 1
    spool.sync_due_ns = clock_monotonic_ns() + engine.sync.interval_ns
    head = load_acquire(&spool.header.positions.head)
    position = spool.written_to
    sequence = spool.written_sequence
    blobs = spool.written_blobs
    calibration = spool.header.calibration
    if position != spool.header.positions.tail:
        file_error = hold_files(engine, spool)
    engine_unlock(engine)
    error = sync_held_files(spool)
    file_error = file_error or error
    # After the head was read: a name is in the file before the record that uses it is committed.
    names_end = load_acquire(&spool.header.names_end)
    error = 0 if spool_sum(spool, position, head) else EIO
    if not spool_has_file(spool):
        error = EBADF
    if error == 0:
        error = fd_sync(spool.fd)
    if error == 0:
        synced_write(spool, head, position, sequence, names_end, &calibration)
        error = memory_sync(spool.header, HEADER_BYTES)
    engine_lock(engine)
    if error:
        synced_revoke(spool)
    if error or file_error:
        sync_failed(engine, spool, error or file_error)
    spool.synced_head = head
    spool_give_back(spool, position, blobs)
    spool.syncing = 0
    engine_unlock(engine)
    event_signal(&engine.intake.traffic.space)
    return True


# Syncs a file that a sink is about to leave, for a spool that survives the loss of power. What was written to the file counts as
# delivered at the next sync, which does not know the file any more. The sink's Python side has synced the file just before,
# so that the lock is not held for long here.
cdef inline void sync_left_file(Engine* engine, Sink* sink) noexcept nogil:
    if engine.sync.interval_ns and sink.file.fd >= 0 and sink.file.kind == FD_FILE:
        fd_sync(sink.file.fd)
