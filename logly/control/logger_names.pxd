"""The class of control/logger_names.pxi; included by logly/_core.pxd."""

from libc.stdint cimport uint64_t

from logly.ring.gate cimport Gate
from logly.text.buffer cimport Text


cdef class LoggerName:
    cdef readonly str text
    cdef Gate* gate                # its own, or the one of all names without a number
    cdef bytes encoded             # where it may have no number: the text that its records have in them
    cdef Text inside               # the same
    cdef uint64_t decision         # where it has no gate of its own: see `decision_word`
