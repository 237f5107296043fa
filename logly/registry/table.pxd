"""A hash table from two words to a pointer: lock-free to read, written by one thread at a time.

Open addressing with linear probing and Fibonacci hashing (Knuth, TAOCP 6.4). With a GIL nobody reads the table while it is
changed. So an entry is removed by moving those behind it forward (Algorithm R), and a smaller array is freed when the table has
grown. Without a GIL a reader may be anywhere at any time: an entry that was removed keeps its key and has no value, and the
smaller arrays stay.
"""

from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free

from logly.ring.leases cimport FREE_THREADED
from logly.system.assertions cimport assert_that
from logly.system.atomic cimport load_acquire, load_pointer, store_pointer, store_release

cdef struct Slot:
    uint64_t key           # 0: empty. Published after the other two
    uint64_t extra
    void* value            # NULL: removed


cdef struct Slots:
    uint64_t mask
    int shift
    Slot* slot
    Slots* before          # without a GIL: the smaller array that this one replaced


cdef struct Table:
    Slots* slots           # replaced as a whole when the table grows
    uint64_t count         # entries, without a GIL also removed ones


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
        if found == key and slots.slot[i].extra == extra:
            return load_pointer(&slots.slot[i].value)
        if found == 0:
            return NULL
        i = (i + 1) & slots.mask


cdef inline Slots* slots_new(int bits) noexcept nogil:
    cdef Slots* slots = <Slots*> calloc(1, sizeof(Slots))
    if slots == NULL:
        return NULL
    slots.slot = <Slot*> calloc(<size_t> 1 << bits, sizeof(Slot))
    slots.mask = (<uint64_t> 1 << bits) - 1
    slots.shift = 64 - bits
    return slots if slots.slot != NULL else NULL


cdef inline void slots_put(Slots* slots, uint64_t key, uint64_t extra, void* value) noexcept nogil:
    cdef uint64_t i = slot_index(slots, key, extra)
    assert_that(key != 0)
    while slots.slot[i].key != 0:
        if slots.slot[i].key == key and slots.slot[i].extra == extra:
            store_pointer(&slots.slot[i].value, value)
            return
        i = (i + 1) & slots.mask
    slots.slot[i].extra = extra
    store_pointer(&slots.slot[i].value, value)
    store_release(&slots.slot[i].key, key)


# Returns False when there is no memory. The caller has made sure that the key is not in the table, and holds the writers'
# lock (or the GIL).
cdef inline bint table_insert(Table* table, uint64_t key, uint64_t extra, void* value) noexcept nogil:
    cdef Slots* old = table.slots
    cdef Slots* slots = old
    cdef uint64_t i
    # The table is at most half full, so that a search for a missing key ends soon.
    if old == NULL or 2 * (table.count + 1) > old.mask + 1:
        slots = slots_new(8 if old == NULL else 64 - old.shift + 1)
        if slots == NULL:
            return False
        if old != NULL:
            for i in range(old.mask + 1):
                if old.slot[i].key != 0 and old.slot[i].value != NULL:
                    slots_put(slots, old.slot[i].key, old.slot[i].extra, old.slot[i].value)
    assert_that(table_find(table, key, extra) == NULL)
    slots_put(slots, key, extra, value)
    table.count += 1
    if slots != old:
        table.count = slots_count(slots)
        store_pointer(&table.slots, slots)
        if FREE_THREADED:
            slots.before = old
        elif old != NULL:
            free(old.slot)
            free(old)
    return True


cdef inline uint64_t slots_count(const Slots* slots) noexcept nogil:
    cdef uint64_t i
    cdef uint64_t count = 0
    for i in range(slots.mask + 1):
        count += slots.slot[i].key != 0
    return count


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
