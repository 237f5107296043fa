"""The class of control/core.pxi, and what it is made of; included by logly/_core.pxd."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from logly.flusher.sink cimport Sink, Tally
from logly.flusher.state cimport Engine
from logly.layout.logger_names cimport NameTable
from logly.registry.table cimport Table
from logly.ring.counter cimport HeldBack, LatestSite
from logly.ring.gate cimport Gate, Intake
from logly.ring.ring cimport Ring
from logly.ring.sampler cimport Sampler


cdef struct Threads:                 # which thread does what for a core; 0: none. Reset in a forked child
    uint32_t has_flusher
    uint64_t flushers                # how many flushers' threads have not ended yet
    uint64_t flusher
    void* flusher_state              # its PyThreadState
    uint64_t drainer                 # the thread that does the sinks' Python work
    uint64_t holder                  # the thread that holds the engine's lock by `lock`, which it may take again
    int holds
    uint64_t inside                  # the thread that runs a sink's function, filter or stream, or on_error
    uint8_t inside_marks             # flags of the records that it logs
    uint64_t reporting               # the thread that runs on_error
    uint64_t handlers_at_work        # code of a served handler of `logging` runs, for which callers wait as long as it takes


cdef struct Calls:
    uint64_t failed_formats
    uint64_t blocked_ns              # how long calls waited for room


cdef class Core(RecordReader):
    cdef Engine* engine
    cdef Gate* gate                  # of `engine`, and its intake: all that a log call sees of it
    cdef Intake* intake
    cdef public bytes identity       # 16 random bytes, also those of the logger's copies in other processes
    cdef public object lifeline      # weak reference to the Lifeline; None: there is none (any more)
    cdef public object on_work       # called on the flusher's thread when a sink wants Python
    cdef public object start_flusher # called once, at the first record
    cdef public object helper        # called by a thread that waits for a flush: it does what it alone can do; or None
    cdef readonly object errors      # deque of exceptions that have not been reported to on_error yet
    cdef set told                    # mistakes of log calls, with their places: see caller/call_mistakes.pxi
    cdef readonly dict sinks         # id -> its Python side, of every sink that `engine` has: changed together with it
    cdef readonly dict leaving       # the same for removed sinks that have not written all that they hold
    cdef int64_t changes             # made by `commit`
    cdef readonly object spool_base  # (name, is synced) of the spool that records go into, as configured; or None
    cdef list layouts                # keeps what the sinks' C structures point into
    cdef object context              # ContextVar of contextualize(), or None
    cdef object encoders             # Encoders: what values of the program's own classes become; or None
    cdef ContextSources sources      # of the settings that name further fields, or None
    cdef object time_source          # of the settings: function() -> ns since 1970, or None
    cdef int64_t source_error_ns     # when an error of these was last told (monotonic); 0: never
    cdef public object level_index   # name -> (number, index)
    cdef Thresholds thresholds       # which levels are on; read by `thresholds_of`
    cdef readonly LoggerName own_name # the engine's, or None where it has the default
    cdef dict names                  # text -> LoggerName, of all names that have a number; they live as long as the core
    cdef NameTable numbered
    cdef uint16_t last_name          # the highest number that a name has
    cdef NameTable served            # ServedName by number: see flusher/served.pxd
    cdef uint16_t last_served
    cdef dict served_producers       # (name, ids of sinks, own) -> Producer
    cdef Gate* unnumbered            # the gate of all names without a number
    cdef void* engine_block
    cdef public object level_resolver # function that finds a level by its name in any case, or by number
    cdef Threads threads
    cdef Calls calls
    cdef bint sinks_need_site        # else records have a site only in a spool
    cdef Tally gone                  # of sinks that were removed
    cdef bint is_over                # the flusher was stuck at exit, so nobody waits for it any more
    cdef readonly int lives          # in how many forks this object was in the child

    cdef HeldBack held_back          # by light loggers and by the sampling
    cdef Sampler* sampler            # NULL: there was no sampling yet
    cdef Table limit_table           # places of calls of `once`, `first`, `every` and `limit`: to the objects in `limit_sites`
    cdef LatestSite latest_site      # what was last found in the table
    cdef dict limit_sites            # LimitSite by (address of the code object, instruction)

    cdef Redactor redactor           # what messages that log calls make must not show, or None

    cdef public object diagnosis     # names and keys that values in tracebacks hide (`FrameValues`); None: no values

    cdef void* kept                  # list of the spools that rings point into; each is held by a reference
    cdef list spools                 # the spools of this engine that are in use
    cdef object adopted              # a dead process's spool, whose names the engine uses
    cdef public object make_ring     # called by the first record when `ring_wanted`: a forked child's own spool
    cdef uint64_t sharer             # thread that makes a spool (free-threaded builds), or made the latest
    cdef Ring* stand_in              # a full ring, in use until the real ring is made
    cdef Ring* interim               # a forked child's, until its hook has run

    cdef void begin(self) noexcept
    cdef bint set_ring_size(self, uint64_t capacity) except -1
    cdef bint use_ring(self, Ring* ring, uint64_t capacity) except -1
    cdef keep(self, file)
    cdef bint lock_until(self, int64_t deadline) noexcept
    cdef void lock(self) noexcept
    cdef void unlock(self) noexcept nogil
    cdef int pass_here(self) noexcept
    cdef tuple resolve_level(self, object level)
    cdef Sink* lock_sink(self, int sink_id) except NULL
    cdef Sink* lock_and_find_sink(self, int sink_id) noexcept
    cdef void set_needs(self, bint site, bint thread, bint thread_name) noexcept
    cdef object note_failed_format(self, error)
    cpdef bint must_not_wait(self) except -1
    cdef bint lock_patiently(self, int64_t deadline) except -1
    cdef bint ask_for_flusher(self) except -1
    cdef void report_if_possible(self, object error) noexcept
    cdef bint keep_error(self, object error) except -1
