# The call sites of `once`, `first`, `every` and `limit`: for each one the rules that it asks for, and the counters of each rule,
# with and without a key.
#
# An engine has the sites of its own loggers. A code object is not kept alive: its sites go when it ends, as those of
# registry/sites.pxi do.

from _weakref import ref as weakref

from cpython.object cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint64_t

from logly.registry.table cimport table_find, table_insert, table_remove
from logly.ring.counter cimport LimitKind
from logly.ring.leases cimport FREE_THREADED
from logly.system.cpython cimport (
    METH_O, PyCFunction, PyCFunction_New, PyMethodDef, PyThreadState_Get, Py_DecRef, Py_IncRef, call_instruction,
    caller_of, dict_value, interpreter_ends,
)
from logly.system.lock cimport lock_release, lock_take

# Of other included files:
#   caller/limits.pxi: LimitCounter, is_in_place_at, new_counter, use_light
#   control/core.pxi: Core
#   registry/retired.pxi: enter_registry, is_new_child, registry_lock
#   system/threads.pxi: SystemLock

cdef enum:
    MOST_KEYS = 1024           # of one rule
    MOST_RULES = 8             # of one call site, where the program works the rule out


cdef class LimitRule:
    """What one call site asks for, "5/s" for example, and the counters for that."""


cdef class LimitSite:
    """One call of `once`, `first`, `every` or `limit` in the text of the program."""


cdef void let_counter_go(LimitCounter counter) noexcept:
    """Called when the call site has another counter. A counter and its light logger refer to each other until then."""
    if counter is not None and counter.light is not None:
        use_light(counter, None)


cdef void forget_latest(LimitSite site) noexcept:
    """Called before the site's light logger may go."""
    if FREE_THREADED:
        lock_take(&site.core.held_back.lock)
    site.latest.gate = NULL
    if FREE_THREADED:
        lock_release(&site.core.held_back.lock)


# ---- rules. With the registry's lock held.

cdef LimitRule rule_at(LimitSite site, LimitKind kind, uint64_t most, int64_t window_ns, object given):
    cdef LimitRule rule = site.rules
    cdef int count = 0
    while rule is not None:
        if rule.kind == kind and rule.most == most and rule.window_ns == window_ns:
            if given is not rule.given:
                use_given(rule, given, site.core)
            return rule
        rule = rule.next
        count += 1
    rule = new_rule(kind, most, window_ns, given)
    rule.next = site.rules
    use_rules_of(site, rule)
    if count == MOST_RULES:
        forget_latest(site)
        drop_last_rule(rule, site.core)
    return rule


cdef LimitRule new_rule(LimitKind kind, uint64_t most, int64_t window_ns, object given):
    cdef LimitRule rule = LimitRule.__new__(LimitRule)
    rule.kind = kind
    rule.most = most
    rule.window_ns = window_ns
    rule.given = given
    rule.counters = {}
    return rule


cdef void use_given(LimitRule rule, object given, Core core) noexcept:
    cdef object before = rule.given
    if FREE_THREADED:
        lock_take(&core.held_back.lock)
    rule.given = given
    if FREE_THREADED:
        lock_release(&core.held_back.lock)


cdef void use_rules_of(LimitSite site, LimitRule rule) noexcept:
    cdef LimitRule before = site.rules
    if FREE_THREADED:
        lock_take(&site.core.held_back.lock)
    site.rules = rule
    if FREE_THREADED:
        lock_release(&site.core.held_back.lock)


cdef void drop_last_rule(LimitRule rule, Core core) noexcept:
    cdef LimitRule last
    while rule.next.next is not None:
        rule = rule.next
    last = rule.next
    if FREE_THREADED:
        lock_take(&core.held_back.lock)
    rule.next = None
    if FREE_THREADED:
        lock_release(&core.held_back.lock)
    let_rule_go(last)


cdef void let_rule_go(LimitRule rule) noexcept:
    let_counter_go(rule.counter)
    let_keys_go(rule)


# Without a GIL another thread may be in the list. The garbage collector frees the counters then.
cdef void let_keys_go(LimitRule rule) noexcept:
    cdef PyObject* counter = rule.newest
    while not FREE_THREADED and counter != NULL:
        let_counter_go(<LimitCounter> counter)
        counter = (<LimitCounter> counter).older


# ---- keys. The key's own code may run, so no lock is held, but for the list.

cdef LimitCounter counter_in(LimitRule rule, object key):
    """The counter of a key, or None."""
    cdef PyObject* found = dict_value(<PyObject*> rule.counters, <PyObject*> key)
    cdef LimitCounter counter = None
    if found != NULL:
        counter = <LimitCounter> found
        Py_DecRef(found)
    return counter


cdef LimitCounter counter_of_key(LimitSite site, LimitRule rule, object key, str text):
    cdef LimitCounter counter = counter_in(rule, key)
    cdef LimitCounter other
    if counter is not None:
        return counter
    counter = new_counter(site.core, rule.kind, rule.most, rule.window_ns, text)
    counter.key = key
    while len(rule.counters) >= MOST_KEYS:
        if not drop_oldest_key(rule, site.core):
            rule = renewed_rule(site, rule)
    other = rule.counters.setdefault(key, counter)
    if other is counter:  # else the key's own code, or another thread, has come here, too
        if FREE_THREADED:
            lock_take(&site.core.held_back.lock)
        list_as_newest(rule, counter)
        if FREE_THREADED:
            lock_release(&site.core.held_back.lock)
    return other


# Returns False when the dict cannot be made smaller: the hash of a key has changed, so the key is not found any more.
cdef bint drop_oldest_key(LimitRule rule, Core core) except -1:
    cdef LimitCounter oldest = None
    cdef object found = None
    if FREE_THREADED:
        lock_take(&core.held_back.lock)
    if rule.oldest != NULL:
        oldest = <LimitCounter> rule.oldest
        take_off_list(rule, oldest)
    if FREE_THREADED:
        lock_release(&core.held_back.lock)
    if oldest is None:
        return False
    let_keyed_counter_go(oldest)
    try:
        found = rule.counters.pop(oldest.key, None)
    except RecursionError:
        raise
    except Exception:
        pass
    if found is not None and found is not oldest:
        if FREE_THREADED:
            lock_take(&core.held_back.lock)
        if rule.oldest == <PyObject*> found or (<LimitCounter> found).older != NULL:
            take_off_list(rule, <LimitCounter> found)
        if FREE_THREADED:
            lock_release(&core.held_back.lock)
        let_keyed_counter_go(<LimitCounter> found)
    return found is not None


cdef bint let_keyed_counter_go(LimitCounter counter) except -1:
    cdef SystemLock registry = enter_registry()
    try:
        let_counter_go(counter)
    finally:
        registry.give()
    return True


cdef LimitRule renewed_rule(LimitSite site, LimitRule rule):
    """Puts a new rule, without keys, into the place of this one."""
    cdef LimitRule made
    cdef SystemLock registry = enter_registry()
    try:
        made = new_rule(rule.kind, rule.most, rule.window_ns, rule.given)
        made.counter = rule.counter
        made.next = rule.next
        put_in_place_of(site, rule, made)
        let_keys_go(rule)
    finally:
        registry.give()
    return made


cdef void put_in_place_of(LimitSite site, LimitRule rule, LimitRule made) noexcept:
    cdef LimitRule before = site.rules
    if before is rule:
        use_rules_of(site, made)
        return
    while before is not None and before.next is not rule:
        before = before.next
    if before is not None:  # else another thread has replaced the rule
        if FREE_THREADED:
            lock_take(&site.core.held_back.lock)
        before.next = made
        if FREE_THREADED:
            lock_release(&site.core.held_back.lock)


cdef void list_as_newest(LimitRule rule, LimitCounter counter) noexcept:
    counter.newer = NULL
    counter.older = rule.newest
    if rule.newest != NULL:
        (<LimitCounter> rule.newest).newer = <PyObject*> counter
    else:
        rule.oldest = <PyObject*> counter
    rule.newest = <PyObject*> counter


cdef void take_off_list(LimitRule rule, LimitCounter counter) noexcept:
    if counter.newer != NULL:
        (<LimitCounter> counter.newer).older = counter.older
    else:
        rule.newest = counter.older
    if counter.older != NULL:
        (<LimitCounter> counter.older).newer = counter.newer
    else:
        rule.oldest = counter.newer
    counter.newer = counter.older = NULL


cdef void make_newest(LimitRule rule, LimitCounter counter) noexcept:
    # One that is on the list alone, or was dropped from it, stays as it is.
    if counter.newer != NULL:
        take_off_list(rule, counter)
        list_as_newest(rule, counter)


# ---- call sites

cdef LimitSite site_of_limit(Core core):
    """The place of the call that the frame makes now. None: it has none, so the counter is the light logger's own."""
    cdef int32_t instruction = 0
    cdef PyObject* globals_ = NULL
    cdef PyObject* code = caller_of(PyThreadState_Get(), &instruction, &globals_)
    cdef int32_t found_by = 0
    cdef PyObject* known
    cdef LimitSite site, made
    if code == NULL or is_new_child or core.limit_sites is None:  # as in register_template
        return None
    found_by = instruction
    instruction = call_instruction(code, instruction)
    place = (<uint64_t> code, instruction)
    known = dict_value(<PyObject*> core.limit_sites, <PyObject*> place)
    if known != NULL:
        site = <LimitSite> known
        Py_DecRef(known)
        find_by(site, found_by)
        return site
    made = LimitSite.__new__(LimitSite)
    made.core = core
    made.place = place
    made.code = <uint64_t> code
    made.instruction = made.other = instruction
    made.is_in_place = is_in_place_at(<object> code, instruction)
    made.reference = weakref(<object> code, PyCFunction_New(&end_of_limits_method, made))
    site = core.limit_sites.setdefault(place, made)
    find_by(site, found_by)
    return site


cdef void find_by(LimitSite site, int32_t instruction) noexcept:
    """Has calls find the site by this instruction. Without memory for that they are slow."""
    if FREE_THREADED:
        lock_take(&site.core.held_back.lock)
    if table_find(&site.core.limit_table, site.code, <uint64_t> instruction + 1) == NULL:
        table_insert(&site.core.limit_table, site.code, <uint64_t> instruction + 1, <void*> site)
        if instruction != site.instruction:
            site.other = instruction
    if FREE_THREADED:
        lock_release(&site.core.held_back.lock)


cdef PyObject* end_of_limits(PyObject* site, PyObject* reference) noexcept:
    """Called when the code object ends, as `end_of_code` is."""
    forget_limit_site(<LimitSite> site)
    Py_IncRef(<PyObject*> None)
    return <PyObject*> None


cdef PyMethodDef end_of_limits_method = PyMethodDef(b"end_of_limits", <PyCFunction> end_of_limits, METH_O, NULL)


cdef void forget_limit_site(LimitSite site) noexcept:
    cdef Core core = site.core
    cdef dict sites = core.limit_sites if core is not None else None
    cdef LimitRule rule
    if sites is None or (FREE_THREADED and interpreter_ends()):
        return
    if FREE_THREADED and not is_new_child:
        registry_lock.take_without_signals()
    if FREE_THREADED:
        lock_take(&core.held_back.lock)
    site.latest.gate = NULL
    core.latest_site.code = NULL
    table_remove(&core.limit_table, site.code, <uint64_t> site.instruction + 1)
    table_remove(&core.limit_table, site.code, <uint64_t> site.other + 1)
    if FREE_THREADED:
        lock_release(&core.held_back.lock)
    sites.pop(site.place, None)
    rule = site.rules
    while rule is not None:
        let_rule_go(rule)
        rule = rule.next
    if FREE_THREADED and not is_new_child:
        registry_lock.give()
