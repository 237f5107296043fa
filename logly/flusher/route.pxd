"""Which sinks want a record: decided once per call site, then one bit test."""

from libc.stdint cimport int32_t, uint32_t, uint64_t
from libc.stdlib cimport realloc
from libc.string cimport memcmp, memset

from logly.flusher.sink cimport Sink
from logly.layout.line cimport MAX_SITES, Line, Site
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


cdef inline bint route_grow(Sink* sink, uint32_t place) noexcept nogil:
    cdef uint32_t size = min(<uint32_t> MAX_SITES, 2 * place + 64)
    cdef uint64_t* grown = <uint64_t*> realloc(sink.route.answer, 8 * <size_t> size)
    if grown == NULL:
        return False
    memset(grown + sink.route.size, 0, 8 * <size_t> (size - sink.route.size))
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
    cdef uint32_t place
    cdef uint64_t answer
    if sink.selection.module_count == 0 and sink.selection.function_count == 0:
        return True
    if site == NULL:
        return inline_site_is_wanted(sink, &line.view)
    place = site.id & (MAX_SITES - 1)
    if place >= sink.route.size and not route_grow(sink, place):
        return site_is_wanted(sink, &site.module, &site.function)
    answer = sink.route.answer[place]
    if answer >> 1 != site.serial:
        answer = site.serial << 1 | site_is_wanted(sink, &site.module, &site.function)
        sink.route.answer[place] = answer
    return answer & 1


# `sequence` is compared because a sink gets only what was logged after it was added. `refuses` is there because a sink's Python
# function may log: a record from there is not for sinks that would call Python code again, or that would never end.
cdef inline bint is_wanted(Sink* sink, const Line* line, uint64_t sequence) noexcept nogil:
    cdef int32_t level = line.view.header.level_number
    return (
        sequence - sink.window.from_sequence < sink.window.count
        and sink.selection.min_level <= level and level <= sink.selection.max_level
        and not sink.selection.refuses & line.view.header.flags and is_routed(sink, line)
    )
