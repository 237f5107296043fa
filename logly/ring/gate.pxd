"""What a log call may read and wake: the gate of its logger's name, and behind it the intake of the engine.

A call reads the threshold of its gate, and most calls that are switched off end there. A call that goes on finds the ring and
what records must contain in the intake, and wakes the flusher when that is due. The caller sees nothing else of an engine.
"""

from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t, uint64_t

from logly.ring.ring cimport Ring, ring_reload_tail
from logly.system.atomic cimport fence_full, load_relaxed, load_relaxed32, store_release32
from logly.system.event cimport Event, event_signal
from logly.system.lock cimport Lock
from logly.text.buffer cimport Text

cdef enum Need:                # what producers must put into records
    NEED_SITE = 1
    NEED_THREAD = 2
    NEED_THREAD_NAME = 4
    NEED_CONTEXT = 8           # fields of the call's surroundings
    NEED_CARE = 16             # Python code of a sink is running: mark the records that it logs
    NEED_DECISION = 32         # whether the level is on depends on the call's module, or on a name that has no gate of its own
    NEED_NAME = 64             # records have the logger's name in them
    NEED_RECORDER = 128        # records that the levels switch off are for the flight recorder: see `Gate.kept_from`
    NEED_SAMPLING = 256        # a sampler is asked first: see caller/sampling.pxi
    NEED_SOURCE = 512          # `context_from` is asked first: see caller/gather.pxi
    NEED_TIME = 1024           # records have a time of their own, from `time_source`

cdef enum Post:                # what producers must do after a commit
    POST_START = 1             # no flusher is running yet
    POST_SYNC = 2              # there is a synchronous sink
    POST_DRAIN = 4             # the flusher has ended: the caller does its work
    POST_WAKE = 8              # flush interval 0: the flusher is to write at once


cdef enum Drop:                # why a record was dropped
    DROP_FULL = 0              # the ring had no room for it
    DROP_MEMORY                # there was no memory to make it
    DROP_FAILED                # it could not be made for another reason, which is reported
    DROP_KEPT                  # it was for the flight recorder, and the ring had no room for it
    DROP_REASONS


cdef struct Traffic:           # written by callers and by the flusher, read by both; made new in a forked child
    uint32_t asleep            # the flusher is, or is about to be
    uint32_t wake_wanted
    uint64_t waiters           # callers that wait for room
    uint64_t dropped[DROP_REASONS]
    Event wake                 # the flusher sleeps here
    Event space                # callers that wait for room sleep here


cdef struct Intake:            # one per engine
    int32_t flush_level        # a record at or above it wakes the flusher at once
    int32_t dump_level         # a record for the flight recorder that is at or above it has itself written
    uint32_t needs             # of `Need`
    uint32_t post              # of `Post`
    uint32_t drops             # 1 with overflow="drop"
    Ring* ring                 # the ring that callers write to; free-threaded builds: the spool's, or NULL
    Lock ring_lock             # free-threaded builds: held by the caller that writes to `ring`
    uint32_t shares            # free-threaded builds: all threads use `ring`, or soon will; none makes its own ring
    uint64_t id                # free-threaded builds: see ring/leases.pxd
    uint64_t generation        # threads give up their rings of older generations
    uint64_t ring_capacity
    uint64_t heap_limit        # most bytes of records in heap blocks that may wait for the flusher
    uint64_t max_message_bytes
    int64_t stall_ns           # how long a sink in trouble may hold callers up
    uint64_t process           # the process's id; records of other processes carry their own
    char apart[128]            # keeps the traffic off the cache lines of the settings
    Traffic traffic


cdef inline uint64_t all_dropped(Intake* intake) noexcept nogil:
    cdef uint64_t count = 0
    cdef int reason
    for reason in range(DROP_REASONS):
        count += load_relaxed(&intake.traffic.dropped[reason])
    return count


cdef struct Gate:              # one per name of a logger
    int32_t threshold          # levels below it are off
    int32_t written_from       # levels below it are not written; NEED_RECORDER: but kept, from `kept_from` on
    int32_t kept_from
    uint32_t needs             # of `Need`: beside those of the intake
    Intake* intake
    uint64_t version           # of the thresholds that hold: decisions with another one are out of date
    uint16_t origin            # the name's number, as in `RecordHeader.origin`
    Text name
    Gate* next                 # of the same engine


# A decision is what a name's threshold is under one version of the thresholds. It is one word, so that a caller can never see
# one half of it. It is kept where the name is: in the call site, for its module.
cdef enum:
    DECISION_BITS = 20         # of the threshold; the others are of the version
    DECISION_MASK = 0xFFFFF    # also the threshold of what is off altogether: no level is that high


cdef inline uint64_t decision_word(uint64_t version, int32_t threshold) noexcept nogil:
    return version << DECISION_BITS | <uint64_t> min(threshold, <int32_t> DECISION_MASK)


cdef inline bint decision_holds(const Gate* gate, uint64_t word) noexcept nogil:
    return word >> DECISION_BITS == load_relaxed(&gate.version)


cdef inline int32_t decided_threshold(uint64_t word) noexcept nogil:
    return <int32_t> (word & DECISION_MASK)


cdef inline uint32_t needs_of(const Gate* gate) noexcept nogil:
    return load_relaxed32(&gate.intake.needs) | load_relaxed32(&gate.needs)


# Store, fence, load: the flusher stores `asleep`, fences and loads `wake_wanted`, so one of the two sees the other
# (Dekker). Only urgent records and a ring past its half pay for the fence.
cdef inline void intake_wake(Intake* intake) noexcept nogil:
    # Release: a thread that sees `wake_wanted` also sees the record that was committed before.
    store_release32(&intake.traffic.wake_wanted, 1)
    fence_full()
    if load_relaxed32(&intake.traffic.asleep):
        event_signal(&intake.traffic.wake)


# Past its half, the ring is looked at every eighth of a lap, not at every record: the reload fetches the consumer's
# cache line and the wake-up fences.
cdef inline void wake_if_half_full(Intake* intake, Ring* ring) noexcept nogil:
    ring_reload_tail(ring)
    if ring.head - ring.cached_tail > ring.capacity >> 1:
        ring.wake_at = ring.head + (ring.capacity >> 3)
        intake_wake(intake)


cdef inline void after_commit(Intake* intake, Ring* ring, int32_t level_number) noexcept nogil:
    if level_number >= <int32_t> load_relaxed32(<uint32_t*> &intake.flush_level):
        intake_wake(intake)
    elif ring.head - ring.cached_tail > ring.capacity >> 1 and <int64_t> (ring.head - ring.wake_at) >= 0:
        wake_if_half_full(intake, ring)
