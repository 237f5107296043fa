"""Where a text may have a secret: the places to look at, found 64 bytes at a time.

Nearly all text has none of these characters, so that finding this out is what costs: about a nanosecond for four bytes with SSE2.
Elsewhere one byte after the other is looked up in a table.
"""

from libc.stdint cimport uint64_t

cdef enum:
    TRIGGER_BYTES = 64         # whose places one call finds
    TRIGGER_LOOKS = 65         # bytes that it reads

cdef extern from * nogil:
    """
    #ifndef LOGLY_TRIGGERS
    #define LOGLY_TRIGGERS
    #include <cstdint>
    #if defined(__SSE2__) || defined(_M_X64)
    #include <emmintrin.h>
    #endif
    #ifdef _MSC_VER
    #include <intrin.h>
    #endif
    static inline int logly_first_bit(uint64_t bits) {
    #ifdef _MSC_VER
        unsigned long at;
        _BitScanForward64(&at, bits);
        return (int)at;
    #else
        return __builtin_ctzll(bits);
    #endif
    }
    /* Where four digits in succession begin. What is behind the 64 bytes is not known, and counts as digits. */
    static inline uint64_t logly_digit_runs(uint64_t digits) {
        const uint64_t begin = digits & ~(digits << 1);
        return begin & (digits >> 1 | 1ull << 63) & (digits >> 2 | 3ull << 62) & (digits >> 3 | 7ull << 61);
    }
    #if defined(__SSE2__) || defined(_M_X64)
    static inline __m128i logly_is(__m128i bytes, char c) { return _mm_cmpeq_epi8(bytes, _mm_set1_epi8(c)); }
    static inline __m128i logly_at_most(__m128i bytes, char most) {
        return _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(most)), bytes);
    }
    static inline uint64_t logly_triggers(const char* at) {
        const __m128i small = _mm_set1_epi8(0x20);
        uint64_t found = 0, digits = 0;
        for (int i = 0; i < 4; i++) {
            const __m128i a = _mm_loadu_si128((const __m128i*)(at + 16 * i));
            const __m128i b = _mm_loadu_si128((const __m128i*)(at + 16 * i + 1));
            const __m128i value = _mm_sub_epi8(a, _mm_set1_epi8('0'));
            const __m128i be = _mm_and_si128(logly_is(_mm_or_si128(a, small), 'b'), logly_is(_mm_or_si128(b, small), 'e'));
            const __m128i capital = _mm_or_si128(logly_is(a, 'I'), logly_is(a, 'J'));
            const __m128i one = _mm_or_si128(_mm_or_si128(be, capital), logly_at_most(value, '@' - '0'));
            found |= (uint64_t)(uint32_t)_mm_movemask_epi8(one) << 16 * i;
            digits |= (uint64_t)(uint32_t)_mm_movemask_epi8(logly_at_most(value, 9)) << 16 * i;
        }
        return (found & ~digits) | logly_digit_runs(digits);
    }
    #else
    static inline uint64_t logly_triggers(const char* at) {
        uint64_t found = 0, digits = 0;
        for (int i = 0; i < 64; i++) {
            const char a = at[i];
            const bool is_be = (a | 0x20) == 'b' && (at[i + 1] | 0x20) == 'e';
            found |= (uint64_t)(is_be || a == 'I' || a == 'J' || (a >= ':' && a <= '@')) << i;
            digits |= (uint64_t)(a >= '0' && a <= '9') << i;
        }
        return found | logly_digit_runs(digits);
    }
    #endif
    static inline bool logly_has_pair(const char* data, size_t size, char first, char second) {
        size_t i = 0;
    #if defined(__SSE2__) || defined(_M_X64)
        const __m128i small = _mm_set1_epi8(0x20);
        for (; i + 17 <= size; i += 16) {
            const __m128i a = _mm_or_si128(_mm_loadu_si128((const __m128i*)(data + i)), small);
            const __m128i b = _mm_or_si128(_mm_loadu_si128((const __m128i*)(data + i + 1)), small);
            if (_mm_movemask_epi8(_mm_and_si128(logly_is(a, first), logly_is(b, second)))) return true;
        }
    #endif
        for (; i + 1 < size; i++)
            if ((data[i] | 0x20) == first && (data[i + 1] | 0x20) == second) return true;
        return false;
    }
    #endif
    """
    # A bit for each place of `:` to `@` (of which `=`, `:` and `@` are wanted), of "I", "J", "be" (in any case), and of the first
    # of four or more digits.
    uint64_t triggers_of "logly_triggers"(const char* at) noexcept
    int first_bit "logly_first_bit"(uint64_t bits) noexcept
    # Are there two letters in succession, in any case? Both are given as small letters from a to z.
    bint has_pair "logly_has_pair"(const char* data, size_t size, char first, char second) noexcept
