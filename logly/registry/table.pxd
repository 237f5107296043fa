"""A hash table from two words to a pointer: lock-free to read, written by one thread at a time.

Open addressing with linear probing and Fibonacci hashing (Knuth, TAOCP 6.4). With a GIL nobody reads the table while it is
changed. So an entry is removed by moving those behind it forward (Algorithm R), and an array is freed when the table has got
another one.

Without a GIL a reader may be anywhere at any time. An entry that was removed keeps its slot, without a value, until another entry
takes the slot; a reader looks at the key again after it has read the value. Arrays that were replaced stay, because a reader may
still be in one, up to REPLACED_BYTES; then the table takes no more entries.
"""

from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free

from logly.ring.leases cimport FREE_THREADED
from logly.system.assertions cimport assert_that
from logly.system.atomic cimport load_acquire, load_pointer, load_relaxed, store_pointer, store_relaxed, store_release

cdef enum:
    REPLACED_BYTES = 1 << 25


cdef struct Slot:
    uint64_t key           # 0: empty. Published after the other two
    uint64_t extra
    void* value            # NULL: removed


cdef struct Slots:
    uint64_t mask
    int shift
    Slot* slot
    Slots* before          # without a GIL: the array that this one replaced


cdef struct Table:
    Slots* slots           # replaced as a whole when the table grows
    uint64_t count         # slots in use, without a GIL also those of removed entries
    uint64_t live          # entries
    uint64_t replaced      # bytes of arrays that were replaced and stay


cdef inline uint64_t slot_index(const Slots* slots, uint64_t key, uint64_t extra) noexcept nogil:
    return ((key ^ (extra << 32)) * <uint64_t> 0x9E3779B97F4A7C15) >> slots.shift


cdef inline void* table_find(Table* table, uint64_t key, uint64_t extra) noexcept nogil:
    cdef Slots* slots = load_pointer(&table.slots)
    cdef uint64_t i, found
    if slots == NULL:
        return NULL
    i = slot_index(slots, key, extra)
    while True:
        # Acquire: pairs with the release in slots_put, so that `extra` and `value` are visible.
        found = load_acquire(&slots.slot[i].key)
        if found == key and load_relaxed(&slots.slot[i].extra) == extra:
            return slot_value(&slots.slot[i], key)
        if found == 0:
            return NULL
        i = (i + 1) & slots.mask


# Without a GIL the slot may have been given to another key since. That key is stored before its value.
cdef inline void* slot_value(const Slot* slot, uint64_t key) noexcept nogil:
    cdef void* value
    if not FREE_THREADED:
        return slot.value
    value = load_pointer(&slot.value)
    return value if load_relaxed(&slot.key) == key else NULL


cdef inline Slots* slots_new(int bits) noexcept nogil:
    cdef Slots* slots = <Slots*> calloc(1, sizeof(Slots))
    if slots == NULL:
        return NULL
    slots.slot = <Slot*> calloc(<size_t> 1 << bits, sizeof(Slot))
    slots.mask = (<uint64_t> 1 << bits) - 1
    slots.shift = 64 - bits
    return slots if slots.slot != NULL else NULL


# Returns whether the entry took a slot that was empty.
cdef inline bint slots_put(Slots* slots, uint64_t key, uint64_t extra, void* value) noexcept nogil:
    cdef uint64_t i = slot_index(slots, key, extra)
    cdef Slot* removed = NULL
    assert_that(key != 0)
    while slots.slot[i].key != 0:
        if slots.slot[i].key == key and slots.slot[i].extra == extra:
            store_pointer(&slots.slot[i].value, value)
            return False
        if removed == NULL and slots.slot[i].value == NULL:
            removed = &slots.slot[i]
        i = (i + 1) & slots.mask
    if removed != NULL:
        store_relaxed(&removed.extra, extra)
        store_release(&removed.key, key)
        store_pointer(&removed.value, value)
        return False
    store_relaxed(&slots.slot[i].extra, extra)
    store_pointer(&slots.slot[i].value, value)
    store_release(&slots.slot[i].key, key)
    return True


# Returns False when there is no memory. The caller has made sure that the key is not in the table, and holds the writers'
# lock (or the GIL).
cdef inline bint table_insert(Table* table, uint64_t key, uint64_t extra, void* value) noexcept nogil:
    assert_that(table_find(table, key, extra) == NULL)
    # The table is at most half full, so that a search for a missing key ends soon.
    if (table.slots == NULL or 2 * (table.count + 1) > table.slots.mask + 1) and not table_renew(table):
        return False
    table.count += slots_put(table.slots, key, extra, value)
    table.live += 1
    return True


# Gives the table an array of a size that fits its entries.
cdef inline bint table_renew(Table* table) noexcept nogil:
    cdef Slots* old = table.slots
    cdef Slots* slots
    cdef int bits = 8
    cdef uint64_t i
    while <uint64_t> 1 << bits < 3 * (table.live + 1):
        bits += 1
    if FREE_THREADED and old != NULL:
        if table.replaced > REPLACED_BYTES:
            return False
        table.replaced += (old.mask + 1) * sizeof(Slot)
    slots = slots_new(bits)
    if slots == NULL:
        return False
    table.count = 0
    if old != NULL:
        for i in range(old.mask + 1):
            if old.slot[i].key != 0 and old.slot[i].value != NULL:
                table.count += slots_put(slots, old.slot[i].key, old.slot[i].extra, old.slot[i].value)
    slots.before = old
    store_pointer(&table.slots, slots)
    if not FREE_THREADED and old != NULL:
        slots.before = NULL
        free(old.slot)
        free(old)
    return True


# Gives an entry another value. Does nothing when there is no such entry.
cdef inline void table_replace(Table* table, uint64_t key, uint64_t extra, void* value) noexcept nogil:
    if table_find(table, key, extra) != NULL:
        slots_put(table.slots, key, extra, value)


# Removes an entry, if it is there.
cdef inline void table_remove(Table* table, uint64_t key, uint64_t extra) noexcept nogil:
    cdef Slots* slots = table.slots
    cdef uint64_t hole, i, home
    if table_find(table, key, extra) == NULL:
        return
    hole = slot_index(slots, key, extra)
    while slots.slot[hole].key != key or slots.slot[hole].extra != extra:
        hole = (hole + 1) & slots.mask
    table.live -= 1
    if FREE_THREADED:
        store_pointer(&slots.slot[hole].value, <void*> NULL)
        return
    table.count -= 1
    i = hole
    while True:
        i = (i + 1) & slots.mask
        if slots.slot[i].key == 0:
            break
        # An entry stays if the place where its search begins lies behind the hole, up to its own place (in the cyclic order).
        home = slot_index(slots, slots.slot[i].key, slots.slot[i].extra)
        if ((i - home) & slots.mask) >= ((i - hole) & slots.mask):
            slots.slot[hole] = slots.slot[i]
            hole = i
    slots.slot[hole].key = 0
    slots.slot[hole].value = NULL


# Frees the table's arrays. Nobody uses the table any more.
cdef inline void table_free(Table* table) noexcept nogil:
    cdef Slots* slots = table.slots
    cdef Slots* before
    while slots != NULL:
        before = slots.before
        free(slots.slot)
        free(slots)
        slots = before
    table.slots = NULL
