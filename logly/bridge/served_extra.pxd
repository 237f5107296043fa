"""The class of bridge/served_extra.pxi; included by logly/_core.pxd."""

from cpython.object cimport PyObject
from libc.stdint cimport uint32_t


cdef class ServedExtra:
    cdef dict rules                  # name -> int: `KIND_` bits of the values that are exact, and bits of `ExtraRule`
    cdef uint32_t names              # how many rules say something of what is there
    cdef PyObject** name             # their names, which `rules` holds
    cdef uint32_t* rule
    cdef uint32_t required           # how many names must be there
    cdef bint shows_all
    cdef readonly object encode      # function(value) -> JSON text; or None
    cdef readonly bint takes_access
