"""The class of control/recording.pxi; included by logly/_core.pxd."""

from libc.stdint cimport int32_t, uint64_t

from logly.ring.record cimport Value


cdef class RecorderSettings:
    cdef uint64_t capacity
    cdef int32_t trigger
    cdef Value field
    cdef char* memory
