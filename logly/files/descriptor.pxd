"""The classes of files/descriptor.pxi; included by logly/_core.pxd."""

from libc.stdint cimport uint64_t


cdef class Descriptor:
    cdef readonly int fd             # -1: closed
    cdef bint closes_in_child
    cdef uint64_t device
    cdef uint64_t inode
    cdef uint64_t process            # that opened it
    cdef bytes file_to_remove        # name of a file that is removed with this object

    cdef bint adopt(self, int fd) except -1
    cdef void give_to_spool(self) noexcept
    cdef void shut(self) noexcept
    cdef void forget_number(self, int fd) noexcept


cdef class Files:
    cdef public Descriptor file
    cdef public Descriptor lock
    cdef public Descriptor terminal
