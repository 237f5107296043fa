"""The classes of bridge/stamps.pxi; included by logly/_core.pxd."""

from cpython.object cimport PyObject
from libc.stdint cimport uint32_t, uint64_t

from logly.bridge.route cimport CheckKind, Checks, ClassStamp, Stamp
from logly.system.cpython cimport PyTypeObject


cdef class Stamps:
    cdef Stamp* stamp
    cdef uint32_t count
    cdef uint32_t capacity
    cdef ClassStamp* classes
    cdef uint32_t class_count
    cdef Checks checks
    cdef uint32_t check_capacity
    cdef uint32_t items
    cdef uint32_t item_capacity
    cdef bint is_blind               # something was stamped whose changes cannot be seen
    cdef list kept                   # the stamped objects, until `release`
    cdef list held                   # what is kept alive as long as these stamps: keys, plain values, dicts of modules, stamps

    cdef bint add(self, const uint64_t* at, uint64_t want) except -1
    cdef bint add_changes(self) except -1
    cdef bint add_word(self, const uint64_t* at, uint64_t want) except -1
    cdef bint add_class(self, PyTypeObject* kind, uint32_t version) except -1
    cdef bint add_check(self, CheckKind kind, const void* at, uint64_t want, uint32_t count) except -1
    cdef bint add_item(self, PyObject* item) except -1
    cdef dict watch(self, object one)
    cdef bint watch_weakly(self, object reference, object one) except -1
    cpdef dict watch_dict(self, dict attributes)
    cdef dict watch_answers(self, dict answers)
    cdef dict take_dict(self, dict attributes, CheckKind kind)
    cdef bint take_values(self, dict attributes) except -1
    cpdef watch_class(self, kind)
    cdef bint watch_bases(self, object kind) except -1
    cdef list watch_list(self, list items)
    cdef bint watch_size(self, list items) except -1
    cdef bint take_in(self, Stamps other) except -1
    cdef bint words_hold(self) noexcept
    cdef bint hold_strictly(self) noexcept
    cdef bint hold(self) noexcept
    cdef release(self)


cdef class HandlerEntry:
    cdef readonly object reference   # weak reference to the handler
    cdef Stamps stamps
    cdef readonly object level       # the handler's
    cdef readonly Py_ssize_t filters
    cdef public str why_not
    cdef public bint wants_nothing
    cdef public object producer
    cdef public int sink
    cdef public bint is_ascii
    cdef public object extra         # what its formatter shows of `extra`: a ShownExtra, or None
    cdef public object served        # the Python side of what serves it

    cdef bint is_of(self, object handler) noexcept


cdef class World:
    cdef Stamps stamps
    cdef public str why_not
    cdef public bint is_gated        # `isEnabledFor` is the one of `install`, and no class hides the attributes that it reads


cdef class Target:
    cdef readonly Producer producer
    cdef readonly bint is_served
    cdef readonly bint is_ascii
    cdef readonly ServedExtra extra  # None: no formatter shows any of it
