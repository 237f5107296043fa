"""Records as messages of syslog (RFC 5424):

    <PRI>1 TIME HOST PROGRAM PID MSGID [ELEMENT level="..." module="..." ... FIELD="..."] MESSAGE

Whatever a record contains, each part has the length and the characters that the standard allows. A field's name that the
standard does not allow has underscores in place of other characters, and at most 32 characters.
"""

from libc.stdint cimport uint32_t

from logly.layout.field_names cimport FieldWalk, walk_begin, walk_next
from logly.layout.line cimport NEWLINES_ESCAPE, NEWLINES_INDENT, Layout, Line, has_site, has_trace, write_message, write_traces
from logly.layout.message cimport write_value
from logly.layout.wire cimport SITE_FUNCTION, SITE_MODULE, end_message, is_one_of, severity_of, write_site_text
from logly.layout.wire_layout cimport WireLayout
from logly.ring.record cimport IS_KEPT, Value, text_kind
from logly.text.buffer cimport Buffer, buffer_append, buffer_put, buffer_text
from logly.text.escape cimport escape_controls, escape_terminal, indent_newlines
from logly.text.number cimport write_int, write_uint
from logly.text.time_pattern cimport time_pattern_render
from logly.text.unicode cimport next_code_point

cdef enum:
    MSGID_CHARACTERS = 32
    NAME_CHARACTERS = 32
    STAMP_BYTES = 27           # 2026-03-01T13:05:09.123456Z


# ---- names

# Writes the characters that the standard calls PRINTUSASCII; an underscore stands for any other. Writes `most` at most.
cdef inline void write_printable(
    Buffer* out, int kind, const void* data, size_t n, uint32_t most, bint is_param
) noexcept nogil:
    cdef size_t i = 0
    cdef uint32_t c
    while i < n and most:
        c = next_code_point(kind, data, n, &i)
        if c <= 32 or c >= 127 or (is_param and (c == c'=' or c == c']' or c == c'"')):
            c = c'_'
        buffer_put(out, <char> c)
        most -= 1


# Writes a space and the name of a field. Where the layout has a name of its own, the field has an underscore more.
cdef inline void write_param_name(Buffer* out, const Value* key) noexcept nogil:
    cdef size_t start
    buffer_put(out, c' ')
    start = out.size
    write_printable(out, text_kind(key.tag), key.data, key.count, NAME_CHARACTERS, True)
    if start == out.size or is_one_of(out, start, b" level logger module function lineno recorder "):
        buffer_put(out, c'_')


# ---- values

# Writes the text in quotes. What a terminal would obey is escaped, and before quote, backslash and bracket a backslash stands.
cdef inline void write_param_text(Buffer* out, Buffer* text, const Layout* layout) noexcept nogil:
    cdef size_t copied = 0
    cdef size_t i
    if layout.newlines == NEWLINES_ESCAPE:
        escape_controls(text, 0)
    else:
        escape_terminal(text, 0)
    buffer_append(out, b'="', 2)
    for i in range(text.size):
        if text.data[i] == c'"' or text.data[i] == c'\\' or text.data[i] == c']':
            buffer_append(out, text.data + copied, i - copied)
            buffer_put(out, c'\\')
            copied = i
    buffer_append(out, text.data + copied, text.size - copied)
    buffer_put(out, c'"')
    out.failed = out.failed or text.failed


cdef inline void write_site_params(Buffer* out, const Line* line, const Layout* layout, Buffer* scratch) noexcept nogil:
    scratch.size = 0
    write_site_text(scratch, line, SITE_MODULE)
    buffer_append(out, b" module", 7)
    write_param_text(out, scratch, layout)
    scratch.size = 0
    write_site_text(scratch, line, SITE_FUNCTION)
    buffer_append(out, b" function", 9)
    write_param_text(out, scratch, layout)
    buffer_append(out, b' lineno="', 9)
    write_int(out, line.site.line if line.site != NULL else line.view.site_line)
    buffer_put(out, c'"')


cdef inline void write_params(Buffer* out, const Line* line, const Layout* layout, Buffer* scratch) noexcept nogil:
    cdef FieldWalk walk
    cdef Value key, value
    buffer_append(out, b" level", 6)
    scratch.size = 0
    buffer_text(scratch, &line.level.name)
    write_param_text(out, scratch, layout)
    if line.is_named:
        buffer_append(out, b" logger", 7)
        scratch.size = 0
        buffer_text(scratch, line.name)
        write_param_text(out, scratch, layout)
    if has_site(line):
        write_site_params(out, line, layout, scratch)
    if line.view.header.flags & IS_KEPT:
        buffer_append(out, b' recorder="true"', 16)
    if line.view.header.fields == 0:
        return
    walk_begin(&walk, &line.view, out)
    while walk_next(&walk, &line.view, out, &key, &value):
        write_param_name(out, &key)
        scratch.size = 0
        write_value(scratch, &value)
        write_param_text(out, scratch, layout)


# ---- a message

# A time that a record brings may be in a year that the standard does not have.
cdef inline void write_stamp(Buffer* out, const Layout* layout, const Line* line) noexcept nogil:
    cdef size_t start = out.size
    time_pattern_render(layout.stamp, out, line.time_ns, True)
    if out.size - start != STAMP_BYTES:
        out.size = start
        buffer_put(out, c'-')


cdef inline void write_syslog_header(Buffer* out, const Layout* layout, const Line* line) noexcept nogil:
    cdef const WireLayout* wire = layout.wire
    cdef size_t start
    buffer_put(out, c'<')
    write_uint(out, 8 * <uint32_t> wire.facility + <uint32_t> severity_of(line.level.number))
    buffer_append(out, b">1 ", 3)
    write_stamp(out, layout, line)
    buffer_text(out, &wire.head)
    write_uint(out, line.process)
    buffer_put(out, c' ')
    start = out.size
    if line.is_named:
        write_printable(out, 0, line.name.data, line.name.size, MSGID_CHARACTERS, False)
    if out.size == start:
        buffer_put(out, c'-')
    buffer_append(out, b" [", 2)
    buffer_text(out, &wire.element)


# The message and, on further lines, its traceback.
cdef inline void write_syslog_text(Buffer* out, const Layout* layout, const Line* line) noexcept nogil:
    cdef size_t start = out.size
    write_message(out, line)
    if has_trace(&line.view):
        buffer_put(out, c'\n')
        write_traces(out, line, False)
    if layout.newlines == NEWLINES_ESCAPE:
        escape_controls(out, start)
        return
    if layout.newlines == NEWLINES_INDENT:
        indent_newlines(out, start)
    escape_terminal(out, start)


cdef inline void render_syslog(Buffer* out, const Layout* layout, const Line* line, Buffer* scratch) noexcept nogil:
    cdef size_t start = out.size
    write_syslog_header(out, layout, line)
    write_params(out, line, layout, scratch)
    buffer_append(out, b"] ", 2)
    if layout.wire.has_bom:
        buffer_append(out, b"\xef\xbb\xbf", 3)
    write_syslog_text(out, layout, line)
    end_message(out, start, layout.wire.is_framed)
