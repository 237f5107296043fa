"""The class of control/sink_handle.pxi; included by logly/_core.pxd."""

from libc.stdint cimport int64_t

from logly.flusher.sink cimport Sink


cdef class SinkHandle:
    cdef Core core
    cdef readonly int id
    cdef Sink* sink              # from `register` to `remove`
    cdef LayoutProgram layout    # what the C structure points into

    cdef void link(self, Sink* sink, bytes path) noexcept
    cdef void unlink(self, Sink* sink) noexcept
    cdef const char* use_file(self, Sink* sink, int fd, int lock_fd, const char* name, int64_t torn_size) noexcept
    cdef void write_soon(self, Sink* sink) noexcept
