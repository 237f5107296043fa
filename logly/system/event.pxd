"""An eventcount: the flusher sleeps on it until there is work, and the side that wakes it needs no lock.

    ticket = event_prepare(e)            event_signal(e)
    if there is nothing to do:
        event_wait(e, ticket, timeout)

The sleeper takes a ticket *before* it looks for work. A signal after that advances the sequence, so event_wait returns
at once and no wake-up is lost. (Dmitry Vyukov's eventcount; folly's EventCount.)

On Linux the event is a futex. Signalling is one atomic increment, plus a system call only while somebody sleeps, and is
allowed in a signal handler. Elsewhere it is a mutex and a condition variable, and signalling is not allowed in a signal
handler. Never wait while holding the GIL.
"""

from libc.stdint cimport int64_t, uint32_t

cdef extern from *:
    """
    #include <stdint.h>

    // LOGLY_PORTABLE_EVENT selects the other systems' version, to test it on Linux.
    #if defined(__linux__) && !defined(LOGLY_PORTABLE_EVENT)
    #include <errno.h>
    #include <limits.h>
    #include <linux/futex.h>
    #include <sys/syscall.h>
    #include <unistd.h>

    struct LoglyEvent {
        uint32_t sequence;
        uint32_t waiters;
    };

    static inline void logly_event_init(LoglyEvent* event) {
        __atomic_store_n(&event->sequence, 0u, __ATOMIC_RELAXED);
        __atomic_store_n(&event->waiters, 0u, __ATOMIC_RELEASE);
    }

    static inline void logly_event_destroy(LoglyEvent*) {}

    static inline uint32_t logly_event_prepare(LoglyEvent* event) {
        return __atomic_load_n(&event->sequence, __ATOMIC_ACQUIRE);
    }

    // Both sides are sequentially consistent. The waiter counts itself, then the kernel compares the sequence. The
    // signaller advances the sequence, then looks for waiters. In any weaker order they could miss each other.
    static inline void logly_event_signal(LoglyEvent* event) {
        __atomic_fetch_add(&event->sequence, 1u, __ATOMIC_SEQ_CST);
        if (__atomic_load_n(&event->waiters, __ATOMIC_SEQ_CST) == 0) return;
        int saved = errno;  // a signal handler must not change errno
        syscall(SYS_futex, &event->sequence, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
        errno = saved;
    }

    static inline int logly_event_wait(LoglyEvent* event, uint32_t ticket, int64_t timeout_ns) {
        // The kernel's own timespec for this system call, whatever the C library's time_t is on 32 bits.
        struct { long seconds, nanoseconds; } limit = {
            (long)(timeout_ns / 1000000000), (long)(timeout_ns % 1000000000)};
        __atomic_fetch_add(&event->waiters, 1u, __ATOMIC_SEQ_CST);
        syscall(SYS_futex, &event->sequence, FUTEX_WAIT_PRIVATE, ticket, timeout_ns < 0 ? NULL : &limit, NULL, 0);
        __atomic_fetch_sub(&event->waiters, 1u, __ATOMIC_SEQ_CST);
        return logly_event_prepare(event) != ticket;
    }

    #else
    #include <chrono>
    #include <condition_variable>
    #include <mutex>
    #include <new>

    struct LoglyEventLock {
        std::mutex mutex;
        std::condition_variable moved;
    };

    struct LoglyEvent {
        uint32_t sequence;
        alignas(LoglyEventLock) unsigned char lock[sizeof(LoglyEventLock)];
    };

    static inline LoglyEventLock* logly_event_lock(LoglyEvent* event) {
        return reinterpret_cast<LoglyEventLock*>(event->lock);
    }

    // The lock is constructed over whatever is there. After a fork that may be a mutex that a thread of the parent holds,
    // which must be neither unlocked nor destroyed.
    static inline void logly_event_init(LoglyEvent* event) {
        event->sequence = 0;
        new (event->lock) LoglyEventLock;
    }

    static inline void logly_event_destroy(LoglyEvent* event) { logly_event_lock(event)->~LoglyEventLock(); }

    static inline uint32_t logly_event_prepare(LoglyEvent* event) {
        std::lock_guard<std::mutex> held(logly_event_lock(event)->mutex);
        return event->sequence;
    }

    static inline void logly_event_signal(LoglyEvent* event) {
        std::lock_guard<std::mutex> held(logly_event_lock(event)->mutex);
        event->sequence += 1;
        logly_event_lock(event)->moved.notify_all();
    }

    static inline int logly_event_wait(LoglyEvent* event, uint32_t ticket, int64_t timeout_ns) {
        LoglyEventLock* lock = logly_event_lock(event);
        std::unique_lock<std::mutex> held(lock->mutex);
        if (event->sequence != ticket) return 1;
        if (timeout_ns < 0) lock->moved.wait(held);
        else lock->moved.wait_for(held, std::chrono::nanoseconds(timeout_ns));
        return event->sequence != ticket;
    }
    #endif
    """
    struct LoglyEvent:
        uint32_t sequence

    void logly_event_init(LoglyEvent* event) noexcept nogil
    void logly_event_destroy(LoglyEvent* event) noexcept nogil
    uint32_t logly_event_prepare(LoglyEvent* event) noexcept nogil
    void logly_event_signal(LoglyEvent* event) noexcept nogil
    bint logly_event_wait(LoglyEvent* event, uint32_t ticket, int64_t timeout_ns) noexcept nogil

ctypedef LoglyEvent Event


# Makes the event new. Also called in the child after a fork, whatever state the event was inherited in.
cdef inline void event_init(Event* event) noexcept nogil:
    logly_event_init(event)


# No thread may be waiting on the event.
cdef inline void event_destroy(Event* event) noexcept nogil:
    logly_event_destroy(event)


# Returns a ticket for event_wait. Everything written before the latest signal is visible.
cdef inline uint32_t event_prepare(Event* event) noexcept nogil:
    return logly_event_prepare(event)


# Sleeps until the event is signalled after `ticket` was taken, for at most timeout_ns (negative: no limit). Returns True when
# it was signalled. Returns False when the time has passed. On Linux it may also return False early: when a signal handler ran,
# or when the system call of an earlier event_signal, whose increment was seen before the sleep, comes late. A signal handler
# that runs just before the sleep does not end it, so a caller that must react to Ctrl-C bounds the timeout and checks the clock.
cdef inline bint event_wait(Event* event, uint32_t ticket, int64_t timeout_ns) noexcept nogil:
    return logly_event_wait(event, ticket, timeout_ns)


# Sleeps for `timeout_ns`, on an event that nobody signals.
cdef inline void wait_ns(int64_t timeout_ns) noexcept nogil:
    cdef Event event
    event_init(&event)
    event_wait(&event, event_prepare(&event), timeout_ns)
    event_destroy(&event)


# Wakes all threads that wait with a ticket taken before this call.
cdef inline void event_signal(Event* event) noexcept nogil:
    logly_event_signal(event)
