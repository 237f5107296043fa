# Fork. The child must get every engine between two passes: no lock taken, no buffer half changed, nobody in the C library's
# localtime_r, whose lock a fork does not reset. So the forking thread holds every engine's lock from before the fork to
# after it; in the child, rings and buffers are emptied, for what they hold is the parent's, who will write it.
#
# All of it is compiled, so that no signal handler runs and no Ctrl-C is raised inside. What runs between the hooks (other
# libraries' hooks, signal handlers) may log: the forking thread may take its locks again; and the child's engines are reset
# inside fork() itself (`begin_child`), so that what such code logs there is the child's, and no byte of it goes into the
# parent's spool.

cdef extern from *:
    """
    #ifdef _WIN32
    static int logly_at_fork(void (*child)(void)) { return 0; }
    #else
    #include <pthread.h>
    static int logly_at_fork(void (*child)(void)) { return pthread_atfork(NULL, NULL, child); }
    #endif
    """
    int call_in_forked_children "logly_at_fork"(void (*child)() noexcept) noexcept

cdef enum:
    # How long all flushers together may keep a fork waiting: one that is stuck in a write does not stop it.
    FORK_PATIENCE_NS = 1000000000
    # Of the ring for what a child logs before its spool can be made.
    INTERIM_BYTES = 1 << 16

cdef struct Forked:
    PyObject* core                   # kept by `forked_cores`
    bint is_quiet                    # its flusher is at rest
    uint32_t post

cdef list all_cores = []             # weak references
cdef list forking_cores = []         # whose locks the fork that is under way holds
cdef list forked_cores = []          # all that were there when it began
cdef Forked* forked = NULL           # the same, for `begin_child`
cdef uint32_t forked_count = 0
cdef bint has_begun = False          # this is a child, `begin_child` has reset its engines, and its hook has not run yet
cdef uint32_t fork_lock = 0          # one fork at a time, for two could wait for each other's engines
cdef uint64_t forking_thread = 0
cdef int fork_depth = 0              # a signal handler can fork between the hooks of another fork


cdef remember_core(Core core):
    with registry_lock:
        all_cores[:] = [known for known in all_cores if known() is not None]
        all_cores.append(weakref(core))


cdef list living_cores():
    return [core for core in [known() for known in list(all_cores)] if core is not None]


cdef bint take_fork_lock(int64_t deadline) noexcept:
    while exchange32(&fork_lock, 1):
        if clock_monotonic_ns() > deadline:
            return False
        with nogil:
            wait_ns(1000000)
    return True


def before_fork():
    """Brings every flusher to rest between two passes. One that does not come to rest in time is left alone."""
    global forking_thread, fork_depth, forked, forked_count, has_begun
    cdef Core core
    cdef Forked* room
    cdef int64_t deadline = clock_monotonic_ns() + FORK_PATIENCE_NS
    if forking_thread == PyThread_get_thread_ident():
        fork_depth += 1
        return
    if not take_fork_lock(deadline + FORK_PATIENCE_NS):
        return
    forking_thread = PyThread_get_thread_ident()
    fork_depth = 1
    has_begun = False
    forked_cores[:] = living_cores()
    room = <Forked*> realloc(forked, (len(forked_cores) + 1) * sizeof(Forked))
    forked_count = 0
    for core in forked_cores:
        is_quiet = core.lock_until(deadline)
        if is_quiet:
            forking_cores.append(core)
        if room != NULL:
            room[forked_count].core = <PyObject*> core
            room[forked_count].is_quiet = is_quiet
            forked_count += 1
    if room != NULL:
        forked = room


def after_fork_in_parent():
    """The flushers go on."""
    global forking_thread, fork_depth
    cdef Core core
    if forking_thread != PyThread_get_thread_ident():
        return
    fork_depth -= 1
    if fork_depth:
        return
    for core in forking_cores:
        core.unlock()
    end_fork()


cdef end_fork():
    global forking_thread, forked_count
    forking_cores.clear()
    forked_cores.clear()
    forked_count = 0
    forking_thread = 0
    store_release32(&fork_lock, 0)


def after_fork_in_child():
    """No flusher, no lock taken; rings and buffers without what is the parent's."""
    global fork_depth, registry_lock, has_begun
    cdef Core core
    cdef uint32_t i
    # A thread that is not there any more may have it.
    registry_lock = RLock()
    if has_begun:
        for i in range(forked_count):
            (<Core> forked[i].core).engine.post = forked[i].post
    for core in living_cores():
        # Not what `begin_child` has reset, nor what a hook has made here.
        if core.engine.process != process_id():
            reset_core(core, core in forking_cores)
        core.errors.clear()
    has_begun = False
    fork_depth = 0
    end_fork()


cdef void begin_child() noexcept:
    """Runs inside fork(), in the child: no Python code, and no memory of the parent's that is mapped."""
    global has_begun
    cdef Core core
    cdef Ring* ring
    cdef uint32_t i
    if forking_thread != PyThread_get_thread_ident():
        return  # not Python's fork, but some other thread's
    for i in range(forked_count):
        core = <Core> forked[i].core
        if core.engine.ring != NULL and (core.engine.ring.spool != NULL or core.engine.ring == core.stand_in):
            ring = ring_new(INTERIM_BYTES, 0)
            if ring == NULL:
                return  # the hook does it all
            let_go_of_spools(core, True)
            link_ring(core.engine, ring)
            core.engine.ring = core.interim = ring
        else:
            let_go_of_spools(core, True)
        reset_core(core, forked[i].is_quiet)
        # What follows a commit is for later: threads cannot be started yet.
        if not has_begun:  # else a hook in the child has forked again
            forked[i].post = core.engine.post
        core.engine.post = 0
    has_begun = True


call_in_forked_children(begin_child)


cdef void reset_core(Core core, bint is_quiet) noexcept:
    """`is_quiet`: the flusher was at rest. If not, what it may have been changing is left to the parent and made new."""
    cdef Engine* engine = core.engine
    cdef Sink* sink = engine.sinks
    init_events(engine)
    engine.asleep = 0
    engine.wake_wanted = 0
    engine.python_wanted = 0
    engine.needs &= ~<uint32_t> NEED_CARE
    engine.stop = 0
    engine.waiters = 0
    engine.flush_requested = 0
    engine.flush_done = 0
    engine.flush_active = 0
    engine.shares = FREE_THREADED and engine.ring != NULL
    engine.process = process_id()
    if not is_quiet:
        forget_flushers_memory(engine)
    reset_books(engine, is_quiet)
    while sink != NULL:
        reset_sink(sink)
        sink = sink.next
    core.holder = 0
    core.holds = 0
    core.flusher_ident = 0
    core.has_flusher = 0
    core.drainer = 0
    core.inside = 0
    core.failed_format_count = 0
    core.blocked = 0
    core.lives += 1


cdef void forget_flushers_memory(Engine* engine) noexcept:
    """Leaks it, once per child: it may have been copied in the middle of a realloc."""
    cdef Sink* sink = engine.sinks
    buffer_init(&engine.scratch)
    buffer_init(&engine.message)
    buffer_init(&engine.aside)
    engine.failed = NULL
    engine.failed_capacity = 0
    calibration_init(&engine.calibration)
    memset(&engine.merge, 0, sizeof(Merge))
    while sink != NULL:
        buffer_init(&sink.out)
        buffer_init(&sink.staged)
        memset(&sink.marks, 0, sizeof(Marks))
        memset(&sink.staged_marks, 0, sizeof(Marks))
        memset(&sink.told, 0, sizeof(Marks))
        sink.route = NULL
        sink.route_size = 0
        sink = sink.next


cdef void reset_books(Engine* engine, bint is_quiet) noexcept:
    cdef Ring* other = engine.rings
    engine.drained = 0
    engine.failed_count = 0
    engine.failed_total = 0
    engine.past_committed = 0
    engine.dropped = 0
    engine.past_high_water = 0
    engine.told_dropped = 0
    buffer_free(&engine.aside)
    engine.aside_start = 0
    while other != NULL:
        # Blocks on the heap are this process's own copies now.
        other.cached_head = load_acquire(&other.positions.head)
        if is_quiet:
            free_ring_records(other)
        other.tail = other.cached_head
        ring_release(other)
        other.head = other.tail
        other.cached_tail = other.tail
        other.committed = 0
        other.stalled_tail = NOT_STALLED
        other.in_flight = NOT_IN_FLIGHT
        # A ring of a thread that is not here any more.
        if other.lease != NULL and not lease_is_over(other.lease) and not lease_is_mine(other.lease):
            lease_bury(other.lease)
        other.heap_bytes_in = 0
        other.heap_bytes_out = 0
        other.high_water = 0
        other = other.next
