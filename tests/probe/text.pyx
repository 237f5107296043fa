"""Test-only extension: a window onto the text functions (`logly/text/`: unicode, number, format_spec, escape)."""

from cpython.unicode cimport PyUnicode_DATA, PyUnicode_KIND
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

cimport logly.text.escape as _escape
cimport logly.text.format_spec as _format
cimport logly.text.number as _number
cimport logly.text.unicode as _unicode
from logly.text.buffer cimport Buffer, buffer_append, buffer_free, buffer_init

KIND_NONE = _format.KIND_NONE
KIND_BOOL = _format.KIND_BOOL
KIND_INT = _format.KIND_INT
KIND_FLOAT = _format.KIND_FLOAT
KIND_STR = _format.KIND_STR
KIND_BYTES = _format.KIND_BYTES


# A string value as a ring record holds it: a copy at an odd address that ends where its allocation ends, so that
# an aligned load shows under UBSan and a read too far under ASan.
cdef class Value:
    cdef char* block
    cdef const void* data
    cdef int kind
    cdef size_t n

    def __cinit__(self, value, bint utf8=False):
        cdef size_t size
        cdef const char* source
        if isinstance(value, bytes):
            self.kind = 0
            self.n = size = len(value)
            source = value
        elif utf8:
            value = value.encode("utf-8")
            self.kind = 0
            self.n = size = len(value)
            source = value
        else:
            self.kind = PyUnicode_KIND(value)
            self.n = len(value)
            size = self.n * self.kind
            source = <const char*> PyUnicode_DATA(value)
        self.block = <char*> malloc(size + 1)
        if self.block == NULL:
            raise MemoryError
        if size:
            memcpy(self.block + 1, source, size)
        self.data = self.block + 1

    def __dealloc__(self):
        free(self.block)


cdef class Text:
    cdef Buffer buffer

    def __cinit__(self, bytes before=b""):
        buffer_init(&self.buffer)
        buffer_append(&self.buffer, <const char*> before, len(before))

    def __dealloc__(self):
        buffer_free(&self.buffer)

    cdef bytes taken(self):
        assert not self.buffer.failed
        assert self.buffer.size <= self.buffer.capacity
        return self.buffer.data[: self.buffer.size] if self.buffer.size else b""


def parse(bytes spec):
    """The fields of a specification, or None when it is malformed or not native."""
    cdef _format.FormatSpec parsed
    if not _format.parse_spec(spec, len(spec), &parsed):
        return None
    return {
        "fill": chr(parsed.fill), "align": chr(parsed.align) if parsed.align else "",
        "sign": chr(parsed.sign) if parsed.sign else "", "z": bool(parsed.z), "alternate": bool(parsed.alternate),
        "zero": bool(parsed.zero), "width": parsed.width, "grouping": chr(parsed.grouping) if parsed.grouping else "",
        "precision": parsed.precision, "type": chr(parsed.type) if parsed.type else "", "empty": bool(parsed.empty),
    }


def accepts(bytes spec):
    """The mask of KIND_ bits, or 0 when the specification does not parse."""
    cdef _format.FormatSpec parsed
    if not _format.parse_spec(spec, len(spec), &parsed):
        return 0
    return _format.spec_accepts(&parsed)


def format_value(value, bytes spec, bint utf8=False):
    """The native text of an int, float, bool or str; None when the specification does not parse."""
    cdef _format.FormatSpec parsed
    cdef Text text = Text()
    cdef Value string
    if not _format.parse_spec(spec, len(spec), &parsed):
        return None
    if isinstance(value, str):
        string = Value(value, utf8)
        _format.format_text(&text.buffer, string.kind, string.data, string.n, &parsed)
    elif isinstance(value, bool):
        _format.format_bool(&text.buffer, value, &parsed)
    elif isinstance(value, float):
        _format.format_float(&text.buffer, value, &parsed)
    elif value < 0:
        _format.format_int(&text.buffer, value, &parsed)
    else:
        _format.format_uint(&text.buffer, value, &parsed)
        if value < 2**63:
            again = Text()
            _format.format_int(&again.buffer, value, &parsed)
            assert again.taken() == text.taken()
    return text.taken()


def format_null(value):
    """The text of a value without a specification (a NULL pointer)."""
    cdef Text text = Text()
    cdef Value string
    if isinstance(value, str):
        string = Value(value)
        _format.format_text(&text.buffer, string.kind, string.data, string.n, NULL)
    elif isinstance(value, bool):
        _format.format_bool(&text.buffer, value, NULL)
    elif isinstance(value, float):
        _format.format_float(&text.buffer, value, NULL)
    elif value < 2**63:
        _format.format_int(&text.buffer, value, NULL)
    else:
        _format.format_uint(&text.buffer, value, NULL)
    return text.taken()


def write_number(value):
    cdef Text text = Text()
    if isinstance(value, float):
        _number.write_float(&text.buffer, value)
    elif value < 2**63:
        _number.write_int(&text.buffer, value)
    else:
        _number.write_uint(&text.buffer, value)
    return text.taken()


def write_text(value, bint utf8=False):
    cdef Text text = Text()
    cdef Value string = Value(value, utf8)
    _unicode.write_text(&text.buffer, string.kind, string.data, string.n)
    return text.taken()


def text_length(value, bint utf8=False):
    cdef Value string = Value(value, utf8)
    return _unicode.text_length(string.kind, string.data, string.n)


def write_repr(value, bint utf8=False):
    cdef Text text = Text()
    cdef Value string = Value(value, utf8)
    _unicode.write_repr(&text.buffer, string.kind, string.data, string.n)
    return text.taken()


def write_ascii(value, bint utf8=False):
    cdef Text text = Text()
    cdef Value string = Value(value, utf8)
    _unicode.write_ascii(&text.buffer, string.kind, string.data, string.n)
    return text.taken()


def write_bytes_repr(bytes value):
    cdef Text text = Text()
    cdef Value string = Value(value)
    _unicode.write_bytes_repr(&text.buffer, <const unsigned char*> string.data, string.n)
    return text.taken()


def write_json_string(value, bint utf8=False):
    cdef Text text = Text()
    cdef Value string = Value(value, utf8)
    _escape.write_json_string(&text.buffer, string.kind, string.data, string.n)
    return text.taken()


def write_json_utf8(bytes value):
    cdef Text text = Text()
    cdef Value string = Value(value)
    _escape.write_json_utf8(&text.buffer, <const char*> string.data, string.n)
    return text.taken()


def write_json_bytes(bytes value):
    cdef Text text = Text()
    cdef Value string = Value(value)
    _escape.write_json_bytes(&text.buffer, <const unsigned char*> string.data, string.n)
    return text.taken()


def write_json_float(double value):
    cdef Text text = Text()
    _escape.write_json_float(&text.buffer, value)
    return text.taken()


def write_logfmt_value(value, bint utf8=False):
    cdef Text text = Text()
    cdef Value string = Value(value, utf8)
    _escape.write_logfmt_value(&text.buffer, string.kind, string.data, string.n)
    return text.taken()


# The rewriters get a buffer whose allocation ends with the text, so that ASan sees a read beyond it.
cdef Text text_to_rewrite(bytes before, bytes data):
    cdef bytes both = before + data
    cdef Text text = Text()
    if both:
        text.buffer.data = <char*> malloc(len(both))
        text.buffer.capacity = len(both)
        buffer_append(&text.buffer, <const char*> both, len(both))
    return text


def escape_controls(bytes before, bytes data):
    cdef Text text = text_to_rewrite(before, data)
    _escape.escape_controls(&text.buffer, len(before))
    return text.taken()


def escape_terminal(bytes before, bytes data):
    cdef Text text = text_to_rewrite(before, data)
    _escape.escape_terminal(&text.buffer, len(before))
    return text.taken()


def indent_newlines(bytes before, bytes data):
    cdef Text text = text_to_rewrite(before, data)
    _escape.indent_newlines(&text.buffer, len(before))
    return text.taken()


# --- loops to be timed by bench/formatting.py ------------------------------------------------------------------------

def loop_write_int(int64_t value, size_t times):
    cdef Text text = Text()
    cdef size_t i
    with nogil:
        for i in range(times):
            text.buffer.size = 0
            _number.write_int(&text.buffer, value + <int64_t> (i & 7))
    return text.taken()


def loop_format_int(int64_t value, bytes spec, size_t times):
    cdef _format.FormatSpec parsed
    cdef Text text = Text()
    cdef size_t i
    if not _format.parse_spec(spec, len(spec), &parsed):
        raise ValueError(spec)
    with nogil:
        for i in range(times):
            text.buffer.size = 0
            _format.format_int(&text.buffer, value + <int64_t> (i & 7), &parsed)
    return text.taken()


# Values from a list, because the branches taken depend on the value.
def loop_format_float(list values, bytes spec, size_t times):
    cdef _format.FormatSpec parsed
    cdef Text text = Text()
    cdef double[64] numbers
    cdef size_t i
    if not _format.parse_spec(spec, len(spec), &parsed):
        raise ValueError(spec)
    for i in range(64):
        numbers[i] = values[i % len(values)]
    with nogil:
        for i in range(times):
            text.buffer.size = 0
            _format.format_float(&text.buffer, numbers[i & 63], &parsed)
    return text.taken()


def loop_to_chars(list values, int precision, size_t times):
    """The same through std::to_chars alone: shortest when precision < 0, else fixed."""
    cdef char[1000] out
    cdef double[64] numbers
    cdef size_t i
    for i in range(64):
        numbers[i] = values[i % len(values)]
    with nogil:
        for i in range(times):
            if precision < 0:
                _number.to_chars_shortest(out, numbers[i & 63])
            else:
                _number.to_chars_fixed(out, 800, numbers[i & 63], precision)
    return out[0]


def loop_parse_spec(bytes spec, size_t times):
    cdef _format.FormatSpec parsed
    cdef const char* data = spec
    cdef size_t n = len(spec)
    cdef size_t _
    cdef size_t accepted = 0
    with nogil:
        for _ in range(times):
            accepted += _format.parse_spec(data, n, &parsed)
    return accepted


def loop_text(value, str function, bytes spec, size_t times):
    """`function`: text, repr, json, logfmt, controls or format (with `spec`)."""
    cdef _format.FormatSpec parsed
    cdef Value string = Value(value)
    cdef Text text = Text()
    cdef int which = ["text", "repr", "json", "logfmt", "controls", "format"].index(function)
    cdef size_t _
    if not _format.parse_spec(spec, len(spec), &parsed):
        raise ValueError(spec)
    with nogil:
        for _ in range(times):
            text.buffer.size = 0
            if which == 0:
                _unicode.write_text(&text.buffer, string.kind, string.data, string.n)
            elif which == 1:
                _unicode.write_repr(&text.buffer, string.kind, string.data, string.n)
            elif which == 2:
                _escape.write_json_string(&text.buffer, string.kind, string.data, string.n)
            elif which == 3:
                _escape.write_logfmt_value(&text.buffer, string.kind, string.data, string.n)
            elif which == 4:
                _unicode.write_text(&text.buffer, string.kind, string.data, string.n)
                _escape.escape_controls(&text.buffer, 0)
            else:
                _format.format_text(&text.buffer, string.kind, string.data, string.n, &parsed)
    return text.taken()
