# Whether the level of a call is on, where that depends on its module or on a name without a gate of its own. It is decided once
# for each call site (or such name) and version of the thresholds, before anything of the user's is looked at.

from logly.levels import level_number

from cpython.object cimport PyObject
from libc.stdint cimport int32_t, uint32_t, uint64_t

from logly.layout.line cimport MAX_SITES, Site
from logly.registry.call_site cimport find_site
from logly.ring.gate cimport NEED_DECISION, NEED_SITE, Gate, decided_threshold, decision_holds, decision_word, needs_of
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


# Decides by what an earlier call has found. `site`: gets the call site, where that is looked up.
cdef int decide_fast(Producer self, int32_t number, PyObject* names, Site** site) noexcept:
    cdef uint64_t word
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
    return IS_ON if number >= decided_threshold(word) else IS_OFF


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


cdef bint is_on_here(Producer self, int32_t number) except -1:
    """For the frame that calls a method of the logger."""
    cdef Pins pins = Pins(NULL, NULL, False)
    cdef Site* site = NULL
    cdef object place = None
    cdef int verdict
    if number < load_threshold(self.gate):
        return False
    if not needs_of(self.gate) & NEED_DECISION:
        return True
    verdict = decide_fast(self, number, NULL, &site)
    if verdict != IS_UNDECIDED:
        return verdict == IS_ON
    try:
        if self.name is None:
            place = safe_site(NEED_SITE, 1, None, &pins)
        return number >= threshold_at(self.core, self.gate, self.name, place)
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
