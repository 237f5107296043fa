"""Lines of logly's own in a sink's buffer, which no book counts: about lost records, and about repeats."""

from libc.stdint cimport uint64_t

from logly.flusher.marks cimport marks_push
from logly.flusher.sink cimport Sink, sink_mark
from logly.flusher.state cimport Engine
from logly.layout.line cimport Line
from logly.layout.text_layout cimport render_line


# `missing`: so many records does it tell of; they count as lost if the line is discarded. `number`: of the mark. Returns False
# when there was no memory.
cdef inline bint append_own_line(Engine* engine, Sink* sink, const Line* line, uint64_t missing, uint64_t number) noexcept nogil:
    cdef size_t start = sink.pending.text.size
    render_line(&sink.pending.text, sink.layout, line, &engine.workspace.scratch)
    if not marks_push(&sink.trouble.told, missing, 0):
        sink.pending.text.size = start
        sink.pending.text.failed = False
        return False
    if not sink_mark(sink, start, number):
        sink.trouble.told.last -= 1
        return False
    if sink.pending.due_ns == 0:
        sink.pending.due_ns = engine.pace.now_ns + sink.interval_ns
    return True
