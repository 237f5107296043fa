# Template strings as messages (CPython 3.14): logger.info(t"order {oid} filled at {price:.2f}").
#
# Such a call is turned into the call logger.info("order {oid} filled at {price:.2f}", oid=oid, price=price), which everything
# else knows: its text is a template of `str.format`'s, a plain name becomes a field, any other expression a positional argument.
# The text and the names are the same each time, so they are made once and kept, as a Shape. A call finds its shape by the address
# of the template's strings, which are one constant of the code, by the addresses of expression and conversion of each
# interpolation, and by the text of each specification, which is made anew where it has placeholders itself.

from cpython.object cimport PyObject
from libc.stdint cimport int32_t, uint32_t, uint64_t, uint8_t
from libc.string cimport memcmp

from logly.registry.table cimport Table, table_find, table_insert, table_remove
from logly.ring.leases cimport FREE_THREADED
from logly.system.atomic cimport (
    load_pointer, load_relaxed, load_relaxed32, store_pointer, store_relaxed, store_relaxed32,
)
from logly.system.cpython cimport (
    Py_DecRef, Py_IncRef, is_str, text_data, text_kind_of, text_length_of, tuple_item, tuple_length,
)
from logly.system.template cimport (
    Interpolation, TemplateParts, is_template, learn_templates, read_interpolation, template_parts,
)

# Of other included files:
#   caller/calls.pxi: Producer, emit_enabled
#   caller/careful.pxi: fallback_text
#   caller/hidden.pxi: Hiding, hiding_of
#   control/core.pxi: Core
#   control/redaction.pxi: hides_names
#   layout/message_rules.pxi: formatted, has_braces
#   registry/retired.pxi: enter_registry
#   registry/templates.pxi: intern_text, register_own
#   system/threads.pxi: SystemLock

cdef enum:
    MOST_INTERPOLATIONS = 32
    MOST_SPEC = 64             # characters of a specification that is compared
    MAX_SHAPES = 1 << 12
    SEEN_SHAPES = 1 << 9       # a power of two
    NEAR_SHAPES = 1 << 8       # a power of two
    LOOKS = 8                  # at shapes, for one that may make room
    MOST_NESTED = 50           # templates inside templates that are unfolded into one text

cdef enum:
    IS_AGAIN = 0x80            # the value must be the one that is there
    PLACE_MASK = 0x7F

cdef Table shape_table         # by `shape_key`; the shapes are in `shapes`
cdef list shapes = []
cdef Py_ssize_t shape_hand = 0 # the next one that is looked at for room
cdef uint64_t seen_shapes[SEEN_SHAPES]
cdef PyObject* near_shapes[NEAR_SHAPES] # borrowed, each in its `near_place`
# No fields: constants, and what a log call takes for something else.
cdef frozenset NO_NAMES = frozenset((
    "None", "True", "False", "__debug__", "yield", "exc_info", "extra", "stack_info", "stacklevel",
))


cdef class Shape:
    """What a t-string's calls have in common."""

    cdef uint64_t key
    cdef uint32_t used           # since the hand came by
    cdef tuple strings
    cdef tuple expressions
    cdef tuple conversions
    cdef tuple specs
    cdef uint8_t count           # of interpolations
    cdef uint8_t args            # positional ones
    cdef uint8_t[MOST_INTERPOLATIONS] places # of each interpolation: where its value is, behind the text; fields come last
    cdef str text                # as a template of str.format's
    cdef tuple names             # of the fields; None: there are none


# ---- the fast way

cdef inline uint64_t mix(uint64_t hashed, uint64_t word) noexcept nogil:
    return (hashed << 7 | hashed >> 57) ^ word


cdef inline uint64_t spec_word(PyObject* spec, Py_ssize_t length) noexcept nogil:
    cdef const uint8_t* text = <const uint8_t*> text_data(spec)
    cdef uint64_t word = <uint64_t> length
    cdef Py_ssize_t i
    for i in range(length):
        word = (word ^ text[i]) * <uint64_t> 0x100000001B3
    return word


# Reads the interpolations. Returns their number, or -1: there are none, or too many.
cdef inline Py_ssize_t read_template(PyObject* template, TemplateParts* parts, Interpolation* items) noexcept:
    cdef Py_ssize_t i, count
    if not template_parts(template, parts):
        return -1
    count = tuple_length(parts.interpolations)
    if count > MOST_INTERPOLATIONS or count == 0:
        return -1
    for i in range(count):
        if not read_interpolation(tuple_item(parts.interpolations, i), &items[i]):
            return -1
    return count


# What a template's shape is found by; 0: a specification is too long to compare, or not ASCII.
cdef inline uint64_t shape_key(const TemplateParts* parts, const Interpolation* items, Py_ssize_t count) noexcept:
    cdef uint64_t key = <uint64_t> parts.strings
    cdef Py_ssize_t i, length
    for i in range(count):
        key = mix(key, <uint64_t> items[i].expression ^ <uint64_t> items[i].conversion << 1)
        length = text_length_of(items[i].spec)
        if length > MOST_SPEC or not is_str(items[i].spec) or text_kind_of(items[i].spec) != 0:
            return 0
        if length:
            key = mix(key, spec_word(items[i].spec, length))
    key *= <uint64_t> 0x9E3779B97F4A7C15
    return (key ^ key >> 32) | 1


cdef inline bint is_of_shape(Shape shape, const TemplateParts* parts, const Interpolation* items, Py_ssize_t count) noexcept:
    cdef Py_ssize_t i
    cdef PyObject* spec
    if <PyObject*> shape.strings != parts.strings or shape.count != count:
        return False
    for i in range(count):
        if tuple_item(<PyObject*> shape.expressions, i) != items[i].expression:
            return False
        if tuple_item(<PyObject*> shape.conversions, i) != items[i].conversion:
            return False
        spec = tuple_item(<PyObject*> shape.specs, i)
        if spec != items[i].spec and not is_same_spec(spec, items[i].spec):
            return False
    return True


# `spec`: of a shape, so it is a str of ASCII.
cdef inline bint is_same_spec(PyObject* spec, PyObject* other) noexcept:
    cdef Py_ssize_t length = text_length_of(spec)
    if not is_str(other) or text_kind_of(other) != 0 or text_length_of(other) != length:
        return False
    return memcmp(text_data(spec), text_data(other), length) == 0


# The shape that was found last in this place is mostly the right one, and then no key is made.
cdef inline PyObject* find_shape(const TemplateParts* parts, const Interpolation* items, Py_ssize_t count) noexcept:
    cdef uint64_t place = near_place(<uint64_t> parts.strings, <uint64_t> items[0].expression)
    cdef PyObject* shape = load_pointer(&near_shapes[place])
    cdef uint64_t key
    if shape != NULL and is_of_shape(<Shape> shape, parts, items, count):
        return shape
    key = shape_key(parts, items, count)
    shape = <PyObject*> table_find(&shape_table, key, 1) if key else NULL
    if shape == NULL or not is_of_shape(<Shape> shape, parts, items, count):
        return NULL
    store_pointer(&near_shapes[place], shape)
    return shape


cdef inline uint64_t near_place(uint64_t strings, uint64_t expression) noexcept nogil:
    return (strings >> 4 ^ strings >> 12 ^ expression >> 4) & (NEAR_SHAPES - 1)


# Puts the values where the call with the shape's text has them. False: one is itself a template, or a name has two values.
cdef inline bint spread(Shape shape, const Interpolation* items, PyObject** values) noexcept:
    cdef Py_ssize_t i
    cdef uint8_t place
    for i in range(shape.count):
        if is_template(items[i].value):
            return False
        place = shape.places[i]
        if place & IS_AGAIN:
            if values[place & PLACE_MASK] != items[i].value:
                return False
        else:
            values[place] = items[i].value
    return True


# Makes the call that stands for one with a template alone. NULL without an exception: the careful way has to find that call out.
cdef PyObject* emit_template(PyObject* self, int32_t number, uint8_t level, PyObject* template) except? NULL:
    cdef TemplateParts parts
    cdef Interpolation items[MOST_INTERPOLATIONS]
    cdef PyObject* call[MOST_INTERPOLATIONS + 1]
    cdef PyObject* shape
    cdef PyObject* names
    cdef PyObject* result
    cdef Py_ssize_t count = read_template(template, &parts, items)
    if count < 0:
        return NULL
    shape = find_shape(&parts, items, count)
    if shape == NULL or not spread(<Shape> shape, items, call + 1):
        return NULL
    Py_IncRef(shape)             # code that the call runs may have it given up
    store_relaxed32(&(<Shape> shape).used, 1)
    call[0] = <PyObject*> (<Shape> shape).text
    names = <PyObject*> (<Shape> shape).names
    try:
        result = emit_enabled(self, number, level, call, 1 + (<Shape> shape).args, names if names != <PyObject*> None else NULL)
    finally:
        Py_DecRef(shape)
    return result


# ---- the careful way

cdef object plain_name(str expression):
    """The name of a field, where an expression is a plain name; or None."""
    cdef str name = expression.strip()
    return name if name.isidentifier() and name not in NO_NAMES else None


cdef class Unfolded:
    """A template made into the text and the arguments of another call.

    Args:
        core: whose call it is; None: a call of `logging`.
        given: the fields that the call has itself; they stay as they are.
    """

    cdef Core core
    cdef list parts
    cdef list args
    cdef dict fields
    cdef dict given
    cdef dict numbers            # of the fields
    cdef list places             # (whether it is a field, number among the fields or arguments, whether it has come before)
    cdef bint is_usual           # every call of this template unfolds like this one
    cdef int depth               # of templates inside templates

    def __init__(self, Core core, dict given not None):
        self.core = core
        self.parts = []
        self.args = []
        self.fields = {}
        self.given = given
        self.numbers = {}
        self.places = []
        self.is_usual = True

    cdef add(self, object template):
        cdef tuple strings = template.strings
        cdef tuple interpolations = template.interpolations
        cdef Py_ssize_t i
        for i in range(len(strings)):
            self.parts.append(escaped(str.__str__(strings[i])))
            if i < len(interpolations):
                self.add_interpolation(interpolations[i])

    # What a template made by hand holds may be of a subclass of str, whose own methods must not run here.
    cdef add_interpolation(self, object item):
        cdef object value = item.value
        cdef str spec = str.__str__(item.format_spec)
        cdef str conversion = "" if item.conversion is None else "!" + str.__str__(item.conversion)
        cdef str name = plain_name(str.__str__(item.expression))
        if is_template(<PyObject*> value):
            self.is_usual = False
            if not spec and not conversion and self.depth < MOST_NESTED:
                self.depth += 1
                self.add(value)  # its text is a part of this one, and its names are fields, too
                self.depth -= 1
                return
            value = NestedText(self.core, value)
            name = None
        if name is not None and (name in self.given or self.fields.get(name, value) is not value):
            self.is_usual = False
            name = None
        if name is not None:
            is_again = name in self.fields
            self.fields[name] = value
            self.numbers.setdefault(name, len(self.numbers))
            self.places.append((True, self.numbers[name], is_again))
        else:
            self.places.append((False, len(self.args), False))
            self.args.append(value)
        if "{" in spec or "}" in spec:
            self.is_usual = False
            self.args.append(spec)  # as an argument it is not looked into
            spec = "{}"
        self.parts.append("{" + (name or "") + conversion + (":" + spec if spec else "") + "}")


cdef str escaped(str text):
    return text.replace("{", "{{").replace("}", "}}") if has_braces(text) else text


cdef class NestedText:
    """A template as a value with a conversion or a specification of its own. Its text is made when it is asked for."""

    cdef Core core
    cdef object template

    def __init__(self, Core core, object template):
        self.core = core
        self.template = template

    def __str__(self):
        cdef Unfolded unfolded = Unfolded(self.core, {})
        cdef Hiding hiding = hiding_of(self.core) if self.core is not None else None
        unfolded.add(self.template)
        args, fields = tuple(unfolded.args), unfolded.fields
        if hiding is not None:
            args, fields = hiding.shown_args(args), hiding.shown_fields(fields)
        return formatted("".join(unfolded.parts), args, fields)

    def __repr__(self):
        return repr(str(self))

    def __format__(self, spec):
        return format(str(self), spec)


cdef tuple unfold(Core core, object template, tuple args, dict fields):
    """(message, arguments, fields) of the call that stands for this one. Further arguments show nothing, as with `str.format`."""
    cdef Unfolded unfolded = Unfolded(core, fields)
    cdef str text
    unfolded.add(template)
    if unfolded.is_usual and not args and not fields:
        keep_shape(template, unfolded)
    text = "".join(unfolded.parts)
    if not unfolded.args and not unfolded.fields and not args:
        # Nothing is filled in. With fields of the call, the text could be taken for a template.
        text = text.replace("{{", "{").replace("}}", "}")
        return ("{}", (text,), fields) if fields else (text, (), fields)
    return text, (*unfolded.args, *args), {**unfolded.fields, **fields}


cdef tuple text_and_fields(Core core, object template):
    """What the f-string would give, and the fields. Text that cannot be made is the template's own, with reprs of its values.

    `core`: of the logger whose secrets the text does not show; None: it shows everything.
    """
    cdef Unfolded unfolded = Unfolded(core, {})
    cdef Hiding hiding = hiding_of(core) if core is not None else None
    cdef str text = None
    unfolded.add(template)
    message, args, shown = "".join(unfolded.parts), tuple(unfolded.args), unfolded.fields
    if hiding is not None:
        args, shown = hiding.shown_args(args), hiding.shown_fields(shown)
    try:
        text = formatted(message, args, shown)
    except RecursionError:
        raise
    except Exception:
        pass
    if text is None:
        text = fallback_text(message, args, shown)
    return text, unfolded.fields


class TemplateText(str):
    """The text of a t-string in a call of `logging`. A handler whose logger hides names makes its own of the template."""

    __slots__ = ("template",)

    def __reduce__(self):
        return str, (str.__str__(self),)


cdef object text_for_logging(str text, object template):
    """A `TemplateText` where loggers hide names: only a handler knows its logger."""
    if not hides_names:
        return text
    made = TemplateText(text)
    made.template = template
    return made


def template_of(message):
    """The t-string that a message of `logging` is, or was made of; or None."""
    if is_template(<PyObject*> message):
        return message
    return message.template if type(message) is TemplateText else None


def template_text(Producer logger not None, template):
    """(text, fields) of a t-string for a logger: the text does not show what the logger hides."""
    return text_and_fields(logger.core, template)


# ---- shapes

cdef bint keep_shape(object template, Unfolded unfolded) except -1:
    """Keeps the shape, if a template like this one has been logged before."""
    cdef TemplateParts parts
    cdef Interpolation items[MOST_INTERPOLATIONS]
    cdef uint64_t key
    cdef Py_ssize_t count
    cdef uint64_t* seen
    learn_templates(<PyObject*> template)
    count = read_template(<PyObject*> template, &parts, items)
    key = shape_key(&parts, items, count) if count > 0 else 0
    if key == 0:
        return False
    seen = &seen_shapes[key >> 1 & (SEEN_SHAPES - 1)]
    if load_relaxed(seen) != key:
        store_relaxed(seen, key)
        return False
    return place_shape(made_shape(template, unfolded, key))


cdef Shape made_shape(object template, Unfolded unfolded, uint64_t key):
    cdef Shape shape = Shape.__new__(Shape)
    cdef Py_ssize_t i
    shape.key = key
    shape.strings = template.strings
    expressions, conversions, specs = [], [], []
    for item in template.interpolations:
        expressions.append(item.expression)
        conversions.append(item.conversion)
        specs.append(item.format_spec)
    shape.expressions, shape.conversions, shape.specs = tuple(expressions), tuple(conversions), tuple(specs)
    shape.count = len(expressions)
    shape.args = len(unfolded.args)
    for i in range(len(unfolded.places)):
        is_field, place, is_again = unfolded.places[i]
        shape.places[i] = (place + shape.args if is_field else place) | (IS_AGAIN if is_again else 0)
    shape.text = "".join(unfolded.parts)
    shape.names = tuple(map(intern_text, unfolded.fields)) if unfolded.fields else None
    shape.used = 1
    return shape


cdef bint place_shape(Shape shape) except -1:
    cdef SystemLock registry
    cdef bint is_kept = register_own(shape.text)
    if not is_kept:
        return False
    registry = enter_registry()
    try:
        # Asked again, because the garbage collector may have run, and with it a __del__ that logs the same.
        if table_find(&shape_table, shape.key, 1) == NULL and make_room_for_shape():
            shapes.append(shape)
            if not table_insert(&shape_table, shape.key, 1, <void*> shape):
                shapes.pop()
    finally:
        registry.give()
    return True


# A shape that has not been used for a while goes, where there are many. Without a GIL another thread may just be reading it.
cdef bint make_room_for_shape() except -1:
    global shape_hand
    cdef Shape other
    cdef int i
    if len(shapes) < MAX_SHAPES:
        return True
    for i in range(0 if FREE_THREADED else LOOKS):
        shape_hand = (shape_hand + 1) % len(shapes)
        other = shapes[shape_hand]
        if load_relaxed32(&other.used):
            store_relaxed32(&other.used, 0)
        else:
            table_remove(&shape_table, other.key, 1)
            forget_near(other)
            shapes[shape_hand] = shapes[len(shapes) - 1]
            shapes.pop()
            return True
    return False


cdef void forget_near(Shape shape) noexcept:
    cdef PyObject* expression = tuple_item(<PyObject*> shape.expressions, 0)
    cdef uint64_t place = near_place(<uint64_t> <PyObject*> shape.strings, <uint64_t> expression)
    if near_shapes[place] == <PyObject*> shape:
        near_shapes[place] = NULL
