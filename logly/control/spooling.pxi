# A spool and the engine whose records go through it: how a spool is begun, synced, and adopted from a dead process.

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memset

from logly.flusher.sink cimport Sink
from logly.flusher.state cimport Engine, engine_reroute
from logly.layout.line cimport MAX_LEVELS
from logly.ring.gate cimport intake_wake
from logly.ring.ring cimport Ring, ring_attach, ring_free
from logly.spool.format cimport SPOOL_SLOTS, Spool, SpoolHeader, SpoolSlot, slot_done, slot_late_done
from logly.system.atomic cimport load_pointer, load_relaxed, load_relaxed32, store_relaxed
from logly.system.clock cimport ClockCalibration, clock_monotonic_ns
from logly.system.cpython cimport PyThread_get_thread_ident
from logly.system.fd cimport fd_size
from logly.text.buffer cimport Text

# Of other included files:
#   control/commit.pxi: publish
#   control/core.pxi: Core
#   control/level_rules.pxi: LevelRules
#   control/levels.pxi: level_entries, place_level
#   control/logger_names.pxi: is_a_name, name_entries
#   control/recording.pxi: resume_dumps
#   control/rings.pxi: release_spool_file
#   registry/name_entries.pxi: text_bytes
#   registry/retired.pxi: enter_registry, living_readers
#   spool/dead_recorder.pxi: share_recorder
#   spool/dead_spool.pxi: DeadSpool
#   spool/spool_file.pxi: SpoolFile, spool_error
#   system/threads.pxi: SystemLock
#   text/owned_text.pxi: copy_text


def spool_begin(Core core not None, SpoolFile file not None, publish, base):
    """The core's records go into the file's ring from now on. Records that wait in the ring before it are delivered first.

    `publish()` is called when everything that a successor needs is in the file. It gives the file its name, and returns it.
    `base` becomes `Core.spool_base`.
    """
    cdef Spool* spool = &file.spool
    cdef Sink* sink
    cdef Ring* ring = ring_attach(file.ring_map.start, &spool.header.positions, spool.header.ring_capacity)
    if ring == NULL:
        raise MemoryError
    try:
        core.lock()  # a running flusher changes the clock: a mixture of two would be impossible
        calibration = core.engine.workspace.calibration
        core.unlock()
        entries = level_entries(core)
        first = append_names(core, entries)
        # Also while it is being switched off: then calls keep records that no recorder takes.
        spool.header.recorder.may_keep = spool.header.recorder_capacity != 0 or core.engine.recording.memory_bytes != 0
        file.begin(text_bytes(&core.engine.name), &calibration, entries, core.engine.levels.are_renumbered)
        file.use_path(publish())
        keep_with_names(core, file, first)
    except BaseException:
        ring_free(ring)
        file.release()
        raise
    # From here on nothing can fail.
    file.descriptor.give_to_spool()
    ring.spool = spool
    spool.ring = ring
    core.lock()
    sink = core.engine.sinks
    while sink != NULL:
        if sink.file.path != NULL:
            try:
                file.add_slot(sink.id, <bytes> sink.file.path, 0, 0)
            except MemoryError:
                pass  # treated as if there were no slot left
        sink = sink.next
    core.unlock()
    core.spool_base = base
    core.use_ring(ring, spool.header.ring_capacity)


cdef uint32_t append_names(Core core, list entries) except? 0:
    """Returns the number of the first name that is not among them."""
    cdef SystemLock registry = enter_registry()
    cdef uint32_t last = core.last_name
    try:
        entries.append(name_entries(core, 1, last))
    finally:
        registry.give()
    return last + 1


cdef keep_with_names(Core core, SpoolFile file, uint32_t first):
    """Stores what was added while the file was made: levels, and the names of loggers from `first` on. From then on each new one
    is stored.
    """
    cdef SystemLock registry = enter_registry()
    cdef uint32_t last
    cdef bytes names = b""
    try:
        if not file.store_names(b"".join(level_entries(core))):
            file.spool.header.lacks_levels = 1
        last = first - 1
        # Again, where making the entries has run the garbage collector, and with it a __del__ that makes names.
        while last != core.last_name:
            last = core.last_name
            names = name_entries(core, first, last)
        if names and not file.store_names(names):
            raise spool_error(file.path, "no space for the names of loggers", 28)
        core.keep(file)
    finally:
        registry.give()


def spool_sync_every(Core core not None, int64_t interval_ns):
    """Sets how often spools that are to survive the loss of power are synced."""
    core.lock()
    core.engine.sync.interval_ns = interval_ns
    core.unlock()
    intake_wake(&core.engine.intake)


cpdef pause_draining(Core core, double delivery_s):
    """Pauses while a dead process's spool is delivered, for at most `delivery_s` and a second. 0: draining goes on."""
    cdef int64_t until = clock_monotonic_ns() + <int64_t> ((delivery_s + 1) * 1e9) if delivery_s > 0 else 0
    store_relaxed(<uint64_t*> &core.engine.requests.hold_until_ns, <uint64_t> until)
    if until == 0:
        intake_wake(&core.engine.intake)


cdef bint core_is_recovering(Core core) noexcept:
    return clock_monotonic_ns() < <int64_t> load_relaxed(<uint64_t*> &core.engine.requests.hold_until_ns)


cdef bint resume_if_recovering_here(Core core) except -1:
    """Called before a wait. Ends the pause if this thread runs a sink's function for a recovery, which waits for it itself."""
    cdef uint64_t me = PyThread_get_thread_ident()
    cdef Core other
    if core_is_recovering(core):
        for other in living_readers():
            if other.adopted is None:
                continue
            if load_relaxed(&other.threads.inside) == me or load_relaxed(&other.threads.flusher) == me:
                pause_draining(core, 0)
    return True


def lost_spool(Core core not None):
    """Returns the path of the spool that records go into when its file is gone, else None."""
    cdef SpoolFile file
    cdef Ring* ring
    cdef void* in_use = NULL
    core.lock()
    ring = load_pointer(&core.engine.intake.ring)
    if ring != NULL:
        in_use = ring.spool
    core.unlock()
    for file in core.spools:
        if <void*> &file.spool == in_use and load_relaxed32(&file.spool.is_lost):
            return file.path
    return None


def take_sync_error(Core core not None):
    """Returns the errno of a sync that failed, once, or 0."""
    core.lock()
    error, core.engine.sync.error = core.engine.sync.error, 0
    core.unlock()
    return error


def spool_adopt(Core core not None, DeadSpool file not None, list starts, str heading=None):
    """Has a core deliver what a dead process left. The core has its sinks and has not logged; the file has been checked.

    Args:
        starts: where each sink begins: (sink id, path or None, is exact). A file that the dead process wrote to continues
            where its progress there ended. Another file, or a sink that is exact, begins at the first record that some
            file of the dead process lacked. All other sinks get everything that was not released.
        heading: what the flight recorder had kept is written, too, after a line that ends with this; None: it stays.

    Returns:
        How many records there are.
    """
    cdef Engine* engine = core.engine
    cdef Spool* spool = &file.spool
    cdef SpoolHeader* header = spool.header
    cdef uint64_t count = file.records
    cdef uint64_t first, start, late, first_late, lacked_late
    cdef Sink* sink
    cdef Ring* ring
    cdef int i
    if not file.is_sound:
        raise ValueError("check it first")
    share_recorder(file)
    file.believe_durable()
    first = header.released[header.released_current].sequence
    header.positions.tail = header.released[header.released_current].position
    ring = ring_attach(file.ring_map.start, &header.positions, header.ring_capacity)
    if ring == NULL:
        raise MemoryError
    file.owned_from = file.owned_to  # from now on the engine frees the blocks
    ring.spool = spool
    ring.committed = count
    ring.kept = file.kept_in_ring
    ring.retired = 1
    spool.kept_next = header.released_kept[header.released_current].kept
    file.entries_from = file.entries_to
    spool.ring = ring
    spool.keeps_blobs = True
    spool.written_to = header.positions.tail
    spool.blob_end = (<uint64_t> fd_size(file.fd) | 4095) + 1
    if spool.blob_end < header.blobs_offset:
        spool.blob_end = header.blobs_offset
    # `prepare` has made nanoseconds of the time stamps. There are no anchors here, so the dead process's stay in its header.
    memset(&engine.workspace.calibration, 0, sizeof(ClockCalibration))
    engine.workspace.calibration.ticks_are_ns = 1
    for i in range(SPOOL_SLOTS):
        header.slot[i].sink_id = 0
    lacked = file.undelivered()
    lacked_late = file.undelivered_late()
    first_late = header.released_kept[header.released_current].late
    for sink_id, path, is_exact in starts:
        start = lacked if is_exact else first
        late = lacked_late if is_exact else first_late
        if path is not None:
            start = adopt_slot(file, sink_id, path, lacked, &late)
        sink = core.lock_sink(sink_id)
        sink.late.from_number = late
        sink.window.from_sequence = start - first if start > first else 0
        engine_reroute(engine)
        core.unlock()
    adopt_names(core, file)
    core.set_rules(LevelRules(0, {}))  # what the dead process logged, its level let through
    core.adopted = file
    core.keep(file)
    core.lock()
    resume_dumps(engine, first_late, file.last_ns, heading)
    ring.next = engine.rings
    engine.rings = ring
    engine.spooled = True
    core.unlock()
    return count


cdef uint64_t adopt_slot(SpoolFile file, int sink_id, bytes path, uint64_t start, uint64_t* late) except? 0:
    cdef SpoolSlot* slot
    cdef int i
    for i in range(SPOOL_SLOTS):
        slot = &file.spool.header.slot[i]
        if slot.name_size == <uint32_t> len(path) and slot.name[: slot.name_size] == path and slot.sink_id == 0:
            slot.sink_id = sink_id
            late[0] = slot_late_done(slot)
            return slot_done(slot)
    file.add_slot(sink_id, path, start, late[0])
    return start


cdef adopt_names(Core core, DeadSpool file):
    cdef Engine* engine = core.engine
    cdef Text text
    engine.programs = file.names.programs
    engine.sites = file.names.sites
    engine.places = file.names.places
    engine.intake.process = file.spool.header.process
    text = copy_text(file.logger_name)
    text, engine.name = engine.name, text
    free(<void*> text.data)
    engine.is_named = is_a_name(file.logger_name.decode("utf-8", "replace"))
    engine.names = &file.names.loggers
    # Records name a level by its index. A level that could not be written into the spool is shown by its number.
    for index in range(MAX_LEVELS):
        name, number, color = file.levels.get(index, (f"LEVEL {index}", 0, ""))
        place_level(core, index, name, number, color)


def spool_filenos(Core core not None):
    """The descriptors of an engine's spools, as a list."""
    found = []
    for file in core.spools:
        if (<SpoolFile> file).descriptor.is_intact:
            found.append((<SpoolFile> file).descriptor.fd)
    return found


def remove_finished_spools(Core core not None, bint with_files=True):
    """Gives up the spools of which everything was written, and removes their files."""
    cdef SpoolFile file
    cdef SystemLock registry
    registry = enter_registry()  # the flusher and a thread that closes the logger may both call this
    try:
        for file in list(core.spools):
            if not file.is_finished:
                continue
            core.spools.remove(file)
            release_spool_file(core, file)
            if with_files:
                file.remove()
    finally:
        registry.give()
