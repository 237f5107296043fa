"""An eventcount: how the flusher sleeps until somebody has something for it, without a lock on the side that wakes it.

    ticket = event_prepare(e)            event_signal(e)
    if there is nothing to do:
        event_wait(e, ticket, timeout)

The sleeper takes a ticket *before* it looks for work. A signal after that moves the sequence on, so event_wait returns
at once: no wake-up is lost, and the waking side needs no lock. (Dmitry Vyukov's eventcount; folly's EventCount.)

On Linux it is a futex: signalling is one atomic increment, and a system call only while somebody sleeps; it may be done
in a signal handler. Elsewhere a mutex and a condition variable do the same, except in a signal handler.
Waiting must not be done with the GIL held.
"""

from libc.stdint cimport int64_t, uint32_t

cdef extern from *:
    """
    #include <stdint.h>

    // LOGLY_PORTABLE_EVENT: to test on Linux what other systems use.
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

    // Sequentially consistent on both sides: the waiter counts itself, then the kernel compares the sequence; the
    // signaller moves the sequence, then looks for waiters. In any weaker order both could miss each other.
    static inline void logly_event_signal(LoglyEvent* event) {
        __atomic_fetch_add(&event->sequence, 1u, __ATOMIC_SEQ_CST);
        if (__atomic_load_n(&event->waiters, __ATOMIC_SEQ_CST) == 0) return;
        int saved = errno;  // a signal handler must leave it as it was
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

    // Constructed over whatever is there: after a fork that is a mutex which a thread of the parent may hold, and
    // neither unlocking nor destroying it would be allowed.
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


# Also for the child after a fork: makes the event new, whatever state it was inherited in.
cdef inline void event_init(Event* event) noexcept nogil:
    logly_event_init(event)


# Nobody may wait on it any more.
cdef inline void event_destroy(Event* event) noexcept nogil:
    logly_event_destroy(event)


# A ticket for event_wait. What was written before the signal that moved the sequence to it is visible.
cdef inline uint32_t event_prepare(Event* event) noexcept nogil:
    return logly_event_prepare(event)


# Sleeps until a signal was given after `ticket` was taken, at most timeout_ns (negative: no limit). True when there
# was one; False after the time, or, on Linux, when a signal handler ran, or early, by the late system call of a signal that was
# seen before the sleep began. A handler that runs just before the sleep begins does not end it: whoever must react to Ctrl-C
# bounds the timeout and looks at the clock.
cdef inline bint event_wait(Event* event, uint32_t ticket, int64_t timeout_ns) noexcept nogil:
    return logly_event_wait(event, ticket, timeout_ns)


# Sleeps for so long: nobody signals.
cdef inline void wait_ns(int64_t timeout_ns) noexcept nogil:
    cdef Event event
    event_init(&event)
    event_wait(&event, event_prepare(&event), timeout_ns)
    event_destroy(&event)


# Wakes all who wait with a ticket taken before.
cdef inline void event_signal(Event* event) noexcept nogil:
    logly_event_signal(event)
