# Fields encoded as a record carries them: once for bind(), contextualize() and the like, and per call on the careful way.

from cpython.object cimport PyObject
from libc.stdint cimport uint16_t, uint32_t
from libc.stdlib cimport free, malloc

from logly.caller.encode cimport put_text, put_value
from logly.ring.record cimport MAX_FIELD_BYTES, Cursor, put_counted
from logly.system.cpython cimport text_kind_of

# Of other included files:
#   control/core.pxi: Core
#   caller/calls.pxi: Producer
#   caller/values.pxi: Rendition, native_fields, rendition, safe_str
#   text/owned_text.pxi: utf8


cdef class FieldBlock:
    """Fields encoded once: what bind() and contextualize() copy into every record.

    Args:
        fields: names and values; the values are taken as they are now.
        outer: a block whose fields come first, or None. If a name is in both, `fields` wins.
        limit: the most bytes of `fields`; longer values are cut, with a mark that says so.
        core: whose functions of `encode` are asked about values; None: nobody's.
    """

    def __cinit__(self):
        # Log calls copy these bytes, also where __init__ has not been called.
        self.data = b""

    def __init__(
        self, dict fields not None, FieldBlock outer=None, unsigned long long limit=MAX_FIELD_BYTES, Core core=None
    ):
        self.fill(native_fields(fields, <Py_ssize_t> min(limit, <unsigned long long> MAX_FIELD_BYTES), core), outer)

    cdef fill(self, dict native, FieldBlock outer):
        self.outer = outer
        self.values = dict(outer.values) if outer is not None else {}
        self.values.update(native)
        if len(self.values) > MAX_FIELDS:
            self.values = {**dict(list(self.values.items())[:MAX_FIELDS]), "logly_fields_cut": len(self.values) - MAX_FIELDS}
        self.count = <uint16_t> len(self.values)
        self.data = encode_block(self.values)

    def __reduce__(self):
        cdef dict values = {}
        for name, value in self.values.items():
            values[name] = ((<Rendition> value).tag, (<Rendition> value).text) if type(value) is Rendition else value
        return block_of_values, (values,)

    @property
    def names(self):
        """The names of the fields, those of `outer` included."""
        return tuple(self.values)

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


def block_of_values(dict values not None):
    """A block from what another process has pickled: each value is plain, or the tag and the text of a rendition."""
    cdef FieldBlock block = FieldBlock({})
    for name, value in values.items():
        if type(value) is tuple:
            value = rendition(value[0], value[1])
        block.values[name] = value
    block.count = <uint16_t> len(block.values)
    block.data = encode_block(block.values)
    return block


def bound_fields(Producer producer not None, dict fields not None):
    """What `bind` gives to a logger that is made from this one."""
    return FieldBlock(fields, producer.bound, MAX_FIELD_BYTES, producer.core)


cdef enum:
    MAX_FIELDS = 16000       # of one block; a record's count has room for five blocks (trace, context_from, context, bind, call)


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
