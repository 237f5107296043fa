# Time patterns for Python code: those of layouts are checked here, those of file names are rendered here.

from libc.stdint cimport int64_t, uint32_t

from logly.text.buffer cimport Buffer, buffer_free, buffer_init
from logly.text.time_pattern cimport (
    IN_LAYOUTS, IN_NAMES, NANOSECONDS, TimePattern, time_pattern_cache_second, time_pattern_compile, time_pattern_copy,
    time_pattern_free,
)

# Of other included files:
#   text/owned_text.pxi: utf8


def time_pattern_mistake(str pattern not None):
    """The position, in characters, of the mistake in a layout's time pattern; None when there is no mistake."""
    cdef TimePattern compiled
    cdef bytes data = utf8(pattern)
    cdef int mistake = time_pattern_compile(&compiled, <const char*> data, len(data), IN_LAYOUTS)
    cdef Py_ssize_t position = 0
    if mistake == 0:
        time_pattern_free(&compiled)
        return None
    if mistake < 0:
        raise MemoryError
    # Counted character by character, because a lone surrogate takes more bytes in `data` than in other encodings.
    bytes_left = mistake - 1
    while True:
        bytes_left -= len(utf8(pattern[position]))
        if bytes_left < 0:
            return position
        position += 1


def format_time(str pattern not None, now_ns, *, bint utc=False):
    """The text of a moment in a file name.

    Args:
        pattern: tokens as in layouts, except single letters, `zz`, and numbers of decimals other than 3, 6 and 9. These,
            brackets and everything else are copied as they are.
        now_ns: nanoseconds since the epoch.
        utc: UTC instead of local time.
    """
    cdef TimePattern compiled
    cdef Buffer text
    # A file name may have lone surrogates: these stand for bytes of the name that are not UTF-8.
    cdef bytes data = pattern.encode("utf-8", "surrogatepass")
    cdef object made = None
    second, nanosecond = divmod(now_ns, NANOSECONDS)
    cdef int64_t whole = second
    cdef uint32_t fraction = nanosecond
    if time_pattern_compile(&compiled, <const char*> data, len(data), IN_NAMES):
        raise MemoryError
    buffer_init(&text)
    time_pattern_cache_second(&compiled, whole, utc)
    time_pattern_copy(&compiled, &text, fraction)
    time_pattern_free(&compiled)
    try:
        if text.data != NULL:
            made = text.data[: text.size].decode("utf-8", "surrogatepass")
    finally:
        buffer_free(&text)
    if made is None:
        raise MemoryError
    return made
