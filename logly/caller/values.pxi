# What becomes of values that are not copied as bits. This runs Python code, on the caller's thread.

from libc.stdint cimport uint8_t

from logly.ring.record cimport TAG_JSON, TAG_NUMBER

# Of other included files:
#   control/core.pxi: Core
#   caller/careful.pxi: cut_text
#   caller/fields.pxi: plain_key
#   caller/json_value.pxi: json_bytes
#   caller/plain_value.pxi: is_json_scalar, plain_value

cdef extern from *:
    long long PyLong_AsLongLongAndOverflow(object number, int* overflow) except? -1

cdef enum:
    MAX_DECIMAL_BITS = 14000  # 4,215 digits: within the 4,300 that CPython converts and reads by default


cdef class Rendition:
    """A value whose text was made on the caller's thread: JSON, or the digits of an int beyond 64 bits."""
    pass


cdef Rendition rendition(uint8_t tag, bytes text):
    cdef Rendition made = Rendition.__new__(Rendition)
    made.tag = tag
    made.text = text
    return made


cdef str safe_str(object value):
    """str(value), or a replacement text when that fails."""
    cdef object trouble
    try:
        text = str(value)
        return text if type(text) is str else str.__str__(text)
    except RecursionError:
        raise
    except Exception as error:
        trouble = error
    return f"<{type_name(value)} whose str fails: {type_name(trouble)}>"


cdef str type_name(object value):
    # Read past a metaclass that may have a __name__ of its own.
    return type.__dict__["__name__"].__get__(type(value))


cdef str one_word(str name):
    """A class's name, quoted if it is not an identifier: a class made from data may have any text there, also line breaks."""
    return name if name.isidentifier() else repr(name)


cdef str safe_repr(object value):
    """repr(value), or a replacement text when that fails; for an int too long for CPython's decimal conversion, hexadecimal."""
    cdef object trouble
    try:
        return str.__str__(repr(value))
    except RecursionError:
        raise
    except Exception as error:
        trouble = error
    if type(value) is int:
        return hex(value)
    return f"<{type_name(value)} whose repr fails: {type_name(trouble)}>"


cdef object native_field(object value, Py_ssize_t limit, Core core):
    """The value as a field carries it: a number stays a number, a nested value is JSON of about `limit` bytes, the rest text."""
    kind = type(value)
    if kind is str or kind is float or kind is bool or kind is bytes or value is None or kind is Rendition:
        return value
    if kind is int:
        if -(1 << 63) <= value < (1 << 64):
            return value
        digits = int_text(value)
        return rendition(TAG_NUMBER, digits.encode()) if digits[0] != '"' else digits.strip("\"")
    try:
        plain = plain_value(value, core)
        if is_json_scalar(plain):
            return native_field(plain, limit, core)
        return rendition(TAG_JSON, json_bytes(plain, value, limit, core))
    except RecursionError:
        raise
    except Exception:
        pass
    return safe_repr(value)


cdef str int_text(object value):
    """The digits of an int, or its hexadecimal text in quotes when it is too long for CPython's decimal conversion."""
    cdef int overflow = 0
    PyLong_AsLongLongAndOverflow(value, &overflow)
    if not overflow:
        return repr(value)
    if value.bit_length() < MAX_DECIMAL_BITS:
        try:
            return int.__repr__(value)
        except ValueError:  # sys.set_int_max_str_digits() allows even less
            pass
    return f'"{hex(value)}"'


cdef dict native_fields(dict fields, Py_ssize_t limit, Core core):
    """The fields as a record carries them, in about `limit` bytes. A value that is cut ends with a mark that says so.

    `core`: whose functions of `encode` are asked, or None.
    """
    cdef dict native = {}
    cdef Py_ssize_t left = limit
    cdef Py_ssize_t size
    for name, value in fields.items():
        key = cut_text(plain_key(name), limit)
        value = native_field(value, left, core)
        size = size_of_field(value)
        if size > left:
            value = cut_field(value, left)
            size = left
        native[key] = value
        left -= size
    return native


cdef Py_ssize_t size_of_field(object value):
    if type(value) is str or type(value) is bytes:
        return len(value)
    return len((<Rendition> value).text) if type(value) is Rendition else 0


cdef object cut_field(object value, Py_ssize_t limit):
    # A value that was cut is no JSON and no number any more, so it becomes text.
    if type(value) is bytes:
        return f"{(<bytes> value)[: limit // 4]!r} [logly: cut, {len(value)} bytes in all]"
    return cut_text((<Rendition> value).text.decode() if type(value) is Rendition else value, limit)
