"""Records in the native protocol of systemd's journal (https://systemd.io/JOURNAL_NATIVE_PROTOCOL/).

A message is a series of fields. A value without line breaks stands behind `NAME=`, any other one behind the name, a line break
and its length as 64 bits; so a value may have any bytes. Names have capitals, digits and underscores, begin with a capital,
and have at most 64 characters.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memchr, memmove

from logly.layout.field_names cimport FieldWalk, walk_begin, walk_next
from logly.layout.line cimport Layout, Line, has_site, has_trace, write_message, write_traces
from logly.layout.message cimport write_value
from logly.layout.wire cimport (
    SITE_FUNCTION, SITE_MODULE, SITE_PATH, SitePart, end_message, is_one_of, severity_of, write_site_text,
)
from logly.ring.record cimport IS_KEPT, TAG_BYTES, Value, get_value, skip_values, text_kind
from logly.text.buffer cimport Buffer, buffer_append, buffer_put, buffer_reserve, buffer_text
from logly.text.number cimport write_int, write_uint
from logly.text.time_pattern cimport time_pattern_render
from logly.text.unicode cimport next_code_point, write_text

cdef enum:
    JOURNAL_NAME_CHARACTERS = 64
    # The journal refuses messages with more than 1,024 fields. Some of them are not a record's.
    MAX_JOURNAL_FIELDS = 1000


# Ends a field, whose value has been written behind the equals sign at `equals`.
cdef inline void end_journal_field(Buffer* out, size_t equals) noexcept nogil:
    cdef uint64_t size
    cdef int i
    if out.failed:
        return
    size = out.size - equals - 1
    if size and memchr(out.data + equals + 1, c'\n', size) != NULL and buffer_reserve(out, 8):
        memmove(out.data + equals + 9, out.data + equals + 1, size)
        out.data[equals] = c'\n'
        for i in range(8):
            out.data[equals + 1 + i] = <char> (size >> (8 * i))  # the lowest byte first, on every machine
        out.size += 8
    buffer_put(out, c'\n')


# Writes a name of the layout's own, which ends with its equals sign. Returns where that is.
cdef inline size_t begin_journal_field(Buffer* out, const char* name, size_t size) noexcept nogil:
    buffer_append(out, name, size)
    return out.size - 1


# ---- the record's fields

cdef inline void write_journal_name(Buffer* out, const Value* key) noexcept nogil:
    cdef size_t start = out.size
    cdef size_t i = 0
    cdef uint32_t c
    while i < key.count and out.size - start < JOURNAL_NAME_CHARACTERS:
        c = next_code_point(text_kind(key.tag), key.data, key.count, &i)
        if c'a' <= c <= c'z':
            c -= 32
        elif not (c'A' <= c <= c'Z' or c'0' <= c <= c'9'):
            c = c'_'
        if out.size == start and not c'A' <= c <= c'Z':
            buffer_put(out, c'F')  # names that begin with an underscore are the journal's, and those with a digit are illegal
        buffer_put(out, <char> c)
    if out.size == start:
        buffer_put(out, c'F')
    if is_one_of(
        out, start,
        b" MESSAGE PRIORITY LEVEL LOGGER RECORDER CODE_FILE CODE_LINE CODE_FUNC CODE_MODULE SYSLOG_IDENTIFIER SYSLOG_FACILITY"
        b" SYSLOG_TIMESTAMP EXCEPTION_TYPE EXCEPTION_MESSAGE FIELDS_OMITTED ",
    ):
        buffer_put(out, c'_')


cdef inline void write_journal_field(Buffer* out, const Value* key, const Value* value) noexcept nogil:
    cdef size_t equals
    write_journal_name(out, key)
    equals = out.size
    buffer_put(out, c'=')
    if value.tag == TAG_BYTES:
        buffer_append(out, value.data, value.count)
    else:
        write_value(out, value)
    end_journal_field(out, equals)


cdef inline void write_journal_fields(Buffer* out, const Line* line) noexcept nogil:
    cdef FieldWalk walk
    cdef Value key, value
    cdef uint32_t count = 0
    walk_begin(&walk, &line.view, out)
    while walk_next(&walk, &line.view, out, &key, &value):
        if out.size == walk.start:
            count = 0  # the walk has begun anew
        count += 1
        if count > MAX_JOURNAL_FIELDS:
            continue
        write_journal_field(out, &key, &value)
    if count > MAX_JOURNAL_FIELDS:
        buffer_append(out, b"FIELDS_OMITTED=", 15)
        write_uint(out, count - MAX_JOURNAL_FIELDS)
        buffer_put(out, c'\n')


# ---- the layout's own

cdef inline void write_journal_site(Buffer* out, const char* name, size_t size, const Line* line, SitePart part) noexcept nogil:
    cdef size_t equals = begin_journal_field(out, name, size)
    write_site_text(out, line, part)
    end_journal_field(out, equals)


cdef inline void write_journal_text(Buffer* out, const char* name, size_t size, const Value* value) noexcept nogil:
    cdef size_t equals = begin_journal_field(out, name, size)
    write_text(out, text_kind(value.tag), value.data, value.count)
    end_journal_field(out, equals)


# The message and, on further lines, its traceback.
cdef inline void write_journal_message(Buffer* out, const Line* line) noexcept nogil:
    cdef size_t equals = begin_journal_field(out, b"MESSAGE=", 8)
    write_message(out, line)
    if has_trace(&line.view):
        buffer_put(out, c'\n')
        write_traces(out, line, False)
    end_journal_field(out, equals)


cdef inline void write_journal_origin(Buffer* out, const Layout* layout, const Line* line) noexcept nogil:
    cdef size_t equals
    buffer_append(out, b"PRIORITY=", 9)
    write_int(out, severity_of(line.level.number))
    equals = begin_journal_field(out, b"\nLEVEL=", 7)
    buffer_text(out, &line.level.name)
    end_journal_field(out, equals)
    if line.is_named:
        equals = begin_journal_field(out, b"LOGGER=", 7)
        buffer_text(out, line.name)
        end_journal_field(out, equals)
    if has_site(line):
        write_journal_site(out, b"CODE_FILE=", 10, line, SITE_PATH)
        write_journal_site(out, b"CODE_FUNC=", 10, line, SITE_FUNCTION)
        write_journal_site(out, b"CODE_MODULE=", 12, line, SITE_MODULE)
        buffer_append(out, b"CODE_LINE=", 10)
        write_int(out, line.site.line if line.site != NULL else line.view.site_line)
        buffer_put(out, c'\n')
    buffer_text(out, &layout.wire.identity)
    buffer_append(out, b"SYSLOG_TIMESTAMP=", 17)
    time_pattern_render(layout.stamp, out, line.time_ns, True)
    buffer_put(out, c'\n')


cdef inline void render_journald(Buffer* out, const Layout* layout, const Line* line) noexcept nogil:
    cdef size_t start = out.size
    cdef Value value
    write_journal_message(out, line)
    write_journal_origin(out, layout, line)
    if line.view.header.flags & IS_KEPT:
        buffer_append(out, b"RECORDER=true\n", 14)
    if line.view.header.fields:
        write_journal_fields(out, line)
    if line.view.exception != NULL:
        get_value(line.view.exception, &value)
        write_journal_text(out, b"EXCEPTION_TYPE=", 15, &value)
        get_value(skip_values(line.view.exception, 1), &value)
        write_journal_text(out, b"EXCEPTION_MESSAGE=", 18, &value)
    end_message(out, start, layout.wire.is_framed)
