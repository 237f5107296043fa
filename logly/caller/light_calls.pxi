# The log calls of a light logger, which a counter lets pass or holds back, and those of a logger that make one.
#
# The level comes first: a call that is off is not counted. Then the counter. A call that is held back makes no record, and looks
# at nothing of the user's. What passes goes the way of any other call (caller/calls.pxi). If calls were held back before it, it
# goes through a producer that has the field `suppressed` behind the bound fields: these are never filled into a message.

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from libc.stdint cimport int32_t, uint64_t, uint8_t
from libc.string cimport memcpy

from logly.layout.levels cimport (
    LEVEL_CRITICAL, LEVEL_DEBUG, LEVEL_ERROR, LEVEL_FAIL, LEVEL_INFO, LEVEL_SUCCESS, LEVEL_TRACE, LEVEL_WARNING,
    PLACE_CRITICAL, PLACE_DEBUG, PLACE_ERROR, PLACE_FAIL, PLACE_INFO, PLACE_SUCCESS, PLACE_TRACE, PLACE_WARNING,
)
from logly.layout.line cimport Site
from logly.ring.counter cimport LIMIT_EVERY, LIMIT_FIRST, LIMIT_WINDOW, count_more, counter_passes, held_take
from logly.ring.gate cimport NEED_DECISION, NEED_SITE, needs_of
from logly.ring.leases cimport FREE_THREADED
from logly.ring.record cimport SUPPRESSED_BYTES, Cursor, put_suppressed
from logly.system.atomic cimport load_relaxed
from logly.system.cpython cimport (
    METH_FASTCALL, METH_KEYWORDS, PyCFunction, PyDescr_NewMethod, PyMethodDef, PyTypeObject, Py_DecRef, Py_IncRef, is_str,
    text_length_of, tuple_item, tuple_length,
)
from logly.system.lock cimport lock_release, lock_take

# Of other included files:
#   caller/calls.pxi: CRITICAL_DOC, DEBUG_DOC, ENABLED_DOC, ERROR_DOC, EXCEPTION_DOC, FAIL_DOC, INFO_DOC, LOG_DOC,
#       SUCCESS_DOC, TRACE_DOC, WARNING_DOC, Producer, call_exception, emit_enabled, load_threshold, resolve_level_of
#   caller/decision.pxi: IS_OFF, IS_UNDECIDED, call_is_enabled_for, decide_fast, verdict_at
#   caller/fields.pxi: FieldBlock
#   caller/limits.pxi: Limited, light_class, limited
#   caller/origin.pxi: safe_site
#   registry/retired.pxi: Pins, unpin

cdef enum:
    MOST_MESSAGE = 200         # characters of a message that a counter keeps, to tell at the end what was held back


# ---- counted

cdef inline PyObject* emit_light(
    PyObject* self, int32_t number, uint8_t level, PyObject** args, Py_ssize_t count, PyObject* names
) except NULL:
    if number >= load_threshold((<Producer> self).gate):
        if needs_of((<Producer> self).gate) & NEED_DECISION and not is_on_at(<Limited> self, number, args + count, names):
            Py_IncRef(<PyObject*> None)
            return <PyObject*> None
        if counter_passes((<Limited> self).counting):
            return emit_passed(<Limited> self, number, level, args, count, names)
        hold_back(<Limited> self, args, count)
    Py_IncRef(<PyObject*> None)
    return <PyObject*> None


cdef inline void hold_back(Limited self, PyObject** args, Py_ssize_t count) noexcept:
    if load_relaxed(&self.counting.held) == 0:
        note_message(self, args[0] if count else NULL)
    count_more(&self.counting.held, 1)
    count_more(&self.core.held_back.total, 1)


# What was held back is told at the end, if no record passes before. The first message says what it was.
cdef void note_message(Limited self, PyObject* message) noexcept:
    cdef PyObject* before = message
    if message != NULL and is_str(message) and text_length_of(message) <= MOST_MESSAGE:
        Py_IncRef(message)
    else:
        message = NULL
    if FREE_THREADED:
        lock_take(&self.core.held_back.lock)
    before = self.counting.message
    self.counting.message = message
    if FREE_THREADED:
        lock_release(&self.core.held_back.lock)
    if before != NULL:
        Py_DecRef(before)


cdef PyObject* emit_passed(
    Limited self, int32_t number, uint8_t level, PyObject** args, Py_ssize_t count, PyObject* names
) except NULL:
    cdef Producer teller = self
    if load_relaxed(&self.counting.held):
        teller = teller_of(self, &self.counting.held)
    return emit_enabled(<PyObject*> teller, number, level, args, count, names)


cdef Producer teller_of(Producer self, uint64_t* held):
    """A producer for one record, which tells what has been held back. The same producer, if there is nothing to tell."""
    cdef Producer teller
    cdef FieldBlock block
    cdef uint64_t told = held_take(held)
    if told == 0:
        return self
    try:
        teller = Producer.__new__(Producer)
        block = block_with_suppressed(self.bound, told)
    except MemoryError:
        teller = None
    if teller is None or block is None:
        count_more(held, told)  # for the next one
        return self
    teller.core = self.core
    teller.gate = self.gate
    teller.name = self.name
    teller.controller = self.controller
    teller.is_counted = True
    teller.bound = block
    return teller


cdef FieldBlock block_with_suppressed(FieldBlock bound, uint64_t told):
    cdef FieldBlock block
    cdef Py_ssize_t size
    cdef Cursor out
    if bound is not None and "suppressed" in bound.values:
        return FieldBlock({"suppressed": told}, bound)
    size = len(bound.data) if bound is not None else 0
    block = FieldBlock.__new__(FieldBlock)
    block.data = PyBytes_FromStringAndSize(NULL, size + SUPPRESSED_BYTES)
    block.values = {}  # nobody binds more to this one
    block.count = (bound.count if bound is not None else 0) + 1
    out.at = <char*> block.data
    out.end = out.at + size + SUPPRESSED_BYTES
    if size:
        memcpy(out.at, <const char*> bound.data, size)
        out.at += size
    put_suppressed(&out, told)
    return block


cdef bint is_on_at(Limited self, int32_t number, PyObject** values, PyObject* names) except -1:
    """Whether the level is on where that depends on the call's module, or on a name that has no gate of its own."""
    cdef Site* site = NULL
    cdef int verdict = decide_fast(self, number, needs_of(self.gate), names, &site)
    cdef bint is_on = True
    if verdict != IS_UNDECIDED:
        return verdict != IS_OFF
    try:
        is_on = decide_at(self, number, stacklevel_of(values, names))
    except MemoryError:
        pass  # the call that follows has none either, and drops its record
    return is_on


cdef bint decide_at(Limited self, int32_t number, object stacklevel) except -1:
    cdef Pins pins = Pins(NULL, NULL, False)
    cdef object place = None
    try:
        if self.name is None:
            place = safe_site(NEED_SITE, stacklevel, None, &pins)
        return verdict_at(self.core, self.gate, needs_of(self.gate), number, self.name, place) != IS_OFF
    finally:
        unpin(&pins)


cdef object stacklevel_of(PyObject** values, PyObject* names):
    cdef Py_ssize_t i
    if names != NULL:
        for i in range(tuple_length(names)):
            if <str> <object> tuple_item(names, i) == "stacklevel":
                return <object> values[i]
    return 1


# ---- the methods of a light logger

cdef PyObject* light_trace(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    return emit_light(self, LEVEL_TRACE, PLACE_TRACE, args, count, names)


cdef PyObject* light_debug(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    return emit_light(self, LEVEL_DEBUG, PLACE_DEBUG, args, count, names)


cdef PyObject* light_info(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    return emit_light(self, LEVEL_INFO, PLACE_INFO, args, count, names)


cdef PyObject* light_success(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    return emit_light(self, LEVEL_SUCCESS, PLACE_SUCCESS, args, count, names)


cdef PyObject* light_warning(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    return emit_light(self, LEVEL_WARNING, PLACE_WARNING, args, count, names)


cdef PyObject* light_error(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    return emit_light(self, LEVEL_ERROR, PLACE_ERROR, args, count, names)


cdef PyObject* light_fail(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    return emit_light(self, LEVEL_FAIL, PLACE_FAIL, args, count, names)


cdef PyObject* light_critical(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    return emit_light(self, LEVEL_CRITICAL, PLACE_CRITICAL, args, count, names)


cdef PyObject* light_exception(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    cdef Producer teller
    if LEVEL_ERROR >= load_threshold((<Producer> self).gate):
        if needs_of((<Producer> self).gate) & NEED_DECISION and not is_on_at(<Limited> self, LEVEL_ERROR, args + count, names):
            Py_IncRef(<PyObject*> None)
            return <PyObject*> None
        if counter_passes((<Limited> self).counting):
            teller = teller_of(<Producer> self, &(<Limited> self).counting.held)
            return call_exception(<PyObject*> teller, args, count, names)
        hold_back(<Limited> self, args, count)
    Py_IncRef(<PyObject*> None)
    return <PyObject*> None


cdef PyObject* light_log(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    cdef int32_t number = 0
    cdef uint8_t level = 0
    if not resolve_level_of(<Producer> self, args, count, &number, &level):
        Py_IncRef(<PyObject*> None)
        return <PyObject*> None
    return emit_light(self, number, level, args + 1, count - 1, names)


# ---- the methods of a logger that make a light one

cdef PyObject* call_once(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    return limited(self, LIMIT_FIRST, b"once", args, count, names)


cdef PyObject* call_first(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    return limited(self, LIMIT_FIRST, b"first", args, count, names)


cdef PyObject* call_every(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    return limited(self, LIMIT_EVERY, b"every", args, count, names)


cdef PyObject* call_limit(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    return limited(self, LIMIT_WINDOW, b"limit", args, count, names)


cdef PyMethodDef light_methods[15]


cdef void define_light(int i, const char* name, void* function, const char* doc) noexcept:
    light_methods[i] = PyMethodDef(name, <PyCFunction> function, METH_FASTCALL | METH_KEYWORDS, doc)


define_light(0, b"trace", <void*> light_trace, TRACE_DOC)
define_light(1, b"debug", <void*> light_debug, DEBUG_DOC)
define_light(2, b"info", <void*> light_info, INFO_DOC)
define_light(3, b"success", <void*> light_success, SUCCESS_DOC)
define_light(4, b"warning", <void*> light_warning, WARNING_DOC)
define_light(5, b"error", <void*> light_error, ERROR_DOC)
define_light(6, b"fail", <void*> light_fail, FAIL_DOC)
define_light(7, b"critical", <void*> light_critical, CRITICAL_DOC)
define_light(8, b"exception", <void*> light_exception, EXCEPTION_DOC)
define_light(9, b"log", <void*> light_log, LOG_DOC)
define_light(10, b"is_enabled_for", <void*> call_is_enabled_for, ENABLED_DOC)
define_light(11, b"once", <void*> call_once, ONCE_DOC)
define_light(12, b"first", <void*> call_first, FIRST_DOC)
define_light(13, b"every", <void*> call_every, EVERY_DOC)
define_light(14, b"limit", <void*> call_limit, LIMIT_DOC)


cdef extern from *:
    """
    #define LOGLY_LIMIT_DOC(HEAD, WHAT, ARGS, RAISES) HEAD "\\n--\\n\\n" WHAT "\\n\\n" \\
        "Made in place, as in `logger.once().info(...)`, it has the counter of that call site. Kept in a variable, it\\n" \\
        "counts its own calls. The next record that passes has the field `suppressed`.\\n\\n" \\
        "Args:\\n" ARGS \\
        "    key: counts apart for each key (hashable; the latest 1,024 of them); None: for all calls together.\\n\\n" \\
        "Raises:\\n" RAISES "    TypeError: another argument, or a key that is not hashable."
    #define LOGLY_NUMBER_RAISES "    ConfigError: `n` is no whole number from 1 on.\\n"
    static const char ONCE_DOC[] = LOGLY_LIMIT_DOC("once($self, /, *, key=None)",
        "A light logger whose first call passes.", "", "");
    static const char FIRST_DOC[] = LOGLY_LIMIT_DOC("first($self, n, /, *, key=None)",
        "A light logger whose first `n` calls pass.", "    n: so many calls pass.\\n", LOGLY_NUMBER_RAISES);
    static const char EVERY_DOC[] = LOGLY_LIMIT_DOC("every($self, n, /, *, key=None)",
        "A light logger of which each `n`-th call passes, beginning with the first.",
        "    n: of so many calls one passes.\\n", LOGLY_NUMBER_RAISES);
    static const char LIMIT_DOC[] = LOGLY_LIMIT_DOC("limit($self, rate, /, *, key=None)",
        "A light logger that lets so many calls pass in a second, a minute or an hour.",
        "    rate: as \\"5/s\\", \\"5/m\\" or \\"5/h\\". The time begins with the first call after the time before.\\n",
        "    ConfigError: `rate` cannot be read.\\n");
    """
    const char* ONCE_DOC
    const char* FIRST_DOC
    const char* EVERY_DOC
    const char* LIMIT_DOC


def install_light_methods(type cls not None):
    """Puts the log methods on `cls`, a subclass of Limited. `once` and its sisters return objects of it from now on."""
    global light_class
    cdef int i
    for i in range(11):
        setattr(cls, (<bytes> light_methods[i].ml_name).decode(), PyDescr_NewMethod(<PyTypeObject*> cls, &light_methods[i]))
    cls.warn = cls.warning
    light_class = cls


def install_limits(type cls not None):
    """Puts `once`, `first`, `every` and `limit` on `cls`, a subclass of Producer."""
    cdef int i
    for i in range(11, 15):
        setattr(cls, (<bytes> light_methods[i].ml_name).decode(), PyDescr_NewMethod(<PyTypeObject*> cls, &light_methods[i]))
