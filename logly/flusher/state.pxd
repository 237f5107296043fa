"""What producers and the flusher of one logger share: the engine's state, its lock, waking the flusher, the books.

The n-th record taken from the rings has the sequence number n. A sink knows which numbers its buffer holds, so "written"
is the position that every sink has passed, and a record that several sinks failed is counted once.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memmove, memset

from logly.flusher.route_cache cimport RouteRoom, Routes
from logly.flusher.rules cimport Rules
from logly.flusher.sink cimport Sink, sink_oldest
from logly.flusher.undecided cimport Undecided, undecided_free
from logly.layout.field_names cimport index_free
from logly.layout.line cimport MAX_LEVELS, Level, Site
from logly.layout.logger_names cimport NameTable
from logly.layout.message cimport Program
from logly.layout.trace cimport Place
from logly.ring.gate cimport DROP_REASONS, Gate, Intake, Traffic, intake_wake
from logly.ring.leases cimport FREE_THREADED
from logly.ring.merge cimport Merge, merge_free
from logly.ring.record cimport FieldIndex
from logly.ring.ring cimport NO_MARK, Ring
from logly.spool.format cimport Spool
from logly.system.atomic cimport load_relaxed
from logly.system.clock cimport ClockCalibration, calibration_init, clock_monotonic_ns
from logly.system.event cimport Event, event_init, event_prepare, event_signal, event_wait, wait_ns
from logly.system.fd cimport process_id
from logly.system.lock cimport Lock, lock_init, lock_release, lock_take, lock_try
from logly.text.buffer cimport Buffer, Text, buffer_free

cdef enum:
    RELEASE_BYTES = 65536      # consumed bytes after which blocked producers get room
    KEPT_BYTES = 1 << 20       # of a buffer for one message, between two messages
    SOON_NS = 50000
    LEAST_SLEEP_NS = 200000    # of a flusher that keeps pace with its producers
    TURN_NS = 10000000         # how long the flusher leaves the lock to a thread that waits for it, and for the GIL
    RETRY_BLOCKED_NS = 10000000
    RETRY_FAILED_NS = 50000000
    LOOK_NS = 1000000000       # how often files are looked at that others may change
    TELL_NS = 1000000000       # the same error is reported once in this time

cdef enum PassStatus:
    PASS_MORE = 1              # there is work now
    PASS_PYTHON = 2            # a sink wants Python
    PASS_HELD = 4              # something is left that cannot be written yet
    PASS_SOON = 8              # there is work in some microseconds (ring/merge.pxd)

cdef enum RunStatus:
    RUN_STOPPED = 0
    RUN_PYTHON = 1


# The parts of an engine, grouped by how long their contents last. `engine_begin` resets each part that a forked child must not
# take over from its parent. Each new field belongs into one of them, so that it is reset with it.

cdef struct Requests:          # what other threads ask of the flusher
    uint32_t stop
    uint32_t abandon           # the flusher is to wait for the end of the process, and `is_parked` says that it does
    uint32_t is_parked
    uint32_t python            # the flusher is to return to Python, for a report for example
    int64_t hold_until_ns      # until then (monotonic) nothing is taken from the rings: dead processes' records come first
    uint64_t flush             # number of the latest flush that was asked for
    uint64_t flush_done        # number of the latest flush that is done
    Event done                 # signalled when a flush is done


cdef struct Flush:             # the flush that is being served
    uint64_t request
    uint64_t mark              # it is done when every sink is past this record
    uint64_t ticks             # free-threaded builds: when it was requested; the mark is set when the rings are drained past that


cdef struct Pace:              # of the flusher's passes
    int64_t now_ns             # monotonic, as the pass began
    int64_t sleep_ns           # how long it may sleep after it
    int64_t drained_ns         # when the rings were last empty: what is taken from them now was logged later
    uint64_t settled_ticks     # up to here everything has been taken from the rings
    uint64_t waiting_bytes     # most that a ring held when the pass began
    bint gives_way             # this is the flusher's own pass, which ends early when another thread waits for the lock


cdef struct Books:
    uint64_t drained           # records taken from rings: the sequence number of the next one
    uint64_t* failed           # sequence numbers of the failed records that some sink has not passed yet
    uint32_t failed_count
    uint32_t failed_capacity
    uint64_t failed_total
    uint64_t refused           # records that no sink wanted
    Undecided undecided        # records of which only filters want to know
    uint64_t past_committed    # records committed to rings that are gone
    uint64_t past_high_water
    uint64_t told_dropped[DROP_REASONS]


cdef struct SetAside:          # records for which the thread that does the flusher's work found no room in its ring
    Buffer records
    size_t start               # records before this offset have been taken


cdef struct Workspace:         # memory that the flusher keeps from record to record
    ClockCalibration calibration
    Buffer scratch
    Buffer message
    FieldIndex index           # of the record that is being rendered
    Merge merge


cdef struct Sync:              # of spools that are to survive the loss of power
    int64_t interval_ns        # how often they are made durable; 0: no spool ever had to be
    int64_t wait_ns            # until the next time
    int error                  # errno of a failed sync that has not been reported yet


cdef struct LevelFile:         # see flusher/level_watch.pxd
    char* path                 # NULL: there is none; owned
    uint64_t state[6]          # as `path_state` found it
    int64_t look_due_ns
    bint has_changed           # Python is to read it


cdef struct Levels:
    Level level[MAX_LEVELS]
    uint32_t count
    uint32_t versions
    bint are_renumbered        # some level had another number before, which records may still have


cdef struct Engine:
    # the callers'
    Gate gate                  # of the logger's own name
    Intake intake
    # other threads'
    Requests requests
    Lock lock                  # held for one pass
    Event lock_passed          # signalled when a thread that waited for the lock has got it
    char apart[128]
    # the flusher's, under `lock`
    Ring* rings                # every ring that may hold records
    Sink* sinks
    Spool* spool               # the spool whose ring is being consumed, or NULL
    bint spooled               # rings are consumed one after the other, oldest first
    Workspace workspace
    SetAside set_aside
    Pace pace
    Flush flush
    Books books
    Sync sync
    int64_t interval_ns        # a line waits no longer than that
    Text name                  # the logger's own
    bint is_named              # it was given, and is not the default
    const NameTable* names     # of its loggers' other names
    const NameTable* served    # ServedName by number: see flusher/served.pxd; NULL: none
    Levels levels
    LevelFile level_file
    Engine* next_unended       # control/process_end.pxi
    Program** programs         # by id; the core's registries
    Site** sites
    Place** places             # entries of tracebacks
    Rules rules                # the logger's: from which level on, by name
    RouteRoom room
    Routes routes


# Called under the lock when sinks were added or removed, or want other records than before.
cdef inline void engine_reroute(Engine* engine) noexcept nogil:
    engine.routes.valid_until = 0


# Called for a new engine, and for each engine in a forked child, where requests, counts and records set aside are the parent's.
cdef inline void engine_begin(Engine* engine) noexcept nogil:
    memset(&engine.intake.traffic, 0, sizeof(Traffic))
    memset(&engine.requests, 0, sizeof(Requests))
    memset(&engine.set_aside, 0, sizeof(SetAside))
    memset(&engine.pace, 0, sizeof(Pace))
    memset(&engine.flush, 0, sizeof(Flush))
    memset(&engine.books, 0, sizeof(Books))
    engine_reroute(engine)
    event_init(&engine.intake.traffic.wake)
    event_init(&engine.intake.traffic.space)
    event_init(&engine.requests.done)
    event_init(&engine.lock_passed)
    lock_init(&engine.lock)
    lock_init(&engine.intake.ring_lock)
    engine.intake.process = process_id()
    engine.pace.now_ns = engine.pace.drained_ns = clock_monotonic_ns()


# Frees the memory that `engine_begin` would forget.
cdef inline void engine_free_memory(Engine* engine) noexcept nogil:
    free(engine.books.failed)
    undecided_free(&engine.books.undecided)
    buffer_free(&engine.set_aside.records)


cdef inline void workspace_begin(Workspace* workspace) noexcept nogil:
    memset(workspace, 0, sizeof(Workspace))
    calibration_init(&workspace.calibration)


cdef inline void workspace_free(Workspace* workspace) noexcept nogil:
    merge_free(&workspace.merge)
    buffer_free(&workspace.scratch)
    buffer_free(&workspace.message)
    index_free(&workspace.index)


# ---- looks at files

# True once a second, for a look that is due at `due_ns`. The flusher sleeps no longer than until the next one.
cdef inline bint look_is_due(Engine* engine, int64_t* due_ns) noexcept nogil:
    cdef bint is_due = engine.pace.now_ns >= due_ns[0]
    if is_due:
        due_ns[0] = engine.pace.now_ns + LOOK_NS
    if due_ns[0] - engine.pace.now_ns < engine.pace.sleep_ns:
        engine.pace.sleep_ns = due_ns[0] - engine.pace.now_ns
    return is_due


# ---- the lock: held for one pass; never waited for with the GIL, never held while waiting for the GIL

cdef inline void engine_lock(Engine* engine) noexcept nogil:
    if lock_take(&engine.lock):
        event_signal(&engine.lock_passed)


cdef inline void engine_unlock(Engine* engine) noexcept nogil:
    lock_release(&engine.lock)


# Between two passes of a busy flusher the lock is free for an instant only, and a thread that is woken for it comes too late
# every time. So the flusher waits until that thread has had the lock.
cdef inline void engine_give_way(Engine* engine) noexcept nogil:
    cdef uint32_t ticket
    if load_relaxed(&engine.lock.waiters) == 0:
        return
    ticket = event_prepare(&engine.lock_passed)
    if load_relaxed(&engine.lock.waiters):
        event_wait(&engine.lock_passed, ticket, TURN_NS)


# ---- books

# Every record below this sequence number has left every sink.
cdef inline uint64_t engine_position(Engine* engine) noexcept nogil:
    cdef uint64_t position = engine.books.drained
    cdef uint64_t oldest
    cdef Sink* sink = engine.sinks
    while sink != NULL:
        oldest = sink_oldest(sink, position)
        if oldest < position:
            position = oldest
        sink = sink.next
    return position


# Failed records that every sink has passed need not be remembered by number.
cdef inline void engine_prune_failed(Engine* engine, uint64_t position) noexcept nogil:
    cdef uint32_t below = 0
    if engine.books.failed_count == 0:
        return
    while below < engine.books.failed_count and engine.books.failed[below] < position:
        below += 1
    if below:
        engine.books.failed_count -= below
        memmove(engine.books.failed, engine.books.failed + below, 8 * <size_t> engine.books.failed_count)


# Makes room for `more` failed records, of which `sequence` is the first. Returns False when there is no memory.
cdef inline bint failed_reserve(Engine* engine, uint32_t more, uint64_t sequence) noexcept nogil:
    cdef uint64_t* grown
    cdef uint64_t position
    cdef uint32_t capacity
    if engine.books.failed_capacity - engine.books.failed_count >= more:
        return True
    # Pruned here too, because the list would grow for ever where nobody asks for the counts and a disk stays full.
    position = engine_position(engine)
    engine_prune_failed(engine, position if position < sequence else sequence)
    if engine.books.failed_capacity - engine.books.failed_count >= more:
        return True
    capacity = engine.books.failed_capacity * 2 + 64 + more
    grown = <uint64_t*> realloc(engine.books.failed, 8 * <size_t> capacity)
    if grown == NULL:
        return False
    engine.books.failed = grown
    engine.books.failed_capacity = capacity
    return True


# Returns the index of the first failed record whose number is not below `sequence`.
cdef inline uint32_t failed_place(const Engine* engine, uint64_t sequence) noexcept nogil:
    cdef uint32_t low = 0
    cdef uint32_t high = engine.books.failed_count
    cdef uint32_t middle
    if high == 0 or engine.books.failed[high - 1] < sequence:
        return high
    while low < high:
        middle = low + (high - low) // 2
        if engine.books.failed[middle] < sequence:
            low = middle + 1
        else:
            high = middle
    return low


cdef inline void engine_fail(Engine* engine, uint64_t sequence) noexcept nogil:
    cdef uint32_t i
    cdef bint has_room = failed_reserve(engine, 1, sequence)
    i = failed_place(engine, sequence)
    if i < engine.books.failed_count and engine.books.failed[i] == sequence:
        return
    engine.books.failed_total += 1
    if not has_room:
        return
    memmove(engine.books.failed + i + 1, engine.books.failed + i, 8 * <size_t> (engine.books.failed_count - i))
    engine.books.failed[i] = sequence
    engine.books.failed_count += 1


cdef inline uint64_t engine_written(Engine* engine) noexcept nogil:
    cdef uint64_t position = engine_position(engine)
    engine_prune_failed(engine, position)
    return position - (engine.books.failed_total - engine.books.failed_count)


cdef inline uint64_t engine_committed(const Engine* engine) noexcept nogil:
    cdef uint64_t total = engine.books.past_committed
    cdef const Ring* ring = engine.rings
    while ring != NULL:
        total += load_relaxed(&ring.committed)
        ring = ring.next
    return total


# ---- what the registry asks

# True when no record is left of those that there were when `mark` was set. The mark is set here, if it is not yet: without a GIL
# that must wait for a moment at which the rings are empty, because they are read in the order of time. Called with the GIL, so it
# does not wait for the lock. A flusher that sleeps is woken, because its interval may be long.
cdef inline bint engine_has_passed(Engine* engine, uint64_t* mark) noexcept nogil:
    cdef Sink* sink
    cdef bint passed
    if not lock_try(&engine.lock):
        return False
    if mark[0] == NO_MARK:
        if not FREE_THREADED:
            mark[0] = engine_committed(engine)
        elif engine_committed(engine) == engine.books.drained:
            mark[0] = engine.books.drained
    passed = engine.books.drained >= mark[0]
    sink = engine.sinks
    while sink != NULL:
        if sink.staging.marks.first != sink.staging.marks.last:
            passed = passed and sink.staging.marks.mark[sink.staging.marks.first].sequence >= mark[0]
        sink = sink.next
    engine_unlock(engine)
    if not passed:
        intake_wake(&engine.intake)
    return passed
