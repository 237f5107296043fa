"""The class of spool/dead_spool.pxi; included by logly/_core.pxd."""

from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t

from logly.layout.message cimport TemplateStyle
from logly.ring.record cimport RecordHeader, RecordHeap
from logly.spool.format cimport LateEntry, SpoolSlot, Synced
from logly.spool.validate cimport Names


cdef class DeadSpool(SpoolFile):
    cdef Names names
    cdef uint64_t records            # how many there are, once `check` has run
    cdef bint is_sound               # `check` has found all of them fit to be rendered
    cdef uint64_t owned_from         # this object frees the blocks of large records between these positions
    cdef uint64_t owned_to
    cdef uint64_t entries_from       # the same for the flight recorder's
    cdef uint64_t entries_to
    cdef LateEntry* late_entry       # what `Spool.late_entry` points to
    cdef uint64_t kept_in_ring       # records for the flight recorder that are still in the ring
    cdef readonly int64_t last_ns    # time of the latest record
    cdef public bint stays           # it is not removed as soon as everything was written: see control/recovery.py
    cdef public bint is_foreign      # another user owns the file, or others may write to it
    cdef dict levels                 # index -> (name, number, colour)
    cdef bytes logger_name
    cdef Synced* durable             # set when the machine was started again since: then only this counts

    cdef void release_buffers(self) noexcept
    cdef bytes check_header(self, int fd)
    cdef check_synced(self)
    cdef damaged(self, str what)
    cdef read_names(self)
    cdef read_name(self, int kind, uint32_t number, list parts)
    cdef read_template(self, uint32_t number, str message, TemplateStyle style)
    cdef read_logger_name(self, uint16_t number, bytes name)
    cdef check_live_part(self)
    cdef bint has_blob(self, uint64_t offset, uint64_t size) noexcept
    cdef bint has_staged(self, const SpoolSlot* slot) noexcept
    cdef uint64_t prepare(self) except? 0
    cdef void free_large(self) noexcept
    cdef believe_durable(self)
    cdef RecordHeader* load_large(self, RecordHeap* heap, uint64_t number) except NULL
    cdef uint64_t undelivered(self)
    cdef uint64_t undelivered_late(self)
