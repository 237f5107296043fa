"""The class of spool/spool_file.pxi; included by logly/_core.pxd."""

from libc.stdint cimport uint64_t

from logly.spool.format cimport Spool
from logly.system.clock cimport ClockCalibration
from logly.system.mapping cimport Mapping


cdef class SpoolFile(NameStore):
    cdef Spool spool
    cdef public str path
    cdef readonly int fd
    cdef Descriptor descriptor
    cdef bytes encoded_path          # what `Spool.path` points into
    cdef void* next_kept             # the list that `Core.keep` and `release_spool_file` keep
    cdef bint is_kept                # a core's ring is in it
    cdef Mapping front_map           # the header and the staged bytes
    cdef Mapping ring_map            # the ring
    cdef Mapping recorder_map        # the flight recorder, if there is one
    cdef uint64_t names_end
    cdef uint64_t this_boot

    cdef readonly bint is_copy                # of what the file was: nothing here gets into it
    cdef map(self, uint64_t ring_capacity, uint64_t recorder_capacity, bint is_live)
    cdef map_part(self, Mapping* mapping, int fd, uint64_t offset, uint64_t size, int kind)
    cdef read_copy(self, Mapping* mapping, uint64_t start)
    cdef use_path(self, str path)
    cdef write_header(self, uint64_t ring_capacity, uint64_t recorder_capacity)
    cdef begin(self, bytes logger_name, const ClockCalibration* calibration, list levels, bint lacks_levels)
    cdef bint begin_era(self) noexcept
    cdef bint store_names(self, bytes entries) except -1
    cdef bint add_slot(self, int sink_id, bytes path, uint64_t done, uint64_t late_done) except -1
    cdef drop_slot(self, int sink_id)
    cdef void release_buffers(self) noexcept
    cdef release(self)
