# Spools as Python objects: how they are made, get the process's names, and are closed.
#
# Names are what records refer to by number: templates, call sites, levels. Each name is appended to the file before the first
# record that uses it can be committed. It is written with pwrite, so that a full disk is an error and never a SIGBUS. Then the
# name is not registered, and the record carries its text and call site itself.

import os
from logly.errors import SpoolError

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from logly.layout.logger_names cimport logger_name
from logly.ring.leases cimport FREE_THREADED
from logly.spool.format cimport (
    HEADER_BYTES, NAMES_BYTES, RING_OFFSET, SLOT_IDLE, SLOT_NAME_BYTES, SPOOL_SLOTS, SPOOL_VERSION, SYNCED_APART,
    SYNCED_OFFSET, Spool, SpoolHeader, SpoolSlot, Synced, clock_line_checksum, spool_has_file, spool_pwrite,
    synced_write,
)
from logly.system.atomic cimport load_acquire32, store_release, store_release32
from logly.system.clock cimport ClockCalibration, clock_wall_ns
from logly.system.fd cimport fd_size, path_is_file, process_id
from logly.system.mapping cimport MAPPED_COPY, MAPPED_MEMORY, MAPPED_SHARED, Mapping, mapping_begin, mapping_end

# Of other included files:
#   files/descriptor.pxi: Descriptor
#   registry/name_entries.pxi: NAME_LOGGER, NameStore, checksum_of, forget_weakly, name_entry, name_stores, place_entry,
#       place_era, remember_weakly, site_entry, template_entry
#   registry/retired.pxi: all_places, all_programs, all_sites, enter_registry, place_numbers, site_numbers,
#       template_numbers, traces_in_flight
#   registry/templates.pxi: Template
#   ring/forks.pxi: begin_section, end_section
#   system/threads.pxi: SystemLock

cdef int64_t LATEST_NS = 7258118400 * 10**9  # the year 2200

# Weak references, so that a spool that nobody holds any more closes itself. Spools of dead processes are in the list, too.
cdef list open_spools = []
cdef uint32_t BYTE_ORDER_MARK = 0x01020304


cdef object spool_error(str path, str text, int number=22):
    return SpoolError(number, text, path)


cdef class SpoolFile(NameStore):
    """One spool, open and locked by the caller: this process's, or (`DeadSpool`) one of a process that has died.

    Args:
        path: the file's name.
        fd: a `Descriptor`, or a number, open for reading and writing; belongs to this object from now on.
        ring_capacity: bytes of the ring of a new spool, which has `size_for(...)` bytes; 0: of a dead one.
        boot: which start of the machine this is; for a new spool, 0: it need not survive the loss of power.
        is_copy: of a dead one: reads all of it at once. Nothing is changed in the file, whoever else changes it meanwhile.
        recorder_capacity: bytes of the flight recorder of a new spool; 0: it has none.

    Raises:
        SpoolError: the file is no spool, or a damaged one. It is left as it is.
    """

    def __cinit__(
        self, str path, fd, uint64_t ring_capacity, uint64_t boot=0, bint is_copy=False, uint64_t recorder_capacity=0
    ):
        self.path = path
        self.is_copy = is_copy
        self.fd = -1
        self.this_boot = boot
        memset(&self.spool, 0, sizeof(Spool))
        if sizeof(SpoolHeader) > SYNCED_OFFSET or sizeof(Synced) > SYNCED_APART:
            raise spool_error(path, "the header does not fit its place")
        if isinstance(fd, Descriptor):
            self.descriptor = fd
        else:
            self.descriptor = Descriptor()
            self.descriptor.adopt(fd)
        if ring_capacity:
            self.map(ring_capacity, recorder_capacity, True)
            self.write_header(ring_capacity, recorder_capacity)

    @staticmethod
    def size_for(uint64_t ring_capacity, uint64_t recorder_capacity=0):
        """Bytes that are to be allocated before a new spool is made."""
        return names_offset_for(ring_capacity, recorder_capacity)

    cdef map(self, uint64_t ring_capacity, uint64_t recorder_capacity, bint is_live):
        cdef int fd = self.descriptor.fd
        if not self.is_copy and fd_size(fd) < <int64_t> names_offset_for(ring_capacity, recorder_capacity):
            raise spool_error(self.path, "the file is too short")
        # The ring of a dead process's spool is a private copy, which is prepared for reading. The file stays as it was found.
        self.map_part(&self.front_map, fd, 0, RING_OFFSET, MAPPED_MEMORY if self.is_copy else MAPPED_SHARED)
        self.map_part(
            &self.ring_map, fd, RING_OFFSET, ring_capacity,
            MAPPED_MEMORY if self.is_copy else MAPPED_SHARED if is_live else MAPPED_COPY,
        )
        if recorder_capacity:
            # Of a dead process's spool, too, until it has been checked: see `DeadSpool.share_recorder`.
            self.map_part(
                &self.recorder_map, fd, recorder_offset_for(ring_capacity), recorder_capacity,
                MAPPED_MEMORY if self.is_copy else MAPPED_SHARED if is_live else MAPPED_COPY,
            )
            self.spool.recorder = self.recorder_map.start
        self.spool.header = <SpoolHeader*> self.front_map.start
        self.spool.stage = self.front_map.start + HEADER_BYTES
        # A copy has no file to write to.
        self.spool.fd = -1 if self.is_copy else fd
        self.spool.device = self.descriptor.device
        self.spool.inode = self.descriptor.inode
        remember_weakly(open_spools, self)
        self.fd = fd
        if self.is_copy:
            self.read_copy(&self.front_map, 0)
            self.read_copy(&self.ring_map, RING_OFFSET)
            self.read_copy(&self.recorder_map, recorder_offset_for(ring_capacity))

    cdef map_part(self, Mapping* mapping, int fd, uint64_t offset, uint64_t size, int kind):
        cdef int error = mapping_begin(mapping, fd, offset, size, kind)
        if error:
            raise OSError(error, os.strerror(error), self.path)

    cdef read_copy(self, Mapping* mapping, uint64_t start):
        cdef bytes piece
        cdef uint64_t at = 0
        while at < mapping.size:
            piece = pread(self.fd, min(<uint64_t> (1 << 20), mapping.size - at), start + at)
            if not piece:
                break
            memcpy(mapping.start + at, <const char*> piece, <size_t> len(piece))
            at += <uint64_t> len(piece)

    cdef use_path(self, str path):
        self.encoded_path = os.fsencode(path)
        self.spool.path = <const char*> self.encoded_path
        self.path = path

    cdef write_header(self, uint64_t ring_capacity, uint64_t recorder_capacity):
        cdef SpoolHeader* header = self.spool.header
        # Every page is touched here, so that no log call meets a page fault.
        memset(self.ring_map.start, 0, ring_capacity)
        if recorder_capacity:
            memset(self.recorder_map.start, 0, recorder_capacity)
        memset(header, 0, sizeof(SpoolHeader))
        memcpy(header.magic, b"LOGLYSPL", 8)
        header.version = SPOOL_VERSION
        header.byte_order = BYTE_ORDER_MARK
        header.header_size = sizeof(SpoolHeader)
        header.process = process_id()
        header.created_ns = clock_wall_ns()
        header.ring_capacity = ring_capacity
        header.ring_offset = RING_OFFSET
        header.recorder_offset = recorder_offset_for(ring_capacity)
        header.recorder_capacity = recorder_capacity
        header.names_offset = names_offset_for(ring_capacity, recorder_capacity)
        header.blobs_offset = header.names_offset + NAMES_BYTES
        header.boot = self.this_boot
        self.spool.syncs = self.this_boot != 0
        header.checksum = checksum_of((<char*> header)[: offset_of_live_part()])
        self.names_end = header.names_offset
        header.names_end = self.names_end
        self.spool.blob_end = header.blobs_offset

    cdef begin(self, bytes logger_name, const ClockCalibration* calibration, list levels, bint lacks_levels):
        """Writes all present names into the file, and from now on every new one. `levels`: the entries of the engine's levels."""
        cdef uint32_t i
        cdef list entries = [name_entry(NAME_LOGGER, 0, [logger_name])]
        cdef Template template
        cdef SystemLock registry
        self.spool.header.calibration = calibration[0]
        for i in range(2):
            self.spool.header.clock_checksum[i] = clock_line_checksum(&self.spool.header.calibration, i)
        self.spool.header.lacks_levels = lacks_levels
        registry = enter_registry()
        try:
            # First, because making the entries may run the garbage collector, and with it a __del__ that logs: the names that it
            # registers are stored, too.
            remember_weakly(name_stores, self)
            for i in range(1, template_numbers.begun):
                if all_programs[i] != NULL and all_programs[i].owner != NULL:
                    template = <Template> all_programs[i].owner
                    entries.append(template_entry(all_programs[i].id, template.text, template.style))
            for i in range(1, site_numbers.begun):
                if all_sites[i] != NULL:
                    entries.append(site_entry(all_sites[i]))
            if not self.begin_era():
                for i in range(1, place_numbers.begun):
                    if all_places[i] != NULL:
                        entries.append(place_entry(all_places[i]))
            entries += levels
            if not self.store_names(b"".join(entries)):
                raise spool_error(self.path, "no space for the names of templates and call sites", 28)
        finally:
            registry.give()
        if self.spool.syncs:
            synced_write(&self.spool, 0, 0, 0, self.names_end, &self.spool.header.calibration)

    cdef bint begin_era(self) noexcept:
        """Has places stored when they are used again. False: calls may have found places that they put into this spool's ring."""
        global place_era
        if FREE_THREADED or traces_in_flight:
            return False
        place_era += 1
        self.era = place_era
        return True

    cdef bint store_names(self, bytes entries) except -1:
        cdef uint64_t size = len(entries)
        if self.fd < 0:
            return True
        if self.names_end + size > self.spool.header.blobs_offset or not spool_has_file(&self.spool):
            return False
        if not spool_pwrite(self.fd, <const char*> entries, size, self.names_end):
            return False
        self.names_end += size
        store_release(&self.spool.header.names_end, self.names_end)
        return True

    cdef bint add_slot(self, int sink_id, bytes path, uint64_t done, uint64_t late_done) except -1:
        """Keeps exact progress for a sink's file from now on. False: there is no slot left, or the path does not fit."""
        cdef SpoolSlot* slot
        cdef int i
        if not path or len(path) > SLOT_NAME_BYTES:
            return False
        for i in range(SPOOL_SLOTS):
            slot = &self.spool.header.slot[i]
            if slot.name_size == 0:
                slot.state = SLOT_IDLE
                slot.done = done
                slot.late_done = late_done
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
        """Whether everything that was in it has been written."""
        return bool(load_acquire32(&self.spool.finished))

    @property
    def process(self):
        """Id of the process that wrote it."""
        return self.spool.header.process

    @property
    def created_ns(self):
        return self.spool.header.created_ns

    @property
    def boot(self):
        """The start of the machine in which it was written, as its header says; 0: it is not synced."""
        return self.spool.header.boot

    @property
    def is_synced(self):
        """Whether it is to survive the loss of power."""
        return self.spool.header.boot != 0

    cdef void release_buffers(self) noexcept:
        self.spool.header = NULL
        self.spool.stage = NULL
        mapping_end(&self.ring_map)
        mapping_end(&self.recorder_map)
        mapping_end(&self.front_map)

    cdef release(self):
        cdef SystemLock registry
        self.fd = -1
        registry = enter_registry()
        try:
            forget_weakly(open_spools, self)
            forget_weakly(name_stores, self)
        finally:
            registry.give()
        self.release_buffers()

    def __enter__(self):
        return self

    # The file is not left open until the last reference goes: CPython 3.11 and 3.12 lose a reference to each argument of a
    # function with cell variables when there is no memory for one of the cells. A core that reads from the file closes it itself.
    def __exit__(self, kind, error, trace):
        if not self.is_kept:
            self.close()

    def close(self):
        """Gives up the mapping, the lock and the file. Nobody may use its ring any more."""
        begin_section()
        try:
            self.release()
            self.descriptor.shut()
        finally:
            end_section()

    def remove(self):
        """Removes the file. Everything that was in it has been written."""
        try:
            # Another file may have its name by now: the spool that was made anew because this one was gone.
            if path_is_file(<bytes> os.fsencode(self.path), self.spool.device, self.spool.inode):
                os.unlink(self.path)
        except OSError:
            pass
        self.close()

    def __dealloc__(self):
        self.release_buffers()

cdef bint spool_add_sink(SpoolFile file, int sink_id, bytes path) except -1:
    # The sink gets what is logged from now on. (The ring of a finished spool is gone.)
    return not file.is_finished and file.add_slot(
        sink_id, path, file.spool.ring.committed, file.spool.header.recorder.late
    )


cdef bytes pread(int fd, uint64_t size, uint64_t offset):
    return os.pread(fd, size, offset)


def abandon_spools():
    """In a forked child: closes its copies of all spools, which are the parent's."""
    for known in list(open_spools):
        file = known()
        if file is not None:
            (<SpoolFile> file).close()


cdef size_t offset_of_capacity() noexcept:
    cdef SpoolHeader header
    return <char*> &header.ring_capacity - <char*> &header


cdef size_t offset_of_recorder_capacity() noexcept:
    cdef SpoolHeader header
    return <char*> &header.recorder_capacity - <char*> &header


cdef size_t offset_of_live_part() noexcept:
    cdef SpoolHeader header
    return <char*> &header.apart - <char*> &header


cdef uint64_t whole_pages(uint64_t size) noexcept:
    return (size + HEADER_BYTES - 1) & ~<uint64_t> (HEADER_BYTES - 1)


cdef uint64_t recorder_offset_for(uint64_t ring_capacity) noexcept:
    return RING_OFFSET + whole_pages(ring_capacity)


cdef uint64_t names_offset_for(uint64_t ring_capacity, uint64_t recorder_capacity) noexcept:
    return recorder_offset_for(ring_capacity) + whole_pages(recorder_capacity)
