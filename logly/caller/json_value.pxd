"""The class of caller/json_value.pxi; included by logly/_core.pxd."""


cdef class JsonText:
    cdef list parts
    cdef list path               # ids of the containers that the current value is in
    cdef long items

    cdef bint add(self, object value) except -1
    cdef bint add_container(self, object value) except -1
    cdef bint add_list(self, list values) except -1
    cdef bint add_dict(self, object value) except -1
