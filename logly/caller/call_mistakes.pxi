# Mistakes in a log call that str.format, `logging` and loguru pass over in silence. Each is told once for each call site, to
# `on_error`, and the record is made. Only the careful way looks for them: a call without a mistake pays nothing.

from logly.errors import Advice, show
from logly.layout.message_template import arguments_taken

from cpython.function cimport PyFunction_Check
from cpython.method cimport PyMethod_Check

from logly.layout.message cimport Program
from logly.ring.record cimport MAX_FIELD_BYTES

# Of other included files:
#   caller/careful.pxi: named_message
#   caller/origin.pxi: frame_at
#   caller/json_value.pxi: json_bytes
#   control/core.pxi: Core
#   control/redaction.pxi: Redactor

cdef extern from *:
    bint PyCFunction_Check(object value) noexcept

cdef enum:
    MOST_TOLD = 1000           # call sites and mistakes of one engine; what comes after them is not told

# What `logging` refuses as a name in `extra`: the attributes of its records.
cdef frozenset names_of_logging = frozenset((
    "name", "msg", "args", "levelname", "levelno", "pathname", "filename", "module", "exc_info", "exc_text", "stack_info",
    "lineno", "funcName", "created", "msecs", "relativeCreated", "thread", "threadName", "processName", "process", "taskName",
    "message", "asctime",
))


cdef bint tell_once(Core core, str kind, str text, object stacklevel) except -1:
    """Reports a mistake with the place of the call, unless it was told for this place. Raises only what a log call may raise."""
    try:
        frame = frame_at(stacklevel)
        path, line = (frame.f_code.co_filename, frame.f_lineno) if frame is not None else ("?", 0)
        place = (kind, path, line)
        if place in core.told or len(core.told) >= MOST_TOLD:
            return False
        core.told.add(place)
        core.report(Advice(f"{text}, logged at {path}:{line}"))
    except (RecursionError, MemoryError):
        raise
    except Exception:
        pass  # the interpreter is ending
    return True


# ---- arguments that no placeholder takes

cdef Py_ssize_t taken_of(Program* program, str message, tuple args) except -1:
    """How many of the arguments the template takes. All, where its braces do not parse: then the text shows them."""
    cdef Py_ssize_t taken
    try:
        taken = program.taken if program != NULL else arguments_taken(message)
    except (RecursionError, MemoryError):
        raise
    except Exception:
        taken = -1  # the interpreter is ending
    return min(taken, len(args)) if taken >= 0 else len(args)


cdef dict carried_with(Core core, str message, tuple surplus, dict fields, object stacklevel):
    """The fields of a record whose template does not take these arguments: they are one field more."""
    cdef str name = "args"
    cdef int count = len(surplus)
    what = f"{named_message(core, message)} has no placeholder for {count} argument{'s' if count > 1 else ''}"
    if "%" in message:
        what = f"{what}: this looks like %-formatting, write {{}} for %s"
    while name in fields:
        name = "_" + name
    tell_once(core, "args", f"{what} (see the field {name!r})", stacklevel)
    return {**fields, name: searched_values(core, list(surplus))}


# No name hides these values: they are searched as the message would be that they were meant for.
cdef object searched_values(Core core, list values):
    """The values without what `redact_text` finds in their texts; as plain values, where it is set."""
    cdef Redactor redactor = core.redactor
    if redactor is None or not redactor.redaction.hides_text:
        return values
    import json

    # A core's own is for its flusher alone.
    redactor = Redactor(redactor.keys, redactor.keys)
    return searched(redactor, json.loads(json_bytes(values, values, MAX_FIELD_BYTES, core)))


cdef object searched(Redactor redactor, object value):
    if type(value) is str:
        return redactor.without_secrets(value)
    if type(value) is list:
        items = []
        for item in <list> value:
            items.append(searched(redactor, item))
        return items
    if type(value) is dict:
        members = {}
        for name in <dict> value:
            members[name] = "[redacted]" if redactor.hides(name) else searched(redactor, value[name])
        return members
    return value


# ---- functions, which loguru's `opt(lazy=True)` calls

cdef bint is_function(object value) noexcept:
    return PyFunction_Check(value) or PyMethod_Check(value) or PyCFunction_Check(value)


cdef bint check_functions(Core core, tuple args, dict fields, object stacklevel) except -1:
    cdef Py_ssize_t i
    what = None
    for i in range(len(args)):
        if is_function(args[i]):
            what = f"argument {i + 1}"
            break
    else:
        for name, value in fields.items():
            if is_function(value):
                what = f"the field {show(name)}"
                break
    if what is not None:
        advice = "use `if logger.is_enabled_for('debug')`, or an object with __str__; repr(function) if its name is meant"
        tell_once(core, "function", f"{what} is a function, and functions are not called: {advice}", stacklevel)
    return True


# ---- the names that are no fields

cdef bint check_options(Core core, object exc_info, bint has_exception, object stacklevel) except -1:
    try:
        if type(stacklevel) is not int:
            tell_once(core, "stacklevel", f"stacklevel = {show(stacklevel)} is not a whole number: taken as 1", 1)
        if exc_info is not None and exc_info is not False:
            check_exc_info(core, exc_info, has_exception, stacklevel)
    except (RecursionError, MemoryError):
        raise
    except Exception:
        pass  # `__class__` or `__bool__` of what was given
    return True


cdef bint wants_stack(Core core, object stack_info, object stacklevel) except -1:
    """Whether `stack_info` is true. Where its `__bool__` raises, that is told, and it counts as true, as `exc_info` does."""
    try:
        return bool(stack_info)
    except (RecursionError, MemoryError):
        raise
    except Exception:
        pass
    what = f"stack_info = {show(stack_info)} is neither True nor False: taken as True"
    tell_once(core, "stack_info", what, stacklevel)
    return True


cdef bint check_exc_info(Core core, object exc_info, bint has_exception, object stacklevel) except -1:
    if isinstance(exc_info, BaseException):
        return True
    if not isinstance(exc_info, (bool, int, tuple)):
        what = f"exc_info = {show(exc_info)} is neither True nor an exception: taken as True"
        return tell_once(core, "exc_info", what, stacklevel)
    if exc_info and not has_exception:
        what = "no exception is being handled: exception() and exc_info=True belong into an except block"
        return tell_once(core, "exc_info", what, stacklevel)
    return True


# As in `logging`, except that what is refused there is told here, and stays together in the field `extra`.
cdef dict with_extra(Core core, dict fields, object stacklevel):
    """The fields of a call with a dict `extra`, whose items become fields. The call's own fields win."""
    cdef dict merged = {}
    cdef dict refused = {}
    for name, value in (<dict> fields["extra"]).items():
        if not isinstance(name, str) or name in names_of_logging:
            refused[name] = value
        else:
            merged[str.__str__(name)] = value
    for name, value in fields.items():
        if name != "extra":
            merged[name] = value
    if refused:
        merged["extra"] = refused
        tell_once(core, "extra", f"extra has names that logging refuses: {', '.join(map(show, refused))}", stacklevel)
    return merged
