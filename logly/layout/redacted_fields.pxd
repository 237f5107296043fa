"""A copy of a record in which "[redacted]" stands in place of the values of hidden fields."""

from libc.stdint cimport uint32_t, uint8_t

from logly.layout.json_secrets cimport hide_in_json
from logly.layout.name_patterns cimport SHORT_BYTES, is_hidden_name, is_hidden_short_name
from logly.layout.redaction_rules cimport Redaction, append_text, end_record, end_text, traces_end
from logly.ring.record cimport (
    TAG_JSON, TAG_UCS4, TAG_UTF8, RecordView, Value, get_value, skip_values, text_kind, unit_size,
)
from logly.text.buffer cimport Buffer, buffer_append
from logly.text.unicode cimport write_text


# ---- which fields

# The name as UTF-8. `scratch` holds that of a name that CPython stores otherwise.
cdef inline bint is_hidden_field(Redaction* redaction, const Value* name) noexcept nogil:
    if name.tag == TAG_UTF8 and 0 < name.count <= SHORT_BYTES:
        return is_hidden_short_name(&redaction.names, name.data, name.count)
    if name.tag == TAG_UTF8:
        return is_hidden_name(&redaction.names, name.data, name.count)
    redaction.scratch.size = 0
    write_text(&redaction.scratch, text_kind(name.tag), name.data, name.count)
    return redaction.scratch.failed or is_hidden_name(&redaction.names, redaction.scratch.data, redaction.scratch.size)


# A nested value that was too long was cut, and is no JSON any more but text, which ends with a mark.
cdef inline bint is_cut_json(const Value* value) noexcept nogil:
    cdef uint32_t size = unit_size(value.tag)
    cdef const char* last = value.data + <size_t> (value.count - 1) * size
    if value.tag < TAG_UTF8 or value.tag > TAG_UCS4 or value.count < 16:
        return False
    return (value.data[0] == c'{' or value.data[0] == c'[') and last[0] == c']'


# Could there be a key in the value?
cdef inline bint is_nested(const Value* value) noexcept nogil:
    return value.tag == TAG_JSON or (value.tag >= TAG_UTF8 and value.tag <= TAG_UCS4 and is_cut_json(value))


cdef inline bint is_redacted_already(const Value* value) noexcept nogil:
    cdef const char* hidden = b"[redacted]"
    cdef uint32_t i
    if value.tag != TAG_UTF8 or value.count != 10:
        return False
    for i in range(10):
        if value.data[i] != hidden[i]:
            return False
    return True


# Has the record a field to look at?
cdef inline bint has_hidden_field(Redaction* redaction, const RecordView* view) noexcept nogil:
    cdef const char* at = view.fields
    cdef Value name, value
    cdef uint32_t _
    for _ in range(view.header.fields):
        at = get_value(at, &name)
        at = get_value(at, &value)
        if is_hidden_field(redaction, &name) and not is_redacted_already(&value):
            return True
        if value.tag >= TAG_UTF8 and is_nested(&value):
            return True
    return False


# ---- the copy

# Writes what is to be shown of a nested value. Returns False where that is the value itself.
cdef inline bint append_nested(Redaction* redaction, const Value* value) noexcept nogil:
    cdef Buffer* out = &redaction.record
    cdef Buffer* scratch = &redaction.scratch
    cdef size_t start = out.size
    cdef const char* data = value.data
    cdef size_t size = value.count
    if value.tag != TAG_JSON and value.tag != TAG_UTF8:
        scratch.size = 0
        write_text(scratch, text_kind(value.tag), value.data, value.count)
        out.failed = out.failed or scratch.failed
        data = scratch.data
        size = scratch.size
    append_text(out, <uint8_t> TAG_JSON if value.tag == TAG_JSON else <uint8_t> TAG_UTF8, data, 0)
    if not hide_in_json(out, &redaction.names, data, size):
        out.size = start
        return False
    end_text(out, start)
    return True


cdef inline void append_fields(Redaction* redaction, const RecordView* view) noexcept nogil:
    cdef Buffer* out = &redaction.record
    cdef const char* at = view.fields
    cdef const char* begun
    cdef Value name, value
    cdef uint32_t _
    for _ in range(view.header.fields):
        begun = at
        at = get_value(at, &name)
        buffer_append(out, begun, at - begun)
        begun = at
        at = get_value(at, &value)
        if is_hidden_field(redaction, &name):
            append_text(out, TAG_UTF8, b"[redacted]", 10)
        elif not is_nested(&value) or not append_nested(redaction, &value):
            buffer_append(out, begun, at - begun)


# Makes `Redaction.record`. Returns False when there is no memory.
cdef inline bint copy_without_fields(Redaction* redaction, const RecordView* view) noexcept nogil:
    cdef Buffer* out = &redaction.record
    cdef const char* record = <const char*> view.header
    cdef const char* fields_end = skip_values(view.fields, 2 * <uint32_t> view.header.fields)
    out.size = 0
    out.failed = redaction.scratch.failed = False
    buffer_append(out, record, view.fields - record)
    append_fields(redaction, view)
    buffer_append(out, fields_end, traces_end(view, fields_end) - fields_end)
    return end_record(out) != NULL and not redaction.scratch.failed
