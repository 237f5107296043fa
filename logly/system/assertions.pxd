"""Assertions of the data path: what must hold there. Only the debug build (`LOGLY_BUILD=debug`, `dev.py debug`) checks them.

A statement that does not hold ends the process, which prints the statement's text and line. Other builds have -DNDEBUG, from
Python's own flags: the compiler removes the check, so a statement must have no side effect. Write one comparison per
assertion: Cython evaluates `and`, `or` and anything that may raise before the call, and that in every build.
"""

cdef extern from * nogil:
    """
    #include <cassert>
    """
    void assert_that "assert"(bint statement)
