"""Where the lines of records end in a sink's buffer: a mark for each, so that records are counted exactly after a short write."""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport realloc
from libc.string cimport memmove

cdef extern from * nogil:
    """
    static const uint64_t LOGLY_NOTICE_BIT = 1ull << 63;
    static const uint64_t LOGLY_LATE_BIT = 1ull << 62;
    """
    const uint64_t NOTICE_BIT "LOGLY_NOTICE_BIT"   # a line of logly's own, which no book counts
    const uint64_t LATE_BIT "LOGLY_LATE_BIT"       # a record that a dump of the flight recorder writes


cdef struct Mark:
    # Of the record. NOTICE_BIT set: a notice before the record of that number. LATE_BIT set: the number of a late record, which
    # has no sequence number.
    uint64_t sequence
    uint64_t end           # its line ends here, in bytes ever appended. Of a staged record: how many filters decide about it


cdef struct Marks:
    Mark* mark
    uint32_t notices       # how many of them are logly's own lines, which no book counts
    uint32_t first
    uint32_t last          # one past
    uint32_t capacity


cdef inline bint marks_push(Marks* marks, uint64_t sequence, uint64_t end) noexcept nogil:
    cdef uint32_t capacity
    cdef Mark* grown
    if marks.last == marks.capacity:
        if marks.first > marks.capacity // 2:
            memmove(marks.mark, marks.mark + marks.first, (marks.last - marks.first) * sizeof(Mark))
            marks.last -= marks.first
            marks.first = 0
        else:
            capacity = marks.capacity * 2 if marks.capacity else 256
            grown = <Mark*> realloc(marks.mark, capacity * sizeof(Mark))
            if grown == NULL:
                return False
            marks.mark = grown
            marks.capacity = capacity
    marks.mark[marks.last].sequence = sequence
    marks.mark[marks.last].end = end
    marks.last += 1
    return True


# Returns NULL when there is no mark.
cdef inline Mark* marks_first(const Marks* marks) noexcept nogil:
    return &marks.mark[marks.first] if marks.first != marks.last else NULL


cdef inline void marks_clear(Marks* marks) noexcept nogil:
    marks.first = 0
    marks.last = 0
    marks.notices = 0
