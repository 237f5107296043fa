"""Styles of tracebacks on a terminal: files and lines, the marks below the source, and the type of the exception."""

from libc.string cimport memchr, memcmp

from logly.layout.line cimport NEWLINES_INDENT, Layout, Level, Style
from logly.layout.style cimport begin_style, end_style, skip_spaces
from logly.text.buffer cimport Buffer, buffer_append, buffer_free, buffer_init, buffer_put


# `File "shop.py", line 7`: returns its end, or `at` if this is something else.
cdef inline const char* end_of_place(const char* at, const char* end) noexcept nogil:
    cdef const char* digits
    cdef const char* quote = at + 6
    if end - at < 6 or memcmp(at, b'File "', 6) != 0:
        return at
    while True:
        quote = <const char*> memchr(quote, c'"', end - quote)
        if quote == NULL:
            return at
        digits = quote + 8
        if end - quote > 8 and memcmp(quote, b'", line ', 8) == 0 and c'0' <= digits[0] <= c'9':
            break
        quote += 1
    while digits < end and c'0' <= digits[0] <= c'9':
        digits += 1
    return digits


# `    ~~~^~~~`: returns its end, or `at` if this is something else.
cdef inline const char* end_of_marks(const char* at, const char* end) noexcept nogil:
    cdef const char* one = at
    while one < end and (one[0] == c'~' or one[0] == c'^' or one[0] == c' '):
        one += 1
    return one if one == end else at


# `shop.OrderError: sold out`, `KeyboardInterrupt`: returns the end of the type, or `at` if this is something else.
cdef inline const char* end_of_type(const char* at, const char* end) noexcept nogil:
    cdef const char* one = at
    cdef unsigned char char
    while one < end:
        char = <unsigned char> one[0]
        if not (
            c'a' <= char <= c'z' or c'A' <= char <= c'Z' or c'0' <= char <= c'9' or char == c'_' or char == c'.' or char == c'<'
            or char == c'>' or char >= 0x80
        ):
            break
        one += 1
    return one if one == end or one[0] == c':' else at


# `is_after_type`: what begins at the margin may be a note of the exception before. Returns that for the next line.
cdef inline bint write_styled_line(
    Buffer* out, const char* line, const char* end, bint is_indented, bint is_after_type, const Layout* layout, const Level* level
) noexcept nogil:
    cdef const char* margin = line + 4 if is_indented and end - line >= 4 else line
    cdef const char* at = skip_spaces(margin, end)
    cdef const char* last
    cdef const Style* style = NULL
    if end - at >= 2 and (at[0] == c'|' or at[0] == c'+') and at[1] == c' ':  # a line of an exception group
        margin = at + 2
        at = skip_spaces(margin, end)
    if at == end or (end - at >= 2 and at[0] == c'+' and at[1] == c'-'):  # between two exceptions
        is_after_type = False
    last = at
    if at - margin == 2:
        last, style = end_of_place(at, end), &layout.file_style
    elif at > margin:
        last, style = end_of_marks(at, end), &layout.mark_style
    elif not is_after_type:
        last, style = end_of_type(at, end), &layout.error_style
        is_after_type = last > at
    buffer_append(out, line, at - line)
    if last > at:
        begin_style(out, style, level)
        buffer_append(out, at, last - at)
        end_style(out, style, level)
    buffer_append(out, last, end - last)
    return is_after_type


# Styles the traceback that was written since `start`. It is safe by then, because that escapes the sequences of styles, too: what
# begins at its margin is Python's own, or a note. Without memory it stays as it is.
cdef inline void style_trace(Buffer* out, size_t start, const Layout* layout, const Level* level) noexcept nogil:
    cdef Buffer text
    cdef const char* at
    cdef const char* end
    cdef const char* line_end
    cdef bint is_indented = False  # the first line's indent was written before `start`
    cdef bint is_after_type = False
    buffer_init(&text)
    buffer_append(&text, out.data + start, out.size - start)
    if not text.failed and not out.failed:
        out.size = start
        at, end = text.data, text.data + text.size
        while at < end:
            line_end = <const char*> memchr(at, c'\n', end - at)
            if line_end == NULL:
                line_end = end
            is_after_type = write_styled_line(out, at, line_end, is_indented, is_after_type, layout, level)
            if line_end < end:
                buffer_put(out, c'\n')
            at = line_end + 1
            is_indented = layout.newlines == NEWLINES_INDENT
    buffer_free(&text)
