# The fields that a record gets from its surroundings: the trace, what `context_from` gives, and those of the current context.
#
# They are encoded in this order, because of a name that comes twice the last one counts. What runs no Python code is gathered on
# the fast way, while the record is made. `context_from` is asked before that, because it may be a function of the program.

from logly.errors import show

from cpython.object cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t, uint64_t, uint8_t
from libc.string cimport memcpy

from logly.caller.encode cimport NOT_NATIVE, Call, Fate, ToKeep, text_with_fields_in_place
from logly.layout.line cimport Site
from logly.registry.call_site cimport site_of_caller
from logly.ring.gate cimport NEED_CONTEXT, NEED_SITE
from logly.ring.record cimport IS_KEPT, MAY_REPEAT
from logly.ring.ring cimport Ring
from logly.system.atomic cimport load_relaxed
from logly.system.clock cimport clock_monotonic_ns
from logly.system.cpython cimport PyContextVar_Get, PyErr_Clear, Py_DecRef, Py_IncRef

# Of other included files:
#   caller/calls.pxi: Producer
#   caller/careful.pxi: emit_slow
#   caller/fields.pxi: FieldBlock
#   caller/sampling.pxi: twin_of
#   caller/spans.pxi: find_span, span_block
#   control/context_sources.pxi: ContextSources
#   control/core.pxi: Core
#   registry/sites.pxi: site_table

cdef extern from *:
    """
    // This thread runs code of the program that gives fields. What that code logs itself does not ask for them again.
    static thread_local int logly_asks_program = 0;
    // A copy of the fields of one call, where they are of more than one block. Not on the stack: gcc does not put a function with
    // so large a frame inline, and each call with arguments would pay for that.
    #define LOGLY_JOINED_BYTES 1000
    static thread_local char logly_joined[LOGLY_JOINED_BYTES];
    // After a function of C's that has returned NULL: the exception that it has set, if any, is raised.
    static inline int logly_raise_set(void) { return PyErr_Occurred() != nullptr ? -1 : 0; }
    """
    int asks_program "logly_asks_program"
    char* joined_fields "logly_joined"
    const uint64_t JOINED_BYTES "LOGLY_JOINED_BYTES"
    int raise_set "logly_raise_set"() except -1
    PyObject* PyObject_CallNoArgs(PyObject* function) noexcept
    const char* bytes_address "PyBytes_AS_STRING"(PyObject*) noexcept nogil
    Py_ssize_t bytes_size "PyBytes_GET_SIZE"(PyObject*) noexcept nogil

cdef enum:
    ERROR_INTERVAL_NS = 1000000000   # an error of the program's function is told once in this time


cdef struct Gathered:
    int held
    PyObject* holds[3]         # references to what the call's context points into


cdef FieldBlock no_fields = FieldBlock({})


# ---- on the fast way

# Puts the fields of the call's surroundings into `call`. Runs no Python code. False: the careful way has to do it.
# `given`: what `context_from` gave, or NULL. In any case `release_gathered` is to be called.
cdef bint gather_fast(Core core, PyObject* given, Call* call, Gathered* out) noexcept:
    cdef PyObject* sources = <PyObject*> core.sources
    cdef PyObject* block
    out.held = 0
    if sources != <PyObject*> None and <PyObject*> (<ContextSources> sources).read_span != <PyObject*> None:
        block = find_span(<ContextSources> sources)
        if block == NULL:
            return False
        hold(out, block)
        if not add_block(call, block):
            return False
    if given != NULL and not add_block(call, given):
        return False
    block = current_context(core)
    if block == NULL:
        return True
    hold(out, block)
    return add_block(call, block)


cdef inline void hold(Gathered* out, PyObject* block) noexcept:
    out.holds[out.held] = block
    out.held += 1


cdef inline void release_gathered(Gathered* out) noexcept:
    cdef int i
    for i in range(out.held):
        Py_DecRef(out.holds[i])


cdef inline void use_block(PyObject* block, const char** data, uint32_t* size, uint16_t* count) noexcept:
    cdef PyObject* encoded = <PyObject*> (<FieldBlock> block).data
    data[0] = bytes_address(encoded)
    size[0] = <uint32_t> bytes_size(encoded)
    count[0] = (<FieldBlock> block).count


# Adds the fields of a block. They win over those that are there already. False: there is no room for both.
cdef inline bint add_block(Call* call, PyObject* block) noexcept:
    cdef const char* data = NULL
    cdef uint32_t size = 0
    cdef uint16_t count = 0
    use_block(block, &data, &size, &count)
    if size == 0:
        return True
    if call.context_size == 0:
        call.context = data
        call.context_size = size
        call.context_fields = count
        return True
    if <uint64_t> call.context_size + size > JOINED_BYTES:
        return False
    if call.context != joined_fields:
        memcpy(joined_fields, call.context, call.context_size)
        call.context = joined_fields
    memcpy(joined_fields + call.context_size, data, size)
    call.context_size += size
    call.context_fields += count
    call.flags |= MAY_REPEAT
    return True


# Returns a new reference to the FieldBlock of the current context, or NULL.
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


# As `put_text_call`, for a message that has fields of its surroundings or of bind().
cdef int put_text_with_fields(
    Producer self, Ring* ring, uint32_t needs, PyObject* message, int32_t number, uint8_t level, Site* site, Fate fate,
    PyObject* given
) noexcept:
    cdef PyObject* bound = <PyObject*> self.bound
    cdef uint64_t limit = load_relaxed(&self.gate.intake.max_message_bytes) >> 2
    cdef Gathered gathered
    cdef Call call
    cdef int status = NOT_NATIVE
    call.message = message
    call.level_number = number
    call.level = level
    call.name = self.gate.origin
    call.flags = IS_KEPT if Fate is ToKeep else 0
    call.site = 0
    call.bound_size = 0
    call.bound_fields = 0
    call.context_size = 0
    call.context_fields = 0
    if bound != <PyObject*> None:
        use_block(bound, &call.bound, &call.bound_size, &call.bound_fields)
    if needs & NEED_SITE:
        call.site = site.id if site != NULL else site_of_caller(&site_table)
        if call.site == 0:
            return NOT_NATIVE
    if not needs & NEED_CONTEXT:
        return text_with_fields_in_place(ring, &call, needs, limit, fate)
    if gather_fast(self.core, given, &call, &gathered):
        status = text_with_fields_in_place(ring, &call, needs, limit, fate)
    release_gathered(&gathered)
    return status


# ---- context_from

# A new reference to the FieldBlock that `context_from` gives for this call. It may run code of the program. NULL: this has raised
# RecursionError, KeyboardInterrupt or the like, which go up.
cdef PyObject* given_fields(Core core) except NULL:
    cdef PyObject* block = NULL
    cdef ContextSources sources
    if not take_ready(core, &block):
        sources = core.sources
        if sources is None or asks_program:
            block = <PyObject*> no_fields
            Py_IncRef(block)
        else:
            block = ask_program(core, sources)
    return block


# The same where no code of the program runs for it: a ContextVar is unset, or holds None or fields of logly's. False: some would.
cdef bint take_ready(Core core, PyObject** block) noexcept:
    cdef PyObject* sources = <PyObject*> core.sources
    cdef PyObject* variable
    cdef PyObject* value = NULL
    if sources == <PyObject*> None:
        return False
    variable = <PyObject*> (<ContextSources> sources).variable
    if variable == <PyObject*> None:
        return False
    if PyContextVar_Get(variable, NULL, &value) < 0:
        PyErr_Clear()
    if value == NULL or value == <PyObject*> None:
        if value != NULL:
            Py_DecRef(value)
        value = <PyObject*> no_fields
        Py_IncRef(value)
    elif not is_block(value):
        Py_DecRef(value)
        return False
    block[0] = value
    return True


cdef inline bint is_block(PyObject* value) noexcept:
    return isinstance(<object> value, FieldBlock)


cdef PyObject* ask_program(Core core, ContextSources sources) except NULL:
    global asks_program
    cdef PyObject* value = NULL
    cdef PyObject* block = NULL
    asks_program += 1
    if sources.function is not None:
        value = PyObject_CallNoArgs(<PyObject*> sources.function)
        if value != NULL and is_block(value):
            asks_program -= 1
            return value
    else:
        PyContextVar_Get(<PyObject*> sources.variable, NULL, &value)
    try:
        block = encoded_fields(core, value)
    finally:
        asks_program -= 1
        if value != NULL:
            Py_DecRef(value)
    return block


# `value`: what the function or the ContextVar gave; NULL: nothing, or it has raised.
cdef PyObject* encoded_fields(Core core, PyObject* value) except NULL:
    cdef FieldBlock block = None
    cdef object trouble = None
    try:
        if value != NULL:
            block = block_of(core, <object> value)
        else:
            raise_set()
    except RecursionError:
        raise
    except Exception as error:
        trouble = error
    if trouble is not None:
        tell_source(core, trouble, "context_from")
    if block is None:
        block = no_fields
    Py_IncRef(<PyObject*> block)
    return <PyObject*> block


cdef FieldBlock block_of(Core core, object value):
    if value is None or isinstance(value, FieldBlock):
        return value
    if not hasattr(type(value), "keys"):
        raise TypeError(f"context_from gave {show(value)}, which is neither a mapping nor logly.fields(...) nor None")
    # A copy, because code that runs here, or another thread, may change it.
    return FieldBlock(dict(value), None, load_relaxed(&core.intake.max_message_bytes), core)


# Has an error told to `on_error`, once a second: there may be one at each call. The record is written without these fields.
cdef bint tell_source(Core core, object error, str setting) except -1:
    cdef int64_t now = clock_monotonic_ns()
    if core.source_error_ns and now - core.source_error_ns < ERROR_INTERVAL_NS:
        return True
    core.source_error_ns = now
    try:
        if not hasattr(error, "__notes__"):  # the same object may be raised each time
            error.add_note(f"from LoggerConfig.{setting}: records are written without what it gives")
    except RecursionError:
        raise
    except Exception:
        pass
    core.report(error)
    return True


# A record for the careful way, for which `context_from` has been asked. Takes over `given`, which may be NULL.
cdef PyObject* emit_given(
    PyObject* self, int32_t number, uint8_t level, PyObject** args, Py_ssize_t count, PyObject* names, PyObject* given
) except NULL:
    cdef Producer producer = <Producer> self
    if given != NULL:
        producer = twin_of(producer)
        if producer is not <object> self:
            producer.given = <FieldBlock> given
        Py_DecRef(given)
    return emit_slow(<PyObject*> producer, number, level, args, count, names)


# ---- on the careful way

# The same as `gather_fast`, with all the Python code that there is. Returns what the call's context points into.
cdef bytes gather_carefully(Core core, FieldBlock given, Call* call):
    cdef ContextSources sources = core.sources
    cdef list blocks = []
    cdef PyObject* found
    cdef bytes joined
    if sources is not None and sources.read_span is not None:
        blocks.append(span_block(core, sources))
    if given is not None:
        blocks.append(given)
    elif sources is not None and (sources.variable is not None or sources.function is not None):
        blocks.append(owned_block(given_fields(core)))
    found = current_context(core)
    if found != NULL:
        blocks.append(owned_block(found))
    joined = b""
    for block in blocks:
        if joined and (<FieldBlock> block).data:
            call.flags |= MAY_REPEAT
        joined = joined + (<FieldBlock> block).data if joined else (<FieldBlock> block).data
        call.context_fields += (<FieldBlock> block).count
    call.context = joined
    call.context_size = <uint32_t> len(joined)
    return joined


cdef FieldBlock owned_block(PyObject* block):
    """The object of a new reference."""
    cdef FieldBlock made = <FieldBlock> block
    Py_DecRef(block)
    return made
