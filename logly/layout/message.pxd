"""A message template compiled to a program in C memory, and its interpreter.

layout/message_template.py parses the text, the core builds the program, and the flusher runs it without the GIL. The
program also tells the caller which kinds of argument it renders exactly as Python would. For any other argument the caller
calls `str.format`, or `%` for a template of `logging`, so the text is Python's in every case.
"""

from libc.stdint cimport int32_t, uint16_t, uint32_t, uint8_t
from libc.stdlib cimport free, malloc

from logly.layout.field_names cimport find_field
from logly.ring.record cimport (
    TAG_BYTES, TAG_FALSE, TAG_FLOAT, TAG_INT, TAG_NONE, TAG_TRUE, TAG_UINT, TAG_UTF8, RecordView, Value, get_value,
    text_kind,
)
from logly.system.atomic cimport load_pointer
from logly.text.buffer cimport Buffer, buffer_append, buffer_free, buffer_init
from logly.text.format_spec cimport FormatSpec, format_bool, format_float, format_int, format_text, format_uint
from logly.text.number cimport write_float, write_int, write_uint
from logly.text.unicode cimport write_ascii, write_bytes_repr, write_repr, write_text

cdef enum:
    MAX_ARGS = 1024            # positional arguments rendered natively: more than a native template can name
    FEW_ARGS = 64              # so many are rendered without an allocation
    MAX_TEMPLATES = 1 << 13    # that have a number at the same time
    MAX_TEMPLATE_BYTES = 4096  # longer templates are formatted by the caller

# How a template is written. The same str may be a template of both styles.
cdef enum TemplateStyle:
    STYLE_BRACES = 1           # for str.format
    STYLE_PERCENT              # of `logging`, for template % args

cdef enum StepCode:
    STEP_LITERAL = 0
    STEP_ARGUMENT
    STEP_FIELD


cdef struct Step:
    uint8_t code
    uint8_t conversion     # 0, 'r', 's' or 'a'
    bint has_spec
    uint16_t argument      # STEP_ARGUMENT: index of the positional argument
    Value key              # STEP_FIELD: the field's name
    const char* text       # STEP_LITERAL
    uint32_t size
    FormatSpec spec


cdef struct Program:
    uint32_t id            # the number by which records name it
    uint32_t used          # a record with it has been seen since the registry last looked
    uint32_t pins          # calls on the careful way that are about to use it
    bint native            # False: always formatted by the caller's thread
    bint fills             # native also for calls with fields alone: the template names fields, or has no braces
    uint16_t required      # positional arguments that the template reads
    uint16_t steps
    uint16_t growth        # a message is at most 2 to this power times as long as its arguments in the record
    uint16_t names         # fields that the template reads
    Step* step
    uint32_t* accepts      # per positional argument: bit mask of the kinds rendered natively
    void** name            # interned str objects (PyObject*, owned), compared by identity
    uint32_t* name_accepts
    void* owner            # the registry's object for the template (PyObject*, borrowed)
    Program* older         # another one at the same place, of a dead process's spool
    Program* retired       # the next one that the registry gave up
    bint exact             # it takes as many arguments as it reads, and no more: STYLE_PERCENT
    int32_t taken          # how many arguments it takes, also if it is not native; -1: its braces do not parse
    uint32_t longest       # STYLE_PERCENT: the most bytes of a message besides those of the arguments' texts


# Returns the program that has this number, or NULL.
cdef inline Program* program_of(Program** programs, uint32_t number) noexcept nogil:
    cdef Program* program = load_pointer(&programs[number & (MAX_TEMPLATES - 1)])
    while program != NULL and program.id != number:
        program = program.older
    return program


# str(value), as UTF-8.
cdef inline void write_value(Buffer* out, const Value* value) noexcept nogil:
    cdef uint8_t tag = value.tag
    if tag == TAG_INT:
        write_int(out, value.integer)
    elif tag == TAG_FLOAT:
        write_float(out, value.real)
    elif tag == TAG_BYTES:
        write_bytes_repr(out, <const unsigned char*> value.data, value.count)
    elif tag >= TAG_UTF8:
        write_text(out, text_kind(tag), value.data, value.count)
    elif tag == TAG_UINT:
        write_uint(out, <unsigned long long> value.integer)
    elif tag == TAG_NONE:
        buffer_append(out, b"None", 4)
    elif tag == TAG_TRUE:
        buffer_append(out, b"True", 4)
    else:
        buffer_append(out, b"False", 5)


cdef inline void write_converted(Buffer* out, const Value* value, uint8_t conversion) noexcept nogil:
    if conversion == c's' or value.tag < TAG_UTF8 or value.tag == TAG_BYTES:
        write_value(out, value)
    elif conversion == c'r':
        write_repr(out, text_kind(value.tag), value.data, value.count)
    else:
        write_ascii(out, text_kind(value.tag), value.data, value.count)


# A conversion together with a specification is rare, so it is rendered through a temporary buffer. A text with `!s` is formatted
# directly: in the buffer, which is UTF-8, a lone surrogate would be as wide as its escape.
cdef inline void format_converted(Buffer* out, const Value* value, const Step* step) noexcept nogil:
    cdef Buffer converted
    if step.conversion == c's' and value.tag >= TAG_UTF8 and value.tag != TAG_BYTES:
        format_text(out, text_kind(value.tag), value.data, value.count, &step.spec)
        return
    buffer_init(&converted)
    write_converted(&converted, value, step.conversion)
    format_text(out, 0, converted.data, converted.size, &step.spec)
    buffer_free(&converted)


cdef inline void format_value(Buffer* out, const Value* value, const FormatSpec* spec) noexcept nogil:
    cdef uint8_t tag = value.tag
    if tag == TAG_INT:
        format_int(out, value.integer, spec)
    elif tag == TAG_FLOAT:
        format_float(out, value.real, spec)
    elif tag == TAG_UINT:
        format_uint(out, <unsigned long long> value.integer, spec)
    elif tag == TAG_TRUE or tag == TAG_FALSE:
        format_bool(out, tag == TAG_TRUE, spec)
    elif tag >= TAG_UTF8 and tag != TAG_BYTES and (spec.type == 0 or spec.type == c's'):
        format_text(out, text_kind(tag), value.data, value.count, spec)
    else:  # also "[redacted]" in place of a number
        write_value(out, value)


cdef inline void run_step(Buffer* out, const Step* step, const Value* value) noexcept nogil:
    if step.conversion:
        if step.has_spec:
            format_converted(out, value, step)
        else:
            write_converted(out, value, step.conversion)
    elif step.has_spec:
        format_value(out, value, &step.spec)
    else:
        write_value(out, value)


cdef inline void render_program(Buffer* out, const Program* program, const RecordView* view) noexcept nogil:
    cdef Value few[FEW_ARGS]
    cdef Value* values = few
    if view.header.args > FEW_ARGS:
        values = <Value*> malloc(view.header.args * sizeof(Value))
    if values == NULL:
        out.failed = True
        return
    run_steps(out, program, view, values)
    if values != few:
        free(values)


cdef inline void run_steps(Buffer* out, const Program* program, const RecordView* view, Value* values) noexcept nogil:
    cdef Value field
    cdef const char* at = view.body
    cdef const Step* step
    cdef uint32_t i
    for i in range(view.header.args):
        at = get_value(at, &values[i])
    for i in range(program.steps):
        step = &program.step[i]
        if step.code == STEP_LITERAL:
            buffer_append(out, step.text, step.size)
        elif step.code == STEP_ARGUMENT:
            run_step(out, step, &values[step.argument])
        elif find_field(view, &step.key, &field):
            run_step(out, step, &field)


# Writes the message of a record: a program's, or (with NULL) the text in the record.
cdef inline void render_message(Buffer* out, const Program* program, const RecordView* view) noexcept nogil:
    cdef Value value
    if program != NULL:
        render_program(out, program, view)
        return
    get_value(view.body, &value)
    write_value(out, &value)
