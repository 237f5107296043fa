"""The class of caller/named_levels.pxi; included by logly/_core.pxd."""


cdef class LevelName:
    cdef str name              # in capitals
    cdef bint is_light

    cdef bint is_level_of(self, Producer producer) except -1
