"""CRC-32C (Castagnoli), which finds every flipped bit and every burst of up to 32 bits.

By the processor's own instruction where it has one (x86 with SSE 4.2, aarch64 compiled for it), else by eight tables (Kounavis
and Berry, "Novel table lookup-based algorithms for high-performance CRC generation", 2008).
"""

from libc.stdint cimport uint32_t, uint64_t

cdef extern from * nogil:
    """
    #ifndef LOGLY_CRC32C
    #define LOGLY_CRC32C
    #include <cstdint>
    #include <cstring>
    struct logly_crc_tables {
        uint32_t of[8][256];
        logly_crc_tables() {
            for (uint32_t i = 0; i < 256; ++i) {
                uint32_t crc = i;
                for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78u : 0);
                of[0][i] = crc;
            }
            for (uint32_t i = 0; i < 256; ++i)
                for (int t = 1; t < 8; ++t) of[t][i] = of[t - 1][i] >> 8 ^ of[0][of[t - 1][i] & 255];
        }
    };
    static inline uint32_t crc32c_by_tables(uint32_t crc, const void* data, uint64_t size) {
        static const logly_crc_tables tables;
        const unsigned char* at = static_cast<const unsigned char*>(data);
        crc = ~crc;
        for (; size >= 8; size -= 8, at += 8) {
            // By bytes, so that the order of bytes in the processor's words does not matter.
            uint32_t low = crc ^ (at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24);
            crc = tables.of[7][low & 255] ^ tables.of[6][low >> 8 & 255] ^ tables.of[5][low >> 16 & 255]
                ^ tables.of[4][low >> 24] ^ tables.of[3][at[4]] ^ tables.of[2][at[5]] ^ tables.of[1][at[6]] ^ tables.of[0][at[7]];
        }
        for (; size; --size, ++at) crc = crc >> 8 ^ tables.of[0][(crc ^ *at) & 255];
        return ~crc;
    }
    #if defined(__x86_64__) && defined(__GNUC__)
    #if defined(__clang__) && __clang_major__ >= 14
    __attribute__((target("sse4.2,crc32")))  // clang has a name of its own for the instruction
    #else
    __attribute__((target("sse4.2")))
    #endif
    static uint32_t crc32c_by_processor(uint32_t crc, const void* data, uint64_t size) {
        const char* at = static_cast<const char*>(data);
        uint64_t sum = (uint32_t)~crc, word;
        for (; size >= 8; size -= 8, at += 8) {
            memcpy(&word, at, 8);
            sum = __builtin_ia32_crc32di(sum, word);
        }
        crc = (uint32_t)sum;
        for (; size; --size, ++at) crc = __builtin_ia32_crc32qi(crc, (unsigned char)*at);
        return ~crc;
    }
    static inline bool crc32c_has_processor() {
        static const bool has = (__builtin_cpu_init(), __builtin_cpu_supports("sse4.2") != 0);
        return has;
    }
    #elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
    #include <arm_acle.h>
    static uint32_t crc32c_by_processor(uint32_t crc, const void* data, uint64_t size) {
        const char* at = static_cast<const char*>(data);
        uint64_t word;
        crc = ~crc;
        for (; size >= 8; size -= 8, at += 8) {
            memcpy(&word, at, 8);
            crc = __crc32cd(crc, word);
        }
        for (; size; --size, ++at) crc = __crc32cb(crc, (unsigned char)*at);
        return ~crc;
    }
    static inline bool crc32c_has_processor() { return true; }
    #else
    static inline uint32_t crc32c_by_processor(uint32_t crc, const void* data, uint64_t size) {
        return crc32c_by_tables(crc, data, size);
    }
    static inline bool crc32c_has_processor() { return false; }
    #endif
    // `crc`: the sum of what comes before, or 0.
    static inline uint32_t crc32c(uint32_t crc, const void* data, uint64_t size) {
        return crc32c_has_processor() ? crc32c_by_processor(crc, data, size) : crc32c_by_tables(crc, data, size);
    }
    #endif
    """
    # `crc`: the sum of the bytes before these, or 0.
    uint32_t crc32c(uint32_t crc, const void* data, uint64_t size) noexcept
    uint32_t crc32c_by_tables(uint32_t crc, const void* data, uint64_t size) noexcept
