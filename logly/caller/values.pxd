"""The class of caller/values.pxi; included by logly/_core.pxd."""

from libc.stdint cimport uint8_t


cdef class Rendition:
    cdef uint8_t tag
    cdef bytes text
