# What served handlers show of a call's `extra`: the fields that a record carries, and the calls that go the way of `logging`.

import sys

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from logly.caller.encode cimport Call, encode, put_text, put_value
from logly.ring.record cimport TAG_JSON, Cursor
from logly.system.cpython cimport int_bits, is_int, is_str, text_data, text_kind_of, text_length_of, tuple_items
from logly.text.format_spec cimport KIND_ALL, KIND_BYTES

# Of other included files:
#   bridge/rendered.pxi: are_encodable, is_encodable
#   bridge/stamps.pxi: Target
#   caller/careful.pxi: kind_of, size_of_texts
#   caller/values.pxi: Rendition, rendition

cdef extern from *:
    PyObject* PyDict_GetItemWithError(object dict_, object key) noexcept
    bint PyDict_Next(object dict_, Py_ssize_t* at, PyObject** key, PyObject** value) noexcept
    long PyLong_AsLong(PyObject* number) noexcept

cdef enum:
    EXTRA_BYTES = 1024         # of fields that are encoded on the stack
    ACCESS_ARGS = 5            # of a call for uvicorn's access log: client, method, path, version (str), status (int)
    ANY_KIND = KIND_ALL - KIND_BYTES

cdef enum ExtraRule:
    IS_REQUIRED = 1 << 8       # a formatter fails without it
    IS_JSON = 1 << 9           # only JSON shows it, so a value of another kind may be encoded at the call
    IS_REFUSED = 1 << 10       # a call with this name goes the way of `logging`

# The fields of a record that hold these arguments.
ACCESS_FIELDS = tuple(map(sys.intern, ("uvicorn.0", "uvicorn.1", "uvicorn.2", "uvicorn.3", "uvicorn.4")))
cdef PyObject** access_names = tuple_items(<PyObject*> ACCESS_FIELDS)

FIELD_IS_REQUIRED = IS_REQUIRED
FIELD_IS_JSON = IS_JSON
FIELD_IS_REFUSED = IS_REFUSED
FIELD_KINDS = ANY_KIND


cdef class ServedExtra:
    """What the formatters of one target show of `extra`.

    Args:
        rules: name -> the kinds of value that all formatters write exactly (`KIND_` bits of text/format_spec.pxd), with
            FIELD_IS_REQUIRED, FIELD_IS_JSON or FIELD_IS_REFUSED. A rule without kinds: nobody shows the name.
        shows_all: names without a rule are shown, as JSON, if they do not begin with an underscore.
        encode: makes the JSON text of a value that is not copied as bits, or None.
        takes_access: a formatter shows the arguments of a call as uvicorn's access log does.
    """

    def __init__(self, dict rules not None, *, bint shows_all=False, encode=None, bint takes_access=False):
        self.rules = dict(rules)
        self.shows_all = shows_all
        self.encode = encode
        self.takes_access = takes_access
        self.name = <PyObject**> calloc(len(rules) + 1, sizeof(PyObject*))
        self.rule = <uint32_t*> calloc(len(rules) + 1, sizeof(uint32_t))
        if self.name == NULL or self.rule == NULL:
            raise MemoryError
        for name in self.rules:
            if self.rules[name] & (ANY_KIND | IS_REFUSED):
                self.name[self.names] = <PyObject*> name
                self.rule[self.names] = self.rules[name]
                self.required += self.rule[self.names] & IS_REQUIRED != 0
                self.names += 1

    def __dealloc__(self):
        free(self.name)
        free(self.rule)


# ---- the fast way

# Encodes what the target's formatters show of `extra` (a dict of plain names, or NULL). False: something of it is not copied as
# bits, is not exact, or fails in a formatter.
cdef bint put_shown(ServedExtra shown, bint is_ascii, Call* call, PyObject* extra, char* room) noexcept:
    cdef Cursor out
    cdef int widest = 0 if is_ascii else 1
    out.at = room
    out.end = room + EXTRA_BYTES
    if shown.takes_access and not put_access(call, &out):
        return False
    if extra == NULL:
        if shown.required:
            return False
    elif not (put_all(shown, widest, call, extra, &out) if shown.shows_all else put_named(shown, widest, call, extra, &out)):
        return False
    call.bound = room
    call.bound_size = <uint32_t> (out.at - room)
    return True


cdef bint put_named(ServedExtra shown, int widest, Call* call, PyObject* extra, Cursor* out) noexcept:
    cdef PyObject* value
    cdef uint32_t i
    for i in range(shown.names):
        # Both are plain str, so no code of the program's compares them.
        value = PyDict_GetItemWithError(<object> extra, <object> shown.name[i])
        if value == NULL:
            if shown.rule[i] & IS_REQUIRED:
                return False
        elif shown.rule[i] & IS_REFUSED or not put_one(call, shown.name[i], value, shown.rule[i], widest, out):
            return False
    return True


cdef bint put_all(ServedExtra shown, int widest, Call* call, PyObject* extra, Cursor* out) noexcept:
    cdef Py_ssize_t at = 0
    cdef PyObject* name = NULL
    cdef PyObject* value = NULL
    cdef uint32_t rule
    cdef uint32_t left = shown.required
    while PyDict_Next(<object> extra, &at, &name, &value):
        rule = rule_of(shown, name)
        if rule & IS_REFUSED or text_kind_of(name) > widest:
            return False
        if rule & ANY_KIND:
            if not put_one(call, name, value, rule, widest, out):
                return False
            left -= rule & IS_REQUIRED != 0
    return left == 0


cdef uint32_t rule_of(ServedExtra shown, PyObject* name) noexcept:
    cdef PyObject* found = PyDict_GetItemWithError(shown.rules, <object> name)
    if found != NULL:
        return <uint32_t> PyLong_AsLong(found)
    if not shown.shows_all or begins_with_underscore(name):
        return 0
    return ANY_KIND | IS_JSON


cdef bint begins_with_underscore(PyObject* name) noexcept:
    return text_length_of(name) > 0 and text_kind_of(name) <= 1 and (<const char*> text_data(name))[0] == c'_'


cdef bint put_one(Call* call, PyObject* name, PyObject* value, uint32_t rule, int widest, Cursor* out) noexcept:
    cdef int kind
    if is_str(value) and text_kind_of(value) > widest:
        return False
    if not put_text(out, name):
        return False
    kind = put_value(out, value)
    if kind <= 0 or not rule & ANY_KIND & <uint32_t> kind:
        return False
    call.bound_fields += 1
    return True


cdef bint put_access(Call* call, Cursor* out) noexcept:
    cdef int i
    if not are_access_args(call.args, call.arg_count):
        return False
    for i in range(ACCESS_ARGS):
        if not put_text(out, access_names[i]) or put_value(out, call.args[i]) <= 0:
            return False
    call.bound_fields += ACCESS_ARGS
    return True


cdef bint are_access_args(PyObject** args, Py_ssize_t count) noexcept:
    cdef int64_t number
    cdef int i
    if count != ACCESS_ARGS or not is_int(args[4]) or int_bits(args[4], &number) != 1:
        return False
    for i in range(4):
        if not is_str(args[i]):
            return False
    return True


# ---- the careful way

cdef dict shown_fields(ServedExtra shown, dict extra, tuple args, Target target, uint64_t limit):
    """The fields for a record; None: the call goes the way of `logging`. `extra` is the caller's own copy."""
    cdef dict fields = {}
    cdef uint32_t left = shown.required
    cdef uint32_t rule
    cdef uint64_t size = 0
    if shown.takes_access:
        if not are_access_args(tuple_items(<PyObject*> args), len(args)) or not are_encodable(args, target):
            return None
        fields.update(zip(ACCESS_FIELDS, args))
        size = size_of_texts(args)
    for name in (extra if shown.shows_all else shown.rules):
        rule = rule_of(shown, <PyObject*> name)
        if name not in extra or (not rule & ANY_KIND and not rule & IS_REFUSED):
            continue
        value = extra[name]
        if rule & IS_REFUSED or not is_encodable(name, target):
            return None
        if not kind_of(value) & rule & ANY_KIND:
            value = encoded_value(shown, value, target) if rule & IS_JSON and shown.encode is not None else None
            if value is None:
                return None
            size += <uint64_t> len(<bytes> (<Rendition> value).text)
        elif type(value) is str:
            if not is_encodable(value, target):
                return None
            size += <uint64_t> len(<str> value)
        if size > limit // 8:
            return None
        fields[name] = value
        left -= rule & IS_REQUIRED != 0
    return fields if left == 0 and size <= limit // 8 else None


cdef Rendition encoded_value(ServedExtra shown, object value, Target target):
    """JSON of a value that is not copied as bits; None: it fails, which `logging` is to tell of."""
    cdef object text
    cdef object data = None
    try:
        text = shown.encode(value)
        if type(text) is str and not (target.is_ascii and not text.isascii()):
            data = text.encode()
    except RecursionError:
        raise
    except Exception:
        pass
    return rendition(TAG_JSON, data) if data is not None else None
