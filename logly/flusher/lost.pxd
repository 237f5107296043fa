"""Lines that a sink gives up: each of their records counts as failed once, however many sinks give it up."""

from libc.stdint cimport uint32_t, uint64_t

from logly.flusher.failed cimport Failed, failed_has_room, failed_place, failed_reserve
from logly.flusher.marks cimport LATE_BIT, NOTICE_BIT, Marks
from logly.flusher.state cimport Engine, engine_fail, engine_position


# Counts all records of these marks as failed, and returns how many there are. Several sinks may discard long backlogs, of the
# same records or of others. So the marks are merged into the list of failed records in one step. (Inserted one by one,
# 160,000 lines of two sinks took 5 seconds.)
cdef inline uint64_t fail_marks(Engine* engine, const Marks* marks, bint skip_first) noexcept nogil:
    cdef uint32_t first = marks.first + skip_first
    cdef uint32_t last = marks.last
    cdef uint32_t i, fresh, found, begin
    cdef uint64_t lost = 0
    cdef bint has_room
    cdef Failed* failed = &engine.books.failed
    lost = fail_late_marks(engine, marks, first)
    while first < last and marks.mark[first].sequence & (NOTICE_BIT | LATE_BIT):
        first += 1
    if first >= last:
        return lost
    has_room = failed_has_room(failed, last - first)
    if not has_room:
        has_room = failed_reserve(failed, last - first, marks.mark[first].sequence, engine_position(engine))
    begin = found = failed_place(failed, marks.mark[first].sequence)
    fresh = 0
    for i in range(first, last):
        if marks.mark[i].sequence & (NOTICE_BIT | LATE_BIT):
            continue
        lost += 1
        while found < failed.count and failed.number[found] < marks.mark[i].sequence:
            found += 1
        if found == failed.count or failed.number[found] != marks.mark[i].sequence:
            fresh += 1
    failed.total += fresh
    if fresh and has_room:
        merge_marks(failed, marks, begin, fresh)
    return lost


# Counts the late records among these marks as failed, one by one, because they are few.
cdef inline uint64_t fail_late_marks(Engine* engine, const Marks* marks, uint32_t first) noexcept nogil:
    cdef uint64_t lost = 0
    cdef uint32_t i
    for i in range(first, marks.last):
        if marks.mark[i].sequence & LATE_BIT and not marks.mark[i].sequence & NOTICE_BIT:
            engine_fail(engine, marks.mark[i].sequence)
            lost += 1
    return lost


# Merges from the end of the list, where the room is. The marks and the list are both in ascending order.
cdef inline void merge_marks(Failed* failed, const Marks* marks, uint32_t begin, uint32_t fresh) noexcept nogil:
    cdef uint32_t i = marks.last
    cdef uint32_t found = failed.count
    cdef uint32_t to = found + fresh
    cdef uint64_t sequence
    failed.count = to
    while to > found:
        i -= 1
        sequence = marks.mark[i].sequence
        if sequence & (NOTICE_BIT | LATE_BIT):
            continue
        while found > begin and failed.number[found - 1] > sequence:
            found -= 1
            to -= 1
            failed.number[to] = failed.number[found]
        if found == begin or failed.number[found - 1] != sequence:
            to -= 1
            failed.number[to] = sequence
