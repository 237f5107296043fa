"""A value of a record as an AnyValue of OTLP in JSON: an object with one member, whose name is the value's type.

The forms are those of the JSON mapping of protocol buffers: 64-bit integers and numbers that JSON does not have are texts, bytes
are Base64 (https://protobuf.dev/programming-guides/json/). Integers beyond 64 bits are texts, as OpenTelemetry's
specification says, and None is an object without members.
"""

from libc.math cimport isfinite
from libc.stdint cimport uint32_t, uint64_t, uint8_t

from logly.layout.json_secrets cimport string_end, value_end
from logly.ring.record cimport (
    TAG_BYTES, TAG_FLOAT, TAG_INT, TAG_JSON, TAG_NONE, TAG_NUMBER, TAG_TRUE, TAG_UCS4, TAG_UINT, TAG_UTF8, Value, text_kind,
)
from logly.text.base64 cimport write_base64
from logly.text.buffer cimport Buffer, buffer_append, buffer_put
from logly.text.escape cimport write_json_string, write_json_utf8
from logly.text.number cimport write_float, write_int, write_uint

cdef enum:
    # Nested lists and dicts up to here are arrays and key-value lists, deeper ones are their JSON as text. A level is three
    # messages, and readers in several languages refuse more than 100 messages in each other.
    MAX_OTLP_DEPTH = 24
    SAFE_INT_DIGITS = 18       # an int with so many digits always fits into 64 bits


cdef inline void write_otlp_double(Buffer* out, double value) noexcept nogil:
    buffer_append(out, b'{"doubleValue":', 15)
    if isfinite(value):
        write_float(out, value)
    elif value != value:
        buffer_append(out, b'"NaN"', 5)
    elif value > 0:
        buffer_append(out, b'"Infinity"', 10)
    else:
        buffer_append(out, b'"-Infinity"', 11)
    buffer_put(out, c'}')


cdef inline void write_otlp_bool(Buffer* out, bint value) noexcept nogil:
    if value:
        buffer_append(out, b'{"boolValue":true}', 18)
    else:
        buffer_append(out, b'{"boolValue":false}', 19)


# Writes digits, with a minus sign or without, as a value of this type.
cdef inline void write_quoted_number(
    Buffer* out, const char* member, uint32_t size, const char* data, size_t n
) noexcept nogil:
    buffer_append(out, member, size)
    buffer_append(out, data, n)
    buffer_append(out, b'"}', 2)


cdef inline void write_otlp_value(Buffer* out, const Value* value) noexcept nogil:
    cdef uint8_t tag = value.tag
    if tag >= TAG_UTF8 and tag <= TAG_UCS4:
        buffer_append(out, b'{"stringValue":', 15)
        write_json_string(out, text_kind(tag), value.data, value.count)
        buffer_put(out, c'}')
    elif tag == TAG_INT:
        buffer_append(out, b'{"intValue":"', 13)
        write_int(out, value.integer)
        buffer_append(out, b'"}', 2)
    elif tag == TAG_UINT:
        buffer_append(out, b'{"stringValue":"', 16)
        write_uint(out, <uint64_t> value.integer)
        buffer_append(out, b'"}', 2)
    elif tag == TAG_FLOAT:
        write_otlp_double(out, value.real)
    elif tag == TAG_BYTES:
        buffer_append(out, b'{"bytesValue":"', 15)
        write_base64(out, <const unsigned char*> value.data, value.count)
        buffer_append(out, b'"}', 2)
    elif tag == TAG_NUMBER:
        write_quoted_number(out, b'{"stringValue":"', 16, value.data, value.count)
    elif tag == TAG_JSON:
        write_otlp_json(out, value.data, value.count)
    elif tag == TAG_NONE:
        buffer_append(out, b"{}", 2)
    else:
        write_otlp_bool(out, tag == TAG_TRUE)


# ---- nested values, which a record has as JSON

cdef inline bint is_space(char c) noexcept nogil:
    return c == c' ' or c == c'\n' or c == c'\t' or c == c'\r'


# Returns the end of the word (a number, true, false or null) that begins at `at`. It has one character at least.
cdef inline size_t word_end(const char* data, size_t at, size_t size) noexcept nogil:
    at += 1
    while at < size and not is_space(data[at]):
        if data[at] == c',' or data[at] == c'}' or data[at] == c']' or data[at] == c':':
            break
        at += 1
    return at


cdef inline bint has_only_digits(const char* data, size_t n) noexcept nogil:
    cdef size_t i
    for i in range(n):
        if not c'0' <= data[i] <= c'9':
            return False
    return n != 0


# Do these digits, without a sign, fit into an int64?
cdef inline bint fits_int64(const char* digits, size_t n, bint is_negative) noexcept nogil:
    cdef uint64_t value = 0
    cdef size_t i
    if n <= SAFE_INT_DIGITS:
        return True
    if n > SAFE_INT_DIGITS + 1:
        return False
    for i in range(n):
        value = value * 10 + <uint64_t> (digits[i] - c'0')
    return value <= 0x7FFFFFFFFFFFFFFFull + (1 if is_negative else 0)


cdef inline void write_otlp_word(Buffer* out, const char* data, size_t n) noexcept nogil:
    cdef size_t sign = 1 if data[0] == c'-' else 0
    if has_only_digits(data + sign, n - sign):
        if fits_int64(data + sign, n - sign, sign):
            write_quoted_number(out, b'{"intValue":"', 13, data, n)
        else:
            write_quoted_number(out, b'{"stringValue":"', 16, data, n)
    elif data[0] == c't' or data[0] == c'f':
        write_otlp_bool(out, data[0] == c't')
    elif data[0] == c'n':
        buffer_append(out, b"{}", 2)
    else:
        buffer_append(out, b'{"doubleValue":', 15)
        buffer_append(out, data, n)
        buffer_put(out, c'}')


# Where a transformation is. Bit n of `objects` says that the container at depth n is an object.
cdef struct OtlpNest:
    uint32_t depth
    uint32_t objects
    bint wants_key


cdef inline bint is_in_object(const OtlpNest* nest) noexcept nogil:
    return nest.depth != 0 and nest.objects >> (nest.depth - 1) & 1


# After a value. A value in an object belongs to a KeyValue, which ends here.
cdef inline void end_otlp_value(Buffer* out, const OtlpNest* nest) noexcept nogil:
    if is_in_object(nest):
        buffer_put(out, c'}')


cdef inline void open_otlp_nest(Buffer* out, OtlpNest* nest, bint is_object) noexcept nogil:
    cdef uint32_t bit = <uint32_t> 1 << nest.depth
    if is_object:
        buffer_append(out, b'{"kvlistValue":{"values":[', 26)
        nest.objects |= bit
    else:
        buffer_append(out, b'{"arrayValue":{"values":[', 25)
        nest.objects &= ~bit
    nest.wants_key = is_object
    nest.depth += 1


cdef inline void close_otlp_nest(Buffer* out, OtlpNest* nest) noexcept nogil:
    buffer_append(out, b"]}}", 3)
    nest.depth -= 1
    nest.wants_key = False
    end_otlp_value(out, nest)


# Writes the value that begins at `at`, which is neither a key nor the end of a container. Returns the offset behind what was
# read.
cdef inline size_t write_otlp_item(Buffer* out, OtlpNest* nest, const char* data, size_t at, size_t size) noexcept nogil:
    cdef size_t end
    if (data[at] == c'{' or data[at] == c'[') and nest.depth < MAX_OTLP_DEPTH:
        open_otlp_nest(out, nest, data[at] == c'{')
        return at + 1
    if data[at] == c'{' or data[at] == c'[':
        end = value_end(data, at, size)
        buffer_append(out, b'{"stringValue":', 15)
        write_json_utf8(out, data + at, end - at)
        buffer_put(out, c'}')
    elif data[at] == c'"':
        end = string_end(data, at, size)
        buffer_append(out, b'{"stringValue":', 15)
        buffer_append(out, data + at, end - at)
        buffer_put(out, c'}')
    else:
        end = word_end(data, at, size)
        write_otlp_word(out, data + at, end - at)
    end_otlp_value(out, nest)
    return end


# The text is read once, and each container is closed, whatever is in it.
cdef inline void write_otlp_json(Buffer* out, const char* data, size_t size) noexcept nogil:
    cdef OtlpNest nest
    cdef size_t at = 0
    cdef size_t end
    nest.depth = nest.objects = 0
    nest.wants_key = False
    while at < size:
        if data[at] == c':' or is_space(data[at]):
            at += 1
        elif data[at] == c',':
            buffer_put(out, c',')
            nest.wants_key = is_in_object(&nest)
            at += 1
        elif data[at] == c'}' or data[at] == c']':
            if nest.depth:
                close_otlp_nest(out, &nest)
            at += 1
        elif nest.wants_key:
            end = string_end(data, at, size) if data[at] == c'"' else word_end(data, at, size)
            buffer_append(out, b'{"key":', 7)
            buffer_append(out, data + at, end - at)
            buffer_append(out, b',"value":', 9)
            nest.wants_key = False
            at = end
        else:
            at = write_otlp_item(out, &nest, data, at, size)
    while nest.depth:
        close_otlp_nest(out, &nest)
