"""The compiled logger: what Cython code that cimports logly may use."""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint16_t, uint64_t

from logly._engine cimport Engine
from logly._layout cimport Layout, Piece
from logly._output cimport Sink
from logly._ring cimport Ring


cdef class LayoutProgram:
    cdef Layout* layout

    cdef build(self, Piece* piece, int code, str text, str spec)


cdef class FieldBlock:
    """Fields encoded once, to be copied into every record."""
    cdef bytes data
    cdef readonly dict fields
    cdef uint16_t count


cdef class Core:
    cdef Engine* engine
    cdef object __weakref__
    cdef public object on_work       # called on the flusher's thread when a sink wants Python
    cdef public object start_flusher # called once, at the first record
    cdef readonly object errors      # deque of exceptions that on_error has not been told yet
    cdef list layouts                # keeps what the sinks' C structures point into
    cdef object context              # ContextVar of contextualize(), or None
    cdef public object level_index   # name -> (number, index)
    cdef public unsigned long long failed_formats
    cdef public unsigned long long blocked_ns
    cdef unsigned long long stalled_tail
    cdef bint stalled
    cdef void* engine_block
    cdef public object level_resolver # what knows names in any case, and numbers
    cdef public bint flusher_runs
    cdef unsigned long flusher_ident
    cdef unsigned long drainer       # thread that is doing the flusher's Python work
    cdef unsigned long inside        # thread that runs a sink's Python code
    cdef uint64_t gone_bytes         # written by sinks that were removed
    cdef uint64_t gone_writes
    cdef uint64_t gone_rotations
    cdef uint64_t gone_errors

    cdef bint add_ring(self, uint64_t capacity) except -1
    cdef void lock(self) noexcept
    cdef tuple resolve_level(self, object level)
    cdef Sink* hold(self, int sink_id) except NULL
    cpdef note_failed_format(self, error)
    cpdef bint is_inside(self) except -1
    cdef bint make_room(self, Ring* ring) noexcept
    cdef bint write_here(self) except -1
    cdef bint sync_is_behind(self) noexcept
    cdef drain_until(self, int64_t deadline)


cdef class Producer:
    cdef Engine* engine
    cdef readonly Core core
    cdef FieldBlock bound
    cdef object owner                # closes the engine when the last logger on it is gone
    cdef object __weakref__
