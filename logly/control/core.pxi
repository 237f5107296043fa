# `Core`, one logger's engine as a Python object. A method that touches what the flusher reads takes the engine's lock, and
# releases the GIL while it waits for the lock. No Python code runs under the lock.

cimport cython
from collections import deque

from cpython.ref cimport Py_INCREF
from libc.stdint cimport INT32_MAX, INT64_MAX, int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from logly.flusher.loop cimport engine_pass
from logly.flusher.rules cimport RuleStep
from logly.flusher.sink cimport Sink, Tally
from logly.flusher.state cimport (
    Engine, engine_begin, engine_free_memory, engine_has_passed, engine_unlock, workspace_begin, workspace_free,
)
from logly.registry.table cimport table_free
from logly.ring.counter cimport held_back_reset
from logly.ring.gate cimport (
    NEED_CARE, NEED_CONTEXT, NEED_SAMPLING, NEED_SITE, NEED_SOURCE, NEED_THREAD, NEED_THREAD_NAME, NEED_TIME, intake_wake,
)
from logly.ring.leases cimport FREE_THREADED
from logly.ring.record cimport IS_ECHO, IS_INSIDE
from logly.ring.recorder cimport recorder_free_blocks
from logly.ring.ring cimport RING_ALIGN, ReadMark, Ring, new_id, ring_new
from logly.ring.sampler cimport sampler_reset
from logly.system.atomic cimport (
    fetch_add, fetch_sub, load_acquire32, load_pointer, load_relaxed, store_relaxed, store_relaxed32, store_release32,
)
from logly.system.clock cimport clock_monotonic_ns
from logly.system.cpython cimport PyErr_CheckSignals, PyThread_get_thread_ident
from logly.system.event cimport event_signal
from logly.system.lock cimport lock_await, lock_try

# Of other included files:
#   control/commit.pxi: post_flags
#   control/flush.pxi: abandon_sinks_in_trouble, flush_until, pending_records, runs_batches
#   control/level_rules.pxi: LevelRules
#   control/levels.pxi: put_level_of
#   control/logger_names.pxi: begin_names, end_names
#   control/process_end.pxi: forget_end, watch_end
#   control/rings.pxi: begin_sharing, books_of, free_rings, leave_all_spools, link_ring, pass_once, progress_of,
#       release_spool_file, swap_ring
#   control/routing.pxi: free_sinks, free_steps, step_of, use_rules
#   control/work.pxi: call_marked, drain_on_this_thread, work_of_sinks, work_once
#   registry/retired.pxi: RecordReader, all_places, all_programs, all_sites, remember_reader
#   spool/spool_file.pxi: SpoolFile
#   text/owned_text.pxi: copy_text, utf8


cdef class Core(RecordReader):
    """One logger's engine: rings, sinks, books."""

    def __cinit__(self, str name, uint64_t ring_capacity):
        cdef char* block = <char*> calloc(1, sizeof(Engine) + RING_ALIGN)
        cdef bytes encoded = utf8(name)
        if block == NULL:
            raise MemoryError
        self.engine_block = block
        self.engine = <Engine*> ((<uint64_t> block + RING_ALIGN - 1) & ~(<uint64_t> RING_ALIGN - 1))
        self.intake = &self.engine.intake
        self.gate = &self.engine.gate
        self.gate.intake = self.intake
        self.engine.gate.threshold = INT32_MAX
        self.engine.recording.trigger = self.engine.intake.dump_level = INT32_MAX
        self.engine.intake.flush_level = INT32_MAX
        self.engine.intake.ring_capacity = ring_capacity
        self.engine.intake.max_message_bytes = 1 << 26
        self.engine.intake.stall_ns = 1000000000
        self.engine.interval_ns = 100000000
        self.engine.programs = all_programs
        self.engine.sites = all_sites
        self.engine.places = all_places
        self.engine.name = copy_text(encoded)
        begin_names(self, name)
        self.limit_sites = {}
        engine_begin(self.engine)
        workspace_begin(&self.engine.workspace)
        self.errors = deque(maxlen=100)
        self.told = set()
        self.sinks = {}
        self.leaving = {}
        self.layouts = []
        self.level_index = {}
        self.spools = []
        self.engine.intake.id = new_id()
        self.set_ring_size(ring_capacity)
        remember_reader(self)
        watch_end(self.engine)

    def __dealloc__(self):
        cdef uint32_t i
        if self.engine == NULL:
            return
        forget_end(self.engine)
        recorder_free_blocks(&self.engine.recorder)
        free_rings(self)
        while self.kept != NULL:
            release_spool_file(self, <SpoolFile> self.kept)
        free_sinks(self.engine)
        for i in range(self.engine.levels.count):
            free(<void*> self.engine.levels.level[i].name.data)
            free(<void*> self.engine.levels.level[i].lower.data)
            free(<void*> self.engine.levels.level[i].color.data)
        self.engine.recorder.state = NULL
        free(self.engine.recording.memory)
        free(<void*> self.engine.recording.field.data)
        engine_free_memory(self.engine)
        workspace_free(&self.engine.workspace)
        free(<void*> self.engine.name.data)
        free(self.engine.level_file.path)
        end_names(self)
        table_free(&self.limit_table)
        free(self.sampler)
        free(self.engine_block)

    cdef void begin(self) noexcept:
        """In a forked child: forgets what the parent's threads did. In a new object it changes nothing."""
        memset(&self.threads, 0, sizeof(Threads))
        memset(&self.calls, 0, sizeof(Calls))
        memset(&self.gone, 0, sizeof(Tally))
        held_back_reset(&self.held_back)
        sampler_reset(self.sampler)

    cdef bint has_passed(self, ReadMark* mark) noexcept:
        return engine_has_passed(self.engine, mark)

    # ---- rings

    cdef bint set_ring_size(self, uint64_t capacity) except -1:
        """With a GIL, makes a new ring in place of the old one. Without, each thread makes itself one at its next record."""
        cdef Ring* ring = NULL
        if not FREE_THREADED:
            ring = ring_new(capacity, 0)
            if ring == NULL:
                raise MemoryError
        return self.use_ring(ring, capacity)

    cdef bint use_ring(self, Ring* ring, uint64_t capacity) except -1:
        """Records go into this ring from now on. NULL (on free-threaded builds): each thread has a ring of its own."""
        cdef Engine* engine = self.engine
        self.lock()
        engine.intake.ring_capacity = capacity
        store_relaxed(&engine.intake.heap_limit, engine.intake.max_message_bytes + capacity)
        if FREE_THREADED:
            store_relaxed(&engine.intake.generation, new_id())
            store_relaxed32(&engine.intake.shares, ring != NULL)
        if ring != NULL:
            link_ring(engine, ring)
        if ring != NULL and ring.spool != NULL:
            engine.spooled = True
            # Whoever recovers the spool may show the call site, whatever the present layouts show.
            store_relaxed32(&engine.intake.needs, engine.intake.needs | NEED_SITE)
        self.unlock()
        swap_ring(self, ring)
        if ring == NULL or ring.spool == NULL:
            # Only now: until the swap, records went into a spool, where each has its site.
            self.lock()
            if not self.sinks_need_site:
                store_relaxed32(&engine.intake.needs, engine.intake.needs & ~<uint32_t> NEED_SITE)
            self.unlock()
        return True

    def share_ring(self):
        """Called before a spool is made, whose ring all threads share. False: without a GIL, other threads have rings already."""
        return not FREE_THREADED or begin_sharing(self)

    def unshare_ring(self):
        """Takes `share_ring` back when the spool could not be made."""
        store_relaxed32(&self.engine.intake.shares, FREE_THREADED and load_pointer(&self.engine.intake.ring) != NULL)

    @property
    def has_spools(self):
        """Whether records go into a spool, or wait in one, or a sync of one has failed that was not reported yet."""
        return len(self.spools) > 0 or self.engine.sync.error != 0

    @property
    def ring_wanted(self):
        """Whether the next record is to make the ring, as in a forked child."""
        return self.stand_in != NULL and load_pointer(&self.engine.intake.ring) == self.stand_in

    # ---- the engine's lock, for a section that runs no Python code

    cdef bint lock_until(self, int64_t deadline) noexcept:
        """Takes the lock. Returns False when that was not possible before `deadline` (monotonic).

        A thread never waits for the GIL while it holds the lock, because it would keep the lock if the interpreter ended
        and it never got the GIL again. Nor does it wait for the lock while it holds the GIL. A thread may take the lock
        again, because the collector can run a __del__ that logs inside a section.
        """
        cdef uint64_t me = PyThread_get_thread_ident()
        cdef bint taken = True
        if load_relaxed(&self.threads.holder) == me:
            self.threads.holds += 1
            return True
        if not lock_try(&self.engine.lock):
            fetch_add(&self.engine.lock.waiters, 1)
            while True:
                with nogil:
                    lock_await(&self.engine.lock)
                taken = lock_try(&self.engine.lock)
                if taken or clock_monotonic_ns() >= deadline:
                    break
            fetch_sub(&self.engine.lock.waiters, 1)
            event_signal(&self.engine.lock_passed)
        if taken:
            store_relaxed(&self.threads.holder, me)
            self.threads.holds = 1
        return taken

    cdef bint lock_patiently(self, int64_t deadline) except -1:
        """The same, with signal handlers running meanwhile, because the flusher may hang in a system call with the lock held."""
        while not self.lock_until(min(deadline, clock_monotonic_ns() + 50000000)):
            if clock_monotonic_ns() >= deadline:
                return False
            PyErr_CheckSignals()
        return True

    cdef void lock(self) noexcept:
        self.lock_until(INT64_MAX)

    @cython.nonecheck(False)  # the debug build's check for None would need the GIL
    cdef void unlock(self) noexcept nogil:
        self.threads.holds -= 1
        if self.threads.holds == 0:
            store_relaxed(&self.threads.holder, 0)
            engine_unlock(self.engine)

    cdef int pass_here(self) noexcept:
        """Makes one pass on this thread, which may hold the lock already. Runs no Python code."""
        cdef bint has_lock = load_relaxed(&self.threads.holder) == PyThread_get_thread_ident()
        cdef int status
        with nogil:
            status = engine_pass(self.engine) if has_lock else pass_once(self.engine)
        return status

    # ---- spools

    @property
    def ring_capacity(self):
        """Bytes of the ring that records go into now."""
        return self.engine.intake.ring_capacity

    def use_memory(self, uint64_t capacity):
        """Records go into plain memory from now on."""
        self.set_ring_size(capacity)
        self.spool_base = None

    cdef keep(self, file):
        # Rings point into the file. So it is held by a reference count too, in case the collector clears `spools` first.
        self.spools.append(file)
        Py_INCREF(file)
        (<SpoolFile> file).spool.owner = <void*> file
        (<SpoolFile> file).is_kept = True
        (<SpoolFile> file).next_kept = self.kept
        self.kept = <void*> file

    def leave_spools(self, bint in_child):
        """Gives up every spool as it is, and returns the spools. The lines that sinks have buffered are still in them.

        In a forked child the next record calls `make_ring`. Otherwise this core is not used any more.
        """
        return leave_all_spools(self, in_child)

    # ---- configuration

    def configure(
        self, int flush_level, uint64_t ring_capacity, int64_t interval_ns, bint drops, uint64_t max_message_bytes,
        int64_t stall_ns,
    ):
        """Takes effect for the next record; nothing that was logged before is lost."""
        cdef Engine* engine = self.engine
        if ring_capacity != engine.intake.ring_capacity:
            self.set_ring_size(ring_capacity)
        self.lock()
        # Relaxed stores, because producers may go by the old values for a moment.
        store_relaxed32(<uint32_t*> &engine.intake.flush_level, <uint32_t> flush_level)
        store_relaxed32(&engine.intake.drops, drops)
        store_relaxed(&engine.intake.max_message_bytes, max_message_bytes)
        store_relaxed(&engine.intake.heap_limit, max_message_bytes + ring_capacity)
        store_relaxed(<uint64_t*> &engine.intake.stall_ns, <uint64_t> stall_ns)
        engine.interval_ns = interval_ns
        self.unlock()
        intake_wake(&engine.intake)

    cdef void set_needs(self, bint site, bint thread, bint thread_name) noexcept:
        cdef const Ring* ring
        cdef uint32_t needs = (
            (NEED_SITE if site else 0) | (NEED_THREAD if thread else 0) | (NEED_THREAD_NAME if thread_name else 0)
        )
        self.lock()
        self.sinks_need_site = site
        ring = load_pointer(&self.engine.intake.ring)
        if ring != NULL and ring.spool != NULL:
            needs |= NEED_SITE
        needs |= self.engine.intake.needs & (NEED_CONTEXT | NEED_SOURCE | NEED_CARE | NEED_SAMPLING | NEED_TIME)
        store_relaxed32(&self.engine.intake.needs, needs)
        self.unlock()

    def use_context(self, variable):
        """From now on every record takes fields from this ContextVar, or from the one of the first call. Returns that one."""
        if self.context is None:
            self.context = variable
            self.lock()
            store_release32(&self.engine.intake.needs, self.engine.intake.needs | NEED_CONTEXT)
            self.unlock()
        return self.context

    def set_post(self, *, bint start=False, bint sync=False, bint drain=False, bint wake=False):
        store_relaxed32(&self.engine.intake.post, post_flags(start, sync, drain, wake))

    def put_level(self, str name, int number, str color):
        """Adds a level, or gives one a new colour; returns its index."""
        return put_level_of(self, name, number, color)

    cdef tuple resolve_level(self, object level):
        found = self.level_index.get(level) if type(level) is int or type(level) is str else None
        if found is not None:
            return found
        return self.level_resolver(level)

    def set_rules(self, LevelRules rules not None):
        """Has what is logged from now on go by these levels by name. (The gate of log calls is `publish`'s.)"""
        cdef RuleStep* step = step_of(rules)
        self.lock()
        step = use_rules(self.engine, &self.engine.rules, step)
        self.unlock()
        free_steps(step)

    # ---- sinks

    # Locks the engine and returns the sink. The lookup comes after the lock, because another thread may free the sink meanwhile.
    cdef Sink* lock_sink(self, int sink_id) except NULL:
        cdef Sink* sink = self.lock_and_find_sink(sink_id)
        if sink != NULL:
            return sink
        self.unlock()
        raise KeyError(sink_id)

    # The same, but returns NULL when there is no such sink. The engine is locked in that case, too.
    cdef Sink* lock_and_find_sink(self, int sink_id) noexcept:
        cdef Sink* sink
        self.lock()
        sink = self.engine.sinks
        while sink != NULL and sink.id != sink_id:
            sink = sink.next
        return sink

    # ---- work that Python does on the flusher's thread

    def take_work(self):
        """Returns a `PythonWork` for each sink that wants Python."""
        return work_of_sinks(self)

    # ---- the flusher's thread

    cdef bint ask_for_flusher(self) except -1:
        """Called by a record that finds no flusher. If memory is short, the next record asks again: POST_START is still set."""
        try:
            self.start_flusher()
        except MemoryError as trouble:
            self.report_if_possible(trouble)
        return True

    def abandon_flusher(self):
        """Called at exit when the flusher is stuck. Nobody waits for it any more, and records that find no room are dropped."""
        self.is_over = True
        store_relaxed32(&self.engine.intake.drops, 1)
        store_relaxed32(&self.engine.intake.post, 0)

    @property
    def flusher_runs(self):
        """Whether there is a thread that drains the rings."""
        return load_acquire32(&self.threads.has_flusher) != 0

    @property
    def failed_formats(self):
        """Messages that could not be formatted."""
        return load_relaxed(&self.calls.failed_formats)

    @property
    def blocked_ns(self):
        """Nanoseconds that callers have waited for room."""
        return load_relaxed(&self.calls.blocked_ns)

    def set_stop(self, bint stop):
        store_release32(&self.engine.requests.stop, stop)
        intake_wake(&self.engine.intake)

    def report(self, error):
        """Has the error reported to `on_error` on the flusher's thread. Without memory it is not reported, but still counted."""
        self.keep_error(error)
        self.want_python()

    cdef void report_if_possible(self, object error) noexcept:
        """The same, but never raises: for the flusher's thread, which nothing may end."""
        self.keep_error(error)
        store_release32(&self.engine.requests.python, 1)
        intake_wake(&self.engine.intake)

    cdef bint keep_error(self, object error) except -1:
        try:  # see `no_memory`
            kept = no_memory if type(error) is MemoryError and len(self.errors) >= 8 else error
            # In a tuple: what on_error itself has caused, for which it is not called again.
            is_own = load_relaxed(&self.threads.reporting) == <uint64_t> PyThread_get_thread_ident()
            self.errors.append((kept,) if is_own else kept)
        except MemoryError:
            pass
        return True

    def want_python(self):
        """Has `on_work` called soon on the flusher's thread."""
        # A release store, so that the thread that sees the request sees the error, too.
        store_release32(&self.engine.requests.python, 1)
        intake_wake(&self.engine.intake)

    cdef object note_failed_format(self, error):
        fetch_add(&self.calls.failed_formats, 1)
        self.report(error)

    cpdef bint must_not_wait(self) except -1:
        """Whether this thread does the flusher's work or holds the engine's lock, so that it would wait for itself."""
        cdef uint64_t me = PyThread_get_thread_ident()
        return (
            load_relaxed(&self.threads.flusher) == me or load_relaxed(&self.threads.drainer) == me
            or load_relaxed(&self.threads.holder) == me
        )

    def call_function(self, function, *args):
        """Calls a sink's function or filter, or on_error. What it logs goes to no function and no filter (IS_INSIDE)."""
        return call_marked(self, IS_INSIDE, function, args)

    def call_stream(self, function, *args):
        """Calls a method of a sink's stream. What it logs goes to no sink that runs Python code."""
        return call_marked(self, IS_INSIDE | IS_ECHO, function, args)

    def work(self):
        """Does the Python work of the sinks, one thread at a time. False: another thread is doing it, and will look again."""
        return work_once(self)

    def drain_here(self):
        """Does the flusher's work on this thread and at once, because there is no flusher (not yet, or not any more)."""
        return drain_on_this_thread(self)

    def flush(self, timeout=None, bint gives_way=False):
        """Waits, with the GIL released, until every sink has written what was logged before.

        `gives_way`: where this takes longer than some milliseconds, the other greenlets of this thread run meanwhile.

        Returns False when `timeout` seconds have passed, or when a sink has been in trouble for the stall time and still holds
        such records. It also returns False when this thread runs a sink's function, and what is left waits for that function.
        """
        return flush_until(self, timeout, gives_way)

    def await_batches(self, double seconds):
        """For so long a flush does not give up a batch sink that fails, unless its function has asked for a longer pause."""
        cdef int64_t until = clock_monotonic_ns() + <int64_t> (seconds * 1e9)
        store_relaxed(<uint64_t*> &self.engine.requests.batches_until_ns, <uint64_t> until)

    def must_not_flush(self):
        """Whether a flush on this thread would wait for itself: `must_not_wait`, or it runs the function of a batch sink."""
        return self.must_not_wait() or runs_batches(self)

    def abandon(self, bint batches=False):
        """Discards what sinks in trouble have not taken. The records count as failed; returns how many they were.

        `batches`: also what batch sinks hold, because the time that there was for it is over.
        What the other sinks hold is left alone: it comes from threads that log now, and they write it themselves.
        """
        return abandon_sinks_in_trouble(self, batches)

    def progress(self):
        """A number that grows as long as sinks take something."""
        return progress_of(self)

    def pending(self, timeout=None):
        """Records that have been logged and not yet been written, dropped or failed. None: not known within `timeout` seconds."""
        return pending_records(self, timeout)

    def stats(self):
        """The books, a `logly.stats.Stats`."""
        return books_of(self)


# One MemoryError, made before it is needed and used each time. CPython keeps 16 of them in reserve, and some versions abort the
# process when a seventeenth is needed and there is no memory for it.
cdef object no_memory = MemoryError("logly: no memory for a record")
