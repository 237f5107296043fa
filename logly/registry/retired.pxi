# Numbers of templates and call sites: which are given, and when the number of a name that was given up may be given again.
#
# A name is given up when the program has let it go, or when its table gets full and no record has named it for a while. No later
# record names it then, but earlier ones may still be in a ring. So the name is retired first: it keeps its number and its memory
# until every engine has passed the records that it had when the name was retired.

from _weakref import ref as weakref

from libc.stdint cimport int64_t, uint32_t, uint64_t

from logly.layout.line cimport MAX_SITES, Site, has_trace
from logly.layout.message cimport MAX_TEMPLATES, Program
from logly.layout.trace cimport MAX_PLACES, Place
from logly.registry.numbers cimport Numbers, number_return, numbers_are_left, numbers_given
from logly.ring.leases cimport FREE_THREADED
from logly.ring.ring cimport NO_MARK, ReadMark
from logly.system.atomic cimport store_pointer
from logly.system.clock cimport clock_monotonic_ns

# Of other included files:
#   registry/name_entries.pxi: remember_weakly
#   registry/places.pxi: free_place
#   registry/program.pxi: free_program
#   registry/sites.pxi: free_site
#   system/threads.pxi: SystemLock

cdef enum:
    LOOK_NS = 5_000_000           # how often it is looked whether the engines have passed
    TURN_LEAST_NS = 100_000_000   # how long a full table takes to look at each of its entries once

cdef Program* all_programs[MAX_TEMPLATES]
cdef Site* all_sites[MAX_SITES]
cdef uint32_t next_templates[MAX_TEMPLATES]
cdef Place* all_places[MAX_PLACES]
cdef uint32_t next_sites[MAX_SITES]
cdef uint32_t next_places[MAX_PLACES]
cdef Numbers template_numbers = Numbers(MAX_TEMPLATES, MAX_TEMPLATES, 0, 0, &next_templates[0])
cdef Numbers place_numbers = Numbers(MAX_PLACES, MAX_PLACES, 0, 0, &next_places[0])
cdef Numbers site_numbers = Numbers(MAX_SITES, MAX_SITES, 0, 0, &next_sites[0])

# The lock is reentrant, because the garbage collector may run while it is held, and with it a __del__ that logs.
cdef SystemLock registry_lock = SystemLock()

cdef bint is_new_child = False       # True in a forked child from `begin_child` until Python's hook has run


# Takes the lock and returns it; the caller releases it. A ``with`` is not used, because Cython's makes objects when an exception
# leaves it, and without memory for them the lock would stay taken.
cdef SystemLock enter_registry():
    cdef SystemLock lock = registry_lock
    lock.take()
    return lock


# ---- which engines there are

cdef class RecordReader:
    """What reads records, which name templates and call sites by number: an engine."""

    cdef bint has_passed(self, ReadMark* mark) noexcept:
        """Whether no record is left of those that there were when `mark` was set. NO_MARK: it is set now, if possible."""
        return True


cdef class ReaderMark:
    """Up to where a reader must have come."""


cdef list record_readers = []        # weak references, changed with the registry's lock held


cdef remember_reader(RecordReader reader):
    cdef SystemLock registry
    registry = enter_registry()
    try:
        remember_weakly(record_readers, reader)
    finally:
        registry.give()


cdef list living_readers():
    cdef list living = []
    for known in list(record_readers):
        reader = known()
        if reader is not None:
            living.append(reader)
    return living


# ---- retired names

# Linked by `retired`. The first three wait for the next look, the others for the marks.
cdef Program* retired_programs
cdef Site* retired_sites
cdef Place* retired_places
cdef Program* leaving_programs
cdef Site* leaving_sites
cdef Place* leaving_places
cdef list awaited_marks = None       # of engines that may still have records which name what is leaving; None: nothing leaves
cdef int64_t next_look_ns = 0


cdef void retire_program(Program* program) noexcept:
    global retired_programs
    program.owner = NULL
    program.retired = retired_programs
    retired_programs = program


cdef void retire_site(Site* site) noexcept:
    global retired_sites
    site.watch = NULL
    site.retired = retired_sites
    retired_sites = site


cdef void retire_place(Place* place) noexcept:
    global retired_places
    place.watch = NULL
    place.retired = retired_places
    retired_places = place


cdef list marks_of_readers():
    cdef list marks = []
    cdef ReaderMark mark
    for reader in living_readers():
        mark = ReaderMark()
        mark.reader = weakref(reader)
        mark.mark.sequence = NO_MARK
        marks.append(mark)
    return marks


cdef bint collect_retired() except -1:
    """Gives back the numbers of names that no record has any more. Called with the registry's lock held."""
    global awaited_marks, next_look_ns
    global leaving_programs, leaving_sites, leaving_places, retired_programs, retired_sites, retired_places
    cdef int64_t now
    cdef list marks
    cdef ReaderMark mark
    if awaited_marks is None:
        if retired_programs == NULL and retired_sites == NULL and retired_places == NULL:
            return True
        marks = marks_of_readers()
        if awaited_marks is None:  # else the garbage collector has run, and a __del__ that logs has come here
            awaited_marks = marks
            leaving_programs = retired_programs
            leaving_sites = retired_sites
            leaving_places = retired_places
            retired_programs = NULL
            retired_sites = NULL
            retired_places = NULL
            next_look_ns = 0
    now = clock_monotonic_ns()
    if now < next_look_ns:
        return True
    next_look_ns = now + LOOK_NS
    while awaited_marks:
        mark = awaited_marks[len(awaited_marks) - 1]
        reader = mark.reader()
        if reader is not None and not (<RecordReader> reader).has_passed(&mark.mark):
            return True
        awaited_marks.pop()
    awaited_marks = None
    release_leaving()
    return True


cdef void release_leaving() noexcept:
    global leaving_programs, leaving_sites, leaving_places, retired_programs, retired_sites, retired_places
    cdef Program* program
    cdef Site* site
    cdef Place* place
    while leaving_programs != NULL:
        program = leaving_programs
        leaving_programs = program.retired
        if program.pins:
            program.retired = retired_programs
            retired_programs = program
            continue
        store_pointer(&all_programs[program.id & (MAX_TEMPLATES - 1)], <Program*> NULL)
        number_return(&template_numbers, program.id)
        free_program(program)
    while leaving_sites != NULL:
        site = leaving_sites
        leaving_sites = site.retired
        if site.pins:
            site.retired = retired_sites
            retired_sites = site
            continue
        store_pointer(&all_sites[site.id & (MAX_SITES - 1)], <Site*> NULL)
        number_return(&site_numbers, site.id)
        free_site(site)
    while leaving_places != NULL:
        place = leaving_places
        leaving_places = place.retired
        if traces_in_flight:
            place.retired = retired_places
            retired_places = place
            continue
        store_pointer(&all_places[place.id & (MAX_PLACES - 1)], <Place*> NULL)
        number_return(&place_numbers, place.id)
        free_place(place)


cdef void forget_marks() noexcept:
    """In a forked child the engines are empty, and count their records anew. Calls of other threads do not go on."""
    global traces_in_flight
    cdef ReaderMark mark
    traces_in_flight = 0
    if awaited_marks is not None:
        for mark in awaited_marks:
            mark.mark.sequence = NO_MARK


# ---- calls on the careful way

cdef struct Pins:            # names that a call on the careful way has found and has not put into a record yet
    Program* program
    Site* site
    bint has_trace           # and places, which are not counted one by one

cdef uint64_t traces_in_flight = 0     # with a GIL: calls that have found places


# With a GIL, Python code that the careful way runs may let another thread retire a name that this call has found already. Without
# a GIL only call sites of code that is gone are retired, and no call comes from there.
cdef inline void pin_program(Pins* pins, Program* program) noexcept:
    if not FREE_THREADED and program != NULL:
        program.pins += 1
        pins.program = program


cdef inline void pin_site(Pins* pins, uint32_t number) noexcept:
    if not FREE_THREADED:
        pins.site = all_sites[number & (MAX_SITES - 1)]
        pins.site.pins += 1


cdef inline void pin_places(Pins* pins) noexcept:
    global traces_in_flight
    if not FREE_THREADED and not pins.has_trace:
        traces_in_flight += 1
        pins.has_trace = True


cdef inline void unpin(Pins* pins) noexcept:
    global traces_in_flight
    if pins.has_trace and traces_in_flight:
        traces_in_flight -= 1
    if pins.program != NULL:
        pins.program.pins -= 1
    if pins.site != NULL:
        pins.site.pins -= 1


# ---- a full table

# Looks at the entries of a table in turn, as the hand of a clock does (the CLOCK algorithm of Corbato, 1968). What no record has
# named since the hand was there before may be given up.
cdef struct Hand:
    uint32_t at
    int64_t rests_until_ns


cdef inline bint is_crowded(const Numbers* numbers) noexcept:
    return numbers_given(numbers) > numbers.limit >> 1


# How many entries are to be looked at because one is added. When the table is full, the hand goes faster, but not so fast that
# names in daily use would look unused.
cdef uint32_t hand_looks(Hand* hand, const Numbers* numbers) noexcept:
    cdef int64_t now
    if FREE_THREADED:
        return 0  # a caller without a GIL may have found any entry and not put it into a record yet
    if not is_crowded(numbers):
        return 4  # more than one for each entry that is added, and its mark
    if numbers_are_left(numbers):
        return 8
    now = clock_monotonic_ns()
    if now < hand.rests_until_ns:
        return 0
    hand.rests_until_ns = now + <int64_t> TURN_LEAST_NS * 64 // <int64_t> numbers.limit
    return 64


cdef inline uint32_t hand_moves(Hand* hand, const Numbers* numbers) noexcept:
    hand.at = hand.at + 1 if hand.at + 1 < numbers.begun else 1
    return hand.at
