"""A route: what a logger of `logging` would do with a call. It is found out once; its stamps tell whether it still holds.

A route says for each level whether the call makes no record, makes a record in a ring, or goes the way of `logging`. It holds
as long as all its stamps are what they were. The stamps are compared in an order that makes it safe to read them: each stamp
that holds proves that the objects of the next ones still exist.

If CPython has no versions of dicts but tells of changes of dicts, the number of changes so far is one of the stamps. When this
number is another one, or if CPython does not tell of all changes, the route's checks are made: they compare everything with
what it was, entry by entry.
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
    WAY_UNKNOWN = 0            # `logging` has not been asked about this level yet
    WAY_OFF                    # the level is off
    WAY_FAST                   # the call makes a record in a ring
    WAY_NONE                   # the level is on, and no handler wants the record
    WAY_ORIGINAL               # `logging` does the work


cdef struct Stamp:             # the word at `at` is to have the value `want`
    const uint64_t* at
    uint64_t want


cdef struct ClassStamp:
    PyTypeObject* type
    uint32_t version


cdef struct ListStamp:         # of handlers or filters
    PyObject* list
    Py_ssize_t size
    uint32_t first             # of its items, in `LoggingRoute.item`


cdef struct Check:             # compares an object with what it was
    const void* at
    uint64_t want
    uint64_t version           # a dict's version, if it changes with every change; else 0
    PyObject** values          # where CPython keeps the values of a dict outside of it; NULL: not used
    uint32_t kind              # a `CheckKind`
    uint32_t first             # index of its first item in `Checks.item`
    uint32_t count             # number of entries, names or items
    uint32_t first_value       # index of the first of the copied `values` in `Checks.item`
    uint32_t value_count


cdef struct Checks:            # as with stamps, each one proves that the objects of the next ones still exist
    Check* check
    uint32_t count
    PyObject** item            # what was there; compared by address only, because the objects may be gone
    uint64_t changes           # how many changes CPython had told of when all checks held; 0: it does not tell of all


cdef struct LevelWay:
    int32_t number
    uint8_t way                # of `Way`
    PyObject* target           # WAY_FAST: the Target, which the route's Python side holds


cdef struct LoggingRoute:
    PyObject* owner            # its Python side, a RouteOwner, which holds the logger
    uint64_t site_key          # of its name: see registry/call_site.pxd
    # stamps, in the order in which they are compared
    Stamp* stamp
    uint32_t quick             # the stamps before this index decide whether a level is on
    uint32_t front             # the stamps before this index are of loggers, the others of handlers
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
    uint32_t quick_checks      # the checks before this index decide whether a level is on


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
    # The others are checks of dicts. CPython tells of changes of dicts only, so the checks above are made each time.
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


# Checks that several routes share. After a change, the first route that asks compares the entries of their dicts, for all routes.
cdef inline bint group_holds(Checks* checks) noexcept nogil:
    if not checks_hold(checks, 0, checks.count):
        return False
    if checks.changes:
        checks.changes = changes
    return True


# For a route whose stamps do not hold: whether only something else has changed, on which the route does not depend. Neither this
# function nor the next one runs Python code, so nothing changes meanwhile.
cdef inline bint route_levels_hold_yet(LoggingRoute* route) noexcept nogil:
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


cdef inline bint level_stamps_hold(const LoggingRoute* route) noexcept nogil:
    return (
        stamps_hold(route, 0, route.quick) and type_version(route.classes[0].type) == route.classes[0].version
    )


# Whether what decides about levels has not changed.
cdef inline bint route_levels_hold(LoggingRoute* route) noexcept nogil:
    return level_stamps_hold(route) or (COMPARES and route_levels_hold_yet(route))


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


# Whether nothing else has changed either. To be asked after `route_levels_hold`, with no Python code in between.
cdef inline bint route_holds(LoggingRoute* route) noexcept nogil:
    return all_stamps_hold(route) or (COMPARES and route_holds_yet(route))
