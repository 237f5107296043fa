"""A cache for the text of runs. A run is a series of pieces whose text is the same for all records of one thread, call site,
level and logger.

The cache has one entry for a (site, thread, level, process, name), found by their hash; the latest text replaces an older one.
Rendering writes to it, so only one thread may render at a time.
"""

from libc.stdint cimport uint16_t, uint64_t
from libc.string cimport memcpy

from logly.layout.line cimport Line
from logly.layout.run_entry cimport RUN_TEXT, RunEntry
from logly.ring.record cimport NAME_INSIDE
from logly.text.buffer cimport Buffer, buffer_reserve


# Returns the entry that has the text for this record, if the text is cached.
cdef inline RunEntry* run_entry(RunEntry* kept, const Line* line) noexcept nogil:
    cdef uint64_t mixed = line.site_serial ^ line.view.thread >> 12 ^ line.view.thread ^ line.level.version
    mixed ^= <uint64_t> line.view.header.origin << 8
    return &kept[(mixed * 0x9E3779B97F4A7C15u) >> 59]


# A site or a name that the record itself contains cannot be part of the key.
cdef inline bint has_no_key(const Line* line) noexcept nogil:
    return line.view.site_path.data != NULL or line.view.header.origin == NAME_INSIDE


# Writes the cached text and returns True; returns False when it is not cached.
cdef inline bint run_write(Buffer* out, const RunEntry* entry, const Line* line) noexcept nogil:
    if (
        entry.site != line.site_serial or entry.thread != line.view.thread or entry.level != line.level.version
        or entry.process != line.process or entry.origin != line.view.header.origin or entry.size == 0 or has_no_key(line)
    ):
        return False
    # Room for a whole entry is reserved, because a copy of a fixed size is a few vector moves.
    if buffer_reserve(out, RUN_TEXT):
        memcpy(out.data + out.size, entry.text, RUN_TEXT)
        out.size += entry.size
    return True


# Caches the text that has been written since `start`.
cdef inline void run_keep(RunEntry* entry, const Buffer* out, size_t start, const Line* line) noexcept nogil:
    if out.size - start > RUN_TEXT or out.failed or has_no_key(line):
        return
    entry.site = line.site_serial
    entry.thread = line.view.thread
    entry.level = line.level.version
    entry.process = line.process
    entry.origin = line.view.header.origin
    entry.size = <uint16_t> (out.size - start)
    memcpy(entry.text, out.data + start, entry.size)
