"""The classes of registry/retired.pxi; included by logly/_core.pxd."""

from libc.stdint cimport uint64_t


cdef class RecordReader:
    cdef object __weakref__

    cdef bint has_passed(self, uint64_t* mark) noexcept


cdef class ReaderMark:
    cdef object reader       # weak reference to a RecordReader
    cdef uint64_t mark
