# What happens at a fork. The child must get every engine between two passes: no lock taken, no buffer half changed, and no thread
# in the C library's localtime_r, whose lock a fork does not reset. So the forking thread holds every engine's lock during
# fork() itself. In the child, rings and buffers are emptied, because the parent will write what they hold.
#
# Handlers that the C library calls (`pthread_atfork`) take the locks, release them, and reset the child's engines. Between these
# handlers and Python's hooks, other libraries' hooks and signal handlers run. They may log, or wait for a thread that logs.
# What they log in the child belongs to the child, and no byte of it goes into the parent's spool.

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from logly.flusher.outlet_threads cimport outlets_forget
from logly.flusher.route_cache cimport Routes
from logly.flusher.rules cimport rules_begin
from logly.flusher.sink cimport Sink, sink_begin, sink_free_memory
from logly.flusher.state cimport Engine, engine_begin, engine_free_memory, workspace_begin
from logly.layout.redaction_rules cimport redaction_begin
from logly.ring.gate cimport NEED_CARE
from logly.ring.leases cimport FREE_THREADED, lease_end_thread, lease_is_mine, lease_is_over
from logly.ring.ring cimport NOT_IN_FLIGHT, NOT_STALLED, Ring, ring_new, ring_release
from logly.system.atomic cimport fetch_add, fetch_sub, load_acquire, load_relaxed, store_relaxed
from logly.system.clock cimport clock_monotonic_ns
from logly.system.cpython cimport PyThread_get_thread_ident, Py_IncRef
from logly.system.event cimport event_signal, wait_ns
from logly.system.fd cimport process_id
from logly.system.lock cimport lock_await, lock_init, lock_release, lock_take, lock_try

# Of other included files:
#   control/core.pxi: Core
#   control/rings.pxi: detach_spools, free_ring_records, link_ring
#   registry/retired.pxi: forget_marks, is_new_child, living_readers, registry_lock
#   ring/forks.pxi: Fork, Forked, await_sections, end_fork, fork_hook_has_run, fork_of, forks, forks_holder, forks_lock,
#       is_of_side_thread, link_fork, own_fork, sections
#   system/threads.pxi: SystemLock, is_side_thread, loaded_modules

cdef extern from *:
    """
    #ifdef _WIN32
    static int logly_at_fork(void (*before)(void), void (*parent)(void), void (*child)(void)) { return 0; }
    #else
    #include <pthread.h>
    static int logly_at_fork(void (*before)(void), void (*parent)(void), void (*child)(void)) {
        return pthread_atfork(before, parent, child);
    }
    #endif
    """
    ctypedef void (*Handler)() noexcept
    int call_at_fork "logly_at_fork"(Handler before, Handler parent, Handler child) noexcept

cdef enum:
    # How long all flushers together may keep a fork waiting. A flusher that is stuck in a write does not prevent the fork.
    FORK_PATIENCE_NS = 1000000000
    # The same inside fork(), where this thread keeps the GIL. A pass takes some milliseconds.
    LOCK_PATIENCE_NS = 200000000
    # Size of the ring for what a child logs before its spool can be made.
    INTERIM_BYTES = 1 << 16


# ---- the hooks

def before_fork():
    """Takes note of all engines, and of those whose flusher does not come to rest, which are left alone.

    It also waits, but not for ever, for the Python work of their threads. Otherwise a child could find half imported modules,
    or locks taken that this work uses.
    """
    cdef Fork* fork = own_fork()
    cdef Core core
    cdef list cores
    cdef int64_t deadline = clock_monotonic_ns() + FORK_PATIENCE_NS
    if fork != NULL:
        fork.depth += 1
        return
    cores = living_readers()
    fork = <Fork*> calloc(1, sizeof(Fork))
    if fork == NULL:
        return
    fork.forked = <Forked*> calloc(len(cores) + 1, sizeof(Forked))
    if fork.forked == NULL:
        free(fork)
        return
    fork.thread = PyThread_get_thread_ident()
    fork.is_of_side_thread = is_side_thread()
    fork.depth = 1
    fork.cores = <PyObject*> cores
    Py_IncRef(fork.cores)
    with nogil:
        link_fork(fork)
    await_sections(deadline)
    for core in cores:
        await_work(core, deadline)
        fork.forked[fork.count].core = <PyObject*> core
        fork.forked[fork.count].is_stuck = not core.lock_until(deadline)
        if not fork.forked[fork.count].is_stuck:
            core.unlock()
        fork.count += 1
    await_imports(deadline)


# Modules that a call of logly's, or a thread of its own, may be the first to import. tests/house/test_lazy_imports.py compares.
cdef tuple imported_late = (
    "_json", "binascii", "bz2", "dataclasses", "datetime", "difflib", "encodings.idna", "fcntl", "gzip", "inspect", "json",
    "logly._hinted", "logly._logger", "logly._pickled", "logly.bridge.install", "logly.caller.call_place",
    "logly.caller.emergency", "logly.caller.exception_hooks", "logly.caller.frame_values", "logly.caller.guards",
    "logly.caller.limit_rules", "logly.caller.tracebacks", "logly.caller.value_classes", "logly.config.changes",
    "logly.config.environment", "logly.config.hints", "logly.config.schema", "logly.config.socket_address",
    "logly.config.taken", "logly.config.toml", "logly.config.zones", "logly.control.batch_sink", "logly.control.empty_names",
    "logly.control.explain", "logly.control.file_sink", "logly.control.function_sink", "logly.control.later",
    "logly.control.recording", "logly.control.recovery", "logly.control.sink_troubles", "logly.control.socket_sink",
    "logly.control.trace_context", "logly.files.compression", "logly.files.housekeeper", "logly.files.logfile",
    "logly.files.opening", "logly.files.paths", "logly.files.rotated", "logly.files.rotation", "logly.files.schedule",
    "logly.files.timed_paths", "logly.layout.colors", "logly.layout.foreign_words", "logly.layout.json_layout",
    "logly.layout.layout_template", "logly.layout.otlp", "logly.layout.styles", "logly.layout.wire", "logly.outlets.outlet",
    "logly.outlets.parts", "logly.record", "logly.spool.spools", "logly.spool.unfinished_write", "logly.stats",
    "logly.system.greenlets", "lzma", "ssl", "termios", "tomllib",
)


cdef await_imports(int64_t deadline):
    """Waits while another thread imports one of them. The child would have half a module, and wait for its lock for ever."""
    for name in imported_late:
        # Reads importlib's own mark. An import would run signal handlers, whose exceptions nobody sees here.
        spec = getattr(loaded_modules.get(name), "__spec__", None)
        while getattr(spec, "_initializing", False) and clock_monotonic_ns() < deadline:
            with nogil:
                wait_ns(1000000)


cdef void await_work(Core core, int64_t deadline) noexcept:
    """Waits until no other thread does the sinks' Python work, or until that thread is in user code, which may take long.

    A rollover of a served handler is waited for, as long as a fork may take: in the middle of it the handler's stream is closed.
    """
    cdef uint64_t me = PyThread_get_thread_ident()
    cdef uint64_t worker
    while True:
        worker = load_acquire(&core.threads.drainer)
        if worker == 0 or worker == me or clock_monotonic_ns() >= deadline:
            return
        if load_relaxed(&core.threads.inside) != 0 and load_relaxed(&core.threads.handlers_at_work) == 0:
            return
        with nogil:
            wait_ns(100000)


def after_fork_in_parent():
    """Called when the fork is over, also when it did not succeed."""
    cdef Fork* fork = own_fork()
    if fork != NULL:
        fork.depth -= 1
        if fork.depth == 0:
            end_fork(fork)


def child_is_settled():
    """False in a forked child in which `after_fork_in_child` has not run yet; else True."""
    return fork_hook_has_run


def was_forked_by_side_thread():
    """Whether a thread forked that is not the system's main thread. The child ends when that thread's function returns."""
    return is_of_side_thread


def after_fork_in_child():
    """Leaves every engine without a flusher, with no lock taken, and without the parent's records."""
    global registry_lock, is_new_child, fork_hook_has_run, is_of_side_thread
    cdef Fork* fork = own_fork()
    cdef Fork* other = forks
    cdef Fork* after
    cdef Core core
    cdef uint32_t i
    # Made new, because a thread that does not exist in the child may hold the old one.
    registry_lock = SystemLock()
    while other != NULL:  # the threads of the other forks do not exist here either
        after = other.next
        if other != fork:
            end_fork(other)
        other = after
    if fork != NULL and fork.is_of_side_thread:
        is_of_side_thread = True
    if fork != NULL and fork.has_begun:
        for i in range(fork.count):
            (<Core> fork.forked[i].core).engine.intake.post = fork.forked[i].post
    forget_marks()
    for core in living_readers():
        # Skips engines that `begin_child` has reset, or that a hook has made in this process.
        if core.engine.intake.process != process_id():
            reset_core(core, False)
        core.errors.clear()
    outlets_forget()
    is_new_child = False
    fork_hook_has_run = True
    if fork != NULL:
        fork.has_begun = False
        fork.depth -= 1
        if fork.depth == 0:  # else this fork was made inside another fork's hooks, which go on here
            end_fork(fork)


# ---- handlers inside fork(): no Python code runs, and the GIL is kept. They do nothing for a fork without Python's hooks.

cdef void lock_engines() noexcept:
    cdef uint64_t me = PyThread_get_thread_ident()
    cdef int64_t deadline
    cdef Fork* fork
    cdef uint32_t i
    lock_take(&forks_lock)
    fork = fork_of(me)
    if fork == NULL:
        lock_release(&forks_lock)
        return
    store_relaxed(&forks_holder, me)
    deadline = clock_monotonic_ns() + LOCK_PATIENCE_NS
    for i in range(fork.count):
        fork.forked[i].is_quiet = lock_here(<Core> fork.forked[i].core, 0 if fork.forked[i].is_stuck else deadline)


cdef Fork* fork_that_holds_locks() noexcept:
    cdef uint64_t me = PyThread_get_thread_ident()
    return fork_of(me) if load_relaxed(&forks_holder) == me else NULL


cdef void unlock_engines() noexcept:
    cdef Fork* fork = fork_that_holds_locks()
    cdef uint32_t i
    if fork == NULL:
        return
    for i in range(fork.count):
        if fork.forked[i].is_quiet:
            (<Core> fork.forked[i].core).unlock()
    store_relaxed(&forks_holder, 0)
    lock_release(&forks_lock)


cdef bint lock_here(Core core, int64_t deadline) noexcept:
    """`Core.lock_until` for where the GIL cannot be released. If the holder needs the GIL, this thread goes on without."""
    cdef uint64_t me = PyThread_get_thread_ident()
    cdef bint taken
    if load_relaxed(&core.threads.holder) == me:
        core.threads.holds += 1
        return True
    fetch_add(&core.engine.lock.waiters, 1)
    while True:
        taken = lock_try(&core.engine.lock)
        if taken or clock_monotonic_ns() >= deadline:
            break
        lock_await(&core.engine.lock)
    fetch_sub(&core.engine.lock.waiters, 1)
    event_signal(&core.engine.lock_passed)
    if taken:
        store_relaxed(&core.threads.holder, me)
        core.threads.holds = 1
    return taken


cdef void begin_child() noexcept:
    """Resets the engines in the child, without even reading mapped memory that belongs to the parent."""
    global is_new_child, fork_hook_has_run
    cdef Fork* fork = fork_that_holds_locks()
    cdef Core core
    cdef Ring* ring
    cdef uint32_t i
    lock_init(&forks_lock)
    store_relaxed(&forks_holder, 0)
    store_relaxed(&sections, 0)
    fork_hook_has_run = False
    if fork == NULL:
        return
    for i in range(fork.count):
        core = <Core> fork.forked[i].core
        ring = core.intake.ring
        if ring != NULL and (ring.spool != NULL or ring == core.stand_in):
            ring = ring_new(INTERIM_BYTES, 0)
            if ring == NULL:
                return  # `after_fork_in_child` does all of this instead
            detach_spools(core, True)
            link_ring(core.engine, ring)
            core.engine.intake.ring = core.interim = ring
        else:
            detach_spools(core, True)
        reset_core(core, fork.forked[i].is_quiet)
        # `post` is restored by `after_fork_in_child`, because threads cannot be started yet.
        if not fork.has_begun:  # it has begun if a hook in the child has forked again
            fork.forked[i].post = core.engine.intake.post
        core.engine.intake.post = 0
    fork.has_begun = True
    is_new_child = True


if call_at_fork(lock_engines, unlock_engines, begin_child):
    raise MemoryError


cdef void reset_core(Core core, bint is_quiet) noexcept:
    """Resets an engine in the child. `is_quiet`: its flusher was at rest. If not, its memory is leaked, once.

    Such memory may have been copied in the middle of a realloc.
    """
    cdef Engine* engine = core.engine
    cdef Sink* sink = engine.sinks
    cdef Ring* ring = engine.rings
    if is_quiet:
        engine_free_memory(engine)
    else:
        workspace_begin(&engine.workspace)
        memset(&engine.routes, 0, sizeof(Routes))
        if engine.redaction != NULL:
            redaction_begin(engine.redaction)
    engine_begin(engine)
    rules_begin(&engine.rules, is_quiet)
    engine.intake.needs &= ~<uint32_t> NEED_CARE
    engine.intake.shares = FREE_THREADED and engine.intake.ring != NULL
    while ring != NULL:
        reset_ring(ring, is_quiet)
        ring = ring.next
    while sink != NULL:
        if is_quiet:
            sink_free_memory(sink)
        sink_begin(sink)
        rules_begin(&sink.rules, is_quiet)
        sink = sink.next
    core.begin()
    core.lives += 1


cdef void reset_ring(Ring* ring, bint is_quiet) noexcept:
    """Empties a ring. Blocks on the heap are this process's own copies now."""
    ring.cached_head = load_acquire(&ring.positions.head)
    if is_quiet:
        free_ring_records(ring)
    ring.tail = ring.cached_head
    ring_release(ring)
    ring.head = ring.tail
    ring.cached_tail = ring.tail
    ring.committed = ring.kept = 0
    ring.stalled_tail = NOT_STALLED
    ring.in_flight = NOT_IN_FLIGHT
    # The ring of a thread that does not exist in the child.
    if ring.lease != NULL and not lease_is_over(ring.lease) and not lease_is_mine(ring.lease):
        lease_end_thread(ring.lease)
    ring.heap_bytes_in = 0
    ring.heap_bytes_out = 0
    ring.high_water = 0
