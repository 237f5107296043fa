"""Named time zones: which offset from UTC, and which short name, a zone has at a moment. No lock, no GIL.

A zone is a number: 0 is the process's local time, 1 is UTC, and those from 2 on are entries of the table here. Python code fills
it (config/zones.py) when a logger is set to such a zone. An entry is complete before its number is known to anybody, never
changes and is never freed, so the flusher may read it at any time, also in a child after a fork.
"""

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memcpy

cdef enum:
    ZONE_LOCAL = 0
    ZONE_UTC = 1
    FIRST_NAMED_ZONE = 2
    MAX_NAMED_ZONES = 4096  # the database has about 600 names
    ZONE_NAME_SIZE = 32


# From a moment on, until the next change. All bytes of `name` after its end are 0.
cdef struct ZoneChange:
    int64_t second
    int32_t offset_s       # seconds east of Greenwich
    char name[ZONE_NAME_SIZE]


cdef struct NamedZone:
    size_t changes         # 1 or more
    ZoneChange* change     # the earliest first; the first one also holds for all time before it

cdef extern from *:
    """
    #ifndef LOGLY_ZONES
    #define LOGLY_ZONES
    [[maybe_unused]] static void* logly_zones[4096];        // of NamedZone
    [[maybe_unused]] static uint64_t logly_zone_count;      // of entries that were given away; some may still be NULL
    #endif
    """
    void* logly_zones[MAX_NAMED_ZONES]
    uint64_t logly_zone_count


cdef inline const ZoneChange* zone_change_at(const NamedZone* zone, int64_t second) noexcept nogil:
    cdef size_t low = 0
    cdef size_t high = zone.changes
    cdef size_t middle
    while high - low > 1:
        middle = (low + high) / 2
        if zone.change[middle].second <= second:
            low = middle
        else:
            high = middle
    return &zone.change[low]


cdef inline bint zone_is_known(int zone) noexcept nogil:
    if zone < 0 or zone >= FIRST_NAMED_ZONE + MAX_NAMED_ZONES:
        return False
    return zone < FIRST_NAMED_ZONE or logly_zones[zone - FIRST_NAMED_ZONE] != NULL


# The offset of a named zone; its short name is copied to `name`.
cdef inline int named_zone_offset(int zone, int64_t second, char* name) noexcept nogil:
    cdef const ZoneChange* change = zone_change_at(<const NamedZone*> logly_zones[zone - FIRST_NAMED_ZONE], second)
    memcpy(name, change.name, ZONE_NAME_SIZE)
    return change.offset_s
