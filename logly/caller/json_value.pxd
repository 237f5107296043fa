"""The class of caller/json_value.pxi; included by logly/_core.pxd."""

cimport cython


@cython.final
cdef class JsonText:
    cdef list parts
    cdef list path               # ids of the containers that the current value is in
    cdef long items
    cdef Py_ssize_t room         # about so many more bytes
    cdef Core core               # as in `plain_value`
    cdef bint asks_encoders

    cdef bint put(self, str part) except -1
    cdef bint add(self, object value) except -1
    cdef bint add_text(self, str text) except -1
    cdef bint has_room(self) noexcept
    cdef bint add_other(self, object value) except -1
    cdef bint add_container(self, object plain, object value) except -1
    cdef bint add_list(self, list values) except -1
    cdef bint add_dict(self, dict items) except -1
