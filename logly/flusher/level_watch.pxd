"""Notices once a second that the level file was written, replaced or removed. Python reads it (`control/level_layers.py`)."""

from libc.stdint cimport uint64_t
from libc.string cimport memcmp, memcpy

from logly.flusher.state cimport Engine, look_is_due
from logly.system.atomic cimport store_relaxed32
from logly.system.clock cimport clock_wall_ns
from logly.system.fd cimport path_state

cdef enum:
    FRESH_NS = 2000000000      # a file may be written twice within one tick of its time stamp; older ones have rested since


# Called with the engine's lock, by each pass.
cdef inline void watch_level_file(Engine* engine) noexcept nogil:
    if look_is_due(engine, &engine.level_file.look_due_ns) and level_file_differs(engine):
        engine.level_file.has_changed = True
        store_relaxed32(&engine.requests.python, 1)


# Looks at the file, and remembers what it saw.
cdef inline bint level_file_differs(Engine* engine) noexcept nogil:
    cdef uint64_t state[6]
    cdef bint differs
    path_state(engine.level_file.path, state)
    differs = memcmp(state, engine.level_file.state, sizeof(state)) != 0
    memcpy(engine.level_file.state, state, sizeof(state))
    return differs or (state[0] == 0 and <uint64_t> clock_wall_ns() - state[4] < FRESH_NS)
