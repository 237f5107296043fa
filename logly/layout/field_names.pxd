"""The fields of a record by their names: which one a name means, and which ones a later field of the same name replaces.

A record with few fields is searched from end to end. For a record with many fields, an index is made: a hash table of the
names. It is made at most once per record, however many sinks and placeholders look names up. So the work grows with the
number of fields and not with its square, even for names that somebody chose to collide. Names may come from outside, so the
hash is keyed with random numbers of the process (a strongly universal family: Lemire and Kaser, "Strongly universal string
hashing is fast", 2014).

The flusher uses the index under the engine's lock. Its memory is reused from record to record: at most 768 KiB, for the 65,535
fields that a record may have. When there is no memory for it, records are searched from end to end.
"""

from libc.stdint cimport uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from logly.ring.record cimport (
    MAY_REPEAT, TAG_UTF8, FieldIndex, NameEntry, RecordView, Value, get_value, same_text, unit_size,
)
from logly.text.buffer cimport Buffer, buffer_append, buffer_put

cdef enum:
    FEW_FIELDS = 4             # up to so many fields, searching from end to end is faster
    FEW_LOOKUPS = 3            # so many lookups search from end to end before an index is made
    IS_REPLACED = 0x80000000   # bit of NameEntry.at: a later field has the same name
    PLACE_OF_NAME = 0x7FFFFFFF # the other bits: the offset, because a record has less than 2 GiB

cdef extern from * nogil:
    """
    #ifndef LOGLY_NAMES
    #define LOGLY_NAMES
    #include <cstdint>
    #include <cstring>
    /* How many pairs of 32-bit words of a name one round hashes, and how many keys the hash needs: two for each pair, two for
       the result of the previous round, and two for the length. */
    #define LOGLY_NAME_PAIRS 16
    #define LOGLY_NAME_KEYS (2 * LOGLY_NAME_PAIRS + 4)
    static uint64_t logly_name_keys[LOGLY_NAME_KEYS];
    static inline uint64_t logly_word(const char* data) {
        uint64_t word;
        memcpy(&word, data, 8);
        return word;
    }
    static inline uint64_t logly_hash_pair(uint64_t word, const uint64_t* key) {
        return (key[0] + (uint32_t)word) * (key[1] + (word >> 32));
    }
    /* One to seven bytes as one word. */
    static inline uint64_t logly_short_word(const char* data, size_t size) {
        if (size >= 4) {
            uint32_t first, last;
            memcpy(&first, data, 4);
            memcpy(&last, data + size - 4, 4);
            return (uint64_t)last << 32 | first;
        }
        return (uint8_t)data[0] | (uint64_t)(uint8_t)data[size / 2] << 8 | (uint64_t)(uint8_t)data[size - 1] << 16;
    }
    static inline uint32_t logly_hash_name(const char* data, size_t size) {
        const uint64_t* const fixed = logly_name_keys + 2 * LOGLY_NAME_PAIRS;
        uint64_t sum = fixed[0] + size * fixed[1];
        if (size < 8) {
            if (size) sum += logly_hash_pair(logly_short_word(data, size), logly_name_keys);
            return (uint32_t)(sum >> 32);
        }
        const char* const last = data + size - 8;
        if (size <= 16) {
            sum += logly_hash_pair(logly_word(data), logly_name_keys) + logly_hash_pair(logly_word(last), logly_name_keys + 2);
            return (uint32_t)(sum >> 32);
        }
        const uint64_t* key = logly_name_keys;
        while (data < last) {
            if (key == fixed) {
                key = logly_name_keys;
                sum = fixed[0] + logly_hash_pair(sum, fixed + 2);
            }
            sum += logly_hash_pair(logly_word(data), key);
            data += 8;
            key += 2;
        }
        /* The last eight bytes, some of which may have been hashed already. Together with the length they still tell names
           apart. */
        if (key == fixed) {
            key = logly_name_keys;
            sum = fixed[0] + logly_hash_pair(sum, fixed + 2);
        }
        sum += logly_hash_pair(logly_word(last), key);
        return (uint32_t)(sum >> 32);
    }
    #endif
    """
    uint64_t* name_keys "logly_name_keys"
    const size_t NAME_KEYS "LOGLY_NAME_KEYS"
    uint32_t hash_bytes "logly_hash_name"(const char* data, size_t size) noexcept
    uint64_t word_at "logly_word"(const char* data) noexcept
    uint64_t short_word "logly_short_word"(const char* data, size_t size) noexcept


cdef inline uint32_t hash_of(const Value* name) noexcept nogil:
    return hash_bytes(name.data, <size_t> name.count * unit_size(name.tag))


cdef inline void index_free(FieldIndex* index) noexcept nogil:
    free(index.entry)
    memset(index, 0, sizeof(FieldIndex))


# Makes room for `fields` names and at least twice as many slots, so that a search ends soon.
cdef inline bint index_reserve(FieldIndex* index, uint32_t fields) noexcept nogil:
    cdef uint32_t capacity = 128
    while capacity < fields:
        capacity *= 2
    if capacity <= index.capacity:
        return True
    free(index.entry)
    index.capacity = 0
    index.entry = <NameEntry*> malloc(capacity * sizeof(NameEntry) + 2 * capacity * sizeof(uint16_t))
    if index.entry == NULL:
        return False
    index.slot = <uint16_t*> (index.entry + capacity)
    index.capacity = capacity
    return True


# Returns the slot of a name: the one that has it, or the empty one where it belongs.
cdef inline uint16_t* index_slot(
    const FieldIndex* index, const RecordView* view, const Value* name, uint32_t hashed
) noexcept nogil:
    cdef uint32_t at = hashed & index.mask
    cdef const NameEntry* entry
    cdef Value other
    while index.slot[at]:
        entry = &index.entry[index.slot[at] - 1]
        if entry.hashed == hashed:
            get_value(view.fields + (entry.at & PLACE_OF_NAME), &other)
            if same_text(&other, name):
                break
        at = (at + 1) & index.mask
    return &index.slot[at]


# Makes the index empty, with room for the fields of this record. Returns False when there is no memory.
cdef inline bint index_begin(FieldIndex* index, const RecordView* view) noexcept nogil:
    cdef uint32_t fields = view.header.fields
    cdef uint32_t mask = 255
    if not index_reserve(index, fields):
        return False
    while mask + 1 < 2 * fields:
        mask = 2 * mask + 1
    memset(index.slot, 0, (mask + 1) * sizeof(uint16_t))
    index.mask = mask
    index.replaced = 0
    return True


# Adds field `number`, counted from 0, whose name is at `at`.
cdef inline void index_note(
    FieldIndex* index, const RecordView* view, uint32_t number, const char* at, const Value* name
) noexcept nogil:
    cdef uint32_t hashed = hash_of(name)
    cdef NameEntry* entry = index.entry
    cdef uint16_t* slot = index.slot + (hashed & index.mask)
    entry[number].hashed = hashed
    entry[number].at = <uint32_t> (at - view.fields)
    if slot[0]:
        slot = index_slot(index, view, name, hashed)
        if slot[0]:
            entry[slot[0] - 1].at |= IS_REPLACED
            index.replaced += 1
    slot[0] = <uint16_t> (number + 1)


cdef inline void index_fill(FieldIndex* index, const RecordView* view) noexcept nogil:
    cdef const char* at = view.fields
    cdef const char* start
    cdef Value name, value
    cdef uint32_t number
    for number in range(view.header.fields):
        start = at
        at = get_value(at, &name)
        at = get_value(at, &value)
        index_note(index, view, number, start, &name)


# Assigns the index to this record, if it is not yet, and returns it. It may not be made yet.
cdef inline FieldIndex* index_of(const RecordView* view) noexcept nogil:
    cdef FieldIndex* index = view.index
    if index.of != view.header:
        index.of = view.header
        index.lookups = 0
        index.is_made = False
    return index


# Is there an index of this record's names? It is made here when the record has many fields and names have been looked up often
# enough, provided there is memory.
cdef inline bint index_made(const RecordView* view) noexcept nogil:
    cdef FieldIndex* index
    if view.header.fields <= FEW_FIELDS or view.index == NULL:
        return False
    index = index_of(view)
    if index.is_made:
        return True
    index.lookups += 1
    if index.lookups <= FEW_LOOKUPS or not index_begin(index, view):
        return False
    index_fill(index, view)
    index.is_made = True
    return True


cdef inline bint index_find(const RecordView* view, const Value* key, Value* found) noexcept nogil:
    cdef const FieldIndex* index = view.index
    cdef uint16_t number = index_slot(index, view, key, hash_of(key))[0]
    cdef Value name
    if number == 0:
        return False
    get_value(get_value(view.fields + (index.entry[number - 1].at & PLACE_OF_NAME), &name), found)
    return True


# Finds the value of the last field with this key, so that a field of the call wins over one of bind or context.
cdef inline bint find_field(const RecordView* view, const Value* key, Value* found) noexcept nogil:
    cdef const char* at = view.fields
    cdef Value name, value
    cdef uint32_t _
    cdef bint there = False
    if index_made(view):
        return index_find(view, key, found)
    for _ in range(view.header.fields):
        at = get_value(at, &name)
        at = get_value(at, &value)
        if same_text(&name, key):
            found[0] = value
            there = True
    return there


# ---- walking over the fields that count: those that no later field replaces

# A walk makes the index on its way and assumes meanwhile that no name occurs twice. That is nearly always true, and then the
# fields are read only once. If the assumption was wrong, the written text is taken back at the end and the walk begins anew.
cdef struct FieldWalk:
    bint takes_all         # every field counts
    uint32_t number        # of the next field
    const char* at         # the next field
    size_t start           # where the text of the fields begins
    FieldIndex* index      # the index that this walk is making, or NULL


cdef inline void walk_begin(FieldWalk* walk, const RecordView* view, const Buffer* out) noexcept nogil:
    cdef FieldIndex* index
    walk.number = 0
    walk.at = view.fields
    walk.start = out.size
    walk.index = NULL
    walk.takes_all = view.header.flags & MAY_REPEAT == 0
    if walk.takes_all or view.header.fields <= FEW_FIELDS or view.index == NULL:
        return
    index = index_of(view)
    if index.is_made:
        walk.takes_all = index.replaced == 0
    elif index_begin(index, view):
        walk.index = index


cdef inline bint is_replaced(const RecordView* view, uint32_t number, const char* after, const Value* key) noexcept nogil:
    cdef Value name
    cdef uint32_t _
    if view.index != NULL and view.index.of == view.header and view.index.is_made:
        return view.index.entry[number].at & IS_REPLACED != 0
    for _ in range(number + 1, view.header.fields):
        after = get_value(after, &name)
        if same_text(&name, key):
            return True
        after = get_value(after, &name)
    return False


# Does field `number`, which lies from `start` to `after`, count? Called only when `takes_all` is False.
cdef inline bint walk_takes(
    FieldWalk* walk, const RecordView* view, uint32_t number, const char* start, const char* after, const Value* key
) noexcept nogil:
    # A lookup by name in between may have made the index.
    if walk.index != NULL and not walk.index.is_made:
        index_note(walk.index, view, number, start, key)
        return True
    return not is_replaced(view, number, after, key)


# Called after the last field. Returns True when the walk must begin anew, because it wrote fields that do not count.
cdef inline bint walk_again(FieldWalk* walk, const RecordView* view) noexcept nogil:
    if walk.index == NULL:
        return False
    walk.index.is_made = True
    walk.index = NULL
    return view.index.replaced != 0


# Reads the next field that counts; returns False after the last one. Only the text of fields may be written to `out` between
# two calls.
cdef inline bint walk_next(FieldWalk* walk, const RecordView* view, Buffer* out, Value* key, Value* value) noexcept nogil:
    cdef const char* begun
    while True:
        if walk.number == view.header.fields:
            if not walk_again(walk, view):
                return False
            walk.number = 0
            walk.at = view.fields
            out.size = walk.start
        begun = walk.at
        walk.at = get_value(get_value(begun, key), value)
        walk.number += 1
        if walk.takes_all or walk_takes(walk, view, walk.number - 1, begun, walk.at, key):
            return True


# ---- keys

cdef inline bint is_text(const char* data, uint32_t size, const char* literal, uint32_t length) noexcept nogil:
    cdef uint32_t i
    if size != length:
        return False
    for i in range(size):
        if data[i] != literal[i]:
            return False
    return True


# Is this one of the keys that every line of logfmt has (`is_named`: also every line of a logger with a name; `is_kept`: of a
# dump of the flight recorder)? Underscores are appended to the name of such a field until it is unique.
cdef inline bint is_reserved_key(const Value* key, bint is_named, bint is_kept) noexcept nogil:
    cdef const char* data = key.data
    cdef uint32_t size = key.count
    if key.tag != TAG_UTF8 or size < 5 or size > 9:
        return False
    return (
        is_text(data, size, b"level", 5) or is_text(data, size, b"message", 7) or is_text(data, size, b"module", 6)
        or is_text(data, size, b"lineno", 6) or is_text(data, size, b"function", 8)
        or is_text(data, size, b"timestamp", 9) or is_text(data, size, b"exception", 9)
        or (is_named and is_text(data, size, b"logger", 6)) or (is_kept and is_text(data, size, b"recorder", 8))
    )


# Writes the key with underscores until no other field has the name. The loop ends, because the number of fields is finite.
cdef inline void write_free_key(Buffer* out, const Value* key, const RecordView* view) noexcept nogil:
    cdef Value name, ignored
    cdef size_t start = out.size
    buffer_append(out, key.data, key.count)
    name.tag = TAG_UTF8
    while not out.failed:
        buffer_put(out, c'_')
        name.data = out.data + start
        name.count = <uint32_t> (out.size - start)
        if not find_field(view, &name, &ignored):
            break


# Writes the key of the call's stack: "stack", which fields may have as a name, too. The field keeps it then.
cdef inline void write_stack_key(Buffer* out, const RecordView* view) noexcept nogil:
    cdef Value key, ignored
    key.tag = TAG_UTF8
    key.data = b"stack"
    key.count = 5
    if find_field(view, &key, &ignored):
        write_free_key(out, &key, view)
    else:
        buffer_append(out, b"stack", 5)
