"""The class of ring/forks.pxi; included by logly/_core.pxd."""


cdef class SpoolSection:
    pass
