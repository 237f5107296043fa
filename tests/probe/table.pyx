"""Test-only extension: a window onto the registry's hash table and its numbers."""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from logly.registry.numbers cimport Numbers, number_return, number_take, numbers_are_left, numbers_given
from logly.registry.table cimport Table as CTable, table_find, table_insert, table_remove, table_replace


cdef class Table:
    cdef CTable table

    def find(self, uint64_t key, uint64_t extra):
        return <uint64_t> table_find(&self.table, key, extra)

    def insert(self, uint64_t key, uint64_t extra, uint64_t value):
        return table_insert(&self.table, key, extra, <void*> value)

    def replace(self, uint64_t key, uint64_t extra, uint64_t value):
        table_replace(&self.table, key, extra, <void*> value)

    def remove(self, uint64_t key, uint64_t extra):
        table_remove(&self.table, key, extra)

    @property
    def places(self):
        return self.table.slots.mask + 1 if self.table.slots != NULL else 0


cdef class NumberPool:
    cdef Numbers numbers

    def __cinit__(self, uint32_t places):
        self.numbers.places = self.numbers.limit = places
        self.numbers.next = <uint32_t*> calloc(places, sizeof(uint32_t))
        if self.numbers.next == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.numbers.next)

    def take(self):
        return number_take(&self.numbers)

    def give_back(self, uint32_t number):
        number_return(&self.numbers, number)

    @property
    def given(self):
        return numbers_given(&self.numbers)

    @property
    def are_left(self):
        return bool(numbers_are_left(&self.numbers))
