"""The sampling of a whole logger: in each second the first records of a kind pass, and then each one after so many others.

This is zap's sampler (go.uber.org/zap/zapcore/sampler.go): a fixed table of 4,096 counters, in which kinds whose hashes collide
count as one. (zap has a table for each level. Here the level is a part of the hash.) The second begins with the first record
after the second before, by the monotonic clock.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memset

from logly.ring.counter cimport held_take, swap_in, window_is_over
from logly.ring.leases cimport FREE_THREADED
from logly.system.atomic cimport fetch_add, load_relaxed, load_relaxed32, store_relaxed
from logly.system.clock cimport clock_recent_ns

cdef enum:
    SAMPLE_SLOT_BITS = 12
    SAMPLE_SLOTS = 1 << SAMPLE_SLOT_BITS
    SAMPLE_WINDOW_NS = 1000000000


cdef struct SampleSlot:
    uint64_t begun_ns          # when the second began
    uint64_t count             # records of it
    uint64_t held              # records held back that none has told of yet


cdef struct Sampler:
    uint64_t first             # so many pass in each second
    uint64_t then              # and then each one after so many others; 0: none
    int32_t never_from         # levels from here on are never sampled
    SampleSlot slot[SAMPLE_SLOTS]


cdef inline SampleSlot* sample_slot(Sampler* sampler, uint64_t kind, int32_t level_number) noexcept nogil:
    cdef uint64_t mixed = (kind ^ <uint64_t> level_number << 48) * <uint64_t> 0x9E3779B97F4A7C15
    return &sampler.slot[mixed >> (64 - SAMPLE_SLOT_BITS)]


cdef inline bint is_sampled(const Sampler* sampler, int32_t level_number) noexcept nogil:
    return sampler != NULL and level_number < <int32_t> load_relaxed32(<const uint32_t*> &sampler.never_from)


# As zap's `IncCheckReset`: a thread that finds the second over, at the same time as another one, counts for the new one.
cdef inline uint64_t sample_count(SampleSlot* slot) noexcept nogil:
    cdef int64_t now_ns = clock_recent_ns()
    cdef uint64_t begun_ns = load_relaxed(&slot.begun_ns)
    if window_is_over(<int64_t> begun_ns, SAMPLE_WINDOW_NS, now_ns) and swap_in(&slot.begun_ns, begun_ns, <uint64_t> now_ns):
        store_relaxed(&slot.count, 0)
    if FREE_THREADED:
        return fetch_add(&slot.count, 1) + 1
    store_relaxed(&slot.count, load_relaxed(&slot.count) + 1)
    return load_relaxed(&slot.count)


cdef inline bint sample_passes(Sampler* sampler, SampleSlot* slot) noexcept nogil:
    cdef uint64_t count = sample_count(slot)
    cdef uint64_t first = load_relaxed(&sampler.first)
    cdef uint64_t then = load_relaxed(&sampler.then)
    if count <= first:
        return True
    return then != 0 and (count - first) % then == 0


# What records have not told yet.
cdef inline uint64_t sampler_take_held(Sampler* sampler) noexcept nogil:
    cdef uint64_t held = 0
    cdef int i
    if sampler != NULL:
        for i in range(SAMPLE_SLOTS):
            held += held_take(&sampler.slot[i].held)
    return held


cdef inline void sampler_reset(Sampler* sampler) noexcept nogil:
    if sampler != NULL:
        memset(sampler.slot, 0, sizeof(sampler.slot))
