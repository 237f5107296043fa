"""The names of an engine's loggers, by the numbers that records have in `RecordHeader.origin`."""

from libc.stdint cimport uint16_t
from libc.stdlib cimport calloc, free

from logly.ring.record cimport NAME_INSIDE
from logly.system.atomic cimport load_pointer, store_pointer
from logly.text.buffer cimport Text

cdef enum:
    NAMES_IN_BLOCK = 256
    LAST_NAME = NAME_INSIDE - 1    # the highest number that a name has


# Names are only added, so that the flusher reads the table without a lock: a record with a number comes after the number's name.
cdef struct NameTable:
    const Text** block[256]        # of NAMES_IN_BLOCK names; NULL: none yet


# Returns the name that has this number, or NULL.
cdef inline const Text* logger_name(const NameTable* names, uint16_t number) noexcept nogil:
    cdef const Text** block = load_pointer(&names.block[number // NAMES_IN_BLOCK])
    return block[number % NAMES_IN_BLOCK] if block != NULL else NULL


# Makes room for this number. Returns False when there is no memory.
cdef inline bint names_reserve(NameTable* names, uint16_t number) noexcept nogil:
    cdef const Text*** block = &names.block[number // NAMES_IN_BLOCK]
    if block[0] == NULL:
        store_pointer(block, <const Text**> calloc(NAMES_IN_BLOCK, sizeof(void*)))
    return block[0] != NULL


# Gives a name its number, for which there is room. Returns the name that had it before, or NULL.
cdef inline const Text* names_put(NameTable* names, uint16_t number, const Text* name) noexcept nogil:
    cdef const Text** place = &names.block[number // NAMES_IN_BLOCK][number % NAMES_IN_BLOCK]
    cdef const Text* before = place[0]
    place[0] = name
    return before


# Frees the table, and not the names.
cdef inline void names_free(NameTable* names) noexcept nogil:
    cdef int i
    for i in range(256):
        free(names.block[i])
