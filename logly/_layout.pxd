"""From a record to the bytes of its line: text layouts, JSON and logfmt, off the GIL.

A text layout is a list of pieces that `logly/template.py` parsed; the core builds it, the flusher runs it.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from logly._buffer cimport Buffer, buffer_append, buffer_free, buffer_init, buffer_put, buffer_reserve
from logly._calendar cimport TimePattern, time_pattern_render
from logly._escape cimport (
    escape_controls, escape_terminal, indent_newlines, write_json_bytes, write_json_float, write_json_string,
    write_json_utf8, write_logfmt_value,
)
from logly._format cimport FormatSpec, format_int, format_text, format_uint
from logly._number cimport write_int, write_uint
from logly._program cimport Program, find_field, format_value, render_message, write_value
from logly._record cimport (
    MAY_REPEAT, TAG_BYTES, TAG_FALSE, TAG_FLOAT, TAG_INT, TAG_JSON, TAG_LATIN1, TAG_NONE, TAG_NUMBER, TAG_TRUE,
    TAG_UCS4, TAG_UINT, TAG_UTF8, RecordView, Value, get_value, same_text, text_kind,
)
from logly._unicode cimport write_text

cdef enum PieceCode:
    PIECE_LITERAL = 0
    PIECE_TIME
    PIECE_LEVEL
    PIECE_MESSAGE
    PIECE_NAME
    PIECE_MODULE
    PIECE_FUNCTION
    PIECE_FILENAME
    PIECE_PATH
    PIECE_LINENO
    PIECE_THREAD
    PIECE_THREAD_NAME
    PIECE_PROCESS
    PIECE_EXCEPTION
    PIECE_FIELDS
    PIECE_FIELD

cdef enum LayoutKind:
    LAYOUT_TEXT = 0
    LAYOUT_JSON
    LAYOUT_PRETTY_JSON
    LAYOUT_LOGFMT

cdef enum Newlines:
    NEWLINES_ESCAPE = 0    # one record is one line, whatever is in it
    NEWLINES_INDENT        # continuation lines are indented: they cannot pass for a record
    NEWLINES_KEEP

cdef enum Colouring:
    COLOR_NONE = 0
    COLOR_LEVEL            # the {level} piece
    COLOR_LINE             # the whole line


# UTF-8 bytes owned by somebody that outlives the layout or record.
cdef struct Text:
    const char* data
    uint32_t size


cdef struct Level:
    int32_t number
    Text name
    Text color             # SGR sequence, or empty


# A place in the user's source that logs.
cdef struct Site:
    uint32_t id
    int32_t line
    Text module
    Text function
    Text path
    Text filename
    void* code             # PyObject*, owned: keeps the address from being used again


cdef struct Piece:
    uint8_t code
    bint has_spec
    FormatSpec spec
    Value key              # PIECE_FIELD: which
    Text text              # PIECE_LITERAL
    TimePattern* time


cdef struct Layout:
    uint8_t kind
    uint8_t newlines
    uint8_t color
    bint terminal          # escape what a terminal would obey, even with NEWLINES_KEEP
    bint utc
    bint ends_with_fields  # the default layout: " | key=value" for each field
    bint ends_with_exception
    uint32_t pieces
    Piece* piece
    TimePattern* stamp     # JSON's and logfmt's time stamp
    char* text             # what the literals and keys point into


# All that a line is made from.
cdef struct Line:
    RecordView view
    int64_t time_ns        # since the epoch
    const Level* level
    const Site* site       # NULL: unknown
    const Program* program # NULL: the message is text
    const Text* name       # the logger's
    uint64_t process
    const Buffer* message  # rendered already, or NULL


cdef inline void buffer_text(Buffer* out, const Text* text) noexcept nogil:
    buffer_append(out, text.data, text.size)


cdef inline void write_message(Buffer* out, const Line* line) noexcept nogil:
    if line.message != NULL:
        buffer_append(out, line.message.data, line.message.size)
    else:
        render_message(out, line.program, &line.view)


cdef inline const char* base_name(const char* path, uint32_t size, uint32_t* length) noexcept nogil:
    cdef uint32_t start = size
    while start > 0 and path[start - 1] != c'/' and path[start - 1] != c'\\':
        start -= 1
    length[0] = size - start
    return path + start


# ---- text

cdef inline void write_spec_text(Buffer* out, const Piece* piece, const char* data, size_t size) noexcept nogil:
    if piece.has_spec:
        format_text(out, 0, data, size, &piece.spec)
    else:
        buffer_append(out, data, size)


cdef inline void write_spec_value(Buffer* out, const Piece* piece, const Value* value) noexcept nogil:
    if piece.has_spec:
        format_text(out, text_kind(value.tag), value.data, value.count, &piece.spec)
    else:
        write_text(out, text_kind(value.tag), value.data, value.count)


cdef inline void write_spec_int(Buffer* out, const Piece* piece, int64_t number) noexcept nogil:
    if piece.has_spec:
        format_int(out, number, &piece.spec)
    else:
        write_int(out, number)


cdef inline void write_unknown(Buffer* out, const Piece* piece) noexcept nogil:
    write_spec_text(out, piece, b"?", 1)


cdef inline void write_site_piece(Buffer* out, const Piece* piece, const Line* line) noexcept nogil:
    cdef uint8_t code = piece.code
    cdef const Site* site = line.site
    cdef const RecordView* view = &line.view
    if site != NULL:
        if code == PIECE_MODULE:
            write_spec_text(out, piece, site.module.data, site.module.size)
        elif code == PIECE_FUNCTION:
            write_spec_text(out, piece, site.function.data, site.function.size)
        elif code == PIECE_LINENO:
            write_spec_int(out, piece, site.line)
        elif code == PIECE_FILENAME:
            write_spec_text(out, piece, site.filename.data, site.filename.size)
        else:
            write_spec_text(out, piece, site.path.data, site.path.size)
    elif not view.site_path.data:
        if code == PIECE_LINENO:
            write_spec_int(out, piece, 0)
        else:
            write_unknown(out, piece)
    elif code == PIECE_MODULE:
        write_spec_value(out, piece, &view.site_module)
    elif code == PIECE_FUNCTION:
        write_spec_value(out, piece, &view.site_function)
    elif code == PIECE_LINENO:
        write_spec_int(out, piece, view.site_line)
    else:
        write_inline_path(out, piece, view)


cdef inline void write_inline_path(Buffer* out, const Piece* piece, const RecordView* view) noexcept nogil:
    cdef Buffer path
    cdef uint32_t size
    cdef const char* name
    buffer_init(&path)
    write_text(&path, text_kind(view.site_path.tag), view.site_path.data, view.site_path.count)
    size = <uint32_t> path.size
    name = path.data
    if piece.code == PIECE_FILENAME:
        name = base_name(path.data, size, &size)
    write_spec_text(out, piece, name, size)
    buffer_free(&path)


# Is the field at index i overridden by a later one of the same name?
cdef inline bint is_overridden(const RecordView* view, uint32_t index, const char* after, const Value* key) noexcept nogil:
    cdef Value name
    cdef uint32_t _
    if not view.header.flags & MAY_REPEAT:
        return False
    for _ in range(index + 1, view.header.fields):
        after = get_value(after, &name)
        if same_text(&name, key):
            return True
        after = get_value(after, &name)
    return False


cdef inline void write_fields(Buffer* out, const RecordView* view, const char* before, size_t size) noexcept nogil:
    cdef const char* at = view.fields
    cdef Value key, value
    cdef uint32_t i
    cdef bint first = size > 0 and before[0] == c','
    for i in range(view.header.fields):
        at = get_value(at, &key)
        at = get_value(at, &value)
        if is_overridden(view, i, at, &key):
            continue
        if not first:
            buffer_append(out, before, size)
        else:
            first = False
        write_text(out, text_kind(key.tag), key.data, key.count)
        buffer_put(out, c'=')
        write_value(out, &value)


cdef inline void write_exception(Buffer* out, const RecordView* view) noexcept nogil:
    cdef Value value
    cdef const char* at = get_value(view.exception, &value)
    at = get_value(at, &value)
    get_value(at, &value)
    write_text(out, text_kind(value.tag), value.data, value.count)
    while out.size and out.data[out.size - 1] == c'\n':
        out.size -= 1


# What came from outside must not forge a record or drive a terminal.
cdef inline void make_safe(Buffer* out, size_t start, const Layout* layout) noexcept nogil:
    if layout.newlines == NEWLINES_ESCAPE:
        escape_controls(out, start)
        return
    if layout.terminal:
        escape_terminal(out, start)
    if layout.newlines == NEWLINES_INDENT:
        indent_newlines(out, start)


cdef inline void make_traceback_safe(Buffer* out, size_t start, const Layout* layout) noexcept nogil:
    if layout.terminal:
        escape_terminal(out, start)
    if layout.newlines == NEWLINES_INDENT:
        indent_newlines(out, start)


cdef inline void write_field_piece(Buffer* out, const Piece* piece, const Line* line) noexcept nogil:
    cdef Value value
    if not find_field(&line.view, &piece.key, &value):
        write_spec_text(out, piece, b"", 0)
    elif piece.has_spec:
        format_value(out, &value, &piece.spec)
    else:
        write_value(out, &value)


cdef inline void write_level(Buffer* out, const Piece* piece, const Line* line, const Layout* layout) noexcept nogil:
    cdef bint colored = layout.color == COLOR_LEVEL and line.level.color.size
    if colored:
        buffer_text(out, &line.level.color)
    write_spec_text(out, piece, line.level.name.data, line.level.name.size)
    if colored:
        buffer_append(out, b"\x1b[0m", 4)


cdef inline void write_safe_piece(Buffer* out, const Piece* piece, const Line* line, const Layout* layout) noexcept nogil:
    cdef size_t start = out.size
    cdef Buffer message
    if piece.code == PIECE_MESSAGE:
        if piece.has_spec:
            buffer_init(&message)
            write_message(&message, line)
            write_spec_text(out, piece, message.data, message.size)
            buffer_free(&message)
        else:
            write_message(out, line)
    elif piece.code == PIECE_FIELD:
        write_field_piece(out, piece, line)
    elif piece.code == PIECE_FIELDS:
        write_fields(out, &line.view, b", ", 2)
    elif piece.code == PIECE_THREAD_NAME:
        write_spec_value(out, piece, &line.view.thread_name)
    else:
        write_spec_text(out, piece, line.name.data, line.name.size)
    make_safe(out, start, layout)


cdef inline void write_piece(Buffer* out, const Piece* piece, const Line* line, const Layout* layout) noexcept nogil:
    cdef size_t start
    if piece.code == PIECE_LITERAL:
        buffer_append(out, piece.text.data, piece.text.size)
    elif piece.code == PIECE_TIME:
        time_pattern_render(piece.time, out, line.time_ns, layout.utc)
    elif piece.code == PIECE_LEVEL:
        write_level(out, piece, line, layout)
    elif piece.code >= PIECE_MODULE and piece.code <= PIECE_LINENO:
        write_site_piece(out, piece, line)
    elif piece.code == PIECE_THREAD:
        write_spec_int(out, piece, <int64_t> line.view.thread)
    elif piece.code == PIECE_PROCESS:
        write_spec_int(out, piece, <int64_t> line.process)
    elif piece.code == PIECE_EXCEPTION:
        if line.view.exception != NULL:
            start = out.size
            write_exception(out, &line.view)
            make_traceback_safe(out, start, layout)
    else:
        write_safe_piece(out, piece, line, layout)


cdef inline void render_text(Buffer* out, const Layout* layout, const Line* line) noexcept nogil:
    cdef uint32_t i
    cdef size_t start
    cdef bint colored = layout.color == COLOR_LINE and line.level.color.size
    if colored:
        buffer_text(out, &line.level.color)
    for i in range(layout.pieces):
        write_piece(out, &layout.piece[i], line, layout)
    if layout.ends_with_fields and line.view.header.fields:
        start = out.size
        write_fields(out, &line.view, b" | ", 3)
        make_safe(out, start, layout)
    if layout.ends_with_exception and line.view.exception != NULL:
        buffer_put(out, c'\n')
        start = out.size
        write_exception(out, &line.view)
        make_traceback_safe(out, start, layout)
    if colored:
        buffer_append(out, b"\x1b[0m", 4)
    buffer_put(out, c'\n')


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


cdef inline void write_free_key(Buffer* out, const Value* key, const RecordView* view, bint quoted) noexcept nogil:
    cdef char candidate[128]
    cdef Value name, ignored
    cdef uint32_t i
    if quoted:
        buffer_put(out, c'"')
    buffer_append(out, key.data, key.count)
    for i in range(key.count):
        candidate[i] = key.data[i]
    name.tag = TAG_UTF8
    name.data = candidate
    name.count = key.count
    while name.count < 127:
        candidate[name.count] = c'_'
        name.count += 1
        buffer_put(out, c'_')
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
    cdef const char* at = view.fields
    cdef Value key, value
    cdef uint32_t i
    for i in range(view.header.fields):
        at = get_value(at, &key)
        at = get_value(at, &value)
        if is_overridden(view, i, at, &key):
            continue
        buffer_append(out, b",\n  ", 4 if pretty else 1)
        if is_reserved_key(&key):
            write_free_key(out, &key, view, True)
        else:
            write_json_string(out, text_kind(key.tag), key.data, key.count)
        buffer_append(out, b": ", 2 if pretty else 1)
        write_json_value(out, &value)


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
    buffer_put(out, c'"')
    json_key(out, b'"level":', 8, pretty)
    write_json_utf8(out, line.level.name.data, line.level.name.size)
    json_key(out, b'"message":', 10, pretty)
    write_json_message(out, line, scratch)
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


# A key must be one word: what would end it becomes an underscore.
cdef inline void write_logfmt_key(Buffer* out, const Value* key, const RecordView* view) noexcept nogil:
    cdef size_t start
    buffer_put(out, c' ')
    start = out.size
    if is_reserved_key(key):
        write_free_key(out, key, view, False)
    else:
        write_text(out, text_kind(key.tag), key.data, key.count)
    while start < out.size:
        if <unsigned char> out.data[start] <= 32 or out.data[start] == c'=' or out.data[start] == c'"':
            out.data[start] = c'_'
        start += 1
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


cdef inline void render_logfmt(Buffer* out, const Layout* layout, const Line* line, Buffer* scratch) noexcept nogil:
    cdef const RecordView* view = &line.view
    cdef const char* at = view.fields
    cdef Value key, value
    cdef uint32_t i
    buffer_append(out, b"timestamp=", 10)
    time_pattern_render(layout.stamp, out, line.time_ns, True)
    write_logfmt_text(out, b" level=", 7, &line.level.name)
    buffer_append(out, b" message=", 9)
    scratch.size = 0
    write_message(scratch, line)
    write_logfmt_value(out, 0, scratch.data, scratch.size)
    write_logfmt_site(out, line)
    for i in range(view.header.fields):
        at = get_value(at, &key)
        at = get_value(at, &value)
        if not is_overridden(view, i, at, &key):
            write_logfmt_key(out, &key, view)
            write_logfmt_field(out, &value)
    if view.exception != NULL:
        scratch.size = 0
        write_exception(scratch, view)
        buffer_append(out, b" exception=", 11)
        write_logfmt_value(out, 0, scratch.data, scratch.size)
    buffer_put(out, c'\n')


# The whole line, its newline included.
cdef inline void render_line(Buffer* out, const Layout* layout, const Line* line, Buffer* scratch) noexcept nogil:
    if layout.kind == LAYOUT_TEXT:
        render_text(out, layout, line)
    elif layout.kind == LAYOUT_LOGFMT:
        render_logfmt(out, layout, line, scratch)
    else:
        render_json(out, layout, line, scratch)
