"""Test-only extension: the numbers of records that sinks have discarded."""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from logly.flusher.failed cimport Failed as CFailed, failed_add, failed_free, failed_prune, failed_spared
from logly.flusher.lost cimport merge_marks
from logly.flusher.marks cimport Mark, Marks


cdef class Failed:
    cdef CFailed failed

    def __cinit__(self):
        memset(&self.failed, 0, sizeof(CFailed))

    def __dealloc__(self):
        failed_free(&self.failed)

    @property
    def total(self):
        return self.failed.total

    @property
    def runs(self):
        return [(self.failed.run[i].first, self.failed.run[i].after) for i in range(self.failed.count)]

    @property
    def kept(self):
        return self.failed.kept

    def add(self, uint64_t number):
        failed_add(&self.failed, number)

    def merge(self, list numbers):
        """Numbers in ascending order, in one step."""
        cdef Marks marks
        cdef uint32_t i
        cdef bint is_done
        memset(&marks, 0, sizeof(Marks))
        marks.mark = <Mark*> calloc(len(numbers) + 1, sizeof(Mark))
        for i in range(<uint32_t> len(numbers)):
            marks.mark[i].sequence = numbers[i]
        marks.last = <uint32_t> len(numbers)
        is_done = merge_marks(&self.failed, &marks, 0)
        free(marks.mark)
        return is_done

    def prune(self, uint64_t position):
        failed_prune(&self.failed, position)

    def spared(self, uint64_t position):
        return failed_spared(&self.failed, position)
