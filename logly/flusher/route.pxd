"""Which sinks want a record: found out once per call site or name, and level, as a list.

A sink that is not in the list is not touched for the record.
"""

from libc.stdint cimport int32_t, uint16_t, uint32_t, uint64_t, uint8_t
from libc.string cimport memcmp

from logly.flusher.directives cimport LEVEL_UNSAID
from logly.flusher.route_cache cimport Route, RouteRoom, Routes, routes_find, routes_forget, routes_keep
from logly.flusher.rules cimport has_directives, level_asked, rules_pass
from logly.flusher.served cimport ServedName, is_served_by
from logly.flusher.sink cimport Sink
from logly.flusher.state cimport Engine
from logly.layout.levels cimport LEVEL_INFO
from logly.layout.line cimport Line
from logly.layout.logger_names cimport logger_name
from logly.layout.message cimport write_value
from logly.ring.record cimport BY_MODULE, HAS_NAME, HAS_SITE, IS_ECHO, IS_INSIDE, IS_SERVED, TAG_UTF8, RecordView, Value
from logly.text.buffer cimport Buffer, Text

cdef enum:
    KIND_FLAGS = IS_INSIDE | IS_ECHO | IS_SERVED

# What decides whether a sink wants a record.
cdef struct Kind:
    int32_t level
    int32_t floor              # the logger's level
    uint8_t flags
    Text name                  # what levels by name go by
    Text module
    Text function
    const ServedName* served   # of a record for served handlers, or NULL


# ---- one sink

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


# `refuses` is there because a sink's Python function may log: a record from there is not for sinks that would call Python code
# again, or that would never end.
cdef inline bint is_wanted(const Sink* sink, const Kind* kind) noexcept nogil:
    cdef int32_t asked
    if sink.selection.serves:
        return kind.served != NULL and is_served_by(kind.served, sink.id)
    if kind.served != NULL and not kind.served.own:
        return False
    asked = level_asked(&sink.rules, &kind.name)
    if asked == LEVEL_UNSAID:
        asked = LEVEL_INFO if kind.floor == LEVEL_UNSAID else kind.floor
    if kind.floor > asked and not sink.selection.bypasses:
        asked = kind.floor
    return (
        asked <= kind.level and kind.level <= sink.selection.max_level and not sink.selection.refuses & kind.flags
        and site_is_wanted(sink, &kind.module, &kind.function)
    )


# ---- all sinks

# Called when the rules or the sinks are others from this record on.
cdef inline void begin_routes(Engine* engine) noexcept nogil:
    cdef Routes* routes = &engine.routes
    cdef RouteRoom* room = &engine.room
    cdef uint64_t sequence = engine.books.drained
    cdef Sink* sink = engine.sinks
    routes_forget(routes)
    routes.valid_until = rules_pass(&engine.rules, sequence)
    routes.by_name = has_directives(&engine.rules)
    routes.by_site = False
    room.open_count = 0
    while sink != NULL:
        routes.valid_until = min(routes.valid_until, rules_pass(&sink.rules, sequence))
        if sequence < sink.window.from_sequence:
            routes.valid_until = min(routes.valid_until, sink.window.from_sequence)
        elif sequence - sink.window.from_sequence < sink.window.count:
            routes.valid_until = min(routes.valid_until, sink.window.from_sequence + sink.window.count)
            routes.by_name = routes.by_name or has_directives(&sink.rules)
            routes.by_site = routes.by_site or sink.selection.module_count != 0 or sink.selection.function_count != 0
            room.open[room.open_count] = sink
            room.open_count += 1
        sink = sink.next


# Whether levels by name go by the logger's name. Else they go by the module.
cdef inline bint goes_by_name(const Line* line) noexcept nogil:
    return line.is_named and not line.view.header.flags & (BY_MODULE | IS_SERVED)


cdef inline void convert_name(Buffer* names, const Value* name) noexcept nogil:
    if name.tag != TAG_UTF8:
        write_value(names, name)


# Gives the names of a record that carries its call site itself. They are stored as in CPython. Those that are not ASCII are
# converted to UTF-8, in `names`.
cdef inline void read_site(Buffer* names, const RecordView* view, Kind* kind) noexcept nogil:
    cdef uint32_t size
    names.size = 0
    convert_name(names, &view.site_module)
    size = <uint32_t> names.size
    convert_name(names, &view.site_function)
    kind.module = Text(view.site_module.data, view.site_module.count)
    kind.function = Text(view.site_function.data, view.site_function.count)
    if view.site_module.tag != TAG_UTF8:
        kind.module = Text(names.data, size)
    if view.site_function.tag != TAG_UTF8:
        kind.function = Text(names.data + size, <uint32_t> names.size - size)
    names.failed = False


cdef inline void read_kind_of_site(Engine* engine, const Line* line, Kind* kind) noexcept nogil:
    kind.module = kind.function = Text(b"", 0)
    if line.site != NULL:
        kind.module = line.site.module
        kind.function = line.site.function
    elif line.view.header.flags & HAS_SITE:
        # In the buffer for the message, which is made after this.
        read_site(&engine.workspace.message, &line.view, kind)


# True when the sink selects this record's module and function.
cdef inline bint is_of_wanted_site(Engine* engine, const Sink* sink, const Line* line) noexcept nogil:
    cdef Kind kind
    if sink.selection.module_count == 0 and sink.selection.function_count == 0:
        return True
    read_kind_of_site(engine, line, &kind)
    return site_is_wanted(sink, &kind.module, &kind.function)


# True when the record is for served handlers of `logging` only.
cdef inline bint is_served_elsewhere(const Engine* engine, const Line* line) noexcept nogil:
    if not line.view.header.flags & IS_SERVED:
        return False
    return not (<const ServedName*> logger_name(engine.served, line.view.header.origin)).own


# Makes the list of the sinks that want this record. It holds until the next one is made.
cdef inline const Route* make_route(Engine* engine, const Line* line) noexcept nogil:
    cdef RouteRoom* room = &engine.room
    cdef Route* route = &room.made
    cdef uint32_t i, filtered = 0
    cdef Kind kind
    kind.served = NULL
    if line.view.header.flags & IS_SERVED:
        kind.served = <const ServedName*> logger_name(engine.served, line.view.header.origin)
    kind.level = line.view.header.level_number
    kind.flags = <uint8_t> line.view.header.flags
    read_kind_of_site(engine, line, &kind)
    kind.name = line.name[0] if goes_by_name(line) else kind.module
    kind.floor = level_asked(&engine.rules, &kind.name)
    route.count = 0
    for i in range(room.open_count):
        if is_wanted(room.open[i], &kind):
            filtered += room.open[i].selection.filtered
            route.sink[route.count] = room.open[i]
            route.count += 1
    route.is_undecided = route.count != 0 and filtered == route.count
    return route


cdef inline const Route* find_route(Engine* engine, const Line* line, uint64_t site, uint64_t kind) noexcept nogil:
    cdef Routes* routes = &engine.routes
    cdef const Route* route = routes_find(routes, site, kind)
    if route == NULL:
        return routes_keep(routes, site, kind, make_route(engine, line))
    routes.site = site
    routes.kind = kind
    routes.route = route
    return route


# Adds the names that decide to what a list is found by. Returns False when the record has such a name inside, and not by number.
cdef inline bint complete_key(const Routes* routes, const Line* line, uint64_t* site, uint64_t* kind) noexcept nogil:
    if line.view.header.flags & IS_SERVED:
        kind[0] |= <uint64_t> line.view.header.origin << 32
        if not routes.by_site and not routes.by_name:
            return True
    elif routes.by_name and goes_by_name(line):
        if line.view.header.flags & HAS_NAME:
            return False
        # The engine's own name has the number 0.
        kind[0] |= (<uint64_t> line.view.header.origin + 1) << 32
        if not routes.by_site:
            return True
    site[0] = line.site_serial
    return site[0] != 0 or not line.view.header.flags & HAS_SITE


# Returns the sinks that want this record. The list holds until the next call.
cdef inline const Route* route_of(Engine* engine, const Line* line) noexcept nogil:
    cdef Routes* routes = &engine.routes
    cdef uint64_t kind, site = 0
    if engine.books.drained >= routes.valid_until:
        begin_routes(engine)
    kind = <uint16_t> line.view.header.level_number | (<uint64_t> (line.view.header.flags & KIND_FLAGS) << 16)
    if routes.by_site or routes.by_name or line.view.header.flags & IS_SERVED:
        if not complete_key(routes, line, &site, &kind):
            return make_route(engine, line)
    if kind == routes.kind and site == routes.site:
        return routes.route
    return find_route(engine, line, site, kind)
