# The process's places: entries of tracebacks, whose text has been made once. They are found by the code object, and the
# instruction and the line that the traceback names.

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from logly.layout.trace cimport MAX_PLACES, Place
from logly.registry.numbers cimport number_return, number_take
from logly.registry.table cimport Table, table_find, table_insert, table_remove
from logly.ring.leases cimport FREE_THREADED
from logly.system.atomic cimport load_relaxed32, store_pointer, store_relaxed32
from logly.system.cpython cimport traced_code

# Of other included files:
#   registry/name_entries.pxi: place_era, place_is_stored
#   registry/retired.pxi: Hand, Pins, all_places, collect_retired, enter_registry, hand_looks, hand_moves, is_crowded,
#       is_new_child, pin_places, place_numbers, retire_place, unpin
#   registry/sites.pxi: MUCH_CODE, CodeWatch, drop_empty_watch, ended_code, watch_code
#   system/threads.pxi: SystemLock
#   text/owned_text.pxi: copy_text, utf8

cdef enum:
    MOST_PLACE_BYTES = 1 << 23   # of texts, all together
    SEEN_PLACES = 1 << 12

cdef Table place_table
cdef Hand place_hand
cdef uint64_t place_bytes = 0
cdef uint64_t seen_places[SEEN_PLACES]     # pairs of entries that have been seen; under 2,048 numbers


cdef inline Place* find_place(PyObject* entry) noexcept:
    """The place of a traceback's entry, or NULL."""
    cdef uint64_t where = 0
    cdef PyObject* code = traced_code(entry, &where)
    return <Place*> table_find(&place_table, <uint64_t> code, where)


cdef inline bint is_usable(const Place* place) noexcept:
    """Whether a record may name the place. Else it is stored first."""
    return place != NULL and place.era == place_era


cdef bint store_place_again(PyObject* entry) except -1:
    """Has the spools store the place of a traceback's entry that have begun since it was stored. False: it cannot be named."""
    cdef Pins pins = Pins(NULL, NULL, False)
    cdef SystemLock registry
    cdef Place* place
    cdef uint32_t era
    cdef bint is_stored = False
    if is_new_child:
        return False  # as in register_template
    registry = enter_registry()
    era = place_era
    pin_places(&pins)  # the garbage collector may run, and with it a __del__ that gives up this place
    try:
        place = find_place(entry)
        is_stored = place != NULL and place_is_stored(place)
        if is_stored:
            place.era = era
    finally:
        unpin(&pins)
        registry.give()
    return is_stored


cdef bint register_place(object entry, str text, object alike) except -1:
    """Gives a traceback's entry a place, if there is room for one. `alike`: equal for what `traceback` takes for the same."""
    cdef uint64_t where = 0
    cdef PyObject* code = traced_code(<PyObject*> entry, &where)
    cdef bytes encoded = utf8(text)
    cdef SystemLock registry
    if is_new_child:
        return False  # as in register_template
    registry = enter_registry()
    try:
        collect_retired()
        look_at_places(hand_looks(&place_hand, &place_numbers))
        if table_find(&place_table, <uint64_t> code, where) != NULL:
            return True
        if place_bytes + len(encoded) > MOST_PLACE_BYTES or is_new_place(<uint64_t> code, where):
            return False
        return put_place(<object> code, where, encoded, <uint64_t> <int64_t> alike)
    finally:
        registry.give()


cdef bint is_new_place(uint64_t code, uint64_t where) noexcept:
    """As `is_first_sight`. All entries of a traceback come at once, so no two of them may drive each other out for ever."""
    cdef uint64_t mixed = (code ^ where << 40 ^ where >> 24) * <uint64_t> 0x9E3779B97F4A7C15
    cdef uint64_t* seen = &seen_places[2 * (mixed >> 53)]
    if seen[0] == mixed or seen[1] == mixed:
        return False
    seen[1] = seen[0]
    seen[0] = mixed
    return ended_code > MUCH_CODE


cdef bint put_place(object code, uint64_t where, bytes text, uint64_t alike) except -1:
    """Called with the registry's lock held."""
    global place_bytes
    cdef CodeWatch watch
    cdef Place* place = <Place*> calloc(1, sizeof(Place))
    cdef bint is_placed = False
    cdef bint is_known = False
    cdef uint32_t era
    try:
        if place == NULL:
            raise MemoryError
        place.text = copy_text(text)
        place.alike = alike
        place.code = <uint64_t> <PyObject*> code
        place.where = where
        place.id = number_take(&place_numbers)
        if place.id:
            store_pointer(&all_places[place.id & (MAX_PLACES - 1)], place)
            era = place_era
            if place_is_stored(place):
                place.era = era
                # Last, because what is above may run the garbage collector, and with it a __del__ that logs the same exception.
                watch = watch_code(code)
                is_known = table_find(&place_table, place.code, where) != NULL
                is_placed = not is_known and table_insert(&place_table, place.code, where, place)
                if is_placed:
                    place.watch = <void*> watch
                    place.of_code = watch.first_place
                    watch.first_place = place
                    place_bytes += place.text.size
                drop_empty_watch(watch)
    finally:
        if not is_placed:
            discard_place(place)
    return is_placed or is_known


cdef void discard_place(Place* place) noexcept:
    """Frees a place that no record has named."""
    if place != NULL and place.id:
        all_places[place.id & (MAX_PLACES - 1)] = NULL
        number_return(&place_numbers, place.id)
    free_place(place)


cdef void free_place(Place* place) noexcept:
    if place != NULL:
        free(<void*> place.text.data)
    free(place)


cdef void free_places(Place* place) noexcept:
    """Frees all places of one number's place in the table."""
    cdef Place* older
    while place != NULL:
        older = place.older
        free_place(place)
        place = older


cdef bint look_at_places(uint32_t looks) except -1:
    """Gives up places that no record has named for a while, where the table or the memory for texts gets full."""
    cdef Place* place
    cdef uint32_t i
    if not FREE_THREADED and place_bytes > MOST_PLACE_BYTES // 2:
        looks = max(looks, <uint32_t> 8)
    for i in range(min(looks, place_numbers.begun)):
        place = all_places[hand_moves(&place_hand, &place_numbers)]
        if place == NULL or place.watch == NULL:
            continue
        if load_relaxed32(&place.used):
            store_relaxed32(&place.used, 0)
        elif is_crowded(&place_numbers) or place_bytes > MOST_PLACE_BYTES // 2:
            give_up_place(place)
    return True


cdef void give_up_place(Place* place) noexcept:
    """With a GIL only. The code lives and may fail there again."""
    cdef CodeWatch watch = <CodeWatch> place.watch
    cdef Place** link = &watch.first_place
    table_remove(&place_table, place.code, place.where)
    while link[0] != place:
        link = &link[0].of_code
    link[0] = place.of_code
    let_place_go(place)
    drop_empty_watch(watch)


cdef void let_place_go(Place* place) noexcept:
    """The place is in no table any more."""
    global place_bytes
    place_bytes -= place.text.size
    retire_place(place)
