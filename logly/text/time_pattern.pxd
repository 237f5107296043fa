"""Time stamps as text: from nanoseconds since the Unix epoch to characters, without the interpreter.

A pattern (`YYYY-MM-DD HH:mm:ss.SSS`) is compiled once into small operations. Layouts and file names share one table of
tokens. In a file name, single letters and brackets are literal text; the table says which tokens a file name has.

Log records come in bursts, so the text of the last second is cached: another stamp in the same second costs one copy and
its sub-second digits. The cache's key is the whole second, so the cache never hides a change of the zone's offset. Only
`tzset()` after a change of the environment takes up to a second to show.

Rendering writes to the TimePattern, so only one thread may do it at a time.
"""

from libc.stdint cimport INT64_MAX, int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy

from logly.text.buffer cimport Buffer, buffer_reserve
from logly.text.civil cimport CivilTime, civil_from_second, floor_divide
from logly.text.number cimport DIGIT_PAIRS, POWERS_OF_TEN, padded_digits

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>

    enum LoglyTimeOp {
        TIME_LITERAL, TIME_FRACTION, TIME_YEAR4, TIME_YEAR2, TIME_MONTH_NAME, TIME_MONTH_ABBREVIATED, TIME_MONTH2,
        TIME_MONTH, TIME_DAY2, TIME_DAY, TIME_WEEKDAY_NAME, TIME_WEEKDAY_ABBREVIATED, TIME_HOUR2, TIME_HOUR,
        TIME_HALF_HOUR2, TIME_HALF_HOUR, TIME_MINUTE2, TIME_MINUTE, TIME_SECOND2, TIME_SECOND, TIME_MERIDIEM_UPPER,
        TIME_MERIDIEM_LOWER, TIME_OFFSET, TIME_OFFSET_COLON, TIME_ZONE_NAME
    };

    enum { IN_LAYOUTS = 0, IN_NAMES = 1 };

    struct LoglyTimeToken { const char* text; size_t size; int code; int in_names; };

    // The tokens are tried in this order, so a longer token must stand before its own prefix. The letters are loguru's.
    static const LoglyTimeToken LOGLY_TIME_TOKENS[] = {
        {"YYYY", 4, TIME_YEAR4, 1}, {"YY", 2, TIME_YEAR2, 1},
        {"MMMM", 4, TIME_MONTH_NAME, 1}, {"MMM", 3, TIME_MONTH_ABBREVIATED, 1}, {"MM", 2, TIME_MONTH2, 1},
        {"M", 1, TIME_MONTH, 0},
        {"DD", 2, TIME_DAY2, 1}, {"D", 1, TIME_DAY, 0},
        {"dddd", 4, TIME_WEEKDAY_NAME, 1}, {"ddd", 3, TIME_WEEKDAY_ABBREVIATED, 1},
        {"HH", 2, TIME_HOUR2, 1}, {"H", 1, TIME_HOUR, 0}, {"hh", 2, TIME_HALF_HOUR2, 1}, {"h", 1, TIME_HALF_HOUR, 0},
        {"mm", 2, TIME_MINUTE2, 1}, {"m", 1, TIME_MINUTE, 0}, {"ss", 2, TIME_SECOND2, 1}, {"s", 1, TIME_SECOND, 0},
        {"SSSSSSSSS", 9, TIME_FRACTION, 1}, {"SSSSSSSS", 8, TIME_FRACTION, 0}, {"SSSSSSS", 7, TIME_FRACTION, 0},
        {"SSSSSS", 6, TIME_FRACTION, 1}, {"SSSSS", 5, TIME_FRACTION, 0}, {"SSSS", 4, TIME_FRACTION, 0},
        {"SSS", 3, TIME_FRACTION, 1}, {"SS", 2, TIME_FRACTION, 0}, {"S", 1, TIME_FRACTION, 0},
        {"A", 1, TIME_MERIDIEM_UPPER, 1}, {"a", 1, TIME_MERIDIEM_LOWER, 1},
        {"ZZ", 2, TIME_OFFSET, 1}, {"Z", 1, TIME_OFFSET_COLON, 1}, {"zz", 2, TIME_ZONE_NAME, 0},
    };
    static const size_t LOGLY_TIME_TOKEN_COUNT = sizeof(LOGLY_TIME_TOKENS) / sizeof(LOGLY_TIME_TOKENS[0]);

    // English in every locale, because programs read logs.
    static const char* const LOGLY_MONTHS[] = {
        "January", "February", "March", "April", "May", "June",
        "July", "August", "September", "October", "November", "December"};
    static const char* const LOGLY_WEEKDAYS[] = {
        "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
    """
    cdef enum:
        TIME_LITERAL, TIME_FRACTION, TIME_YEAR4, TIME_YEAR2, TIME_MONTH_NAME, TIME_MONTH_ABBREVIATED, TIME_MONTH2
        TIME_MONTH, TIME_DAY2, TIME_DAY, TIME_WEEKDAY_NAME, TIME_WEEKDAY_ABBREVIATED, TIME_HOUR2, TIME_HOUR
        TIME_HALF_HOUR2, TIME_HALF_HOUR, TIME_MINUTE2, TIME_MINUTE, TIME_SECOND2, TIME_SECOND, TIME_MERIDIEM_UPPER
        TIME_MERIDIEM_LOWER, TIME_OFFSET, TIME_OFFSET_COLON, TIME_ZONE_NAME

    # Where a pattern is used.
    enum:
        IN_LAYOUTS
        IN_NAMES

    struct LoglyTimeToken:
        const char* text
        size_t size
        int code
        int in_names

    const LoglyTimeToken* LOGLY_TIME_TOKENS
    size_t LOGLY_TIME_TOKEN_COUNT
    const char* const* LOGLY_MONTHS
    const char* const* LOGLY_WEEKDAYS
    size_t c_strlen "strlen"(const char* text) noexcept nogil

cdef enum:
    NANOSECONDS = 1000000000
    # No token's text is longer than this for each byte of the token ("zz": 31 for 2, "Z": 6 for 1).
    TEXT_BYTES_PER_PATTERN_BYTE = 16
    # The cached text is copied in blocks of a fixed size: two vector moves instead of a call of memcpy.
    COPY_BLOCK = 32
    NOTHING_CACHED = -1
    MOST_DECIMALS = 9


cdef struct TimeOp:
    int code
    size_t offset  # literal: where it starts in the pattern
    size_t size    # literal: bytes; fraction: digits


cdef struct FractionSlot:
    size_t position
    size_t digits


cdef struct TimePattern:
    void* memory             # one block, holding all that the pointers below point to
    TimeOp* ops
    size_t op_count
    const char* source
    char* text               # the last second's text; the fraction's digits in it are stale
    size_t text_size
    FractionSlot* fractions  # where the digits go in it
    size_t fraction_count
    uint64_t second_start    # first nanosecond of that second, modulo 2**64
    int zone_cached          # a zone's number, or NOTHING_CACHED


# Compiling ---------------------------------------------------------------------------------------------------------

cdef inline void time_pattern_free(TimePattern* pattern) noexcept nogil:
    free(pattern.memory)
    pattern.memory = NULL


cdef inline bint time_pattern_allocate(TimePattern* pattern, const char* utf8, size_t n) noexcept nogil:
    cdef size_t ops_size = n * sizeof(TimeOp)
    cdef size_t fractions_size = n * sizeof(FractionSlot)
    cdef size_t text_size = n * TEXT_BYTES_PER_PATTERN_BYTE + COPY_BLOCK
    cdef char* memory = <char*> malloc(ops_size + fractions_size + text_size + n)
    pattern.memory = memory
    if memory == NULL:
        return False
    pattern.ops = <TimeOp*> memory
    pattern.fractions = <FractionSlot*> (memory + ops_size)
    pattern.text = memory + ops_size + fractions_size
    pattern.source = pattern.text + text_size
    memcpy(<char*> pattern.source, utf8, n)
    pattern.op_count = 0
    pattern.text_size = 0
    pattern.fraction_count = 0
    pattern.second_start = 0
    pattern.zone_cached = NOTHING_CACHED
    return True


cdef inline void time_pattern_add(TimePattern* pattern, int code, size_t offset, size_t size) noexcept nogil:
    cdef TimeOp* last = pattern.ops + pattern.op_count - 1
    if code == TIME_LITERAL and pattern.op_count and last.code == code and last.offset + last.size == offset:
        last.size += size
        return
    pattern.ops[pattern.op_count] = TimeOp(code, offset, size)
    pattern.op_count += 1


# The token that starts at `at`, or NULL.
cdef inline const LoglyTimeToken* time_token_at(const char* at, size_t remaining, int place) noexcept nogil:
    cdef size_t i
    cdef const LoglyTimeToken* token
    for i in range(LOGLY_TIME_TOKEN_COUNT):
        token = &LOGLY_TIME_TOKENS[i]
        if token.size <= remaining and token.in_names >= place and memcmp(at, token.text, token.size) == 0:
            return token
    return NULL


# Bytes up to the bracket that closes the one at `at`; `remaining` when no bracket does.
cdef inline size_t bracketed_length(const char* at, size_t remaining) noexcept nogil:
    cdef size_t n = 0
    while n < remaining and at[n] != c"]":
        n += 1
    return n


# Adds the operation that starts at byte i. Returns the index after it, or i itself when there is a mistake.
cdef inline size_t time_pattern_add_next(TimePattern* pattern, size_t i, size_t n, int place) noexcept nogil:
    cdef const char* at = pattern.source + i
    cdef const LoglyTimeToken* token
    cdef size_t size
    if at[0] == c"[" and place == IN_LAYOUTS:
        size = bracketed_length(at, n - i)
        if size == n - i:
            return i
        if size > 1:
            time_pattern_add(pattern, TIME_LITERAL, i + 1, size - 1)
        return i + size + 1
    token = time_token_at(at, n - i, place)
    if token == NULL:
        time_pattern_add(pattern, TIME_LITERAL, i, 1)
        return i + 1
    if token.size == MOST_DECIMALS and n - i > MOST_DECIMALS and at[MOST_DECIMALS] == c"S" and place == IN_LAYOUTS:
        return i
    time_pattern_add(pattern, token.code, i, token.size)
    return i + token.size


# Compiles a pattern. Returns 0, or the position + 1 of a mistake (a bracket that is never closed, more than nine S), or -1
# when there is no memory. With IN_NAMES there are no mistakes. Call time_pattern_free only after success.
cdef inline int time_pattern_compile(TimePattern* pattern, const char* utf8, size_t n, int place) noexcept nogil:
    cdef size_t i = 0
    cdef size_t after
    if not time_pattern_allocate(pattern, utf8, n):
        return -1
    while i < n:
        after = time_pattern_add_next(pattern, i, n, place)
        if after == i:
            time_pattern_free(pattern)
            return <int> i + 1
        i = after
    return 0


# The time stamp of JSON records (RFC 3339); render it with ZONE_UTC.
cdef inline int time_pattern_compile_rfc3339(TimePattern* pattern) noexcept nogil:
    cdef const char* text = "YYYY-MM-DDTHH:mm:ss.SSSSSS[Z]"
    return time_pattern_compile(pattern, text, c_strlen(text), IN_LAYOUTS)


# The stamp of RFC 3164, but for a day before the tenth, which has a zero here.
cdef inline int time_pattern_compile_rfc3164(TimePattern* pattern) noexcept nogil:
    cdef const char* text = "MMM DD HH:mm:ss"
    return time_pattern_compile(pattern, text, c_strlen(text), IN_LAYOUTS)


# Writing -----------------------------------------------------------------------------------------------------------
# Each function returns the end of what it wrote.

cdef inline char* put_digits(char* out, uint32_t value, int digits) noexcept nogil:
    padded_digits(out, value, digits)
    return out + digits


cdef inline char* put_number(char* out, int value) noexcept nogil:
    return put_digits(out, value, 1 if value < 10 else 2)


cdef inline char* put_text(char* out, const char* text, size_t size) noexcept nogil:
    memcpy(out, text, size)
    return out + size


cdef inline char* put_offset(char* out, int offset_s, bint colon) noexcept nogil:
    cdef int minutes = (offset_s if offset_s >= 0 else -offset_s) / 60
    out[0] = c"+" if offset_s >= 0 else c"-"
    out = put_digits(out + 1, minutes / 60, 2)
    if colon:
        out[0] = c":"
        out += 1
    return put_digits(out, minutes % 60, 2)


cdef inline char* put_zone_name(char* out, const CivilTime* civil) noexcept nogil:
    if civil.zone[0] == 0:
        return put_offset(out, civil.offset_s, False)
    return put_text(out, civil.zone, c_strlen(civil.zone))


cdef inline char* put_meridiem(char* out, int hour, bint upper) noexcept nogil:
    if upper:
        return put_text(out, "AM" if hour < 12 else "PM", 2)
    return put_text(out, "am" if hour < 12 else "pm", 2)


cdef inline char* put_field(char* out, int code, const CivilTime* civil) noexcept nogil:
    cdef const char* month = LOGLY_MONTHS[civil.month - 1]
    cdef const char* weekday = LOGLY_WEEKDAYS[civil.weekday]
    cdef int half_hour = (civil.hour + 11) % 12 + 1
    if code == TIME_YEAR4:
        return put_digits(out, civil.year, 4)
    elif code == TIME_YEAR2:
        return put_digits(out, civil.year % 100, 2)
    elif code == TIME_MONTH_NAME:
        return put_text(out, month, c_strlen(month))
    elif code == TIME_MONTH_ABBREVIATED:
        return put_text(out, month, 3)
    elif code == TIME_MONTH2:
        return put_digits(out, civil.month, 2)
    elif code == TIME_MONTH:
        return put_number(out, civil.month)
    elif code == TIME_DAY2:
        return put_digits(out, civil.day, 2)
    elif code == TIME_DAY:
        return put_number(out, civil.day)
    elif code == TIME_WEEKDAY_NAME:
        return put_text(out, weekday, c_strlen(weekday))
    elif code == TIME_WEEKDAY_ABBREVIATED:
        return put_text(out, weekday, 3)
    elif code == TIME_HOUR2:
        return put_digits(out, civil.hour, 2)
    elif code == TIME_HOUR:
        return put_number(out, civil.hour)
    elif code == TIME_HALF_HOUR2:
        return put_digits(out, half_hour, 2)
    elif code == TIME_HALF_HOUR:
        return put_number(out, half_hour)
    elif code == TIME_MINUTE2:
        return put_digits(out, civil.minute, 2)
    elif code == TIME_MINUTE:
        return put_number(out, civil.minute)
    elif code == TIME_SECOND2:
        return put_digits(out, civil.second, 2)
    elif code == TIME_SECOND:
        return put_number(out, civil.second)
    elif code == TIME_MERIDIEM_UPPER:
        return put_meridiem(out, civil.hour, True)
    elif code == TIME_MERIDIEM_LOWER:
        return put_meridiem(out, civil.hour, False)
    elif code == TIME_OFFSET:
        return put_offset(out, civil.offset_s, False)
    elif code == TIME_OFFSET_COLON:
        return put_offset(out, civil.offset_s, True)
    return put_zone_name(out, civil)


cdef inline void put_pair(char* out, uint32_t value) noexcept nogil:
    memcpy(out, DIGIT_PAIRS + 2 * value, 2)


cdef inline void put_three(char* out, uint32_t value) noexcept nogil:
    out[0] = <char> (c"0" + value / 100)
    put_pair(out + 1, value % 100)


cdef inline void put_six(char* out, uint32_t value) noexcept nogil:
    put_three(out, value / 1000)
    put_three(out + 3, value % 1000)


# The fraction is truncated, never rounded: 59.9999 must not become 60.000.
cdef inline void put_fraction(char* out, uint32_t nanosecond, size_t digits) noexcept nogil:
    # The three usual widths have branches of their own: short chains of multiplications instead of a loop of divisions.
    if digits == 3:
        put_three(out, nanosecond / 1000000)
    elif digits == 6:
        put_six(out, nanosecond / 1000)
    elif digits == 9:
        put_three(out, nanosecond / 1000000)
        put_six(out + 3, nanosecond % 1000000)
    else:
        put_digits(out, nanosecond / <uint32_t> POWERS_OF_TEN[9 - digits], <int> digits)


# Rendering ---------------------------------------------------------------------------------------------------------

cdef inline void time_pattern_cache_second(TimePattern* pattern, int64_t second, int zone) noexcept nogil:
    cdef int64_t last_second = INT64_MAX / NANOSECONDS
    cdef char* out = pattern.text
    cdef TimeOp* op
    cdef CivilTime civil
    cdef size_t i
    civil_from_second(second, zone, &civil)
    pattern.fraction_count = 0
    for i in range(pattern.op_count):
        op = pattern.ops + i
        if op.code == TIME_LITERAL:
            out = put_text(out, pattern.source + op.offset, op.size)
        elif op.code == TIME_FRACTION:
            pattern.fractions[pattern.fraction_count] = FractionSlot(out - pattern.text, op.size)
            pattern.fraction_count += 1
            out += op.size
        else:
            out = put_field(out, op.code, &civil)
    pattern.text_size = out - pattern.text
    pattern.second_start = <uint64_t> second * <uint64_t> NANOSECONDS
    # The first and the last second of the int64 range are incomplete, and the subtraction in time_pattern_render wraps
    # around, so that one would be taken for the other. These two seconds are never taken from the cache.
    pattern.zone_cached = zone if -last_second <= second < last_second else NOTHING_CACHED


# Appends the text of `ns` (nanoseconds since the epoch, as int64 holds them: years 1677 to 2262).
cdef inline void time_pattern_render(TimePattern* pattern, Buffer* buffer, int64_t ns, int zone) noexcept nogil:
    cdef uint64_t nanosecond = <uint64_t> ns - pattern.second_start
    if nanosecond >= <uint64_t> NANOSECONDS or pattern.zone_cached != zone:
        time_pattern_cache_second(pattern, floor_divide(ns, NANOSECONDS), zone)
        nanosecond = <uint64_t> ns - pattern.second_start
    time_pattern_copy(pattern, buffer, <uint32_t> nanosecond)


# Appends the cached text of the second, with the digits of a nanosecond in it.
cdef inline void time_pattern_copy(TimePattern* pattern, Buffer* buffer, uint32_t nanosecond) noexcept nogil:
    cdef size_t i
    cdef char* out
    if not buffer_reserve(buffer, pattern.text_size + COPY_BLOCK):
        return
    out = buffer.data + buffer.size
    i = 0
    while i < pattern.text_size:
        memcpy(out + i, pattern.text + i, COPY_BLOCK)
        i += COPY_BLOCK
    # The digits go into the copy. Patching the cached text instead would stall the wide loads of the next copy.
    for i in range(pattern.fraction_count):
        put_fraction(out + pattern.fractions[i].position, nanosecond, pattern.fractions[i].digits)
    buffer.size += pattern.text_size
