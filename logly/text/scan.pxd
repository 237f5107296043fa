"""How many leading bytes of a text are plain, that is, can be copied as they are.

The scan looks at eight bytes at a time (SWAR; `hasless` and `hasvalue` of Sean Anderson's "Bit Twiddling Hacks"), then at
single bytes. Whether a whole word is plain is answered exactly: a borrow between its bytes can add a false mark only next
to a true one.
"""

from libc.stdint cimport uint64_t
from libc.string cimport memcpy

from logly.text.buffer cimport copy_text

# Which bytes are plain depends on where they go.
cdef enum Plain:
    PLAIN_ASCII           # below 0x80
    PLAIN_JSON_UTF8       # inside a JSON string: no control, quote, backslash, no lead byte of C1 controls or U+2028
    PLAIN_JSON_LATIN1     # the same, and below 0x80
    PLAIN_REPR            # inside a repr: printable ASCII, no quote of either kind, no backslash
    PLAIN_LOGFMT          # a bare logfmt value: printable ASCII, no space, equals sign, quote
    PLAIN_LOGFMT_QUOTED   # inside a quoted one: printable ASCII, no quote, backslash


# The high bit of some byte of the result is set when a byte of `word` equals `wanted` (or is above such a byte).
cdef inline uint64_t bytes_equal(uint64_t word, uint64_t wanted) noexcept nogil:
    cdef uint64_t difference = word ^ (0x0101010101010101ULL * wanted)
    return (difference - 0x0101010101010101ULL) & ~difference


# The same for a byte below `limit`, which is at most 128.
cdef inline uint64_t bytes_below(uint64_t word, uint64_t limit) noexcept nogil:
    return (word - 0x0101010101010101ULL * limit) & ~word


cdef inline bint is_plain_word(uint64_t word, Plain plain) noexcept nogil:
    cdef uint64_t found = 0
    if plain != PLAIN_ASCII:
        found = bytes_below(word, 0x21 if plain == PLAIN_LOGFMT else 0x20) | bytes_equal(word, c'"')
    if plain != PLAIN_JSON_UTF8:
        found |= word
    if plain != PLAIN_ASCII and plain != PLAIN_LOGFMT:
        found |= bytes_equal(word, c'\\')
    if plain == PLAIN_JSON_LATIN1:
        found |= word + 0x0101010101010101ULL  # 0x7F; and 0xFF, which is found anyway
    if plain == PLAIN_JSON_UTF8 and (word | (word + 0x0101010101010101ULL)) & 0x8080808080808080ULL:
        found |= bytes_equal(word, 0x7F) | bytes_equal(word, 0xC2) | bytes_equal(word, 0xE2)
    if plain == PLAIN_REPR:
        found |= bytes_equal(word, c"'")
    if plain == PLAIN_LOGFMT:
        found |= bytes_equal(word, c'=')
    if plain >= PLAIN_REPR:
        found |= bytes_equal(word, 0x7F)
    return (found & 0x8080808080808080ULL) == 0


cdef inline bint is_plain(unsigned char byte, Plain plain) noexcept nogil:
    if plain == PLAIN_ASCII:
        return byte < 0x80
    if byte < 0x20 or byte == c'"':
        return False
    if plain == PLAIN_JSON_UTF8:
        return byte != c'\\' and byte != 0x7F and byte != 0xC2 and byte != 0xE2
    if plain == PLAIN_JSON_LATIN1:
        return byte < 0x7F and byte != c'\\'
    if byte >= 0x7F:
        return False
    if plain == PLAIN_LOGFMT:
        return byte != c' ' and byte != c'='
    return byte != c'\\' and (plain != PLAIN_REPR or byte != c"'")


cdef inline size_t plain_run(const unsigned char* data, size_t n, Plain plain) noexcept nogil:
    cdef size_t i = 0
    cdef uint64_t word = 0x6161616161616161ULL  # letters, which are plain everywhere
    if n < 8:
        copy_text(<char*> &word, <const char*> data, n)
        if is_plain_word(word, plain):
            return n
    while i + 8 <= n:
        memcpy(&word, data + i, 8)
        if not is_plain_word(word, plain):
            break
        i += 8
    else:
        # The last word may overlap the one before.
        if i < n and n >= 8:
            memcpy(&word, data + n - 8, 8)
            if is_plain_word(word, plain):
                return n
    while i < n and is_plain(data[i], plain):
        i += 1
    return i
