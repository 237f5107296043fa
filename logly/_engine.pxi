# `Core`: one logger's engine as Python holds it. Whoever touches what the flusher reads takes the engine's lock, and
# gives up the GIL for the wait; under the lock runs no Python code.

from .errors import LoglyError


cdef void free_ring_records(Ring* ring) noexcept:
    """Heap blocks of records that nobody will read."""
    cdef RecordHeap* heap
    cdef uint64_t head = load_acquire(&ring.positions.head)
    while ring.tail != head:
        heap = <RecordHeap*> (ring.data + (ring.tail & ring.mask))
        if heap.kind == RECORD_HEAP:
            free(heap.block)
        ring.tail += heap.size


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
        self.engine.programs = all_programs
        self.engine.sites = all_sites
        self.engine.process = process_id()
        self.engine.name = copy_text(encoded)
        init_events(self.engine)
        calibration_init(&self.engine.calibration)
        self.errors = deque(maxlen=100)
        self.layouts = []
        self.level_index = {}
        self.add_ring(ring_capacity)

    def __dealloc__(self):
        cdef Ring* ring
        cdef Sink* sink
        cdef uint32_t i
        if self.engine == NULL:
            return
        while self.engine.rings != NULL:
            ring = self.engine.rings
            self.engine.rings = ring.next
            free_ring_records(ring)
            ring_free(ring)
        while self.engine.sinks != NULL:
            sink = self.engine.sinks
            self.engine.sinks = sink.next
            free_sink(sink)
        for i in range(self.engine.level_count):
            free(<void*> self.engine.levels[i].name.data)
            free(<void*> self.engine.levels[i].color.data)
        free(self.engine.failed)
        buffer_free(&self.engine.scratch)
        buffer_free(&self.engine.message)
        free(<void*> self.engine.name.data)
        free(self.engine_block)

    # ---- rings

    cdef bint add_ring(self, uint64_t capacity) except -1:
        cdef Ring* ring = ring_new(capacity, 0)
        cdef Ring** link
        cdef Ring* old = self.engine.ring
        if ring == NULL:
            raise MemoryError
        self.lock()
        link = &self.engine.rings
        while link[0] != NULL:
            link = &link[0].next
        link[0] = ring
        self.engine.ring_capacity = capacity
        self.engine.heap_limit = self.engine.max_message_bytes + capacity
        engine_unlock(self.engine)
        # The GIL is held: no producer is between the two. The flusher frees the old ring when it is empty.
        self.engine.ring = ring
        if old != NULL:
            store_release32(&old.retired, 1)
        return True

    cdef void lock(self) noexcept:
        with nogil:
            engine_lock(self.engine)

    # ---- configuration

    def configure(
        self, *, int threshold, int flush_level, uint64_t ring_capacity, int64_t interval_ns, bint drops,
        uint64_t max_message_bytes, int64_t stall_ns,
    ):
        """Takes effect for the next record; nothing that was logged before is lost."""
        self.lock()
        self.engine.flush_level = flush_level
        self.engine.interval_ns = interval_ns
        self.engine.drops = drops
        self.engine.max_message_bytes = max_message_bytes
        self.engine.heap_limit = max_message_bytes + ring_capacity
        self.engine.stall_ns = stall_ns
        engine_unlock(self.engine)
        store_relaxed32(<uint32_t*> &self.engine.threshold, <uint32_t> threshold)
        if ring_capacity != self.engine.ring_capacity:
            self.add_ring(ring_capacity)
        engine_wake(self.engine)

    def set_threshold(self, int threshold):
        store_relaxed32(<uint32_t*> &self.engine.threshold, <uint32_t> threshold)

    def set_needs(self, *, bint site, bint thread, bint thread_name):
        self.engine.needs = (
            (NEED_SITE if site else 0) | (NEED_THREAD if thread else 0) | (NEED_THREAD_NAME if thread_name else 0)
            | (self.engine.needs & (NEED_CONTEXT | NEED_CARE))
        )

    def use_context(self, variable):
        """Every record from now on looks for fields in this ContextVar."""
        self.context = variable
        self.engine.needs |= NEED_CONTEXT

    def set_post(self, *, bint start=False, bint sync=False, bint drain=False, bint wake=False):
        self.engine.post = (
            (POST_START if start else 0) | (POST_SYNC if sync else 0) | (POST_DRAIN if drain else 0)
            | (POST_WAKE if wake else 0)
        )

    def set_level(self, str name, int number, str color):
        """Adds a level, or gives one a new colour; returns its index."""
        cdef Text text, sgr
        cdef uint32_t i
        known = self.level_index.get(name)
        i = known[1] if known is not None else self.engine.level_count
        if i >= MAX_LEVELS:
            raise LoglyError(f"no more than {MAX_LEVELS} levels")
        text = copy_text(utf8(name))
        sgr = copy_text(utf8(color))
        self.lock()
        # What was there before may still be read by nobody: the flusher looks at it under the lock only.
        text, self.engine.levels[i].name = self.engine.levels[i].name, text
        sgr, self.engine.levels[i].color = self.engine.levels[i].color, sgr
        self.engine.levels[i].number = number
        if known is None:
            self.engine.level_count += 1
        engine_unlock(self.engine)
        free(<void*> text.data)
        free(<void*> sgr.data)
        self.level_index[name] = (number, i)
        self.level_index.setdefault(number, (number, i))
        return i

    cdef tuple resolve_level(self, object level):
        found = self.level_index.get(level) if type(level) is int or type(level) is str else None
        if found is not None:
            return found
        return self.level_resolver(level)

    # ---- sinks

    # Locks the engine and returns the sink: another thread may remove and free it while this one waits for the lock.
    cdef Sink* hold(self, int sink_id) except NULL:
        cdef Sink* sink
        self.lock()
        sink = self.engine.sinks
        while sink != NULL:
            if sink.id == sink_id:
                return sink
            sink = sink.next
        engine_unlock(self.engine)
        raise KeyError(sink_id)

    # ---- work that Python does on the flusher's thread

    def take_work(self):
        """[(sink id, rotate, reopen, stream, records, errno or 0)] of sinks that want Python."""
        cdef Sink* sink
        cdef list work = []
        store_relaxed32(&self.engine.python_wanted, 0)
        self.lock()
        sink = self.engine.sinks
        while sink != NULL:
            if sink.work:
                work.append((
                    sink.id, bool(sink.work & WORK_ROTATE), bool(sink.work & WORK_REOPEN), bool(sink.work & WORK_STREAM),
                    bool(sink.work & WORK_RECORDS), sink.last_error if sink.work & WORK_ERROR else 0,
                ))
                sink.work &= ~<uint32_t> WORK_ERROR
            sink = sink.next
        engine_unlock(self.engine)
        return work

    def inject_outcomes(self, int sink_id, list outcomes):
        """For tests: what the sink's next writes do, minus an errno or the most bytes that they take."""
        cdef int64_t* script = <int64_t*> calloc(len(outcomes) + 1, 8)
        cdef Py_ssize_t i
        cdef Sink* sink
        if script == NULL:
            raise MemoryError
        for i in range(len(outcomes)):
            script[i] = outcomes[i]
        sink = self.hold(sink_id)
        script, sink.outcomes = sink.outcomes, script
        sink.outcome_count = len(outcomes)
        sink.outcome_next = 0
        engine_unlock(self.engine)
        free(script)

    # ---- the flusher's life

    def run(self):
        """The flusher's loop, without the GIL. True: Python is wanted; False: stopped."""
        cdef int status
        self.flusher_ident = get_ident()
        with nogil:
            status = engine_run(self.engine)
        if status != RUN_PYTHON:
            self.flusher_ident = 0  # another thread may get the same one
        return status == RUN_PYTHON

    def set_stop(self, bint stop):
        store_release32(&self.engine.stop, stop)
        engine_wake(self.engine)

    def tell(self, error):
        """Has `on_error` told of it, on the flusher's thread."""
        self.errors.append(error)
        store_relaxed32(&self.engine.python_wanted, 1)
        engine_wake(self.engine)

    cpdef note_failed_format(self, error):
        self.failed_formats += 1
        self.tell(error)

    cpdef bint is_inside(self) except -1:
        """Whether this thread is the one that does the flusher's work: it must not wait for that."""
        cdef unsigned long ident = get_ident()
        return self.flusher_ident == ident or self.drainer == ident

    def call_outside(self, function, *args):
        """Calls somebody's Python code: what it logs is marked, so that it is not called for its own lines for ever."""
        cdef unsigned long before = self.inside
        self.inside = get_ident()
        self.engine.needs |= NEED_CARE
        try:
            return function(*args)
        finally:
            self.inside = before
            if not before:
                self.engine.needs &= ~<uint32_t> NEED_CARE

    # For the thread that does the flusher's work, and finds the ring full: it makes room itself. False: there is none.
    cdef bint make_room(self, Ring* ring) noexcept:
        cdef uint64_t tail = load_acquire(&ring.positions.tail)
        with nogil:
            engine_lock(self.engine)
            engine_pass(self.engine)
            engine_unlock(self.engine)
        return load_acquire(&ring.positions.tail) != tail

    def drain_here(self):
        """Does the flusher's work on this thread: there is no flusher (not yet, or not any more)."""
        cdef int status
        if self.drainer == get_ident():
            return
        while True:
            with nogil:
                engine_lock(self.engine)
                status = engine_pass(self.engine)
                engine_unlock(self.engine)
            if status & PASS_PYTHON:
                if self.drainer:
                    return
                self.drainer = get_ident()
                try:
                    self.on_work()
                finally:
                    self.drainer = 0
            elif status & PASS_HELD or not status & PASS_MORE:
                return

    cdef bint write_here(self) except -1:
        """A synchronous sink is there: its record is written before the call returns."""
        cdef int status
        if self.is_inside():
            return True
        with nogil:
            engine_lock(self.engine)
            status = engine_pass(self.engine)
            engine_unlock(self.engine)
        if status & (PASS_PYTHON | PASS_HELD) or self.sync_is_behind():
            if self.engine.post & POST_DRAIN:
                self.drain_here()
            else:
                self.start_flusher()
                self.flush(2e-9 * self.engine.stall_ns)
        return True

    cdef bint sync_is_behind(self) noexcept:
        cdef Sink* sink = self.engine.sinks
        while sink != NULL:
            if sink.synchronous and sink_backlog(sink):
                return True
            sink = sink.next
        return False

    def flush(self, timeout=None):
        """Waits, GIL released, until what was logged before has left every sink. False: `timeout` seconds passed."""
        cdef Engine* engine = self.engine
        cdef uint64_t request
        cdef int64_t deadline = INT64_MAX
        cdef int64_t left
        cdef uint32_t ticket
        if self.is_inside():
            return False
        if timeout is not None:
            deadline = clock_monotonic_ns() + <int64_t> (max(0.0, min(float(timeout), 1e9)) * 1e9)
        if not self.flusher_runs:
            self.drain_until(deadline)
            return self.pending() == 0
        request = fetch_add(&engine.flush_requested, 1) + 1
        engine_wake(engine)
        while load_acquire(&engine.flush_done) < request:
            left = deadline - clock_monotonic_ns()
            if left <= 0:
                return False
            if not self.flusher_runs:
                self.drain_until(deadline)
                return self.pending() == 0
            ticket = event_prepare(&engine.done)
            if load_acquire(&engine.flush_done) >= request:
                break
            engine_wake(engine)
            with nogil:
                event_wait(&engine.done, ticket, left if left < 50000000 else 50000000)
            PyErr_CheckSignals()
        return True

    cdef drain_until(self, int64_t deadline):
        """Without a flusher: as often as it takes, for a sink in trouble may recover or be given up."""
        cdef uint32_t ticket
        self.drain_here()
        while self.pending() and clock_monotonic_ns() < deadline:
            fetch_add(&self.engine.flush_requested, 1)
            ticket = event_prepare(&self.engine.done)
            with nogil:
                event_wait(&self.engine.done, ticket, 5000000)
            PyErr_CheckSignals()
            self.drain_here()

    def abandon(self):
        """Gives up what no sink has taken: counted as failed."""
        cdef Sink* sink
        with nogil:
            engine_lock(self.engine)
            sink = self.engine.sinks
            while sink != NULL:
                if sink_backlog(sink) and not sink.busy:
                    engine_discard(self.engine, sink)
                sink = sink.next
            engine_unlock(self.engine)

    def pending(self):
        """Records that have been logged and not yet been written, dropped or failed."""
        cdef uint64_t written
        self.lock()
        written = engine_written(self.engine)
        pending = engine_committed(self.engine) - written - self.engine.failed_total
        engine_unlock(self.engine)
        return pending

    def stats(self):
        """(emitted, written, dropped, failed, bytes, writes, rotations, write errors, high water, ring size)."""
        cdef Sink* sink
        cdef uint64_t written, committed, dropped, failed, high
        cdef uint64_t total_bytes = self.gone_bytes
        cdef uint64_t writes = self.gone_writes, rotations = self.gone_rotations, errors = self.gone_errors
        self.lock()
        written = engine_written(self.engine)
        failed = self.engine.failed_total
        dropped = engine_dropped(self.engine)
        committed = engine_committed(self.engine)
        high = self.engine.past_high_water
        if self.engine.ring.high_water > high:
            high = self.engine.ring.high_water
        if self.engine.ring.head - load_acquire(&self.engine.ring.positions.tail) > high:
            high = self.engine.ring.head - load_acquire(&self.engine.ring.positions.tail)
        sink = self.engine.sinks
        while sink != NULL:
            total_bytes += sink.bytes_written
            writes += sink.writes
            rotations += sink.rotations
            errors += sink.write_errors
            sink = sink.next
        engine_unlock(self.engine)
        return (
            committed + dropped, written, dropped, failed, total_bytes, writes, rotations, errors, high,
            self.engine.ring_capacity,
        )

    # ---- fork

    def before_fork(self):
        """Quiesces the flusher at a record boundary: nobody is inside a pass or a write while the process is copied."""
        self.lock()

    def after_fork_in_parent(self):
        engine_unlock(self.engine)

    def after_fork_in_child(self):
        """An empty ring and empty buffers: what they held is the parent's, who will write it."""
        cdef Engine* engine = self.engine
        cdef Ring* ring = engine.ring
        cdef Sink* sink = engine.sinks
        init_events(engine)
        engine.lock = 0
        engine.lock_waiters = 0
        engine.asleep = 0
        engine.wake_wanted = 0
        engine.stop = 0
        engine.waiters = 0
        engine.flush_requested = 0
        engine.flush_done = 0
        engine.flush_active = 0
        engine.process = process_id()
        reset_books(engine, ring)
        while sink != NULL:
            reset_sink(sink)
            sink = sink.next
        self.flusher_ident = 0
        self.flusher_runs = False
        self.drainer = 0
        self.stalled = False
        self.failed_formats = 0
        self.blocked_ns = 0
        self.errors.clear()


cdef void init_events(Engine* engine) noexcept:
    event_init(&engine.wake)
    event_init(&engine.space)
    event_init(&engine.done)
    event_init(&engine.lock_event)


cdef void reset_books(Engine* engine, Ring* ring) noexcept:
    cdef Ring* other = engine.rings
    engine.drained = 0
    engine.failed_count = 0
    engine.failed_total = 0
    engine.past_committed = 0
    engine.past_dropped = 0
    engine.past_high_water = 0
    engine.told_dropped = 0
    while other != NULL:
        # Blocks on the heap are this process's own copies now.
        other.cached_head = load_acquire(&other.positions.head)
        free_ring_records(other)
        other.tail = other.cached_head
        ring_release(other)
        other.head = other.tail
        other.cached_tail = other.tail
        other.committed = 0
        other.dropped = 0
        other.heap_bytes_in = 0
        other.heap_bytes_out = 0
        other.high_water = 0
        other = other.next
