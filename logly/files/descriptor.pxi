# File descriptors that belong to objects. If a signal handler raises between a call of `os.open` and the assignment of its
# result, the descriptor is lost and the file stays open for ever. Here the object is made before the file is opened, no bytecode
# runs in between, and the object closes the file when nothing refers to it any more. So no exception leaves a file open.

import os
import sys

from logly.system.fd cimport fd_close, fd_identity, fd_is_file, fd_unlink, process_id

# eventlet replaces `os.open` by a function that needs a hub on each thread that calls it, so the original is used.
if sys.platform == "win32":
    import nt as system_calls
else:
    import posix as system_calls


cdef extern from "Python.h":
    bytes PyUnicode_EncodeFSDefault(object)
    void PyErr_SetObject(object, object) noexcept
    void PyErr_WriteUnraisable(object) noexcept

# By number, with device and inode.
cdef dict descriptors_to_close_in_child = {}     # of spools that are being opened: in a forked child their locks must go


cdef class Descriptor:
    """An open file, closed with this object at the latest.

    If other code has closed the descriptor and its number belongs to another file by now, that file is left alone.
    """

    def __cinit__(self):
        self.fd = -1

    def __dealloc__(self):
        self.shut()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.shut()

    def __index__(self):
        return self.fd

    @property
    def is_intact(self):
        """Whether the descriptor is open on the file that was opened. Other code may have closed it, and opened another file."""
        return self.fd >= 0 and fd_is_file(self.fd, self.device, self.inode)

    def fileno(self):
        """The descriptor's number; -1 when it is closed."""
        return self.fd

    def close(self):
        """Closes the file. Idempotent."""
        self.shut()

    cdef bint adopt(self, int fd) except -1:
        self.fd = fd
        fd_identity(fd, &self.device, &self.inode)
        self.process = process_id()
        if self.closes_in_child:
            descriptors_to_close_in_child[fd] = (self.device, self.inode)
        return True

    def close_and_keep_file(self):
        """Closes the file and does not remove it."""
        self.file_to_remove = None
        self.shut()

    cdef void give_to_spool(self) noexcept:
        """The descriptor belongs to a spool from now on. A forked child closes it with the spool; its file is not removed."""
        if self.closes_in_child:
            self.closes_in_child = False
            descriptors_to_close_in_child.pop(self.fd, None)
        self.file_to_remove = None

    cdef void shut(self) noexcept:
        cdef int fd = self.fd
        cdef const char* file_to_remove = NULL
        if fd < 0:
            return
        if self.file_to_remove is not None and self.process == process_id():
            file_to_remove = self.file_to_remove
        self.fd = -1
        with nogil:
            if file_to_remove != NULL:
                fd_unlink(file_to_remove)
            if fd_is_file(fd, self.device, self.inode):
                fd_close(fd)
        self.forget_number(fd)

    cdef void forget_number(self, int fd) noexcept:
        if self.closes_in_child:
            descriptors_to_close_in_child.pop(fd, None)
        self.closes_in_child = False


def open_descriptor(path, int flags, int mode=0o777, *, bint closes_in_child=False, bint removes_file=False):
    """`os.open`, for a descriptor that cannot be lost; not inheritable.

    Args:
        path: the file's name.
        flags: as for `os.open`; O_CLOEXEC and O_BINARY are added.
        mode: permission bits of a file that is made, before umask.
        closes_in_child: a forked child closes the descriptor, because the file is or will be locked by this process.
        removes_file: the file is removed when the descriptor is closed, unless the descriptor was given to a spool.

    Raises:
        OSError: as `os.open`.
    """
    cdef Descriptor made = Descriptor()
    made.closes_in_child = closes_in_child
    if removes_file:
        made.file_to_remove = PyUnicode_EncodeFSDefault(path)
    made.adopt(system_calls.open(path, flags | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0), mode))
    return made


def copy_descriptor(int fd):
    """A descriptor of the same open file, not inheritable."""
    cdef Descriptor made = Descriptor()
    made.adopt(system_calls.dup(fd))
    return made


def open_shared(str name, int flags, int mode):
    """Like `open_descriptor`, for a file that may be renamed while it is open: Windows must be asked for that."""
    cdef Descriptor made
    if sys.platform == "win32":
        import _winapi
        import msvcrt
        append_only, read_attributes, synchronize, share_all, open_or_make = 0x4, 0x80, 0x100000, 0x7, 4
        access = append_only | read_attributes | synchronize
        made = Descriptor()
        handle = _winapi.CreateFile(name, access, share_all, _winapi.NULL, open_or_make, 0, _winapi.NULL)
        made.adopt(msvcrt.open_osfhandle(handle, flags | os.O_NOINHERIT))
        return made
    return open_descriptor(name, flags, mode)


cdef class Files:
    """What one sink has open: its file, the lock file beside it, its own descriptor of a terminal."""

    @property
    def fd(self):
        """The file's descriptor; -1: there is none."""
        return descriptor_of(self.file)

    @property
    def lock_fd(self):
        """The lock file's descriptor; -1: there is none."""
        return descriptor_of(self.lock)

    def filenos(self):
        """The descriptors that are open, as a list."""
        found = []
        for one in (self.file, self.lock, self.terminal):
            if one is not None and one.is_intact:
                found.append(one.fd)
        return found

    def put(self, Descriptor file, Descriptor lock):
        """Replaces the file and its lock. The old ones are closed when nothing refers to them any more."""
        self.file = file
        self.lock = lock

    def close(self):
        """Closes everything."""
        for one in (self.file, self.lock, self.terminal):
            if one is not None:
                (<Descriptor> one).shut()


cdef int descriptor_of(Descriptor one) noexcept:
    return one.fd if one is not None else -1


def close_descriptors_in_child():
    """Called in a forked child, which has copies of all descriptors and shares their locks: closes the locked ones."""
    while descriptors_to_close_in_child:
        fd, (device, inode) = descriptors_to_close_in_child.popitem()
        if fd_is_file(fd, device, inode):
            fd_close(fd)
