"""Test-only extension: cuts a call short at its n-th instant, with an exception of a signal handler or a failed allocation.

No bytecode runs between arming and the call, nor between the call and disarming. So every instant that is counted is one of
the call's own.
"""

from signal import ITIMER_REAL, setitimer

cdef extern from *:
    """
    #include <atomic>
    // Whose allocations are counted (0: all threads'), how many there were, and the first and last that fail (0: none).
    static std::atomic<unsigned long> lean_thread;
    static std::atomic<long> lean_seen, lean_first, lean_last;

    // `_testcapi.set_nomemory` gives its hooks a context of their own. A thread that starts or ends allocates without the GIL, so
    // it may read the hook before, and the context after, the hooks were taken out: the hook then dereferences NULL. Here the
    // contexts stay as they are, and a hook finds the usual function in a variable that is never reset.
    static PyMemAllocatorEx usual[3];
    static const PyMemAllocatorDomain domains[3] = {PYMEM_DOMAIN_RAW, PYMEM_DOMAIN_MEM, PYMEM_DOMAIN_OBJ};

    static bool lean_fails() {
        unsigned long thread = lean_thread;
        if (thread != 0 && thread != PyThread_get_thread_ident()) return false;
        long number = ++lean_seen;
        return number >= lean_first && number <= lean_last;
    }
    template <int i> static void* lean_malloc(void* context, size_t size) {
        return lean_fails() ? NULL : usual[i].malloc(context, size);
    }
    template <int i> static void* lean_calloc(void* context, size_t count, size_t size) {
        return lean_fails() ? NULL : usual[i].calloc(context, count, size);
    }
    template <int i> static void* lean_realloc(void* context, void* block, size_t size) {
        return lean_fails() ? NULL : usual[i].realloc(context, block, size);
    }
    template <int i> static void lean_hook() {
        if (usual[i].malloc == NULL) PyMem_GetAllocator(domains[i], &usual[i]);
        PyMemAllocatorEx own = {usual[i].ctx, lean_malloc<i>, lean_calloc<i>, lean_realloc<i>, usual[i].free};
        PyMem_SetAllocator(domains[i], &own);
    }
    static void lean_begin(unsigned long thread, long first, long last) {
        lean_thread = thread;
        lean_seen = 0;
        lean_first = first;
        lean_last = last;
        lean_hook<0>();
        lean_hook<1>();
        lean_hook<2>();
    }
    static long lean_end() {
        lean_last = 0;
        for (int i = 0; i < 3; ++i) {
            if (usual[i].malloc != NULL) PyMem_SetAllocator(domains[i], &usual[i]);
        }
        return lean_seen;
    }
    """
    void lean_begin(unsigned long thread, long first, long last)
    long lean_end()
    unsigned long PyThread_get_thread_ident()
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
    lean_begin(PyThread_get_thread_ident(), at, at + more - 1)
    try:
        function()
    except BaseException as trouble:
        error = trouble
    return error, lean_end()


def set_nomemory(long first, long last):
    """From now on allocations are counted, of all threads; number n fails for first < n <= last.

    As `_testcapi.set_nomemory`, but threads may start and end meanwhile.
    """
    lean_begin(0, first + 1, last)


def remove_mem_hooks():
    """No allocation fails any more."""
    lean_end()
