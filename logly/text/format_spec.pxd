"""The format-specification mini-language, equal to Python's to the byte.

    spec ::= [[fill]align][sign]["z"]["#"]["0"][width][grouping]["." precision][type]

`parse_spec` reads a specification once, on the caller's thread. `spec_accepts` tells for which kinds of value the
functions here give exactly the text of str.format. For any other kind the caller uses str.format, which also raises
where Python raises. The reference is CPython's Python/formatter_unicode.c.

Some specifications are not native (rendered here), because their text depends on something outside the specification
or on the version of Python: type 'n' (locale), type 'c', non-ASCII digits in a width, grouping in the fraction (3.14),
a lone surrogate as fill. Neither is a width beyond WIDTH_MAX or a precision beyond PRECISION_MAX.
"""

from libc.math cimport isfinite
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy, memmove, memset

from logly.system.cpython cimport is_float
from logly.text.buffer cimport Buffer, buffer_append, buffer_reserve
from logly.text.number cimport (
    FIXED_ROOM, PRECISION_MAX, decimal_digits, exact_fixed_digits, fixed_digits, general_digits, is_negative,
    power_of_two_digits, repr_digits, special_digits, split_scientific, to_chars_scientific, write_float, write_int,
    write_uint,
)
from logly.text.unicode cimport text_length, text_prefix, utf8_decode, utf8_encode, write_text

# Kinds of value: the bits of the mask that spec_accepts() returns. KIND_INT covers int64_t and uint64_t.
cdef enum:
    KIND_NONE = 1
    KIND_BOOL = 2
    KIND_INT = 4
    KIND_FLOAT = 8
    KIND_STR = 16
    KIND_BYTES = 32
    KIND_ALL = 63

cdef enum:
    WIDTH_MAX = 4096
    FILL_MAX = 4         # bytes of one fill character
    UNSET = -1


cdef struct FormatSpec:
    uint32_t fill        # code point
    int32_t width        # UNSET when not given
    int32_t precision    # UNSET when not given
    char align           # < > = ^, or 0 when not given
    char sign            # + - space, or 0
    char grouping        # , _ or 0
    char type            # b d o x X e E f F g G % s, or 0
    bint z
    bint alternate
    bint zero
    int group            # digits per group: 4 for b o x X, else 3
    bint is_float        # the type is one of e E f F g G %
    bint empty           # the specification had no characters at all


cdef inline void spec_init(FormatSpec* spec) noexcept nogil:
    spec.fill = c' '
    spec.width = UNSET
    spec.precision = UNSET
    spec.align = 0
    spec.sign = 0
    spec.grouping = 0
    spec.type = 0
    spec.z = False
    spec.alternate = False
    spec.zero = False
    spec.group = 3
    spec.is_float = False
    spec.empty = False


cdef inline bint is_empty_spec(const FormatSpec* spec) noexcept nogil:
    return spec == NULL or spec.empty


cdef inline bint one_of(unsigned char c, const char* set) noexcept nogil:
    while set[0]:
        if <unsigned char> set[0] == c:
            return True
        set += 1
    return False


# Returns the character at `i` and advances `i` when the character is in `set`, else returns 0.
cdef inline char take(const unsigned char* p, size_t n, size_t* i, const char* set) noexcept nogil:
    if i[0] >= n or not one_of(p[i[0]], set):
        return 0
    i[0] += 1
    return <char> p[i[0] - 1]


# Reads the decimal number at `i`. Returns UNSET when there are no digits, limit + 1 for a number above `limit`.
cdef inline int32_t take_number(const unsigned char* p, size_t n, size_t* i, int32_t limit) noexcept nogil:
    cdef int32_t value = UNSET
    while i[0] < n and c'0' <= p[i[0]] <= c'9':
        value = (value if value > 0 else 0) * 10 + (p[i[0]] - c'0')
        if value > limit:
            value = limit + 1
        i[0] += 1
    return value


# Reads [[fill]align]. Returns False when the fill is not a code point that UTF-8 can encode.
cdef inline bint take_alignment(const unsigned char* p, size_t n, size_t* i, FormatSpec* spec) noexcept nogil:
    cdef uint32_t fill
    cdef size_t length
    if n == 0:
        return True
    length = utf8_decode(p, n, &fill)
    if length == 0:
        return False
    if length < n and one_of(p[length], b"<>=^"):
        spec.fill = fill
        spec.align = <char> p[length]
        i[0] = length + 1
    else:
        spec.align = take(p, n, i, b"<>=^")
    return True


# Only some types allow grouping: PEP 378 (comma) and PEP 515 (underscore).
cdef inline bint grouping_allowed(const FormatSpec* spec) noexcept nogil:
    if spec.grouping == 0 or spec.type == 0 or one_of(spec.type, b"deEfFgG%"):
        return True
    return spec.grouping == c'_' and one_of(spec.type, b"boxX")


# Reads a specification. Returns False when it is malformed or not native.
cdef inline bint parse_spec(const char* utf8, size_t n, FormatSpec* out) noexcept nogil:
    cdef const unsigned char* p = <const unsigned char*> utf8
    cdef size_t i = 0
    cdef bint has_fill
    spec_init(out)
    out.empty = n == 0
    if not take_alignment(p, n, &i, out):
        return False
    has_fill = i > 1
    out.sign = take(p, n, &i, b"+- ")
    out.z = take(p, n, &i, b"z") != 0
    out.alternate = take(p, n, &i, b"#") != 0
    if not has_fill and take(p, n, &i, b"0"):
        out.zero = True
        out.fill = c'0'
    out.width = take_number(p, n, &i, WIDTH_MAX)
    out.grouping = take(p, n, &i, b",_")
    if take(p, n, &i, b"."):
        out.precision = take_number(p, n, &i, PRECISION_MAX)
        if out.precision == UNSET:
            return False
    out.type = take(p, n, &i, b"bdoxXeEfFgG%s")
    out.group = 4 if out.type and one_of(out.type, b"boxX") else 3
    out.is_float = out.type != 0 and one_of(out.type, b"eEfFgG%")
    if i != n or out.width > WIDTH_MAX or out.precision > PRECISION_MAX:
        return False
    return grouping_allowed(out)


# For which kinds of value the functions here give exactly Python's text: a mask of KIND_ bits.
cdef inline uint32_t spec_accepts(const FormatSpec* spec) noexcept nogil:
    cdef uint32_t accepted = 0
    if is_empty_spec(spec):
        return KIND_ALL
    if spec.is_float:
        return KIND_BOOL | KIND_INT | KIND_FLOAT
    if spec.type == 0:
        accepted |= KIND_FLOAT
    if spec.type != c's' and spec.precision == UNSET and not spec.z:
        accepted |= KIND_BOOL | KIND_INT
    if (spec.type == 0 or spec.type == c's') and not (
            spec.sign or spec.z or spec.alternate or spec.grouping or spec.align == c'='):
        accepted |= KIND_STR
    return accepted


# Writes the fill `count` times at `out`, which has room for FILL_MAX bytes for each. Returns the end.
cdef inline char* put_fill(char* out, uint32_t fill, int count) noexcept nogil:
    cdef size_t length
    cdef int i
    if count <= 0:
        return out
    if fill < 0x80:
        memset(out, <int> fill, count)
        return out + count
    length = utf8_encode(out, fill)
    for i in range(1, count):
        memcpy(out + length * i, out, length)
    return out + length * count


cdef inline void write_fill(Buffer* buffer, uint32_t fill, int count) noexcept nogil:
    if count > 0 and buffer_reserve(buffer, FILL_MAX * <size_t> count):
        buffer.size = put_fill(buffer.data + buffer.size, fill, count) - buffer.data


# --- strings ---------------------------------------------------------------------------------------------------------

# Width and precision count code points.
cdef inline void format_text(
    Buffer* buffer, int kind, const void* data, size_t n, const FormatSpec* spec
) noexcept nogil:
    cdef int padding = 0
    cdef int left = 0
    cdef size_t length
    if is_empty_spec(spec):
        write_text(buffer, kind, data, n)
        return
    if spec.precision != UNSET:
        n = text_prefix(kind, data, n, spec.precision)
    if spec.width > 0:
        length = text_length(kind, data, n)
        padding = <int> (spec.width - length) if length < <size_t> spec.width else 0
    if spec.align == c'>':
        left = padding
    elif spec.align == c'^':
        left = padding // 2
    write_fill(buffer, spec.fill, left)
    write_text(buffer, kind, data, n)
    write_fill(buffer, spec.fill, padding - left)


# --- numbers: sign, prefix, digits, the rest --------------------------------------------------------------------------

cdef struct NumberText:
    const char* text     # digits, then the rest: point, fraction, exponent, per cent
    int digits           # leading digits, which grouping and zero padding apply to; 0 for inf and nan
    int size             # of text
    char prefix          # b o x X of "0b1010", or 0
    char sign            # or 0


cdef inline char sign_character(bint negative, const FormatSpec* spec) noexcept nogil:
    if negative:
        return c'-'
    return spec.sign if spec.sign != c'-' else 0


# How many digits there are after zeros have been added in front, so that digits and separators fill `width`.
# The zeros are grouped too, and a separator never comes first: f"{1234:08,}" has nine characters.
# CPython: _PyUnicode_InsertThousandsGrouping().
cdef inline int grouped_digits(int digits, int group, int width) noexcept nogil:
    cdef int separators
    cdef int padded
    if width <= digits + (digits - 1) // group:
        return digits
    separators = width // (group + 1)
    padded = width - separators
    if width == separators * (group + 1):
        padded += 1
    return padded if padded > digits else digits


# Writes the digits at `out` in groups, with zeros in front so that there are `total` of them. Returns the end.
cdef inline char* put_grouped(
    char* out, const NumberText* number, int total, int group, char separator
) noexcept nogil:
    cdef char* end = out + total + (total - 1) // group
    cdef int i
    out = end
    for i in range(total):
        if i and i % group == 0:
            out -= 1
            out[0] = separator
        out -= 1
        out[0] = number.text[number.digits - 1 - i] if i < number.digits else c'0'
    return end


cdef inline char* put_sign_and_prefix(char* out, const NumberText* number) noexcept nogil:
    if number.sign:
        out[0] = number.sign
        out += 1
    if number.prefix:
        out[0] = c'0'
        out[1] = number.prefix
        out += 2
    return out


# Writes sign, prefix, digits and the rest, with the padding in one of three places. `around` is the number of characters
# that are neither digits nor padding.
# CPython: calc_number_widths() and fill_number().
cdef inline void write_padded(
    Buffer* buffer, const NumberText* number, const FormatSpec* spec, int around
) noexcept nogil:
    cdef char align = spec.align if spec.align else (c'=' if spec.zero else c'>')
    cdef bint grouped = spec.grouping != 0 and number.digits != 0
    cdef int total = number.digits
    cdef int padding
    cdef int left = 0
    cdef char* out
    if grouped and spec.fill == c'0' and align == c'=':
        total = grouped_digits(total, spec.group, spec.width - around)
    padding = spec.width - around - total - ((total - 1) // spec.group if grouped else 0)
    if padding < 0:
        padding = 0
    if not buffer_reserve(buffer, around + 2 * total + FILL_MAX * padding):
        return
    if align == c'>':
        left = padding
    elif align == c'^':
        left = padding // 2
    out = put_fill(buffer.data + buffer.size, spec.fill, left)
    out = put_sign_and_prefix(out, number)
    if align == c'=':
        out = put_fill(out, spec.fill, padding)
        left = padding
    if grouped:
        out = put_grouped(out, number, total, spec.group, spec.grouping)
    else:
        memcpy(out, number.text, total)
        out += total
    memcpy(out, number.text + number.digits, number.size - number.digits)
    out = put_fill(out + number.size - number.digits, spec.fill, padding - left)
    buffer.size = out - buffer.data


cdef inline void write_number(Buffer* buffer, const NumberText* number, const FormatSpec* spec) noexcept nogil:
    cdef int around = (number.sign != 0) + (2 if number.prefix else 0) + number.size - number.digits
    cdef char* out
    if spec.width > around + number.digits or spec.grouping:
        write_padded(buffer, number, spec, around)
    elif buffer_reserve(buffer, around + number.digits):
        out = put_sign_and_prefix(buffer.data + buffer.size, number)
        memcpy(out, number.text, number.size)
        buffer.size = out + number.size - buffer.data


# --- integers --------------------------------------------------------------------------------------------------------

cdef inline size_t integer_digits(char* out, uint64_t magnitude, char type) noexcept nogil:
    if type == c'x' or type == c'X':
        return power_of_two_digits(out, magnitude, 4, type == c'X')
    if type == c'b':
        return power_of_two_digits(out, magnitude, 1, False)
    if type == c'o':
        return power_of_two_digits(out, magnitude, 3, False)
    return decimal_digits(out, magnitude)


cdef inline void format_magnitude(
    Buffer* buffer, uint64_t magnitude, bint negative, const FormatSpec* spec
) noexcept nogil:
    cdef char digits[64]
    cdef NumberText number
    number.text = digits
    number.digits = number.size = <int> integer_digits(digits, magnitude, spec.type)
    number.prefix = spec.type if spec.alternate and spec.type != c'd' else 0
    number.sign = sign_character(negative, spec)
    write_number(buffer, &number, spec)


cdef inline void format_int(Buffer* buffer, int64_t value, const FormatSpec* spec) noexcept nogil:
    if is_empty_spec(spec):
        write_int(buffer, value)
    elif spec.is_float:
        format_float(buffer, <double> value, spec)
    else:
        format_magnitude(buffer, 0 - <uint64_t> value if value < 0 else <uint64_t> value, value < 0, spec)


cdef inline void format_uint(Buffer* buffer, uint64_t value, const FormatSpec* spec) noexcept nogil:
    if is_empty_spec(spec):
        write_uint(buffer, value)
    elif spec.is_float:
        format_float(buffer, <double> value, spec)
    else:
        format_magnitude(buffer, value, False, spec)


cdef inline void format_bool(Buffer* buffer, bint value, const FormatSpec* spec) noexcept nogil:
    if not is_empty_spec(spec):
        format_int(buffer, value, spec)
    elif value:
        buffer_append(buffer, b"True", 4)
    else:
        buffer_append(buffer, b"False", 5)


# --- floating point --------------------------------------------------------------------------------------------------

# e, E: the text of to_chars with Python's letter, and with the point that '#' keeps.
cdef inline size_t exponent_form(char* out, double magnitude, const FormatSpec* spec) noexcept nogil:
    cdef int precision = spec.precision if spec.precision != UNSET else 6
    cdef size_t size = to_chars_scientific(out, FIXED_ROOM, magnitude, precision) - out
    cdef size_t mark = precision + 2 if precision else 1
    out[mark] = spec.type
    if precision == 0 and spec.alternate:
        memmove(out + 2, out + 1, size - 1)
        out[1] = c'.'
        size += 1
    return size


# f, F, %
cdef inline size_t fixed_form(char* out, double magnitude, const FormatSpec* spec) noexcept nogil:
    cdef int precision = spec.precision if spec.precision != UNSET else 6
    cdef size_t size = fixed_digits(out, magnitude, precision)
    if precision == 0 and spec.alternate:
        out[size] = c'.'
        size += 1
    return size


# g and G. A precision without a type is rendered like g, but always with a digit after the point, and exponents begin one
# digit earlier.
cdef inline size_t general_form(char* out, double magnitude, const FormatSpec* spec) noexcept nogil:
    cdef char digits[PRECISION_MAX + 16]
    cdef int precision = 6
    cdef int exponent
    cdef int count
    if spec.precision != UNSET:
        precision = spec.precision if spec.precision else 1
    count = split_scientific(
        digits, to_chars_scientific(digits, sizeof(digits), magnitude, precision - 1), &exponent)
    return general_digits(
        out, digits, count, exponent, precision if spec.type else precision - 1, precision if spec.alternate else 0,
        spec.type == 0, spec.alternate, c'E' if spec.type == c'G' else c'e')


cdef inline size_t float_digits(char* out, double magnitude, const FormatSpec* spec) noexcept nogil:
    cdef bint upper = spec.type == c'E' or spec.type == c'F' or spec.type == c'G'
    if not isfinite(magnitude):
        return special_digits(out, magnitude, upper)
    if spec.type == c'f' or spec.type == c'F' or spec.type == c'%':
        return fixed_form(out, magnitude, spec)
    if spec.type == c'e' or spec.type == c'E':
        return exponent_form(out, magnitude, spec)
    if spec.type == 0 and spec.precision == UNSET:
        return repr_digits(out, magnitude, spec.alternate)
    return general_form(out, magnitude, spec)


cdef inline int leading_digits(const char* text, int size) noexcept nogil:
    cdef int i = 0
    while i < size and c'0' <= text[i] <= c'9':
        i += 1
    return i


# Whether the text of a finite number has no digit but 0.
cdef inline bint shows_zero(const char* text, int size) noexcept nogil:
    cdef int i
    for i in range(size):
        if c'1' <= text[i] <= c'9':
            return False
        if text[i] == c'e' or text[i] == c'E':
            break
    return True


# Specifications like '{:.2f}', which are most of those in logs, are rendered straight into the buffer. Returns False for
# any other.
cdef inline bint format_plain_fixed(Buffer* buffer, double value, const FormatSpec* spec) noexcept nogil:
    cdef bint negative
    cdef size_t size
    cdef char* out
    if spec.type != c'f' or spec.width != UNSET or spec.precision <= 0 or spec.sign or spec.grouping or spec.z:
        return False
    if not buffer_reserve(buffer, 64):
        return True
    out = buffer.data + buffer.size
    negative = is_negative(value)
    out[0] = c'-'
    size = exact_fixed_digits(out + negative, -value if negative else value, spec.precision)
    if size:
        buffer.size += size + negative
    return size != 0


cdef inline void format_float(Buffer* buffer, double value, const FormatSpec* spec) noexcept nogil:
    cdef char text[FIXED_ROOM]
    cdef NumberText number
    cdef bint negative
    if is_empty_spec(spec):
        write_float(buffer, value)
        return
    if format_plain_fixed(buffer, value, spec):
        return
    if spec.type == c'%':
        value *= 100
    negative = is_negative(value)
    number.text = text
    number.size = <int> float_digits(text, -value if negative else value, spec)
    number.digits = leading_digits(text, number.size)
    if negative and spec.z and isfinite(value) and shows_zero(text, number.size):
        negative = False
    if spec.type == c'%':
        text[number.size] = c'%'
        number.size += 1
    number.prefix = 0
    number.sign = sign_character(negative, spec)
    write_number(buffer, &number, spec)
