# What becomes of values that are not copied as bits. This runs Python code, on the caller's thread.

from enum import Enum

from cpython.number cimport PyNumber_Index
from libc.stdint cimport uint8_t

from logly.ring.record cimport TAG_JSON, TAG_NUMBER

# Of other included files:
#   caller/careful.pxi: cut_text
#   caller/fields.pxi: plain_key
#   caller/json_value.pxi: json_bytes

cdef enum:
    MAX_DECIMAL_BITS = 14000  # 4,215 digits: within the 4,300 that CPython converts and reads by default
    MAX_ENUM_STEPS = 4        # from a member to the member that is its value

cdef object enum_class = Enum  # in a C variable: a __del__ may log after the interpreter has cleared this module


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


cdef object native_field(object value):
    """The value as a field carries it: a number stays a number, a nested value becomes JSON, the rest text."""
    kind = type(value)
    if kind is str or kind is float or kind is bool or kind is bytes or value is None or kind is Rendition:
        return value
    if kind is int:
        if -(1 << 63) <= value < (1 << 64):
            return value
        digits = int_text(value)
        return rendition(TAG_NUMBER, digits.encode()) if digits[0] != '"' else digits.strip("\"")
    try:
        if not is_enum(kind) and isinstance(value, (dict, list, tuple, set, frozenset)):
            return rendition(TAG_JSON, json_bytes(value))
        plain = plain_scalar(value)
        return safe_str(value) if plain is value else native_field(plain)
    except RecursionError:
        raise
    except Exception:
        pass
    return safe_repr(value)


cdef str int_text(object value):
    """The digits of an int, or its hexadecimal text in quotes when it is too long for CPython's decimal conversion."""
    if value.bit_length() < MAX_DECIMAL_BITS:
        try:
            return int.__repr__(value)
        except ValueError:  # sys.set_int_max_str_digits() allows even less
            pass
    return f'"{hex(value)}"'


cdef inline bint is_enum(object kind) except -1:
    return type(kind) is not type and issubclass(kind, enum_class)


cdef object enum_value(object member):
    """The value of an enum's member. The member itself, if its value is such a member again and again."""
    cdef object value = member
    cdef int step
    for step in range(MAX_ENUM_STEPS):
        value = value.value
        if not is_enum(type(value)):
            return value
    return member


cdef object plain_scalar(object value):
    """What stands behind an enum's member, a subclass of int, float, str or bytes, or one of numpy's scalars; else `value`
    itself. The value of a member may be any object that is no member. All others are exactly of a built-in type, so that a
    caller which asks again about the result comes to an end.
    """
    kind = type(value)
    try:
        if is_enum(kind):
            plain = enum_value(value)
            if plain is not value:
                return plain
        if isinstance(value, int):
            return int.__int__(value)
        if isinstance(value, float):
            return float.__float__(value)
        if isinstance(value, str):
            return str.__str__(value)  # its content, as json.dumps writes it, and not what its own __str__ says
        if isinstance(value, bytes):
            return value if kind is bytes else bytes.__getitem__(value, slice(None))
        if hasattr(kind, "item") and hasattr(kind, "ndim") and value.ndim == 0:
            item = value.item()
            return item if type(item) in (bool, int, float, str, bytes) else value
        if hasattr(kind, "__index__"):
            return int.__int__(PyNumber_Index(value))
    except RecursionError:
        raise
    except Exception:
        pass  # an array has all of these, too
    return value


cdef dict native_fields(dict fields, Py_ssize_t limit):
    """The fields as a record carries them, in about `limit` bytes. A value that is cut ends with a mark that says so."""
    cdef dict native = {}
    cdef Py_ssize_t left = limit
    cdef Py_ssize_t size
    for name, value in fields.items():
        key = cut_text(plain_key(name), limit)
        value = native_field(value)
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
