# Writes of Python code that raise no SIGPIPE, as those of the core do (`fd_write_raw`). A program may have given the signal its
# default action back, which ends the process.

from logly.system.fd cimport fd_kind, fd_write_raw, pipe_signal_hold, pipe_signal_release


cdef class NoPipeSignal:
    """A context in which this thread's writes to a pipe without a reader fail, and raise no signal. For one use."""

    def __enter__(self):
        pipe_signal_hold(&self.held)
        return self

    def __exit__(self, kind, error, trace):
        pipe_signal_release(&self.held, True)


def write_once(int fd, bytes data):
    """Writes what the descriptor takes at once. Raises no signal and no exception. Returns bytes, or minus an errno."""
    cdef const char* start = data
    cdef Py_ssize_t size = len(data)
    cdef Py_ssize_t done
    with nogil:
        done = fd_write_raw(fd, start, size, fd_kind(fd))
    return done
