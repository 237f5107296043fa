# Fork. The child must get every engine between two passes: no lock taken, no buffer half changed, nobody in the C library's
# localtime_r, whose lock a fork does not reset. So the forking thread holds every engine's lock from before the fork to
# after it; in the child, rings and buffers are emptied, for what they hold is the parent's, who will write it.
#
# All of it is compiled, so that no signal handler runs and no Ctrl-C is raised inside. What runs between the hooks (other
# libraries' hooks, signal handlers) may log: the forking thread may take its locks again.

cdef enum:
    # How long all flushers together may keep a fork waiting: one that is stuck in a write does not stop it.
    FORK_PATIENCE_NS = 1000000000

cdef list all_cores = []             # weak references
cdef list forking_cores = []         # whose locks the fork that is under way holds
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
    global forking_thread, fork_depth
    cdef Core core
    cdef int64_t deadline = clock_monotonic_ns() + FORK_PATIENCE_NS
    if forking_thread == PyThread_get_thread_ident():
        fork_depth += 1
        return
    if not take_fork_lock(deadline + FORK_PATIENCE_NS):
        return
    forking_thread = PyThread_get_thread_ident()
    fork_depth = 1
    for core in living_cores():
        if core.lock_until(deadline):
            forking_cores.append(core)


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
    forking_cores.clear()
    forking_thread = 0
    store_release32(&fork_lock, 0)


def after_fork_in_child():
    """No flusher, no lock taken, empty rings and empty buffers."""
    global forking_thread, fork_depth, registry_lock
    cdef Core core
    # A thread that is not there any more may have held it.
    registry_lock = RLock()
    for core in living_cores():
        reset_core(core, core in forking_cores)
    forking_cores.clear()
    forking_thread = 0
    fork_depth = 0
    store_release32(&fork_lock, 0)


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
    core.errors.clear()


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
