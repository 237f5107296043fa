"""The classes of caller/limits.pxi; included by logly/_core.pxd."""

from cpython.object cimport PyObject

from logly.ring.counter cimport Counter


cdef class Limited(Producer):
    cdef Counter* counting           # that of `counter`
    cdef LimitCounter counter


cdef class LimitCounter:
    cdef Counter counter             # linked into the list of `core`
    cdef Core core                   # not None, also while the garbage collector takes this apart: see __dealloc__
    cdef Limited light               # what the call site hands out, where it is made in place
    cdef object key                  # None: there is none
    cdef PyObject* newer             # LimitCounter with a key that was used later; borrowed, as the next one is
    cdef PyObject* older
