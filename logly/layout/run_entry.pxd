"""One entry of the cache in layout/kept_text.pxd."""

from libc.stdint cimport uint16_t, uint32_t, uint64_t

cdef enum:
    RUN_ENTRIES = 32
    RUN_TEXT = 96          # longer texts are not cached


cdef struct RunEntry:
    uint64_t site          # its serial; 0: none
    uint64_t thread
    uint64_t process
    uint32_t level         # its version
    uint16_t origin        # the number of the logger's name
    uint16_t size          # 0: the entry is empty
    char text[RUN_TEXT]
