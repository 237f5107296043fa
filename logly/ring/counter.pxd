"""What a log call counts before it makes a record: which calls of a light logger pass, and how many have been held back.

A counter never waits and never allocates. With a GIL it is changed by plain loads and stores. Without one, by compare and
exchange; only the window of `limit`, which is two numbers, has a lock of its own.

The window is that of Linux's `___ratelimit` (lib/ratelimit.c): it begins with the first call after the window before, lets so
many calls pass, and holds the rest back. It goes by the monotonic clock.
"""

from cpython.object cimport PyObject
from libc.stdint cimport INT64_MIN, int32_t, int64_t, uint64_t

from logly.ring.leases cimport FREE_THREADED
from logly.system.atomic cimport compare_exchange, fetch_add, load_relaxed, store_relaxed
from logly.system.clock cimport clock_recent_ns
from logly.system.lock cimport Lock, lock_init, lock_release, lock_take

cdef enum LimitKind:
    LIMIT_FIRST = 0            # the first `most` calls pass
    LIMIT_EVERY                # the first call passes, and then each one after `most` - 1 others
    LIMIT_WINDOW               # `most` calls pass in each window


cdef struct Counter:
    LimitKind kind
    uint64_t most
    uint64_t left              # FIRST, WINDOW: calls that still pass; EVERY: calls until the next one passes
    int64_t window_ns
    int64_t begun_ns           # when the window began
    Lock lock                  # without a GIL: of the window
    uint64_t held              # calls held back that no record has told of yet
    PyObject* origin           # str, owned: what made the counter, and where
    PyObject* message          # str or NULL, owned: of the first of these calls
    Counter* next              # of the same engine
    Counter* previous


cdef struct HeldBack:          # of one engine
    uint64_t total             # calls that counters and the sampling have held back
    uint64_t of_gone           # of counters that do not exist any more: what no record has told of
    Counter* counters
    Lock lock                  # without a GIL: of the list, and of the tables of call sites


cdef struct LatestSite:        # a call of `limit` or its sisters in the program; all of it is borrowed
    const PyObject* code
    int32_t instruction
    PyObject* site


cdef inline void counter_reset(Counter* counter) noexcept nogil:
    counter.left = counter.most if counter.kind == LIMIT_FIRST else 0
    counter.begun_ns = INT64_MIN
    counter.held = 0
    lock_init(&counter.lock)


# In a forked child: everything begins at zero. The parent's other threads may have been in the middle of a change of the list,
# whose forward links are always whole.
cdef inline void held_back_reset(HeldBack* held_back) noexcept nogil:
    cdef Counter* previous = NULL
    cdef Counter* counter = held_back.counters
    held_back.total = 0
    held_back.of_gone = 0
    lock_init(&held_back.lock)
    while counter != NULL:
        counter_reset(counter)
        counter.previous = previous
        previous = counter
        counter = counter.next


# Adds to a number that other threads add to as well.
cdef inline void count_more(uint64_t* number, uint64_t more) noexcept nogil:
    if FREE_THREADED:
        fetch_add(number, more)
    else:
        store_relaxed(number, load_relaxed(number) + more)


# Stores `wanted` where `seen` still is. With a GIL nobody else has changed it.
cdef inline bint swap_in(uint64_t* number, uint64_t seen, uint64_t wanted) noexcept nogil:
    if FREE_THREADED:
        return compare_exchange(number, seen, wanted)
    store_relaxed(number, wanted)
    return True


cdef inline bint first_passes(Counter* counter) noexcept nogil:
    cdef uint64_t left
    while True:
        left = load_relaxed(&counter.left)
        if left == 0:
            return False
        if swap_in(&counter.left, left, left - 1):
            return True


cdef inline bint every_passes(Counter* counter) noexcept nogil:
    cdef uint64_t left
    while True:
        left = load_relaxed(&counter.left)
        if swap_in(&counter.left, left, left - 1 if left else counter.most - 1):
            return left == 0


# One comparison finds both a window that is over and a clock that was set back before its beginning.
cdef inline bint window_is_over(int64_t begun_ns, int64_t window_ns, int64_t now_ns) noexcept nogil:
    return <uint64_t> now_ns - <uint64_t> begun_ns >= <uint64_t> window_ns


cdef inline bint window_passes(Counter* counter) noexcept nogil:
    cdef int64_t now_ns = clock_recent_ns()
    cdef bint passes
    if FREE_THREADED:
        lock_take(&counter.lock)
    if window_is_over(counter.begun_ns, counter.window_ns, now_ns):
        counter.begun_ns = now_ns
        counter.left = counter.most
    passes = counter.left != 0
    counter.left -= passes
    if FREE_THREADED:
        lock_release(&counter.lock)
    return passes


# Counts one call. Returns whether it passes.
cdef inline bint counter_passes(Counter* counter) noexcept nogil:
    if counter.kind == LIMIT_WINDOW:
        return window_passes(counter)
    return every_passes(counter) if counter.kind == LIMIT_EVERY else first_passes(counter)


# Returns how many calls have been held back since the last time, and that many count as told.
cdef inline uint64_t held_take(uint64_t* held) noexcept nogil:
    cdef uint64_t seen
    while True:
        seen = load_relaxed(held)
        if seen == 0 or swap_in(held, seen, 0):
            return seen


cdef inline void counter_link(HeldBack* held_back, Counter* counter) noexcept nogil:
    if FREE_THREADED:
        lock_take(&held_back.lock)
    counter.next = held_back.counters
    counter.previous = NULL
    if counter.next != NULL:
        counter.next.previous = counter
    held_back.counters = counter
    if FREE_THREADED:
        lock_release(&held_back.lock)


# What the counter has not told is told at the end, as that of counters that are gone.
cdef inline void counter_unlink(HeldBack* held_back, Counter* counter) noexcept nogil:
    if FREE_THREADED:
        lock_take(&held_back.lock)
    if counter.previous != NULL:
        counter.previous.next = counter.next
    else:
        held_back.counters = counter.next
    if counter.next != NULL:
        counter.next.previous = counter.previous
    if FREE_THREADED:
        lock_release(&held_back.lock)
    count_more(&held_back.of_gone, held_take(&counter.held))
