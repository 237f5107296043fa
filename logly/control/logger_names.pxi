# The names of an engine's loggers. A name costs a gate, a number and its text, for as long as the engine lives: all loggers of an
# engine share its thread, its ring and its sinks.
#
# Programs may make names from what comes from outside (one per connection). So only the first 65,534 names of an engine get a
# number. A later one has no gate of its own, takes the careful way, and its records have the name in them. It lives as
# long as its loggers.

from libc.stdint cimport INT32_MAX, int32_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from logly.flusher.directives cimport LEVEL_UNSAID
from logly.layout.logger_names cimport LAST_NAME, logger_name, names_free, names_put, names_reserve
from logly.ring.gate cimport NEED_DECISION, NEED_NAME, NEED_RECORDER, NEED_SITE, Gate
from logly.ring.leases cimport FREE_THREADED
from logly.ring.record cimport NAME_INSIDE, OWN_NAME
from logly.system.atomic cimport fetch_add, store_pointer, store_relaxed, store_relaxed32
from logly.text.buffer cimport Text

# Of other included files:
#   control/core.pxi: Core
#   control/level_rules.pxi: LevelRules, Thresholds
#   registry/name_entries.pxi: logger_entry, text_bytes
#   registry/retired.pxi: enter_registry, is_new_child, registry_lock
#   spool/spool_file.pxi: SpoolFile
#   system/threads.pxi: SystemLock
#   text/owned_text.pxi: copy_text, utf8

cdef enum:
    MOST_NAME_BYTES = 255          # of a name that gets a number
    MOST_NAME_LENGTH = 4096        # characters of any name: what is longer is cut


cdef class LoggerName:
    """The name of one or more loggers of an engine.

    Attributes:
        text: the name, in full.
    """


# The default name is shown where a layout asks for it. Otherwise it counts as no name.
cdef bint is_a_name(str name) noexcept:
    return name != "" and name != "root"


def name_below(Core core not None, LoggerName above, str name not None):
    """The name `name` below the name `above`, or None where that is no name. `above`: None: none."""
    if not name or (above is None and not is_a_name(name)):
        return above
    return name_in_engine(core, f"{above.text}.{name}" if above is not None else name)


def names_made(Core core not None):
    """The names of the engine's loggers so far, those that have a number."""
    return list(core.names) if core.names is not None else []


cdef LoggerName name_in_engine(Core core, str text):
    cdef LoggerName found = core.names.get(text) if core.names is not None else None
    cdef SystemLock registry
    if found is not None:
        return found
    if len(text) > MOST_NAME_LENGTH:
        text = text[:MOST_NAME_LENGTH] + "..."
    if is_new_child or core.names is None:  # as in register_template; or the garbage collector has cleared the core
        return unnumbered_name(core, text)
    registry = enter_registry()
    try:
        return find_or_number_name(core, text)
    finally:
        registry.give()


cdef LoggerName unnumbered_name(Core core, str text):
    cdef LoggerName name = LoggerName.__new__(LoggerName)
    name.text = text
    name.encoded = utf8(text)
    name.inside = Text(name.encoded, <uint32_t> len(name.encoded))
    name.gate = core.unnumbered
    return name


cdef LoggerName find_or_number_name(Core core, str text):
    """Called with the registry's lock held."""
    cdef LoggerName name = unnumbered_name(core, text)
    cdef LoggerName found
    cdef uint32_t number = <uint32_t> core.last_name + 1
    cdef Gate* gate
    cdef bytes entry = None
    if name.inside.size > MOST_NAME_BYTES or number > LAST_NAME:
        return name
    gate = new_gate(<uint16_t> number, name.encoded)
    try:
        if core.spools:
            entry = logger_entry(number, name.encoded)
        # What is above may have run the garbage collector, and with it a __del__ that makes names.
        found = core.names.get(text)
        if found is not None:
            return found
        if number != <uint32_t> core.last_name + 1:
            return name
        if names_reserve(&core.numbered, <uint16_t> number) and name_is_stored(core, entry):
            core.names[text] = name
            link_gate(core, gate)
            names_put(&core.numbered, <uint16_t> number, &gate.name)
            core.last_name = <uint16_t> number
            store_pointer(&name.gate, gate)
            if not FREE_THREADED:  # else another thread may have found the name a moment ago, without its number
                name.encoded = None
                name.inside.data = NULL
        return name
    finally:
        if name.gate != gate:
            free_gate(gate)


# Has each of the engine's spools stored the name? If not, records must not have its number. `entry`: None: there was no spool.
cdef bint name_is_stored(Core core, bytes entry) except -1:
    for file in core.spools:
        if entry is None or not (<SpoolFile> file).store_names(entry):
            return False
    return True


# The names from `first` to `last`, as a spool holds them. Called with the registry's lock held.
cdef bytes name_entries(Core core, uint32_t first, uint32_t last):
    cdef list entries = []
    cdef uint32_t number
    for number in range(first, last + 1):
        entries.append(logger_entry(number, text_bytes(logger_name(&core.numbered, <uint16_t> number))))
    return b"".join(entries)


# ---- gates

cdef Gate* new_gate(uint16_t number, bytes name) except NULL:
    cdef Gate* gate = <Gate*> calloc(1, sizeof(Gate))
    if gate == NULL:
        raise MemoryError
    gate.origin = number
    try:
        if name:
            gate.name = copy_text(name)
    except MemoryError:
        free(gate)
        raise
    return gate


cdef void free_gate(Gate* gate) noexcept:
    free(<void*> gate.name.data)
    free(gate)


cdef void link_gate(Core core, Gate* gate) noexcept:
    gate.intake = core.intake
    lock_gates()
    set_gate(gate, core.thresholds if core.thresholds is not None else all_off, core.gate.version)
    gate.next = core.gate.next
    core.gate.next = gate
    unlock_gates()


cdef bint begin_names(Core core, str name) except -1:
    core.names = {}
    core.engine.names = &core.numbered
    core.thresholds = all_off
    core.unnumbered = new_gate(NAME_INSIDE, b"")
    link_gate(core, core.unnumbered)
    if is_a_name(name):
        core.engine.is_named = True
        core.own_name = unnumbered_name(core, name)
        core.own_name.gate = new_gate(OWN_NAME, core.own_name.encoded)
        link_gate(core, core.own_name.gate)
        core.names[name] = core.own_name
    return True


cdef void end_names(Core core) noexcept:
    """Frees them all, with the core."""
    cdef Gate* gate
    while core.gate.next != NULL:
        gate = core.gate.next
        core.gate.next = gate.next
        free_gate(gate)
    names_free(&core.numbered)


# ---- thresholds

# Of an engine that has no levels yet, and of one that the garbage collector has cleared.
cdef Thresholds all_off = Thresholds(LevelRules(LEVEL_UNSAID, {}), [], False)

cdef uint64_t thresholds_version = 0     # of all engines, because they share call sites, and with them decisions


# With a GIL nothing is in the middle of a change here. Without one the lock is needed, but signal handlers must not run.
cdef void lock_gates() noexcept:
    if FREE_THREADED and not is_new_child:
        registry_lock.take_without_signals()


cdef void unlock_gates() noexcept:
    if FREE_THREADED and not is_new_child:
        registry_lock.give()


cdef Thresholds thresholds_of(Core core):
    cdef Thresholds thresholds
    lock_gates()
    thresholds = core.thresholds
    unlock_gates()
    return thresholds if thresholds is not None else all_off


cdef void use_thresholds(Core core, Thresholds thresholds) noexcept:
    """Has all log calls go by these thresholds from now on. Needs no memory."""
    cdef uint64_t version = fetch_add(&thresholds_version, 1) + 1
    cdef Gate* gate = core.gate
    lock_gates()
    thresholds, core.thresholds = core.thresholds, thresholds  # the old ones are freed at the end of this function
    while gate != NULL:
        set_gate(gate, core.thresholds, version)
        gate = gate.next
    unlock_gates()


cdef void set_gate(Gate* gate, Thresholds thresholds, uint64_t version) noexcept:
    cdef uint32_t needs = 0
    cdef int32_t threshold
    if gate.name.data != NULL:
        threshold = thresholds.of(&gate.name)
    else:
        threshold = thresholds.least
        if gate.origin == NAME_INSIDE:
            needs = NEED_NAME | (NEED_DECISION if thresholds.varies else 0)
        elif thresholds.varies:
            # The flusher decides by the module as well.
            needs = NEED_DECISION | NEED_SITE
    if thresholds.kept_from < threshold or (needs & NEED_DECISION and thresholds.kept_from != INT32_MAX):
        needs |= NEED_RECORDER
    store_relaxed(&gate.version, version)
    store_relaxed32(<uint32_t*> &gate.written_from, <uint32_t> threshold)
    store_relaxed32(<uint32_t*> &gate.kept_from, <uint32_t> thresholds.kept_from)
    store_relaxed32(&gate.needs, needs)
    store_relaxed32(<uint32_t*> &gate.threshold, <uint32_t> min(threshold, thresholds.kept_from))
