"""Records as logfmt: `key=value` pairs, with quotes where a value needs them (https://brandur.org/logfmt)."""

from libc.string cimport memset

from logly.layout.field_names cimport FieldWalk, is_reserved_key, walk_begin, walk_next, write_free_key, write_stack_key
from logly.layout.line cimport Layout, Line, Site, write_exception, write_message, write_trace
from logly.layout.message cimport write_value
from logly.ring.record cimport IS_KEPT, TAG_UCS4, TAG_UTF8, RecordView, Value, text_kind
from logly.text.buffer cimport Buffer, Text, buffer_append, buffer_free, buffer_init, buffer_put
from logly.text.escape cimport write_logfmt_value
from logly.text.number cimport write_int
from logly.text.time_pattern cimport time_pattern_render
from logly.text.unicode cimport write_text
from logly.text.zones cimport ZONE_UTC


cdef inline void write_logfmt_field(Buffer* out, const Value* value) noexcept nogil:
    cdef Buffer text
    if value.tag >= TAG_UTF8 and value.tag <= TAG_UCS4:
        write_logfmt_value(out, text_kind(value.tag), value.data, value.count)
        return
    if value.tag < TAG_UTF8:
        write_value(out, value)
        return
    buffer_init(&text)
    write_value(&text, value)
    write_logfmt_value(out, 0, text.data, text.size)
    buffer_free(&text)


# Returns the length of the character at `p` if it would end a key for some reader, else 0: a space, an equals sign, a quote, a
# control character (C1 controls have two bytes), or U+2028 and U+2029 (three bytes).
cdef inline size_t key_breaker(const unsigned char* p, size_t n) noexcept nogil:
    if p[0] <= 32 or p[0] == c'=' or p[0] == c'"' or p[0] == 0x7F:
        return 1
    if p[0] == 0xC2 and n > 1 and p[1] < 0xA0:
        return 2
    if p[0] == 0xE2 and n > 2 and p[1] == 0x80 and (p[2] == 0xA8 or p[2] == 0xA9):
        return 3
    return 0


# A key must be one word, so each byte of a character that would end it becomes an underscore.
cdef inline void write_logfmt_key(Buffer* out, const Value* key, const Line* line) noexcept nogil:
    cdef size_t start, length
    buffer_put(out, c' ')
    start = out.size
    if is_reserved_key(key, line.is_named, line.view.header.flags & IS_KEPT):
        write_free_key(out, key, &line.view)
    else:
        write_text(out, text_kind(key.tag), key.data, key.count)
    if start == out.size:
        buffer_put(out, c'_')
    while start < out.size:
        length = key_breaker(<const unsigned char*> out.data + start, out.size - start)
        if length:
            memset(out.data + start, c'_', length)
        start += length if length else 1
    buffer_put(out, c'=')


cdef inline void write_logfmt_text(Buffer* out, const char* key, size_t size, const Text* text) noexcept nogil:
    buffer_append(out, key, size)
    write_logfmt_value(out, 0, text.data, text.size)


cdef inline void write_logfmt_site(Buffer* out, const Line* line) noexcept nogil:
    cdef const Site* site = line.site
    if site != NULL:
        write_logfmt_text(out, b" module=", 8, &site.module)
        write_logfmt_text(out, b" function=", 10, &site.function)
        buffer_append(out, b" lineno=", 8)
        write_int(out, site.line)
    elif line.view.site_path.data:
        buffer_append(out, b" module=", 8)
        write_logfmt_field(out, &line.view.site_module)
        buffer_append(out, b" function=", 10)
        write_logfmt_field(out, &line.view.site_function)
        buffer_append(out, b" lineno=", 8)
        write_int(out, line.view.site_line)
    else:
        buffer_append(out, b" module=? function=? lineno=0", 29)


cdef inline void write_logfmt_fields(Buffer* out, const Line* line) noexcept nogil:
    cdef const RecordView* view = &line.view
    cdef FieldWalk walk
    cdef Value key, value
    walk_begin(&walk, view, out)
    while walk_next(&walk, view, out, &key, &value):
        write_logfmt_key(out, &key, line)
        write_logfmt_field(out, &value)


cdef inline void render_logfmt(Buffer* out, const Layout* layout, const Line* line, Buffer* scratch) noexcept nogil:
    cdef const RecordView* view = &line.view
    buffer_append(out, b"timestamp=", 10)
    time_pattern_render(layout.stamp, out, line.time_ns, ZONE_UTC)
    write_logfmt_text(out, b" level=", 7, &line.level.name)
    if line.is_named:
        write_logfmt_text(out, b" logger=", 8, line.name)
    buffer_append(out, b" message=", 9)
    scratch.size = 0
    write_message(scratch, line)
    write_logfmt_value(out, 0, scratch.data, scratch.size)
    write_logfmt_site(out, line)
    if view.header.flags & IS_KEPT:
        buffer_append(out, b" recorder=true", 14)
    write_logfmt_fields(out, line)
    if view.exception != NULL:
        scratch.size = 0
        write_exception(scratch, line, False)
        buffer_append(out, b" exception=", 11)
        write_logfmt_value(out, 0, scratch.data, scratch.size)
    if view.stack != NULL:
        scratch.size = 0
        write_trace(scratch, view.stack, False)
        buffer_put(out, c' ')
        write_stack_key(out, view)
        buffer_put(out, c'=')
        write_logfmt_value(out, 0, scratch.data, scratch.size)
    buffer_put(out, c'\n')
