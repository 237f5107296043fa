# A spool whose process has died. Its names and records are checked before any of them is believed.

import sys

from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memchr, memcpy, memset

from logly.layout.line cimport MAX_LEVELS, MAX_SITES, Site
from logly.layout.logger_names cimport LAST_NAME, logger_name, names_free, names_put, names_reserve
from logly.layout.message cimport MAX_TEMPLATES, STYLE_BRACES, STYLE_PERCENT, Program, TemplateStyle
from logly.layout.trace cimport MAX_PLACES, Place
from logly.ring.record cimport BLOB_CHECKED, IS_KEPT, NAME_INSIDE, RecordHeader, RecordHeap
from logly.ring.recorder cimport HEAP_ENTRY, KeptEntry, heap_of
from logly.ring.ring cimport PREFIX_SIZE, RECORD_HEAP, RECORD_INLINE, RECORD_PADDING, RecordPrefix
from logly.spool.format cimport (
    NAMES_BYTES, RING_OFFSET, SLOT_IDLE, SLOT_NAME_BYTES, SLOT_WRITING, SLOT_WRITTEN, SPOOL_SLOTS, SPOOL_VERSION,
    STAGE_BYTES, RecorderState, Released, SpoolHeader, SpoolSlot, Synced, clock_line_checksum, ring_checksum, slot_done,
    slot_late_done, slot_stage, synced_latest,
)
from logly.spool.validate cimport KnownLevel, Names, record_is_sound
from logly.system.atomic cimport store_release, store_release32
from logly.system.clock cimport ClockCalibration, ClockLine, calibration_ns
from logly.system.crc32c cimport crc32c
from logly.system.fd cimport fd_size
from logly.text.buffer cimport Text

# Of other included files:
#   registry/name_entries.pxi: NAME_LEVEL, NAME_LOGGER, NAME_ORIGIN, NAME_PERCENT, NAME_PLACE, NAME_SITE, NAME_TEMPLATE,
#       checksum_of
#   registry/places.pxi: free_places
#   registry/program.pxi: compile_program, free_programs
#   registry/sites.pxi: free_sites, new_site
#   spool/dead_recorder.pxi: check_entries, check_kept_numbers, check_recorder_positions, keeps_some
#   spool/spool_file.pxi: BYTE_ORDER_MARK, LATEST_NS, SpoolFile, names_offset_for, offset_of_capacity,
#       offset_of_live_part, offset_of_recorder_capacity, pread, recorder_offset_for, spool_error
#   text/owned_text.pxi: copy_text


cdef bint calibration_is_sound(const ClockCalibration* calibration) noexcept:
    # The limits are wide, because a clock that is corrected between two anchors makes a strange slope. They exclude NaN.
    cdef const ClockLine* line = &calibration.lines[calibration.current]
    return calibration.ticks_are_ns or (-1e6 < line.ns_per_tick < 1e6 and -1e6 < line.ns_per_tick_long < 1e6)


cdef class DeadSpool(SpoolFile):
    """A dead process's spool. Its ring is a private copy, which is prepared for reading; the file stays as it was found."""

    def __cinit__(
        self, str path, fd, uint64_t ring_capacity, uint64_t boot=0, bint is_copy=False, uint64_t recorder_capacity=0
    ):
        cdef bytes fixed
        self.durable = NULL
        self.levels = {}
        self.logger_name = b""
        memset(&self.names, 0, sizeof(Names))
        fixed = self.check_header(self.descriptor.fd)
        self.map(word_at(fixed, offset_of_capacity()), word_at(fixed, offset_of_recorder_capacity()), False)
        if (<char*> self.spool.header)[: len(fixed)] != fixed:
            raise self.damaged("it changes while it is read")
        self.descriptor.give_to_spool()
        self.read_names()
        self.check_live_part()

    def __dealloc__(self):
        cdef uint32_t i
        self.release_buffers()
        if self.names.programs != NULL:
            for i in range(<uint32_t> MAX_TEMPLATES):
                free_programs(self.names.programs[i])
        if self.names.places != NULL:
            for i in range(<uint32_t> MAX_PLACES):
                free_places(self.names.places[i])
        free(self.names.places)
        if self.names.sites != NULL:
            for i in range(<uint32_t> MAX_SITES):
                free_sites(self.names.sites[i])
        free(self.names.programs)
        free(self.names.sites)
        for i in range(<uint32_t> NAME_INSIDE):
            free(<void*> logger_name(&self.names.loggers, <uint16_t> i))
        names_free(&self.names.loggers)

    cdef void release_buffers(self) noexcept:
        self.free_large()
        self.spool.late_entries = 0
        free(self.late_entry)
        self.late_entry = NULL
        SpoolFile.release_buffers(self)

    cdef bytes check_header(self, int fd):
        cdef bytes data = pread(fd, offset_of_live_part(), 0)
        cdef bytearray copy
        cdef SpoolHeader* header  # a copy of its fixed part only: the whole is too large for the small stack of a thread on musl
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
            or header.recorder_capacity & (header.recorder_capacity - 1) or header.ring_capacity >> 48
            or header.recorder_capacity >> 48 or header.ring_offset != RING_OFFSET
            or header.recorder_offset != recorder_offset_for(header.ring_capacity)
            or header.names_offset != names_offset_for(header.ring_capacity, header.recorder_capacity)
            or header.blobs_offset != header.names_offset + NAMES_BYTES
        ):
            raise spool_error(self.path, "damaged: the header contradicts itself")
        if fd_size(fd) < <int64_t> header.names_offset:
            raise spool_error(self.path, "damaged: the file is too short")
        return data

    cdef damaged(self, str what):
        return spool_error(self.path, f"damaged: {what}")

    cdef read_names(self):
        cdef uint64_t at = self.spool.header.names_offset
        self.names.programs = <Program**> calloc(MAX_TEMPLATES, sizeof(void*))
        self.names.sites = <Site**> calloc(MAX_SITES, sizeof(void*))
        self.names.places = <Place**> calloc(MAX_PLACES, sizeof(void*))
        if self.names.programs == NULL or self.names.sites == NULL or self.names.places == NULL:
            raise MemoryError
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
                break  # the process died while it wrote this name, so no record refers to it
            try:
                self.read_name(kind, number, name_parts(body))
            except (ValueError, IndexError, OverflowError):
                raise self.damaged(f"name {number} of kind {kind}") from None
            at += 16 + size
        self.names_end = at

    cdef read_name(self, int kind, uint32_t number, list parts):
        cdef Site* site
        cdef Place* place
        cdef KnownLevel* level
        # Checked here, because Cython does not check the bounds of lists in this file.
        if len(parts) < (4 if kind == NAME_SITE else 3 if kind == NAME_LEVEL else 2 if kind == NAME_PLACE else 1):
            raise ValueError
        if kind == NAME_TEMPLATE and number:
            self.read_template(number, parts[0].decode("utf-8", "surrogatepass"), STYLE_BRACES)
        elif kind == NAME_PERCENT and number:
            self.read_template(number, parts[0].decode("utf-8", "surrogatepass"), STYLE_PERCENT)
        elif kind == NAME_SITE and number:
            site = new_site((
                parts[0].decode("utf-8", "replace"), parts[1].decode("utf-8", "replace"),
                parts[2].decode("utf-8", "replace"), int(parts[3]),
            ))
            site.id = number
            site.older = self.names.sites[number & (MAX_SITES - 1)]
            self.names.sites[number & (MAX_SITES - 1)] = site
        elif kind == NAME_LEVEL and number < MAX_LEVELS:
            name = parts[0].decode("utf-8", "replace")
            color = parts[2].decode("utf-8", "replace")
            # Names and colours are written into lines as they are. A live logger's are checked where they are set.
            if not name.isprintable() or not color.removeprefix("\x1b[").isprintable():
                raise ValueError
            self.levels[number] = (name, int(parts[1]), color)
            level = &self.names.level[number]
            level.varies = level.varies or (level.is_known and level.number != int(parts[1]))
            level.is_known = True
            level.number = int(parts[1])
        elif kind == NAME_PLACE and number:
            # It is written into lines as it is.
            text = parts[0].decode("utf-8")
            if not text.endswith("\n") or not ("\n" + text[:len(text) - 1]).replace("\n  ", "").isprintable():
                raise ValueError
            place = <Place*> calloc(1, sizeof(Place))
            if place == NULL:
                raise MemoryError
            place.older = self.names.places[number & (MAX_PLACES - 1)]
            self.names.places[number & (MAX_PLACES - 1)] = place
            place.text = copy_text(parts[0])
            place.alike = <uint64_t> <int64_t> int(parts[1])
            place.id = number
        elif kind == NAME_LOGGER:
            self.logger_name = parts[0]
        elif kind == NAME_ORIGIN and 0 < number <= LAST_NAME:
            parts[0].decode("utf-8")  # it is written into JSON as it is
            self.read_logger_name(<uint16_t> number, parts[0])

    cdef read_template(self, uint32_t number, str message, TemplateStyle style):
        cdef Program* program = compile_program(message, style)
        program.id = number
        # In front of those that had the place before. Of two with the same number the later one counts.
        program.older = self.names.programs[number & (MAX_TEMPLATES - 1)]
        self.names.programs[number & (MAX_TEMPLATES - 1)] = program

    cdef read_logger_name(self, uint16_t number, bytes name):
        cdef Text* text = <Text*> malloc(sizeof(Text) + len(name))
        if text == NULL or not names_reserve(&self.names.loggers, number):
            free(text)
            raise MemoryError
        text.data = <char*> (text + 1)
        text.size = <uint32_t> len(name)
        memcpy(<char*> (text + 1), <const char*> name, len(name))
        # The process may have failed to use the number, and given it to another name. The later one counts.
        free(<void*> names_put(&self.names.loggers, number, text))

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
            if self.names_end < self.durable.names_end:
                raise self.damaged("a name of a template, call site or level")
            self.names.lacks_levels = self.durable.lacks_levels != 0
            return
        if self.names_end < header.names_end:
            raise self.damaged("a name of a template, call site or level")
        self.names.lacks_levels = header.lacks_levels != 0
        if header.released_current > 1 or header.calibration.current > 1:
            raise self.damaged("an index is out of range")
        released = &header.released[header.released_current]
        i = header.calibration.current
        sum_fits = header.clock_checksum[i] == clock_line_checksum(&header.calibration, i)
        if not sum_fits or not calibration_is_sound(&header.calibration):
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
        check_recorder_positions(self)

    cdef bint has_blob(self, uint64_t offset, uint64_t size) noexcept:
        """Whether the file has these bytes behind the names. The numbers may be any: a sum of them could overflow."""
        cdef int64_t end = fd_size(self.fd)
        if end < 0 or not self.spool.header.blobs_offset <= offset <= <uint64_t> end:
            return False
        return size <= <uint64_t> end - offset

    cdef bint has_staged(self, const SpoolSlot* slot) noexcept:
        if slot.offset >> 62:
            return False
        return self.has_blob(slot.blob, slot.length) if slot.blob else slot.length <= STAGE_BYTES

    def begun_writes(self):
        """[(slot, path, device, inode, offset, bytes)] of writes that may have been cut short."""
        cdef SpoolSlot* slot
        cdef int i
        begun = []
        if self.durable != NULL:
            return begun  # the slots' pages may be of any time before the loss of power
        for i in range(SPOOL_SLOTS):
            slot = &self.spool.header.slot[i]
            if slot.name_size and slot.state == SLOT_WRITING:
                if slot.blob:
                    staged = pread(self.fd, slot.length, slot.blob)
                else:
                    staged = slot_stage(&self.spool, slot)[: slot.length]
                if slot.checksum and slot.checksum != crc32c(0, <const char*> <bytes> staged, len(staged)):
                    raise self.damaged("the bytes of an unfinished write")
                begun.append((i, slot.name[: slot.name_size], slot.device, slot.inode, slot.offset, staged))
        return begun

    def mark_write(self, int index, bint is_written):
        """Says in the slot that its unfinished write is complete now (`is_written`), or that none of its bytes is in the file."""
        store_release32(&self.spool.header.slot[index].state, SLOT_WRITTEN if is_written else SLOT_IDLE)

    def remove(self):
        """Removes the file, unless it `stays` for the time being: then whoever recovers it closes or removes it."""
        if not self.stays:
            SpoolFile.remove(self)

    def check(self):
        """Makes sure that all records can be rendered, before anything is changed or delivered.

        Raises:
            SpoolError: a record is damaged.
        """
        self.check_synced()
        self.records = self.prepare()
        if self.durable == NULL:  # else its pages may be of any time before the loss of power
            check_entries(self)
            check_kept_numbers(self)
        self.is_sound = True

    cdef check_synced(self):
        """Compares what was synced with its checksum. What was logged after that has none."""
        cdef SpoolHeader* header = self.spool.header
        cdef const Released* released = &header.released[header.released_current & 1]
        cdef const Synced* synced = synced_latest(header)
        if header.boot == 0 or synced == NULL:
            return
        if self.durable == NULL and (
            <int64_t> (header.positions.head - synced.head) < 0 or <int64_t> (released.position - synced.position) < 0
            or self.names_end < synced.names_end or synced.head - synced.position > header.ring_capacity
        ):
            raise self.damaged("it is older than its last sync")
        if synced.ring_checksum != ring_checksum(
            self.ring_map.start, header.ring_capacity, synced.position, synced.head, 0
        ):
            raise self.damaged("a record that was synced has changed")

    cdef uint64_t prepare(self) except? 0:
        """Makes the ring (private memory here) fit to be consumed, and returns how many records there are. Called once only."""
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
            prefix = <RecordPrefix*> (self.ring_map.start + (at & (header.ring_capacity - 1)))
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
            # Time stamps become nanoseconds here, because the clock that made them may be gone.
            time_ns = calibration_ns(&calibration, record.ticks)
            if not 0 <= time_ns < LATEST_NS:
                raise self.damaged(f"record {count} has an impossible time")
            record.ticks = <uint64_t> time_ns
            self.last_ns = max(self.last_ns, time_ns)
            if record.flags & IS_KEPT:
                if not header.recorder.may_keep:
                    raise self.damaged(f"record {count} is not one")
                self.kept_in_ring += 1
            else:
                count += 1
            at += prefix.size
            self.owned_to = at
        return count

    @property
    def has_kept(self):
        """Whether the flight recorder has records that no dump has taken."""
        return keeps_some(self)

    cdef void free_large(self) noexcept:
        """Frees the blocks of large records that no engine has taken over."""
        cdef RecordHeap* heap
        cdef KeptEntry* entry
        while self.entries_from != self.entries_to:
            entry = <KeptEntry*> (self.spool.recorder + (self.entries_from & (self.spool.header.recorder_capacity - 1)))
            if entry.kind == HEAP_ENTRY:
                free(heap_of(entry).block)
            self.entries_from += entry.size
        while self.owned_from != self.owned_to:
            heap = <RecordHeap*> (self.ring_map.start + (self.owned_from & (self.spool.header.ring_capacity - 1)))
            if heap.kind == RECORD_HEAP:
                free(heap.block)
            self.owned_from += heap.size

    cdef believe_durable(self):
        """Makes the header say what was synced. `boot` is stored last: until then, another recovery would begin here again."""
        cdef SpoolHeader* header = self.spool.header
        cdef uint32_t may_keep = header.recorder.may_keep
        cdef int i
        if self.durable == NULL:
            return
        for i in range(SPOOL_SLOTS):
            memset(&header.slot[i], 0, sizeof(SpoolSlot))
        header.released[0].position = self.durable.position
        header.released[0].sequence = self.durable.sequence
        header.released_kept[0].kept = 0
        header.released_kept[0].late = 0
        memset(&header.recorder, 0, sizeof(RecorderState))
        header.recorder.may_keep = may_keep
        header.released_current = 0
        header.positions.head = self.durable.head
        header.names_end = self.durable.names_end
        header.lacks_levels = self.durable.lacks_levels != 0
        header.calibration = self.durable.calibration
        for i in range(2):
            header.clock_checksum[i] = clock_line_checksum(&header.calibration, i)
        store_release(&header.boot, self.this_boot)
        self.durable = NULL

    cdef RecordHeader* load_large(self, RecordHeap* heap, uint64_t number) except NULL:
        cdef uint64_t size
        cdef bytes data
        if heap.size < sizeof(RecordHeap):
            raise self.damaged(f"record {number} is not one")
        size = heap.block_size
        heap.block = NULL
        if not self.has_blob(heap.blob, size):
            raise self.damaged(f"record {number} is not one")
        data = pread(self.fd, size, heap.blob)
        if <uint64_t> len(data) != size or not record_is_sound(<const char*> data, size, &self.names):
            raise self.damaged(f"record {number} is not one")
        if heap.checksum and heap.checksum != BLOB_CHECKED | crc32c(0, <const char*> data, size):
            raise self.damaged(f"record {number} has changed")
        heap.block = <char*> malloc(size)
        if heap.block == NULL:
            raise MemoryError
        memcpy(heap.block, <const char*> data, size)
        return <RecordHeader*> heap.block

    cdef uint64_t undelivered_late(self):
        """The same of the records that dumps of the flight recorder gave to the sinks."""
        cdef uint64_t first = <uint64_t> -1
        cdef int i
        for i in range(SPOOL_SLOTS):
            if self.spool.header.slot[i].name_size:
                first = min(first, slot_late_done(&self.spool.header.slot[i]))
        return self.spool.header.released_kept[self.spool.header.released_current].late if first == <uint64_t> -1 else first

    cdef uint64_t undelivered(self):
        """Number of the first record that some sink file lacked. Without sink files it is the first record that is there."""
        cdef uint64_t first = <uint64_t> -1
        cdef int i
        for i in range(SPOOL_SLOTS):
            if self.spool.header.slot[i].name_size:
                first = min(first, slot_done(&self.spool.header.slot[i]))
        return self.spool.header.released[self.spool.header.released_current].sequence if first == <uint64_t> -1 else first


cdef list name_parts(bytes body):
    cdef list parts = []
    cdef Py_ssize_t at = 0
    while at + 4 <= len(body):
        size = int.from_bytes(body[at : at + 4], "little")
        parts.append(body[at + 4 : at + 4 + size])
        at += 4 + size
    return parts


cdef uint64_t word_at(bytes data, size_t at) except? 0:
    return int.from_bytes(data[at : at + 8], sys.byteorder)
