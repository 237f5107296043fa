# The fields of the current span, encoded once for each context of the tracing library and kept in a table.
#
# A context is immutable, so what is kept for one stays true. It is found by its address, and none is kept alive: a slot has a
# weak reference, which no longer refers to the object when that is gone, even if another object has the address by then. Without
# a GIL each set of slots has a lock. Nobody waits for it: the careful way does without the table.

from cpython.object cimport PyObject
from libc.stdint cimport uint32_t, uint64_t

from logly.ring.leases cimport FREE_THREADED
from logly.system.atomic cimport exchange32, store_release32
from logly.system.cpython cimport PyContextVar_Get, PyErr_Clear, PyWeakref_NewRef, Py_DecRef, Py_IncRef, referent_of

# Of other included files:
#   caller/fields.pxi: FieldBlock
#   caller/gather.pxi: asks_program, no_fields, owned_block, tell_source
#   control/context_sources.pxi: ContextSources
#   control/core.pxi: Core

cdef enum:
    SPAN_SETS = 128            # a power of two
    SPAN_SLOTS = 4             # of a set: a hundred tasks that take turns have room, wherever their contexts lie


cdef struct SpanSlot:
    PyObject* context          # borrowed: only its address is compared
    PyObject* reference        # a weak one to the context
    PyObject* block            # FieldBlock


cdef struct SpanSet:
    uint32_t taken
    uint32_t latest            # the slot that was filled last
    SpanSlot slot[SPAN_SLOTS]


cdef SpanSet span_sets[SPAN_SETS]
# The slot that was found last, with a GIL. A call that finds the same context there does not wait for the address of another one.
cdef SpanSlot* latest_slot = &span_sets[0].slot[0]
cdef dict no_values = {}


cdef inline SpanSet* set_of(PyObject* context) noexcept:
    return &span_sets[<uint64_t> context * <uint64_t> 0x9E3779B97F4A7C15u >> 57]


cdef inline bint take_set(SpanSet* where) noexcept:
    return not FREE_THREADED or exchange32(&where.taken, 1) == 0


cdef inline void give_set(SpanSet* where) noexcept:
    if FREE_THREADED:
        store_release32(&where.taken, 0)


# A new reference to the FieldBlock of the current span. Runs no Python code. NULL: it is not known yet.
cdef PyObject* find_span(ContextSources sources) noexcept:
    cdef PyObject* context = NULL
    cdef PyObject* block
    if sources.span_variable is None:
        return NULL
    if PyContextVar_Get(<PyObject*> sources.span_variable, NULL, &context) < 0:
        PyErr_Clear()
        return NULL
    if context == NULL:
        block = <PyObject*> no_fields
        Py_IncRef(block)
        return block
    if not FREE_THREADED and latest_slot.context == context and referent_of(latest_slot.reference) == context:
        block = latest_slot.block
        Py_IncRef(block)
    else:
        block = find_kept(context)
    Py_DecRef(context)
    return block


cdef PyObject* find_kept(PyObject* context) noexcept:
    global latest_slot
    cdef SpanSet* where = set_of(context)
    cdef PyObject* block = NULL
    cdef int i
    if not take_set(where):
        return NULL
    for i in range(SPAN_SLOTS):
        if where.slot[i].context == context and referent_of(where.slot[i].reference) == context:
            block = where.slot[i].block
            Py_IncRef(block)
            if not FREE_THREADED:
                latest_slot = &where.slot[i]
            break
    give_set(where)
    return block


# On the careful way: the same, and the tracing library is asked if need be.
cdef FieldBlock span_block(Core core, ContextSources sources):
    global asks_program
    cdef PyObject* found = find_span(sources)
    cdef FieldBlock block = None
    cdef object trouble = None
    if found != NULL:
        return owned_block(found)
    if asks_program:
        return no_fields
    asks_program += 1
    try:
        block = read_block(sources)
    except RecursionError:
        raise
    except Exception as error:
        trouble = error
    finally:
        asks_program -= 1
    if trouble is not None:
        tell_source(core, trouble, "trace_context")
    return block if block is not None else no_fields


cdef FieldBlock read_block(ContextSources sources):
    cdef object context = None
    cdef FieldBlock block
    cdef dict fields
    if sources.span_variable is not None:
        context = sources.span_variable.get()
    fields = sources.read_span(context)
    block = FieldBlock(fields) if fields else no_fields
    if fields:
        block.values = no_values  # nobody binds more to this one
    if context is not None:
        keep_span(context, block)
    return block


cdef bint keep_span(object context, FieldBlock block) except -1:
    cdef SpanSet* where = set_of(<PyObject*> context)
    cdef SpanSlot made
    cdef SpanSlot before
    cdef uint32_t chosen
    made.context = <PyObject*> context
    made.block = <PyObject*> block
    # First all that may run Python code: what was let go runs none.
    made.reference = PyWeakref_NewRef(<PyObject*> context, NULL)
    if made.reference == NULL:
        PyErr_Clear()  # it cannot be referred to weakly: it is asked for at each call
        return True
    if not take_set(where):
        Py_DecRef(made.reference)
        return True
    Py_IncRef(made.block)
    chosen = slot_for(where, made.context)
    before = where.slot[chosen]
    where.slot[chosen] = made
    where.latest = chosen
    give_set(where)
    if before.reference != NULL:
        Py_DecRef(before.reference)
        Py_DecRef(before.block)
    return True


# The context's own slot, or one whose context is gone, or the one that was filled longest ago.
cdef uint32_t slot_for(const SpanSet* where, PyObject* context) noexcept:
    cdef uint32_t i
    cdef PyObject* reference
    for i in range(SPAN_SLOTS):
        if where.slot[i].context == context:
            return i
    for i in range(SPAN_SLOTS):
        reference = where.slot[i].reference
        if reference == NULL or referent_of(reference) != where.slot[i].context:
            return i
    return (where.latest + 1) % SPAN_SLOTS
