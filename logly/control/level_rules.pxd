"""The classes of control/level_rules.pxi; included by logly/_core.pxd."""

from libc.stdint cimport int32_t, uint32_t

from logly.flusher.directives cimport Directives
from logly.flusher.rules cimport RuleStep
from logly.text.buffer cimport Text


cdef class LevelRules:
    cdef Directives directives
    cdef RuleStep* step            # for the first use of the object: see control/routing.pxi


cdef class Thresholds:
    cdef LevelRules logger
    cdef list detailed             # the rules of those sinks that have directives by name
    cdef bint is_off
    cdef bint any_unsaid
    cdef int32_t least_said
    cdef int32_t bypass            # see the class
    cdef readonly int32_t least
    cdef readonly bint varies
    cdef readonly int32_t kept_from

    cdef int32_t of(self, const Text* name) noexcept
    cdef int32_t least_of_all(self) except? -2


cdef class Overlay:
    cdef readonly object spec
    cdef uint32_t left


cdef class LevelGuard:
    cdef Core core
    cdef object spec
    cdef list entered

    cdef end_one(self)
