# The process's call sites. Calls find them by the code object and the instruction in it. A record whose call site has no place
# here contains the site itself.
#
# A code object is not kept alive: when it ends, its call sites are given up before another one can get its address.

import sys
from _weakref import ref as weakref
from types import TracebackType

from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from logly.layout.line cimport MAX_SITES, Site, base_name, hash_of_site
from logly.layout.trace cimport Place
from logly.registry.call_site cimport KEYED_BIT
from logly.registry.numbers cimport number_return, number_take
from logly.registry.table cimport Table, table_find, table_insert, table_remove, table_replace
from logly.ring.leases cimport FREE_THREADED
from logly.ring.ring cimport new_id
from logly.system.atomic cimport (
    load_pointer, load_relaxed, load_relaxed32, store_pointer, store_relaxed, store_relaxed32,
)
from logly.system.cpython cimport (
    KNOWS_GLOBALS, METH_O, PyCFunction, PyCFunction_New, PyMethodDef, Py_DecRef, Py_IncRef, interpreter_ends,
    namespace_keep, namespace_key, namespaces_begin,
)

# Of other included files:
#   registry/name_entries.pxi: site_is_stored
#   registry/places.pxi: let_place_go, place_table
#   registry/retired.pxi: Hand, all_sites, collect_retired, enter_registry, hand_looks, hand_moves, is_crowded,
#       is_new_child, registry_lock, retire_site, site_numbers
#   system/threads.pxi: SystemLock
#   text/owned_text.pxi: copy_text, utf8

cdef enum:
    MAX_MODULES = 64         # how many modules one code object may run as code of
    MUCH_CODE = 1024         # more code objects have ended, so the program makes code all the time
    SEEN_SITES = 4096        # a power of two
    ADMITTED = 16            # one of so many is taken at its first sight, because two may have one slot of `seen_sites`

cdef Table site_table
cdef Hand site_hand
cdef dict code_watches = {}                # address of a code object -> its CodeWatch
cdef uint64_t ended_code = 0
cdef uint64_t sights = 0
cdef uint64_t seen_sites[SEEN_SITES]       # hashes of call sites that have logged once

cdef str NAME_KEY = sys.intern("__name__")

UNKNOWN_LOCATION = ("?", "?", "?", 0)


cdef object location_of(object frame):
    """(code, globals, last instruction, line) of a frame, or of a traceback's entry: where it failed."""
    if isinstance(frame, TracebackType):
        return (frame.tb_frame.f_code, frame.tb_frame.f_globals, frame.tb_lasti, frame.tb_lineno or 0)
    return (frame.f_code, frame.f_globals, frame.f_lasti, frame.f_lineno or 0)


cdef object name_in_namespace(object globals_):
    """The module's name in a dict of globals. `dict.get` also ignores what a subclass of dict overrides."""
    return dict.get(globals_, "__name__") if isinstance(globals_, dict) else None


cdef str module_of(object globals_):
    name = name_in_namespace(globals_)
    return str.__str__(name) if isinstance(name, str) else "?"


cdef tuple describe_location(tuple location):
    """(module, function, path, line)"""
    code = location[0]
    return (module_of(location[1]), code.co_name, code.co_filename, location[3])


cdef Site* new_site(tuple description) except NULL:
    cdef Site* site = <Site*> calloc(1, sizeof(Site))
    cdef uint32_t size
    if site == NULL:
        raise MemoryError
    try:
        site.module = copy_text(utf8(description[0]))
        site.function = copy_text(utf8(description[1]))
        site.path = copy_text(utf8(description[2]))
        site.line = description[3]
        site.is_odd = not (description[0] + description[1] + description[2]).isprintable()
    except BaseException:
        free_site(site)
        raise
    site.serial = new_id()
    site.alike = hash_of_site(site.module, site.function, site.path, site.line)
    site.filename.data = base_name(site.path.data, site.path.size, &size)
    site.filename.size = size
    return site


# The key of a namespace is no longer valid, because the namespace dies or gets another name. The interpreter calls this in the
# middle of that change, so it runs no Python code and takes no lock.
cdef void forget_namespace(uint64_t key) noexcept nogil:
    cdef Site* site
    cdef uint32_t i
    for i in range(1, load_relaxed32(&site_numbers.begun)):
        site = load_pointer(&all_sites[i])
        if site != NULL and load_relaxed(&site.globals_key) == key:
            store_relaxed(&site.globals_key, 0)


namespaces_begin(<PyObject*> NAME_KEY, forget_namespace)


cdef void free_site(Site* site) noexcept:
    if site == NULL:
        return
    free(<void*> site.module.data)
    free(<void*> site.function.data)
    free(<void*> site.path.data)
    if site.name != NULL:
        Py_DecRef(<PyObject*> site.name)
    free(site)


cdef void free_sites(Site* site) noexcept:
    """Frees all sites of one place."""
    cdef Site* older
    while site != NULL:
        older = site.older
        free_site(site)
        site = older


cdef class CodeWatch:
    """Gives up the call sites of a code object when that ends."""


cdef PyObject* end_of_code(PyObject* watch, PyObject* reference) noexcept:
    """Called in the middle of the end of a code object, so it makes no objects, and does not raise."""
    forget_code(<CodeWatch> watch)
    Py_IncRef(<PyObject*> None)
    return <PyObject*> None


cdef PyMethodDef end_of_code_method = PyMethodDef(b"end_of_code", <PyCFunction> end_of_code, METH_O, NULL)


cdef CodeWatch watch_code(object code):
    cdef object key = <uint64_t> <PyObject*> code
    cdef CodeWatch watch = code_watches.get(key)
    cdef CodeWatch other
    if watch is None:
        watch = CodeWatch()
        watch.key = key
        watch.reference = weakref(code, PyCFunction_New(&end_of_code_method, watch))
        # The garbage collector may have run, and with it a __del__ that logs from the same code.
        other = code_watches.get(key)
        if other is None:
            code_watches[key] = watch
        else:
            watch.reference = None
            watch = other
    return watch


cdef void forget_code(CodeWatch watch) noexcept:
    global ended_code
    cdef Site* site
    cdef Place* place
    # Without a GIL the garbage collector tells of code that is to be cleared before it runs the last __del__s, which may log. At
    # the end of the interpreter they could not even learn the names of their modules again.
    if FREE_THREADED and interpreter_ends():
        return
    # With a GIL nothing is in the middle of a change here. Without one the lock is needed, but signal handlers must not run.
    if FREE_THREADED and not is_new_child:
        registry_lock.take_without_signals()
    ended_code += 1
    while watch.first != NULL:
        site = watch.first
        watch.first = site.of_code
        table_remove(&site_table, site.code, site.instruction)
        retire_site(site)
    while watch.first_place != NULL:
        place = watch.first_place
        watch.first_place = place.of_code
        table_remove(&place_table, place.code, place.where)
        let_place_go(place)
    drop_watch(watch)
    if FREE_THREADED and not is_new_child:
        registry_lock.give()


cdef void drop_watch(CodeWatch watch) noexcept:
    cdef dict watches = code_watches
    cdef object reference = watch.reference  # dropped at the end of this function, when nothing refers to the watch any more
    watch.reference = None
    if watches is not None:
        watches.pop(watch.key, None)


cdef void drop_empty_watch(CodeWatch watch) noexcept:
    if watch.first == NULL and watch.first_place == NULL:
        drop_watch(watch)


cdef void give_up_site(Site* site) noexcept:
    """With a GIL only. The code lives and may log again from there."""
    cdef CodeWatch watch = <CodeWatch> site.watch
    cdef Site* before = <Site*> table_find(&site_table, site.code, site.instruction)
    cdef Site** link = &watch.first
    if before != site:
        while before.next != site:
            before = before.next
        store_pointer(&before.next, site.next)
    elif site.next != NULL:
        table_replace(&site_table, site.code, site.instruction, site.next)
    else:
        table_remove(&site_table, site.code, site.instruction)
    while link[0] != site:
        link = &link[0].of_code
    link[0] = site.of_code
    retire_site(site)
    drop_empty_watch(watch)


cdef void look_at_sites(uint32_t looks) noexcept:
    """Gives up call sites that no record has named for a while, where the table gets full."""
    cdef Site* site
    cdef uint32_t i
    for i in range(min(looks, site_numbers.begun)):
        site = all_sites[hand_moves(&site_hand, &site_numbers)]
        if site == NULL or site.watch == NULL:
            continue
        if load_relaxed32(&site.used):
            store_relaxed32(&site.used, 0)
        elif site.pins == 0 and is_crowded(&site_numbers):
            give_up_site(site)


cdef bint is_first_sight(uint64_t code, uint64_t instruction) noexcept:
    """A program that makes code all the time often runs it once. Then an instruction gets a place only when it comes again."""
    global sights
    cdef uint64_t mixed = (code ^ instruction << 40) * <uint64_t> 0x9E3779B97F4A7C15
    cdef uint64_t* seen = &seen_sites[mixed >> 52]
    cdef bint is_first = load_relaxed(seen) != mixed
    store_relaxed(seen, mixed)
    sights += 1
    return is_first and ended_code > MUCH_CODE and sights % ADMITTED != 0


cdef uint32_t register_site(tuple location) except? 0:
    """The number of a location's site; 0 when it has no place."""
    cdef object code = location[0]
    cdef uint64_t key = <uint64_t> <PyObject*> code
    cdef uint64_t instruction = <uint64_t> location[2] + 1
    cdef uint64_t namespace = namespace_key(<PyObject*> location[1]) if KNOWS_GLOBALS else 0
    cdef Site* site = <Site*> table_find(&site_table, key, instruction)
    cdef SystemLock registry
    while site != NULL:
        if load_relaxed(&site.globals_key) == namespace:
            return site.id
        site = load_pointer(&site.next)
    if is_new_child:
        return 0  # as in register_template
    registry = enter_registry()
    try:
        collect_retired()
        look_at_sites(hand_looks(&site_hand, &site_numbers))
        return find_or_place_site(location, key, instruction)
    finally:
        registry.give()


cdef uint32_t find_or_place_site(tuple location, uint64_t key, uint64_t instruction) except? 0:
    """Called with the registry's lock held."""
    cdef object name = name_in_namespace(location[1])
    cdef tuple description = describe_location(location)
    cdef bytes module = utf8(description[0])
    cdef Site* last = NULL
    cdef Site* site = <Site*> table_find(&site_table, key, instruction)
    cdef int modules = 0
    while site != NULL:
        if site.module.data[: site.module.size] == module:
            set_site_namespace(site, name, location[1])
            return site.id
        modules += 1
        last = site
        site = load_pointer(&site.next)
    if modules == 1 and name is None and interpreter_ends():
        return last.id  # the ending interpreter has cleared the module, its name included
    if modules >= MAX_MODULES or (modules == 0 and is_first_sight(key, instruction)):
        return 0
    return place_site(location, description, name)


cdef uint32_t register_keyed_site(tuple location, tuple description, uint64_t key) except? 0:
    """The number of the site of this location and key, which shows this (module, function, path, line); 0: it has no place."""
    cdef uint64_t code = <uint64_t> <PyObject*> location[0]
    cdef tuple keyed = (location[0], None, location[2] | <uint64_t> KEYED_BIT, location[3])
    cdef uint64_t instruction = <uint64_t> keyed[2] + 1
    cdef SystemLock registry
    if is_new_child:
        return 0  # as in register_template
    registry = enter_registry()
    try:
        collect_retired()
        look_at_sites(hand_looks(&site_hand, &site_numbers))
        return find_or_place_keyed_site(keyed, description, code, instruction, key)
    finally:
        registry.give()


cdef uint32_t find_or_place_keyed_site(
    tuple location, tuple description, uint64_t code, uint64_t instruction, uint64_t key
) except? 0:
    """Called with the registry's lock held."""
    cdef Site* site = <Site*> table_find(&site_table, code, instruction)
    cdef uint32_t number
    cdef int keys = 0
    while site != NULL:
        if load_relaxed(&site.globals_key) == key:
            return site.id
        keys += 1
        site = load_pointer(&site.next)
    if keys >= MAX_MODULES or (keys == 0 and is_first_sight(code, instruction)):
        return 0
    number = place_site(location, description, None)
    if number:
        store_relaxed(&all_sites[number & (MAX_SITES - 1)].globals_key, key)
    return number


cdef uint32_t place_site(tuple location, tuple description, object name) except? 0:
    """Called with the registry's lock held."""
    cdef uint64_t key = <uint64_t> <PyObject*> location[0]
    cdef Site* site = NULL
    cdef CodeWatch watch
    cdef bint is_placed = False
    try:
        site = new_site(description)
        site.code = key
        site.instruction = <uint64_t> location[2] + 1
        site.id = number_take(&site_numbers)
        if site.id:
            store_pointer(&all_sites[site.id & (MAX_SITES - 1)], site)
            if site_is_stored(site):
                # Last, because what is above may run the garbage collector, and with it a __del__ that logs from the same code.
                # That call may drop the watch, and a watch that was dropped does not hear of the code's end.
                watch = watch_code(location[0])
                is_placed = link_site(site)
                if is_placed:
                    site.watch = <void*> watch
                    site.of_code = watch.first
                    watch.first = site
                else:
                    drop_empty_watch(watch)
    finally:
        if not is_placed:
            discard_site(site)
    if not is_placed:
        return 0
    set_site_namespace(site, name, location[1])
    return site.id


cdef bint link_site(Site* site) noexcept:
    """Has calls find the site. False: there is no memory."""
    cdef Site* last = <Site*> table_find(&site_table, site.code, site.instruction)
    if last == NULL:
        return table_insert(&site_table, site.code, site.instruction, site)
    while last.next != NULL:
        last = last.next
    store_pointer(&last.next, site)
    return True


cdef void discard_site(Site* site) noexcept:
    """Frees a site that no record has named."""
    if site != NULL and site.id:
        all_sites[site.id & (MAX_SITES - 1)] = NULL
        number_return(&site_numbers, site.id)
    free_site(site)


cdef void set_site_namespace(Site* site, object name, object globals_):
    """Makes the site that of calls from the namespace `globals_`, in which `name` is the module's name."""
    cdef PyObject* before = <PyObject*> site.name
    if name is None:
        store_pointer(&site.name, NULL)
    elif type(name) is str:
        # The site keeps the str alive. Else a str of another name might get its address. (Not that of a subclass, which may have
        # a __del__ that logs.)
        Py_INCREF(name)
        store_pointer(&site.name, <void*> name)
        if KNOWS_GLOBALS:
            namespace_keep(<PyObject*> globals_, <PyObject*> name, &site.globals_key)
    else:
        return  # such a name cannot be compared by identity: each call takes the careful way
    if before != NULL:
        Py_DecRef(before)
