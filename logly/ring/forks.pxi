# Who forks, and who must wait for that: the list of forks, and the sections in which no other thread may fork.

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
    # How long Python work on other threads waits for a fork to be over.
    WORK_PATIENCE_NS = 200000000
    # Longer than it takes to open or close a spool.
    SECTION_NS = 5000000000


cdef struct Forked:
    PyObject* core
    bint is_stuck                    # its flusher did not come to rest
    bint is_quiet                    # it is at rest, and its lock is this thread's
    uint32_t post


# One thread's fork, from its first hook to its last one.
cdef struct Fork:
    uint64_t thread
    int depth                        # a signal handler can fork between the hooks of another fork
    PyObject* cores                  # list that keeps what `forked` names: all that were there when it began
    Forked* forked
    uint32_t count
    bint is_of_side_thread           # not of the process's main thread
    bint has_begun                   # this is the child, `begin_child` has reset its engines, and its hook has not run yet
    Fork* next


cdef bint fork_hook_has_run = True          # that hook has run
cdef bint is_of_side_thread = False  # this process has been forked by a thread that was not the main one, or is a child of such
cdef Fork* forks = NULL
cdef Lock forks_lock                 # of that list; held over fork() itself by the thread that has an entry
cdef uint64_t forks_holder = 0
lock_init(&forks_lock)


# ---- the list of forks. Its lock is held for some instructions, or over a fork().

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
    """Another thread does."""
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


# A thread opens or closes a spool: what a child would inherit of it is in no list for some moments.
cdef uint64_t sections = 0
cdef uint64_t sections_until_ns = 0  # so that one whose end a Ctrl-C has prevented does not count for long


cdef void begin_section() noexcept:
    await_forks()
    fetch_add(&sections, 1)
    store_relaxed(&sections_until_ns, <uint64_t> (clock_monotonic_ns() + SECTION_NS))
    if somebody_forks():  # it began in between, and may not have seen this one
        fetch_sub(&sections, 1)
        await_forks()
        fetch_add(&sections, 1)


cdef void end_section() noexcept:
    fetch_sub(&sections, 1)


cdef class SpoolSection:
    """A context in which no other thread forks (but for one that has waited long)."""

    def __enter__(self):
        begin_section()

    # No `*_`, for which a tuple would have to be made.
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
    """For who is about to do such work: until no other thread forks."""
    cdef int64_t deadline
    if load_pointer(&forks) == NULL:
        return
    deadline = clock_monotonic_ns() + WORK_PATIENCE_NS
    while somebody_forks() and clock_monotonic_ns() < deadline:
        with nogil:
            wait_ns(200000)
