# The careful way of a call. All that may run Python code runs here, on the caller's thread, before the record is begun.

from logly.errors import show

from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_New, PyTuple_SET_ITEM
from libc.stdint cimport int32_t, uint16_t, uint32_t, uint64_t, uint8_t
from libc.string cimport memset

from logly.caller.encode cimport Call, Origin, put_value
from logly.layout.message cimport MAX_ARGS, Program
from logly.ring.gate cimport (
    NEED_CONTEXT, NEED_DECISION, NEED_RECORDER, NEED_THREAD_NAME, POST_DRAIN, POST_START, POST_SYNC, POST_WAKE, Gate, intake_wake,
    needs_of,
)
from logly.ring.record cimport (
    BY_MODULE, EXCEPTION_TEXTS, IS_KEPT, IS_SERVED, MAX_RECORD_BYTES, NAME_INSIDE, STACK_TEXTS, TRACE_TEXTS, Cursor,
)
from logly.system.atomic cimport load_relaxed, load_relaxed32
from logly.system.cpython cimport Py_IncRef, tuple_item, tuple_items, tuple_length
from logly.system.template cimport is_template
from logly.text.format_spec cimport KIND_BYTES, KIND_STR

# Of other included files:
#   caller/call_mistakes.pxi: carried_with, check_functions, check_options, taken_of, wants_stack, with_extra
#   caller/calls.pxi: Producer
#   caller/decision.pxi: IS_OFF, IS_ON, IS_TO_KEEP, Verdict, verdict_at
#   caller/fields.pxi: FieldBlock
#   caller/full_ring.pxi: drop_and_report, drop_without_memory, encode_and_commit
#   caller/gather.pxi: gather_carefully
#   caller/hidden.pxi: Hiding, hiding_of
#   caller/origin.pxi: ask_time, current_thread_name, frame_at, line_number, origin_of, safe_site
#   caller/sampling.pxi: ask_carefully
#   caller/trace_texts.pxi: exception_texts, stack_texts
#   caller/tstrings.pxi: emit_template, unfold
#   caller/values.pxi: safe_repr, safe_str
#   control/core.pxi: Core
#   control/redaction.pxi: Redactor
#   control/flush.pxi: write_here
#   layout/message_rules.pxi: filled, formatted, has_braces, names_fields_only
#   registry/retired.pxi: Pins, pin_program, unpin
#   registry/templates.pxi: register_template
#   text/owned_text.pxi: utf8

# ---- the careful way

cdef PyObject* emit_slow(
    PyObject* self, int32_t number, uint8_t level, PyObject** args, Py_ssize_t count, PyObject* names
) except NULL:
    cdef bint is_short = False
    cdef PyObject* made
    if count == 1 and names == NULL and is_template(args[0]):
        made = emit_template(self, number, level, args[0])
        if made != NULL:
            return made
    try:
        emit_objects(<Producer> self, number, level, tuple_of(args, count), fields_of(args + count, names))
    except MemoryError:
        is_short = True
    if is_short:
        drop_without_memory(<Producer> self)
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
            # A name may be of a subclass of str with a __hash__ of its own, which must never run.
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
    if type(fields.get("extra")) is dict:
        fields = with_extra(self.core, fields, fields.get("stacklevel", 1))
    exc_info = fields.pop("exc_info", None)
    stack_info = fields.pop("stack_info", None)
    stacklevel = fields.pop("stacklevel", 1)
    if is_template(<PyObject*> message):
        message, args, fields = unfold(self.core, message, args, fields)
    return emit_careful(self, number, level, message, args, fields, exc_info, stack_info, stacklevel)


# True when the flusher would render exactly what str.format gives, and not more than the limit allows.
cdef bint all_native(Program* program, tuple args, uint64_t limit) noexcept:
    if program == NULL or not program.native or len(args) < program.required or len(args) > MAX_ARGS:
        return False
    # Named placeholders are filled from the call's fields as they were given. Only the fast way or str.format does that.
    return program.names == 0 and args_are_native(program, args) and size_of_texts(args) <= (limit // 10) >> (program.growth - 2)


# True when the flusher would make exactly what % gives, and nothing of it would be cut off.
cdef bint is_percent_native(Program* program, tuple args, uint64_t limit) noexcept:
    if program == NULL or not program.native or len(args) != program.required:
        return False
    limit = min(limit, <uint64_t> MAX_RECORD_BYTES // 8)  # as in cut_text
    return args_are_native(program, args) and 10 * size_of_texts(args) + program.longest <= limit


# The size of all texts in characters. Each of them may become ten bytes, because !a shows one as \U0001f600.
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
    """The KIND bit of a value that is copied as bits, or 0 for other values."""
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


cdef bint emit_careful(
    Producer self, int32_t number, uint8_t level, object message, tuple args, dict fields, object exc_info, object stack_info,
    object stacklevel
) except -1:
    """Makes one record, whatever its parts are. Raises only KeyboardInterrupt, SystemExit and RecursionError, which are the
    program's own, and MemoryError.

    The callers of this function handle the MemoryError. The record was not made, and is not counted yet.
    """
    cdef Pins pins = Pins(NULL, NULL, False)
    try:
        emit_pinned(self, number, level, message, args, fields, exc_info, stack_info, stacklevel, &pins)
    finally:
        unpin(&pins)
    return True


cdef bint emit_pinned(
    Producer self, int32_t number, uint8_t level, object message, tuple args, dict fields, object exc_info, object stack_info,
    object stacklevel, Pins* pins
) except -1:
    cdef Core core = self.core
    cdef uint64_t limit = load_relaxed(&core.intake.max_message_bytes)
    cdef uint32_t needs = needs_of(self.gate)
    cdef Program* program = NULL
    cdef str text = None
    cdef tuple exception = None
    cdef tuple stack = None
    cdef dict carried = fields
    cdef Py_ssize_t taken = len(args)
    cdef tuple surplus
    cdef bint is_raw = False
    cdef object place = None
    cdef object trouble = None
    cdef FieldBlock given = self.given
    cdef Verdict verdict = IS_ON
    try:
        if needs & (NEED_DECISION | NEED_RECORDER):
            if needs & NEED_DECISION and self.name is None:
                place = safe_site(needs, stacklevel, None, pins)
            verdict = verdict_at(core, self.gate, needs, number, self.name, place)
            if verdict == IS_OFF:
                return True
        if exc_info is not None and exc_info is not False:
            exception = exception_texts(exc_info, limit, pins, core.diagnosis)
        if stack_info is not None and wants_stack(core, stack_info, stacklevel):
            stack = stack_texts(frame_at(stacklevel), limit)
        check_options(core, exc_info, exception is not None, stacklevel)
        check_functions(core, args, fields, stacklevel)
        if type(message) is str and <uint64_t> len(message) <= limit // 4:
            if args:
                program = register_template(message, False)
            elif fields and not has_braces(message):
                # It stays as it is, and may be text from outside. One with braces is a template only after fields have filled it.
                program = register_template(message, True)
            pin_program(pins, program)
        if verdict != IS_TO_KEEP:  # the sampling is about what is written
            self = ask_carefully(self, number, needs, program, message, fields and not args, None)
        if self is None:
            return True
        if args and type(message) is str and (program == NULL or program.taken != len(args)):
            taken = taken_of(program, message, args)
        surplus = args[taken:]
        if all_native(program, args[:taken], limit):
            args = args[:taken]
        else:
            program = NULL
            text = cut_text(careful_text(core, message, args, fields, stacklevel, limit, &is_raw), limit)
        if surplus and not is_raw:  # a message that cannot be formatted shows all its arguments
            carried = carried_with(core, message, surplus, fields, stacklevel)
        if place is None:
            place = safe_site(needs, stacklevel, None, pins)
        name = current_thread_name() if needs & NEED_THREAD_NAME else None
        block = FieldBlock(carried, None, limit, core) if carried else None
    except (RecursionError, MemoryError):
        raise
    except Exception as error:
        trouble = error  # failures of the message, the fields and the exception have been handled before they come here
    if trouble is not None:
        return drop_and_report(core, trouble)
    flags = IS_KEPT if verdict == IS_TO_KEEP else 0
    return commit_careful(self, number, level, program, text, args, given, block, place, name, exception, stack, NULL, flags)


cdef bint emit_text(
    Producer self, int32_t number, uint8_t level, object message, dict fields, object exc_info, object frame, tuple origin,
    object stack_text
) except -1:
    """Makes one record of a finished text. The text may come from outside, so it is never registered or formatted."""
    cdef Pins pins = Pins(NULL, NULL, False)
    try:
        emit_text_pinned(self, number, level, NULL, message, (), fields, exc_info, frame, origin, stack_text, &pins)
    finally:
        unpin(&pins)
    return True


cdef bint emit_text_pinned(
    Producer self, int32_t number, uint8_t level, Program* program, object message, tuple args, dict fields, object exc_info,
    object frame, tuple origin, object stack_text, Pins* pins
) except -1:
    """`program`: of a template that the flusher fills with `args`, both of which fit; it is pinned. NULL: `message` is text."""
    cdef Core core = self.core
    cdef uint64_t limit = load_relaxed(&core.intake.max_message_bytes)
    cdef bint by_module = type(frame) is tuple
    cdef Gate* gate = core.gate if by_module else self.gate
    cdef uint32_t needs = needs_of(gate)
    cdef str text = None
    cdef tuple exception = None
    cdef tuple stack = None
    cdef object place = None
    cdef Origin numbers
    cdef const Origin* own = NULL
    cdef object trouble = None
    cdef Verdict verdict = IS_ON
    try:
        if needs & (NEED_DECISION | NEED_RECORDER):
            if needs & NEED_DECISION and (by_module or self.name is None):
                place = safe_site(needs, 1, frame, pins)
            verdict = verdict_at(core, gate, needs, number, None if by_module else self.name, place)
            if verdict == IS_OFF:
                return True
        if exc_info is not None and exc_info is not False:
            exception = exception_texts(exc_info, limit, pins, core.diagnosis)
        if stack_text is not None:
            stack = stack_texts(stack_text, limit)
        if program == NULL:
            text = cut_text(message if type(message) is str else safe_str(message), limit)
        if place is None:
            place = safe_site(needs, 1, frame, pins)
        if verdict != IS_TO_KEEP:
            self = ask_carefully(self, number, needs, program, None, False, frame if type(frame) is tuple else place)
        if self is None:
            return True
        name = None
        if needs & NEED_THREAD_NAME:
            name = current_thread_name() if origin is None else safe_str(origin[1])
        block = FieldBlock(fields, None, limit, core) if fields else None
        if origin is not None:
            numbers = origin_of(core, origin[0], origin[2], origin[3])
            own = &numbers
    except (RecursionError, MemoryError):
        raise
    except Exception as error:
        trouble = error
    if trouble is not None:
        return drop_and_report(core, trouble)
    flags = (BY_MODULE if by_module else 0) | (IS_KEPT if verdict == IS_TO_KEEP else 0)
    return commit_careful(self, number, level, program, text, args, None, block, place, name, exception, stack, own, flags)


cdef bint commit_careful(
    Producer self, int32_t number, uint8_t level, Program* program, str text, tuple args, FieldBlock given, FieldBlock fields,
    object place, str name, tuple exception, tuple stack, const Origin* origin, uint16_t flags
) except -1:
    """`given`: what `context_from` has given for this call; None: it is asked here, if there is one."""
    cdef Core core = self.core
    cdef Call call
    cdef PyObject* site[4]
    cdef PyObject* traces[TRACE_TEXTS]
    cdef bytes context
    cdef Origin given_time
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
        call.args = tuple_items(<PyObject*> args)
    if type(place) is tuple:
        place = (safe_str(place[0]), safe_str(place[1]), safe_str(place[2]), line_number(place[3]))
        for i in range(4):
            site[i] = <PyObject*> (<tuple> place)[i]
        call.inline_site = site
    elif place is not None:
        call.site = place
    if origin == NULL and core.time_source is not None and not flags & IS_SERVED and ask_time(core, &given_time):
        origin = &given_time
    call.origin = origin
    call.flags = flags
    if load_relaxed32(&core.intake.needs) & NEED_CONTEXT and not flags & IS_SERVED:
        context = gather_carefully(core, given, &call)
    call.name = self.gate.origin
    if call.name == NAME_INSIDE:
        call.name_inside = &self.name.inside
    if name is not None:
        call.thread_name = <PyObject*> name
    if exception is not None or stack is not None:
        for i in range(EXCEPTION_TEXTS):
            traces[i] = <PyObject*> exception[i] if exception is not None else NULL
        for i in range(STACK_TEXTS):
            traces[EXCEPTION_TEXTS + i] = <PyObject*> stack[i] if stack is not None else NULL
        call.traces = traces
    # The call's own fields are encoded too, so they follow the bound ones in one block.
    joined = bound.data + own if bound is not None and fields is not None else bound.data if bound is not None else own
    call.bound = joined
    call.bound_size = <uint32_t> len(joined)
    call.bound_fields = (bound.count if bound is not None else 0) + (fields.count if fields is not None else 0)
    return encode_and_commit(self, &call, bound is not None and fields is not None)


cdef bint follow_up(Producer self) except -1:
    cdef Core core = self.core
    cdef uint32_t post
    if load_relaxed32(&self.gate.intake.post) & POST_START:
        core.ask_for_flusher()
    # If the flusher could not be started, this thread does its work.
    post = load_relaxed32(&self.gate.intake.post)
    if post & POST_SYNC:
        write_here(core)
    elif post & POST_DRAIN:
        core.drain_here()
    elif post & POST_WAKE:
        intake_wake(self.gate.intake)
    return True


# Called when the record is in the ring. If there is no memory for what follows, the next call or the flusher does it later.
cdef bint after_emit(Producer self) except -1:
    try:
        follow_up(self)
    except MemoryError:
        pass
    return True


cdef str fallback_text(str message, tuple args, dict fields):
    """The text for a message that cannot be formatted: the message itself and the reprs of its arguments and fields."""
    cdef list parts = [message]
    for arg in args:
        parts.append(safe_repr(arg))
    for name, value in fields.items():
        parts.append(f"{name}={safe_repr(value)}")
    return " ".join(parts)


cdef str careful_text(
    Core core, object message, tuple args, dict fields, object stacklevel, unsigned long long limit, bint* is_raw
):
    """The message, with "[redacted]" in place of the values of hidden fields, also nested ones. `is_raw`: it failed."""
    cdef Hiding hiding = hiding_of(core)
    if hiding is not None:
        if args and type(message) is str:
            message = hiding.shown_template(message, args, fields)
        message, args, fields = hiding.shown(message), hiding.shown_args(args), hiding.shown_fields(fields)
        fields.update(hiding.reached)
    return format_message(core, message, args, fields, stacklevel, limit, is_raw)


cdef str format_message(
    Core core, object message, tuple args, dict fields, object stacklevel, unsigned long long limit, bint* is_raw
):
    cdef str template
    cdef str text = None
    cdef object trouble = None
    if type(message) is not str:
        try:
            template = str(message)
            if type(template) is not str:
                template = str.__str__(template)
        except RecursionError:
            raise
        except Exception as error:
            template = safe_str(message)
            core.note_failed_format(located(core, error, template, stacklevel))
    else:
        template = message
    if not args and (not fields or not names_fields_only(template, fields)):
        return template
    try:
        text = formatted(template, args, fields) if args else filled(template, fields, <Py_ssize_t> limit)
    except RecursionError:
        raise
    except Exception as error:
        trouble = error
    if trouble is not None:
        core.note_failed_format(located(core, trouble, template, stacklevel))
        is_raw[0] = True
        return fallback_text(template, args, fields)
    if template is message and not args and <uint64_t> len(template) <= limit // 4:
        # Its fields have filled this template, so the next call may leave that to the flusher's thread. A message that stays as
        # it is (a request's path) is not registered.
        register_template(template, False)
    return text


cdef str named_message(Core core, str message):
    """A message as an error names it: not in words where its text may have secrets in it."""
    cdef Redactor redactor = core.redactor
    if redactor is not None and redactor.redaction.hides_text:
        return "a message (redact_text hides it)"
    return f"the message {show(message)}"


cdef object located(Core core, object error, str template, object stacklevel):
    """The error with a note that says which message it is about, and where that was logged."""
    try:
        if not hasattr(error, "__notes__"):  # a __format__ may raise the same object each time
            frame = frame_at(stacklevel)
            place = f", logged at {frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else ""
            error.add_note(f"in {named_message(core, template)}{place}")
    except RecursionError:
        raise
    except Exception:
        pass
    return error


cdef str cut_text(str text, unsigned long long limit_bytes):
    """Cuts a text to `limit_bytes` of UTF-8 and adds a mark that says so. A shorter text is returned as it is."""
    cdef Py_ssize_t limit = <Py_ssize_t> min(limit_bytes, <unsigned long long> MAX_RECORD_BYTES // 8)
    if len(text) <= limit // 6 or (len(text) <= limit and (text.isascii() or len(utf8(text)) <= limit)):
        return text
    kept = utf8(text[:limit])[:limit].decode("utf-8", "ignore")
    return f"{kept} [logly: cut, {len(text)} characters in all]"
