"""Numbers of records that some sink had to discard, so that each counts once, however many sinks fail it.

They are kept as runs of numbers that follow each other. What a sink gives up are its oldest records, so these are few runs, also
where it gives up records for as long as another one holds an older record.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memmove

cdef enum:
    FEW_RUNS = 32              # that there is room for without memory, which may be why they have failed
    MOST_RUNS = 1048576        # 16 MiB. What has no room in them is only counted


cdef struct Run:
    uint64_t first
    uint64_t after             # the number behind the last


cdef struct Failed:
    Run* run                   # in ascending order, with gaps between: numbers that some sink has not passed yet
    uint32_t count
    uint32_t capacity
    uint64_t kept              # how many numbers the runs have
    uint64_t total
    Run few[32]                # FEW_RUNS: where `run` points to at first


cdef inline void failed_free(Failed* failed) noexcept nogil:
    if failed.run != failed.few:
        free(failed.run)


# Those that every sink has passed need not be remembered by number.
cdef inline void failed_prune(Failed* failed, uint64_t position) noexcept nogil:
    cdef uint32_t below = 0
    while below < failed.count and failed.run[below].after <= position:
        failed.kept -= failed.run[below].after - failed.run[below].first
        below += 1
    if below:
        failed.count -= below
        memmove(failed.run, failed.run + below, failed.count * sizeof(Run))
    if failed.count and failed.run[0].first < position:
        failed.kept -= position - failed.run[0].first
        failed.run[0].first = position


# Makes room for `more` runs. Returns False when there is no memory, or when they are too many.
cdef inline bint failed_has_room(Failed* failed, uint32_t more) noexcept nogil:
    cdef Run* grown
    cdef uint64_t capacity
    if failed.run == NULL:
        failed.run = failed.few
        failed.capacity = FEW_RUNS
    if failed.capacity - failed.count >= more:
        return True
    capacity = min(2 * <uint64_t> failed.capacity + more, <uint64_t> MOST_RUNS)
    if capacity - failed.count < more:
        return False
    if failed.run == failed.few:
        grown = <Run*> malloc(capacity * sizeof(Run))
    else:
        grown = <Run*> realloc(failed.run, capacity * sizeof(Run))
    if grown == NULL:
        return False
    if failed.run == failed.few:
        memcpy(grown, failed.few, failed.count * sizeof(Run))
    failed.run = grown
    failed.capacity = <uint32_t> capacity
    return True


# Returns the index of the first run that has this number or a higher one.
cdef inline uint32_t failed_place(const Failed* failed, uint64_t number) noexcept nogil:
    cdef uint32_t low = 0
    cdef uint32_t high = failed.count
    cdef uint32_t middle
    if high == 0 or failed.run[high - 1].after <= number:
        return high
    while low < high:
        middle = low + (high - low) // 2
        if failed.run[middle].after <= number:
            low = middle + 1
        else:
            high = middle
    return low


# True when another run would need memory.
cdef inline bint failed_is_full(const Failed* failed) noexcept nogil:
    return failed.count != 0 and failed.count == failed.capacity


# Adds a number. Without room for another run it is only counted.
cdef inline void failed_add(Failed* failed, uint64_t number) noexcept nogil:
    cdef uint32_t i
    cdef bint is_behind, is_before
    i = failed_place(failed, number)
    if i < failed.count and failed.run[i].first <= number:
        return
    failed.total += 1
    is_behind = i > 0 and failed.run[i - 1].after == number
    is_before = i < failed.count and failed.run[i].first == number + 1
    if is_behind and is_before:
        failed.run[i - 1].after = failed.run[i].after
        failed.count -= 1
        memmove(failed.run + i, failed.run + i + 1, (failed.count - i) * sizeof(Run))
    elif is_behind:
        failed.run[i - 1].after += 1
    elif is_before:
        failed.run[i].first -= 1
    elif failed_has_room(failed, 1):
        memmove(failed.run + i + 1, failed.run + i, (failed.count - i) * sizeof(Run))
        failed.run[i].first = number
        failed.run[i].after = number + 1
        failed.count += 1
    else:
        return
    failed.kept += 1


# How many of the records below `position`, which every sink has passed, no sink has failed.
cdef inline uint64_t failed_spared(Failed* failed, uint64_t position) noexcept nogil:
    cdef uint64_t below
    failed_prune(failed, position)
    below = failed.total - failed.kept
    return position - below if position > below else 0  # some that are only counted are not below
