"""Atomics for the data path: the few operations it needs, on plain integers.

The integers are plain because some of them live in a memory-mapped file, where no C++ constructor runs.
`std::atomic` of these types is lock-free and has the layout of the integer on every platform that CPython
runs on; the static assertions check that.
"""

from libc.stdint cimport uint32_t, uint64_t

cdef extern from * nogil:
    """
    #ifndef LOGLY_ATOMIC
    #define LOGLY_ATOMIC
    #include <atomic>
    #include <cstdint>
    static_assert(sizeof(std::atomic<uint64_t>) == 8 && std::atomic<uint64_t>::is_always_lock_free, "");
    static_assert(sizeof(std::atomic<uint32_t>) == 4 && std::atomic<uint32_t>::is_always_lock_free, "");
    template <class T> static inline std::atomic<T>* logly_atomic(T* p) {
        return reinterpret_cast<std::atomic<T>*>(p);
    }
    static inline uint64_t load_acquire(const uint64_t* p) {
        return logly_atomic(const_cast<uint64_t*>(p))->load(std::memory_order_acquire);
    }
    static inline uint64_t load_relaxed(const uint64_t* p) {
        return logly_atomic(const_cast<uint64_t*>(p))->load(std::memory_order_relaxed);
    }
    static inline void store_release(uint64_t* p, uint64_t v) {
        logly_atomic(p)->store(v, std::memory_order_release);
    }
    static inline void store_relaxed(uint64_t* p, uint64_t v) {
        logly_atomic(p)->store(v, std::memory_order_relaxed);
    }
    static inline uint64_t fetch_add(uint64_t* p, uint64_t v) {
        return logly_atomic(p)->fetch_add(v);
    }
    static inline uint64_t fetch_sub(uint64_t* p, uint64_t v) {
        return logly_atomic(p)->fetch_sub(v);
    }
    static inline uint32_t load_acquire32(const uint32_t* p) {
        return logly_atomic(const_cast<uint32_t*>(p))->load(std::memory_order_acquire);
    }
    static inline uint32_t load_relaxed32(const uint32_t* p) {
        return logly_atomic(const_cast<uint32_t*>(p))->load(std::memory_order_relaxed);
    }
    static inline void store_release32(uint32_t* p, uint32_t v) {
        logly_atomic(p)->store(v, std::memory_order_release);
    }
    static inline void store_relaxed32(uint32_t* p, uint32_t v) {
        logly_atomic(p)->store(v, std::memory_order_relaxed);
    }
    static inline uint32_t exchange32(uint32_t* p, uint32_t v) {
        return logly_atomic(p)->exchange(v);
    }
    static inline uint32_t fetch_or32(uint32_t* p, uint32_t v) {
        return logly_atomic(p)->fetch_or(v);
    }
    static inline uint32_t fetch_add32(uint32_t* p, uint32_t v) {
        return logly_atomic(p)->fetch_add(v);
    }
    static inline uint32_t fetch_sub32(uint32_t* p, uint32_t v) {
        return logly_atomic(p)->fetch_sub(v);
    }
    template <class T> static inline T* logly_load_pointer(T* const* p) {
        return logly_atomic(const_cast<T**>(p))->load(std::memory_order_acquire);
    }
    template <class T> static inline T* logly_exchange_pointer(T** p, T* v) { return logly_atomic(p)->exchange(v); }
    template <class T> static inline void logly_store_pointer(T** p, T* v) {
        logly_atomic(p)->store(v, std::memory_order_release);
    }
    // Keeps the compiler from moving memory accesses across it.
    static inline void fence_compiler() { std::atomic_signal_fence(std::memory_order_seq_cst); }
    static inline uint64_t compare_exchange(uint64_t* p, uint64_t expected, uint64_t desired) {
        return logly_atomic(p)->compare_exchange_strong(expected, desired);
    }
    // Full fence: orders a store before a later load (the sleeper's handshake needs exactly that).
    static inline void fence_full() {
        std::atomic_thread_fence(std::memory_order_seq_cst);
    }
    #endif
    """
    uint64_t load_acquire(const uint64_t* p) noexcept
    uint64_t load_relaxed(const uint64_t* p) noexcept
    void store_release(uint64_t* p, uint64_t value) noexcept
    void store_relaxed(uint64_t* p, uint64_t value) noexcept
    uint64_t fetch_add(uint64_t* p, uint64_t value) noexcept
    uint64_t fetch_sub(uint64_t* p, uint64_t value) noexcept
    uint32_t load_acquire32(const uint32_t* p) noexcept
    uint32_t load_relaxed32(const uint32_t* p) noexcept
    void store_release32(uint32_t* p, uint32_t value) noexcept
    void store_relaxed32(uint32_t* p, uint32_t value) noexcept
    uint32_t exchange32(uint32_t* p, uint32_t value) noexcept
    uint32_t fetch_or32(uint32_t* p, uint32_t value) noexcept
    uint32_t fetch_add32(uint32_t* p, uint32_t value) noexcept
    uint32_t fetch_sub32(uint32_t* p, uint32_t value) noexcept
    T* load_pointer "logly_load_pointer"[T](T* const* p) noexcept
    T* exchange_pointer "logly_exchange_pointer"[T](T** p, T* value) noexcept
    void store_pointer "logly_store_pointer"[T](T** p, T* value) noexcept
    bint compare_exchange(uint64_t* p, uint64_t expected, uint64_t desired) noexcept
    void fence_compiler() noexcept
    void fence_full() noexcept


# Sets a mark. Most are set already: a store would take the cache line from the others that read it.
cdef inline void set_mark(uint32_t* mark) noexcept nogil:
    if load_relaxed32(mark) == 0:
        store_relaxed32(mark, 1)
