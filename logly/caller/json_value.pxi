# Nested values of fields as JSON text, made on the caller's thread. Whatever is in them, the result is one valid JSON value.

from cpython.object cimport PyObject

from logly.ring.record cimport MAX_FIELD_BYTES
from logly.system.cpython cimport text_kind_of

# Of other included files:
#   control/core.pxi: Core
#   caller/careful.pxi: cut_text
#   caller/hidden.pxi: shown_items
#   caller/plain_value.pxi: is_enum, is_json_scalar, plain_value
#   caller/values.pxi: int_text, safe_repr, safe_str

cdef enum:
    MAX_JSON_DEPTH = 32
    MARKS_ROOM = 512             # bytes for what is said of a value that is cut, and for what ends it
    MAX_JSON_ITEMS = 1 << 20     # because a few lists that contain each other often can have more items than there are atoms

# Escapes for what json leaves as it is: DEL, C1 controls, line separators, lone surrogates (json_encode in text/escape.pxd).
cdef object late_controls = None
cdef object quote_text = None    # json's own function, imported when a nested value is logged


cdef class JsonText:
    """A nested value's JSON, piece by piece."""

    cdef bint put(self, str part) except -1:
        self.parts.append(part)
        self.room -= len(part)
        return True

    cdef bint add(self, object value) except -1:
        kind = type(value)
        if kind is str:
            return self.add_text(value)
        if value is None or kind is bool:
            return self.put("null" if value is None else "true" if value else "false")
        if kind is int:
            return self.put(int_text(value))
        if kind is float:
            return self.put(repr(value) if value - value == 0 else "null")
        if kind is bytes:
            return self.add_text(bytes.decode(value, "utf-8", "backslashreplace"))
        if (kind is dict or kind is list) and not self.asks_encoders:
            return self.add_container(value, value)
        return self.add_other(value)

    cdef bint add_text(self, str text) except -1:
        if len(text) > self.room:
            text = cut_text(text, max(self.room, 0))
        if text_kind_of(<PyObject*> text) > 0:
            self.room -= 2 * len(text)  # each character is at most three or four bytes
        return self.put(json_text(text))

    cdef bint add_other(self, object value) except -1:
        plain = plain_value(value, self.core)
        return self.add(plain) if is_json_scalar(plain) else self.add_container(plain, value)

    cdef bint add_container(self, object plain, object value) except -1:
        """`value`: the object that `plain` stands for, or `plain` itself."""
        if id(value) in self.path or len(self.path) >= MAX_JSON_DEPTH or not self.has_room():
            return self.put('"..."')
        items = items_of(plain, self.core)
        if items is None:
            if not self.path:
                raise ValueError("its items cannot be read")
            return self.add_text(safe_repr(value))
        self.path.append(id(value))
        if type(items) is dict:
            self.add_dict(items)
        else:
            self.add_list(items)
        self.path.pop()
        return True

    cdef bint has_room(self) noexcept:
        """Whether one more item is shown."""
        self.items += 1
        return self.items <= MAX_JSON_ITEMS and self.room > 0

    cdef bint add_list(self, list values) except -1:
        cdef Py_ssize_t left = len(values)
        cdef str before = "["
        for value in values:
            self.put(before)
            if not self.has_room():
                self.put(f'"... {left} more"')
                break
            self.add(value)
            before = ","
            left -= 1
        return self.put("]" if values else "[]")

    cdef bint add_dict(self, dict items) except -1:
        cdef Py_ssize_t left = len(items)
        cdef str before = "{"
        for name, item in items.items():
            self.put(before)
            if not self.has_room():
                self.put(f'"...":"{left} more"')
                break
            self.put(name)
            self.put(":")
            self.add(item)
            before = ","
            left -= 1
        return self.put("}" if items else "{}")


cdef object items_of(object container, Core core):
    """A dict by the texts of its keys; a list of what is in any other container, sorted where it is a set that sorts. None: the
    container has code of its own, which fails.
    """
    try:
        if isinstance(container, dict):
            # If several keys become the same text, the last one counts, as in a dict.
            return {json_key_text(name, core): item for name, item in list(container.items())}
        if isinstance(container, (set, frozenset)):
            return sorted_items(container)
        if core is not None and isinstance(container, tuple) and type(container) is not tuple:
            return shown_items(core, container, list(container))
        return list(container)
    except RecursionError:
        raise
    except Exception:
        pass
    return None


cdef list sorted_items(object values):
    cdef list items = list(values)
    try:
        items.sort()
    except RecursionError:
        raise
    except Exception:
        pass
    return items


cdef str json_key_text(object name, Core core):
    """A key of an object: as json.dumps writes str, None, bool, int and float; what stands behind anything else, where that is no
    container.
    """
    cdef str text
    plain = name if type(name) is str else plain_value(name, core)
    if type(plain) is str:
        return json_text(plain)
    if type(plain) is bytes:
        return json_text(bytes.decode(plain, "utf-8", "backslashreplace"))
    if plain is None or type(plain) is bool:
        return '"null"' if plain is None else '"true"' if plain else '"false"'
    if type(plain) is int:
        text = int_text(plain)
        return text if text[0] == '"' else f'"{text}"'
    # A tuple may be the value of an enum's member.
    return json_text(safe_str(plain if is_json_scalar(plain) or is_enum(type(name)) else name))


cdef object quoting_function():
    """json's own function. `logly.caller.emergency` has loaded its module."""
    try:
        from _json import encode_basestring
        return encode_basestring
    except ImportError:  # a Python without the compiled part
        pass
    from json.encoder import encode_basestring
    return encode_basestring


cdef str json_text(str text):
    global late_controls, quote_text
    cdef str quoted
    if quote_text is None:
        quote_text = quoting_function()
    quoted = quote_text(text)
    if text_kind_of(<PyObject*> quoted) == 0 and "\x7f" not in quoted:
        return quoted
    if late_controls is None:
        late_controls = {code: f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), 0x2028, 0x2029)}
        late_controls.update({code: f"\\\\u{code:04x}" for code in range(0xD800, 0xE000)})
    return quoted.translate(late_controls)


cdef bytes json_bytes(object plain, object value, Py_ssize_t limit, Core core):
    """The JSON of the container `plain`, which stands for `value`, in about `limit` bytes. Raises if its items cannot be read."""
    cdef JsonText text = JsonText.__new__(JsonText)
    text.core = core
    text.asks_encoders = core is not None and core.encoders is not None
    text.room = limit - MARKS_ROOM if limit > 2 * MARKS_ROOM else limit // 2
    text.parts = []
    text.path = []
    text.add_container(plain, value)
    return "".join(text.parts).encode()


def json_of(object value):
    """A value as JSON, by the rules for values of fields."""
    cdef list holder = [value]
    cdef bytes made = json_bytes(holder, holder, MAX_FIELD_BYTES, None)
    return made[1:len(made) - 1].decode()
