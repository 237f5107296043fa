"""The class of system/pipe_signal.pxi; included by logly/_core.pxd."""

from logly.system.fd cimport PipeSignal


cdef class NoPipeSignal:
    cdef PipeSignal held
