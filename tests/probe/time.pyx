"""Test-only extension: a window onto calendar text and the clock."""

from libc.stdint cimport int64_t, uint64_t

from logly.text.buffer cimport Buffer, buffer_free, buffer_init
from logly.text.time_pattern cimport (
    IN_LAYOUTS,
    TimePattern,
    time_pattern_compile,
    time_pattern_compile_rfc3339,
    time_pattern_free,
    time_pattern_render,
)
from logly.text.civil cimport CivilTime, civil_from_second
from logly.system.clock cimport (
    Anchor,
    ClockCalibration,
    calibration_add,
    calibration_init,
    calibration_is_due,
    calibration_ns,
    calibration_refresh,
    calibration_start,
    clock_init,
    clock_monotonic_ns,
    clock_ticks,
    logly_clock_is_tsc,
)


cdef class Pattern:
    """A compiled time pattern that keeps its cache between calls, as a sink's does."""

    cdef TimePattern pattern
    cdef bint compiled

    def __init__(self, str text):
        cdef bytes utf8 = text.encode()
        cdef int mistake = time_pattern_compile(&self.pattern, utf8, len(utf8), IN_LAYOUTS)
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
    """(year, month, day, weekday (0: Sunday), hour, minute, second), also where int64 nanoseconds do not reach."""
    cdef CivilTime civil
    civil_from_second(second, True, &civil)
    return civil.year, civil.month, civil.day, civil.weekday, civil.hour, civil.minute, civil.second


def choose_clock():
    """Decides again, as an import does. True when ticks are the processor's counter."""
    clock_init()
    return logly_clock_is_tsc


def ticks():
    return clock_ticks()


def monotonic_ns():
    return clock_monotonic_ns()


def read_clock_many(int count):
    """For measuring."""
    cdef uint64_t total = 0
    cdef int _i
    with nogil:
        for _i in range(count):
            total += clock_ticks()
    return total


cdef class Calibration:
    """The real clock's calibration; or, given two anchors (ticks, ns), that of a clock the test plays."""

    cdef ClockCalibration calibration

    def __init__(self, first=None, second=None):
        cdef Anchor start, end
        if first is None:
            calibration_init(&self.calibration)
            return
        start.ticks, start.ns = first
        end.ticks, end.ns = second
        calibration_start(&self.calibration, &start, &end)

    def add(self, uint64_t ticks, int64_t ns):
        cdef Anchor anchor = Anchor(ticks, ns)
        calibration_add(&self.calibration, &anchor)

    def refresh(self):
        calibration_refresh(&self.calibration)

    def is_due(self, uint64_t ticks):
        return calibration_is_due(&self.calibration, ticks)

    def ns(self, uint64_t ticks):
        return calibration_ns(&self.calibration, ticks)

    def ns_many(self, uint64_t first, uint64_t step, int count):
        """For measuring."""
        cdef int64_t total = 0
        cdef int i
        with nogil:
            for i in range(count):
                total += calibration_ns(&self.calibration, first + i * step)
        return total

    def to_bytes(self):
        return (<char*> &self.calibration)[:sizeof(ClockCalibration)]

    @staticmethod
    def from_bytes(bytes image):
        cdef Calibration self = Calibration.__new__(Calibration)
        self.calibration = (<ClockCalibration*> <char*> image)[0]
        return self
