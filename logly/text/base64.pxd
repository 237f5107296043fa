"""Bytes as Base64, with padding (RFC 4648, section 4)."""

from libc.stdint cimport uint32_t

from logly.text.buffer cimport Buffer, buffer_reserve

cdef extern from *:
    """
    static const char logly_base64_digits[65] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    """
    const char* BASE64_DIGITS "logly_base64_digits"


cdef inline void write_base64(Buffer* out, const unsigned char* data, size_t n) noexcept nogil:
    cdef size_t i = 0
    cdef size_t left
    cdef uint32_t bits
    cdef char* to
    if not buffer_reserve(out, (n + 2) // 3 * 4):
        return
    to = out.data + out.size
    while i < n:
        left = n - i
        bits = <uint32_t> data[i] << 16
        if left > 1:
            bits |= <uint32_t> data[i + 1] << 8
        if left > 2:
            bits |= data[i + 2]
        to[0] = BASE64_DIGITS[bits >> 18]
        to[1] = BASE64_DIGITS[bits >> 12 & 63]
        to[2] = BASE64_DIGITS[bits >> 6 & 63] if left > 1 else c'='
        to[3] = BASE64_DIGITS[bits & 63] if left > 2 else c'='
        to += 4
        i += 3
    out.size = <size_t> (to - out.data)
