"""The classes of system/threads.pxi; included by logly/_core.pxd."""

from libc.stdint cimport uint32_t, uint64_t

from logly.system.event cimport Event
from logly.system.lock cimport Lock


cdef class SystemThread:
    cdef object function
    cdef uint32_t runs


cdef class SystemLock:
    cdef Lock lock
    cdef uint64_t holder
    cdef int holds

    cdef bint take(self) except -1
    cdef void take_without_signals(self) noexcept
    cdef void give(self) noexcept


cdef class Attempt:
    cdef SystemLock lock
    cdef bint taken


cdef class TryLock:
    cdef uint64_t owner
    cdef int depth


cdef class EventCount:
    cdef Event event
