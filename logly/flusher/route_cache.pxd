"""The lists of sinks that want records, found by what decides it. A list of the same sinks is there once.

The memory is bounded. When the lists take too much, all of them are forgotten, and they are found anew.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy, memset

from logly.flusher.sink cimport Sink

cdef enum:
    LIST_BUCKETS = 256
    LIST_BYTES = 1 << 20       # of all lists together
    FIRST_ANSWERS = 64         # table of answers: 2 KiB to 512 KiB
    MOST_ANSWERS = 1 << 14

cdef extern from * nogil:
    """
    #define LOGLY_NO_KIND UINT64_MAX
    """
    const uint64_t NO_KIND "LOGLY_NO_KIND"


cdef struct Route:             # sinks that want the same records, oldest first
    Sink** sink
    uint32_t count
    bint is_undecided          # a Python filter of each of them has the last word
    uint64_t hash
    Route* next                # in the same bucket


cdef struct Answer:            # two neighbours have the same hash
    uint64_t site              # serial of the call site, or 0 where it does not matter
    uint64_t kind              # whatever else decides
    uint64_t life              # of the cache
    const Route* route


cdef struct Routes:
    uint64_t valid_until       # number of the first record for which other rules hold, or other sinks; 0: to be found out
    bint by_site               # a sink selects by module or function
    bint by_name               # there are levels by name
    # the latest answer
    uint64_t site
    uint64_t kind              # NO_KIND: there is none
    const Route* route
    # the answers before
    uint64_t life              # those of an earlier life are not valid
    Answer* answer             # NULL: there was no memory, or none is needed yet
    uint32_t size
    uint32_t added
    Route* list[LIST_BUCKETS]
    size_t list_bytes


# Where lists are made. Whoever adds a sink makes room for it here, so that the flusher needs no memory to find out which sinks
# want a record.
cdef struct RouteRoom:
    Sink** open                # the sinks that get records at present
    uint32_t open_count
    Route made                 # the list that was made last
    uint32_t capacity          # of each of the two
    uint32_t sinks             # so many there are, or are about to be added


cdef inline uint64_t stirred(uint64_t value) noexcept nogil:
    value = (value ^ (value >> 32)) * <uint64_t> 0x9E3779B97F4A7C15
    return value ^ (value >> 29)


# Forgets all answers and lists.
cdef inline void routes_forget(Routes* routes) noexcept nogil:
    cdef Route* route
    cdef Route* after
    cdef uint32_t i
    routes.kind = NO_KIND
    routes.life += 1
    routes.added = 0
    if routes.list_bytes == 0:
        return
    for i in range(LIST_BUCKETS):
        route = routes.list[i]
        while route != NULL:
            after = route.next
            free(route)
            route = after
    memset(routes.list, 0, sizeof(routes.list))
    routes.list_bytes = 0


cdef inline void routes_free(Routes* routes) noexcept nogil:
    routes_forget(routes)
    free(routes.answer)


cdef inline Answer* answers_for(const Routes* routes, uint64_t site, uint64_t kind) noexcept nogil:
    return &routes.answer[2 * (stirred(site ^ stirred(kind)) & (routes.size // 2 - 1))]


cdef inline bint is_answer(const Routes* routes, const Answer* answer, uint64_t site, uint64_t kind) noexcept nogil:
    return answer.site == site and answer.kind == kind and answer.life == routes.life


# Returns the sinks that want such records, or NULL when that has not been found out in this life.
cdef inline const Route* routes_find(Routes* routes, uint64_t site, uint64_t kind) noexcept nogil:
    cdef const Answer* answer
    if routes.answer == NULL:
        return NULL
    answer = answers_for(routes, site, kind)
    if not is_answer(routes, answer, site, kind):
        answer += 1
        if not is_answer(routes, answer, site, kind):
            return NULL
    return answer.route


cdef inline void grow_answers(Routes* routes) noexcept nogil:
    cdef uint32_t size = 4 * routes.size if routes.size else FIRST_ANSWERS
    cdef Answer* grown = <Answer*> calloc(size, sizeof(Answer))
    if grown == NULL:
        return
    # Those before are found out again: that is quicker than it is rare.
    free(routes.answer)
    routes.answer = grown
    routes.size = size
    routes.added = 0


# Returns the one list of these sinks, or NULL when there is no memory for it.
cdef inline const Route* list_of(Routes* routes, const Route* made) noexcept nogil:
    cdef uint64_t hash = made.count
    cdef size_t size = sizeof(Route) + made.count * sizeof(Sink*)
    cdef Route* route
    cdef uint32_t i
    for i in range(made.count):
        hash = stirred(hash ^ <uint64_t> made.sink[i])
    route = routes.list[hash % LIST_BUCKETS]
    while route != NULL:
        if route.hash == hash and route.count == made.count:
            if memcmp(route.sink, made.sink, made.count * sizeof(Sink*)) == 0:
                return route
        route = route.next
    if routes.list_bytes + size > LIST_BYTES:
        routes_forget(routes)
    route = <Route*> malloc(size)
    if route == NULL:
        return NULL
    route.sink = <Sink**> (route + 1)
    memcpy(route.sink, made.sink, made.count * sizeof(Sink*))
    route.count = made.count
    route.is_undecided = made.is_undecided
    route.hash = hash
    route.next = routes.list[hash % LIST_BUCKETS]
    routes.list[hash % LIST_BUCKETS] = route
    routes.list_bytes += size
    return route


# Remembers which sinks want such records. Returns the list that stays, or the one that was made where it cannot be remembered.
cdef inline const Route* routes_keep(Routes* routes, uint64_t site, uint64_t kind, const Route* made) noexcept nogil:
    cdef const Route* route = list_of(routes, made)
    cdef Answer* answer
    if route == NULL:
        return made
    if routes.added >= routes.size // 2 and routes.size < MOST_ANSWERS:
        grow_answers(routes)
    if routes.answer != NULL:
        answer = answers_for(routes, site, kind)
        answer[1] = answer[0]
        answer.site = site
        answer.kind = kind
        answer.life = routes.life
        answer.route = route
        routes.added += 1
    routes.site = site
    routes.kind = kind
    routes.route = route
    return route
