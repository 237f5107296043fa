"""Runs: the parts of a line whose text is the same for every record of one thread, call site and level.

A run's text is kept as it was composed last, one entry for a (site, thread, level, process), found by their hash. Written to by
rendering: one thread at a time.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

from logly.layout.line cimport RUN_TEXT, Line, RunEntry
from logly.text.buffer cimport Buffer, buffer_reserve


# Where the text for this record is kept, if it is.
cdef inline RunEntry* run_entry(RunEntry* kept, const Line* line) noexcept nogil:
    cdef uint64_t mixed = (
        (<uint64_t> line.site >> 5) ^ line.view.thread >> 12 ^ line.view.thread ^ line.level.version
    )
    return &kept[(mixed * 0x9E3779B97F4A7C15u) >> 59]


# True when it was kept and is written now. A site that stands in the record itself is no key.
cdef inline bint run_write(Buffer* out, const RunEntry* entry, const Line* line) noexcept nogil:
    if (
        entry.site != line.site or entry.thread != line.view.thread or entry.level != line.level.version
        or entry.process != line.process or entry.size == 0 or line.view.site_path.data != NULL
    ):
        return False
    # The room is for all of it: a copy of a fixed size is some vector moves.
    if buffer_reserve(out, RUN_TEXT):
        memcpy(out.data + out.size, entry.text, RUN_TEXT)
        out.size += entry.size
    return True


# Keeps what has been written since `start`.
cdef inline void run_keep(RunEntry* entry, const Buffer* out, size_t start, const Line* line) noexcept nogil:
    if out.size - start > RUN_TEXT or out.failed or line.view.site_path.data != NULL:
        return
    entry.site = line.site
    entry.thread = line.view.thread
    entry.level = line.level.version
    entry.process = line.process
    entry.size = <uint32_t> (out.size - start)
    memcpy(entry.text, out.data + start, entry.size)
