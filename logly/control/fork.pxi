# Fork. The child must get every engine between two passes: no lock taken, no buffer half changed, nobody in the C library's
# localtime_r, whose lock a fork does not reset. So the forking thread holds every engine's lock over fork() itself; in the
# child, rings and buffers are emptied, for what they hold is the parent's, who will write it.
#
# The locks are taken and given back, and the child's engines reset, by handlers that the C library calls (`pthread_atfork`).
# Between them and Python's hooks run other libraries' hooks and signal handlers: these may log, or wait for a thread that
# logs. What they log in the child is the child's, and no byte of it goes into the parent's spool.

from _weakref import ref as weakref

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from logly.flusher.sink cimport Sink, sink_begin, sink_free_memory
from logly.flusher.state cimport Engine, engine_begin, engine_free_memory, workspace_begin
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
#   registry/registry.pxi: enter_registry, is_new_child, registry_lock
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
    # How long all flushers together may keep a fork waiting: one that is stuck in a write does not stop it.
    FORK_PATIENCE_NS = 1000000000
    # The same inside fork(), where this thread keeps the GIL: a pass takes some milliseconds.
    LOCK_PATIENCE_NS = 200000000
    # Of the ring for what a child logs before its spool can be made.
    INTERIM_BYTES = 1 << 16

cdef list all_cores = []             # weak references


cdef remember_core(Core core):
    cdef SystemLock registry
    registry = enter_registry()
    try:
        for known in list(all_cores):
            if known() is None:
                all_cores.remove(known)
        all_cores.append(weakref(core))
    finally:
        registry.give()


cdef list living_cores():
    cdef list living = []
    for known in list(all_cores):
        core = known()
        if core is not None:
            living.append(core)
    return living


# ---- the hooks

def before_fork():
    """Takes note of all engines, and of the flushers that do not come to rest: those are left alone.

    Waits, but not for ever, also for the Python work of their threads: a child would find the locks of whatever that uses
    taken, and half imported modules.
    """
    cdef Fork* fork = own_fork()
    cdef Core core
    cdef list cores
    cdef int64_t deadline = clock_monotonic_ns() + FORK_PATIENCE_NS
    if fork != NULL:
        fork.depth += 1
        return
    cores = living_cores()
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
    await_imports(deadline)
    await_sections(deadline)
    for core in cores:
        await_work(core, deadline)
        fork.forked[fork.count].core = <PyObject*> core
        fork.forked[fork.count].is_stuck = not core.lock_until(deadline)
        if not fork.forked[fork.count].is_stuck:
            core.unlock()
        fork.count += 1


# What a log call, or a thread of logly's, may be the first to need.
cdef tuple imported_late = (
    "bz2", "fcntl", "gzip", "json", "logly.caller.tracebacks", "logly.control.file_sink", "logly.control.function_sink",
    "logly.control.recovery", "logly.files.compression", "logly.files.housekeeper", "logly.files.logfile",
    "logly.files.opening", "logly.files.rotated", "logly.files.rotation", "logly.files.schedule", "logly.record",
    "logly.spool.spools", "logly.spool.unfinished_write", "logly.stats", "logly.system.greenlets", "lzma", "mmap",
)


cdef await_imports(int64_t deadline):
    """Another thread may be importing one: the child would have a half of it, and wait for ever for its lock."""
    for name in imported_late:
        # As importlib tells it. Not by an import: that would run signal handlers, whose exceptions nobody sees here.
        spec = getattr(loaded_modules.get(name), "__spec__", None)
        while getattr(spec, "_initializing", False) and clock_monotonic_ns() < deadline:
            with nogil:
                wait_ns(1000000)


cdef void await_work(Core core, int64_t deadline) noexcept:
    """Until no other thread does what the sinks want of Python, or it is in somebody's function, which may take long."""
    cdef uint64_t me = PyThread_get_thread_ident()
    cdef uint64_t worker
    while True:
        worker = load_acquire(&core.threads.drainer)
        if worker == 0 or worker == me or load_relaxed(&core.threads.inside) != 0 or clock_monotonic_ns() >= deadline:
            return
        with nogil:
            wait_ns(100000)


def after_fork_in_parent():
    """The fork is over, or did not succeed."""
    cdef Fork* fork = own_fork()
    if fork != NULL:
        fork.depth -= 1
        if fork.depth == 0:
            end_fork(fork)


def child_is_settled():
    """Whether `after_fork_in_child` has run in this process; so also in one that is nobody's child."""
    return fork_hook_has_run


def was_forked_by_side_thread():
    """By another thread than the main one, as the system has it: the child ends when that thread's function returns."""
    return is_of_side_thread


def after_fork_in_child():
    """No flusher, no lock taken; rings and buffers without what is the parent's."""
    global registry_lock, is_new_child, fork_hook_has_run, is_of_side_thread
    cdef Fork* fork = own_fork()
    cdef Fork* other = forks
    cdef Fork* after
    cdef Core core
    cdef uint32_t i
    # A thread that is not there any more may have it.
    registry_lock = SystemLock()
    while other != NULL:  # so are the other forks' threads
        after = other.next
        if other != fork:
            end_fork(other)
        other = after
    if fork != NULL and fork.is_of_side_thread:
        is_of_side_thread = True
    if fork != NULL and fork.has_begun:
        for i in range(fork.count):
            (<Core> fork.forked[i].core).engine.intake.post = fork.forked[i].post
    for core in living_cores():
        # Not what `begin_child` has reset, nor what a hook has made here.
        if core.engine.intake.process != process_id():
            reset_core(core, False)
        core.errors.clear()
    is_new_child = False
    fork_hook_has_run = True
    if fork != NULL:
        fork.has_begun = False
        fork.depth -= 1
        if fork.depth == 0:  # else the fork in whose hooks this one was made goes on here
            end_fork(fork)


# ---- inside fork(): no Python code runs, and the GIL is kept. Not for a fork of another thread that is not Python's.

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
    """`Core.lock_until` for where the GIL cannot be given up: so the holder must not need it, or this thread goes without."""
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
    """Not even memory of the parent's that is mapped is looked at."""
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
                return  # the hook does it all
            detach_spools(core, True)
            link_ring(core.engine, ring)
            core.engine.intake.ring = core.interim = ring
        else:
            detach_spools(core, True)
        reset_core(core, fork.forked[i].is_quiet)
        # What follows a commit is for later: threads cannot be started yet.
        if not fork.has_begun:  # else a hook in the child has forked again
            fork.forked[i].post = core.engine.intake.post
        core.engine.intake.post = 0
    fork.has_begun = True
    is_new_child = True


if call_at_fork(lock_engines, unlock_engines, begin_child):
    raise MemoryError


cdef void reset_core(Core core, bint is_quiet) noexcept:
    """`is_quiet`: the flusher was at rest. If not, its memory may have been copied in the middle of a realloc: it leaks, once."""
    cdef Engine* engine = core.engine
    cdef Sink* sink = engine.sinks
    cdef Ring* ring = engine.rings
    if is_quiet:
        engine_free_memory(engine)
    else:
        workspace_begin(&engine.workspace)
    engine_begin(engine)
    engine.intake.needs &= ~<uint32_t> NEED_CARE
    engine.intake.shares = FREE_THREADED and engine.intake.ring != NULL
    while ring != NULL:
        reset_ring(ring, is_quiet)
        ring = ring.next
    while sink != NULL:
        if is_quiet:
            sink_free_memory(sink)
        sink_begin(sink)
        sink = sink.next
    core.begin()
    core.lives += 1


cdef void reset_ring(Ring* ring, bint is_quiet) noexcept:
    """Empties it. Blocks on the heap are this process's own copies now."""
    ring.cached_head = load_acquire(&ring.positions.head)
    if is_quiet:
        free_ring_records(ring)
    ring.tail = ring.cached_head
    ring_release(ring)
    ring.head = ring.tail
    ring.cached_tail = ring.tail
    ring.committed = 0
    ring.stalled_tail = NOT_STALLED
    ring.in_flight = NOT_IN_FLIGHT
    # A ring of a thread that is not here any more.
    if ring.lease != NULL and not lease_is_over(ring.lease) and not lease_is_mine(ring.lease):
        lease_end_thread(ring.lease)
    ring.heap_bytes_in = 0
    ring.heap_bytes_out = 0
    ring.high_water = 0
