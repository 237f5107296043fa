"""Test-only extension: a window onto calendar text and the clock."""

from libc.stdint cimport int64_t, uint64_t

from logly._buffer cimport Buffer, buffer_free, buffer_init
from logly._calendar cimport (
    TimePattern,
    time_pattern_compile,
    time_pattern_compile_rfc3339,
    time_pattern_free,
    time_pattern_render,
)
from logly._civil cimport CivilTime, civil_from_second


cdef class Pattern:
    """A compiled time pattern that keeps its cache between calls, as a sink's does."""

    cdef TimePattern pattern
    cdef bint compiled

    def __init__(self, str text):
        cdef bytes utf8 = text.encode()
        cdef int mistake = time_pattern_compile(&self.pattern, utf8, len(utf8))
        if mistake != 0:
            raise ValueError(mistake - 1)
        self.compiled = True

    @staticmethod
    def rfc3339():
        cdef Pattern self = Pattern.__new__(Pattern)
        if time_pattern_compile_rfc3339(&self.pattern) != 0:
            raise MemoryError
        self.compiled = True
        return self

    def __dealloc__(self):
        if self.compiled:
            time_pattern_free(&self.pattern)

    def render(self, int64_t ns, bint utc=False):
        return self.render_all([ns], utc)[0]

    def render_all(self, list stamps, bint utc=False):
        """The texts of `stamps`, composed one behind the other in one buffer, as lines are."""
        cdef Buffer buffer
        cdef size_t start
        cdef list texts = []
        buffer_init(&buffer)
        try:
            for ns in stamps:
                start = buffer.size
                time_pattern_render(&self.pattern, &buffer, ns, utc)
                texts.append((start, buffer.size))
            return [buffer.data[start:end].decode() for start, end in texts]
        finally:
            buffer_free(&buffer)

    def render_many(self, int64_t first, int64_t step, int count, bint utc=False):
        """For measuring: `count` stamps, the buffer emptied each time."""
        cdef Buffer buffer
        cdef int i
        buffer_init(&buffer)
        with nogil:
            for i in range(count):
                buffer.size = 0
                time_pattern_render(&self.pattern, &buffer, first + i * step, utc)
        buffer_free(&buffer)


def civil_utc(int64_t second):
    """(year, month, day, weekday with 0 for Sunday, hour, minute, second), also outside what int64 nanoseconds reach."""
    cdef CivilTime civil
    civil_from_second(second, True, &civil)
    return civil.year, civil.month, civil.day, civil.weekday, civil.hour, civil.minute, civil.second
