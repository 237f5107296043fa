# What has been held back and no record has told is told at the end: in a line of logly's own for each counter, in every sink that
# writes lines.

from cpython.object cimport PyObject
from libc.stdint cimport uint32_t, uint64_t

from logly.flusher.deliver cimport OWN_LINE_BYTES, append_held_back
from logly.flusher.sink cimport Sink, sink_backlog
from logly.ring.counter cimport Counter, held_take
from logly.ring.leases cimport FREE_THREADED
from logly.ring.sampler cimport sampler_take_held
from logly.system.atomic cimport load_relaxed
from logly.system.cpython cimport Py_DecRef
from logly.system.lock cimport lock_release, lock_take

# Of other included files:
#   control/core.pxi: Core
#   text/owned_text.pxi: utf8

cdef extern from *:
    void XIncRef "Py_XINCREF"(PyObject*) noexcept nogil

cdef enum:
    MOST_HELD_LINES = 100      # the counters beyond are told together


def tell_held_back(Core core not None):
    """Called before the last flush of an engine. Returns whether there is something to flush."""
    cdef str origin, message
    cdef int lines = 0
    cdef uint64_t held, counters
    while lines < MOST_HELD_LINES:
        held, origin, message = next_held(core)
        if held == 0:
            break
        lines += 1
        about = f": {message}" if message is not None else ""
        tell_in_sinks(core, f"logly: {calls_held(held)} by {origin}{about}", held)
    held = held_take(&core.held_back.of_gone)
    if held:
        tell_in_sinks(core, f"logly: {calls_held(held)} by light loggers that are gone", held)
        lines += 1
    held = sampler_take_held(core.sampler)
    if held:
        tell_in_sinks(core, f"logly: {calls_held(held)} by the sampling", held)
        lines += 1
    held = take_rest(core)
    if held:
        tell_in_sinks(core, f"logly: {calls_held(held)} by other light loggers", held)
        lines += 1
    return lines > 0


cdef str calls_held(uint64_t held):
    return f"{held} call{'s' if held != 1 else ''} held back"


cdef tuple next_held(Core core):
    """(calls held back, what made the counter, message of the first such call or None) of a counter; 0 calls: there is none."""
    cdef PyObject* origin = NULL
    cdef PyObject* message = NULL
    cdef uint64_t held = 0
    cdef Counter* counter
    if FREE_THREADED:
        lock_take(&core.held_back.lock)
    counter = core.held_back.counters
    while counter != NULL and load_relaxed(&counter.held) == 0:
        counter = counter.next
    if counter != NULL:
        held = held_take(&counter.held)
        origin = counter.origin
        message = counter.message
        XIncRef(origin)
        XIncRef(message)
    if FREE_THREADED:
        lock_release(&core.held_back.lock)
    found = (held, <object> origin if origin != NULL else None, <object> message if message != NULL else None)
    if origin != NULL:
        Py_DecRef(origin)
    if message != NULL:
        Py_DecRef(message)
    return found


cdef uint64_t take_rest(Core core) noexcept:
    cdef uint64_t held = 0
    cdef Counter* counter
    if FREE_THREADED:
        lock_take(&core.held_back.lock)
    counter = core.held_back.counters
    while counter != NULL:
        held += held_take(&counter.held)
        counter = counter.next
    if FREE_THREADED:
        lock_release(&core.held_back.lock)
    return held


cdef bint tell_in_sinks(Core core, str text, uint64_t held) except -1:
    cdef bytes line = utf8(text)
    cdef Sink* sink
    if len(line) > OWN_LINE_BYTES:
        line = line[:OWN_LINE_BYTES].decode("utf-8", "ignore").encode()
    core.lock()
    sink = core.engine.sinks
    while sink != NULL:
        if sink.selection.enabled and sink_backlog(sink) < sink.backlog_limit:
            append_held_back(core.engine, sink, line, <uint32_t> len(line), held)
        sink = sink.next
    core.unlock()
    return True
