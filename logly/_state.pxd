"""What producers and the flusher of one logger share: the engine's state, its lock, waking the flusher, the books.

The n-th record taken from the rings has the sequence number n. A sink knows which numbers its buffer holds, so "written"
is the position that every sink has passed, and a record that several sinks failed is counted once.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport realloc
from libc.string cimport memmove

from logly._atomic cimport (
    fence_full, load_relaxed, load_relaxed32, store_release32,
)
from logly._buffer cimport Buffer
from logly._clock cimport ClockCalibration
from logly._event cimport Event, event_prepare, event_signal, event_wait
from logly._line cimport Level, Site, Text
from logly._lock cimport Lock, lock_release, lock_take
from logly._merge cimport Merge
from logly._output cimport Sink, sink_oldest
from logly._program cimport Program
from logly._record cimport FieldIndex
from logly._ring cimport Ring
from logly._spool cimport Spool

cdef enum:
    MAX_LEVELS = 256
    RELEASE_BYTES = 65536      # consumed bytes after which blocked producers get room
    KEPT_BYTES = 1 << 20       # of a buffer for one message, between two messages
    SOON_NS = 50000
    LEAST_SLEEP_NS = 200000    # of a flusher that keeps pace with its producers
    TURN_NS = 10000000         # how long the flusher leaves the lock to somebody who waits for it, and for the GIL
    RETRY_BLOCKED_NS = 10000000
    RETRY_FAILED_NS = 50000000
    TELL_NS = 1000000000       # the same trouble is told once in this time

cdef extern from * nogil:
    """
    #define LOGLY_NO_MARK (~0ull)
    """
    const uint64_t NO_MARK "LOGLY_NO_MARK"

cdef enum Need:                # what producers must put into records
    NEED_SITE = 1
    NEED_THREAD = 2
    NEED_THREAD_NAME = 4
    NEED_CONTEXT = 8
    NEED_CARE = 16             # a sink's Python code runs: mark the records that come from it

cdef enum Post:                # what producers must do after a commit
    POST_START = 1             # no flusher is running yet
    POST_SYNC = 2              # a synchronous sink is there
    POST_DRAIN = 4             # no flusher any more: the caller does its work
    POST_WAKE = 8              # flush interval 0: the flusher is to write at once

cdef enum PassStatus:
    PASS_MORE = 1              # there is work now
    PASS_PYTHON = 2            # a sink wants Python
    PASS_HELD = 4              # something is left that cannot be written yet
    PASS_SOON = 8              # there is work in some microseconds: see _merge.pxd

cdef enum RunStatus:
    RUN_STOPPED = 0
    RUN_PYTHON = 1


cdef struct Engine:
    # read by producers
    int32_t threshold          # levels below it are off
    int32_t flush_level
    uint32_t needs
    uint32_t post
    uint32_t drops             # overflow="drop"
    Ring* ring                 # the one that producers write to; free-threaded builds: a spool's, shared, or NULL
    Lock ring_lock             # free-threaded builds: held by the producer that writes to `ring`
    uint32_t shares            # and `ring` is in use, or about to be: no thread makes a ring of its own
    uint64_t id                # free-threaded builds: see _threads.pxd
    uint64_t generation        # rings of an older one are given up
    uint64_t ring_capacity
    uint64_t heap_limit        # bytes of records in heap blocks that may wait
    uint64_t max_message_bytes
    char apart[128]
    # handshakes
    uint32_t asleep
    uint32_t wake_wanted
    uint32_t stop
    uint32_t python_wanted     # something to tell: the flusher returns to Python
    int64_t recovering_until_ns # what dead processes left is being written (monotonic): nothing is taken from the rings
    uint64_t waiters           # producers that wait for room
    uint64_t dropped           # records refused because the ring was full
    uint64_t flush_requested
    uint64_t flush_done
    Event wake
    Event space
    Event done
    Lock lock
    Event turn
    char apart2[128]
    # the consumer's, under `lock`
    Ring* rings                # every ring that may hold records
    Sink* sinks
    Spool* spool               # the one that the ring being consumed lies in, or NULL
    bint spooled               # rings are consumed one after the other, oldest first
    ClockCalibration calibration
    Buffer scratch
    Buffer message
    FieldIndex index           # of the record that is being rendered
    Buffer aside               # records for which the thread that does the flusher's work found no room in its ring
    size_t aside_start         # those before it have been taken
    bint gives_way             # the flusher's own pass: it ends early where somebody waits for the lock
    int64_t drained_ns         # the rings were empty then: what is taken from them now was logged later
    uint64_t drained           # records taken from rings: the sequence number of the next one
    uint64_t flush_active      # request that is being served
    uint64_t flush_mark        # it is done when every sink is past this record
    uint64_t flush_ticks       # free-threaded builds: when it was asked for; the mark is set when the rings are past that
    uint64_t settled_ticks     # up to here everything has been taken from the rings
    Merge merge
    uint64_t* failed           # sequence numbers of failed records that are not below every sink's position
    uint32_t failed_count
    uint32_t failed_capacity
    uint64_t failed_total
    uint64_t past_committed    # of rings that are gone
    uint64_t past_high_water
    uint64_t waiting_bytes     # most that a ring held when the pass began
    uint64_t told_dropped
    int64_t interval_ns
    int64_t stall_ns           # how long a sink in trouble may hold producers up
    int64_t sleep_ns
    int64_t sync_ns            # spools are made durable so often; 0: none ever was to be
    int64_t sync_wait_ns       # until the next time
    int sync_error             # that failed, and nobody has been told yet
    int64_t now_ns
    uint64_t process
    Text name
    Level levels[MAX_LEVELS]
    uint32_t level_count
    uint32_t level_versions
    Program** programs         # by id; the core's registries
    Site** sites


# ---- the lock: held for one pass; never waited for with the GIL, never held while waiting for the GIL

cdef inline void engine_lock(Engine* engine) noexcept nogil:
    if lock_take(&engine.lock):
        event_signal(&engine.turn)


cdef inline void engine_unlock(Engine* engine) noexcept nogil:
    lock_release(&engine.lock)


# Between two passes of a busy flusher the lock is free for an instant only: who has been woken for it comes too late every
# time. So the flusher waits until that one has had it.
cdef inline void engine_give_way(Engine* engine) noexcept nogil:
    cdef uint32_t ticket
    if load_relaxed(&engine.lock.waiters) == 0:
        return
    ticket = event_prepare(&engine.turn)
    if load_relaxed(&engine.lock.waiters):
        event_wait(&engine.turn, ticket, TURN_NS)


# ---- waking the flusher

# Store, fence, load: the flusher stores `asleep`, fences and loads `wake_wanted`, so one of the two sees the other
# (Dekker). Only urgent records and a ring past its half pay for the fence.
cdef inline void engine_wake(Engine* engine) noexcept nogil:
    # Release: who sees it sees the record that was committed before.
    store_release32(&engine.wake_wanted, 1)
    fence_full()
    if load_relaxed32(&engine.asleep):
        event_signal(&engine.wake)


# ---- books

# Every record below this sequence number has left every sink.
cdef inline uint64_t engine_position(Engine* engine) noexcept nogil:
    cdef uint64_t position = engine.drained
    cdef uint64_t oldest
    cdef Sink* sink = engine.sinks
    while sink != NULL:
        oldest = sink_oldest(sink, position)
        if oldest < position:
            position = oldest
        sink = sink.next
    return position


# Failed records that every sink has passed need not be remembered by number.
cdef inline void engine_prune_failed(Engine* engine, uint64_t position) noexcept nogil:
    cdef uint32_t below = 0
    if engine.failed_count == 0:
        return
    while below < engine.failed_count and engine.failed[below] < position:
        below += 1
    if below:
        engine.failed_count -= below
        memmove(engine.failed, engine.failed + below, 8 * <size_t> engine.failed_count)


# Room for so many more, the first of them this one. False: there is no memory for it.
cdef inline bint failed_reserve(Engine* engine, uint32_t more, uint64_t sequence) noexcept nogil:
    cdef uint64_t* grown
    cdef uint64_t position
    cdef uint32_t capacity
    if engine.failed_capacity - engine.failed_count >= more:
        return True
    # Nobody may ask for the counts, and a disk may stay full.
    position = engine_position(engine)
    engine_prune_failed(engine, position if position < sequence else sequence)
    if engine.failed_capacity - engine.failed_count >= more:
        return True
    capacity = engine.failed_capacity * 2 + 64 + more
    grown = <uint64_t*> realloc(engine.failed, 8 * <size_t> capacity)
    if grown == NULL:
        return False
    engine.failed = grown
    engine.failed_capacity = capacity
    return True


# The index of the first one that is not below.
cdef inline uint32_t failed_place(const Engine* engine, uint64_t sequence) noexcept nogil:
    cdef uint32_t low = 0
    cdef uint32_t high = engine.failed_count
    cdef uint32_t middle
    if high == 0 or engine.failed[high - 1] < sequence:
        return high
    while low < high:
        middle = low + (high - low) // 2
        if engine.failed[middle] < sequence:
            low = middle + 1
        else:
            high = middle
    return low


cdef inline void engine_fail(Engine* engine, uint64_t sequence) noexcept nogil:
    cdef uint32_t i
    cdef bint has_room = failed_reserve(engine, 1, sequence)
    i = failed_place(engine, sequence)
    if i < engine.failed_count and engine.failed[i] == sequence:
        return
    engine.failed_total += 1
    if not has_room:
        return
    memmove(engine.failed + i + 1, engine.failed + i, 8 * <size_t> (engine.failed_count - i))
    engine.failed[i] = sequence
    engine.failed_count += 1


cdef inline uint64_t engine_written(Engine* engine) noexcept nogil:
    cdef uint64_t position = engine_position(engine)
    engine_prune_failed(engine, position)
    return position - (engine.failed_total - engine.failed_count)


cdef inline uint64_t engine_committed(const Engine* engine) noexcept nogil:
    cdef uint64_t total = engine.past_committed
    cdef const Ring* ring = engine.rings
    while ring != NULL:
        total += load_relaxed(&ring.committed)
        ring = ring.next
    return total
