"""The class of layout/compile.pxi; included by logly/_core.pxd."""

from logly.layout.line cimport Layout, Piece


cdef class LayoutProgram:
    cdef Layout* layout
    cdef dict field_names      # index of a piece -> the name of its field

    cdef build(self, Piece* piece, int code, str text, str spec)
    cdef build_key(self, Piece* piece, str name)
    cdef void take_over(self, LayoutProgram before) noexcept
    cdef find_runs(self)
