# Sinks as Python objects. Every method that reads or changes a sink locks the engine first; see `Core`.

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from logly.flusher.deliver cimport engine_discard, engine_write, sink_recovered, sink_trouble
from logly.flusher.loop cimport engine_pass, sink_may_leave
from logly.flusher.marks cimport Mark, marks_first
from logly.flusher.repeats cimport repeats_end, repeats_leave_file
from logly.flusher.rules cimport RuleStep, rules_set
from logly.flusher.sink cimport (
    BUSY_TEXT, NOT_BUSY, NO_ROTATION, TARGET_BATCH, TARGET_FD, TARGET_STREAM, WORK_ERROR, WORK_RECORDS, WORK_REOPEN,
    WORK_ROTATE, WORK_STREAM, WRITE_FAILED, Sink, sink_advance, sink_backlog, sink_begin, sink_is_mid_record,
    sink_notice_number, sink_oldest, sink_rewind, sink_set_file, sink_set_lock, sink_written_offset,
)
from logly.flusher.spool_sync cimport sync_left_file
from logly.flusher.state cimport PASS_PYTHON, TELL_NS, Engine, engine_committed, engine_reroute
from logly.flusher.write cimport sink_use_spool
from logly.ring.gate cimport intake_wake
from logly.system.clock cimport clock_monotonic_ns
from logly.system.cpython cimport PyThread_get_thread_ident
from logly.system.event cimport event_signal, wait_ns
from logly.system.fd cimport fd_is_file, fd_kind, fd_write_raw

# Of other included files:
#   control/core.pxi: Core
#   control/level_rules.pxi: LevelRules
#   control/routing.pxi: books_of_sink, close_window, free_sink, free_steps, give_route_room, make_route_room,
#       open_window, refused_flags, served_sink_leaves, step_of, use_rules
#   files/descriptor.pxi: Descriptor, Files, descriptor_of
#   layout/compile.pxi: LayoutProgram
#   spool/spool_file.pxi: SpoolFile, spool_add_sink
#   system/threads.pxi: EventCount
#   text/owned_text.pxi: copy_text, copy_texts

cdef enum:
    TRUST_NS = 1000000     # a file that was opened again so recently is not looked at before it is written

# Closes the descriptor before. But the program may have closed that one itself, so that the new one has got the same number,
# perhaps even for the same file.
cdef void close_replaced(Descriptor before, Descriptor after) noexcept:
    if before is None or before is after:
        return
    if after is not None and before.fd == after.fd:
        before.fd = -1
    before.shut()


cdef void use_layout(Sink* sink, LayoutProgram layout) noexcept:
    sink.layout = layout.layout if layout is not None else NULL


cdef class SinkHandle:
    """One sink in the core.

    Args:
        core: the engine that it belongs to.
        sink_id: its number there.

    Most methods raise KeyError when the core does not know the sink (any more).
    """

    def __init__(self, Core core not None, int sink_id):
        self.core = core
        self.id = sink_id

    def register(
        self, *, owner, str target, int fd, LayoutProgram layout, LevelRules levels not None, int max_level, list modules,
        list functions, size_t buffer_size, size_t backlog_limit, int64_t interval_ns, bint synchronous, bint filtered,
        bint watched, str path, bint is_ours, int lock_fd, int64_t size_limit, int64_t period_from_ns, int64_t period_end_ns,
        bint enabled, int64_t torn_size=-1, bint is_served=False, bint by_name=False, bint rolls_empty=False, int64_t dedup_ns=0,
        uint32_t terminator=1, int source=-1, bint dumps=False, EventCount wake=None,
    ):
        """Adds the sink to the engine, from where it gets what is logged from now on, and to `Core.sinks`; both, or neither.

        `owner` is its Python side, which `Core.sinks` holds. So the core never knows a sink that Python does not know.
        """
        cdef bytes encoded = b"" if path is None else path.encode("utf-8", "surrogateescape")
        cdef Sink* sink
        make_route_room(self.core)
        sink = <Sink*> calloc(1, sizeof(Sink))
        if sink == NULL:
            give_route_room(self.core)
            raise MemoryError
        try:
            free_steps(rules_set(&sink.rules, step_of(levels), 0, 0))
            sink.target = ("fd", "stream", "function", "batch").index(target)
            sink.selection.modules = copy_texts(modules)
            sink.selection.module_count = <uint32_t> len(modules)
            sink.selection.functions = copy_texts(functions)
            sink.selection.function_count = <uint32_t> len(functions)
            sink.file.path = copy_text(encoded).data
            self.core.layouts.append(layout)
            self.core.sinks[self.id] = owner
        except BaseException:
            give_route_room(self.core)
            free_sink(sink)
            raise
        # From here on nothing can fail.
        self.layout = layout
        sink.id = self.id
        sink.selection.enabled = enabled
        sink.selection.serves = by_name
        sink.selection.dumps = dumps and not is_served
        sink.handler.is_served = is_served
        sink.handler.rolls_empty = rolls_empty
        sink.handler.terminator = terminator
        sink.handler.source = source
        self.wake = wake
        sink.batches.wake = &wake.event if wake is not None else NULL
        sink_begin(sink)
        use_layout(sink, layout)
        sink.selection.max_level = max_level
        sink.buffer_size = buffer_size
        sink.backlog_limit = backlog_limit
        sink.interval_ns = interval_ns
        sink.dedup_ns = dedup_ns
        sink.synchronous = synchronous
        sink.selection.filtered = filtered
        sink.selection.refuses = refused_flags(sink, False)
        sink.file.watched = watched
        sink.file.is_ours = is_ours
        sink.file.size_limit = size_limit
        sink.file.period_from_ns = period_from_ns
        sink.file.period_ns = <uint64_t> (period_end_ns - period_from_ns)
        sink_set_lock(sink, lock_fd)
        sink_set_file(sink, fd)
        sink.file.torn_size = torn_size
        self.link(sink, encoded)

    cdef void link(self, Sink* sink, bytes path) noexcept:
        cdef Engine* engine = self.core.engine
        cdef Sink** link
        self.core.lock()
        link = &engine.sinks
        while link[0] != NULL:
            link = &link[0].next
        sink.window.from_sequence = engine_committed(engine)
        for file in self.core.spools:
            spool_add_sink(<SpoolFile> file, self.id, path)
        if engine.spool != NULL:
            sink_use_spool(sink, engine.spool)
        link[0] = sink
        engine.batch_sinks += sink.target == TARGET_BATCH
        engine_reroute(engine)
        self.core.unlock()
        self.sink = sink

    @property
    def is_registered(self):
        """Whether the core knows the sink."""
        cdef Sink* sink = self.core.lock_and_find_sink(self.id)
        self.core.unlock()
        return sink != NULL

    def committed(self):
        """How many records the engine has got. For `write_out`."""
        return engine_committed(self.core.engine)

    def write_out(self, uint64_t mark):
        """Makes one pass on this thread. True: the sink holds nothing of the first `mark` records."""
        cdef Engine* engine = self.core.engine
        cdef int status
        cdef bint settled
        cdef Sink* sink = self.core.lock_sink(self.id)
        with nogil:
            status = engine_pass(engine)
            sink.trouble.retry_at_ns = 0
            engine_write(engine, sink)
            settled = sink_backlog(sink) == 0 and not sink.python.busy
            if not sink.leaving.at_ns:  # one that leaves writes the lines of logly's own, too
                settled = settled or (sink_oldest(sink, mark) >= mark and not sink_is_mid_record(sink))
            settled = settled and engine.books.drained >= mark
            self.core.unlock()
        if status & PASS_PYTHON or not settled:
            intake_wake(&engine.intake)
        return settled

    def begin_to_leave(self):
        """Called before `leave`: the part that may fail. It also lets a child that is forked meanwhile find the sink."""
        self.core.leaving[self.id] = self.core.sinks[self.id]

    def leave(self, double patience_s):
        """The sink gets what was logged so far, and nothing more. It is in `Core.leaving` until `remove`.

        This thread is to call `remove`. If it is interrupted, `may_leave` becomes true for other threads later, and the
        flusher asks for it.
        """
        cdef Sink* sink = self.core.lock_sink(self.id)
        close_window(self.core.engine, sink)
        if sink.handler.is_served:
            served_sink_leaves(self.core, self.id)
        sink.leaving.attendant = PyThread_get_thread_ident()
        sink.leaving.at_ns = clock_monotonic_ns() + <int64_t> (patience_s * 1e9)
        self.core.unlock()
        del self.core.sinks[self.id]

    def attends(self):
        """Whether this thread is the one that is to call `remove`."""
        cdef Sink* sink = self.core.lock_and_find_sink(self.id)
        cdef bint attends = sink != NULL and sink.leaving.attendant == <uint64_t> PyThread_get_thread_ident()
        self.core.unlock()
        return attends

    def unattend(self):
        """If this thread was to call `remove`: now any thread may, when the sink has written what it holds."""
        cdef Sink* sink = self.core.lock_and_find_sink(self.id)
        if sink != NULL and sink.leaving.attendant == <uint64_t> PyThread_get_thread_ident():
            sink.leaving.attendant = 0
        self.core.unlock()
        self.core.want_python()

    def may_leave(self):
        """Whether this thread is to call `remove`: no other thread will, and the sink holds nothing more, or its time is over."""
        cdef Sink* sink = self.core.lock_and_find_sink(self.id)
        cdef bint may = True
        if sink != NULL:
            self.core.engine.pace.now_ns = clock_monotonic_ns()
            may = sink_may_leave(self.core.engine, sink, PyThread_get_thread_ident())
        self.core.unlock()
        return may

    def remove(self):
        """Removes the sink, closes its files, and returns how many records are lost, which count as failed. Idempotent."""
        cdef Sink* sink = self.core.lock_and_find_sink(self.id)
        cdef uint64_t lost = self.unlink(sink) if sink != NULL else 0
        self.core.unlock()
        if sink != NULL:
            self.core.gone.bytes_written += sink.tally.bytes_written
            self.core.gone.writes += sink.tally.writes
            self.core.gone.rotations += sink.tally.rotations
            self.core.gone.write_errors += sink.tally.write_errors
            free_sink(sink)
            if self.layout in self.core.layouts:
                self.core.layouts.remove(self.layout)
            self.layout = None
        owner = self.core.leaving.pop(self.id, None) or self.core.sinks.pop(self.id, None)
        if owner is not None:
            owner.files.close()
        return lost

    cdef uint64_t unlink(self, Sink* sink) noexcept:
        cdef Engine* engine = self.core.engine
        cdef Sink** link
        cdef uint64_t lost
        self.sink = NULL
        with nogil:
            if sink.batches.thread:
                event_signal(sink.batches.wake)  # the thread ends: it finds no sink
            sink.trouble.retry_at_ns = 0
            engine.pace.now_ns = clock_monotonic_ns()
            repeats_end(engine, sink, sink_notice_number(sink, engine.books.drained))
            engine_write(engine, sink)
            lost = engine_discard(engine, sink)
            sync_left_file(engine, sink)
            link = &engine.sinks
            while link[0] != sink:
                link = &link[0].next
            link[0] = sink.next
            engine.room.sinks -= 1
            engine.batch_sinks -= sink.target == TARGET_BATCH
            engine_reroute(engine)
        for file in self.core.spools:
            if not (<SpoolFile> file).is_finished:  # a finished one may have been closed by another thread
                (<SpoolFile> file).drop_slot(self.id)
        return lost

    def start(self):
        """Enables the sink: it gets what is logged from now on."""
        cdef Sink* sink = self.core.lock_sink(self.id)
        if not sink.selection.enabled:
            open_window(self.core.engine, sink)
        self.core.unlock()

    def stop(self):
        """Disables the sink: it gets what was logged so far, and nothing more."""
        cdef Sink* sink = self.core.lock_sink(self.id)
        close_window(self.core.engine, sink)
        self.core.unlock()

    def set_layout(self, LayoutProgram layout not None):
        cdef LayoutProgram before = self.layout
        cdef Sink* sink = self.core.lock_and_find_sink(self.id)
        if sink == NULL:
            self.core.unlock()
            raise KeyError(self.id)
        self.core.unlock()
        self.core.layouts.append(layout)
        sink = self.core.lock_and_find_sink(self.id)
        if sink != NULL:
            if before is not None:
                layout.take_over(before)
            use_layout(sink, layout)
        self.core.unlock()
        self.layout = layout
        self.core.layouts.remove(before)

    def set_interval(self, int64_t interval_ns):
        cdef Sink* sink = self.core.lock_sink(self.id)
        cdef int64_t due_ns = clock_monotonic_ns() + interval_ns
        sink.interval_ns = interval_ns
        if sink.pending.due_ns > due_ns:
            sink.pending.due_ns = due_ns
        self.core.unlock()
        intake_wake(&self.core.engine.intake)  # the flusher may have fallen asleep for longer

    def set_echoes(self, bint echoes):
        """Sets whether the sink's text goes to a Python object, which may log, and not to a descriptor."""
        cdef Sink* sink = self.core.lock_sink(self.id)
        sink.selection.refuses = refused_flags(sink, echoes)
        engine_reroute(self.core.engine)
        self.core.unlock()

    def set_rules(self, LevelRules rules not None):
        """Has what is logged from now on go by these levels by name."""
        cdef RuleStep* step = step_of(rules)
        cdef Sink* sink = self.core.lock_and_find_sink(self.id)
        if sink != NULL:
            step = use_rules(self.core.engine, &sink.rules, step)
        self.core.unlock()
        free_steps(step)
        if sink == NULL:
            raise KeyError(self.id)

    def stats(self):
        """The sink's counts, a `logly.stats.SinkStats`."""
        return books_of_sink(self.core, self.id)

    # ---- its file

    def replace_file(self, Files files not None, Descriptor file, Descriptor lock, str path, int64_t torn_size=-1):
        """Writes go to `file` from now on, and `files` holds it and its lock. None: it is opened when it is needed.

        The file before is closed as soon as nobody holds it. `torn_size`: see `files.torn_size`.
        """
        cdef bytes encoded = path.encode("utf-8", "surrogateescape")
        cdef const char* name = copy_text(encoded).data
        cdef Descriptor before = files.file, lock_before = files.lock
        cdef Sink* sink = self.core.lock_and_find_sink(self.id)
        if sink != NULL:
            name = self.use_file(sink, descriptor_of(file), descriptor_of(lock), name, torn_size)
            files.put(file, lock)
        self.core.unlock()
        free(<void*> name)
        if sink == NULL:  # removed meanwhile
            raise KeyError(self.id)
        close_replaced(before, file)
        close_replaced(lock_before, lock)

    cdef const char* use_file(self, Sink* sink, int fd, int lock_fd, const char* name, int64_t torn_size) noexcept:
        """Gives the sink another file and path. Returns the path before, which the caller frees."""
        cdef uint64_t device = sink.file.device, inode = sink.file.inode
        cdef int old = sink.file.fd, kind = sink.file.kind
        cdef bint is_ours = old >= 0 and fd_is_file(old, device, inode)
        sync_left_file(self.core.engine, sink)
        sink_set_file(sink, fd)
        repeats_leave_file(self.core.engine, sink)
        if fd >= 0 and sink_is_mid_record(sink) and (sink.file.device != device or sink.file.inode != inode):
            # The new file gets the line from its beginning. The piece in the old file is ended with a newline.
            sink_rewind(sink)
            if is_ours:
                fd_write_raw(old, b"\n", 1, kind)
        elif fd >= 0 and sink_is_mid_record(sink):
            torn_size = -1  # the torn line is our own, which is continued now
        sink.file.torn_size = torn_size
        sink_set_lock(sink, lock_fd)
        # Where a file system gives an open file another inode each time, the lines get through nevertheless.
        sink.file.trusted_ns = clock_monotonic_ns() + TRUST_NS
        sink.handler.has_asked = sink.handler.is_served
        name, sink.file.path = sink.file.path, name
        sink.trouble.retry_at_ns = 0
        sink.python.work &= ~<uint32_t> WORK_REOPEN
        self.write_soon(sink)
        return name

    def use_terminal(self, int fd, bint is_ours):
        """Writes go to this descriptor from now on. `is_ours`: logly has opened the terminal once more."""
        cdef Sink* sink = self.core.lock_sink(self.id)
        sink_set_file(sink, fd)
        sink.file.is_ours = is_ours
        sink.python.work &= ~<uint32_t> WORK_REOPEN
        self.write_soon(sink)
        self.core.unlock()

    cdef void write_soon(self, Sink* sink) noexcept:
        # Lines that have waited for the file are due at once.
        if sink.pending.due_ns:
            sink.pending.due_ns = 1

    def rotation_due(self):
        """Returns (time of the record that begins a new period, or None; bytes of the next record)."""
        cdef Sink* sink = self.core.lock_sink(self.id)
        cdef uint64_t written = sink_written_offset(sink)
        cdef const Mark* first = marks_first(&sink.pending.marks)
        cdef uint64_t size = first.end - written if first != NULL else 0
        cdef bint is_by_time = written >= sink.rotation.begins_at
        cdef int64_t begins_ns = sink.rotation.begins_ns
        self.core.unlock()
        return begins_ns if is_by_time else None, size

    def rotated(self, *, bint by_time, bint renamed, int64_t period_from_ns, int64_t period_end_ns):
        """Called after a rotation: the present file is the one for the next lines."""
        cdef Sink* sink = self.core.lock_sink(self.id)
        if by_time:
            sink.rotation.begins_at = NO_ROTATION
        sink.file.period_from_ns = period_from_ns
        sink.file.period_ns = <uint64_t> (period_end_ns - period_from_ns)
        sink.tally.rotations += renamed
        sink.python.work &= ~<uint32_t> WORK_ROTATE
        self.write_soon(sink)
        self.core.unlock()

    def postpone_rotation(self, int64_t wait_ns):
        """Called when a rotation failed: writes go on to the present file for `wait_ns`."""
        cdef Sink* sink = self.core.lock_sink(self.id)
        sink.rotation.retry_ns = clock_monotonic_ns() + wait_ns
        sink.python.work &= ~<uint32_t> WORK_ROTATE
        self.write_soon(sink)
        self.core.unlock()

    def retry_later(self):
        """Called when the file could not be opened. The lines wait until it is tried again after a while."""
        cdef Sink* sink = self.core.lock_sink(self.id)
        self.core.engine.pace.now_ns = clock_monotonic_ns()
        sink_trouble(self.core.engine, sink, WRITE_FAILED)
        sink.python.work &= ~<uint32_t> (WORK_REOPEN | WORK_ERROR)
        self.core.unlock()

    # ---- text for streams

    def write_stream(self, int fd):
        """Writes to the descriptor that the stream has at present."""
        cdef Sink* sink = self.core.lock_sink(self.id)
        with nogil:
            sink.file.fd = fd
            sink.file.kind = fd_kind(fd)
            sink.python.work &= ~<uint32_t> WORK_STREAM
            sink.target = TARGET_FD
            self.core.engine.pace.now_ns = clock_monotonic_ns()
            engine_write(self.core.engine, sink)
            sink.target = TARGET_STREAM
            sink.file.fd = -1
            self.core.unlock()

    def take_text(self):
        """Returns what a stream sink has to write. The bytes stay in the sink's buffer until `text_done`."""
        cdef Sink* sink = self.core.lock_sink(self.id)
        try:
            pending = &sink.pending
            text = pending.text.data[pending.start : pending.text.size] if pending.text.size > pending.start else b""
            sink.python.busy = BUSY_TEXT
        finally:
            self.core.unlock()
        return text

    def text_done(self, size_t size, int error):
        """Called when the stream has taken the first `size` bytes. `error` is not 0 if it failed at the rest."""
        cdef Sink* sink = self.core.lock_sink(self.id)
        self.core.engine.pace.now_ns = clock_monotonic_ns()
        sink.python.busy = NOT_BUSY
        sink.python.work &= ~<uint32_t> WORK_STREAM
        if size:
            sink.tally.writes += 1
            sink_advance(sink, size)
        if error:
            sink.trouble.error = error
            sink.tally.write_errors += 1
            sink_trouble(self.core.engine, sink, WRITE_FAILED)
            sink.python.work &= ~<uint32_t> WORK_ERROR  # the caller reports the exception itself
        else:
            sink.pending.due_ns = 0
            sink_recovered(self.core.engine, sink)
        self.core.unlock()

    def back_off(self):
        """Called after an unexpected error in the sink's Python work, which is tried again only after a while."""
        cdef Sink* sink = self.core.lock_sink(self.id)
        cdef Engine* engine = self.core.engine
        engine.pace.now_ns = clock_monotonic_ns()
        sink.python.busy = NOT_BUSY
        if sink.python.work & WORK_ROTATE:
            sink.rotation.retry_ns = engine.pace.now_ns + TELL_NS
        else:
            sink_trouble(engine, sink, WRITE_FAILED)
        sink.python.work &= ~<uint32_t> (WORK_ROTATE | WORK_REOPEN | WORK_STREAM | WORK_RECORDS | WORK_ERROR)
        self.core.unlock()

    def pin_stream(self, int fd):
        """From now on the sink's text goes to this descriptor, without Python."""
        cdef Sink* sink = self.core.lock_sink(self.id)
        sink.file.fd = fd
        sink.file.kind = fd_kind(fd)
        sink.target = TARGET_FD
        sink.python.work &= ~<uint32_t> WORK_STREAM
        self.core.unlock()

    def discard(self):
        """Counts everything that the sink holds as failed, because it can never be written."""
        engine_discard(self.core.engine, self.core.lock_sink(self.id))
        self.core.unlock()
