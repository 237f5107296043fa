# Which ring the calling thread writes to. A caller enters the ring before it writes a record and leaves it afterwards.

from libc.stdint cimport uint64_t

from logly.ring.gate cimport Intake
from logly.ring.leases cimport FREE_THREADED, latest_ring, own_ring
from logly.ring.ring cimport Ring
from logly.system.atomic cimport fetch_add, fetch_sub, load_acquire, load_pointer, load_relaxed
from logly.system.lock cimport lock_await, lock_release, lock_spin, lock_try


# Returns the ring that the calling thread writes to. No other thread writes to it until `leave_ring`. With a GIL there is one
# ring, and the thread that holds the GIL has it. Without a GIL every thread has a ring of its own, which the careful way makes
# when this returns NULL. A spool holds one ring for all threads, which take turns under the ring's lock.
cdef inline Ring* enter_ring(Intake* intake) noexcept:
    cdef Ring* ring
    if not FREE_THREADED:
        return intake.ring
    ring = <Ring*> latest_ring(load_relaxed(&intake.generation))
    if ring == NULL and load_pointer(&intake.ring) != NULL:
        return enter_shared_ring(intake)
    return ring


cdef inline Ring* enter_shared_ring(Intake* intake) noexcept:
    cdef Ring* ring
    take_ring_lock(intake)
    ring = intake.ring
    if ring == NULL:
        lock_release(&intake.ring_lock)
    return ring


# The lock is never taken while the thread is detached: a thread that cannot attach again, because the interpreter ends, would
# keep it for ever.
cdef void take_ring_lock(Intake* intake) noexcept:
    if lock_spin(&intake.ring_lock):
        return
    fetch_add(&intake.ring_lock.waiters, 1)
    while not lock_try(&intake.ring_lock):
        with nogil:
            lock_await(&intake.ring_lock)
    fetch_sub(&intake.ring_lock.waiters, 1)


cdef inline void leave_ring(Intake* intake, const Ring* ring) noexcept nogil:
    if FREE_THREADED and ring != NULL and load_pointer(&intake.ring) == ring:
        lock_release(&intake.ring_lock)


# True when the ring is still the one that this thread writes to (otherwise it may be freed already, and another one may have its
# memory and be empty) and its tail has not moved. `gives_up`: the thread has waited long enough, so later calls do not wait again
# until the tail moves.
cdef bint is_as_full(Intake* intake, uint64_t ring_id, uint64_t tail, bint gives_up) noexcept:
    cdef Ring* ring = <Ring*> own_ring(load_relaxed(&intake.generation))
    cdef bint same
    if ring == NULL:
        ring = enter_ring(intake)
    same = ring != NULL and ring.id == ring_id and load_acquire(&ring.positions.tail) == tail
    if same and gives_up:
        ring.stalled_tail = tail
    leave_ring(intake, ring)
    return same
