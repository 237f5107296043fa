"""Text layouts: from a record to the bytes of its line, without the GIL.

layout/layout_template.py parses a template into pieces, layout/compile.pxi builds the layout from them, the flusher runs it.
"""

from libc.stdint cimport int64_t, uint32_t, uint8_t

from logly.layout.field_names cimport FieldWalk, find_field, walk_begin, walk_next
from logly.layout.journald cimport render_journald
from logly.layout.json cimport render_json
from logly.layout.kept_text cimport run_entry, run_keep, run_write
from logly.layout.line cimport (
    COLOR_LEVEL, COLOR_LINE, COLOR_NONE, LAYOUT_JSON, LAYOUT_LOGFMT, LAYOUT_LOGGING, LAYOUT_SYSLOG, LAYOUT_TEXT,
    NEWLINES_ESCAPE, NEWLINES_INDENT,
    NEWLINES_KEEP, PIECE_EXCEPTION, PIECE_FIELD, PIECE_FIELDS, PIECE_FILENAME, PIECE_FUNCTION, PIECE_JSON, PIECE_LEVEL,
    PIECE_LINENO, PIECE_LITERAL, PIECE_MESSAGE, PIECE_MODULE, PIECE_NAME, PIECE_PROCESS, PIECE_THREAD,
    PIECE_THREAD_NAME, PIECE_TIME, Layout, Line, Piece, Site, base_name, has_trace, write_message, write_traces,
)
from logly.layout.logfmt cimport render_logfmt
from logly.layout.logging_layout cimport render_logging
from logly.layout.message cimport format_value, write_value
from logly.layout.run_entry cimport RunEntry
from logly.layout.style cimport begin_style, end_style, end_style_in_breaks
from logly.layout.styled_trace cimport style_trace
from logly.layout.syslog cimport render_syslog
from logly.ring.record cimport (
    IS_KEPT, TAG_FALSE, TAG_FLOAT, TAG_INT, TAG_TRUE, TAG_UCS4, TAG_UINT, TAG_UTF8, RecordView, Value, text_kind,
)
from logly.text.buffer cimport Buffer, buffer_append, buffer_free, buffer_init, buffer_put, buffer_text
from logly.text.escape cimport escape_controls, escape_json, escape_terminal, indent_newlines
from logly.text.format_spec cimport (
    KIND_BOOL, KIND_FLOAT, KIND_INT, KIND_STR, UNSET, FormatSpec, format_int, format_text,
)
from logly.text.number cimport write_int
from logly.text.time_pattern cimport time_pattern_render
from logly.text.unicode cimport write_text


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


cdef inline void write_site_piece(Buffer* out, const Piece* piece, const Line* line, const Layout* layout) noexcept nogil:
    cdef size_t start = out.size
    write_site_part(out, piece, line)
    # Names come from code, which may be generated and have odd characters. Only where a name has some is the text made safe.
    if line.site == NULL or line.site.is_odd:
        make_safe(out, start, layout)


cdef inline void write_site_part(Buffer* out, const Piece* piece, const Line* line) noexcept nogil:
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


# Writes `before` in front of each field, or, with `between`, in front of each but the first.
cdef inline void write_fields(
    Buffer* out, const RecordView* view, const char* before, size_t size, bint between
) noexcept nogil:
    cdef FieldWalk walk
    cdef Value key, value
    walk_begin(&walk, view, out)
    while walk_next(&walk, view, out, &key, &value):
        if out.size > walk.start or not between:
            buffer_append(out, before, size)
        write_text(out, text_kind(key.tag), key.data, key.count)
        buffer_put(out, c'=')
        write_value(out, &value)


# Text from outside must neither look like a record nor control a terminal.
cdef inline void make_safe(Buffer* out, size_t start, const Layout* layout) noexcept nogil:
    if layout.newlines == NEWLINES_ESCAPE:
        escape_controls(out, start)
        return
    if layout.newlines == NEWLINES_INDENT:
        indent_newlines(out, start)
    if layout.terminal or layout.newlines == NEWLINES_INDENT:
        escape_terminal(out, start)


# A traceback has several lines. With newlines="escape" they stay as Python prints them, and other control characters are escaped.
# caller/tracebacks.py indents what is not Python's own in it (see `exception_text`).
cdef inline void write_safe_exception(Buffer* out, const Piece* piece, const Line* line, const Layout* layout) noexcept nogil:
    cdef size_t start = out.size
    cdef Buffer stack
    if not has_trace(&line.view):
        write_spec_text(out, piece, b"", 0)
        return
    if piece.has_spec:
        buffer_init(&stack)
        write_traces(&stack, line, layout.newlines != NEWLINES_KEEP)
        write_spec_text(out, piece, stack.data, stack.size)
        buffer_free(&stack)
    else:
        write_traces(out, line, layout.newlines != NEWLINES_KEEP)
    if layout.newlines == NEWLINES_INDENT:
        indent_newlines(out, start)
    if layout.terminal or layout.newlines != NEWLINES_KEEP:
        escape_terminal(out, start)


# The fields that end a line on a terminal. Each part is made safe by itself, because that escapes the sequences of styles, too.
cdef inline void write_styled_fields(Buffer* out, const Line* line, const Layout* layout) noexcept nogil:
    cdef FieldWalk walk
    cdef Value key, value
    cdef size_t start
    walk_begin(&walk, &line.view, out)
    while walk_next(&walk, &line.view, out, &key, &value):
        begin_style(out, &layout.separator_style, line.level)
        buffer_append(out, b" | ", 3)
        end_style(out, &layout.separator_style, line.level)
        begin_style(out, &layout.key_style, line.level)
        start = out.size
        write_text(out, text_kind(key.tag), key.data, key.count)
        make_safe(out, start, layout)
        end_style(out, &layout.key_style, line.level)
        buffer_put(out, c'=')
        begin_style(out, &layout.value_style, line.level)
        start = out.size
        write_value(out, &value)
        make_safe(out, start, layout)
        end_style_in_breaks(out, start, &layout.value_style, line.level)
        end_style(out, &layout.value_style, line.level)


cdef inline uint32_t kind_of_value(const Value* value) noexcept nogil:
    cdef uint8_t tag = value.tag
    if tag == TAG_INT or tag == TAG_UINT:
        return KIND_INT
    if tag == TAG_FLOAT:
        return KIND_FLOAT
    if tag == TAG_TRUE or tag == TAG_FALSE:
        return KIND_BOOL
    if tag >= TAG_UTF8 and tag <= TAG_UCS4:
        return KIND_STR
    return 0


# The type of a field's value is known only now. A value that the specification is not for is written as str(), aligned to the
# width.
cdef inline void write_field_piece(Buffer* out, const Piece* piece, const Line* line) noexcept nogil:
    cdef Value value
    cdef Buffer text
    if not find_field(&line.view, &piece.key, &value):
        write_aligned(out, piece, b"", 0)
        return
    if not piece.is_filled:
        (<Piece*> piece).is_filled = True
    if not piece.has_spec:
        write_value(out, &value)
    elif piece.accepts & kind_of_value(&value):
        format_value(out, &value, &piece.spec)
    else:
        buffer_init(&text)
        write_value(&text, &value)
        write_aligned(out, piece, text.data, text.size)
        buffer_free(&text)


cdef inline void write_aligned(Buffer* out, const Piece* piece, const char* data, size_t size) noexcept nogil:
    cdef FormatSpec spec
    if not piece.has_spec:
        buffer_append(out, data, size)
        return
    spec = piece.spec
    spec.precision = UNSET
    if spec.zero:
        spec.fill = c' '  # zeros after a number's text would look like digits of a larger number
    format_text(out, 0, data, size, &spec)


cdef inline void write_level(Buffer* out, const Piece* piece, const Line* line, const Layout* layout) noexcept nogil:
    cdef bint colored = layout.color == COLOR_LEVEL and line.level.color.size and not piece.has_style
    if colored:
        buffer_text(out, &line.level.color)
    write_spec_text(out, piece, line.level.name.data, line.level.name.size)
    if colored:
        buffer_append(out, b"\x1b[0m", 4)


cdef inline void write_safe_piece(Buffer* out, const Piece* piece, const Line* line, const Layout* layout) noexcept nogil:
    cdef size_t start = out.size
    cdef Buffer message
    if piece.code == PIECE_MESSAGE and line.view.header.flags & IS_KEPT:
        buffer_append(out, b"[recorder] ", 11)
    if (piece.code == PIECE_MESSAGE or piece.code == PIECE_FIELDS) and piece.has_spec:
        buffer_init(&message)
        if piece.code == PIECE_MESSAGE:
            write_message(&message, line)
        else:
            write_fields(&message, &line.view, b", ", 2, True)
        write_spec_text(out, piece, message.data, message.size)
        buffer_free(&message)
    elif piece.code == PIECE_MESSAGE:
        write_message(out, line)
    elif piece.code == PIECE_FIELD:
        write_field_piece(out, piece, line)
    elif piece.code == PIECE_FIELDS:
        write_fields(out, &line.view, b", ", 2, True)
    elif piece.code == PIECE_THREAD_NAME:
        write_spec_value(out, piece, &line.view.thread_name)
    else:
        write_spec_text(out, piece, line.name.data, line.name.size)
    make_safe(out, start, layout)


cdef inline void write_plain_piece(Buffer* out, const Piece* piece, const Line* line, const Layout* layout) noexcept nogil:
    if piece.code == PIECE_LITERAL:
        buffer_append(out, piece.text.data, piece.text.size)
    elif piece.code == PIECE_TIME:
        time_pattern_render(piece.time, out, line.time_ns, layout.zone)
    elif piece.code == PIECE_LEVEL:
        write_level(out, piece, line, layout)
    elif piece.code >= PIECE_MODULE and piece.code <= PIECE_LINENO:
        write_site_piece(out, piece, line, layout)
    elif piece.code == PIECE_THREAD:
        write_spec_int(out, piece, <int64_t> line.view.thread)
    elif piece.code == PIECE_PROCESS:
        write_spec_int(out, piece, <int64_t> line.process)
    elif piece.code == PIECE_EXCEPTION:
        write_safe_exception(out, piece, line, layout)
    else:
        write_safe_piece(out, piece, line, layout)


# `{message:json}`: a JSON string needs no other protection, and has room for everything.
cdef inline void write_escaped_piece(Buffer* out, const Piece* piece, const Line* line, const Layout* layout) noexcept nogil:
    cdef size_t start = out.size
    cdef Layout bare = layout[0]
    cdef Piece plain = piece[0]
    bare.newlines = NEWLINES_KEEP
    bare.terminal = False
    bare.color = COLOR_NONE
    plain.code = piece.inner
    write_plain_piece(out, &plain, line, &bare)
    (<Piece*> piece).is_filled = plain.is_filled
    escape_json(out, start)


cdef inline void write_piece(Buffer* out, const Piece* piece, const Line* line, const Layout* layout) noexcept nogil:
    cdef size_t start
    if piece.begins_style:
        begin_style(out, &piece.style, line.level)
    start = out.size
    if piece.code == PIECE_JSON:
        write_escaped_piece(out, piece, line, layout)
    else:
        write_plain_piece(out, piece, line, layout)
    if piece.has_style and layout.newlines != NEWLINES_ESCAPE:
        end_style_in_breaks(out, start, &piece.style, line.level)
    if piece.ends_style:
        end_style(out, &piece.style, line.level)


# ---- runs of pieces that are the same for every record of one thread, call site and level: see layout/kept_text.pxd

cdef inline bint is_of_run(const Piece* piece) noexcept nogil:
    cdef uint8_t code = piece.inner if piece.code == PIECE_JSON else piece.code
    return (
        code == PIECE_LITERAL or code == PIECE_LEVEL or code == PIECE_NAME or code == PIECE_THREAD
        or code == PIECE_PROCESS or PIECE_MODULE <= code <= PIECE_LINENO
    )


cdef inline void write_run(Buffer* out, const Piece* first, const Line* line, const Layout* layout) noexcept nogil:
    cdef RunEntry* entry = run_entry(first.kept, line)
    cdef size_t start = out.size
    cdef uint32_t i
    if run_write(out, entry, line):
        return
    for i in range(first.run):
        write_piece(out, first + i, line, layout)
    run_keep(entry, out, start, line)


cdef inline void write_last_exception(Buffer* out, const Line* line, const Layout* layout) noexcept nogil:
    cdef Piece piece
    cdef size_t start
    piece.has_spec = False
    buffer_append(out, b"\n    ", 5 if layout.newlines == NEWLINES_INDENT else 1)
    start = out.size
    write_safe_exception(out, &piece, line, layout)
    if layout.has_part_styles and layout.newlines != NEWLINES_KEEP:
        style_trace(out, start, layout, line.level)


cdef inline void render_text(Buffer* out, const Layout* layout, const Line* line) noexcept nogil:
    cdef uint32_t i = 0
    cdef size_t start
    cdef bint colored = layout.color == COLOR_LINE and line.level.color.size
    if colored:
        buffer_text(out, &line.level.color)
    while i < layout.pieces:
        if layout.piece[i].run:
            write_run(out, &layout.piece[i], line, layout)
            i += layout.piece[i].run
        else:
            write_piece(out, &layout.piece[i], line, layout)
            i += 1
    if layout.ends_with_fields and line.view.header.fields and layout.has_part_styles:
        write_styled_fields(out, line, layout)
    elif layout.ends_with_fields and line.view.header.fields:
        start = out.size
        write_fields(out, &line.view, b" | ", 3, False)
        make_safe(out, start, layout)
    if layout.ends_with_exception and has_trace(&line.view):
        write_last_exception(out, line, layout)
    if colored:
        buffer_append(out, b"\x1b[0m", 4)
    buffer_put(out, c'\n')


# Writes the whole line, including its newline (LAYOUT_LOGGING: the handler's terminator).
cdef inline void render_line(Buffer* out, const Layout* layout, const Line* line, Buffer* scratch) noexcept nogil:
    if layout.kind == LAYOUT_TEXT:
        render_text(out, layout, line)
    elif layout.kind == LAYOUT_LOGFMT:
        render_logfmt(out, layout, line, scratch)
    elif layout.kind == LAYOUT_LOGGING:
        render_logging(out, layout.logging, line)
    elif layout.kind == LAYOUT_JSON:
        render_json(out, layout, line, scratch)
    elif layout.kind == LAYOUT_SYSLOG:
        render_syslog(out, layout, line, scratch)
    else:
        render_journald(out, layout, line)
