# The sampling of a whole logger. Log calls come here by a bit in `needs`, so without sampling nothing is paid for it.
#
# A record is of the kind of its template, or, where it has none, of its call site; and of its level. A call on the fast way looks
# its template up before it asks the sampler. If it finds none, the careful way registers it, and asks then. What a light logger
# has let pass, and what the sampler has, is not asked for a second time: `is_counted`.

from cpython.object cimport PyObject
from libc.stdint cimport int32_t, uint32_t, uint64_t, uint8_t

from logly.layout.message cimport STYLE_BRACES, Program
from logly.registry.table cimport table_find
from logly.ring.counter cimport count_more
from logly.ring.gate cimport NEED_CARE, NEED_NAME, NEED_SAMPLING, NEED_THREAD_NAME, NEED_TIME, needs_of
from logly.ring.sampler cimport SampleSlot, Sampler, is_sampled, sample_passes, sample_slot
from logly.system.cpython cimport (
    PyThreadState_Get, Py_IncRef, call_instruction, caller_of, is_str, tuple_length,
)
from logly.system.template cimport is_template

# Of other included files:
#   caller/calls.pxi: Producer, emit_enabled, is_plain_text
#   caller/careful.pxi: emit_slow
#   caller/light_calls.pxi: teller_of
#   caller/origin.pxi: line_number
#   caller/tstrings.pxi: emit_template
#   registry/templates.pxi: may_become_template, register_template, template_table


cdef inline bint is_past_sampling(Producer self, PyObject** args, Py_ssize_t count, uint32_t needs) noexcept:
    """Whether the call stays on the fast way: there is no sampling, or it need not be asked any more."""
    if count == 0 or not is_str(args[0]) or needs & (NEED_THREAD_NAME | NEED_CARE | NEED_NAME | NEED_TIME):
        return False
    return self.is_counted or not needs & NEED_SAMPLING


cdef PyObject* emit_by_needs(
    PyObject* self, int32_t number, uint8_t level, PyObject** args, Py_ssize_t count, PyObject* names
) except NULL:
    """The way of calls that take neither the fast way nor, perhaps, the careful one."""
    cdef Producer producer = <Producer> self
    cdef uint32_t needs = needs_of(producer.gate)
    cdef uint64_t kind = 0
    cdef PyObject* made
    if count == 1 and names == NULL and is_template(args[0]):
        made = emit_template(self, number, level, args[0])
        if made != NULL:
            return made
    if not needs & NEED_SAMPLING or count == 0 or not is_str(args[0]):
        return emit_slow(self, number, level, args, count, names)
    if not producer.is_counted and is_sampled(producer.core.sampler, number):
        if not find_kind(args, count, names, &kind):
            return emit_slow(self, number, level, args, count, names)
        producer = let_through(producer, number, kind)
    if producer is None:
        Py_IncRef(<PyObject*> None)
        return <PyObject*> None
    producer = counted(producer)
    if needs & (NEED_THREAD_NAME | NEED_CARE | NEED_NAME | NEED_TIME) or not producer.is_counted:
        return emit_slow(<PyObject*> producer, number, level, args, count, names)
    # Once more, and past the sampling: `put_call` is called in one place, or the compiler would not put it inline there.
    return emit_enabled(<PyObject*> producer, number, level, args, count, names)


# The kind of a call on the fast way. False: its template is not known yet.
cdef bint find_kind(PyObject** args, Py_ssize_t count, PyObject* names, uint64_t* kind) noexcept:
    cdef Program* program = NULL
    if count > 1 or (names != NULL and tuple_length(names)):
        program = <Program*> table_find(&template_table, <uint64_t> args[0], STYLE_BRACES)
        if program == NULL and (count > 1 or not is_plain_text(args[0]) or may_become_template(args[0])):
            return False
    kind[0] = program.id if program != NULL else kind_of_caller()
    return True


cdef uint64_t kind_of_caller() noexcept:
    cdef int32_t instruction = 0
    cdef PyObject* globals_ = NULL
    cdef PyObject* code = caller_of(PyThreadState_Get(), &instruction, &globals_)
    if code == NULL:
        return 0
    return <uint64_t> code ^ <uint64_t> call_instruction(code, instruction) << 40


cdef Producer counted(Producer self):
    """A producer like this one, for a record that has been counted."""
    cdef Producer made
    if self.is_counted:
        return self
    made = twin_of(self)
    if made is not self:
        made.is_counted = True
    return made


cdef Producer twin_of(Producer self):
    """A producer like this one, for one record. The same producer, if there is no memory for another."""
    cdef Producer made = None
    try:
        made = Producer.__new__(Producer)
    except MemoryError:
        pass
    if made is None:
        return self
    made.core = self.core
    made.gate = self.gate
    made.name = self.name
    made.controller = self.controller
    made.bound = self.bound
    made.is_counted = self.is_counted
    return made


# ---- asked

cdef Producer let_through(Producer self, int32_t number, uint64_t kind):
    """Asks the sampler. Returns what the record is to be made by, which tells how many were held back; None: it is held back."""
    cdef Sampler* sampler = self.core.sampler
    cdef SampleSlot* slot = sample_slot(sampler, kind, number)
    if sample_passes(sampler, slot):
        return teller_of(self, &slot.held)
    count_more(&slot.held, 1)
    count_more(&self.core.held_back.total, 1)
    return None


cdef Producer ask_carefully(
    Producer self, int32_t number, uint32_t needs, Program* program, object message, bint has_fields, object place
):
    """The same on the careful way, if there is something to ask."""
    cdef uint64_t kind
    if not needs & NEED_SAMPLING or self.is_counted or not is_sampled(self.core.sampler, number):
        return self
    if program == NULL and has_fields and type(message) is str:
        # A constant whose fields fill it is registered after that. The next call is to be of the same kind.
        program = register_template(message, True)
    if program != NULL:
        kind = program.id
    elif place is None:
        kind = kind_of_caller()
    else:
        kind = kind_of_place(place)
    return let_through(self, number, kind)


cdef uint64_t kind_of_place(object place) except? 0:
    """`place`: the number of a call site, or (module, function, path, line)."""
    if type(place) is not tuple:
        return ~<uint64_t> place  # the number of a template is not the same kind
    path, line = place[2], place[3]
    return (<uint64_t> hash(path) if type(path) is str else 0) ^ <uint64_t> line_number(line) << 48
