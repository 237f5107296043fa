# The careful way of a call of `logging`: everything that may run Python code runs here, before the record is begun.

import sys

from cpython.object cimport PyObject
from libc.stdint cimport int32_t, uint32_t, uint64_t, uint8_t

from logly.bridge.route cimport (
    WAY_FAST, WAY_NONE, WAY_OFF, WAY_UNKNOWN, LevelWay, LoggingRoute, route_holds, route_levels_hold,
)
from logly.layout.levels cimport LEVEL_CRITICAL, LEVEL_DEBUG
from logly.layout.message cimport Program
from logly.ring.gate cimport (
    NEED_DECISION, NEED_RECORDER, NEED_SAMPLING, NEED_SITE, NEED_THREAD_NAME, Gate, needs_of,
)
from logly.ring.record cimport BY_MODULE, IS_KEPT, IS_SERVED
from logly.system.atomic cimport load_relaxed
from logly.system.cpython cimport Py_IncRef, is_str, text_kind_of, tuple_item, tuple_length

# Of other included files:
#   bridge/logging_calls.pxi: DONE, NOT_DONE, Method, call_function, is_logging_file, mapping_type, original_methods,
#       record_attributes
#   bridge/routes.pxi: RouteOwner, level_of, route_of_logger, route_rules
#   bridge/served_extra.pxi: shown_fields
#   bridge/stamps.pxi: Target
#   caller/calls.pxi: Producer, load_threshold
#   caller/careful.pxi: commit_careful, is_percent_native, tuple_of
#   caller/decision.pxi: IS_OFF, IS_ON, IS_TO_KEEP, Verdict, verdict_at
#   caller/fields.pxi: FieldBlock
#   caller/hidden.pxi: shown_args
#   caller/origin.pxi: current_thread_name, frame_at
#   caller/sampling.pxi: ask_carefully
#   caller/trace_texts.pxi: exception_texts
#   control/core.pxi: Core
#   registry/retired.pxi: Pins, pin_program, pin_site, unpin
#   registry/sites.pxi: describe_location, location_of, register_keyed_site
#   registry/templates.pxi: percent_program


cdef PyObject* log_slowly(
    PyObject* self, Method method, int32_t number, uint8_t level, PyObject** args, Py_ssize_t count, PyObject* names
) except NULL:
    cdef int done = NOT_DONE
    if route_rules is not None:
        try:
            done = log_carefully(<object> self, number, level, args, count, names)
        except RecursionError:
            raise
        except Exception as error:
            report_route_trouble(error)
    if done == NOT_DONE:
        return call_function(original_methods[<int> method], self, args, count, names)
    Py_IncRef(<PyObject*> None)
    return <PyObject*> None


cdef void report_route_trouble(object error) noexcept:
    """Called with an exception of logly's own code. The call then goes the way of `logging`."""
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
    """Whether `extra` is None, or a dict whose names `logging` would accept."""
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
    cdef int32_t asked = number
    cdef Verdict verdict = IS_ON
    if target.extra is not None:
        extra = dict(extra or ())  # a copy, because code that runs here may change the dict
    if not target.is_served and number < load_threshold(gate):
        return DONE
    if core.must_not_wait() and target.is_served:
        return NOT_DONE  # the flusher runs the code that logs, and must not wait
    args = args[1:]
    if needs & NEED_SAMPLING and not target.is_served:
        needs |= NEED_SITE  # the kind of a record without a template
    if needs & (NEED_SITE | NEED_DECISION):
        place = logging_place(route, target, pins)
        if place is None:
            return NOT_DONE
    if needs & (NEED_DECISION | NEED_RECORDER) and not target.is_served:
        verdict = verdict_at(core, gate, needs, number, None, place)
        if verdict == IS_OFF:
            return DONE
    if args:
        program = percent_program(message)
        pin_program(pins, program)
        if not is_percent_native(program, args, limit):
            program = NULL
            shown = shown_args(core, args)
            if shown is not args and target.is_served:
                return NOT_DONE  # the handlers' text is another one than that of the logger's sinks
            text = percent_text(message, shown)
            if text is None:
                return NOT_DONE
    else:
        text = message
    if text is not None and <uint64_t> len(text) > limit // 4:
        return NOT_DONE
    if not target.is_served and verdict != IS_TO_KEEP:
        producer = ask_carefully(producer, number, needs, program, None, False, place)
        if producer is None:
            return DONE
    if target.is_served:
        if not is_encodable(message if text is None else text, target):
            return NOT_DONE
        if program != NULL and not are_encodable(args, target):
            return NOT_DONE
    if needs & NEED_THREAD_NAME:
        name = current_thread_name()
        if target.is_served and not is_encodable(name, target):
            return NOT_DONE
    if exc_info is not None and exc_info is not False:
        if target.is_ascii:
            return NOT_DONE  # the text of an exception may not be ASCII
        exception = exception_texts(exc_info, limit, pins, None)
    if not target.is_served:
        fields = FieldBlock(extra, None, limit, core) if extra else None
    elif target.extra is not None:
        extra = shown_fields(target.extra, extra, args, target, limit)
        if extra is None:
            return NOT_DONE
        fields = FieldBlock(extra, None, limit, core) if extra else None
    if not is_own:
        number, level = core.resolve_level(number)
    # User code may have run, and have changed the configuration or closed the handler. `logging` would have asked about the level
    # and have chosen the handlers before that. But a handler that is closed, or not served any more, has no sink. A
    # StdlibHandler's logger takes records at any time.
    if target.is_served and not still_goes_to(route, asked, target):
        return NOT_DONE
    flags = IS_SERVED if target.is_served else BY_MODULE
    if verdict == IS_TO_KEEP:
        flags = BY_MODULE | IS_KEPT
    if commit_careful(producer, number, level, program, text, args, None, fields, place, name, exception, None, NULL, flags):
        return DONE
    return NOT_DONE  # a sink was removed while the record waited for room


cdef bint still_goes_to(LoggingRoute* route, int32_t number, Target target) except -1:
    """Whether records of this level still go to this target. Finds the route out again if it has changed."""
    cdef LevelWay* way
    if not (route_levels_hold(route) and route_holds(route)):
        if route_of_logger((<RouteOwner> route.owner).logger, number) != route:
            return False
    way = level_of(route, number)
    return way != NULL and way.way == WAY_FAST and (<Target> way.target).producer is target.producer


cdef bint level_is_own(int32_t number) noexcept:
    return number % 10 == 0 and LEVEL_DEBUG <= number <= LEVEL_CRITICAL


cdef str percent_text(str message, tuple args):
    """The text that `LogRecord.getMessage` would make. None: it would fail, and `logging` is to report that."""
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
    """Whether the stream of a served handler can encode the text, so that the flusher writes the same bytes."""
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

cdef object logging_place(LoggingRoute* route, Target target, Pins* pins):
    """The call site's number, or (module, function, path, line) if it has no number. None: `logging` is to make the record."""
    cdef object frame = frame_at(1)
    cdef uint32_t number
    while frame is not None and is_logging_file(frame.f_code.co_filename):
        frame = frame.f_back
    if frame is None:
        return None
    location = location_of(frame)
    description = describe_location(location)
    if target.is_served and not (is_encodable(description[1], target) and is_encodable(description[2], target)):
        return None
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
