# The methods of `logging.Logger` as method descriptors that are made by hand. A call has one of three results: a record in a ring
# from the bits of its arguments (fast), one of a text that is made here (rendered), or the call of the Python function that
# `logging` has for it, from the same frame (original).

import sys

from cpython.object cimport PyObject
from libc.stdint cimport INT16_MAX, int32_t, int64_t, uint32_t, uint64_t, uint8_t
from libc.string cimport memset

from logly.bridge.route cimport (
    WAY_FAST, WAY_NONE, WAY_OFF, WAY_UNKNOWN, LevelWay, LoggingRoute, route_holds, route_is_quick,
)
from logly.caller.encode cimport ENCODED, NOT_NATIVE, Call, encode_in_place
from logly.layout.levels cimport (
    LEVEL_CRITICAL, LEVEL_DEBUG, LEVEL_ERROR, LEVEL_INFO, LEVEL_WARNING, PLACE_CRITICAL, PLACE_DEBUG, PLACE_ERROR,
    PLACE_INFO, PLACE_WARNING,
)
from logly.layout.line cimport Site
from logly.layout.message cimport STYLE_PERCENT, Program
from logly.registry.call_site cimport find_keyed_site
from logly.registry.table cimport table_find
from logly.ring.gate cimport (
    NEED_CARE, NEED_CONTEXT, NEED_DECISION, NEED_SITE, NEED_THREAD_NAME, Gate, after_commit, decided_threshold,
    decision_holds, needs_of,
)
from logly.ring.record cimport BY_MODULE, IS_SERVED
from logly.ring.ring cimport Ring
from logly.system.atomic cimport load_relaxed, load_relaxed32
from logly.system.cpython cimport (
    METH_FASTCALL, METH_KEYWORDS, PyCFunction, PyDescr_NewMethod, PyMethodDef, PyTypeObject, Py_DecRef, Py_IncRef,
    int_bits, is_int, is_str, text_kind_of, tuple_item, tuple_length,
)

# Of other included files:
#   bridge/routes.pxi: RouteOwner, Target, level_of, route_of_logger, route_rules, route_table
#   caller/calls.pxi: Producer, load_threshold, use_block
#   caller/careful.pxi: after_emit, commit_careful, current_context, is_percent_native, tuple_of
#   caller/decision.pxi: threshold_at
#   caller/fields.pxi: FieldBlock
#   caller/origin.pxi: current_thread_name, frame_at
#   caller/trace_texts.pxi: exception_texts
#   control/core.pxi: Core
#   registry/retired.pxi: Pins, pin_program, pin_site, unpin
#   registry/sites.pxi: describe_location, location_of, register_keyed_site, site_table
#   registry/templates.pxi: percent_program, template_table
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

cdef enum Outcome:
    NOT_DONE = 0               # go the way of `logging`
    DONE

cdef PyObject* original_methods[METHODS]  # owned; `logging`'s own functions
cdef object mapping_type = None           # collections.abc.Mapping
cdef frozenset record_attributes = frozenset()
cdef object is_logging_file = None        # function(filename) -> whether findCaller skips frames of that file


# ---- the fast way

# Puts the record into the ring. Everything has been decided but what the record needs.
cdef inline int put_logging(
    LoggingRoute* route, Target target, int32_t number, uint8_t level, PyObject** args, Py_ssize_t count
) noexcept:
    cdef Producer producer = target.producer
    cdef Gate* gate = producer.gate if target.is_served else producer.core.gate
    cdef PyObject* bound = <PyObject*> producer.bound
    cdef PyObject* context = NULL
    cdef uint32_t needs = needs_of(gate)
    cdef const Site* site = NULL
    cdef Ring* ring
    cdef Call call
    cdef uint64_t limit
    cdef int status
    cdef Py_ssize_t i
    if needs & (NEED_THREAD_NAME | NEED_CARE):
        return NOT_NATIVE
    if target.is_served:
        # Text that may hold a lone surrogate, at which the handler's stream would fail; or that it cannot encode.
        for i in range(count):
            if is_str(args[i]) and text_kind_of(args[i]) > (0 if target.is_ascii else 1):
                return NOT_NATIVE
    elif number < load_threshold(gate):
        return ENCODED
    if needs & NEED_SITE:
        site = find_keyed_site(&site_table, route.site_key)
        if site == NULL:
            return NOT_NATIVE
        if needs & NEED_DECISION and not target.is_served:
            if not decision_holds(gate, load_relaxed(&site.decision)):
                return NOT_NATIVE
            if number < decided_threshold(load_relaxed(&site.decision)):
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
    limit = load_relaxed(&gate.intake.max_message_bytes)
    if count > 1:
        call.program = <Program*> table_find(&template_table, <uint64_t> args[0], STYLE_PERCENT)
        # With %, one argument too many is a mistake.
        if call.program == NULL or not call.program.native or call.arg_count != call.program.required:
            return NOT_NATIVE
        limit >>= call.program.growth
    else:
        limit >>= 2
    if bound != <PyObject*> None:
        use_block(bound, &call.bound, &call.bound_size, &call.bound_fields)
    ring = enter_ring(gate.intake)
    if needs & NEED_CONTEXT:
        context = current_context(producer.core)
        if context != NULL:
            use_block(context, &call.context, &call.context_size, &call.context_fields)
    status = encode_in_place(ring, &call, needs, limit)
    if context != NULL:
        Py_DecRef(context)
    if status == ENCODED:
        after_commit(gate.intake, ring, number)
    leave_ring(gate.intake, ring)
    return status


cdef inline PyObject* log_at(
    PyObject* self, Method method, int32_t number, uint8_t level, PyObject** args, Py_ssize_t count, PyObject* names
) except NULL:
    cdef LoggingRoute* route = <LoggingRoute*> table_find(&route_table, <uint64_t> self, 1)
    cdef const LevelWay* way
    cdef int status
    if route != NULL and route_is_quick(route) and count and names == NULL:
        way = &route.level[<int> method]
        if way.way == WAY_OFF:
            Py_IncRef(<PyObject*> None)
            return <PyObject*> None
        if way.way == WAY_FAST and is_str(args[0]) and route_holds(route):
            status = put_logging(route, <Target> way.target, number, level, args, count)
            if status == ENCODED:
                route.fast += 1
                if load_relaxed32(&(<Target> way.target).producer.gate.intake.post):
                    after_emit((<Target> way.target).producer)
                Py_IncRef(<PyObject*> None)
                return <PyObject*> None
    return log_slowly(self, method, number, level, args, count, names)


# ---- the careful way

cdef PyObject* log_slowly(
    PyObject* self, Method method, int32_t number, uint8_t level, PyObject** args, Py_ssize_t count, PyObject* names
) except NULL:
    cdef int done = NOT_DONE
    if route_rules is not None:
        try:
            done = log_carefully(<object> self, number, level, args, count, names)
        except Exception as error:
            report_route_trouble(error)
    if done == NOT_DONE:
        return call_function(original_methods[<int> method], self, args, count, names)
    Py_IncRef(<PyObject*> None)
    return <PyObject*> None


cdef void report_route_trouble(object error) noexcept:
    """Called with the failure of logly's own code: the call goes the way of `logging`."""
    try:
        if route_rules is not None:
            route_rules.failed(error)
    except Exception:
        pass


cdef int log_carefully(
    object logger, int32_t number, uint8_t level, PyObject** args, Py_ssize_t count, PyObject* names
) except -1:
    cdef LoggingRoute* route = route_of_logger(logger, number)
    cdef LevelWay* way
    cdef object extra = None
    cdef object exc_info = None
    cdef int i
    if route == NULL:
        return NOT_DONE
    way = level_of(route, number)
    if way == NULL or not count:
        return NOT_DONE
    if names != NULL:
        for i in range(<int> tuple_length(names)):
            name = <object> tuple_item(names, i)
            if name == "extra":
                extra = <object> args[count + i]
            elif name == "exc_info":
                exc_info = <object> args[count + i]
            elif name == "self" or name == "msg" or way.way != WAY_OFF:
                return NOT_DONE
    if way.way == WAY_OFF:
        return DONE
    if way.way == WAY_NONE and names == NULL:
        return DONE
    if way.way != WAY_FAST:
        if way.way != WAY_UNKNOWN:
            route.original += 1
        return NOT_DONE
    done = NOT_DONE
    if is_str(args[0]) and is_plain_extra(extra) and may_show(exc_info):
        done = log_rendered(route, <Target> way.target, number, level, tuple_of(args, count), extra, exc_info)
    if done == DONE:
        route.rendered += 1
    else:
        route.original += 1
    return done


cdef bint is_plain_extra(object extra) except -1:
    """Whether `extra` is nothing, or a dict whose names `logging` would take."""
    if extra is None:
        return True
    if type(extra) is not dict:
        return False
    for name in extra:
        if type(name) is not str or name in record_attributes:
            return False
    return True


cdef bint may_show(object exc_info):
    if exc_info is None or exc_info is False or isinstance(exc_info, BaseException):
        return True
    return exc_info is True and sys.exc_info()[1] is not None


cdef int log_rendered(
    LoggingRoute* route, Target target, int32_t number, uint8_t level, tuple args, object extra, object exc_info
) except -1:
    cdef Pins pins = Pins(NULL, NULL, False)
    try:
        return log_pinned(route, target, number, level, args, extra, exc_info, &pins)
    finally:
        unpin(&pins)


cdef int log_pinned(
    LoggingRoute* route, Target target, int32_t number, uint8_t level, tuple args, object extra, object exc_info, Pins* pins
) except -1:
    cdef Producer producer = target.producer
    cdef Core core = producer.core
    cdef Gate* gate = producer.gate if target.is_served else core.gate
    cdef uint32_t needs = needs_of(gate)
    cdef uint64_t limit = load_relaxed(&core.intake.max_message_bytes)
    cdef Program* program = NULL
    cdef str message = args[0]
    cdef str text = None
    cdef tuple exception = None
    cdef object place = None
    cdef FieldBlock fields = None
    cdef str name = None
    cdef bint is_own = level_is_own(number)
    if not target.is_served and number < load_threshold(gate):
        return DONE
    if core.must_not_wait() and target.is_served:
        return NOT_DONE  # code that the flusher runs: it waits for nothing, and neither does what it logs
    args = args[1:]
    if needs & (NEED_SITE | NEED_DECISION):
        place = logging_place(route, pins)
        if place is None:
            return NOT_DONE
        if needs & NEED_DECISION and not target.is_served and number < threshold_at(core, gate, None, place):
            return DONE
    if args:
        program = percent_program(message)
        pin_program(pins, program)
        if not is_percent_native(program, args, limit):
            program = NULL
            text = percent_text(message, args)
            if text is None:
                return NOT_DONE
    else:
        text = message
    if text is not None and <uint64_t> len(text) > limit // 4:
        return NOT_DONE
    if target.is_served and not (is_encodable(text, target) and are_encodable(args if program != NULL else (), target)):
        return NOT_DONE
    if needs & NEED_THREAD_NAME:
        name = current_thread_name()
    if exc_info is not None and exc_info is not False:
        exception = exception_texts(exc_info, limit, pins)
    if extra and not target.is_served:
        fields = FieldBlock(extra, None, limit)
    if not is_own:
        number, level = core.resolve_level(number)
    # User code may have run. The same target must still be right.
    if not (route_is_quick(route) and route_holds(route) and is_target(route, number, target)):
        return NOT_DONE
    commit_careful(
        producer, number, level, program, text, args, fields, place, name, exception, None, NULL,
        IS_SERVED if target.is_served else BY_MODULE,
    )
    return DONE


cdef bint is_target(LoggingRoute* route, int32_t number, Target target) noexcept:
    cdef LevelWay* way = level_of(route, number)
    return way != NULL and way.way == WAY_FAST and way.target == <PyObject*> target


cdef bint level_is_own(int32_t number) noexcept:
    return number % 10 == 0 and LEVEL_DEBUG <= number <= LEVEL_CRITICAL


cdef str percent_text(str message, tuple args):
    """What `LogRecord.getMessage` would make. None: that fails, which `logging` is to tell of."""
    cdef object values = args
    cdef object text
    if len(args) == 1 and isinstance(args[0], mapping_type) and args[0]:
        values = args[0]
    try:
        text = message % values
    except RecursionError:
        raise
    except Exception:
        text = None
    return text if type(text) is str else None


cdef bint are_encodable(tuple args, Target target) except -1:
    for value in args:
        if type(value) is str and not is_encodable(value, target):
            return False
    return True


cdef bint is_encodable(str text, Target target) except -1:
    """Whether the stream of a served handler takes the text as the flusher writes it."""
    if text is None or text_kind_of(<PyObject*> text) == 0:
        return True
    if target.is_ascii:
        return False
    if text_kind_of(<PyObject*> text) == 1:
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        text = None
    return text is not None


# ---- call sites

cdef object logging_place(LoggingRoute* route, Pins* pins):
    """The call's site by its number, or (module, function, path, line) where it has none; None: `logging` is to find it."""
    cdef object frame = frame_at(1)
    cdef uint32_t number
    while frame is not None and is_logging_file(frame.f_code.co_filename):
        frame = frame.f_back
    if frame is None:
        return None
    location = location_of(frame)
    description = describe_location(location)
    module = (<RouteOwner> route.owner).logger.name
    if type(module) is not str:
        return None
    if module == "root":
        module = file_module(description[2])
    description = (module, description[1], description[2], description[3])
    number = register_keyed_site(location, description, route.site_key)
    if number == 0:
        return description
    pin_site(pins, number)
    return number


cdef str file_module(str path):
    """As in `LogRecord`: the file's name without its extension."""
    return path.rpartition("/")[2].rpartition("\\")[2].rpartition(".")[0] or path.rpartition("/")[2]


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


# The number of a level that a record can have; -1: another one, or no plain int.
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
    if route != NULL and route_is_quick(route) and names == NULL:
        way = &route.level[method]
        if way.way == WAY_OFF:
            Py_IncRef(<PyObject*> None)
            return <PyObject*> None
        if way.way == WAY_FAST and is_str(args[1]) and route_holds(route):
            if put_logging(route, <Target> way.target, number, place_of_level(number), args + 1, count - 1) == ENCODED:
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
    if route_rules is not None and not has_level_name(names):
        try:
            done = log_carefully(<object> self, number, place_of_level(number), args + 1, count - 1, names)
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
        if route != NULL and route_is_quick(route):
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


cdef list kept_docs = []       # of the methods, which point into them
cdef list METHOD_NAMES = ["debug", "info", "warning", "error", "critical", "log", "isEnabledFor"]

define_logging(METHOD_DEBUG, b"debug", <void*> log_debug, NULL)
define_logging(METHOD_INFO, b"info", <void*> log_info, NULL)
define_logging(METHOD_WARNING, b"warning", <void*> log_warning, NULL)
define_logging(METHOD_ERROR, b"error", <void*> log_error, NULL)
define_logging(METHOD_CRITICAL, b"critical", <void*> log_critical, NULL)
define_logging(METHOD_LOG, b"log", <void*> log_log, NULL)
define_logging(METHOD_ENABLED, b"isEnabledFor", <void*> log_is_enabled_for, NULL)


def logging_method(type cls not None, str name not None, original):
    """The fast form of one of `METHOD_NAMES`, for `cls`; `original` is the function that it calls for all else.

    It has the original's documentation, and its signature as far as a compiled method can have one.
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
    """Sets what calls of `logging` compare with: `Mapping`, the names of a record's attributes, which files' frames are skipped."""
    global mapping_type, record_attributes, is_logging_file
    mapping_type = mapping
    record_attributes = frozenset(attributes)
    is_logging_file = is_internal
