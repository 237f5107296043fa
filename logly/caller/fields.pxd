"""The class of caller/fields.pxi; included by logly/_core.pxd."""

from libc.stdint cimport uint16_t


cdef class FieldBlock:
    """Fields encoded once, to be copied into every record."""
    cdef bytes data
    cdef dict values                 # what `data` is made from: plain values and renditions
    cdef FieldBlock outer
    cdef uint16_t count

    cdef fill(self, dict native, FieldBlock outer)
