# A message template compiled to a program: steps in C memory, which the flusher runs without the GIL (layout/message.pxd).

from logly.layout.message_template import arguments_taken, parse_message, parse_percent

from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from libc.stdint cimport uint16_t, uint32_t, uint8_t
from libc.stdlib cimport calloc, free

from logly.layout.message cimport (
    MAX_ARGS, MAX_TEMPLATE_BYTES, STEP_ARGUMENT, STEP_FIELD, STEP_LITERAL, STYLE_BRACES, STYLE_PERCENT, Program, Step,
    TemplateStyle,
)
from logly.ring.record cimport TAG_UTF8
from logly.system.cpython cimport Py_DecRef
from logly.text.buffer cimport Text
from logly.text.format_spec cimport KIND_ALL, KIND_BYTES, KIND_STR, spec_accepts

# Of other included files:
#   layout/message_rules.pxi: MAX_USES, has_braces
#   text/owned_text.pxi: copy_text, parse_native_spec, utf8

cdef enum:
    MOST_NUMBER_BYTES = 32     # of a value that is no text, without width, precision and the digits of a large float
    MOST_FLOAT_DIGITS = 320    # before the point


cdef uint32_t accepted_kinds(const Step* step) noexcept:
    cdef uint32_t kinds = spec_accepts(&step.spec) if step.has_spec else KIND_ALL
    if step.conversion:
        # A conversion makes a str of any value, and the str is formatted.
        return KIND_ALL if kinds & KIND_STR else 0
    return kinds


# What a step of `message_template.parse_message` is.
cdef uint8_t step_code(object what, object conversion) noexcept:
    if conversion is None:
        return STEP_LITERAL
    return STEP_ARGUMENT if type(what) is int else STEP_FIELD


cdef Py_ssize_t most_uses(list steps):
    """How often the template reads the argument that it reads most."""
    uses = {}
    for what, conversion, _ in steps:
        if conversion is not None:
            uses[what] = uses.get(what, 0) + 1
    return max(uses.values(), default=0)


cdef Py_ssize_t most_args(list steps) except -1:
    """How many positional arguments the template reads, up to MAX_ARGS."""
    cdef Py_ssize_t most = 0
    for what, _, _ in steps:
        if type(what) is int and what < MAX_ARGS:
            most = max(most, <Py_ssize_t> what + 1)
    return most


cdef bint compile_steps(Program* program, list steps) except -1:
    """False when a step is not native."""
    cdef Step* step
    cdef dict names = {}         # field name -> its number; a dict, because there may be hundreds
    cdef Py_ssize_t i
    cdef Text text
    program.step = <Step*> calloc(len(steps) + 1, sizeof(Step))
    program.steps = <uint16_t> len(steps)
    program.accepts = <uint32_t*> calloc(most_args(steps) + 1, sizeof(uint32_t))
    program.name = <void**> calloc(len(steps) + 1, sizeof(void*))
    program.name_accepts = <uint32_t*> calloc(len(steps) + 1, sizeof(uint32_t))
    if program.step == NULL or program.accepts == NULL or program.name == NULL or program.name_accepts == NULL:
        raise MemoryError
    for i in range(most_args(steps)):
        program.accepts[i] = KIND_ALL
    uses = most_uses(steps)
    if uses > MAX_USES:
        return False
    # A text that is shown once grows at most fourfold, because each byte may become \xNN.
    program.growth = 2 + (max(uses, 1) - 1).bit_length()
    for i, (what, conversion, spec) in enumerate(steps):
        step = &program.step[i]
        step.code = step_code(what, conversion)
        if step.code == STEP_LITERAL:
            text = copy_text(utf8(what))
            step.text = text.data
            step.size = text.size
            continue
        step.conversion = ord(conversion) if conversion else 0
        step.has_spec = bool(spec)
        if spec and not parse_native_spec(spec, &step.spec):
            return False
        if step.code == STEP_ARGUMENT:
            if what >= MAX_ARGS:
                return False
            step.argument = what
            program.accepts[what] &= accepted_kinds(step)
            program.required = max(program.required, <uint16_t> (what + 1))
            continue
        text = copy_text(utf8(what))
        step.key.tag = TAG_UTF8
        step.key.data = text.data
        step.key.count = text.size
        if not what.isascii():
            return False  # keys are compared as CPython stores them, so only ASCII names are native
        if what not in names:
            names[what] = program.names
            program.name_accepts[program.names] = KIND_ALL
            program.name[program.names] = <void*> what
            Py_INCREF(what)
            program.names += 1
        program.name_accepts[<int> names[what]] &= accepted_kinds(step)
    return True


# What differs between the styles, after the steps have been compiled.
cdef void finish_percent(Program* program) noexcept:
    cdef const Step* step
    cdef uint32_t i
    program.exact = True
    for i in range(program.required):
        program.accepts[i] &= ~<uint32_t> KIND_BYTES  # Python warns of bytes in %s, or raises (-bb)
    for i in range(program.steps):
        step = &program.step[i]
        program.longest += step.size
        if step.code == STEP_LITERAL:
            continue
        program.longest += MOST_NUMBER_BYTES
        if step.has_spec:
            program.longest += <uint32_t> (max(step.spec.width, 0) + max(step.spec.precision, 0))
            if step.spec.is_float:
                program.longest += MOST_FLOAT_DIGITS


cdef void free_program(Program* program) noexcept:
    cdef uint32_t i
    if program == NULL:
        return
    if program.step != NULL:
        for i in range(program.steps):
            free(<void*> program.step[i].text)
            free(<void*> program.step[i].key.data)
    if program.name != NULL:
        for i in range(program.names):
            Py_DecRef(<PyObject*> program.name[i])
    free(program.step)
    free(program.accepts)
    free(program.name)
    free(program.name_accepts)
    free(program)


cdef void free_programs(Program* program) noexcept:
    """Frees all programs of one place."""
    cdef Program* older
    while program != NULL:
        older = program.older
        free_program(program)
        program = older


cdef int taken_by(str message, TemplateStyle style) except? -1:
    try:
        return arguments_taken(message) if style == STYLE_BRACES else -1
    except (RecursionError, MemoryError):
        raise
    except Exception:
        pass  # as in compile_program
    return -1


cdef Program* compile_program(str message, TemplateStyle style) except NULL:
    cdef Program* program = <Program*> calloc(1, sizeof(Program))
    cdef list steps = None
    if program == NULL:
        raise MemoryError
    try:
        try:
            if len(message) <= MAX_TEMPLATE_BYTES:
                steps = parse_percent(message) if style == STYLE_PERCENT else parse_message(message)
        except (RecursionError, MemoryError):
            raise  # says nothing about the message: the next call tries again
        except Exception:
            pass  # the ending interpreter has cleared the parser's module: str.format formats the message
        program.taken = taken_by(message, style)
        program.native = steps is not None and len(steps) < 1000 and compile_steps(program, steps)
        if style == STYLE_PERCENT:
            finish_percent(program)
        else:
            program.fills = program.native and (program.names or not has_braces(message))
    except BaseException:
        free_program(program)
        raise
    return program
