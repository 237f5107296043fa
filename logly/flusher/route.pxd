"""Which sinks want a record: decided once per call site, then one bit test."""

from libc.stdint cimport int32_t, uint32_t, uint64_t, uint8_t
from libc.stdlib cimport realloc
from libc.string cimport memcmp, memset

from logly.flusher.sink cimport Sink
from logly.layout.line cimport Line, Site
from logly.layout.message cimport write_value
from logly.ring.record cimport HAS_SITE, RecordView
from logly.text.buffer cimport Buffer, Text, buffer_free, buffer_init


# ---- routing

# True when `name` is `wanted` itself or something below it ("app.db" is below "app").
cdef inline bint is_below(const Text* name, const Text* wanted) noexcept nogil:
    return (
        name.size >= wanted.size
        and memcmp(name.data, wanted.data, wanted.size) == 0
        and (name.size == wanted.size or name.data[wanted.size] == c'.')
    )


cdef inline bint text_equal(const Text* a, const Text* b) noexcept nogil:
    return a.size == b.size and memcmp(a.data, b.data, a.size) == 0


cdef inline bint site_is_wanted(const Sink* sink, const Text* module, const Text* function) noexcept nogil:
    cdef uint32_t i
    cdef bint wanted = sink.selection.module_count == 0
    for i in range(sink.selection.module_count):
        wanted = wanted or is_below(module, &sink.selection.modules[i])
    if not wanted or sink.selection.function_count == 0:
        return wanted
    for i in range(sink.selection.function_count):
        if text_equal(function, &sink.selection.functions[i]):
            return True
    return False


cdef inline bint route_grow(Sink* sink, uint32_t site) noexcept nogil:
    cdef uint32_t size = 2 * site + 64
    cdef uint8_t* grown = <uint8_t*> realloc(sink.route.answer, size)
    if grown == NULL:
        return False
    memset(grown + sink.route.size, 0, size - sink.route.size)
    sink.route.answer = grown
    sink.route.size = size
    return True


# For a record that carries its call site itself. Its names are stored as in CPython, so they are converted to UTF-8 first.
cdef inline bint inline_site_is_wanted(const Sink* sink, const RecordView* view) noexcept nogil:
    cdef Text module = Text(b"", 0)
    cdef Text function = module
    cdef Buffer names
    cdef bint wanted
    buffer_init(&names)
    if view.header.flags & HAS_SITE:
        write_value(&names, &view.site_module)
        module.size = <uint32_t> names.size
        write_value(&names, &view.site_function)
        function.size = <uint32_t> names.size - module.size
        module.data = names.data
        function.data = names.data + module.size
    wanted = site_is_wanted(sink, &module, &function)
    buffer_free(&names)
    return wanted


# Asks whether the sink wants this call site. The answer is decided once per site, and afterwards costs one load.
cdef inline bint is_routed(Sink* sink, const Line* line) noexcept nogil:
    cdef const Site* site = line.site
    if sink.selection.module_count == 0 and sink.selection.function_count == 0:
        return True
    if site == NULL:
        return inline_site_is_wanted(sink, &line.view)
    if site.id >= sink.route.size and not route_grow(sink, site.id):
        return site_is_wanted(sink, &site.module, &site.function)
    if sink.route.answer[site.id] == 0:
        sink.route.answer[site.id] = 2 if site_is_wanted(sink, &site.module, &site.function) else 1
    return sink.route.answer[site.id] == 2


# `sequence` is compared because a sink gets only what was logged after it was added. `refuses` is there because a sink's Python
# function may log: a record from there is not for sinks that would call Python code again, or that would never end.
cdef inline bint is_wanted(Sink* sink, const Line* line, uint64_t sequence) noexcept nogil:
    cdef int32_t level = line.view.header.level_number
    return (
        sequence - sink.window.from_sequence < sink.window.count
        and sink.selection.min_level <= level and level <= sink.selection.max_level
        and not sink.selection.refuses & line.view.header.flags and is_routed(sink, line)
    )
