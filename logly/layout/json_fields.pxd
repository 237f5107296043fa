"""The fields of a record as members of its JSON object. No key of the object stands twice."""

from libc.stdint cimport uint16_t, uint32_t, uint64_t

from logly.layout.field_names cimport FieldWalk, find_field, walk_begin, walk_next
from logly.layout.json_pieces cimport (
    FORM_RENAMED, FORM_SAMPLED, FORM_TEXT, NAME_SLOTS, WHEN_KEPT, WHEN_MAPPED, WHEN_NAMED, JsonLayout,
    JsonName,
)
from logly.layout.json_value cimport write_json_value
from logly.layout.line cimport Line
from logly.layout.message cimport write_value
from logly.ring.record cimport (
    IS_KEPT, TAG_INT, TAG_NONE, TAG_TRUE, RecordView, Value, get_value, same_text, text_kind,
    unit_size,
)
from logly.text.buffer cimport Buffer, buffer_append, buffer_put, buffer_text
from logly.text.escape cimport write_json_string, write_json_utf8
from logly.text.number cimport write_uint


# Names that are equal have the same slot, however they are encoded.
cdef inline uint32_t name_slot(const Value* name) noexcept nogil:
    if name.count == 0:
        return 0
    return (name.count * 7 + <unsigned char> name.data[0]) % NAME_SLOTS


# Returns what the layout knows about this name of a field, or NULL.
cdef inline const JsonName* json_name(const JsonLayout* json, const Value* name) noexcept nogil:
    cdef uint32_t slot = name_slot(name)
    cdef uint32_t i
    for i in range(json.slot[slot], json.slot[slot + 1]):
        if same_text(&json.name[i].name, name):
            return &json.name[i]
    return NULL


# Does this record have the key that the field would have?
cdef inline bint is_taken(const JsonName* name, const Line* line) noexcept nogil:
    cdef Value ignored
    if name.when == WHEN_NAMED:
        return line.is_named
    if name.when == WHEN_KEPT:
        return line.view.header.flags & IS_KEPT != 0
    if name.when == WHEN_MAPPED:
        return find_field(&line.view, &name.source, &ignored)
    return True


# ---- fields that have places of their own

cdef inline int hex_digit(char c) noexcept nogil:
    if c'0' <= c <= c'9':
        return c - c'0'
    if c'a' <= c <= c'f':
        return c - c'a' + 10
    return -1


# Reads the last 16 of these hexadecimal digits. Returns False if there are others, or more than zeros before them.
cdef inline bint low_64_bits(const Buffer* text, uint64_t* bits) noexcept nogil:
    cdef size_t i
    cdef int digit
    bits[0] = 0
    if text.size != 16 and text.size != 32:
        return False
    for i in range(text.size):
        digit = hex_digit(text.data[i])
        if digit < 0 or bits[0] >> 60:
            return False
        bits[0] = bits[0] << 4 | <uint64_t> digit
    return True


# Datadog's own libraries write spans, and traces of 64 bits, in decimal, and traces of 128 bits as 32 hexadecimal digits.
cdef inline void write_datadog_id(Buffer* out, const Buffer* text) noexcept nogil:
    cdef uint64_t bits
    if not low_64_bits(text, &bits):
        write_json_utf8(out, text.data, text.size)
        return
    buffer_put(out, c'"')
    write_uint(out, bits)
    buffer_put(out, c'"')


# The lowest bit of the trace flags, which are an int or hexadecimal digits.
cdef inline bint is_sampled(const Value* value, const Buffer* text) noexcept nogil:
    if value.tag == TAG_INT:
        return value.integer & 1
    if value.tag == TAG_TRUE:
        return True
    return text.size != 0 and hex_digit(text.data[text.size - 1]) & 1 and hex_digit(text.data[text.size - 1]) > 0


# None means that there is no trace: then there is no member.
cdef inline void write_mapped(Buffer* out, const JsonName* name, const Value* value, Buffer* scratch) noexcept nogil:
    if value.tag == TAG_NONE:
        return
    buffer_text(out, &name.member)
    scratch.size = 0
    if name.form == FORM_TEXT:
        buffer_text(scratch, &name.before)
    write_value(scratch, value)
    if name.form == FORM_SAMPLED:
        if is_sampled(value, scratch):
            buffer_append(out, b"true", 4)
        else:
            buffer_append(out, b"false", 5)
    elif name.form == FORM_TEXT:
        write_json_utf8(out, scratch.data, scratch.size)
    else:
        write_datadog_id(out, scratch)
    out.failed = out.failed or scratch.failed


# ---- the members

cdef inline void write_member(Buffer* out, const Value* key, const Value* value, bint is_pretty) noexcept nogil:
    buffer_append(out, b",\n  ", 4 if is_pretty else 1)
    write_json_string(out, text_kind(key.tag), key.data, key.count)
    buffer_append(out, b": ", 2 if is_pretty else 1)
    write_json_value(out, value)


# The name with as many underscores as it takes until no field has it. The loop ends, because the number of fields is finite.
cdef inline void find_free_name(Buffer* text, const Value* key, const RecordView* view, Value* name) noexcept nogil:
    cdef Value ignored
    name.tag = key.tag
    name.count = key.count
    text.size = 0
    buffer_append(text, key.data, <size_t> key.count * unit_size(key.tag))
    while not text.failed:
        append_unit(text, c'_', unit_size(key.tag))
        name.data = text.data
        name.count += 1
        if not find_field(view, name, &ignored):
            break


# A character as CPython stores it in a str of this kind.
cdef inline void append_unit(Buffer* text, uint32_t character, uint32_t size) noexcept nogil:
    cdef uint16_t two = <uint16_t> character
    if size == 1:
        buffer_put(text, <char> character)
    elif size == 2:
        buffer_append(text, &two, 2)
    else:
        buffer_append(text, &character, 4)


cdef inline void write_renamed(
    Buffer* out, const Value* key, const Value* value, const RecordView* view, bint is_pretty, Buffer* scratch
) noexcept nogil:
    cdef Value name
    find_free_name(scratch, key, view, &name)
    if scratch.failed:
        out.failed = True
        return
    write_member(out, &name, value, is_pretty)


cdef inline void write_json_fields(Buffer* out, const JsonLayout* json, const Line* line, Buffer* scratch) noexcept nogil:
    cdef const RecordView* view = &line.view
    cdef const JsonName* name
    cdef FieldWalk walk
    cdef Value key, value
    walk_begin(&walk, view, out)
    while walk_next(&walk, view, out, &key, &value):
        name = json_name(json, &key)
        if name == NULL:
            write_member(out, &key, &value, json.is_pretty)
        elif name.form != FORM_RENAMED:
            write_mapped(out, name, &value, scratch)
        elif is_taken(name, line):
            write_renamed(out, &key, &value, view, json.is_pretty, scratch)
        else:
            write_member(out, &key, &value, json.is_pretty)


# Of a layout that puts the fields under one key: those that have places of their own.
cdef inline void write_mapped_fields(Buffer* out, const JsonLayout* json, const Line* line, Buffer* scratch) noexcept nogil:
    cdef const RecordView* view = &line.view
    cdef const JsonName* name
    cdef FieldWalk walk
    cdef Value key, value
    walk_begin(&walk, view, out)
    while walk_next(&walk, view, out, &key, &value):
        name = json_name(json, &key)
        if name != NULL and name.form != FORM_RENAMED:
            write_mapped(out, name, &value, scratch)


# The fields under one key, which is missing where there is none. In there every name is free.
cdef inline void write_fields_object(Buffer* out, const JsonLayout* json, const Line* line, Buffer* scratch) noexcept nogil:
    cdef const RecordView* view = &line.view
    cdef const JsonName* name = NULL
    cdef size_t start, inside
    cdef FieldWalk walk
    cdef Value key, value
    if json.has_mapped:
        write_mapped_fields(out, json, line, scratch)
    start = out.size
    buffer_text(out, &json.fields_key)
    inside = out.size
    walk_begin(&walk, view, out)
    while walk_next(&walk, view, out, &key, &value):
        if json.has_mapped:
            name = json_name(json, &key)
        if name == NULL or name.form == FORM_RENAMED:
            write_member(out, &key, &value, False)
    if out.size == inside:
        out.size = start
    elif not out.failed:
        out.data[inside] = c'{'  # instead of the first comma
        buffer_put(out, c'}')


# The member of the call's stack. A field of the same name keeps it.
cdef inline void write_json_stack(Buffer* out, const JsonLayout* json, const RecordView* view, Buffer* scratch) noexcept nogil:
    cdef Value ignored, value
    get_value(view.stack, &value)
    if json.fields_key.size == 0 and find_field(view, &json.stack_key, &ignored):
        write_renamed(out, &json.stack_key, &value, view, json.is_pretty, scratch)
    else:
        write_member(out, &json.stack_key, &value, json.is_pretty)
