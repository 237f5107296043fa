"""A moment as the C library words it: what `time.strftime(format, time.localtime(second))` gives, without the GIL.

CPython calls `localtime_r` or `gmtime_r` and then `wcsftime`, and so does this. So the text is Python's in every zone and locale.
logly's own layouts use text/time_pattern.pxd, which is the same on every system and knows fractions.

Log records come in bursts, so the text of the last second is cached. A change of the zone (`time.tzset`) or of the locale takes
up to a second to show. Rendering writes to the TimeText, so only one thread may do it at a time.
"""

from libc.stddef cimport wchar_t
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc

from logly.text.buffer cimport Buffer, buffer_append, buffer_free
from logly.text.unicode cimport write_text

cdef extern from *:
    """
    #include <stdint.h>
    #include <time.h>
    #include <wchar.h>

    // Writes the text, and returns its length in characters. 0 where there is no such moment, or no room.
    static inline size_t logly_strftime(wchar_t* out, size_t room, const wchar_t* format, int64_t second, int utc) {
        struct tm civil;
        time_t moment = (time_t)second;
    #ifdef _WIN32
        if ((utc ? gmtime_s(&civil, &moment) : localtime_s(&civil, &moment)) != 0) return 0;
    #else
        if ((utc ? gmtime_r(&moment, &civil) : localtime_r(&moment, &civil)) == NULL) return 0;
    #endif
        return wcsftime(out, room, format, &civil);
    }
    """
    size_t logly_strftime(wchar_t* out, size_t room, const wchar_t* format, int64_t second, bint utc) noexcept nogil

cdef enum:
    # A directive gives at most so many characters for each of its own, except with a width, which is refused when a layout is
    # compiled.
    STRFTIME_GROWTH = 256


cdef struct TimeText:
    wchar_t* format        # owned
    size_t size            # of it, in characters
    bint utc
    bint is_cached
    int64_t second         # which the cached text shows
    Buffer text            # UTF-8


cdef inline void time_text_free(TimeText* time) noexcept nogil:
    free(time.format)
    time.format = NULL
    buffer_free(&time.text)


cdef inline void time_text_cache(TimeText* time, int64_t second) noexcept nogil:
    cdef size_t room = time.size * STRFTIME_GROWTH + 1
    cdef wchar_t* wide = <wchar_t*> malloc(room * sizeof(wchar_t))
    time.text.size = 0
    time.text.failed = wide == NULL
    if wide != NULL:
        write_text(&time.text, <int> sizeof(wchar_t), wide, logly_strftime(wide, room, time.format, second, time.utc))
        free(wide)
    time.second = second
    time.is_cached = not time.text.failed


# Makes the text of this second the cached one.
cdef inline const Buffer* time_text_at(TimeText* time, int64_t second) noexcept nogil:
    if not time.is_cached or time.second != second:
        time_text_cache(time, second)
    return &time.text


cdef inline void time_text_render(TimeText* time, Buffer* out, int64_t second) noexcept nogil:
    cdef const Buffer* text = time_text_at(time, second)
    buffer_append(out, text.data, text.size)
    out.failed = out.failed or text.failed
