"""Text: reads code points in the forms in which CPython stores them, writes UTF-8 to a Buffer.

A string value is (kind, data, n). Kinds 1, 2 and 4 are PyUnicode's code units (Latin-1, UCS-2, UCS-4), and `n`
counts code units. Kind 0 is UTF-8, and `n` counts bytes. `data` may be unaligned, because it lies in a packed ring
record, so every load goes through memcpy.

What is written is always valid UTF-8: a lone surrogate becomes `\\udXXX`, as with errors="backslashreplace".
CPython never pairs surrogates inside a str, so every surrogate it holds is a lone one.
"""

from libc.stdint cimport uint16_t, uint32_t
from libc.string cimport memchr, memcpy

from logly.text.buffer cimport Buffer, buffer_append, buffer_put, buffer_reserve
from logly.text.scan cimport PLAIN_ASCII, PLAIN_REPR, plain_run

cdef extern from "Python.h" nogil:
    # A look-up in the interpreter's own Unicode database. It needs no GIL and agrees with the interpreter's repr().
    int Py_UNICODE_ISPRINTABLE(uint32_t code_point) noexcept

cdef enum:
    TEXT_UTF8 = 0
    TEXT_LATIN1 = 1
    TEXT_UCS2 = 2
    TEXT_UCS4 = 4

cdef enum:
    UTF8_MAX = 6           # most bytes one code point takes: \udXXX
    REPR_MAX = 10          # most bytes one code point takes in a repr: \UXXXXXXXX
    CHUNK = 512            # code points per reservation: bounds the over-allocation to 3 KiB

cdef extern from *:
    """
    static const char logly_hex_digits[17] = "0123456789abcdef";
    """
    const char* HEX_DIGITS "logly_hex_digits"


cdef inline bint is_surrogate(uint32_t code_point) noexcept nogil:
    return 0xD800 <= code_point <= 0xDFFF


# Writes `digits` lower-case hexadecimal digits at `out`.
cdef inline size_t hex_encode(char* out, uint32_t value, int digits) noexcept nogil:
    cdef int i
    for i in range(digits):
        out[i] = HEX_DIGITS[(value >> (4 * (digits - 1 - i))) & 15]
    return digits


# Writes one code point at `out`, which has room for UTF8_MAX bytes. Returns how many bytes were written.
cdef inline size_t utf8_encode(char* out, uint32_t c) noexcept nogil:
    if c < 0x80:
        out[0] = <char> c
        return 1
    if c < 0x800:
        out[0] = <char> (0xC0 | (c >> 6))
        out[1] = <char> (0x80 | (c & 0x3F))
        return 2
    if is_surrogate(c):
        out[0] = c'\\'
        out[1] = c'u'
        return 2 + hex_encode(out + 2, c, 4)
    if c < 0x10000:
        out[0] = <char> (0xE0 | (c >> 12))
        out[1] = <char> (0x80 | ((c >> 6) & 0x3F))
        out[2] = <char> (0x80 | (c & 0x3F))
        return 3
    out[0] = <char> (0xF0 | (c >> 18))
    out[1] = <char> (0x80 | ((c >> 12) & 0x3F))
    out[2] = <char> (0x80 | ((c >> 6) & 0x3F))
    out[3] = <char> (0x80 | (c & 0x3F))
    return 4


cdef inline bint is_continuation(unsigned char byte) noexcept nogil:
    return (byte & 0xC0) == 0x80


# Decodes strictly (Unicode 15, table 3-7). Returns the length of the well-formed sequence at `p`, or 0 when there is none.
cdef inline size_t utf8_decode(const unsigned char* p, size_t n, uint32_t* code_point) noexcept nogil:
    cdef uint32_t lead = p[0]
    cdef uint32_t c
    if lead < 0x80:
        code_point[0] = lead
        return 1
    if lead < 0xC2 or lead > 0xF4 or n < 2 or not is_continuation(p[1]):
        return 0
    if lead < 0xE0:
        code_point[0] = ((lead & 0x1F) << 6) | (p[1] & 0x3F)
        return 2
    if n < 3 or not is_continuation(p[2]):
        return 0
    c = (<uint32_t> (p[1] & 0x3F) << 6) | (p[2] & 0x3F)
    if lead < 0xF0:
        c |= (lead & 0x0F) << 12
        if c < 0x800 or is_surrogate(c):
            return 0
        code_point[0] = c
        return 3
    if n < 4 or not is_continuation(p[3]):
        return 0
    c = ((lead & 0x07) << 18) | (c << 6) | (p[3] & 0x3F)
    if c < 0x10000 or c > 0x10FFFF:
        return 0
    code_point[0] = c
    return 4


# Returns the code point at `position` and advances `position`. Kind 0 must be UTF-8. A stray byte is read as U+DC80 to
# U+DCFF, as surrogateescape does, so that a broken contract damages only the text and no memory.
cdef inline uint32_t next_code_point(int kind, const void* data, size_t n, size_t* position) noexcept nogil:
    cdef const unsigned char* bytes = <const unsigned char*> data
    cdef size_t i = position[0]
    cdef uint16_t ucs2
    cdef uint32_t ucs4 = 0
    cdef size_t length
    if kind == TEXT_UTF8:
        length = utf8_decode(bytes + i, n - i, &ucs4)
        position[0] = i + (length if length else 1)
        return ucs4 if length else 0xDC00 + bytes[i]
    position[0] = i + 1
    if kind == TEXT_LATIN1:
        return bytes[i]
    if kind == TEXT_UCS2:
        memcpy(&ucs2, bytes + 2 * i, 2)
        return ucs2
    memcpy(&ucs4, bytes + 4 * i, 4)
    return ucs4


# Bytes per code unit, to step over a prefix.
cdef inline size_t unit_size(int kind) noexcept nogil:
    return kind if kind else 1


cdef inline void write_latin1(Buffer* buffer, const unsigned char* data, size_t n) noexcept nogil:
    cdef size_t i = plain_run(data, n, PLAIN_ASCII)
    cdef size_t size
    buffer_append(buffer, data, i)
    if i == n or not buffer_reserve(buffer, 2 * (n - i)):
        return
    size = buffer.size
    while i < n:
        size += utf8_encode(buffer.data + size, data[i])
        i += 1
    buffer.size = size


cdef inline void write_wide(Buffer* buffer, int kind, const void* data, size_t n) noexcept nogil:
    cdef size_t i = 0
    cdef size_t stop
    cdef size_t size
    while i < n:
        stop = i + CHUNK if n - i > CHUNK else n
        if not buffer_reserve(buffer, UTF8_MAX * (stop - i)):
            return
        size = buffer.size
        while i < stop:
            size += utf8_encode(buffer.data + size, next_code_point(kind, data, n, &i))
        buffer.size = size


# The string as UTF-8.
cdef inline void write_text(Buffer* buffer, int kind, const void* data, size_t n) noexcept nogil:
    if kind == TEXT_UTF8:
        buffer_append(buffer, data, n)
    elif kind == TEXT_LATIN1:
        write_latin1(buffer, <const unsigned char*> data, n)
    elif kind == TEXT_UCS2:
        write_wide(buffer, TEXT_UCS2, data, n)
    else:
        write_wide(buffer, TEXT_UCS4, data, n)


# Length in code points. A stray UTF-8 continuation byte, which kind 0 must not have, is not counted.
cdef inline size_t text_length(int kind, const void* data, size_t n) noexcept nogil:
    cdef const unsigned char* bytes = <const unsigned char*> data
    cdef size_t i
    cdef size_t count = 0
    if kind != TEXT_UTF8:
        return n
    for i in range(n):
        count += not is_continuation(bytes[i])
    return count


# How many units (bytes for kind 0) the first `limit` code points take.
cdef inline size_t text_prefix(int kind, const void* data, size_t n, size_t limit) noexcept nogil:
    cdef const unsigned char* bytes = <const unsigned char*> data
    cdef size_t i
    cdef size_t count = 0
    if limit >= n:
        return n
    if kind != TEXT_UTF8:
        return limit
    for i in range(n):
        if not is_continuation(bytes[i]):
            if count == limit:
                return i
            count += 1
    return n


cdef inline bint text_contains(int kind, const void* data, size_t n, unsigned char wanted) noexcept nogil:
    cdef size_t i = 0
    if kind <= TEXT_LATIN1:
        return n != 0 and memchr(data, wanted, n) != NULL
    while i < n:
        if next_code_point(kind, data, n, &i) == wanted:
            return True
    return False


# Writes \xNN, \uNNNN or \UNNNNNNNN: the shortest escape that holds the code point, as repr() does.
cdef inline size_t escape_encode(char* out, uint32_t c) noexcept nogil:
    out[0] = c'\\'
    if c < 0x100:
        out[1] = c'x'
        return 2 + hex_encode(out + 2, c, 2)
    if c < 0x10000:
        out[1] = c'u'
        return 2 + hex_encode(out + 2, c, 4)
    out[1] = c'U'
    return 2 + hex_encode(out + 2, c, 8)


# Writes one code point of a repr at `out`, which has room for REPR_MAX bytes. CPython: unicode_repr() in
# Objects/unicodeobject.c.
cdef inline size_t repr_encode(char* out, uint32_t c, uint32_t quote, bint ascii_only) noexcept nogil:
    cdef char letter = 0
    if c == quote or c == c'\\':
        letter = <char> c
    elif c == c'\t':
        letter = c't'
    elif c == c'\n':
        letter = c'n'
    elif c == c'\r':
        letter = c'r'
    if letter:
        out[0] = c'\\'
        out[1] = letter
        return 2
    if c < 0x20 or c == 0x7F:
        return escape_encode(out, c)
    if c < 0x7F:
        out[0] = <char> c
        return 1
    if ascii_only or not Py_UNICODE_ISPRINTABLE(c):
        return escape_encode(out, c)
    return utf8_encode(out, c)


cdef inline void write_quoted(Buffer* buffer, int kind, const void* data, size_t n, bint ascii_only) noexcept nogil:
    cdef bint has_single = text_contains(kind, data, n, c"'")
    cdef uint32_t quote = c'"' if has_single and not text_contains(kind, data, n, c'"') else c"'"
    cdef size_t i = 0
    cdef size_t run
    buffer_put(buffer, <char> quote)
    while i < n:
        if kind <= TEXT_LATIN1:
            run = plain_run(<const unsigned char*> data + i, n - i, PLAIN_REPR)
            buffer_append(buffer, <const char*> data + i, run)
            i += run
            if i == n:
                break
        if not buffer_reserve(buffer, REPR_MAX):
            return
        buffer.size += repr_encode(buffer.data + buffer.size, next_code_point(kind, data, n, &i), quote, ascii_only)
    buffer_put(buffer, <char> quote)


# repr(str)
cdef inline void write_repr(Buffer* buffer, int kind, const void* data, size_t n) noexcept nogil:
    write_quoted(buffer, kind, data, n, False)


# ascii(str)
cdef inline void write_ascii(Buffer* buffer, int kind, const void* data, size_t n) noexcept nogil:
    write_quoted(buffer, kind, data, n, True)


# repr(bytes): a `b`, then what ascii() gives for the Latin-1 text with these byte values.
cdef inline void write_bytes_repr(Buffer* buffer, const unsigned char* data, size_t n) noexcept nogil:
    buffer_put(buffer, c'b')
    write_quoted(buffer, TEXT_LATIN1, data, n, True)
