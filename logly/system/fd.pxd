"""Descriptors: the few system calls that a sink makes, and how they differ between operating systems."""

from libc.stdint cimport int64_t, uint64_t

cdef extern from * nogil:
    """
    #ifndef LOGLY_FD
    #define LOGLY_FD
    #include <cerrno>
    #include <cstdint>
    #include <sys/stat.h>
    enum { FD_FILE = 0, FD_PIPE = 1, FD_SOCKET = 2, FD_TTY = 3, FD_DATAGRAM = 4 };
    #ifdef _WIN32
    #include <io.h>
    #include <process.h>
    static inline int64_t fd_write_raw(int fd, const char* data, uint64_t size, int kind) {
        int64_t n = _write(fd, data, (unsigned)(size > 0x40000000 ? 0x40000000 : size));
        return n >= 0 ? n : -(int64_t)errno;
    }
    static inline int64_t fd_send_shortened(int fd, const char* data, uint64_t size) { return -EMSGSIZE; }
    static inline int fd_kind(int fd) { return _isatty(fd) ? FD_TTY : FD_FILE; }
    static inline int fd_writable(int fd) { return 1; }
    static inline int fd_lock_briefly(int fd) { return 0; }
    static inline void fd_unlock(int fd) {}
    static inline int64_t fd_size(int fd) { struct _stat64 s; return _fstat64(fd, &s) == 0 ? s.st_size : -1; }
    static inline int fd_stat(int fd, uint64_t* found) { return 0; }
    static inline int fd_sync(int fd) { return _commit(fd) == 0 ? 0 : errno; }
    static inline int fd_copy(int fd) { return -1; }
    static inline void fd_close(int fd) { _close(fd); }
    static inline void fd_unlink(const char* path) { _unlink(path); }
    // Windows has no inodes, so an open descriptor is assumed to be the file that was opened.
    static inline int fd_identity(int fd, uint64_t* device, uint64_t* inode) {
        *device = *inode = 0;
        return fd_size(fd) >= 0;
    }
    static inline int fd_is_path(int fd, const char* path) { return 1; }
    static inline int path_is_file(const char*, uint64_t, uint64_t) { return 1; }
    static inline uint64_t process_id() { return (uint64_t)_getpid(); }
    #else
    #include <fcntl.h>
    #include <poll.h>
    #include <sys/file.h>
    #include <sys/socket.h>
    #include <time.h>
    #include <unistd.h>
    #ifndef MSG_NOSIGNAL
    #define MSG_NOSIGNAL 0
    #endif
    static inline int64_t fd_write_raw(int fd, const char* data, uint64_t size, int kind) {
        // The write to a socket never blocks, whatever the socket's mode, because the other sinks would wait too.
        int64_t n;
        if (kind != FD_SOCKET && kind != FD_DATAGRAM) n = write(fd, data, size);
        else n = send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        return n >= 0 ? n : errno == ENOBUFS ? -(int64_t)EAGAIN : -(int64_t)errno;
    }
    // Shortens a packet that is too large for the socket until it can be sent. Returns the bytes sent, or minus errno.
    static inline int64_t fd_send_shortened(int fd, const char* data, uint64_t size) {
        int64_t n = -EMSGSIZE;
        while (n == -EMSGSIZE && size > 1) n = fd_write_raw(fd, data, size /= 2, FD_DATAGRAM);
        return n;
    }
    static inline int fd_is_datagram(int fd) {
        int type = 0;
        socklen_t size = sizeof type;
        return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type != SOCK_STREAM;
    }
    static inline int fd_kind(int fd) {
        struct stat s;
        if (fstat(fd, &s) != 0) return FD_FILE;
        if (S_ISSOCK(s.st_mode)) return fd_is_datagram(fd) ? FD_DATAGRAM : FD_SOCKET;
        if (S_ISFIFO(s.st_mode)) return FD_PIPE;
        if (S_ISCHR(s.st_mode) && isatty(fd)) return FD_TTY;
        return FD_FILE;
    }
    // Would a write of up to PIPE_BUF bytes succeed without waiting? Errors count as yes: the write will report them.
    static inline int fd_writable(int fd) {
        struct pollfd p = {fd, POLLOUT, 0};
        int ready;
        do ready = poll(&p, 1, 0); while (ready < 0 && errno == EINTR);
        return ready != 0;
    }
    // Returns 0 when it has locked the file, EWOULDBLOCK when another process has held the lock for some milliseconds, else
    // the errno that says why locking does not work here. It waits no longer than that, because the other sinks wait too:
    // a stopped process must not stop this one.
    static inline int fd_lock_briefly(int fd) {
        struct timespec pause = {0, 50000};
        for (int tries = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; ++tries) {
            if (errno != EWOULDBLOCK && errno != EINTR) return errno;
            if (tries == 50) return EWOULDBLOCK;
            nanosleep(&pause, NULL);
        }
        return 0;
    }
    static inline void fd_unlock(int fd) { flock(fd, LOCK_UN); }
    static inline int64_t fd_size(int fd) { struct stat s; return fstat(fd, &s) == 0 ? (int64_t)s.st_size : -1; }
    static inline int fd_stat(int fd, uint64_t* found) {
        struct stat s;
        if (fstat(fd, &s) != 0) return 0;
        found[0] = (uint64_t)s.st_dev; found[1] = (uint64_t)s.st_ino; found[2] = (uint64_t)s.st_size;
        return 1;
    }
    static inline int fd_sync(int fd) {
        for (;;) {
    #ifdef __APPLE__
            if (fcntl(fd, F_FULLFSYNC) == 0) return 0;
    #else
            if (fdatasync(fd) == 0) return 0;
    #endif
            if (errno != EINTR) return errno == EINVAL || errno == ENOTSUP ? 0 : errno;
        }
    }
    static inline int fd_copy(int fd) { return fcntl(fd, F_DUPFD_CLOEXEC, 3); }
    static inline void fd_close(int fd) { close(fd); }
    static inline void fd_unlink(const char* path) { unlink(path); }
    static inline int fd_identity(int fd, uint64_t* device, uint64_t* inode) {
        struct stat s;
        if (fstat(fd, &s) != 0) return 0;
        *device = (uint64_t)s.st_dev;
        *inode = (uint64_t)s.st_ino;
        return 1;
    }
    static inline int fd_is_file(int fd, uint64_t device, uint64_t inode);
    static inline int fd_is_path(int fd, const char* path) {
        struct stat named;
        return stat(path, &named) == 0 && fd_is_file(fd, (uint64_t)named.st_dev, (uint64_t)named.st_ino);
    }
    static inline int path_is_file(const char* path, uint64_t device, uint64_t inode) {
        struct stat named;
        if (lstat(path, &named) != 0) return errno != ENOENT && errno != ENOTDIR;
        return (uint64_t)named.st_dev == device && (uint64_t)named.st_ino == inode;
    }
    static inline uint64_t process_id() { return (uint64_t)getpid(); }
    #endif
    static inline int fd_is_file(int fd, uint64_t device, uint64_t inode) {
        uint64_t now_device, now_inode;
        return fd_identity(fd, &now_device, &now_inode) && now_device == device && now_inode == inode;
    }
    #endif
    """
    enum:
        FD_FILE
        FD_PIPE
        FD_SOCKET
        FD_TTY
        FD_DATAGRAM
    enum:
        EAGAIN
        EWOULDBLOCK
        EINTR
        EBADF
        EMSGSIZE
    # Bytes written, or minus errno.
    int64_t fd_write_raw(int fd, const char* data, uint64_t size, int kind) noexcept
    int64_t fd_send_shortened(int fd, const char* data, uint64_t size) noexcept
    int fd_kind(int fd) noexcept
    bint fd_writable(int fd) noexcept
    int fd_lock_briefly(int fd) noexcept
    void fd_unlock(int fd) noexcept
    # Does the path still name the open file? Always True on Windows, where others cannot rename an open file.
    bint fd_is_path(int fd, const char* path) noexcept
    int64_t fd_size(int fd) noexcept
    # Stores device, inode and length of the file in three words.
    bint fd_stat(int fd, uint64_t* found) noexcept
    # Makes what was written survive a loss of power. Returns 0 or an errno; 0 also for what cannot be synced, such as a pipe.
    int fd_sync(int fd) noexcept
    # Another descriptor of the same open file, or -1.
    int fd_copy(int fd) noexcept
    void fd_close(int fd) noexcept
    void fd_unlink(const char* path) noexcept
    # False when the descriptor is not open.
    bint fd_identity(int fd, uint64_t* device, uint64_t* inode) noexcept
    # Is the descriptor still open on the file that had this identity?
    bint fd_is_file(int fd, uint64_t device, uint64_t inode) noexcept
    # Does the path name the file that had this identity? A symbolic link does not count. True where that cannot be found out, for
    # example because a folder may not be searched any more.
    bint path_is_file(const char* path, uint64_t device, uint64_t inode) noexcept
    uint64_t process_id() noexcept
