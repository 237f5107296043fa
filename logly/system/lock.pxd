"""A lock for short sections: taken by one exchange, waited for asleep.

Whoever waits holds no GIL (and, on free-threaded builds, is detached from the interpreter): the holder may need it to end its
section, and a thread that never gets it again, because the interpreter ends, must not have been given the lock.
"""

from libc.stdint cimport uint32_t, uint64_t

from logly.system.atomic cimport (
    exchange32, fence_full, fetch_add, fetch_sub, load_acquire32, load_relaxed, load_relaxed32, store_release32,
)
from logly.system.event cimport Event, event_init, event_prepare, event_signal, event_wait

cdef enum:
    # It only bounds the harm of a release that came before `waiters` was seen.
    LOCK_WAIT_NS = 5000000
    LOCK_LOOKS = 200


cdef struct Lock:
    uint32_t taken
    uint64_t waiters
    Event freed


# Also for the child after a fork: whoever held it is not there.
cdef inline void lock_init(Lock* lock) noexcept nogil:
    lock.taken = 0
    lock.waiters = 0
    event_init(&lock.freed)


cdef inline bint lock_try(Lock* lock) noexcept nogil:
    return exchange32(&lock.taken, 1) == 0


# For a section of some nanoseconds: whoever has it is mostly done before one could fall asleep.
cdef inline bint lock_spin(Lock* lock) noexcept nogil:
    cdef int _
    for _ in range(LOCK_LOOKS):
        if load_relaxed32(&lock.taken) == 0 and lock_try(lock):
            return True
    return False


# Until it looks free. The caller has counted itself in `waiters`.
cdef inline void lock_await(Lock* lock) noexcept nogil:
    cdef uint32_t ticket
    # Count, fence, load: the other half of what `lock_release` does.
    fence_full()
    ticket = event_prepare(&lock.freed)
    if load_acquire32(&lock.taken):
        event_wait(&lock.freed, ticket, LOCK_WAIT_NS)


# False: it was to be had at once.
cdef inline bint lock_take(Lock* lock) noexcept nogil:
    if lock_try(lock):
        return False
    fetch_add(&lock.waiters, 1)
    while not lock_try(lock):
        lock_await(lock)
    fetch_sub(&lock.waiters, 1)
    return True


cdef inline void lock_release(Lock* lock) noexcept nogil:
    store_release32(&lock.taken, 0)
    # Store, fence, load: a waiter counts itself, then looks at `taken`.
    fence_full()
    if load_relaxed(&lock.waiters):
        event_signal(&lock.freed)
