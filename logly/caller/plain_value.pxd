"""The classes of caller/plain_value.pxi; included by logly/_core.pxd."""


cdef class Encoders:
    cdef dict functions          # (class, function) by the address of the class
    cdef object fallback         # the function of `object`, for values that str would show; or None

    cdef object function_for(self, object kind)


cdef class Reader:
    cdef object function         # (value, data) -> what JSON has in its place; None: the value is shown by str
    cdef object data
