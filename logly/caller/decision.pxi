# Whether the level of a call is on, where that depends on its module or on a name without a gate of its own. It is decided once
# for each call site (or such name) and version of the thresholds, before anything of the user's is looked at.

from logly.levels import level_number

from cpython.object cimport PyObject
from libc.stdint cimport int32_t, uint32_t, uint64_t

from logly.layout.line cimport MAX_SITES, Site
from logly.registry.call_site cimport find_site
from logly.ring.gate cimport (
    NEED_DECISION, NEED_RECORDER, NEED_SITE, Gate, decided_threshold, decision_holds, decision_word, needs_of,
)
from logly.system.atomic cimport load_relaxed, store_relaxed
from logly.system.cpython cimport Py_IncRef, tuple_length
from logly.text.buffer cimport Text

# Of other included files:
#   caller/calls.pxi: Producer, has_special_name, load_threshold
#   caller/careful.pxi: fields_of
#   caller/origin.pxi: safe_site
#   caller/values.pxi: safe_str
#   control/core.pxi: Core
#   control/logger_names.pxi: LoggerName, thresholds_of
#   registry/retired.pxi: Pins, all_sites, unpin
#   registry/sites.pxi: site_table

cdef enum Verdict:
    IS_OFF = 0
    IS_ON
    IS_UNDECIDED             # the careful way decides it
    IS_TO_KEEP               # the record is for the flight recorder


# `threshold`: from which level on records are written.
cdef inline Verdict verdict_of(const Gate* gate, uint32_t needs, int32_t number, int32_t threshold) noexcept:
    if number >= threshold:
        return IS_ON
    return IS_TO_KEEP if needs & NEED_RECORDER and number >= gate.kept_from else IS_OFF


# What is to become of a record that the careful way makes, at a gate with NEED_DECISION or NEED_RECORDER.
cdef Verdict verdict_at(
    Core core, const Gate* gate, uint32_t needs, int32_t number, LoggerName name, object place
) except *:
    cdef int32_t threshold = gate.written_from
    if needs & NEED_DECISION:
        threshold = threshold_at(core, gate, name, place)
    return verdict_of(gate, needs, number, threshold)


# Decides by what an earlier call has found. `site`: gets the call site, where that is looked up.
cdef int decide_fast(Producer self, int32_t number, uint32_t needs, PyObject* names, Site** site) noexcept:
    cdef uint64_t word
    if not needs & NEED_DECISION:
        return verdict_of(self.gate, needs, number, self.gate.written_from)
    if <PyObject*> self.name != <PyObject*> None:
        word = load_relaxed(&self.name.decision)
    else:
        if names != NULL and tuple_length(names) and has_special_name(names):
            return IS_UNDECIDED  # `stacklevel` names another frame
        site[0] = find_site(&site_table)
        if site[0] == NULL:
            return IS_UNDECIDED
        word = load_relaxed(&site[0].decision)
    if not decision_holds(self.gate, word):
        return IS_UNDECIDED
    return verdict_of(self.gate, needs, number, decided_threshold(word))


cdef int32_t threshold_at(Core core, const Gate* gate, LoggerName name, object place) except? -2:
    """The threshold for records of the logger's name; without one, of the place: what `safe_site` has returned."""
    cdef uint64_t version = load_relaxed(&gate.version)
    cdef const Text* text = NULL
    cdef uint64_t* word = NULL
    cdef Site* site
    cdef uint32_t number
    if name is not None:
        word = &name.decision
        text = &name.inside
    elif type(place) is int:
        number = place
        site = all_sites[number & (MAX_SITES - 1)]
        word = &site.decision
        text = &site.module
    if word == NULL:
        return thresholds_of(core).threshold_for(safe_str((<tuple> place)[0]))
    if not decision_holds(gate, load_relaxed(word)):
        store_relaxed(word, decision_word(version, thresholds_of(core).of(text)))
    return decided_threshold(load_relaxed(word))


def is_on_for_module(Producer self not None, object level, object module):
    """Whether a record of `logging` would be logged: by its module, whatever name the logger has.

    True where there is no memory to tell.
    """
    try:
        return module_is_on(self.core, level, module)
    except MemoryError:
        pass
    return True


cdef bint module_is_on(Core core, object level, object module) except -1:
    cdef uint32_t needs
    cdef int32_t threshold
    number = core.resolve_level(level)[0]
    if number < load_threshold(core.gate):
        return False
    needs = needs_of(core.gate)
    threshold = core.gate.written_from
    if needs & NEED_DECISION:
        threshold = thresholds_of(core).threshold_for(safe_str(module))
    return verdict_of(core.gate, needs, number, threshold) != IS_OFF


cdef bint is_on_here(Producer self, int32_t number) except -1:
    """For the frame that calls a method of the logger."""
    cdef Pins pins = Pins(NULL, NULL, False)
    cdef Site* site = NULL
    cdef object place = None
    cdef int verdict
    cdef uint32_t needs = needs_of(self.gate)
    if number < load_threshold(self.gate):
        return False
    if not needs & (NEED_DECISION | NEED_RECORDER):
        return True
    verdict = decide_fast(self, number, needs, NULL, &site)
    if verdict != IS_UNDECIDED:
        return verdict != IS_OFF
    try:
        if self.name is None:
            place = safe_site(NEED_SITE, 1, None, &pins)
        return verdict_at(self.core, self.gate, needs, number, self.name, place) != IS_OFF
    finally:
        unpin(&pins)


cdef PyObject* call_is_enabled_for(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    cdef object level
    cdef object found = None
    cdef object enabled
    if names != NULL and tuple_length(names):
        if count or list(fields_of(args, names)) != ["level"]:
            raise TypeError("is_enabled_for() takes one argument, `level`")
    elif count != 1:
        raise TypeError("is_enabled_for() takes one argument, `level`")
    level = <object> args[0]
    if (<Producer> self).core is None:
        raise RuntimeError(f"{type(<object> self).__name__}: Logger.__init__() has not been called")
    if type(level) is str or type(level) is int:
        found = (<Producer> self).core.level_index.get(level)
    if found is not None:
        number = found[0]
    else:
        number = level_number(level, (<Producer> self).controller.levels.custom)
    enabled = True if is_on_here(<Producer> self, number) else False
    Py_IncRef(<PyObject*> enabled)
    return <PyObject*> enabled
