"""Records as JSON: one object for each record, written without the GIL."""

from libc.stdint cimport uint64_t, uint8_t

from logly.layout.field_names cimport FieldWalk, is_reserved_key, walk_begin, walk_next, write_free_key, write_stack_key
from logly.layout.kept_text cimport run_entry, run_keep, run_write
from logly.layout.line cimport LAYOUT_PRETTY_JSON, Layout, Line, RunEntry, Site, write_message
from logly.layout.trace cimport write_steps
from logly.ring.record cimport (
    IS_KEPT, TAG_BYTES, TAG_FLOAT, TAG_INT, TAG_JSON, TAG_NONE, TAG_NUMBER, TAG_TRUE, TAG_UCS4, TAG_UINT, TAG_UTF8,
    RecordView, Value, get_value, text_kind,
)
from logly.text.buffer cimport Buffer, buffer_append, buffer_put
from logly.text.escape cimport write_json_bytes, write_json_float, write_json_string, write_json_utf8
from logly.text.number cimport write_int, write_uint
from logly.text.time_pattern cimport time_pattern_render


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
    if line.is_named:
        json_key(out, b'"logger":', 9, pretty)
        write_json_utf8(out, line.name.data, line.name.size)
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
    json_key(out, b'"module":', 9, pretty)
    if site != NULL:
        write_json_utf8(out, site.module.data, site.module.size)
    elif not view.site_path.data:
        buffer_append(out, b'"?"', 3)  # a line of logly's own has all keys, too
    else:
        write_json_value(out, &view.site_module)
    json_key(out, b'"function":', 11, pretty)
    if site != NULL:
        write_json_utf8(out, site.function.data, site.function.size)
    elif not view.site_path.data:
        buffer_append(out, b'"?"', 3)
    else:
        write_json_value(out, &view.site_function)
    json_key(out, b'"lineno":', 9, pretty)
    write_int(out, site.line if site != NULL else view.site_line if view.site_path.data else 0)


cdef inline void write_json_fields(Buffer* out, const Line* line, bint pretty) noexcept nogil:
    cdef const RecordView* view = &line.view
    cdef FieldWalk walk
    cdef Value key, value
    walk_begin(&walk, view, out)
    while walk_next(&walk, view, out, &key, &value):
        buffer_append(out, b",\n  ", 4 if pretty else 1)
        if is_reserved_key(&key, line.is_named, view.header.flags & IS_KEPT):
            write_free_key(out, &key, view, True)
        else:
            write_json_string(out, text_kind(key.tag), key.data, key.count)
        buffer_append(out, b": ", 2 if pretty else 1)
        write_json_value(out, &value)


cdef inline void write_json_exception(Buffer* out, const Line* line, bint pretty, Buffer* scratch) noexcept nogil:
    cdef Value value
    cdef const char* at = line.view.exception
    json_key(out, b'"exception":', 12, pretty)
    buffer_append(out, b'{"type":', 8)
    at = get_value(at, &value)
    write_json_value(out, &value)
    buffer_append(out, b',"message":', 11)
    at = get_value(at, &value)
    write_json_value(out, &value)
    buffer_append(out, b',"stack":', 9)
    get_value(at, &value)
    if value.tag == TAG_BYTES:
        scratch.size = 0
        write_steps(scratch, value.data, value.count, line.places, False)
        write_json_utf8(out, scratch.data, scratch.size)
        out.failed = out.failed or scratch.failed
    else:
        write_json_value(out, &value)
    buffer_put(out, c'}')


cdef inline void write_json_stack(Buffer* out, const RecordView* view, bint pretty) noexcept nogil:
    cdef Value value
    buffer_append(out, b",\n  ", 4 if pretty else 1)
    write_stack_key(out, view, True)
    buffer_append(out, b": ", 2 if pretty else 1)
    get_value(view.stack, &value)
    write_json_value(out, &value)


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
    if line.view.header.flags & IS_KEPT:
        json_key(out, b'"recorder":', 11, pretty)
        buffer_append(out, b"true", 4)
    write_json_fields(out, line, pretty)
    if line.view.exception != NULL:
        write_json_exception(out, line, pretty, scratch)
    if line.view.stack != NULL:
        write_json_stack(out, &line.view, pretty)
    if pretty:
        buffer_append(out, b"\n}\n", 3)
    else:
        buffer_append(out, b"}\n", 2)
