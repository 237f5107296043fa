"""The class of control/sink_handle.pxi; included by logly/_core.pxd."""

from libc.stdint cimport int64_t, uint64_t

from logly.flusher.sink cimport Sink


cdef class SinkHandle:
    cdef Core core
    cdef readonly int id
    cdef Sink* sink              # from `register` to `remove`
    cdef LayoutProgram layout    # what the C structure points into
    cdef EventCount wake         # of a batch sink: its thread sleeps there
    cdef bytes batch             # of a batch sink: the taken one, see flusher/batches.pxd

    cdef void link(self, Sink* sink, bytes path) noexcept
    cdef uint64_t unlink(self, Sink* sink) noexcept
    cdef const char* use_file(self, Sink* sink, int fd, int lock_fd, const char* name, int64_t torn_size) noexcept
    cdef void write_soon(self, Sink* sink) noexcept
