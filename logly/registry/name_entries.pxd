"""The class of registry/name_entries.pxi; included by logly/_core.pxd."""


cdef class NameStore:
    cdef object __weakref__
    cdef uint32_t era      # in which it joined; 0: it has got all places

    cdef bint store_names(self, bytes entries) except -1
