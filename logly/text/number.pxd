"""Digits: integers and floating point as text, without a locale.

Functions named `*_digits` write at a pointer with enough room and return the number of bytes. `write_int`,
`write_uint` and `write_float` append str(int) and repr(float) to a Buffer. Format specifications are in
text/format_spec.pxd.

Floating point is exact: where a shortcut cannot prove that it rounds correctly, std::to_chars is used instead
(Ryu and Ryu-printf, Ulf Adams, PLDI 2018 and OOPSLA 2019).
"""

from libc.math cimport isfinite, signbit
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy, memmove, memset

from logly.text.buffer cimport Buffer, buffer_reserve

cdef enum:
    INT_ROOM = 20              # 18446744073709551615
    SHORTEST_ROOM = 32         # 1.7976931348623157e+308, and to_chars' scratch
    PRECISION_MAX = 400        # larger ones are left to str.format
    FIXED_ROOM = 800           # 309 digits, a point, PRECISION_MAX digits, a sign of per cent; rounded up
    EXACT_PRECISION_MAX = 17   # 2^53 * 10^17 < 2^128

cdef extern from *:
    """
    #include <charconv>
    #include <cstdint>
    #include <cstring>
    #if defined(_MSC_VER)
    #include <intrin.h>
    #endif

    static const char logly_digit_pairs[201] =
        "00010203040506070809" "10111213141516171819" "20212223242526272829" "30313233343536373839"
        "40414243444546474849" "50515253545556575859" "60616263646566676869" "70717273747576777879"
        "80818283848586878889" "90919293949596979899";

    static const uint64_t logly_powers_of_ten[20] = {
        1ull, 10ull, 100ull, 1000ull, 10000ull, 100000ull, 1000000ull, 10000000ull, 100000000ull,
        1000000000ull, 10000000000ull, 100000000000ull, 1000000000000ull, 10000000000000ull,
        100000000000000ull, 1000000000000000ull, 10000000000000000ull, 100000000000000000ull,
        1000000000000000000ull, 10000000000000000000ull};

    static inline int logly_bit_width(uint64_t value) {   /* of value | 1 */
    #if defined(_MSC_VER)
        unsigned long index;
        _BitScanReverse64(&index, value | 1);
        return (int)index + 1;
    #else
        return 64 - __builtin_clzll(value | 1);
    #endif
    }

    /* The eight digits of value < 10^8 as text, the first digit in the lowest byte. The value is split into pairs and the
       pairs into digits, all at once in the lanes of one word (Paul Khuong, "How to print integers really fast", 2017). */
    static inline uint64_t logly_eight_digits(uint32_t value) {
        const uint64_t high = value / 10000u, low = value % 10000u;
        const uint64_t halves = high | (low << 32);
        const uint64_t hundreds = ((halves * 10486u) >> 20) & 0x0000007F0000007Full;
        const uint64_t pairs = ((halves - 100u * hundreds) << 16) + hundreds;
        const uint64_t tens = ((pairs * 103u) >> 10) & 0x000F000F000F000Full;
        return 0x3030303030303030ull + (((pairs - 10u * tens) << 8) + tens);
    }
    static inline void logly_put_eight(char* out, uint64_t digits) {   /* the lowest byte first, on every machine */
    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        digits = __builtin_bswap64(digits);
    #endif
        memcpy(out, &digits, 8);
    }

    static inline char* logly_shortest(char* out, double value) {
        return std::to_chars(out, out + 32, value, std::chars_format::scientific).ptr;
    }
    static inline char* logly_shortest_fixed(char* out, double value) {
        return std::to_chars(out, out + 32, value, std::chars_format::fixed).ptr;
    }
    static inline char* logly_scientific(char* out, size_t room, double value, int precision) {
        return std::to_chars(out, out + room, value, std::chars_format::scientific, precision).ptr;
    }
    static inline char* logly_fixed(char* out, size_t room, double value, int precision) {
        return std::to_chars(out, out + room, value, std::chars_format::fixed, precision).ptr;
    }

    /* round-half-even(fraction * scale / 2^shift), exact in 128 bits. `odd` says that the digit before is odd, which
       decides a tie when scale is 1. Needs fraction < 2^53, scale <= 10^17, shift >= 1. */
    #if defined(__SIZEOF_INT128__)
    #define LOGLY_EXACT_FIXED 1
    static inline uint64_t logly_scale_and_round(uint64_t fraction, uint64_t scale, int shift, int odd) {
        if (shift >= 120)   /* the product is below 2^110: less than half a unit */
            return 0;
        const unsigned __int128 product = (unsigned __int128)fraction * scale;
        const unsigned __int128 half = (unsigned __int128)1 << (shift - 1);
        const unsigned __int128 rest = product & (half + half - 1);
        const uint64_t quotient = (uint64_t)(product >> shift);
        const int tie_up = scale == 1 ? odd : (int)(quotient & 1);
        return quotient + (rest > half || (rest == half && tie_up));
    }
    #else
    #define LOGLY_EXACT_FIXED 0
    static inline uint64_t logly_scale_and_round(uint64_t, uint64_t, int, int) { return 0; }
    #endif
    """
    const char* DIGIT_PAIRS "logly_digit_pairs"
    const uint64_t* POWERS_OF_TEN "logly_powers_of_ten"
    bint EXACT_FIXED "LOGLY_EXACT_FIXED"
    int bit_width "logly_bit_width"(uint64_t value) noexcept nogil
    uint64_t eight_digits "logly_eight_digits"(uint32_t value) noexcept nogil
    void put_eight "logly_put_eight"(char* out, uint64_t digits) noexcept nogil
    char* to_chars_shortest "logly_shortest"(char* out, double value) noexcept nogil
    char* to_chars_shortest_fixed "logly_shortest_fixed"(char* out, double value) noexcept nogil
    char* to_chars_scientific "logly_scientific"(char* out, size_t room, double value, int precision) noexcept nogil
    char* to_chars_fixed "logly_fixed"(char* out, size_t room, double value, int precision) noexcept nogil
    uint64_t scale_and_round "logly_scale_and_round"(
        uint64_t fraction, uint64_t scale, int shift, int odd) noexcept nogil


# The number of decimal digits: log10 estimated from log2 (1233/4096), corrected by one comparison ("Bit Twiddling Hacks").
cdef inline int decimal_width(uint64_t value) noexcept nogil:
    cdef int guess = (bit_width(value) * 1233) >> 12
    return guess + (value >= POWERS_OF_TEN[guess]) if value else 1


# Exactly `width` digits, zero-padded, two at a time from the right (Alexandrescu, "Three optimization tips").
cdef inline void padded_digits(char* out, uint64_t value, int width) noexcept nogil:
    cdef uint64_t rest
    while width >= 2:
        rest = value // 100
        width -= 2
        memcpy(out + width, DIGIT_PAIRS + 2 * (value - rest * 100), 2)
        value = rest
    if width:
        out[0] = <char> (c'0' + value % 10)


# `out` must have INT_ROOM bytes, whatever the value is, because eight bytes are written at a time.
cdef inline size_t decimal_digits(char* out, uint64_t value) noexcept nogil:
    cdef int width = decimal_width(value)
    cdef uint64_t rest
    if width <= 8:
        put_eight(out, eight_digits(<uint32_t> value) >> (8 * (8 - width)))
        return width
    rest = value // 100_000_000
    if width <= 16:
        put_eight(out, eight_digits(<uint32_t> rest) >> (8 * (16 - width)))
    else:
        padded_digits(out, rest, width - 8)
    put_eight(out + width - 8, eight_digits(<uint32_t> (value - rest * 100_000_000)))
    return width


# Base 2, 8 or 16, given as bits per digit.
cdef inline size_t power_of_two_digits(char* out, uint64_t value, int bits, bint upper) noexcept nogil:
    cdef int width = (bit_width(value) + bits - 1) // bits
    cdef int i
    cdef int digit
    cdef char letter = (c'A' if upper else c'a') - 10
    for i in range(width):
        digit = <int> (value & ((1 << bits) - 1))
        out[width - 1 - i] = <char> (digit + (c'0' if digit < 10 else letter))
        value >>= bits
    return width


# str(int)
cdef inline void write_uint(Buffer* buffer, uint64_t value) noexcept nogil:
    if buffer_reserve(buffer, INT_ROOM):
        buffer.size += decimal_digits(buffer.data + buffer.size, value)


# str(int)
cdef inline void write_int(Buffer* buffer, int64_t value) noexcept nogil:
    cdef char* out
    cdef uint64_t magnitude = <uint64_t> value
    if not buffer_reserve(buffer, INT_ROOM):
        return
    out = buffer.data + buffer.size
    if value < 0:
        out[0] = c'-'
        magnitude = 0 - magnitude   # of unsigned: -2**63 has no positive counterpart
        buffer.size += 1 + decimal_digits(out + 1, magnitude)
    else:
        buffer.size += decimal_digits(out, magnitude)


# "%+.02d"
cdef inline size_t exponent_digits(char* out, int exponent, char letter) noexcept nogil:
    cdef int magnitude = -exponent if exponent < 0 else exponent
    cdef int width = 3 if magnitude >= 100 else 2
    out[0] = letter
    out[1] = c'-' if exponent < 0 else c'+'
    padded_digits(out + 2, magnitude, width)
    return 2 + width


# Turns the "d.ddde±XX" of to_chars at `text` into bare digits, in place. Returns how many there are without trailing zeros.
cdef inline int split_scientific(char* text, const char* end, int* exponent) noexcept nogil:
    cdef const char* mark = end - 3
    cdef int value = 0
    cdef int count
    cdef const char* p
    while mark[0] != c'e':
        mark -= 1
    p = mark + 2
    while p < end:
        value = value * 10 + (p[0] - c'0')
        p += 1
    exponent[0] = -value if mark[1] == c'-' else value
    count = <int> (mark - text)
    if count > 1:
        memmove(text + 1, text + 2, count - 2)
        count -= 1
    while count > 1 and text[count - 1] == c'0':
        count -= 1
    return count


# Writes digits with the point after the first `point` of them (`point` may be negative or larger than `count`). Adds zeros
# so that at least `least` digits are shown. The text ends with the point when no digit follows it.
# CPython: format_float_short() in Python/pystrtod.c.
cdef inline size_t place_point(char* out, const char* digits, int count, int point, int least) noexcept nogil:
    cdef char* p = out
    cdef int whole = point if point > 0 else 0
    cdef int copied = count if count < whole else whole
    cdef int zeros
    memcpy(p, digits, copied)
    p += copied
    zeros = whole - copied if whole else 1
    memset(p, c'0', zeros)
    p += zeros
    p[0] = c'.'
    p += 1
    if point < 0:
        memset(p, c'0', -point)
        p -= point
    if count > copied:
        memcpy(p, digits + copied, count - copied)
        p += count - copied
    zeros = least - (count if count > whole else whole)
    if zeros > 0:
        memset(p, c'0', zeros)
        p += zeros
    return p - out


# The 'r' and 'g' styles: fixed when -4 <= exponent < `limit`, else with an exponent. `dot_zero`: a fixed number has a digit
# after the point. `keep_point`: the point stays though no digit follows. `least`: so many digits are shown, zeros added.
cdef inline size_t general_digits(
    char* out, const char* digits, int count, int exponent, int limit, int least, bint dot_zero, bint keep_point,
    char letter
) noexcept nogil:
    cdef bint scientific = exponent < -4 or exponent >= limit
    cdef int point = 1 if scientific else exponent + 1
    cdef size_t size
    if dot_zero and not scientific and least <= point:
        least = point + 1
    size = place_point(out, digits, count, point, least)
    if out[size - 1] == c'.' and not keep_point:
        size -= 1
    if scientific:
        size += exponent_digits(out + size, exponent, letter)
    return size


# "whole.fraction" with `places` digits after the point, less trailing zeros, but at least one digit.
cdef inline size_t trimmed_decimal_digits(char* out, uint64_t whole, uint64_t fraction, int places) noexcept nogil:
    cdef size_t size = decimal_digits(out, whole)
    cdef size_t least = size + 2
    out[size] = c'.'
    padded_digits(out + size + 1, fraction, places)
    size += 1 + places
    while size > least and out[size - 1] == c'0':
        size -= 1
    return size


# repr of a finite, non-negative double that is a short decimal; returns 0 when it is not.
# If t / 10^k == x for an integer t < 10^15, then t without trailing zeros is the shortest repr: both operands are exact, so
# the division rounds correctly, and no two decimals of at most 15 digits are the same double.
cdef inline size_t short_repr_digits(char* out, double x) noexcept nogil:
    cdef uint64_t scaled
    cdef size_t size
    if x < 1e15:
        scaled = <uint64_t> <int64_t> x
        if <double> <int64_t> scaled == x:
            size = decimal_digits(out, scaled)
            memcpy(out + size, b".0", 2)
            return size + 2
    if x < 1e-4:
        return 0
    if x < 9e10:
        scaled = <uint64_t> <int64_t> (x * 1e4 + 0.5)
        if <double> <int64_t> scaled / 1e4 == x:
            return trimmed_decimal_digits(out, scaled // 10_000, scaled % 10_000, 4)
    if x < 9e6:
        scaled = <uint64_t> <int64_t> (x * 1e8 + 0.5)
        if <double> <int64_t> scaled / 1e8 == x:
            return trimmed_decimal_digits(out, scaled // 100_000_000, scaled % 100_000_000, 8)
    return 0


# repr of a finite, non-negative double. `out` has SHORTEST_ROOM bytes.
cdef inline size_t repr_digits(char* out, double magnitude, bint keep_point) noexcept nogil:
    cdef char text[SHORTEST_ROOM]
    cdef int exponent
    cdef int count
    cdef size_t size = short_repr_digits(out, magnitude)
    if size:
        return size
    if 1e-4 <= magnitude < 1e15:   # not integral, or short_repr_digits had written it: the text has a point
        return to_chars_shortest_fixed(out, magnitude) - out
    count = split_scientific(text, to_chars_shortest(text, magnitude), &exponent)
    return general_digits(out, text, count, exponent, 16, 0, True, keep_point, c'e')


# '%.{precision}f' of a non-negative double below 2^53, by integer arithmetic; returns 0 where it cannot do that.
# The double is m / 2^shift. Its whole part and m * 10^precision / 2^shift are exact, so the rounding is exact, too.
cdef inline size_t exact_fixed_digits(char* out, double magnitude, int precision) noexcept nogil:
    cdef uint64_t mantissa
    cdef uint64_t whole = 0
    cdef int shift
    cdef size_t size
    memcpy(&mantissa, &magnitude, 8)
    shift = 1075 - <int> (mantissa >> 52)
    if not EXACT_FIXED or shift <= 0 or precision > EXACT_PRECISION_MAX:
        return 0
    # Zero and subnormals get a leading bit that they do not have. They still round to 0.
    mantissa = (mantissa & ((<uint64_t> 1 << 52) - 1)) | (<uint64_t> 1 << 52)
    if shift < 64:
        whole = mantissa >> shift
        mantissa -= whole << shift
    mantissa = scale_and_round(mantissa, POWERS_OF_TEN[precision], shift, whole & 1)
    if mantissa == POWERS_OF_TEN[precision]:
        mantissa = 0
        whole += 1
    size = decimal_digits(out, whole)
    if precision == 0:
        return size
    out[size] = c'.'
    padded_digits(out + size + 1, mantissa, precision)
    return size + 1 + precision


# '%.{precision}f' of a finite, non-negative double. `out` has FIXED_ROOM bytes.
cdef inline size_t fixed_digits(char* out, double magnitude, int precision) noexcept nogil:
    cdef size_t size = exact_fixed_digits(out, magnitude, precision)
    if size:
        return size
    return to_chars_fixed(out, FIXED_ROOM, magnitude, precision) - out


# "inf" or "nan"
cdef inline size_t special_digits(char* out, double value, bint upper) noexcept nogil:
    if value != value:
        memcpy(out, <const char*> b"NAN" if upper else <const char*> b"nan", 3)
    else:
        memcpy(out, <const char*> b"INF" if upper else <const char*> b"inf", 3)
    return 3


# A nan has no sign, whatever its bits say.
cdef inline bint is_negative(double value) noexcept nogil:
    return signbit(value) != 0 and value == value


# repr(float)
cdef inline void write_float(Buffer* buffer, double value) noexcept nogil:
    cdef char* out
    cdef char* start
    if not buffer_reserve(buffer, SHORTEST_ROOM + 1):
        return
    start = out = buffer.data + buffer.size
    if is_negative(value):
        out[0] = c'-'
        out += 1
        value = -value
    if isfinite(value):
        out += repr_digits(out, value, False)
    else:
        out += special_digits(out, value, False)
    buffer.size += out - start
