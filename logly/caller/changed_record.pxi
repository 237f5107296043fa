# A record that a sink's `transform` has changed, encoded anew on the flusher's thread.

from libc.stdint cimport uint16_t, uint32_t, uint64_t

from logly.layout.redaction_rules cimport append_text, end_record
from logly.ring.record cimport (
    EXCEPTION_TEXTS, HAS_EXCEPTION, HAS_STACK, MAY_REPEAT, STACK_TEXTS, TAG_UTF8, RecordHeader, RecordView, put_record_end,
    record_view, skip_values,
)
from logly.system.atomic cimport load_relaxed
from logly.text.buffer cimport Buffer, buffer_append, buffer_free, buffer_init

# Of other included files:
#   caller/careful.pxi: cut_text
#   caller/fields.pxi: FieldBlock
#   caller/values.pxi: safe_str
#   control/core.pxi: Core
#   text/owned_text.pxi: utf8


cdef void append_utf8(Buffer* out, bytes text) noexcept:
    append_text(out, TAG_UTF8, <const char*> text, <size_t> len(text))


cdef list exception_parts(object exception, uint64_t limit):
    """The texts of an exception as a record holds them. Lines of the last one are indented, so that none looks like a record."""
    cdef list parts = []
    for part in exception:
        parts.append(utf8(cut_text(part if type(part) is str else safe_str(part), limit)))
    if len(parts) != EXCEPTION_TEXTS - 1:
        raise TypeError("exception: a RecordException, or None")
    parts.append(parts[2].replace(b"\n", b"\n    "))
    return parts


cdef list stack_parts(object stack, uint64_t limit):
    cdef bytes text = utf8(cut_text(stack if type(stack) is str else safe_str(stack), limit))
    return [text, text.replace(b"\n", b"\n    ")]


cdef void append_trace_parts(Buffer* out, const char* at, uint32_t count, list parts) noexcept:
    """`parts`: new texts, or None: those of the record, at `at`."""
    if parts is None:
        buffer_append(out, at, skip_values(at, count) - at)
        return
    for part in parts:
        append_utf8(out, <bytes> part)


def changed_record(Core core not None, bytes record not None, message, fields, exception, stack):
    """The record with another message, other fields, and where these are not True, another exception and stack (or None)."""
    cdef uint64_t limit = load_relaxed(&core.intake.max_message_bytes)
    cdef bytes text = utf8(cut_text(message if type(message) is str else safe_str(message), limit))
    cdef FieldBlock block = FieldBlock(dict(fields), None, limit)
    cdef list errors = exception_parts(exception, limit) if exception is not None and exception is not True else None
    cdef list stacks = stack_parts(stack, limit) if stack is not None and stack is not True else None
    cdef const char* data = record
    cdef RecordView view
    cdef Buffer out
    cdef RecordHeader* header
    record_view(data, &view)
    buffer_init(&out)
    buffer_append(&out, data, view.body - data)
    append_utf8(&out, text)
    buffer_append(&out, <const char*> block.data, <size_t> len(block.data))
    if errors is not None or (exception is True and view.exception != NULL):
        append_trace_parts(&out, view.exception, EXCEPTION_TEXTS, errors)
    if stacks is not None or (stack is True and view.stack != NULL):
        append_trace_parts(&out, view.stack, STACK_TEXTS, stacks)
    header = end_record(&out)
    try:
        if header == NULL:
            raise MemoryError
        header.template_id = 0
        header.flags &= ~<uint16_t> (HAS_EXCEPTION | HAS_STACK | MAY_REPEAT)
        if errors is not None or (exception is True and view.exception != NULL):
            header.flags |= HAS_EXCEPTION
        if stacks is not None or (stack is True and view.stack != NULL):
            header.flags |= HAS_STACK
        put_record_end(header, 0, block.count, header.level_number, header.origin)
        return out.data[: out.size]
    finally:
        buffer_free(&out)
