# The methods of `logging.Logger` as method descriptors that are made by hand. A call goes one of three ways. Fast: the bits of
# its arguments are copied into a record in a ring. Rendered: the text is made at the call, and goes into a record. Original: the
# Python function of `logging` is called, from the same frame.

import sys

from cpython.object cimport PyObject
from libc.stdint cimport INT16_MAX, int32_t, int64_t, uint32_t, uint64_t, uint8_t
from libc.string cimport memset

from logly.bridge.route cimport (
    WAY_FAST, WAY_OFF, WAY_ORIGINAL, WAY_UNKNOWN, LevelWay, LoggingRoute, route_holds, route_levels_hold,
)
from logly.caller.encode cimport ENCODED, NOT_NATIVE, Call, ToKeep, ToWrite, encode_in_place, put_text, put_value
from logly.layout.levels cimport (
    LEVEL_CRITICAL, LEVEL_DEBUG, LEVEL_ERROR, LEVEL_INFO, LEVEL_WARNING, PLACE_CRITICAL, PLACE_DEBUG, PLACE_ERROR,
    PLACE_INFO, PLACE_WARNING,
)
from logly.layout.line cimport Site
from logly.layout.message cimport STYLE_PERCENT, Program
from logly.registry.call_site cimport find_keyed_site
from logly.registry.table cimport table_find
from logly.ring.gate cimport (
    NEED_CARE, NEED_CONTEXT, NEED_DECISION, NEED_RECORDER, NEED_SAMPLING, NEED_SITE, NEED_SOURCE, NEED_THREAD_NAME, NEED_TIME,
    Gate, after_commit, decided_threshold, decision_holds, needs_of,
)
from logly.ring.record cimport BY_MODULE, IS_KEPT, IS_SERVED, Cursor
from logly.ring.ring cimport Ring
from logly.system.atomic cimport load_relaxed, load_relaxed32
from logly.system.cpython cimport (
    METH_FASTCALL, METH_KEYWORDS, PyCFunction, PyDescr_NewMethod, PyMethodDef, PyTypeObject, Py_DecRef, Py_IncRef,
    int_bits, is_int, is_str, text_kind_of, tuple_item, tuple_items, tuple_length,
)
from logly.system.template cimport is_template

# Of other included files:
#   bridge/rendered.pxi: level_is_own, log_carefully, log_slowly, report_route_trouble
#   bridge/routes.pxi: level_of, route_rules, route_table
#   bridge/served_extra.pxi: EXTRA_BYTES, PyDict_Next, put_shown
#   bridge/stamps.pxi: Target
#   caller/calls.pxi: Producer, load_threshold
#   caller/decision.pxi: IS_OFF, IS_ON, IS_TO_KEEP, Verdict, verdict_of
#   caller/careful.pxi: after_emit
#   caller/gather.pxi: Gathered, gather_fast, hold, release_gathered, take_ready, use_block
#   caller/tstrings.pxi: text_and_fields, text_for_logging
#   registry/sites.pxi: site_table
#   registry/templates.pxi: template_table
#   ring/enter.pxi: enter_ring, leave_ring

cdef extern from *:
    """
    // Calls a function as a method of `self`, with the arguments as they came.
    static inline PyObject* logly_call_original(
        PyObject* function, PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names
    ) {
        Py_ssize_t total = count + (names != nullptr ? PyTuple_GET_SIZE(names) : 0);
        PyObject* few[16];
        PyObject** all = total < 16 ? few : (PyObject**)PyMem_Malloc((size_t)(total + 1) * sizeof(PyObject*));
        if (all == nullptr) return PyErr_NoMemory();
        all[0] = self;
        for (Py_ssize_t i = 0; i < total; i++) all[i + 1] = args[i];
        PyObject* result = PyObject_Vectorcall(function, all, (size_t)count + 1, names);
        if (all != few) PyMem_Free(all);
        return result;
    }
    """
    PyObject* call_function "logly_call_original"(
        PyObject* function, PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names
    ) except NULL
    bint is_dict "PyDict_CheckExact"(PyObject* value) noexcept
    int PySet_Contains(object set_, object key) noexcept
    PyObject* PY_FALSE "Py_False"
    PyObject* PY_TRUE "Py_True"

cdef enum Method:
    METHOD_DEBUG = 0
    METHOD_INFO
    METHOD_WARNING
    METHOD_ERROR
    METHOD_CRITICAL
    METHOD_LOG
    METHOD_ENABLED
    METHODS

cdef str EXTRA = sys.intern("extra")

cdef enum Outcome:
    NOT_DONE = 0               # go the way of `logging`
    DONE

cdef PyObject* original_methods[METHODS]  # owned; `logging`'s own functions
cdef object mapping_type = None           # collections.abc.Mapping
cdef frozenset record_attributes = frozenset()
cdef object is_logging_file = None        # function(filename) -> whether findCaller skips frames of that file


# ---- the fast way

# Puts the record into the ring. The route has decided everything but what the record must carry. Returns NOT_NATIVE for a record
# that this function cannot make, and ENCODED also if nobody wants the record.
cdef inline int put_logging(
    LoggingRoute* route, Target target, int32_t number, uint8_t level, PyObject** args, Py_ssize_t count, PyObject* extra
) noexcept:
    cdef Producer producer = target.producer
    cdef Gate* gate = producer.gate if target.is_served else producer.core.gate
    cdef PyObject* bound = <PyObject*> producer.bound
    cdef PyObject* given = NULL
    cdef Gathered gathered
    cdef uint32_t needs = needs_of(gate)
    cdef const Site* site = NULL
    cdef Ring* ring
    cdef Call call
    cdef uint64_t limit
    cdef int status
    cdef Verdict verdict = IS_ON
    cdef bint is_gathered
    cdef Py_ssize_t i
    cdef char room[EXTRA_BYTES]
    if needs & (NEED_THREAD_NAME | NEED_CARE | NEED_SAMPLING | NEED_TIME):
        if needs & (NEED_THREAD_NAME | NEED_CARE) or not target.is_served:
            return NOT_NATIVE
    if target.is_served:
        # The handler's stream would fail at a lone surrogate, or cannot encode the text.
        for i in range(count):
            if is_str(args[i]) and text_kind_of(args[i]) > (0 if target.is_ascii else 1):
                return NOT_NATIVE
    elif number < load_threshold(gate):
        return ENCODED
    elif needs & NEED_RECORDER:
        verdict = verdict_of(gate, needs, number, gate.written_from)
    if needs & NEED_SITE:
        site = find_keyed_site(&site_table, route.site_key)
        if site == NULL:
            return NOT_NATIVE
        if needs & NEED_DECISION and not target.is_served:
            if not decision_holds(gate, load_relaxed(&site.decision)):
                return NOT_NATIVE
            verdict = verdict_of(gate, needs, number, decided_threshold(load_relaxed(&site.decision)))
            if verdict == IS_OFF:
                return ENCODED
    memset(&call, 0, sizeof(Call))
    call.level_number = number
    call.level = level
    call.message = args[0]
    call.args = args + 1
    call.arg_count = count - 1
    call.site = site.id if site != NULL else 0
    call.name = producer.gate.origin
    call.flags = IS_SERVED if target.is_served else BY_MODULE
    if verdict == IS_TO_KEEP:
        call.flags |= IS_KEPT
    limit = load_relaxed(&gate.intake.max_message_bytes)
    if count > 1:
        call.program = <Program*> table_find(&template_table, <uint64_t> args[0], STYLE_PERCENT)
        # With %, one argument too many is an error.
        if call.program == NULL or not call.program.native or call.arg_count != call.program.required:
            return NOT_NATIVE
        limit >>= call.program.growth
    else:
        limit >>= 2
    if bound != <PyObject*> None:
        use_block(bound, &call.bound, &call.bound_size, &call.bound_fields)
    if target.is_served:
        if target.extra is not None and not put_shown(target.extra, target.is_ascii, &call, extra, room):
            return NOT_NATIVE
    elif extra != NULL:
        # The fields of a record of `logging`.
        if call.bound_size or not put_extra(&call, extra, room):
            return NOT_NATIVE
    if needs & NEED_CONTEXT and not target.is_served:
        # A function of the program is called on the careful way.
        if needs & NEED_SOURCE and not take_ready(producer.core, &given):
            return NOT_NATIVE
        is_gathered = gather_fast(producer.core, given, &call, &gathered)
        if given != NULL:
            hold(&gathered, given)
        if not is_gathered:
            release_gathered(&gathered)
            return NOT_NATIVE
    else:
        gathered.held = 0
    ring = enter_ring(gate.intake)
    if verdict == IS_TO_KEEP:
        status = encode_in_place(ring, &call, needs, limit, <ToKeep> 0)
    else:
        status = encode_in_place(ring, &call, needs, limit, <ToWrite> 0)
    release_gathered(&gathered)
    if status == ENCODED:
        after_commit(gate.intake, ring, number)
    leave_ring(gate.intake, ring)
    return status


# Encodes the fields of `extra`, a dict of plain names. Returns False if a value cannot be copied as bits, or room is missing.
cdef bint put_extra(Call* call, PyObject* extra, char* room) noexcept:
    cdef Py_ssize_t at = 0
    cdef PyObject* name = NULL
    cdef PyObject* value = NULL
    cdef Cursor out
    out.at = room
    out.end = room + EXTRA_BYTES
    while PyDict_Next(<object> extra, &at, &name, &value):
        if text_kind_of(name) > 1 or not put_text(&out, name) or put_value(&out, value) <= 0:
            return False
        call.bound_fields += 1
    call.bound = room
    call.bound_size = <uint32_t> (out.at - room)
    return True


# The dict that a call gives as `extra`, if this is its only keyword argument and `logging` would accept its names; else NULL.
cdef inline PyObject* only_extra(PyObject** args, Py_ssize_t count, PyObject* names) noexcept:
    cdef PyObject* extra = args[count]
    cdef PyObject* name = NULL
    cdef Py_ssize_t at = 0
    if tuple_length(names) != 1 or tuple_item(names, 0) != <PyObject*> EXTRA or not is_dict(extra):
        return NULL
    while PyDict_Next(<object> extra, &at, &name, NULL):
        if not is_str(name) or PySet_Contains(record_attributes, <object> name) != 0:
            return NULL
    return extra


cdef inline PyObject* log_at(
    PyObject* self, Method method, int32_t number, uint8_t level, PyObject** args, Py_ssize_t count, PyObject* names
) except NULL:
    cdef LoggingRoute* route = <LoggingRoute*> table_find(&route_table, <uint64_t> self, 1)
    cdef const LevelWay* way
    cdef PyObject* extra = NULL
    cdef int status
    if route != NULL and route_levels_hold(route) and count:
        way = &route.level[<int> method]
        if way.way == WAY_OFF and names == NULL:
            Py_IncRef(<PyObject*> None)
            return <PyObject*> None
        if way.way == WAY_ORIGINAL and route_holds(route) and not is_template(args[0]):
            route.original += 1
            return call_function(original_methods[<int> method], self, args, count, names)
        if names != NULL:
            extra = only_extra(args, count, names)
            if extra == NULL:
                return log_otherwise(self, method, number, level, args, count, names)
        if way.way == WAY_OFF:
            Py_IncRef(<PyObject*> None)
            return <PyObject*> None
        if way.way == WAY_FAST and is_str(args[0]) and route_holds(route):
            status = put_logging(route, <Target> way.target, number, level, args, count, extra)
            if status == ENCODED:
                route.fast += 1
                if load_relaxed32(&(<Target> way.target).producer.gate.intake.post):
                    after_emit((<Target> way.target).producer)
                Py_IncRef(<PyObject*> None)
                return <PyObject*> None
    return log_otherwise(self, method, number, level, args, count, names)


cdef PyObject* log_otherwise(
    PyObject* self, Method method, int32_t number, uint8_t level, PyObject** args, Py_ssize_t count, PyObject* names
) except NULL:
    if count == 1 and is_template(args[0]):
        return log_template(self, method, number, level, args, 1, names)
    return log_slowly(self, method, number, level, args, count, names)


# A call with a t-string (CPython 3.14) as its message. It becomes one with the text, and with the fields as `extra`. `count`: of
# the arguments up to the message; `log` has the level before it.
cdef PyObject* log_template(
    PyObject* self, Method method, int32_t number, uint8_t level, PyObject** args, Py_ssize_t count, PyObject* names
) except NULL:
    cdef tuple keywords = <tuple> names if names != NULL else ()
    cdef list values = []
    cdef dict extra = {}
    cdef object other = None     # an `extra` that is no mapping: `logging` says what is wrong with it
    cdef tuple call
    cdef Py_ssize_t i
    if not (<object> self).isEnabledFor(number):
        Py_IncRef(<PyObject*> None)
        return <PyObject*> None
    template = <object> args[count - 1]
    text, fields = text_and_fields(None, template)
    for name in fields:
        if name not in record_attributes:
            extra[name] = fields[name]
    if count == 2:
        values.append(<object> args[0])
    values.append(text_for_logging(text, template))
    for i in range(len(keywords)):
        given = <object> args[count + i]
        if keywords[i] == EXTRA and given is not None:
            if isinstance(given, mapping_type):
                extra.update(given)
            else:
                other = given
        values.append(given)
    if EXTRA in keywords:
        values[count + keywords.index(EXTRA)] = extra if other is None else other
    elif extra:
        keywords += (EXTRA,)
        values.append(extra)
    call = tuple(values)
    names = <PyObject*> keywords if keywords else NULL
    if count == 2:
        return log_log(self, tuple_items(<PyObject*> call), 2, names)
    return log_at(self, method, number, level, tuple_items(<PyObject*> call), 1, names)


# ---- the method table

cdef PyObject* log_debug(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    return log_at(self, METHOD_DEBUG, LEVEL_DEBUG, PLACE_DEBUG, args, count, names)


cdef PyObject* log_info(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    return log_at(self, METHOD_INFO, LEVEL_INFO, PLACE_INFO, args, count, names)


cdef PyObject* log_warning(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    return log_at(self, METHOD_WARNING, LEVEL_WARNING, PLACE_WARNING, args, count, names)


cdef PyObject* log_error(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    return log_at(self, METHOD_ERROR, LEVEL_ERROR, PLACE_ERROR, args, count, names)


cdef PyObject* log_critical(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    return log_at(self, METHOD_CRITICAL, LEVEL_CRITICAL, PLACE_CRITICAL, args, count, names)


# The level's number, if it is a plain int that a record can hold; else -1.
cdef int32_t plain_level(PyObject* level) noexcept:
    cdef int64_t number
    if not is_int(level) or int_bits(level, &number) != 1 or not 0 <= number <= INT16_MAX:
        return -1
    return <int32_t> number


cdef PyObject* log_log(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    cdef int32_t number = plain_level(args[0]) if count > 1 else -1
    cdef int method
    if number >= 0:
        method = number // 10 - 1
        if level_is_own(number):
            return log_numbered(self, method, number, args, count, names)
        return log_slowly_at(self, number, args, count, names)
    return call_function(original_methods[<int> METHOD_LOG], self, args, count, names)


cdef PyObject* log_numbered(
    PyObject* self, int method, int32_t number, PyObject** args, Py_ssize_t count, PyObject* names
) except NULL:
    cdef LoggingRoute* route = <LoggingRoute*> table_find(&route_table, <uint64_t> self, 1)
    cdef const LevelWay* way
    if route != NULL and route_levels_hold(route) and names == NULL:
        way = &route.level[method]
        if way.way == WAY_OFF:
            Py_IncRef(<PyObject*> None)
            return <PyObject*> None
        if way.way == WAY_FAST and is_str(args[1]) and route_holds(route):
            if put_logging(route, <Target> way.target, number, place_of_level(number), args + 1, count - 1, NULL) == ENCODED:
                route.fast += 1
                if load_relaxed32(&(<Target> way.target).producer.gate.intake.post):
                    after_emit((<Target> way.target).producer)
                Py_IncRef(<PyObject*> None)
                return <PyObject*> None
    return log_slowly_at(self, number, args, count, names)


cdef uint8_t place_of_level(int32_t number) noexcept:
    if number == LEVEL_DEBUG:
        return PLACE_DEBUG
    if number == LEVEL_INFO:
        return PLACE_INFO
    if number == LEVEL_WARNING:
        return PLACE_WARNING
    return PLACE_ERROR if number == LEVEL_ERROR else PLACE_CRITICAL


cdef PyObject* log_slowly_at(PyObject* self, int32_t number, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    cdef int done = NOT_DONE
    if count == 2 and is_template(args[1]):
        return log_template(self, METHOD_LOG, number, 0, args, 2, names)
    if route_rules is not None and not has_level_name(names):
        try:
            done = log_carefully(<object> self, number, place_of_level(number), args + 1, count - 1, names)
        except RecursionError:
            raise
        except Exception as error:
            report_route_trouble(error)
    if done == NOT_DONE:
        return call_function(original_methods[<int> METHOD_LOG], self, args, count, names)
    Py_IncRef(<PyObject*> None)
    return <PyObject*> None


cdef bint has_level_name(PyObject* names):
    return names != NULL and "level" in <tuple> names


cdef PyObject* log_is_enabled_for(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    cdef LoggingRoute* route
    cdef LevelWay* way
    cdef int32_t number = plain_level(args[0]) if count == 1 and names == NULL else -1
    if number >= 0:
        route = <LoggingRoute*> table_find(&route_table, <uint64_t> self, 1)
        if route != NULL and route_levels_hold(route):
            way = level_of(route, number)
            if way != NULL and way.way != WAY_UNKNOWN:
                result = PY_FALSE if way.way == WAY_OFF else PY_TRUE
                Py_IncRef(result)
                return result
    return call_function(original_methods[<int> METHOD_ENABLED], self, args, count, names)


cdef PyMethodDef logging_methods[METHODS]


cdef void define_logging(int i, const char* name, void* function, const char* doc) noexcept:
    logging_methods[i].ml_name = name
    logging_methods[i].ml_meth = <PyCFunction> function
    logging_methods[i].ml_flags = METH_FASTCALL | METH_KEYWORDS
    logging_methods[i].ml_doc = doc


cdef list kept_docs = []       # the documentation of the methods: their structs point into these bytes
cdef list METHOD_NAMES = ["debug", "info", "warning", "error", "critical", "log", "isEnabledFor"]

define_logging(METHOD_DEBUG, b"debug", <void*> log_debug, NULL)
define_logging(METHOD_INFO, b"info", <void*> log_info, NULL)
define_logging(METHOD_WARNING, b"warning", <void*> log_warning, NULL)
define_logging(METHOD_ERROR, b"error", <void*> log_error, NULL)
define_logging(METHOD_CRITICAL, b"critical", <void*> log_critical, NULL)
define_logging(METHOD_LOG, b"log", <void*> log_log, NULL)
define_logging(METHOD_ENABLED, b"isEnabledFor", <void*> log_is_enabled_for, NULL)


def logging_method(type cls not None, str name not None, original):
    """The fast form of one of `METHOD_NAMES`, for `cls`. It calls `original` for everything that it does not do itself.

    It has the documentation of `original`, and its signature as far as a compiled method can have one.
    """
    cdef int i = METHOD_NAMES.index(name)
    cdef bytes doc
    cdef PyObject* before = original_methods[i]
    if logging_methods[i].ml_doc == NULL:
        first = "level" if name == "isEnabledFor" else "msg, *args, **kwargs"
        if name == "log":
            first = "level, msg, *args, **kwargs"
        doc = f"{name}($self, {first})\n--\n\n{original.__doc__ or ''}".encode()
        kept_docs.append(doc)
        logging_methods[i].ml_doc = <const char*> doc
    Py_IncRef(<PyObject*> original)
    original_methods[i] = <PyObject*> original
    if before != NULL:
        Py_DecRef(before)
    return PyDescr_NewMethod(<PyTypeObject*> cls, &logging_methods[i])


def prepare_logging_calls(mapping, attributes, is_internal):
    """Sets what calls compare with: `Mapping`, the names of a record's attributes, and whether a file's frames are skipped."""
    global mapping_type, record_attributes, is_logging_file
    mapping_type = mapping
    record_attributes = frozenset(attributes)
    is_logging_file = is_internal
