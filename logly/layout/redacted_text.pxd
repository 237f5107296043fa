"""A copy of a record in which "[redacted]" stands in place of the secrets in its message and its tracebacks."""

from libc.stdint cimport uint32_t, uint64_t

from logly.layout.line cimport Line, write_message
from logly.layout.message cimport write_value
from logly.layout.redaction_rules cimport Redaction, append_text, end_record, end_text, traces_end
from logly.layout.secret_text cimport hide_in_text
from logly.layout.trace cimport write_steps
from logly.ring.record cimport (
    TAG_BYTES, TAG_UTF8, RecordHeader, RecordView, Value, get_value, put_record_end,
    skip_values, text_kind,
)
from logly.text.buffer cimport Buffer, buffer_append
from logly.text.unicode cimport write_text


# ---- text

cdef inline bint hides_in(Redaction* redaction, Buffer* out, const char* data, size_t size) noexcept nogil:
    cdef uint64_t steps = 0
    cdef bint hides = hide_in_text(out, &redaction.keys, data, size, &steps)
    redaction.steps += steps
    return hides


# Makes `Redaction.message` where the message has secrets. `made`: where a message is made that the record does not have as UTF-8;
# it is the line's then, so that it is made once.
cdef inline bint changes_message(Redaction* redaction, Line* line, Buffer* made) noexcept nogil:
    cdef Value text
    redaction.message.size = 0
    if line.program == NULL:
        get_value(line.view.body, &text)
        if text.tag == TAG_UTF8:
            return hides_in(redaction, &redaction.message, text.data, text.count)
    made.size = 0
    made.failed = False
    write_message(made, line)
    line.message = made
    return hides_in(redaction, &redaction.message, made.data, made.size)


# Writes the text of a traceback or a stack whose two values begin at `at`.
cdef inline void write_raw_trace(Buffer* out, const Line* line, const char* at, bint safe) noexcept nogil:
    cdef Value text, indented
    at = get_value(at, &text)
    if text.tag == TAG_BYTES:
        write_steps(out, text.data, text.count, line.places, safe)
        return
    get_value(at, &indented)
    if safe:
        text = indented
    write_text(out, text_kind(text.tag), text.data, text.count)


# Would something be hidden in this text of a traceback, or in its form that is safe to print?
cdef inline bint trace_changes(Redaction* redaction, const Line* line, const char* at) noexcept nogil:
    cdef Buffer* scratch = &redaction.scratch
    cdef bint safe
    for safe in range(2):
        scratch.size = redaction.text_record.size = 0
        write_raw_trace(scratch, line, at, safe)
        if hides_in(redaction, &redaction.text_record, scratch.data, scratch.size):
            return True
    return False


cdef inline bint changes_traces(Redaction* redaction, const Line* line) noexcept nogil:
    cdef const RecordView* view = &line.view
    cdef Value kind, message
    if view.exception != NULL:
        get_value(get_value(view.exception, &kind), &message)
        redaction.scratch.size = redaction.text_record.size = 0
        write_value(&redaction.scratch, &message)
        if hides_in(redaction, &redaction.text_record, redaction.scratch.data, redaction.scratch.size):
            return True
        if trace_changes(redaction, line, skip_values(view.exception, 2)):
            return True
    return view.stack != NULL and trace_changes(redaction, line, view.stack)


# Appends what `Redaction.scratch` has, without secrets, as a text of the record.
cdef inline void append_hidden(Redaction* redaction) noexcept nogil:
    cdef Buffer* out = &redaction.text_record
    cdef Buffer* scratch = &redaction.scratch
    cdef size_t start = out.size
    append_text(out, TAG_UTF8, scratch.data, 0)
    if not hides_in(redaction, out, scratch.data, scratch.size):
        buffer_append(out, scratch.data, scratch.size)
    out.failed = out.failed or scratch.failed
    end_text(out, start)


cdef inline void append_trace(Redaction* redaction, const Line* line, const char* at) noexcept nogil:
    cdef bint safe
    for safe in range(2):
        redaction.scratch.size = 0
        write_raw_trace(&redaction.scratch, line, at, safe)
        append_hidden(redaction)


cdef inline void append_traces(Redaction* redaction, const Line* line) noexcept nogil:
    cdef const RecordView* view = &line.view
    cdef Value kind, message
    cdef const char* at
    if view.exception != NULL:
        at = get_value(view.exception, &kind)
        buffer_append(&redaction.text_record, view.exception, at - view.exception)
        at = get_value(at, &message)
        redaction.scratch.size = 0
        write_value(&redaction.scratch, &message)
        append_hidden(redaction)
        append_trace(redaction, line, at)
    if view.stack != NULL:
        append_trace(redaction, line, view.stack)


# ---- the copy

# Makes `Redaction.text_record`. Returns False when there is no memory.
cdef inline bint copy_without_texts(Redaction* redaction, const Line* line, bint message, bint traces) noexcept nogil:
    cdef Buffer* out = &redaction.text_record
    cdef const RecordView* view = &line.view
    cdef const char* record = <const char*> view.header
    cdef const char* body_end = skip_values(view.body, view.header.args if view.header.template_id else 1)
    cdef const char* fields_end = skip_values(body_end, 2 * <uint32_t> view.header.fields)
    cdef RecordHeader* header
    out.size = 0
    out.failed = False
    buffer_append(out, record, view.body - record)
    if message:
        append_text(out, TAG_UTF8, redaction.message.data, redaction.message.size)
    else:
        buffer_append(out, view.body, body_end - view.body)
    buffer_append(out, body_end, fields_end - body_end)
    if traces:
        append_traces(redaction, line)
    else:
        buffer_append(out, fields_end, traces_end(view, fields_end) - fields_end)
    header = end_record(out)
    if header == NULL or redaction.message.failed or redaction.scratch.failed:
        return False
    if message and header.template_id:
        header.template_id = 0
        put_record_end(header, 0, header.fields, header.level_number, header.origin)
    return True
