"""The call site of the frame that logs: found by its code object and instruction, without a lock."""

from cpython.object cimport PyObject
from libc.stdint cimport int32_t, uint32_t, uint64_t

from logly.layout.line cimport Site
from logly.registry.table cimport Table, table_find
from logly.system.atomic cimport load_pointer, load_relaxed, store_relaxed
from logly.system.cpython cimport (
    KEY_IS_VERSION, KNOWS_GLOBALS, NO_KEY, PyThreadState_Get, caller_of, name_in, namespace_key,
)


# Returns the id of the calling frame's site, or 0 when it is not registered.
cdef inline uint32_t site_of_caller(Table* sites) noexcept nogil:
    cdef const Site* site = find_site(sites)
    return site.id if site != NULL else 0


# Returns the calling frame's site, or NULL when it is not registered. One code object may run as code of several modules (exec,
# FunctionType); each module has a site of its own then. The site stays what it is while the frame runs, as long as no Python code
# runs meanwhile.
cdef inline Site* find_site(Table* sites) noexcept nogil:
    cdef int32_t instruction = 0
    cdef PyObject* globals = NULL
    cdef PyObject* code = caller_of(PyThreadState_Get(), &instruction, &globals)
    cdef Site* first
    cdef Site* site
    cdef uint64_t key
    if code == NULL:
        return NULL
    first = <Site*> table_find(sites, <uint64_t> code, <uint64_t> <uint32_t> instruction + 1)
    if first == NULL:
        return NULL
    key = namespace_key(globals)
    site = first
    while load_relaxed(&site.globals_key) != key:
        site = load_pointer(&site.next)
        if site == NULL:
            return site_by_name(first, globals, key) if KNOWS_GLOBALS else NULL
    return site


# Returns the site of the module whose name is in `globals`. This is for namespaces that have no valid key, and, where the key
# is a version, for those in which a global was assigned to since the last call.
cdef inline Site* site_by_name(Site* site, PyObject* globals, uint64_t key) noexcept nogil:
    cdef PyObject* name = NULL
    if not name_in(globals, &name):
        return NULL
    while load_pointer(&site.name) != <void*> name:
        site = load_pointer(&site.next)
        if site == NULL:
            return NULL
    if KEY_IS_VERSION and key != NO_KEY:
        store_relaxed(&site.globals_key, key)
    return site


cdef enum:
    KEYED_BIT = 1 << 31        # in the instruction of a site that is found by a key, and not by its module


# Returns the calling frame's site that was registered with this key, or NULL. Calls of `logging` have such sites: what they show
# as the module is the name of the logger.
cdef inline Site* find_keyed_site(Table* sites, uint64_t key) noexcept nogil:
    cdef int32_t instruction = 0
    cdef PyObject* globals = NULL
    cdef PyObject* code = caller_of(PyThreadState_Get(), &instruction, &globals)
    cdef Site* site
    if code == NULL:
        return NULL
    site = <Site*> table_find(sites, <uint64_t> code, (<uint64_t> <uint32_t> instruction | <uint64_t> KEYED_BIT) + 1)
    while site != NULL and load_relaxed(&site.globals_key) != key:
        site = load_pointer(&site.next)
    return site
