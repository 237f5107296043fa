"""What the layouts for syslog and for systemd's journal have in common: severities, frames, where a record is from."""

from libc.stdint cimport int32_t
from libc.string cimport memcpy, memmove

from logly.layout.line cimport Line
from logly.ring.record cimport Value, text_kind
from logly.text.buffer cimport Buffer, Text, buffer_append, buffer_put, buffer_reserve
from logly.text.number cimport INT_ROOM, decimal_digits
from logly.text.unicode cimport write_text

# RFC 5424, section 6.2.1
cdef enum Severity:
    SEVERITY_CRITICAL = 2
    SEVERITY_ERROR
    SEVERITY_WARNING
    SEVERITY_NOTICE
    SEVERITY_INFORMATIONAL
    SEVERITY_DEBUG

cdef enum SitePart:
    SITE_MODULE = 0
    SITE_FUNCTION
    SITE_PATH


cdef inline int severity_of(int32_t level) noexcept nogil:
    if level < 20:
        return SEVERITY_DEBUG
    if level < 25:
        return SEVERITY_INFORMATIONAL
    if level < 30:
        return SEVERITY_NOTICE
    if level < 40:
        return SEVERITY_WARNING
    return SEVERITY_ERROR if level < 50 else SEVERITY_CRITICAL


# Ends what has been written since `start`. A frame is the length of its message in decimal, a space, the message, and a line
# break that is not counted, so that frames are also lines. Without frames, only the line break is added.
cdef inline void end_message(Buffer* out, size_t start, bint is_framed) noexcept nogil:
    cdef char digits[INT_ROOM + 1]
    cdef size_t size = out.size - start
    cdef size_t width
    if is_framed and buffer_reserve(out, INT_ROOM + 1):
        width = decimal_digits(digits, size)
        digits[width] = c' '
        memmove(out.data + start + width + 1, out.data + start, size)
        memcpy(out.data + start, digits, width + 1)
        out.size += width + 1
    buffer_put(out, c'\n')


# Writes a part of where the record is from, which must be known.
cdef inline void write_site_text(Buffer* out, const Line* line, SitePart part) noexcept nogil:
    cdef const Text* text
    cdef const Value* value
    if line.site != NULL:
        text = &line.site.path
        if part != SITE_PATH:
            text = &line.site.module if part == SITE_MODULE else &line.site.function
        buffer_append(out, text.data, text.size)
        return
    value = &line.view.site_path
    if part != SITE_PATH:
        value = &line.view.site_module if part == SITE_MODULE else &line.view.site_function
    write_text(out, text_kind(value.tag), value.data, value.count)


# Is what has been written since `start` one of these names? They are separated by spaces, and there is one before the first and
# one behind the last.
cdef inline bint is_one_of(const Buffer* out, size_t start, const char* names) noexcept nogil:
    cdef size_t size = out.size - start
    cdef size_t i
    while names[0] and names[1]:
        names += 1
        i = 0
        while i < size and names[i] == out.data[start + i]:
            i += 1
        if i == size and names[i] == c' ':
            return True
        while names[0] != c' ':
            names += 1
    return False
