"""The numbers by which records name templates and call sites. The lowest bits of a number are a place in a table.

A place that was given back is given again under the next number for it. A spool's names are only ever appended, so the spool
never has two names under one number until a place has been given 65,536 times, or more.
"""

from libc.stdint cimport uint32_t

cdef struct Numbers:
    uint32_t places            # a power of two. Place 0 is never given: number 0 means "no name"
    uint32_t limit             # fewer than that many are given at the same time
    uint32_t begun             # the places from here on have never been given; 0 and 1: none has
    uint32_t returned
    uint32_t* next             # the `returned` numbers that are given next


# How many numbers are given.
cdef inline uint32_t numbers_given(const Numbers* numbers) noexcept nogil:
    return numbers.begun - numbers.returned - 1 if numbers.begun else 0


cdef inline bint numbers_are_left(const Numbers* numbers) noexcept nogil:
    return numbers_given(numbers) + 1 < numbers.limit


# Returns a number that nothing has, or 0 when none is left.
cdef inline uint32_t number_take(Numbers* numbers) noexcept nogil:
    if not numbers_are_left(numbers):
        return 0
    if numbers.returned:
        numbers.returned -= 1
        return numbers.next[numbers.returned]
    numbers.begun = max(numbers.begun, <uint32_t> 1) + 1
    return numbers.begun - 1


cdef inline void number_return(Numbers* numbers, uint32_t number) noexcept nogil:
    numbers.next[numbers.returned] = number + numbers.places
    numbers.returned += 1
