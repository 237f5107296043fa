"""What a logger of `logging` would do with a call, found out once, and stamps by which a call sees that it still would.

A route says for each level whether the call makes no record, one in a ring, or goes the way of `logging`. It holds as long as
all its stamps are what they were. Their order makes it safe to read them: each stamp proves that the objects of the next ones
are still there.

Where CPython tells of changes of dicts, the number of changes so far is one of the stamps, and that of a dict's version is not
needed. When it is another number, or where CPython does not tell of all changes, the checks of the route are made, which compare
everything with what it was, entry by entry.
"""

from cpython.object cimport PyObject
from libc.stdint cimport int32_t, uint32_t, uint64_t, uint8_t

from logly.system.cpython cimport PyTypeObject, list_item, type_version
from logly.system.stamps cimport (
    COMPARES, HAS_TABLE_VERSIONS, are_entries, are_names, are_values, changes, is_list, table_version,
)

cdef extern from * nogil:
    Py_ssize_t list_size "PyList_GET_SIZE"(PyObject* list_) noexcept

cdef enum CheckKind:
    CHECK_WORD                 # `at` holds `want`
    CHECK_CLASS                # the class `at` has the version `want`
    CHECK_ENTRIES              # the dict `at` has these entries and no others
    CHECK_ANSWERS              # the same, but answers about more levels may have been added
    CHECK_NAMES                # the dict `at` has these values under these names
    CHECK_LIST                 # the list `at` has these `want` items
    CHECK_SIZE                 # the list `at` has the size `want`
    CHECK_GROUP                # all the Checks `at` hold

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


cdef struct Check:             # of an object as it was
    const void* at
    uint64_t want
    uint64_t version           # of a dict, if it tells of every change; else 0
    PyObject** values          # where a dict's values are outside of it, if that is known
    uint32_t kind              # of `CheckKind`
    uint32_t first             # of its items, in `Checks.item`
    uint32_t count             # entries, names or items
    uint32_t first_value       # of a copy of its values
    uint32_t value_count


cdef struct Checks:            # as with stamps, each one proves that the objects of the next ones are still there
    Check* check
    uint32_t count
    PyObject** item            # what was there; most of it may be gone
    uint64_t changes           # so many had been told of when all of them held; 0: CPython does not tell of all changes


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
    Checks* checks             # NULL: stamps tell of every change
    uint32_t quick_checks      # those before decide whether a level is on


cdef inline bint stamps_hold(const LoggingRoute* route, uint32_t first, uint32_t last) noexcept nogil:
    cdef uint32_t i
    for i in range(first, last):
        if route.stamp[i].at[0] != route.stamp[i].want:
            return False
    return True


cdef inline bint checks_hold(Checks* checks, uint32_t first, uint32_t last) noexcept nogil:
    cdef uint32_t i
    for i in range(first, last):
        if not check_holds(checks, &checks.check[i]):
            return False
    return True


cdef inline bint check_holds(Checks* checks, Check* one) noexcept nogil:
    cdef PyObject* at = <PyObject*> one.at
    cdef PyObject** item = checks.item + one.first
    cdef uint32_t i
    if one.kind == CHECK_WORD:
        return (<const uint64_t*> one.at)[0] == one.want
    if one.kind == CHECK_CLASS:
        return type_version(<PyTypeObject*> one.at) == one.want
    if one.kind == CHECK_GROUP:
        return group_holds(<Checks*> one.at)
    if one.kind == CHECK_LIST:
        if not is_list(at) or <uint64_t> list_size(at) != one.want:
            return False
        for i in range(one.count):
            if list_item(at, i) != item[i]:
                return False
        return True
    if one.kind == CHECK_SIZE:
        return is_list(at) and <uint64_t> list_size(at) == one.want
    # A dict is left. Whatever is above may change without anybody's being told.
    if checks.changes == changes:
        return True
    if HAS_TABLE_VERSIONS and one.version != 0 and table_version(at) == one.version:
        return True
    if one.values != NULL and are_values(at, one.values, checks.item + one.first_value, one.value_count):
        return True
    if one.kind == CHECK_NAMES:
        if not are_names(at, item, one.count):
            return False
    elif not are_entries(at, item, one.count, one.kind == CHECK_ANSWERS):
        return False
    if HAS_TABLE_VERSIONS and one.version != 0:
        one.version = table_version(at)
    return True


# Checks that several routes share: after a change the entries of dicts are compared for one of these only.
cdef inline bint group_holds(Checks* checks) noexcept nogil:
    if not checks_hold(checks, 0, checks.count):
        return False
    if checks.changes:
        checks.changes = changes
    return True


# For a route whose stamps do not hold: whether that is because of a change of something else. Neither this nor the next one runs
# Python code, so nothing changes meanwhile.
cdef inline bint route_is_quick_yet(LoggingRoute* route) noexcept nogil:
    if route.checks == NULL or not checks_hold(route.checks, 0, route.quick_checks):
        return False
    if route.checks.changes:
        route.stamp[0].want = changes
    return True


cdef inline bint route_holds_yet(LoggingRoute* route) noexcept nogil:
    if route.checks == NULL or not checks_hold(route.checks, route.quick_checks, route.checks.count):
        return False
    if route.checks.changes:
        route.stamp[route.quick].want = changes
        route.checks.changes = changes
    return True


cdef inline bint stamps_are_quick(const LoggingRoute* route) noexcept nogil:
    return (
        stamps_hold(route, 0, route.quick) and type_version(route.classes[0].type) == route.classes[0].version
    )


# Whether what decides about levels is as it was.
cdef inline bint route_is_quick(LoggingRoute* route) noexcept nogil:
    return stamps_are_quick(route) or (COMPARES and route_is_quick_yet(route))


cdef inline bint all_stamps_hold(const LoggingRoute* route) noexcept nogil:
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


# Whether everything else is, too. To be asked after `route_is_quick`, with no Python code in between.
cdef inline bint route_holds(LoggingRoute* route) noexcept nogil:
    return all_stamps_hold(route) or (COMPARES and route_holds_yet(route))
