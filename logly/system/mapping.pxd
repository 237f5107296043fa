"""A part of a file as memory, by mmap(2), or memory of one's own in its place.

A mapping needs no descriptor once it is made. Python's `mmap` module keeps a copy of the descriptor and closes it by number at
the end. A program that becomes a daemon closes all descriptors, and that number may be one of its own files by then.

A mapping is no Python object, so that the collector cannot end it while compiled code still uses the memory.
"""

from libc.stdint cimport uint64_t

from logly.system.atomic cimport compare_exchange

cdef extern from * nogil:
    """
    #ifndef LOGLY_MAPPING
    #define LOGLY_MAPPING
    #include <cerrno>
    #include <cstddef>
    #include <cstdint>
    enum { MAPPED_SHARED = 0, MAPPED_COPY = 1, MAPPED_MEMORY = 2 };
    #ifdef _WIN32
    // Nothing is mapped on Windows, which has no spools.
    static inline int map_begin(char** start, uint64_t, int, uint64_t, int) { *start = NULL; return ENOSYS; }
    static inline void map_end(char*, uint64_t) {}
    #else
    #include <fcntl.h>
    #include <sys/mman.h>
    static inline int map_begin(char** start, uint64_t size, int fd, uint64_t offset, int kind) {
        const int flags = kind == MAPPED_SHARED ? MAP_SHARED : kind == MAPPED_COPY ? MAP_PRIVATE : MAP_PRIVATE | MAP_ANON;
    #ifdef __APPLE__
        // As CPython's mmap does: using the pages of a new file that had not reached the disk was a SIGBUS there.
        if (kind != MAPPED_MEMORY) fcntl(fd, F_FULLFSYNC);
    #endif
        void* const made = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, kind == MAPPED_MEMORY ? -1 : fd, (off_t)offset);
        *start = made == MAP_FAILED ? NULL : static_cast<char*>(made);
        return made == MAP_FAILED ? errno : 0;
    }
    static inline void map_end(char* start, uint64_t size) { munmap(start, size); }
    #endif
    #endif
    """
    enum:
        MAPPED_SHARED    # reads and writes the file, as every process does that maps it so
        MAPPED_COPY      # what is written stays in this process
        MAPPED_MEMORY    # of no file; zeros
    int map_begin(char** start, uint64_t size, int fd, uint64_t offset, int kind) noexcept
    void map_end(char* start, uint64_t size) noexcept


cdef struct Mapping:
    char* start
    uint64_t size                # 0: nothing is mapped


# Maps `size` bytes, from an offset that is a multiple of the system's page size. Returns 0 or an errno. A file that is shorter
# can be mapped too, and using what lies behind its end is a SIGBUS: the caller has compared the sizes.
cdef inline int mapping_begin(Mapping* mapping, int fd, uint64_t offset, uint64_t size, int kind) noexcept nogil:
    cdef int error = map_begin(&mapping.start, size, fd, offset, kind)
    mapping.size = 0 if error else size
    return error


# Ends a mapping. In a forked child this is the child's own only. Of several threads that end it, one does: after that the
# addresses may belong to something else.
cdef inline void mapping_end(Mapping* mapping) noexcept nogil:
    cdef char* start = mapping.start
    cdef uint64_t size = mapping.size
    if size and compare_exchange(&mapping.size, size, 0):
        mapping.start = NULL
        map_end(start, size)
