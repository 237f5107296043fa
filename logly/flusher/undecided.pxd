"""Records that are for sinks with a Python filter only, for several of them: nobody wants such a record if every filter says no.

(Where there is one filter, that one decides, and nothing is kept here.)
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memmove

cdef struct Decision:
    uint64_t sequence
    uint32_t left              # filters that have not said no; 0: one of them has said yes, or all no


cdef struct Undecided:
    Decision* decision         # by sequence number
    uint32_t first
    uint32_t last              # one past
    uint32_t capacity


cdef inline void undecided_free(Undecided* undecided) noexcept nogil:
    free(undecided.decision)


cdef inline bint undecided_grow(Undecided* undecided) noexcept nogil:
    cdef uint32_t count = undecided.last - undecided.first
    cdef uint32_t capacity
    cdef Decision* grown
    if undecided.first > undecided.capacity // 2:
        memmove(undecided.decision, undecided.decision + undecided.first, count * sizeof(Decision))
        undecided.first = 0
        undecided.last = count
        return True
    capacity = 2 * undecided.capacity + 64
    grown = <Decision*> realloc(undecided.decision, capacity * sizeof(Decision))
    if grown == NULL:
        return False
    undecided.decision = grown
    undecided.capacity = capacity
    return True


# Without memory, the record will count as one that some sink wanted.
cdef inline void undecided_add(Undecided* undecided, uint64_t sequence, uint32_t filters) noexcept nogil:
    if undecided.last == undecided.capacity and not undecided_grow(undecided):
        return
    undecided.decision[undecided.last].sequence = sequence
    undecided.decision[undecided.last].left = filters
    undecided.last += 1


cdef inline Decision* decision_about(Undecided* undecided, uint64_t sequence) noexcept nogil:
    cdef uint32_t low = undecided.first
    cdef uint32_t high = undecided.last
    cdef uint32_t middle
    while low < high:
        middle = low + (high - low) // 2
        if undecided.decision[middle].sequence < sequence:
            low = middle + 1
        else:
            high = middle
    return &undecided.decision[low] if low < undecided.last and undecided.decision[low].sequence == sequence else NULL


# Called when a filter has decided. Returns True when this was the last one, and all have said no.
cdef inline bint undecided_settle(Undecided* undecided, uint64_t sequence, bint wanted) noexcept nogil:
    cdef Decision* decision = decision_about(undecided, sequence)
    if decision == NULL or decision.left == 0:
        return False
    decision.left = 0 if wanted else decision.left - 1
    return decision.left == 0 and not wanted


# Forgets the records that every sink has passed.
cdef inline void undecided_prune(Undecided* undecided, uint64_t position) noexcept nogil:
    while undecided.first != undecided.last and undecided.decision[undecided.first].sequence < position:
        undecided.first += 1
    if undecided.first == undecided.last:
        undecided.first = undecided.last = 0
