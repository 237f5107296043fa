"""JSON and logfmt: from a record to one object, or one list of pairs, off the GIL."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from logly._buffer cimport Buffer, buffer_append, buffer_free, buffer_init, buffer_put
from logly._calendar cimport time_pattern_render
from logly._escape cimport (
    write_json_bytes, write_json_float, write_json_string, write_json_utf8, write_logfmt_value,
)
from logly._line cimport (
    LAYOUT_PRETTY_JSON, Layout, Line, RunEntry, Site, Text, write_exception, write_message,
)
from logly._names cimport FieldWalk, find_field, walk_again, walk_begin, walk_takes
from logly._number cimport write_int, write_uint
from logly._program cimport write_value
from logly._record cimport (
    TAG_BYTES, TAG_FLOAT, TAG_INT, TAG_JSON, TAG_NONE, TAG_NUMBER, TAG_TRUE, TAG_UCS4, TAG_UINT, TAG_UTF8, RecordView,
    Value, get_value, text_kind,
)
from logly._runs cimport run_entry, run_keep, run_write
from logly._unicode cimport write_text


# ---- JSON

cdef inline void write_json_value(Buffer* out, const Value* value) noexcept nogil:
    cdef uint8_t tag = value.tag
    if tag >= TAG_UTF8 and tag <= TAG_UCS4:
        write_json_string(out, text_kind(tag), value.data, value.count)
    elif tag == TAG_INT:
        write_int(out, value.integer)
    elif tag == TAG_UINT:
        write_uint(out, <uint64_t> value.integer)
    elif tag == TAG_FLOAT:
        write_json_float(out, value.real)
    elif tag == TAG_BYTES:
        write_json_bytes(out, <const unsigned char*> value.data, value.count)
    elif tag == TAG_JSON or tag == TAG_NUMBER:
        buffer_append(out, value.data, value.count)
    elif tag == TAG_NONE:
        buffer_append(out, b"null", 4)
    elif tag == TAG_TRUE:
        buffer_append(out, b"true", 4)
    else:
        buffer_append(out, b"false", 5)


cdef inline bint is_text(const char* data, uint32_t size, const char* literal, uint32_t length) noexcept nogil:
    cdef uint32_t i
    if size != length:
        return False
    for i in range(size):
        if data[i] != literal[i]:
            return False
    return True


# The keys that every JSON line has: a field of such a name gets underscores appended until it is free.
cdef inline bint is_reserved_key(const Value* key) noexcept nogil:
    cdef const char* data = key.data
    cdef uint32_t size = key.count
    if key.tag != TAG_UTF8 or size < 5 or size > 9:
        return False
    return (
        is_text(data, size, b"level", 5) or is_text(data, size, b"message", 7) or is_text(data, size, b"module", 6)
        or is_text(data, size, b"lineno", 6) or is_text(data, size, b"function", 8)
        or is_text(data, size, b"timestamp", 9) or is_text(data, size, b"exception", 9)
    )


# Appends underscores until no other field has the name; it ends, because there are only so many fields.
cdef inline void write_free_key(Buffer* out, const Value* key, const RecordView* view, bint quoted) noexcept nogil:
    cdef Value name, ignored
    cdef size_t start
    if quoted:
        buffer_put(out, c'"')
    start = out.size
    buffer_append(out, key.data, key.count)
    name.tag = TAG_UTF8
    while not out.failed:
        buffer_put(out, c'_')
        name.data = out.data + start
        name.count = <uint32_t> (out.size - start)
        if not find_field(view, &name, &ignored):
            break
    if quoted:
        buffer_put(out, c'"')


cdef inline void json_key(Buffer* out, const char* key, size_t size, bint pretty) noexcept nogil:
    if pretty:
        buffer_append(out, b",\n  ", 4)
    else:
        buffer_put(out, c',')
    buffer_append(out, key, size)
    if pretty:
        buffer_put(out, c' ')


cdef inline void write_json_front(Buffer* out, const Layout* layout, const Line* line, bint pretty) noexcept nogil:
    cdef RunEntry* entry = run_entry(layout.kept_level, line)
    cdef size_t start = out.size
    if run_write(out, entry, line):
        return
    buffer_put(out, c'"')
    json_key(out, b'"level":', 8, pretty)
    write_json_utf8(out, line.level.name.data, line.level.name.size)
    json_key(out, b'"message":', 10, pretty)
    run_keep(entry, out, start, line)


cdef inline void write_json_kept_site(Buffer* out, const Layout* layout, const Line* line, bint pretty) noexcept nogil:
    cdef RunEntry* entry = run_entry(layout.kept_site, line)
    cdef size_t start = out.size
    if not run_write(out, entry, line):
        write_json_site(out, line, pretty)
        run_keep(entry, out, start, line)


cdef inline void write_json_site(Buffer* out, const Line* line, bint pretty) noexcept nogil:
    cdef const Site* site = line.site
    cdef const RecordView* view = &line.view
    if site == NULL and not view.site_path.data:
        return
    json_key(out, b'"module":', 9, pretty)
    if site != NULL:
        write_json_utf8(out, site.module.data, site.module.size)
    else:
        write_json_value(out, &view.site_module)
    json_key(out, b'"function":', 11, pretty)
    if site != NULL:
        write_json_utf8(out, site.function.data, site.function.size)
    else:
        write_json_value(out, &view.site_function)
    json_key(out, b'"lineno":', 9, pretty)
    write_int(out, site.line if site != NULL else view.site_line)


cdef inline void write_json_fields(Buffer* out, const RecordView* view, bint pretty) noexcept nogil:
    cdef FieldWalk walk
    cdef const char* at
    cdef const char* begun
    cdef Value key, value
    cdef uint32_t i
    cdef size_t start = out.size
    walk_begin(&walk, view)
    while True:
        at = view.fields
        for i in range(view.header.fields):
            begun = at
            at = get_value(at, &key)
            at = get_value(at, &value)
            if not walk.takes_all and not walk_takes(&walk, view, i, begun, at, &key):
                continue
            buffer_append(out, b",\n  ", 4 if pretty else 1)
            if is_reserved_key(&key):
                write_free_key(out, &key, view, True)
            else:
                write_json_string(out, text_kind(key.tag), key.data, key.count)
            buffer_append(out, b": ", 2 if pretty else 1)
            write_json_value(out, &value)
        if not walk_again(&walk, view):
            break
        out.size = start


cdef inline void write_json_exception(Buffer* out, const RecordView* view, bint pretty) noexcept nogil:
    cdef Value value
    cdef const char* at = view.exception
    json_key(out, b'"exception":', 12, pretty)
    buffer_append(out, b'{"type":', 8)
    at = get_value(at, &value)
    write_json_value(out, &value)
    buffer_append(out, b',"message":', 11)
    at = get_value(at, &value)
    write_json_value(out, &value)
    buffer_append(out, b',"stack":', 9)
    at = get_value(at, &value)
    write_json_value(out, &value)
    buffer_put(out, c'}')


cdef inline void write_json_message(Buffer* out, const Line* line, Buffer* scratch) noexcept nogil:
    cdef Value value
    if line.message == NULL and line.program == NULL:
        get_value(line.view.body, &value)
        if value.tag >= TAG_UTF8 and value.tag <= TAG_UCS4:
            write_json_value(out, &value)
            return
    scratch.size = 0
    write_message(scratch, line)
    write_json_utf8(out, scratch.data, scratch.size)


cdef inline void render_json(Buffer* out, const Layout* layout, const Line* line, Buffer* scratch) noexcept nogil:
    cdef bint pretty = layout.kind == LAYOUT_PRETTY_JSON
    if pretty:
        buffer_append(out, b'{\n  "timestamp": "', 18)
    else:
        buffer_append(out, b'{"timestamp":"', 14)
    time_pattern_render(layout.stamp, out, line.time_ns, True)
    write_json_front(out, layout, line, pretty)
    write_json_message(out, line, scratch)
    if line.site != NULL:
        write_json_kept_site(out, layout, line, pretty)
    else:
        write_json_site(out, line, pretty)
    write_json_fields(out, &line.view, pretty)
    if line.view.exception != NULL:
        write_json_exception(out, &line.view, pretty)
    if pretty:
        buffer_append(out, b"\n}\n", 3)
    else:
        buffer_append(out, b"}\n", 2)


# ---- logfmt (https://brandur.org/logfmt)

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


# Bytes of a control or space at `p`, which end a key in some reader: C1 controls are two bytes, U+2028 and U+2029 three.
cdef inline size_t key_breaker(const unsigned char* p, size_t n) noexcept nogil:
    if p[0] <= 32 or p[0] == c'=' or p[0] == c'"' or p[0] == 0x7F:
        return 1
    if p[0] == 0xC2 and n > 1 and p[1] < 0xA0:
        return 2
    if p[0] == 0xE2 and n > 2 and p[1] == 0x80 and (p[2] == 0xA8 or p[2] == 0xA9):
        return 3
    return 0


# A key must be one word: what would end it becomes an underscore.
cdef inline void write_logfmt_key(Buffer* out, const Value* key, const RecordView* view) noexcept nogil:
    cdef size_t start, length
    buffer_put(out, c' ')
    start = out.size
    if is_reserved_key(key):
        write_free_key(out, key, view, False)
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


cdef inline void write_logfmt_fields(Buffer* out, const RecordView* view) noexcept nogil:
    cdef FieldWalk walk
    cdef const char* at
    cdef const char* begun
    cdef Value key, value
    cdef uint32_t i
    cdef size_t start = out.size
    walk_begin(&walk, view)
    while True:
        at = view.fields
        for i in range(view.header.fields):
            begun = at
            at = get_value(at, &key)
            at = get_value(at, &value)
            if not walk.takes_all and not walk_takes(&walk, view, i, begun, at, &key):
                continue
            write_logfmt_key(out, &key, view)
            write_logfmt_field(out, &value)
        if not walk_again(&walk, view):
            break
        out.size = start


cdef inline void render_logfmt(Buffer* out, const Layout* layout, const Line* line, Buffer* scratch) noexcept nogil:
    cdef const RecordView* view = &line.view
    buffer_append(out, b"timestamp=", 10)
    time_pattern_render(layout.stamp, out, line.time_ns, True)
    write_logfmt_text(out, b" level=", 7, &line.level.name)
    buffer_append(out, b" message=", 9)
    scratch.size = 0
    write_message(scratch, line)
    write_logfmt_value(out, 0, scratch.data, scratch.size)
    write_logfmt_site(out, line)
    write_logfmt_fields(out, view)
    if view.exception != NULL:
        scratch.size = 0
        write_exception(scratch, view, False)
        buffer_append(out, b" exception=", 11)
        write_logfmt_value(out, 0, scratch.data, scratch.size)
    buffer_put(out, c'\n')
