# Light loggers: what `once`, `first`, `every` and `limit` return, and which counter they get.
#
# `logger.limit("5/s").error(...)`, made in place, has the counter of that call site and engine. The bytecode says that it is made
# in place: a method of the result is called at once (caller/call_place.py). All threads then get the same light logger, which is
# found as call sites are, without an allocation. It does not hold its logger's lifeline, which the site would keep for ever.
#
# A light logger that is kept, in a variable for example, has a counter of its own. Yet a function may make one at each call, and
# give it up when it returns. So the site remembers the counter that it has made last, and gives it out again once nobody else
# refers to it. (Tried in thought and rejected: the count of references alone, for both. While one thread is between
# `limit("5/s")` and `.error(...)`, another one would get a counter of its own.)

cimport cython
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memcmp

from logly.caller.latest_light cimport LatestLight, is_latest
from logly.registry.table cimport table_find
from logly.ring.counter cimport (
    LIMIT_EVERY, LIMIT_WINDOW, Counter, LatestSite, LimitKind, counter_link, counter_reset, counter_unlink,
)
from logly.ring.leases cimport FREE_THREADED
from logly.system.cpython cimport (
    PyThreadState_Get, Py_DecRef, Py_IncRef, caller_of, int_bits, is_int, reference_count, text_data,
    text_kind_of, text_length_of, tuple_item, tuple_length,
)
from logly.system.lock cimport lock_release, lock_take

# Of other included files:
#   caller/calls.pxi: Producer
#   caller/careful.pxi: fields_of, tuple_of
#   caller/fields.pxi: FieldBlock
#   caller/limit_sites.pxi: LimitRule, LimitSite, counter_in, counter_of_key, forget_latest, let_counter_go, make_newest,
#       rule_at, site_of_limit
#   caller/origin.pxi: frame_at
#   control/core.pxi: Core
#   registry/retired.pxi: enter_registry
#   registry/sites.pxi: describe_location, location_of
#   system/threads.pxi: SystemLock

cdef object light_class = None                # LightLogger: a subclass, because log methods are found by exactly their class
cdef object is_in_place_at = None             # function(code, instruction) of caller/call_place.py
cdef object limit_rule_of = None              # function(name, args, fields) of caller/limit_rules.py

# The counter of a light logger that nobody has made: every call passes.
cdef Counter no_counter
no_counter.kind = LIMIT_EVERY
no_counter.most = 1


cdef class Limited(Producer):
    """What the public `LightLogger` inherits: a producer with a counter."""

    def __cinit__(self, *args, **kwargs):
        self.counting = &no_counter

    @property
    def _origin(self):
        return <object> self.counting.origin if self.counting.origin != NULL else "of nobody"


# The garbage collector must not clear `core` before __dealloc__ has taken the counter off its list. (Cython takes this decorator
# here alone, and not in the .pxd file.) A cycle of counter and light logger is broken at the light logger.
@cython.no_gc_clear
cdef class LimitCounter:
    """The counter of one or more light loggers of an engine."""

    def __dealloc__(self):
        if self.core is not None:
            counter_unlink(&self.core.held_back, &self.counter)
        if self.counter.message != NULL:
            Py_DecRef(self.counter.message)
        if self.counter.origin != NULL:
            Py_DecRef(self.counter.origin)


# ---- found again, without an allocation

cdef inline bint takes_rule(PyObject* rule, LimitKind kind, PyObject** args, Py_ssize_t count) noexcept:
    cdef int64_t most = 1
    if (<LimitRule> rule).kind != kind:
        return False
    if kind == LIMIT_WINDOW:
        return count == 1 and args[0] == <PyObject*> (<LimitRule> rule).given
    if count and not (is_int(args[0]) and int_bits(args[0], &most) == 1):
        return False
    return <uint64_t> most == (<LimitRule> rule).most and count <= 1


# The site that makes the call, borrowed, or NULL. Without a GIL this is called with the engine's lock held; so is `find_rule`.
cdef inline PyObject* find_limit_site(Producer logger) noexcept:
    cdef int32_t instruction = 0
    cdef PyObject* globals_ = NULL
    cdef PyObject* code = caller_of(PyThreadState_Get(), &instruction, &globals_)
    cdef PyObject* site
    if code == NULL or <PyObject*> logger.core.limit_sites == <PyObject*> None:
        return NULL
    # A loop that floods the log mostly calls from one place.
    if logger.core.latest_site.code == code and logger.core.latest_site.instruction == instruction:
        return logger.core.latest_site.site
    site = <PyObject*> table_find(&logger.core.limit_table, <uint64_t> code, <uint64_t> instruction + 1)
    if site != NULL:
        logger.core.latest_site = LatestSite(code, instruction, site)
    return site


# A borrowed reference to the rule of a call, or NULL where it is not known.
cdef inline PyObject* find_rule(PyObject* site, LimitKind kind, PyObject** args, Py_ssize_t count) noexcept:
    cdef PyObject* rule
    if site == NULL:
        return NULL
    rule = <PyObject*> (<LimitSite> site).rules
    while rule != <PyObject*> None and not takes_rule(rule, kind, args, count):
        rule = <PyObject*> (<LimitRule> rule).next
    return rule if rule != <PyObject*> None else NULL


# True when the counter's light logger logs through this logger.
cdef inline bint has_light_for(PyObject* counter, Producer logger) noexcept:
    cdef PyObject* light
    if counter == <PyObject*> None:
        return False
    light = <PyObject*> (<LimitCounter> counter).light
    return (
        light != <PyObject*> None
        and (<Limited> light).gate == logger.gate
        and <PyObject*> (<Limited> light).bound == <PyObject*> logger.bound
        and <PyObject*> (<Limited> light).name == <PyObject*> logger.name
    )


# A new reference to the light logger of a call site where it is made in place, or NULL.
cdef inline PyObject* find_light(Producer logger, LimitKind kind, PyObject** args, Py_ssize_t count) noexcept:
    cdef PyObject* found = NULL
    cdef PyObject* site
    if <PyObject*> logger.core == <PyObject*> None:
        return NULL
    if FREE_THREADED:
        lock_take(&logger.core.held_back.lock)
    site = find_limit_site(logger)
    if site != NULL and is_latest(
        &(<LimitSite> site).latest, logger.gate, <PyObject*> logger.bound, <PyObject*> logger.name, kind, args, count
    ):
        found = (<LimitSite> site).latest.light
    else:
        found = find_light_at(site, logger, kind, args, count)
    if found != NULL:
        Py_IncRef(found)
    if FREE_THREADED:
        lock_release(&logger.core.held_back.lock)
    return found


cdef PyObject* find_light_at(PyObject* site, Producer logger, LimitKind kind, PyObject** args, Py_ssize_t count) noexcept:
    cdef PyObject* rule = find_rule(site, kind, args, count)
    if rule != NULL and has_light_for(<PyObject*> (<LimitRule> rule).counter, logger):
        return <PyObject*> (<LimitRule> rule).counter.light
    return NULL


# The same for a key. Looking it up may run the key's __hash__ and __eq__.
cdef PyObject* find_light_of_key(Producer logger, LimitKind kind, PyObject** args, Py_ssize_t count) except? NULL:
    cdef LimitRule rule = None
    cdef LimitCounter counter
    cdef PyObject* found = NULL
    if logger.core is None:
        return NULL
    if FREE_THREADED:
        lock_take(&logger.core.held_back.lock)
    found = find_rule(find_limit_site(logger), kind, args, count)
    if found != NULL:
        rule = <LimitRule> found
    if FREE_THREADED:
        lock_release(&logger.core.held_back.lock)
    if rule is None:
        return NULL
    counter = counter_in(rule, <object> args[count])
    found = NULL
    if FREE_THREADED:
        lock_take(&logger.core.held_back.lock)
    if counter is not None:
        make_newest(rule, counter)
        if has_light_for(<PyObject*> counter, logger):
            found = <PyObject*> counter.light
            Py_IncRef(found)
    if FREE_THREADED:
        lock_release(&logger.core.held_back.lock)
    return found


cdef inline bint is_key_alone(PyObject* names) noexcept:
    cdef PyObject* name
    if tuple_length(names) != 1:
        return False
    name = tuple_item(names, 0)
    return text_length_of(name) == 3 and text_kind_of(name) == 0 and memcmp(text_data(name), b"key", 3) == 0


cdef inline PyObject* limited(
    PyObject* logger, LimitKind kind, const char* method, PyObject** args, Py_ssize_t count, PyObject* names
) except NULL:
    cdef PyObject* found = NULL
    if names == NULL or tuple_length(names) == 0:
        found = find_light(<Producer> logger, kind, args, count)
    elif is_key_alone(names) and args[count] != <PyObject*> None:
        found = find_light_of_key(<Producer> logger, kind, args, count)
    return found if found != NULL else make_limited(logger, kind, method, args, count, names)


# ---- made

cdef PyObject* make_limited(
    PyObject* logger, LimitKind kind, const char* method, PyObject** args, Py_ssize_t count, PyObject* names
) except NULL:
    cdef object made = None
    cdef bint is_short = False
    try:
        made = light_for(<Producer> logger, kind, method.decode(), tuple_of(args, count), fields_of(args + count, names))
    except MemoryError:
        is_short = True
    # Without memory for a counter the call that follows is an ordinary one: it does not raise, and its record may be dropped.
    made = <object> logger if is_short else made
    Py_IncRef(<PyObject*> made)
    return <PyObject*> made


cdef object light_for(Producer logger, LimitKind kind, str method, tuple args, dict fields):
    cdef Core core = logger.core
    cdef LimitSite site
    cdef LimitRule rule
    cdef LimitCounter counter = None
    cdef Limited light
    cdef SystemLock registry
    if core is None:
        raise RuntimeError(f"{type(logger).__name__}: Logger.__init__() has not been called")
    if limit_rule_of is None:
        import_limit_rules()
    most, window_ns, text, key = limit_rule_of(method, args, fields)
    given = args[0] if kind == LIMIT_WINDOW else None
    site = site_of_limit(core)
    if site is None:
        return new_light(logger, new_counter(core, kind, most, window_ns, text), True)
    registry = enter_registry()
    try:
        rule = rule_at(site, kind, most, window_ns, given)
        if key is None:
            counter = rule.counter
            # Two references are the rule's and the one of `counter`.
            if counter is None or (not site.is_in_place and reference_count(<PyObject*> counter) > 2):
                counter = new_counter(core, kind, most, window_ns, text)
                # That may have run the garbage collector, and with it a __del__ that logs from the same place.
                if site.is_in_place and rule.counter is not None:
                    counter = rule.counter
                else:
                    use_counter(rule, counter, core)
    finally:
        registry.give()
    if key is not None:
        # Without the lock: the key's own code runs.
        counter = counter_of_key(site, rule, key, text)
    if not site.is_in_place:
        return new_light(logger, counter, True)
    registry = enter_registry()
    try:
        light = counter.light
        if not has_light_for(<PyObject*> counter, logger):
            light = new_light(logger, counter, False)
            forget_latest(site)
            use_light(counter, light)
        if key is None:
            use_latest(site, rule, light, args)
    finally:
        registry.give()
    return light


cdef void use_latest(LimitSite site, LimitRule rule, Limited light, tuple args) noexcept:
    cdef object before = site.latest_given
    if FREE_THREADED:
        lock_take(&site.core.held_back.lock)
    site.latest_given = args[0] if args else None
    site.latest = LatestLight(
        <PyObject*> light, light.gate, <PyObject*> light.bound, <PyObject*> light.name, rule.kind,
        len(args), <PyObject*> site.latest_given,
    )
    # While the light logger is not that of the rule's counter, nothing keeps it.
    if rule.counter is None or rule.counter.light is not light:
        site.latest.gate = NULL
    if FREE_THREADED:
        lock_release(&site.core.held_back.lock)


cdef import_limit_rules():
    global limit_rule_of, is_in_place_at
    from logly.caller.call_place import calls_method_of_result
    from logly.caller.limit_rules import limit_rule
    is_in_place_at = calls_method_of_result
    limit_rule_of = limit_rule


# What is replaced is freed by the caller, without the lock: its end may take it.
cdef void use_counter(LimitRule rule, LimitCounter counter, Core core) noexcept:
    cdef LimitCounter before = rule.counter
    if FREE_THREADED:
        lock_take(&core.held_back.lock)
    rule.counter = counter
    if FREE_THREADED:
        lock_release(&core.held_back.lock)
    let_counter_go(before)


cdef void use_light(LimitCounter counter, Limited light) noexcept:
    cdef Limited before = counter.light
    if FREE_THREADED:
        lock_take(&counter.core.held_back.lock)
    counter.light = light
    if FREE_THREADED:
        lock_release(&counter.core.held_back.lock)


cdef LimitCounter new_counter(Core core, LimitKind kind, uint64_t most, int64_t window_ns, str text):
    cdef LimitCounter made = LimitCounter.__new__(LimitCounter)
    cdef str origin = f"{text} at {place_of_caller()}"
    Py_INCREF(origin)
    made.counter.origin = <PyObject*> origin
    made.counter.kind = kind
    made.counter.most = most
    made.counter.window_ns = window_ns
    counter_reset(&made.counter)
    counter_link(&core.held_back, &made.counter)
    made.core = core
    return made


cdef str place_of_caller():
    """module:function:line of the frame that calls a method of the logger."""
    cdef object frame = frame_at(1)
    if frame is None:
        return "?"
    description = describe_location(location_of(frame))
    return f"{description[0]}:{description[1]}:{description[3]}"


cdef Limited new_light(Producer logger, LimitCounter counter, bint holds_owner):
    cdef Limited light = light_class.__new__(light_class)
    light.core = logger.core
    light.gate = logger.gate
    light.name = logger.name
    light.bound = logger.bound
    light.controller = logger.controller
    light.is_counted = True
    if holds_owner:
        light.owner = logger.owner
    light.counting = &counter.counter
    light.counter = counter
    return light


def light_with_fields(Limited self not None, FieldBlock fields not None):
    """A light logger with these bound fields, and the same counter."""
    cdef Limited light
    if self.counter is None:
        raise RuntimeError("this LightLogger was not made by a logger")
    light = new_light(self, self.counter, True)
    light.bound = fields if fields.count else None
    return light
