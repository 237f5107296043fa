"""Lines of python-json-logger's formatters: values of a record as `json.dumps` writes them."""

from libc.math cimport fabs, modf, round
from libc.stdint cimport int64_t, uint32_t, uint8_t
from libc.stdio cimport snprintf

from logly.layout.line cimport Line
from logly.layout.logging_pieces cimport LoggingLayout
from logly.layout.trace cimport write_steps
from logly.ring.record cimport (
    TAG_BYTES, TAG_FLOAT, TAG_INT, TAG_JSON, TAG_NONE, TAG_NUMBER, TAG_TRUE, TAG_UCS4, TAG_UINT, TAG_UTF8, Value,
    get_value, same_text, skip_values, text_kind,
)
from logly.text.buffer cimport Buffer, buffer_append, buffer_put, buffer_text
from logly.text.civil cimport CivilTime, civil_from_second
from logly.text.json_dumps cimport end_dumps_string, write_dumps_float, write_dumps_string
from logly.text.number cimport write_int, write_uint
from logly.text.unicode cimport write_text
from logly.text.zones cimport ZONE_UTC


cdef inline void write_dumps_value(Buffer* out, const Value* value, bint is_ascii) noexcept nogil:
    cdef uint8_t tag = value.tag
    if tag >= TAG_UTF8 and tag <= TAG_UCS4:
        write_dumps_string(out, text_kind(tag), value.data, value.count, is_ascii)
    elif tag == TAG_INT:
        write_int(out, value.integer)
    elif tag == TAG_UINT:
        write_uint(out, <unsigned long long> value.integer)
    elif tag == TAG_FLOAT:
        write_dumps_float(out, value.real)
    elif tag == TAG_JSON or tag == TAG_NUMBER:
        buffer_append(out, value.data, value.count)
    elif tag == TAG_NONE:
        buffer_append(out, b"null", 4)
    elif tag == TAG_TRUE:
        buffer_append(out, b"true", 4)
    else:
        buffer_append(out, b"false", 5)


cdef inline bint is_skipped(const LoggingLayout* layout, const Value* key) noexcept nogil:
    cdef uint32_t i
    if key.count and text_kind(key.tag) <= 1 and key.data[0] == c'_':
        return True
    for i in range(layout.skips):
        if same_text(&layout.skipped[i], key):
            return True
    return False


# The fields that no piece of the layout shows.
cdef inline void write_other_fields(Buffer* out, const LoggingLayout* layout, const Line* line) noexcept nogil:
    cdef const char* at = line.view.fields
    cdef Value key, value
    cdef uint32_t k, _
    for _ in range(line.view.header.fields):
        at = get_value(get_value(at, &key), &value)
        if is_skipped(layout, &key):
            continue
        buffer_append(out, b", ", 2)
        k = 0
        while k < layout.renames and not same_text(&layout.renamed[k], &key):
            k += 1
        if k < layout.renames:
            buffer_text(out, &layout.new_name[k])
        else:
            write_dumps_string(out, text_kind(key.tag), key.data, key.count, layout.is_ascii)
        buffer_append(out, b": ", 2)
        write_dumps_value(out, &value, layout.is_ascii)


# `Formatter.formatException`, which takes one line break away.
cdef inline void write_dumps_exception(Buffer* out, const LoggingLayout* layout, const Line* line) noexcept nogil:
    cdef Value text
    cdef size_t start
    get_value(skip_values(line.view.exception, 2), &text)
    buffer_put(out, c'"')
    start = out.size
    if text.tag == TAG_BYTES:
        write_steps(out, text.data, text.count, line.places, False)
    else:
        write_text(out, text_kind(text.tag), text.data, text.count)
    if out.size > start and out.data[out.size - 1] == c'\n':
        out.size -= 1
    end_dumps_string(out, start, layout.is_ascii)


cdef inline void write_dumps_stack(Buffer* out, const LoggingLayout* layout, const Line* line) noexcept nogil:
    cdef Value text
    get_value(line.view.stack, &text)
    write_dumps_value(out, &text, layout.is_ascii)


# datetime.fromtimestamp(created, tz=timezone.utc).isoformat(): to the nearest microsecond, of two equally near ones the even one.
cdef inline void write_timestamp(Buffer* out, double created) noexcept nogil:
    cdef CivilTime civil
    cdef char text[64]
    cdef double whole = 0
    cdef double fraction = modf(created, &whole) * 1e6
    cdef double rounded = round(fraction)
    cdef int64_t second
    cdef int size
    if fabs(fraction - rounded) == 0.5:
        rounded = 2.0 * round(fraction / 2.0)
    if rounded >= 1e6:
        rounded -= 1e6
        whole += 1
    elif rounded < 0:
        rounded += 1e6
        whole -= 1
    second = <int64_t> whole
    civil_from_second(second, ZONE_UTC, &civil)
    size = snprintf(
        text, sizeof(text), "\"%04d-%02d-%02dT%02d:%02d:%02d", civil.year, civil.month, civil.day, civil.hour, civil.minute,
        civil.second,
    )
    buffer_append(out, text, <size_t> size)
    if rounded != 0:
        buffer_append(out, text, <size_t> snprintf(text, sizeof(text), ".%06d", <int> rounded))
    buffer_append(out, b"+00:00\"", 7)
