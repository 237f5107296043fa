# The log calls. They are method descriptors that are made by hand on the class that users see. CPython specializes a call of a
# descriptor only for exactly its own type, and Cython's `*args, **fields` would build a tuple and a dict per call.

from cpython.object cimport PyObject
from libc.stdint cimport INT32_MAX, int32_t, uint16_t, uint32_t, uint64_t, uint8_t
from libc.string cimport memchr, memcmp

from logly.caller.encode cimport ENCODED, NOT_NATIVE, Call, Fate, ToKeep, ToWrite, encode_in_place, text_in_place
from logly.layout.levels cimport (
    LEVEL_CRITICAL, LEVEL_DEBUG, LEVEL_ERROR, LEVEL_FAIL, LEVEL_INFO, LEVEL_SUCCESS, LEVEL_TRACE, LEVEL_WARNING,
    PLACE_CRITICAL, PLACE_DEBUG, PLACE_ERROR, PLACE_FAIL, PLACE_INFO, PLACE_SUCCESS, PLACE_TRACE, PLACE_WARNING,
)
from logly.layout.line cimport Site
from logly.layout.message cimport STYLE_BRACES, Program
from logly.registry.call_site cimport site_of_caller
from logly.registry.table cimport table_find
from logly.ring.gate cimport (
    NEED_CARE, NEED_CONTEXT, NEED_DECISION, NEED_NAME, NEED_RECORDER, NEED_SAMPLING, NEED_SITE, NEED_SOURCE, NEED_THREAD_NAME,
    NEED_TIME, Gate, Intake, after_commit, needs_of,
)
from logly.ring.leases cimport FREE_THREADED
from logly.ring.record cimport IS_KEPT
from logly.ring.ring cimport Ring
from logly.system.atomic cimport load_pointer, load_relaxed, load_relaxed32
from logly.system.cpython cimport (
    METH_FASTCALL, METH_KEYWORDS, PyCFunction, PyDescr_NewMethod, PyMethodDef, PyTypeObject, Py_DecRef, Py_IncRef,
    is_str, text_data, text_kind_of, text_length_of, tuple_item, tuple_length,
)

# Of other included files:
#   caller/careful.pxi: after_emit, emit_objects, emit_slow, emit_text, emit_text_pinned, fields_of, is_percent_native,
#       tuple_of
#   caller/decision.pxi: IS_OFF, IS_TO_KEEP, IS_UNDECIDED, call_is_enabled_for, decide_fast
#   caller/fields.pxi: MAX_FIELDS, FieldBlock
#   caller/full_ring.pxi: drop_without_memory
#   caller/gather.pxi: Gathered, emit_given, gather_fast, given_fields, put_text_with_fields, release_gathered, use_block
#   caller/keep.pxi: needs_no_more, settle_kept
#   caller/sampling.pxi: emit_by_needs, is_past_sampling
#   control/core.pxi: Core
#   caller/named_levels.pxi: logger_class
#   control/logger_names.pxi: LoggerName
#   registry/retired.pxi: Pins, pin_program, unpin
#   registry/sites.pxi: site_table
#   registry/templates.pxi: may_become_template, percent_program, template_table
#   ring/enter.pxi: enter_ring, leave_ring


cdef class Producer:
    """What the public `Logger` inherits: the core it writes to, and its bound fields.

    The log methods themselves are put on the subclass by `install_methods`.
    """

    def __cinit__(self, *args, **kwargs):
        # The gate is never NULL, because a subclass may log before it has called Logger.__init__.
        self.gate = &no_gate

    def __reduce__(self):
        raise TypeError(f"a {type(self).__name__} cannot be pickled: make one in the process that is to log")

    def _attach(self, Core core not None, FieldBlock bound, owner, controller, LoggerName name):
        self.core = core
        self._use_name(name)
        self.bound = bound if bound is not None and bound.count else None
        self.owner = owner
        self.controller = controller

    def _use_name(self, LoggerName name):
        self.name = name
        self.gate = load_pointer(&name.gate) if name is not None else self.core.gate

    @property
    def _name(self):
        return self.name

    @property
    def _controller(self):
        if self.controller is None:
            raise AttributeError(f"{type(self).__name__}: Logger.__init__() has not been called")
        return self.controller

    @property
    def _bound(self):
        return self.bound

    @property
    def _owner(self):
        return self.owner


# The gate of a producer without a core. Every level is on, and every call takes the careful way, which raises what is wrong.
cdef Intake no_intake
cdef Gate no_gate
no_intake.needs = NEED_THREAD_NAME
no_gate.threshold = -INT32_MAX
no_gate.intake = &no_intake


# ---- the fast way

# True when a name is one of those that are no fields. Names are compared as texts: those of `**json.loads(...)` are not interned.
cdef inline bint has_special_name(PyObject* names) noexcept:
    cdef Py_ssize_t i, length
    cdef PyObject* name
    for i in range(tuple_length(names)):
        name = tuple_item(names, i)
        length = text_length_of(name)
        if (length == 8 or length == 10) and is_special_name(name, length):
            return True
    return False


# True when a text has no braces. (In texts that are stored in two or four bytes a character, the careful way looks.)
cdef bint is_plain_text(PyObject* text) noexcept:
    cdef size_t length = <size_t> text_length_of(text)
    cdef const void* data = text_data(text)
    return text_kind_of(text) <= 1 and memchr(data, c'{', length) == NULL and memchr(data, c'}', length) == NULL


cdef inline bint is_special_name(PyObject* name, Py_ssize_t length) noexcept:
    cdef const char* text = <const char*> text_data(name)
    if text_kind_of(name) != 0:
        return False
    if length == 8:
        return memcmp(text, b"exc_info", 8) == 0
    return memcmp(text, b"stacklevel", 10) == 0 or memcmp(text, b"stack_info", 10) == 0


cdef inline bint prepare_fast(Call* call, uint32_t needs, PyObject* names, Site* site) noexcept:
    if names != NULL and tuple_length(names):
        if has_special_name(names) or tuple_length(names) > MAX_FIELDS:
            return False
        call.names = names
    if call.arg_count or call.names != NULL:
        call.program = <Program*> table_find(&template_table, <uint64_t> call.message, STYLE_BRACES)
        if call.program == NULL:
            # Without placeholders it stays as it is: many messages with fields are texts that the program makes for each call.
            if call.arg_count or not is_plain_text(call.message) or may_become_template(call.message):
                return False
        elif not (call.program.native if call.arg_count else call.program.fills):
            return False
        elif call.arg_count != call.program.required:
            return False  # the careful way tells of arguments that no placeholder takes
    if needs & NEED_SITE:
        call.site = site.id if site != NULL else site_of_caller(&site_table)
        if call.site == 0:
            return False
    return True


# Puts a message that is ASCII text, without fields or arguments, into the ring. `site`: NULL: it is not looked up yet.
cdef inline int put_text_call(
    Gate* gate, Ring* ring, uint32_t needs, PyObject* message, int32_t number, uint8_t level, Site* site, Fate fate
) noexcept:
    cdef uint32_t place = 0
    if needs & NEED_SITE:
        place = site.id if site != NULL else site_of_caller(&site_table)
        if place == 0:
            return NOT_NATIVE
    return text_in_place(
        ring, message, number, level, place, gate.origin, needs, load_relaxed(&gate.intake.max_message_bytes) >> 2, fate
    )


cdef inline int put_call(
    Producer self, Ring* ring, uint32_t needs, int32_t number, uint8_t level, PyObject** args, Py_ssize_t count, PyObject* names,
    Site* site, Fate fate, PyObject* given
) noexcept:
    cdef PyObject* bound = <PyObject*> self.bound
    cdef Gathered gathered
    cdef Call call
    cdef uint64_t limit
    cdef int status
    call.level_number = number
    call.level = level
    call.message = args[0]
    call.args = args + 1
    call.arg_count = count - 1
    call.names = NULL
    call.values = args + count
    call.bound_size = 0
    call.bound_fields = 0
    call.context_size = 0
    call.context_fields = 0
    call.program = NULL
    call.site = 0
    call.inline_site = NULL
    call.thread_name = NULL
    call.traces = NULL
    call.origin = NULL
    call.flags = IS_KEPT if Fate is ToKeep else 0
    call.name = self.gate.origin
    call.name_inside = NULL
    if bound != <PyObject*> None:
        use_block(bound, &call.bound, &call.bound_size, &call.bound_fields)
    if not prepare_fast(&call, needs, names, site):
        return NOT_NATIVE
    if needs & NEED_CONTEXT and not gather_fast(self.core, given, &call, &gathered):
        release_gathered(&gathered)
        return NOT_NATIVE
    limit = load_relaxed(&self.gate.intake.max_message_bytes) >> (call.program.growth if call.program != NULL else 2)
    status = encode_in_place(ring, &call, needs, limit, fate)
    if needs & NEED_CONTEXT:
        release_gathered(&gathered)
    return status


cdef PyObject* emit_enabled(
    PyObject* self, int32_t number, uint8_t level, PyObject** args, Py_ssize_t count, PyObject* names
) except NULL:
    cdef uint32_t needs = needs_of((<Producer> self).gate)
    cdef Site* site = NULL
    cdef int verdict
    if needs & (NEED_DECISION | NEED_RECORDER):
        verdict = decide_fast(<Producer> self, number, needs, names, &site)
        if verdict == IS_OFF:
            Py_IncRef(<PyObject*> None)
            return <PyObject*> None
        if verdict == IS_UNDECIDED:
            return emit_slow(self, number, level, args, count, names)
        if verdict == IS_TO_KEEP:
            # The sampling is about what is written.
            return emit_as(self, number, level, args, count, names, needs & ~<uint32_t> NEED_SAMPLING, site, <ToKeep> 0)
    return emit_as(self, number, level, args, count, names, needs, site, <ToWrite> 0)


cdef inline PyObject* emit_as(
    PyObject* self, int32_t number, uint8_t level, PyObject** args, Py_ssize_t count, PyObject* names, uint32_t needs,
    Site* site, Fate fate
) except NULL:
    cdef Gate* gate = (<Producer> self).gate
    cdef Intake* intake = gate.intake
    cdef Ring* ring
    cdef PyObject* given = NULL
    cdef int status
    if count == 0 or not is_str(args[0]) or needs & (
        NEED_THREAD_NAME | NEED_CARE | NEED_NAME | NEED_SAMPLING | NEED_SOURCE | NEED_TIME
    ):
        if not is_past_sampling(<Producer> self, args, count, needs):
            if Fate is ToKeep:
                return emit_slow(self, number, level, args, count, names)
            else:
                return emit_by_needs(self, number, level, args, count, names)
        if needs & NEED_SOURCE:
            given = given_fields((<Producer> self).core)
            # The program's code may have run: a call site may be gone, and a spool may have begun.
            site = NULL
            needs |= load_relaxed32(&intake.needs) & NEED_SITE
    ring = enter_ring(intake)
    if FREE_THREADED and ring == NULL:
        return emit_given(self, number, level, args, count, names, given)
    if FREE_THREADED:
        # A spool may have begun since `needs` was read, and its records have sites.
        needs |= load_relaxed32(&intake.needs) & NEED_SITE
    if count == 1 and names == NULL and text_kind_of(args[0]) == 0:
        if <PyObject*> (<Producer> self).bound == <PyObject*> None and not needs & NEED_CONTEXT:
            status = put_text_call(gate, ring, needs, args[0], number, level, site, fate)
        else:
            status = put_text_with_fields(<Producer> self, ring, needs, args[0], number, level, site, fate, given)
    else:
        status = put_call(<Producer> self, ring, needs, number, level, args, count, names, site, fate, given)
    if Fate is ToKeep:
        status = settle_kept(<Producer> self, ring, status, number)
    elif status == ENCODED:
        after_commit(intake, ring, number)
    leave_ring(intake, ring)
    if status != ENCODED:
        return emit_given(self, number, level, args, count, names, given)
    if given != NULL:
        Py_DecRef(given)
    if load_relaxed32(&intake.post) and not (Fate is ToKeep and needs_no_more(intake, number)):
        after_emit(<Producer> self)
    Py_IncRef(<PyObject*> None)
    return <PyObject*> None


# ---- the method table

cdef inline PyObject* emit(
    PyObject* self, int32_t number, uint8_t level, PyObject** args, Py_ssize_t count, PyObject* names
) except NULL:
    if number >= load_threshold((<Producer> self).gate):
        return emit_enabled(self, number, level, args, count, names)
    Py_IncRef(<PyObject*> None)
    return <PyObject*> None


cdef inline int32_t load_threshold(Gate* gate) noexcept nogil:
    return <int32_t> load_relaxed32(<uint32_t*> &gate.threshold)


cdef PyObject* call_trace(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    return emit(self, LEVEL_TRACE, PLACE_TRACE, args, count, names)


cdef PyObject* call_debug(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    return emit(self, LEVEL_DEBUG, PLACE_DEBUG, args, count, names)


cdef PyObject* call_info(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    return emit(self, LEVEL_INFO, PLACE_INFO, args, count, names)


cdef PyObject* call_success(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    return emit(self, LEVEL_SUCCESS, PLACE_SUCCESS, args, count, names)


cdef PyObject* call_warning(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    return emit(self, LEVEL_WARNING, PLACE_WARNING, args, count, names)


cdef PyObject* call_error(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    return emit(self, LEVEL_ERROR, PLACE_ERROR, args, count, names)


cdef PyObject* call_fail(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    return emit(self, LEVEL_FAIL, PLACE_FAIL, args, count, names)


cdef PyObject* call_critical(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    return emit(self, LEVEL_CRITICAL, PLACE_CRITICAL, args, count, names)


cdef PyObject* call_exception(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    cdef dict fields
    cdef bint is_short = False
    if load_threshold((<Producer> self).gate) <= LEVEL_ERROR:
        try:
            fields = fields_of(args + count, names)
            fields.setdefault("exc_info", True)
            emit_objects(<Producer> self, LEVEL_ERROR, PLACE_ERROR, tuple_of(args, count), fields)
        except MemoryError:
            is_short = True
    if is_short:
        drop_without_memory(<Producer> self)
    Py_IncRef(<PyObject*> None)
    return <PyObject*> None


cdef PyObject* call_log(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    cdef int32_t number = 0
    cdef uint8_t level = 0
    if not resolve_level_of(<Producer> self, args, count, &number, &level):
        Py_IncRef(<PyObject*> None)
        return <PyObject*> None
    return emit(self, number, level, args + 1, count - 1, names)


# The level of a call of `log`. False: there was no memory, and the record is dropped.
cdef bint resolve_level_of(Producer self, PyObject** args, Py_ssize_t count, int32_t* number, uint8_t* level) except -1:
    cdef tuple found = None
    if count == 0:
        raise TypeError("log() needs a level and a message")
    if self.core is None:
        raise RuntimeError(f"{type(self).__name__}: Logger.__init__() has not been called")
    try:
        found = self.core.resolve_level(<object> args[0])
    except MemoryError:
        pass
    if found is None:
        drop_without_memory(self)
        return False
    number[0] = found[0]
    level[0] = found[1]
    return True


def emit_percent(
    Producer self, object level, str template not None, tuple args not None, dict fields not None, object exc_info,
    tuple place not None, tuple origin, object stack=None,
):
    """A record of `logging` whose text is ``template % args``, which the flusher makes.

    Returns False, and makes no record, where the flusher would not make exactly that text: `emit_from` takes the finished text
    then. The other arguments are those of `emit_from`.
    """
    cdef Pins pins = Pins(NULL, NULL, False)
    cdef Program* program
    cdef bint is_short = False
    try:
        program = percent_program(template)
        pin_program(&pins, program)
        if not is_percent_native(program, args, load_relaxed(&self.core.intake.max_message_bytes)):
            return False
        number, index = self.core.resolve_level(level)
        if number >= load_threshold(self.core.gate):
            emit_text_pinned(self, number, index, program, None, args, fields, exc_info, place, origin, stack, &pins)
    except MemoryError:
        is_short = True
    finally:
        unpin(&pins)
    if is_short:
        drop_without_memory(self)
    return True


def emit_from(
    Producer self, object level, object text, dict fields not None, object exc_info, object frame, tuple origin=None,
    object stack=None,
):
    """A record on behalf of a frame, of a traceback's first entry, or of a (module, function, path, line).

    `text` is finished, and is written as it is, whatever it contains. `origin` says where and when the record was made:
    (thread, thread's name, process, time in seconds since 1970). None: on this thread, in this process, now. `stack`: the text
    of a stack, or None.
    """
    cdef bint is_short = False
    try:
        number, index = self.core.resolve_level(level)
        # Levels by name go by the module of a record of `logging`, whatever name the logger has.
        if number >= load_threshold(self.core.gate if type(frame) is tuple else self.gate):
            emit_text(self, number, index, text, fields, exc_info, frame, origin, stack)
    except MemoryError:
        is_short = True
    if is_short:
        drop_without_memory(self)


cdef PyMethodDef methods[11]


cdef void define(int i, const char* name, void* function, const char* doc) noexcept:
    methods[i].ml_name = name
    methods[i].ml_meth = <PyCFunction> function
    methods[i].ml_flags = METH_FASTCALL | METH_KEYWORDS
    methods[i].ml_doc = doc


define(0, b"trace", <void*> call_trace, TRACE_DOC)
define(1, b"debug", <void*> call_debug, DEBUG_DOC)
define(2, b"info", <void*> call_info, INFO_DOC)
define(3, b"success", <void*> call_success, SUCCESS_DOC)
define(4, b"warning", <void*> call_warning, WARNING_DOC)
define(5, b"error", <void*> call_error, ERROR_DOC)
define(6, b"fail", <void*> call_fail, FAIL_DOC)
define(7, b"critical", <void*> call_critical, CRITICAL_DOC)
define(8, b"exception", <void*> call_exception, EXCEPTION_DOC)
define(9, b"log", <void*> call_log, LOG_DOC)
define(10, b"is_enabled_for", <void*> call_is_enabled_for, ENABLED_DOC)


cdef extern from *:
    """
    #define LOGLY_TEXT_OF(NUMBER) #NUMBER
    #define LOGLY_TEXT(NUMBER) LOGLY_TEXT_OF(NUMBER)
    #define LOGLY_DOC(NAME, LEVEL) NAME "($self, message, /, *args, **fields)\\n--\\n\\n" \\
        "Log a message at " LEVEL ".\\n\\n" \\
        "Args:\\n" \\
        "    message: any object. With `args` a template of str.format's; alone it is written as it is.\\n" \\
        "    args: values for the placeholders, byte for byte as str.format would put them.\\n" \\
        "    fields: structured fields. They also fill `{name}`, `{name!r}` and `{name:spec}`; without `args` only where\\n" \\
        "        each placeholder is such a name, or the message is written as it is. Three names are not\\n" \\
        "        fields: `exc_info` (True, or an exception) adds a traceback, `stack_info` (True) the stack of the\\n" \\
        "        call, and `stacklevel` (2: the caller's caller) moves the call site up.\\n\\n" \\
        "Raises nothing because of a sink's trouble, and because of its arguments only a RecursionError."
    static const char TRACE_DOC[] = LOGLY_DOC("trace", "TRACE (" LOGLY_TEXT(LOGLY_LEVEL_TRACE) ")");
    static const char DEBUG_DOC[] = LOGLY_DOC("debug", "DEBUG (" LOGLY_TEXT(LOGLY_LEVEL_DEBUG) ")");
    static const char INFO_DOC[] = LOGLY_DOC("info", "INFO (" LOGLY_TEXT(LOGLY_LEVEL_INFO) ")");
    static const char SUCCESS_DOC[] = LOGLY_DOC("success", "SUCCESS (" LOGLY_TEXT(LOGLY_LEVEL_SUCCESS) ")");
    static const char WARNING_DOC[] = LOGLY_DOC("warning", "WARNING (" LOGLY_TEXT(LOGLY_LEVEL_WARNING) ")");
    static const char ERROR_DOC[] = LOGLY_DOC("error", "ERROR (" LOGLY_TEXT(LOGLY_LEVEL_ERROR) ")");
    static const char FAIL_DOC[] = LOGLY_DOC("fail", "FAIL (" LOGLY_TEXT(LOGLY_LEVEL_FAIL) ")");
    static const char CRITICAL_DOC[] = LOGLY_DOC("critical", "CRITICAL (" LOGLY_TEXT(LOGLY_LEVEL_CRITICAL) ")");
    static const char EXCEPTION_DOC[] = LOGLY_DOC(
        "exception", "ERROR (" LOGLY_TEXT(LOGLY_LEVEL_ERROR) "), with the exception that is being handled");
    static const char LOG_DOC[] = "log($self, level, message, /, *args, **fields)\\n--\\n\\n"
        "Log a message at a level given as `Level`, int, or name in any case; see `info` for the rest.\\n\\n"
        "Raises:\\n    ConfigError: there is no such level.";
    static const char ENABLED_DOC[] = "is_enabled_for($self, level)\\n--\\n\\n"
        "Whether a record of this level would be logged by the logger's name, or else by the calling module's.\\n\\n"
        "Raises:\\n    ConfigError: there is no such level.";
    """
    const char* TRACE_DOC
    const char* DEBUG_DOC
    const char* INFO_DOC
    const char* SUCCESS_DOC
    const char* WARNING_DOC
    const char* ERROR_DOC
    const char* FAIL_DOC
    const char* CRITICAL_DOC
    const char* EXCEPTION_DOC
    const char* LOG_DOC
    const char* ENABLED_DOC


def install_methods(type cls not None):
    """Puts the log methods and `is_enabled_for` on `cls`, a subclass of Producer, as its own method descriptors."""
    global logger_class
    cdef int i
    for i in range(11):
        setattr(cls, (<bytes> methods[i].ml_name).decode(), PyDescr_NewMethod(<PyTypeObject*> cls, &methods[i]))
    cls.warn = cls.warning
    logger_class = cls
