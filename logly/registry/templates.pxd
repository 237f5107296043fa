"""The class of registry/templates.pxi; included by logly/_core.pxd."""

from logly.layout.message cimport Program, TemplateStyle


cdef class Template:
    cdef Program* program    # NULL: it was given up
    cdef TemplateStyle style
    cdef str text
    cdef list aliases        # the str objects by whose address calls find it
