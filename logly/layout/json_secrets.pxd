"""Secrets in nested values: the JSON text of a field, with the values under hidden keys replaced.

The text is what the caller has encoded (caller/json_value.pxi), or the beginning of that where a value was cut. It is read once
from its beginning to its end, whatever is in it. A string that a colon follows is a key, and so is the first of a list of two.
"""

from libc.stdint cimport uint32_t

from logly.layout.name_patterns cimport NamePatterns, is_hidden_name
from logly.text.buffer cimport Buffer, buffer_append, buffer_free, buffer_init, buffer_put, buffer_reserve
from logly.text.unicode cimport utf8_encode

cdef enum:
    HIDDEN_SIZE = 10


# Returns the end of the string whose opening quote is at `at`: the offset behind its closing quote.
cdef inline size_t string_end(const char* data, size_t at, size_t size) noexcept nogil:
    at += 1
    while at < size and data[at] != c'"':
        at += 2 if data[at] == c'\\' else 1
    return at + 1 if at < size else size


# Returns the offset behind the value that begins at `at`.
cdef inline size_t value_end(const char* data, size_t at, size_t size) noexcept nogil:
    cdef size_t depth = 0
    cdef char c
    while at < size:
        c = data[at]
        if c == c'"':
            at = string_end(data, at, size)
            if depth == 0:
                return at
            continue
        if c == c'{' or c == c'[':
            depth += 1
        elif c == c'}' or c == c']':
            if depth <= 1:
                return at + depth
            depth -= 1
        elif c == c',' and depth == 0:
            return at
        at += 1
    return size


cdef inline int hex_digit(char c) noexcept nogil:
    if c'0' <= c <= c'9':
        return c - c'0'
    c = <char> (c | 0x20)
    return c - c'a' + 10 if c'a' <= c <= c'f' else -1


cdef inline uint32_t escaped_code(const char* digits) noexcept nogil:
    cdef uint32_t code = 0
    cdef int i
    for i in range(4):
        code = code << 4 | <uint32_t> (hex_digit(digits[i]) & 15)
    return code


# The character that a letter behind a backslash stands for.
cdef inline char escaped_char(char c) noexcept nogil:
    if c == c'n':
        return c'\n'
    if c == c't':
        return c'\t'
    if c == c'r':
        return c'\r'
    if c == c'b':
        return c'\b'
    if c == c'f':
        return c'\f'
    return c


# Writes the content of a string without its escapes.
cdef inline void unescape(Buffer* out, const char* data, size_t size) noexcept nogil:
    cdef size_t at = 0
    while at < size:
        if data[at] != c'\\' or at + 1 >= size:
            buffer_put(out, data[at])
            at += 1
        elif data[at + 1] == c'u' and at + 6 <= size:
            if buffer_reserve(out, 6):
                out.size += utf8_encode(out.data + out.size, escaped_code(data + at + 2))
            at += 6
        else:
            buffer_put(out, escaped_char(data[at + 1]))
            at += 2


# The name itself, or the text of bytes that are one: b'name'.
cdef inline bint is_hidden_text(const NamePatterns* names, const char* data, size_t size) noexcept nogil:
    if size > 3 and data[0] == c'b' and data[1] == c"'" and data[size - 1] == c"'":
        return is_hidden_name(names, data + 2, size - 3) or is_hidden_name(names, data, size)
    return is_hidden_name(names, data, size)


# `data`: what is between the quotes of a key.
cdef inline bint is_hidden_key(const NamePatterns* names, const char* data, size_t size) noexcept nogil:
    cdef Buffer plain
    cdef bint is_hidden
    cdef size_t i
    for i in range(size):
        if data[i] == c'\\':
            break
    else:
        return is_hidden_text(names, data, size)
    buffer_init(&plain)
    unescape(&plain, data, size)
    is_hidden = plain.failed or is_hidden_text(names, plain.data, plain.size)
    buffer_free(&plain)
    return is_hidden


cdef inline bint is_hidden_already(const char* data, size_t size) noexcept nogil:
    cdef const char* hidden = b'"[redacted]"'
    cdef size_t i
    if size != HIDDEN_SIZE + 2:
        return False
    for i in range(size):
        if data[i] != hidden[i]:
            return False
    return True


# Is the string from `at` to `end` the first of a list of two values, and the name of a secret? `last`: the end of the second.
cdef inline bint begins_hidden_pair(
    const NamePatterns* names, const char* data, size_t at, size_t end, size_t size, size_t* last
) noexcept nogil:
    if at == 0 or data[at - 1] != c'[' or end >= size or data[end] != c',':
        return False
    if not is_hidden_key(names, data + at + 1, end - at - 2):
        return False
    last[0] = value_end(data, end + 1, size)
    return last[0] == size or data[last[0]] == c']'


# Returns False, and writes nothing, where there is nothing to hide.
cdef inline bint hide_in_json(Buffer* out, const NamePatterns* names, const char* data, size_t size) noexcept nogil:
    cdef size_t at = 0
    cdef size_t copied = 0
    cdef size_t end
    cdef size_t last = 0
    while at < size:
        if data[at] != c'"':
            at += 1
            continue
        end = string_end(data, at, size)
        if begins_hidden_pair(names, data, at, end, size, &last):
            at = end + 1
            end = last
        elif end >= size or data[end] != c':':
            at = end
            continue
        elif not is_hidden_key(names, data + at + 1, end - at - 2):
            at = end + 1
            continue
        else:
            at = end + 1
            end = value_end(data, at, size)
        if not is_hidden_already(data + at, end - at):
            buffer_append(out, data + copied, at - copied)
            buffer_append(out, b'"[redacted]"', HIDDEN_SIZE + 2)
            copied = end
        at = end
    if copied:
        buffer_append(out, data + copied, size - copied)
    return copied != 0
