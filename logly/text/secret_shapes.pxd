"""Secrets that are told by their shape: JWTs, AWS access keys, bearer tokens, passwords in URLs, card numbers.

Each function is asked about one place of a text, and reads forwards over what belongs to the secret, or backwards for at most
MOST_BACK bytes. It gives up at the first byte that does not belong, and a secret that was found is not looked at again. So the
time is linear in the length, whatever the text is. docs/secrets.md lists the shapes.
"""

from libc.stdint cimport uint64_t, uint8_t

from logly.system.probe cimport IS_PROBE

cdef enum:
    MOST_BACK = 512            # bytes that are read backwards, or after the end of a password
    LEAST_PART = 8             # characters of a part of a JWT
    LEAST_BEARER = 6           # of a bearer token with a digit
    LONG_BEARER = 20           # of one without
    AWS_LETTERS = 20
    LEAST_CARD = 13
    MOST_CARD = 19

cdef extern from * nogil:
    """
    #ifndef LOGLY_SECRET_CHARACTERS
    #define LOGLY_SECRET_CHARACTERS
    #include <cstdint>
    enum { LOGLY_KEY = 1, LOGLY_BASE64 = 2, LOGLY_WORD = 4, LOGLY_TOKEN = 8, LOGLY_ENDS_VALUE = 16, LOGLY_ENDS_URL = 32 };
    struct LoglySecretCharacters {
        uint8_t kinds[256];
        static constexpr bool is_in(const char* set, int c) {
            for (; *set; set++) if (*set == c) return true;
            return false;
        }
        constexpr LoglySecretCharacters() : kinds() {
            for (int c = 0; c < 256; c++) {
                const bool is_word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
                int kind = is_word ? LOGLY_KEY | LOGLY_BASE64 | LOGLY_WORD | LOGLY_TOKEN : 0;
                if (c >= 128) kind |= LOGLY_KEY;
                if (c <= ' ' || c == 127) kind |= LOGLY_ENDS_VALUE | LOGLY_ENDS_URL;
                if (is_in("_-.", c)) kind |= LOGLY_KEY;
                if (is_in("_-", c)) kind |= LOGLY_BASE64;
                if (is_in("._~+/-", c)) kind |= LOGLY_TOKEN;
                if (is_in("\\"')]}>|", c)) kind |= LOGLY_ENDS_VALUE;
                if (is_in("\\"'/?#<>\\\\`", c)) kind |= LOGLY_ENDS_URL;
                kinds[c] = (uint8_t)kind;
            }
        }
    };
    static constexpr LoglySecretCharacters logly_secret_characters;
    static inline bool logly_is_kind(char c, int kind) { return (logly_secret_characters.kinds[(uint8_t)c] & kind) != 0; }
    #endif
    """
    cdef enum CharacterKind:
        KIND_KEY "LOGLY_KEY"               # of a key: letters, digits, _ - . and all that is not ASCII
        KIND_BASE64 "LOGLY_BASE64"         # of base64url
        KIND_WORD "LOGLY_WORD"             # letters and digits
        KIND_TOKEN "LOGLY_TOKEN"           # of a bearer token (RFC 6750)
        KIND_ENDS_VALUE "LOGLY_ENDS_VALUE" # ends a value without quotes. So may , ; and &
        KIND_ENDS_URL "LOGLY_ENDS_URL"     # ends the host of a URL
    bint is_kind "logly_is_kind"(char c, int kind) noexcept


# A text, and what was found in it.
cdef struct SecretText:
    const char* data
    size_t size
    size_t at                  # all before it is decided
    size_t start               # the secret that was found last
    size_t end
    int has_open_key           # of layout/secret_text.pxd; -1: not known
    uint64_t steps             # bytes that were looked at, for tests


cdef inline bint is_digit(char c) noexcept nogil:
    return c'0' <= c <= c'9'


cdef inline void count_steps(SecretText* text, size_t steps) noexcept nogil:
    if IS_PROBE:
        text.steps += steps


cdef inline bint found_at(SecretText* text, size_t start, size_t end) noexcept nogil:
    text.start = start
    text.end = end
    return start >= text.at and end > start


# Returns the end of the characters of this kind from `at` on.
cdef inline size_t kind_end(SecretText* text, size_t at, int kind) noexcept nogil:
    cdef size_t start = at
    while at < text.size and is_kind(text.data[at], kind):
        at += 1
    count_steps(text, at - start + 1)
    return at


cdef inline bint begins_word(const SecretText* text, size_t at, int kind) noexcept nogil:
    return at == 0 or not is_kind(text.data[at - 1], kind)


cdef inline bint is_hidden_there(const SecretText* text, size_t at) noexcept nogil:
    cdef const char* hidden = b"[redacted]"
    cdef size_t i
    if at + 10 > text.size:
        return False
    for i in range(10):
        if text.data[at + i] != hidden[i]:
            return False
    return True


# `at`: the "J" of "eyJ". Three parts in base64url; the first is the JSON of a header.
cdef inline bint find_jwt(SecretText* text, size_t at) noexcept nogil:
    cdef size_t start = at - 2
    cdef size_t first, second
    if at < 2 or text.data[at - 1] != c'y' or text.data[start] != c'e' or not begins_word(text, start, KIND_BASE64):
        return False
    first = kind_end(text, at, KIND_BASE64)
    if first - start < LEAST_PART or first == text.size or text.data[first] != c'.':
        return False
    second = kind_end(text, first + 1, KIND_BASE64)
    if second - first <= LEAST_PART or second == text.size or text.data[second] != c'.':
        return False
    return found_at(text, start, kind_end(text, second + 1, KIND_BASE64))


# `at`: the "I" of AKIA or ASIA.
cdef inline bint find_aws_key(SecretText* text, size_t at) noexcept nogil:
    cdef size_t start = at - 2
    cdef size_t i
    if at < 2 or text.data[at - 2] != c'A' or (text.data[at - 1] != c'K' and text.data[at - 1] != c'S'):
        return False
    if not begins_word(text, start, KIND_WORD) or start + AWS_LETTERS > text.size or text.data[at + 1] != c'A':
        return False
    for i in range(start, start + AWS_LETTERS):
        if not is_digit(text.data[i]) and not c'A' <= text.data[i] <= c'Z':
            return False
    if start + AWS_LETTERS < text.size and is_kind(text.data[start + AWS_LETTERS], KIND_WORD):
        return False
    return found_at(text, start, start + AWS_LETTERS)


# `word` has small letters.
cdef inline bint is_word_at(const SecretText* text, size_t at, const char* word, size_t size) noexcept nogil:
    cdef size_t i
    if at + size > text.size:
        return False
    for i in range(size):
        if text.data[at + i] | 0x20 != word[i]:
            return False
    return True


# `words`: with small letters, each followed by a space.
cdef inline bint is_one_of(const SecretText* text, size_t start, size_t end, const char* words) noexcept nogil:
    cdef size_t size
    while words[0]:
        size = 0
        while words[size] != c' ':
            size += 1
        if size == end - start and is_word_at(text, start, words, size):
            return True
        words += size + 1
    return False


# A word without a digit is a token only if it is long: "bearer authentication".
cdef inline bint is_like_token(const SecretText* text, size_t start, size_t end) noexcept nogil:
    cdef size_t i
    if end - start >= LONG_BEARER:
        return True
    if end - start < LEAST_BEARER:
        return False
    for i in range(start, end):
        if is_digit(text.data[i]):
            return True
    return False


# `at`: the "b" of "bearer".
cdef inline bint find_bearer(SecretText* text, size_t at) noexcept nogil:
    cdef size_t start, end
    if not is_word_at(text, at, b"bearer", 6) or not begins_word(text, at, KIND_WORD):
        return False
    start = at + 6
    while start < text.size and text.data[start] == c' ' and start < at + 10:
        start += 1
    if start == at + 6:
        return False
    end = kind_end(text, start, KIND_TOKEN)
    if not is_like_token(text, start, end):
        return False
    if end < text.size and text.data[end] == c'=':
        end += 1 if end + 1 == text.size or text.data[end + 1] != c'=' else 2
        if end < text.size and is_kind(text.data[end], KIND_WORD):
            return False  # a key and its value
    return found_at(text, start, end)


# The last @ of what begins at `at`, up to the end of the host: a password may have one.
cdef inline size_t last_at_sign(SecretText* text, size_t at) noexcept nogil:
    cdef size_t found = at
    cdef size_t most = at + MOST_BACK
    while at < text.size and at < most and not is_kind(text.data[at], KIND_ENDS_URL):
        if text.data[at] == c'@':
            found = at
        at += 1
    count_steps(text, at - found + 1)
    return found


# `at`: the @ of "user:password@host", with or without "://" before it.
cdef inline bint find_login(SecretText* text, size_t at) noexcept nogil:
    cdef size_t i = at
    cdef size_t colon = 0
    while i > text.at and at - i < MOST_BACK and not is_kind(text.data[i - 1], KIND_ENDS_URL):
        i -= 1
        if text.data[i] == c'@':
            return False
        if text.data[i] == c':':
            colon = i
    count_steps(text, at - i + 1)
    if colon == 0 or is_hidden_there(text, colon + 1):
        return False
    if i < 3 or text.data[i - 1] != c'/' or text.data[i - 2] != c'/' or text.data[i - 3] != c':':
        if at == colon + 1 or not is_user(text, i, colon) or not is_host(text, at + 1):
            return False
    return found_at(text, colon + 1, last_at_sign(text, at))


# Is a name of a user before this colon, and not a word that addresses stand after ("mailto:anna@example.com") or a number?
cdef inline bint is_user(SecretText* text, size_t least, size_t colon) noexcept nogil:
    cdef size_t start = colon
    cdef bint is_number = True
    while start > least and is_kind(text.data[start - 1], KIND_KEY):
        start -= 1
        is_number = is_number and is_digit(text.data[start])
    count_steps(text, colon - start + 1)
    if is_number or is_one_of(text, start, colon, b"mailto mail email e-mail to from cc bcc reply-to sender recipient "):
        return False
    return not is_one_of(text, start, colon, b"user username login account acct owner author contact address by sip sips xmpp ")


# Not the digest of an image ("nginx:1.25@sha256:..."), nor a version ("npm:react@18.2").
cdef inline bint is_host(SecretText* text, size_t at) noexcept nogil:
    cdef size_t end = at
    cdef size_t points = 0
    cdef bint is_number = True
    while end < text.size and (is_kind(text.data[end], KIND_WORD) or text.data[end] == c'.' or text.data[end] == c'-'):
        points += text.data[end] == c'.'
        is_number = is_number and (is_digit(text.data[end]) or text.data[end] == c'.')
        end += 1
    count_steps(text, end - at + 1)
    if end == at:
        return at < text.size and text.data[at] == c'['
    return not (is_number and points < 3) and not is_one_of(text, at, end, b"sha256 sha384 sha512 ")


# ---- card numbers

# The check digit of ISO/IEC 7812-1.
cdef inline bint passes_luhn(const char* digits, size_t count) noexcept nogil:
    cdef int sum = 0
    cdef int value
    cdef size_t i
    for i in range(count):
        value = digits[count - 1 - i] - c'0'
        if i % 2:
            value = 2 * value - 9 if value > 4 else 2 * value
        sum += value
    return sum % 10 == 0


# `at`: the first of four digits or more. 13 to 19 digits that begin as those of the card networks do, in one piece, or in groups
# as they are on cards, which the same space or dash separates.
cdef inline bint find_card(SecretText* text, size_t at) noexcept nogil:
    cdef char digits[MOST_CARD + 1]
    cdef size_t count = 0
    cdef size_t group = 0
    cdef size_t i = at
    cdef char separator = 0
    cdef char c
    if not c'2' <= text.data[at] <= c'6':
        return False
    if at and (is_kind(text.data[at - 1], KIND_KEY) or text.data[at - 1] == c'/'):
        return False
    while i < text.size and count <= MOST_CARD:
        c = text.data[i]
        if is_digit(c):
            digits[count] = c
            count += 1
            group += 1
        elif (c == c' ' or c == c'-') and (separator == 0 or separator == c):
            if ends_card(text, digits, count, group, separator, i):
                return found_at(text, at, i)
            if (separator == 0 and group != 4) or not 4 <= group <= 6:
                break
            separator = c
            group = 0
        else:
            break
        i += 1
    count_steps(text, i - at + 1)
    return ends_card(text, digits, count, group, separator, i) and found_at(text, at, i)


cdef inline bint ends_card(
    const SecretText* text, const char* digits, size_t count, size_t group, char separator, size_t end
) noexcept nogil:
    if not LEAST_CARD <= count <= MOST_CARD or (separator and not 3 <= group <= 6):
        return False
    if end < text.size and is_kind(text.data[end], KIND_WORD):
        return False
    if end + 1 < text.size and text.data[end] == c'.' and is_digit(text.data[end + 1]):
        return False
    return passes_luhn(digits, count)
