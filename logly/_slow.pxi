# What a log call does when its arguments are not all copied as bits: everything that may run Python code, on the caller's
# thread, before the record is begun.

cdef class Rendition:
    """A value whose text was made on the caller's thread: JSON, or the digits of an int beyond 64 bits."""
    cdef uint8_t tag
    cdef bytes text


cdef Rendition rendition(uint8_t tag, bytes text):
    cdef Rendition made = Rendition.__new__(Rendition)
    made.tag = tag
    made.text = text
    return made


cdef str safe_str(object value):
    """str(value), whatever it does."""
    try:
        text = str(value)
        return text if type(text) is str else str.__str__(text)
    except Exception as error:
        return f"<{type_name(value)} whose str fails: {type_name(error)}>"


cdef str type_name(object value):
    # Past a metaclass that has a __name__ of its own.
    return type.__dict__["__name__"].__get__(type(value))


cdef str safe_repr(object value):
    """repr(value), whatever it does. An int too long for CPython's decimal conversion is shown in hexadecimal."""
    try:
        return str.__str__(repr(value))
    except Exception as error:
        if type(value) is int:
            return hex(value)
        return f"<{type_name(value)} whose repr fails: {type_name(error)}>"


cdef bytes json_bytes(object value):
    import json
    try:
        text = json.dumps(
            value, ensure_ascii=True, allow_nan=False, default=safe_str, skipkeys=False, separators=(",", ":")
        )
    except Exception:
        # Cycles, NaN inside, keys that are no str: as JSON as it can be, and never an invalid line.
        text = json.dumps(plain_json(value, 0), separators=(",", ":"))
    return text.encode("ascii")


cdef object plain_json(object value, int depth):
    """`value` made of what JSON knows, at most 32 levels deep."""
    if depth > 32:
        return safe_repr(value)
    if isinstance(value, dict):
        return {k if type(k) is str else safe_str(k): plain_json(v, depth + 1) for k, v in list(value.items())}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain_json(item, depth + 1) for item in list(value)]
    if value is None or type(value) is bool or type(value) is str:
        return value
    if type(value) is float:
        return value if value - value == 0 else ("NaN" if value != value else "Infinity" if value > 0 else "-Infinity")
    if type(value) is int:
        return value if -(1 << 63) <= value < (1 << 64) else safe_repr(value)
    return safe_str(value)


cdef object native_field(object value):
    """The value as a field carries it: a number stays a number, a nested value becomes JSON, the rest text."""
    kind = type(value)
    if kind is str or kind is float or kind is bool or kind is bytes or value is None:
        return value
    if kind is int:
        return value if -(1 << 63) <= value < (1 << 64) else large_number(value)
    try:
        if isinstance(value, (dict, list, tuple, set, frozenset)):
            return rendition(TAG_JSON, json_bytes(value))
        if isinstance(value, int):
            return native_field(int.__int__(value))
        if isinstance(value, float):
            return float.__float__(value)
    except Exception:
        return safe_repr(value)
    return safe_str(value)


cdef object large_number(object value):
    try:
        return rendition(TAG_NUMBER, repr(value).encode("ascii"))
    except ValueError:
        # More digits than sys.set_int_max_str_digits() allows; in hexadecimal it is no number of JSON's.
        return hex(value)


cdef dict native_fields(dict fields, Py_ssize_t limit):
    """The fields as a record carries them: at most MAX_FIELDS, in about `limit` bytes; what is missing is told."""
    cdef dict native = {}
    cdef Py_ssize_t left = limit
    cdef Py_ssize_t size
    for name, value in fields.items():
        if len(native) == MAX_FIELDS - 1 and len(fields) > MAX_FIELDS:
            native["logly_fields_left_out"] = len(fields) - len(native)
            break
        key = cut_text(name if type(name) is str else safe_str(name), limit)
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
    # What is cut is no JSON any more, and no number: text.
    if type(value) is bytes:
        return f"{(<bytes> value)[: limit // 4]!r} [logly: cut, {len(value)} bytes in all]"
    return cut_text((<Rendition> value).text.decode() if type(value) is Rendition else value, limit)


cdef str fallback_text(str message, tuple args, dict fields):
    """What is written for a message that cannot be formatted: itself, and what was to go into it."""
    parts = [message]
    parts += [safe_repr(arg) for arg in args]
    parts += [f"{name}={safe_repr(value)}" for name, value in fields.items()]
    return " ".join(parts)


cdef str format_message(Core core, object message, tuple args, dict fields):
    cdef str template
    if type(message) is not str:
        try:
            template = str(message)
            if type(template) is not str:
                template = str.__str__(template)
        except Exception as error:
            core.note_failed_format(error)
            template = safe_str(message)
    else:
        template = message
    if not args and not fields:
        return template
    try:
        return template.format(*args, **fields)
    except Exception as error:
        core.note_failed_format(error)
        return fallback_text(template, args, fields)


cdef str cut_text(str text, unsigned long long limit_bytes):
    """At most `limit_bytes` of UTF-8, and then a mark that says that something is missing."""
    cdef Py_ssize_t limit = <Py_ssize_t> min(limit_bytes, <unsigned long long> MAX_RECORD_BYTES // 8)
    if len(text) <= limit // 6 or (len(text) <= limit and (text.isascii() or len(utf8(text)) <= limit)):
        return text
    kept = utf8(text[:limit])[:limit].decode("utf-8", "ignore")
    return f"{kept} [logly: cut, {len(text)} characters in all]"


# Kept in C variables: a __del__ may log when the interpreter has emptied this module.
cdef object current_frame = sys._getframe
cdef object handled_exception = sys.exc_info


cdef object exception_of(object exc_info):
    """The exception that `exc_info` stands for, or None."""
    if type(exc_info) is tuple:
        exc_info = exc_info[1] if len(exc_info) == 3 else None
    elif type(exc_info) is bool or type(exc_info) is int:
        exc_info = handled_exception()[1] if exc_info else None
    # By its type alone: isinstance() would ask the object, whatever it is.
    return exc_info if issubclass(type(exc_info), BaseException) else None


cdef tuple exception_texts(object exc_info, unsigned long long limit):
    """(type, message, traceback) of what `exc_info` stands for, as text; None when that is no exception."""
    error = exception_of(exc_info)
    if error is None:
        return None
    try:
        import traceback

        stack = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    except Exception as trouble:
        stack = f"{type_name(error)}: <traceback could not be rendered: {type_name(trouble)}>\n"
    return (type_name(error), cut_text(safe_str(error), limit), cut_text(stack, limit))


cdef object frame_at(object stacklevel):
    """The caller's frame, or one further out; the outermost one when there are not so many."""
    try:
        frame = current_frame(0)
    except ValueError:
        return None  # called from C: there is no Python frame at all
    if type(stacklevel) is int and stacklevel > 1:
        while stacklevel > 1 and frame.f_back is not None:
            frame = frame.f_back
            stacklevel -= 1
    return frame


cdef dict active_threads = threading._active


cdef str current_thread_name():
    """The calling thread's name, as `threading` knows it now."""
    thread = active_threads.get(PyThread_get_thread_ident())
    name = getattr(thread, "_name", None) if thread is not None else None
    return name if type(name) is str else f"thread-{PyThread_get_thread_ident()}"
