"""Records as JSON: one object for each record, written without the GIL.

A layout is a list of pieces (layout/json_pieces.pxd), and plain JSON is one of them. Each member begins with its comma; at the
end the first comma of the line becomes the opening brace.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t, uint8_t

from logly.layout.json_fields cimport write_fields_object, write_json_fields, write_json_stack
from logly.layout.json_pieces cimport (
    JSON_ARRAY, JSON_EPOCH_MS, JSON_EPOCH_NS, JSON_EPOCH_S, JSON_EXCEPTION_STACK, JSON_EXCEPTION_TYPE, JSON_FIELDS,
    JSON_FIELDS_OBJECT, JSON_FILENAME, JSON_FUNCTION, JSON_FUNCTION_NAME, JSON_LEVEL, JSON_LEVEL_LOWER,
    JSON_LEVEL_NUMBER, JSON_LEVEL_WORD, JSON_LINENO, JSON_LITERAL, JSON_LOGGER, JSON_LOGGER_OR_MODULE, JSON_MESSAGE,
    JSON_MODULE, JSON_OF_OTLP, JSON_STACK, JSON_THREAD, JSON_TIME, WHEN_ALWAYS, WHEN_EXCEPTION, WHEN_KEPT, WHEN_NAMED,
    WHEN_STACK, JsonLayout, JsonPiece,
)
from logly.layout.json_value cimport write_json_value
from logly.layout.kept_text cimport run_entry, run_keep, run_write
from logly.layout.line cimport Layout, Line, Site, base_name, has_site, write_message
from logly.layout.otlp cimport write_bracket, write_function_name, write_otlp_piece
from logly.layout.run_entry cimport RunEntry
from logly.layout.trace cimport write_steps
from logly.ring.record cimport IS_KEPT, TAG_BYTES, TAG_UCS4, TAG_UTF8, RecordView, Value, get_value, skip_values, text_kind
from logly.text.buffer cimport Buffer, buffer_append, buffer_put, buffer_reserve, buffer_text
from logly.text.civil cimport floor_divide
from logly.text.escape cimport write_json_utf8
from logly.text.number cimport padded_digits, write_int
from logly.text.time_pattern cimport time_pattern_render
from logly.text.unicode cimport write_text
from logly.text.zones cimport ZONE_UTC


# ---- what is the same for many records

cdef inline void write_level_word(Buffer* out, const JsonLayout* json, const Line* line) noexcept nogil:
    cdef uint32_t i = 0
    while i + 1 < json.words and line.level.number < json.word[i].least:
        i += 1
    buffer_text(out, &json.word[i].text)


cdef inline void write_json_level(Buffer* out, const JsonLayout* json, uint8_t code, const Line* line) noexcept nogil:
    if code == JSON_LEVEL:
        write_json_utf8(out, line.level.name.data, line.level.name.size)
    elif code == JSON_LEVEL_LOWER:
        write_json_utf8(out, line.level.lower.data, line.level.lower.size)
    elif code == JSON_LEVEL_NUMBER:
        write_int(out, line.level.number)
    else:
        write_level_word(out, json, line)


# The path that the record itself contains, or the last part of it.
cdef inline void write_inline_path(Buffer* out, uint8_t code, const RecordView* view, Buffer* scratch) noexcept nogil:
    cdef uint32_t size
    cdef const char* name
    scratch.size = 0
    write_text(scratch, text_kind(view.site_path.tag), view.site_path.data, view.site_path.count)
    size = <uint32_t> scratch.size
    name = scratch.data
    if code == JSON_FILENAME:
        name = base_name(scratch.data, size, &size)
    write_json_utf8(out, name, size)
    out.failed = out.failed or scratch.failed


# A call site that has no number stands in the record. A line of logly's own has none, and nevertheless all keys.
cdef inline void write_unkept_site(Buffer* out, uint8_t code, const RecordView* view, Buffer* scratch) noexcept nogil:
    if code == JSON_LINENO:
        write_int(out, view.site_line if view.site_path.data else 0)
    elif not view.site_path.data:
        buffer_append(out, b'"?"', 3)
    elif code == JSON_MODULE:
        write_json_value(out, &view.site_module)
    elif code == JSON_FUNCTION:
        write_json_value(out, &view.site_function)
    else:
        write_inline_path(out, code, view, scratch)


cdef inline void write_json_site(Buffer* out, uint8_t code, const Line* line, Buffer* scratch) noexcept nogil:
    cdef const Site* site = line.site
    if site == NULL:
        write_unkept_site(out, code, &line.view, scratch)
    elif code == JSON_MODULE:
        write_json_utf8(out, site.module.data, site.module.size)
    elif code == JSON_FUNCTION:
        write_json_utf8(out, site.function.data, site.function.size)
    elif code == JSON_LINENO:
        write_int(out, site.line)
    elif code == JSON_FILENAME:
        write_json_utf8(out, site.filename.data, site.filename.size)
    else:
        write_json_utf8(out, site.path.data, site.path.size)


cdef inline void write_kept_piece(
    Buffer* out, const JsonLayout* json, const JsonPiece* piece, const Line* line, Buffer* scratch
) noexcept nogil:
    cdef uint8_t code = piece.code
    if code == JSON_LITERAL:
        buffer_text(out, &piece.text)
    elif code <= JSON_LEVEL_WORD:
        write_json_level(out, json, code, line)
    elif code == JSON_LOGGER or (code == JSON_LOGGER_OR_MODULE and line.is_named):
        write_json_utf8(out, line.name.data, line.name.size)
    elif code == JSON_THREAD:
        write_int(out, <int64_t> line.view.thread)
    elif code == JSON_FUNCTION_NAME:
        write_function_name(out, line, scratch)
    else:
        write_json_site(out, JSON_MODULE if code == JSON_LOGGER_OR_MODULE else code, line, scratch)


cdef inline bint has_kept_piece(const JsonPiece* piece, const Line* line) noexcept nogil:
    if piece.when == WHEN_ALWAYS:
        return True
    return line.is_named if piece.when == WHEN_NAMED else has_site(line)


cdef inline void write_json_run(
    Buffer* out, const JsonLayout* json, const JsonPiece* first, const Line* line, Buffer* scratch
) noexcept nogil:
    cdef RunEntry* entry = run_entry(first.kept, line)
    cdef size_t start = out.size
    cdef uint32_t i
    if run_write(out, entry, line):
        return
    for i in range(first.run):
        if has_kept_piece(&first[i], line):
            write_kept_piece(out, json, &first[i], line, scratch)
    run_keep(entry, out, start, line)


# ---- what each record has of its own

# Seconds with six decimals, cut like those of RFC 3339.
cdef inline void write_epoch_seconds(Buffer* out, int64_t time_ns) noexcept nogil:
    cdef int64_t microseconds = floor_divide(time_ns, 1000)
    if microseconds < 0:
        buffer_put(out, c'-')
        microseconds = -microseconds
    write_int(out, microseconds // 1000000)
    buffer_put(out, c'.')
    if buffer_reserve(out, 6):
        padded_digits(out.data + out.size, <uint64_t> (microseconds % 1000000), 6)
        out.size += 6


# `form`: JSON_TIME (without the quotes), JSON_EPOCH_S, JSON_EPOCH_MS or JSON_EPOCH_NS.
cdef inline void write_json_time(Buffer* out, const Layout* layout, uint8_t form, int64_t time_ns) noexcept nogil:
    if form == JSON_TIME:
        time_pattern_render(layout.stamp, out, time_ns, ZONE_UTC)
    elif form == JSON_EPOCH_S:
        write_epoch_seconds(out, time_ns)
    elif form == JSON_EPOCH_MS:
        write_int(out, floor_divide(time_ns, 1000000))
    else:
        write_int(out, time_ns)


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
    out.failed = out.failed or scratch.failed


cdef inline void write_json_exception(Buffer* out, uint8_t code, const Line* line, Buffer* scratch) noexcept nogil:
    cdef Value value
    get_value(skip_values(line.view.exception, code - JSON_EXCEPTION_TYPE), &value)
    if code != JSON_EXCEPTION_STACK or value.tag != TAG_BYTES:
        write_json_value(out, &value)
        return
    scratch.size = 0
    write_steps(scratch, value.data, value.count, line.places, False)
    write_json_utf8(out, scratch.data, scratch.size)
    out.failed = out.failed or scratch.failed


cdef inline void write_json_piece(
    Buffer* out, const Layout* layout, const JsonPiece* piece, const Line* line, Buffer* scratch
) noexcept nogil:
    cdef uint8_t code = piece.code
    if code == JSON_LITERAL:
        buffer_text(out, &piece.text)
    elif code == JSON_MESSAGE:
        write_json_message(out, line, scratch)
    elif code == JSON_FIELDS:
        if line.view.header.fields:
            write_json_fields(out, layout.json, line, scratch)
    elif code == JSON_FIELDS_OBJECT:
        if line.view.header.fields:
            write_fields_object(out, layout.json, line, scratch)
    elif code <= JSON_EPOCH_NS:
        write_json_time(out, layout, code, line.time_ns)
    elif code == JSON_STACK:
        write_json_stack(out, layout.json, &line.view, scratch)
    elif code <= JSON_OF_OTLP:
        write_json_exception(out, code, line, scratch)
    else:
        write_otlp_piece(out, layout.json, code, line, scratch)


cdef inline bint has_json_piece(const JsonPiece* piece, const Line* line) noexcept nogil:
    if piece.when == WHEN_KEPT:
        return line.view.header.flags & IS_KEPT != 0
    if piece.when == WHEN_EXCEPTION:
        return line.view.exception != NULL
    if piece.when == WHEN_NAMED:
        return line.is_named
    if piece.when == WHEN_STACK:
        return line.view.stack != NULL
    return has_site(line)


cdef inline void render_json(Buffer* out, const Layout* layout, const Line* line, Buffer* scratch) noexcept nogil:
    cdef const JsonLayout* json = layout.json
    cdef const JsonPiece* piece
    cdef size_t start = out.size
    cdef size_t opened = start
    cdef uint32_t i = 0
    scratch.failed = False  # another line may have found no memory
    while i < json.pieces:
        piece = &json.piece[i]
        if piece.run:
            write_json_run(out, json, piece, line, scratch)
            i += piece.run
        elif piece.when != WHEN_ALWAYS and not has_json_piece(piece, line):
            i += piece.skip
        elif piece.code >= JSON_ARRAY:
            opened = write_bracket(out, piece.code, opened)
            i += 1
        else:
            write_json_piece(out, layout, piece, line, scratch)
            i += 1
    if out.size == start:
        buffer_put(out, c'{')
    else:
        out.data[start] = c'{'  # instead of the first comma
    buffer_append(out, b"\n}\n" if json.is_pretty else b"}\n", 3 if json.is_pretty else 2)
