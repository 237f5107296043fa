# The list of threads that are forking, and the sections in which no other thread may fork.

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free

from logly.system.atomic cimport (
    fetch_add, fetch_sub, load_acquire, load_pointer, load_relaxed, store_pointer, store_relaxed,
)
from logly.system.clock cimport clock_monotonic_ns
from logly.system.cpython cimport PyThread_get_thread_ident, Py_DecRef
from logly.system.event cimport wait_ns
from logly.system.lock cimport Lock, lock_init, lock_release, lock_take

cdef enum:
    # How long Python work on other threads waits for a fork to end.
    WORK_PATIENCE_NS = 200000000
    # Longer than it takes to open or close a spool.
    SECTION_NS = 5000000000


cdef struct Forked:
    PyObject* core
    bint is_stuck                    # its flusher did not reach the gap between two passes in time
    bint is_quiet                    # its flusher is between two passes, and this thread holds the engine's lock
    uint32_t post


# A fork by one thread, from its first hook to its last one.
cdef struct Fork:
    uint64_t thread
    int depth                        # a signal handler can fork between the hooks of another fork
    PyObject* cores                  # list of all cores when the fork began; it keeps alive those in `forked`
    Forked* forked
    uint32_t count
    bint is_of_side_thread           # the forking thread is not the process's main thread
    bint has_begun                   # in the child: `begin_child` has reset its engines, and Python's hook has not run yet
    Fork* next


cdef bint fork_hook_has_run = True   # False in a child until Python's hook has run
cdef bint is_of_side_thread = False  # this process, or one of its ancestors, was forked by a thread that was not the main one
cdef Fork* forks = NULL
cdef Lock forks_lock                 # protects the list; the forking thread holds it during fork() itself
cdef uint64_t forks_holder = 0
lock_init(&forks_lock)


# ---- the list of forks. Its lock is held for some instructions, or during a fork().

cdef Fork* fork_of(uint64_t thread) noexcept nogil:
    cdef Fork* fork = forks
    while fork != NULL and fork.thread != thread:
        fork = fork.next
    return fork


cdef Fork* own_fork() noexcept:
    cdef uint64_t me = PyThread_get_thread_ident()
    cdef Fork* fork
    with nogil:
        lock_take(&forks_lock)
        fork = fork_of(me)
        lock_release(&forks_lock)
    return fork


cdef bint somebody_forks() noexcept:
    """Is another thread forking?"""
    cdef uint64_t me = PyThread_get_thread_ident()
    cdef bint found
    if load_pointer(&forks) == NULL:
        return False
    with nogil:
        lock_take(&forks_lock)
        found = forks != NULL and (forks.thread != me or forks.next != NULL)
        lock_release(&forks_lock)
    return found


cdef void link_fork(Fork* fork) noexcept nogil:
    lock_take(&forks_lock)
    fork.next = forks
    store_pointer(&forks, fork)
    lock_release(&forks_lock)


cdef void end_fork(Fork* fork) noexcept:
    cdef Fork** link
    with nogil:
        lock_take(&forks_lock)
        link = &forks
        while link[0] != fork:
            link = &link[0].next
        store_pointer(link, fork.next)
        lock_release(&forks_lock)
    Py_DecRef(fork.cores)
    free(fork.forked)
    free(fork)


# Number of threads that are opening or closing a spool. During such a section, no list yet names what a forked child would
# inherit of that spool.
cdef uint64_t sections = 0
cdef uint64_t sections_until_ns = 0  # time limit, in case a Ctrl-C prevented the end of a section


cdef void begin_section() noexcept:
    await_forks()
    fetch_add(&sections, 1)
    store_relaxed(&sections_until_ns, <uint64_t> (clock_monotonic_ns() + SECTION_NS))
    if somebody_forks():  # the fork began in between and may not have seen this section
        fetch_sub(&sections, 1)
        await_forks()
        fetch_add(&sections, 1)


cdef void end_section() noexcept:
    fetch_sub(&sections, 1)


cdef class SpoolSection:
    """A context in which no other thread forks. (One that has waited up to its time limit forks all the same.)"""
    def __enter__(self):
        begin_section()

    # Three named arguments, not `*_`, for which a tuple would have to be made.
    def __exit__(self, kind, error, trace):
        end_section()


cdef void await_sections(int64_t deadline) noexcept:
    cdef int64_t until
    while load_acquire(&sections) != 0:
        until = <int64_t> load_relaxed(&sections_until_ns)
        if clock_monotonic_ns() >= min(until, deadline):
            return
        with nogil:
            wait_ns(100000)


cdef void await_forks() noexcept:
    """Called before Python work of a sink or a spool: waits until no other thread forks, for WORK_PATIENCE_NS at most."""
    cdef int64_t deadline
    if load_pointer(&forks) == NULL:
        return
    deadline = clock_monotonic_ns() + WORK_PATIENCE_NS
    while somebody_forks() and clock_monotonic_ns() < deadline:
        with nogil:
            wait_ns(200000)
