"""The classes of registry/retired.pxi; included by logly/_core.pxd."""

from logly.ring.ring cimport ReadMark


cdef class RecordReader:
    cdef object __weakref__

    cdef bint has_passed(self, ReadMark* mark) noexcept


cdef class ReaderMark:
    cdef object reader       # weak reference to a RecordReader
    cdef ReadMark mark
