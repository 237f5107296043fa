# Records for the flight recorder: the levels do not write them. Such a call never waits, and never takes the last room of the
# ring from a record that is written.

from libc.stdint cimport int32_t, int64_t, uint32_t

from logly.caller.encode cimport ENCODED, NO_ROOM
from logly.ring.gate cimport DROP_KEPT, POST_DRAIN, POST_START, Intake, after_commit, intake_wake
from logly.ring.ring cimport Ring, ring_reload_tail, ring_room_to_keep
from logly.system.atomic cimport fetch_add, load_relaxed32

# Of other included files:
#   caller/calls.pxi: Producer


cdef int settle_kept(Producer self, Ring* ring, int status, int32_t number) noexcept:
    """Called after the fast way has put such a record into the ring, or has failed to. Returns how the call goes on."""
    cdef Intake* intake = self.gate.intake
    if status == ENCODED:
        if ring.head - ring.cached_tail > ring.capacity >> 2 and <int64_t> (ring.head - ring.wake_at) >= 0:
            wake_in_time(intake, ring)
        if is_trigger(intake, number):
            after_commit(intake, ring, number)
    elif status == NO_ROOM and ring != self.core.stand_in and not has_room_to_keep(ring):
        # Here, and not on the careful way, which would make the message first.
        count_not_kept(intake)
        return ENCODED
    return status


# A burst of such records has three quarters of the ring, and the flusher needs time to wake up. So it is woken past a quarter.
cdef void wake_in_time(Intake* intake, Ring* ring) noexcept nogil:
    ring_reload_tail(ring)
    if ring.head - ring.cached_tail > ring.capacity >> 2:
        ring.wake_at = ring.head + (ring.capacity >> 3)
        intake_wake(intake)


cdef inline bint has_room_to_keep(Ring* ring) noexcept nogil:
    ring_reload_tail(ring)
    return ring_room_to_keep(ring, ring.capacity) != 0


cdef inline void count_not_kept(Intake* intake) noexcept nogil:
    fetch_add(&intake.traffic.dropped[<int> DROP_KEPT], 1)
    # Once per pass of the flusher, because a full ring may stay full for long.
    if not load_relaxed32(&intake.traffic.wake_wanted):
        intake_wake(intake)


# True when the record has itself written.
cdef inline bint is_trigger(Intake* intake, int32_t number) noexcept nogil:
    return number >= <int32_t> load_relaxed32(<uint32_t*> &intake.dump_level)


# True when nothing has to follow the commit. A synchronous sink does not get the record, and nobody waits for it.
cdef inline bint needs_no_more(Intake* intake, int32_t number) noexcept nogil:
    return load_relaxed32(&intake.post) & (POST_START | POST_DRAIN) == 0 and not is_trigger(intake, number)
