# Time patterns and zones for Python code: patterns of layouts are checked here, those of file names are rendered here.

from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from logly.system.atomic cimport fetch_add
from logly.text.buffer cimport Buffer, buffer_free, buffer_init
from logly.text.civil cimport zone_offset
from logly.text.time_pattern cimport (
    IN_LAYOUTS, IN_NAMES, NANOSECONDS, TimePattern, time_pattern_cache_second, time_pattern_compile, time_pattern_copy,
    time_pattern_free,
)
from logly.text.zones cimport (
    FIRST_NAMED_ZONE, MAX_NAMED_ZONES, ZONE_NAME_SIZE, NamedZone, ZoneChange, logly_zone_count, logly_zones, zone_is_known,
)

# Of other included files:
#   text/owned_text.pxi: utf8


def time_pattern_mistake(str pattern not None):
    """The position, in characters, of the mistake in a layout's time pattern; None when there is no mistake."""
    cdef TimePattern compiled
    cdef bytes data = utf8(pattern)
    cdef int mistake = time_pattern_compile(&compiled, <const char*> data, len(data), IN_LAYOUTS)
    cdef Py_ssize_t position = 0
    if mistake == 0:
        time_pattern_free(&compiled)
        return None
    if mistake < 0:
        raise MemoryError
    # Counted character by character, because a lone surrogate takes more bytes in `data` than in other encodings.
    bytes_left = mistake - 1
    while True:
        bytes_left -= len(utf8(pattern[position]))
        if bytes_left < 0:
            return position
        position += 1


def format_time(str pattern not None, now_ns, *, int zone=0):
    """The text of a moment in a file name.

    Args:
        pattern: tokens as in layouts, except single letters, `zz`, and numbers of decimals other than 3, 6 and 9. These,
            brackets and everything else are copied as they are.
        now_ns: nanoseconds since the epoch.
        zone: the number of a time zone: 0 for local time, 1 for UTC, or what `add_zone` returned.
    """
    cdef TimePattern compiled
    cdef Buffer text
    # A file name may have lone surrogates: these stand for bytes of the name that are not UTF-8.
    cdef bytes data = pattern.encode("utf-8", "surrogatepass")
    cdef object made = None
    check_zone(zone)
    second, nanosecond = divmod(now_ns, NANOSECONDS)
    cdef int64_t whole = second
    cdef uint32_t fraction = nanosecond
    if time_pattern_compile(&compiled, <const char*> data, len(data), IN_NAMES):
        raise MemoryError
    buffer_init(&text)
    time_pattern_cache_second(&compiled, whole, zone)
    time_pattern_copy(&compiled, &text, fraction)
    time_pattern_free(&compiled)
    try:
        if text.data != NULL:
            made = text.data[: text.size].decode("utf-8", "surrogatepass")
    finally:
        buffer_free(&text)
    if made is None:
        raise MemoryError
    return made


cdef bint check_zone(int zone) except -1:
    if not zone_is_known(zone):
        raise ValueError(f"no time zone has the number {zone}")
    return True


def zone_offset_at(int zone, int64_t second):
    """Seconds east of Greenwich in a time zone, by its number, at a moment: seconds since the epoch."""
    cdef char name[ZONE_NAME_SIZE]
    check_zone(zone)
    return zone_offset(zone, second, name)


def add_zone(list changes not None):
    """Adds a time zone to the core's table, for ever. Returns its number.

    Args:
        changes: (second since the epoch, offset in seconds, short name in ASCII) of each change, the earliest first; one or more.
    """
    cdef size_t count = len(changes)
    cdef NamedZone* zone = <NamedZone*> calloc(1, sizeof(NamedZone) + count * sizeof(ZoneChange))
    cdef size_t i
    cdef uint64_t place
    if zone == NULL:
        raise MemoryError
    zone.changes = count
    zone.change = <ZoneChange*> (zone + 1)
    try:
        for i in range(count):
            second, offset_s, name = changes[i]
            fill_zone_change(&zone.change[i], second, offset_s, name)
    except BaseException:
        free(zone)
        raise
    # An entry of its own, and no lock: another thread may be in here, and one that forks.
    place = fetch_add(&logly_zone_count, 1)
    if place >= <uint64_t> MAX_NAMED_ZONES:
        raise MemoryError
    logly_zones[place] = zone
    return FIRST_NAMED_ZONE + <int> place


cdef bint fill_zone_change(ZoneChange* change, int64_t second, int offset_s, bytes name) except -1:
    cdef Py_ssize_t size = min(len(name), <Py_ssize_t> ZONE_NAME_SIZE - 1)
    change.second = second
    change.offset_s = offset_s
    memcpy(change.name, <const char*> name, size)
    return True
