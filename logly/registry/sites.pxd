"""The class of registry/sites.pxi; included by logly/_core.pxd."""

from logly.layout.line cimport Site
from logly.layout.trace cimport Place


cdef class CodeWatch:
    cdef object key          # address of the code object
    cdef object reference    # weak reference to it
    cdef Site* first         # its call sites, linked by `of_code`
    cdef Place* first_place  # and its entries of tracebacks
