# What changes which records go where: levels by name, a sink's first and last record, and the books of a sink.

from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from libc.stdint cimport INT64_MAX, int64_t, uint16_t, uint32_t, uint64_t, uint8_t
from libc.stdlib cimport calloc, free, malloc

from logly.flusher.route_cache cimport RouteRoom, routes_free
from logly.flusher.rules cimport RuleStep, Rules, rules_drop, rules_set
from logly.flusher.served cimport ServedName, served_has_left, served_leave
from logly.flusher.sink cimport TARGET_BATCH, TARGET_FUNCTION, Sink, Tally, sink_free, sink_offered, sink_pending
from logly.flusher.state cimport Engine, engine_committed, engine_reroute
from logly.layout.logger_names cimport logger_name
from logly.ring.record cimport IS_ECHO, IS_INSIDE
from logly.system.clock cimport clock_monotonic_ns
from logly.system.cpython cimport Py_DecRef

# Of other included files:
#   control/core.pxi: Core
#   control/level_rules.pxi: LevelRules
#   control/sink_handle.pxi: SinkHandle


# ---- rules

# Gives a step with these rules. An object that is given for the first time has brought one.
cdef RuleStep* step_of(LevelRules levels) except NULL:
    cdef RuleStep* step = levels.step
    levels.step = NULL
    if step == NULL:
        step = <RuleStep*> calloc(1, sizeof(RuleStep))
    if step == NULL:
        raise MemoryError
    step.directives = &levels.directives
    step.owner = <void*> levels
    Py_INCREF(levels)
    return step


cdef void free_steps(RuleStep* step) noexcept:
    cdef RuleStep* after
    while step != NULL:
        after = step.next
        Py_DecRef(<PyObject*> step.owner)
        free(step)
        step = after


# Called under the lock. Returns what is to be freed after it.
cdef RuleStep* use_rules(Engine* engine, Rules* rules, RuleStep* step) noexcept nogil:
    engine_reroute(engine)
    return rules_set(rules, step, engine_committed(engine), engine.books.drained)


# Also called for a sink that has not been added.
cdef void free_sink(Sink* sink) noexcept:
    free_steps(rules_drop(&sink.rules))
    sink_free(sink)


cdef void free_sinks(Engine* engine) noexcept:
    cdef Sink* sink
    while engine.sinks != NULL:
        sink = engine.sinks
        engine.sinks = sink.next
        free_sink(sink)
    free_steps(rules_drop(&engine.rules))
    free(engine.room.open)
    routes_free(&engine.routes)


# ---- room

# Called before a sink is added, so that the flusher needs no memory for it.
cdef bint make_route_room(Core core) except -1:
    cdef RouteRoom* room = &core.engine.room
    cdef Sink** lists = NULL
    cdef uint32_t capacity = 0
    core.lock()
    room.sinks += 1
    if room.sinks > room.capacity:
        capacity = 2 * room.sinks + 6
    core.unlock()
    if capacity == 0:
        return True
    lists = <Sink**> malloc(2 * <size_t> capacity * sizeof(Sink*))
    if lists == NULL:
        give_route_room(core)
        raise MemoryError
    core.lock()
    if room.capacity < capacity:
        room.capacity = capacity
        lists, room.open = room.open, lists
        room.made.sink = room.open + capacity
        engine_reroute(core.engine)
    core.unlock()
    free(lists)
    return True


cdef void give_route_room(Core core) noexcept:
    core.lock()
    core.engine.room.sinks -= 1
    core.unlock()


# ---- windows

# From now on the sink gets what is logged. Called under the lock.
cdef void open_window(Engine* engine, Sink* sink) noexcept nogil:
    engine_reroute(engine)
    sink.selection.enabled = True
    sink.window.before = sink_offered(sink, engine.books.drained)
    sink.window.from_sequence = engine_committed(engine)
    sink.window.count = INT64_MAX


# The sink gets what was logged so far, and nothing more. Called under the lock.
cdef void close_window(Engine* engine, Sink* sink) noexcept nogil:
    engine_reroute(engine)
    if sink.selection.enabled:
        sink.selection.enabled = False
        sink.window.count = engine_committed(engine) - sink.window.from_sequence


# The flags of records that are not for the sink, because its Python code may have logged them. `echoes`: it is a stream object.
cdef uint8_t refused_flags(const Sink* sink, bint echoes) noexcept nogil:
    if sink.selection.filtered or sink.target == TARGET_FUNCTION:
        return IS_INSIDE | IS_ECHO
    return IS_ECHO if echoes or sink.target == TARGET_BATCH else 0


# ---- books

cdef object books_of_sink(Core core, int sink_id):
    from logly.stats import SinkStats
    cdef Sink* sink = core.lock_sink(sink_id)
    cdef Tally tally = sink.tally
    cdef uint64_t pending = sink_pending(sink)
    cdef uint64_t offered = sink_offered(sink, core.engine.books.drained)
    cdef uint64_t late = sink.late.offered
    core.unlock()
    return SinkStats(
        written=tally.records,
        failed=tally.failed,
        pending=pending,
        refused=offered + late - tally.records - tally.failed - pending,
        bytes_written=tally.bytes_written,
        writes=tally.writes,
        rotations=tally.rotations,
        write_errors=tally.write_errors,
        repeated=tally.repeated,
    )


# ---- a sink that leaves

cdef void served_sink_leaves(Core core, int sink) noexcept nogil:
    """Called when the sink of a handler of `logging` gets no more records, for the records that name it and wait for room."""
    cdef uint32_t number
    for number in range(1, <uint32_t> core.last_served + 1):
        served_leave(<ServedName*> logger_name(&core.served, <uint16_t> number), sink)


cdef bint names_left_sink(Core core, uint16_t origin) noexcept nogil:
    """Whether a sink has been removed that records with this `origin`, and IS_SERVED, are for."""
    return served_has_left(<const ServedName*> logger_name(&core.served, origin))


def sink_stays(SinkHandle handle not None, double patience_s):
    """Called while a sink that leaves still writes: the time after which other threads call `remove` begins anew."""
    cdef Sink* sink = handle.core.lock_sink(handle.id)
    if sink.leaving.at_ns:
        sink.leaving.at_ns = clock_monotonic_ns() + <int64_t> (patience_s * 1e9)
    handle.core.unlock()


def sink_untold(SinkHandle handle not None):
    """How many records the sink has given up of which nobody was told, and how many in all. From now on they are told."""
    cdef Sink* sink = handle.core.lock_and_find_sink(handle.id)
    cdef uint64_t failed = 0, untold = 0
    if sink != NULL:  # another thread may have removed it
        failed = sink.tally.failed
        untold = failed - sink.tally.told
        sink.tally.told = failed
    handle.core.unlock()
    return untold, failed


def sink_progress(SinkHandle handle not None):
    """Changes while the sink writes or rolls over, however slowly."""
    cdef Sink* sink = handle.core.lock_sink(handle.id)
    cdef uint64_t written = sink.tally.bytes_written, rotations = sink.tally.rotations
    handle.core.unlock()
    return written, rotations
