"""What a logger of `logging` would do with a call, found out once, and stamps by which a call sees that it still would.

A route says for each level whether the call makes no record, one in a ring, or goes the way of `logging`. It holds as long as
all its stamps are what they were. Their order makes it safe to read them: each stamp proves that the objects of the next ones
are still there.
"""

from cpython.object cimport PyObject
from libc.stdint cimport int32_t, uint32_t, uint64_t, uint8_t

from logly.system.cpython cimport PyTypeObject, list_item, type_version

cdef extern from * nogil:
    Py_ssize_t list_size "PyList_GET_SIZE"(PyObject* list_) noexcept

cdef enum:
    ROUTE_LEVELS = 8           # the five of `logging`'s methods, and three of `log`

cdef enum Way:
    WAY_UNKNOWN = 0            # `logging` has not been asked for this level yet
    WAY_OFF                    # no record
    WAY_FAST                   # a record in a ring
    WAY_NONE                   # a record that no handler wants
    WAY_ORIGINAL               # as `logging` does it


cdef struct Stamp:             # of a dict, or of where it hangs
    const uint64_t* at
    uint64_t want


cdef struct ClassStamp:
    PyTypeObject* type
    uint32_t version


cdef struct ListStamp:         # of handlers or filters
    PyObject* list
    Py_ssize_t size
    uint32_t first             # of its items, in `LoggingRoute.item`


cdef struct LevelWay:
    int32_t number
    uint8_t way                # of `Way`
    PyObject* target           # WAY_FAST: the Target, which the route's Python side holds


cdef struct LoggingRoute:
    PyObject* owner            # its Python side, a RouteOwner, which holds the logger
    uint64_t site_key          # of its name: see registry/call_site.pxd
    # stamps, in the order in which they are compared
    Stamp* stamp
    uint32_t quick             # those before decide whether a level is on
    uint32_t front             # those before are of loggers, those from here on of handlers
    uint32_t stamps
    ClassStamp* classes
    uint32_t class_count
    ListStamp* list
    uint32_t lists
    PyObject** item
    LevelWay level[ROUTE_LEVELS]
    uint64_t fast
    uint64_t rendered
    uint64_t original


cdef inline bint stamps_hold(const LoggingRoute* route, uint32_t first, uint32_t last) noexcept nogil:
    cdef uint32_t i
    for i in range(first, last):
        if route.stamp[i].at[0] != route.stamp[i].want:
            return False
    return True


# Whether what decides about levels is as it was.
cdef inline bint route_is_quick(const LoggingRoute* route) noexcept nogil:
    return (
        stamps_hold(route, 0, route.quick) and type_version(route.classes[0].type) == route.classes[0].version
    )


# Whether everything else is, too.
cdef inline bint route_holds(const LoggingRoute* route) noexcept nogil:
    cdef uint32_t i
    cdef Py_ssize_t k
    cdef const ListStamp* one
    if not stamps_hold(route, route.quick, route.front):
        return False
    for i in range(route.lists):
        one = &route.list[i]
        if list_size(one.list) != one.size:
            return False
        for k in range(one.size):
            if list_item(one.list, k) != route.item[one.first + k]:
                return False
    if not stamps_hold(route, route.front, route.stamps):
        return False
    for i in range(1, route.class_count):
        if type_version(route.classes[i].type) != route.classes[i].version:
            return False
    return True
