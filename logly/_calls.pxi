# The log calls. They are method descriptors made by hand on the class that users see: CPython specializes a
# call of a descriptor only for exactly its own type, and Cython's `*args, **fields` would build a tuple and a dict per call.

cdef enum:
    MAX_NATIVE_NAMES = 64

cdef PyObject* EXC_INFO = <PyObject*> "exc_info"
cdef PyObject* STACKLEVEL = <PyObject*> "stacklevel"


cdef class Producer:
    """What the public `Logger` inherits: the core it writes to, and its bound fields.

    The log methods themselves are put on the subclass by `install_methods`.
    """

    def __cinit__(self, *args, **kwargs):
        # Never NULL: a subclass may log before it has called Logger.__init__.
        self.engine = &no_engine

    def __reduce__(self):
        raise TypeError(f"a {type(self).__name__} cannot be pickled: make one in the process that is to log")

    def _attach(self, Core core not None, FieldBlock bound, owner):
        self.core = core
        self.engine = core.engine
        self.bound = bound if bound is not None and bound.count else None
        self.owner = owner

    @property
    def _bound(self):
        return self.bound

    @property
    def _owner(self):
        return self.owner


# What a producer without a core writes to: every level is on, and the careful way is asked for, which says what is wrong.
cdef Engine no_engine
no_engine.threshold = -INT32_MAX
no_engine.needs = NEED_THREAD_NAME

# ---- the fast way

# True when a name needs looking at: one of the two that are no fields, or one that cannot be told by identity.
cdef inline bint has_special_name(PyObject* names) noexcept:
    cdef Py_ssize_t i, length
    cdef PyObject* name
    for i in range(tuple_length(names)):
        name = tuple_item(names, i)
        length = text_length_of(name)
        if (length == 8 or length == 10) and (name == EXC_INFO or name == STACKLEVEL or not is_interned(name)):
            return True
    return False


cdef inline bint prepare_fast(Call* call, uint32_t needs, PyObject* names) noexcept:
    if names != NULL and tuple_length(names):
        if has_special_name(names) or tuple_length(names) > MAX_NATIVE_NAMES:
            return False
        call.names = names
    if call.arg_count or call.names != NULL:
        call.program = <Program*> table_find(&template_table, <uint64_t> call.message, 1)
        if call.program == NULL or not (call.program.native if call.arg_count else call.program.fills):
            return False
        if call.arg_count < call.program.required:
            return False
        if call.arg_count > MAX_ARGS:
            return False
    if needs & NEED_SITE:
        call.site = site_of_caller(&site_table)
        if call.site == 0:
            return False
    return True


# One message that is ASCII text, nothing bound, nothing else to look up.
cdef inline int put_text_call(
    Engine* engine, Ring* ring, uint32_t needs, PyObject* message, int32_t number, uint8_t level
) noexcept:
    cdef uint32_t site = 0
    if needs & NEED_SITE:
        site = site_of_caller(&site_table)
        if site == 0:
            return NOT_NATIVE
    return text_in_place(ring, message, number, level, site, needs, load_relaxed(&engine.max_message_bytes) >> 2)


cdef inline int put_call(
    Producer self, Ring* ring, uint32_t needs, int32_t number, uint8_t level, PyObject** args, Py_ssize_t count, PyObject* names
) noexcept:
    cdef PyObject* bound = <PyObject*> self.bound
    cdef PyObject* context = NULL
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
    call.exception = NULL
    call.origin = NULL
    if bound != <PyObject*> None:
        use_block(bound, &call.bound, &call.bound_size, &call.bound_fields)
    if not prepare_fast(&call, needs, names):
        return NOT_NATIVE
    if needs & NEED_CONTEXT:
        context = current_context(self.core)
        if context != NULL:
            use_block(context, &call.context, &call.context_size, &call.context_fields)
    limit = load_relaxed(&self.engine.max_message_bytes) >> (call.program.growth if call.program != NULL else 2)
    status = encode_in_place(ring, &call, needs, limit)
    if context != NULL:
        Py_DecRef(context)
    return status


cdef PyObject* emit_enabled(
    PyObject* self, int32_t number, uint8_t level, PyObject** args, Py_ssize_t count, PyObject* names
) except NULL:
    cdef Engine* engine = (<Producer> self).engine
    cdef Ring* ring
    cdef uint32_t needs = load_relaxed32(&engine.needs)
    cdef int status
    if count == 0 or not is_str(args[0]) or needs & (NEED_THREAD_NAME | NEED_CARE):
        return emit_slow(self, number, level, args, count, names)
    ring = enter_ring(engine)
    if FREE_THREADED and ring == NULL:
        return emit_slow(self, number, level, args, count, names)
    if (
        count == 1 and names == NULL and <PyObject*> (<Producer> self).bound == <PyObject*> None
        and not needs & NEED_CONTEXT and text_kind_of(args[0]) == 0
    ):
        status = put_text_call(engine, ring, needs, args[0], number, level)
    else:
        status = put_call(<Producer> self, ring, needs, number, level, args, count, names)
    if status == ENCODED:
        after_commit(engine, ring, number)
    leave_ring(engine, ring)
    if status != ENCODED:
        return emit_slow(self, number, level, args, count, names)
    if load_relaxed32(&engine.post):
        after_emit(<Producer> self)
    Py_IncRef(<PyObject*> None)
    return <PyObject*> None


cdef inline void use_block(PyObject* block, const char** data, uint32_t* size, uint16_t* count) noexcept:
    cdef PyObject* encoded = <PyObject*> (<FieldBlock> block).data
    data[0] = bytes_address(encoded)
    size[0] = <uint32_t> bytes_size(encoded)
    count[0] = (<FieldBlock> block).count


cdef extern from *:
    const char* bytes_address "PyBytes_AS_STRING"(PyObject*) noexcept nogil
    Py_ssize_t bytes_size "PyBytes_GET_SIZE"(PyObject*) noexcept nogil


# A new reference to the FieldBlock of the current context, or NULL.
cdef PyObject* current_context(Core core) noexcept:
    cdef PyObject* block = NULL
    if core.context is None:
        return NULL
    if PyContextVar_Get(<PyObject*> core.context, NULL, &block) < 0:
        PyErr_Clear()
        return NULL
    if block == <PyObject*> None:
        Py_DecRef(block)
        return NULL
    return block


# ---- the careful way

cdef PyObject* emit_slow(
    PyObject* self, int32_t number, uint8_t level, PyObject** args, Py_ssize_t count, PyObject* names
) except NULL:
    cdef bint is_short = False
    try:
        emit_objects(<Producer> self, number, level, tuple_of(args, count), fields_of(args + count, names))
    except MemoryError:
        is_short = True
    if is_short:
        give_up_without_memory(<Producer> self)
    Py_IncRef(<PyObject*> None)
    return <PyObject*> None


cdef tuple tuple_of(PyObject** items, Py_ssize_t count):
    cdef tuple made = PyTuple_New(count)
    cdef Py_ssize_t i
    for i in range(count):
        Py_INCREF(<object> items[i])
        PyTuple_SET_ITEM(made, i, <object> items[i])
    return made


cdef dict fields_of(PyObject** values, PyObject* names):
    cdef dict fields = {}
    cdef Py_ssize_t i
    cdef str name
    if names != NULL:
        for i in range(tuple_length(names)):
            # A name may be of a subclass of str, with a __hash__ of its own: never let that run.
            name = str.__str__(<object> tuple_item(names, i))
            fields[name] = <object> values[i]
    return fields


cdef bint emit_objects(Producer self, int32_t number, uint8_t level, tuple args, dict fields) except -1:
    if self.core is None:
        raise RuntimeError(f"{type(self).__name__}: Logger.__init__() has not been called")
    if args:
        message, args = args[0], args[1:]
    elif "message" in fields:
        message = fields.pop("message")
    else:
        raise TypeError("a log call needs a message")
    exc_info = fields.pop("exc_info", None)
    stacklevel = fields.pop("stacklevel", 1)
    return emit_careful(self, number, level, message, args, fields, exc_info, stacklevel)


# Would the flusher render exactly what str.format gives, and not more than the limit allows?
cdef bint all_native(Program* program, tuple args, uint64_t limit) noexcept:
    if program == NULL or not program.native or len(args) < program.required or len(args) > MAX_ARGS:
        return False
    # Named placeholders are filled from the call's fields as they were given: that is the fast way's, or str.format's.
    return program.names == 0 and args_are_native(program, args) and size_of_texts(args) <= (limit // 10) >> (program.growth - 2)


# In characters, each of which may become ten bytes: !a shows one as \U0001f600.
cdef uint64_t size_of_texts(tuple args) noexcept:
    cdef uint64_t size = 0
    for value in args:
        if type(value) is str:
            size += <uint64_t> len(<str> value)
        elif type(value) is bytes:
            size += <uint64_t> len(<bytes> value)
    return size


cdef bint args_are_native(Program* program, tuple args) noexcept:
    cdef Py_ssize_t i
    cdef uint32_t kind
    for i in range(len(args)):
        kind = kind_of(args[i])
        if kind == 0 or (i < program.required and not program.accepts[i] & kind):
            return False
    return True


cdef uint32_t kind_of(object value) noexcept:
    """The KIND bit of a value that is copied as bits; 0: none."""
    cdef char room[16]
    cdef Cursor out
    cdef int kind
    if type(value) is str:
        return KIND_STR
    if type(value) is bytes:
        return KIND_BYTES
    out.at = room
    out.end = room + sizeof(room)
    kind = put_value(&out, <PyObject*> value)
    return <uint32_t> kind if kind > 0 else 0


# Is it a template whatever the fields are? With fields alone, one that has braces is so only once they have filled it.
cdef bint is_kept_template(str message, tuple args, dict fields) noexcept:
    return bool(args) or (bool(fields) and not has_braces(message))


cdef bint emit_careful(
    Producer self, int32_t number, uint8_t level, object message, tuple args, dict fields, object exc_info, object stacklevel
) except -1:
    """One record, whatever its parts are. Raises only what is the program's own: KeyboardInterrupt, SystemExit, RecursionError.

    A MemoryError comes out of here, too, for the callers of this function: the record is not there, and not counted yet.
    """
    cdef Core core = self.core
    cdef uint64_t limit = load_relaxed(&core.engine.max_message_bytes)
    cdef Program* program = NULL
    cdef str text = None
    cdef tuple exception = None
    cdef object trouble = None
    try:
        if exc_info is not None and exc_info is not False:
            exception = exception_texts(exc_info, limit)
        if type(message) is str and is_kept_template(message, args, fields) and <uint64_t> len(message) <= limit // 4:
            program = register_template(message)
        if not all_native(program, args, limit):
            program = NULL
            text = cut_text(format_message(core, message, args, fields, stacklevel, limit), limit)
        place = safe_site(core, stacklevel, None)
        name = current_thread_name() if load_relaxed32(&core.engine.needs) & NEED_THREAD_NAME else None
        block = FieldBlock(fields, None, limit) if fields else None
    except (RecursionError, MemoryError):
        raise
    except Exception as error:
        trouble = error  # what has a way of its own to fail has been dealt with before it comes here
    if trouble is not None:
        return give_up(core, trouble)
    return commit_careful(self, number, level, program, text, args, block, place, name, exception, NULL)


cdef bint emit_text(
    Producer self, int32_t number, uint8_t level, object message, dict fields, object exc_info, object frame, tuple origin
) except -1:
    """One record of a finished text. It never meets the table of templates, nor `format`: it may be from outside."""
    cdef Core core = self.core
    cdef uint64_t limit = load_relaxed(&core.engine.max_message_bytes)
    cdef str text = None
    cdef tuple exception = None
    cdef Origin numbers
    cdef const Origin* own = NULL
    cdef object trouble = None
    try:
        if exc_info is not None and exc_info is not False:
            exception = exception_texts(exc_info, limit)
        text = cut_text(message if type(message) is str else safe_str(message), limit)
        place = safe_site(core, 1, frame)
        name = None
        if load_relaxed32(&core.engine.needs) & NEED_THREAD_NAME:
            name = current_thread_name() if origin is None else safe_str(origin[1])
        block = FieldBlock(fields, None, limit) if fields else None
        if origin is not None:
            numbers = origin_of(core, origin[0], origin[2])
            own = &numbers
    except (RecursionError, MemoryError):
        raise
    except Exception as error:
        trouble = error
    if trouble is not None:
        return give_up(core, trouble)
    return commit_careful(self, number, level, NULL, text, (), block, place, name, exception, own)


cdef Origin origin_of(Core core, object thread, object process) except *:
    """Of what `logging` says; what is no number (`logging.logThreads` is off) is not known, or is the caller's."""
    cdef Origin origin
    origin.process = word_of(process, core.engine.process)
    if origin.process == core.engine.process:
        origin.process = 0
    origin.thread = word_of(thread, 0 if origin.process else PyThread_get_thread_ident())
    return origin


cdef uint64_t word_of(object value, uint64_t otherwise) except *:
    return value if type(value) is int and 0 <= value < (1 << 64) else otherwise


cdef int64_t line_number(object value) noexcept:
    """Of a place that somebody gives: whatever it is, the record is made."""
    return value if type(value) is int and 0 <= value <= INT32_MAX else 0


cdef object safe_site(Core core, object stacklevel, object frame):
    try:
        return careful_site(core, stacklevel, frame)
    except (RecursionError, MemoryError):
        raise
    except Exception:
        pass
    return UNKNOWN_PLACE  # the interpreter has taken this module apart


cdef object careful_site(Core core, object stacklevel, object frame):
    """The site's id, or (module, function, path, line) where the registry has no place for it; None: not wanted."""
    if not load_relaxed32(&core.engine.needs) & NEED_SITE:
        return None
    if type(frame) is tuple:
        return frame  # logging's own word for it: see stdlib.py
    if frame is None:
        frame = frame_at(stacklevel)
    if frame is None:
        return UNKNOWN_PLACE
    place = place_of(frame)
    return register_site(place) or describe_place(place)


cdef bint commit_careful(
    Producer self, int32_t number, uint8_t level, Program* program, str text, tuple args, FieldBlock fields, object place,
    str name, tuple exception, const Origin* origin
) except -1:
    cdef Core core = self.core
    cdef Call call
    cdef PyObject* arguments[MAX_ARGS]
    cdef PyObject* site[4]
    cdef PyObject* error[EXCEPTION_TEXTS]
    cdef PyObject* context = NULL
    cdef FieldBlock bound = self.bound
    cdef bytes own = fields.data if fields is not None else b""
    cdef bytes joined
    cdef Py_ssize_t i
    memset(&call, 0, sizeof(Call))
    call.level_number = number
    call.level = level
    call.program = program
    call.message = <PyObject*> text
    if program != NULL:
        call.arg_count = len(args)
        for i in range(len(args)):
            arguments[i] = <PyObject*> args[i]
        call.args = arguments
    if load_relaxed32(&core.engine.needs) & NEED_CONTEXT:
        context = current_context(core)
    if type(place) is tuple:
        place = (safe_str(place[0]), safe_str(place[1]), safe_str(place[2]), line_number(place[3]))
        for i in range(4):
            site[i] = <PyObject*> (<tuple> place)[i]
        call.inline_site = site
    elif place is not None:
        call.site = place
    call.origin = origin
    if name is not None:
        call.thread_name = <PyObject*> name
    if exception is not None:
        for i in range(EXCEPTION_TEXTS):
            error[i] = <PyObject*> exception[i]
        call.exception = error
    if context != NULL:
        use_block(context, &call.context, &call.context_size, &call.context_fields)
    # The call's own fields were encoded too: they go in behind the bound ones as one block.
    joined = (bound.data if bound is not None else b"") + own
    call.bound = joined
    call.bound_size = <uint32_t> len(joined)
    call.bound_fields = (bound.count if bound is not None else 0) + (fields.count if fields is not None else 0)
    try:
        return place_record(self, &call, bound is not None and fields is not None)
    finally:
        if context != NULL:
            Py_DecRef(context)


# The record is in the ring. Without memory for what follows, the next call's turn, or the flusher's, comes to the same work.
cdef bint after_emit(Producer self) except -1:
    try:
        follow_up(self)
    except MemoryError:
        pass
    return True


cdef bint follow_up(Producer self) except -1:
    cdef Core core = self.core
    cdef uint32_t post
    if load_relaxed32(&self.engine.post) & POST_START:
        core.ask_for_flusher()
    # It may not have started: then this thread does its work.
    post = load_relaxed32(&self.engine.post)
    if post & POST_SYNC:
        core.write_here()
    elif post & POST_DRAIN:
        core.drain_here()
    elif post & POST_WAKE:
        engine_wake(self.engine)
    return True


# ---- the method table

cdef inline PyObject* emit(
    PyObject* self, int32_t number, uint8_t level, PyObject** args, Py_ssize_t count, PyObject* names
) except NULL:
    if number >= load_threshold((<Producer> self).engine):
        return emit_enabled(self, number, level, args, count, names)
    Py_IncRef(<PyObject*> None)
    return <PyObject*> None


cdef inline int32_t load_threshold(Engine* engine) noexcept nogil:
    return <int32_t> load_relaxed32(<uint32_t*> &engine.threshold)


cdef PyObject* call_trace(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    return emit(self, 5, 0, args, count, names)


cdef PyObject* call_debug(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    return emit(self, 10, 1, args, count, names)


cdef PyObject* call_info(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    return emit(self, 20, 2, args, count, names)


cdef PyObject* call_success(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    return emit(self, 25, 3, args, count, names)


cdef PyObject* call_warning(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    return emit(self, 30, 4, args, count, names)


cdef PyObject* call_error(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    return emit(self, 40, 5, args, count, names)


cdef PyObject* call_fail(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    return emit(self, 45, 6, args, count, names)


cdef PyObject* call_critical(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    return emit(self, 50, 7, args, count, names)


cdef PyObject* call_exception(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    cdef dict fields
    cdef bint is_short = False
    if load_threshold((<Producer> self).engine) <= 40:
        try:
            fields = fields_of(args + count, names)
            fields.setdefault("exc_info", True)
            emit_objects(<Producer> self, 40, 5, tuple_of(args, count), fields)
        except MemoryError:
            is_short = True
    if is_short:
        give_up_without_memory(<Producer> self)
    Py_IncRef(<PyObject*> None)
    return <PyObject*> None


cdef PyObject* call_log(PyObject* self, PyObject** args, Py_ssize_t count, PyObject* names) except NULL:
    cdef int32_t number
    cdef uint8_t level
    cdef tuple found = None
    if count == 0:
        raise TypeError("log() needs a level and a message")
    if (<Producer> self).core is None:
        return emit_slow(self, 0, 0, args, count, names)
    try:
        found = (<Producer> self).core.resolve_level(<object> args[0])
    except MemoryError:
        pass
    if found is None:
        give_up_without_memory(<Producer> self)
        Py_IncRef(<PyObject*> None)
        return <PyObject*> None
    number, level = found
    return emit(self, number, level, args + 1, count - 1, names)


def emit_from(
    Producer self, object level, object text, dict fields not None, object exc_info, object frame, tuple origin=None,
):
    """A record on behalf of a frame, of a traceback's first entry, or of a (module, function, path, line).

    `text` is finished: whatever stands in it, it is written as it is. `origin`: the (thread, thread's name, process) where
    the record was made; None: the calling ones.
    """
    cdef bint is_short = False
    try:
        number, index = self.core.resolve_level(level)
        if number >= load_threshold(self.engine):
            emit_text(self, number, index, text, fields, exc_info, frame, origin)
    except MemoryError:
        is_short = True
    if is_short:
        give_up_without_memory(self)


cdef PyMethodDef methods[10]


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

cdef extern from *:
    """
    #define LOGLY_DOC(NAME, LEVEL) NAME "($self, message, /, *args, **fields)\\n--\\n\\n" \\
        "Log a message at " LEVEL ".\\n\\n" \\
        "Args:\\n" \\
        "    message: any object. With `args` a template of str.format's; alone it is written as it is.\\n" \\
        "    args: values for the placeholders, byte for byte as str.format would put them.\\n" \\
        "    fields: structured fields. They also fill `{name}`, `{name!r}` and `{name:spec}`; without `args` only where\\n" \\
        "        each placeholder is such a name, or the message is written as it is. Two names are not fields:\\n" \\
        "        `exc_info` (True, or an exception) adds a traceback, `stacklevel` (2: the caller's caller) moves\\n" \\
        "        the call site up.\\n\\n" \\
        "Raises nothing because of a sink's trouble, and because of its arguments only a RecursionError."
    static const char TRACE_DOC[] = LOGLY_DOC("trace", "TRACE (5)");
    static const char DEBUG_DOC[] = LOGLY_DOC("debug", "DEBUG (10)");
    static const char INFO_DOC[] = LOGLY_DOC("info", "INFO (20)");
    static const char SUCCESS_DOC[] = LOGLY_DOC("success", "SUCCESS (25)");
    static const char WARNING_DOC[] = LOGLY_DOC("warning", "WARNING (30)");
    static const char ERROR_DOC[] = LOGLY_DOC("error", "ERROR (40)");
    static const char FAIL_DOC[] = LOGLY_DOC("fail", "FAIL (45)");
    static const char CRITICAL_DOC[] = LOGLY_DOC("critical", "CRITICAL (50)");
    static const char EXCEPTION_DOC[] = LOGLY_DOC("exception", "ERROR (40), with the exception that is being handled");
    static const char LOG_DOC[] = "log($self, level, message, /, *args, **fields)\\n--\\n\\n"
        "Log a message at a level given as `Level`, int, or name in any case; see `info` for the rest.\\n\\n"
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


def install_methods(type cls not None):
    """Puts the log methods on `cls`, a subclass of Producer, as its own method descriptors."""
    cdef int i
    for i in range(10):
        setattr(cls, (<bytes> methods[i].ml_name).decode(), PyDescr_NewMethod(<PyTypeObject*> cls, &methods[i]))
