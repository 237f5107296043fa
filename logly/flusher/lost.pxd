"""Lines that a sink gives up: each of their records counts as failed once, however many sinks give it up."""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, malloc

from logly.flusher.failed cimport MOST_RUNS, Failed, Run, failed_place, failed_prune
from logly.flusher.marks cimport LATE_BIT, NOTICE_BIT, Marks
from logly.flusher.state cimport Engine, engine_fail, engine_position


# Counts all records of these marks as failed, and returns how many there are. Several sinks may discard long backlogs, of the
# same records or of others. So the marks are merged into the runs of failed records in one step. (Inserted one by one,
# 160,000 lines of two sinks took 5 seconds.)
cdef inline uint64_t fail_marks(Engine* engine, const Marks* marks, bint skip_first) noexcept nogil:
    cdef uint32_t first = marks.first + skip_first
    cdef uint32_t last = marks.last
    cdef uint32_t i
    cdef bint is_merged
    cdef uint64_t lost = 0
    cdef Failed* failed = &engine.books.failed
    lost = fail_late_marks(engine, marks, first)
    while first < last and marks.mark[first].sequence & (NOTICE_BIT | LATE_BIT):
        first += 1
    if first >= last:
        return lost
    failed_prune(failed, min(engine_position(engine), marks.mark[first].sequence))
    # Behind all runs, or all but a few, adding a number moves next to nothing.
    is_merged = failed.count - failed_place(failed, marks.mark[first].sequence) > 8 and merge_marks(failed, marks, first)
    for i in range(first, last):
        if marks.mark[i].sequence & (NOTICE_BIT | LATE_BIT):
            continue
        lost += 1
        if not is_merged:
            engine_fail(engine, marks.mark[i].sequence)
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


# Appends a run to ascending ones. Returns how many these are then.
cdef inline uint32_t append_run(Run* runs, uint32_t count, uint64_t first, uint64_t after) noexcept nogil:
    if count and runs[count - 1].after >= first:
        runs[count - 1].after = max(runs[count - 1].after, after)
        return count
    runs[count].first = first
    runs[count].after = after
    return count + 1


# Merges the runs and the marks from `first` on, both in ascending order. Returns False when there is no memory for the result, or
# when it may be too large.
cdef inline bint merge_marks(Failed* failed, const Marks* marks, uint32_t first) noexcept nogil:
    cdef uint64_t most = <uint64_t> failed.count + (marks.last - first)
    cdef uint64_t sequence, kept = 0
    cdef uint32_t count = 0, i = first, found = 0
    cdef Run* runs
    runs = <Run*> malloc(most * sizeof(Run)) if most <= MOST_RUNS else NULL
    if runs == NULL:
        return False
    while found < failed.count or i < marks.last:
        if i < marks.last and marks.mark[i].sequence & (NOTICE_BIT | LATE_BIT):
            i += 1
        elif found == failed.count or (i < marks.last and marks.mark[i].sequence < failed.run[found].first):
            sequence = marks.mark[i].sequence
            count = append_run(runs, count, sequence, sequence + 1)
            i += 1
        else:
            count = append_run(runs, count, failed.run[found].first, failed.run[found].after)
            found += 1
    for i in range(count):
        kept += runs[i].after - runs[i].first
    if failed.run != failed.few:
        free(failed.run)
    failed.total += kept - failed.kept
    failed.kept = kept
    failed.run = runs
    failed.count = count
    failed.capacity = <uint32_t> most
    return True
