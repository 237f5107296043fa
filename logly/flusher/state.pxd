"""What producers and the flusher of one logger share: the engine's state, its lock, waking the flusher, the books.

The n-th record taken from the rings has the sequence number n. A sink knows which numbers its buffer holds, so "written"
is the position that every sink has passed, and a record that several sinks failed is counted once.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memset

from logly.flusher.failed cimport Failed, failed_add, failed_free, failed_is_full, failed_prune, failed_spared
from logly.flusher.marks cimport LATE_BIT, NOTICE_BIT
from logly.flusher.route_cache cimport RouteRoom, Routes
from logly.flusher.rules cimport Rules
from logly.flusher.sink cimport TARGET_BATCH, Sink, sink_oldest
from logly.flusher.undecided cimport Undecided, undecided_free
from logly.layout.field_names cimport index_free
from logly.layout.line cimport MAX_LEVELS, Level, Site
from logly.layout.logger_names cimport NameTable
from logly.layout.message cimport Program
from logly.layout.redaction_rules cimport Redaction
from logly.layout.trace cimport Place
from logly.ring.gate cimport DROP_REASONS, Gate, Intake, Traffic, intake_wake
from logly.ring.leases cimport FREE_THREADED
from logly.ring.merge cimport Merge, merge_free
from logly.ring.record cimport FieldIndex, Value
from logly.ring.recorder cimport Recorder, RecorderState, recorder_begin, recorder_free_blocks, recorder_head
from logly.ring.ring cimport NO_MARK, ReadMark, Ring
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
    DUMP_COUNTS = 16           # how many requests for a dump may be answered late

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
    int64_t batches_until_ns   # until then (monotonic) a flush goes on with batch sinks that may succeed by then
    int64_t hold_until_ns      # until then (monotonic) nothing is taken from the rings: dead processes' records come first
    uint64_t flush             # number of the latest flush that was asked for
    uint64_t flush_done        # number of the latest flush that is done
    Event done                 # signalled when a flush is done


cdef struct Flush:             # the flush that is being served
    uint64_t request
    int64_t begun_ns           # monotonic
    uint64_t mark              # it is done when every sink is past this record,
    uint64_t late              # and past this late one,
    uint64_t kept              # and so many of those for the flight recorder have been taken from the rings
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
    Failed failed              # sequence numbers
    Failed late_failed         # numbers of records that dumps of the flight recorder have given to the sinks
    uint64_t refused           # records that no sink wanted
    Undecided undecided        # records of which only filters want to know
    uint64_t past_committed    # records committed to rings that are gone
    uint64_t past_kept         # the same of those for the flight recorder
    uint64_t kept_drained      # records for the flight recorder that were taken from rings
    uint64_t past_high_water
    uint64_t told_dropped[DROP_REASONS]


cdef struct Dump:              # of the flight recorder: see flusher/dump.pxd
    int32_t watch              # a record at or above it is looked at before it is delivered
    bint is_on                 # it has begun, and not all is delivered
    uint64_t at                # position of the next entry to look at
    uint64_t before            # its entries name this record, before which a successor writes them
    int64_t logged_ns          # time of what it was begun for: it decides rotation
    uint64_t serial            # tells dumps apart
    uint64_t delivered         # late records below this number were given to the sinks
    uint64_t from_number       # of the first late record of this process
    bint is_looked_for         # the record `looked_before` has been looked at
    uint64_t looked_before
    uint32_t heading_size      # 0: no line is to be written before its records
    char heading[400]
    # what `dump_recorder` has asked for
    bint asked
    uint64_t asked_ticks
    uint64_t requests          # how many times
    uint64_t served            # so many of them have begun
    uint64_t counts[DUMP_COUNTS]  # how many records those had, by the number of the request
    uint32_t asked_tail_size
    char asked_tail[320]
    # of a process that has died
    bint is_resumed            # the dumps that it had begun are gone on with
    bint takes_kept            # and then all that it had kept is written
    uint64_t resumed           # so many of `Spool.late_entry` are delivered


cdef struct Recording:         # settings of the flight recorder
    int32_t trigger            # a record at or above it has the kept ones written first
    Value field                # only those with the same value of this field; `data` NULL: all of them. Owned
    char* memory               # what it lies in where there is no spool; NULL: there is none. Owned
    uint64_t memory_bytes
    RecorderState memory_state
    uint64_t serial            # tells recorders apart


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
    uint32_t batch_sinks       # how many of them are batch sinks
    Spool* spool               # the spool whose ring is being consumed, or NULL
    bint spooled               # rings are consumed one after the other, oldest first
    Workspace workspace
    Recorder recorder          # the one of the ring that is being consumed
    Recording recording
    Dump dump
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
    Redaction* redaction       # NULL: nothing is hidden; the core's
    Rules rules                # the logger's: from which level on, by name
    RouteRoom room
    Routes routes


# Called under the lock when sinks were added or removed, or want other records than before.
cdef inline void engine_reroute(Engine* engine) noexcept nogil:
    engine.routes.valid_until = 0


# From now on kept records go into plain memory, where there is nothing yet.
cdef inline void recorder_in_memory(Engine* engine) noexcept nogil:
    engine.recording.serial += 1
    recorder_begin(
        &engine.recorder, &engine.recording.memory_state if engine.recording.memory != NULL else NULL, engine.recording.memory,
        engine.recording.memory_bytes,
    )
    if engine.recorder.state != NULL:
        engine.recorder.state.late = engine.dump.delivered


# Called for a new engine, and for each engine in a forked child, where requests, counts and records set aside are the parent's.
cdef inline void engine_begin(Engine* engine) noexcept nogil:
    memset(&engine.intake.traffic, 0, sizeof(Traffic))
    memset(&engine.requests, 0, sizeof(Requests))
    memset(&engine.set_aside, 0, sizeof(SetAside))
    memset(&engine.pace, 0, sizeof(Pace))
    memset(&engine.flush, 0, sizeof(Flush))
    memset(&engine.books, 0, sizeof(Books))
    memset(&engine.dump, 0, sizeof(Dump))
    engine.dump.watch = engine.recording.trigger
    # In a child: the parent's file is not even read, and what the parent keeps is the parent's.
    memset(&engine.recording.memory_state, 0, sizeof(RecorderState))
    recorder_in_memory(engine)
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
    if engine.recorder.fd < 0:
        recorder_free_blocks(&engine.recorder)
    failed_free(&engine.books.failed)
    failed_free(&engine.books.late_failed)
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

# A spool does not keep what a batch sink holds: its callers would wait for the other end of a network. Only the delivery of what
# a dead process left waits for the batches.
cdef inline bint spool_waits_for(const Engine* engine, const Sink* sink) noexcept nogil:
    return sink.target != TARGET_BATCH or (engine.spool != NULL and engine.spool.keeps_blobs)


cdef inline uint64_t position_of(const Engine* engine, bint for_spool) noexcept nogil:
    cdef uint64_t position = engine.books.drained
    cdef uint64_t oldest
    cdef const Sink* sink = engine.sinks
    while sink != NULL:
        oldest = sink_oldest(sink, position) if not for_spool or spool_waits_for(engine, sink) else position
        if oldest < position:
            position = oldest
        sink = sink.next
    return position


# Every record below this sequence number has left every sink.
cdef inline uint64_t engine_position(const Engine* engine) noexcept nogil:
    return position_of(engine, False)


# The same of the sinks that a spool waits for.
cdef inline uint64_t spool_position(const Engine* engine) noexcept nogil:
    return position_of(engine, True)


# `sequence`: of the record, or with LATE_BIT its number among the late ones.
cdef inline void engine_fail(Engine* engine, uint64_t sequence) noexcept nogil:
    cdef bint is_late = sequence & LATE_BIT != 0
    cdef Failed* failed = &engine.books.late_failed if is_late else &engine.books.failed
    sequence &= ~<uint64_t> LATE_BIT
    # Pruned here too, because the runs would grow for ever where nobody asks for the counts and a disk stays full.
    if failed_is_full(failed):
        failed_prune(failed, min(sequence, late_position(engine) if is_late else engine_position(engine)))
    failed_add(failed, sequence)


cdef inline uint64_t engine_written(Engine* engine) noexcept nogil:
    return failed_spared(&engine.books.failed, engine_position(engine))


cdef inline uint64_t late_position_of(const Engine* engine, bint for_spool) noexcept nogil:
    cdef uint64_t position = engine.dump.delivered
    cdef const Sink* sink = engine.sinks
    while sink != NULL:
        if sink.late.count and sink.late.first < position and (not for_spool or spool_waits_for(engine, sink)):
            position = sink.late.first
        sink = sink.next
    return position


# Every late record below this number has left every sink.
cdef inline uint64_t late_position(const Engine* engine) noexcept nogil:
    return late_position_of(engine, False)


# The same of the sinks that a spool waits for.
cdef inline uint64_t spool_late_position(const Engine* engine) noexcept nogil:
    return late_position_of(engine, True)


# The number of the next record that a dump makes late.
cdef inline uint64_t late_given(const Engine* engine) noexcept nogil:
    return engine.recorder.state.late if engine.recorder.state != NULL else engine.dump.delivered


# How many records a dump has written late.
cdef inline uint64_t engine_written_late(Engine* engine) noexcept nogil:
    return failed_spared(&engine.books.late_failed, late_position(engine)) - engine.dump.from_number


# Late entries of the recorder below this number need not stay in it. (With a spool, until all sinks have written them.)
cdef inline uint64_t late_is_safe(const Engine* engine) noexcept nogil:
    return engine.dump.delivered if engine.recorder.fd < 0 else spool_late_position(engine)


cdef inline uint64_t engine_committed(const Engine* engine) noexcept nogil:
    cdef uint64_t total = engine.books.past_committed
    cdef const Ring* ring = engine.rings
    while ring != NULL:
        total += load_relaxed(&ring.committed)
        ring = ring.next
    return total


# Records for the flight recorder that were ever committed.
cdef inline uint64_t engine_kept(const Engine* engine) noexcept nogil:
    cdef uint64_t total = engine.books.past_kept
    cdef const Ring* ring = engine.rings
    while ring != NULL:
        total += load_relaxed(&ring.kept)
        ring = ring.next
    return total


# ---- what the registry asks

# True when the recorder holds nothing of what it got before this mark was set.
cdef inline bint recorder_has_passed(Engine* engine, ReadMark* mark) noexcept nogil:
    if engine.books.kept_drained < mark.kept:
        return False
    if engine.recorder.state == NULL:
        return True
    if mark.entries == NO_MARK or mark.serial != engine.recording.serial:
        mark.entries = recorder_head(&engine.recorder)
        mark.serial = engine.recording.serial
    return <int64_t> (engine.recorder.state.tail - mark.entries) >= 0


# True when no record is left of those that there were when `mark` was set. The mark is set here, if it is not yet: without a GIL
# that must wait for a moment at which the rings are empty, because they are read in the order of time. Called with the GIL, so it
# does not wait for the lock. A flusher that sleeps is woken, because its interval may be long.
cdef inline bint engine_has_passed(Engine* engine, ReadMark* mark) noexcept nogil:
    cdef Sink* sink
    cdef bint passed
    if not lock_try(&engine.lock):
        return False
    if mark.sequence == NO_MARK:
        if not FREE_THREADED or (
            engine_committed(engine) == engine.books.drained and engine_kept(engine) == engine.books.kept_drained
        ):
            mark.sequence = engine_committed(engine)
            mark.kept = engine_kept(engine)
            mark.entries = NO_MARK
    passed = mark.sequence != NO_MARK and engine.books.drained >= mark.sequence and recorder_has_passed(engine, mark)
    sink = engine.sinks
    while sink != NULL:
        if sink.staging.marks.first != sink.staging.marks.last:
            passed = passed and sink.late.count == 0
            passed = passed and sink.staging.marks.mark[sink.staging.marks.first].sequence & ~NOTICE_BIT >= mark.sequence
        sink = sink.next
    engine_unlock(engine)
    if not passed:
        intake_wake(&engine.intake)
    return passed
