# `Core`: one logger's engine as Python holds it. Whoever touches what the flusher reads takes the engine's lock, and
# gives up the GIL for the wait; under the lock runs no Python code.

from .errors import LoglyError, show


cdef class Core:
    """One logger's engine: rings, sinks, books."""

    def __cinit__(self, str name, uint64_t ring_capacity):
        cdef char* block = <char*> calloc(1, sizeof(Engine) + RING_ALIGN)
        cdef bytes encoded = utf8(name)
        if block == NULL:
            raise MemoryError
        self.engine_block = block
        self.engine = <Engine*> ((<uint64_t> block + RING_ALIGN - 1) & ~(<uint64_t> RING_ALIGN - 1))
        self.engine.threshold = INT32_MAX
        self.engine.flush_level = INT32_MAX
        self.engine.ring_capacity = ring_capacity
        self.engine.max_message_bytes = 1 << 26
        self.engine.stall_ns = 1000000000
        self.engine.interval_ns = 100000000
        self.engine.drained_ns = clock_monotonic_ns()
        self.engine.programs = all_programs
        self.engine.sites = all_sites
        self.engine.process = process_id()
        self.engine.name = copy_text(encoded)
        init_events(self.engine)
        calibration_init(&self.engine.calibration)
        self.errors = deque(maxlen=100)
        self.sinks = {}
        self.leaving = {}
        self.layouts = []
        self.level_index = {}
        self.spools = []
        self.engine.id = new_name()
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
                lease_leave(ring.lease)
            ring_free(ring)
        while self.kept != NULL:
            let_go_of_file(self, <SpoolFile> self.kept)
        while self.engine.sinks != NULL:
            sink = self.engine.sinks
            self.engine.sinks = sink.next
            free_sink(sink)
        for i in range(self.engine.level_count):
            free(<void*> self.engine.levels[i].name.data)
            free(<void*> self.engine.levels[i].color.data)
        free(self.engine.failed)
        merge_free(&self.engine.merge)
        buffer_free(&self.engine.scratch)
        buffer_free(&self.engine.message)
        index_free(&self.engine.index)
        buffer_free(&self.engine.aside)
        free(<void*> self.engine.name.data)
        free(self.engine_block)

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
        engine.ring_capacity = capacity
        store_relaxed(&engine.heap_limit, engine.max_message_bytes + capacity)
        if FREE_THREADED:
            store_relaxed(&engine.generation, new_name())
            store_relaxed32(&engine.shares, ring != NULL)
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
        store_relaxed32(&self.engine.shares, FREE_THREADED and load_pointer(&self.engine.ring) != NULL)

    @property
    def ring_wanted(self):
        """In a forked child: the first record is to make the ring."""
        return self.stand_in != NULL and load_pointer(&self.engine.ring) == self.stand_in

    def ring_count(self):
        """Rings that there are: one, or one per thread without a GIL. For tests."""
        cdef Ring* ring
        cdef int count = 0
        self.lock()
        ring = self.engine.rings
        while ring != NULL:
            count += 1
            ring = ring.next
        self.unlock()
        return count

    # ---- the engine's lock, for a section that runs no Python code

    cdef bint lock_until(self, int64_t deadline) noexcept:
        """False: it was not to be had before `deadline` (monotonic).

        Neither waits for the GIL with the lock in hand, nor for the lock with the GIL in hand: a thread that never gets the
        GIL again, because the interpreter ends, would keep the lock. The same thread may take it again: the
        collector can run a __del__ that logs inside a section.
        """
        cdef uint64_t me = PyThread_get_thread_ident()
        cdef bint taken = True
        if load_relaxed(&self.holder) == me:
            self.holds += 1
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
            event_signal(&self.engine.turn)
        if taken:
            store_relaxed(&self.holder, me)
            self.holds = 1
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
        self.holds -= 1
        if self.holds == 0:
            store_relaxed(&self.holder, 0)
            engine_unlock(self.engine)

    cdef int pass_here(self) noexcept:
        """One pass on this thread, which may have the lock already. Runs no Python code."""
        cdef bint has_lock = load_relaxed(&self.holder) == PyThread_get_thread_ident()
        cdef int status
        with nogil:
            status = engine_pass(self.engine) if has_lock else pass_once(self.engine)
        return status

    # ---- spools

    @property
    def ring_capacity(self):
        """Bytes of the ring that records go into now."""
        return self.engine.ring_capacity

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
            index = min(self.engine.level_count, <uint32_t> (MAX_LEVELS - 1))
        if index >= self.engine.level_count:
            self.engine.level_count = index + 1
        # What was there before may still be read by nobody: the flusher looks at it under the lock only.
        text, self.engine.levels[index].name = self.engine.levels[index].name, text
        sgr, self.engine.levels[index].color = self.engine.levels[index].color, sgr
        self.engine.levels[index].number = number
        self.engine.level_versions += 1
        self.engine.levels[index].version = self.engine.level_versions
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
        if ring_capacity != engine.ring_capacity:
            self.set_ring_size(ring_capacity)
        self.lock()
        # Relaxed: producers may go by the old values for a moment.
        store_relaxed32(<uint32_t*> &engine.flush_level, <uint32_t> flush_level)
        store_relaxed32(&engine.drops, drops)
        store_relaxed(&engine.max_message_bytes, max_message_bytes)
        store_relaxed(&engine.heap_limit, max_message_bytes + ring_capacity)
        store_relaxed(<uint64_t*> &engine.stall_ns, <uint64_t> stall_ns)
        engine.interval_ns = interval_ns
        self.unlock()
        engine_wake(engine)

    cdef void set_needs(self, bint site, bint thread, bint thread_name) noexcept:
        cdef uint32_t needs = (
            (NEED_SITE if site else 0) | (NEED_THREAD if thread else 0) | (NEED_THREAD_NAME if thread_name else 0)
        )
        self.lock()
        store_relaxed32(&self.engine.needs, needs | (self.engine.needs & (NEED_CONTEXT | NEED_CARE)))
        self.unlock()

    def use_context(self, variable):
        """Every record from now on looks for fields in this ContextVar, or in the one that was given before: returns which."""
        if self.context is None:
            self.context = variable
            self.lock()
            store_release32(&self.engine.needs, self.engine.needs | NEED_CONTEXT)
            self.unlock()
        return self.context

    def set_post(self, *, bint start=False, bint sync=False, bint drain=False, bint wake=False):
        store_relaxed32(&self.engine.post, post_flags(start, sync, drain, wake))

    def set_level(self, str name, int number, str color):
        """Adds a level, or gives one a new colour; returns its index."""
        cdef uint32_t i = MAX_LEVELS
        cdef SystemLock registry
        known = self.level_index.get(name)
        if known is not None:
            i = known[1]
        elif self.engine.level_count >= MAX_LEVELS:
            raise LoglyError(f"no more than {MAX_LEVELS} levels")
        i = self.place_level(i, name, number, color)
        registry = enter_registry()
        try:
            for file in self.spools:
                (<SpoolFile> file).append_names(level_entry(i, &self.engine.levels[i]))
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
    cdef Sink* hold(self, int sink_id) except NULL:
        cdef Sink* sink = self.find(sink_id)
        if sink != NULL:
            return sink
        self.unlock()
        raise KeyError(sink_id)

    # The same; NULL, and the engine is locked all the same, where it is not there.
    cdef Sink* find(self, int sink_id) noexcept:
        cdef Sink* sink
        self.lock()
        sink = self.engine.sinks
        while sink != NULL and sink.id != sink_id:
            sink = sink.next
        return sink

    # ---- work that Python does on the flusher's thread

    def take_work(self):
        """[(sink id, rotate, reopen, stream, records, errno or 0)] of sinks that want Python."""
        cdef Sink* sink
        cdef SinkWork* found = NULL
        cdef uint32_t count = 0, i
        store_relaxed32(&self.engine.python_wanted, 0)
        self.lock()
        sink = self.engine.sinks
        while sink != NULL:
            count += sink.work != 0
            sink = sink.next
        if count:
            found = <SinkWork*> malloc(count * sizeof(SinkWork))
            collect_work(self.engine.sinks, found)
        self.unlock()
        # Not under the lock: making a tuple may run the collector, and with it a __del__ that logs.
        work = []
        try:
            for i in range(count if found != NULL else 0):
                work.append((
                    found[i].sink_id, bool(found[i].work & WORK_ROTATE), bool(found[i].work & WORK_REOPEN),
                    bool(found[i].work & WORK_STREAM), bool(found[i].work & WORK_RECORDS), found[i].error,
                ))
        finally:
            free(found)
        return work

    # ---- the flusher's life

    cdef bint ask_for_flusher(self) except -1:
        """What a record does that finds none. Without memory for that, the next record asks again: POST_START is still set."""
        try:
            self.start_flusher()
        except MemoryError as trouble:
            self.tell_if_possible(trouble)
        return True

    def give_up(self):
        """At exit, with a flusher that is stuck: nobody waits for it any more, and what finds no room is dropped."""
        self.is_over = True
        store_relaxed32(&self.engine.drops, 1)
        store_relaxed32(&self.engine.post, 0)

    @property
    def flusher_runs(self):
        """Whether there is a thread that drains the rings."""
        return load_acquire32(&self.has_flusher) != 0

    @property
    def failed_formats(self):
        """Messages that could not be formatted."""
        return load_relaxed(&self.failed_format_count)

    @property
    def blocked_ns(self):
        """Nanoseconds that callers have waited for room."""
        return load_relaxed(&self.blocked)

    def set_stop(self, bint stop):
        store_release32(&self.engine.stop, stop)
        engine_wake(self.engine)

    def tell(self, error):
        """Has `on_error` told of it, on the flusher's thread. Without memory for that it is not told, but counted anyway."""
        self.keep_error(error)
        self.want_python()

    cdef void tell_if_possible(self, object error) noexcept:
        """The same, for the flusher's thread, which nothing ends."""
        self.keep_error(error)
        store_release32(&self.engine.python_wanted, 1)
        engine_wake(self.engine)

    cdef bint keep_error(self, object error) except -1:
        try:  # see `no_memory`
            self.errors.append(no_memory if type(error) is MemoryError and len(self.errors) >= 8 else error)
        except MemoryError:
            pass
        return True

    def want_python(self):
        """Has `on_work` called on the flusher's thread, soon."""
        # Release: who sees it sees the error, too.
        store_release32(&self.engine.python_wanted, 1)
        engine_wake(self.engine)

    cpdef note_failed_format(self, error):
        fetch_add(&self.failed_format_count, 1)
        self.tell(error)

    cpdef bint is_inside(self) except -1:
        """Whether this thread does the flusher's work, or keeps others from it: it must not wait for that."""
        cdef uint64_t me = PyThread_get_thread_ident()
        return (
            load_relaxed(&self.flusher_ident) == me or load_relaxed(&self.drainer) == me
            or load_relaxed(&self.holder) == me
        )

    def call_outside(self, function, *args):
        """Calls a sink's function or filter, or on_error. What it logs is for no function and no filter: see IS_INSIDE."""
        return self.call_marked(IS_INSIDE, function, args)

    def call_stream(self, function, *args):
        """Calls a method of a sink's stream. What it logs is for no Python code at all."""
        return self.call_marked(IS_INSIDE | IS_ECHO, function, args)

    cdef object call_marked(self, uint8_t marks, object function, tuple args):
        cdef uint64_t thread = self.inside
        cdef uint8_t before = self.inside_marks
        self.inside_marks = marks
        store_relaxed(&self.inside, <uint64_t> PyThread_get_thread_ident())
        self.set_care(True)
        try:
            return function(*args)
        finally:
            store_relaxed(&self.inside, thread)
            self.inside_marks = before
            if not thread:
                self.set_care(False)

    cdef void set_care(self, bint care) noexcept:
        cdef uint32_t others
        self.lock()
        others = self.engine.needs & ~<uint32_t> NEED_CARE
        store_relaxed32(&self.engine.needs, others | (NEED_CARE if care else 0))
        self.unlock()

    def work(self):
        """What sinks want of Python, by one thread at a time. False: another one is at it, and looks again."""
        cdef uint64_t me = PyThread_get_thread_ident()
        await_forks()
        if not compare_exchange(&self.drainer, 0, me):
            return False
        if somebody_forks():  # it began in between, and may not have seen this thread
            store_release(&self.drainer, 0)
            await_forks()
            if not compare_exchange(&self.drainer, 0, me):
                return False
        try:
            self.on_work()
        finally:
            store_release(&self.drainer, 0)
        return True

    def drain_here(self):
        """Does the flusher's work on this thread, and at once: there is no flusher (not yet, or not any more)."""
        cdef int status
        fetch_add(&self.engine.flush_requested, 1)
        while not self.is_over:
            status = self.pass_here()
            if self.is_inside():
                return  # whoever is further up this thread's stack goes on with it
            if status & PASS_PYTHON:
                if not self.try_work():
                    return
            elif status & PASS_HELD and not status & PASS_SOON or not status & (PASS_MORE | PASS_SOON):
                return

    cdef bint try_work(self) except -1:
        """`work`. False also where it fails: there was no memory, or the interpreter has taken its modules apart."""
        cdef bint goes_on = False
        try:
            goes_on = self.work()
        except Exception as error:
            # Not told at once: who drains would come back here, and again, as long as it fails.
            self.keep_error(error)
        return goes_on

    cdef bint write_here(self) except -1:
        """A synchronous sink is there: its record is written before the call returns."""
        cdef int status
        if self.is_over:
            return True
        if self.is_inside():
            self.pass_here()
            return True
        hold_back_not_for_recovery(self)
        ring = <Ring*> own_ring(load_relaxed(&self.engine.generation))
        mine = ring.head if ring != NULL else 0
        while True:
            status = self.pass_here()
            # Several threads' rings are merged with some patience: once more, if this thread's record is still waiting.
            if ring == NULL or status & (PASS_PYTHON | PASS_HELD) or not status & (PASS_MORE | PASS_SOON):
                break
            if load_acquire(&ring.positions.tail) >= mine:
                break
        if status & (PASS_PYTHON | PASS_HELD) or self.sync_is_behind():
            if load_relaxed32(&self.engine.post) & POST_DRAIN:
                self.drain_here()
            else:
                self.ask_for_flusher()
                engine_wake(self.engine)
                self.await_sync()
        return True

    cdef bint await_sync(self) except -1:
        """Not for sinks that are not synchronous: one of these may hang."""
        cdef int64_t limit = clock_monotonic_ns() + 2 * <int64_t> load_relaxed(<uint64_t*> &self.engine.stall_ns)
        while not self.sync_is_done() and clock_monotonic_ns() < limit:
            if not self.flush(0.02):
                with nogil:
                    wait_ns(1000000)
        return True

    cdef bint flusher_is_in_python(self) noexcept:
        """It is in somebody's function. Who waits does meanwhile what needs no Python, or all sinks would wait for that one."""
        cdef uint64_t thread = load_relaxed(&self.inside)
        return thread != 0 and thread == load_relaxed(&self.flusher_ident)

    cdef bint sync_is_done(self) noexcept:
        """After one more pass: whether no synchronous sink lacks any of what was logged before."""
        cdef uint64_t mark
        cdef bint done
        self.lock()
        with nogil:
            mark = engine_committed(self.engine)
            engine_pass(self.engine)
            done = self.engine.drained >= mark and not synchronous_are_behind(self.engine.sinks)
            self.unlock()
        return done

    cdef bint sync_is_behind(self) noexcept:
        cdef bint behind
        self.lock()
        behind = synchronous_are_behind(self.engine.sinks)
        self.unlock()
        return behind

    def flush(self, timeout=None, bint gives_way=False):
        """Waits, GIL released, until what was logged before has left every sink.

        `gives_way`: where that takes longer than some milliseconds, the other greenlets of this thread run meanwhile.

        False: `timeout` seconds passed; or a sink has been in trouble for the stall time and still has some of it; or this is
        the thread that does the flusher's work, in somebody's function, and what is left needs that function.
        """
        cdef Engine* engine = self.engine
        cdef int64_t deadline = deadline_of(timeout)
        cdef uint64_t request, mark
        hold_back_not_for_recovery(self)
        if self.is_over or not self.lock_patiently(deadline):
            return False
        mark = engine_committed(engine)
        self.unlock()
        request = fetch_add(&engine.flush_requested, 1) + 1
        if self.is_inside():
            self.pass_here()
        elif not self.await_flush(request, deadline, gives_way):
            return False
        return self.is_past(mark, deadline)

    cdef bint is_past(self, uint64_t mark, int64_t deadline) except -1:
        cdef bint past
        if not self.lock_patiently(deadline):
            return False
        past = engine_position(self.engine) >= mark
        self.unlock()
        return past

    cdef bint await_flush(self, uint64_t request, int64_t deadline, bint gives_way) except -1:
        cdef Engine* engine = self.engine
        cdef int64_t left, longest
        cdef bint has_waited = False
        cdef uint32_t ticket
        while load_acquire(&engine.flush_done) < request and not self.is_over:
            ticket = event_prepare(&engine.done)
            longest = 50000000
            if has_waited and self.flusher_is_in_python():
                if self.lock_patiently(deadline):
                    with nogil:
                        engine_pass(engine)
                        self.unlock()
            elif load_acquire32(&self.has_flusher):
                engine_wake(engine)
            else:
                # As often as it takes: a sink in trouble may recover, or be given up.
                self.drain_here()
                longest = 5000000
            left = deadline - clock_monotonic_ns()
            if load_acquire(&engine.flush_done) >= request:
                break
            if left <= 0:
                return False
            if gives_way and has_waited and other_greenlets_run():
                continue
            if gives_way and not has_waited:
                longest = GREENLET_PATIENCE_NS
            with nogil:
                event_wait(&engine.done, ticket, left if left < longest else longest)
            has_waited = True
            PyErr_CheckSignals()
        return True

    def abandon(self):
        """Gives up what sinks in trouble have not taken: counted as failed. Returns how many records that were.

        What another sink holds is of somebody who logs now, and writes it himself.
        """
        cdef Sink* sink
        cdef uint64_t lost
        self.lock()
        lost = self.engine.failed_total
        sink = self.engine.sinks
        while sink != NULL:
            if sink.trouble_since_ns and sink_backlog(sink) and not sink.busy:
                engine_discard(self.engine, sink)
            sink = sink.next
        lost = self.engine.failed_total - lost
        self.unlock()
        return lost

    def progress(self):
        """A number that grows as long as sinks take something."""
        return progress_of(self)

    def pending(self):
        """Records that have been logged and not yet been written, dropped or failed."""
        cdef uint64_t written, pending
        self.lock()
        written = engine_written(self.engine)
        pending = engine_committed(self.engine) - written - self.engine.failed_total
        self.unlock()
        return pending

    def stats(self):
        """(emitted, written, dropped, failed, bytes, writes, rotations, write errors, high water, ring size)."""
        return books_of(self)
