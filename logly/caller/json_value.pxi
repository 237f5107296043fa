# Nested values of fields as JSON text, made on the caller's thread. Whatever is in them, the result is one valid JSON value.

# Of other included files:
#   caller/values.pxi: int_text, is_enum, plain_scalar, safe_str

cdef enum:
    MAX_JSON_DEPTH = 32
    MAX_JSON_ITEMS = 1 << 20     # because a few lists that contain each other often can have more items than there are atoms

# Escapes for what json leaves as it is: DEL, C1 controls, line separators, lone surrogates (json_encode in text/escape.pxd).
cdef object late_controls = None
cdef object quote_text = None    # json's own function, imported when a nested value is logged


cdef class JsonText:
    """A nested value's JSON, piece by piece."""

    cdef bint add(self, object value) except -1:
        kind = type(value)
        if kind is str:
            self.parts.append(json_text(value))
        elif value is None or kind is bool:
            self.parts.append("null" if value is None else "true" if value else "false")
        elif kind is int:
            self.parts.append(int_text(value))
        elif kind is float:
            self.parts.append(float.__repr__(value) if value - value == 0 else "null")
        elif kind is bytes:
            self.parts.append(json_text(bytes.decode(value, "utf-8", "backslashreplace")))
        elif not is_enum(kind) and isinstance(value, (dict, list, tuple, set, frozenset)):
            self.add_container(value)
        else:
            plain = plain_scalar(value)
            if plain is value:
                self.parts.append(json_text(safe_str(value)))
            else:
                self.add(plain)
        return True

    cdef bint add_container(self, object value) except -1:
        self.items += 1
        if id(value) in self.path or len(self.path) >= MAX_JSON_DEPTH or self.items > MAX_JSON_ITEMS:
            self.parts.append('"..."')
            return True
        self.path.append(id(value))
        if isinstance(value, dict):
            self.add_dict(value)
        else:
            self.add_list(list(value))
        self.path.pop()
        return True

    cdef bint add_list(self, list values) except -1:
        cdef str before = "["
        self.items += len(values)
        for value in values:
            self.parts.append(before)
            self.add(value)
            before = ","
        self.parts.append("]" if values else "[]")
        return True

    cdef bint add_dict(self, object value) except -1:
        cdef str before = "{"
        # If several keys become the same text, the last one counts, as in a dict.
        cdef dict items = {json_key_text(name): item for name, item in list(value.items())}
        self.items += len(items)
        for name, item in items.items():
            self.parts.append(before)
            self.parts.append(name)
            self.parts.append(":")
            self.add(item)
            before = ","
        self.parts.append("}" if items else "{}")
        return True


cdef str json_key_text(object name):
    """A key of an object: as json.dumps writes str, None, bool, int and float, an enum's member as its value, and str() of
    anything else.
    """
    cdef str text
    if type(name) is not str and type(name) is not bool:
        name = plain_scalar(name)
    if type(name) is str:
        return json_text(name)
    if name is None or type(name) is bool:
        return '"null"' if name is None else '"true"' if name else '"false"'
    if type(name) is int:
        text = int_text(name)
        return text if text[0] == '"' else f'"{text}"'
    return json_text(safe_str(name))


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
    if quoted.isascii() and "\x7f" not in quoted:
        return quoted
    if late_controls is None:
        late_controls = {code: f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), 0x2028, 0x2029)}
        late_controls.update({code: f"\\\\u{code:04x}" for code in range(0xD800, 0xE000)})
    return quoted.translate(late_controls)


cdef bytes json_bytes(object value):
    cdef JsonText text = JsonText.__new__(JsonText)
    text.parts = []
    text.path = []
    text.add(value)
    return "".join(text.parts).encode()
