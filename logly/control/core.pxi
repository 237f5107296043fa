# `Core`: one logger's engine as Python holds it. Whoever touches what the flusher reads takes the engine's lock, and
# gives up the GIL for the wait; under the lock runs no Python code.

cimport cython
from collections import deque
from logly.errors import LoglyError

from cpython.ref cimport Py_INCREF
from libc.stdint cimport INT32_MAX, INT64_MAX, int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from logly.flusher.loop cimport engine_pass
from logly.flusher.sink cimport Sink, Tally, sink_free
from logly.flusher.state cimport (
    Engine, engine_begin, engine_free_memory, engine_unlock, workspace_begin, workspace_free,
)
from logly.layout.line cimport MAX_LEVELS
from logly.ring.gate cimport NEED_CARE, NEED_CONTEXT, NEED_SITE, NEED_THREAD, NEED_THREAD_NAME, intake_wake
from logly.ring.leases cimport FREE_THREADED, lease_end_engine, new_id
from logly.ring.record cimport IS_ECHO, IS_INSIDE
from logly.ring.ring cimport RING_ALIGN, Ring, ring_free, ring_new
from logly.system.atomic cimport (
    fetch_add, fetch_sub, load_acquire32, load_pointer, load_relaxed, store_relaxed, store_relaxed32, store_release32,
)
from logly.system.clock cimport clock_monotonic_ns
from logly.system.cpython cimport PyErr_CheckSignals, PyThread_get_thread_ident
from logly.system.event cimport event_signal
from logly.system.lock cimport lock_await, lock_try
from logly.text.buffer cimport Text

# Of other included files:
#   control/commit.pxi: post_flags
#   control/flush.pxi: abandon_sinks_in_trouble, flush_until, pending_records
#   control/fork.pxi: remember_core
#   control/rings.pxi: begin_sharing, books_of, free_ring_records, leave_all_spools, link_ring, pass_once, progress_of,
#       release_spool_file, swap_ring
#   control/work.pxi: call_marked, drain_on_this_thread, work_of_sinks, work_once
#   registry/name_entries.pxi: level_entry
#   registry/registry.pxi: all_programs, all_sites, enter_registry
#   spool/spool_file.pxi: SpoolFile
#   system/threads.pxi: SystemLock
#   text/owned_text.pxi: copy_text, utf8


cdef class Core:
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
        self.engine.intake.flush_level = INT32_MAX
        self.engine.intake.ring_capacity = ring_capacity
        self.engine.intake.max_message_bytes = 1 << 26
        self.engine.intake.stall_ns = 1000000000
        self.engine.interval_ns = 100000000
        self.engine.programs = all_programs
        self.engine.sites = all_sites
        self.engine.name = copy_text(encoded)
        engine_begin(self.engine)
        workspace_begin(&self.engine.workspace)
        self.errors = deque(maxlen=100)
        self.sinks = {}
        self.leaving = {}
        self.layouts = []
        self.level_index = {}
        self.spools = []
        self.engine.intake.id = new_id()
        self.set_ring_size(ring_capacity)
        remember_core(self)

    def __dealloc__(self):
        cdef Ring* ring
        cdef Sink* sink
        cdef uint32_t i
        if self.engine == NULL:
            return
        if self.stand_in != NULL:
            ring_free(self.stand_in)
        while self.engine.rings != NULL:
            ring = self.engine.rings
            self.engine.rings = ring.next
            free_ring_records(ring)
            if ring.lease != NULL:
                lease_end_engine(ring.lease)
            ring_free(ring)
        while self.kept != NULL:
            release_spool_file(self, <SpoolFile> self.kept)
        while self.engine.sinks != NULL:
            sink = self.engine.sinks
            self.engine.sinks = sink.next
            sink_free(sink)
        for i in range(self.engine.levels.count):
            free(<void*> self.engine.levels.level[i].name.data)
            free(<void*> self.engine.levels.level[i].color.data)
        engine_free_memory(self.engine)
        workspace_free(&self.engine.workspace)
        free(<void*> self.engine.name.data)
        free(self.engine_block)

    cdef void begin(self) noexcept:
        """In a new object it changes nothing; one in a forked child forgets what its parent's threads did."""
        memset(&self.threads, 0, sizeof(Threads))
        memset(&self.calls, 0, sizeof(Calls))
        memset(&self.gone, 0, sizeof(Tally))

    # ---- rings

    cdef bint set_ring_size(self, uint64_t capacity) except -1:
        """With a GIL: a new ring in place of the one before. Else every thread makes itself one at its next record."""
        cdef Ring* ring = NULL
        if not FREE_THREADED:
            ring = ring_new(capacity, 0)
            if ring == NULL:
                raise MemoryError
        return self.use_ring(ring, capacity)

    cdef bint use_ring(self, Ring* ring, uint64_t capacity) except -1:
        """NULL, on free-threaded builds: a ring for each thread."""
        cdef Engine* engine = self.engine
        self.lock()
        engine.intake.ring_capacity = capacity
        store_relaxed(&engine.intake.heap_limit, engine.intake.max_message_bytes + capacity)
        if FREE_THREADED:
            store_relaxed(&engine.intake.generation, new_id())
            store_relaxed32(&engine.intake.shares, ring != NULL)
        if ring != NULL:
            link_ring(engine, ring)
            engine.spooled = engine.spooled or ring.spool != NULL
        self.unlock()
        swap_ring(self, ring)
        return True

    def share_ring(self):
        """A spool is to be made, whose ring is for all threads. False: on a free-threaded build others have theirs already."""
        return not FREE_THREADED or begin_sharing(self)

    def unshare_ring(self):
        """There is no such spool, after all."""
        store_relaxed32(&self.engine.intake.shares, FREE_THREADED and load_pointer(&self.engine.intake.ring) != NULL)

    @property
    def ring_wanted(self):
        """In a forked child: the first record is to make the ring."""
        return self.stand_in != NULL and load_pointer(&self.engine.intake.ring) == self.stand_in

    # ---- the engine's lock, for a section that runs no Python code

    cdef bint lock_until(self, int64_t deadline) noexcept:
        """False: it was not to be had before `deadline` (monotonic).

        Neither waits for the GIL with the lock in hand, nor for the lock with the GIL in hand: a thread that never gets the
        GIL again, because the interpreter ends, would keep the lock. The same thread may take it again: the
        collector can run a __del__ that logs inside a section.
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
        """The same; signal handlers run meanwhile, for the flusher may hang in a system call with the lock held."""
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
        """One pass on this thread, which may have the lock already. Runs no Python code."""
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
        # The rings point into it, also while the collector takes this object apart.
        self.spools.append(file)
        Py_INCREF(file)
        (<SpoolFile> file).spool.owner = <void*> file
        (<SpoolFile> file).is_kept = True
        (<SpoolFile> file).next_kept = self.kept
        self.kept = <void*> file

    def leave_spools(self, bint in_child):
        """Lets go of every spool as it is; returns them. The buffered lines are still in there.

        In a forked child the next record calls `make_ring`. Else this core is not used any more.
        """
        return leave_all_spools(self, in_child)

    cdef uint32_t place_level(self, uint32_t index, str name, int number, str color) except? 0:
        """MAX_LEVELS: at the next place; returns which."""
        cdef Text text = copy_text(utf8(name))
        cdef Text sgr = copy_text(utf8(color))
        self.lock()
        if index == MAX_LEVELS:
            # Under the lock, so that no two get the same; the last place is shared, if need be.
            index = min(self.engine.levels.count, <uint32_t> (MAX_LEVELS - 1))
        if index >= self.engine.levels.count:
            self.engine.levels.count = index + 1
        # What was there before may still be read by nobody: the flusher looks at it under the lock only.
        text, self.engine.levels.level[index].name = self.engine.levels.level[index].name, text
        sgr, self.engine.levels.level[index].color = self.engine.levels.level[index].color, sgr
        self.engine.levels.level[index].number = number
        self.engine.levels.versions += 1
        self.engine.levels.level[index].version = self.engine.levels.versions
        self.unlock()
        free(<void*> text.data)
        free(<void*> sgr.data)
        return index

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
        # Relaxed: producers may go by the old values for a moment.
        store_relaxed32(<uint32_t*> &engine.intake.flush_level, <uint32_t> flush_level)
        store_relaxed32(&engine.intake.drops, drops)
        store_relaxed(&engine.intake.max_message_bytes, max_message_bytes)
        store_relaxed(&engine.intake.heap_limit, max_message_bytes + ring_capacity)
        store_relaxed(<uint64_t*> &engine.intake.stall_ns, <uint64_t> stall_ns)
        engine.interval_ns = interval_ns
        self.unlock()
        intake_wake(&engine.intake)

    cdef void set_needs(self, bint site, bint thread, bint thread_name) noexcept:
        cdef uint32_t needs = (
            (NEED_SITE if site else 0) | (NEED_THREAD if thread else 0) | (NEED_THREAD_NAME if thread_name else 0)
        )
        self.lock()
        store_relaxed32(&self.engine.intake.needs, needs | (self.engine.intake.needs & (NEED_CONTEXT | NEED_CARE)))
        self.unlock()

    def use_context(self, variable):
        """Every record from now on looks for fields in this ContextVar, or in the one that was given before: returns which."""
        if self.context is None:
            self.context = variable
            self.lock()
            store_release32(&self.engine.intake.needs, self.engine.intake.needs | NEED_CONTEXT)
            self.unlock()
        return self.context

    def set_post(self, *, bint start=False, bint sync=False, bint drain=False, bint wake=False):
        store_relaxed32(&self.engine.intake.post, post_flags(start, sync, drain, wake))

    def set_level(self, str name, int number, str color):
        """Adds a level, or gives one a new colour; returns its index."""
        cdef uint32_t i = MAX_LEVELS
        cdef SystemLock registry
        known = self.level_index.get(name)
        if known is not None:
            i = known[1]
        elif self.engine.levels.count >= MAX_LEVELS:
            raise LoglyError(f"no more than {MAX_LEVELS} levels")
        i = self.place_level(i, name, number, color)
        registry = enter_registry()
        try:
            for file in self.spools:
                (<SpoolFile> file).store_names(level_entry(i, &self.engine.levels.level[i]))
        finally:
            registry.give()
        self.level_index[name] = (number, i)
        if number not in self.level_index:
            self.level_index[number] = (number, i)
        return i

    cdef tuple resolve_level(self, object level):
        found = self.level_index.get(level) if type(level) is int or type(level) is str else None
        if found is not None:
            return found
        return self.level_resolver(level)

    # ---- sinks

    # Locks the engine and returns the sink: another thread may remove and free it while this one waits for the lock.
    cdef Sink* lock_sink(self, int sink_id) except NULL:
        cdef Sink* sink = self.lock_and_find_sink(sink_id)
        if sink != NULL:
            return sink
        self.unlock()
        raise KeyError(sink_id)

    # The same; NULL, and the engine is locked all the same, where it is not there.
    cdef Sink* lock_and_find_sink(self, int sink_id) noexcept:
        cdef Sink* sink
        self.lock()
        sink = self.engine.sinks
        while sink != NULL and sink.id != sink_id:
            sink = sink.next
        return sink

    # ---- work that Python does on the flusher's thread

    def take_work(self):
        """A `PythonWork` of each sink that wants Python."""
        return work_of_sinks(self)

    # ---- the flusher's life

    cdef bint ask_for_flusher(self) except -1:
        """What a record does that finds none. Without memory for that, the next record asks again: POST_START is still set."""
        try:
            self.start_flusher()
        except MemoryError as trouble:
            self.report_if_possible(trouble)
        return True

    def abandon_flusher(self):
        """At exit, with a flusher that is stuck: nobody waits for it any more, and what finds no room is dropped."""
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
        """Has `on_error` told of it, on the flusher's thread. Without memory for that it is not told, but counted anyway."""
        self.keep_error(error)
        self.want_python()

    cdef void report_if_possible(self, object error) noexcept:
        """The same, for the flusher's thread, which nothing ends."""
        self.keep_error(error)
        store_release32(&self.engine.requests.python, 1)
        intake_wake(&self.engine.intake)

    cdef bint keep_error(self, object error) except -1:
        try:  # see `no_memory`
            self.errors.append(no_memory if type(error) is MemoryError and len(self.errors) >= 8 else error)
        except MemoryError:
            pass
        return True

    def want_python(self):
        """Has `on_work` called on the flusher's thread, soon."""
        # Release: who sees it sees the error, too.
        store_release32(&self.engine.requests.python, 1)
        intake_wake(&self.engine.intake)

    cdef object note_failed_format(self, error):
        fetch_add(&self.calls.failed_formats, 1)
        self.report(error)

    cpdef bint must_not_wait(self) except -1:
        """Whether this thread does the flusher's work, or keeps others from it: it must not wait for that."""
        cdef uint64_t me = PyThread_get_thread_ident()
        return (
            load_relaxed(&self.threads.flusher) == me or load_relaxed(&self.threads.drainer) == me
            or load_relaxed(&self.threads.holder) == me
        )

    def call_function(self, function, *args):
        """Calls a sink's function or filter, or on_error. What it logs is for no function and no filter: see IS_INSIDE."""
        return call_marked(self, IS_INSIDE, function, args)

    def call_stream(self, function, *args):
        """Calls a method of a sink's stream. What it logs is for no Python code at all."""
        return call_marked(self, IS_INSIDE | IS_ECHO, function, args)

    def work(self):
        """What sinks want of Python, by one thread at a time. False: another one is at it, and looks again."""
        return work_once(self)

    def drain_here(self):
        """Does the flusher's work on this thread, and at once: there is no flusher (not yet, or not any more)."""
        return drain_on_this_thread(self)

    def flush(self, timeout=None, bint gives_way=False):
        """Waits, GIL released, until what was logged before has left every sink.

        `gives_way`: where that takes longer than some milliseconds, the other greenlets of this thread run meanwhile.

        False: `timeout` seconds passed; or a sink has been in trouble for the stall time and still has some of it; or this is
        the thread that does the flusher's work, in somebody's function, and what is left needs that function.
        """
        return flush_until(self, timeout, gives_way)

    def abandon(self):
        """Gives up what sinks in trouble have not taken: counted as failed. Returns how many records that were.

        What another sink holds is of somebody who logs now, and writes it himself.
        """
        return abandon_sinks_in_trouble(self)

    def progress(self):
        """A number that grows as long as sinks take something."""
        return progress_of(self)

    def pending(self):
        """Records that have been logged and not yet been written, dropped or failed."""
        return pending_records(self)

    def stats(self):
        """The books, a `logly.stats.Stats`."""
        return books_of(self)


# Made before it is needed, and the same each time: CPython has 16 of them in reserve, and some versions abort the process when a
# seventeenth is wanted and there is no memory for it.
cdef object no_memory = MemoryError("logly: no memory for a record")
