"""The class of caller/exceptions.pxi; included by logly/_core.pxd."""


cdef class Shown:
    cdef object error
    cdef object trace        # the first entry of its traceback, or None
    cdef str kind            # its class, as a traceback shows it
    cdef str message
    cdef str entries         # the text of its traceback, where that could get no places; else None
    cdef tuple lines         # its own lines, where Python has made them: (text, text made safe); else None
    cdef Shown cause
    cdef Shown context
    cdef list others         # the exceptions of a group, else None
