"""Assertions of the data path: what must hold there, checked by the debug build alone.

A statement that does not hold ends the process with its text and line. Elsewhere (-DNDEBUG, as Python's own flags say)
the compiler sees nothing of it, so a statement must have no effect. It is one comparison: Cython works out `and`, `or` and
what may raise before the call, in every build. `LOGLY_BUILD=debug` and `dev.py debug` check them.
"""

cdef extern from * nogil:
    """
    #include <cassert>
    """
    void assert_that "assert"(bint statement)
