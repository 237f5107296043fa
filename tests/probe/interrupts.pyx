"""Test-only extension: cuts a call short at its n-th instant, with an exception of a signal handler or a failed allocation.

No bytecode runs between arming and the call, nor between the call and disarming. So every instant that is counted is one of
the call's own.
"""

from signal import ITIMER_REAL, setitimer

cdef extern from *:
    """
    /* Fails the allocation number `at` of one thread; all others go through. */
    static struct { unsigned long thread; long seen, at; int more; } lean;
    static PyMemAllocatorEx usual[3];
    static const PyMemAllocatorDomain domains[3] = {PYMEM_DOMAIN_RAW, PYMEM_DOMAIN_MEM, PYMEM_DOMAIN_OBJ};

    static int lean_fails(void) {
        if (PyThread_get_thread_ident() != lean.thread) return 0;
        long number = ++lean.seen;
        return number >= lean.at && number - lean.at < lean.more;
    }
    static void* lean_malloc(void* context, size_t size) {
        PyMemAllocatorEx* own = (PyMemAllocatorEx*) context;
        return lean_fails() ? NULL : own->malloc(own->ctx, size);
    }
    static void* lean_calloc(void* context, size_t count, size_t size) {
        PyMemAllocatorEx* own = (PyMemAllocatorEx*) context;
        return lean_fails() ? NULL : own->calloc(own->ctx, count, size);
    }
    static void* lean_realloc(void* context, void* block, size_t size) {
        PyMemAllocatorEx* own = (PyMemAllocatorEx*) context;
        return lean_fails() ? NULL : own->realloc(own->ctx, block, size);
    }
    static void lean_free(void* context, void* block) {
        PyMemAllocatorEx* own = (PyMemAllocatorEx*) context;
        own->free(own->ctx, block);
    }
    static void lean_begin(long at, int more) {
        int i;
        lean.thread = PyThread_get_thread_ident();
        lean.seen = 0;
        lean.at = at;
        lean.more = more;
        for (i = 0; i < 3; ++i) {
            PyMemAllocatorEx own = {&usual[i], lean_malloc, lean_calloc, lean_realloc, lean_free};
            PyMem_GetAllocator(domains[i], &usual[i]);
            PyMem_SetAllocator(domains[i], &own);
        }
    }
    static long lean_end(void) {
        int i;
        for (i = 0; i < 3; ++i) PyMem_SetAllocator(domains[i], &usual[i]);
        return lean.seen;
    }
    """
    void lean_begin(long at, int more)
    long lean_end()
    int PyErr_SetInterruptEx(int number)


cdef class Cutter:
    """The handler of a signal that is always pending: CPython calls it at each instant at which it runs handlers.

    Args:
        number: the signal; this object must be its handler.
    """
    cdef int number
    cdef bint is_armed
    cdef bint hammers
    cdef bint by_clock
    cdef long at
    cdef readonly long seen          # instants, in the last call
    cdef readonly object place       # (file, line) of the last exception

    def __init__(self, int number):
        self.number = number

    def __call__(self, int number, frame):
        if not self.is_armed:
            return
        self.seen += 1
        if not self.by_clock and (self.seen < self.at or self.hammers):
            PyErr_SetInterruptEx(number)
        if self.seen >= self.at and (self.hammers or self.seen == self.at):
            self.place = (frame.f_code.co_filename, frame.f_lineno)
            raise KeyboardInterrupt

    def run(self, function, long at, bint hammers):
        """Calls `function`; at instant `at`, and if it `hammers` at every later one, the handler raises KeyboardInterrupt.

        Returns:
            The exception that came out, or None.
        """
        self.by_clock = False
        self.at = at
        self.hammers = hammers
        PyErr_SetInterruptEx(self.number)
        return self.call(function)

    def run_against_clock(self, function, double delay_s, double interval_s):
        """The same at whatever instants the system's timer says: after `delay_s`, and then again and again (0: once)."""
        self.by_clock = True
        self.at = 1
        self.hammers = True
        setitimer(ITIMER_REAL, delay_s, interval_s)
        error = self.call(function)
        setitimer(ITIMER_REAL, 0)
        return error

    cdef object call(self, function):
        error = None
        self.seen = 0
        self.is_armed = True
        try:
            function()
        except BaseException as trouble:
            error = trouble
        self.is_armed = False
        return error


def run_out_of_memory(function, long at, int more):
    """Calls `function`; its allocation number `at`, and `more - 1` after that, fail.

    Returns:
        The exception that came out, or None; and how many allocations there were.
    """
    error = None
    lean_begin(at, more)
    try:
        function()
    except BaseException as trouble:
        error = trouble
    return error, lean_end()
