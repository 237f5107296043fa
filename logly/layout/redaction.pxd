"""A line without its secrets: that of a copy of the record, which is made only where there is something to hide.

The copy is a record as any other, so that layouts, functions and filters cannot show what is not in it. Fields come first,
because a message may name them. See docs/secrets.md for what holds a record before this.
"""

from logly.layout.line cimport Line
from logly.layout.redacted_fields cimport copy_without_fields, has_hidden_field
from logly.layout.redacted_text cimport changes_message, changes_traces, copy_without_texts
from logly.layout.redaction_rules cimport CANNOT_REDACT, IS_REDACTED, NOTHING_TO_HIDE, Redaction
from logly.ring.record cimport FieldIndex, record_view
from logly.text.buffer cimport Buffer


cdef inline void use_copy(const Buffer* record, Line* shown) noexcept nogil:
    cdef FieldIndex* index = shown.view.index
    record_view(record.data, &shown.view)
    shown.view.index = index
    if index != NULL:
        # The index may have been made for an earlier copy at the same address.
        index.of = NULL


cdef inline bint hide_texts(Redaction* redaction, Line* line, Line* shown, Buffer* made, int* status) noexcept nogil:
    cdef bint message, traces
    # Of `made` too: the message before may have found no memory, and a message that is UTF-8 already is not made anew.
    made.failed = redaction.scratch.failed = redaction.message.failed = redaction.text_record.failed = False
    message = changes_message(redaction, line, made)
    traces = changes_traces(redaction, line)
    if not message and not traces:
        return not made.failed and not redaction.scratch.failed
    if not copy_without_texts(redaction, line, message, traces) or made.failed:
        return False
    shown[0] = line[0]
    use_copy(&redaction.text_record, shown)
    if message:
        shown.program = NULL
        shown.message = NULL
    status[0] = IS_REDACTED
    return True


# Makes `shown` the line without secrets, where `line` has some. It holds until the next one is made. `made`: memory for the
# message, which the line keeps where it had to be made here.
cdef inline int redact_line(Redaction* redaction, Line* line, Line* shown, Buffer* made) noexcept nogil:
    cdef int status = NOTHING_TO_HIDE
    redaction.scratch.failed = False
    if line.view.header.fields and redaction.names.count and has_hidden_field(redaction, &line.view):
        if not copy_without_fields(redaction, &line.view):
            return CANNOT_REDACT
        shown[0] = line[0]
        use_copy(&redaction.record, shown)
        status = IS_REDACTED
        line = shown
    if redaction.hides_text and not hide_texts(redaction, line, shown, made, &status):
        return CANNOT_REDACT
    return status
