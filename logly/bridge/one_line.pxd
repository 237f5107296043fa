"""The class of bridge/one_line.pxi; included by logly/_core.pxd."""

from logly.layout.line cimport Level, Line, Site
from logly.text.buffer cimport Text


cdef class OneRecord:
    cdef char* block                 # the record's bytes; owned
    cdef Site site
    cdef Level level
    cdef Line line
    cdef Text name
    cdef bytes logger_name, function, path
