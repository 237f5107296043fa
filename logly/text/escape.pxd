"""Escaping: JSON strings, logfmt values, and control characters made visible.

Stretches of bytes that need no escaping are found eight bytes at a time (text/scan.pxd) and copied whole.
"""

from libc.math cimport isfinite
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy, memmove

from logly.text.buffer cimport Buffer, buffer_append, buffer_put, buffer_reserve, copy_text
from logly.text.number cimport write_float
from logly.text.scan cimport (
    PLAIN_JSON_LATIN1, PLAIN_JSON_UTF8, PLAIN_LOGFMT, PLAIN_LOGFMT_QUOTED, Plain, bytes_below, bytes_equal, is_plain,
    plain_run,
)
from logly.text.unicode cimport (
    TEXT_LATIN1, TEXT_UTF8, hex_encode, is_surrogate, next_code_point, utf8_decode, utf8_encode, write_text,
)

cdef enum:
    SHORT_TEXT = 32            # a text of up to so many bytes is checked and copied as a whole
    ESCAPE_ROOM = 8            # most bytes json_encode writes: \\uXXXX, rounded up


# --- JSON ------------------------------------------------------------------------------------------------------------

cdef inline char json_letter(uint32_t c) noexcept nogil:
    if c == c'"' or c == c'\\':
        return <char> c
    if c == c'\n':
        return c'n'
    if c == c'\t':
        return c't'
    if c == c'\r':
        return c'r'
    if c == 0x08:
        return c'b'
    if c == 0x0C:
        return c'f'
    return 0


cdef inline size_t unicode_escape(char* out, uint32_t c) noexcept nogil:
    out[0] = c'\\'
    out[1] = c'u'
    return 2 + hex_encode(out + 2, c, 4)


# DEL, the C1 controls, which a terminal obeys, and the line and paragraph separators, at which some readers break lines.
cdef inline bint is_late_control(uint32_t c) noexcept nogil:
    return 0x7F <= c < 0xA0 or c == 0x2028 or c == 0x2029


# Writes one code point of a JSON string (RFC 8259, section 7) at `out`, which has room for ESCAPE_ROOM bytes.
# A lone surrogate becomes visible text: the grammar allows half a pair in an escape, but strict parsers refuse the line.
cdef inline size_t json_encode(char* out, uint32_t c) noexcept nogil:
    cdef char letter = json_letter(c)
    if letter:
        out[0] = c'\\'
        out[1] = letter
        return 2
    if c < 0x20 or is_late_control(c):
        return unicode_escape(out, c)
    if is_surrogate(c):
        out[0] = c'\\'
        return 1 + unicode_escape(out + 1, c)
    return utf8_encode(out, c)


cdef inline void json_put(Buffer* buffer, uint32_t c) noexcept nogil:
    if buffer_reserve(buffer, ESCAPE_ROOM):
        buffer.size += json_encode(buffer.data + buffer.size, c)


# The inside of a JSON string, from bytes that are ASCII-compatible: UTF-8 or Latin-1, as `plain` says.
cdef inline void json_narrow(Buffer* buffer, const unsigned char* data, size_t n, Plain plain) noexcept nogil:
    cdef size_t i = 0
    cdef size_t run
    cdef uint32_t c
    while i < n:
        run = plain_run(data + i, n - i, plain)
        buffer_append(buffer, data + i, run)
        i += run
        while i < n and not is_plain(data[i], plain):
            run = 1
            c = data[i]
            if plain == PLAIN_JSON_UTF8 and c >= 0x80:
                run = utf8_decode(data + i, n - i, &c)
                if run == 0:
                    run = 1
            json_put(buffer, c)
            i += run


# The inside of a JSON string, from code points.
cdef inline void json_wide(Buffer* buffer, int kind, const void* data, size_t n) noexcept nogil:
    cdef size_t i = 0
    while i < n:
        json_put(buffer, next_code_point(kind, data, n, &i))


# Most keys and values are short and need no escape. Returns False, and writes nothing, for any other text.
cdef inline bint write_plain_json(Buffer* buffer, const char* data, size_t n, Plain plain) noexcept nogil:
    cdef char* out
    if n > SHORT_TEXT or plain_run(<const unsigned char*> data, n, plain) != n or not buffer_reserve(buffer, SHORT_TEXT + 2):
        return False
    out = buffer.data + buffer.size
    out[0] = c'"'
    copy_text(out + 1, data, n)
    out[n + 1] = c'"'
    buffer.size += n + 2
    return True


# Writes UTF-8 bytes as a JSON string.
cdef inline void write_json_utf8(Buffer* buffer, const char* utf8, size_t n) noexcept nogil:
    if write_plain_json(buffer, utf8, n, PLAIN_JSON_UTF8):
        return
    buffer_put(buffer, c'"')
    json_narrow(buffer, <const unsigned char*> utf8, n, PLAIN_JSON_UTF8)
    buffer_put(buffer, c'"')


# Writes any string value as a JSON string.
cdef inline void write_json_string(Buffer* buffer, int kind, const void* data, size_t n) noexcept nogil:
    if kind == TEXT_UTF8 and write_plain_json(buffer, <const char*> data, n, PLAIN_JSON_UTF8):
        return
    buffer_put(buffer, c'"')
    if kind == TEXT_UTF8:
        json_narrow(buffer, <const unsigned char*> data, n, PLAIN_JSON_UTF8)
    elif kind == TEXT_LATIN1:
        json_narrow(buffer, <const unsigned char*> data, n, PLAIN_JSON_LATIN1)
    else:
        json_wide(buffer, kind, data, n)
    buffer_put(buffer, c'"')


# Writes a JSON number, or null for nan and inf, for which JSON has no number. If these were strings, Elasticsearch would
# refuse the whole line where the key is mapped as a number, or, if the string came first, map the key as text for ever.
cdef inline void write_json_float(Buffer* buffer, double value) noexcept nogil:
    if isfinite(value):
        write_float(buffer, value)
    else:
        buffer_append(buffer, b"null", 4)


# Writes bytes as a JSON string: valid UTF-8 as it is, any other byte as the text \xNN (errors="backslashreplace").
cdef inline void write_json_bytes(Buffer* buffer, const unsigned char* data, size_t n) noexcept nogil:
    cdef char escaped[8]
    cdef size_t i = 0
    cdef size_t length
    cdef uint32_t code_point
    buffer_put(buffer, c'"')
    while i < n:
        length = utf8_decode(data + i, n - i, &code_point)
        if length:
            json_put(buffer, code_point)
            i += length
        else:
            memcpy(escaped, b"\\\\x", 3)
            buffer_append(buffer, escaped, 3 + hex_encode(escaped + 3, data[i], 2))
            i += 1
    buffer_put(buffer, c'"')


# --- logfmt ----------------------------------------------------------------------------------------------------------

# Control characters and line separators must not reach a line of text unescaped. Lone surrogates are included because
# they are written as an escape, and escapes may appear only between quotes.
cdef inline bint logfmt_escaped(uint32_t c) noexcept nogil:
    return c < 0x20 or 0x7F <= c < 0xA0 or c == 0x2028 or c == 0x2029 or is_surrogate(c)


cdef inline bint logfmt_bare(int kind, const void* data, size_t n) noexcept nogil:
    cdef size_t i = 0
    cdef uint32_t c
    if kind <= TEXT_LATIN1:
        i = plain_run(<const unsigned char*> data, n, PLAIN_LOGFMT)
    while i < n:
        c = next_code_point(kind, data, n, &i)
        if c == c' ' or c == c'=' or c == c'"' or logfmt_escaped(c):
            return False
    return n != 0


# The short escapes are those of Go, which has no \b and \f.
cdef inline size_t logfmt_encode(char* out, uint32_t c) noexcept nogil:
    if logfmt_escaped(c) and c != c'\n' and c != c'\t' and c != c'\r':
        return unicode_escape(out, c)
    return json_encode(out, c)


# A logfmt value: bare where that is unambiguous, else in quotes with escapes (github.com/go-logfmt/logfmt).
cdef inline void write_logfmt_value(Buffer* buffer, int kind, const void* data, size_t n) noexcept nogil:
    cdef size_t i = 0
    cdef size_t run
    if logfmt_bare(kind, data, n):
        write_text(buffer, kind, data, n)
        return
    buffer_put(buffer, c'"')
    while i < n:
        if kind <= TEXT_LATIN1:
            run = plain_run(<const unsigned char*> data + i, n - i, PLAIN_LOGFMT_QUOTED)
            buffer_append(buffer, <const char*> data + i, run)
            i += run
            if i == n:
                break
        if not buffer_reserve(buffer, ESCAPE_ROOM):
            return
        buffer.size += logfmt_encode(buffer.data + buffer.size, next_code_point(kind, data, n, &i))
    buffer_put(buffer, c'"')


# --- rewriting text that is in the buffer ----------------------------------------------------------------------------

# What a rewrite replaces. No rewrite shortens the text, which is why it can be done in place.
cdef enum Rewrite:
    ESCAPE_CONTROLS       # all control characters but the tab
    ESCAPE_TERMINAL       # all control characters but the tab and the newline
    INDENT_NEWLINES       # line ends only
    ESCAPE_JSON           # what a JSON string may not contain, and what json_encode escapes besides


cdef inline uint64_t rewrite_suspects(uint64_t word, Rewrite rewrite) noexcept nogil:
    cdef uint64_t found = bytes_below(word, 0x20)
    # Most words are printable ASCII and skip this. The addition carries 0x7F into the high bit.
    if rewrite != INDENT_NEWLINES and (word | (word + 0x0101010101010101ULL)) & 0x8080808080808080ULL:
        found |= bytes_equal(word, 0x7F) | bytes_equal(word, 0xC2) | bytes_equal(word, 0xE2)
    if rewrite == ESCAPE_JSON:
        found |= bytes_equal(word, c'"') | bytes_equal(word, c'\\')
    return found & 0x8080808080808080ULL


# Returns the length of the sequence at `p` if it has to be replaced, else 0. C1 controls are C2 80..9F. E2 80 A8 and A9
# are the line and paragraph separators, at which many viewers break lines.
cdef inline size_t rewrite_match(const unsigned char* p, size_t n, Rewrite rewrite) noexcept nogil:
    cdef unsigned char c = p[0]
    if rewrite == INDENT_NEWLINES:
        if c == c'\r':
            return 2 if n > 1 and p[1] == c'\n' else 1
        return c == c'\n'
    if rewrite == ESCAPE_JSON and (c < 0x20 or c == c'"' or c == c'\\'):
        return 1
    if c < 0x20:
        return not (c == c'\t' or (c == c'\n' and rewrite == ESCAPE_TERMINAL))
    if c == 0x7F:
        return 1
    if c == 0xC2 and n > 1 and 0x80 <= p[1] < 0xA0:
        return 2
    if c == 0xE2 and n > 2 and p[1] == 0x80 and (p[2] == 0xA8 or p[2] == 0xA9):
        return 3
    return 0


# Writes what replaces the sequence of `length` bytes at `p` to `out`, which has room for 8 bytes.
cdef inline size_t rewrite_replacement(
    char* out, const unsigned char* p, size_t length, Rewrite rewrite
) noexcept nogil:
    if rewrite == INDENT_NEWLINES:
        memcpy(out, b"\n    ", 5)
        return 5
    if rewrite == ESCAPE_JSON:
        return json_encode(out, p[0] if length == 1 else p[1] if length == 2 else 0x2000 | (p[2] & 0x3F))
    out[0] = c'\\'
    if length == 3:
        out[1] = c'u'
        return 2 + hex_encode(out + 2, 0x2000 | (p[2] & 0x3F), 4)
    if p[0] == c'\n' or p[0] == c'\r':
        out[1] = c'n' if p[0] == c'\n' else c'r'
        return 2
    out[1] = c'x'
    return 2 + hex_encode(out + 2, p[length - 1], 2)


# How many leading bytes need no rewriting.
cdef inline size_t rewrite_clean_run(const unsigned char* p, size_t n, Rewrite rewrite) noexcept nogil:
    cdef size_t i = 0
    cdef size_t stop
    cdef uint64_t word
    while i < n:
        stop = n
        if n >= 8:
            # The last word may overlap the one before.
            stop = i + 8 if i + 8 <= n else n
            memcpy(&word, p + stop - 8, 8)
            if not rewrite_suspects(word, rewrite):
                i = stop
                continue
        while i < stop:
            if rewrite_match(p + i, n - i, rewrite):
                return i
            i += 1
    return n


# How many bytes the rewrite adds.
cdef inline size_t rewrite_growth(const unsigned char* p, size_t n, Rewrite rewrite) noexcept nogil:
    cdef char replacement[8]
    cdef size_t i = 0
    cdef size_t growth = 0
    cdef size_t length
    while True:
        i += rewrite_clean_run(p + i, n - i, rewrite)
        if i >= n:
            return growth
        length = rewrite_match(p + i, n - i, rewrite)
        growth += rewrite_replacement(replacement, p + i, length, rewrite) - length
        i += length


# Rewrites buffer[start:size]: moves the text to the end of the room that the result needs, then copies it back and replaces
# on the way. The read position stays ahead of the write position, because no replacement is shorter than what it replaces
# and the total fits.
cdef inline void rewrite_text(Buffer* buffer, size_t start, Rewrite rewrite) noexcept nogil:
    cdef char replacement[8]
    cdef const unsigned char* p
    cdef char* out
    cdef size_t n
    cdef size_t growth
    cdef size_t length
    cdef size_t size
    if start >= buffer.size:
        return
    start += rewrite_clean_run(
        <const unsigned char*> buffer.data + start, buffer.size - start, rewrite)
    n = buffer.size - start
    if n == 0:
        return
    growth = rewrite_growth(<const unsigned char*> buffer.data + start, n, rewrite)
    if not buffer_reserve(buffer, growth):
        return
    out = buffer.data + start
    p = <const unsigned char*> out + growth
    memmove(out + growth, out, n)
    buffer.size += growth
    while n:
        length = rewrite_clean_run(p, n, rewrite)
        memmove(out, p, length)
        out += length
        p += length
        n -= length
        if n == 0:
            return
        length = rewrite_match(p, n, rewrite)
        size = rewrite_replacement(replacement, p, length, rewrite)
        memcpy(out, replacement, size)
        out += size
        p += length
        n -= length


# Makes control characters and line separators visible, so that a message is one line: a newline becomes \n, the escape
# character becomes \x1b. A tab stays.
cdef inline void escape_controls(Buffer* buffer, size_t start) noexcept nogil:
    rewrite_text(buffer, start, ESCAPE_CONTROLS)


# The same for a text of several lines: the newline stays, too. No escape sequence reaches the terminal.
cdef inline void escape_terminal(Buffer* buffer, size_t start) noexcept nogil:
    rewrite_text(buffer, start, ESCAPE_TERMINAL)


# Indents continuation lines by four spaces. \r\n and a lone \r become \n.
cdef inline void indent_newlines(Buffer* buffer, size_t start) noexcept nogil:
    rewrite_text(buffer, start, INDENT_NEWLINES)


# Escapes the text, which is UTF-8, for the inside of a JSON string.
cdef inline void escape_json(Buffer* buffer, size_t start) noexcept nogil:
    rewrite_text(buffer, start, ESCAPE_JSON)
