"""What the sinks of a route show of a record: without secrets, and with its message made once.

A served handler of `logging` gets the record as it is, because it writes the bytes that it would write without logly.
"""

from libc.stdint cimport uint32_t, uint64_t

from logly.flusher.deliver cimport deliver, note_refused
from logly.flusher.route_cache cimport Route
from logly.flusher.sink cimport Sink
from logly.flusher.state cimport Engine, engine_fail
from logly.layout.line cimport Line, write_message
from logly.layout.redaction cimport redact_line
from logly.layout.redaction_rules cimport CANNOT_REDACT, IS_REDACTED
from logly.ring.record cimport IS_SERVED

cdef extern from *:
    bint unlikely(bint) noexcept nogil   # of Cython: tells the compiler which way to make fast


cdef struct Shown:
    const Line* line           # for all sinks but served handlers; NULL: it cannot be made, for lack of memory
    bint has_failed            # where `line` is NULL: this is in the books
    Line redacted              # what `line` points to where the record has secrets


cdef inline bint is_for_own_sinks(const Route* route, const Line* line) noexcept nogil:
    cdef uint32_t i
    if not line.view.header.flags & IS_SERVED:
        return route.count != 0
    for i in range(route.count):
        if not route.sink[i].handler.is_served:
            return True
    return False


# Makes the message of a record once, where several sinks show it.
cdef inline void share_message(Engine* engine, const Route* route, Line* line) noexcept nogil:
    if route.count > 1 and line.message == NULL:
        engine.workspace.message.size = 0
        engine.workspace.message.failed = False
        write_message(&engine.workspace.message, line)
        if not engine.workspace.message.failed:
            line.message = &engine.workspace.message


cdef inline void shown_line(Engine* engine, const Route* route, Line* line, Shown* shown) noexcept nogil:
    cdef int status
    shown.line = line
    shown.has_failed = False
    if unlikely(engine.redaction != NULL) and is_for_own_sinks(route, line):
        status = redact_line(engine.redaction, line, &shown.redacted, &engine.workspace.message)
        if status == CANNOT_REDACT:
            shown.line = NULL
            return
        if status == IS_REDACTED:
            shown.line = &shown.redacted
            share_message(engine, route, &shown.redacted)
            return
    share_message(engine, route, line)


# `line`: the record as it is.
cdef inline void deliver_shown(
    Engine* engine, Sink* sink, const Line* line, Shown* shown, uint64_t sequence, uint32_t filters
) noexcept nogil:
    if unlikely(shown.line == NULL) and not sink.handler.is_served:
        # Once for all sinks: there may be no memory for the list that tells which records have failed.
        if not shown.has_failed:
            engine_fail(engine, sequence)
            shown.has_failed = True
        note_refused(sink, sequence)
    else:
        deliver(engine, sink, line if sink.handler.is_served else shown.line, sequence, filters)
