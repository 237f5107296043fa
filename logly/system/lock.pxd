"""A lock for short sections. Taking it is one atomic exchange; a thread that must wait for it sleeps.

A thread that waits does not hold the GIL (on free-threaded builds it is detached from the interpreter), because the holder may
need the GIL to end its section. And a thread that never gets the GIL back, because the interpreter ends, must not be given the
lock.
"""

from libc.stdint cimport uint32_t, uint64_t

from logly.system.atomic cimport (
    exchange32, fence_full, fetch_add, fetch_sub, load_acquire32, load_relaxed, load_relaxed32, store_release32,
)
from logly.system.event cimport Event, event_init, event_prepare, event_signal, event_wait

cdef enum:
    # Bounds the wait in case a release did not see the waiter in `waiters` and so did not wake it.
    LOCK_WAIT_NS = 5000000
    LOCK_LOOKS = 200


cdef struct Lock:
    uint32_t taken
    uint64_t waiters
    Event freed


# Also called in the child after a fork, where the thread that held the lock does not exist.
cdef inline void lock_init(Lock* lock) noexcept nogil:
    lock.taken = 0
    lock.waiters = 0
    event_init(&lock.freed)


cdef inline bint lock_try(Lock* lock) noexcept nogil:
    return exchange32(&lock.taken, 1) == 0


# For a section of some nanoseconds: its holder is mostly done before the waiting thread could fall asleep. Returns True
# when it has taken the lock.
cdef inline bint lock_spin(Lock* lock) noexcept nogil:
    cdef int _
    for _ in range(LOCK_LOOKS):
        if load_relaxed32(&lock.taken) == 0 and lock_try(lock):
            return True
    return False


# Waits until the lock looks free. The caller must have counted itself in `waiters`.
cdef inline void lock_await(Lock* lock) noexcept nogil:
    cdef uint32_t ticket
    # Count, fence, load: the counterpart of `lock_release`.
    fence_full()
    ticket = event_prepare(&lock.freed)
    if load_acquire32(&lock.taken):
        event_wait(&lock.freed, ticket, LOCK_WAIT_NS)


# Takes the lock. Returns True if it had to wait.
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
