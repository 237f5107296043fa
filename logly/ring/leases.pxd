"""Which ring a thread writes to.

With a GIL there is one ring, `engine.intake.ring`, and its producer is the thread that holds the GIL. Without a GIL
(free-threaded CPython, `FREE_THREADED`) every thread has a ring of its own for every engine. The thread makes it at its first
record and finds it through a thread-local word. `FREE_THREADED` is a constant for the C compiler, so each build contains only
its own branch.

The thread and the engine share the ring and may end in either order. Neither may touch what the other has freed. So both
refer to a lease, which the last of them frees. A thread that ends marks the lease. The next new thread then takes over its ring,
or the consumer frees the ring once it is empty.

`generation` identifies one ring size of one engine. Its number is never used again, so a thread cannot mistake a new engine at
an old address for the engine that it knew.
"""

from libc.stdint cimport uint64_t

cdef extern from * nogil:
    """
    #ifndef LOGLY_THREADS
    #define LOGLY_THREADS
    #include <Python.h>
    #include <atomic>
    #include <cstdint>
    #ifdef Py_GIL_DISABLED
    #include <new>
    #include <vector>
    #define LOGLY_FREE_THREADED 1

    struct LoglyLease {
        std::atomic<uint32_t> owners{2};       // the thread and the engine
        std::atomic<uint32_t> thread_left{0};  // the thread writes no more records to the ring
        std::atomic<uint32_t> engine_left{0};  // the ring is gone
    };

    static inline void logly_lease_drop(LoglyLease* lease) {
        if (lease->owners.fetch_sub(1, std::memory_order_acq_rel) == 1) delete lease;
    }
    // Release: the thread that takes over the ring sees everything that this one wrote to it.
    static inline void logly_lease_end_thread(LoglyLease* lease) {
        lease->thread_left.store(1, std::memory_order_release);
        logly_lease_drop(lease);
    }
    static inline void logly_lease_end_engine(LoglyLease* lease) {
        lease->engine_left.store(1, std::memory_order_release);
        logly_lease_drop(lease);
    }

    struct LoglyOwnRing {
        uint64_t engine, generation;
        void* ring;
        LoglyLease* lease;
    };

    // The ring of the engine that the thread wrote to last. It has a trivial type, so that reading it needs no guard.
    struct LoglyLatest { uint64_t generation; void* ring; };
    static thread_local LoglyLatest logly_latest = {0, nullptr};

    struct LoglyOwnRings {
        std::vector<LoglyOwnRing> rings;
        ~LoglyOwnRings() {
            logly_latest = {0, nullptr};
            for (LoglyOwnRing& own : rings) logly_lease_end_thread(own.lease);
        }
    };
    static thread_local LoglyOwnRings logly_own_rings;

    static inline void* logly_latest_ring(uint64_t generation) {
        return logly_latest.generation == generation ? logly_latest.ring : nullptr;
    }

    static inline void* logly_own_ring(uint64_t generation) {
        for (LoglyOwnRing& own : logly_own_rings.rings)
            if (own.generation == generation) {
                logly_latest = {generation, own.ring};
                return own.ring;
            }
        return nullptr;
    }

    // Gives up the rings of engines that are gone, and the rings of this engine that have an older generation.
    static inline void logly_prune_rings(uint64_t engine) {
        auto& rings = logly_own_rings.rings;
        logly_latest = {0, nullptr};
        for (size_t i = rings.size(); i-- > 0;) {
            LoglyOwnRing own = rings[i];
            if (own.engine != engine && !own.lease->engine_left.load(std::memory_order_acquire)) continue;
            rings[i] = rings.back();
            rings.pop_back();
            logly_lease_end_thread(own.lease);
        }
    }

    // Makes a lease of this thread on a ring. Returns NULL when there is no memory.
    static inline void* logly_lease_new(uint64_t engine, uint64_t generation, void* ring) {
        LoglyLease* lease = new (std::nothrow) LoglyLease;
        if (lease == nullptr) return nullptr;
        try {
            logly_own_rings.rings.push_back({engine, generation, ring, lease});
        } catch (...) {
            delete lease;
            return nullptr;
        }
        logly_latest = {generation, ring};
        return lease;
    }

    static inline bool logly_lease_is_mine(void* lease) {
        for (LoglyOwnRing& own : logly_own_rings.rings)
            if (own.lease == lease) return true;
        return false;
    }
    static inline bool logly_lease_is_over(void* lease) {
        return static_cast<LoglyLease*>(lease)->thread_left.load(std::memory_order_acquire) != 0;
    }
    static inline void logly_lease_end_engine(void* lease) { logly_lease_end_engine(static_cast<LoglyLease*>(lease)); }
    // Called in a forked child for a thread that does not exist there.
    static inline void logly_lease_end_thread(void* lease) { logly_lease_end_thread(static_cast<LoglyLease*>(lease)); }
    #else
    #define LOGLY_FREE_THREADED 0
    static inline void* logly_latest_ring(uint64_t) { return nullptr; }
    static inline void* logly_own_ring(uint64_t) { return nullptr; }
    static inline void logly_prune_rings(uint64_t) {}
    static inline void* logly_lease_new(uint64_t, uint64_t, void*) { return nullptr; }
    static inline bool logly_lease_is_mine(void*) { return true; }
    static inline bool logly_lease_is_over(void*) { return false; }
    static inline void logly_lease_end_engine(void*) {}
    static inline void logly_lease_end_thread(void*) {}
    #endif
    #endif
    """
    bint FREE_THREADED "LOGLY_FREE_THREADED"
    void* latest_ring "logly_latest_ring"(uint64_t generation) noexcept
    void* own_ring "logly_own_ring"(uint64_t generation) noexcept
    void prune_rings "logly_prune_rings"(uint64_t engine) noexcept
    void* lease_new "logly_lease_new"(uint64_t engine, uint64_t generation, void* ring) noexcept
    bint lease_is_mine "logly_lease_is_mine"(void* lease) noexcept
    bint lease_is_over "logly_lease_is_over"(void* lease) noexcept
    void lease_end_engine "logly_lease_end_engine"(void* lease) noexcept
    void lease_end_thread "logly_lease_end_thread"(void* lease) noexcept
