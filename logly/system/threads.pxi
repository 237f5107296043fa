# Threads, locks and pauses of the operating system, made from C. gevent and eventlet replace what `threading`, `_thread`,
# `time` and `select` offer by greenlets, which take turns on one thread: a flusher of that kind would not run while its program
# computes. Such a patch does not reach this file, whether it comes before logly is imported or after. So the rest of logly
# takes its threads, locks and clock from here (through `system/unpatched.py`); `tests/house/test_source.py` checks that.

import sys

from cpython.object cimport PyObject
from libc.stdint cimport INT64_MAX, int64_t, uint32_t, uint64_t

from logly.system.atomic cimport (
    compare_exchange, fetch_add, fetch_sub, load_acquire32, load_relaxed, store_relaxed, store_release, store_release32,
)
from logly.system.clock cimport clock_monotonic_ns, clock_wall_ns
from logly.system.cpython cimport (
    PyErr_CheckSignals, PyInterpreterState, PyThreadState, PyThread_get_thread_ident, Py_DecRef, Py_IncRef,
    interpreter_ends, new_thread_state, tuple_item,
)
from logly.system.event cimport event_destroy, event_init, event_prepare, event_signal, event_wait, wait_ns
from logly.system.fd cimport fd_writable
from logly.system.lock cimport lock_await, lock_init, lock_release, lock_try

cdef extern from *:
    """
    // False where the system does not tell: every thread counts as the main one there.
    #if defined(__linux__)
    #include <sys/syscall.h>
    #include <unistd.h>
    static inline int logly_is_side_thread(void) { return syscall(SYS_gettid) != getpid(); }
    #elif defined(__APPLE__)
    #include <pthread.h>
    static inline int logly_is_side_thread(void) { return !pthread_main_np(); }
    #else
    static inline int logly_is_side_thread(void) { return 0; }
    #endif
    """
    unsigned long NO_THREAD "PYTHREAD_INVALID_THREAD_ID"
    unsigned long PyThread_start_new_thread(void (*function)(void*) noexcept, void* argument) noexcept
    PyInterpreterState* PyInterpreterState_Get() noexcept
    void PyThreadState_Clear(PyThreadState* state) noexcept
    void PyThreadState_DeleteCurrent() noexcept
    PyObject* PyObject_CallOneArg(PyObject* function, PyObject* argument) noexcept
    void PyErr_WriteUnraisable(PyObject* where) noexcept
    void PyEval_AcquireThread(PyThreadState* state) noexcept nogil
    bint Py_IsInitialized() noexcept nogil
    bint is_side_thread "logly_is_side_thread"() noexcept nogil

cdef enum:
    # How long a thread waits before it tries again to allocate what attaching it to the interpreter takes.
    ATTACH_RETRY_NS = 10000000
    # A flush blocks its thread for this long before other greenlets get to run. Most flushes take a tenth of it.
    GREENLET_PATIENCE_NS = 2000000
    # A wait is cut into slices of this length, so that a Ctrl-C ends it soon.
    SLICE_NS = 50000000

cdef object loaded_modules = sys.modules

# ---- threads

# The interpreter that has imported this module. No other interpreter can import it.
cdef PyInterpreterState* own_interpreter = PyInterpreterState_Get()


# `call` is a tuple of a function and its argument. The thread begins without the GIL and without a thread state, and makes
# none when the interpreter is ending. The function is not declared `nogil` because it ends with the GIL held; before that it
# touches no object.
cdef void thread_main(void* call) noexcept:
    cdef PyThreadState* state = NULL
    while state == NULL:
        if not Py_IsInitialized() or interpreter_ends():
            return
        state = new_thread_state(own_interpreter)
        if state == NULL:
            # No memory. The code that started this thread relies on it, so it tries again.
            wait_ns(ATTACH_RETRY_NS)
    PyEval_AcquireThread(state)
    thread_body(<PyObject*> call, state)


cdef void thread_body(PyObject* call, PyThreadState* state) noexcept:
    call_on_thread(call)
    PyThreadState_Clear(state)
    PyThreadState_DeleteCurrent()


# An exception of the function goes to `sys.unraisablehook`.
cdef void call_on_thread(PyObject* call) noexcept:
    cdef PyObject* result = PyObject_CallOneArg(tuple_item(call, 0), tuple_item(call, 1))
    if result == NULL:
        PyErr_WriteUnraisable(tuple_item(call, 0))
    else:
        Py_DecRef(result)
    Py_DecRef(call)


cdef bint start_call(tuple call) noexcept:
    """Calls `call[0](call[1])` on a new thread, for which an exit does not wait. Returns False when none can be started now."""
    if interpreter_ends():
        return False
    Py_IncRef(<PyObject*> call)
    if PyThread_start_new_thread(thread_main, <void*> call) == NO_THREAD:
        Py_DecRef(<PyObject*> call)
        return False
    return True


cdef class SystemThread:
    """A thread of the operating system. An exit does not wait for it. Each `start` calls `function` once, without arguments."""

    def __init__(self, function):
        self.function = function

    def start(self):
        """Start the thread; return False when no thread can be started now."""
        call = (self.run, None)
        store_release32(&self.runs, 1)
        if start_call(call):
            return True
        store_release32(&self.runs, 0)
        return False

    @property
    def is_running(self):
        """Whether the thread has been started and its function has neither returned nor raised."""
        return load_acquire32(&self.runs) != 0

    def run(self, _):
        """What the new thread runs."""
        try:
            self.function()
        finally:
            store_release32(&self.runs, 0)


def thread_ident():
    """The number of the calling operating-system thread. All greenlets of a thread share it."""
    return <uint64_t> PyThread_get_thread_ident()


# ---- locks

cdef class SystemLock:
    """A reentrant lock of operating-system threads; a context manager. A thread waits for it with the GIL released.

    All greenlets of a thread count as one holder: if one of them had to wait for another one, their thread would wait for
    itself. logly never lets other greenlets run while it holds such a lock.
    """

    def __cinit__(self):
        lock_init(&self.lock)

    def __dealloc__(self):
        event_destroy(&self.lock.freed)

    # Nothing between taking the lock and returning can raise or run Python code, so a Ctrl-C leaves no lock taken.
    cdef bint take(self) except -1:
        cdef uint64_t me = PyThread_get_thread_ident()
        cdef bint taken
        if load_relaxed(&self.holder) == me:
            self.holds += 1
            return True
        taken = lock_try(&self.lock)
        while not taken:
            fetch_add(&self.lock.waiters, 1)
            with nogil:
                lock_await(&self.lock)
            fetch_sub(&self.lock.waiters, 1)
            # Runs signal handlers. This comes before the attempt, so that an exception of theirs leaves the lock free.
            PyErr_CheckSignals()
            taken = lock_try(&self.lock)
        store_relaxed(&self.holder, me)
        self.holds = 1
        return True

    cdef void take_without_signals(self) noexcept:
        """For where an exception of a signal handler could not be raised."""
        cdef uint64_t me = PyThread_get_thread_ident()
        if load_relaxed(&self.holder) != me:
            while not lock_try(&self.lock):
                fetch_add(&self.lock.waiters, 1)
                with nogil:
                    lock_await(&self.lock)
                fetch_sub(&self.lock.waiters, 1)
            store_relaxed(&self.holder, me)
            self.holds = 0
        self.holds += 1

    cdef void give(self) noexcept:
        self.holds -= 1
        if self.holds == 0:
            store_relaxed(&self.holder, 0)
            lock_release(&self.lock)

    def __enter__(self):
        self.take()
        return self

    # Three named arguments, not `*_`: that would need a tuple, and without memory for it the lock would stay taken.
    def __exit__(self, kind, error, trace):
        self.give()


cdef class Attempt:
    """``with Attempt(lock) as taken``: takes the lock if no thread has it, the calling one included, and never waits."""

    def __cinit__(self, SystemLock lock not None):
        self.lock = lock
        self.taken = False

    def __enter__(self):
        if load_relaxed(&self.lock.holder) != PyThread_get_thread_ident() and lock_try(&self.lock.lock):
            store_relaxed(&self.lock.holder, PyThread_get_thread_ident())
            self.lock.holds = 1
            self.taken = True
        return self.taken

    def __exit__(self, kind, error, trace):
        if self.taken:
            self.taken = False
            self.lock.give()


cdef class TryLock:
    """A lock that no thread waits for: ``with lock as taken`` gives True to one thread at a time, and False to the others.

    The thread that has the lock also gets False when it enters again.
    """

    def __enter__(self):
        cdef uint64_t me = PyThread_get_thread_ident()
        if load_relaxed(&self.owner) == me:
            self.depth += 1
            return False
        if not compare_exchange(&self.owner, 0, me):
            return False
        self.depth = 1
        return True

    def __exit__(self, kind, error, trace):
        if load_relaxed(&self.owner) != PyThread_get_thread_ident():
            return  # another thread has the lock
        self.depth -= 1
        if self.depth == 0:
            store_release(&self.owner, 0)


cdef class EventCount:
    """An eventcount (system/event.pxd): take a ticket, check whether there is anything to wait for, wait. `signal` ends waits."""

    def __cinit__(self):
        event_init(&self.event)

    def __dealloc__(self):
        event_destroy(&self.event)

    def ticket(self):
        return event_prepare(&self.event)

    def wait(self, uint32_t ticket, timeout=None):
        """Wait for a signal that comes after `ticket` was taken, at most `timeout` seconds. May return early. Ctrl-C ends it."""
        cdef int64_t deadline = deadline_of(timeout)
        cdef int64_t left = deadline - clock_monotonic_ns()
        while left > 0 and event_prepare(&self.event) == ticket:
            with nogil:
                event_wait(&self.event, ticket, min(left, SLICE_NS))
            PyErr_CheckSignals()
            left = deadline - clock_monotonic_ns()

    def signal(self):
        event_signal(&self.event)


# ---- greenlets

cdef bint let_greenlets_run() except -1:
    """Lets this thread's other greenlets run for some milliseconds. False: there are none, or the caller may not wait."""
    if "greenlet" not in loaded_modules:
        return False
    run_others = None
    try:
        from logly.system.greenlets import run_others
    except ImportError:  # the interpreter ends
        pass
    return run_others is not None and run_others()


# ---- the clock

def monotonic():
    """Seconds of a clock that is never set and never goes back."""
    return clock_monotonic_ns() / 1e9


def wall_ns():
    """Nanoseconds since the epoch."""
    return clock_wall_ns()


def pause(double seconds):
    """Sleep with the GIL released, even where `time.sleep` has been replaced."""
    cdef int64_t length = <int64_t> (seconds * 1e9)
    with nogil:
        wait_ns(length)


def is_writable(int fd):
    """Whether a write of up to PIPE_BUF bytes to the descriptor would succeed without waiting."""
    return fd_writable(fd)


cdef int64_t deadline_of(object timeout) except -1:
    """Monotonic nanoseconds at which `timeout` seconds will have passed; None: never."""
    if timeout is None:
        return INT64_MAX
    return clock_monotonic_ns() + <int64_t> (max(0.0, min(float(timeout), 1e9)) * 1e9)
