"""The classes of caller/limit_sites.pxi; included by logly/_core.pxd."""

from cpython.object cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint64_t

from logly.caller.latest_light cimport LatestLight
from logly.ring.counter cimport LimitKind


cdef class LimitRule:
    cdef LimitRule next              # of the same call site
    cdef LimitKind kind
    cdef uint64_t most
    cdef int64_t window_ns
    cdef object given                # the str of "5/s", or None
    cdef LimitCounter counter        # of calls without a key, or None
    cdef dict counters               # by key, of the latest MOST_KEYS keys; never replaced
    cdef PyObject* newest            # of these; borrowed
    cdef PyObject* oldest


cdef class LimitSite:
    cdef Core core
    cdef uint64_t code               # address of the code object
    cdef int32_t instruction         # of its call
    cdef int32_t other               # in 3.11 also found by this one, see `call_instruction`
    cdef tuple place                 # both, as in `Core.limit_sites`
    cdef object reference            # weak, to the code object
    cdef bint is_in_place            # a log method of the result is called at once
    cdef LimitRule rules             # the latest one first
    cdef LatestLight latest
    cdef object latest_given         # keeps `latest.given`
