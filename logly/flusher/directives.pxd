"""Levels by name: "info,shop.db=debug" as a sorted table, asked on both sides of the ring.

A name is that of a logger, or of a call site's module where the logger has no name of its own. A directive holds for its own
name and for all names below it ("shop.db" is below "shop"); the longest one decides.
"""

from libc.stdint cimport int32_t, uint32_t
from libc.string cimport memcmp

from logly.text.buffer cimport Text

cdef enum:
    LEVEL_UNSAID = -1          # no directive matches, and there is no level for the rest


cdef struct Directive:
    Text name                  # never empty
    int32_t level              # INT32_MAX: off


cdef struct Directives:
    int32_t level              # where no directive matches
    uint32_t count
    Directive* directive       # in the order of the bytes of their names; no name twice


# As `strcmp` orders, but by length where one text is the beginning of the other.
cdef inline int compare_names(const char* a, uint32_t a_size, const Text* b) noexcept nogil:
    cdef int order = memcmp(a, b.data, min(a_size, b.size))
    if order:
        return order
    return (a_size > b.size) - (a_size < b.size)


cdef inline const Directive* directive_named(const Directives* directives, const char* name, uint32_t size) noexcept nogil:
    cdef uint32_t low = 0
    cdef uint32_t high = directives.count
    cdef uint32_t middle
    cdef int order
    while low < high:
        middle = low + (high - low) // 2
        order = compare_names(name, size, &directives.directive[middle].name)
        if order == 0:
            return &directives.directive[middle]
        if order > 0:
            low = middle + 1
        else:
            high = middle
    return NULL


# Returns the level that these directives give to a name, or LEVEL_UNSAID.
cdef inline int32_t level_for(const Directives* directives, const Text* name) noexcept nogil:
    cdef const Directive* found
    cdef uint32_t size = name.size
    if directives.count == 0:
        return directives.level
    while size:
        found = directive_named(directives, name.data, size)
        if found != NULL:
            return found.level
        size -= 1
        while size and name.data[size] != c'.':
            size -= 1
    return directives.level
