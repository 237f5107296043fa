# Spools as Python holds them: made, given the process's names, read again after their process died.
#
# Names are what records refer to by number: templates, call sites, levels. Each is appended to the file before the first
# record that uses it can be committed, with pwrite: a full disk is an error there (then the name is not registered, and the
# record carries text and place itself), never a SIGBUS.

from .errors import SpoolError

cdef enum NameKind:
    NAME_TEMPLATE = 1
    NAME_SITE
    NAME_LEVEL
    NAME_LOGGER

cdef int64_t LATEST_NS = 7258118400 * 10**9  # the year 2200
# Weak references: a spool that nobody holds any more closes itself.
cdef list live_spools = []
cdef list open_spools = []       # also those of the dead
cdef uint32_t BYTE_ORDER_MARK = 0x01020304


cdef object spool_error(str path, str text, int number=22):
    return SpoolError(number, text, path)


cdef uint32_t checksum_of(bytes data) except? 0:
    from binascii import crc32
    return crc32(data)


cdef bytes name_entry(int kind, uint32_t number, list parts):
    """length, kind, number, checksum; then each part with its length."""
    cdef list pieces = []
    for part in parts:
        pieces.append(len(part).to_bytes(4, "little"))
        pieces.append(part)
    cdef bytes body = b"".join(pieces)
    cdef bytes front = len(body).to_bytes(4, "little") + kind.to_bytes(4, "little") + number.to_bytes(4, "little")
    return front + checksum_of(front + body).to_bytes(4, "little") + body


# Not `str`: CPython runs signal handlers while it makes the text of an int, and what they raise would cut a change in half.
cdef bytes decimal(long long number):
    cdef char text[24]
    return text[: snprintf(text, sizeof(text), "%lld", number)]


cdef bytes text_bytes(const Text* text):
    return text.data[: text.size] if text.size else b""


cdef bytes template_entry(uint32_t number, str message):
    return name_entry(NAME_TEMPLATE, number, [message.encode("utf-8", "surrogatepass")])


cdef bytes site_entry(const Site* site):
    return name_entry(NAME_SITE, site.id, [
        text_bytes(&site.module), text_bytes(&site.function), text_bytes(&site.path), decimal(site.line),
    ])


cdef bytes level_entry(uint32_t index, const Level* level):
    return name_entry(NAME_LEVEL, index, [text_bytes(&level.name), decimal(level.number), text_bytes(&level.color)])


cdef list level_entries(Core core):
    cdef uint32_t i
    cdef list entries = []
    if FREE_THREADED:  # or another thread may change one meanwhile
        core.lock()
    try:
        for i in range(core.engine.level_count):
            entries.append(level_entry(i, &core.engine.levels[i]))
    finally:
        if FREE_THREADED:
            core.unlock()
    return entries


cdef bint spools_take(bytes entry) except -1:
    """False: the disk is full, and the name must not be used."""
    cdef SpoolFile file
    for known in live_spools:
        file = known()
        if file is not None and not file.append_names(entry):
            return False
    return True


cdef bint spools_take_template(uint32_t number, str message) except -1:
    return not live_spools or spools_take(template_entry(number, message))


cdef bint spools_take_site(const Site* site) except -1:
    return not live_spools or spools_take(site_entry(site))


cdef class SpoolFile:
    """One spool, open and locked by the caller.

    Args:
        path: its name.
        fd: a `Descriptor`, or a number, open for reading and writing; belongs to this object from now on.
        ring_capacity: bytes of the ring of a new spool, which has `size_for(ring_capacity)` bytes; 0: read a dead one.
        boot: which start of the machine this is; for a new spool, 0: it need not survive the loss of power.

    Raises:
        SpoolError: the file is no spool, or a damaged one. It is left as it is.
    """
    cdef Spool spool
    cdef public str path
    cdef readonly int fd
    cdef Descriptor descriptor
    cdef object __weakref__
    cdef void* next_kept             # see `let_go_of_file`
    cdef bint is_kept                # a core's ring is in it
    cdef object front_map
    cdef object ring_map
    cdef Py_buffer front
    cdef Py_buffer data
    cdef int open_buffers
    cdef uint64_t names_end
    cdef Names names
    cdef uint64_t records            # of a dead one, once they have been checked
    cdef bint is_sound               # and that they are fit to be rendered
    cdef uint64_t owned_from         # between these positions, blocks of large records are to be freed here
    cdef uint64_t owned_to
    cdef dict levels                 # index -> (name, number, colour)
    cdef bytes logger_name
    cdef uint64_t this_boot
    cdef Synced* durable             # the machine was started again since: this is what counts

    def __cinit__(self, str path, fd, uint64_t ring_capacity, uint64_t boot=0):
        self.path = path
        self.fd = -1
        self.this_boot = boot
        self.durable = NULL
        self.levels = {}
        self.logger_name = b""
        memset(&self.spool, 0, sizeof(Spool))
        memset(&self.names, 0, sizeof(Names))
        if sizeof(SpoolHeader) > SYNCED_OFFSET or sizeof(Synced) > SYNCED_APART:
            raise spool_error(path, "the header does not fit its place")
        if isinstance(fd, Descriptor):
            self.descriptor = fd
        else:
            self.descriptor = Descriptor()
            self.descriptor.take(fd)
        is_live = ring_capacity != 0
        if not is_live:
            self.check_header(self.descriptor.fd)
            ring_capacity = int.from_bytes(pread(self.descriptor.fd, 8, offset_of_capacity()), sys.byteorder)
        self.map(self.descriptor.fd, ring_capacity, is_live)
        remember_spool(open_spools, self)
        self.fd = self.descriptor.fd
        if is_live:
            self.write_header(ring_capacity)
        else:
            self.descriptor.settle()
            self.read_names()
            self.check_live_part()

    @staticmethod
    def size_for(uint64_t ring_capacity):
        """Bytes that are to be allocated before a new spool is made."""
        return names_offset_for(ring_capacity)

    cdef map(self, int fd, uint64_t ring_capacity, bint is_live):
        import mmap
        # A successor's ring is private memory: it is prepared for reading there, and the file stays as it was found.
        self.front_map = mmap.mmap(fd, RING_OFFSET)
        self.ring_map = mmap.mmap(
            fd, ring_capacity, access=mmap.ACCESS_WRITE if is_live else mmap.ACCESS_COPY, offset=RING_OFFSET,
        )
        PyObject_GetBuffer(self.front_map, &self.front, PyBUF_WRITABLE)
        self.open_buffers = 1
        PyObject_GetBuffer(self.ring_map, &self.data, PyBUF_WRITABLE)
        self.open_buffers = 2
        self.spool.header = <SpoolHeader*> self.front.buf
        self.spool.stage = <char*> self.front.buf + HEADER_BYTES
        self.spool.fd = fd

    cdef write_header(self, uint64_t ring_capacity):
        cdef SpoolHeader* header = self.spool.header
        # Touched here, so that no log call meets a page fault.
        memset(self.data.buf, 0, ring_capacity)
        memset(header, 0, sizeof(SpoolHeader))
        memcpy(header.magic, b"LOGLYSPL", 8)
        header.version = SPOOL_VERSION
        header.byte_order = BYTE_ORDER_MARK
        header.header_size = sizeof(SpoolHeader)
        header.process = process_id()
        header.created_ns = clock_wall_ns()
        header.ring_capacity = ring_capacity
        header.ring_offset = RING_OFFSET
        header.names_offset = names_offset_for(ring_capacity)
        header.blobs_offset = header.names_offset + NAMES_BYTES
        header.boot = self.this_boot
        self.spool.syncs = self.this_boot != 0
        header.checksum = checksum_of((<char*> header)[: offset_of_live_part()])
        self.names_end = header.names_offset
        self.spool.blob_end = header.blobs_offset

    # ---- a live one

    def begin(self, Core core not None):
        """Writes down all names there are; from now on every new one is."""
        cdef uint32_t i
        cdef list entries = [name_entry(NAME_LOGGER, 0, [text_bytes(&core.engine.name)])]
        cdef SystemLock registry
        core.lock()  # a flusher that is running goes on with it: half of each would be an impossible clock
        self.spool.header.calibration = core.engine.calibration
        core.unlock()
        if self.spool.syncs:
            synced_write(&self.spool, 0, 0, 0, &self.spool.header.calibration)
        registry = enter_registry()
        try:
            for text, (address, _) in programs_by_text.items():
                entries.append(template_entry((<Program*> <uint64_t> address).id, text))
            for i in range(1, site_count):
                if all_sites[i] != NULL:
                    entries.append(site_entry(all_sites[i]))
            entries += level_entries(core)
            if not self.append_names(b"".join(entries)):
                raise spool_error(self.path, "no space for the names of templates and call sites", 28)
            remember_spool(live_spools, self)
        finally:
            registry.give()

    cdef bint append_names(self, bytes entries) except -1:
        cdef uint64_t size = len(entries)
        if self.fd < 0:
            return True
        if self.names_end + size > self.spool.header.blobs_offset:
            return False
        if not spool_pwrite(self.fd, <const char*> entries, size, self.names_end):
            return False
        self.names_end += size
        return True

    cdef bint add_slot(self, int sink_id, bytes path, uint64_t done) except -1:
        """Exact progress for a sink's file. False: there is no slot left (or no name that fits)."""
        cdef SpoolSlot* slot
        cdef int i
        if not path or len(path) > SLOT_NAME_BYTES:
            return False
        for i in range(SPOOL_SLOTS):
            slot = &self.spool.header.slot[i]
            if slot.name_size == 0:
                slot.state = SLOT_IDLE
                slot.done = done
                memcpy(slot.name, <const char*> path, len(path))
                slot.sink_id = sink_id
                store_release32(&slot.name_size, <uint32_t> len(path))
                return True
        return False

    cdef drop_slot(self, int sink_id):
        cdef int i
        for i in range(SPOOL_SLOTS):
            if self.spool.header.slot[i].sink_id == sink_id:
                store_release32(&self.spool.header.slot[i].name_size, 0)
                self.spool.header.slot[i].sink_id = 0

    @property
    def is_finished(self):
        """Whether all that was in it has been written."""
        return bool(load_acquire32(&self.spool.finished))

    cdef void release_buffers(self) noexcept:
        self.free_large()
        if self.open_buffers > 1:
            PyBuffer_Release(&self.data)
        if self.open_buffers > 0:
            PyBuffer_Release(&self.front)
        self.open_buffers = 0

    cdef release(self):
        cdef SystemLock registry
        self.fd = -1
        registry = enter_registry()
        try:
            forget_spool(open_spools, self)
            forget_spool(live_spools, self)
        finally:
            registry.give()
        self.release_buffers()
        for mapping in (self.front_map, self.ring_map):
            if mapping is not None:
                mapping.close()
        self.front_map = self.ring_map = None

    def __enter__(self):
        return self

    # Not left to the last reference: CPython 3.11 and 3.12 lose a reference to each argument of a function with cell variables
    # when there is no memory for one of the cells. A core that reads from the file closes it itself.
    def __exit__(self, kind, error, trace):
        if not self.is_kept:
            self.close()

    def close(self):
        """Lets go of the mapping, the lock and the file. Nobody may use its ring any more."""
        begin_section()
        try:
            self.release()
            self.descriptor.shut()
        finally:
            end_section()

    def remove(self):
        """All that was in it has been written: the file goes."""
        try:
            os.unlink(self.path)
        except OSError:
            pass
        self.close()

    def __dealloc__(self):
        cdef uint32_t i
        self.release_buffers()
        for i in range(self.names.program_limit):
            free_program(self.names.programs[i])
        for i in range(self.names.site_limit):
            free_site(self.names.sites[i])
        free(self.names.programs)
        free(self.names.sites)

    # ---- a dead one

    cdef check_header(self, int fd):
        cdef bytes data = pread(fd, offset_of_live_part(), 0)
        cdef bytearray copy
        cdef SpoolHeader* header  # its fixed part only: the whole is too much for the small stack of a thread on musl
        cdef uint32_t said
        if len(data) < <Py_ssize_t> offset_of_live_part() or not data.startswith(b"LOGLYSPL"):
            raise spool_error(self.path, "not a spool of logly")
        copy = bytearray(data)
        header = <SpoolHeader*> <char*> copy
        said = header.checksum
        header.checksum = 0
        if header.byte_order != BYTE_ORDER_MARK:
            raise spool_error(self.path, "written on a machine of another byte order")
        if header.version != SPOOL_VERSION or header.header_size != sizeof(SpoolHeader):
            raise spool_error(
                self.path, f"format {header.version}, this logly reads {SPOOL_VERSION}: recover it with the one that wrote it",
            )
        if said != checksum_of(bytes(copy)):
            raise spool_error(self.path, "damaged: the header's checksum is wrong")
        if (
            header.ring_capacity < 4096 or header.ring_capacity & (header.ring_capacity - 1)
            or header.ring_offset != RING_OFFSET or header.names_offset != names_offset_for(header.ring_capacity)
            or header.blobs_offset != header.names_offset + NAMES_BYTES
        ):
            raise spool_error(self.path, "damaged: the header contradicts itself")
        if fd_size(fd) < <int64_t> header.names_offset:
            raise spool_error(self.path, "damaged: the file is too short")

    cdef damaged(self, str what):
        return spool_error(self.path, f"damaged: {what}")

    cdef read_names(self):
        cdef uint64_t at = self.spool.header.names_offset
        self.names.programs = <Program**> calloc(MAX_TEMPLATES, sizeof(void*))
        self.names.sites = <Site**> calloc(MAX_SITES, sizeof(void*))
        if self.names.programs == NULL or self.names.sites == NULL:
            raise MemoryError
        self.names.program_limit = MAX_TEMPLATES
        self.names.site_limit = MAX_SITES
        while at < self.spool.header.blobs_offset:
            front = pread(self.fd, 16, at)
            size = int.from_bytes(front[:4], "little")
            kind = int.from_bytes(front[4:8], "little")
            number = int.from_bytes(front[8:12], "little")
            checksum = int.from_bytes(front[12:], "little")
            if size == 0 or at + 16 + size > self.spool.header.blobs_offset:
                break
            body = pread(self.fd, size, at + 16)
            if checksum != checksum_of(front[:12] + body):
                break  # the process died while it was written: no record refers to it
            try:
                self.read_name(kind, number, name_parts(body))
            except (ValueError, IndexError):
                raise self.damaged(f"name {number} of kind {kind}") from None
            at += 16 + size

    cdef read_name(self, int kind, uint32_t number, list parts):
        cdef Program* program
        cdef Site* site
        # Lists are not checked for their bounds here.
        if len(parts) < (4 if kind == NAME_SITE else 3 if kind == NAME_LEVEL else 1):
            raise ValueError
        if kind == NAME_TEMPLATE and 0 < number < MAX_TEMPLATES:
            program = compile_program(parts[0].decode("utf-8", "surrogatepass"))
            program.id = number
            free_program(self.names.programs[number])
            self.names.programs[number] = program
        elif kind == NAME_SITE and 0 < number < MAX_SITES:
            site = new_site((
                parts[0].decode("utf-8", "replace"), parts[1].decode("utf-8", "replace"),
                parts[2].decode("utf-8", "replace"), int(parts[3]),
            ))
            free_site(self.names.sites[number])
            self.names.sites[number] = site  # its id stays 0: no routing is remembered for it
        elif kind == NAME_LEVEL and number < MAX_LEVELS:
            name = parts[0].decode("utf-8", "replace")
            color = parts[2].decode("utf-8", "replace")
            # Written into lines as they are; a live logger's are checked where they are set.
            if not name.isprintable() or not color.removeprefix("\x1b[").isprintable():
                raise ValueError
            self.levels[number] = (name, int(parts[1]), color)
        elif kind == NAME_LOGGER:
            self.logger_name = parts[0]

    cdef check_live_part(self):
        cdef SpoolHeader* header = self.spool.header
        cdef const Released* released
        cdef uint64_t head = header.positions.head
        cdef SpoolSlot* slot
        cdef int i
        if header.boot and header.boot != self.this_boot:
            self.durable = synced_latest(header)
            if self.durable == NULL:
                raise self.damaged("the machine was started again, and the last sync had failed")
            if (
                self.durable.head - self.durable.position > header.ring_capacity
                or (self.durable.head | self.durable.position) & 7
                or self.durable.calibration.current > 1 or not calibration_is_sound(&self.durable.calibration)
            ):
                raise self.damaged("the synced positions are impossible")
            return
        if header.released_current > 1 or header.calibration.current > 1:
            raise self.damaged("an index is out of range")
        released = &header.released[header.released_current]
        if not calibration_is_sound(&header.calibration):
            raise self.damaged("the clock is impossible")
        if head - released.position > header.ring_capacity or (head | released.position) & 7:
            raise self.damaged("the ring's positions are impossible")
        for i in range(SPOOL_SLOTS):
            slot = &header.slot[i]
            if slot.name_size > SLOT_NAME_BYTES or slot.state > SLOT_WRITTEN:
                raise self.damaged("a sink's progress is impossible")
            if slot.state == SLOT_WRITING and not self.has_staged(slot):
                raise self.damaged("a sink's progress is impossible")
            if memchr(slot.name, 0, slot.name_size) != NULL:
                raise self.damaged("a sink's path is none")

    cdef bint has_staged(self, const SpoolSlot* slot) except -1:
        cdef uint64_t end = <uint64_t> fd_size(self.fd)
        if slot.offset >> 62:
            return False
        if slot.blob == 0:
            return slot.length <= STAGE_BYTES
        return self.spool.header.blobs_offset <= slot.blob <= end and slot.length <= end - slot.blob

    @property
    def process(self):
        """Id of the process that wrote it."""
        return self.spool.header.process

    @property
    def created_ns(self):
        return self.spool.header.created_ns

    @property
    def boot(self):
        """Which start of the machine it says that it is of; 0: it is not synced."""
        return self.spool.header.boot

    @property
    def is_synced(self):
        """Whether it is to survive the loss of power."""
        return self.spool.header.boot != 0

    def begun_writes(self):
        """[(slot, path, device, inode, offset, bytes)] of writes that may have been cut short."""
        cdef SpoolSlot* slot
        cdef int i
        begun = []
        if self.durable != NULL:
            return begun  # their pages may be of any time
        for i in range(SPOOL_SLOTS):
            slot = &self.spool.header.slot[i]
            if slot.name_size and slot.state == SLOT_WRITING:
                if slot.blob:
                    staged = pread(self.fd, slot.length, slot.blob)
                else:
                    staged = slot_stage(&self.spool, slot)[: slot.length]
                begun.append((i, slot.name[: slot.name_size], slot.device, slot.inode, slot.offset, staged))
        return begun

    def settle(self, int index, bint is_written):
        """The write that had begun there is complete, or none of its bytes is in the file."""
        store_release32(&self.spool.header.slot[index].state, SLOT_WRITTEN if is_written else SLOT_IDLE)

    def check(self):
        """Makes sure that all records of a dead one can be rendered, before anything is changed or delivered.

        Raises:
            SpoolError: one is damaged.
        """
        self.records = self.prepare()
        self.is_sound = True

    cdef uint64_t prepare(self) except? 0:
        """Makes the ring (private memory here) fit to be consumed; returns how many records there are. Once only."""
        cdef SpoolHeader* header = self.spool.header
        cdef uint64_t at = header.released[header.released_current & 1].position
        cdef uint64_t head = header.positions.head
        cdef uint64_t count = 0
        cdef uint64_t room
        cdef int64_t time_ns
        cdef ClockCalibration calibration = header.calibration
        cdef RecordPrefix* prefix
        cdef RecordHeader* record
        if self.durable != NULL:
            at = self.durable.position
            head = self.durable.head
            calibration = self.durable.calibration
        self.owned_from = self.owned_to = at
        while at != head:
            room = header.ring_capacity - (at & (header.ring_capacity - 1))
            if room > head - at:
                room = head - at
            prefix = <RecordPrefix*> (<char*> self.data.buf + (at & (header.ring_capacity - 1)))
            if prefix.size < PREFIX_SIZE or prefix.size & 7 or prefix.size > room:
                raise self.damaged(f"record {count} has an impossible size")
            if prefix.kind == RECORD_HEAP:
                record = self.load_large(<RecordHeap*> prefix, count)
            elif prefix.kind == RECORD_INLINE:
                record = <RecordHeader*> prefix
                if not record_is_sound(<const char*> record, prefix.size, &self.names):
                    raise self.damaged(f"record {count} is not one")
            elif prefix.kind == RECORD_PADDING:
                at += prefix.size
                continue
            else:
                raise self.damaged(f"record {count} is of no known kind")
            # Stamps become plain time here: the clock they were taken by may be gone.
            time_ns = calibration_ns(&calibration, record.ticks)
            if not 0 <= time_ns < LATEST_NS:
                raise self.damaged(f"record {count} has an impossible time")
            record.ticks = <uint64_t> time_ns
            count += 1
            at += prefix.size
            self.owned_to = at
        return count

    cdef void free_large(self) noexcept:
        """Blocks of large records that no engine took over."""
        cdef RecordHeap* heap
        while self.owned_from != self.owned_to:
            heap = <RecordHeap*> (<char*> self.data.buf + (self.owned_from & (self.spool.header.ring_capacity - 1)))
            if heap.kind == RECORD_HEAP:
                free(heap.block)
            self.owned_from += heap.size

    cdef believe_durable(self):
        """Makes the header say what was synced. The last store is that of `boot`: until then the next one begins here, too."""
        cdef SpoolHeader* header = self.spool.header
        cdef int i
        if self.durable == NULL:
            return
        for i in range(SPOOL_SLOTS):
            memset(&header.slot[i], 0, sizeof(SpoolSlot))
        header.released[0].position = self.durable.position
        header.released[0].sequence = self.durable.sequence
        header.released_current = 0
        header.positions.head = self.durable.head
        header.calibration = self.durable.calibration
        store_release(&header.boot, self.this_boot)
        self.durable = NULL

    cdef RecordHeader* load_large(self, RecordHeap* heap, uint64_t number) except NULL:
        cdef uint64_t size
        cdef bytes data
        if heap.size < sizeof(RecordHeap):
            raise self.damaged(f"record {number} is not one")
        size = heap.block_size
        heap.block = NULL
        if heap.blob < self.spool.header.blobs_offset or size > <uint64_t> fd_size(self.fd):
            raise self.damaged(f"record {number} is not one")
        data = pread(self.fd, size, heap.blob)
        if <uint64_t> len(data) != size or not record_is_sound(<const char*> data, size, &self.names):
            raise self.damaged(f"record {number} is not one")
        heap.block = <char*> malloc(size)
        if heap.block == NULL:
            raise MemoryError
        memcpy(heap.block, <const char*> data, size)
        return <RecordHeader*> heap.block

    cdef uint64_t undelivered(self):
        """Number of the first record that some sink file lacked; with no sink files, of the first that is there."""
        cdef uint64_t first = <uint64_t> -1
        cdef int i
        for i in range(SPOOL_SLOTS):
            if self.spool.header.slot[i].name_size:
                first = min(first, slot_done(&self.spool.header.slot[i]))
        return self.spool.header.released[self.spool.header.released_current].sequence if first == <uint64_t> -1 else first


cdef bint calibration_is_sound(const ClockCalibration* calibration) noexcept:
    # Wide, because a clock that is corrected between two anchors makes a strange slope; but no NaN.
    cdef const ClockLine* line = &calibration.lines[calibration.current]
    return calibration.ticks_are_ns or (-1e6 < line.ns_per_tick < 1e6 and -1e6 < line.ns_per_tick_long < 1e6)


cdef bint spool_add_sink(SpoolFile file, int sink_id, bytes path) except -1:
    # It gets what is logged from now on. (Of a spool that is finished the ring is gone.)
    return not file.is_finished and file.add_slot(sink_id, path, file.spool.ring.committed)


cdef list name_parts(bytes body):
    cdef list parts = []
    cdef Py_ssize_t at = 0
    while at + 4 <= len(body):
        size = int.from_bytes(body[at : at + 4], "little")
        parts.append(body[at + 4 : at + 4 + size])
        at += 4 + size
    return parts


cdef bytes pread(int fd, uint64_t size, uint64_t offset):
    return os.pread(fd, size, offset)


def abandon_spools():
    """In a forked child: lets go of all spools, which are the parent's."""
    for known in list(open_spools):
        file = known()
        if file is not None:
            (<SpoolFile> file).close()


cdef remember_spool(list spools, SpoolFile file):
    cdef object known = weakref(file)
    for one in list(spools):
        if one() is None:
            spools.remove(one)
    spools.append(known)


cdef forget_spool(list spools, SpoolFile file):
    for known in list(spools):
        if known() is file:
            spools.remove(known)


cdef size_t offset_of_capacity() noexcept:
    cdef SpoolHeader header
    return <char*> &header.ring_capacity - <char*> &header


cdef size_t offset_of_live_part() noexcept:
    cdef SpoolHeader header
    return <char*> &header.apart - <char*> &header


cdef uint64_t names_offset_for(uint64_t ring_capacity) noexcept:
    return RING_OFFSET + ((ring_capacity + HEADER_BYTES - 1) & ~<uint64_t> (HEADER_BYTES - 1))
