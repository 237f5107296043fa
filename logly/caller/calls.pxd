"""The class of caller/calls.pxi; included by logly/_core.pxd."""

from logly.ring.gate cimport Gate


cdef class Producer:
    cdef Gate* gate
    cdef Core core
    cdef LoggerName name             # None: it has none
    cdef FieldBlock bound
    cdef FieldBlock given            # of one call: what `context_from` gave for it; else None
    cdef object controller           # Controller: the engine's Python side
    cdef bint is_counted             # its records are not sampled: something else has let them pass
    cdef object owner                # closes the engine when the last logger on it is gone
    cdef object __weakref__
