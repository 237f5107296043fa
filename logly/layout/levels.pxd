"""The built-in levels: their numbers, and their places in the engine's table of levels.

The list is `Level` in logly/levels.py. setup.py reads it and defines a macro for each number and place, so that a log
method compares its level with a constant.
"""

cdef extern from *:
    """
    #if LOGLY_LEVELS != 8
    #error "a built-in level was added or removed: see layout/levels.pxd and the methods in caller/calls.pxi"
    #endif
    """
    enum:
        LEVEL_TRACE "LOGLY_LEVEL_TRACE"
        LEVEL_DEBUG "LOGLY_LEVEL_DEBUG"
        LEVEL_INFO "LOGLY_LEVEL_INFO"
        LEVEL_SUCCESS "LOGLY_LEVEL_SUCCESS"
        LEVEL_WARNING "LOGLY_LEVEL_WARNING"
        LEVEL_ERROR "LOGLY_LEVEL_ERROR"
        LEVEL_FAIL "LOGLY_LEVEL_FAIL"
        LEVEL_CRITICAL "LOGLY_LEVEL_CRITICAL"
    enum:
        PLACE_TRACE "LOGLY_PLACE_TRACE"
        PLACE_DEBUG "LOGLY_PLACE_DEBUG"
        PLACE_INFO "LOGLY_PLACE_INFO"
        PLACE_SUCCESS "LOGLY_PLACE_SUCCESS"
        PLACE_WARNING "LOGLY_PLACE_WARNING"
        PLACE_ERROR "LOGLY_PLACE_ERROR"
        PLACE_FAIL "LOGLY_PLACE_FAIL"
        PLACE_CRITICAL "LOGLY_PLACE_CRITICAL"
