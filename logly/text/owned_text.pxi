# Python text as bytes in C memory.

from libc.stdint cimport uint32_t
from libc.stdio cimport snprintf
from libc.stdlib cimport calloc, malloc
from libc.string cimport memcpy

from logly.text.buffer cimport Text
from logly.text.format_spec cimport FormatSpec, parse_spec


cdef Text copy_text(bytes data) except *:
    cdef Text text
    cdef char* copy = <char*> malloc(len(data) + 1)
    if copy == NULL:
        raise MemoryError
    memcpy(copy, <const char*> data, len(data) + 1)
    text.data = copy
    text.size = <uint32_t> len(data)
    return text


cdef Text* copy_texts(list names) except? NULL:
    cdef Text* texts
    cdef Py_ssize_t i
    if not names:
        return NULL
    texts = <Text*> calloc(len(names), sizeof(Text))
    if texts == NULL:
        raise MemoryError
    for i in range(len(names)):
        texts[i] = copy_text(utf8(names[i]))
    return texts


cdef bytes utf8(str text):
    # Lone surrogates become visible text, as everywhere in the output.
    return text.encode("utf-8", "backslashreplace")


cdef bint parse_native_spec(str spec, FormatSpec* out) except -1:
    cdef bytes data = utf8(spec)
    return parse_spec(<const char*> data, len(data), out)


# Not `str(number)`: CPython runs signal handlers while it makes the text of an int, and an exception of theirs would leave
# a change half done.
cdef bytes decimal(long long number):
    cdef char text[24]
    return text[: snprintf(text, sizeof(text), "%lld", number)]
