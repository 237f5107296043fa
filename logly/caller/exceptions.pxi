# An exception as the steps that a record holds (layout/trace.pxd). This is `traceback.TracebackException` without the texts:
# which exceptions are shown, in which order, and where their tracebacks went.
#
# Exceptions whose classes change what the attributes of exceptions mean, and whatever else is unusual, are rendered by
# `traceback` itself (caller/tracebacks.py). So are an exception's own lines where Python adds something: suggestions, notes,
# the parts of a syntax error.

import sys

from cpython.dict cimport PyDict_Contains
from cpython.object cimport PyObject
from libc.stdint cimport uint16_t, uint32_t, uint64_t, uint8_t
from libc.stdio cimport snprintf
from libc.string cimport memset

from logly.caller.encode cimport put_text
from logly.layout.trace cimport (
    HEADLINE_CAUSE, HEADLINE_CONTEXT, HEADLINE_GROUP, HEADLINE_TRACEBACK, MAX_DEPTH, SHOWN_REPEATS, TRACE_HEADLINE,
    TRACE_LAST, TRACE_MARGIN, TRACE_PLACE, TRACE_RULE, TRACE_TEXT, Place,
)
from logly.ring.leases cimport FREE_THREADED
from logly.ring.record cimport TAG_UTF8, Cursor
from logly.system.cpython cimport (
    PyTypeObject, Py_DecRef, Py_IncRef, attributes_of, cause_of, context_of, is_alone, is_exception, is_simple_type,
    is_trace, list_item, next_traced, qualified_name, suppresses_context, text_data, text_kind_of, text_length_of,
    trace_of, tuple_item, type_version,
)
from logly.text.buffer cimport Buffer, buffer_append, buffer_free, buffer_put, buffer_reserve

# Of other included files:
#   caller/place_texts.pxi: find_places, make_entries
#   registry/places.pxi: find_place, is_usable
#   registry/retired.pxi: Pins, enter_registry, pin_places
#   system/threads.pxi: SystemLock

cdef enum:
    MOST_SHOWN = 64          # exceptions of one record; more are rendered by `traceback`
    GROUP_WIDTH = 15         # of `traceback`
    GROUP_DEPTH = 10
    KNOWN_CLASSES = 256      # a power of two

cdef enum ClassFlag:
    CLASS_UNUSUAL = 1        # rendered by `traceback` as a whole
    CLASS_OWN_LINES = 2      # its own lines are
    CLASS_GROUP = 4


# What is known of a class, as long as the class has this version.
cdef struct KnownClass:
    PyObject* kind           # borrowed: only its address is compared
    uint32_t version
    uint32_t flags
    PyObject* name           # str, owned: as a traceback shows it
    PyObject* qualified      # what `qualified_name` returned, owned

cdef KnownClass known_classes[KNOWN_CLASSES]
cdef str NO_TEXT = ""
cdef str NOTES = sys.intern("__notes__")
cdef str TRACEBACKLIMIT = sys.intern("tracebacklimit")


# Loaded when a logger is made (caller/emergency.py); without them, in a late __del__, the exception is rendered in short.

cdef object class_describer():
    from logly.caller.tracebacks import describe_class
    return describe_class


cdef object last_lines_maker():
    from logly.caller.tracebacks import last_lines
    return last_lines


cdef class Shown:
    """An exception that is to be shown, and those that are shown with it."""


cdef uint32_t look_at_class(Shown one) except? 0:
    """Notes the name of the exception's class, and returns what is known of the class."""
    cdef SystemLock registry = None
    if not FREE_THREADED:
        return look_up_class(one)
    registry = enter_registry()
    try:
        return look_up_class(one)
    finally:
        registry.give()


cdef uint32_t look_up_class(Shown one) except? 0:
    cdef PyObject* kind = <PyObject*> (<PyObject*> one.error).ob_type
    cdef KnownClass* known = &known_classes[(<uint64_t> kind >> 5) & (KNOWN_CLASSES - 1)]
    cdef uint32_t version = type_version(<PyTypeObject*> kind)
    if (
        known.kind != kind or known.version != version or version == 0
        or known.qualified != qualified_name(<PyTypeObject*> kind)
    ):
        learn_class(known, type(one.error))
    one.kind = <str> <object> known.name
    return known.flags


cdef bint learn_class(KnownClass* known, object kind) except -1:
    cdef PyObject* name_before
    cdef PyObject* qualified_before
    cdef str name
    cdef uint32_t flags
    cdef uint32_t version = type_version(<PyTypeObject*> kind)
    flags, name = class_describer()(kind)
    if version == 0:
        version = type_version(<PyTypeObject*> kind)
    if not is_simple_type(<PyTypeObject*> kind):
        flags |= CLASS_UNUSUAL
    name_before = known.name
    qualified_before = known.qualified
    known.qualified = qualified_name(<PyTypeObject*> kind)
    if known.qualified != NULL:
        Py_IncRef(known.qualified)
    Py_IncRef(<PyObject*> name)
    known.kind = <PyObject*> kind
    known.version = version  # not that of a change since: another thread may have made one
    known.flags = flags
    known.name = <PyObject*> name
    if name_before != NULL:
        Py_DecRef(name_before)
    if qualified_before != NULL:
        Py_DecRef(qualified_before)
    return True


cdef Shown look_at(object error, object trace):
    """What is shown of the exception itself. None: `traceback` must render the whole."""
    cdef Shown one = Shown.__new__(Shown)
    cdef uint32_t flags
    cdef object message
    cdef PyObject* attributes
    one.error = error
    one.trace = trace
    flags = look_at_class(one)
    if flags & CLASS_UNUSUAL:
        return None
    if flags & CLASS_GROUP:
        one.others = group_of(error)
        if one.others is None:
            return None
    message = text_of_exception(error)
    if type(message) is not str or has_surrogates(<PyObject*> message):
        return None
    one.message = message
    attributes = attributes_of(<PyObject*> error)
    if flags & CLASS_OWN_LINES or (attributes != NULL and PyDict_Contains(<object> attributes, NOTES)):
        one.lines = last_lines_maker()(error, trace)
        if has_surrogates(tuple_item(<PyObject*> one.lines, 0)):
            return None
    return one


cdef list group_of(object error):
    cdef object others = error.exceptions
    return list(others) if type(others) is tuple else None


cdef object text_of_exception(object error):
    try:
        return str(error)
    except RecursionError:
        raise
    except Exception:
        pass
    return "<exception str() failed>"


# JSON shows lone surrogates in another way than text layouts do, so their place in the text must be known.
cdef bint has_surrogates(PyObject* text) noexcept:
    cdef Py_ssize_t i
    cdef int kind = text_kind_of(text)
    cdef const void* data = text_data(text)
    cdef uint32_t c
    if kind < 2:
        return False
    for i in range(text_length_of(text)):
        c = (<const uint16_t*> data)[i] if kind == 2 else (<const uint32_t*> data)[i]
        if 0xD800 <= c <= 0xDFFF:
            return True
    return False


cdef object or_none(PyObject* found):
    """Takes over the reference. None for NULL."""
    cdef object one
    if found == NULL:
        return None
    one = <object> found
    Py_DecRef(found)
    return one


cdef Shown gather(object error, object trace, list nodes):
    """The exception and all that are shown with it, in the order of `TracebackException.__init__`, each also in `nodes`.

    None: `traceback` must render them.
    """
    cdef Shown top = look_at(error, trace)
    cdef set seen
    cdef list left
    if top is None:
        return None
    nodes.append(top)
    if top.others is None and is_alone(<PyObject*> error):
        return top
    seen = {<uint64_t> <PyObject*> error}
    left = [top]
    while left:
        if not gather_around(left.pop(), seen, left, nodes):
            return None
    return top


cdef bint gather_around(Shown one, set seen, list left, list nodes) except -1:
    cdef object other
    cdef list others
    other = or_none(cause_of(<PyObject*> one.error))
    if other is not None and <uint64_t> <PyObject*> other not in seen:
        one.cause = gather_one(other, seen, nodes)
        if one.cause is None:
            return False
    if one.cause is None and not suppresses_context(<PyObject*> one.error):
        other = or_none(context_of(<PyObject*> one.error))
        if other is not None and <uint64_t> <PyObject*> other not in seen:
            one.context = gather_one(other, seen, nodes)
            if one.context is None:
                return False
    if one.others is not None:
        others = one.others
        one.others = []
        for other in others:
            other = gather_one(other, seen, nodes)
            if other is None:
                return False
            one.others.append(other)
    if one.cause is not None:
        left.append(one.cause)
    if one.context is not None:
        left.append(one.context)
    if one.others is not None:
        left.extend(one.others)
    return True


cdef Shown gather_one(object error, set seen, list nodes):
    cdef Shown one = None
    if len(nodes) < MOST_SHOWN and is_exception(<PyObject*> error):
        seen.add(<uint64_t> <PyObject*> error)
        one = look_at(error, or_none(trace_of(<PyObject*> error)))
        nodes.append(one)
    return one


# ---- steps

cdef inline void put_code(Buffer* out, uint8_t step, uint8_t code) noexcept:
    buffer_put(out, <char> step)
    buffer_put(out, <char> code)


cdef void put_string(Buffer* out, PyObject* text) noexcept:
    cdef size_t size = 5 + <size_t> text_length_of(text) * <size_t> max(1, text_kind_of(text))
    cdef Cursor cursor
    if not buffer_reserve(out, size):
        return
    cursor.at = out.data + out.size
    cursor.end = cursor.at + size
    put_text(&cursor, text)
    out.size += size


cdef inline void put_margin(Buffer* out, int depth, char character) noexcept:
    put_code(out, TRACE_MARGIN, <uint8_t> depth)
    buffer_put(out, character)


cdef inline void put_run(Buffer* out, const Place* place, uint32_t count) noexcept:
    if place != NULL:
        buffer_put(out, <char> TRACE_PLACE)
        buffer_append(out, <const char*> &place.id, 4)
        buffer_append(out, <const char*> &count, 4)


# Returns False when an entry has no place any more. `shown`: bytes of the texts.
cdef bint put_entries(Buffer* out, PyObject* entry, uint64_t* shown) noexcept:
    cdef Place* place
    cdef Place* latest = NULL
    cdef uint32_t count = 0
    while entry != <PyObject*> None and entry != NULL:
        place = find_place(entry)
        if not is_usable(place):
            return False
        if place != latest:
            put_run(out, latest, count)
            latest = place
            count = 0
        count += 1
        if count <= SHOWN_REPEATS:
            shown[0] += place.text.size
        entry = next_traced(entry)
    put_run(out, latest, count)
    return True


cdef inline void put_text_step(Buffer* out, str text) noexcept:
    buffer_put(out, <char> TRACE_TEXT)
    put_string(out, <PyObject*> text)
    put_string(out, <PyObject*> NO_TEXT)


cdef void put_last_lines(Buffer* out, Shown one) noexcept:
    if one.lines is not None:
        buffer_put(out, <char> TRACE_TEXT)
        put_string(out, tuple_item(<PyObject*> one.lines, 0))
        put_string(out, tuple_item(<PyObject*> one.lines, 1))
    else:
        buffer_put(out, <char> TRACE_LAST)
        put_string(out, <PyObject*> one.kind)
        put_string(out, <PyObject*> one.message)


cdef struct Steps:
    Buffer out
    int depth                # of groups
    bint must_close          # the frame of the innermost group
    uint64_t shown           # bytes of the texts of places


cdef inline void put_ascii(Buffer* out, const char* text, uint32_t size) noexcept:
    buffer_put(out, <char> TAG_UTF8)
    buffer_append(out, <const char*> &size, 4)
    buffer_append(out, text, size)


cdef void put_rule(Steps* steps, const char* front, const char* title) noexcept:
    cdef char text[2 * MAX_DEPTH + 64]
    cdef int size = snprintf(text, sizeof(text), b"%*s%s%s\n", 2 * steps.depth, b"", front, title)
    buffer_put(&steps.out, <char> TRACE_RULE)
    put_ascii(&steps.out, text, <uint32_t> size)


cdef void put_remark(Steps* steps, const char* template, int number, const char* ending) noexcept:
    cdef char text[64]
    cdef int size = snprintf(text, sizeof(text), template, number, ending)
    buffer_put(&steps.out, <char> TRACE_TEXT)
    put_ascii(&steps.out, text, <uint32_t> size)
    put_ascii(&steps.out, b"", 0)


# The functions below are `TracebackException.format`. They return False when an entry has no place any more.

cdef bint put_chain(Steps* steps, Shown last) noexcept:
    """An exception, after those that led to it."""
    cdef PyObject* chain[MOST_SHOWN]
    cdef Shown one = last
    cdef int count = 0
    while one is not None and count < MOST_SHOWN:
        chain[count] = <PyObject*> one
        count += 1
        one = one.cause if one.cause is not None else one.context
    while count:
        count -= 1
        one = <Shown> chain[count]
        if one.cause is not None:
            put_code(&steps.out, TRACE_HEADLINE, HEADLINE_CAUSE)
        elif one.context is not None:
            put_code(&steps.out, TRACE_HEADLINE, HEADLINE_CONTEXT)
        if one.others is not None and steps.depth > GROUP_DEPTH:
            put_remark(steps, b"... (max_group_depth is %d)%s\n", GROUP_DEPTH, b"")
        elif not (put_alone(steps, one, HEADLINE_TRACEBACK) if one.others is None else put_group(steps, one)):
            return False
    return True


cdef bint put_alone(Steps* steps, Shown one, uint8_t headline) noexcept:
    if one.trace is not None:
        put_code(&steps.out, TRACE_HEADLINE, headline)
        if headline == HEADLINE_GROUP:
            put_margin(&steps.out, steps.depth, c'|')
        if one.entries is not None:
            put_text_step(&steps.out, one.entries)
        elif not put_entries(&steps.out, <PyObject*> one.trace, &steps.shown):
            return False
    put_last_lines(&steps.out, one)
    return True


cdef bint put_group(Steps* steps, Shown one) noexcept:
    cdef bint is_outermost = steps.depth == 0
    cdef int others = <int> len(one.others)
    cdef int count = min(others, GROUP_WIDTH + 1)
    cdef int i
    steps.depth += is_outermost
    put_margin(&steps.out, steps.depth, c'+' if is_outermost and one.trace is not None else c'|')
    if not put_alone(steps, one, HEADLINE_GROUP):
        return False
    steps.must_close = False
    for i in range(count):
        if i == count - 1:
            steps.must_close = True  # a group that is the last one of this group closes both
        if not put_member(steps, one, i, others):
            return False
    if is_outermost:
        steps.depth = 0
        put_margin(&steps.out, 0, c'|')
    return True


cdef bint put_member(Steps* steps, Shown group, int i, int others) noexcept:
    cdef char title[64]
    cdef bint is_cut = i >= GROUP_WIDTH
    if is_cut:
        snprintf(title, sizeof(title), b"+---------------- ... ----------------")
    else:
        snprintf(title, sizeof(title), b"+---------------- %d ----------------", i + 1)
    put_rule(steps, b"+-" if i == 0 else b"  ", title)
    steps.depth += 1
    put_margin(&steps.out, steps.depth, c'|')
    if is_cut:
        put_remark(steps, b"and %d more exception%s\n", others - GROUP_WIDTH, b"s" if others - GROUP_WIDTH > 1 else b"")
    elif not put_chain(steps, <Shown> list_item(<PyObject*> group.others, i)):
        return False
    if steps.must_close and (is_cut or i == others - 1):
        put_rule(steps, b"", b"+------------------------------------")
        steps.must_close = False
    steps.depth -= 1
    put_margin(&steps.out, steps.depth, c'|')
    return True


cdef dict sys_names = sys.__dict__


cdef tuple steps_of_exception(object error, object trace, uint64_t limit, Pins* pins, tuple diagnosis):
    """(type, message, steps, "") of an exception. None: `traceback` must render it."""
    cdef list nodes = []
    cdef Shown top
    cdef bytes steps = None
    cdef int attempt
    # Neither needs to be what it says that it is: billiard, and so celery, has tracebacks of its own whose `__class__` is that of
    # real ones, and so has a Mock with a `spec`.
    if TRACEBACKLIMIT in sys_names or not is_exception(<PyObject*> error) or not (trace is None or is_trace(<PyObject*> trace)):
        return None
    top = gather(error, trace, nodes)
    if top is None:
        return None
    for attempt in range(2):
        if not (find_places(nodes) if diagnosis is None else make_entries(nodes, diagnosis)):
            return None
        pin_places(pins)
        steps = put_steps(top, limit)
        if steps is not None:
            return (type(error).__name__, top.message, steps, "")
    return None


cdef bytes put_steps(Shown top, uint64_t limit):
    """The steps, or None when a place has gone since it was found, or when the text would be longer than the limit."""
    cdef Steps steps
    cdef bytes made = None
    memset(&steps, 0, sizeof(Steps))
    if put_chain(&steps, top) and not steps.out.failed and steps.shown + 4 * steps.out.size <= limit:
        try:
            made = steps.out.data[: steps.out.size]
        finally:
            buffer_free(&steps.out)
    else:
        buffer_free(&steps.out)
    return made
