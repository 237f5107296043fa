"""Many datagrams with few system calls, without the GIL."""

from libc.stdint cimport int64_t

cdef extern from * nogil:
    """
    #ifndef LOGLY_DATAGRAMS
    #define LOGLY_DATAGRAMS
    #include <cerrno>
    #include <cstddef>
    #include <cstdint>
    struct Datagram { const char* data; size_t size; };
    enum { DATAGRAMS_AT_ONCE = 64 };
    #ifdef _WIN32
    static inline int64_t send_datagrams(int, const Datagram*, size_t) { return -ENOSYS; }
    static inline int await_room(int, int) { return -ENOSYS; }
    static inline void pause_for(int64_t) {}
    static inline int hand_over(int, const char*, size_t) { return ENOSYS; }
    #else
    #include <cstring>
    #include <fcntl.h>
    #include <poll.h>
    #include <sys/socket.h>
    #include <sys/syscall.h>
    #include <time.h>
    #include <unistd.h>
    #ifndef MSG_NOSIGNAL
    #define MSG_NOSIGNAL 0
    #endif
    // Sends up to DATAGRAMS_AT_ONCE datagrams, without waiting. Returns how many the kernel has taken, or minus errno.
    static inline int64_t send_datagrams(int fd, const Datagram* datagram, size_t count) {
        if (count > DATAGRAMS_AT_ONCE) count = DATAGRAMS_AT_ONCE;
    #ifdef __linux__
        struct mmsghdr messages[DATAGRAMS_AT_ONCE] = {};
        struct iovec parts[DATAGRAMS_AT_ONCE];
        for (size_t i = 0; i < count; i++) {
            parts[i].iov_base = (void*)datagram[i].data;
            parts[i].iov_len = datagram[i].size;
            messages[i].msg_hdr.msg_iov = &parts[i];
            messages[i].msg_hdr.msg_iovlen = 1;
        }
        int sent = sendmmsg(fd, messages, (unsigned)count, MSG_DONTWAIT | MSG_NOSIGNAL);
        return sent < 0 ? -(int64_t)errno : sent;
    #else
        size_t i = 0;
        while (i < count && send(fd, datagram[i].data, datagram[i].size, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) i++;
        return i || count == 0 ? (int64_t)i : -(int64_t)errno;
    #endif
    }
    // Waits until the socket takes something. Returns 1 when a try is worth it, 0 after the timeout, or minus errno.
    static inline int await_room(int fd, int timeout_ms) {
        struct pollfd one = {fd, POLLOUT, 0};
        int found = poll(&one, 1, timeout_ms);
        return found < 0 && errno != EINTR ? -errno : found != 0;
    }
    static inline void pause_for(int64_t ns) {
        struct timespec pause = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
        if (ns > 0) nanosleep(&pause, NULL);
    }
    #ifndef __linux__
    static inline int hand_over(int, const char*, size_t) { return ENOSYS; }
    #else
    #ifndef F_ADD_SEALS
    #define F_ADD_SEALS 1033
    #endif
    enum { MEMFD_FLAGS = 1 | 2 /* close on exec, allow sealing */, ALL_SEALS = 1 | 2 | 4 | 8 /* seal, shrink, grow, write */ };
    static inline int send_descriptor(int fd, int sent) {
        union { char room[CMSG_SPACE(sizeof(int))]; struct cmsghdr aligned; } control;
        struct msghdr message;
        memset(&control, 0, sizeof control);
        memset(&message, 0, sizeof message);
        message.msg_control = control.room;
        message.msg_controllen = sizeof control.room;
        struct cmsghdr* rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(rights), &sent, sizeof(int));
        return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? errno : 0;
    }
    // Hands over the bytes as a file in memory that nobody can change any more: the journal refuses others. Returns errno, or 0.
    static inline int hand_over(int fd, const char* data, size_t size) {
        int file = (int)syscall(SYS_memfd_create, "logly", MEMFD_FLAGS);
        if (file < 0) return errno;
        int code = 0;
        while (size && !code) {
            ssize_t n = write(file, data, size);
            if (n < 0) code = errno == EINTR ? 0 : errno;
            else { data += n; size -= (size_t)n; }
        }
        if (!code && fcntl(file, F_ADD_SEALS, ALL_SEALS) < 0) code = errno;
        if (!code) code = send_descriptor(fd, file);
        close(file);
        return code;
    }
    #endif
    #endif
    #endif
    """
    ctypedef struct Datagram:
        const char* data
        size_t size

    enum:
        DATAGRAMS_AT_ONCE
    int EAGAIN
    int EINTR
    int EMSGSIZE
    int ENOBUFS
    int64_t send_datagrams(int fd, const Datagram* datagram, size_t count) noexcept
    int await_room(int fd, int timeout_ms) noexcept
    void pause_for(int64_t ns) noexcept
    int hand_over(int fd, const char* data, size_t size) noexcept
