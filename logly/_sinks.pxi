# `Core`: one logger's engine as Python holds it. Whoever touches what the flusher reads takes the engine's lock, and
# gives up the GIL for the wait; under the lock runs no Python code.

from .errors import LoglyError


cdef class LayoutProgram:
    """A layout in C memory.

    Args:
        kind: "text", "json", "pretty_json" or "logfmt".
        pieces: what `template.parse_layout` returned; empty for the others.
    """

    def __cinit__(self, str kind, list pieces, *, str newlines, int color, bint terminal, bint utc, bint fields, bint exception):
        cdef int i
        self.layout = <Layout*> calloc(1, sizeof(Layout))
        if self.layout == NULL:
            raise MemoryError
        self.layout.kind = ("text", "json", "pretty_json", "logfmt").index(kind)
        self.layout.newlines = ("escape", "indent", "keep").index(newlines)
        self.layout.color = color
        self.layout.terminal = terminal
        self.layout.utc = utc
        self.layout.ends_with_fields = fields
        self.layout.ends_with_exception = exception
        self.layout.stamp = <TimePattern*> calloc(1, sizeof(TimePattern))
        self.layout.piece = <Piece*> calloc(len(pieces) + 1, sizeof(Piece))
        if self.layout.stamp == NULL or self.layout.piece == NULL:
            raise MemoryError
        time_pattern_compile_rfc3339(self.layout.stamp)
        for i, (code, text, _, spec) in enumerate(pieces):
            self.build(&self.layout.piece[i], code, text, spec)
            self.layout.pieces = i + 1

    cdef build(self, Piece* piece, int code, str text, str spec):
        cdef bytes data = utf8(text)
        cdef int mistake
        piece.code = code
        piece.text = copy_text(data)
        if code == PIECE_TIME:
            piece.time = <TimePattern*> calloc(1, sizeof(TimePattern))
            if piece.time == NULL:
                raise MemoryError
            mistake = time_pattern_compile(piece.time, <const char*> data, len(data))
            if mistake:
                raise ValueError(f"time pattern {text!r}: mistake at position {mistake - 1}")
        elif code == PIECE_FIELD:
            piece.key.tag = TAG_UTF8
            piece.key.data = piece.text.data
            piece.key.count = piece.text.size
        if spec:
            if not parse_native_spec(spec, &piece.spec):
                raise ValueError(f"format specification {spec!r} is not valid in a layout")
            piece.has_spec = True

    def __dealloc__(self):
        cdef uint32_t i
        if self.layout == NULL:
            return
        if self.layout.piece != NULL:
            for i in range(self.layout.pieces):
                free(<void*> self.layout.piece[i].text.data)
                if self.layout.piece[i].time != NULL:
                    time_pattern_free(self.layout.piece[i].time)
                    free(self.layout.piece[i].time)
            free(self.layout.piece)
        if self.layout.stamp != NULL:
            time_pattern_free(self.layout.stamp)
            free(self.layout.stamp)
        free(self.layout)


cdef void free_texts(Text* texts, uint32_t count) noexcept:
    cdef uint32_t i
    for i in range(count):
        free(<void*> texts[i].data)
    free(texts)


cdef Text* copy_texts(list names) except? NULL:
    cdef Text* texts
    cdef Py_ssize_t i
    if not names:
        return NULL
    texts = <Text*> calloc(len(names), sizeof(Text))
    if texts == NULL:
        raise MemoryError
    for i in range(len(names)):
        texts[i] = copy_text(utf8(names[i]))
    return texts


cdef void free_sink(Sink* sink) noexcept:
    free_texts(sink.modules, sink.module_count)
    free_texts(sink.functions, sink.function_count)
    free(sink.route)
    free(<void*> sink.path)
    free(sink.outcomes)
    free(sink.marks.mark)
    free(sink.staged_marks.mark)
    buffer_free(&sink.out)
    buffer_free(&sink.staged)
    free(sink)


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
            | (self.engine.needs & NEED_CONTEXT)
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

    cdef Sink* find(self, int sink_id) except NULL:
        cdef Sink* sink = self.engine.sinks
        while sink != NULL:
            if sink.id == sink_id:
                return sink
            sink = sink.next
        raise KeyError(sink_id)

    def add_sink(
        self, int sink_id, *, str target, int fd, LayoutProgram layout, int min_level, int max_level, list modules,
        list functions, size_t buffer_size, size_t backlog_limit, int64_t interval_ns, bint synchronous, bint filtered,
        bint watched, str path, int lock_fd, int64_t size_limit, int64_t rotate_at_ns,
    ):
        cdef Sink* sink = <Sink*> calloc(1, sizeof(Sink))
        cdef Sink** link
        cdef bytes encoded = b"" if path is None else path.encode("utf-8", "surrogateescape")
        if sink == NULL:
            raise MemoryError
        sink.id = sink_id
        sink.target = ("fd", "stream", "function").index(target)
        sink.enabled = True
        sink.layout = layout.layout if layout is not None else NULL
        sink.min_level = min_level
        sink.max_level = max_level
        sink.modules = copy_texts(modules)
        sink.module_count = len(modules)
        sink.functions = copy_texts(functions)
        sink.function_count = len(functions)
        sink.buffer_size = buffer_size
        sink.backlog_limit = backlog_limit
        sink.interval_ns = interval_ns
        sink.synchronous = synchronous
        sink.filtered = filtered
        sink.watched = watched
        sink.path = copy_text(encoded).data
        sink.size_limit = size_limit
        set_file(sink, fd, lock_fd, rotate_at_ns)
        self.layouts.append(layout)
        self.lock()
        link = &self.engine.sinks
        while link[0] != NULL:
            link = &link[0].next
        sink.from_sequence = engine_committed(self.engine)
        link[0] = sink
        engine_unlock(self.engine)

    def remove_sink(self, int sink_id, LayoutProgram layout):
        """Writes what the sink holds, as far as it takes it, and forgets it. Returns its descriptor, or -1."""
        cdef Sink* sink = self.find(sink_id)
        cdef Sink** link
        cdef int fd
        with nogil:
            engine_lock(self.engine)
            sink.retry_at_ns = 0
            self.engine.now_ns = clock_monotonic_ns()
            engine_write(self.engine, sink)
            engine_discard(self.engine, sink)
            link = &self.engine.sinks
            while link[0] != sink:
                link = &link[0].next
            link[0] = sink.next
            update_attention(self.engine)
            engine_unlock(self.engine)
        fd = sink.fd
        free_sink(sink)
        if layout is not None:
            self.layouts.remove(layout)
        return fd

    def set_enabled(self, int sink_id, bint enabled):
        cdef Sink* sink = self.find(sink_id)
        self.lock()
        sink.from_sequence = engine_committed(self.engine)
        sink.enabled = enabled
        engine_unlock(self.engine)

    def set_layout(self, int sink_id, LayoutProgram layout not None):
        cdef Sink* sink = self.find(sink_id)
        self.layouts.append(layout)
        self.lock()
        sink.layout = layout.layout
        engine_unlock(self.engine)

    def set_interval(self, int sink_id, int64_t interval_ns):
        cdef Sink* sink = self.find(sink_id)
        self.lock()
        sink.interval_ns = interval_ns
        engine_unlock(self.engine)

    def replace_file(self, int sink_id, int fd, *, int64_t rotate_at_ns, bint rotated):
        """The file was rotated or reopened: writes go to `fd` now. Returns the descriptor before."""
        cdef Sink* sink = self.find(sink_id)
        cdef int old
        self.lock()
        old = sink.fd
        set_file(sink, fd, sink.lock_fd, rotate_at_ns)
        sink.rotations += rotated
        sink.retry_at_ns = 0
        sink.work &= ~<uint32_t> (WORK_ROTATE | WORK_REOPEN)
        update_attention(self.engine)
        engine_unlock(self.engine)
        return old

    def postpone_rotation(self, int sink_id, int64_t rotate_at_ns, int64_t size_limit):
        """The file stays: rotation failed, or another process had done it."""
        cdef Sink* sink = self.find(sink_id)
        self.lock()
        sink.rotate_at_ns = rotate_at_ns
        sink.size_limit = size_limit
        sink.work &= ~<uint32_t> (WORK_ROTATE | WORK_REOPEN)
        update_attention(self.engine)
        engine_unlock(self.engine)

    def retry_later(self, int sink_id):
        """The file could not be opened: try again after a while; until then its lines wait."""
        cdef Sink* sink = self.find(sink_id)
        self.lock()
        self.engine.now_ns = clock_monotonic_ns()
        sink_trouble(self.engine, sink, WRITE_BLOCKED)
        sink.work &= ~<uint32_t> WORK_REOPEN
        engine_unlock(self.engine)

    def release_file(self, int sink_id):
        """The descriptor is about to be closed: the next line has the file opened by its name."""
        cdef Sink* sink = self.find(sink_id)
        self.lock()
        sink.fd = -1
        engine_unlock(self.engine)

    def set_lock(self, int sink_id, int lock_fd):
        self.find(sink_id).lock_fd = lock_fd

    def wants_rotation(self, int sink_id):
        return bool(self.find(sink_id).work & WORK_ROTATE)

    def sink_stats(self, int sink_id):
        cdef Sink* sink = self.find(sink_id)
        self.lock()
        stats = (
            sink.records, sink.failed, sink.marks.last - sink.marks.first - sink.marks.notices
            + sink.staged_marks.last - sink.staged_marks.first,
            sink.bytes_written, sink.writes, sink.rotations, sink.write_errors,
        )
        engine_unlock(self.engine)
        return stats

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

    def write_stream(self, int sink_id, int fd):
        """A stream that is a descriptor today: write to it as to any other."""
        cdef Sink* sink = self.find(sink_id)
        with nogil:
            engine_lock(self.engine)
            sink.fd = fd
            sink.fd_kind = fd_kind(fd)
            sink.work &= ~<uint32_t> WORK_STREAM
            sink.target = TARGET_FD
            self.engine.now_ns = clock_monotonic_ns()
            engine_write(self.engine, sink)
            sink.target = TARGET_STREAM
            engine_unlock(self.engine)

    def take_text(self, int sink_id):
        """What a stream sink has to write, as bytes."""
        cdef Sink* sink = self.find(sink_id)
        self.lock()
        text = sink.out.data[sink.start:sink.out.size] if sink.out.size > sink.start else b""
        engine_unlock(self.engine)
        return text

    def text_done(self, int sink_id, size_t size, int error):
        """The stream took `size` bytes, or failed."""
        cdef Sink* sink = self.find(sink_id)
        self.lock()
        self.engine.now_ns = clock_monotonic_ns()
        sink.work &= ~<uint32_t> WORK_STREAM
        if error:
            sink.last_error = error
            sink.write_errors += 1
            sink_trouble(self.engine, sink, WRITE_FAILED)
        else:
            sink.writes += 1
            sink_advance(sink, size)
            sink.due_ns = 0
            sink_recovered(self.engine, sink)
        engine_unlock(self.engine)

    def inject_outcomes(self, int sink_id, list outcomes):
        """For tests: what the sink's next writes do, minus an errno or the most bytes that they take."""
        cdef Sink* sink = self.find(sink_id)
        cdef int64_t* script = <int64_t*> calloc(len(outcomes) + 1, 8)
        cdef Py_ssize_t i
        for i in range(len(outcomes)):
            script[i] = outcomes[i]
        self.lock()
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

    cdef bint on_flusher(self):
        return self.flusher_ident == get_ident()

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
        if self.on_flusher() or self.drainer == get_ident():
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
        if self.on_flusher():
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
                if sink_backlog(sink):
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
        cdef uint64_t writes = 0, rotations = 0, errors = 0
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
    engine.attention = 0
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


cdef void reset_sink(Sink* sink) noexcept:
    sink.out.size = 0
    sink.start = 0
    sink.staged.size = 0
    marks_clear(&sink.marks)
    marks_clear(&sink.staged_marks)
    sink.boundary = sink.appended
    sink.from_sequence = 0
    sink.work = 0
    sink.due_ns = 0
    sink.trouble_since_ns = 0
    sink.retry_at_ns = 0
    sink.lost_untold = 0
    sink.records = 0
    sink.failed = 0
    sink.bytes_written = 0
    sink.writes = 0
    sink.write_errors = 0
    sink.rotations = 0


cdef void set_file(Sink* sink, int fd, int lock_fd, int64_t rotate_at_ns) noexcept:
    sink.fd = fd
    sink.fd_kind = fd_kind(fd) if fd >= 0 else FD_FILE
    sink.lock_fd = lock_fd
    sink.file_size = fd_size(fd) if fd >= 0 else 0
    sink.rotate_at_ns = rotate_at_ns


cdef void update_attention(Engine* engine) noexcept nogil:
    cdef Sink* sink = engine.sinks
    engine.attention = 0
    while sink != NULL:
        if sink.work & WORK_ROTATE:
            engine.attention = 1
        sink = sink.next
