"""A cache for the text of runs. A run is a series of pieces whose text is the same for all records of one thread, call site and
level.

The cache has one entry for a (site, thread, level, process), found by their hash; the latest text replaces an older one.
Rendering writes to it, so only one thread may render at a time.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

from logly.layout.line cimport RUN_TEXT, Line, RunEntry
from logly.text.buffer cimport Buffer, buffer_reserve


# Returns the entry that has the text for this record, if the text is cached.
cdef inline RunEntry* run_entry(RunEntry* kept, const Line* line) noexcept nogil:
    cdef uint64_t mixed = (
        line.site_serial ^ line.view.thread >> 12 ^ line.view.thread ^ line.level.version
    )
    return &kept[(mixed * 0x9E3779B97F4A7C15u) >> 59]


# Writes the cached text and returns True; returns False when it is not cached. A site that the record itself contains cannot be
# part of the key.
cdef inline bint run_write(Buffer* out, const RunEntry* entry, const Line* line) noexcept nogil:
    if (
        entry.site != line.site_serial or entry.thread != line.view.thread or entry.level != line.level.version
        or entry.process != line.process or entry.size == 0 or line.view.site_path.data != NULL
    ):
        return False
    # Room for a whole entry is reserved, because a copy of a fixed size is a few vector moves.
    if buffer_reserve(out, RUN_TEXT):
        memcpy(out.data + out.size, entry.text, RUN_TEXT)
        out.size += entry.size
    return True


# Caches the text that has been written since `start`.
cdef inline void run_keep(RunEntry* entry, const Buffer* out, size_t start, const Line* line) noexcept nogil:
    if out.size - start > RUN_TEXT or out.failed or line.view.site_path.data != NULL:
        return
    entry.site = line.site_serial
    entry.thread = line.view.thread
    entry.level = line.level.version
    entry.process = line.process
    entry.size = <uint32_t> (out.size - start)
    memcpy(entry.text, out.data + start, entry.size)
