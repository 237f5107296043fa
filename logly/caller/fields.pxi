# Fields encoded as a record carries them: once for bind() and contextualize(), and per call on the careful way.

from cpython.object cimport PyObject
from libc.stdint cimport uint16_t, uint32_t
from libc.stdlib cimport free, malloc

from logly.caller.encode cimport put_text, put_value
from logly.ring.record cimport MAX_FIELD_BYTES, Cursor, put_counted
from logly.system.cpython cimport text_kind_of

# Of other included files:
#   caller/careful.pxi: bytes_address, bytes_size
#   caller/values.pxi: Rendition, native_fields, safe_str
#   text/owned_text.pxi: utf8


cdef class FieldBlock:
    """Fields encoded once: what bind() and contextualize() copy into every record.

    Args:
        fields: names and values; the values are taken as they are now.
        outer: a block whose fields come first, or None. If a name is in both, `fields` wins.
        limit: the most bytes of `fields`; longer values are cut, with a mark that says so.
    """

    def __init__(self, dict fields not None, FieldBlock outer=None, unsigned long long limit=MAX_FIELD_BYTES):
        self.fill(native_fields(fields, <Py_ssize_t> min(limit, <unsigned long long> MAX_FIELD_BYTES)), outer)

    cdef fill(self, dict native, FieldBlock outer):
        self.outer = outer
        self.values = dict(outer.values) if outer is not None else {}
        self.values.update(native)
        if len(self.values) > MAX_FIELDS:
            self.values = {**dict(list(self.values.items())[:MAX_FIELDS]), "logly_fields_cut": len(self.values) - MAX_FIELDS}
        self.count = <uint16_t> len(self.values)
        self.data = encode_block(self.values)

    def without(self, names):
        """A block without these fields."""
        cdef FieldBlock block = FieldBlock({})
        block.values = dict(self.values)
        for name in names:
            if isinstance(name, str):
                block.values.pop(plain_key(name), None)
        block.count = <uint16_t> len(block.values)
        block.data = encode_block(block.values)
        return block


cdef inline void use_block(PyObject* block, const char** data, uint32_t* size, uint16_t* count) noexcept:
    cdef PyObject* encoded = <PyObject*> (<FieldBlock> block).data
    data[0] = bytes_address(encoded)
    size[0] = <uint32_t> bytes_size(encoded)
    count[0] = (<FieldBlock> block).count


cdef enum:
    MAX_FIELDS = 16000       # of one block; a record's count has room for three blocks (context, bind, call)


cdef bint put_object(Cursor* out, object value) except -1:
    cdef Rendition made
    if type(value) is Rendition:
        made = <Rendition> value
        return put_counted(out, made.tag, <const char*> made.text, <uint32_t> len(made.text), len(made.text))
    return put_value(out, <PyObject*> value) > 0


cdef bytes encode_block(dict native):
    cdef size_t size = 256
    cdef Cursor out
    cdef char* block
    cdef bint fits
    while True:
        block = <char*> malloc(size)
        if block == NULL:
            raise MemoryError
        out.at = block
        out.end = block + size
        fits = True
        for name, value in native.items():
            fits = fits and put_text(&out, <PyObject*> name) and put_object(&out, value)
        try:
            if fits:
                return block[: out.at - block]
        finally:
            free(block)
        size *= 2


cdef str plain_key(object name):
    """The name as a key. Lone surrogates are escaped, so that two names never become the same key."""
    cdef str text = name if type(name) is str else str.__str__(name) if isinstance(name, str) else safe_str(name)
    if text_kind_of(<PyObject*> text) <= 1:
        return text
    return utf8(text).decode()


cdef class ContextFields(FieldBlock):
    """A block that knows to which ``with`` it belongs."""
    cdef dict own
    cdef object owner


cdef ContextFields context_fields(dict native, ContextFields outer, object owner):
    cdef ContextFields block = ContextFields.__new__(ContextFields)
    block.own = native
    block.owner = owner
    block.fill(native, outer)
    return block


# The chain of blocks without the innermost one of `owner`. This is not always the last one, because a generator may be suspended
# inside a ``with``.
cdef ContextFields without_block(ContextFields block, object owner):
    cdef ContextFields outer
    if block is None:
        return None
    if block.owner is owner:
        return <ContextFields> block.outer
    outer = without_block(<ContextFields> block.outer, owner)
    return block if outer is block.outer else context_fields(block.own, outer, block.owner)


cdef class ContextGuard:
    """Fields for the current context, inside the ``with``. Reusable, and by several threads and tasks at once.

    It is compiled, so that no signal handler runs between the change of the context and the ``with``. If a handler raised
    there, the fields would stay for ever.

    Args:
        variable: the ContextVar that holds the context's fields.
        fields: names and values.
    """
    cdef object variable
    cdef dict fields

    def __init__(self, variable, dict fields not None):
        self.variable = variable
        self.fields = fields

    def __enter__(self):
        cdef dict native = native_fields(self.fields, MAX_FIELD_BYTES)
        self.variable.set(context_fields(native, self.variable.get(None), self))
        return self

    def __exit__(self, kind, error, trace):
        # The blocks to go back to are in the context itself, so that one object serves several contexts. An async generator may
        # be closed in a context in which it never ran; that context has no block of ours.
        self.variable.set(without_block(self.variable.get(None), self))
