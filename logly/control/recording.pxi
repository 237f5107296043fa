# The flight recorder of an engine: its settings, and a dump on demand.

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from logly.flusher.dump cimport dump_moved, dump_rehash, dump_watch
from logly.flusher.state cimport DUMP_COUNTS, Engine, recorder_in_memory
from logly.ring.gate cimport intake_wake
from logly.ring.record cimport Value, same_text
from logly.ring.recorder cimport Recorder, RecorderState, recorder_move
from logly.ring.ring cimport Ring
from logly.spool.format cimport Spool
from logly.system.atomic cimport load_pointer, store_relaxed32
from logly.system.clock cimport clock_ticks

# Of other included files:
#   control/core.pxi: Core
#   layout/compile.pxi: owned_key
#   text/owned_text.pxi: utf8

cdef enum:
    MOST_REASON_BYTES = 300


cdef class RecorderSettings:
    """What the flight recorder's settings need, made before they change: then nothing can fail.

    Args:
        core: the engine.
        capacity: bytes, a power of two, where it lies in plain memory; 0: there is none.
        trigger: a record at or above this level has the kept ones written first; `OFF`: none has.
        field: only those with the same value of this field; None: all of them.
    """

    def __cinit__(self, Core core not None, uint64_t capacity, int trigger, str field):
        self.capacity = capacity
        self.trigger = trigger
        if field is not None:
            owned_key(&self.field, field)
        if capacity and capacity != core.engine.recording.memory_bytes:
            self.memory = <char*> malloc(capacity)
            if self.memory == NULL:
                raise MemoryError

    def __dealloc__(self):
        free(self.memory)
        free(<void*> self.field.data)


def set_recorder(Core core not None, RecorderSettings settings not None):
    """Sets the flight recorder. What it holds stays, as far as there is room."""
    cdef Engine* engine = core.engine
    cdef bint is_other
    core.lock()
    is_other = not is_same_key(&settings.field, &engine.recording.field)
    settings.field, engine.recording.field = engine.recording.field, settings.field
    engine.recording.trigger = settings.trigger
    store_relaxed32(<uint32_t*> &engine.intake.dump_level, <uint32_t> settings.trigger)
    if engine.recording.memory_bytes != settings.capacity:
        replace_recorder(engine, settings)
    if is_other:
        dump_rehash(engine)
    dump_watch(engine)
    core.unlock()


cdef void replace_recorder(Engine* engine, RecorderSettings settings) noexcept:
    cdef Recorder before = engine.recorder
    cdef RecorderState state = engine.recording.memory_state
    settings.memory, engine.recording.memory = engine.recording.memory, settings.memory
    engine.recording.memory_bytes = settings.capacity
    if before.fd >= 0:
        return
    if before.state != NULL:
        before.state = &state
    memset(&engine.recording.memory_state, 0, sizeof(RecorderState))
    recorder_in_memory(engine)
    recorder_move(&before, &engine.recorder, engine.dump.delivered)
    if engine.dump.is_on:
        dump_moved(engine)


cdef bint is_same_key(const Value* a, const Value* b) noexcept:
    if a.data == NULL or b.data == NULL:
        return a.data == b.data
    return same_text(a, b)


# A line of logly's own is short: the end of a long reason is cut.
cdef bytes tail_of(str text):
    return utf8(text)[:MOST_REASON_BYTES].decode("utf-8", "ignore").encode()


cdef void resume_dumps(Engine* engine, uint64_t first_late, int64_t last_ns, str heading) noexcept:
    """Called for an engine that delivers what a dead process left, under its lock."""
    cdef bytes tail = b""
    engine.dump.is_resumed = True
    engine.dump.delivered = engine.dump.from_number = first_late
    engine.dump.logged_ns = last_ns
    engine.dump.takes_kept = heading is not None
    if heading is not None:
        tail = tail_of(heading)
    engine.dump.asked_tail_size = <uint32_t> len(tail)
    memcpy(engine.dump.asked_tail, <const char*> tail, len(tail))
    dump_watch(engine)


def ask_for_dump(Core core not None, str reason):
    """Has the flusher give the sinks what was kept until now. A flush that is asked for later waits for that.

    Returns:
        The number of this request, for `records_of_dump`.
    """
    cdef Engine* engine = core.engine
    cdef uint64_t number
    cdef bytes tail = tail_of(f": {reason}") if reason is not None else b""
    core.lock()
    engine.dump.asked = True
    engine.dump.requests += 1
    number = engine.dump.requests
    engine.dump.asked_ticks = clock_ticks()
    engine.dump.asked_tail_size = <uint32_t> len(tail)
    memcpy(engine.dump.asked_tail, <const char*> tail, len(tail))
    dump_watch(engine)
    core.unlock()
    intake_wake(&engine.intake)
    return number


def records_of_dump(Core core not None, uint64_t number):
    """How many records the dump has that this request has asked for; 0: it has not begun, because a sink takes nothing."""
    cdef uint64_t count
    core.lock()
    count = core.engine.dump.counts[number % DUMP_COUNTS] if core.engine.dump.served >= number else 0
    core.unlock()
    return count


def spool_recorder(Core core not None):
    """Bytes of the flight recorder in the spool that records go into now, or 0."""
    cdef uint64_t capacity = 0
    cdef const Ring* ring
    core.lock()
    ring = load_pointer(&core.engine.intake.ring)
    if ring != NULL and ring.spool != NULL:
        capacity = (<const Spool*> ring.spool).header.recorder_capacity
    core.unlock()
    return capacity
