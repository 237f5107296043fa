"""JSON as CPython's `json.dumps` writes it: other characters are escaped than in logly's own JSON (text/escape.pxd)."""

from libc.math cimport isinf, isnan
from libc.stdint cimport uint32_t

from logly.text.buffer cimport Buffer, buffer_append, buffer_free, buffer_init, buffer_put, buffer_reserve
from logly.text.escape cimport json_letter, unicode_escape
from logly.text.number cimport write_float
from logly.text.scan cimport PLAIN_JSON_LATIN1, is_plain, plain_run
from logly.text.unicode cimport TEXT_LATIN1, next_code_point, utf8_encode

cdef enum:
    DUMPS_ROOM = 16            # most bytes dumps_encode writes: a pair of \\uXXXX


# One code point inside a string. `is_ascii`: `ensure_ascii` of `json.dumps`.
cdef inline size_t dumps_encode(char* out, uint32_t c, bint is_ascii) noexcept nogil:
    cdef char letter = json_letter(c)
    if letter:
        out[0] = c'\\'
        out[1] = letter
        return 2
    if c < 0x20 or (is_ascii and 0x7F <= c < 0x10000):
        return unicode_escape(out, c)
    if is_ascii and c >= 0x10000:
        unicode_escape(out, 0xD800 | ((c - 0x10000) >> 10))
        return 6 + unicode_escape(out + 6, 0xDC00 | ((c - 0x10000) & 0x3FF))
    return utf8_encode(out, c)


cdef inline void write_dumps_text(Buffer* out, int kind, const void* data, size_t n, bint is_ascii) noexcept nogil:
    cdef const unsigned char* bytes = <const unsigned char*> data
    cdef size_t i = 0
    cdef size_t run
    while i < n:
        if kind <= TEXT_LATIN1:
            # Only ASCII is copied in stretches.
            run = plain_run(bytes + i, n - i, PLAIN_JSON_LATIN1)
            buffer_append(out, bytes + i, run)
            i += run
        while i < n and (kind > TEXT_LATIN1 or not is_plain(bytes[i], PLAIN_JSON_LATIN1)):
            if not buffer_reserve(out, DUMPS_ROOM):
                return
            out.size += dumps_encode(out.data + out.size, next_code_point(kind, data, n, &i), is_ascii)


cdef inline void write_dumps_string(Buffer* out, int kind, const void* data, size_t n, bint is_ascii) noexcept nogil:
    buffer_put(out, c'"')
    write_dumps_text(out, kind, data, n, is_ascii)
    buffer_put(out, c'"')


# Escapes the UTF-8 that has been written since `start`, and ends the string.
cdef inline void end_dumps_string(Buffer* out, size_t start, bint is_ascii) noexcept nogil:
    cdef Buffer rest
    cdef size_t n = out.size - start
    cdef size_t run = plain_run(<const unsigned char*> out.data + start, n, PLAIN_JSON_LATIN1) if n else 0
    if run < n:
        buffer_init(&rest)
        buffer_append(&rest, out.data + start + run, n - run)
        out.size = start + run
        write_dumps_text(out, 0, rest.data, rest.size, is_ascii)
        out.failed = out.failed or rest.failed
        buffer_free(&rest)
    buffer_put(out, c'"')


# As float.__repr__ writes it, and nan and inf as JavaScript calls them.
cdef inline void write_dumps_float(Buffer* out, double value) noexcept nogil:
    if isnan(value):
        buffer_append(out, b"NaN", 3)
    elif isinf(value):
        buffer_append(out, b"Infinity" if value > 0 else b"-Infinity", 8 if value > 0 else 9)
    else:
        write_float(out, value)
