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
    struct PipeSignal { int unused; };
    static inline void pipe_signal_hold(PipeSignal* held) {}
    static inline void pipe_signal_release(PipeSignal* held, int is_raised) {}
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
    static inline int fd_open_again(const char*, uint64_t, uint64_t) { return -1; }
    static inline void fd_punch(int, uint64_t, uint64_t) {}
    static inline void fd_close(int fd) { _close(fd); }
    static inline void fd_unlink(const char* path) { _unlink(path); }
    // Windows has no inodes, so an open descriptor is assumed to be the file that was opened.
    static inline int fd_identity(int fd, uint64_t* device, uint64_t* inode) {
        *device = *inode = 0;
        return fd_size(fd) >= 0;
    }
    static inline int fd_is_path(int fd, const char* path) { return 1; }
    static inline int path_is_file(const char*, uint64_t, uint64_t) { return 1; }
    static inline void path_state(const char* path, uint64_t* state) {
        struct _stat64 s;
        for (int i = 0; i < 6; i++) state[i] = 0;
        if (_stat64(path, &s) != 0) { state[0] = (uint64_t)errno; return; }
        state[3] = (uint64_t)s.st_size;
        state[4] = (uint64_t)s.st_mtime;
        state[5] = (uint64_t)s.st_ctime;
    }
    static inline uint64_t process_id() { return (uint64_t)_getpid(); }
    #else
    #include <fcntl.h>
    #include <poll.h>
    #include <signal.h>
    #include <sys/file.h>
    #include <sys/socket.h>
    #include <time.h>
    #include <unistd.h>
    #ifndef MSG_NOSIGNAL
    #define MSG_NOSIGNAL 0
    #endif
    // Between `hold` and `release`, this thread's writes to a pipe without a reader fail and raise no signal. A SIGPIPE that
    // the program itself has pending stays so. Python ignores SIGPIPE unless the program asks for it, so mostly this is one
    // system call. The mask is the thread's, and is changed for the write only: what user code does on this thread, and what
    // it starts, keeps the program's own.
    struct PipeSignal { int is_held; int was_blocked; };
    static inline int pipe_signal_is_pending() {
        sigset_t pending;
        return sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE);
    }
    static inline void pipe_signal_hold(PipeSignal* held) {
        struct sigaction action;
        sigset_t signals, before;
        held->is_held = 0;
        if (sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_IGN) return;
        sigemptyset(&signals);
        sigaddset(&signals, SIGPIPE);
        if (pthread_sigmask(SIG_BLOCK, &signals, &before) != 0) return;
        held->was_blocked = sigismember(&before, SIGPIPE);
        held->is_held = !held->was_blocked || !pipe_signal_is_pending();
    }
    // `is_raised`: a write has failed with EPIPE, or may have.
    static inline void pipe_signal_release(PipeSignal* held, int is_raised) {
        sigset_t signals;
        if (!held->is_held) return;
        sigemptyset(&signals);
        sigaddset(&signals, SIGPIPE);
    #ifdef __APPLE__
        int taken;
        if (is_raised && pipe_signal_is_pending()) sigwait(&signals, &taken);
    #else
        struct timespec at_once = {0, 0};
        while (is_raised && sigtimedwait(&signals, NULL, &at_once) < 0 && errno == EINTR) {}
    #endif
        if (!held->was_blocked) pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
    }
    static inline int64_t fd_write_raw(int fd, const char* data, uint64_t size, int kind) {
        const int is_socket = kind == FD_SOCKET || kind == FD_DATAGRAM;
        const int may_raise = kind == FD_PIPE || (is_socket && MSG_NOSIGNAL == 0);
        PipeSignal held;
        int64_t n;
        if (may_raise) pipe_signal_hold(&held);
        // The write to a socket never blocks, whatever the socket's mode, because the other sinks would wait too.
        if (is_socket) n = send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        else n = write(fd, data, size);
        if (n < 0) n = errno == ENOBUFS ? -(int64_t)EAGAIN : -(int64_t)errno;
        if (may_raise) pipe_signal_release(&held, n == -EPIPE);
        return n;
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
    static inline void fd_punch(int fd, uint64_t offset, uint64_t size) {
    #ifdef FALLOC_FL_PUNCH_HOLE
        if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)size) != 0) return;
    #else
        (void)fd; (void)offset; (void)size;
    #endif
    }
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
    static inline void path_state(const char* path, uint64_t* state) {
        struct stat s;
        for (int i = 0; i < 6; i++) state[i] = 0;
        if (stat(path, &s) != 0) { state[0] = (uint64_t)errno; return; }
        state[1] = (uint64_t)s.st_dev; state[2] = (uint64_t)s.st_ino; state[3] = (uint64_t)s.st_size;
    #ifdef __APPLE__
        const struct timespec modified = s.st_mtimespec, changed = s.st_ctimespec;
    #else
        const struct timespec modified = s.st_mtim, changed = s.st_ctim;
    #endif
        state[4] = (uint64_t)modified.tv_sec * 1000000000u + (uint64_t)modified.tv_nsec;
        state[5] = (uint64_t)changed.tv_sec * 1000000000u + (uint64_t)changed.tv_nsec;
    }
    static inline int fd_open_again(const char* path, uint64_t device, uint64_t inode) {
        struct stat named;  // a pipe's reader that comes and goes would be noticed, so others' files are not opened
        if (stat(path, &named) != 0 || (uint64_t)named.st_dev != device || (uint64_t)named.st_ino != inode) return -1;
        const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0 || fd_is_file(fd, device, inode)) return fd;
        close(fd);
        return -1;
    }
    static inline uint64_t process_id() { return (uint64_t)getpid(); }
    #endif
    static inline int fd_is_file(int fd, uint64_t device, uint64_t inode) {
        uint64_t now_device = 0, now_inode = 0;
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
    # What `hold` has changed of the thread's signals, for `release`.
    struct PipeSignal:
        pass
    void pipe_signal_hold(PipeSignal* held) noexcept
    void pipe_signal_release(PipeSignal* held, bint is_raised) noexcept
    # Bytes written, or minus errno. Raises no SIGPIPE.
    int64_t fd_write_raw(int fd, const char* data, uint64_t size, int kind) noexcept
    int64_t fd_send_shortened(int fd, const char* data, uint64_t size) noexcept
    int fd_kind(int fd) noexcept
    bint fd_writable(int fd) noexcept
    int fd_lock_briefly(int fd) noexcept
    void fd_unlock(int fd) noexcept
    # Does the path still name the open file? Always True on Windows, where others cannot rename an open file.
    bint fd_is_path(int fd, const char* path) noexcept
    # Six words that differ when the file that the path names was replaced or written; for a path that names none: its errno.
    void path_state(const char* path, uint64_t* state) noexcept
    int64_t fd_size(int fd) noexcept
    # Stores device, inode and length of the file in three words.
    bint fd_stat(int fd, uint64_t* found) noexcept
    # Makes what was written survive a loss of power. Returns 0 or an errno; 0 also for what cannot be synced, such as a pipe.
    int fd_sync(int fd) noexcept
    # Another descriptor of the same open file, or -1.
    int fd_copy(int fd) noexcept
    # A descriptor for syncing the file that had this identity, or -1: the path names none or another one.
    int fd_open_again(const char* path, uint64_t device, uint64_t inode) noexcept
    # Gives the disk space of a part of the file back, where the system can do that. The file keeps its length.
    void fd_punch(int fd, uint64_t offset, uint64_t size) noexcept
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
