"""Test-only extension: a window onto the eventcount."""

from libc.stdint cimport int64_t, uint32_t

from logly.system.clock cimport clock_monotonic_ns
from logly.system.event cimport (
    Event as CEvent,
    event_destroy,
    event_init,
    event_prepare,
    event_signal,
    event_wait,
)


cdef class Event:
    cdef CEvent event

    def __cinit__(self):
        event_init(&self.event)

    def __dealloc__(self):
        event_destroy(&self.event)

    def init(self):
        event_init(&self.event)

    def prepare(self):
        return event_prepare(&self.event)

    def wait(self, uint32_t ticket, int64_t timeout_ns=-1):
        cdef bint signalled
        with nogil:
            signalled = event_wait(&self.event, ticket, timeout_ns)
        return signalled

    def signal(self):
        event_signal(&self.event)

    def signal_many(self, int count):
        """For measuring."""
        cdef int _i
        with nogil:
            for _i in range(count):
                event_signal(&self.event)


def ping_pong(Event mine, Event theirs, int rounds, bint first):
    """Signals and waits in turns without the GIL; a single lost wake-up would hang it. The waits that timed out.

    One may end early: by a wake-up for the turn before, which its signaller had not got to the kernel yet.
    """
    cdef uint32_t turn = 0
    cdef int64_t begun
    cdef int _i
    cdef int timeouts = 0
    with nogil:
        for _i in range(rounds):
            if first:
                event_signal(&theirs.event)
            # Each signal moves the sequence by one: its value is the ticket of this turn.
            while event_prepare(&mine.event) == turn:
                begun = clock_monotonic_ns()
                if not event_wait(&mine.event, turn, 10000000000) and event_prepare(&mine.event) == turn:
                    if clock_monotonic_ns() - begun >= <int64_t> 10000000000:
                        timeouts += 1
            turn += 1
            if not first:
                event_signal(&theirs.event)
    return timeouts
