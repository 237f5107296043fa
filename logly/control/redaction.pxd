"""The class of control/redaction.pxi; included by logly/_core.pxd."""

from logly.layout.redaction_rules cimport Redaction


cdef class Redactor:
    """What a logger hides, in C memory."""
    cdef Redaction redaction
    cdef readonly tuple names
    cdef tuple keys

    cdef bint hides(self, str name) except -1
