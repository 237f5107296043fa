"""The parts of a record in OTLP that plain JSON does not have: attributes, the trace, the full name of a function.

An attribute is an object with a key and a value, in an array in which no key stands twice. layout/otlp.py says what else is in
a line.
"""

from libc.stdint cimport uint32_t, uint8_t

from logly.layout.field_names cimport FieldWalk, find_field, walk_begin, walk_next
from logly.layout.json_fields cimport find_free_name, hex_digit, is_taken, json_name
from logly.layout.json_pieces cimport (
    FORM_RENAMED, FORM_TRACE_FLAGS, FORM_TRACE_ID, JSON_ARRAY, JSON_ATTRIBUTES, JSON_ATTRIBUTES_OBJECT,
    JSON_OBSERVED, JSON_STACK_TEXT, JSON_THREAD_NAME, JSON_UNIX_TIME, JsonLayout, JsonName,
)
from logly.layout.json_value cimport write_json_value
from logly.layout.line cimport Line
from logly.layout.otlp_value cimport write_otlp_value
from logly.ring.record cimport TAG_INT, TAG_LATIN1, TAG_UTF8, RecordView, Value, get_value, text_kind
from logly.text.buffer cimport Buffer, buffer_append, buffer_put, buffer_text
from logly.text.escape cimport write_json_string, write_json_utf8
from logly.text.number cimport write_int, write_uint
from logly.text.unicode cimport write_text


cdef inline void write_value_text(Buffer* out, const Value* value) noexcept nogil:
    write_text(out, text_kind(value.tag), value.data, value.count)


# OpenTelemetry wants the full name of a function: with its module.
cdef inline void write_function_name(Buffer* out, const Line* line, Buffer* scratch) noexcept nogil:
    scratch.size = 0
    if line.site != NULL:
        buffer_text(scratch, &line.site.module)
        buffer_put(scratch, c'.')
        buffer_text(scratch, &line.site.function)
    else:
        write_value_text(scratch, &line.view.site_module)
        buffer_put(scratch, c'.')
        write_value_text(scratch, &line.view.site_function)
    write_json_utf8(out, scratch.data, scratch.size)
    out.failed = out.failed or scratch.failed


# ---- the trace

# Are these so many hexadecimal digits, of which one is not 0?
cdef inline bint is_trace_id(const Value* value, uint32_t digits) noexcept nogil:
    cdef uint32_t i
    cdef int digit
    cdef bint is_set = False
    if (value.tag != TAG_UTF8 and value.tag != TAG_LATIN1) or value.count != digits:
        return False
    for i in range(digits):
        digit = hex_digit(value.data[i])
        if digit < 0:
            return False
        is_set = is_set or digit != 0
    return is_set


cdef inline bint is_trace_flags(const Value* value) noexcept nogil:
    if value.tag == TAG_INT:
        return value.integer >= 0 and value.integer >> 32 == 0
    return (
        (value.tag == TAG_UTF8 or value.tag == TAG_LATIN1) and value.count == 2
        and hex_digit(value.data[0]) >= 0 and hex_digit(value.data[1]) >= 0
    )


# Can the value stand in the record's own place for it? Where it cannot, the field is an attribute.
cdef inline bint is_of_trace(const JsonName* name, const Value* value) noexcept nogil:
    if name.form == FORM_TRACE_FLAGS:
        return is_trace_flags(value)
    return is_trace_id(value, 32 if name.form == FORM_TRACE_ID else 16)


cdef inline void write_trace_flags(Buffer* out, const Value* value) noexcept nogil:
    if value.tag == TAG_INT:
        write_int(out, value.integer)
    else:
        write_uint(out, <uint32_t> (hex_digit(value.data[0]) << 4 | hex_digit(value.data[1])))


# Writes the members that the trace has beside the attributes.
cdef inline void write_trace_members(Buffer* out, const JsonLayout* json, const Line* line) noexcept nogil:
    cdef const JsonName* name
    cdef Value value
    cdef uint32_t i
    for i in range(json.names):
        name = &json.name[i]
        if name.form == FORM_RENAMED or not find_field(&line.view, &name.name, &value) or not is_of_trace(name, &value):
            continue
        buffer_text(out, &name.member)
        if name.form == FORM_TRACE_FLAGS:
            write_trace_flags(out, &value)
        else:
            buffer_put(out, c'"')
            buffer_append(out, value.data, value.count)
            buffer_put(out, c'"')


# ---- attributes

cdef inline void write_attribute(Buffer* out, const Value* key, const Value* value) noexcept nogil:
    buffer_append(out, b',{"key":', 8)
    write_json_string(out, text_kind(key.tag), key.data, key.count)
    buffer_append(out, b',"value":', 9)
    write_otlp_value(out, value)
    buffer_put(out, c'}')


# `is_own`: in a list of their own, in which all names are free.
cdef inline void write_attributes(
    Buffer* out, const JsonLayout* json, const Line* line, Buffer* scratch, bint is_own
) noexcept nogil:
    cdef const RecordView* view = &line.view
    cdef const JsonName* name
    cdef FieldWalk walk
    cdef Value key, value
    walk_begin(&walk, view, out)
    while walk_next(&walk, view, out, &key, &value):
        name = json_name(json, &key)
        if name != NULL and name.form != FORM_RENAMED and is_of_trace(name, &value):
            continue
        if name != NULL and name.form == FORM_RENAMED and not is_own and is_taken(name, line):
            find_free_name(scratch, &key, view, &key)
            out.failed = out.failed or scratch.failed
            if scratch.failed:
                return
        write_attribute(out, &key, &value)


# The fields as one attribute, which is missing where there is none.
cdef inline void write_attributes_object(
    Buffer* out, const JsonLayout* json, const Line* line, Buffer* scratch
) noexcept nogil:
    cdef size_t start = out.size
    cdef size_t inside
    buffer_text(out, &json.fields_key)
    inside = out.size
    write_attributes(out, json, line, scratch, True)
    if out.size == inside:
        out.size = start
    elif not out.failed:
        out.data[inside] = c'['  # instead of the first comma
        buffer_append(out, b"]}}}", 4)


# ---- pieces

cdef inline void write_otlp_piece(
    Buffer* out, const JsonLayout* json, uint8_t code, const Line* line, Buffer* scratch
) noexcept nogil:
    cdef Value value
    if code == JSON_UNIX_TIME:
        # A time of its own may be anything. 0 stands for no time.
        write_int(out, line.time_ns if line.time_ns > 0 else 0)
    elif code == JSON_OBSERVED:
        write_int(out, line.logged_ns)
    elif code == JSON_THREAD_NAME:
        write_json_value(out, &line.view.thread_name)
    elif code == JSON_STACK_TEXT:
        get_value(line.view.stack, &value)
        write_json_value(out, &value)
    elif line.view.header.fields == 0:
        return
    elif code == JSON_ATTRIBUTES:
        write_attributes(out, json, line, scratch, False)
    elif code == JSON_ATTRIBUTES_OBJECT:
        write_attributes_object(out, json, line, scratch)
    else:
        write_trace_members(out, json, line)


# Begins and ends an array whose items begin with their comma. `opened`: where the array begins. Returns that.
cdef inline size_t write_bracket(Buffer* out, uint8_t code, size_t opened) noexcept nogil:
    if code == JSON_ARRAY:
        return out.size
    if out.size == opened:
        buffer_put(out, c'[')
    else:
        out.data[opened] = c'['  # instead of the first comma
    buffer_put(out, c']')
    return opened
