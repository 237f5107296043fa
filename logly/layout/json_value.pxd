"""A value of a record as JSON."""

from libc.stdint cimport uint64_t, uint8_t

from logly.ring.record cimport (
    TAG_BYTES, TAG_FLOAT, TAG_INT, TAG_JSON, TAG_NONE, TAG_NUMBER, TAG_TRUE, TAG_UCS4, TAG_UINT, TAG_UTF8, Value, text_kind,
)
from logly.text.buffer cimport Buffer, buffer_append
from logly.text.escape cimport write_json_bytes, write_json_float, write_json_string
from logly.text.number cimport write_int, write_uint


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
