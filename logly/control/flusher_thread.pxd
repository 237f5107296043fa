"""The class of control/flusher_thread.pxi; included by logly/_core.pxd."""


cdef class Lifeline:
    cdef object __weakref__
    cdef object controller
