"""Names given as patterns: which names of fields, and keys in texts, stand for secrets.

A pattern matches in any case of the letters A to Z, and a `*` in it stands for any characters. Names come from outside, so
what was found out about a name is kept in a table of a fixed size: one entry for each hash, which is keyed with random numbers
of the process. A name that shares its entry with another one is matched anew, in time linear in its length.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from logly.layout.field_names cimport hash_bytes, short_word, word_at

cdef enum:
    KNOWN_NAMES = 256          # 2**8, as the hashes of short names have it
    SHORT_BYTES = 16
    KNOWN_BYTES = 59           # longer names are matched each time
    OPEN_ENDS = 8              # of further patterns, the last one has what all of them need
    LETTER_CLASSES = 32        # capital and small letters are in the same class, and so are some others


cdef struct NamePattern:
    const char* text           # with small letters
    uint32_t size
    bint has_star


# A name of up to 16 bytes: its size, and its first and last eight bytes (or all of them as one word) tell it from all others.
cdef struct ShortName:
    uint64_t head
    uint64_t tail
    uint32_t size              # 0: the entry is empty
    bint is_hidden


cdef struct KnownName:
    uint32_t size              # 0: the entry is empty
    bint is_hidden
    char text[KNOWN_BYTES]


cdef struct NamePatterns:
    uint32_t count
    NamePattern* pattern
    # How a name can end: for each class of the last letter, a bit for each class of the letter before it. Most keys in texts are
    # told by these two letters.
    uint32_t ends[LETTER_CLASSES]
    # Of patterns with a `*` at the end: the classes of letters that a name must have, a bit each.
    uint32_t open_ends
    uint32_t letters[OPEN_ENDS]
    # And two letters that follow each other in the pattern, so that texts without these need no closer look. 0: there are none.
    char pair[OPEN_ENDS][2]
    # KNOWN_NAMES entries each. Only the thread that holds the engine's lock may use them.
    ShortName* short_names
    KnownName* known


cdef inline char small_letter(char c) noexcept nogil:
    return <char> (c | 0x20) if c'A' <= c <= c'Z' else c


cdef inline bint is_same_name(const NamePattern* pattern, const char* name, size_t size) noexcept nogil:
    cdef size_t i
    if size != pattern.size:
        return False
    for i in range(size):
        if small_letter(name[i]) != pattern.text[i]:
            return False
    return True


# Where a character does not match, the last `*` takes one more. Earlier ones never have to: what they take is as short as
# possible. So the work is at most the length of the name times that of the pattern, which comes from the configuration.
cdef inline bint matches_star(const NamePattern* pattern, const char* name, size_t size) noexcept nogil:
    cdef size_t at = 0
    cdef size_t i = 0
    cdef size_t star = pattern.size
    cdef size_t taken = 0
    while i < size:
        if at < pattern.size and pattern.text[at] == c'*':
            star = at
            taken = i
            at += 1
        elif at < pattern.size and pattern.text[at] == small_letter(name[i]):
            at += 1
            i += 1
        elif star < pattern.size:
            taken += 1
            i = taken
            at = star + 1
        else:
            return False
    while at < pattern.size and pattern.text[at] == c'*':
        at += 1
    return at == pattern.size


cdef inline bint any_matches(const NamePatterns* names, const char* name, size_t size) noexcept nogil:
    cdef uint32_t i
    for i in range(names.count):
        if names.pattern[i].has_star:
            if matches_star(&names.pattern[i], name, size):
                return True
        elif is_same_name(&names.pattern[i], name, size):
            return True
    return False


cdef inline bint is_hidden_short_name(const NamePatterns* names, const char* name, size_t size) noexcept nogil:
    cdef uint64_t head = word_at(name) if size >= 8 else short_word(name, size)
    cdef uint64_t tail = word_at(name + size - 8) if size >= 8 else 0
    # Fibonacci hashing (Knuth), without a key: names that are chosen to share an entry are matched anew, and no more than that.
    cdef ShortName* known = &names.short_names[(head ^ tail << 7) * <uint64_t> 0x9E3779B97F4A7C15u >> 56]
    if known.head != head or known.tail != tail or known.size != size:
        known.is_hidden = any_matches(names, name, size)
        known.head = head
        known.tail = tail
        known.size = <uint32_t> size
    return known.is_hidden


# Is this the name of a secret? `name` is UTF-8.
cdef inline bint is_hidden_name(const NamePatterns* names, const char* name, size_t size) noexcept nogil:
    cdef KnownName* known
    if 0 < size <= SHORT_BYTES:
        return is_hidden_short_name(names, name, size)
    if size == 0 or size > KNOWN_BYTES:
        return any_matches(names, name, size)
    known = &names.known[hash_bytes(name, size) & (KNOWN_NAMES - 1)]
    if known.size != size or memcmp(known.text, name, size):
        known.is_hidden = any_matches(names, name, size)
        known.size = <uint32_t> size
        memcpy(known.text, name, size)
    return known.is_hidden


# Forgets what was found out about names: an entry may be half changed.
cdef inline void names_forget(NamePatterns* names) noexcept nogil:
    if names.known != NULL and names.short_names != NULL:
        memset(names.known, 0, KNOWN_NAMES * sizeof(KnownName))
        memset(names.short_names, 0, KNOWN_NAMES * sizeof(ShortName))


cdef inline uint32_t letter_class(char c) noexcept nogil:
    return <uint8_t> c & (LETTER_CLASSES - 1)


# False: no hidden name ends with these two characters. `before`: 0 where the name has one.
cdef inline bint may_end_name(const NamePatterns* names, char last, char before) noexcept nogil:
    return names.ends[letter_class(last)] >> letter_class(before) & 1 != 0


cdef inline uint32_t letter_bit(char c) noexcept nogil:
    return <uint32_t> 1 << letter_class(c)


# False: no pattern with a `*` at the end matches a name with these letters.
cdef inline bint may_have_letters(const NamePatterns* names, uint32_t letters) noexcept nogil:
    cdef uint32_t i
    for i in range(names.open_ends):
        if names.letters[i] & ~letters == 0:
            return True
    return False


cdef inline void note_letters(NamePatterns* names, const NamePattern* pattern) noexcept nogil:
    cdef uint32_t letters = 0
    cdef uint32_t i
    for i in range(pattern.size):
        if pattern.text[i] != c'*':
            letters |= letter_bit(pattern.text[i])
    if names.open_ends < OPEN_ENDS:
        names.letters[names.open_ends] = letters
        choose_pair(pattern, names.pair[names.open_ends])
        names.open_ends += 1
    else:
        names.letters[OPEN_ENDS - 1] &= letters
        names.pair[OPEN_ENDS - 1][0] = 0


# The pair whose letters are the rarest in English texts.
cdef inline void choose_pair(const NamePattern* pattern, char* pair) noexcept nogil:
    cdef uint32_t best = 0
    cdef uint32_t rank, i
    pair[0] = 0
    for i in range(1, pattern.size):
        rank = rareness(pattern.text[i - 1]) * rareness(pattern.text[i])
        if rank > best:
            best = rank
            pair[0] = pattern.text[i - 1]
            pair[1] = pattern.text[i]


# 0 for what is no letter from a to z.
cdef inline uint32_t rareness(char c) noexcept nogil:
    cdef const char* letters = b"etaoinsrhldcumfpgwybvkxjqz"
    cdef uint32_t i
    for i in range(26):
        if letters[i] == c:
            return i + 1
    return 0


cdef inline void note_end(NamePatterns* names, const NamePattern* pattern) noexcept nogil:
    cdef uint32_t i
    cdef char last = pattern.text[pattern.size - 1]
    cdef char before = pattern.text[pattern.size - 2] if pattern.size > 1 else c'*'
    if last == c'*':
        note_letters(names, pattern)
        return
    for i in range(LETTER_CLASSES):
        if letter_class(last) == i:
            names.ends[i] |= <uint32_t> -1 if before == c'*' else <uint32_t> 1 << letter_class(before)
