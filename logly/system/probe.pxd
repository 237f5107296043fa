"""Is this a build for the test suite (LOGLY_BUILD=probe)? What only tests need is left out of every other build."""

cdef extern from *:
    """
    #ifndef LOGLY_PROBE
    #define LOGLY_PROBE 0
    #endif
    """
    const bint IS_PROBE "LOGLY_PROBE"   # a constant: the compiler drops what stands behind it
