"""Styles of the parts of a line on a terminal: the sequences that begin and end them."""

from libc.string cimport memchr

from logly.layout.line cimport Level, Style
from logly.text.buffer cimport Buffer, buffer_append, buffer_free, buffer_init, buffer_put, buffer_text

cdef enum:
    INFO = 20
    WARNING = 30


cdef inline void begin_style(Buffer* out, const Style* style, const Level* level) noexcept nogil:
    buffer_text(out, &style.sequence)
    if style.is_severity and level.number >= INFO:
        buffer_append(out, b"\x1b[1m", 4)
    if style.is_level or (style.is_severity and level.number >= WARNING):
        buffer_text(out, &level.color)


# Ends what `begin_style` has begun, if that was anything.
cdef inline void end_style(Buffer* out, const Style* style, const Level* level) noexcept nogil:
    if (
        style.sequence.size or (style.is_severity and level.number >= INFO)
        or (style.is_level and level.color.size)
    ):
        buffer_append(out, b"\x1b[0m", 4)


cdef inline const char* skip_spaces(const char* at, const char* end) noexcept nogil:
    while at < end and at[0] == c' ':
        at += 1
    return at


# Takes the style out of line breaks and indents in what was written since `start`: a background would fill the line. Without
# memory the text stays as it is.
cdef inline void end_style_in_breaks(Buffer* out, size_t start, const Style* style, const Level* level) noexcept nogil:
    cdef Buffer text
    cdef const char* at
    cdef const char* end
    cdef const char* line_end
    if out.failed or out.size == start or memchr(out.data + start, c'\n', out.size - start) == NULL:
        return
    buffer_init(&text)
    buffer_append(&text, out.data + start, out.size - start)
    if not text.failed:
        out.size = start
        at, end = text.data, text.data + text.size
        while True:
            line_end = <const char*> memchr(at, c'\n', end - at)
            if line_end == NULL:
                break
            buffer_append(out, at, line_end - at)
            end_style(out, style, level)
            buffer_put(out, c'\n')
            at = line_end + 1
            line_end = skip_spaces(at, end)
            buffer_append(out, at, line_end - at)
            begin_style(out, style, level)
            at = line_end
        buffer_append(out, at, end - at)
    buffer_free(&text)
