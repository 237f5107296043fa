"""The class of bridge/routes.pxi; included by logly/_core.pxd."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from logly.bridge.route cimport LoggingRoute


cdef class RouteOwner:
    cdef readonly object logger
    cdef LoggingRoute* route         # lives as long as the process: a call may be in the middle of reading it
    cdef Stamps stamps
    cdef object lists                # RouteLists
    cdef World world
    cdef list targets
    cdef readonly dict why_not
    cdef dict cache                  # the logger's answers about levels, if these decide
    cdef bint is_being_found         # a thread is finding the route out
    cdef int64_t since_ns
    cdef uint32_t changes            # how often the route was found out since `since_ns`
    cdef uint64_t own_changes        # the global of this name, when the route was found out last
