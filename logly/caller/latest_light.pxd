"""What a call site of `once`, `first`, `every` or `limit` has last handed out: mostly the next call asks for it again."""

from cpython.object cimport PyObject

from logly.ring.counter cimport LimitKind
from logly.ring.gate cimport Gate


cdef struct LatestLight:             # all of it is borrowed
    PyObject* light
    const Gate* gate                 # of the light logger; NULL: there is none
    PyObject* bound
    PyObject* name
    LimitKind kind
    Py_ssize_t count                 # of the arguments
    PyObject* given                  # the argument


# An argument mostly is a constant of the code, so it is the same object.
cdef inline bint is_latest(
    const LatestLight* latest, const Gate* gate, const PyObject* bound, const PyObject* name, LimitKind kind, PyObject** args,
    Py_ssize_t count
) noexcept nogil:
    return (
        latest.gate == gate and latest.bound == bound and latest.name == name and latest.kind == kind and latest.count == count
        and (count == 0 or args[0] == latest.given)
    )
