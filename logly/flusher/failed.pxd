"""Numbers of records that some sink had to discard, in ascending order, so that each counts once, however many sinks fail it."""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memmove

cdef enum:
    FEW_FAILED = 64            # that there is room for without memory, which may be why they have failed


cdef struct Failed:
    uint64_t* number           # of those that some sink has not passed yet
    uint32_t count
    uint32_t capacity
    uint64_t total
    uint64_t few[64]           # FEW_FAILED: where `number` points to at first


cdef inline void failed_free(Failed* failed) noexcept nogil:
    if failed.number != failed.few:
        free(failed.number)


# Those that every sink has passed need not be remembered by number.
cdef inline void failed_prune(Failed* failed, uint64_t position) noexcept nogil:
    cdef uint32_t below = 0
    if failed.count == 0:
        return
    while below < failed.count and failed.number[below] < position:
        below += 1
    if below:
        failed.count -= below
        memmove(failed.number, failed.number + below, 8 * <size_t> failed.count)


cdef inline bint failed_has_room(const Failed* failed, uint32_t more) noexcept nogil:
    return failed.capacity - failed.count >= more


# Makes room for `more` numbers, of which `first` is the first. `position`: every sink has passed what is below. Returns False
# when there is no memory.
cdef inline bint failed_reserve(Failed* failed, uint32_t more, uint64_t first, uint64_t position) noexcept nogil:
    cdef uint64_t* grown
    cdef uint32_t capacity
    # Pruned here too, because the list would grow for ever where nobody asks for the counts and a disk stays full.
    failed_prune(failed, position if position < first else first)
    if failed.number == NULL:
        failed.number = failed.few
        failed.capacity = FEW_FAILED
    if failed_has_room(failed, more):
        return True
    capacity = failed.capacity * 2 + 64 + more
    if failed.number == failed.few:
        grown = <uint64_t*> malloc(8 * <size_t> capacity)
    else:
        grown = <uint64_t*> realloc(failed.number, 8 * <size_t> capacity)
    if grown == NULL:
        return False
    if failed.number == failed.few:
        memcpy(grown, failed.few, 8 * <size_t> failed.count)
    failed.number = grown
    failed.capacity = capacity
    return True


# Returns the index of the first number that is not below `number`.
cdef inline uint32_t failed_place(const Failed* failed, uint64_t number) noexcept nogil:
    cdef uint32_t low = 0
    cdef uint32_t high = failed.count
    cdef uint32_t middle
    if high == 0 or failed.number[high - 1] < number:
        return high
    while low < high:
        middle = low + (high - low) // 2
        if failed.number[middle] < number:
            low = middle + 1
        else:
            high = middle
    return low


# Adds a number, for which room has been made (`has_room`). Without room it is only counted.
cdef inline void failed_add(Failed* failed, uint64_t number, bint has_room) noexcept nogil:
    cdef uint32_t i = failed_place(failed, number)
    if i < failed.count and failed.number[i] == number:
        return
    failed.total += 1
    if not has_room:
        return
    memmove(failed.number + i + 1, failed.number + i, 8 * <size_t> (failed.count - i))
    failed.number[i] = number
    failed.count += 1


# How many of the records below `position`, which every sink has passed, no sink has failed.
cdef inline uint64_t failed_spared(Failed* failed, uint64_t position) noexcept nogil:
    failed_prune(failed, position)
    return position - (failed.total - failed.count)
