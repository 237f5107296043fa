"""The threads that call the functions of batch sinks, of all loggers. What they log goes to no batch sink.

Else a batch would never be the last one: the HTTP client that sends it logs a record about it.
"""

from libc.stdint cimport uint32_t, uint64_t

from logly.system.atomic cimport compare_exchange, load_relaxed, store_relaxed

cdef enum:
    MOST_OUTLETS = 256         # what a thread logs for which there is no place here goes to batch sinks, too

cdef extern from * nogil:
    """
    static uint64_t logly_outlet_threads[256];
    static uint64_t logly_outlet_places;  // the first so many have ever been used
    """
    uint64_t outlet_threads "logly_outlet_threads"[256]
    uint64_t outlet_places "logly_outlet_places"


# False: the list is full.
cdef inline bint outlet_begins(uint64_t thread) noexcept nogil:
    cdef uint32_t i
    for i in range(MOST_OUTLETS):
        if compare_exchange(&outlet_threads[i], 0, thread):
            if i >= load_relaxed(&outlet_places):
                store_relaxed(&outlet_places, i + 1)
            return True
    return False


cdef inline void outlet_ends(uint64_t thread) noexcept nogil:
    cdef uint32_t i
    for i in range(MOST_OUTLETS):
        if compare_exchange(&outlet_threads[i], thread, 0):
            return


# Called in a forked child, which has none of them.
cdef inline void outlets_forget() noexcept nogil:
    cdef uint32_t i
    for i in range(MOST_OUTLETS):
        store_relaxed(&outlet_threads[i], 0)


cdef inline bint is_outlet(uint64_t thread) noexcept nogil:
    cdef uint32_t i
    for i in range(<uint32_t> load_relaxed(&outlet_places)):
        if load_relaxed(&outlet_threads[i]) == thread:
            return True
    return False
