"""The class of layout/message_rules.pxi; included by logly/_core.pxd."""


cdef class Arguments:
    cdef tuple args
    cdef dict fields
    cdef Py_ssize_t automatic    # placeholders without a name or number so far

    cdef object value_of(self, str field)
    cdef str expanded(self, str spec)
    cdef bint check_widths(self, str template) except -1
