"""Secrets in finished text: what stands after the keys that are hidden, and what is told by its shape (text/secret_shapes.pxd).

A text is read once. `text/triggers.pxd` says which places to look at, and what was found is not looked at again, so that the
time is linear in the length of the text.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset

from logly.layout.name_patterns cimport NamePatterns, is_hidden_name, letter_bit, may_end_name, may_have_letters
from logly.text.buffer cimport Buffer, buffer_append, copy_text
from logly.text.secret_shapes cimport (
    KIND_ENDS_VALUE, KIND_KEY, KIND_WORD, SecretText, count_steps, find_aws_key, find_bearer, find_card, find_jwt, find_login,
    found_at, is_hidden_there, is_kind, is_one_of,
)
from logly.text.triggers cimport TRIGGER_BYTES, TRIGGER_LOOKS, first_bit, has_pair, triggers_of

cdef enum:
    MOST_KEY = 64              # bytes of a key
    MOST_SPACES = 64           # bytes of spaces on each side of the = or : after a key
    MOST_SLASHES = 3           # before a quote that is escaped


# ---- keys

# The bytes of the space that begins here: a space, a tab, or U+00A0. 0: there is none.
cdef inline size_t space_at(const SecretText* text, size_t at) noexcept nogil:
    if at >= text.size:
        return 0
    if text.data[at] == c' ' or text.data[at] == c'\t':
        return 1
    return 2 if at + 1 < text.size and text.data[at] == c'\xc2' and text.data[at + 1] == c'\xa0' else 0


# The same of the space that ends before `end`.
cdef inline size_t space_before(const SecretText* text, size_t end) noexcept nogil:
    if end <= text.at:
        return 0
    if text.data[end - 1] == c' ' or text.data[end - 1] == c'\t':
        return 1
    return 2 if end >= text.at + 2 and text.data[end - 1] == c'\xa0' and text.data[end - 2] == c'\xc2' else 0


# Where the key ends that is before `at`, the place of = or :. `quote` is the one after the key, or 0. `is_spaced`: there are
# spaces in between, and the key has no quotes, or is that of an item, as in cfg['password'] = ...
cdef inline size_t key_end(SecretText* text, size_t at, char* quote, bint* is_spaced) noexcept nogil:
    cdef size_t end = at
    cdef size_t space = space_before(text, end)
    cdef size_t slashes = 0
    cdef bint is_item = False
    quote[0] = 0
    while space and at - end < MOST_SPACES:
        end -= space
        space = space_before(text, end)
    is_spaced[0] = end < at
    if text.data[at] == c'=' and end >= text.at + 2 and text.data[end - 1] == c']' and is_quote(text.data[end - 2]):
        end -= 1
        is_item = True
    if end > text.at and is_quote(text.data[end - 1]):
        end -= 1
        quote[0] = text.data[end]
        is_spaced[0] = is_spaced[0] and is_item
        while end > text.at and slashes < MOST_SLASHES and text.data[end - 1] == c'\\':
            end -= 1
            slashes += 1
    return end


# Is this the name of a secret, or its last part, as of "user.password"? Hyphens before it belong to a command line.
cdef inline bint is_hidden_word(const NamePatterns* names, const char* word, size_t size) noexcept nogil:
    cdef size_t i
    while size and word[0] == c'-':
        word += 1
        size -= 1
    if size == 0:
        return False
    if is_hidden_name(names, word, size):
        return True
    for i in range(size - 1, 0, -1):
        if word[i - 1] == c'.':
            return is_hidden_name(names, word + i, size - i)
    return False


# False: what is before `at`, the place of = or :, is no hidden key. Nearly all keys are told by their last two letters.
cdef inline bint may_end_key(SecretText* text, const NamePatterns* names, size_t at) noexcept nogil:
    cdef char last
    if at <= text.at:
        return False
    last = text.data[at - 1]
    if not is_kind(last, KIND_KEY):
        return last == c' ' or last == c'"' or last == c"'" or last == c'\t' or last == c']'
    if last == c'\xa0' and space_before(text, at):
        return True
    if may_end_name(names, last, text.data[at - 2] if at >= text.at + 2 else <char> 0):
        return True
    return names.open_ends != 0 and has_open_key(text, names)


# Could there be a key that a pattern with a `*` at the end matches? Looked at once for each text.
cdef inline bint has_open_key(SecretText* text, const NamePatterns* names) noexcept nogil:
    cdef uint32_t i
    if text.has_open_key < 0:
        text.has_open_key = False
        for i in range(names.open_ends):
            count_steps(text, text.size)
            if names.pair[i][0] == 0 or has_pair(text.data, text.size, names.pair[i][0], names.pair[i][1]):
                text.has_open_key = True
    return text.has_open_key


# Is a key that is hidden before `at`, the place of = or :? `quote`, `is_spaced`: see key_end.
cdef inline bint has_hidden_key(
    SecretText* text, const NamePatterns* names, size_t at, char* quote, bint* is_spaced
) noexcept nogil:
    cdef size_t end = key_end(text, at, quote, is_spaced)
    cdef size_t start = end
    cdef uint32_t letters = 0
    if end <= text.at:
        return False
    while start > text.at and end - start <= MOST_KEY and is_kind(text.data[start - 1], KIND_KEY):
        start -= 1
        letters |= letter_bit(text.data[start])
    count_steps(text, at - start + 1)
    if start == end or end - start > MOST_KEY:
        return False
    if not may_have_letters(names, letters):
        if not may_end_name(names, text.data[end - 1], text.data[end - 2] if end >= start + 2 else <char> 0):
            return False
    # What is before the colon in "https://token:..." is a user, and has a way of its own.
    if text.data[at] == c':' and start > 1 and text.data[start - 1] == c'/' and text.data[start - 2] == c'/':
        return False
    return is_hidden_word(names, text.data + start, end - start)


# ---- values

cdef inline size_t spaces_end(const SecretText* text, size_t at) noexcept nogil:
    cdef size_t most = at + MOST_SPACES
    cdef size_t space = space_at(text, at)
    while space and at < most:
        at += space
        space = space_at(text, at)
    return at


cdef inline bint is_line_space(char c) noexcept nogil:
    return c == c' ' or c == c'\t' or c == c'\n' or c == c'\r'


# Where the value after the key and the colon of indented JSON begins, which may be on a line of its own; else `at`.
cdef inline size_t next_line_value(SecretText* text, size_t at) noexcept nogil:
    cdef size_t end = at
    cdef char c
    while end < text.size and is_line_space(text.data[end]):
        end += 1
    count_steps(text, end - at + 1)
    if end == text.size:
        return at
    c = text.data[end]
    return end if is_quote(c) or c == c'[' or c == c'{' or c == c'-' or c'0' <= c <= c'9' else at


# Where the value begins that is padded to a width (`password={:>12}`): several spaces are before it, and it is no key.
cdef inline size_t padded_value(SecretText* text, size_t at) noexcept nogil:
    cdef size_t start = spaces_end(text, at)
    cdef size_t end = start
    count_steps(text, start - at + 1)
    if start < at + 2:
        return at
    while end < text.size and end < start + MOST_KEY and is_kind(text.data[end], KIND_KEY):
        end += 1
    count_steps(text, end - start + 1)
    if end + 1 < text.size and text.data[end] == c'=' and text.data[end + 1] != c'=':
        if not is_kind(text.data[end + 1], KIND_ENDS_VALUE) or is_quote(text.data[end + 1]):
            return at
    return start


# The end of what stands between quotes, from behind the first one: the place of the second, or of the backslashes that escape
# it, as many as escape the first. Without a second quote it is the end of the line.
cdef inline size_t quoted_end(SecretText* text, size_t at, size_t slashes, char quote) noexcept nogil:
    cdef size_t end = at
    cdef size_t seen = 0
    while end < text.size and text.data[end] != c'\n':
        if text.data[end] == c'\\':
            seen += 1
        elif text.data[end] == quote and (seen == slashes if slashes else seen % 2 == 0):
            count_steps(text, end - at + 1)
            return end - slashes
        else:
            seen = 0
        end += 1
    count_steps(text, end - at + 1)
    return end


# The value between quotes, which may be escaped themselves: `at` is the place of the first backslash, or of the quote.
cdef inline bint find_quoted(SecretText* text, size_t at) noexcept nogil:
    cdef size_t slashes = 0
    cdef size_t start
    cdef char quote
    while at + slashes < text.size and slashes < MOST_SLASHES and text.data[at + slashes] == c'\\':
        slashes += 1
    start = at + slashes + 1
    quote = text.data[at + slashes]
    # A text of Python's that begins with three quotes.
    if slashes == 0 and start + 1 < text.size and text.data[start] == quote and text.data[start + 1] == quote:
        start += 2
    return found_at(text, start, quoted_end(text, start, slashes, quote))


# Is this apostrophe or quote, which is not the first byte, the first of a text? Not an apostrophe after a letter, but for the
# letters that say of what kind a text of Python's is, as in b'...'.
cdef inline bint begins_text(const SecretText* text, size_t at) noexcept nogil:
    cdef size_t start = at
    if text.data[at] == c'"':
        return True
    while start > 0 and at - start < 3 and is_kind(text.data[start - 1], KIND_WORD):
        start -= 1
        if not is_one_of(text, start, start + 1, b"b r u f t "):
            return False
    return at - start < 3


# Where the name ends that begins here, as of Secret('...'), if a bracket follows it; else `at`.
cdef inline size_t called_end(SecretText* text, size_t at) noexcept nogil:
    cdef size_t end = at
    while end < text.size and end - at < MOST_KEY and is_kind(text.data[end], KIND_KEY):
        end += 1
    count_steps(text, end - at + 1)
    return end if end < text.size and text.data[end] == c'(' else at


# The value within brackets, of which the first is at `opens`, and what follows without a space: a password may begin with a
# bracket. One without its last bracket ends with its line.
cdef inline bint find_bracketed(SecretText* text, size_t at, size_t opens) noexcept nogil:
    cdef size_t end = opens
    cdef size_t depth = 0
    cdef size_t slashes = 0
    cdef char c
    while end < text.size and text.data[end] != c'\n':
        c = text.data[end]
        if is_quote(c) and begins_text(text, end):
            end = quoted_end(text, end + 1, slashes, c)
            if end == text.size or text.data[end] == c'\n':
                break  # there is no second quote
            end += slashes
        elif c == c'[' or c == c'{' or c == c'(':
            depth += 1
        elif c == c']' or c == c'}' or c == c')':
            depth -= 1
        slashes = slashes + 1 if c == c'\\' else 0
        end += 1
        if depth == 0:
            end = bare_end(text, end)
            break
    count_steps(text, end - at + 1)
    return found_at(text, at, end)


# What a program writes where there is no value.
cdef inline bint says_nothing(const SecretText* text, size_t start, size_t end) noexcept nogil:
    cdef size_t i
    if is_one_of(text, start, end, b"none null nil true false "):
        return True
    for i in range(start, end):
        if text.data[i] != c'*':
            return False
    return True


# Does a value end at this , ; or &? Not where it goes on as a password might: another key follows, or nothing.
cdef inline bint is_separator(SecretText* text, size_t at) noexcept nogil:
    cdef size_t start = at
    cdef size_t most = at + MOST_KEY
    cdef char c = text.data[at]
    if c != c',' and c != c';' and c != c'&':
        return False
    at += 1
    if at == text.size or is_kind(text.data[at], KIND_ENDS_VALUE):
        return True
    while at < text.size and at < most and is_kind(text.data[at], KIND_KEY):
        at += 1
    count_steps(text, at - start)
    return at < text.size and at > start + 1 and (text.data[at] == c'=' or text.data[at] == c':')


cdef inline size_t bare_end(SecretText* text, size_t at) noexcept nogil:
    cdef size_t start = at
    while at < text.size and not is_kind(text.data[at], KIND_ENDS_VALUE) and not is_separator(text, at):
        at += 1
    count_steps(text, at - start + 1)
    return at


cdef inline size_t line_end(SecretText* text, size_t at) noexcept nogil:
    cdef size_t start = at
    while at < text.size and text.data[at] != c'\n':
        at += 1
    count_steps(text, at - start + 1)
    return at


# A value without quotes. After the name of a scheme of HTTP ("Authorization: Basic ..."), it is the next word; after "Digest",
# which has several parts, it is the rest of the line.
cdef inline bint find_bare(SecretText* text, size_t at) noexcept nogil:
    cdef size_t end = bare_end(text, at)
    cdef size_t next = spaces_end(text, end)
    if next > end and is_one_of(text, at, end, b"bearer basic digest token negotiate apikey "):
        if is_hidden_there(text, next):
            return False
        end = line_end(text, next) if is_one_of(text, at, end, b"digest ") else bare_end(text, next)
        at = next
    return not says_nothing(text, at, end) and found_at(text, at, end)


# `at`: the place of = or :.
cdef inline bint find_value(SecretText* text, const NamePatterns* names, size_t at) noexcept nogil:
    cdef bint is_spaced = False
    cdef char quote = 0
    cdef size_t start = at + 1
    cdef size_t opens
    if not has_hidden_key(text, names, at, &quote, &is_spaced):
        return False
    # ":=" and "=>".
    if start < text.size and text.data[start] == (c'=' if text.data[at] == c':' else c'>'):
        start += 1
        is_spaced = True
    if quote and text.data[at] == c':':
        start = next_line_value(text, start)
    if is_spaced or text.data[at] == c':':
        start = spaces_end(text, start)
    else:
        start = padded_value(text, start)
    if start >= text.size or text.data[start] == c'=' or text.data[start] == c':' or is_hidden_there(text, start):
        return False
    start = prefix_end(text, start)
    if is_quote(text.data[start]) or (text.data[start] == c'\\' and begins_escaped_quote(text, start)):
        return not begins_hidden(text, start) and find_quoted(text, start)
    opens = called_end(text, start)
    if text.data[opens] == c'(' or text.data[start] == c'[' or text.data[start] == c'{':
        return find_bracketed(text, start, opens)
    return find_bare(text, start)


# Where a text of Python's begins that stands here: behind the letters that say of what kind it is.
cdef inline size_t prefix_end(const SecretText* text, size_t at) noexcept nogil:
    cdef size_t end = at
    while end < text.size and end < at + 2 and is_one_of(text, end, end + 1, b"b r u f t "):
        end += 1
    return end if end < text.size and is_quote(text.data[end]) else at


cdef inline bint is_quote(char c) noexcept nogil:
    return c == c'"' or c == c"'"


cdef inline bint begins_escaped_quote(const SecretText* text, size_t at) noexcept nogil:
    cdef size_t most = at + MOST_SLASHES
    while at < text.size and at < most and text.data[at] == c'\\':
        at += 1
    return at < text.size and is_quote(text.data[at])


cdef inline bint begins_hidden(const SecretText* text, size_t at) noexcept nogil:
    while at < text.size and text.data[at] == c'\\':
        at += 1
    return is_hidden_there(text, at + 1)


# ---- the text

# Is there a secret at this place? `names`: the keys that are hidden.
cdef inline bint find_secret(SecretText* text, const NamePatterns* names, size_t at) noexcept nogil:
    cdef char c = text.data[at]
    if c == c'=' or c == c':':
        return find_value(text, names, at)
    if c == c'@':
        return find_login(text, at)
    if c == c'J':
        return find_jwt(text, at)
    if c == c'I':
        return find_aws_key(text, at)
    if c == c'b' or c == c'B':
        return find_bearer(text, at)
    return find_card(text, at)


# Looks at the places of 64 bytes from `base` on, and writes the text up to the end of the last secret that begins there.
cdef inline void hide_in_block(
    Buffer* out, SecretText* text, const NamePatterns* names, size_t base, uint64_t places, size_t* copied
) noexcept nogil:
    cdef size_t at
    cdef char c
    while places:
        at = base + first_bit(places)
        places &= places - 1
        count_steps(text, 1)
        if at < text.at:
            continue
        c = text.data[at]
        if (c == c'=' or c == c':') and not may_end_key(text, names, at):
            continue
        if not find_secret(text, names, at):
            continue
        buffer_append(out, text.data + copied[0], text.start - copied[0])
        buffer_append(out, b"[redacted]", 10)
        copied[0] = text.at = text.end


# Writes the text without its secrets. Returns False, and writes nothing, where there are none.
cdef inline bint hide_in_text(
    Buffer* out, const NamePatterns* names, const char* data, size_t size, uint64_t* steps
) noexcept nogil:
    cdef SecretText text
    cdef char whole[TRIGGER_LOOKS]
    cdef size_t base
    cdef size_t seen = 0       # all places before it were looked at
    cdef size_t copied = 0
    text.data = data
    text.size = size
    text.at = 0
    text.steps = 0
    text.has_open_key = -1
    if size < TRIGGER_LOOKS:
        memset(whole, 0, TRIGGER_LOOKS)
        copy_text(whole, data, size)
        hide_in_block(out, &text, names, 0, triggers_of(whole), &copied)
    else:
        while size - seen >= TRIGGER_LOOKS:
            hide_in_block(out, &text, names, seen, triggers_of(data + seen), &copied)
            seen += TRIGGER_BYTES
        if size - seen > 1:
            # The last 64 places but one, without those that were looked at.
            base = size - TRIGGER_LOOKS
            hide_in_block(out, &text, names, base, triggers_of(data + base) >> (seen - base) << (seen - base), &copied)
        if size > seen and data[size - 1] == c'@':
            hide_in_block(out, &text, names, size - 1, 1, &copied)
    steps[0] = text.steps + size // TRIGGER_BYTES
    if copied:
        buffer_append(out, data + copied, size - copied)
    return copied != 0
